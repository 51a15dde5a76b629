#include "cli/record_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/when.h"
#include "wire/base64.h"

/* --- escapes --- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* What follows a backslash; moves behind it. False: nothing that we know. */
static bool take_escape(const char **at, char *ret_byte) {
    static const char names[] = "ntr0\\%\"'";
    static const char bytes[] = "\n\t\r\0\\%\"'";
    const char *name = **at == '\0' ? NULL : strchr(names, **at);
    if (name != NULL) {
        *ret_byte = bytes[name - names];
        (*at)++;
        return true;
    }
    if (**at != 'x' || hex_digit((*at)[1]) < 0 || hex_digit((*at)[2]) < 0) {
        return false;
    }
    *ret_byte = (char)(hex_digit((*at)[1]) * 16 + hex_digit((*at)[2]));
    *at += 3;
    return true;
}

struct ottla_bytes record_unescape(struct arena *arena, const char *text) {
    char *out = arena_alloc(arena, strlen(text) + 1);
    size_t size = 0;
    while (*text != '\0') {
        if (*text != '\\') {
            out[size++] = *text++;
            continue;
        }
        text++;
        if (!take_escape(&text, &out[size++])) {
            return (struct ottla_bytes){0};
        }
    }
    return (struct ottla_bytes){.data = out, .size = size};
}

/* --- format strings --- */

/* One byte of text, or one field. */
struct piece {
    bool field;
    char what;
};

struct record_format {
    struct piece *pieces;
    size_t count;
};

static const char fields[] = "tpoTdkKvVsShe";

struct record_format *record_format_parse(struct arena *arena, const char *text,
                                          const char **ret_error) {
    struct record_format *format = ARENA_NEW(arena, struct record_format);
    format->pieces = ARENA_ARRAY(arena, struct piece, strlen(text) + 1);
    for (const char *at = text; *at != '\0';) {
        struct piece *piece = &format->pieces[format->count++];
        const char *start = at;
        char c = *at++;
        piece->what = c;
        if (c == '\\' && !take_escape(&at, &piece->what)) {
            *ret_error = start;
            return NULL;
        }
        if (c == '%') {
            piece->field = *at != '%';
            piece->what = *at;
            if (*at == '\0' || (piece->field && strchr(fields, *at) == NULL)) {
                *ret_error = start;
                return NULL;
            }
            at++;
        }
    }
    return format;
}

static void print_bytes(struct ottla_bytes bytes, FILE *out) {
    if (bytes.size > 0) {
        (void)fwrite(bytes.data, 1, bytes.size, out);
    }
}

static void print_size(struct ottla_bytes bytes, FILE *out) {
    fprintf(out, "%" PRId64, bytes.data == NULL ? -1 : (int64_t)bytes.size);
}

static void print_headers(const struct ottla_record *record, FILE *out) {
    for (size_t i = 0; i < record->header_count; i++) {
        const struct ottla_header *header = &record->headers[i];
        fprintf(out, "%s%.*s=", i == 0 ? "" : ",", (int)header->key_size, header->key);
        print_bytes(header->value, out);
    }
}

static void print_field(char field, const struct ottla_record *record, FILE *out) {
    char date[WHEN_TEXT_SIZE];
    switch (field) {
    case 't':
        fputs(record->topic, out);
        break;
    case 'p':
        fprintf(out, "%" PRId32, record->partition);
        break;
    case 'o':
        fprintf(out, "%" PRId64, record->offset);
        break;
    case 'T':
        fprintf(out, "%" PRId64, record->timestamp_ms);
        break;
    case 'd':
        when_format(record->timestamp_ms, date);
        fputs(date, out);
        break;
    case 'k':
        print_bytes(record->key, out);
        break;
    case 'K':
        print_size(record->key, out);
        break;
    case 'v':
    case 's':
        print_bytes(record->value, out);
        break;
    case 'V':
    case 'S':
        print_size(record->value, out);
        break;
    case 'h':
        print_headers(record, out);
        break;
    case 'e':
        fprintf(out, "%" PRId32, record->leader_epoch);
        break;
    }
}

void record_format_print(const struct record_format *format, const struct ottla_record *record,
                         FILE *out) {
    for (size_t i = 0; i < format->count; i++) {
        if (format->pieces[i].field) {
            print_field(format->pieces[i].what, record, out);
        } else {
            fputc(format->pieces[i].what, out);
        }
    }
}

/* --- JSON out --- */

