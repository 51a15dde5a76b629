#include "net/net_test_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/list.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { CLIENT_TIMEOUT_S = 20, KEPT_MAX = 4096 };

/* What waits on one reactor. */
struct test_reactor {
    struct test_server *server;
    struct sys_task release;
    _Atomic bool released;
    struct net_request *kept[KEPT_MAX];
    int kept_count;
};

/* --- the server's side --- */

static void answer_bytes(struct net_request *request, const void *data, size_t size) {
    struct buffer body = {0};
    buffer_add(&body, data, size);
    net_answer_buffer(request, &body);
}

static void answer_big(struct net_request *request) {
    char text[8] = {0}; /* garbage may ask, too */
    size_t digits = net_request_size(request) - 1;
    memcpy(text, net_request_data(request) + 1, digits < 7 ? digits : 7);
    size_t size = strtoul(text, NULL, 10);
    uint8_t *data = malloc(size);
    memset(data, 'b', size);
    struct net_part part = {.data = data, .size = size, .release = free, .arg = data};
    net_answer(request, &part, 1);
}

static void answer_file(struct test_server *server, struct net_request *request, size_t more) {
    struct net_part parts[] = {
        {.data = "file", .size = 4},
        {.data = NULL, .size = 0},
        {.data = ":", .size = 1},
        {.file = server->file, .position = 0, .size = server->file_size + more},
        {.data = "", .size = 0},
        {.data = "!", .size = 1},
    };
    net_answer(request, parts, sizeof parts / sizeof *parts);
}

static void keep(struct test_server *server, struct net_request *request) {
    struct net_connection *connection = net_request_connection(request);
    struct test_reactor *reactor = &server->reactors[net_connection_reactor(connection)];
    assert_true(reactor->kept_count < KEPT_MAX);
    reactor->kept[reactor->kept_count++] = request;
}

static void on_request(void *arg, struct net_request *request) {
    struct test_server *server = arg;
    uint8_t *data = net_request_data(request);
    size_t size = net_request_size(request);
    struct net_part own = {.data = data, .size = size};
    switch (size == 0 ? 'e' : data[0]) {
    case 'E':
        net_answer(request, &own, 1);
        break;
    case 'n':
        net_answer_nothing(request);
        break;
    case 'h':
        net_request_hold_others(request);
        net_request_park(request);
        keep(server, request);
        break;
    case 'p':
        net_request_park(request);
        keep(server, request);
        break;
    case 'k':
        keep(server, request);
        break;
    case 'b':
        answer_big(request);
        break;
    case 'f':
        answer_file(server, request, 0);
        break;
    case 't':
        answer_file(server, request, 1);
        break;
    case 'c':
        net_connection_close(net_request_connection(request));
        net_answer_nothing(request);
        break;
    case 'd':
        net_connection_close_after_answers(net_request_connection(request));
        answer_bytes(request, data, size);
        break;
    default:
        answer_bytes(request, data, size);
    }
}

static void on_open(void *arg, struct net_connection *connection) {
    struct test_server *server = arg;
    net_connection_set_context(connection, server);
    atomic_fetch_add(&server->opened, 1);
}

static void on_close(void *arg, struct net_connection *connection) {
    struct test_server *server = arg;
    assert_ptr_equal(net_connection_context(connection), server);
    atomic_fetch_add(&server->closed, 1);
}

/* Takes it off the kept ones and ends it. */
static void on_cancel(void *arg, struct net_request *request) {
    struct test_server *server = arg;
    atomic_fetch_add(&server->cancelled, 1);
    assert_true(net_request_cancelled(request));
    int index = net_connection_reactor(net_request_connection(request));
    struct test_reactor *reactor = &server->reactors[index];
    for (int i = 0; i < reactor->kept_count; i++) {
        if (reactor->kept[i] == request) {
            reactor->kept[i] = reactor->kept[--reactor->kept_count];
            net_answer_nothing(request);
            return;
        }
    }
}

static void on_done(void *arg, struct net_request *request) {
    struct test_server *server = arg;
    struct net_spans spans;
    net_request_spans(request, &spans);
    assert_true(spans.total_ns >= spans.local_ns + spans.remote_ns);
    atomic_fetch_add(&server->done, 1);
}

static void release_kept(struct sys_task *task) {
    struct test_reactor *reactor = container_of(task, struct test_reactor, release);
    while (reactor->kept_count > 0) {
        struct net_request *request = reactor->kept[--reactor->kept_count];
        answer_bytes(request, net_request_data(request), net_request_size(request));
    }
    atomic_store(&reactor->released, true);
}

void test_release(struct test_server *server) {
    for (int i = 0; i < server->loop_count; i++) {
        struct test_reactor *reactor = &server->reactors[i];
        atomic_store(&reactor->released, false);
        sys_loop_post(server->loops[i], &reactor->release);
        test_wait_for(atomic_load(&reactor->released));
    }
}

