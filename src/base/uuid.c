#include "base/uuid.h"

#include <assert.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The highest of the ids that KIP-858 and the metadata topic reserve: …00 to …02. */
static bool is_reserved(struct uuid id) {
    uint8_t last = id.bytes[15];
    id.bytes[15] = 0;
    return uuid_is_zero(id) && last <= 2;
}

static int digit_value(char c) {
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

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
    size_t used = 0;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        bits = bits << 8 | id.bytes[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            text[used++] = alphabet[bits >> bit_count & 63];
        }
    }
    text[used++] = alphabet[bits << (6 - bit_count) & 63];
    text[used] = '\0';
    assert(used == UUID_TEXT_SIZE);
}

err_t uuid_parse(struct str text, struct uuid *ret_id) {
    if (text.size != UUID_TEXT_SIZE) {
        return ERR_MALFORMED;
    }
    struct uuid id;
    uint32_t bits = 0;
    int bit_count = 0;
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = digit_value(text.data[i]);
        if (value < 0) {
            return ERR_MALFORMED;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            id.bytes[used++] = (uint8_t)(bits >> bit_count);
        }
    }
    assert(used == sizeof id.bytes);
    if ((bits & ((1u << bit_count) - 1)) != 0) {
        return ERR_MALFORMED; /* bits that no 16-byte value leaves behind */
    }
    *ret_id = id;
    return ERR_OK;
}

bool uuid_from_random(const uint8_t random[16], struct uuid *ret_id) {
    struct uuid id;
    memcpy(id.bytes, random, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40); /* version 4 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80); /* variant of RFC 4122 */
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    if (text[0] == '-' || is_reserved(id)) {
        return false;
    }
    *ret_id = id;
    return true;
}
