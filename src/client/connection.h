#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "sys/loop.h"
#include "sys/socket.h"

/*
 * One connection to a broker, driven by events on one loop.
 *
 * A connection is made, tries the addresses of its host one after the other, and, if asked to,
 * learns by ApiVersions what the broker speaks. Requests may be sent at once: they wait until it is
 * up. Responses are matched in order; each call's function is called exactly once, with the
 * response or with the error that ended it. After an error the connection is dead: every call gets
 * the error, and a new one has to be made. There is no retry in here.
 *
 * Nothing the broker sends is trusted: lengths are bounded, memory grows with the bytes that
 * arrive, a wrong correlation id ends the connection.
 *
 * All calls on the loop's thread. No function is called from inside another call of this header,
 * except from client_connection_free.
 *
 * Errors: REFUSED, TIMED_OUT (connecting, or a call took too long), CLOSED (by the broker or by
 * client_connection_free), MALFORMED (not Kafka's protocol, or a lie), LIMIT (a response that is
 * too large), UNSUPPORTED_VERSION (the broker does not have the API in this version), IO.
 */
struct client_connection;

enum {
    CLIENT_CONNECT_TIMEOUT_MS = 10 * 1000,
    CLIENT_REQUEST_TIMEOUT_MS = 30 * 1000,
    CLIENT_RESPONSE_SIZE_MAX = 128 * 1024 * 1024,
};

struct client_connection_settings {
    struct sys *sys;
    struct sys_loop *loop;
    const struct sys_address *addresses; /* to try, in order; copied. See sys_resolve */
    size_t address_count;
    const char *client_id;      /* copied; NULL for none */
    int64_t connect_timeout_ms; /* 0: the default above, and so on below */
    int64_t request_timeout_ms;
    size_t response_size_max;
    int send_buffer_bytes; /* of the socket; 0 or less: the system's */
    int receive_buffer_bytes;
    bool negotiate; /* ask for ApiVersions first */

    /* The connection is up (OK; after ApiVersions when asked for), or is dead (an error). Called
     * with OK at most once, with an error at most once. May be NULL. */
    void (*on_state)(void *arg, struct client_connection *connection, err_t state);
    void *arg;
};

struct client_connection *client_connection_new(const struct client_connection_settings *settings);

/* Ends open calls with CLOSED, from inside. Accepts NULL. Not from a function called by the same
 * connection's free. */
void client_connection_free(struct client_connection *connection);

bool client_connection_is_up(const struct client_connection *connection);

/* ERR_OK while it lives, else what killed it. */
err_t client_connection_error(const struct client_connection *connection);

/* The versions of an API that both sides speak: the range of the broker cut with ours. False when
 * there are none, or when nothing was negotiated. */
bool client_connection_versions(const struct client_connection *connection, int16_t api_key,
                                int16_t *ret_min, int16_t *ret_max);

/* The highest version both sides speak; our own highest without negotiation. UNSUPPORTED_VERSION
 * when there is none. */
err_t client_connection_version(const struct client_connection *connection, int16_t api_key,
                                int16_t *ret_version);

/* The cluster's finalized transaction.version as this broker told it, and the epoch of what it
 * told: of two brokers the one with the higher epoch is right. False: it told of no features. */
bool client_connection_transaction_version(const struct client_connection *connection,
                                           int64_t *ret_epoch, int16_t *ret_version);

/* --- calls --- */

struct client_response {
    err_t err; /* of the connection or of decoding; the errors inside are the caller's */
    int16_t api_key;
    int16_t version;
    void *message;       /* the response struct of wire/messages.h; NULL on error and in raw mode */
    struct bytes frame;  /* all bytes after the length: header and body; null on error */
    struct bytes body;   /* what follows the response header */
    struct arena *arena; /* where the message lives; good until the function returns */
    struct client_connection *connection;
};

typedef void (*client_done_fn)(void *arg, const struct client_response *response);

/* Sends a request struct of wire/messages.h in a version; -1 takes client_connection_version at the
 * time of sending. The struct is encoded at once when the version is known, else it must live until
 * the call is done. An error returned means that `done` will not be called: UNSUPPORTED_VERSION,
 * what the encoder says, or why the connection is dead. */
err_t client_connection_send(struct client_connection *connection, int16_t api_key, int16_t version,
                             const void *request, client_done_fn done, void *arg);

/* As above, with a time of its own: a broker may hold the request back. */
err_t client_connection_send_for(struct client_connection *connection, int16_t api_key,
                                 int16_t version, const void *request, int64_t timeout_ms,
                                 client_done_fn done, void *arg);

/* As client_connection_send, with the bytes of the body given (borrowed for the call). The response
 * is not decoded.
 */
err_t client_connection_send_raw(struct client_connection *connection, int16_t api_key,
                                 int16_t version, struct bytes body, client_done_fn done,
                                 void *arg);

/* Sends a whole frame, header included, as it stands; only its length goes in front. The response
 * is matched by order alone, its frame handed over as it came. */
err_t client_connection_send_frame(struct client_connection *connection, struct bytes frame,
                                   client_done_fn done, void *arg);

/* Like client_connection_send for a request that the broker does not answer (Produce, acks=0):
 * `done` (may be NULL) is called with OK and no message when the socket has taken it. */
err_t client_connection_send_forget(struct client_connection *connection, int16_t api_key,
                                    int16_t version, const void *request, client_done_fn done,
                                    void *arg);

/*
 * Inside a client_done_fn with a frame: its memory becomes the caller's, to be given back with
 * free(*ret_memory). Returns the frame; it stands where it stood, and what points into it stays
 * good, unless the next frame shares its memory already: then this is a copy.
 */
struct bytes client_response_keep(const struct client_response *response, void **ret_memory);

/* Open calls. */
size_t client_connection_pending(const struct client_connection *connection);

/* --- for tools: wait for one call, running the loop on this thread; Linux only --- */

/* The response message is decoded again into `arena` and stays good with it; *ret_message is the
 * struct of the API's response. The frame it borrows from is copied into the arena, too. */
err_t client_call_blocking(struct client_connection *connection, int16_t api_key, int16_t version,
                           const void *request, struct arena *arena, void **ret_message);
err_t client_call_raw_blocking(struct client_connection *connection, int16_t api_key,
                               int16_t version, struct bytes body, struct arena *arena,
                               struct bytes *ret_body);
