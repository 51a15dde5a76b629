#pragma once

#include "wire/schema.h"

/* Shared by the codec's files. */

/* sizeof a value of that kind in C; 0 for an embedded struct. */
size_t wire_kind_size(enum wire_kind kind);

/* sizeof one element of an array, or of the field itself. */
size_t wire_field_element_size(const struct wire_field *field);

/* Whether a field has the same value in two structs. */
bool wire_field_equal(const struct wire_field *field, const void *a, const void *b);

static inline const struct wire_program *wire_type_program(const struct wire_type *type,
                                                           int16_t version) {
    return wire_versions_have(type->versions, version)
               ? type->programs[version - type->versions.low]
               : NULL;
}
