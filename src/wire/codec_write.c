/*
 * The writer: walks a message's program and appends to a buffer.
 *
 * A tagged field's size stands before it and has a variable length. One byte is left for it, which
 * nearly always is enough; a field of 128 bytes or more is moved up to make room. Gaps are
 * positions in the buffer and so must not be moved: the generator refuses records inside tagged
 * fields.
 */
#include "wire/codec.h"

#include <assert.h>
#include <string.h>

#include "base/varint.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

struct writer {
    struct buffer *out;
    struct wire_gap *gaps;
    size_t gap_count;
    size_t gaps_max;
};

static err_t write_struct(struct writer *writer, const struct wire_program *program,
                          const uint8_t *from);

/* Where the next `size` bytes go. */
static inline uint8_t *room(struct writer *writer, size_t size) {
    struct buffer *out = writer->out;
    if (out->capacity - out->size < size) {
        (void)buffer_reserve(out, size);
    }
    uint8_t *to = out->data + out->size;
    out->size += size;
    return to;
}

static inline void write_uvarint(struct writer *writer, uint32_t value) {
    uint8_t *to = room(writer, UVARINT_SIZE_MAX);
    writer->out->size -= UVARINT_SIZE_MAX - uvarint_write(to, value);
}

/* A length or count, -1 for null; old lengths have 2 or 4 bytes. */
static inline err_t write_length(struct writer *writer, const struct wire_op *op, size_t old_size,
                                 int32_t length) {
    if (length < 0 && (op->flags & WIRE_OP_NULLABLE) == 0) {
        return ERR_INVALID;
    }
    if ((op->flags & WIRE_OP_COMPACT) != 0) {
        write_uvarint(writer, (uint32_t)length + 1);
    } else if (old_size == 2) {
        put_be16(room(writer, 2), (uint16_t)length);
    } else {
        put_be32(room(writer, 4), (uint32_t)length);
    }
    return ERR_OK;
}

static err_t add_gap(struct writer *writer, size_t size) {
    if (writer->gap_count == writer->gaps_max) {
        return ERR_LIMIT;
    }
    writer->gaps[writer->gap_count] =
        (struct wire_gap){.position = writer->out->size, .size = size};
    writer->gap_count++;
    return ERR_OK;
}

static inline err_t write_text(struct writer *writer, const struct wire_op *op,
                               const uint8_t *from) {
    const struct bytes *text = (const struct bytes *)from;
    bool is_string = op->kind == WIRE_STRING;
    if (text->size > (is_string ? (size_t)INT16_MAX : (size_t)INT32_MAX - 1)) {
        return ERR_INVALID;
    }
    int32_t length = text->data == NULL ? -1 : (int32_t)text->size;
    err_t err = write_length(writer, op, is_string ? 2 : 4, length);
    if (err != ERR_OK) {
        return err;
    }
    if (text->data == WIRE_GAP) {
        return op->kind == WIRE_RECORDS ? add_gap(writer, text->size) : ERR_INVALID;
    }
    if (length > 0) {
        memcpy(room(writer, text->size), text->data, text->size);
    }
    return ERR_OK;
}

static err_t write_pointer(struct writer *writer, const struct wire_op *op, const uint8_t *from) {
    const uint8_t *shape = *(const uint8_t *const *)from;
    bool tagged = (op->flags & WIRE_OP_TAGGED) != 0;
    *room(writer, 1) = shape != NULL ? 1 : tagged ? 0 : 0xff;
    return shape == NULL ? ERR_OK : write_struct(writer, op->program, shape);
}

static inline void write_fixed(uint8_t *to, enum wire_kind kind, const uint8_t *from) {
    switch (kind) {
    case WIRE_BOOL:
        *to = *(const bool *)from ? 1 : 0;
        break;
    case WIRE_INT8:
        *to = *from;
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        put_be16(to, *(const uint16_t *)from);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        put_be32(to, *(const uint32_t *)from);
        break;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        put_be64(to, *(const uint64_t *)from);
        break;
    default:
        assert(kind == WIRE_UUID);
        memcpy(to, from, 16);
        break;
    }
}

static inline err_t write_value(struct writer *writer, const struct wire_op *op,
                                const uint8_t *from) {
    switch ((enum wire_kind)op->kind) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return write_text(writer, op, from);
    case WIRE_STRUCT:
        return write_struct(writer, op->program, from);
    case WIRE_POINTER:
        return write_pointer(writer, op, from);
    default:
        write_fixed(room(writer, op->wire_size), op->kind, from);
        return ERR_OK;
    }
}

