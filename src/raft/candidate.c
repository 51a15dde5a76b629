/*
 * On the way to leadership.
 *
 * A prospective asks whether it would be elected, without a new epoch, so that a node that was cut
 * off does not disturb the others. A candidate begins a new epoch and votes for itself. Of one
 * voter, its own answer and its own vote are the majority.
 */
#include <assert.h>

#include "raft/raft_int.h"

void prospective_enter(struct raft *raft, struct raft_output *output) {
    assert(raft->role == RAFT_UNATTACHED);
    raft->role = RAFT_PROSPECTIVE;
    int32_t granted = 1; /* we would vote for ourselves */
    if (granted >= raft_majority(raft)) {
        candidate_enter(raft, output);
    }
}

void candidate_enter(struct raft *raft, struct raft_output *output) {
    assert(raft->role == RAFT_PROSPECTIVE);
    assert(raft->election.epoch < INT32_MAX);
    raft->role = RAFT_CANDIDATE;
    raft->election = (struct raft_election){
        .epoch = raft->election.epoch + 1,
        .leader_id = -1,
        .voted_id = raft->options.node_id,
        .voted_directory_id = raft->options.directory_id,
    };
    raft_save_election(raft, output);
}

void candidate_election_saved(struct raft *raft, struct raft_output *output) {
    int32_t granted = 1; /* our own vote is on the disk now, so it counts */
    if (granted >= raft_majority(raft)) {
        leader_enter(raft, output);
    }
}
