#pragma once

#include "raft/raft.h"

/*
 * The state machine's state. One file per role has what the role does with each input; a role is
 * entered by its <role>_enter function and by nothing else:
 *
 *   from                        to            function             when
 *   (start)                     unattached    raft_new             always; the leader of before is
 *                                                                  not believed, it was us or is
 * gone unattached                  prospective   prospective_enter    RAFT_START, or election
 * timeout prospective                 candidate     candidate_enter      a majority would vote for
 * us candidate                   leader        leader_enter         a majority voted for us leader
 * resigned      resigned_enter       RAFT_STOP any                         resigned resigned_enter
 * RAFT_STORAGE_FAILED
 *
 * With one voter, our own vote is the majority: prospective and candidate are passed through, but
 * the vote is saved before it counts, and the leader writes nothing before its election is saved.
 */
struct raft {
    struct raft_options options;
    enum raft_role role;
    struct raft_election election; /* as last given out to be saved, or read */
    bool election_saved;           /* the same, and it is on the disk */
    int32_t voter_count;
    int64_t log_end_offset;     /* appended */
    int64_t synced_offset;      /* on our disk */
    int64_t high_watermark;     /* -1: not known in this epoch */
    int64_t epoch_start_offset; /* as leader */
    bool epoch_started;         /* as leader: the LeaderChange batch was asked for */
};

void prospective_enter(struct raft *raft, struct raft_output *output);
void candidate_enter(struct raft *raft, struct raft_output *output);
void candidate_election_saved(struct raft *raft, struct raft_output *output);
void leader_enter(struct raft *raft, struct raft_output *output);
void leader_election_saved(struct raft *raft, struct raft_output *output);
void leader_synced(struct raft *raft, struct raft_output *output);
void resigned_enter(struct raft *raft, struct raft_output *output);

/* Gives the election out to be saved; nothing may rest on it before RAFT_ELECTION_SAVED. */
void raft_save_election(struct raft *raft, struct raft_output *output);

/* How many votes, or synced voters, are enough. */
static inline int32_t raft_majority(const struct raft *raft) {
    return raft->voter_count / 2 + 1;
}
