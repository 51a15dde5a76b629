#pragma once

#include "cli/items.h"

/*
 * What part of a topic is to be read.
 *
 *     --from earliest  latest  1234  +10 (after the first)  -10 (before the end)  1h-ago
 * 2026-11-21T10:00
 *     --to   the same
 *     --range 10:20   10:   :20   +10   -10   @1h-ago:now   @2026-11-21T10:00:
 *
 * Offsets and counts are of each partition; times are of the first record at or after them. The end
 * is not read itself.
 */
enum bound_kind {
    BOUND_NONE,
    BOUND_EARLIEST,
    BOUND_LATEST,
    BOUND_OFFSET,
    BOUND_AFTER_FIRST,
    BOUND_BEFORE_END,
    BOUND_TIME
};

struct bound {
    enum bound_kind kind;
    int64_t number; /* an offset, a count, or ms of the epoch */
};

struct range {
    struct bound from;
    struct bound to; /* BOUND_NONE: follows */
};

/* Of --from, --to, --range. CLI_USAGE, printed. */
int range_parse(struct cli *cli, int64_t now_ms, struct range *ret_range);

/* For tests: one bound, and a whole --range. */
bool bound_parse(const char *text, int64_t now_ms, struct bound *ret_bound);
bool range_text_parse(const char *text, int64_t now_ms, struct range *ret_range);

/* Where each partition begins and ends: asks the cluster. ends[i] INT64_MAX: no end. Arrays live in
 * the invocation's arena. Mistakes are printed. */
int range_resolve(const struct items *items, const struct range *range,
                  const struct items_partitions *partitions, int64_t **ret_starts,
                  int64_t **ret_ends);
