#include "coord/txn_audit_test.h"

#include <stdlib.h>

#include "base/test.h"

enum { MARKS_MAX = 1 << 16 };

/* --- the log, and what may stand in it --- */

static const struct transaction_log_value *decode(const struct txn_kept *kept, struct arena *arena,
                                                  struct str *ret_id) {
    struct coord_record record;
    struct bytes value = buffer_bytes(&kept->value);
    err_t err =
        coord_record_decode(&coord_transactions_kind, buffer_bytes(&kept->key),
                            kept->tombstone ? (struct bytes){NULL, 0} : value, arena, &record);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(record.type, TXN_RECORD);
    *ret_id = ((const struct transaction_log_key *)record.key)->transactional_id;
    return record.value;
}

/* The last record of a transactional id below `end`; NULL: none, or a tombstone. */
static const struct transaction_log_value *last_of(const struct txn_audit *audit, size_t end,
                                                   struct str id, struct arena *arena,
                                                   size_t *ret_offset) {
    while (end-- > 0) {
        struct str found;
        const struct transaction_log_value *value = decode(&audit->log[end], arena, &found);
        if (str_equal(found, id)) {
            *ret_offset = end;
            return value;
        }
    }
    return NULL;
}

static int32_t partition_count(const struct transaction_log_value *value) {
    return value->transaction_partitions_count <= 0
               ? 0
               : value->transaction_partitions[0].partition_ids_count;
}

static bool has_partition(const struct transaction_log_value *value, int32_t partition) {
    for (int32_t i = 0; i < partition_count(value); i++) {
        if (value->transaction_partitions[0].partition_ids[i] == partition) {
            return true;
        }
    }
    return false;
}

static bool follows(int8_t before, int8_t after) {
    static const unsigned allowed[] = {
        [TXN_EMPTY] = 1U << TXN_EMPTY | 1U << TXN_ONGOING | 1U << TXN_PREPARE_ABORT,
        [TXN_ONGOING] = 1U << TXN_ONGOING | 1U << TXN_PREPARE_COMMIT | 1U << TXN_PREPARE_ABORT,
        [TXN_PREPARE_COMMIT] = 1U << TXN_COMPLETE_COMMIT,
        [TXN_PREPARE_ABORT] = 1U << TXN_COMPLETE_ABORT,
        [TXN_COMPLETE_COMMIT] = 1U << TXN_EMPTY | 1U << TXN_ONGOING | 1U << TXN_PREPARE_ABORT,
        [TXN_COMPLETE_ABORT] = 1U << TXN_EMPTY | 1U << TXN_ONGOING | 1U << TXN_PREPARE_ABORT,
    };
    return (allowed[before] >> after & 1) != 0;
}

static bool is_marked(const struct txn_audit *audit, size_t prepare, int32_t partition) {
    for (size_t i = 0; i < audit->mark_count; i++) {
        if (audit->marks[i].prepare == prepare && audit->marks[i].partition == partition) {
            return true;
        }
    }
    return false;
}

static void check_value(const struct txn_audit *audit, struct arena *arena,
                        const struct transaction_log_value *value, struct str id) {
    size_t at = 0;
    const struct transaction_log_value *before = last_of(audit, audit->count, id, arena, &at);
    if (before == NULL) {
        assert_int_equal(value->transaction_status, TXN_EMPTY);
        assert_int_equal(value->producer_epoch, 0);
        return;
    }
    assert_true(follows(before->transaction_status, value->transaction_status));
    if (value->producer_id != before->producer_id) {
        assert_int_equal(value->producer_epoch, 0);
        assert_true(value->producer_id >= 1000); /* one of ours, txn_random_test.c gives them */
    } else {
        assert_true(value->producer_epoch >= before->producer_epoch);
    }
    bool ends = value->transaction_status == TXN_COMPLETE_COMMIT ||
                value->transaction_status == TXN_COMPLETE_ABORT;
    bool drops = ends || value->transaction_status == TXN_EMPTY;
    for (int32_t i = 0; i < partition_count(before); i++) {
        int32_t partition = before->transaction_partitions[0].partition_ids[i];
        assert_true(drops || has_partition(value, partition));
        assert_true(!ends || is_marked(audit, at, partition));
    }
    if (value->transaction_status != TXN_ONGOING) {
        assert_int_equal(partition_count(value), drops ? 0 : partition_count(before));
    }
}

