/* The client's connection against a broker on a thread that does what its test tells it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "client/connection.h"
#include "sys/linux.h"
#include "wire/api.h"
#include "wire/messages.h"

/* --- the broker --- */

enum lie {
    TRUTH,
    OLD, /* ApiVersions 0 to 2 only */
    WRONG_CORRELATION,
    GARBAGE_BODY,
    NEGATIVE_LENGTH,
    HUGE_LENGTH,
    CLOSE_AT_ONCE,
    CLOSE_IN_THE_MIDDLE,
    SILENCE,
    TWICE,
    BYTE_BY_BYTE,
};

struct broker {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic enum lie lie; /* about all but ApiVersions, which are told truly */
    bool lie_at_once;     /* about ApiVersions too */
};

static bool receive_all(int fd, void *data, size_t size) {
    uint8_t *p = data;
    while (size > 0) {
        ssize_t received = recv(fd, p, size, 0);
        if (received <= 0) {
            return false;
        }
        p += received;
        size -= (size_t)received;
    }
    return true;
}

static void answer_versions(struct buffer *out, int16_t version, enum lie lie) {
    struct api_versions_response_api_version keys[] = {
        {API_PRODUCE, 3, 9}, {API_METADATA, 0, 1}, {API_API_VERSIONS, 0, 4}, {9999, 0, 0}};
    struct api_versions_response response;
    wire_init(&api_versions_response_type, &response);
    response.api_keys = keys;
    response.api_keys_count = 4;
    if (lie == OLD) {
        keys[2].max_version = 2;
        if (version > 2) {
            response.error_code = 35;
            version = 0;
        }
    }
    assert_int_equal(wire_encode(&api_versions_response_type, version, &response, out), ERR_OK);
}

static void answer_metadata(struct buffer *out, int16_t version) {
    struct metadata_response response;
    wire_init(&metadata_response_type, &response);
    response.controller_id = 77;
    assert_int_equal(wire_encode(&metadata_response_type, version, &response, out), ERR_OK);
}

static void send_answer(int fd, const struct buffer *answer, enum lie lie) {
    size_t size = answer->size;
    if (lie == CLOSE_IN_THE_MIDDLE) {
        size -= 1;
    }
    for (int times = lie == TWICE ? 2 : 1; times > 0; times--) {
        size_t piece = lie == BYTE_BY_BYTE ? 1 : size;
        for (size_t at = 0; at < size; at += piece) {
            (void)send(fd, answer->data + at, piece, MSG_NOSIGNAL);
            if (piece == 1) {
                usleep(200);
            }
        }
    }
}

/* False: close. */
static bool serve_one(struct broker *broker, int fd) {
    uint8_t prefix[4];
    static uint8_t frame[100000];
    if (!receive_all(fd, prefix, 4) || !receive_all(fd, frame, get_be32(prefix))) {
        return false;
    }
    int16_t key = (int16_t)get_be16(frame);
    int16_t version = (int16_t)get_be16(frame + 2);
    uint32_t correlation_id = get_be32(frame + 4);
    bool versions = key == API_API_VERSIONS;
    enum lie lie = versions && !broker->lie_at_once ? TRUTH : atomic_load(&broker->lie);
    if (lie == SILENCE || lie == CLOSE_AT_ONCE) {
        return lie == SILENCE;
    }
    if (key == API_PRODUCE) {
        return true; /* acks=0 */
    }
    struct buffer answer = {0};
    put_be32(buffer_extend(&answer, 4), 0);
    put_be32(buffer_extend(&answer, 4), correlation_id + (lie == WRONG_CORRELATION));
    if (lie == GARBAGE_BODY) {
        buffer_add(&answer, "\xff\xff\xff\xff\xff\xff\xff", 7);
    } else if (versions) {
        answer_versions(&answer, version, lie);
    } else {
        answer_metadata(&answer, version);
    }
    uint32_t length = (uint32_t)answer.size - 4;
    length = lie == NEGATIVE_LENGTH ? UINT32_MAX : lie == HUGE_LENGTH ? 2000000 : length;
    put_be32(answer.data, length);
    send_answer(fd, &answer, lie);
    buffer_done(&answer);
    return lie != CLOSE_IN_THE_MIDDLE;
}

