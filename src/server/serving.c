/* Listeners: from settings to bound sockets, and the limits of connections. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "config/listeners.h"
#include "meta/bootstrap.h"
#include "server/dispatch.h"
#include "server/node_int.h"
#include "server/request_metrics.h"

/* A listener on every address, written without a host, is told to others by the host's name. */
static struct str host_to_tell(const struct node *node, const struct config_listener *listener) {
    return listener->advertised_host.size > 0 ? listener->advertised_host
                                              : str_from_c(node->host_name);
}

err_t node_make_listeners(struct node *node) {
    struct config_listener found[CONFIG_LISTENER_MAX];
    sys_host_name(node->sys, node->host_name, sizeof node->host_name);
    size_t count = config_listeners(node->config, found, CONFIG_LISTENER_MAX);
    for (size_t i = 0; i < count; i++) {
        node->listeners[node->listener_count++] = (struct listener){
            .name = found[i].name,
            .advertised_host = host_to_tell(node, &found[i]),
            .advertised_port = found[i].advertised_port,
            .controller = found[i].controller,
            .advertised = found[i].advertised,
        };
    }
    return ERR_OK;
}

/* Where a listener binds: the first address of its host. */
static err_t resolve(struct node *node, const struct config_listener *listener,
                     struct sys_address *ret_address) {
    char host[256];
    (void)snprintf(host, sizeof host, "%.*s", STR_ARGS(listener->host));
    struct sys_address addresses[8];
    size_t count = 0;
    err_t err = sys_resolve(node->sys, host, listener->port, addresses, 8, &count);
    if (err != ERR_OK || count == 0) {
        (void)snprintf(node->error, sizeof node->error,
                       "The host %.200s of listener %.*s cannot be resolved", host,
                       STR_ARGS(listener->name));
        return err != ERR_OK ? err : ERR_NOT_FOUND;
    }
    *ret_address = addresses[0];
    return ERR_OK;
}

/* The inter-broker listener, where clients have another one. */
static bool is_protected(const struct node *node, const struct config_listener *listener) {
    struct str name = config_str(node->config, CONFIG_INTER_BROKER_LISTENER_NAME);
    if (name.size == 0) {
        name = config_str(node->config, CONFIG_SECURITY_INTER_BROKER_PROTOCOL);
    }
    int brokers = 0;
    for (int i = 0; i < node->listener_count; i++) {
        brokers += !node->listeners[i].controller;
    }
    return brokers > 1 && !listener->controller && str_equal(listener->name, name);
}

static void fill_settings(const struct node *node, const struct config_listener *listener,
                          struct net_listener_settings *settings) {
    const struct config *config = node->config;
    settings->connections_max = INT32_MAX;
    settings->idle_ms_max = config_long(config, CONFIG_CONNECTIONS_MAX_IDLE_MS);
    settings->request_size_max = config_int(config, CONFIG_SOCKET_REQUEST_MAX_BYTES);
    settings->send_buffer_size = config_int(config, CONFIG_SOCKET_SEND_BUFFER_BYTES);
    settings->receive_buffer_size = config_int(config, CONFIG_SOCKET_RECEIVE_BUFFER_BYTES);
    settings->backlog = config_int(config, CONFIG_SOCKET_LISTEN_BACKLOG_SIZE);
    settings->budget = listener->controller;
    settings->inter_broker = is_protected(node, listener);
}

/* "host:count" pairs of max.connections.per.ip.overrides. Hosts that are no numeric address are
 * resolved now. */
static size_t read_overrides(struct node *node, struct net_ip_limit *limits, size_t limit_max) {
    struct str list = config_str(node->config, CONFIG_MAX_CONNECTIONS_PER_IP_OVERRIDES);
    struct str item;
    size_t position = 0;
    size_t count = 0;
    while (count < limit_max && config_list_next(list, &position, &item)) {
        size_t colon = item.size;
        while (colon > 0 && item.data[colon - 1] != ':') {
            colon--;
        }
        char host[256];
        char number[16];
        if (colon == 0 || colon > sizeof host || item.size - colon >= sizeof number) {
            continue;
        }
        (void)snprintf(host, sizeof host, "%.*s", (int)colon - 1, item.data);
        (void)snprintf(number, sizeof number, "%.*s", (int)(item.size - colon), item.data + colon);
        size_t found = 0;
        if (sys_resolve(node->sys, host, 0, &limits[count].address, 1, &found) == ERR_OK &&
            found == 1) {
            limits[count++].connections_max = (int32_t)strtol(number, NULL, 10);
        }
    }
    return count;
}

enum { IP_LIMITS_MAX = 256 };

/* What connections may take of the file descriptors. */
static int32_t sockets_max(const struct node *node) {
    uint64_t files = sys_raise_file_limit(node->sys);
    uint64_t others =
        node_files_for_logs(node) + SERVER_FILES_RESERVED + 2 * (uint64_t)node->reactor_count;
    uint64_t left = files > others ? files - others : 1;
    return left < INT32_MAX ? (int32_t)left : INT32_MAX;
}

