#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "sys/sys.h"
#include "wire/messages.h"

/*
 * Fetch sessions (KIP-227): the broker remembers which partitions a client fetches, so that a
 * request names only what changed and an answer only what is new.
 *
 * A node has one cache of them, bounded by max.incremental.fetch.session.cache.slots. Any thread:
 * the cache has a lock (rank SESSIONS); a session is used by one request at a time, because its
 * client sends the next fetch after the answer, and the epoch shows one that does not.
 *
 *   request epoch   session id   what it is
 *   -------------   ----------   ---------------------------------------------------------
 *   -1              any          no session; one with that id is closed
 *   0               any          full fetch, opens a session; one with that id is closed
 *   any other       unknown      FETCH_SESSION_ID_NOT_FOUND
 *   not the next    known        INVALID_FETCH_SESSION_EPOCH, also while a request uses it
 *   the next        other kind   FETCH_SESSION_TOPIC_ID_ERROR: names before, ids now, or back
 *   the next        known        incremental: changes of the list, then a fetch of all of it; when
 *                                nothing is left of it, the session is closed
 */
struct fetch_sessions;
struct fetch_session;

enum { FETCH_EPOCH_FINAL = -1, FETCH_EPOCH_INITIAL = 0 };

struct fetch_sessions *fetch_sessions_new(struct sys *sys, int32_t slots, int64_t evict_after_ms);
void fetch_sessions_free(struct fetch_sessions *sessions); /* accepts NULL */

struct fetch_sessions_stats {
    int64_t sessions;
    int64_t partitions;
    uint64_t evictions;
};
void fetch_sessions_stats(struct fetch_sessions *sessions, struct fetch_sessions_stats *ret_stats);

/* One partition of a fetch, with or without a session. */
struct fetch_item {
    struct str topic; /* empty: only the id is known */
    struct uuid topic_id;
    int32_t index;
    /* What the client asks for. */
    int64_t fetch_offset;
    int64_t log_start_offset;
    int32_t leader_epoch;
    int32_t fetched_epoch;
    int32_t size_max;
    /* What it was told last; -1 and ERR_OK at first. */
    int64_t told_high_watermark;
    int64_t told_log_start_offset;
};

/* A fetch request with its session, if any, taken apart. */
struct fetch_context {
    struct fetch_session *session; /* NULL: none */
    bool full;                     /* every partition is answered */
    bool by_id;
    struct fetch_item **items; /* in the order to read and answer them */
    int32_t item_count;
    int32_t session_id;    /* for the answer */
    int32_t session_epoch; /* the one after this answer */
    struct arena *arena;
};

/* Begins: finds, opens or changes the session. Items of a session stay good until
 * fetch_context_end; until then the session is this request's and is not evicted. */
err_t fetch_sessions_begin(struct fetch_sessions *sessions, const struct fetch_request *message,
                           int16_t version, struct arena *arena, struct fetch_context *ret_context);

/* The name of an item of which only the id was known. A session remembers it: a topic that is
 * deleted later is told from one that never was. */
void fetch_context_name(struct fetch_context *context, struct fetch_item *item, struct str topic);

/*
 * The answer of an item is known: whether it goes into an incremental answer. It does when it has
 * records or an error, or when a watermark moved; one with records moves to the end of the list, so
 * that every partition gets its turn first.
 */
bool fetch_context_tell(struct fetch_context *context, struct fetch_item *item, err_t err,
                        int64_t high_watermark, int64_t log_start_offset, size_t record_size,
                        bool diverging);

/* Ends: a full fetch that asked for a session gets one, if a slot is free or can be freed. */
void fetch_context_end(struct fetch_sessions *sessions, struct fetch_context *context,
                       bool privileged);
