/* The bounds of the node, coming and going, over Linux loopback. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "net/net_test_fixture.h"

static struct test_server server;

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void expect_served(int fd) {
    test_send_text(fd, "e ping");
    test_expect_text(fd, "e ping");
}

/* --- connections --- */

static void thousand_connections_are_spread(void **state) {
    (void)state;
    enum { CONNECTIONS = 1000 };
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 4;
    test_server_start(&server, &settings);
    static int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = test_connect(&server);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            test_send_text(fds[i], "e ping");
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            test_expect_text(fds[i], "e ping");
        }
    }
    assert_int_equal(test_stats(&server).connections, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
    }
    test_wait_for(test_stats(&server).connections == 0);
    test_server_stop(&server, 0);
}

static void address_has_a_limit(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.limits.connections_per_ip_max = 2;
    test_server_start(&server, &settings);
    int a = test_connect(&server);
    int b = test_connect(&server);
    expect_served(a);
    expect_served(b);
    test_expect_closed(test_connect(&server));
    assert_int_equal(test_stats(&server).connections_refused, 1);
    close(a);
    test_wait_for(test_stats(&server).connections == 1);
    test_sleep_ms(20); /* counted out on reactor 0 */
    a = test_connect(&server);
    expect_served(a);

    struct net_ip_limit override = {.address = {.ip = {127, 0, 0, 1}}, .connections_max = 3};
    struct net_limits limits = settings.limits;
    limits.ip_limits = &override;
    limits.ip_limit_count = 1;
    test_set_limits(&server, &limits);
    int c = test_connect(&server);
    expect_served(c);
    test_expect_closed(test_connect(&server));
    close(a);
    close(b);
    close(c);
    test_server_stop(&server, 0);
}

static void over_the_limit_clients_wait(void **state) {
    (void)state;
    for (int of_listener = 0; of_listener < 2; of_listener++) {
        struct test_settings settings;
        test_settings_init(&settings);
        if (of_listener) {
            settings.listener_connections_max = 2;
        } else {
            settings.limits.connections_max = 2;
        }
        test_server_start(&server, &settings);
        int a = test_connect(&server);
        int b = test_connect(&server);
        expect_served(a);
        expect_served(b);
        int c = test_connect(&server);
        test_send_text(c, "e later");
        test_expect_nothing(c, 50);
        close(a);
        test_expect_text(c, "e later");
        close(b);
        close(c);
        test_server_stop(&server, 0);
    }
}

/* On the inter-broker listener nobody waits for clients: the one that was idle longest goes. */
static void brokers_come_before_idle_clients(void **state) {
    (void)state;
    for (int loops = 1; loops <= 2; loops++) {
        struct test_settings settings;
        test_settings_init(&settings);
        settings.loop_count = loops;
        settings.second_listener = true;
        settings.second_inter_broker = true;
        settings.limits.connections_max = 2;
        test_server_start(&server, &settings);
        int idle = test_connect(&server);
        expect_served(idle);
        test_sleep_ms(5);
        int broker = test_connect_second(&server);
        expect_served(broker);
        int other = test_connect_second(&server); /* the node is full: the client goes */
        expect_served(other);
        test_expect_closed(idle);
        int third = test_connect_second(&server); /* nobody is left who could */
        expect_served(third);
        expect_served(broker);
        expect_served(other);
        int client = test_connect(&server);
        test_send_text(client, "e waits");
        test_expect_nothing(client, 50);
        close(broker);
        close(other);
        test_expect_text(client, "e waits");
        close(third);
        close(client);
        test_server_stop(&server, 0);
    }
}

static void who_was_idle_longest_goes_first(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.second_listener = true;
    settings.second_inter_broker = true;
    settings.limits.connections_max = 4;
    test_server_start(&server, &settings);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = test_connect(&server);
        expect_served(fds[i]);
        test_sleep_ms(5);
    }
    expect_served(fds[0]);
    int broker = test_connect_second(&server);
    expect_served(broker);
    test_expect_closed(fds[1]);

    struct net_limits limits = settings.limits; /* lowered */
    limits.connections_max = 2;
    test_set_limits(&server, &limits);
    test_expect_closed(fds[2]);
    test_expect_closed(fds[3]);
    expect_served(fds[0]);
    expect_served(broker);
    assert_true(test_log_last_has(&server, "max.connections"));
    close(fds[0]);
    close(broker);
    test_server_stop(&server, 0);
}

