#include "cli/kafka/perf_payloads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"

enum { FILE_SIZE_MAX = 1 << 30, NUMBER_SIZE = 24, LETTERS = 26 };

/* "\n" as two characters is a line's end, too. */
static const char *delimiter_of(struct tool *tool) {
    const char *text = tool_text(tool, "payload-delimiter");
    return strcmp(text, "\\n") == 0 ? "\n" : text;
}

static int read_file(struct perf_payloads *payloads, struct tool *tool, struct sys *sys,
                     const char *path) {
    const char *delimiter = delimiter_of(tool);
    size_t delimiter_size = strlen(delimiter);
    size_t size = 0;
    printf("Reading payloads from: %s\n", path);
    if (sys_file_read_all(sys, path, FILE_SIZE_MAX, &payloads->file, &size) != ERR_OK ||
        size == 0 || delimiter_size == 0) {
        return tool_fail(tool, "File does not exist or empty file provided.");
    }
    const char *end = payloads->file + size;
    size_t capacity = 1;
    for (const char *at = payloads->file;
         (at = memmem(at, (size_t)(end - at), delimiter, delimiter_size)) != NULL;
         at += delimiter_size) {
        capacity++;
    }
    payloads->items = ARENA_ARRAY(tool_arena(tool), struct ottla_bytes, capacity);
    for (const char *at = payloads->file; at < end;) {
        const char *found = memmem(at, (size_t)(end - at), delimiter, delimiter_size);
        const char *stop = found == NULL ? end : found;
        payloads->items[payloads->count++] = (struct ottla_bytes){at, (size_t)(stop - at)};
        at = found == NULL ? end : found + delimiter_size;
    }
    printf("Number of records read: %zu\n", payloads->count);
    return TOOL_DONE;
}

int perf_payloads_init(struct perf_payloads *payloads, struct tool *tool, struct sys *sys,
                       size_t size) {
    const char *path = tool_text(tool, "payload-file");
    rng_init(&payloads->rng, 0);
    if (path != NULL) {
        return read_file(payloads, tool, sys, path);
    }
    payloads->size = size;
    payloads->one = arena_alloc(tool_arena(tool), size == 0 ? NUMBER_SIZE : size);
    return TOOL_DONE;
}

void perf_payloads_done(struct perf_payloads *payloads) {
    free(payloads->file);
    payloads->file = NULL;
}

struct ottla_bytes perf_payload(struct perf_payloads *payloads, int64_t number) {
    char *one = payloads->one;
    if (payloads->items != NULL) {
        return payloads->items[rng_below(&payloads->rng, payloads->count)];
    }
    if (payloads->size == 0) {
        return (struct ottla_bytes){one, (size_t)snprintf(one, NUMBER_SIZE, "%" PRId64, number)};
    }
    rng_bytes(&payloads->rng, one, payloads->size);
    for (size_t i = 0; i < payloads->size; i++) {
        one[i] = (char)('A' + (uint8_t)one[i] % LETTERS);
    }
    return (struct ottla_bytes){one, payloads->size};
}
