#pragma once

#include "client/consumer_int.h"

/* Private to fetch*.c. */

/* The broker must be told that a partition is no part of the session any more. */
struct fetch_forgotten {
    struct list link;
    struct uuid id;
    int32_t partition;
    struct str topic; /* behind the struct */
};

/* What is fetched from one broker. At most one request is on its way. */
struct fetcher {
    struct ottla_consumer *consumer;
    int32_t broker_id;
    struct list positions;      /* to be read here; those that brought records go to the end */
    struct client_asked *asked; /* NULL: nothing is on its way */
    bool dirty;                 /* a request may be worth sending */
    int64_t sent_ms;
    int64_t rest_until_ms;
    int attempt; /* failures in a row */
    int idle;    /* answers in a row that were empty, and early */

    /* The session (KIP-227). Epoch 0: the next request is a full one, and closes session_id's
     * session when that is not 0. */
    int32_t session_id;
    int32_t session_epoch;
    bool full;  /* the request on its way is */
    bool by_id; /* topics are named by their ids (version 13) */
    struct list forgotten;
};

/* Whether a request may ask for it now, but for the room it has. */
bool fetch_can_read(const struct position *position, int64_t now);
bool fetch_has_room(const struct position *position);

void fetch_add_size(struct ottla_consumer *consumer, struct position *position, size_t size);

/* fetch_request.c: a client_build_fn; arg: the fetcher. */
err_t fetch_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                  const void **ret_request);
/* The next request begins anew; the broker is told to forget the old session, unless `unknown`. */
void fetch_session_reset(struct fetcher *fetcher, bool unknown);
void fetch_forget(struct fetcher *fetcher, const struct position *position);
void fetch_forgotten_clear(struct fetcher *fetcher);

/* fetch_answer.c: a client_answer_fn; arg: the fetcher. */
void fetch_answered(void *arg, const struct client_answer *answer);
