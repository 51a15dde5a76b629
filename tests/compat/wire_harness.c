/*
 * The codec behind a pipe, so that another implementation can be compared with it. One request a
 * line on stdin; bytes follow a line that ends with their size. Answers go to stdout the same way.
 *
 *   list                               name family kind low high, a line each, then an empty line
 *   random NAME VERSION SEED           ok SIZE JSON_SIZE, bytes, JSON
 *   recode NAME VERSION SIZE, bytes    decoded and encoded again: ok SIZE JSON_SIZE, bytes, JSON
 *   convert NAME FROM TO SIZE, bytes   decoded as FROM, encoded as TO: ok SIZE 0, bytes
 *   anything that fails                error NAME OF THE ERROR
 *
 * On the way each message goes through JSON and back, is copied and compared: a difference is an
 * error of its own ("error json …").
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/random.h"
#include "wire/schema.h"

enum { LINE_MAX_SIZE = 512, MESSAGE_SIZE_MAX = 4096 };

struct session {
    struct arena arena;
    struct buffer bytes;
    struct buffer again;
    struct buffer error;
};

static void fail(const char *what, const char *detail) {
    printf("error %s %s\n", what, detail);
}

static void print_bytes(const struct session *session, size_t json_size) {
    printf("ok %zu %zu\n", session->bytes.size, json_size);
    if (session->bytes.size > 0) {
        (void)fwrite(session->bytes.data, 1, session->bytes.size, stdout);
    }
}

static void list(void) {
    for (size_t i = 0; i < wire_type_count; i++) {
        const struct wire_type *type = wire_types[i];
        printf("%s %s %d %d %d\n", type->name, type->family, type->kind, type->versions.low,
               type->versions.high);
    }
    printf("\n");
}

/* The message through JSON and through a copy must give the same bytes. */
static bool same_again(struct session *session, const struct wire_type *type, int16_t version,
                       const json_t *json, const void *message) {
    _Alignas(16) uint8_t other[MESSAGE_SIZE_MAX];
    buffer_clear(&session->error);
    buffer_clear(&session->again);
    err_t err = wire_from_json(type, version, json, &session->arena, other, &session->error);
    if (err == ERR_OK) {
        err = wire_encode(type, version, other, &session->again);
    }
    if (err != ERR_OK) {
        buffer_add(&session->error, "", 1);
        fail("json", (const char *)session->error.data);
        return false;
    }
    if (session->again.size != session->bytes.size ||
        (session->again.size > 0 &&
         memcmp(session->again.data, session->bytes.data, session->bytes.size) != 0)) {
        fail("json", "other bytes");
        return false;
    }
    err = wire_copy(type, message, &session->arena, other);
    if (err != ERR_OK || !wire_equal(type, message, other)) {
        fail("copy", "not equal");
        return false;
    }
    return true;
}

static void answer(struct session *session, const struct wire_type *type, int16_t version,
                   const void *message) {
    buffer_clear(&session->bytes);
    err_t err = wire_encode(type, version, message, &session->bytes);
    if (err != ERR_OK) {
        fail(err_name(err), "encode");
        return;
    }
    json_t *json = wire_to_json(type, version, message);
    char *text = json_dumps(json, JSON_COMPACT);
    if (same_again(session, type, version, json, message)) {
        print_bytes(session, strlen(text));
        (void)fputs(text, stdout);
    }
    free(text);
    json_decref(json);
}

static uint8_t *read_bytes(struct session *session, size_t size) {
    uint8_t *data = arena_alloc(&session->arena, size + 1);
    return fread(data, 1, size, stdin) == size ? data : NULL;
}

static void recode(struct session *session, const struct wire_type *type, int16_t version,
                   int16_t to_version, size_t size) {
    _Alignas(16) uint8_t message[MESSAGE_SIZE_MAX];
    struct bytes in = {.data = read_bytes(session, size), .size = size};
    size_t used;
    err_t err = in.data == NULL ? ERR_CLOSED
                                : wire_decode(type, version, in, &session->arena, message, &used);
    if (err != ERR_OK) {
        fail(err_name(err), "decode");
        return;
    }
    if (used != size) {
        fail("left", "bytes were left over");
        return;
    }
    if (version == to_version) {
        answer(session, type, version, message);
        return;
    }
    buffer_clear(&session->bytes);
    err = wire_encode(type, to_version, message, &session->bytes);
    if (err != ERR_OK) {
        fail(err_name(err), "encode");
        return;
    }
    print_bytes(session, 0);
}

static void run(struct session *session, char *line) {
    char verb[16], name[128];
    int version = 0;
    uint64_t a = 0, b = 0;
    int found = sscanf(line, "%15s %127s %d %" SCNu64 " %" SCNu64, verb, name, &version, &a, &b);
    if (found == 1 && strcmp(verb, "list") == 0) {
        list();
        return;
    }
    const struct wire_type *type = found >= 4 ? wire_type_by_name(name) : NULL;
    if (type == NULL || !wire_version_valid(type, (int16_t)version)) {
        fail("request", "no such message or version");
    } else if (strcmp(verb, "random") == 0) {
        _Alignas(16) uint8_t message[MESSAGE_SIZE_MAX];
        struct rng rng;
        rng_init(&rng, a);
        wire_random(type, (int16_t)version, &rng, &session->arena, message);
        answer(session, type, (int16_t)version, message);
    } else if (strcmp(verb, "recode") == 0) {
        recode(session, type, (int16_t)version, (int16_t)version, a);
    } else if (strcmp(verb, "convert") == 0 && found == 5) {
        recode(session, type, (int16_t)version, (int16_t)a, b);
    } else {
        fail("request", "no such verb");
    }
}

int main(void) {
    struct session session = {0};
    arena_init(&session.arena, SIZE_MAX);
    char line[LINE_MAX_SIZE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        run(&session, line);
        (void)fflush(stdout);
        arena_reset(&session.arena);
    }
    buffer_done(&session.bytes);
    buffer_done(&session.again);
    buffer_done(&session.error);
    arena_done(&session.arena);
    return 0;
}
