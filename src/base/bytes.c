#include "base/bytes.h"

#include <stdlib.h>

char *str_dup(struct str s) {
    if (s.data == NULL) {
        return NULL;
    }
    char *copy = malloc(s.size + 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return copy;
}

int str_compare(struct str a, struct str b) {
    if (a.data == NULL || b.data == NULL) {
        return (a.data != NULL) - (b.data != NULL);
    }
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}
