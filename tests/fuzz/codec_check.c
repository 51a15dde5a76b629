#include "codec_check.h"

#include <assert.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "wire/codec.h"

static void check_again(const struct wire_type *type, int16_t version, const void *message) {
    _Alignas(16) uint8_t again[WIRE_MESSAGE_SIZE_MAX];
    struct buffer out = {0};
    assert(wire_encode(type, version, message, &out) == ERR_OK);
    buffer_add(&out, "", 1); /* so that there is memory, even for a message of no bytes */
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    size_t used;
    assert(wire_decode(type, version, buffer_bytes(&out), &arena, again, &used) == ERR_OK);
    assert(used == out.size - 1);
    assert(wire_equal(type, message, again));
    arena_done(&arena);
    buffer_done(&out);
}

void fuzz_check_codec(const struct wire_type *type, int16_t version, struct bytes in,
                      size_t *ret_used) {
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    struct arena arena;
    arena_init(&arena, wire_decode_bound(in.size));
    *ret_used = 0;
    err_t err = wire_decode(type, version, in, &arena, message, ret_used);
    assert(arena.used <= wire_decode_bound(in.size));
    assert(*ret_used <= in.size);
    if (err == ERR_OK) {
        check_again(type, version, message);
    } else {
        assert(err == ERR_MALFORMED || err == ERR_LIMIT || err == ERR_UNSUPPORTED_VERSION);
    }
    arena_done(&arena);
}
