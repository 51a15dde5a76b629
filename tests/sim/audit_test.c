/* The auditor finds each kind of violation, and nothing where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit.h"

struct fixture {
    struct audit *audit;
    struct audit_partition *p;
    struct audit_producer *idempotent;
    struct audit_producer *plain;
    uint64_t values[8]; /* sent by the idempotent one, and acknowledged at offsets 0 to 7 */
};

static struct fixture begin(enum audit_promise promise) {
    struct fixture f;
    f.audit = audit_new();
    f.p = audit_partition(f.audit, "t", 0);
    f.idempotent = audit_producer(f.audit, true, true);
    f.plain = audit_producer(f.audit, false, false);
    for (int i = 0; i < 8; i++) {
        f.values[i] = audit_send(f.idempotent, f.p);
        audit_ack(f.audit, f.values[i], i, promise);
    }
    assert_null(audit_failure(f.audit));
    return f;
}

static void walk(struct fixture *f, int count) {
    audit_walk_begin(f->p, 0);
    for (int i = 0; i < count; i++) {
        audit_walk_record(f->p, i, f->values[i]);
    }
    audit_walk_end(f->p, count);
}

static void expect(struct fixture *f, const char *part) {
    const char *failure = audit_failure(f->audit);
    if (part == NULL) {
        assert_null(failure);
    } else {
        assert_non_null(failure);
        assert_non_null(strstr(failure, part));
    }
    audit_free(f->audit);
}

static void a_whole_log_is_fine(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    uint64_t unanswered = audit_send(f.plain, f.p);
    audit_read(f.p, 3, f.values[3]);
    walk(&f, 8);
    audit_walk_begin(f.p, 0);
    for (int i = 0; i < 8; i++) {
        audit_walk_record(f.p, i, f.values[i]);
    }
    audit_walk_record(f.p, 8, unanswered); /* it may be there, */
    audit_walk_record(f.p, 9, unanswered); /* and twice, of a producer that is not idempotent */
    audit_walk_end(f.p, 10);
    struct audit_figures figures;
    audit_figures_get(f.audit, &figures);
    assert_int_equal(figures.sent, 9);
    assert_int_equal(figures.acknowledged, 8);
    assert_int_equal(figures.walked, 18);
    expect(&f, NULL);
}

static void a_lost_record_is_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    walk(&f, 7);
    expect(&f, "was acknowledged at offset 7");
    f = begin(AUDIT_WRITTEN);
    uint64_t seen = audit_send(f.plain, f.p);
    audit_read(f.p, 8, seen);
    walk(&f, 8);
    expect(&f, "was read at offset 8");
}

static void a_hole_is_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_walk_begin(f.p, 0);
    audit_walk_record(f.p, 0, f.values[0]);
    audit_walk_record(f.p, 2, f.values[2]);
    expect(&f, "after offset 0 comes 2");
}

static void two_values_at_one_offset_are_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_read(f.p, 3, audit_send(f.plain, f.p));
    expect(&f, "offset 3 had value 4");
}

static void inventions_are_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_read(f.p, 8, 1000);
    expect(&f, "nobody sent");
    f = begin(AUDIT_WRITTEN);
    audit_read(audit_partition(f.audit, "t", 1), 0, f.values[0]);
    expect(&f, "another partition");
    f = begin(AUDIT_WRITTEN);
    uint64_t refused = audit_send(f.plain, f.p);
    audit_refuse(f.audit, refused);
    audit_read(f.p, 8, refused);
    expect(&f, "was refused");
}

static void duplicates_of_an_idempotent_producer_are_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_read(f.p, 8, f.values[7]);
    expect(&f, "is at offsets 7 and 8");
}

static void a_wrong_order_is_found(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    uint64_t first = audit_send(f.idempotent, f.p);
    uint64_t second = audit_send(f.idempotent, f.p);
    audit_ack(f.audit, second, 8, AUDIT_WRITTEN);
    audit_ack(f.audit, first, 9, AUDIT_WRITTEN);
    expect(&f, "sent value 9 before 10");
}

static void a_log_that_forgets_may_mix_them(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    uint64_t first = audit_send(f.idempotent, f.p);
    uint64_t second = audit_send(f.idempotent, f.p);
    audit_producer_unordered(f.idempotent);
    audit_ack(f.audit, second, 8, AUDIT_WRITTEN);
    audit_ack(f.audit, first, 9, AUDIT_WRITTEN);
    assert_null(audit_failure(f.audit));
    audit_read(f.p, 10, second);
    expect(&f, "is at offsets 8 and 10"); /* duplicates are another thing */
}

/* The oldest of three fell into a hole of a compacted log; its producer sends them all again. */
static void what_was_under_way_may_be_behind_a_hole(void **state) {
    (void)state;
    for (int compacted = 0; compacted <= 1; compacted++) {
        struct fixture f = begin(AUDIT_WRITTEN);
        if (compacted) {
            audit_compacted(f.p);
        }
        uint64_t sent[3];
        for (int i = 0; i < 3; i++) {
            sent[i] = audit_send(f.idempotent, f.p);
        }
        audit_power_cut(f.audit);
        audit_read(f.p, 9, sent[1]);
        audit_read(f.p, 10, sent[2]);
        for (int i = 0; i < 3; i++) {
            audit_ack(f.audit, sent[i], 11 + i, AUDIT_WRITTEN);
        }
        expect(&f, compacted ? NULL : "sent value 9 before 11");
    }
}

