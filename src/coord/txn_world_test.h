#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/list.h"
#include "coord/groups_int.h"
#include "coord/transactions.h"

/*
 * The world of transaction coordinators in transcripts: producer ids from 1000 on, and partitions
 * that take markers. Commands:
 *
 *   ids hold | ids give | ids fail ERROR       whoever asks waits; gets one; or gets the error
 *   markers hold | markers write               they are on their way; they are written
 *   markers fail TOPIC PARTITION ERROR [TIMES] what becomes of those of a partition, so many times
 *
 *   unclean                                    the last stop was not: of what is loaded from now on
 *   watched PRODUCER                           had a transaction open when the node started
 *   ended                                      prints how many were committed, aborted, fenced and
 *                                              timed out
 *   fate PRODUCER EPOCH TOPIC PARTITION        what is known of one that is open there
 *
 * Markers that are sent are printed.
 */
struct txn_world_test {
    struct coord_world world;
    int64_t watched;
    FILE *out;
    int64_t next_id;
    bool hold_ids;
    err_t id_err;
    struct list id_waits; /* struct coord_id_wait */
    bool hold_markers;
    struct coord_markers *held[16];
    int held_count;
    char fail_topic[64];
    int fail_partition;
    err_t fail_err;
    int fail_times;
};

void txn_world_test_init(struct txn_world_test *test, FILE *out);

/* False: not one of these commands. */
bool txn_world_test_run(struct txn_world_test *test, const struct groups *groups, const char *line);

/* By the name that err_name gives; ERR_INVALID: none. */
err_t txn_world_test_error(const char *name);
