#pragma once

#include "client/core.h"

/*
 * Questions about offsets that the leader of each partition answers: ListOffsets (the offset at a
 * time) and OffsetForLeaderEpoch (where an epoch ended). Partitions are sorted by leader, one
 * request each; what a leader refuses because it is none, or cannot say yet, is asked again after a
 * pause, with new metadata, until the deadline.
 */
enum leader_query_kind { LEADER_QUERY_TIMES, LEADER_QUERY_EPOCHS };

struct leader_item {
    /* asked */
    struct str topic; /* copied */
    int32_t partition;
    int64_t timestamp; /* TIMES: of the epoch in ms, or OTTLA_OFFSET_EARLIEST, _LATEST */
    int32_t epoch;     /* EPOCHS: whose end */
    uint64_t tag;      /* the asker's */
    /* answered */
    bool done;
    err_t err;
    int64_t offset;       /* -1: there is none */
    int32_t leader_epoch; /* of the offset; -1: not known */
    /* leader_query.c's */
    struct leader_ask *asked_by;
    int attempt;
    int64_t rest_until_ms;
};

struct leader_query;

/* Called from turns of the loop: for each answered item, and, when all are, at the end; the query
 * may be freed inside `finished` only. */
struct leader_query_settings {
    struct ottla_client *client;
    enum leader_query_kind kind;
    enum client_isolation isolation;
    int64_t deadline_ms; /* of sys_mono_ms; INT64_MAX: none. Then the rest gets TIMED_OUT */
    void (*answered)(void *arg, const struct leader_item *item);
    void (*finished)(void *arg, struct leader_query *query);
    void *arg;
};

/* Copies the items. */
struct leader_query *leader_query_new(const struct leader_query_settings *settings,
                                      const struct leader_item *items, size_t count);
void leader_query_free(struct leader_query *query); /* accepts NULL */
