/* The simulated network: streams arrive whole and in order; every way in which they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/file.h"
#include "sys/loop.h"
#include "sys/sim.h"
#include "sys/sim_net.h"
#include "sys/socket.h"

enum { PORT = 9092, TOTAL = 1000000 };

/* One side of a stream: sends TOTAL counted bytes when `sends`, checks what it reads. */
struct side {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_socket *listener;
    struct sys_socket *socket;
    struct sys_address peer;
    bool sends;
    bool close_when_sent;
    bool holds; /* reads nothing */
    size_t sent;
    size_t received;
    err_t connect_err;
    err_t read_err;
    err_t write_err;
};

struct fixture {
    struct sim_world *world;
    struct sim_host *hosts[2];
    struct side server;
    struct side client;
};

static uint8_t byte_at(size_t position) {
    return (uint8_t)(position * 7 + position / 251);
}

static void read_some(struct side *side) {
    uint8_t bytes[5000];
    size_t size;
    err_t err;
    while ((err = sys_socket_read(side->socket, bytes, sizeof bytes, &size)) == ERR_OK) {
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(bytes[i], byte_at(side->received + i));
        }
        side->received += size;
    }
    side->read_err = err;
}

static void write_some(struct side *side) {
    err_t err = ERR_OK;
    while (side->sent < TOTAL && err == ERR_OK) {
        uint8_t bytes[3000];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = byte_at(side->sent + i);
        }
        size_t left = TOTAL - side->sent;
        size_t first = left < 1000 ? left : 1000;
        struct iovec parts[2] = {{.iov_base = bytes, .iov_len = first},
                                 {.iov_base = bytes + 1000, .iov_len = 2000}};
        size_t size;
        err = sys_socket_write(side->socket, parts, left < 3000 ? 1 : 2, &size);
        side->sent += err == ERR_OK ? size : 0;
    }
    side->write_err = err;
}

static void update(struct side *side) {
    bool over = side->read_err != ERR_OK && side->read_err != ERR_WOULD_BLOCK;
    if (over || (side->close_when_sent && side->sent == TOTAL)) {
        sys_socket_close(side->socket);
        side->socket = NULL;
        return;
    }
    int events = side->holds ? 0 : SYS_SOCKET_READABLE;
    if (side->sends && side->sent < TOTAL) {
        events |= SYS_SOCKET_WRITABLE;
    }
    sys_socket_want(side->socket, events);
}

static void ready(void *arg, int events) {
    struct side *side = arg;
    assert_true(sys_loop_is_current(side->loop));
    if (side->connect_err == ERR_WOULD_BLOCK) {
        side->connect_err = sys_socket_connect_result(side->socket);
        if (side->connect_err != ERR_OK) {
            sys_socket_close(side->socket);
            side->socket = NULL;
            return;
        }
    }
    if ((events & SYS_SOCKET_READABLE) != 0) {
        read_some(side);
    }
    if ((events & SYS_SOCKET_WRITABLE) != 0 && side->sends) {
        write_some(side);
    }
    update(side);
}

static void accept_one(void *arg, int events) {
    struct side *side = arg;
    assert_int_equal(events, SYS_SOCKET_READABLE);
    struct sys_socket *socket;
    assert_int_equal(sys_socket_accept(side->listener, &socket, &side->peer), ERR_OK);
    assert_null(side->socket);
    side->socket = socket;
    sys_socket_attach(socket, side->loop, ready, side);
    update(side);
}

static void side_init(struct side *side, struct sim_host *host) {
    *side = (struct side){.sys = sim_host_sys(host)};
    assert_int_equal(sys_loop_new(side->sys, "loop", &side->loop), ERR_OK);
    assert_int_equal(sys_loop_start(side->loop), ERR_OK);
}

static void listen_on(struct side *side, const char *name) {
    struct sys_address address;
    size_t count;
    assert_int_equal(sys_resolve(side->sys, name, PORT, &address, 1, &count), ERR_OK);
    assert_int_equal(sys_socket_listen(side->sys, &address, 8, &side->listener, NULL), ERR_OK);
    sys_socket_attach(side->listener, side->loop, accept_one, side);
    sys_socket_want(side->listener, SYS_SOCKET_READABLE);
}

static void connect_to(struct side *side, const char *name) {
    struct sys_address address;
    size_t count;
    assert_int_equal(sys_resolve(side->sys, name, PORT, &address, 1, &count), ERR_OK);
    assert_int_equal(sys_socket_connect(side->sys, &address, &side->socket), ERR_OK);
    side->connect_err = ERR_WOULD_BLOCK;
    sys_socket_attach(side->socket, side->loop, ready, side);
    sys_socket_want(side->socket, SYS_SOCKET_WRITABLE);
}

static bool has_sent(void *arg) {
    struct side *side = arg;
    return side->sent > 0;
}

/* Until the client sent something, and has more. */
static void run_until_sending(struct fixture *f) {
    assert_true(sim_world_run_until(f->world, has_sent, &f->client, 1000));
    assert_true(f->client.sent < TOTAL);
}

