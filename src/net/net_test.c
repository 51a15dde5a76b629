/* Frames in, answers out, over Linux loopback. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/rng.h"
#include "net/net_test_fixture.h"

static struct test_server server;

static int start(void **state) {
    (void)state;
    struct test_settings settings;
    test_settings_init(&settings);
    settings.loop_count = 2;
    settings.request_size_max = 64 << 20;
    test_server_start(&server, &settings);
    return 0;
}

static int stop(void **state) {
    (void)state;
    test_server_stop(&server, 0);
    return 0;
}

/* --- frames --- */

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    int fd = test_connect(&server);
    struct buffer sent = {0};
    for (int i = 0; i < 1000; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "e%d", i);
        put_be32(buffer_extend(&sent, 4), (uint32_t)size);
        buffer_add(&sent, text, (size_t)size);
    }
    test_send(fd, sent.data, sent.size);
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "e%d", i);
        test_expect_text(fd, text);
    }
    buffer_done(&sent);
    close(fd);
}

static void answers_given_out_of_order_leave_in_order(void **state) {
    (void)state;
    int fd = test_connect(&server);
    static const char *const texts[] = {"p1", "p2", "k3", "e4", "p5", "n", "e6", "k7"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        test_send_text(fd, texts[i]);
    }
    test_expect_nothing(fd, 50);
    test_release(&server); /* the last first */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i][0] != 'n') {
            test_expect_text(fd, texts[i]);
        }
    }
    close(fd);
}

static void pipeline_is_bounded(void **state) {
    (void)state;
    int fd = test_connect(&server);
    uint64_t before = test_stats(&server).requests;
    for (int i = 0; i < NET_PIPELINE_MAX * 3; i++) {
        test_send_text(fd, "p");
    }
    test_wait_for(test_stats(&server).requests == before + NET_PIPELINE_MAX);
    test_sleep_ms(20);
    assert_int_equal(test_stats(&server).requests, before + NET_PIPELINE_MAX);
    for (int i = 0; i < NET_PIPELINE_MAX * 3; i++) {
        if (i % NET_PIPELINE_MAX == 0) {
            test_wait_for(test_stats(&server).requests ==
                          before + (uint64_t)(i + NET_PIPELINE_MAX));
            test_release(&server);
        }
        test_expect_text(fd, "p");
    }
    close(fd);
}

static void held_connection_gives_no_more_requests(void **state) {
    (void)state;
    int fd = test_connect(&server);
    uint64_t before = test_stats(&server).requests;
    test_send_text(fd, "h1");
    test_send_text(fd, "e2");
    test_send_text(fd, "e3");
    test_wait_for(test_stats(&server).requests == before + 1);
    test_sleep_ms(20);
    assert_int_equal(test_stats(&server).requests, before + 1);
    test_release(&server);
    test_expect_text(fd, "h1");
    test_expect_text(fd, "e2");
    test_expect_text(fd, "e3");
    close(fd);
}

static void frame_may_come_byte_by_byte(void **state) {
    (void)state;
    int fd = test_connect(&server);
    static const uint8_t bytes[] = {0, 0, 0, 5, 'e', '1', '2', '3', '4', 0, 0, 0, 1, 'e'};
    for (size_t i = 0; i < sizeof bytes; i++) {
        test_send(fd, bytes + i, 1);
        test_sleep_ms(1);
    }
    test_expect_text(fd, "e1234");
    test_expect_text(fd, "e");
    close(fd);
}

static void empty_frame_is_a_frame(void **state) {
    (void)state;
    int fd = test_connect(&server);
    test_send_length(fd, 0);
    test_expect_text(fd, "");
    close(fd);
}

/* Sizes around every step of the receive buffers, and answers with and without a copy. */
static void frames_of_all_sizes_come_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {1,     251,   252,   253,   511,      512,     513,
                                   4096,  16379, 16380, 16384, 32763,    32764,   32765,
                                   32768, 40000, 65536, 65540, 1 << 20,  5 << 20, 100,
                                   40000, 16384, 1,     100,   12 << 20, 8192};
    int fd = test_connect(&server);
    struct rng rng;
    rng_init(&rng, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *data = malloc(sizes[i]);
        rng_bytes(&rng, data, sizes[i]);
        data[0] = i % 2 == 0 ? 'e' : 'E';
        test_send_frame(fd, data, sizes[i]);
        size_t size;
        uint8_t *answer = test_receive(fd, &size);
        assert_non_null(answer);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(answer, data, size);
        free(answer);
        free(data);
    }
    close(fd);
}

struct sender {
    int fd;
    const struct buffer *stream;
    struct rng rng;
};

