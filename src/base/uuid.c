#include "base/uuid.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool uuid_equal(struct uuid a, struct uuid b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool uuid_is_zero(struct uuid id) {
    return uuid_equal(id, UUID_ZERO);
}

int uuid_compare(struct uuid a, struct uuid b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE + 1]) {
    uint32_t bits = 0;
    int bit_count = 0;
    int out = 0;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        bits = bits << 8 | id.bytes[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            text[out++] = alphabet[bits >> bit_count & 63];
        }
    }
    text[out++] = alphabet[bits << (6 - bit_count) & 63];
    text[out] = '\0';
}

err_t uuid_parse(struct str text, struct uuid *ret_id) {
    if (text.size != UUID_TEXT_SIZE) {
        return ERR_MALFORMED;
    }
    struct uuid id;
    uint32_t bits = 0;
    int bit_count = 0;
    size_t out = 0;
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        const char *place = text.data[i] == '\0' ? NULL : strchr(alphabet, text.data[i]);
        if (place == NULL) {
            return ERR_MALFORMED;
        }
        bits = bits << 6 | (uint32_t)(place - alphabet);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            id.bytes[out++] = (uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0) {
        return ERR_MALFORMED;
    }
    *ret_id = id;
    return ERR_OK;
}

bool uuid_from_random(const uint8_t random[16], struct uuid *ret_id) {
    struct uuid id;
    memcpy(id.bytes, random, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40); /* version 4 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80); /* RFC 9562's variant */
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    if (text[0] == '-') {
        return false;
    }
    *ret_id = id;
    return true;
}
