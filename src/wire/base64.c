#include "wire/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buffer *out, struct bytes in) {
    for (size_t i = 0; i < in.size; i += 3) {
        size_t count = in.size - i < 3 ? in.size - i : 3;
        uint32_t group = (uint32_t)in.data[i] << 16;
        group |= count > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
        group |= count > 2 ? (uint32_t)in.data[i + 2] : 0;
        uint8_t *to = buffer_extend(out, 4);
        to[0] = (uint8_t)alphabet[group >> 18];
        to[1] = (uint8_t)alphabet[(group >> 12) & 63];
        to[2] = count > 1 ? (uint8_t)alphabet[(group >> 6) & 63] : '=';
        to[3] = count > 2 ? (uint8_t)alphabet[group & 63] : '=';
    }
}

static int digit_value(char c) {
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);
    return found == NULL ? -1 : (int)(found - alphabet);
}

err_t base64_parse(struct arena *arena, struct str text, struct bytes *ret_bytes) {
    if (text.size % 4 != 0) {
        return ERR_MALFORMED;
    }
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=') {
        padding++;
    }
    size_t size = text.size / 4 * 3 - padding;
    uint8_t *out = arena_alloc(arena, size + 3);
    if (out == NULL) {
        return ERR_LIMIT;
    }
    uint8_t *to = out;
    for (size_t i = 0; i < text.size; i += 4) {
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int digit = i + j >= text.size - padding ? 0 : digit_value(text.data[i + j]);
            if (digit < 0) {
                return ERR_MALFORMED;
            }
            group = group << 6 | (uint32_t)digit;
        }
        *to++ = (uint8_t)(group >> 16);
        *to++ = (uint8_t)(group >> 8);
        *to++ = (uint8_t)group;
    }
    *ret_bytes = (struct bytes){.data = out, .size = size};
    return ERR_OK;
}