/* --- its life --- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void log_sink(void *arg, enum text_log_level level, const char *line, int size) {
    (void)level;
    struct test_server *server = arg;
    pthread_mutex_lock(&log_mutex);
    snprintf(server->log_last, sizeof server->log_last, "%.*s", size, line);
    pthread_mutex_unlock(&log_mutex);
    atomic_fetch_add(&server->log_lines, 1);
}

bool test_log_last_has(struct test_server *server, const char *piece) {
    pthread_mutex_lock(&log_mutex);
    bool found = strstr(server->log_last, piece) != NULL;
    pthread_mutex_unlock(&log_mutex);
    return found;
}

static int64_t log_now(void *arg) {
    (void)arg;
    return 0;
}

void test_settings_init(struct test_settings *settings) {
    *settings = (struct test_settings){
        .queued_requests_max = 500,
        .request_bytes_max = -1,
        .listener_connections_max = INT32_MAX,
        .creation_rate_max = INT32_MAX,
    };
    net_limits_init(&settings->limits);
}

static void make_file(struct test_server *server) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/ottla-net-test-%d", (int)getpid());
    assert_int_equal(
        sys_file_open(server->sys, path, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &server->file),
        ERR_OK);
    server->file_size = 3 << 20;
    uint8_t *data = malloc(server->file_size);
    for (size_t i = 0; i < server->file_size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(sys_file_write(server->file, 0, data, server->file_size), ERR_OK);
    free(data);
    assert_int_equal(sys_path_remove(server->sys, path), ERR_OK);
}

static void start_net(struct test_server *server, const struct test_settings *wanted) {
    static struct text_log log;
    log = (struct text_log){
        .sink = log_sink, .now_ms = log_now, .arg = server, .level = TEXT_LOG_INFO};
    struct net_listener_settings listeners[2];
    net_listener_settings_init(&listeners[0]);
    listeners[0].name = "PLAINTEXT";
    listeners[0].address = (struct sys_address){.ip = {127, 0, 0, 1}};
    listeners[0].connections_max = wanted->listener_connections_max;
    listeners[0].backlog = 1024;
    if (wanted->idle_ms_max > 0) {
        listeners[0].idle_ms_max = wanted->idle_ms_max;
    }
    if (wanted->request_size_max > 0) {
        listeners[0].request_size_max = wanted->request_size_max;
    }
    net_listener_settings_init(&listeners[1]);
    listeners[1].name = "SECOND";
    listeners[1].address = (struct sys_address){.ipv6 = true, .ip = {[15] = 1}};
    listeners[1].request_size_max = 100;
    listeners[1].inter_broker = wanted->second_inter_broker;
    listeners[1].budget = wanted->second_apart;
    struct net_settings settings = {
        .sys = server->sys,
        .log = &log,
        .loops = server->loops,
        .loop_count = server->loop_count,
        .listeners = listeners,
        .listener_count = wanted->second_listener ? 2 : 1,
        .metrics = wanted->metrics,
        .limits = wanted->limits,
        .queued_requests_max = wanted->queued_requests_max,
        .request_bytes_max = wanted->request_bytes_max,
        .handlers = {server, on_open, on_request, on_cancel, on_done, on_close},
    };
    settings.limits.creation_rate_max = wanted->creation_rate_max;
    server->net = net_server_new(&settings);
    assert_int_equal(net_server_listen(server->net, NULL), ERR_OK);
    server->port = net_server_address(server->net, 0).port;
    if (wanted->second_listener) {
        server->second_port = net_server_address(server->net, 1).port;
    }
    net_server_start(server->net);
}

void test_server_start(struct test_server *server, const struct test_settings *settings) {
    *server = (struct test_server){0};
    assert_int_equal(sys_linux_new(&server->sys), ERR_OK);
    (void)sys_raise_file_limit(server->sys);
    make_file(server);
    server->loop_count = settings->loop_count == 0 ? 1 : settings->loop_count;
    server->loops = calloc((size_t)server->loop_count, sizeof *server->loops);
    server->reactors = calloc((size_t)server->loop_count, sizeof *server->reactors);
    for (int i = 0; i < server->loop_count; i++) {
        server->reactors[i].server = server;
        server->reactors[i].release.run = release_kept;
        assert_int_equal(sys_loop_new(server->sys, "reactor", &server->loops[i]), ERR_OK);
    }
    start_net(server, settings);
    for (int i = 0; i < server->loop_count; i++) {
        assert_int_equal(sys_loop_start(server->loops[i]), ERR_OK);
    }
}

struct stop_task {
    struct sys_task task;
    struct test_server *server;
    int64_t within_ms;
    const struct net_limits *limits;
    _Atomic bool done;
};

static void stopped(void *arg) {
    struct test_server *server = arg;
    atomic_store(&server->stopped, true);
}

static void run_stop(struct sys_task *task) {
    struct stop_task *stop = container_of(task, struct stop_task, task);
    int64_t deadline_ms = sys_mono_ms(stop->server->sys) + stop->within_ms;
    net_server_stop(stop->server->net, deadline_ms, stopped, stop->server);
    atomic_store(&stop->done, true);
}

static void run_set_limits(struct sys_task *task) {
    struct stop_task *stop = container_of(task, struct stop_task, task);
    net_server_set_limits(stop->server->net, stop->limits);
    atomic_store(&stop->done, true);
}

void test_server_begin_stop(struct test_server *server, int64_t within_ms) {
    struct stop_task stop = {.task.run = run_stop, .server = server, .within_ms = within_ms};
    sys_loop_post(server->loops[0], &stop.task);
    test_wait_for(atomic_load(&stop.done));
}

void test_set_limits(struct test_server *server, const struct net_limits *limits) {
    struct stop_task set = {.task.run = run_set_limits, .server = server, .limits = limits};
    sys_loop_post(server->loops[0], &set.task);
    test_wait_for(atomic_load(&set.done));
}

void test_server_end(struct test_server *server) {
    test_wait_for(atomic_load(&server->stopped));
    struct net_stats stats = test_stats(server);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.requests_queued, 0);
    assert_int_equal(stats.request_bytes, 0);
    assert_int_equal(atomic_load(&server->done), stats.requests);
    assert_int_equal(atomic_load(&server->opened), atomic_load(&server->closed));
    for (int i = 0; i < server->loop_count; i++) {
        sys_loop_stop(server->loops[i]);
        sys_loop_join(server->loops[i]);
    }
    net_server_free(server->net);
    for (int i = 0; i < server->loop_count; i++) {
        sys_loop_free(server->loops[i]);
    }
    sys_file_close(server->file);
    sys_linux_free(server->sys);
    free(server->loops);
    free(server->reactors);
}

void test_server_stop(struct test_server *server, int64_t within_ms) {
    test_server_begin_stop(server, within_ms);
    test_server_end(server);
}

struct net_stats test_stats(struct test_server *server) {
    struct net_stats stats;
    net_server_stats(server->net, &stats);
    return stats;
}

void test_sleep_ms(int ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* --- the client's side --- */

