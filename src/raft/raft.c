/*
 * What every input does, by role ("-": nothing):
 *
 *   input            unattached    candidate          leader                    resigned
 *   START            prospective   -                  -                         -
 *   TICK             -             -                  -                         -
 *   ELECTION_SAVED   -             count our vote     start the epoch           -
 *   APPENDED         log end       log end            log end                   log end
 *   SYNCED           -             -                  move the high watermark   -
 *   STORAGE_FAILED   resign        resign             resign                    -
 *   STOP             resign        resign             resign                    -
 *
 * Invariants:
 *   1. The epoch never falls, and a vote, once given, is never taken back within an epoch.
 *   2. As leader: epoch_start_offset < high_watermark once that is known: a leader commits by
 *      committing a batch of its own epoch, the LeaderChange batch at the least.
 *   3. high_watermark <= synced_offset <= log_end_offset.
 */
#include "raft/raft.h"

#include <assert.h>
#include <stdlib.h>

#include "raft/raft_int.h"

const char *raft_refusal(const struct raft_options *options, const struct raft_voters *voters) {
    if (voters->voter_count == 0) {
        return "the quorum has no voters";
    }
    if (voters->voter_count > 1) {
        return "clusters of several controllers are not supported yet";
    }
    const struct raft_voter *voter = &voters->voters[0];
    if (voter->id != options->node_id) {
        return "the quorum's voter is another node; nodes that are not voters are not supported "
               "yet";
    }
    if (voters->dynamic && !uuid_equal(voter->directory_id, options->directory_id)) {
        return "the quorum's voter is this node with another metadata directory; the directory "
               "was formatted anew, or exchanged";
    }
    return NULL;
}

err_t raft_new(const struct raft_options *options, const struct raft_election *election,
               const struct raft_voters *voters, int64_t log_end_offset, int32_t log_epoch,
               struct raft **ret_raft) {
    assert(log_end_offset >= 0);
    if (raft_refusal(options, voters) != NULL) {
        return ERR_UNSUPPORTED;
    }
    struct raft *raft = calloc(1, sizeof *raft);
    if (raft == NULL) {
        abort();
    }
    raft->options = *options;
    raft->role = RAFT_UNATTACHED;
    raft->election = *election;
    raft->election_saved = true;
    if (raft->election.epoch < log_epoch) {
        /* quorum-state was lost, or is older than the log: the log proves the epoch. */
        raft->election = (struct raft_election){
            .epoch = log_epoch,
            .leader_id = -1,
            .voted_id = -1,
        };
    }
    raft->voter_count = voters->voter_count;
    raft->log_end_offset = log_end_offset;
    raft->high_watermark = -1;
    raft->epoch_start_offset = -1;
    *ret_raft = raft;
    return ERR_OK;
}

void raft_free(struct raft *raft) {
    free(raft);
}

void raft_save_election(struct raft *raft, struct raft_output *output) {
    raft->election_saved = false;
    output->save_election = true;
    output->election = raft->election;
}

static void election_saved(struct raft *raft, struct raft_output *output) {
    assert(!raft->election_saved || raft->role == RAFT_RESIGNED);
    raft->election_saved = true;
    if (raft->role == RAFT_CANDIDATE) {
        candidate_election_saved(raft, output);
    } else if (raft->role == RAFT_LEADER) {
        leader_election_saved(raft, output);
    }
}

static void synced(struct raft *raft, int64_t end_offset, struct raft_output *output) {
    assert(end_offset <= raft->log_end_offset);
    if (end_offset > raft->synced_offset) {
        raft->synced_offset = end_offset;
        if (raft->role == RAFT_LEADER) {
            leader_synced(raft, output);
        }
    }
}

void raft_step(struct raft *raft, const struct raft_input *input, int64_t now_ms, uint64_t random,
               struct raft_output *ret_output) {
    (void)now_ms; /* a quorum of one waits for nobody, so no role has a deadline */
    (void)random;
    *ret_output = (struct raft_output){.election = raft->election, .deadline_ms = INT64_MAX};
    switch (input->type) {
    case RAFT_START:
        if (raft->role == RAFT_UNATTACHED) {
            prospective_enter(raft, ret_output);
        }
        break;
    case RAFT_TICK:
        break;
    case RAFT_ELECTION_SAVED:
        election_saved(raft, ret_output);
        break;
    case RAFT_APPENDED:
        assert(input->end_offset >= raft->log_end_offset);
        raft->log_end_offset = input->end_offset;
        break;
    case RAFT_SYNCED:
        synced(raft, input->end_offset, ret_output);
        break;
    case RAFT_STORAGE_FAILED:
    case RAFT_STOP:
        if (raft->role != RAFT_RESIGNED) {
            resigned_enter(raft, ret_output);
        }
        break;
    }
    ret_output->high_watermark = raft->high_watermark;
    assert(raft->high_watermark <= raft->synced_offset);
    assert(raft->synced_offset <= raft->log_end_offset);
}

enum raft_role raft_role(const struct raft *raft) {
    return raft->role;
}

const char *raft_role_name(enum raft_role role) {
    static const char *const names[] = {
        [RAFT_UNATTACHED] = "unattached", [RAFT_PROSPECTIVE] = "prospective",
        [RAFT_CANDIDATE] = "candidate",   [RAFT_LEADER] = "leader",
        [RAFT_RESIGNED] = "resigned",
    };
    return names[role];
}

int32_t raft_epoch(const struct raft *raft) {
    return raft->election.epoch;
}

int32_t raft_leader_id(const struct raft *raft) {
    return raft->role == RAFT_LEADER ? raft->options.node_id : -1;
}

int64_t raft_high_watermark(const struct raft *raft) {
    return raft->high_watermark;
}

int64_t raft_epoch_start_offset(const struct raft *raft) {
    return raft->role == RAFT_LEADER ? raft->epoch_start_offset : -1;
}
