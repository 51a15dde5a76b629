#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

/*
 * Who follows the leader's log without a vote: brokers, and controllers that are not voters yet.
 * The leader learns of them by their fetches and forgets those that are silent for long. Pure: the
 * time comes in, and is any clock's, as long as it is always the same one's.
 */
struct raft_observer {
    int32_t id;
    struct uuid directory_id; /* zero: it did not say */
    int64_t log_end_offset;   /* it has everything below */
    int64_t last_fetch_ms;
    int64_t last_caught_up_ms; /* -1: never yet */
    int64_t leader_end_offset; /* where the leader's log ended at its last fetch */
};

/* In the order in which they were first heard of. Zero-initialise. */
struct raft_observers {
    struct raft_observer *observers;
    size_t count;
};

void raft_observers_done(struct raft_observers *observers);

/* A fetch at this offset was answered, from a log that ends at leader_end_offset. Of too many the
 * one that was silent longest is forgotten. */
void raft_observers_note(struct raft_observers *observers, int32_t id, struct uuid directory_id,
                         int64_t offset, int64_t leader_end_offset, int64_t now_ms);

/* Forgets those that have not fetched for five minutes. */
void raft_observers_expire(struct raft_observers *observers, int64_t now_ms);
