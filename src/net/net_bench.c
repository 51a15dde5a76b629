/*
 * What a request costs: an echo server, clients on threads of their own, requests in flight.
 *
 *   net_bench [reactors] [connections] [in flight] [frame bytes] [seconds]
 *
 * Prints requests per second and the reactors' busy time per request, which is the figure to watch:
 * it does not depend on how many processors clients and server share.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"
#include "sys/linux.h"
#include "sys/sys.h"

static uint16_t port;
static _Atomic bool over;
static int in_flight;
static size_t frame_size;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void on_request(void *arg, struct net_request *request) {
    (void)arg;
    size_t size = net_request_size(request);
    struct buffer body = {0};
    buffer_add(&body, net_request_data(request), size < 64 ? size : 64);
    net_answer_buffer(request, &body);
}

static void receive_all(int fd, uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t received = recv(fd, data, size, 0);
        if (received <= 0) {
            fail("recv");
        }
        data += received;
        size -= (size_t)received;
    }
}

/* Sends a window of frames, reads its answers, and again. */
static void *run_client(void *arg) {
    (void)arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail("connect");
    }
    size_t one = 4 + frame_size;
    size_t answer_one = 4 + (frame_size < 64 ? frame_size : 64);
    uint8_t *window = calloc((size_t)in_flight, one);
    uint8_t *answers = calloc((size_t)in_flight, answer_one);
    for (int i = 0; i < in_flight; i++) {
        put_be32(window + (size_t)i * one, (uint32_t)frame_size);
    }
    while (!atomic_load(&over)) {
        for (size_t at = 0; at < (size_t)in_flight * one;) {
            ssize_t sent = send(fd, window + at, (size_t)in_flight * one - at, MSG_NOSIGNAL);
            if (sent <= 0) {
                fail("send");
            }
            at += (size_t)sent;
        }
        receive_all(fd, answers, (size_t)in_flight * answer_one);
    }
    free(window);
    free(answers);
    close(fd);
    return NULL;
}

static void no_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    (void)line;
    (void)size;
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static struct net_server *start_server(struct sys *sys, struct sys_loop **loops, int count) {
    static struct text_log log = {.sink = no_line, .now_ms = no_time};
    struct net_listener_settings listener;
    net_listener_settings_init(&listener);
    listener.name = "BENCH";
    listener.address = (struct sys_address){.ip = {127, 0, 0, 1}};
    struct net_settings settings = {
        .sys = sys,
        .log = &log,
        .loops = loops,
        .loop_count = count,
        .listeners = &listener,
        .listener_count = 1,
        .queued_requests_max = 500,
        .request_bytes_max = -1,
        .handlers = {.on_request = on_request},
    };
    net_limits_init(&settings.limits);
    struct net_server *server = net_server_new(&settings);
    if (net_server_listen(server, NULL) != ERR_OK) {
        fail("listen");
    }
    port = net_server_address(server, 0).port;
    net_server_start(server);
    return server;
}

static int64_t busy_ns(struct sys_loop **loops, int count) {
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        struct sys_loop_stats stats;
        sys_loop_stats_take(loops[i], &stats);
        sum += stats.busy_ns;
    }
    return sum;
}

int main(int argc, char **argv) {
    int reactors = argc > 1 ? atoi(argv[1]) : 1;
    int connections = argc > 2 ? atoi(argv[2]) : 1;
    in_flight = argc > 3 ? atoi(argv[3]) : 5;
    frame_size = argc > 4 ? strtoul(argv[4], NULL, 10) : 100;
    int seconds = argc > 5 ? atoi(argv[5]) : 3;

    struct sys *sys;
    struct sys_loop *loops[64];
    if (reactors < 1 || reactors > 64 || sys_linux_new(&sys) != ERR_OK) {
        return 2;
    }
    for (int i = 0; i < reactors; i++) {
        (void)sys_loop_new(sys, "reactor", &loops[i]);
    }
    struct net_server *server = start_server(sys, loops, reactors);
    for (int i = 0; i < reactors; i++) {
        (void)sys_loop_start(loops[i]);
    }
    pthread_t *threads = calloc((size_t)connections, sizeof *threads);
    for (int i = 0; i < connections; i++) {
        pthread_create(&threads[i], NULL, run_client, NULL);
    }
    sleep(1);
    struct net_stats before, after;
    net_server_stats(server, &before);
    int64_t busy_before_ns = busy_ns(loops, reactors);
    sleep((unsigned)seconds);
    net_server_stats(server, &after);
    int64_t spent_ns = busy_ns(loops, reactors) - busy_before_ns;
    atomic_store(&over, true);
    for (int i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t requests = after.requests - before.requests;
    printf("%d reactors, %d connections, %d in flight, %zu bytes: %.0f requests/s, %.0f MB/s, "
           "%.0f ns busy per request\n",
           reactors, connections, in_flight, frame_size, (double)requests / seconds,
           (double)(after.bytes_in - before.bytes_in) / seconds / 1e6,
           (double)spent_ns / (double)(requests == 0 ? 1 : requests));
    return 0; /* the process' end is the server's */
}
