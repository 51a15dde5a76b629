/*
 * Lines to nodes, and which of them a request takes.
 *
 * A node has a line (a connection) per lane, made when something is asked on it and closed when it
 * was idle for connections.max.idle.ms. Any end of a connection counts as a failure of its node:
 * no new one is made before reconnect.backoff.ms, doubled with each failure in a row; a connection
 * that comes up ends the row.
 *
 *   line            connection   asks are               left by
 *   -------------   ----------   --------------------   -------------------------------------
 *   closed          NULL                                client_line_open ─► on its way
 *   on its way      not up       in line->waiting       line_up ─► up; line_down ─► closed
 *   up              up           with the connection    line_down, idle ─► closed
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/core_int.h"

enum {
    ADDRESSES_MAX = 16,      /* of one name */
    THROTTLE_MAX_MS = 60000, /* more than a broker's windows of quotas; a lie ends, too */
};

static void line_state(void *arg, struct client_connection *connection, err_t state);
static void line_idle(struct sys_timer *timer);

/* --- the node that any request may go to --- */

/* Smaller is better: up and idle, up, on its way, to be made or not to be asked now. */
static size_t load_of(const struct client_node *node) {
    const struct client_connection *connection = node->lines[CLIENT_LANE_MAIN].connection;
    int64_t now_ms = sys_mono_ms(node->client->sys);
    if (connection == NULL || node->lines[CLIENT_LANE_MAIN].throttled_ms > now_ms) {
        return SIZE_MAX;
    }
    size_t pending = client_connection_pending(connection);
    return client_connection_is_up(connection) ? pending : SIZE_MAX / 2 + pending;
}

struct client_node *client_node_any(struct ottla_client *client, bool bootstrap,
                                    int64_t *ret_retry_ms) {
    bootstrap = bootstrap || client->bootstrapping;
    struct client_node *best = NULL;
    int64_t now_ms = sys_mono_ms(client->sys);
    int64_t retry_ms = INT64_MAX;
    uint64_t equals = 0;
    struct list *link;
    list_for_each (link, &client->nodes) {
        struct client_node *node = container_of(link, struct client_node, link);
        if (bootstrap ? node->broker.id >= 0 : !node->listed) {
            continue;
        }
        size_t load = load_of(node);
        if (load == SIZE_MAX && node->retry_ms > now_ms) {
            retry_ms = node->retry_ms < retry_ms ? node->retry_ms : retry_ms;
            continue;
        }
        if (best == NULL || load < load_of(best)) {
            best = node;
            equals = 1;
        } else if (load == load_of(best) && rng_below(&client->rng, ++equals) == 0) {
            best = node;
        }
    }
    if (best == NULL) {
        *ret_retry_ms = retry_ms;
    }
    return best;
}

/* --- lines --- */

void client_line_init(struct client_line *line, struct client_node *node, enum client_lane lane) {
    line->node = node;
    line->lane = lane;
    list_init(&line->waiting);
    line->idle_timer.fire = line_idle;
}

/* Calls that the connection still has are told CLOSED; asks that wait for it go back. */
void client_line_close(struct client_line *line) {
    struct client_connection *connection = line->connection;
    line->connection = NULL;
    sys_timer_clear(line->node->client->loop, &line->idle_timer);
    client_connection_free(connection);
    client_asks_all_ready(&line->waiting);
}

void client_line_used(struct client_line *line) {
    struct ottla_client *client = line->node->client;
    line->used_ms = sys_loop_now_ms(client->loop);
    int64_t idle_ms = client->settings.connections_max_idle_ms;
    if (idle_ms >= 0 && !sys_timer_is_set(&line->idle_timer)) {
        sys_timer_set(client->loop, &line->idle_timer, line->used_ms + idle_ms);
    }
}

static int32_t throttle_of(const struct wire_struct *shape, const void *message) {
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (field->kind == WIRE_INT32 && strcmp(field->name, "throttleTimeMs") == 0) {
            return *(const int32_t *)((const uint8_t *)message + field->offset);
        }
    }
    return 0;
}