static void budgets_are_counted_apart(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.second_listener = true;
    settings.second_apart = true;
    settings.limits.connections_max = 1;
    test_server_start(&server, &settings);
    int first = test_connect(&server);
    int second = test_connect_second(&server);
    expect_served(first);
    expect_served(second);
    int late = test_connect_second(&server);
    test_send_text(late, "e late");
    test_expect_nothing(late, 50);
    close(first);
    test_expect_nothing(late, 50);
    close(second);
    test_expect_text(late, "e late");
    close(late);
    test_server_stop(&server, 0);
}

static void connections_come_at_their_rate(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.creation_rate_max = 20;
    test_server_start(&server, &settings);
    int64_t start_ms = now_ms();
    for (int i = 0; i < 30; i++) { /* 20 at once, then one in 50 ms */
        int fd = test_connect(&server);
        expect_served(fd);
        close(fd);
    }
    int64_t took_ms = now_ms() - start_ms;
    assert_true(took_ms >= 400);
    assert_true(took_ms < 3000);
    test_server_stop(&server, 0);
}

static void idle_connections_are_closed(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.idle_ms_max = 300;
    test_server_start(&server, &settings);
    int waiting = test_connect(&server);
    test_send_text(waiting, "p");
    int busy = test_connect(&server);
    int idle = test_connect(&server);
    int half = test_connect(&server);
    test_send(half, "\0\0", 2);
    int64_t start_ms = now_ms();
    for (int i = 0; i < 8; i++) {
        expect_served(busy);
        test_sleep_ms(100);
    }
    test_expect_closed(idle);
    test_expect_closed(half);
    assert_true(now_ms() - start_ms < 5000);
    assert_int_equal(test_stats(&server).connections_expired, 2);
    expect_served(busy);
    test_release(&server);
    test_expect_text(waiting, "p");
    close(waiting);
    close(busy);
    test_server_stop(&server, 0);
}

static void out_of_files_new_clients_wait(void **state) {
    (void)state;
    enum { CLIENTS = 5 };
    struct test_settings settings;
    test_settings_init(&settings);
    test_server_start(&server, &settings);
    int old = test_connect(&server);
    expect_served(old);
    int fds[CLIENTS];
    struct rlimit before;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = test_connect(&server);
        expect_served(fds[i]);
        close(fds[i]);
    }
    test_wait_for(test_stats(&server).connections == 1);
    int client = test_connect(&server); /* the client's own descriptor is there already */
    expect_served(client);
    int spare = dup(client);
    close(spare);
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit tight = {.rlim_cur = (rlim_t)spare + 1, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    int late = test_connect(&server); /* takes the last one */
    test_send_text(late, "e late");
    test_expect_nothing(late, 300);
    expect_served(old);
    assert_true(test_log_last_has(&server, "file descriptor"));
    assert_int_equal(atomic_load(&server.log_lines), 1);
    setrlimit(RLIMIT_NOFILE, &before);
    test_expect_text(late, "e late");
    close(old);
    close(client);
    close(late);
    test_server_stop(&server, 0);
}