static int connect_to(int family, const void *address, socklen_t size) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), 0);
    int on = 1; /* no waiting between a length and its frame */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(connect(fd, address, size), 0);
    return fd;
}

int test_connect(struct test_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_to(AF_INET, &address, sizeof address);
}

int test_connect_second(struct test_server *server) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(server->second_port),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return connect_to(AF_INET6, &address, sizeof address);
}

void test_send(int fd, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t sent = send(fd, p, size, MSG_NOSIGNAL);
        assert_true(sent > 0);
        p += sent;
        size -= (size_t)sent;
    }
}

void test_send_length(int fd, int32_t length) {
    uint8_t prefix[4];
    put_be32(prefix, (uint32_t)length);
    test_send(fd, prefix, sizeof prefix);
}

void test_send_frame(int fd, const void *data, size_t size) {
    test_send_length(fd, (int32_t)size);
    test_send(fd, data, size);
}

void test_send_text(int fd, const char *text) {
    test_send_frame(fd, text, strlen(text));
}

/* False at the end of the stream. */
static bool receive_all(int fd, void *data, size_t size) {
    uint8_t *p = data;
    while (size > 0) {
        ssize_t received = recv(fd, p, size, 0);
        if (received == 0 || (received < 0 && errno == ECONNRESET)) {
            return false;
        }
        assert_true(received > 0);
        p += received;
        size -= (size_t)received;
    }
    return true;
}

uint8_t *test_receive(int fd, size_t *ret_size) {
    uint8_t prefix[4];
    if (!receive_all(fd, prefix, sizeof prefix)) {
        return NULL;
    }
    size_t size = get_be32(prefix);
    uint8_t *data = malloc(size + 1);
    if (!receive_all(fd, data, size)) {
        free(data);
        return NULL;
    }
    data[size] = '\0';
    *ret_size = size;
    return data;
}

void test_expect_text(int fd, const char *text) {
    size_t size;
    uint8_t *data = test_receive(fd, &size);
    assert_non_null(data);
    assert_string_equal((const char *)data, text);
    free(data);
}

void test_expect_closed(int fd) {
    size_t size;
    uint8_t *data = test_receive(fd, &size);
    assert_null(data);
    close(fd);
}

void test_expect_nothing(int fd, int for_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, for_ms), 0);
}
