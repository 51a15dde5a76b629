/* Sending: a call gets its frame, at once or when the broker's versions are known, and a place in
 * one of the connection's queues. */
#include <assert.h>
#include <stdlib.h>

#include "client/connection_int.h"

struct client_call *client_call_new(struct client_connection *connection, enum call_mode mode,
                                    int16_t api_key, int16_t version, client_done_fn done,
                                    void *arg) {
    struct client_call *call = calloc(1, sizeof *call);
    call->mode = mode;
    call->api_key = api_key;
    call->version = version;
    call->correlation_id = connection->next_correlation_id++;
    connection->next_correlation_id &= INT32_MAX;
    call->deadline_ms = sys_mono_ms(connection->sys) + connection->request_timeout_ms;
    call->done = done;
    call->arg = arg;
    connection->call_count++;
    return call;
}

void client_enqueue(struct client_connection *connection, struct client_call *call) {
    client_post(connection);
    if (call->mode == CALL_FORGET) {
        call->written_end = connection->written + connection->out.size - connection->out_sent;
        list_add_last(&connection->leaving, &call->link);
    } else {
        list_add_last(&connection->sent, &call->link);
    }
    client_watch_call(connection, call);
}

static err_t send_call(struct client_connection *connection, enum call_mode mode, int16_t api_key,
                       int16_t version, const void *request, struct bytes raw, int64_t timeout_ms,
                       client_done_fn done, void *arg) {
    err_t err = client_connection_error(connection);
    bool later = version < 0 && connection->negotiate && connection->state != CLIENT_UP;
    if (err == ERR_OK && version < 0 && !later) {
        err = client_connection_version(connection, api_key, &version);
    }
    if (err != ERR_OK) {
        return err;
    }
    struct client_call *call = client_call_new(connection, mode, api_key, version, done, arg);
    if (timeout_ms > 0) {
        call->deadline_ms = sys_mono_ms(connection->sys) + timeout_ms;
    }
    bool up = connection->state == CLIENT_UP;
    call->request = request;
    if (!later) {
        struct buffer *out = up ? &connection->out : &call->frame;
        err = client_call_encode(connection, call, request, raw, out);
    }
    if (err != ERR_OK) {
        connection->call_count--;
        client_call_free(call);
        return err;
    }
    if (up) {
        client_enqueue(connection, call);
    } else {
        list_add_last(&connection->waiting, &call->link);
        client_watch_call(connection, call);
    }
    return ERR_OK;
}

err_t client_connection_send(struct client_connection *connection, int16_t api_key, int16_t version,
                             const void *request, client_done_fn done, void *arg) {
    return send_call(connection, CALL_STRUCT, api_key, version, request, (struct bytes){0}, 0, done,
                     arg);
}

err_t client_connection_send_for(struct client_connection *connection, int16_t api_key,
                                 int16_t version, const void *request, int64_t timeout_ms,
                                 client_done_fn done, void *arg) {
    return send_call(connection, CALL_STRUCT, api_key, version, request, (struct bytes){0},
                     timeout_ms, done, arg);
}

err_t client_connection_send_raw(struct client_connection *connection, int16_t api_key,
                                 int16_t version, struct bytes body, client_done_fn done,
                                 void *arg) {
    assert(version >= 0);
    return send_call(connection, CALL_RAW, api_key, version, NULL, body, 0, done, arg);
}

err_t client_connection_send_frame(struct client_connection *connection, struct bytes frame,
                                   client_done_fn done, void *arg) {
    return send_call(connection, CALL_FRAME, 0, 0, NULL, frame, 0, done, arg);
}

err_t client_connection_send_forget(struct client_connection *connection, int16_t api_key,
                                    int16_t version, const void *request, client_done_fn done,
                                    void *arg) {
    return send_call(connection, CALL_FORGET, api_key, version, request, (struct bytes){0}, 0, done,
                     arg);
}