static void listeners_have_their_own_settings(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 2;
    settings.second_listener = true;
    settings.metrics = metrics_new(NULL, 2);
    test_server_start(&server, &settings);
    int first = test_connect(&server);
    int second = test_connect_second(&server);
    char text[102] = "e";
    memset(text + 1, 'x', 100);
    test_send_text(first, text);
    test_expect_text(first, text);
    expect_served(second);
    test_send_text(second, text);
    test_expect_closed(second);
    assert_true(test_log_last_has(&server, "[::1]"));
    assert_true(test_log_last_has(&server, "SECOND"));

    struct buffer page = {0};
    metrics_render(settings.metrics, 0, &page);
    buffer_add(&page, "", 1);
    static const char *const lines[] = {
        "kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\","
        "networkProcessor=",
        "kafka_server_socket_server_metrics_incoming_byte_total{listener=\"SECOND\","
        "networkProcessor=",
        "kafka_network_socketserver_networkprocessoravgidlepercent ",
        "kafka_network_requestchannel_requestqueuesize 0\n",
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent ",
        "ottla_frames_refused_total 1\n",
        "ottla_reactor_stall_max_seconds{reactor=\"1\"} ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_non_null(strstr((const char *)page.data, lines[i]));
    }
    buffer_done(&page);
    close(first);
    test_server_stop(&server, 0);
    metrics_free(settings.metrics);
}

/* --- requests and their memory --- */

static void queued_requests_stop_the_reading(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 2;
    settings.queued_requests_max = 3;
    test_server_start(&server, &settings);
    int fds[4];
    for (int i = 0; i < 4; i++) { /* two on each reactor */
        fds[i] = test_connect(&server);
        expect_served(fds[i]);
    }
    test_send_text(fds[0], "p1"); /* parked does not count */
    test_send_text(fds[0], "k2");
    test_send_text(fds[1], "k3");
    test_send_text(fds[1], "k4");
    test_wait_for(test_stats(&server).requests_queued == 3);
    for (int i = 0; i < 4; i++) {
        test_send_text(fds[i], "e5");
    }
    test_expect_nothing(fds[2], 50);
    test_expect_nothing(fds[3], 50);
    assert_true(test_stats(&server).read_stalls > 0);
    test_release(&server);
    test_expect_text(fds[0], "p1");
    test_expect_text(fds[0], "k2");
    test_expect_text(fds[1], "k3");
    test_expect_text(fds[1], "k4");
    for (int i = 0; i < 4; i++) {
        test_expect_text(fds[i], "e5");
        close(fds[i]);
    }
    test_server_stop(&server, 0);
}

enum { MEGABYTE = 1 << 20 };

/* Frames that are half here use all memory up; all of them must still come to their end. */
static void half_frames_do_not_block_each_other(void **state) {
    (void)state;
    enum { CLIENTS = 8, FRAME = 2 * MEGABYTE };
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 2;
    settings.request_bytes_max = 4 * MEGABYTE;
    test_server_start(&server, &settings);
    uint8_t *frame = calloc(1, FRAME);
    frame[0] = 'e';
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = test_connect(&server);
        test_send_length(fds[i], FRAME);
        test_send(fds[i], frame, 600 * 1000);
    }
    test_sleep_ms(100);
    assert_true(test_stats(&server).request_bytes <= 4 * MEGABYTE + FRAME + FRAME / 4);
    for (int i = CLIENTS - 1; i >= 0; i--) { /* others wait in the kernel meanwhile */
        test_send(fds[i], frame + 600 * 1000, FRAME - 600 * 1000);
    }
    /* In the order in which they come: an answer is the frame itself, and holds its memory. */
    struct pollfd polled[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    for (int done = 0; done < CLIENTS;) {
        assert_true(poll(polled, CLIENTS, 30 * 1000) > 0);
        for (int i = 0; i < CLIENTS; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0) {
                size_t size;
                uint8_t *answer = test_receive(fds[i], &size);
                assert_non_null(answer);
                assert_int_equal(size, FRAME);
                free(answer);
                close(fds[i]);
                polled[i].fd = -1;
                done++;
            }
        }
    }
    free(frame);
    test_server_stop(&server, 0);
}

