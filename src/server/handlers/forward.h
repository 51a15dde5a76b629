#pragma once

#include "controller/controller.h"
#include "server/request.h"

/*
 * A request that the controller answers. The broker half passes it on as a struct, whichever
 * listener it came in on, and the answer leaves from the request's reactor.
 *
 * The request is parked before the call; its arena is the controller's until the answer is there.
 */
struct forward {
    struct controller_call call; /* for the controller_... function */
    struct request *request;
    void *response;      /* the response struct, made by the controller */
    const void *context; /* of the handler, for the two below */

    /* Optional: the answer needs more than what the controller said. Responds. */
    void (*finish)(struct forward *forward);

    /* Makes the response say that the whole request failed: what Kafka's clients then see of every
     * topic or resource in it. message is null when the error says it all. */
    void (*fail)(struct forward *forward, err_t err, struct str message);
};

#define FORWARD_NO_TIMEOUT INT64_MAX

/* Parks the request and readies the call. `response` is a response struct in the request's arena;
 * the controller initialises it. timeout_ms is the client's, which may be nonsense. */
struct forward *forward_new(struct request *request, int64_t timeout_ms, void *response,
                            void (*fail)(struct forward *forward, err_t err, struct str message));
