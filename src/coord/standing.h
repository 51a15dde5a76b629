#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"

/*
 * How groups stand, for metrics: what each has committed, how many records and how much time it is
 * behind. As of a second ago at most where groups are busy; any thread.
 */
struct coord;

struct group_standing {
    const char *id;
    const char *type;  /* "classic", "consumer" */
    const char *state; /* "Stable" … */
    int32_t member_count;
    int32_t offset_count;
};

struct offset_standing {
    const char *topic;
    int32_t partition;
    int64_t offset; /* committed: the next that the group will read */
    bool lag_known; /* the partition is led here */
    int64_t lag;    /* records up to the high watermark; 0 when it is ahead of it */
    bool lag_ms_known;
    int64_t lag_ms; /* since the oldest record that it has not read was written; 0 with no lag */
};

struct standing_visitor {
    void (*group)(void *arg, const struct group_standing *group);
    /* For each of the group's offsets, after `group`. */
    void (*offset)(void *arg, const struct group_standing *group,
                   const struct offset_standing *offset);
    void *arg;
};

/* Strings are good during the call only. */
void coord_standing(struct coord *coord, const struct standing_visitor *visitor);

/* What the coordinators of a node did since it started, as Kafka counts it: when it was written. */
enum group_count {
    GROUP_COUNT_OFFSETS_COMMITTED,
    GROUP_COUNT_OFFSETS_EXPIRED,
    GROUP_COUNT_OFFSETS_DELETED,    /* by OffsetDelete */
    GROUP_COUNT_CLASSIC_REBALANCES, /* completed: the leader's assignments */
    GROUP_COUNT_CONSUMER_REBALANCES,
    GROUP_COUNT_TXNS_COMMITTED, /* of transactions: decided */
    GROUP_COUNT_TXNS_ABORTED,
    GROUP_COUNT_TXNS_FENCED, /* aborted, for somebody else took the id */
    GROUP_COUNT_TXNS_TIMED_OUT,
    GROUP_COUNTS,
};

/* Any thread. */
void coord_counts(struct coord *coord, uint64_t ret_counts[GROUP_COUNTS]);

/* Of a coord of transactions; any thread. */
struct coord_txn_stats {
    int64_t markers_waiting; /* markers that could not be written yet, and are tried again */
    int64_t ends_waiting;    /* ends that could not be logged yet */
    uint64_t load_count;     /* shards that were loaded since the start, and how long that took */
    uint64_t load_ms_sum;
    uint64_t load_ms_max;
};
void coord_txn_stats(struct coord *coord, struct coord_txn_stats *ret_stats);