/* A client that holds memory and stops in the middle must not stop the node for ever. */
static void silent_holder_of_memory_is_closed(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.request_bytes_max = MEGABYTE;
    test_server_start(&server, &settings);
    uint8_t *frame = calloc(1, 8 * MEGABYTE);
    frame[0] = 'e';
    int bad = test_connect(&server);
    test_send_length(bad, 8 * MEGABYTE);
    test_send(bad, frame, 3 * MEGABYTE);
    test_wait_for(test_stats(&server).bytes_in == 3 * MEGABYTE + 4);
    int good = test_connect(&server);
    test_send_text(good, "e waits");
    test_expect_text(good, "e waits"); /* once the bad one is closed */
    test_expect_closed(bad);
    assert_true(test_log_last_has(&server, "queued.max.request.bytes"));
    close(good);
    free(frame);
    test_server_stop(&server, 0);
}

/* --- stopping --- */

static void stop_answers_what_is_in_flight(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    test_server_start(&server, &settings);
    int idle = test_connect(&server);
    expect_served(idle);
    int waiting = test_connect(&server);
    test_send_text(waiting, "b500000");
    test_send_text(waiting, "p");
    test_wait_for(test_stats(&server).requests == 3);
    test_server_begin_stop(&server, 10000);
    test_expect_closed(idle); /* of the same reactor: the other one drains, too */
    test_send_text(waiting, "e too late");
    assert_false(atomic_load(&server.stopped));
    test_release(&server);
    size_t size;
    uint8_t *data = test_receive(waiting, &size);
    assert_non_null(data);
    assert_int_equal(size, 500000);
    free(data);
    test_expect_text(waiting, "p");
    test_expect_closed(waiting);
    test_server_end(&server);
}

static void stop_ends_at_its_deadline(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 2;
    test_server_start(&server, &settings);
    int waiting = test_connect(&server);
    test_send_text(waiting, "p");
    test_wait_for(test_stats(&server).requests == 1);
    int64_t start_ms = now_ms();
    test_server_begin_stop(&server, 200);
    test_expect_closed(waiting);
    int64_t took_ms = now_ms() - start_ms;
    assert_true(took_ms >= 150);
    assert_true(took_ms < 3000);
    test_server_end(&server);

    test_server_start(&server, &settings);
    waiting = test_connect(&server);
    test_send_text(waiting, "p");
    test_wait_for(test_stats(&server).requests == 1);
    test_server_begin_stop(&server, 60 * 1000);
    test_server_begin_stop(&server, 0); /* the second one: at once */
    test_expect_closed(waiting);
    test_server_end(&server);
}

static void busy_port_is_told(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    test_server_start(&server, &settings);
    struct net_listener_settings listeners[2];
    for (int i = 0; i < 2; i++) {
        net_listener_settings_init(&listeners[i]);
        listeners[i].name = "PLAINTEXT";
        listeners[i].address = (struct sys_address){.ip = {127, 0, 0, 1}};
    }
    listeners[1].address.port = server.port;
    struct net_settings second = {
        .sys = server.sys,
        .loops = server.loops,
        .loop_count = 1,
        .listeners = listeners,
        .listener_count = 2,
        .queued_requests_max = 1,
        .request_bytes_max = -1,
    };
    net_limits_init(&second.limits);
    struct net_server *net = net_server_new(&second);
    int failed = -1;
    assert_int_equal(net_server_listen(net, &failed), ERR_IN_USE);
    assert_int_equal(failed, 1);
    net_server_free(net);
    test_server_stop(&server, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousand_connections_are_spread),
        cmocka_unit_test(address_has_a_limit),
        cmocka_unit_test(over_the_limit_clients_wait),
        cmocka_unit_test(brokers_come_before_idle_clients),
        cmocka_unit_test(who_was_idle_longest_goes_first),
        cmocka_unit_test(budgets_are_counted_apart),
        cmocka_unit_test(connections_come_at_their_rate),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(out_of_files_new_clients_wait),
        cmocka_unit_test(listeners_have_their_own_settings),
        cmocka_unit_test(queued_requests_stop_the_reading),
        cmocka_unit_test(half_frames_do_not_block_each_other),
        cmocka_unit_test(silent_holder_of_memory_is_closed),
        cmocka_unit_test(stop_answers_what_is_in_flight),
        cmocka_unit_test(stop_ends_at_its_deadline),
        cmocka_unit_test(busy_port_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
