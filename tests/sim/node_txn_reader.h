#pragma once

#include "node_int.h"

/*
 * A reader of committed records.
 *
 *   node_txn_reader   its turns, and what it makes of the partitions that it is given
 *   node_txn_fetch    Fetch, with and without a session
 */
enum {
    TXN_PLACES_MAX = SIM_TOPICS_MAX * SIM_PARTITIONS_MAX,
    TXN_ABORTED_MAX = 256,
};

struct txn_place {
    struct node_topic *topic;
    int32_t partition;
    int64_t offset;
    bool knows_start;
    bool asked; /* by the fetch that is under way, at this offset */
    int64_t asked_offset;
    bool told;            /* the session has this offset */
    int64_t stable;       /* the last stable offset */
    int64_t held_ms;      /* since when it is seen below the high watermark; -1: it is not */
    uint32_t stable_down; /* sim->down_count then */
};

struct txn_reader {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct scenario_range wait;
    int64_t open_ms_max;
    int16_t version;
    bool sessions;
    int32_t session_id;
    int32_t session_epoch; /* of the next fetch; -1: no session */
    bool busy;
    bool final; /* reads again from the begin */
    struct node_records *records;
    struct txn_place places[TXN_PLACES_MAX];
    int count;
    struct txn_place *start_asked;
    uint32_t asked_down;

    /* of a stretch */
    const struct fetch_response_partition_data *data;
    uint64_t stretch;
    int64_t aborting[TXN_ABORTED_MAX]; /* producer ids whose transaction here is aborted */
    int aborting_count;
    bool taken[TXN_ABORTED_MAX]; /* of the list */
};

/* node_txn_reader.c */
void txn_reader_again(struct txn_reader *reader, int64_t delay_ms); /* its next turn */
void txn_reader_take(struct txn_reader *reader, struct txn_place *place,
                     const struct fetch_response_partition_data *data);
bool txn_place_is_read(const struct txn_place *place); /* up to its end */

/* node_txn_fetch.c: this place only, or with a session all of those it reads. */
void txn_reader_fetch(struct txn_reader *reader, const struct txn_place *drawn);
void txn_reader_begin_session(struct txn_reader *reader); /* with the next fetch */