static err_t write_array(struct writer *writer, const struct wire_op *op, const uint8_t *shape) {
    int32_t count = wire_count_at(shape, op->count_offset);
    err_t err = write_length(writer, op, 4, count < 0 ? -1 : count);
    const uint8_t *elements = *(const uint8_t *const *)(shape + op->offset);
    for (int32_t i = 0; i < count && err == ERR_OK; i++) {
        err = write_value(writer, op, elements + (size_t)i * op->element_size);
    }
    return err;
}

static inline err_t write_field(struct writer *writer, const struct wire_op *op,
                                const uint8_t *shape) {
    if ((op->flags & WIRE_OP_ARRAY) != 0) {
        return write_array(writer, op, shape);
    }
    return write_value(writer, op, shape + op->offset);
}

static err_t write_tagged_field(struct writer *writer, const struct wire_op *op,
                                const uint8_t *shape) {
    struct buffer *out = writer->out;
    write_uvarint(writer, op->tag);
    size_t size_position = out->size;
    *room(writer, 1) = 0;
    err_t err = write_field(writer, op, shape);
    if (err != ERR_OK) {
        return err;
    }
    size_t size = out->size - size_position - 1;
    if (size > INT32_MAX) {
        return ERR_INVALID;
    }
    size_t more = uvarint_size((uint32_t)size) - 1;
    if (more > 0) {
        (void)room(writer, more);
        memmove(out->data + size_position + 1 + more, out->data + size_position + 1, size);
    }
    (void)uvarint_write(out->data + size_position, (uint32_t)size);
    return ERR_OK;
}

/* Only what differs from its default is written. */
static err_t write_tagged(struct writer *writer, const struct wire_program *program,
                          const uint8_t *shape) {
    uint32_t written = 0; /* bit i: tagged[i] */
    assert(program->tagged_count <= 32);
    for (uint16_t i = 0; i < program->tagged_count; i++) {
        const struct wire_field *field = &program->shape->fields[program->tagged[i].field];
        if (!wire_field_equal(field, shape, program->shape->defaults)) {
            written |= 1u << i;
        }
    }
    write_uvarint(writer, (uint32_t)__builtin_popcount(written));
    for (; written != 0; written &= written - 1) {
        err_t err = write_tagged_field(writer, &program->tagged[__builtin_ctz(written)], shape);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t write_struct(struct writer *writer, const struct wire_program *program,
                          const uint8_t *from) {
    for (uint16_t i = 0; i < program->refused_count; i++) {
        const struct wire_field *field = &program->shape->fields[program->refused[i]];
        if (!wire_field_equal(field, from, program->shape->defaults)) {
            return ERR_UNSUPPORTED_VERSION;
        }
    }
    for (uint16_t i = 0; i < program->op_count; i++) {
        err_t err = write_field(writer, &program->ops[i], from);
        if (err != ERR_OK) {
            return err;
        }
    }
    return program->flexible ? write_tagged(writer, program, from) : ERR_OK;
}

err_t wire_encode_with_gaps(const struct wire_type *type, int16_t version, const void *message,
                            struct buffer *out, struct wire_gap *ret_gaps, size_t gaps_max,
                            size_t *ret_gap_count) {
    const struct wire_program *program = wire_type_program(type, version);
    if (program == NULL) {
        return ERR_UNSUPPORTED_VERSION;
    }
    size_t start = out->size;
    struct writer writer = {.out = out, .gaps = ret_gaps, .gaps_max = gaps_max};
    err_t err = write_struct(&writer, program, message);
    if (err != ERR_OK) {
        out->size = start;
        return err;
    }
    *ret_gap_count = writer.gap_count;
    return ERR_OK;
}

err_t wire_encode(const struct wire_type *type, int16_t version, const void *message,
                  struct buffer *out) {
    size_t gap_count;
    return wire_encode_with_gaps(type, version, message, out, NULL, 0, &gap_count);
}

err_t wire_size(const struct wire_type *type, int16_t version, const void *message,
                size_t *ret_size) {
    struct buffer scratch;
    buffer_init(&scratch);
    err_t err = wire_encode(type, version, message, &scratch);
    if (err == ERR_OK) {
        *ret_size = scratch.size;
    }
    buffer_done(&scratch);
    return err;
}
