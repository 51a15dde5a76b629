#pragma once

#include <stdint.h>

/*
 * Counters of things that must happen: "a crash while a segment was rolled", "a torn index". A run
 * of many seeds that never hit one has not tested it. Production code knows nothing of them: they
 * are seen from outside (watch.h), or told by the workload.
 */
struct points;

struct points *points_new(void);
void points_free(struct points *points);

/* name: copied when new. */
void points_add(struct points *points, const char *name, uint64_t count);
uint64_t points_count(const struct points *points, const char *name);

/* In the order of the first hit. */
void points_each(const struct points *points,
                 void (*visit)(void *arg, const char *name, uint64_t count), void *arg);
