/*
 * What works on the C structs alone: defaults, equality, copies. Reading is in codec_read.c,
 * writing in codec_write.c.
 */
#include "wire/codec.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

const uint8_t wire_gap_marker[1] = {0};

const char *wire_type_name(const struct wire_type *type) {
    return type->name;
}

int16_t wire_version_min(const struct wire_type *type) {
    return type->versions.low;
}

int16_t wire_version_max(const struct wire_type *type) {
    return type->versions.high;
}

bool wire_version_valid(const struct wire_type *type, int16_t version) {
    return wire_versions_have(type->versions, version);
}

bool wire_version_flexible(const struct wire_type *type, int16_t version) {
    return wire_versions_have(type->flexible, version);
}

size_t wire_struct_size(const struct wire_type *type) {
    return type->shape->size;
}

void wire_init(const struct wire_type *type, void *ret_message) {
    memcpy(ret_message, type->shape->defaults, type->shape->size);
}

size_t wire_decode_bound(size_t size) {
    return 2 * size + WIRE_DECODE_BYTES_EXTRA;
}

const struct wire_type *wire_type_by_name(const char *name) {
    for (size_t i = 0; i < wire_type_count; i++) {
        if (strcmp(wire_types[i]->name, name) == 0) {
            return wire_types[i];
        }
    }
    return NULL;
}

size_t wire_kind_size(enum wire_kind kind) {
    static const uint8_t sizes[] = {
        [WIRE_BOOL] = 1,
        [WIRE_INT8] = 1,
        [WIRE_INT16] = 2,
        [WIRE_UINT16] = 2,
        [WIRE_INT32] = 4,
        [WIRE_UINT32] = 4,
        [WIRE_INT64] = 8,
        [WIRE_FLOAT64] = 8,
        [WIRE_UUID] = 16,
        [WIRE_STRING] = sizeof(struct str),
        [WIRE_BYTES] = sizeof(struct bytes),
        [WIRE_RECORDS] = sizeof(struct bytes),
        [WIRE_STRUCT] = 0,
        [WIRE_POINTER] = sizeof(void *),
    };
    return sizes[kind];
}

size_t wire_field_element_size(const struct wire_field *field) {
    return field->kind == WIRE_STRUCT ? field->shape->size : wire_kind_size(field->kind);
}

static bool struct_equal(const struct wire_struct *shape, const uint8_t *a, const uint8_t *b) {
    for (uint16_t i = 0; i < shape->field_count; i++) {
        if (!wire_field_equal(&shape->fields[i], a, b)) {
            return false;
        }
    }
    return true;
}

static bool value_equal(const struct wire_field *field, const uint8_t *a, const uint8_t *b) {
    switch ((enum wire_kind)field->kind) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return str_equal(*(const struct str *)a, *(const struct str *)b);
    case WIRE_STRUCT:
        return struct_equal(field->shape, a, b);
    case WIRE_POINTER: {
        const uint8_t *to_a = *(const uint8_t *const *)a;
        const uint8_t *to_b = *(const uint8_t *const *)b;
        if (to_a == NULL || to_b == NULL) {
            return to_a == to_b;
        }
        return struct_equal(field->shape, to_a, to_b);
    }
    default:
        return memcmp(a, b, wire_kind_size(field->kind)) == 0;
    }
}

static bool array_equal(const struct wire_field *field, const uint8_t *a, const uint8_t *b) {
    int32_t count = wire_count_at(a, field->count_offset);
    int32_t other_count = wire_count_at(b, field->count_offset);
    if (count < 0 || other_count < 0) {
        return count < 0 && other_count < 0;
    }
    if (count != other_count) {
        return false;
    }
    const uint8_t *elements = *(const uint8_t *const *)(a + field->offset);
    const uint8_t *others = *(const uint8_t *const *)(b + field->offset);
    size_t size = wire_field_element_size(field);
    for (int32_t i = 0; i < count; i++) {
        if (!value_equal(field, elements + (size_t)i * size, others + (size_t)i * size)) {
            return false;
        }
    }
    return true;
}

bool wire_field_equal(const struct wire_field *field, const void *a, const void *b) {
    if (field->array) {
        return array_equal(field, a, b);
    }
    return value_equal(field, (const uint8_t *)a + field->offset,
                       (const uint8_t *)b + field->offset);
}

bool wire_equal(const struct wire_type *type, const void *a, const void *b) {
    return struct_equal(type->shape, a, b);
}

static err_t struct_copy_inner(const struct wire_struct *shape, struct arena *arena, uint8_t *copy);

/* `value` is a flat copy of the original; what it points at is replaced by copies. */
static err_t value_copy_inner(const struct wire_field *field, struct arena *arena, uint8_t *value) {
    switch ((enum wire_kind)field->kind) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: {
        struct bytes *text = (struct bytes *)value;
        struct bytes copy = arena_bytes(arena, *text);
        if (text->data != NULL && copy.data == NULL) {
            return ERR_LIMIT;
        }
        *text = copy;
        return ERR_OK;
    }
    case WIRE_STRUCT:
        return struct_copy_inner(field->shape, arena, value);
    case WIRE_POINTER: {
        uint8_t **pointer = (uint8_t **)value;
        if (*pointer == NULL) {
            return ERR_OK;
        }
        uint8_t *copy = arena_alloc(arena, field->shape->size);
        if (copy == NULL) {
            return ERR_LIMIT;
        }
        memcpy(copy, *pointer, field->shape->size);
        *pointer = copy;
        return struct_copy_inner(field->shape, arena, copy);
    }
    default:
        return ERR_OK;
    }
}

static err_t array_copy_inner(const struct wire_field *field, struct arena *arena, uint8_t *shape) {
    int32_t count = wire_count_at(shape, field->count_offset);
    uint8_t **elements = (uint8_t **)(shape + field->offset);
    if (count <= 0) {
        *elements = NULL;
        return ERR_OK;
    }
    size_t size = wire_field_element_size(field);
    uint8_t *copy = arena_alloc(arena, (size_t)count * size);
    if (copy == NULL) {
        return ERR_LIMIT;
    }
    memcpy(copy, *elements, (size_t)count * size);
    *elements = copy;
    for (int32_t i = 0; i < count && field->kind >= WIRE_STRING; i++) {
        err_t err = value_copy_inner(field, arena, copy + (size_t)i * size);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t struct_copy_inner(const struct wire_struct *shape, struct arena *arena,
                               uint8_t *copy) {
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        err_t err = field->array ? array_copy_inner(field, arena, copy)
                                 : value_copy_inner(field, arena, copy + field->offset);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

err_t wire_copy(const struct wire_type *type, const void *message, struct arena *arena,
                void *ret_copy) {
    uint8_t *copy = arena_alloc(arena, type->shape->size);
    if (copy == NULL) {
        return ERR_LIMIT;
    }
    memcpy(copy, message, type->shape->size);
    err_t err = struct_copy_inner(type->shape, arena, copy);
    if (err == ERR_OK) {
        memcpy(ret_copy, copy, type->shape->size);
    }
    return err;
}
