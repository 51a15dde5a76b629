/* Vandals: what a port on the internet sees. Nothing here may hurt anybody else. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "stress.h"

struct vandal {
    struct stress *stress;
    struct rng rng;
};

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 2};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void put(int fd, const void *data, size_t size) {
    (void)!send(fd, data, size, MSG_NOSIGNAL);
}

/* An ApiVersions request of version 0, without a client id, and its length. */
static void make_hello(uint8_t frame[14]) {
    static const uint8_t hello[14] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff};
    memcpy(frame, hello, sizeof hello);
}

static void send_garbage(struct vandal *vandal, int fd) {
    uint8_t garbage[512];
    rng_bytes(&vandal->rng, garbage, sizeof garbage);
    put(fd, garbage, 1 + rng_below(&vandal->rng, sizeof garbage));
}

static void send_half(struct vandal *vandal, int fd) {
    uint8_t frame[14];
    make_hello(frame);
    put(fd, frame, 1 + rng_below(&vandal->rng, sizeof frame - 1));
    usleep((useconds_t)rng_below(&vandal->rng, 50000));
}

/* Garbage behind a header that is right. */
static void send_nonsense(struct vandal *vandal, int fd) {
    uint8_t frame[200];
    rng_bytes(&vandal->rng, frame, sizeof frame);
    put_be32(frame, sizeof frame - 4);
    put_be16(frame + 4, (uint16_t)rng_below(&vandal->rng, 90));
    put_be16(frame + 6, (uint16_t)rng_below(&vandal->rng, 14));
    put(fd, frame, sizeof frame);
}

/* Many requests, and no look at the answers. */
static void send_flood(struct vandal *vandal, int fd) {
    uint8_t frame[14];
    make_hello(frame);
    for (int i = 0; i < 200; i++) {
        put(fd, frame, sizeof frame);
    }
    if (rng_one_in(&vandal->rng, 2)) {
        struct linger reset = {.l_onoff = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
}

/* A fetch that waits, by name in version 4, left alone. */
static void leave_fetch(struct vandal *vandal, int fd) {
    struct buffer frame = {0};
    struct fetch_request_fetch_partition partition = {.fetch_offset = 1u << 30,
                                                      .partition_max_bytes = 1000};
    struct fetch_request_fetch_topic topic = {
        .topic = STR("steady"), .partitions = &partition, .partitions_count = 1};
    struct fetch_request request;
    wire_init(&fetch_request_type, &request);
    request.max_wait_ms = 10000;
    request.min_bytes = 1000000;
    request.max_bytes = 1000000;
    request.topics = &topic;
    request.topics_count = 1;
    partition.fetch_offset = (int64_t)rng_below(&vandal->rng, 3) == 0 ? 1 << 30 : 0;
    uint8_t *head = buffer_extend(&frame, 14);
    make_hello(head);
    put_be16(head + 4, 1);
    put_be16(head + 6, 4);
    if (wire_encode(&fetch_request_type, 4, &request, &frame) == ERR_OK) {
        put_be32(frame.data, (uint32_t)frame.size - 4);
        put(fd, frame.data, frame.size);
    }
    buffer_done(&frame);
    usleep((useconds_t)rng_below(&vandal->rng, 20000));
}

static void scrape(struct vandal *vandal) {
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char answer[16384];
    ssize_t size;
    size_t total = 0;
    int fd = connect_to(vandal->stress->node.http_port);
    if (fd < 0) {
        return;
    }
    put(fd, request, sizeof request - 1);
    while ((size = recv(fd, answer, sizeof answer, 0)) > 0) {
        total += (size_t)size;
    }
    close(fd);
    atomic_fetch_add(&vandal->stress->scrapes, total > 1000);
}

void *vandal_run(void *arg) {
    static void (*const deeds[])(struct vandal * vandal, int fd) = {
        send_garbage, send_half, send_nonsense, send_flood, leave_fetch, leave_fetch};
    struct thread *thread = arg;
    struct vandal vandal = {.stress = thread->stress};
    rng_init(&vandal.rng, thread->seed);
    while (!stress_is_ending(thread->stress)) {
        if (rng_one_in(&vandal.rng, 8)) {
            scrape(&vandal);
            continue;
        }
        uint16_t port = rng_one_in(&vandal.rng, 4) ? vandal.stress->node.controller_port
                                                   : vandal.stress->node.port;
        int fd = connect_to(port);
        if (fd >= 0) {
            deeds[rng_below(&vandal.rng, sizeof deeds / sizeof deeds[0])](&vandal, fd);
            close(fd);
            atomic_fetch_add(&vandal.stress->attacks, 1);
        }
        usleep((useconds_t)rng_below(&vandal.rng, 10000));
    }
    return NULL;
}
