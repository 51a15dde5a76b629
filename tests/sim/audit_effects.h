#pragma once

#include "audit.h"

/*
 * What programs that consume, transform and produce in transactions promise together:
 *
 *  13. each input has its effect once   of each record that readers of committed records are given
 *                                       of an input, one record of an output is committed
 *  14. effects in order                 in each partition of an output those of one partition of an
 *                                       input come in its order
 *
 * That is looked at in the end, when all is transformed: what readers are given then is final. A
 * place is a number below AUDIT_EFFECT_PLACES that stands for a partition.
 */
enum { AUDIT_EFFECT_PLACES = 256 };

struct audit_effects;

struct audit_effects *audit_effects_new(struct audit *audit);
void audit_effects_free(struct audit_effects *effects);

/* A record is about to be made of another: value ids, and where the input is. */
void audit_effect(struct audit_effects *effects, uint64_t input, int place, int64_t offset,
                  uint64_t output);

/* In the end a reader of committed records is given a value. Each log from its begin. */
void audit_effects_read(struct audit_effects *effects, int place, int64_t offset, uint64_t value,
                        bool is_input);

/* All was read. */
void audit_effects_check(struct audit_effects *effects);
