/* The auditor finds what compaction must not take out, and lets be what it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit_compaction.h"

enum { NOW_MS = 1000, VALUES = 2000 };

static struct audit *audit;
static struct audit_txns *txns;
static struct audit_partition *partition;
static struct audit_producer *producer;
static uint64_t values[4]; /* of one key, in their order */
static bool kept[4];

static int set_up(void **state) {
    (void)state;
    audit = audit_new();
    txns = audit_txns_new(audit);
    partition = audit_partition(audit, "versions", 0);
    producer = audit_producer(audit, true, true);
    audit_compacted(partition);
    int count = 0;
    for (int i = 0; i < VALUES && count < 4; i++) {
        uint64_t value = audit_send(producer, partition);
        if (audit_compaction_key(value) == 7) {
            audit_ack(audit, value, count, AUDIT_WRITTEN);
            kept[count] = false;
            values[count++] = value;
        }
    }
    assert_int_equal(count, 4);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    audit_txns_free(txns);
    audit_free(audit);
    return 0;
}

static void check(void) {
    audit_walk_begin(partition, 0);
    for (int i = 0; i < 4; i++) {
        if (kept[i]) {
            audit_walk_record(partition, i, values[i]);
        }
    }
    audit_walk_last(partition);
    audit_walk_end(partition, 4);
    audit_compaction_check(audit, txns, NOW_MS);
}

static void tells(const char *part) {
    check();
    assert_non_null(audit_failure(audit));
    assert_non_null(strstr(audit_failure(audit), part));
}

static void is_fine(void) {
    check();
    assert_null(audit_failure(audit));
}

static struct audit_txn *txn_of(int index) {
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    audit_txn_value(txn, values[index]);
    return txn;
}

static void end(struct audit_txn *txn, bool commit) {
    audit_txn_end_asked(txn, commit);
    audit_txn_ended(txn, commit);
}

static void tombstone(int index, int64_t stays_until_ms) {
    struct audit_txn *txn = txn_of(index);
    audit_txns_tombstone(txns, values[index], stays_until_ms);
    end(txn, true);
}

static void test_the_newest_is_enough(void **state) {
    (void)state;
    kept[3] = true;
    is_fine();
}

static void test_the_newest_stays(void **state) {
    (void)state;
    kept[2] = true;
    tells("at offset 3 was the newest of its key, and is gone");
}

static void test_logs_without_a_last_walk_are_left_out(void **state) {
    (void)state;
    audit_compaction_check(audit, txns, NOW_MS);
    assert_null(audit_failure(audit));
}

static void test_what_is_aborted_may_go(void **state) {
    (void)state;
    end(txn_of(3), false);
    kept[2] = true;
    is_fine();
}

static void test_what_is_aborted_takes_no_place(void **state) {
    (void)state;
    end(txn_of(3), false);
    kept[3] = true;
    tells("at offset 2 was the newest of its key, and is gone");
}

static void test_what_nobody_committed_takes_no_place(void **state) {
    (void)state;
    (void)txn_of(3);
    kept[3] = true;
    tells("at offset 2 was the newest of its key, and is gone");
}

static void test_what_is_gone_of_a_commit_without_answer_was_aborted(void **state) {
    (void)state;
    struct audit_txn *txn = txn_of(3);
    audit_txn_end_asked(txn, true);
    kept[2] = true;
    check();
    assert_null(audit_failure(audit));
    audit_txn_ended(txn, true);
    assert_non_null(strstr(audit_failure(audit), "a record of it was taken out as aborted"));
}

static void test_a_tombstone_goes_in_time(void **state) {
    (void)state;
    tombstone(3, NOW_MS);
    is_fine();
}

static void test_a_tombstone_stays_for_its_time(void **state) {
    (void)state;
    tombstone(3, NOW_MS + 1);
    tells("at offset 3 is a tombstone, and was gone before its time");
}

static void test_what_a_tombstone_deleted_does_not_come_back(void **state) {
    (void)state;
    tombstone(3, NOW_MS);
    kept[1] = true;
    tells("at offset 1 was deleted by a tombstone that is gone, and is there");
}

static void test_what_comes_after_a_tombstone_stays(void **state) {
    (void)state;
    tombstone(2, NOW_MS);
    kept[3] = kept[1] = true;
    is_fine(); /* it is written again: compaction need not have come to it */
}

static void test_a_tombstone_of_a_commit_without_answer(void **state) {
    (void)state;
    struct audit_txn *txn = txn_of(3);
    audit_txns_tombstone(txns, values[3], NOW_MS + 1);
    audit_txn_end_asked(txn, true);
    kept[1] = true;
    is_fine();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_newest_is_enough),
        TEST(test_the_newest_stays),
        TEST(test_logs_without_a_last_walk_are_left_out),
        TEST(test_what_is_aborted_may_go),
        TEST(test_what_is_aborted_takes_no_place),
        TEST(test_what_nobody_committed_takes_no_place),
        TEST(test_what_is_gone_of_a_commit_without_answer_was_aborted),
        TEST(test_a_tombstone_goes_in_time),
        TEST(test_a_tombstone_stays_for_its_time),
        TEST(test_what_a_tombstone_deleted_does_not_come_back),
        TEST(test_what_comes_after_a_tombstone_stays),
        TEST(test_a_tombstone_of_a_commit_without_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
