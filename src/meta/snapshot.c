#include "meta/snapshot.h"

#include <stdio.h>
#include <string.h>

enum { OFFSET_DIGITS = 20, EPOCH_DIGITS = 10 };

void meta_snapshot_name(struct meta_snapshot_id id, char name[META_SNAPSHOT_NAME_MAX]) {
    snprintf(name, META_SNAPSHOT_NAME_MAX, "%020lld-%010d.checkpoint", (long long)id.offset,
             id.epoch);
}

static bool parse_digits(const char *text, int digits, int64_t max, int64_t *ret_value) {
    int64_t value = 0;
    for (int i = 0; i < digits; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool meta_snapshot_parse_name(const char *name, struct meta_snapshot_id *ret_id) {
    int64_t offset, epoch;
    if (strlen(name) != OFFSET_DIGITS + 1 + EPOCH_DIGITS + strlen(".checkpoint") ||
        !parse_digits(name, OFFSET_DIGITS, INT64_MAX, &offset) || name[OFFSET_DIGITS] != '-' ||
        !parse_digits(name + OFFSET_DIGITS + 1, EPOCH_DIGITS, INT32_MAX, &epoch) ||
        strcmp(name + OFFSET_DIGITS + 1 + EPOCH_DIGITS, ".checkpoint") != 0) {
        return false;
    }
    *ret_id = (struct meta_snapshot_id){.offset = offset, .epoch = (int32_t)epoch};
    return true;
}
