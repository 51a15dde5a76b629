/*
 * Nodes and the lines to them.
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
 *
 * Nodes of bootstrap.servers live as long as the client. Others live while metadata lists them or
 * something is under way on them (client_nodes_sweep).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "config/config.h"

enum {
    ADDRESSES_MAX = 16, /* of one name */
    HOST_SIZE_MAX = 255,
};

static void line_state(void *arg, struct client_connection *connection, err_t state);
static void line_idle(struct sys_timer *timer);

const char *client_node_text(const struct client_node *node, char text[NODE_TEXT_SIZE]) {
    const struct client_broker *broker = &node->broker;
    if (broker->id < 0) {
        (void)snprintf(text, NODE_TEXT_SIZE, "bootstrap server %.*s:%u",
                       (int)(broker->host.size < 100 ? broker->host.size : 100), broker->host.data,
                       (unsigned)broker->port);
    } else {
        (void)snprintf(text, NODE_TEXT_SIZE, "broker %d (%.*s:%u)", (int)broker->id,
                       (int)(broker->host.size < 100 ? broker->host.size : 100), broker->host.data,
                       (unsigned)broker->port);
    }
    return text;
}

/* --- nodes --- */

static struct str copy_text(struct str text) {
    if (text.data == NULL) {
        return STR_NULL;
    }
    char *copy = malloc(text.size + 1);
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return (struct str){.data = copy, .size = text.size};
}

static void free_texts(struct client_broker *broker) {
    free((char *)broker->host.data);
    free((char *)broker->rack.data);
}

static void set_broker(struct client_node *node, const struct client_broker *broker) {
    struct client_broker before = node->broker;
    node->broker = *broker;
    node->broker.host = copy_text(broker->host);
    node->broker.rack = copy_text(broker->rack);
    free_texts(&before);
}

static struct client_node *node_new(struct ottla_client *client,
                                    const struct client_broker *broker) {
    struct client_node *node = calloc(1, sizeof *node);
    node->client = client;
    set_broker(node, broker);
    for (int i = 0; i < CLIENT_LANE_COUNT; i++) {
        struct client_line *line = &node->lines[i];
        line->node = node;
        line->lane = (enum client_lane)i;
        list_init(&line->waiting);
        line->idle_timer.fire = line_idle;
    }
    list_add_last(&client->nodes, &node->link);
    (void)map_put_u64(&client->nodes_by_id, (uint32_t)broker->id, node);
    return node;
}

/* Calls that the connection still has are told CLOSED; asks that wait for it go back. */
static void line_close(struct client_line *line) {
    struct client_connection *connection = line->connection;
    line->connection = NULL;
    sys_timer_clear(line->node->client->loop, &line->idle_timer);
    client_connection_free(connection);
    client_asks_all_ready(&line->waiting);
}

static void node_free(struct client_node *node) {
    for (int i = 0; i < CLIENT_LANE_COUNT; i++) {
        line_close(&node->lines[i]);
    }
    list_remove(&node->link);
    (void)map_remove_u64(&node->client->nodes_by_id, (uint32_t)node->broker.id);
    free_texts(&node->broker);
    free(node);
}

struct client_node *client_node_find(const struct ottla_client *client, int32_t id) {
    return map_get_u64(&client->nodes_by_id, (uint32_t)id);
}

static bool same_address(const struct client_broker *a, const struct client_broker *b) {
    return a->port == b->port && str_equal(a->host, b->host);
}

struct client_node *client_node_learn(struct ottla_client *client,
                                      const struct client_broker *broker) {
    assert(broker->id >= 0);
    struct client_node *node = client_node_find(client, broker->id);
    if (node == NULL) {
        return node_new(client, broker);
    }
    if (same_address(&node->broker, broker)) {
        if (broker->rack.data != NULL && !str_equal(node->broker.rack, broker->rack)) {
            set_broker(node, broker);
        }
        return node;
    }
    set_broker(node, broker);
    node->failures = 0;
    node->retry_ms = 0;
    node->versions_known = false;
    for (int i = 0; i < CLIENT_LANE_COUNT; i++) {
        line_close(&node->lines[i]);
    }
    return node;
}

static bool in_use(const struct client_node *node) {
    for (int i = 0; i < CLIENT_LANE_COUNT; i++) {
        if (node->lines[i].connection != NULL || !list_empty(&node->lines[i].waiting)) {
            return true;
        }
    }
    return false;
}

