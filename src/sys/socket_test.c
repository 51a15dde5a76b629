/* Sockets of the real world, over loopback. */
#include "sys/socket.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "sys/linux.h"

struct fixture {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_timer deadline;
};

enum { MESSAGE_SIZE = 1 << 17 };

/* One end of a connection: sends `out`, collects `in`. */
struct end {
    struct fixture *fixture;
    struct sys_socket *socket;
    const char *out;
    size_t out_size;
    size_t out_sent;
    char in[MESSAGE_SIZE + 1]; /* room to read the end of the stream into */
    size_t in_size;
    err_t in_err; /* how reading ended */
    bool echo;
};

static void too_late(struct sys_timer *timer) {
    (void)timer;
    fail_msg("nothing happened for ten seconds");
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_int_equal(sys_linux_new(&fixture->sys), ERR_OK);
    assert_int_equal(sys_loop_new(fixture->sys, "test", &fixture->loop), ERR_OK);
    fixture->deadline.fire = too_late;
    sys_timer_set(fixture->loop, &fixture->deadline, sys_mono_ms(fixture->sys) + 10000);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    sys_timer_clear(fixture->loop, &fixture->deadline);
    sys_loop_free(fixture->loop);
    sys_linux_free(fixture->sys);
    free(fixture);
    return 0;
}

