/*
 * Writes seeds for the fuzzers of the codec: every message in every version, filled at random, one
 * file each.
 *
 * usage: fuzz_corpus request|response|record_body DIRECTORY
 */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "wire/api.h"
#include "wire/messages.h"
#include "wire/random.h"

static int write_file(const char *directory, const struct wire_type *type, int16_t version,
                      struct bytes bytes) {
    char path[1024];
    int size = snprintf(path, sizeof path, "%s/%s-%d", directory, type->name, version);
    if (size < 0 || (size_t)size >= sizeof path) {
        return -1;
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t written = fwrite(bytes.data, 1, bytes.size, file);
    return fclose(file) == 0 && written == bytes.size ? 0 : -1;
}

static void add_random(const struct wire_type *type, int16_t version, struct rng *rng,
                       struct arena *arena, struct buffer *out) {
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    wire_random(type, version, rng, arena, message);
    (void)wire_encode(type, version, message, out);
}

/* What stands before the message in that fuzzer's input. */
static void add_start(const struct wire_type *type, uint16_t place, int16_t version,
                      struct buffer *out) {
    if (type->kind == WIRE_REQUEST) {
        struct request_header header = {.request_api_key = type->key,
                                        .request_api_version = version,
                                        .correlation_id = 1,
                                        .client_id = STR("seed")};
        (void)wire_encode(&request_header_type, wire_request_header_version(type->key, version),
                          &header, out);
        return;
    }
    put_be16(buffer_extend(out, 2), type->kind == WIRE_RESPONSE ? (uint16_t)type->key : place);
    put_be16(buffer_extend(out, 2), (uint16_t)version);
    if (type->kind == WIRE_RESPONSE) {
        struct response_header header = {.correlation_id = 1};
        (void)wire_encode(&response_header_type, wire_response_header_version(type->key, version),
                          &header, out);
    }
}

static const char *fuzzer_of(const struct wire_type *type) {
    return type->kind == WIRE_REQUEST    ? "request"
           : type->kind == WIRE_RESPONSE ? "response"
                                         : "record_body";
}

static int write_seeds(const char *fuzzer, const char *directory) {
    struct rng rng;
    rng_init(&rng, 1);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct buffer out = {0};
    int failed = 0;
    for (size_t i = 0; i < wire_type_count; i++) {
        const struct wire_type *type = wire_types[i];
        bool wanted = strcmp(fuzzer_of(type), fuzzer) == 0;
        /* The overlay has APIs that the table does not list yet. */
        bool known = type->kind > WIRE_RESPONSE || wire_api(type->key) != NULL;
        for (int16_t v = type->versions.low; wanted && known && v <= type->versions.high; v++) {
            buffer_clear(&out);
            add_start(type, (uint16_t)i, v, &out);
            add_random(type, v, &rng, &arena, &out);
            failed |= write_file(directory, type, v, buffer_bytes(&out));
            arena_reset(&arena);
        }
    }
    buffer_done(&out);
    arena_done(&arena);
    return failed;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: fuzz_corpus request|response|record_body DIRECTORY\n");
        return 2;
    }
    return write_seeds(argv[1], argv[2]) == 0 ? 0 : 1;
}
