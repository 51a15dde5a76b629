#include "http/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_route *routes;
    int route_count;
    struct text_log *log;
    uint16_t port;
};

/* What is kept of a request between libmicrohttpd's calls for it. */
struct exchange {
    struct buffer body;
    bool body_too_large;
};

/* --- answers --- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *content_type, const char *allow, void *body,
                              size_t size) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", content_type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (allow != NULL) {
        (void)MHD_add_response_header(response, "Allow", allow);
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *allow, const char *text) {
    return answer(connection, status, "text/plain; charset=utf-8", allow, (void *)(uintptr_t)text,
                  strlen(text));
}

/* --- routes --- */

static bool method_fits(const struct http_route *route, const char *method) {
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* NULL when there is none; *ret_allow is then the method the path would have, or NULL. */
static const struct http_route *find_route(const struct http_server *server, const char *method,
                                           const char *path, const char **ret_allow) {
    *ret_allow = NULL;
    for (int i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->routes[i];
        if (strcmp(route->path, path) != 0) {
            continue;
        }
        if (method_fits(route, method)) {
            return route;
        }
        *ret_allow = route->method;
    }
    return NULL;
}

/* libmicrohttpd gives the query in pieces; handlers get it as one text again. */
static enum MHD_Result add_argument(void *arg, enum MHD_ValueKind kind, const char *key,
                                    const char *value) {
    (void)kind;
    struct buffer *query = arg;
    buffer_printf(query, "%s%s", query->size > 0 ? "&" : "", key);
    if (value != NULL) {
        buffer_printf(query, "=%s", value);
    }
    return MHD_YES;
}

static enum MHD_Result run_route(const struct http_route *route, struct MHD_Connection *connection,
                                 const char *path, struct exchange *exchange) {
    struct buffer query = {0};
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, &query);
    struct http_request request = {
        .path = str_from_c(path),
        .query = query.size == 0 ? STR("") : bytes_str(buffer_bytes(&query)),
        .body = buffer_bytes(&exchange->body),
    };
    struct http_response response = {.status = 200, .content_type = "text/plain; charset=utf-8"};
    route->handle(route->arg, &request, &response);
    enum MHD_Result result = answer(connection, (unsigned)response.status, response.content_type,
                                    NULL, response.body.data, response.body.size);
    buffer_done(&response.body);
    buffer_done(&query);
    return result;
}

/* --- libmicrohttpd's calls: first without a body, then per piece of it, then at its end --- */

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **context) {
    (void)version;
    struct http_server *server = arg;
    struct exchange *exchange = *context;
    if (exchange == NULL) {
        *context = calloc(1, sizeof *exchange);
        return *context == NULL ? MHD_NO : MHD_YES;
    }
    if (*size > 0) {
        if (*size > HTTP_BODY_MAX - exchange->body.size) {
            exchange->body_too_large = true;
        } else {
            buffer_add(&exchange->body, data, *size);
        }
        *size = 0;
        return MHD_YES;
    }
    if (exchange->body_too_large) {
        return answer_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, NULL, "body too large\n");
    }
    const char *allow;
    const struct http_route *route = find_route(server, method, path, &allow);
    if (route != NULL) {
        return run_route(route, connection, path, exchange);
    }
    if (allow != NULL) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, allow, "method not allowed\n");
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, NULL, "not found\n");
}

static void completed(void *arg, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code) {
    (void)arg;
    (void)connection;
    (void)code;
    struct exchange *exchange = *context;
    if (exchange != NULL) {
        buffer_done(&exchange->body);
        free(exchange);
        *context = NULL;
    }
}

/* --- the listener's address --- */

struct listen_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

static err_t parse_port(const char *text, uint16_t *ret_port) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port > UINT16_MAX) {
        return ERR_MALFORMED;
    }
    *ret_port = (uint16_t)port;
    return ERR_OK;
}

