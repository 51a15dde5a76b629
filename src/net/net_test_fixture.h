#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

/*
 * A server on Linux loopback whose requests say what they want of it, and a blocking client.
 *
 *   first byte   what the server does
 *   ----------   ---------------------------------------------------------------------------------
 *   e            echoes the frame
 *   E            echoes it from the frame's own memory, without a copy
 *   n            answers nothing
 *   k            keeps the request running until test_release
 *   p            parks it until test_release
 *   b            answers with as many bytes as the number that follows
 *   f            answers with "file:" and the whole of the test's file
 *   t            likewise, but promises one byte more than the file has
 *   h            holds other requests, parks until test_release
 *   c            closes the connection
 *   d            answers, then closes after answers
 */
struct test_server {
    struct sys *sys;
    struct sys_loop **loops;
    int loop_count;
    struct net_server *net;
    uint16_t port;
    uint16_t second_port;
    struct sys_file *file;
    uint64_t file_size;

    _Atomic int opened;
    _Atomic int closed;
    _Atomic int cancelled;
    _Atomic int done;
    _Atomic int log_lines;
    char log_last[512];
    _Atomic bool stopped;
    struct test_reactor *reactors;
};

struct test_settings {
    int loop_count;           /* 0: 1 */
    int64_t idle_ms_max;      /* 0: Kafka's */
    int32_t request_size_max; /* 0: Kafka's */
    int32_t queued_requests_max;
    int64_t request_bytes_max;
    int32_t listener_connections_max;
    int32_t creation_rate_max;
    struct net_limits limits;
    struct metrics *metrics; /* may be NULL */
    bool second_listener;    /* "SECOND" on [::1], frames of at most 100 bytes */
    bool second_inter_broker;
    bool second_apart; /* in a budget of its own */
};

/* Kafka's defaults. */
void test_settings_init(struct test_settings *settings);

void test_server_start(struct test_server *server, const struct test_settings *settings);

/* Stops with this much time for what is in flight; then checks that nothing is left over. */
void test_server_stop(struct test_server *server, int64_t within_ms);

/* The two halves of it. */
void test_server_begin_stop(struct test_server *server, int64_t within_ms);
void test_server_end(struct test_server *server);

/* Answers all kept and parked requests, the last first; each gets its own frame back. */
void test_release(struct test_server *server);

void test_set_limits(struct test_server *server, const struct net_limits *limits);
struct net_stats test_stats(struct test_server *server);

/* Whether the last log line has this in it. */
bool test_log_last_has(struct test_server *server, const char *piece);

/* Waits until the condition holds, at most some seconds; then fails the test. */
#define test_wait_for(condition)                                                                   \
    do {                                                                                           \
        int tries_left_ = 5000;                                                                    \
        while (!(condition) && tries_left_-- > 0) {                                                \
            test_sleep_ms(1);                                                                      \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)
void test_sleep_ms(int ms);

/* --- a blocking client; sockets are plain descriptors, calls time out after seconds --- */

int test_connect(struct test_server *server);
int test_connect_second(struct test_server *server);
void test_send(int fd, const void *data, size_t size);
void test_send_frame(int fd, const void *data, size_t size);
void test_send_text(int fd, const char *text);
void test_send_length(int fd, int32_t length);

/* The next answer; the caller frees it. NULL: the server closed. */
uint8_t *test_receive(int fd, size_t *ret_size);
void test_expect_text(int fd, const char *text);
void test_expect_closed(int fd);
void test_expect_nothing(int fd, int for_ms);
