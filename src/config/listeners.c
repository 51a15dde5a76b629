#include "config/listeners_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool parse_port(struct str text, uint16_t *ret_port) {
    uint32_t port = 0;
    if (text.size == 0 || text.size > 5) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit((unsigned char)text.data[i])) {
            return false;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool is_name(struct str text) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!isalnum((unsigned char)c) && c != '_' && c != '-' && c != '.') {
            return false;
        }
    }
    return text.size > 0;
}

err_t config_endpoint_parse(struct str text, struct str *ret_name, struct str *ret_host,
                            uint16_t *ret_port) {
    const char *mark = memmem(text.data, text.size, "://", 3);
    if (mark == NULL) {
        return ERR_MALFORMED;
    }
    struct str name = {text.data, (size_t)(mark - text.data)};
    struct str address = {mark + 3, text.size - name.size - 3};
    const char *colon = memrchr(address.data, ':', address.size);
    uint16_t port;
    if (!is_name(name) || colon == NULL ||
        !parse_port((struct str){colon + 1, (size_t)(text.data + text.size - colon - 1)}, &port)) {
        return ERR_MALFORMED;
    }
    struct str host = {address.data, (size_t)(colon - address.data)};
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (struct str){host.data + 1, host.size - 2};
    } else if (memchr(host.data, ':', host.size) != NULL) {
        return ERR_MALFORMED; /* IPv6 without brackets */
    }
    *ret_name = name;
    *ret_host = host;
    *ret_port = port;
    return ERR_OK;
}

static bool same_name(struct str a, struct str b) {
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

bool config_names_have(struct str list, struct str name) {
    struct str item;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (same_name(item, name)) {
            return true;
        }
    }
    return false;
}

struct str config_listener_protocol(const struct config *config, struct str name) {
    struct str map = config_str(config, CONFIG_LISTENER_SECURITY_PROTOCOL_MAP);
    struct str item;
    for (size_t position = 0; config_list_next(map, &position, &item);) {
        const char *colon = memchr(item.data, ':', item.size);
        if (colon == NULL) {
            continue;
        }
        struct str key = {item.data, (size_t)(colon - item.data)};
        if (same_name(config_trim(key), name)) {
            return config_trim((struct str){colon + 1, item.size - key.size - 1});
        }
    }
    /* Kafka takes PLAINTEXT for controller listeners when the map was left alone. */
    if (!config_is_set(config, CONFIG_LISTENER_SECURITY_PROTOCOL_MAP) &&
        config_names_have(config_str(config, CONFIG_CONTROLLER_LISTENER_NAMES), name)) {
        return STR("PLAINTEXT");
    }
    return STR_NULL;
}

static void advertise(const struct config *config, struct config_listener *listener) {
    struct str list = config_str(config, CONFIG_ADVERTISED_LISTENERS);
    listener->advertised_host = listener->host;
    listener->advertised_port = listener->port;
    listener->advertised = !listener->controller;
    if (list.data == NULL) {
        return;
    }
    struct str item, name, host;
    uint16_t port;
    bool found = false;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (config_endpoint_parse(item, &name, &host, &port) == ERR_OK &&
            same_name(name, listener->name)) {
            listener->advertised_host = host;
            listener->advertised_port = port;
            found = true;
        }
    }
    listener->advertised = found && !listener->controller;
}

size_t config_listeners(const struct config *config, struct config_listener *listeners,
                        size_t listener_max) {
    struct str list = config_str(config, CONFIG_LISTENERS);
    struct str item;
    size_t count = 0;
    for (size_t position = 0; config_list_next(list, &position, &item) && count < listener_max;) {
        struct config_listener *listener = &listeners[count];
        *listener = (struct config_listener){0};
        if (config_endpoint_parse(item, &listener->name, &listener->host, &listener->port) !=
            ERR_OK) {
            continue; /* config_check_broker has said so */
        }
        listener->controller =
            config_names_have(config_str(config, CONFIG_CONTROLLER_LISTENER_NAMES), listener->name);
        listener->protocol = config_listener_protocol(config, listener->name);
        advertise(config, listener);
        count++;
    }
    return count;
}
