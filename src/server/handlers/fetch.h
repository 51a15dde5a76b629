#pragma once

#include "replica/partition.h"
#include "server/fetch_session.h"
#include "server/request.h"

/* A fetch on its way: what it reads, and how it waits. In the request's arena. */
struct fetch_part {
    struct fetch_item *item;
    struct partition *partition; /* NULL: not found */
    bool unknown;                /* the topic or partition is not there */
    struct str topic;
    struct uuid topic_id;
    err_t err;
    struct partition_read read;
    struct fetch_response_aborted_transaction *aborted; /* of what was read, when it is answered */
    int32_t aborted_count;
    struct partition_waiter waiter;
};

struct fetch {
    struct request *request;
    struct fetch_context context;
    struct fetch_part *parts;
    int32_t part_count;
    size_t size_min;
    size_t size_max;
    bool size_wrong; /* less than nothing */
    err_t refused;   /* ERR_OK: not as a whole */
    bool committed_only;
    bool follower; /* asked as a replica, not as a reader */
    int64_t deadline_ms;

    /* Of the last reading. */
    size_t size;
    bool cold; /* something may not be in memory */
    bool news; /* an error, or something else that is worth an answer at once */

    bool warmed; /* read without asking whether it is cached */
    bool parked;
    bool waiting;
    bool finished; /* answer as soon as the posted task runs */
    _Atomic bool posted;
    struct sys_task wake;
    struct sys_timer timer;
    struct list link; /* of the reactor's waiting fetches */
};

/* Looks up which transactions were aborted in what was read, for readers of committed records. */
void fetch_find_aborted(struct fetch *fetch);

/* Answers with what was read; the fetch is gone afterwards. */
void fetch_respond(struct fetch *fetch);

/* Reads on workers what the fetch will read, then calls `warmed` on the reactor. */
void fetch_warm(struct fetch *fetch, void (*warmed)(struct fetch *fetch));

/* On a controller's listener. */
void handle_controller_fetch(struct request *request);

/* Answers every waiting fetch of the reactor, because the node is on its way down. */
void fetch_drain(struct reactor *reactor);
