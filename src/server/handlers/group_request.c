#include "server/handlers/group_request.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "server/node_int.h"

/* As Java shows an address without a name: "/127.0.0.1". */
static struct str client_host(struct request *request) {
    char text[SYS_ADDRESS_TEXT_MAX];
    const struct sys_address *peer = net_connection_peer(net_request_connection(request->net));
    sys_address_format(peer, text);
    const char *start = text + (text[0] == '[');
    const char *end = text[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
    return arena_printf(&request->arena, "/%.*s", (int)(end - start), start);
}

static struct coord_call make_call(struct request *request, struct str host, const void *message,
                                   struct arena *arena, void (*done)(struct coord_call *call)) {
    return (struct coord_call){
        .api_key = request->api->key,
        .version = request->version,
        .client_id = request->client_id,
        .client_host = host,
        .arena = arena,
        .request = message,
        .loop = request->reactor->loop,
        .done = done,
    };
}

/* --- one group or transaction --- */

static void done(struct coord_call *call) {
    struct group_request *sent = container_of(call, struct group_request, call);
    sent->request->cancel = NULL;
    if (sent->finish != NULL) {
        sent->finish(sent);
    } else {
        request_respond(sent->request, call->response);
    }
}

static void cancel(struct request *request) {
    struct group_request *sent = request->context;
    coord_cancel(&sent->call);
}

/* The request was parked. */
static struct group_request *make(struct request *request, int16_t api_key, const void *message,
                                  void *context,
                                  void (*finish)(struct group_request *group_request)) {
    struct group_request *sent = ARENA_NEW(&request->arena, struct group_request);
    sent->call = make_call(request, client_host(request), message, &request->arena, done);
    sent->call.api_key = api_key;
    sent->request = request;
    sent->finish = finish;
    sent->context = context;
    request->context = sent;
    request->cancel = cancel;
    return sent;
}

static void send(struct request *request, struct coord *coord, int16_t api_key, const void *message,
                 void *context, void (*finish)(struct group_request *group_request)) {
    net_request_park(request->net);
    coord_submit(coord, &make(request, api_key, message, context, finish)->call);
}

void group_request_send_verified(struct request *request, const void *message,
                                 const struct partition_txn *txn, void *context,
                                 void (*finish)(struct group_request *group_request)) {
    struct group_request *sent = make(request, request->api->key, message, context, finish);
    sent->call.txn = txn;
    coord_submit(request->node->coord, &sent->call);
}

void group_request_send(struct request *request, const void *message, void *context,
                        void (*finish)(struct group_request *group_request)) {
    send(request, request->node->coord, request->api->key, message, context, finish);
}

void txn_request_send(struct request *request, int16_t api_key, const void *message, void *context,
                      void (*finish)(struct group_request *group_request)) {
    send(request, request->node->transactions, api_key, message, context, finish);
}

void group_request_pass(struct request *request) {
    group_request_send(request, request->message, NULL, NULL);
}

void group_request_pass_long(struct request *request) {
    const struct wire_type *type = request->api->request;
    void *copy = arena_alloc(&request->arena, wire_struct_size(type));
    (void)wire_copy(type, request->message, &request->arena, copy); /* the arena has no bound */
    request->client_id = arena_str(&request->arena, request->client_id);
    request->message = copy;
    net_request_drop_frame(request->net);
    group_request_pass(request);
}

/* --- many --- */

static struct group_fan *fan_new(struct request *request, struct coord *coord, int32_t parts_max) {
    struct group_fan *fan = ARENA_NEW(&request->arena, struct group_fan);
    fan->request = request;
    fan->coord = coord;
    fan->parts = ARENA_ARRAY(&request->arena, struct group_part, parts_max);
    return fan;
}

static struct group_fan *fan_all(struct request *request, struct coord *coord) {
    int32_t count = coord_partition_count(coord);
    struct group_fan *fan = fan_new(request, coord, count);
    fan->part_count = count;
    for (int32_t i = 0; i < count; i++) {
        fan->parts[i].shard = i;
    }
    return fan;
}

static struct group_fan *fan_by_shard(struct request *request, struct coord *coord,
                                      const struct str *ids, int32_t count) {
    struct arena *arena = &request->arena;
    int32_t shard_count = coord_partition_count(coord);
    int32_t *shards = ARENA_ARRAY(arena, int32_t, count);
    struct group_part **by_shard = ARENA_ARRAY(arena, struct group_part *, shard_count);
    struct group_fan *fan = fan_new(request, coord, count < shard_count ? count : shard_count);
    int32_t *counts = ARENA_ARRAY(arena, int32_t, shard_count);
    for (int32_t i = 0; i < count; i++) {
        shards[i] = coord_partition(coord, ids[i]) % shard_count;
        counts[shards[i]]++;
    }
    for (int32_t i = 0; i < count; i++) {
        struct group_part *part = by_shard[shards[i]];
        if (part == NULL) {
            part = by_shard[shards[i]] = &fan->parts[fan->part_count++];
            part->shard = shards[i];
            part->places = ARENA_ARRAY(arena, int32_t, counts[shards[i]]);
        }
        part->places[part->count++] = i;
    }
    return fan;
}

struct group_fan *group_fan_new_all(struct request *request) {
    return fan_all(request, request->node->coord);
}

struct group_fan *txn_fan_new_all(struct request *request) {
    return fan_all(request, request->node->transactions);
}

struct group_fan *group_fan_new(struct request *request, const struct str *ids, int32_t count) {
    return fan_by_shard(request, request->node->coord, ids, count);
}

struct group_fan *txn_fan_new(struct request *request, const struct str *ids, int32_t count) {
    return fan_by_shard(request, request->node->transactions, ids, count);
}

struct group_fan *txn_fan_new_each(struct request *request, const struct str *ids, int32_t count) {
    struct coord *coord = request->node->transactions;
    struct group_fan *fan = fan_new(request, coord, count);
    int32_t *places = ARENA_ARRAY(&request->arena, int32_t, count);
    fan->part_count = count;
    for (int32_t i = 0; i < count; i++) {
        places[i] = i;
        fan->parts[i].shard = coord_partition(coord, ids[i]);
        fan->parts[i].places = &places[i];
        fan->parts[i].count = 1;
    }
    return fan;
}

/* `finish` responds, and with that the request and the fan in its arena may be gone; the answer was
 * made of what is in the parts' arenas, so these go last. */
static void fan_finish(struct group_fan *fan) {
    int32_t count = fan->part_count;
    struct arena *arenas = calloc((size_t)count + 1, sizeof *arenas);
    assert(arenas != NULL);
    for (int32_t i = 0; i < count; i++) {
        arenas[i] = fan->parts[i].arena;
    }
    fan->finish(fan);
    for (int32_t i = 0; i < count; i++) {
        arena_done(&arenas[i]);
    }
    free(arenas);
}

static void part_done(struct coord_call *call) {
    struct group_fan *fan = container_of(call, struct group_part, call)->fan;
    fan->pending--;
    if (fan->pending == 0) {
        fan_finish(fan);
    }
}

void group_fan_send(struct group_fan *fan, void (*finish)(struct group_fan *fan)) {
    struct request *request = fan->request;
    fan->finish = finish;
    if (fan->part_count == 0) {
        fan_finish(fan);
        return;
    }
    struct str host = client_host(request);
    int32_t count = fan->part_count;
    fan->pending = count;
    atomic_init(&fan->room, SERVER_ANSWER_BYTES_MAX);
    net_request_park(request->net);
    for (int32_t i = 0; i < count; i++) { /* no answer comes before the loop's next task */
        struct group_part *part = &fan->parts[i];
        part->fan = fan;
        arena_init(&part->arena, SIZE_MAX);
        part->call = make_call(request, host, part->message, &part->arena, part_done);
        part->call.room = &fan->room;
        coord_submit_to(fan->coord, &part->call, part->shard);
    }
}
