#include "cli/bench_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

enum { SIZE = 100 };

static bool see(struct bench_checker *checker, int32_t partition, const void *value) {
    struct bench_seen seen;
    return bench_checker_see(checker, partition, value, SIZE, &seen);
}

static void test_all_is_well(void **state) {
    (void)state;
    struct bench_writer *writer = bench_writer_new(7, SIZE, 2, BENCH_TEXT);
    struct bench_checker *checker = bench_checker_new(2, false);
    uint64_t checksum = 0;
    for (int i = 0; i < 30000; i++) { /* more than there are fillers */
        const void *value;
        checksum += bench_writer_next(writer, i % 2, 1000 + i, &value);
        struct bench_seen seen;
        assert_true(bench_checker_see(checker, i % 2, value, SIZE, &seen));
        assert_int_equal(seen.run, 7);
        assert_int_equal(seen.due_ns, 1000 + i);
    }
    const struct bench_checks *checks = bench_checker_result(checker);
    assert_int_equal(checks->records, 30000);
    assert_int_equal(checks->bytes, 30000 * SIZE);
    assert_int_equal(checks->damaged + checks->lost + checks->doubled, 0);
    assert_int_equal(checks->checksum, checksum);
    bench_checker_free(checker);
    bench_writer_free(writer);
}

static void test_what_is_wrong_is_told(void **state) {
    (void)state;
    struct bench_writer *writer = bench_writer_new(7, SIZE, 1, BENCH_RANDOM);
    struct bench_checker *checker = bench_checker_new(1, false);
    const struct bench_checks *checks = bench_checker_result(checker);
    char values[4][SIZE];
    for (int i = 0; i < 4; i++) {
        const void *value;
        bench_writer_next(writer, 0, i, &value);
        memcpy(values[i], value, SIZE);
    }
    assert_true(see(checker, 0, values[0]));
    assert_true(see(checker, 0, values[2]));
    assert_int_equal(checks->lost, 1);
    assert_true(see(checker, 0, values[2]));
    assert_true(see(checker, 0, values[1]));
    assert_int_equal(checks->doubled, 2);
    values[3][5] ^= 1;
    assert_false(see(checker, 0, values[3]));
    assert_false(see(checker, 9, values[0]));
    struct bench_seen seen;
    assert_false(bench_checker_see(checker, 0, values[0], BENCH_RECORD_MIN - 1, &seen));
    assert_false(bench_checker_see(checker, 0, NULL, 0, &seen));
    assert_int_equal(checks->damaged, 4);
    bench_checker_free(checker);
    bench_writer_free(writer);
}

/* A topic whose first records retention has taken begins in the middle; a later run does not. */
static void test_begins_in_the_middle(void **state) {
    (void)state;
    struct bench_checker *checker = bench_checker_new(1, true);
    for (uint32_t run = 1; run <= 2; run++) {
        struct bench_writer *writer = bench_writer_new(run, SIZE, 1, BENCH_RANDOM);
        const void *value;
        bench_writer_next(writer, 0, 0, &value);
        bench_writer_next(writer, 0, 0, &value);
        assert_true(see(checker, 0, value));
        bench_writer_free(writer);
    }
    assert_int_equal(bench_checker_result(checker)->lost, 1);
    bench_checker_free(checker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_well),
        cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_begins_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
