/* Messages to JSON: walks the fields that a version has. */
#include "wire/json.h"

#include <assert.h>
#include <math.h>

#include "base/uuid.h"
#include "wire/base64.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

static json_t *struct_to_json(const struct wire_struct *shape, struct wire_versions flexible,
                              int16_t version, const uint8_t *from);

/* The length of the UTF-8 sequence at text[0], or 0 when it is broken. */
static size_t utf8_sequence(const uint8_t *text, size_t size) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80             ? 1
                    : (text[0] & 0xe0) == 0xc0 ? 2
                    : (text[0] & 0xf0) == 0xe0 ? 3
                    : (text[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    uint32_t point = length == 1 ? text[0] : text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (text[i] & 0x3f);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[length] || point > 0x10ffff || surrogate ? 0 : length;
}

static json_t *text_to_json(struct str text) {
    if (text.data == NULL) {
        return json_null();
    }
    json_t *json = json_stringn(text.data, text.size);
    if (json != NULL) {
        return json;
    }
    struct buffer repaired;
    buffer_init(&repaired);
    const uint8_t *data = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_sequence(data + i, text.size - i);
        if (length == 0) {
            buffer_add_str(&repaired, STR("\xef\xbf\xbd"));
            i++;
        } else {
            buffer_add(&repaired, data + i, length);
            i += length;
        }
    }
    json = json_stringn((const char *)repaired.data, repaired.size);
    buffer_done(&repaired);
    return json;
}

static json_t *bytes_to_json(struct bytes bytes) {
    if (bytes.data == NULL) {
        return json_null();
    }
    struct buffer text;
    buffer_init(&text);
    base64_add(&text, bytes);
    json_t *json = json_stringn(text.size == 0 ? "" : (const char *)text.data, text.size);
    buffer_done(&text);
    return json;
}

static json_t *float_to_json(double value) {
    if (isnan(value)) {
        return json_string("NaN");
    }
    if (isinf(value)) {
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    }
    return json_real(value);
}

static json_t *uuid_to_json(struct uuid id) {
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    return json_string(text);
}

static json_t *value_to_json(const struct wire_field *field, struct wire_versions flexible,
                             int16_t version, const uint8_t *from) {
    switch ((enum wire_kind)field->kind) {
    case WIRE_BOOL:
        return json_boolean(*(const bool *)from);
    case WIRE_INT8:
        return json_integer(*(const int8_t *)from);
    case WIRE_INT16:
        return json_integer(*(const int16_t *)from);
    case WIRE_UINT16:
        return json_integer(*(const uint16_t *)from);
    case WIRE_INT32:
        return json_integer(*(const int32_t *)from);
    case WIRE_UINT32:
        return json_integer(*(const uint32_t *)from);
    case WIRE_INT64:
        return json_integer(*(const int64_t *)from);
    case WIRE_FLOAT64:
        return float_to_json(*(const double *)from);
    case WIRE_UUID:
        return uuid_to_json(*(const struct uuid *)from);
    case WIRE_STRING:
        return text_to_json(*(const struct str *)from);
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return bytes_to_json(*(const struct bytes *)from);
    case WIRE_STRUCT:
        return struct_to_json(field->shape, flexible, version, from);
    case WIRE_POINTER: {
        const uint8_t *to = *(const uint8_t *const *)from;
        return to == NULL ? json_null() : struct_to_json(field->shape, flexible, version, to);
    }
    }
    assert(false);
    return json_null();
}

static json_t *field_to_json(const struct wire_field *field, struct wire_versions flexible,
                             int16_t version, const uint8_t *shape) {
    if (!field->array) {
        return value_to_json(field, flexible, version, shape + field->offset);
    }
    int32_t count = wire_count_at(shape, field->count_offset);
    if (count < 0) {
        return json_null();
    }
    const uint8_t *elements = *(const uint8_t *const *)(shape + field->offset);
    size_t size = wire_field_element_size(field);
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_t *element = value_to_json(field, flexible, version, elements + (size_t)i * size);
        (void)json_array_append_new(array, element);
    }
    return array;
}

static json_t *struct_to_json(const struct wire_struct *shape, struct wire_versions flexible,
                              int16_t version, const uint8_t *from) {
    json_t *object = json_object();
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        bool tagged = wire_versions_have(field->tag_versions, version) &&
                      wire_versions_have(flexible, version);
        if (!wire_versions_have(field->versions, version) ||
            (tagged && wire_field_equal(field, from, shape->defaults))) {
            continue;
        }
        json_t *value = field_to_json(field, flexible, version, from);
        (void)json_object_set_new(object, field->name, value);
    }
    return object;
}

json_t *wire_to_json(const struct wire_type *type, int16_t version, const void *message) {
    return struct_to_json(type->shape, type->flexible, version, message);
}
