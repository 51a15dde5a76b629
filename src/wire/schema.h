#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the generated tables say about messages. The codec, JSON and the random filler walk them;
 * everybody else needs only codec.h.
 *
 * Two views of one message:
 *   wire_struct / wire_field   the C struct, all fields of all versions (defaults, equality, JSON)
 *   wire_program / wire_op     one struct in one version: exactly what is on the wire, in order
 *
 * Programs are worked out when the tables are generated, so that reading and writing compare no
 * versions. A default is not written down anywhere but in wire_struct.defaults, an instance of the
 * C struct with all defaults in it: a field's default is what stands at its offset there.
 *
 * Structs never contain themselves (the generator refuses it), so recursion over programs is
 * bounded by the deepest schema: WIRE_DEPTH_MAX.
 */
enum { WIRE_DEPTH_MAX = 8 };

/* sizeof the largest message, so that one can be read aside; the generator's output checks it. */
enum { WIRE_MESSAGE_SIZE_MAX = 512 };

enum wire_message_kind {
    WIRE_REQUEST,
    WIRE_RESPONSE,
    WIRE_HEADER,
    WIRE_DATA,
    WIRE_METADATA,
    WIRE_COORDINATOR_KEY,
    WIRE_COORDINATOR_VALUE,
};

enum wire_kind {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_UINT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_STRUCT,  /* embedded */
    WIRE_POINTER, /* a struct that may be null */
};

struct wire_struct;

struct wire_versions {
    int16_t low;
    int16_t high; /* below low: none */
};

static inline bool wire_versions_have(struct wire_versions versions, int16_t version) {
    return version >= versions.low && version <= versions.high;
}

struct wire_field {
    const char *name;      /* as Kafka's JSON has it: camelCase */
    uint8_t kind;          /* enum wire_kind, of the element when it is an array */
    bool array;            /* offset is that of the pointer to the elements */
    bool ignorable;        /* may be dropped by a version that lacks it */
    bool never_flexible;   /* keeps old lengths in flexible versions */
    int16_t tag;           /* -1: never tagged */
    uint16_t offset;       /* in the C struct */
    uint16_t count_offset; /* arrays: that of the int32_t count */
    struct wire_versions versions;
    struct wire_versions null_versions;
    struct wire_versions tag_versions;
    const struct wire_struct *shape; /* structs */
};

struct wire_struct {
    const char *name;
    uint16_t size; /* sizeof */
    uint16_t field_count;
    const struct wire_field *fields; /* in the order of the schema */
    const void *defaults;            /* an instance */
};

enum wire_op_flags {
    WIRE_OP_ARRAY = 1,
    WIRE_OP_NULLABLE = 2,
    WIRE_OP_COMPACT = 4,
    WIRE_OP_TAGGED = 8,
};

struct wire_program;

struct wire_op {
    uint8_t kind; /* enum wire_kind */
    uint8_t flags;
    uint16_t offset;
    uint16_t count_offset;
    uint16_t tag;
    uint16_t field;        /* index in wire_struct.fields */
    uint16_t element_size; /* sizeof an element in C */
    uint16_t wire_size;    /* the fewest bytes that one value, or one element, has on the wire */
    const struct wire_program *program; /* structs */
};

struct wire_program {
    const struct wire_struct *shape;
    const struct wire_op *ops;    /* untagged, in order */
    const struct wire_op *tagged; /* by rising tag */
    const uint16_t *refused;      /* fields that must have their default to be written */
    uint16_t op_count;
    uint16_t tagged_count;
    uint16_t refused_count;
    bool flexible; /* a block of tagged fields ends the struct */
};

struct wire_type {
    const char *name;   /* as Kafka has it: "ProduceRequest" */
    const char *family; /* the schema file: "clients", "metadata", … */
    uint8_t kind;       /* enum wire_message_kind */
    int16_t key;        /* api key or record type; -1: none */
    struct wire_versions versions;
    struct wire_versions flexible;
    const struct wire_struct *shape;
    const struct wire_program *const *programs; /* [version - versions.low] */
};

/* All of them, in the order of the schema files. */
extern const struct wire_type *const wire_types[];
extern const size_t wire_type_count;

/* By name; NULL when there is none. */
const struct wire_type *wire_type_by_name(const char *name);

/* A count and its field live in the same struct, wherever it is. */
static inline int32_t wire_count_at(const void *shape, uint16_t count_offset) {
    return *(const int32_t *)((const uint8_t *)shape + count_offset);
}
