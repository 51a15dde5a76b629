/* Checks of a broker's settings together; the words are Kafka's where Kafka has the check. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/config_int.h"
#include "config/listeners_int.h"

struct checks {
    const struct config *config;
    struct config_report *report;
    struct config_listener listeners[CONFIG_LISTENER_MAX];
    size_t listener_count;
    bool broker;
    bool controller;
};

static void check_ids(const struct checks *c) {
    if (config_is_set(c->config, CONFIG_BROKER_ID) && config_is_set(c->config, CONFIG_NODE_ID) &&
        config_int(c->config, CONFIG_BROKER_ID) != config_int(c->config, CONFIG_NODE_ID)) {
        config_report_error(c->report, "You must set `node.id` to the same value as `broker.id`.");
    }
}

/* Every entry of a list of endpoints can be read. */
static bool check_endpoints(const struct checks *c, enum config_key key) {
    struct str item, name, host;
    uint16_t port;
    size_t count = 0;
    struct str list = config_str(c->config, key);
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (config_endpoint_parse(item, &name, &host, &port) != ERR_OK) {
            config_report_error(c->report,
                                "Invalid value %.*s for configuration %s: Unable to parse %.*s to "
                                "a broker endpoint; it should read NAME://host:port",
                                STR_ARGS(list), config_row(key)->name, STR_ARGS(item));
            return false;
        }
        if (++count > CONFIG_LISTENER_MAX) {
            config_report_error(c->report, "%s has more than %d entries", config_row(key)->name,
                                CONFIG_LISTENER_MAX);
            return false;
        }
    }
    return true;
}