int64_t client_line_throttle(struct client_line *line, int16_t api_key, const void *message) {
    int64_t wait_ms = message == NULL /* there is no answer */
                          ? 0
                          : throttle_of(wire_api(api_key)->response->shape, message);
    if (wait_ms <= 0) {
        return 0;
    }
    wait_ms = wait_ms > THROTTLE_MAX_MS ? THROTTLE_MAX_MS : wait_ms;
    int64_t until_ms = sys_mono_ms(line->node->client->sys) + wait_ms;
    if (until_ms > line->throttled_ms) {
        line->throttled_ms = until_ms;
    }
    return wait_ms;
}

static void line_idle(struct sys_timer *timer) {
    struct client_line *line = container_of(timer, struct client_line, idle_timer);
    struct ottla_client *client = line->node->client;
    int64_t now_ms = sys_loop_now_ms(client->loop);
    int64_t end_ms = line->used_ms + client->settings.connections_max_idle_ms;
    if (line->connection == NULL) {
        return;
    }
    if (client_connection_pending(line->connection) > 0 || !list_empty(&line->waiting)) {
        end_ms = now_ms + client->settings.connections_max_idle_ms;
    }
    if (end_ms > now_ms) {
        sys_timer_set(client->loop, timer, end_ms);
        return;
    }
    client_line_close(line);
    client_nodes_sweep(client);
}

static void node_failed(struct client_node *node) {
    struct ottla_client *client = node->client;
    node->failures++;
    node->retry_ms =
        sys_mono_ms(client->sys) +
        client_backoff_between(client, node->failures, client->settings.reconnect_backoff_ms,
                               client->settings.reconnect_backoff_max_ms);
}

static void note_trouble(struct client_node *node, err_t err, enum ottla_log_level level) {
    struct ottla_client *client = node->client;
    char text[NODE_TEXT_SIZE];
    (void)snprintf(client->trouble, sizeof client->trouble, "%s: %s", client_node_text(node, text),
                   client_connection_text(err));
    client_log(client, level, "%s", client->trouble);
}

static err_t resolve(struct client_node *node, struct sys_address *addresses, size_t *ret_count) {
    char host[CLIENT_HOST_SIZE_MAX + 1];
    if (node->broker.host.size > CLIENT_HOST_SIZE_MAX) {
        return ERR_NOT_FOUND;
    }
    (void)snprintf(host, sizeof host, "%.*s", STR_ARGS(node->broker.host));
    err_t err = sys_resolve(node->client->sys, host, node->broker.port, addresses, ADDRESSES_MAX,
                            ret_count);
    return err == ERR_OK && *ret_count == 0 ? ERR_NOT_FOUND : err;
}

err_t client_line_open(struct client_line *line) {
    struct client_node *node = line->node;
    struct ottla_client *client = node->client;
    if (line->connection != NULL) {
        return client_connection_is_up(line->connection) ? ERR_OK : ERR_PENDING;
    }
    struct sys_address addresses[ADDRESSES_MAX];
    size_t count = 0;
    err_t err = resolve(node, addresses, &count);
    if (err != ERR_OK) {
        node_failed(node);
        note_trouble(node, err, OTTLA_LOG_WARNING);
        return err;
    }
    const struct client_settings *settings = &client->settings;
    struct client_connection_settings made = {
        .sys = client->sys,
        .loop = client->loop,
        .addresses = addresses,
        .address_count = count,
        .client_id = settings->client_id,
        .connect_timeout_ms = client_backoff_between(
            client, node->failures + 1, settings->socket_connection_setup_timeout_ms,
            settings->socket_connection_setup_timeout_max_ms),
        .request_timeout_ms = settings->request_timeout_ms,
        .send_buffer_bytes = settings->send_buffer_bytes,
        .receive_buffer_bytes = settings->receive_buffer_bytes,
        .negotiate = true,
        .on_state = line_state,
        .arg = line,
    };
    line->connection = client_connection_new(&made);
    client_line_used(line);
    return ERR_PENDING;
}