/* "name": text, or "nameBase64" when it is not UTF-8. */
static void add_bytes(json_t *object, const char *name, struct ottla_bytes bytes) {
    if (bytes.data == NULL) {
        json_object_set_new(object, name, json_null());
        return;
    }
    json_t *text = json_stringn(bytes.data, bytes.size);
    if (text != NULL) {
        json_object_set_new(object, name, text);
        return;
    }
    char key[64];
    struct buffer encoded = {0};
    (void)snprintf(key, sizeof key, "%sBase64", name);
    base64_add(&encoded, (struct bytes){.data = bytes.data, .size = bytes.size});
    json_object_set_new(object, key, json_stringn((const char *)encoded.data, encoded.size));
    buffer_done(&encoded);
}

json_t *record_to_json(const struct ottla_record *record) {
    json_t *object =
        json_pack("{s:s, s:i, s:I, s:I, s:i}", "topic", record->topic, "partition",
                  record->partition, "offset", (json_int_t)record->offset, "timestamp",
                  (json_int_t)record->timestamp_ms, "leaderEpoch", record->leader_epoch);
    add_bytes(object, "key", record->key);
    add_bytes(object, "value", record->value);
    json_t *headers = json_array();
    for (size_t i = 0; i < record->header_count; i++) {
        json_t *header = json_object();
        add_bytes(header, "key",
                  (struct ottla_bytes){record->headers[i].key, record->headers[i].key_size});
        add_bytes(header, "value", record->headers[i].value);
        json_array_append_new(headers, header);
    }
    json_object_set_new(object, "headers", headers);
    return object;
}

/* --- JSON in --- */

/* The bytes of "name" or "nameBase64". A value that is JSON but no text is taken as it is written,
 * so that {"value": {"a": 1}} sends an object. */
static const char *take_bytes(const json_t *object, const char *name, struct arena *arena,
                              struct ottla_bytes *ret_bytes) {
    char key[64];
    (void)snprintf(key, sizeof key, "%sBase64", name);
    const json_t *encoded = json_object_get(object, key);
    const json_t *plain = json_object_get(object, name);
    *ret_bytes = (struct ottla_bytes){0};
    if (encoded != NULL) {
        struct bytes bytes;
        struct str text = {.data = json_string_value(encoded), .size = json_string_length(encoded)};
        if (text.data == NULL || base64_parse(arena, text, &bytes) != ERR_OK) {
            return "a …Base64 field is not base64";
        }
        *ret_bytes = (struct ottla_bytes){bytes.data, bytes.size};
    } else if (json_is_string(plain)) {
        *ret_bytes = (struct ottla_bytes){json_string_value(plain), json_string_length(plain)};
    } else if (plain != NULL && !json_is_null(plain)) {
        char *dump = json_dumps(plain, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
        struct str text = arena_str(arena, str_from_c(dump));
        free(dump);
        *ret_bytes = (struct ottla_bytes){text.data, text.size};
    }
    return NULL;
}

static const char *take_headers(const json_t *list, struct arena *arena,
                                struct ottla_record *record) {
    size_t count = json_array_size(list);
    struct ottla_header *headers = ARENA_ARRAY(arena, struct ottla_header, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct ottla_bytes key;
        const char *error = take_bytes(json_array_get(list, i), "key", arena, &key);
        if (error != NULL || key.data == NULL) {
            return "a header is an object with a key and a value";
        }
        headers[i].key = key.data;
        headers[i].key_size = key.size;
        error = take_bytes(json_array_get(list, i), "value", arena, &headers[i].value);
        if (error != NULL) {
            return error;
        }
    }
    record->headers = headers;
    record->header_count = count;
    return NULL;
}

const char *record_from_json(const json_t *json, struct arena *arena,
                             struct ottla_record *ret_record) {
    if (!json_is_object(json)) {
        return "this is no JSON object";
    }
    const json_t *partition = json_object_get(json, "partition");
    const json_t *timestamp = json_object_get(json, "timestamp");
    const json_t *headers = json_object_get(json, "headers");
    if ((partition != NULL && !json_is_integer(partition)) ||
        (timestamp != NULL && !json_is_integer(timestamp)) ||
        (headers != NULL && !json_is_array(headers))) {
        return "partition and timestamp are numbers, headers a list";
    }
    if (partition != NULL) {
        json_int_t number = json_integer_value(partition);
        if (number < OTTLA_PARTITION_ANY || number > INT32_MAX) {
            return "there is no such partition";
        }
        ret_record->partition = (int32_t)number;
    }
    if (timestamp != NULL) {
        ret_record->timestamp_ms = json_integer_value(timestamp);
    }
    const char *error = take_bytes(json, "key", arena, &ret_record->key);
    if (error == NULL) {
        error = take_bytes(json, "value", arena, &ret_record->value);
    }
    return error != NULL ? error : take_headers(headers, arena, ret_record);
}