/* On a thread of its own: neither side may block the other. */
static void *send_in_pieces(void *arg) {
    struct sender *sender = arg;
    size_t at = 0;
    while (at < sender->stream->size) {
        size_t piece = 1 + rng_below(&sender->rng, 50000);
        size_t left = sender->stream->size - at;
        piece = piece < left ? piece : left;
        test_send(sender->fd, sender->stream->data + at, piece);
        at += piece;
    }
    return NULL;
}

/* Many frames in one stream, cut anywhere, several in flight. */
static void random_frames_in_random_pieces(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct buffer stream = {0};
        int count = 0;
        while (stream.size < 300000) {
            size_t size = 1 + rng_below(&rng, rng_one_in(&rng, 5) ? 60000 : 600);
            put_be32(buffer_extend(&stream, 4), (uint32_t)size);
            uint8_t *frame = buffer_extend(&stream, size);
            rng_bytes(&rng, frame, size);
            frame[0] = rng_one_in(&rng, 2) ? 'e' : 'E';
            count++;
        }
        struct sender sender = {test_connect(&server), &stream, rng};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_in_pieces, &sender), 0);
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            size_t size;
            uint8_t *answer = test_receive(sender.fd, &size);
            assert_non_null(answer);
            assert_int_equal(size, get_be32(stream.data + at));
            assert_memory_equal(answer, stream.data + at + 4, size);
            at += 4 + size;
            free(answer);
        }
        pthread_join(thread, NULL);
        buffer_done(&stream);
        close(sender.fd);
    }
}

/* --- what is no frame --- */

static void bad_length_closes_with_a_line(void **state) {
    (void)state;
    static const int32_t lengths[] = {-1, INT32_MIN, INT32_MAX, (64 << 20) + 1, 0x47455420};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint64_t refused = test_stats(&server).frames_refused;
        int lines = atomic_load(&server.log_lines);
        int fd = test_connect(&server);
        test_send_text(fd, "e before");
        test_expect_text(fd, "e before");
        test_send_length(fd, lengths[i]);
        test_expect_closed(fd);
        assert_int_equal(test_stats(&server).frames_refused, refused + 1);
        assert_int_equal(atomic_load(&server.log_lines), lines + 1);
        assert_true(test_log_last_has(&server, "socket.request.max.bytes"));
    }
}

static void closing_in_the_middle_of_a_frame_frees_it(void **state) {
    (void)state;
    uint8_t half[100000] = {'e'};
    for (int i = 0; i < 20; i++) {
        int fd = test_connect(&server);
        test_send_length(fd, 60 << 20);
        test_send(fd, half, (size_t)(i * 5000));
        close(fd);
    }
    test_wait_for(test_stats(&server).connections == 0);
    assert_int_equal(test_stats(&server).request_bytes, 0);
}

/* A declared length costs nothing before its bytes are here. */
static void memory_follows_what_arrived(void **state) {
    (void)state;
    static uint8_t data[1 << 20] = {'e'};
    int fd = test_connect(&server);
    test_send_length(fd, 60 << 20);
    size_t sent = 0;
    for (size_t piece = 1000; sent + piece <= 8 << 20;
         piece = piece * 2 < sizeof data ? piece * 2 : sizeof data) {
        uint64_t before = test_stats(&server).bytes_in;
        test_send(fd, data, piece);
        sent += piece;
        test_wait_for(test_stats(&server).bytes_in >= before + piece);
        /* What it was received into is let go at the end of the reactor's turn. */
        test_wait_for(test_stats(&server).request_bytes <= (int64_t)(2 * sent + NET_SCRATCH_SIZE));
    }
    close(fd);
    test_wait_for(test_stats(&server).connections == 0);
}

static void garbage_harms_nobody_else(void **state) {
    (void)state;
    int good = test_connect(&server);
    struct rng rng;
    rng_init(&rng, 99);
    for (int i = 0; i < 300; i++) {
        int fd = test_connect(&server);
        uint8_t garbage[3000];
        size_t size = 1 + rng_below(&rng, sizeof garbage);
        rng_bytes(&rng, garbage, size);
        if (rng_one_in(&rng, 2)) {
            garbage[0] = 0; /* lengths that are not refused at once */
            if (size > 1) {
                garbage[1] = 0;
            }
        }
        (void)send(fd, garbage, size, MSG_NOSIGNAL);
        if (rng_one_in(&rng, 2)) {
            struct linger linger = {.l_onoff = 1};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger); /* a reset */
        }
        close(fd);
        test_send_text(good, "e still here");
        test_expect_text(good, "e still here");
    }
    close(good);
    test_wait_for(test_stats(&server).connections == 0);
    test_release(&server); /* garbage may have been a 'k' */
}

/* --- answers --- */

