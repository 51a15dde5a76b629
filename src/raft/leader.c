/*
 * The leader of an epoch: begins it with a LeaderChange batch once its election is on the disk, and
 * moves the high watermark to what a majority of voters has on their disks. Of one voter, that is
 * what we have synced.
 */
#include <assert.h>

#include "raft/raft_int.h"

void leader_enter(struct raft *raft, struct raft_output *output) {
    assert(raft->role == RAFT_CANDIDATE);
    assert(raft->election.voted_id == raft->options.node_id);
    raft->role = RAFT_LEADER;
    raft->election.leader_id = raft->options.node_id;
    raft->election.voted_id = -1; /* the leader being known, the vote has done its work */
    raft->election.voted_directory_id = UUID_ZERO;
    raft->epoch_start_offset = raft->log_end_offset;
    raft->epoch_started = false;
    raft_save_election(raft, output);
}

void leader_election_saved(struct raft *raft, struct raft_output *output) {
    assert(!raft->epoch_started);
    assert(raft->log_end_offset == raft->epoch_start_offset);
    raft->epoch_started = true;
    output->start_epoch = true;
}

err_t raft_check_leader(const struct raft *raft, int32_t known_epoch) {
    if (known_epoch < raft->election.epoch) {
        return ERR_FENCED_LEADER_EPOCH;
    }
    if (known_epoch > raft->election.epoch) {
        return ERR_UNKNOWN_LEADER_EPOCH;
    }
    return raft->role == RAFT_LEADER ? ERR_OK : ERR_NOT_LEADER_OR_FOLLOWER;
}

void leader_synced(struct raft *raft, struct raft_output *output) {
    int64_t majority_offset = raft->synced_offset;
    if (majority_offset <= raft->epoch_start_offset) {
        return; /* nothing of this epoch yet */
    }
    if (majority_offset > raft->high_watermark) {
        raft->high_watermark = majority_offset;
        output->high_watermark_moved = true;
    }
}
