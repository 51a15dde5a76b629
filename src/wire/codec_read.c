/*
 * The reader: walks a message's program and fills its C struct.
 *
 * What holds for any input, however hostile:
 *   1. No byte outside [position, end) is read: every length is compared with what is left first.
 *   2. An array is allocated only when the bytes that are left could hold that many elements of
 *      their least size, and the arena's bound has the last word; so memory follows the bytes that
 *      arrived, never a declared count.
 *   3. Recursion follows the schema, which is finite, never the input.
 *   4. Each step takes at least one byte off the input or ends the message, so time is linear.
 *
 * Where an input breaks the format the reader does what Kafka's own does: any negative length is
 * null, a bool is any byte but 0, tagged fields may come in any order and the last of two wins.
 * It is stricter where two readers could see two different messages: a tagged field has to fill
 * exactly the size it declares, a number of five bytes has to fit 32 bits, and a negative count of
 * tagged fields is none.
 */
#include "wire/codec.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/varint.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

struct reader {
    const uint8_t *position;
    const uint8_t *end;
    struct arena *arena;
};

static err_t read_struct(struct reader *reader, const struct wire_program *program, uint8_t *to);

static inline size_t left(const struct reader *reader) {
    return (size_t)(reader->end - reader->position);
}

static inline err_t read_uvarint(struct reader *reader, uint32_t *ret_value) {
    size_t used = uvarint_read(reader->position, left(reader), ret_value);
    reader->position += used;
    return used == 0 ? ERR_MALFORMED : ERR_OK;
}

/* A length of bytes or a count of elements; -1 is null. Old lengths have 2 or 4 bytes. */
static inline err_t read_length(struct reader *reader, const struct wire_op *op, size_t old_size,
                                int32_t *ret_length) {
    int32_t length;
    if ((op->flags & WIRE_OP_COMPACT) != 0) {
        uint32_t raw;
        if (read_uvarint(reader, &raw) != ERR_OK) {
            return ERR_MALFORMED;
        }
        length = (int32_t)(raw - 1);
    } else {
        if (left(reader) < old_size) {
            return ERR_MALFORMED;
        }
        length = old_size == 2 ? (int16_t)get_be16(reader->position)
                               : (int32_t)get_be32(reader->position);
        reader->position += old_size;
    }
    if (length < 0) {
        *ret_length = -1;
        return (op->flags & WIRE_OP_NULLABLE) != 0 ? ERR_OK : ERR_MALFORMED;
    }
    *ret_length = length;
    return ERR_OK;
}

static inline err_t read_text(struct reader *reader, const struct wire_op *op, uint8_t *to) {
    bool is_string = op->kind == WIRE_STRING;
    int32_t length;
    err_t err = read_length(reader, op, is_string ? 2 : 4, &length);
    if (err != ERR_OK) {
        return err;
    }
    if (length < 0) {
        *(struct bytes *)to = (struct bytes){.data = NULL, .size = 0};
        return ERR_OK;
    }
    if ((size_t)length > left(reader) || (is_string && length > INT16_MAX)) {
        return ERR_MALFORMED;
    }
    *(struct bytes *)to = (struct bytes){.data = reader->position, .size = (size_t)length};
    reader->position += length;
    return ERR_OK;
}

static err_t read_pointer(struct reader *reader, const struct wire_op *op, uint8_t *to) {
    bool null;
    if ((op->flags & WIRE_OP_TAGGED) != 0) {
        uint32_t raw;
        if (read_uvarint(reader, &raw) != ERR_OK) {
            return ERR_MALFORMED;
        }
        null = (int32_t)raw <= 0;
    } else {
        if (left(reader) < 1) {
            return ERR_MALFORMED;
        }
        null = (int8_t)*reader->position < 0;
        reader->position++;
    }
    if (null) {
        *(void **)to = NULL;
        return ERR_OK;
    }
    uint8_t *shape = arena_alloc(reader->arena, op->element_size);
    if (shape == NULL) {
        return ERR_LIMIT;
    }
    *(void **)to = shape;
    return read_struct(reader, op->program, shape);
}

/* The bytes are known to be there. */
static inline void read_fixed(const uint8_t *from, enum wire_kind kind, uint8_t *to) {
    switch (kind) {
    case WIRE_BOOL:
        *(bool *)to = *from != 0;
        break;
    case WIRE_INT8:
        *to = *from;
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(uint16_t *)to = get_be16(from);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(uint32_t *)to = get_be32(from);
        break;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        *(uint64_t *)to = get_be64(from);
        break;
    default:
        assert(kind == WIRE_UUID);
        memcpy(to, from, 16);
        break;
    }
}