static void learn_features(struct ottla_client *client,
                           const struct client_connection *connection) {
    int64_t epoch;
    int16_t version;
    if (client_connection_transaction_version(connection, &epoch, &version) &&
        epoch > client->features_epoch) {
        client->features_epoch = epoch;
        client->transaction_version = version;
    }
}

int16_t client_transaction_version(const struct ottla_client *client) {
    return client->transaction_version;
}

static void line_up(struct client_line *line) {
    struct client_node *node = line->node;
    node->failures = 0;
    node->retry_ms = 0;
    node->versions_known = true;
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        struct wire_versions *range = &node->versions[key];
        if (!client_connection_versions(line->connection, key, &range->low, &range->high)) {
            *range = (struct wire_versions){.low = 0, .high = -1};
        }
    }
    learn_features(node->client, line->connection);
    struct list waiting;
    list_init(&waiting);
    list_splice_last(&waiting, &line->waiting);
    struct list *link;
    while ((link = list_take_first(&waiting)) != NULL) {
        client_ask_transmit(container_of(link, struct client_asked, link));
    }
}

static void line_down(struct client_line *line, err_t err) {
    struct client_node *node = line->node;
    struct ottla_client *client = node->client;
    struct client_connection *connection = line->connection;
    bool was_up = node->failures == 0 && node->versions_known;
    line->connection = NULL;
    sys_timer_clear(client->loop, &line->idle_timer);
    node_failed(node);
    note_trouble(node, err, was_up ? OTTLA_LOG_INFO : OTTLA_LOG_WARNING);
    if (node->broker.id >= 0) {
        client_metadata_refresh(client); /* the cluster may have changed */
    }
    struct list waiting;
    list_init(&waiting);
    list_splice_last(&waiting, &line->waiting);
    struct list *link;
    while ((link = list_take_first(&waiting)) != NULL) {
        client_ask_failed(container_of(link, struct client_asked, link), err, node);
    }
    client_connection_free(connection);
}

static void line_state(void *arg, struct client_connection *connection, err_t state) {
    struct client_line *line = arg;
    if (line->connection != connection) {
        return; /* it was given up meanwhile */
    }
    if (state == ERR_OK) {
        line_up(line);
    } else {
        line_down(line, state);
    }
}

/* --- what others may know --- */

size_t client_broker_pending(const struct ottla_client *client, int32_t broker_id,
                             enum client_lane lane) {
    const struct client_node *node = client_node_find(client, broker_id);
    if (node == NULL) {
        return SIZE_MAX;
    }
    const struct client_line *line = &node->lines[lane];
    if (line->connection != NULL) {
        return client_connection_pending(line->connection);
    }
    return node->retry_ms > sys_mono_ms(client->sys) ? SIZE_MAX : 0;
}

bool client_broker_version(const struct ottla_client *client, int32_t broker_id, int16_t api_key,
                           int16_t *ret_version) {
    const struct client_node *node = client_node_find(client, broker_id);
    const struct wire_api *api = wire_api(api_key);
    if (node == NULL || api == NULL || !node->versions_known) {
        return false;
    }
    const struct wire_versions *range = &node->versions[api_key];
    int16_t high =
        range->high < api->stable_versions.high ? range->high : api->stable_versions.high;
    if (high < range->low) {
        return false;
    }
    *ret_version = high;
    return true;
}

/* --- lanes of members --- */

enum client_lane client_join_lane_take(struct ottla_client *client) {
    int best = 0;
    for (int i = 1; i < CLIENT_LANE_COUNT - CLIENT_LANE_JOIN; i++) {
        best = client->join_lanes[i] < client->join_lanes[best] ? i : best;
    }
    client->join_lanes[best]++;
    return (enum client_lane)(CLIENT_LANE_JOIN + best);
}

void client_join_lane_give(struct ottla_client *client, enum client_lane lane) {
    assert(lane >= CLIENT_LANE_JOIN);
    client->join_lanes[lane - CLIENT_LANE_JOIN]--;
}
