/* For tools: a call that runs the loop until it is done. */
#include <string.h>

#include "client/connection_int.h"

struct wait {
    struct sys_loop *loop;
    struct arena *arena;
    bool done;
    err_t err;
    void *message;
    struct bytes body;
};

/* Response memory is gone when this returns: what the caller keeps goes to its arena. */
static void on_done(void *arg, const struct client_response *response) {
    struct wait *wait = arg;
    wait->done = true;
    wait->err = response->err;
    if (response->err == ERR_OK) {
        wait->body = arena_bytes(wait->arena, response->body);
        if (wait->body.data == NULL && response->body.size > 0) {
            wait->err = ERR_LIMIT;
        }
    }
    if (wait->err == ERR_OK && response->message != NULL) {
        const struct wire_type *type = wire_api(response->api_key)->response;
        wait->message = arena_alloc_zero(wait->arena, wire_struct_size(type));
        size_t used;
        wait->err = wait->message == NULL ? ERR_LIMIT
                                          : wire_decode(type, response->version, wait->body,
                                                        wait->arena, wait->message, &used);
    }
    sys_loop_stop(wait->loop);
}

err_t client_call_blocking(struct client_connection *connection, int16_t api_key, int16_t version,
                           const void *request, struct arena *arena, void **ret_message) {
    struct wait wait = {.loop = connection->loop, .arena = arena};
    err_t err = client_connection_send(connection, api_key, version, request, on_done, &wait);
    if (err == ERR_OK) {
        while (!wait.done) {
            sys_loop_run(connection->loop);
        }
        err = wait.err;
    }
    if (err == ERR_OK) {
        *ret_message = wait.message;
    }
    return err;
}

err_t client_call_raw_blocking(struct client_connection *connection, int16_t api_key,
                               int16_t version, struct bytes body, struct arena *arena,
                               struct bytes *ret_body) {
    struct wait wait = {.loop = connection->loop, .arena = arena};
    err_t err = client_connection_send_raw(connection, api_key, version, body, on_done, &wait);
    if (err == ERR_OK) {
        while (!wait.done) {
            sys_loop_run(connection->loop);
        }
        err = wait.err;
    }
    if (err == ERR_OK) {
        *ret_body = wait.body;
    }
    return err;
}
