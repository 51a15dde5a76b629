#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "raft/voters.h"

/*
 * KRaft as a pure state machine: who leads the metadata log, in which epoch, and up to where the
 * log is committed.
 *
 * It does no I/O and reads no clock: `raft_step` takes one input with the time and a random number,
 * and says what is to be done. The driver (quorum/) carries outputs out in the order in which they
 * stand in `struct raft_output` and feeds back what came of them. One owner, no threads.
 *
 * This release runs quorums of one voter, which is this node: `raft_new` refuses others with
 * ERR_UNSUPPORTED. The roles are one file each (unattached, candidate, leader, resigned).
 */
struct raft;

/* What must survive a restart: the file quorum-state. */
struct raft_election {
    int32_t epoch;
    int32_t leader_id; /* -1: not known */
    int32_t voted_id;  /* -1: not voted in this epoch */
    struct uuid voted_directory_id;
};

enum raft_role { RAFT_UNATTACHED, RAFT_PROSPECTIVE, RAFT_CANDIDATE, RAFT_LEADER, RAFT_RESIGNED };

struct raft_options {
    int32_t node_id;
    struct uuid directory_id;
    int32_t election_timeout_ms;
};

/*
 * `election` is what quorum-state says; all -1 and epoch 0 without one. log_end_offset and
 * log_epoch (of the last batch or snapshot) are those of the local log as recovered.
 *
 * ERR_UNSUPPORTED: the voter set has other voters, or not this node; raft_refusal says so in words.
 */
err_t raft_new(const struct raft_options *options, const struct raft_election *election,
               const struct raft_voters *voters, int64_t log_end_offset, int32_t log_epoch,
               struct raft **ret_raft);
void raft_free(struct raft *raft); /* accepts NULL */

/* Why raft_new refuses this voter set; NULL when it does not. */
const char *raft_refusal(const struct raft_options *options, const struct raft_voters *voters);

enum raft_input_type {
    RAFT_START,          /* the log is open */
    RAFT_TICK,           /* the deadline of the last output has come */
    RAFT_ELECTION_SAVED, /* quorum-state is synced: answers save_election */
    RAFT_APPENDED,       /* the log grew to end_offset, not yet synced */
    RAFT_SYNCED,         /* the log is synced up to end_offset */
    RAFT_STORAGE_FAILED, /* a write or sync failed: what is on disk is not known */
    RAFT_STOP,           /* the node goes down */
};

struct raft_input {
    enum raft_input_type type;
    int64_t end_offset; /* APPENDED, SYNCED */
};

struct raft_output {
    bool save_election; /* 1st: write quorum-state and sync it, then RAFT_ELECTION_SAVED */
    struct raft_election election;
    bool start_epoch; /* 2nd: append the LeaderChange batch of `election.epoch`, then go on */
    bool high_watermark_moved; /* 3rd: what lies below it is committed */
    int64_t high_watermark;
    bool resigned;       /* 4th: no longer leader: fail what waits */
    int64_t deadline_ms; /* when to come with RAFT_TICK; INT64_MAX: never */
};

/* `random`: any 64 random bits, used for timeouts. */
void raft_step(struct raft *raft, const struct raft_input *input, int64_t now_ms, uint64_t random,
               struct raft_output *ret_output);

enum raft_role raft_role(const struct raft *raft);
const char *raft_role_name(enum raft_role role); /* "leader" */
int32_t raft_epoch(const struct raft *raft);
int32_t raft_leader_id(const struct raft *raft);          /* -1: none known */
int64_t raft_high_watermark(const struct raft *raft);     /* -1: not known yet */
int64_t raft_epoch_start_offset(const struct raft *raft); /* as leader: of the LeaderChange batch */

/* Whether a request for the leader of an epoch is for us: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH
 * (the sender knows an older, or a newer one), NOT_LEADER_OR_FOLLOWER. */
err_t raft_check_leader(const struct raft *raft, int32_t known_epoch);
