/*
 * JSON to messages. A path of frames on the C stack names the field when something does not fit;
 * recursion follows the schema, so it is as deep as the deepest message, not as the JSON.
 */
#include "wire/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/uuid.h"
#include "wire/base64.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

struct path {
    const struct path *outer;
    const char *name; /* NULL: an element of outer */
    size_t index;
};

struct reading {
    int16_t version;
    struct arena *arena;
    struct buffer *error;
};

static err_t struct_from_json(struct reading *reading, const struct path *path,
                              const struct wire_struct *shape, const json_t *json, uint8_t *to);

static void path_print(const struct path *path, struct buffer *out) {
    if (path == NULL) {
        return;
    }
    path_print(path->outer, out);
    if (path->name == NULL) {
        buffer_printf(out, "[%zu]", path->index);
    } else {
        buffer_printf(out, "%s%s", path->outer == NULL ? "" : ".", path->name);
    }
}

__attribute__((format(printf, 3, 4))) static err_t
refuse(struct reading *reading, const struct path *path, const char *format, ...) {
    path_print(path, reading->error);
    if (path != NULL) {
        buffer_add_str(reading->error, STR(": "));
    }
    char sentence[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    buffer_add_str(reading->error, str_from_c(sentence));
    return ERR_INVALID;
}

static const char *json_kind(const json_t *json) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return names[json_typeof(json)];
}

static err_t integer_from_json(struct reading *reading, const struct path *path, const json_t *json,
                               int64_t low, int64_t high, int64_t *ret_value) {
    if (!json_is_integer(json)) {
        return refuse(reading, path, "a whole number is needed, not %s", json_kind(json));
    }
    int64_t value = json_integer_value(json);
    if (value < low || value > high) {
        return refuse(reading, path,
                      "%" PRId64 " is out of range, which is %" PRId64 " to %" PRId64, value, low,
                      high);
    }
    *ret_value = value;
    return ERR_OK;
}

static err_t float_from_json(struct reading *reading, const struct path *path, const json_t *json,
                             double *ret_value) {
    const char *text = json_string_value(json);
    if (json_is_number(json)) {
        *ret_value = json_number_value(json);
    } else if (text != NULL && strcmp(text, "NaN") == 0) {
        *ret_value = NAN;
    } else if (text != NULL && strcmp(text, "Infinity") == 0) {
        *ret_value = INFINITY;
    } else if (text != NULL && strcmp(text, "-Infinity") == 0) {
        *ret_value = -INFINITY;
    } else {
        return refuse(reading, path, "a number is needed, not %s", json_kind(json));
    }
    return ERR_OK;
}

static err_t text_from_json(struct reading *reading, const struct path *path, enum wire_kind kind,
                            const json_t *json, uint8_t *to) {
    if (!json_is_string(json)) {
        return refuse(reading, path, "%s is needed, not %s",
                      kind == WIRE_STRING ? "a string"
                      : kind == WIRE_UUID ? "a uuid of 22 characters"
                                          : "a string in base64",
                      json_kind(json));
    }
    struct str text = {.data = json_string_value(json), .size = json_string_length(json)};
    if (kind == WIRE_UUID) {
        if (uuid_parse(text, (struct uuid *)to) != ERR_OK) {
            return refuse(reading, path, "a uuid has 22 characters of base64url");
        }
        return ERR_OK;
    }
    if (kind == WIRE_STRING) {
        struct str copy = arena_str(reading->arena, text);
        if (copy.data == NULL) {
            return ERR_LIMIT;
        }
        *(struct str *)to = copy;
        return ERR_OK;
    }
    err_t err = base64_parse(reading->arena, text, (struct bytes *)to);
    return err == ERR_MALFORMED ? refuse(reading, path, "this is not base64") : err;
}

static err_t pointer_from_json(struct reading *reading, const struct path *path,
                               const struct wire_field *field, const json_t *json, uint8_t *to) {
    uint8_t *shape = arena_alloc(reading->arena, field->shape->size);
    if (shape == NULL) {
        return ERR_LIMIT;
    }
    *(void **)to = shape;
    return struct_from_json(reading, path, field->shape, json, shape);
}

/* Integers of all sizes. */
static err_t number_from_json(struct reading *reading, const struct path *path, enum wire_kind kind,
                              const json_t *json, uint8_t *to) {
    static const struct {
        int64_t low;
        int64_t high;
    } ranges[] = {
        [WIRE_INT8] = {INT8_MIN, INT8_MAX}, [WIRE_INT16] = {INT16_MIN, INT16_MAX},
        [WIRE_UINT16] = {0, UINT16_MAX},    [WIRE_INT32] = {INT32_MIN, INT32_MAX},
        [WIRE_UINT32] = {0, UINT32_MAX},    [WIRE_INT64] = {INT64_MIN, INT64_MAX},
    };
    int64_t value = 0;
    err_t err = integer_from_json(reading, path, json, ranges[kind].low, ranges[kind].high, &value);
    if (err != ERR_OK) {
        return err;
    }
    switch (wire_kind_size(kind)) {
    case 1:
        *(int8_t *)to = (int8_t)value;
        break;
    case 2:
        *(uint16_t *)to = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)to = (uint32_t)value;
        break;
    default:
        *(int64_t *)to = value;
        break;
    }
    return ERR_OK;
}

