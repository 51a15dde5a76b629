#include "log/checkpoint.h"

#include <stdarg.h>
#include <stdio.h>

bool decimal_parse(struct str text, int64_t max, int64_t *ret_number) {
    if (text.size == 0 || text.size > 19) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (number > (uint64_t)max) {
        return false;
    }
    *ret_number = (int64_t)number;
    return true;
}

__attribute__((format(printf, 2, 3))) static err_t corrupt(struct checkpoint_reader *reader,
                                                           const char *format, ...) {
    int used = snprintf(reader->message, sizeof reader->message, "line %u: ", reader->line);
    va_list args;
    va_start(args, format);
    vsnprintf(reader->message + used, sizeof reader->message - (size_t)used, format, args);
    va_end(args);
    return ERR_CORRUPT;
}

/* The next line without its end; false when there is none. */
static bool line_take(struct checkpoint_reader *reader, struct str *ret_line) {
    reader->line++;
    if (reader->rest.size == 0) {
        return false;
    }
    const char *end = memchr(reader->rest.data, '\n', reader->rest.size);
    size_t size = end == NULL ? reader->rest.size : (size_t)(end - reader->rest.data);
    *ret_line = (struct str){.data = reader->rest.data, .size = size};
    size_t used = end == NULL ? size : size + 1;
    reader->rest.data += used;
    reader->rest.size -= used;
    return true;
}

err_t checkpoint_read_begin(struct checkpoint_reader *reader, const char *data, size_t size,
                            int field_count) {
    *reader = (struct checkpoint_reader){
        .rest = {.data = data, .size = size},
        .field_count = field_count,
    };
    struct str line;
    int64_t version;
    if (size == 0) {
        return ERR_OK; /* as Kafka makes it before it has something to write */
    }
    if (!line_take(reader, &line) || !decimal_parse(line, INT32_MAX, &version)) {
        return corrupt(reader, "a version was expected");
    }
    if (version != 0) {
        return corrupt(reader, "unknown version %d", (int)version);
    }
    if (!line_take(reader, &line) || !decimal_parse(line, INT32_MAX, &reader->left)) {
        return corrupt(reader, "the number of entries was expected");
    }
    return ERR_OK;
}

err_t checkpoint_read_entry(struct checkpoint_reader *reader,
                            struct str ret_fields[CHECKPOINT_FIELDS_MAX]) {
    struct str line;
    if (reader->left == 0) {
        if (reader->rest.size > 0) {
            reader->line++;
            return corrupt(reader, "more lines than entries were announced");
        }
        return ERR_NOT_FOUND;
    }
    if (!line_take(reader, &line)) {
        return corrupt(reader, "%lld more entries were announced", (long long)reader->left);
    }
    reader->left--;
    for (int i = 0; i < reader->field_count; i++) {
        const char *space = memchr(line.data, ' ', line.size);
        bool last = i + 1 == reader->field_count;
        if (last != (space == NULL)) {
            return corrupt(reader, "%d fields were expected", reader->field_count);
        }
        size_t size = last ? line.size : (size_t)(space - line.data);
        ret_fields[i] = (struct str){.data = line.data, .size = size};
        line.data += last ? size : size + 1;
        line.size -= last ? size : size + 1;
    }
    return ERR_OK;
}

err_t checkpoint_number(struct checkpoint_reader *reader, struct str field, int64_t max,
                        int64_t *ret_number) {
    if (!decimal_parse(field, max, ret_number)) {
        return corrupt(reader, "\"%.*s\" is no number in range",
                       (int)(field.size < 24 ? field.size : 24), field.data);
    }
    return ERR_OK;
}

void checkpoint_write_begin(struct buffer *out, size_t count) {
    buffer_printf(out, "0\n%zu\n", count);
}