static struct fixture *begin(uint64_t seed) {
    struct fixture *f = calloc(1, sizeof *f);
    f->world = sim_world_new(seed);
    f->hosts[0] = sim_host_new(f->world, "server", "10.0.0.1");
    f->hosts[1] = sim_host_new(f->world, "client", "10.0.0.2");
    side_init(&f->server, f->hosts[0]);
    side_init(&f->client, f->hosts[1]);
    return f;
}

static void finish(struct fixture *f) {
    sim_host_crash(f->hosts[0]);
    sim_host_crash(f->hosts[1]);
    sim_world_run_for(f->world, 60000);
    assert_int_equal(sim_net_connection_count(f->world), 0);
    sim_world_free(f->world);
    free(f);
}

static void streams_arrive_whole(void **state) {
    (void)state;
    const char *names[] = {"server", "10.0.0.1", "fd00::a00:1"};
    for (uint64_t seed = 0; seed < 9; seed++) {
        struct fixture *f = begin(seed);
        listen_on(&f->server, seed % 3 == 2 ? "::" : seed % 3 == 1 ? "" : "server");
        f->client.sends = f->client.close_when_sent = true;
        f->server.sends = seed % 2 == 0;
        connect_to(&f->client, names[seed % 3]);
        sim_world_run_for(f->world, 5000);
        assert_int_equal(f->client.connect_err, ERR_OK);
        assert_int_equal(f->client.sent, TOTAL);
        if (f->server.sends) {
            assert_true(f->client.received > 0);
        } else {
            assert_int_equal(f->server.received, TOTAL);
            assert_int_equal(f->server.read_err, ERR_CLOSED);
        }
        char text[SYS_ADDRESS_TEXT_MAX];
        sys_address_format(&f->server.peer, text);
        assert_int_equal(strncmp(text, seed % 3 == 2 ? "[fd00::a00:2]" : "10.0.0.2:", 9), 0);
        finish(f);
    }
}

static void a_writer_whose_peer_does_not_read_must_wait(void **state) {
    (void)state;
    struct fixture *f = begin(1);
    listen_on(&f->server, "server");
    f->client.sends = true;
    f->server.holds = true;
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, 5000);
    size_t sent = f->client.sent;
    assert_in_range(sent, 1000, SIM_SEND_BYTES_DEFAULT + SIM_RECEIVE_BYTES_DEFAULT);
    assert_int_equal(f->client.write_err, ERR_WOULD_BLOCK);
    assert_int_equal(f->server.received, 0);
    f->server.holds = false;
    sys_socket_want(f->server.socket, SYS_SOCKET_READABLE);
    sim_world_run_for(f->world, 5000);
    assert_int_equal(f->server.received, TOTAL);
    finish(f);
}

static void connecting_where_nobody_listens_is_refused(void **state) {
    (void)state;
    struct fixture *f = begin(2);
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, 100);
    assert_int_equal(f->client.connect_err, ERR_REFUSED);
    listen_on(&f->server, "127.0.0.1");
    connect_to(&f->client, "server"); /* loopback only */
    sim_world_run_for(f->world, 100);
    assert_int_equal(f->client.connect_err, ERR_REFUSED);
    struct sys_address address = {.ip = {127, 0, 0, 1}, .port = PORT};
    struct sys_socket *second;
    assert_int_equal(sys_socket_listen(f->server.sys, &address, 1, &second, NULL), ERR_IN_USE);
    address.port = 0;
    struct sys_address bound;
    assert_int_equal(sys_socket_listen(f->server.sys, &address, 1, &second, &bound), ERR_OK);
    assert_int_not_equal(bound.port, 0);
    char text[64];
    assert_int_equal(sys_port_holder(f->server.sys, PORT, text, sizeof text), ERR_OK);
    assert_string_equal(text, "pid 1 (server)");
    size_t count;
    assert_int_equal(sys_resolve(f->client.sys, "nowhere", 1, &address, 1, &count), ERR_NOT_FOUND);
    finish(f);
}

static void a_crash_ends_the_streams_of_its_host(void **state) {
    (void)state;
    struct fixture *f = begin(3);
    listen_on(&f->server, "server");
    f->client.sends = true;
    connect_to(&f->client, "server");
    run_until_sending(f);
    sim_host_crash(f->hosts[0]);
    sim_world_run_for(f->world, 1000);
    assert_null(f->client.socket);
    assert_true(f->client.read_err == ERR_CLOSED || f->client.read_err == ERR_IO);
    finish(f);
}

static void power_cuts_leave_peers_half_open(void **state) {
    (void)state;
    struct fixture *f = begin(4);
    listen_on(&f->server, "server");
    f->client.sends = true;
    connect_to(&f->client, "server");
    run_until_sending(f);
    sim_host_power_cut(f->hosts[0]);
    sim_world_run_for(f->world, 10000);
    assert_non_null(f->client.socket); /* it knows nothing */
    assert_int_equal(f->client.read_err, ERR_OK);
    sim_host_restart(f->hosts[0]);
    sim_world_run_for(f->world, 1000);
    assert_null(f->client.socket); /* a reset told it */
    assert_int_equal(f->client.read_err, ERR_IO);
    finish(f);
}

