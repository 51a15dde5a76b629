/*
 * An observer is caught up at a fetch that begins where the leader's log ends. One that fetches
 * from where the log ended at its fetch before was caught up then, although there is more by now.
 */
#include "raft/observers.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

enum { OBSERVER_SESSION_MS = 5 * 60 * 1000 };

void raft_observers_done(struct raft_observers *observers) {
    free(observers->observers);
    *observers = (struct raft_observers){0};
}

static struct raft_observer *find(struct raft_observers *observers, int32_t id,
                                  struct uuid directory_id) {
    for (size_t i = 0; i < observers->count; i++) {
        struct raft_observer *observer = &observers->observers[i];
        if (observer->id == id && uuid_equal(observer->directory_id, directory_id)) {
            return observer;
        }
    }
    return NULL;
}

static void forget(struct raft_observers *observers, size_t index) {
    observers->count--;
    memmove(&observers->observers[index], &observers->observers[index + 1],
            (observers->count - index) * sizeof observers->observers[0]);
}

static void forget_most_silent(struct raft_observers *observers) {
    size_t oldest = 0;
    for (size_t i = 1; i < observers->count; i++) {
        if (observers->observers[i].last_fetch_ms < observers->observers[oldest].last_fetch_ms) {
            oldest = i;
        }
    }
    forget(observers, oldest);
}

static struct raft_observer *add(struct raft_observers *observers, int32_t id,
                                 struct uuid directory_id) {
    if (observers->count == RAFT_OBSERVERS_MAX) {
        forget_most_silent(observers);
    }
    struct raft_observer *all =
        reallocarray(observers->observers, observers->count + 1, sizeof *observers->observers);
    if (all == NULL) {
        abort();
    }
    observers->observers = all;
    struct raft_observer *observer = &all[observers->count++];
    *observer = (struct raft_observer){.id = id,
                                       .directory_id = directory_id,
                                       .last_fetch_ms = -1,
                                       .last_caught_up_ms = -1,
                                       .leader_end_offset = -1};
    return observer;
}

void raft_observers_note(struct raft_observers *observers, int32_t id, struct uuid directory_id,
                         int64_t offset, int64_t leader_end_offset, int64_t now_ms) {
    struct raft_observer *observer = find(observers, id, directory_id);
    if (observer == NULL) {
        observer = add(observers, id, directory_id);
    }
    int64_t caught_up_ms = -1;
    if (offset >= leader_end_offset) {
        caught_up_ms = now_ms;
    } else if (observer->leader_end_offset > 0 && offset >= observer->leader_end_offset) {
        caught_up_ms = observer->last_fetch_ms;
    }
    if (caught_up_ms > observer->last_caught_up_ms) {
        observer->last_caught_up_ms = caught_up_ms;
    }
    if (now_ms > observer->last_fetch_ms) {
        observer->last_fetch_ms = now_ms;
    }
    observer->log_end_offset = offset;
    observer->leader_end_offset = leader_end_offset;
}

void raft_observers_expire(struct raft_observers *observers, int64_t now_ms) {
    for (size_t i = observers->count; i-- > 0;) {
        if (now_ms - observers->observers[i].last_fetch_ms >= OBSERVER_SESSION_MS) {
            forget(observers, i);
        }
    }
}
