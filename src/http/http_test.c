#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "http/http.h"

static void sink(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    (void)line;
    (void)size;
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static struct text_log log_to_nowhere = {.sink = sink, .now_ms = no_time, .level = TEXT_LOG_WARN};

static void say_live(void *arg, const struct http_request *request,
                     struct http_response *response) {
    assert_string_equal((const char *)arg, "argument");
    response->status = 503;
    buffer_printf(&response->body, "not yet: %.*s?%.*s\n", STR_ARGS(request->path),
                  STR_ARGS(request->query));
}

static void echo(void *arg, const struct http_request *request, struct http_response *response) {
    (void)arg;
    response->content_type = "application/json";
    buffer_add(&response->body, request->body.data, request->body.size);
}

static const struct http_route routes[] = {
    {"GET", "/live", say_live, "argument"},
    {"POST", "/echo", echo, NULL},
};

static struct http_server *start(void) {
    struct http_server *server = NULL;
    assert_int_equal(http_server_start("localhost:0", routes, 2, &log_to_nowhere, &server), ERR_OK);
    assert_int_not_equal(http_server_port(server), 0);
    return server;
}

/* Sends a request and returns all that comes until the server closes; the caller frees it. */
static char *exchange(struct http_server *server, const char *request, size_t size) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval timeout = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    while (size > 0) {
        ssize_t sent = send(fd, request, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            break; /* refused half-way: the answer is there all the same */
        }
        request += sent;
        size -= (size_t)sent;
    }
    struct buffer answer = {0};
    for (;;) {
        uint8_t *data = buffer_reserve(&answer, 4096);
        ssize_t received = recv(fd, data, 4096, 0);
        if (received <= 0) {
            break;
        }
        buffer_extend(&answer, (size_t)received);
    }
    close(fd);
    buffer_add(&answer, "", 1);
    return (char *)buffer_steal(&answer, &(size_t){0});
}

static void expect(struct http_server *server, const char *request, const char *status,
                   const char *piece) {
    char *answer = exchange(server, request, strlen(request));
    assert_non_null(strstr(answer, status));
    if (piece != NULL) {
        assert_non_null(strstr(answer, piece));
    }
    free(answer);
}

static void routes_are_served(void **state) {
    (void)state;
    struct http_server *server = start();
    expect(server, "GET /live?a=1&b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
           "HTTP/1.1 503", "not yet: /live?a=1&b\n");
    expect(server, "HEAD /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 503",
           NULL);
    expect(server,
           "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
           "HTTP/1.1 200", "application/json");
    expect(server, "GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404",
           "not found");
    expect(server,
           "POST /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 405", "Allow: GET");
    expect(server, "this is not HTTP\r\n\r\n", "", NULL);
    http_server_stop(server);
}

static void large_bodies_are_refused(void **state) {
    (void)state;
    struct http_server *server = start();
    struct buffer request = {0};
    size_t size = HTTP_BODY_MAX + 1;
    buffer_printf(
        &request,
        "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", size);
    memset(buffer_extend(&request, size), 'x', size);
    char *answer = exchange(server, (const char *)request.data, request.size);
    assert_non_null(strstr(answer, "HTTP/1.1 413"));
    free(answer);
    buffer_done(&request);
    http_server_stop(server);
}

static void only_loopback_is_let_through(void **state) {
    (void)state;
    static const struct {
        const char *listener;
        err_t err;
    } cases[] = {
        {"0.0.0.0:0", ERR_ACCESS},
        {"[::]:0", ERR_ACCESS},
        {"192.168.0.1:80", ERR_ACCESS},
        {"example.com:80", ERR_ACCESS},
        {"127.0.0.1", ERR_MALFORMED},
        {"127.0.0.1:", ERR_MALFORMED},
        {"127.0.0.1:x", ERR_MALFORMED},
        {":80", ERR_MALFORMED},
        {"", ERR_MALFORMED},
        {"127.0.0.1:65536", ERR_MALFORMED},
        {"[::1:0", ERR_MALFORMED},
    };
    struct http_server *server;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = http_server_start(cases[i].listener, routes, 2, &log_to_nowhere, &server);
        assert_int_equal(err, cases[i].err);
    }
    struct http_server *first = start();
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(first));
    assert_int_equal(http_server_start(taken, routes, 2, &log_to_nowhere, &server), ERR_IN_USE);
    http_server_stop(first);
    http_server_stop(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_served),
        cmocka_unit_test(large_bodies_are_refused),
        cmocka_unit_test(only_loopback_is_let_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
