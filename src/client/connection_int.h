#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "client/connection.h"
#include "wire/api.h"

/* Private to the module. */

enum call_mode {
    CALL_STRUCT, /* the response is decoded */
    CALL_RAW,    /* its header is */
    CALL_FRAME,  /* nothing is */
    CALL_FORGET, /* there is none: the call is over when its bytes were written */
};

/* One request, from send to done. In exactly one of the connection's lists. */
struct client_call {
    struct list link;
    enum call_mode mode;
    int16_t api_key;
    int16_t version; /* -1: to be chosen when the broker's versions are known */
    int32_t correlation_id;
    int64_t deadline_ms;
    const void *request;  /* the struct, while version is -1 */
    struct buffer frame;  /* while it waits, with its length in front; empty while version is -1 */
    uint64_t written_end; /* of CALL_FORGET: connection->written when its last byte is */
    err_t err;            /* found before it was sent */
    client_done_fn done;
    void *arg;
};

enum client_state {
    CLIENT_CONNECTING,  /* a socket is on its way */
    CLIENT_NEGOTIATING, /* ApiVersions is on its way */
    CLIENT_UP,
    CLIENT_DEAD,
};

struct client_connection {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_address *addresses;
    size_t address_count;
    size_t address_next;
    char *client_id;
    int64_t connect_timeout_ms;
    int64_t request_timeout_ms;
    size_t response_size_max;
    int send_buffer_bytes;
    int receive_buffer_bytes;
    bool negotiate;
    void (*on_state)(void *arg, struct client_connection *connection, err_t state);
    void *arg;

    enum client_state state;
    err_t error;  /* why it is dead */
    err_t broken; /* found inside a call of the user: it dies in the next task */
    int depth;    /* > 0: functions of the user may be up the stack */
    bool freed;   /* by the user; the memory goes when depth is 0 and no task is queued */
    struct sys_socket *socket;
    int want;
    struct sys_task task;
    bool task_posted;
    struct sys_timer connect_timer;
    struct sys_timer call_timer;

    int32_t next_correlation_id;
    struct list waiting; /* calls that wait for the connection to be up */
    struct list sent;    /* calls in the order in which their responses must come */
    struct list leaving; /* CALL_FORGET, in the order of their bytes */
    size_t call_count;
    struct buffer out; /* to be written, from out_sent */
    size_t out_sent;
    uint64_t written; /* bytes, ever */
    struct buffer in; /* the response on its way, from in_taken */
    size_t in_taken;

    /* What the broker speaks; high < low: not at all. */
    bool versions_known;
    bool asked_again; /* ApiVersions, in a version the broker has */
    struct wire_versions versions[API_KEYS_MAX];
    int64_t features_epoch; /* of the features it told of; -1: none */
    int16_t transaction_version;
};

/* calls.c: appends the frame of a call whose version is known; on an error `out` is as it was. */
err_t client_call_encode(struct client_connection *connection, const struct client_call *call,
                         const void *request, struct bytes raw_body, struct buffer *out);
void client_call_free(struct client_call *call);

/* Tells the call's function about its response, decoding it first; an error of decoding is the
 * call's own affair. ERR_MALFORMED when the frame is not for this call: the connection must die. */
err_t client_call_finish(struct client_connection *connection, struct client_call *call,
                         struct bytes frame);
/* Without a response: why, or OK for a request that has none. */
void client_call_end(struct client_connection *connection, struct client_call *call, err_t err);

/* versions.c: asks for ApiVersions; calls client_negotiated at the end. */
err_t client_negotiate(struct client_connection *connection, int16_t version);
void client_negotiated(struct client_connection *connection, err_t err);

/* connection.c: ends it; every call is told. */
void client_die(struct client_connection *connection, err_t err);
/* Its task runs next: it writes, or carries out what is `broken`. */
void client_post(struct client_connection *connection);
/* A call was taken over: the timer fires no later than at its deadline. */
void client_watch_call(struct client_connection *connection, const struct client_call *call);

/* receive.c: reads what there is, and gives whole frames to their calls. */
void client_read_in(struct client_connection *connection);

/* send.c: a call whose frame is in `out` waits for its answer from now on. */
void client_enqueue(struct client_connection *connection, struct client_call *call);
struct client_call *client_call_new(struct client_connection *connection, enum call_mode mode,
                                    int16_t api_key, int16_t version, client_done_fn done,
                                    void *arg);