static void *run_broker(void *arg) {
    struct broker *broker = arg;
    int fd;
    while ((fd = accept(broker->listener, NULL, NULL)) >= 0) {
        while (serve_one(broker, fd)) {
        }
        close(fd);
    }
    return NULL;
}

/* --- the test's world --- */

static struct sys *sys;
static struct sys_loop *loop;
static struct broker broker;
static struct client_connection *connection;

struct outcome {
    int count;
    err_t err;
    int32_t controller_id;
    size_t body_size;
    size_t frame_size;
};

static struct outcome state_up, state_dead, answers[8];

static void on_state(void *arg, struct client_connection *about, err_t err) {
    (void)arg;
    (void)about;
    struct outcome *state = err == ERR_OK ? &state_up : &state_dead;
    state->count++;
    state->err = err;
    sys_loop_stop(loop);
}

static void on_answer(void *arg, const struct client_response *response) {
    struct outcome *outcome = arg;
    outcome->count++;
    outcome->err = response->err;
    outcome->body_size = response->body.size;
    outcome->frame_size = response->frame.size;
    if (response->message != NULL && response->api_key == API_METADATA) {
        const struct metadata_response *metadata = response->message;
        outcome->controller_id = metadata->controller_id;
    }
    sys_loop_stop(loop);
}

static void start_broker(enum lie lie, bool lie_at_once) {
    broker = (struct broker){.lie_at_once = lie_at_once};
    atomic_store(&broker.lie, lie);
    broker.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    assert_int_equal(bind(broker.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(broker.listener, 16), 0);
    assert_int_equal(getsockname(broker.listener, (struct sockaddr *)&address, &size), 0);
    broker.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&broker.thread, NULL, run_broker, &broker), 0);
}

static void start_client(bool negotiate) {
    struct sys_address addresses[2] = {{.ip = {127, 0, 0, 1}, .port = 1},
                                       {.ip = {127, 0, 0, 1}, .port = broker.port}};
    struct client_connection_settings settings = {
        .sys = sys,
        .loop = loop,
        .addresses = addresses, /* the first refuses */
        .address_count = 2,
        .client_id = "test",
        .request_timeout_ms = 500,
        .response_size_max = 1000000,
        .negotiate = negotiate,
        .on_state = on_state,
    };
    connection = client_connection_new(&settings);
}

static void begin(enum lie lie, bool lie_at_once, bool negotiate) {
    state_up = state_dead = (struct outcome){0};
    memset(answers, 0, sizeof answers);
    assert_int_equal(sys_linux_new(&sys), ERR_OK);
    assert_int_equal(sys_loop_new(sys, "client", &loop), ERR_OK);
    start_broker(lie, lie_at_once);
    start_client(negotiate);
}

static void end(void) {
    client_connection_free(connection);
    shutdown(broker.listener, SHUT_RDWR);
    pthread_join(broker.thread, NULL);
    close(broker.listener);
    sys_loop_free(loop);
    sys_linux_free(sys);
}

static void run_until(const int *count, int wanted) {
    while (*count < wanted) {
        sys_loop_run(loop);
    }
}

static struct metadata_request metadata_request(void) {
    struct metadata_request request;
    wire_init(&metadata_request_type, &request);
    return request;
}

/* --- tests --- */

static void calls_are_answered_in_order(void **state) {
    (void)state;
    begin(TRUTH, false, true);
    struct metadata_request request = metadata_request();
    for (int i = 0; i < 5; i++) { /* before it is up: they wait */
        assert_int_equal(
            client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[i]),
            ERR_OK);
    }
    run_until(&answers[4].count, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].err, ERR_OK);
        assert_int_equal(answers[i].controller_id, 77);
    }
    assert_int_equal(state_up.count, 1);
    assert_true(client_connection_is_up(connection));
    assert_int_equal(client_connection_pending(connection), 0);
    int16_t version;
    assert_int_equal(client_connection_version(connection, API_METADATA, &version), ERR_OK);
    assert_int_equal(version, 1);
    assert_int_equal(client_connection_version(connection, API_FETCH, &version),
                     ERR_UNSUPPORTED_VERSION);
    int16_t low, high;
    assert_true(client_connection_versions(connection, API_PRODUCE, &low, &high));
    assert_int_equal(low, 3);
    assert_int_equal(high, 9);
    end();
}