static void a_sender_gives_up_after_a_time(void **state) {
    (void)state;
    struct fixture *f = begin(5);
    listen_on(&f->server, "server");
    f->client.sends = true;
    connect_to(&f->client, "server");
    run_until_sending(f);
    sim_net_lose_connections(f->hosts[0]);
    sim_world_run_for(f->world, SIM_RESEND_MS_MAX - 2000);
    assert_non_null(f->client.socket);
    sim_world_run_for(f->world, 4000);
    assert_null(f->client.socket);
    assert_non_null(f->server.socket); /* half-open: it only waits */
    finish(f);
}

static void bytes_cross_a_partition_after_it_heals(void **state) {
    (void)state;
    struct fixture *f = begin(6);
    listen_on(&f->server, "server");
    f->client.sends = f->server.sends = true;
    connect_to(&f->client, "server");
    run_until_sending(f);
    sim_net_cut(f->hosts[1], f->hosts[0]);
    sim_world_run_for(f->world, 1000);
    size_t received = f->server.received;
    size_t received_back = f->client.received;
    assert_true(received < TOTAL);
    assert_true(received_back > 0); /* the other way works */
    sim_net_isolate(f->hosts[0]);
    sim_world_run_for(f->world, 5000);
    assert_int_equal(f->server.received, received);
    sim_net_heal_all(f->world);
    sim_world_run_for(f->world, 5000);
    assert_int_equal(f->server.received, TOTAL);
    assert_int_equal(f->client.received, TOTAL);
    finish(f);
}

static void connecting_through_a_partition_takes_until_it_heals(void **state) {
    (void)state;
    struct fixture *f = begin(7);
    listen_on(&f->server, "server");
    sim_net_isolate(f->hosts[1]);
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, 5000);
    assert_int_equal(f->client.connect_err, ERR_WOULD_BLOCK);
    sim_net_heal_all(f->world);
    sim_world_run_for(f->world, 5000);
    assert_int_equal(f->client.connect_err, ERR_OK);
    sim_net_reset_connections(f->hosts[0]);
    sim_world_run_for(f->world, 100);
    assert_int_equal(f->client.read_err, ERR_IO);
    assert_int_equal(f->server.read_err, ERR_IO);
    sim_net_isolate(f->hosts[1]);
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, SIM_CONNECT_MS_MAX + 2000);
    assert_int_equal(f->client.connect_err, ERR_TIMED_OUT);
    finish(f);
}

static void bad_links_reset_connections(void **state) {
    (void)state;
    struct fixture *f = begin(8);
    struct sim_link bad = {.delay_min_us = 1000, .delay_max_us = 9000, .reset_one_in = 20};
    sim_net_set_link(f->world, f->hosts[0], f->hosts[1], &bad);
    listen_on(&f->server, "server");
    f->client.sends = true;
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, 60000);
    assert_true(f->server.received < TOTAL);
    assert_int_equal(f->client.read_err, ERR_IO);
    finish(f);
}

static void files_are_sent(void **state) {
    (void)state;
    struct fixture *f = begin(9);
    listen_on(&f->server, "server");
    connect_to(&f->client, "server");
    sim_world_run_for(f->world, 100);
    struct sys_file *file;
    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = byte_at(i);
    }
    assert_int_equal(sys_file_open(f->client.sys, "/f", SYS_FILE_CREATE, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 5, bytes, sizeof bytes), ERR_OK);
    size_t size;
    assert_int_equal(sys_socket_send_file(f->client.socket, file, 2000, 10, &size), ERR_OK);
    assert_int_equal(size, 0); /* the file ended */
    for (size_t done = 0; done < sizeof bytes; done += size) {
        assert_int_equal(sys_socket_send_file(f->client.socket, file, 5 + done, 5000, &size),
                         ERR_OK);
    }
    sys_file_close(file);
    sim_world_run_for(f->world, 100);
    assert_int_equal(f->server.received, sizeof bytes);
    sys_socket_abort(f->client.socket);
    sim_world_run_for(f->world, 100);
    assert_int_equal(f->server.read_err, ERR_IO);
    finish(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive_whole),
        cmocka_unit_test(a_writer_whose_peer_does_not_read_must_wait),
        cmocka_unit_test(connecting_where_nobody_listens_is_refused),
        cmocka_unit_test(a_crash_ends_the_streams_of_its_host),
        cmocka_unit_test(power_cuts_leave_peers_half_open),
        cmocka_unit_test(a_sender_gives_up_after_a_time),
        cmocka_unit_test(bytes_cross_a_partition_after_it_heals),
        cmocka_unit_test(connecting_through_a_partition_takes_until_it_heals),
        cmocka_unit_test(bad_links_reset_connections),
        cmocka_unit_test(files_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
