/* The harness over the toy node: a well made one passes, and each mistake is found by the auditor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "run.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0"; /* crashed nodes */
}

static const char scenario_text_base[] =
    "driver toy\n"
    "seconds 20\n"
    "acks_min 100\n"
    "faults_min 1\n"
    "client produce count=3 wait=1ms-40ms size=30-800\n"
    "client read count=2 wait=5ms-100ms\n"
    "fault crash every=6s-15s down=50ms-2s\n"
    "fault power_cut every=3s-10s down=100ms-2s\n"
    "fault power_cut at=create path=*.log one_in=5\n"
    "fault short_write every=5s-10s for=1s-3s one_in=20 calls=write err=NO_SPACE\n"
    "fault reset every=2s-5s\n"
    "fault delay every=3s-6s for=1s-2s one_in=20 delay=1ms-100ms\n";

/* Runs a seed in a process of its own; its failure, or "". */
static void run_in_child(const char *config, uint64_t seed, struct run_result *result) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[2048];
        char error[SCENARIO_ERROR_MAX];
        snprintf(text, sizeof text, "%s%s\n", scenario_text_base, config);
        struct scenario *scenario = scenario_parse("test", text, error);
        struct points *points = points_new();
        run_seed(scenario, seed, points, NULL, NULL, result);
        ssize_t written = write(ends[1], result, sizeof *result);
        _exit(written == sizeof *result ? 0 : 1);
    }
    close(ends[1]);
    ssize_t size = read(ends[0], result, sizeof *result);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (size != sizeof *result) {
        *result = (struct run_result){.hash = 0};
        snprintf(result->failure, sizeof result->failure, "died");
    }
}

static void a_good_node_passes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct run_result result;
        run_in_child("", seed, &result);
        assert_string_equal(result.failure, "");
        assert_true(result.virtual_ms >= 20000);
    }
}

static void a_seed_goes_the_same_way_again(void **state) {
    (void)state;
    struct run_result first;
    struct run_result second;
    struct run_result other;
    run_in_child("", 3, &first);
    run_in_child("", 3, &second);
    run_in_child("", 4, &other);
    assert_int_equal(first.hash, second.hash);
    assert_int_equal(first.event_count, second.event_count);
    assert_int_not_equal(first.hash, other.hash);
}

static void every_mistake_is_found(void **state) {
    (void)state;
    static const char *const bugs[] = {"ack_before_write", "no_sync", "no_name_sync",
                                       "no_roll_sync",     "no_cut",  "no_duplicates",
                                       "skip_to_zeros"};
    enum { SEEDS_MAX = 300 };
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        char config[64];
        struct run_result result = {.failure = ""};
        snprintf(config, sizeof config, "config bug=%s", bugs[i]);
        uint64_t seed = 0;
        while (seed < SEEDS_MAX && result.failure[0] == '\0') {
            run_in_child(config, ++seed, &result);
        }
        print_message("%s: found by seed %d: %s\n", bugs[i], (int)seed, result.failure);
        assert_string_not_equal(result.failure, "");
        assert_string_not_equal(result.failure, "died");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_node_passes),
        cmocka_unit_test(a_seed_goes_the_same_way_again),
        cmocka_unit_test(every_mistake_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
