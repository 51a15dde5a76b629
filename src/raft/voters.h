#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"

/*
 * The voters of a quorum: from the setting controller.quorum.voters (static, kraft.version 0), or
 * from the VotersRecord in the log and its snapshots (dynamic, kraft.version 1).
 * Owned by whoever has the struct; strings and arrays live in its arena.
 */
struct raft_endpoint {
    struct str name; /* of the listener; null in a static set */
    struct str host;
    uint16_t port;
};

struct raft_voter {
    int32_t id;
    struct uuid directory_id; /* zero in a static set */
    struct raft_endpoint *endpoints;
    int32_t endpoint_count;
    int16_t kraft_version_min;
    int16_t kraft_version_max;
};

struct raft_voters {
    struct arena arena;
    struct raft_voter *voters;
    int32_t voter_count;
    bool dynamic;
};

void raft_voters_init(struct raft_voters *voters); /* an empty set */
void raft_voters_done(struct raft_voters *voters);

/* Replaces `to` by a copy. */
void raft_voters_copy(struct raft_voters *to, const struct raft_voters *from);

/* Reads "1@host:9093,2@[::1]:9093"; ERR_INVALID otherwise. */
err_t raft_voters_parse(struct raft_voters *voters, struct str text);

struct voters_record; /* wire/messages.h */
void raft_voters_from_record(struct raft_voters *voters, const struct voters_record *record);
/* The record borrows from the set; its arrays come from the arena. */
void raft_voters_to_record(const struct raft_voters *voters, struct arena *arena,
                           struct voters_record *ret_record);
