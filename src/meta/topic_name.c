#include "meta/topic_name.h"

#include "base/limits.h"

static bool fits(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

struct str topic_name_fault(struct str name, struct arena *arena) {
    if (name.size == 0) {
        return STR("Topic name is invalid: the empty string is not allowed");
    }
    if (str_equal(name, STR(".")) || str_equal(name, STR(".."))) {
        return arena_printf(arena, "Topic name is invalid: '%.*s' is not allowed", STR_ARGS(name));
    }
    if (name.size > LIMIT_TOPIC_NAME) {
        return arena_printf(arena,
                            "Topic name is invalid: the length of '%.*s' is longer than the max "
                            "allowed length %d",
                            STR_ARGS(name), LIMIT_TOPIC_NAME);
    }
    for (size_t i = 0; i < name.size; i++) {
        if (!fits(name.data[i])) {
            return arena_printf(arena,
                                "Topic name is invalid: '%.*s' contains one or more characters "
                                "other than ASCII alphanumerics, '.', '_' and '-'",
                                STR_ARGS(name));
        }
    }
    return STR_NULL;
}
