/* The auditor of transactions finds each kind of violation, and nothing where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit_txn.h"

static struct audit *audit;
static struct audit_txns *txns;
static struct audit_partition *partition;
static struct audit_producer *producer;

static int set_up(void **state) {
    (void)state;
    audit = audit_new();
    txns = audit_txns_new(audit);
    partition = audit_partition(audit, "orders", 0);
    producer = audit_producer(audit, true, true);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    audit_txns_free(txns);
    audit_free(audit);
    return 0;
}

static void tells(const char *sentence) {
    assert_non_null(audit_failure(audit));
    assert_string_equal(audit_failure(audit), sentence);
}

static uint64_t send(struct audit_txn *txn) {
    uint64_t value = audit_send(producer, partition);
    audit_txn_value(txn, value);
    return value;
}

static void read(uint64_t value) {
    audit_txns_read(txns, audit_txns_stretch(txns), value);
}

static void pass(uint64_t value) {
    audit_txns_covered(txns, audit_txns_stretch(txns), value);
}

static struct audit_txn *consume(int64_t from, int64_t to) {
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    audit_txn_offsets(txn, "g", from, to);
    audit_txn_offsets_acked(txn);
    return txn;
}

static void commit(struct audit_txn *txn) {
    audit_txn_end_asked(txn, true);
    audit_txn_ended(txn, true);
}

static void test_committed_is_read(void **state) {
    (void)state;
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    uint64_t value = send(txn);
    commit(txn);
    read(value);
    struct audit_txn *aborted = audit_txn_begin(txns, "p");
    value = send(aborted);
    audit_txn_end_asked(aborted, false);
    audit_txn_ended(aborted, false);
    pass(value);
    audit_txns_check(txns);
    assert_null(audit_failure(audit));
}

static void test_what_is_of_no_transaction_is_let_be(void **state) {
    (void)state;
    uint64_t value = audit_send(producer, partition);
    assert_false(audit_txns_has(txns, value));
    assert_true(audit_txns_has(txns, send(audit_txn_begin(txns, "p"))));
    read(value);
    pass(value);
    assert_null(audit_failure(audit));
}

static void test_open_is_read(void **state) {
    (void)state;
    read(send(audit_txn_begin(txns, "p")));
    tells("a record of an open transaction is read: value 1 of transaction 1 of p");
}

static void test_aborted_is_read(void **state) {
    (void)state;
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    uint64_t value = send(txn);
    audit_txn_end_asked(txn, false);
    read(value);
    tells("an aborted record is read: value 1 of transaction 1 of p");
}

static void test_committed_is_lost(void **state) {
    (void)state;
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    uint64_t value = send(txn);
    commit(txn);
    pass(value);
    tells("transaction 1 of p is applied in part: its commit was answered, but a record of it was "
          "passed over");
}

/* Nobody knows how it ended, but it must be the same for all records. */
static void test_half_is_applied(void **state) {
    (void)state;
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    uint64_t first = send(txn);
    uint64_t second = send(txn);
    audit_txn_end_asked(txn, true);
    read(first);
    assert_null(audit_failure(audit));
    pass(second);
    tells("transaction 1 of p is applied in part: a record of it was read, but a record of it was "
          "passed over");
}

static void test_offsets_go_with_the_records(void **state) {
    (void)state;
    struct audit_txn *txn = consume(0, 5);
    uint64_t value = send(txn);
    audit_txn_end_asked(txn, true);
    read(value);
    audit_txns_fetched(txns, "g", -1);
    tells("transaction 1 of p is applied in part: a record of it was read, but its offset was not "
          "committed");
}

/* An answer of before may come after another member's offset was acknowledged. */
static void test_offsets_of_others_may_be_newer(void **state) {
    (void)state;
    uint64_t sent = audit_txns_now(txns);
    struct audit_txn *txn = consume(0, 5);
    audit_txns_fetched_since(txns, "g", sent, -1);
    commit(txn);
    assert_null(audit_failure(audit));
    audit_txns_fetched_since(txns, "g", audit_txns_now(txns), -1);
    tells("transaction 1 of p is applied in part: its commit was answered, but its offset was not "
          "committed");
}

static void test_offset_of_an_open_transaction(void **state) {
    (void)state;
    (void)consume(0, 5);
    audit_txns_fetched(txns, "g", 5);
    tells("group g has offset 5 of transaction 1, which nobody committed");
}

static void test_offset_out_of_nowhere(void **state) {
    (void)state;
    commit(consume(0, 5));
    audit_txns_fetched(txns, "g", 3);
    assert_non_null(audit_failure(audit));
}

static void test_each_input_once(void **state) {
    (void)state;
    commit(consume(0, 5));
    (void)consume(5, 7); /* of a producer that died */
    commit(consume(5, 9));
    audit_txns_check(txns);
    assert_null(audit_failure(audit));
    commit(consume(5, 12));
    audit_txns_check(txns);
    tells("group g: transaction 4 of p consumed from 5 on, but all below 9 was consumed: input was "
          "taken twice");
}

static void test_input_is_skipped(void **state) {
    (void)state;
    commit(consume(3, 5));
    audit_txns_check(txns);
    tells("group g: transaction 1 of p consumed from 3 on, but all below 0 was consumed: input was "
          "skipped");
}

/* The power may have taken its end in one log and not in another. */
static void test_shaken(void **state) {
    (void)state;
    struct audit_partition *other = audit_partition(audit, "orders", 1);
    struct audit_txn *txn = consume(0, 5);
    audit_txn_own_epoch(txn);
    uint64_t here = send(txn);
    uint64_t here_too = send(txn);
    uint64_t there = audit_send(producer, other);
    audit_txn_value(txn, there);
    commit(txn);
    read(there);
    audit_txns_shake(txns);
    read(here);
    pass(there);
    audit_txns_fetched(txns, "g", -1);
    commit(consume(0, 7));
    audit_txns_check(txns);
    assert_null(audit_failure(audit));
    pass(here_too);
    tells("transaction 1 of p is applied in part within one log, at value 2");
}

/* Before version 2 it may be taken for the next one; from then on it is nobody's. */
static void test_shaken_is_read(void **state) {
    (void)state;
    struct audit_txn *old = audit_txn_begin(txns, "old");
    struct audit_txn *txn = audit_txn_begin(txns, "p");
    audit_txn_own_epoch(txn);
    uint64_t first = send(old);
    uint64_t second = send(txn);
    audit_txns_shake(txns);
    read(first);
    assert_null(audit_failure(audit));
    read(second);
    tells("a record of an open transaction is read: value 2 of transaction 2 of p");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_committed_is_read),
        TEST(test_what_is_of_no_transaction_is_let_be),
        TEST(test_open_is_read),
        TEST(test_aborted_is_read),
        TEST(test_committed_is_lost),
        TEST(test_half_is_applied),
        TEST(test_offsets_go_with_the_records),
        TEST(test_offsets_of_others_may_be_newer),
        TEST(test_offset_of_an_open_transaction),
        TEST(test_offset_out_of_nowhere),
        TEST(test_each_input_once),
        TEST(test_input_is_skipped),
        TEST(test_shaken),
        TEST(test_shaken_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