static void check_record(const struct txn_audit *audit, const struct txn_kept *kept) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct str id;
    size_t at;
    const struct transaction_log_value *value = decode(kept, &arena, &id);
    if (value != NULL) {
        check_value(audit, &arena, value, id);
    } else {
        value = last_of(audit, audit->count, id, &arena, &at);
        assert_non_null(value);
        assert_true(value->transaction_status != TXN_ONGOING);
        assert_true(value->transaction_status != TXN_PREPARE_COMMIT);
        assert_true(value->transaction_status != TXN_PREPARE_ABORT);
    }
    arena_done(&arena);
}

void txn_audit_keep(struct txn_audit *audit, const struct coord_record *record) {
    struct txn_kept kept = {.tombstone = record->value == NULL};
    assert_int_equal(coord_record_encode(&coord_transactions_kind, record, &kept.key, &kept.value),
                     ERR_OK);
    check_record(audit, &kept);
    audit->log = realloc(audit->log, (audit->count + 1) * sizeof *audit->log);
    audit->log[audit->count++] = kept;
}

/* --- markers --- */

static size_t prepare_of(const struct txn_audit *audit, int64_t producer_id, struct arena *arena,
                         const struct transaction_log_value **ret_value) {
    for (size_t i = audit->count; i-- > 0;) {
        struct str id;
        const struct transaction_log_value *value = decode(&audit->log[i], arena, &id);
        size_t last = 0;
        if (value != NULL && value->producer_id == producer_id) {
            *ret_value = last_of(audit, audit->count, id, arena, &last);
            assert_int_equal(last, i); /* nothing came after it */
            return i;
        }
    }
    fail_msg("markers of a producer that nobody knows");
    return 0;
}

size_t txn_audit_markers(const struct txn_audit *audit, const struct coord_markers *markers) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    const struct transaction_log_value *value = NULL;
    size_t prepare = prepare_of(audit, markers->producer_id, &arena, &value);
    assert_true(prepare < audit->committed);
    assert_int_equal(value->producer_epoch, markers->producer_epoch);
    assert_int_equal(value->transaction_status,
                     markers->commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    for (int32_t i = 0; i < markers->partition_count; i++) {
        assert_true(has_partition(value, markers->partitions[i].partition));
    }
    arena_done(&arena);
    return prepare;
}

void txn_audit_mark(struct txn_audit *audit, size_t prepare, int32_t partition) {
    if (audit->marks == NULL) {
        audit->marks = calloc(MARKS_MAX, sizeof *audit->marks);
    }
    assert_true(audit->mark_count < MARKS_MAX);
    audit->marks[audit->mark_count++] = (struct txn_mark){prepare, partition};
}

/* --- answers, and the end --- */

bool txn_audit_says(const struct txn_audit *audit, struct str id, int64_t producer_id,
                    int16_t epoch, int8_t status, int32_t partition) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    bool found = false;
    for (size_t i = audit->committed; i-- > 0 && !found;) {
        struct str other;
        const struct transaction_log_value *value = decode(&audit->log[i], &arena, &other);
        found = value != NULL && str_equal(other, id) && value->producer_id == producer_id &&
                value->producer_epoch == epoch && value->transaction_status == status &&
                (partition < 0 || has_partition(value, partition));
    }
    arena_done(&arena);
    return found;
}

void txn_audit_is_at_rest(const struct txn_audit *audit) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < audit->count; i++) {
        struct str id;
        size_t at = 0;
        (void)decode(&audit->log[i], &arena, &id);
        const struct transaction_log_value *value = last_of(audit, audit->count, id, &arena, &at);
        assert_true(value == NULL || value->transaction_status == TXN_EMPTY ||
                    value->transaction_status == TXN_COMPLETE_COMMIT ||
                    value->transaction_status == TXN_COMPLETE_ABORT);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* --- the log itself --- */

void txn_audit_truncate(struct txn_audit *audit) {
    for (size_t i = audit->committed; i < audit->count; i++) {
        buffer_done(&audit->log[i].key);
        buffer_done(&audit->log[i].value);
    }
    audit->count = audit->committed;
}

void txn_audit_replay(const struct txn_audit *audit, struct groups *groups) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < audit->count; i++) {
        struct coord_record record;
        struct bytes value = buffer_bytes(&audit->log[i].value);
        err_t err = coord_record_decode(&coord_transactions_kind, buffer_bytes(&audit->log[i].key),
                                        audit->log[i].tombstone ? (struct bytes){NULL, 0} : value,
                                        &arena, &record);
        assert_int_equal(err, ERR_OK);
        groups_replay(groups, (void *[]){&record}, 1, (int64_t)i);
    }
    arena_done(&arena);
}

void txn_audit_done(struct txn_audit *audit) {
    audit->committed = 0;
    txn_audit_truncate(audit);
    free(audit->log);
    free(audit->marks);
}
