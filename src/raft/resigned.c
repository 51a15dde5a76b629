/*
 * Out of the game until the process starts again: on the way down, or with a disk of which we no
 * longer know what it holds. The epoch stays; a resigned node votes for nobody in it.
 */
#include "raft/raft_int.h"

void resigned_enter(struct raft *raft, struct raft_output *output) {
    raft->role = RAFT_RESIGNED;
    output->resigned = true;
}
