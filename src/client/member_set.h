#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "client/member.h"

/*
 * A set of partitions, each once, in order: by topic id where there is one, else by name; then by
 * number. The names are the set's own.
 */
struct member_set {
    struct member_partition *items;
    size_t count;
    size_t capacity;
    struct arena arena;
};

void member_set_init(struct member_set *set);
void member_set_done(struct member_set *set);
void member_set_clear(struct member_set *set);

/* Adds at the end; when all are added, finish puts them in order and drops what is there twice. */
void member_set_add(struct member_set *set, struct str topic, struct uuid topic_id,
                    int32_t partition);
void member_set_finish(struct member_set *set);

void member_set_copy(struct member_set *to, const struct member_set *from);

/* to: those of a that are not in b. It is neither of them. */
void member_set_minus(struct member_set *to, const struct member_set *a,
                      const struct member_set *b);

bool member_set_has(const struct member_set *set, const struct member_partition *partition);
bool member_set_equal(const struct member_set *a, const struct member_set *b);