static void old_broker_is_asked_again(void **state) {
    (void)state;
    begin(OLD, true, true);
    run_until(&state_up.count, 1);
    int16_t version;
    assert_int_equal(client_connection_version(connection, API_API_VERSIONS, &version), ERR_OK);
    assert_int_equal(version, 2);
    end();
}

static void blocking_calls_keep_their_answer(void **state) {
    (void)state;
    begin(BYTE_BY_BYTE, false, true);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct metadata_request request = metadata_request();
    void *message;
    assert_int_equal(client_call_blocking(connection, API_METADATA, -1, &request, &arena, &message),
                     ERR_OK);
    assert_int_equal(((struct metadata_response *)message)->controller_id, 77);
    struct bytes body;
    static const uint8_t raw[] = {0, 0, 0, 0};
    assert_int_equal(client_call_raw_blocking(connection, API_METADATA, 1,
                                              (struct bytes){raw, sizeof raw}, &arena, &body),
                     ERR_OK);
    assert_true(body.size > 0);
    arena_done(&arena);
    end();
}

static void frames_go_as_they_stand(void **state) {
    (void)state;
    begin(WRONG_CORRELATION, true, false); /* matched by order alone */
    static const uint8_t frame[] = {0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 0};
    assert_int_equal(client_connection_send_frame(connection, (struct bytes){frame, sizeof frame},
                                                  on_answer, &answers[0]),
                     ERR_OK);
    run_until(&answers[0].count, 1);
    assert_int_equal(answers[0].err, ERR_OK);
    assert_true(answers[0].frame_size > 4);
    end();
}

static void unanswered_requests_are_over_when_written(void **state) {
    (void)state;
    begin(TRUTH, false, true);
    run_until(&state_up.count, 1);
    struct produce_request produce;
    wire_init(&produce_request_type, &produce);
    assert_int_equal(
        client_connection_send_forget(connection, API_PRODUCE, 9, &produce, NULL, NULL), ERR_OK);
    struct metadata_request request = metadata_request();
    assert_int_equal(
        client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[0]),
        ERR_OK);
    assert_int_equal(client_connection_pending(connection), 2); /* until the socket has it */
    run_until(&answers[0].count, 1);
    assert_int_equal(answers[0].err, ERR_OK);
    assert_int_equal(client_connection_pending(connection), 0);
    end();
}

/* Each lie ends the connection, all calls with the same error, and new ones at once. */
static void lies_end_the_connection(void **state) {
    (void)state;
    static const struct {
        enum lie lie;
        err_t err;
    } cases[] = {
        {WRONG_CORRELATION, ERR_MALFORMED}, {NEGATIVE_LENGTH, ERR_MALFORMED},
        {HUGE_LENGTH, ERR_LIMIT},           {CLOSE_AT_ONCE, ERR_CLOSED},
        {CLOSE_IN_THE_MIDDLE, ERR_CLOSED},  {SILENCE, ERR_TIMED_OUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].lie, false, true);
        run_until(&state_up.count, 1);
        struct metadata_request request = metadata_request();
        for (int n = 0; n < 2; n++) {
            assert_int_equal(client_connection_send(connection, API_METADATA, -1, &request,
                                                    on_answer, &answers[n]),
                             ERR_OK);
        }
        run_until(&state_dead.count, 1);
        err_t err = cases[i].err;
        if (err == ERR_CLOSED && state_dead.err == ERR_IO) {
            err = ERR_IO; /* a reset: the broker left the second request unread */
        }
        assert_int_equal(state_dead.err, err);
        for (int n = 0; n < 2; n++) {
            assert_int_equal(answers[n].count, 1);
            assert_int_equal(answers[n].err, err);
        }
        assert_int_equal(
            client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[2]),
            err);
        assert_int_equal(answers[2].count, 0);
        end();
    }
}