static err_t value_from_json(struct reading *reading, const struct path *path,
                             const struct wire_field *field, const json_t *json, uint8_t *to) {
    switch ((enum wire_kind)field->kind) {
    case WIRE_BOOL:
        if (!json_is_boolean(json)) {
            return refuse(reading, path, "true or false is needed, not %s", json_kind(json));
        }
        *(bool *)to = json_is_true(json);
        return ERR_OK;
    case WIRE_FLOAT64:
        return float_from_json(reading, path, json, (double *)to);
    case WIRE_UUID:
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return text_from_json(reading, path, field->kind, json, to);
    case WIRE_STRUCT:
        return struct_from_json(reading, path, field->shape, json, to);
    case WIRE_POINTER:
        return pointer_from_json(reading, path, field, json, to);
    default:
        return number_from_json(reading, path, field->kind, json, to);
    }
}

static err_t array_from_json(struct reading *reading, const struct path *path,
                             const struct wire_field *field, const json_t *json, uint8_t *shape) {
    if (!json_is_array(json)) {
        return refuse(reading, path, "an array is needed, not %s", json_kind(json));
    }
    size_t count = json_array_size(json);
    size_t size = wire_field_element_size(field);
    uint8_t *elements = arena_alloc_zero(reading->arena, count * size);
    if (elements == NULL || count > INT32_MAX) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        const struct path inner = {.outer = path, .index = i};
        err_t err =
            value_from_json(reading, &inner, field, json_array_get(json, i), elements + i * size);
        if (err != ERR_OK) {
            return err;
        }
    }
    *(uint8_t **)(shape + field->offset) = elements;
    *(int32_t *)(shape + field->count_offset) = (int32_t)count;
    return ERR_OK;
}

static void set_null(const struct wire_field *field, uint8_t *shape) {
    if (field->array) {
        *(void **)(shape + field->offset) = NULL;
        *(int32_t *)(shape + field->count_offset) = -1;
    } else if (field->kind == WIRE_POINTER) {
        *(void **)(shape + field->offset) = NULL;
    } else {
        *(struct bytes *)(shape + field->offset) = (struct bytes){.data = NULL, .size = 0};
    }
}

static err_t field_from_json(struct reading *reading, const struct path *path,
                             const struct wire_field *field, const json_t *json, uint8_t *shape) {
    if (!wire_versions_have(field->versions, reading->version)) {
        return refuse(reading, path, "version %d does not have this field", reading->version);
    }
    if (json_is_null(json)) {
        if (!wire_versions_have(field->null_versions, reading->version)) {
            return refuse(reading, path, "null is not allowed in version %d", reading->version);
        }
        set_null(field, shape);
        return ERR_OK;
    }
    if (field->array) {
        return array_from_json(reading, path, field, json, shape);
    }
    return value_from_json(reading, path, field, json, shape + field->offset);
}

static const struct wire_field *find_field(const struct wire_struct *shape, const char *name) {
    for (uint16_t i = 0; i < shape->field_count; i++) {
        if (strcmp(shape->fields[i].name, name) == 0) {
            return &shape->fields[i];
        }
    }
    return NULL;
}

static size_t least3(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance of the first 63 characters. */
static size_t name_distance(const char *a, const char *b) {
    enum { LONGEST = 63 };
    size_t a_size = strnlen(a, LONGEST), b_size = strnlen(b, LONGEST);
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            row[j] = least3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

static err_t refuse_unknown(struct reading *reading, const struct path *path,
                            const struct wire_struct *shape, const char *name) {
    const struct path inner = {.outer = path, .name = name};
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        size_t distance = name_distance(name, field->name);
        if (wire_versions_have(field->versions, reading->version) && distance < nearest_distance) {
            nearest = field->name;
            nearest_distance = distance;
        }
    }
    if (nearest == NULL) {
        return refuse(reading, &inner, "there is no such field");
    }
    return refuse(reading, &inner, "there is no such field; the nearest is %s", nearest);
}

static err_t struct_from_json(struct reading *reading, const struct path *path,
                              const struct wire_struct *shape, const json_t *json, uint8_t *to) {
    memcpy(to, shape->defaults, shape->size);
    if (!json_is_object(json)) {
        return refuse(reading, path, "an object is needed, not %s", json_kind(json));
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, name, value) {
        const struct wire_field *field = find_field(shape, name);
        if (field == NULL) {
            return refuse_unknown(reading, path, shape, name);
        }
        const struct path inner = {.outer = path, .name = name};
        err_t err = field_from_json(reading, &inner, field, value, to);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

err_t wire_from_json(const struct wire_type *type, int16_t version, const json_t *json,
                     struct arena *arena, void *ret_message, struct buffer *error) {
    if (!wire_version_valid(type, version)) {
        return ERR_UNSUPPORTED_VERSION;
    }
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    struct reading reading = {.version = version, .arena = arena, .error = error};
    err_t err = struct_from_json(&reading, NULL, type->shape, json, message);
    if (err == ERR_OK) {
        memcpy(ret_message, message, type->shape->size);
    }
    return err;
}
