/*
 * The nodes that a client knows: those of bootstrap.servers, which live as long as it does, and
 * those that metadata or a coordinator's answer named, which live while metadata lists them or
 * something is under way on them (client_nodes_sweep). pool.c has the connections to them.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "config/config.h"

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
        client_line_init(&node->lines[i], node, (enum client_lane)i);
    }
    list_add_last(&client->nodes, &node->link);
    (void)map_put_u64(&client->nodes_by_id, (uint32_t)broker->id, node);
    return node;
}

static void node_free(struct client_node *node) {
    for (int i = 0; i < CLIENT_LANE_COUNT; i++) {
        client_line_close(&node->lines[i]);
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
        client_line_close(&node->lines[i]);
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

static struct str without_scheme(struct str text) {
    for (size_t i = 0; i + 3 <= text.size; i++) {
        if (memcmp(text.data + i, "://", 3) == 0) {
            return (struct str){.data = text.data + i + 3, .size = text.size - i - 3};
        }
    }
    return text;
}

static bool parse_port(struct str digits, uint16_t *ret_port) {
    uint32_t port = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || port > UINT16_MAX) {
            return false;
        }
        port = port * 10 + (uint32_t)(digits.data[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

bool client_server_parse(struct str text, struct str *ret_host, uint16_t *ret_port) {
    text = without_scheme(text);
    size_t host_size = text.size;
    while (host_size > 0 && text.data[host_size - 1] != ':') {
        host_size--;
    }
    if (host_size < 2) {
        return false; /* no colon, or nothing before it */
    }
    struct str digits = {.data = text.data + host_size, .size = text.size - host_size};
    struct str host = {.data = text.data, .size = host_size - 1};
    if (host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (struct str){.data = host.data + 1, .size = host.size - 2};
    }
    *ret_host = host;
    return host.size > 0 && host.size <= CLIENT_HOST_SIZE_MAX && parse_port(digits, ret_port);
}

static err_t add_servers(struct ottla_client *client, const char *setting, const char *servers,
                         struct ottla_error *ret_error) {
    struct str list = str_from_c(servers);
    struct str item;
    int32_t id = -1;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        struct client_broker broker = {0};
        if (item.size == 0) {
            continue;
        }
        if (!client_server_parse(item, &broker.host, &broker.port)) {
            return (err_t)client_error_set(ret_error, OTTLA_INVALID,
                                           "Invalid url in %s: %.*s; a server is written as "
                                           "host:port",
                                           setting, STR_ARGS(item));
        }
        broker.id = id--;
        (void)node_new(client, &broker);
    }
    return ERR_OK;
}

err_t client_pool_init(struct ottla_client *client, struct ottla_error *ret_error) {
    const char *brokers = client->settings.bootstrap_servers;
    const char *controllers = client->settings.bootstrap_controllers;
    if (brokers[0] != 0 && controllers[0] != 0) {
        return (err_t)client_error_set(ret_error, OTTLA_INVALID,
                                       "bootstrap.servers and bootstrap.controllers are both set; "
                                       "a client talks to brokers, or to controllers");
    }
    client->to_controllers = controllers[0] != 0;
    err_t err = client->to_controllers
                    ? add_servers(client, "bootstrap.controllers", controllers, ret_error)
                    : add_servers(client, "bootstrap.servers", brokers, ret_error);
    if (err == ERR_OK && list_empty(&client->nodes)) {
        err = (err_t)client_error_set(ret_error, OTTLA_INVALID,
                                      "No servers to begin with; set bootstrap.servers to "
                                      "host:port, of one broker or more");
    }
    client->bootstrapping = true;
    return err;
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
