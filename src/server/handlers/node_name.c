#include "server/handlers/node_name.h"

bool node_name_parse(struct str name, int32_t *ret_id) {
    bool negative = name.size > 0 && name.data[0] == '-';
    size_t i = negative || (name.size > 0 && name.data[0] == '+') ? 1 : 0;
    int64_t value = 0;
    if (i == name.size) {
        return false;
    }
    for (; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return false;
        }
        value = value * 10 + (name.data[i] - '0');
        if (value > (int64_t)INT32_MAX + negative) {
            return false;
        }
    }
    *ret_id = (int32_t)(negative ? -value : value);
    return true;
}
