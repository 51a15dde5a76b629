#include "base/bytes.h"

int str_compare(struct str a, struct str b) {
    if ((a.data == NULL) != (b.data == NULL)) {
        return a.data == NULL ? -1 : 1;
    }
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}