static inline err_t read_value(struct reader *reader, const struct wire_op *op, uint8_t *to) {
    switch ((enum wire_kind)op->kind) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return read_text(reader, op, to);
    case WIRE_STRUCT:
        return read_struct(reader, op->program, to);
    case WIRE_POINTER:
        return read_pointer(reader, op, to);
    default:
        if (left(reader) < op->wire_size) {
            return ERR_MALFORMED;
        }
        read_fixed(reader->position, op->kind, to);
        reader->position += op->wire_size;
        return ERR_OK;
    }
}

static err_t read_array(struct reader *reader, const struct wire_op *op, uint8_t *shape) {
    int32_t count;
    err_t err = read_length(reader, op, 4, &count);
    if (err != ERR_OK) {
        return err;
    }
    uint8_t *elements = NULL;
    if (count > 0) {
        size_t least = op->wire_size > 0 ? op->wire_size : 1;
        if ((size_t)count > left(reader) / least) {
            return ERR_MALFORMED;
        }
        elements = arena_alloc(reader->arena, (size_t)count * op->element_size);
        if (elements == NULL) {
            return ERR_LIMIT;
        }
    }
    for (int32_t i = 0; i < count; i++) {
        err = read_value(reader, op, elements + (size_t)i * op->element_size);
        if (err != ERR_OK) {
            return err;
        }
    }
    *(uint8_t **)(shape + op->offset) = elements;
    *(int32_t *)(shape + op->count_offset) = count;
    return ERR_OK;
}

static inline err_t read_field(struct reader *reader, const struct wire_op *op, uint8_t *shape) {
    if ((op->flags & WIRE_OP_ARRAY) != 0) {
        return read_array(reader, op, shape);
    }
    return read_value(reader, op, shape + op->offset);
}

static const struct wire_op *tagged_op(const struct wire_program *program, uint32_t tag) {
    for (uint16_t i = 0; i < program->tagged_count; i++) {
        if (program->tagged[i].tag == tag) {
            return &program->tagged[i];
        }
    }
    return NULL;
}

static err_t read_tagged(struct reader *reader, const struct wire_program *program,
                         uint8_t *shape) {
    uint32_t count;
    if (read_uvarint(reader, &count) != ERR_OK) {
        return ERR_MALFORMED;
    }
    uint32_t unknown_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag, size;
        if (read_uvarint(reader, &tag) != ERR_OK || read_uvarint(reader, &size) != ERR_OK ||
            size > left(reader)) {
            return ERR_MALFORMED;
        }
        struct reader inner = *reader;
        inner.end = reader->position + size;
        reader->position = inner.end;
        const struct wire_op *op = tagged_op(program, tag);
        if (op == NULL) {
            unknown_count++;
            if (unknown_count > WIRE_UNKNOWN_TAGS_MAX) {
                return ERR_LIMIT;
            }
            continue;
        }
        err_t err = read_field(&inner, op, shape);
        if (err != ERR_OK) {
            return err;
        }
        if (inner.position != inner.end) {
            return ERR_MALFORMED;
        }
    }
    return ERR_OK;
}

static err_t read_struct(struct reader *reader, const struct wire_program *program, uint8_t *to) {
    memcpy(to, program->shape->defaults, program->shape->size);
    for (uint16_t i = 0; i < program->op_count; i++) {
        err_t err = read_field(reader, &program->ops[i], to);
        if (err != ERR_OK) {
            return err;
        }
    }
    return program->flexible ? read_tagged(reader, program, to) : ERR_OK;
}

err_t wire_decode(const struct wire_type *type, int16_t version, struct bytes in,
                  struct arena *arena, void *ret_message, size_t *ret_used) {
    const struct wire_program *program = wire_type_program(type, version);
    if (program == NULL) {
        return ERR_UNSUPPORTED_VERSION;
    }
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    assert(program->shape->size <= sizeof message);
    struct reader reader = {.position = in.data, .end = in.data + in.size, .arena = arena};
    err_t err = read_struct(&reader, program, message);
    if (err != ERR_OK) {
        return err;
    }
    memcpy(ret_message, message, program->shape->size);
    *ret_used = (size_t)(reader.position - in.data);
    return ERR_OK;
}