static void read_limits(struct node *node, struct net_limits *limits,
                        struct net_ip_limit *overrides) {
    net_limits_init(limits);
    limits->connections_max = config_int(node->config, CONFIG_MAX_CONNECTIONS);
    limits->connections_per_ip_max = config_int(node->config, CONFIG_MAX_CONNECTIONS_PER_IP);
    limits->creation_rate_max = config_int(node->config, CONFIG_MAX_CONNECTION_CREATION_RATE);
    limits->sockets_max = sockets_max(node);
    limits->ip_limit_count = read_overrides(node, overrides, IP_LIMITS_MAX);
    limits->ip_limits = overrides;
}

void node_apply_limits(struct node *node) {
    if (node->net == NULL) {
        return;
    }
    struct net_ip_limit *overrides = calloc(IP_LIMITS_MAX, sizeof *overrides);
    struct net_limits limits;
    read_limits(node, &limits, overrides);
    net_server_set_limits(node->net, &limits);
    free(overrides);
}

static void no_context(void *arg, struct net_connection *connection) {
    (void)arg;
    (void)connection;
}

static void request_cancelled(void *arg, struct net_request *net) {
    (void)arg;
    struct request *request = net_request_context(net);
    if (request != NULL && request->cancel != NULL) {
        request->cancel(request);
    }
}

static void request_done(void *arg, struct net_request *net) {
    struct node *node = arg;
    struct request *request = net_request_context(net);
    if (request != NULL) {
        request_metrics_done(node->request_metrics, request, net);
        request_free(request);
    }
}

static err_t fail_listen(struct node *node, const struct net_listener_settings *settings,
                         err_t err) {
    char address[SYS_ADDRESS_TEXT_MAX];
    char holder[128];
    sys_address_format(&settings->address, address);
    if (err != ERR_IN_USE) {
        (void)snprintf(node->error, sizeof node->error, "Cannot listen on %s (%s): %s", address,
                       settings->name, err_text(err));
        return err;
    }
    if (sys_port_holder(node->sys, settings->address.port, holder, sizeof holder) != ERR_OK) {
        (void)snprintf(holder, sizeof holder, "another process");
    }
    (void)snprintf(node->error, sizeof node->error,
                   "Cannot listen on %s (%s): the port is held by %s. Stop that, or give listeners "
                   "another port",
                   address, settings->name, holder);
    return err;
}

/* Says the real port where the settings say 0. */
static void learn_ports(struct node *node) {
    for (int i = 0; i < node->listener_count; i++) {
        if (node->listeners[i].advertised_port == 0) {
            node->listeners[i].advertised_port = net_server_address(node->net, i).port;
        }
    }
}

err_t node_listen(struct node *node) {
    struct config_listener found[CONFIG_LISTENER_MAX];
    struct net_listener_settings settings[CONFIG_LISTENER_MAX];
    char names[CONFIG_LISTENER_MAX][64];
    size_t count = config_listeners(node->config, found, CONFIG_LISTENER_MAX);
    for (size_t i = 0; i < count; i++) {
        net_listener_settings_init(&settings[i]);
        (void)snprintf(names[i], sizeof names[i], "%.*s", STR_ARGS(found[i].name));
        settings[i].name = names[i];
        settings[i].context = &node->listeners[i];
        fill_settings(node, &found[i], &settings[i]);
        err_t err = resolve(node, &found[i], &settings[i].address);
        if (err != ERR_OK) {
            return err;
        }
    }
    struct net_ip_limit *overrides = calloc(IP_LIMITS_MAX, sizeof *overrides);
    struct net_settings net = {
        .sys = node->sys,
        .log = node->text_log,
        .metrics = node->metrics,
        .loops = node->loops,
        .loop_count = node->reactor_count,
        .listeners = settings,
        .listener_count = (int)count,
        .queued_requests_max = config_int(node->config, CONFIG_QUEUED_MAX_REQUESTS),
        .request_bytes_max = config_long(node->config, CONFIG_QUEUED_MAX_REQUEST_BYTES),
        .handlers = {.arg = node,
                     .on_connection_open = no_context,
                     .on_request = dispatch_request,
                     .on_request_cancel = request_cancelled,
                     .on_request_done = request_done,
                     .on_connection_close = no_context},
    };
    read_limits(node, &net.limits, overrides);
    node->net = net_server_new(&net);
    free(overrides);
    int failed = 0;
    err_t err = net_server_listen(node->net, &failed);
    if (err != ERR_OK) {
        return fail_listen(node, &settings[failed], err);
    }
    learn_ports(node);
    return ERR_OK;
}

err_t node_make_controller(struct node *node) {
    struct meta_record *records = NULL;
    int32_t count = 0;
    char reason[512] = "";
    const char *dir = log_directory_path(node->metadata_volume->directory);
    err_t err = meta_bootstrap_read(node->sys, dir, &node->bootstrap_arena, &records, &count,
                                    reason, sizeof reason);
    if (err != ERR_OK) {
        (void)snprintf(node->error, sizeof node->error, "%.200s/%s cannot be read: %.200s", dir,
                       META_BOOTSTRAP_NAME, reason[0] != '\0' ? reason : err_text(err));
        return err;
    }
    struct controller_options options = {
        .loop = node->loops[0],
        .text_log = node->text_log,
        .config = node->settings.config,
        .node_id = node->node_id,
        .cluster_id = str_from_c(node->cluster_id),
        .bootstrap_records = records,
        .bootstrap_record_count = count,
        .bootstrap_source = str_from_c(META_BOOTSTRAP_NAME),
    };
    controller_new(&options, &node->controller);
    return ERR_OK;
}