void client_nodes_sweep(struct ottla_client *client) {
    struct list *link, *after;
    list_for_each (link, &client->asks) {
        struct client_node *node = container_of(link, struct client_asked, all)->node;
        if (node != NULL) {
            node->asked = true;
        }
    }
    list_for_each_safe (link, after, &client->nodes) {
        struct client_node *node = container_of(link, struct client_node, link);
        bool needed = node->broker.id < 0 || node->listed || node->asked || in_use(node);
        node->asked = false;
        if (!needed) {
            node_free(node);
        }
    }
}

/* --- bootstrap.servers --- */

/* host:port, [ipv6]:port; with a protocol in front as in Java's ("PLAINTEXT://host:port"). */
static bool parse_server(struct str text, struct client_broker *ret_broker) {
    const char *scheme = memmem(text.data, text.size, "://", 3);
    if (scheme != NULL) {
        size_t skipped = (size_t)(scheme + 3 - text.data);
        text = (struct str){.data = text.data + skipped, .size = text.size - skipped};
    }
    const char *colon = memrchr(text.data, ':', text.size);
    if (colon == NULL || colon == text.data) {
        return false;
    }
    struct str host = {.data = text.data, .size = (size_t)(colon - text.data)};
    struct str digits = {.data = colon + 1, .size = text.size - host.size - 1};
    if (host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (struct str){.data = host.data + 1, .size = host.size - 2};
    }
    uint32_t port = 0;
    for (size_t i = 0; i < digits.size && i < 6; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(digits.data[i] - '0');
    }
    if (digits.size == 0 || port == 0 || port > UINT16_MAX || host.size == 0 ||
        host.size > HOST_SIZE_MAX) {
        return false;
    }
    *ret_broker = (struct client_broker){.host = host, .port = (uint16_t)port};
    return true;
}

err_t client_pool_init(struct ottla_client *client, struct ottla_error *ret_error) {
    struct str list = str_from_c(client->settings.bootstrap_servers);
    struct str item;
    int32_t id = -1;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (item.size == 0) {
            continue;
        }
        struct client_broker broker;
        if (!parse_server(item, &broker)) {
            return (err_t)client_error_set(ret_error, OTTLA_INVALID,
                                           "Invalid url in bootstrap.servers: %.*s; a server is "
                                           "written as host:port",
                                           STR_ARGS(item));
        }
        broker.id = id--;
        (void)node_new(client, &broker);
    }
    if (list_empty(&client->nodes)) {
        return (err_t)client_error_set(ret_error, OTTLA_INVALID,
                                       "No servers to begin with; set bootstrap.servers to "
                                       "host:port, of one broker or more");
    }
    client->bootstrapping = true;
    return ERR_OK;
}

void client_pool_done(struct ottla_client *client) {
    struct list *link;
    while ((link = list_first(&client->nodes)) != NULL) {
        node_free(container_of(link, struct client_node, link));
    }
    map_done(&client->nodes_by_id);
}

bool client_rebootstrap(struct ottla_client *client, const char *why) {
    if (client->bootstrapping ||
        client->settings.metadata_recovery_strategy != CLIENT_RECOVERY_REBOOTSTRAP) {
        return false;
    }
    client_log(client, OTTLA_LOG_WARNING, "Starting from bootstrap.servers again: %s", why);
    client->bootstrapping = true;
    client->metadata.failing_ms = -1;
    client_metadata_need(client);
    return true;
}

/* --- the node that any request may go to --- */

/* Smaller is better: up and idle, up, on its way, to be made. */
static size_t load_of(const struct client_node *node) {
    const struct client_connection *connection = node->lines[CLIENT_LANE_MAIN].connection;
    if (connection == NULL) {
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

void client_line_used(struct client_line *line) {
    struct ottla_client *client = line->node->client;
    line->used_ms = sys_loop_now_ms(client->loop);
    int64_t idle_ms = client->settings.connections_max_idle_ms;
    if (idle_ms >= 0 && !sys_timer_is_set(&line->idle_timer)) {
        sys_timer_set(client->loop, &line->idle_timer, line->used_ms + idle_ms);
    }
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
    line_close(line);
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

static err_t resolve(struct client_node *node, struct sys_address *addresses, size_t *ret_count) {
    char host[HOST_SIZE_MAX + 1];
    if (node->broker.host.size > HOST_SIZE_MAX) {
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
    char text[NODE_TEXT_SIZE];
    client_log(client, was_up ? OTTLA_LOG_INFO : OTTLA_LOG_WARNING,
               "The connection to %s ended: %s", client_node_text(node, text), err_text(err));
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