static void unasked_answer_ends_the_connection(void **state) {
    (void)state;
    begin(TWICE, false, true);
    run_until(&state_up.count, 1);
    struct metadata_request request = metadata_request();
    assert_int_equal(
        client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[0]),
        ERR_OK);
    run_until(&state_dead.count, 1);
    assert_int_equal(answers[0].err, ERR_OK);
    assert_int_equal(state_dead.err, ERR_MALFORMED);
    end();
}

static void garbage_fails_its_call_only(void **state) {
    (void)state;
    begin(GARBAGE_BODY, false, true);
    run_until(&state_up.count, 1);
    struct metadata_request request = metadata_request();
    assert_int_equal(
        client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[0]),
        ERR_OK);
    run_until(&answers[0].count, 1);
    assert_int_equal(answers[0].err, ERR_MALFORMED);
    atomic_store(&broker.lie, TRUTH);
    assert_int_equal(
        client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[1]),
        ERR_OK);
    run_until(&answers[1].count, 1);
    assert_int_equal(answers[1].err, ERR_OK);
    end();
}

static void versions_that_are_not_there_fail(void **state) {
    (void)state;
    begin(TRUTH, false, true);
    struct list_offsets_request request;
    wire_init(&list_offsets_request_type, &request);
    assert_int_equal(/* known only when it is up */
                     client_connection_send(connection, API_LIST_OFFSETS, -1, &request, on_answer,
                                            &answers[0]),
                     ERR_OK);
    run_until(&answers[0].count, 1);
    assert_int_equal(answers[0].err, ERR_UNSUPPORTED_VERSION);
    assert_int_equal(
        client_connection_send(connection, API_LIST_OFFSETS, -1, &request, on_answer, &answers[1]),
        ERR_UNSUPPORTED_VERSION);
    assert_int_equal(answers[1].count, 0);
    assert_int_equal(client_connection_error(connection), ERR_OK);
    end();
}

static void nobody_there_is_refused(void **state) {
    (void)state;
    begin(TRUTH, false, true);
    client_connection_free(connection);
    sys_loop_stop(loop);
    sys_loop_run(loop);
    state_dead = (struct outcome){0};
    broker.port = 1;
    start_client(true);
    struct metadata_request request = metadata_request();
    assert_int_equal(
        client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[0]),
        ERR_OK);
    run_until(&state_dead.count, 1);
    assert_int_equal(state_dead.err, ERR_REFUSED);
    assert_int_equal(answers[0].err, ERR_REFUSED);
    assert_int_equal(state_up.count, 0);
    end();
}

static void free_ends_open_calls(void **state) {
    (void)state;
    begin(SILENCE, false, true);
    run_until(&state_up.count, 1);
    struct metadata_request request = metadata_request();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            client_connection_send(connection, API_METADATA, -1, &request, on_answer, &answers[i]),
            ERR_OK);
    }
    client_connection_free(connection);
    connection = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].err, ERR_CLOSED);
    }
    assert_int_equal(state_dead.count, 0);
    sys_loop_stop(loop);
    sys_loop_run(loop); /* what was posted */
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_in_order),
        cmocka_unit_test(old_broker_is_asked_again),
        cmocka_unit_test(blocking_calls_keep_their_answer),
        cmocka_unit_test(frames_go_as_they_stand),
        cmocka_unit_test(unanswered_requests_are_over_when_written),
        cmocka_unit_test(lies_end_the_connection),
        cmocka_unit_test(unasked_answer_ends_the_connection),
        cmocka_unit_test(garbage_fails_its_call_only),
        cmocka_unit_test(versions_that_are_not_there_fail),
        cmocka_unit_test(nobody_there_is_refused),
        cmocka_unit_test(free_ends_open_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