static void nothing_is_an_answer(void **state) {
    (void)state;
    int fd = test_connect(&server);
    for (int i = 0; i < 100; i++) {
        test_send_text(fd, "n");
    }
    test_send_text(fd, "e");
    test_expect_text(fd, "e");
    close(fd);
}

static void files_are_sent_between_memory(void **state) {
    (void)state;
    int fd = test_connect(&server);
    for (int i = 0; i < 3; i++) {
        test_send_text(fd, "e before");
        test_send_text(fd, "f");
        test_send_text(fd, "e after");
    }
    for (int i = 0; i < 3; i++) {
        test_expect_text(fd, "e before");
        size_t size;
        uint8_t *data = test_receive(fd, &size);
        assert_non_null(data);
        assert_int_equal(size, server.file_size + 6);
        assert_memory_equal(data, "file:", 5);
        for (size_t at = 0; at < server.file_size; at++) {
            assert_true(data[5 + at] == (uint8_t)(at * 7 + at / 256));
        }
        assert_int_equal(data[size - 1], '!');
        free(data);
        test_expect_text(fd, "e after");
    }
    close(fd);
}

static void short_file_closes(void **state) {
    (void)state;
    int fd = test_connect(&server);
    int lines = atomic_load(&server.log_lines);
    test_send_text(fd, "t");
    test_expect_closed(fd);
    assert_int_equal(atomic_load(&server.log_lines), lines + 1);
}

static void slow_reader_stops_being_read(void **state) {
    (void)state;
    enum { ANSWERS = 300 };
    int fd = test_connect(&server);
    uint64_t before = test_stats(&server).requests;
    for (int i = 0; i < ANSWERS; i++) {
        test_send_text(fd, "b1000000");
    }
    test_sleep_ms(200);
    uint64_t taken = test_stats(&server).requests - before;
    assert_true(taken > 0);
    assert_true(taken < 40); /* what the sockets hold, and a little */
    int other = test_connect(&server);
    test_send_text(other, "e");
    test_expect_text(other, "e");
    close(other);
    for (int i = 0; i < ANSWERS; i++) {
        size_t size;
        uint8_t *data = test_receive(fd, &size);
        assert_non_null(data);
        assert_int_equal(size, 1000000);
        free(data);
    }
    close(fd);
}

/* --- ends --- */

static void closing_cancels_what_waits(void **state) {
    (void)state;
    int cancelled = atomic_load(&server.cancelled);
    int fd = test_connect(&server);
    uint64_t before = test_stats(&server).requests;
    test_send_text(fd, "p1");
    test_send_text(fd, "k2");
    test_send_text(fd, "e3");
    test_wait_for(test_stats(&server).requests == before + 3);
    close(fd);
    test_wait_for(atomic_load(&server.cancelled) == cancelled + 2);
    test_wait_for(test_stats(&server).connections == 0);
    assert_int_equal(test_stats(&server).requests_queued, 0);
}

static void requests_before_the_end_are_served(void **state) {
    (void)state;
    int fd = test_connect(&server);
    uint64_t before = test_stats(&server).requests;
    for (int i = 0; i < 500; i++) {
        test_send_text(fd, "n");
    }
    close(fd);
    test_wait_for(test_stats(&server).requests == before + 500);
}

static void server_may_close(void **state) {
    (void)state;
    int fd = test_connect(&server);
    test_send_text(fd, "p");
    test_send_text(fd, "c");
    test_expect_closed(fd);
    fd = test_connect(&server);
    static const char frames[] = "\0\0\0\2e1\0\0\0\2d2\0\0\0\2e3";
    test_send(fd, frames, sizeof frames - 1);
    test_expect_text(fd, "e1");
    test_expect_text(fd, "d2");
    test_expect_closed(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(answers_given_out_of_order_leave_in_order),
        cmocka_unit_test(pipeline_is_bounded),
        cmocka_unit_test(held_connection_gives_no_more_requests),
        cmocka_unit_test(frame_may_come_byte_by_byte),
        cmocka_unit_test(empty_frame_is_a_frame),
        cmocka_unit_test(frames_of_all_sizes_come_whole),
        cmocka_unit_test(random_frames_in_random_pieces),
        cmocka_unit_test(bad_length_closes_with_a_line),
        cmocka_unit_test(closing_in_the_middle_of_a_frame_frees_it),
        cmocka_unit_test(memory_follows_what_arrived),
        cmocka_unit_test(garbage_harms_nobody_else),
        cmocka_unit_test(nothing_is_an_answer),
        cmocka_unit_test(files_are_sent_between_memory),
        cmocka_unit_test(short_file_closes),
        cmocka_unit_test(slow_reader_stops_being_read),
        cmocka_unit_test(closing_cancels_what_waits),
        cmocka_unit_test(requests_before_the_end_are_served),
        cmocka_unit_test(server_may_close),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