/* Splits "host:port" and "[host]:port"; the host goes zero-terminated into `host`. */
static err_t split(const char *listener, char *host, size_t host_size, uint16_t *ret_port) {
    const char *colon = strrchr(listener, ':');
    if (colon == NULL) {
        return ERR_MALFORMED;
    }
    const char *start = listener;
    size_t size = (size_t)(colon - listener);
    if (*start == '[') {
        if (size < 2 || colon[-1] != ']') {
            return ERR_MALFORMED;
        }
        start++;
        size -= 2;
    }
    if (size == 0 || size >= host_size) {
        return ERR_MALFORMED;
    }
    memcpy(host, start, size);
    host[size] = '\0';
    return parse_port(colon + 1, ret_port);
}

/* Only what stays on this machine is let through. */
static err_t parse_listener(const char *listener, struct listen_address *ret_address) {
    char host[256];
    uint16_t port = 0;
    err_t err = split(listener, host, sizeof host, &port);
    if (err != ERR_OK) {
        return err;
    }
    struct listen_address address = {0};
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, numeric, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        address.size = sizeof address.v4;
        if (ntohl(address.v4.sin_addr.s_addr) >> 24 != 127) {
            return ERR_ACCESS;
        }
    } else if (inet_pton(AF_INET6, numeric, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        address.size = sizeof address.v6;
        if (!IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr)) {
            return ERR_ACCESS;
        }
    } else {
        return ERR_ACCESS;
    }
    *ret_address = address;
    return ERR_OK;
}

/* A listening socket, bound here rather than in the library so that the error can be told. */
static err_t listen_on(const struct listen_address *address, int *ret_socket, uint16_t *ret_port) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE ? ERR_NO_FILES : ERR_IO;
    }
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct listen_address bound;
    bound.size = sizeof bound.v6;
    if (bind(fd, &address->any, address->size) != 0 || listen(fd, HTTP_CONNECTIONS_MAX) != 0 ||
        getsockname(fd, &bound.any, &bound.size) != 0) {
        err_t err = errno == EADDRINUSE ? ERR_IN_USE : errno == EACCES ? ERR_ACCESS : ERR_IO;
        close(fd);
        return err;
    }
    *ret_socket = fd;
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return ERR_OK;
}

/* --- life --- */

static void library_log(void *arg, const char *format, va_list values) {
    struct http_server *server = arg;
    char text[512];
    int size = vsnprintf(text, sizeof text, format, values);
    while (size > 0 && (size >= (int)sizeof text || text[size - 1] == '\n')) {
        size--; /* its lines end with a newline */
    }
    text_log_debug(server->log, "http", "%.*s", size, text);
}

/* Signals are for the node's threads: the library's thread starts with all of them blocked. */
static struct MHD_Daemon *start_daemon(struct http_server *server, int listen_socket) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle,
        server, MHD_OPTION_EXTERNAL_LOGGER, library_log, server, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)listen_socket, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
        completed, NULL, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

err_t http_server_start(const char *listener, const struct http_route *routes, int route_count,
                        struct text_log *log, struct http_server **ret_server) {
    struct listen_address address;
    err_t err = parse_listener(listener, &address);
    if (err != ERR_OK) {
        return err;
    }
    int listen_socket;
    uint16_t port;
    err = listen_on(&address, &listen_socket, &port);
    if (err != ERR_OK) {
        return err;
    }
    struct http_server *server = calloc(1, sizeof *server);
    server->routes = calloc((size_t)route_count + 1, sizeof *routes);
    for (int i = 0; i < route_count; i++) {
        server->routes[i] = routes[i];
    }
    server->route_count = route_count;
    server->log = log;
    server->port = port;
    server->daemon = start_daemon(server, listen_socket);
    if (server->daemon == NULL) {
        close(listen_socket);
        free(server->routes);
        free(server);
        return ERR_IO;
    }
    *ret_server = server;
    return ERR_OK;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

void http_server_stop(struct http_server *server) {
    if (server == NULL) {
        return;
    }
    MHD_stop_daemon(server->daemon); /* closes the listening socket, joins the thread */
    free(server->routes);
    free(server);
}
