#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "client/connection.h"
#include "client/core.h"
#include "wire/api.h"

/* What `ottla rpc` was asked for. */
struct rpc {
    const char *address;
    const char *api_text;
    const char *json_text;
    const char *script; /* a file of requests, `-` for standard input; NULL: one request */
    int64_t timeout_ms;
    const struct wire_api *api;
    int16_t version; /* -1: the highest of both */
    char host[CLIENT_HOST_SIZE_MAX + 1];
    uint16_t port;
};

/* "Api" or "Api:version"; the version is -1 without one. False: no such API, or not a number. */
bool rpc_parse_api(struct str text, const struct wire_api **ret_api, int16_t *ret_version);

/* The request struct from JSON. NULL: `error` says why not. */
void *rpc_make_request(const struct wire_api *api, int16_t version, const json_t *json,
                       struct arena *arena, struct buffer *error);

/* Runs the script over connections made from `settings`; the exit code. */
int rpc_script(const struct rpc *rpc, const struct client_connection_settings *settings);
