#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "meta/image.h"
#include "net/net.h"
#include "server/reactor.h"
#include "wire/api.h"
#include "wire/messages.h"

/*
 * One request of Kafka's protocol on its way through a handler.
 *
 * A handler gets the decoded message and answers exactly once, at once or later, always on the
 * request's reactor. Everything that belongs to the request lives in its arena and dies when the
 * answer has been sent.
 */
struct node;
struct api_row;

struct request {
    struct list link; /* of the reactor's free ones */
    struct net_request *net;
    struct reactor *reactor;
    struct node *node;
    const struct api_row *row;
    const struct wire_api *api;
    int16_t version;
    int32_t correlation_id;
    struct str client_id;
    struct arena arena;
    const void *message;                     /* the request struct of wire/messages.h */
    struct net_part *parts;                  /* of an answer with files; until it was sent */
    void (*cancel)(struct request *request); /* the client is gone: answer now, if at all; may be
                                                NULL */
    void *context;                           /* of the handler, for cancel */
    bool follower_fetch;                     /* for metrics: FetchFollower, else FetchConsumer */
};

/* Encodes a response struct and sends it. A response that cannot be encoded in the request's
 * version closes the connection: that is our mistake, and is logged. */
void request_respond(struct request *request, const void *response);

/* Sends an encoded answer with runs of files in it: header and body in `head`, cut at the gaps. */
struct request_file {
    struct sys_file *file;
    uint64_t position;
    size_t size;
    void (*release)(void *arg);
    void *arg;
};
void request_respond_files(struct request *request, const void *response,
                           const struct request_file *files, size_t file_count);

/* acks=0: nothing is sent. */
void request_respond_nothing(struct request *request);

/* What Kafka does with a request it cannot make sense of: closes the connection. */
void request_close(struct request *request, const char *reason);

static inline const struct meta_image *request_image(const struct request *request) {
    return request->reactor->image;
}

/* Whether it came in on a listener of the controller. */
bool request_on_controller(const struct request *request);

/* The listener's name, and the address of the client, for messages and advertised endpoints. */
struct str request_listener(const struct request *request);

/* --- by dispatch and reactor --- */

struct request *request_new(struct reactor *reactor, struct net_request *net);
void request_free(struct request *request);
void requests_free(struct reactor *reactor);
