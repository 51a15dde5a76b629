#pragma once

#include "quorum/quorum_int.h"

/* What loading at the start remembers between its slices: load.c, replay.c. */

enum stage {
    STAGE_TIDY,
    STAGE_LIST,
    STAGE_SNAPSHOT,
    STAGE_LOG,
    STAGE_RECOVER,
    STAGE_FIT,
    STAGE_REPLAY,
    STAGE_ELECTION,
    STAGE_END,
};

struct quorum_load {
    enum stage stage;
    bool has_folder;
    struct snapshot_list snapshots;
    size_t snapshots_left; /* those not tried yet are the first so many */
    struct meta_snapshot_reader *reader;
    struct meta_delta *delta;
    char snapshot_path[QUORUM_PATH_SIZE];
    bool has_snapshot;
    struct meta_snapshot_id snapshot; /* the one loaded */
    uint64_t snapshot_size;
    int64_t offset; /* replayed up to here */
    struct buffer data;
    struct arena arena;
    struct raft_election election;
    char text[QUORUM_TEXT_SIZE]; /* why it failed; empty: the error says it */
};

/* Prints why loading failed, and is the error. */
#define FAIL(load, err, ...) (quorum_print((load)->text, sizeof(load)->text, __VA_ARGS__), (err))

/* replay.c: one run of batches; at the log's end the next stage is set. */
err_t quorum_replay(struct quorum *quorum, struct quorum_load *load);
