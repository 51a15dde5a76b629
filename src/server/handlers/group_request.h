#pragma once

#include "coord/coord.h"
#include "server/request.h"

/*
 * Requests that coordinators answer, of groups (group_…) or of transactions (txn_…). Parked before
 * they are passed on; a client that goes away is told to the coordinator, so that nothing of it
 * stays.
 */

/* Passes the request on as it is; the answer leaves as it comes. */
void group_request_pass(struct request *request);

/* The same for one that may wait for minutes: what it needs is copied and the frame given back. */
void group_request_pass_long(struct request *request);

/* Passes `message` on instead of the request's own, then calls `finish` with the answer. */
struct group_request {
    struct coord_call call; /* call.response */
    struct request *request;
    void (*finish)(struct group_request *group_request);
    void *context; /* the caller's */
};
void group_request_send(struct request *request, const void *message, void *context,
                        void (*finish)(struct group_request *group_request));
/* As a request of that API. */
void txn_request_send(struct request *request, int16_t api_key, const void *message, void *context,
                      void (*finish)(struct group_request *group_request));

/* The same for a request that was parked while its transaction was verified. */
void group_request_send_verified(struct request *request, const void *message,
                                 const struct partition_txn *txn, void *context,
                                 void (*finish)(struct group_request *group_request));

/*
 * A request about many groups: a part for each shard, all at the same time; then `finish`, where
 * the parts' answers are put together.
 */
struct group_part {
    struct coord_call call; /* call.response */
    struct arena arena;
    struct group_fan *fan;
    int32_t shard;
    int32_t *places; /* in the request: of the groups that are this shard's, in order */
    int32_t count;
    void *message; /* set it before group_fan_send */
};
struct group_fan {
    struct request *request;
    struct coord *coord;
    struct group_part *parts;
    int32_t part_count;
    int32_t pending;
    _Atomic int64_t room; /* bytes that all parts together may answer yet */
    void (*finish)(struct group_fan *fan);
    void *context; /* the caller's */
};

/* Parts for these groups; in the request's arena. */
struct group_fan *group_fan_new(struct request *request, const struct str *ids, int32_t count);
struct group_fan *txn_fan_new(struct request *request, const struct str *ids, int32_t count);
/* A part for each, also for the same id. */
struct group_fan *txn_fan_new_each(struct request *request, const struct str *ids, int32_t count);
/* A part for every shard there is. */
struct group_fan *group_fan_new_all(struct request *request);
struct group_fan *txn_fan_new_all(struct request *request);

/* Finishes at once when there is no part. */
void group_fan_send(struct group_fan *fan, void (*finish)(struct group_fan *fan));
