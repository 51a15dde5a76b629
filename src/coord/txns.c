/* The transactional ids of a shard, and what a shard of them is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/txn_int.h"

struct txn *txns_find(const struct groups *groups, struct str id) {
    return map_get(&txns_of(groups)->by_id, str_bytes(id));
}

struct txn *txns_find_known(const struct groups *groups, struct str id) {
    struct txn *txn = txns_find(groups, id);
    return txn != NULL && txn->known ? txn : NULL;
}

struct txn *txns_add(struct groups *groups, struct str id) {
    assert(txns_find(groups, id) == NULL);
    struct txn *txn = calloc(1, sizeof *txn + id.size);
    assert(txn != NULL);
    char *text = (char *)(txn + 1);
    memcpy(text, id.data, id.size);
    *txn = (struct txn){
        .groups = groups,
        .id = {.data = text, .size = id.size},
        .values =
            {
                .state = TXN_EMPTY,
                .producer_id = TXN_NO_PRODUCER,
                .previous_producer_id = TXN_NO_PRODUCER,
                .next_producer_id = TXN_NO_PRODUCER,
                .epoch = TXN_NO_EPOCH,
                .last_epoch = TXN_NO_EPOCH,
                .start_ms = -1,
            },
    };
    map_put(&txns_of(groups)->by_id, str_bytes(txn->id), txn);
    return txn;
}

static void txn_free(struct txn *txn) {
    group_timer_clear(txn->groups, &txn->timer);
    txn_ending_drop(txn);
    free((void *)txn->values.partitions);
    free(txn);
}

void txns_remove(struct txn *txn) {
    map_remove(&txns_of(txn->groups)->by_id, str_bytes(txn->id));
    txn_free(txn);
}

const char *txn_state_name(enum txn_state state) {
    static const char *const names[TXN_STATES] = {
        "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
        "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence"};
    return names[state];
}

int16_t txn_cluster_version(const struct groups *groups) {
    return meta_image_feature(groups->image, STR("transaction.version"));
}

/* --- a shard of transactional ids --- */

static void init(struct groups *groups) {
    struct txns *txns = calloc(1, sizeof *txns);
    assert(txns != NULL);
    map_init(&txns->by_id);
    map_init(&txns->pasts);
    txns->world = groups->runtime->world;
    groups->part = txns;
}

static void done(struct groups *groups) {
    map_done(&txns_of(groups)->by_id);
    map_done(&txns_of(groups)->pasts);
    free(groups->part);
}

static void reset(struct groups *groups) {
    struct txns *txns = groups->part;
    struct txn *txn;
    size_t cursor;
    map_for_each (&txns->by_id, cursor, txn) {
        txn_free(txn);
    }
    map_clear(&txns->by_id);
    txn_pasts_forget(txns);
}

static void begin(struct group_step *step) {
    struct txn *txn;
    size_t cursor;
    map_for_each (&txns_of(step->groups)->by_id, cursor, txn) {
        txn_follow_state(step, txn);
    }
    txn_expiry_begin(step);
}

static size_t count(const struct groups *groups) {
    return map_count(&txns_of(groups)->by_id);
}

static struct str *ids(const struct groups *groups, struct arena *arena, size_t *ret_count) {
    const struct map *by_id = &txns_of(groups)->by_id;
    struct str *ids = ARENA_ARRAY(arena, struct str, map_count(by_id) + 1);
    const struct txn *txn;
    size_t cursor;
    *ret_count = 0;
    map_for_each (by_id, cursor, txn) {
        ids[(*ret_count)++] = arena_str(arena, txn->id);
    }
    return ids;
}

static bool say_anew(struct group_step *step, struct str id, int64_t *keep_offset) {
    (void)keep_offset;
    const struct txn *txn = txns_find_known(step->groups, id);
    if (txn != NULL) {
        txn_say(step, txn);
    }
    return true;
}

const struct coord_kind coord_transactions_kind = {
    .topic = STR("__transaction_state"),
    .things = "transactional ids",
    .partitions = CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS,
    .answer_ms_max = CONFIG_REQUEST_TIMEOUT_MS,
    .compression = -1,
    .api = txn_api_find,
    .record = txn_record_kind,
    .init = init,
    .done = done,
    .reset = reset,
    .begin = begin,
    .count = count,
    .ids = ids,
    .say_anew = say_anew,
};
