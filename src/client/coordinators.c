/*
 * Who coordinates a group or a transactional id: asked with FindCoordinator, kept until somebody
 * says that it moved or its connection is lost.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "wire/messages.h"

enum {
    COORDINATORS_MAX = 4096, /* then those that nobody asks now are forgotten */
    LOOKUP_TIMEOUT_MS = 60 * 1000,
    BATCHED_VERSION = 4, /* of FindCoordinator, from which on it takes a list of keys */
};

static void free_coordinator(struct client_coordinator *coordinator) {
    free((char *)coordinator->key.data);
    free(coordinator);
}

static void forget_unused(struct ottla_client *client) {
    struct client_coordinator *coordinator;
    size_t cursor;
    map_for_each (&client->coordinators, cursor, coordinator) {
        if (coordinator->asked_count == 0 && coordinator->lookup == NULL) {
            (void)map_remove(&client->coordinators, str_bytes(coordinator->key));
            free_coordinator(coordinator);
        }
    }
}

struct client_coordinator *client_coordinator_of(struct ottla_client *client, enum client_role role,
                                                 struct str id) {
    char *text = malloc(id.size + 2);
    text[0] = role == CLIENT_GROUP ? 'g' : 't';
    memcpy(text + 1, id.data, id.size);
    text[id.size + 1] = 0;
    struct str key = {.data = text, .size = id.size + 1};
    struct client_coordinator *coordinator = map_get(&client->coordinators, str_bytes(key));
    if (coordinator != NULL) {
        free(text);
        return coordinator;
    }
    if (map_count(&client->coordinators) >= COORDINATORS_MAX) {
        forget_unused(client);
    }
    coordinator = calloc(1, sizeof *coordinator);
    coordinator->client = client;
    coordinator->role = role;
    coordinator->key = key;
    coordinator->broker_id = -1;
    list_init(&coordinator->waiting);
    (void)map_put(&client->coordinators, str_bytes(key), coordinator);
    return coordinator;
}

void client_coordinator_forget(struct client_coordinator *coordinator, int32_t broker_id) {
    if (coordinator->broker_id == broker_id) {
        coordinator->broker_id = -1;
    }
}

void client_coordinators_done(struct ottla_client *client) {
    struct client_coordinator *coordinator;
    size_t cursor;
    map_for_each (&client->coordinators, cursor, coordinator) {
        assert(list_empty(&coordinator->waiting));
        (void)map_remove(&client->coordinators, str_bytes(coordinator->key));
        free_coordinator(coordinator);
    }
    map_done(&client->coordinators);
}

/* --- looking --- */

static struct str id_of(const struct client_coordinator *coordinator) {
    return (struct str){.data = coordinator->key.data + 1, .size = coordinator->key.size - 1};
}

static err_t build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                   const void **ret_request) {
    (void)broker_id;
    const struct client_coordinator *coordinator = arg;
    struct find_coordinator_request *request = ARENA_NEW(arena, struct find_coordinator_request);
    wire_init(&find_coordinator_request_type, request);
    request->key_type = coordinator->role == CLIENT_GROUP ? 0 : 1;
    if (version >= BATCHED_VERSION) {
        request->coordinator_keys = ARENA_NEW(arena, struct str);
        request->coordinator_keys[0] = id_of(coordinator);
        request->coordinator_keys_count = 1;
    } else {
        request->key = id_of(coordinator);
    }
    *ret_request = request;
    return ERR_OK;
}

/* The one row that was asked for; NULL when the broker left it out. */
static const struct find_coordinator_response_coordinator *
row_of(int16_t version, const struct find_coordinator_response *response,
       struct find_coordinator_response_coordinator *single) {
    if (version >= BATCHED_VERSION) {
        return response->coordinators_count == 1 ? &response->coordinators[0] : NULL;
    }
    *single = (struct find_coordinator_response_coordinator){
        .node_id = response->node_id,
        .host = response->host,
        .port = response->port,
        .error_code = response->error_code,
        .error_message = response->error_message,
    };
    return single;
}

static bool is_sound(const struct find_coordinator_response_coordinator *row) {
    return row->node_id >= 0 && row->host.size > 0 && row->port > 0 && row->port <= UINT16_MAX;
}

static err_t judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    struct find_coordinator_response_coordinator single;
    const struct find_coordinator_response_coordinator *row = row_of(version, response, &single);
    if (row == NULL) {
        return ERR_MALFORMED;
    }
    err_t err = err_from_kafka_code(row->error_code);
    return err == ERR_OK && !is_sound(row) ? ERR_COORDINATOR_NOT_AVAILABLE : err;
}

static void found(struct client_coordinator *coordinator, int16_t version, const void *response) {
    struct find_coordinator_response_coordinator single;
    const struct find_coordinator_response_coordinator *row = row_of(version, response, &single);
    struct client_broker broker = {
        .id = row->node_id, .host = row->host, .port = (uint16_t)row->port};
    (void)client_node_learn(coordinator->client, &broker);
    coordinator->broker_id = row->node_id;
    client_log(coordinator->client, OTTLA_LOG_DEBUG, "The coordinator of %.*s is broker %d",
               STR_ARGS(id_of(coordinator)), (int)row->node_id);
    client_asks_all_ready(&coordinator->waiting);
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct client_coordinator *coordinator = arg;
    coordinator->lookup = NULL;
    err_t err = answer->err;
    if (err == ERR_OK) {
        err = judge(NULL, answer->version, answer->response);
    }
    if (err == ERR_OK) {
        found(coordinator, answer->version, answer->response);
        return;
    }
    struct list waiting;
    list_init(&waiting);
    list_splice_last(&waiting, &coordinator->waiting);
    struct list *link;
    while ((link = list_take_first(&waiting)) != NULL) {
        client_ask_unroutable(container_of(link, struct client_asked, link), err, answer->text);
    }
}

void client_coordinator_look(struct client_coordinator *coordinator) {
    if (coordinator->lookup != NULL) {
        return;
    }
    coordinator->lookup = client_ask(coordinator->client, &(struct client_ask){
                                                              .role = CLIENT_ANY_BROKER,
                                                              .lane = CLIENT_LANE_MAIN,
                                                              .api_key = API_FIND_COORDINATOR,
                                                              .version_max = -1,
                                                              .build = build,
                                                              .judge = judge,
                                                              .timeout_ms = LOOKUP_TIMEOUT_MS,
                                                              .done = on_answer,
                                                              .arg = coordinator,
                                                          });
}
