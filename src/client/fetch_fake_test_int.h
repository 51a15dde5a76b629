#pragma once

#include "client/fake_broker_test_int.h"

/*
 * Fake brokers that can be read from: the partitions of one topic hold records whose values are
 * their offsets as decimal text, ten to a batch. Fetch sessions are kept as brokers keep them, and
 * a request that does not fit its session is counted as a mistake of the client.
 *
 * A broker that leads a partition, or is its follower, answers; others say NOT_LEADER_OR_FOLLOWER.
 */
enum { FETCH_FAKE_PARTITIONS = 8, FETCH_FAKE_BATCH = 10 };

struct fetch_fake_log {
    int64_t start;
    int64_t end;
    int64_t epoch_ends[8]; /* by leader epoch: where it ended; 0: it is the last */
    int32_t follower;      /* that may be read from; 0: none */
    int32_t preferred;     /* that the leader names; 0: none */
    int64_t committed;     /* of every group; -1: none */
};

struct fetch_fake_session {
    int32_t id;
    int32_t epoch; /* expected next */
    bool in[FETCH_FAKE_PARTITIONS];
    int64_t offset[FETCH_FAKE_PARTITIONS];
};

struct fetch_fake {
    struct fake_cluster *cluster;
    struct fake_topic *topic;
    struct fetch_fake_log logs[FETCH_FAKE_PARTITIONS];
    struct fetch_fake_session sessions[FAKE_BROKERS_MAX + 1];
    int32_t next_session;
    bool no_sessions; /* brokers have no room for them */
    int mistakes;
    int full;        /* full requests */
    int incremental; /* and others */
    int partitions;  /* named in incremental requests */
    int forgotten;
    int commits; /* partitions in OffsetCommit requests */

    /* After the sound answer was made; may change it. NULL: none. */
    fake_hook_fn twist;
    void *arg;
};

/* A cluster with one topic "t", led by the brokers in turn in epoch 1, `count` records each. */
struct fetch_fake *fetch_fake_new(uint64_t seed, int broker_count, int32_t partitions,
                                  int64_t count);
void fetch_fake_free(struct fetch_fake *fake);

void fetch_fake_lead(struct fetch_fake *fake, int32_t partition, int32_t leader, int32_t epoch);
