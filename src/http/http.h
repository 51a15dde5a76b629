#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text_log.h"

/*
 * The HTTP listener of a node: a table of routes on a loopback address, served by libmicrohttpd on
 * one thread of its own. It stands outside the simulated world and outside the reactors, so a
 * handler runs on that thread and may only use what is safe on any thread.
 *
 * There is no authentication yet; therefore any address that is not loopback is refused.
 */
struct http_server;

struct http_request {
    struct str path;   /* without the query */
    struct str query;  /* "" when there is none */
    struct bytes body; /* bounded by HTTP_BODY_MAX */
};

struct http_response {
    int status;               /* 200 at first */
    const char *content_type; /* "text/plain; charset=utf-8" at first; static text */
    struct buffer body;       /* the server frees it */
};

struct http_route {
    const char *method; /* "GET"; HEAD is served by GET routes */
    const char *path;   /* "/metrics", the whole of it */
    void (*handle)(void *arg, const struct http_request *request, struct http_response *response);
    void *arg;
};

/* The value of ottla.http.listener: "127.0.0.1:8092", "[::1]:8092", "localhost:0". Port 0 picks a
 * free one.
 *
 * MALFORMED: not host:port. ACCESS: not a loopback address. IN_USE: the port is taken. Routes are
 * copied, the texts in them are not. */
err_t http_server_start(const char *listener, const struct http_route *routes, int route_count,
                        struct text_log *log, struct http_server **ret_server);

uint16_t http_server_port(const struct http_server *server);

/* Waits for handlers that run. Accepts NULL. */
void http_server_stop(struct http_server *server);
