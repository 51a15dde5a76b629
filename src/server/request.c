#include "server/request.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "server/listener.h"
#include "server/node_int.h"
#include "server/request_metrics.h"

enum { REQUEST_POOL_MAX = 64 };

struct request *request_new(struct reactor *reactor, struct net_request *net) {
    struct list *link = list_take_first(&reactor->free_requests);
    struct request *request;
    if (link != NULL) {
        request = container_of(link, struct request, link);
        reactor->free_request_count--;
    } else {
        request = calloc(1, sizeof *request);
        arena_init(&request->arena, SIZE_MAX);
    }
    request->net = net;
    request->reactor = reactor;
    request->node = reactor->node;
    net_request_set_context(net, request);
    return request;
}

void request_free(struct request *request) {
    struct reactor *reactor = request->reactor;
    struct arena arena = request->arena;
    if (reactor->free_request_count == REQUEST_POOL_MAX) {
        arena_done(&arena);
        free(request);
        return;
    }
    arena_reset(&arena);
    arena.bound = SIZE_MAX;
    *request = (struct request){.arena = arena};
    list_add_first(&reactor->free_requests, &request->link);
    reactor->free_request_count++;
}

void requests_free(struct reactor *reactor) {
    struct list *link;
    while ((link = list_take_first(&reactor->free_requests)) != NULL) {
        struct request *request = container_of(link, struct request, link);
        arena_done(&request->arena);
        free(request);
    }
    reactor->free_request_count = 0;
}

/* The response header: the correlation id, and an empty tag block in flexible versions. */
static void encode_header(const struct request *request, struct buffer *out) {
    uint8_t *header = buffer_extend(out, 4);
    put_be32(header, (uint32_t)request->correlation_id);
    if (wire_response_header_version(request->api->key, request->version) == 1) {
        *buffer_extend(out, 1) = 0;
    }
}

static void fail_encoding(struct request *request, err_t err) {
    text_log_error(request->node->text_log, "server",
                   "The answer to %s version %d cannot be encoded (%s); closing the connection",
                   request->api->name, request->version, err_name(err));
    request_close(request, "its answer cannot be encoded");
}

void request_respond(struct request *request, const void *response) {
    struct buffer out = {0};
    request_metrics_answered(request->node->request_metrics, request, response);
    encode_header(request, &out);
    err_t err = wire_encode(request->api->response, request->version, response, &out);
    if (err != ERR_OK) {
        buffer_done(&out);
        fail_encoding(request, err);
        return;
    }
    net_request_drop_frame(request->net); /* the client may take its time with the answer */
    net_answer_buffer(request->net, &out);
}

static void free_memory(void *arg) {
    free(arg);
}

void request_respond_files(struct request *request, const void *response,
                           const struct request_file *files, size_t file_count) {
    struct buffer out = {0};
    struct wire_gap *gaps = ARENA_ARRAY(&request->arena, struct wire_gap, file_count + 1);
    size_t gap_count = 0;
    request_metrics_answered(request->node->request_metrics, request, response);
    encode_header(request, &out);
    err_t err = wire_encode_with_gaps(request->api->response, request->version, response, &out,
                                      gaps, file_count, &gap_count);
    assert(err != ERR_OK || gap_count == file_count);
    if (err != ERR_OK) {
        buffer_done(&out);
        for (size_t i = 0; i < file_count; i++) {
            files[i].release(files[i].arg);
        }
        fail_encoding(request, err);
        return;
    }
    struct net_part *parts = ARENA_ARRAY(&request->arena, struct net_part, 2 * file_count + 1);
    int count = 0;
    size_t done = 0;
    for (size_t i = 0; i < file_count; i++) {
        assert(gaps[i].size == files[i].size);
        if (files[i].size == 0) {
            files[i].release(files[i].arg);
            continue;
        }
        parts[count++] =
            (struct net_part){.data = out.data + done, .size = gaps[i].position - done};
        parts[count++] = (struct net_part){.file = files[i].file,
                                           .position = files[i].position,
                                           .size = files[i].size,
                                           .release = files[i].release,
                                           .arg = files[i].arg};
        done = gaps[i].position;
    }
    size_t size;
    uint8_t *memory = buffer_steal(&out, &size);
    parts[count++] = (struct net_part){
        .data = memory + done, .size = size - done, .release = free_memory, .arg = memory};
    net_request_drop_frame(request->net);
    net_answer(request->net, parts, count);
}

void request_respond_nothing(struct request *request) {
    net_answer_nothing(request->net);
}

void request_close(struct request *request, const char *reason) {
    struct net_connection *connection = net_request_connection(request->net);
    char peer[SYS_ADDRESS_TEXT_MAX];
    sys_address_format(net_connection_peer(connection), peer);
    text_log_info(request->node->text_log, "server", "Closing the connection of %s: %s", peer,
                  reason);
    net_connection_close(connection);
    net_answer_nothing(request->net);
}

bool request_on_controller(const struct request *request) {
    const struct listener *listener =
        net_connection_listener_settings(net_request_connection(request->net))->context;
    return listener->controller;
}

struct str request_listener(const struct request *request) {
    const struct listener *listener =
        net_connection_listener_settings(net_request_connection(request->net))->context;
    return listener->name;
}
