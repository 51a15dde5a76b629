#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *buffer) {
    *buffer = (struct buffer){0};
}

void buffer_done(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size) {
    assert(buffer->size <= buffer->capacity);
    if (buffer->data == NULL || size > buffer->capacity - buffer->size) {
        assert(size <= SIZE_MAX / 4 - buffer->size);
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity * 2;
        if (capacity < buffer->size + size) {
            capacity = buffer->size + size;
        }
        uint8_t *data = realloc(buffer->data, capacity);
        if (data == NULL) {
            abort();
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

uint8_t *buffer_extend(struct buffer *buffer, size_t size) {
    uint8_t *start = buffer_reserve(buffer, size);
    buffer->size += size;
    return start;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size) {
    if (size > 0) {
        memcpy(buffer_extend(buffer, size), data, size);
    }
}

void buffer_add_str(struct buffer *buffer, struct str s) {
    buffer_add(buffer, s.data, s.size);
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(size >= 0);
    char *start = (char *)buffer_reserve(buffer, (size_t)size + 1); /* and the zero */
    va_start(args, format);
    (void)vsnprintf(start, (size_t)size + 1, format, args);
    va_end(args);
    buffer->size += (size_t)size;
}

uint8_t *buffer_steal(struct buffer *buffer, size_t *ret_size) {
    uint8_t *data = buffer->data;
    *ret_size = buffer->size;
    *buffer = (struct buffer){0};
    return data;
}
