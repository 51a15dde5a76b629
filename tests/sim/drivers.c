#include <stddef.h>
#include <string.h>

#include "driver.h"

extern const struct driver toy_driver;
#ifdef SIM_NODE_DRIVER
extern const struct driver node_driver;
#endif

static const struct driver *const drivers[] = {
    &toy_driver,
#ifdef SIM_NODE_DRIVER
    &node_driver,
#endif
};

const struct driver *driver_find(const char *name) {
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(drivers[i]->name, name) == 0) {
            return drivers[i];
        }
    }
    return NULL;
}