static void what_is_sent_after_the_hole_is_held_to_all(void **state) {
    (void)state;
    for (int again = 0; again <= 1; again++) {
        struct fixture f = begin(AUDIT_WRITTEN);
        audit_compacted(f.p);
        audit_power_cut(f.audit);
        uint64_t first = audit_send(f.idempotent, f.p);
        uint64_t second = audit_send(f.idempotent, f.p);
        audit_ack(f.audit, second, 8, AUDIT_WRITTEN);
        audit_ack(f.audit, again ? second : first, 9, AUDIT_WRITTEN);
        expect(&f, again ? "is at offsets 8 and 9" : "sent value 9 before 10");
    }
}

static void a_power_cut_may_take_an_end_that_was_not_synced(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_sync(f.p, 3);
    audit_power_cut(f.audit);
    uint64_t again = f.values[5];
    audit_ack(f.audit, again, 4, AUDIT_WRITTEN); /* sent again; 4 and more were lost */
    f.values[4] = again;
    walk(&f, 5);
    struct audit_figures figures;
    audit_figures_get(f.audit, &figures);
    assert_int_equal(figures.lost_to_power, 4);
    expect(&f, NULL);

    f = begin(AUDIT_WRITTEN);
    audit_power_cut(f.audit);
    walk(&f, 0);
    expect(&f, NULL);
}

static void what_was_synced_must_outlive_a_power_cut(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_SYNCED);
    audit_power_cut(f.audit);
    walk(&f, 7);
    expect(&f, "promised as synced");
    f = begin(AUDIT_SYNCED);
    audit_power_cut(f.audit);
    audit_ack(f.audit, audit_send(f.plain, f.p), 7, AUDIT_WRITTEN);
    expect(&f, "promised as synced");
    f = begin(AUDIT_SYNCED);
    audit_power_cut(f.audit);
    walk(&f, 8);
    walk(&f, 7); /* no cut is pending any more */
    expect(&f, "was acknowledged at offset 7");
}

static void deleted_records_may_be_gone(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_delete(f.p, 4);
    audit_walk_begin(f.p, 3);
    for (int i = 3; i < 8; i++) {
        audit_walk_record(f.p, i, f.values[i]);
    }
    audit_walk_end(f.p, 8);
    assert_null(audit_failure(f.audit));
    audit_walk_begin(f.p, 2);
    expect(&f, "the log started at offset 3");
    f = begin(AUDIT_WRITTEN);
    audit_walk_begin(f.p, 1);
    expect(&f, "nothing from 0 on may be gone");
}

static void deleted_records_stay_away(void **state) {
    (void)state;
    struct fixture f = begin(AUDIT_WRITTEN);
    audit_deleted(f.p, 3);
    audit_delete(f.p, 5);
    audit_walk_ask(f.p);
    audit_walk_begin(f.p, 5);
    audit_down(f.audit);
    audit_walk_ask(f.p);
    audit_walk_begin(f.p, 3); /* nobody was told of 5 */
    audit_down(f.audit);
    audit_walk_ask(f.p);
    audit_deleted(f.p, 4); /* after the start was asked for */
    audit_walk_begin(f.p, 3);
    assert_null(audit_failure(f.audit));
    audit_walk_ask(f.p);
    audit_walk_begin(f.p, 3);
    expect(&f, "records below offset 4 were deleted");
}

static void values_name_themselves(void **state) {
    (void)state;
    uint8_t bytes[100];
    for (uint32_t size = AUDIT_VALUE_SIZE_MIN; size <= sizeof bytes; size++) {
        audit_value_fill(77, bytes, size);
        assert_int_equal(audit_value_check(bytes, size), 77);
        assert_int_equal(audit_value_check(bytes, size - 1), 0);
        for (uint32_t i = 0; i < size; i++) {
            bytes[i] ^= 1;
            assert_int_equal(audit_value_check(bytes, size), 0);
            bytes[i] ^= 1;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_is_fine),
        cmocka_unit_test(a_lost_record_is_found),
        cmocka_unit_test(a_hole_is_found),
        cmocka_unit_test(two_values_at_one_offset_are_found),
        cmocka_unit_test(inventions_are_found),
        cmocka_unit_test(duplicates_of_an_idempotent_producer_are_found),
        cmocka_unit_test(a_wrong_order_is_found),
        cmocka_unit_test(a_log_that_forgets_may_mix_them),
        cmocka_unit_test(what_was_under_way_may_be_behind_a_hole),
        cmocka_unit_test(what_is_sent_after_the_hole_is_held_to_all),
        cmocka_unit_test(a_power_cut_may_take_an_end_that_was_not_synced),
        cmocka_unit_test(what_was_synced_must_outlive_a_power_cut),
        cmocka_unit_test(deleted_records_may_be_gone),
        cmocka_unit_test(deleted_records_stay_away),
        cmocka_unit_test(values_name_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