static bool equal_ignoring_case(struct str a, struct str b) {
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

static bool is_ipv6(struct str host) {
    return memchr(host.data == NULL ? "" : host.data, ':', host.size) != NULL;
}

static void check_pair(const struct checks *c, const struct config_listener *a,
                       const struct config_listener *b) {
    struct str list = config_str(c->config, CONFIG_LISTENERS);
    if (equal_ignoring_case(a->name, b->name)) {
        config_report_error(c->report, "Each listener must have a different name, listeners: %.*s",
                            STR_ARGS(list));
    } else if (a->port != 0 && a->port == b->port && is_ipv6(a->host) == is_ipv6(b->host)) {
        config_report_error(c->report, "Each listener must have a different port, listeners: %.*s",
                            STR_ARGS(list));
    }
}

static void check_protocol(const struct checks *c, const struct config_listener *listener) {
    if (listener->protocol.data == NULL) {
        config_report_error(c->report,
                            "No security protocol defined for listener %.*s; "
                            "listener.security.protocol.map must name it",
                            STR_ARGS(listener->name));
    } else if (!equal_ignoring_case(listener->protocol, STR("PLAINTEXT"))) {
        config_report_error(c->report,
                            "listener %.*s has the security protocol %.*s, which is not enforced "
                            "by this version: only PLAINTEXT is",
                            STR_ARGS(listener->name), STR_ARGS(listener->protocol));
    }
}

static void check_listeners(struct checks *c) {
    for (size_t i = 0; i < c->listener_count; i++) {
        for (size_t j = i + 1; j < c->listener_count; j++) {
            check_pair(c, &c->listeners[i], &c->listeners[j]);
        }
        check_protocol(c, &c->listeners[i]);
    }
}

static size_t count_controller_listeners(const struct checks *c) {
    size_t count = 0;
    for (size_t i = 0; i < c->listener_count; i++) {
        count += c->listeners[i].controller;
    }
    return count;
}

static void check_controller_listeners(const struct checks *c) {
    size_t count = count_controller_listeners(c);
    if (c->controller && count == 0) {
        config_report_error(c->report,
                            "controller.listener.names must contain at least one value appearing "
                            "in the 'listeners' configuration when running the KRaft controller "
                            "role");
    }
    if (c->controller && !c->broker && count < c->listener_count) {
        config_report_error(c->report,
                            "The listeners config must only contain KRaft controller listeners "
                            "from controller.listener.names when process.roles=controller");
    }
    if (!c->controller && count > 0) {
        config_report_error(c->report,
                            "controller.listener.names must not contain a value appearing in the "
                            "'listeners' configuration when running KRaft with just the broker "
                            "role");
    }
    if (c->broker && count == c->listener_count) {
        config_report_error(c->report,
                            "There must be at least one broker advertised listener. "
                            "Perhaps all listeners appear in controller.listener.names?");
    }
}

static bool is_listener(const struct checks *c, struct str name) {
    for (size_t i = 0; i < c->listener_count; i++) {
        if (equal_ignoring_case(c->listeners[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void check_advertised_names(const struct checks *c) {
    struct str item, name, host;
    uint16_t port;
    struct str list = config_str(c->config, CONFIG_ADVERTISED_LISTENERS);
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (config_endpoint_parse(item, &name, &host, &port) == ERR_OK && !is_listener(c, name)) {
            config_report_error(c->report,
                                "advertised.listeners listener names must be equal to or a subset "
                                "of the ones defined in listeners. Found %.*s",
                                STR_ARGS(name));
        }
    }
}

static bool is_meta_address(struct str host) {
    return str_equal(host, STR("0.0.0.0")) || str_equal(host, STR("::"));
}

static void check_advertised(const struct checks *c) {
    check_advertised_names(c);
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *listener = &c->listeners[i];
        if (listener->advertised && is_meta_address(listener->advertised_host)) {
            config_report_error(c->report,
                                "advertised.listeners cannot use the nonroutable meta-address "
                                "%.*s. Use a routable IP address.",
                                STR_ARGS(listener->advertised_host));
        }
    }
}

static void check_inter_broker(const struct checks *c) {
    struct str name = config_str(c->config, CONFIG_INTER_BROKER_LISTENER_NAME);
    if (name.data == NULL || !c->broker) {
        return;
    }
    if (config_is_set(c->config, CONFIG_SECURITY_INTER_BROKER_PROTOCOL)) {
        config_report_error(c->report, "Only one of inter.broker.listener.name and "
                                       "security.inter.broker.protocol should be set.");
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        if (c->listeners[i].advertised && equal_ignoring_case(c->listeners[i].name, name)) {
            return;
        }
    }
    config_report_error(c->report,
                        "inter.broker.listener.name must be a listener name defined in "
                        "advertised.listeners, and %.*s is not",
                        STR_ARGS(name));
}

static void check_quorum(const struct checks *c) {
    struct str voters = config_str(c->config, CONFIG_CONTROLLER_QUORUM_VOTERS);
    struct str servers = config_str(c->config, CONFIG_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
    if (voters.size == 0 && servers.size == 0) {
        config_report_error(c->report,
                            "If using process.roles, either controller.quorum.bootstrap.servers "
                            "must contain the set of bootstrap controllers or "
                            "controller.quorum.voters must contain a parseable set of "
                            "controllers.");
        return;
    }
    char id[16];
    int size = snprintf(id, sizeof id, "%" PRId32 "@", config_int(c->config, CONFIG_NODE_ID));
    bool found = false;
    struct str item;
    for (size_t position = 0; config_list_next(voters, &position, &item);) {
        found = found || (item.size > (size_t)size && memcmp(item.data, id, (size_t)size) == 0);
    }
    if (voters.size > 0 && found != c->controller) {
        config_report_error(c->report,
                            "If process.roles contains %s role, the node id %" PRId32
                            " must %sbe included in the set of voters "
                            "controller.quorum.voters=%.*s",
                            c->controller ? "the 'controller'" : "just the 'broker'",
                            config_int(c->config, CONFIG_NODE_ID), c->controller ? "" : "not ",
                            STR_ARGS(voters));
    }
}

static void check_times(const struct checks *c) {
    const struct config *config = c->config;
    if ((int64_t)config_int(config, CONFIG_BROKER_HEARTBEAT_INTERVAL_MS) * 2 >
        config_int(config, CONFIG_BROKER_SESSION_TIMEOUT_MS)) {
        config_report_warning(c->report,
                              "broker.heartbeat.interval.ms (%" PRId32
                              " ms) should be at most half of broker.session.timeout.ms (%" PRId32
                              " ms), or a late heartbeat fences the broker",
                              config_int(config, CONFIG_BROKER_HEARTBEAT_INTERVAL_MS),
                              config_int(config, CONFIG_BROKER_SESSION_TIMEOUT_MS));
    }
    if (config_int(config, CONFIG_REPLICA_FETCH_WAIT_MAX_MS) >
        config_long(config, CONFIG_REPLICA_LAG_TIME_MAX_MS)) {
        config_report_error(c->report,
                            "replica.fetch.wait.max.ms should always be less than or equal to "
                            "replica.lag.time.max.ms to prevent frequent changes in ISR");
    }
    if (config_int(config, CONFIG_REPLICA_SOCKET_TIMEOUT_MS) <
        config_int(config, CONFIG_REPLICA_FETCH_WAIT_MAX_MS)) {
        config_report_error(c->report,
                            "replica.socket.timeout.ms should always be at least "
                            "replica.fetch.wait.max.ms to prevent unnecessary socket timeouts");
    }
}

static void check_limits(const struct checks *c) {
    const struct config *config = c->config;
    int64_t queued = config_long(config, CONFIG_QUEUED_MAX_REQUEST_BYTES);
    if (queued > 0 && queued < config_int(config, CONFIG_SOCKET_REQUEST_MAX_BYTES)) {
        config_report_error(c->report, "queued.max.request.bytes must be larger or equal to "
                                       "socket.request.max.bytes");
    }
    static const enum config_key buffers[] = {CONFIG_SOCKET_SEND_BUFFER_BYTES,
                                              CONFIG_SOCKET_RECEIVE_BUFFER_BYTES};
    for (size_t i = 0; i < 2; i++) {
        int32_t size = config_int(config, buffers[i]);
        if (size < -1 || size == 0) {
            config_report_error(
                c->report, "Invalid value %" PRId32 " for configuration %s: it is -1 or at least 1",
                size, config_row(buffers[i])->name);
        }
    }
    int64_t lag_min = config_long(config, CONFIG_LOG_CLEANER_MIN_COMPACTION_LAG_MS);
    int64_t lag_max = config_long(config, CONFIG_LOG_CLEANER_MAX_COMPACTION_LAG_MS);
    if (lag_min > lag_max) {
        config_report_error(c->report,
                            "log.cleaner.min.compaction.lag.ms (%" PRId64
                            ") > log.cleaner.max.compaction.lag.ms (%" PRId64 ")",
                            lag_min, lag_max);
    }
}

static void check_http(const struct checks *c) {
    struct str value = config_str(c->config, CONFIG_OTTLA_HTTP_LISTENER);
    if (str_equal(value, STR("none"))) {
        return;
    }
    char text[300];
    struct str name, host;
    uint16_t port;
    int size = snprintf(text, sizeof text, "HTTP://%.*s", STR_ARGS(value));
    if ((size_t)size >= sizeof text ||
        config_endpoint_parse((struct str){text, (size_t)size}, &name, &host, &port) != ERR_OK) {
        config_report_error(c->report,
                            "Invalid value %.*s for configuration ottla.http.listener: it is "
                            "host:port, or none",
                            STR_ARGS(value));
        return;
    }
    bool loopback = str_equal(host, STR("localhost")) || str_equal(host, STR("::1")) ||
                    (host.size > 4 && memcmp(host.data, "127.", 4) == 0);
    if (!loopback) {
        config_report_error(c->report,
                            "Invalid value %.*s for configuration ottla.http.listener: it cannot "
                            "authenticate yet and listens on loopback addresses only",
                            STR_ARGS(value));
    }
}

void config_check_broker(const struct config *config, struct config_report *report) {
    struct str roles = config_str(config, CONFIG_PROCESS_ROLES);
    struct checks c = {
        .config = config,
        .report = report,
        .broker = config_list_has(roles, STR("broker")),
        .controller = config_list_has(roles, STR("controller")),
    };
    check_ids(&c);
    if (check_endpoints(&c, CONFIG_LISTENERS) && check_endpoints(&c, CONFIG_ADVERTISED_LISTENERS)) {
        c.listener_count = config_listeners(config, c.listeners, CONFIG_LISTENER_MAX);
        check_listeners(&c);
        check_controller_listeners(&c);
        if (c.broker) {
            check_advertised(&c);
        }
        check_inter_broker(&c);
    }
    check_quorum(&c);
    check_times(&c);
    check_limits(&c);
    config_check_changeable(config, report);
    check_http(&c);
    config_check_groups(config, report);
}
