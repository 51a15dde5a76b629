#include "wire/random.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/uuid.h"
#include "wire/codec_int.h"
#include "wire/schema.h"

struct filler {
    int16_t version;
    struct rng *rng;
    struct arena *arena;
};

static void fill_struct(struct filler *filler, const struct wire_struct *shape, uint8_t *to);

static uint64_t random_number(struct rng *rng) {
    static const uint64_t edges[] = {0,
                                     1,
                                     127,
                                     128,
                                     255,
                                     INT16_MAX,
                                     UINT16_MAX,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     INT64_MAX,
                                     UINT64_MAX,
                                     (uint64_t)INT64_MIN,
                                     (uint64_t)INT32_MIN,
                                     (uint64_t)INT16_MIN,
                                     (uint64_t)INT8_MIN};
    if (rng_one_in(rng, 2)) {
        return edges[rng_below(rng, sizeof edges / sizeof edges[0])];
    }
    return rng_next(rng) >> rng_below(rng, 64);
}

static size_t random_length(struct rng *rng) {
    switch (rng_below(rng, 16)) {
    case 0:
        return 0;
    case 1:
        return 126 + rng_below(rng, 4); /* where a compact length grows */
    case 2:
        return rng_below(rng, 700);
    default:
        return rng_below(rng, 24);
    }
}

/* Valid UTF-8 of one to four bytes a character. */
static struct str random_string(struct filler *filler) {
    static const char *const pieces[] = {"\xc3\xa4",
                                         "\xdf\xbf",
                                         "\xe2\x82\xac",
                                         "\xef\xbf\xbf",
                                         "\xf0\x9f\x98\x80",
                                         "\xf4\x8f\xbf\xbf",
                                         "\"",
                                         "\\",
                                         "\n"};
    size_t length = random_length(filler->rng);
    char *text = arena_alloc(filler->arena, length + 4);
    size_t size = 0;
    while (size < length) {
        if (rng_one_in(filler->rng, 8)) {
            const char *piece = pieces[rng_below(filler->rng, sizeof pieces / sizeof pieces[0])];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        } else {
            text[size++] = (char)('!' + rng_below(filler->rng, 94));
        }
    }
    return (struct str){.data = text, .size = size};
}

static struct bytes random_bytes(struct filler *filler) {
    size_t size = random_length(filler->rng);
    uint8_t *data = arena_alloc(filler->arena, size + 1);
    rng_bytes(filler->rng, data, size);
    return (struct bytes){.data = data, .size = size};
}

static void fill_number(struct filler *filler, enum wire_kind kind, uint8_t *to) {
    uint64_t number = random_number(filler->rng);
    switch (kind) {
    case WIRE_BOOL:
        *(bool *)to = (number & 1) != 0;
        break;
    case WIRE_FLOAT64:
        *(double *)to = (double)(int64_t)number / 3;
        break;
    case WIRE_UUID:
        rng_bytes(filler->rng, to, sizeof(struct uuid));
        break;
    default: {
        uint64_t value = number; /* the low bytes, on a little-endian machine */
        memcpy(to, &value, wire_kind_size(kind));
        break;
    }
    }
}

static void fill_value(struct filler *filler, const struct wire_field *field, uint8_t *to) {
    switch ((enum wire_kind)field->kind) {
    case WIRE_STRING:
        *(struct str *)to = random_string(filler);
        break;
    case WIRE_BYTES:
    case WIRE_RECORDS:
        *(struct bytes *)to = random_bytes(filler);
        break;
    case WIRE_STRUCT:
        fill_struct(filler, field->shape, to);
        break;
    case WIRE_POINTER: {
        uint8_t *shape = arena_alloc(filler->arena, field->shape->size);
        fill_struct(filler, field->shape, shape);
        *(void **)to = shape;
        break;
    }
    default:
        fill_number(filler, field->kind, to);
        break;
    }
}

static void fill_array(struct filler *filler, const struct wire_field *field, uint8_t *shape) {
    size_t size = wire_field_element_size(field);
    bool large = field->kind < WIRE_STRING && rng_one_in(filler->rng, 16);
    size_t count = large ? 126 + rng_below(filler->rng, 4) : rng_below(filler->rng, 4);
    uint8_t *elements = arena_alloc_zero(filler->arena, count * size + 1);
    for (size_t i = 0; i < count; i++) {
        fill_value(filler, field, elements + i * size);
    }
    *(uint8_t **)(shape + field->offset) = elements;
    *(int32_t *)(shape + field->count_offset) = (int32_t)count;
}

static void fill_null(const struct wire_field *field, uint8_t *shape) {
    if (field->array) {
        *(void **)(shape + field->offset) = NULL;
        *(int32_t *)(shape + field->count_offset) = -1;
    } else if (field->kind == WIRE_POINTER) {
        *(void **)(shape + field->offset) = NULL;
    } else {
        *(struct bytes *)(shape + field->offset) = (struct bytes){.data = NULL, .size = 0};
    }
}

/* A default of null may be illegal in an old version, and then has to be replaced. */
static bool default_fits(const struct filler *filler, const struct wire_field *field,
                         const uint8_t *shape) {
    bool null = false;
    if (field->array) {
        null = wire_count_at(shape, field->count_offset) < 0;
    } else if (field->kind >= WIRE_STRING && field->kind != WIRE_STRUCT) {
        null = *(void *const *)(shape + field->offset) == NULL;
    }
    return !null || wire_versions_have(field->null_versions, filler->version);
}

static void fill_struct(struct filler *filler, const struct wire_struct *shape, uint8_t *to) {
    memcpy(to, shape->defaults, shape->size);
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (!wire_versions_have(field->versions, filler->version)) {
            continue;
        }
        if (default_fits(filler, field, to) && rng_one_in(filler->rng, 8)) {
            continue;
        }
        if (wire_versions_have(field->null_versions, filler->version) &&
            rng_one_in(filler->rng, 4)) {
            fill_null(field, to);
        } else if (field->array) {
            fill_array(filler, field, to);
        } else {
            fill_value(filler, field, to + field->offset);
        }
    }
}

void wire_random(const struct wire_type *type, int16_t version, struct rng *rng,
                 struct arena *arena, void *ret_message) {
    assert(wire_version_valid(type, version));
    struct filler filler = {.version = version, .rng = rng, .arena = arena};
    fill_struct(&filler, type->shape, ret_message);
}