static struct sys_address loopback(struct fixture *fixture, const char *host) {
    struct sys_address address;
    size_t count;
    assert_int_equal(sys_resolve(fixture->sys, host, 0, &address, 1, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_true(sys_address_is_loopback(&address));
    return address;
}

static struct sys_socket *listen_on(struct fixture *fixture, const char *host,
                                    struct sys_address *ret_bound) {
    struct sys_address address = loopback(fixture, host);
    struct sys_socket *listener;
    assert_int_equal(sys_socket_listen(fixture->sys, &address, 16, &listener, ret_bound), ERR_OK);
    assert_int_not_equal(ret_bound->port, 0);
    return listener;
}

/* --- echo --- */

static void end_send(struct end *end) {
    struct iovec parts[2] = {
        {(char *)(uintptr_t)end->out + end->out_sent, (end->out_size - end->out_sent) / 2},
        {NULL, 0},
    };
    parts[1].iov_base = (char *)parts[0].iov_base + parts[0].iov_len;
    parts[1].iov_len = end->out_size - end->out_sent - parts[0].iov_len;
    size_t size;
    err_t err = sys_socket_write(end->socket, parts, 2, &size);
    if (err == ERR_OK) {
        end->out_sent += size;
    } else {
        assert_int_equal(err, ERR_WOULD_BLOCK);
    }
}

static void end_receive(struct end *end) {
    size_t size;
    err_t err =
        sys_socket_read(end->socket, end->in + end->in_size, sizeof end->in - end->in_size, &size);
    if (err == ERR_OK) {
        end->in_size += size;
        if (end->echo) {
            end->out = end->in;
            end->out_size = end->in_size;
        }
    } else if (err != ERR_WOULD_BLOCK) {
        end->in_err = err;
        sys_socket_close(end->socket);
        end->socket = NULL;
    }
}

static void end_ready(void *arg, int events) {
    struct end *end = arg;
    if ((events & SYS_SOCKET_WRITABLE) != 0) {
        end_send(end);
    }
    if ((events & SYS_SOCKET_READABLE) != 0) {
        end_receive(end);
    }
    if (end->socket == NULL) {
        sys_loop_stop(end->fixture->loop);
    } else if (!end->echo && end->in_size == end->out_size) {
        sys_socket_close(end->socket);
        end->socket = NULL;
    } else {
        int writable = end->out_sent < end->out_size ? SYS_SOCKET_WRITABLE : 0;
        sys_socket_want(end->socket, SYS_SOCKET_READABLE | writable);
    }
}

struct acceptor {
    struct sys_socket *listener;
    struct end *end;
};

static void accept_ready(void *arg, int events) {
    struct acceptor *acceptor = arg;
    struct sys_address peer;
    assert_int_equal(events, SYS_SOCKET_READABLE);
    assert_int_equal(sys_socket_accept(acceptor->listener, &acceptor->end->socket, &peer), ERR_OK);
    assert_true(sys_address_is_loopback(&peer));
    struct sys_socket *second;
    assert_int_equal(sys_socket_accept(acceptor->listener, &second, NULL), ERR_WOULD_BLOCK);
    sys_socket_attach(acceptor->end->socket, acceptor->end->fixture->loop, end_ready,
                      acceptor->end);
    sys_socket_want(acceptor->end->socket, SYS_SOCKET_READABLE);
    sys_socket_close(acceptor->listener);
}

static void connect_ready(void *arg, int events) {
    struct end *end = arg;
    assert_int_equal(sys_socket_connect_result(end->socket), ERR_OK);
    sys_socket_want(end->socket, SYS_SOCKET_READABLE | SYS_SOCKET_WRITABLE);
    end_ready(end, events);
}

static void echo_over(struct fixture *fixture, const char *host) {
    struct end *client = calloc(1, sizeof *client);
    struct end *server = calloc(1, sizeof *server);
    char *message = malloc(MESSAGE_SIZE);
    memset(message, 'm', MESSAGE_SIZE);
    *client = (struct end){.fixture = fixture, .out = message, .out_size = MESSAGE_SIZE};
    *server = (struct end){.fixture = fixture, .echo = true};

    struct sys_address address;
    struct acceptor acceptor = {.end = server};
    acceptor.listener = listen_on(fixture, host, &address);
    sys_socket_attach(acceptor.listener, fixture->loop, accept_ready, &acceptor);
    sys_socket_want(acceptor.listener, SYS_SOCKET_READABLE);
    assert_int_equal(sys_socket_connect(fixture->sys, &address, &client->socket), ERR_OK);
    sys_socket_set_buffers(client->socket, 65536, 65536);
    sys_socket_attach(client->socket, fixture->loop, connect_ready, client);
    sys_socket_want(client->socket, SYS_SOCKET_WRITABLE);
    sys_loop_run(fixture->loop);

    assert_int_equal(server->in_err, ERR_CLOSED);
    assert_int_equal(client->in_size, MESSAGE_SIZE);
    assert_memory_equal(client->in, message, MESSAGE_SIZE);
    free(message);
    free(server);
    free(client);
}

static void test_echo(void **state) {
    echo_over(*state, "127.0.0.1");
}

static void test_echo_ipv6(void **state) {
    echo_over(*state, "::1");
}

/* --- errors --- */

static err_t refused_result;

static void refused_ready(void *arg, int events) {
    struct end *end = arg;
    assert_int_equal(events, SYS_SOCKET_WRITABLE);
    refused_result = sys_socket_connect_result(end->socket);
    assert_int_equal(sys_socket_connect_result(end->socket), refused_result);
    sys_socket_close(end->socket);
    sys_loop_stop(end->fixture->loop);
}

static void test_refused(void **state) {
    struct fixture *fixture = *state;
    struct end *end = calloc(1, sizeof *end);
    end->fixture = fixture;
    struct sys_address address;
    sys_socket_close(listen_on(fixture, "127.0.0.1", &address)); /* a port where nobody is */
    refused_result = sys_socket_connect(fixture->sys, &address, &end->socket);
    if (refused_result == ERR_OK) {
        sys_socket_attach(end->socket, fixture->loop, refused_ready, end);
        sys_socket_want(end->socket, SYS_SOCKET_WRITABLE);
        sys_loop_run(fixture->loop);
    }
    assert_int_equal(refused_result, ERR_REFUSED);
    free(end);
}

static void test_in_use(void **state) {
    struct fixture *fixture = *state;
    struct sys_address address;
    struct sys_socket *listener = listen_on(fixture, "127.0.0.1", &address);
    struct sys_socket *second;
    assert_int_equal(sys_socket_listen(fixture->sys, &address, 16, &second, NULL), ERR_IN_USE);
    char holder[64];
    char expected[32];
    (void)snprintf(expected, sizeof expected, "pid %d (", (int)getpid());
    assert_int_equal(sys_port_holder(fixture->sys, address.port, holder, sizeof holder), ERR_OK);
    assert_memory_equal(holder, expected, strlen(expected));
    sys_socket_close(listener);
    assert_int_equal(sys_port_holder(fixture->sys, address.port, holder, sizeof holder),
                     ERR_NOT_FOUND);
}

/* A connected pair on no loop. */
static void make_pair(struct fixture *fixture, struct sys_socket *ret_ends[2]) {
    struct sys_address address;
    struct sys_socket *listener = listen_on(fixture, "127.0.0.1", &address);
    assert_int_equal(sys_socket_connect(fixture->sys, &address, &ret_ends[0]), ERR_OK);
    err_t err;
    do {
        err = sys_socket_accept(listener, &ret_ends[1], NULL);
    } while (err == ERR_WOULD_BLOCK);
    assert_int_equal(err, ERR_OK);
    sys_socket_close(listener);
}

static err_t read_waiting(struct sys_socket *socket, void *data, size_t size, size_t *ret_size) {
    err_t err;
    do {
        err = sys_socket_read(socket, data, size, ret_size);
    } while (err == ERR_WOULD_BLOCK);
    return err;
}

static void test_abort(void **state) {
    struct sys_socket *ends[2];
    make_pair(*state, ends);
    char byte = 'x';
    size_t size;
    struct iovec part = {&byte, 1};
    assert_int_equal(sys_socket_read(ends[0], &byte, 1, &size), ERR_WOULD_BLOCK);
    sys_socket_abort(ends[1]);
    assert_int_equal(read_waiting(ends[0], &byte, 1, &size), ERR_IO);
    assert_int_equal(sys_socket_write(ends[0], &part, 1, &size), ERR_CLOSED);
    sys_socket_close(ends[0]);
    sys_socket_close(NULL);
    sys_socket_abort(NULL);
}

/* --- files --- */

static void test_send_file(void **state) {
    struct fixture *fixture = *state;
    char path[] = "/tmp/ottla-sys-XXXXXX";
    (void)close(mkstemp(path));
    struct sys_file *file;
    assert_int_equal(sys_file_open(fixture->sys, path, 0, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, "0123456789", 10), ERR_OK);

    struct sys_socket *ends[2];
    make_pair(fixture, ends);
    size_t size;
    char data[16];
    assert_int_equal(sys_socket_send_file(ends[0], file, 3, 5, &size), ERR_OK);
    assert_int_equal(size, 5);
    assert_int_equal(read_waiting(ends[1], data, sizeof data, &size), ERR_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(data, "34567", 5);
    assert_int_equal(sys_socket_send_file(ends[0], file, 10, 5, &size), ERR_OK);
    assert_int_equal(size, 0); /* the file ended */
    sys_socket_close(ends[1]);
    err_t err;
    do { /* the first byte after a close may still be taken */
        err = sys_socket_send_file(ends[0], file, 0, 1, &size);
    } while (err == ERR_OK);
    assert_int_equal(err, ERR_CLOSED);
    sys_socket_close(ends[0]);
    sys_file_close(file);
    assert_int_equal(sys_path_remove(fixture->sys, path), ERR_OK);
}

/* --- events of one batch --- */

static struct sys_socket *pair_a[2];
static struct sys_socket *pair_b[2];
static int batch_calls;

/* Both ends are readable in one batch; whoever comes first closes the other. */
static void close_other(void *arg, int events) {
    struct sys_socket **other = arg;
    (void)events;
    batch_calls++;
    sys_socket_close(*other);
    *other = NULL;
}

static void test_closed_in_batch(void **state) {
    struct fixture *fixture = *state;
    make_pair(fixture, pair_a);
    make_pair(fixture, pair_b);
    batch_calls = 0;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    size_t size;
    assert_int_equal(sys_socket_write(pair_a[0], &part, 1, &size), ERR_OK);
    assert_int_equal(sys_socket_write(pair_b[0], &part, 1, &size), ERR_OK);
    sys_socket_attach(pair_a[1], fixture->loop, close_other, &pair_b[1]);
    sys_socket_attach(pair_b[1], fixture->loop, close_other, &pair_a[1]);
    sys_socket_want(pair_a[1], SYS_SOCKET_READABLE);
    sys_socket_want(pair_b[1], SYS_SOCKET_READABLE);
    usleep(1000);
    sys_loop_stop(fixture->loop);
    sys_loop_run(fixture->loop);
    assert_int_equal(batch_calls, 1);
    assert_true((pair_a[1] == NULL) != (pair_b[1] == NULL));
    sys_socket_close(pair_a[0]);
    sys_socket_close(pair_b[0]);
    sys_socket_close(pair_a[1]);
    sys_socket_close(pair_b[1]);
}

static void stop_loop(struct sys_timer *timer) {
    struct fixture *fixture = container_of(timer, struct fixture, deadline);
    sys_loop_stop(fixture->loop);
}

/* A socket of which nothing is wanted causes no turns, even when its peer is gone. */
static void test_nothing_wanted(void **state) {
    struct fixture *fixture = *state;
    make_pair(fixture, pair_a);
    sys_socket_attach(pair_a[1], fixture->loop, close_other, &pair_b[1]);
    sys_socket_want(pair_a[1], SYS_SOCKET_READABLE);
    sys_socket_want(pair_a[1], 0);
    sys_socket_abort(pair_a[0]);
    batch_calls = 0;
    fixture->deadline.fire = stop_loop;
    sys_timer_set(fixture->loop, &fixture->deadline, sys_mono_ms(fixture->sys) + 50);
    sys_loop_run(fixture->loop);
    struct sys_loop_stats stats;
    sys_loop_stats_take(fixture->loop, &stats);
    assert_int_equal(batch_calls, 0);
    assert_in_range(stats.turns, 1, 3);
    sys_socket_close(pair_a[1]);
}

static void test_addresses(void **state) {
    struct fixture *fixture = *state;
    struct sys_address addresses[8];
    size_t count;
    char text[SYS_ADDRESS_TEXT_MAX];
    assert_int_equal(sys_resolve(fixture->sys, "10.1.2.3", 9092, addresses, 8, &count), ERR_OK);
    sys_address_format(&addresses[0], text);
    assert_string_equal(text, "10.1.2.3:9092");
    assert_false(sys_address_is_loopback(&addresses[0]));
    assert_int_equal(sys_resolve(fixture->sys, "::1", 9092, addresses + 1, 7, &count), ERR_OK);
    sys_address_format(&addresses[1], text);
    assert_string_equal(text, "[::1]:9092");
    assert_false(sys_address_equal(&addresses[0], &addresses[1]));
    assert_true(sys_address_equal(&addresses[1], &addresses[1]));
    assert_int_equal(sys_resolve(fixture->sys, "localhost", 1, addresses, 8, &count), ERR_OK);
    assert_true(sys_address_is_loopback(&addresses[0]));
    assert_int_equal(sys_resolve(fixture->sys, "", 9092, addresses, 8, &count), ERR_OK);
    sys_address_format(&addresses[0], text);
    assert_string_equal(text, "0.0.0.0:9092");
    assert_in_range(count, 1, 2);
    char long_name[80]; /* a label that is too long is refused without asking the network */
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(sys_resolve(fixture->sys, long_name, 1, addresses, 8, &count), ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_echo_ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abort, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_send_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closed_in_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
