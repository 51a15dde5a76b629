#pragma once

#include "server/request.h"

/*
 * The table of APIs that this node answers, one row each. What is in it is advertised, and works;
 * what is not in it is not advertised.
 */
struct api_row {
    int16_t key; /* enum api_key */
    void (*handle)(struct request *request);
    bool broker;     /* on a broker's listeners, in the versions of wire_api()->broker_advertised */
    bool controller; /* on a controller's, likewise */
};

/* NULL: not answered on this kind of listener. */
const struct api_row *api_row_find(int16_t key, bool controller);

/* The rows, for ApiVersions and metrics. */
const struct api_row *api_rows(size_t *ret_count);

/* The versions of a row on a kind of listener. */
struct wire_versions api_row_versions(const struct api_row *row, bool controller);

/* net_handlers.on_request */
void dispatch_request(void *arg, struct net_request *net);
