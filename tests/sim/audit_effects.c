#include "audit_effects.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct value {
    uint64_t input;   /* that it is made of; 0: it is no effect */
    int place;        /* of the input */
    int64_t offset;   /* of the input */
    uint32_t effects; /* that were read of this one */
    uint64_t effect;  /* the first of them */
    bool read;
    bool is_input;
};

/* The last effect that was read of an input's partition in an output's. */
struct pair {
    int64_t output_offset; /* -1: none */
    int64_t input_offset;
};

struct audit_effects {
    struct audit *audit;
    struct value *values; /* by id - 1 */
    uint64_t capacity;
    struct pair *pairs; /* by input's place, then the output's; NULL before the first */
};

struct audit_effects *audit_effects_new(struct audit *audit) {
    struct audit_effects *effects = calloc(1, sizeof *effects);
    assert(effects != NULL);
    effects->audit = audit;
    return effects;
}

void audit_effects_free(struct audit_effects *effects) {
    free(effects->values);
    free(effects->pairs);
    free(effects);
}

static struct value *value_of(struct audit_effects *effects, uint64_t id) {
    assert(id > 0);
    if (id > effects->capacity) {
        uint64_t capacity = id * 2 + 1024;
        effects->values = realloc(effects->values, capacity * sizeof *effects->values);
        assert(effects->values != NULL);
        memset(effects->values + effects->capacity, 0,
               (capacity - effects->capacity) * sizeof *effects->values);
        effects->capacity = capacity;
    }
    return &effects->values[id - 1];
}

void audit_effect(struct audit_effects *effects, uint64_t input, int place, int64_t offset,
                  uint64_t output) {
    struct value *value = value_of(effects, output);
    value->input = input;
    value->place = place;
    value->offset = offset;
}

static struct pair *pair_of(struct audit_effects *effects, int input, int output) {
    const size_t count = (size_t)AUDIT_EFFECT_PLACES * AUDIT_EFFECT_PLACES;
    assert(input >= 0 && input < AUDIT_EFFECT_PLACES);
    assert(output >= 0 && output < AUDIT_EFFECT_PLACES);
    if (effects->pairs == NULL) {
        effects->pairs = malloc(count * sizeof *effects->pairs);
        assert(effects->pairs != NULL);
        for (size_t i = 0; i < count; i++) {
            effects->pairs[i] = (struct pair){.output_offset = -1, .input_offset = -1};
        }
    }
    return &effects->pairs[input * AUDIT_EFFECT_PLACES + output];
}

/* Another reader may come by again. */
static void check_order(struct audit_effects *effects, const struct value *value, int place,
                        int64_t offset) {
    struct pair *last = pair_of(effects, value->place, place);
    if (offset <= last->output_offset) {
        return;
    }
    if (value->offset <= last->input_offset) {
        audit_fail(effects->audit,
                   "the effect of input %d at %" PRId64 " is at %" PRId64
                   " of output %d, behind that of %" PRId64,
                   value->place, value->offset, offset, place, last->input_offset);
    }
    last->output_offset = offset;
    last->input_offset = value->offset;
}

static void count_effect(struct audit_effects *effects, uint64_t input_id, uint64_t id) {
    struct value *input = value_of(effects, input_id);
    input->effects++;
    if (input->effects == 1) {
        input->effect = id;
        return;
    }
    audit_fail(effects->audit,
               "value %" PRIu64 " was transformed twice: values %" PRIu64 " and %" PRIu64
               " are committed",
               input_id, input->effect, id);
}

void audit_effects_read(struct audit_effects *effects, int place, int64_t offset, uint64_t id,
                        bool is_input) {
    struct value *value = value_of(effects, id);
    bool is_first = !value->read;
    value->read = true;
    value->is_input = is_input;
    if (value->input == 0) {
        return;
    }
    check_order(effects, value, place, offset);
    if (is_first) {
        count_effect(effects, value->input, id);
    }
}

void audit_effects_check(struct audit_effects *effects) {
    for (uint64_t id = 1; id <= effects->capacity; id++) {
        const struct value *value = &effects->values[id - 1];
        if (value->read && value->is_input && value->effects == 0) {
            audit_fail(effects->audit, "value %" PRIu64 " was not transformed: it was skipped", id);
        }
        if (value->effects > 0 && !value->read) {
            audit_fail(effects->audit,
                       "value %" PRIu64 " is made of value %" PRIu64 ", which is not there",
                       value->effect, id);
        }
    }
}
