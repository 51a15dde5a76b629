#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * A growing run of bytes on the heap, for writing. Zero-initialise it or call buffer_init. Owned
 * by whoever holds it; not thread safe. Running out of memory ends the process.
 */
struct buffer {
    uint8_t *data;
    size_t size;     /* written */
    size_t capacity; /* allocated */
};

void buffer_init(struct buffer *buffer);
void buffer_done(struct buffer *buffer);

static inline void buffer_clear(struct buffer *buffer) {
    buffer->size = 0;
}

/* Room for `size` more bytes; returns where they go. buffer->size does not change. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);

/* Makes `size` more bytes part of the buffer and returns where they start (not zeroed). */
uint8_t *buffer_extend(struct buffer *buffer, size_t size);

void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_add_str(struct buffer *buffer, struct str s);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the memory out; the caller frees it with free(). */
uint8_t *buffer_steal(struct buffer *buffer, size_t *ret_size);

static inline struct bytes buffer_bytes(const struct buffer *buffer) {
    return (struct bytes){.data = buffer->data, .size = buffer->size};
}
