#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stress.h"
#include "sys/linux.h"
#include "wire/api.h"
#include "wire/json.h"

enum { RETRY_MS = 50, CONNECT_MS = 2000, CALL_MS = 60 * 1000 };

static void must(err_t err) {
    if (err != ERR_OK) {
        fprintf(stderr, "the client cannot be made: %s\n", err_text(err));
        abort();
    }
}

void client_open(struct client *client, struct stress *stress, uint64_t seed) {
    *client = (struct client){.stress = stress};
    rng_init(&client->rng, seed);
    must(sys_linux_new(&client->sys));
    must(sys_loop_new(client->sys, "client", &client->loop));
    arena_init(&client->arena, SIZE_MAX);
}

void client_close(struct client *client) {
    client_disconnect(client);
    sys_timer_clear(client->loop, &client->pause);
    arena_done(&client->arena);
    sys_loop_free(client->loop);
    sys_linux_free(client->sys);
}

static void pause_over(struct sys_timer *timer) {
    struct client *client = container_of(timer, struct client, pause);
    sys_loop_stop(client->loop);
}

void client_wait(struct client *client, int64_t ms) {
    client->pause.fire = pause_over;
    sys_timer_set(client->loop, &client->pause, sys_mono_ms(client->sys) + ms);
    sys_loop_run(client->loop);
    sys_timer_clear(client->loop, &client->pause);
}

static void state_changed(void *arg, struct client_connection *connection, err_t state) {
    (void)connection;
    (void)state;
    struct client *client = arg;
    sys_loop_stop(client->loop);
}

static bool try_connect(struct client *client) {
    struct sys_address address = {.ip = {127, 0, 0, 1}, .port = client->stress->node.port};
    struct client_connection_settings settings = {
        .sys = client->sys,
        .loop = client->loop,
        .addresses = &address,
        .address_count = 1,
        .client_id = "stress",
        .connect_timeout_ms = CONNECT_MS,
        .request_timeout_ms = CALL_MS,
        .negotiate = true,
        .on_state = state_changed,
        .arg = client,
    };
    client->connection = client_connection_new(&settings);
    while (!client_connection_is_up(client->connection) &&
           client_connection_error(client->connection) == ERR_OK) {
        client_wait(client, CALL_MS);
    }
    return client_connection_is_up(client->connection);
}

/* Whether it is not worth to connect any more. */
static bool is_over(struct client *client) {
    return client->patient ? !node_process_runs(&client->stress->node)
                           : stress_is_ending(client->stress);
}

bool client_connect(struct client *client) {
    if (client->connection != NULL && client_connection_error(client->connection) == ERR_OK) {
        return !is_over(client);
    }
    while (!is_over(client)) {
        client_disconnect(client);
        if (try_connect(client)) {
            atomic_fetch_add(&client->stress->reconnects, 1);
            return true;
        }
        client_wait(client, RETRY_MS);
    }
    return false;
}

void client_disconnect(struct client *client) {
    client_connection_free(client->connection);
    client->connection = NULL;
}

err_t client_call(struct client *client, int16_t api_key, const void *request,
                  void **ret_response) {
    if (!client_connect(client)) {
        return ERR_CLOSED;
    }
    arena_reset(&client->arena);
    err_t err = client_call_blocking(client->connection, api_key, -1, request, &client->arena,
                                     ret_response);
    if (err != ERR_OK) {
        client_disconnect(client);
    }
    return err;
}

err_t client_call_json(struct client *client, const char *api_name, void **ret_response,
                       const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    if (!client_connect(client)) {
        return ERR_CLOSED;
    }
    const struct wire_api *api = wire_api_by_name(str_from_c(api_name));
    json_t *json = json_loads(text, 0, NULL);
    struct buffer error = {0};
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    void *request = arena_alloc_zero(&arena, wire_struct_size(api->request));
    int16_t version = 0;
    err_t err = client_connection_version(client->connection, api->key, &version);
    if (err != ERR_OK) {
        version = api->stable_versions.high;
    }
    err = json == NULL ? ERR_INVALID
                       : wire_from_json(api->request, version, json, &arena, request, &error);
    if (err != ERR_OK) {
        fprintf(stderr, "%s %s: %.*s\n", api_name, text, (int)error.size, (char *)error.data);
        abort();
    }
    err = client_call(client, api->key, request, ret_response);
    json_decref(json);
    buffer_done(&error);
    arena_done(&arena);
    return err;
}

int64_t client_offset(struct client *client, const char *topic, int32_t partition, int timestamp) {
    void *answer;
    err_t err = client_call_json(client, "ListOffsets", &answer,
                                 "{\"replicaId\": -1, \"topics\": [{\"name\": \"%s\", "
                                 "\"partitions\": [{\"partitionIndex\": %d, \"timestamp\": %d}]}]}",
                                 topic, (int)partition, timestamp);
    if (err != ERR_OK) {
        return -1;
    }
    const struct list_offsets_response *response = answer;
    return response->topics[0].partitions[0].error_code == 0
               ? response->topics[0].partitions[0].offset
               : -1;
}
