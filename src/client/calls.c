/* A request's frame, and what becomes of its response. */
#include <assert.h>
#include <stdlib.h>

#include "client/connection_int.h"
#include "wire/messages.h"

enum { UNSUPPORTED_VERSION_CODE = 35 };

void client_call_free(struct client_call *call) {
    buffer_done(&call->frame);
    free(call);
}

static err_t encode_header(struct client_connection *connection, const struct client_call *call,
                           struct buffer *out) {
    int16_t header_version = wire_request_header_version(call->api_key, call->version);
    if (header_version < 0) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct request_header header;
    wire_init(&request_header_type, &header);
    header.request_api_key = call->api_key;
    header.request_api_version = call->version;
    header.correlation_id = call->correlation_id;
    header.client_id = str_from_c(connection->client_id);
    return wire_encode(&request_header_type, header_version, &header, out);
}

static err_t encode_body(const struct client_call *call, const void *request, struct bytes raw,
                         struct buffer *out) {
    if (call->mode == CALL_FRAME || call->mode == CALL_RAW) {
        buffer_add(out, raw.data, raw.size);
        return ERR_OK;
    }
    const struct wire_api *api = wire_api(call->api_key);
    return api == NULL || api->request == NULL
               ? ERR_UNSUPPORTED_VERSION
               : wire_encode(api->request, call->version, request, out);
}

err_t client_call_encode(struct client_connection *connection, const struct client_call *call,
                         const void *request, struct bytes raw, struct buffer *out) {
    size_t start = out->size;
    (void)buffer_extend(out, 4);
    err_t err = call->mode == CALL_FRAME ? ERR_OK : encode_header(connection, call, out);
    if (err == ERR_OK) {
        err = encode_body(call, request, raw, out);
    }
    size_t size = out->size - start - 4;
    if (err == ERR_OK && size > INT32_MAX) {
        err = ERR_LIMIT;
    }
    if (err != ERR_OK) {
        out->size = start;
        return err;
    }
    put_be32(out->data + start, (uint32_t)size);
    return ERR_OK;
}

/* --- responses --- */

/* Ends the call: its function is the last that hears of it. */
static void finish(struct client_connection *connection, struct client_call *call,
                   const struct client_response *response) {
    connection->call_count--;
    client_done_fn done = call->done;
    void *arg = call->arg;
    client_call_free(call);
    if (done != NULL) {
        done(arg, response);
    }
}

void client_call_end(struct client_connection *connection, struct client_call *call, err_t err) {
    struct client_response response = {
        .err = err, .api_key = call->api_key, .version = call->version, .connection = connection};
    finish(connection, call, &response);
}

/* A broker that does not have the version of an ApiVersions request answers in version 0. */
static int16_t answered_version(const struct client_call *call, struct bytes body) {
    bool refused = call->api_key == API_API_VERSIONS && body.size >= 2 &&
                   get_be16(body.data) == UNSUPPORTED_VERSION_CODE;
    return refused ? 0 : call->version;
}

static err_t read_header(const struct client_call *call, struct bytes frame,
                         struct bytes *ret_body) {
    struct arena arena;
    arena_init(&arena, wire_decode_bound(frame.size));
    struct response_header header;
    size_t used;
    int16_t version = wire_response_header_version(call->api_key, call->version);
    err_t err = wire_decode(&response_header_type, version, frame, &arena, &header, &used);
    arena_done(&arena);
    if (err != ERR_OK || header.correlation_id != call->correlation_id) {
        return ERR_MALFORMED;
    }
    *ret_body = (struct bytes){.data = frame.data + used, .size = frame.size - used};
    return ERR_OK;
}

static void decode_and_finish(struct client_connection *connection, struct client_call *call,
                              struct client_response *response) {
    const struct wire_api *api = wire_api(call->api_key);
    struct arena arena;
    arena_init(&arena, wire_decode_bound(response->body.size) + wire_struct_size(api->response));
    void *message = arena_alloc_zero(&arena, wire_struct_size(api->response));
    size_t used;
    response->version = answered_version(call, response->body);
    response->err =
        wire_decode(api->response, response->version, response->body, &arena, message, &used);
    if (response->err == ERR_OK) {
        response->message = message;
        response->arena = &arena;
    }
    finish(connection, call, response);
    arena_done(&arena);
}

err_t client_call_finish(struct client_connection *connection, struct client_call *call,
                         struct bytes frame) {
    struct client_response response = {.api_key = call->api_key,
                                       .version = call->version,
                                       .frame = frame,
                                       .connection = connection};
    if (call->mode == CALL_FRAME) {
        finish(connection, call, &response);
        return ERR_OK;
    }
    err_t err = read_header(call, frame, &response.body);
    if (err != ERR_OK) {
        client_call_end(connection, call, err);
        return err;
    }
    if (call->mode == CALL_RAW) {
        response.version = answered_version(call, response.body);
        finish(connection, call, &response);
    } else {
        decode_and_finish(connection, call, &response);
    }
    return ERR_OK;
}
