#pragma once

#include "config/config.h"

/* The listener settings, taken apart: listeners, advertised.listeners, their protocol map, and
 * which belong to the controller. */
struct config_listener {
    struct str name; /* upper case */
    struct str host; /* "" is every address; without brackets */
    uint16_t port;   /* 0 picks one */
    struct str advertised_host;
    uint16_t advertised_port;
    struct str protocol; /* PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL */
    bool controller;     /* serves the controller's requests */
    bool advertised;     /* to clients; the advertised host and port are good */
};

enum { CONFIG_LISTENER_MAX = 32 };

/* The listeners of checked settings, in their order. Texts are the config's. Returns the count. */
size_t config_listeners(const struct config *config, struct config_listener *listeners,
                        size_t listener_max);

/* Parses "NAME://host:port" or "NAME://[::1]:9092". MALFORMED. */
err_t config_endpoint_parse(struct str text, struct str *ret_name, struct str *ret_host,
                            uint16_t *ret_port);
