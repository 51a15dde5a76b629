/*
 * Transactional ids that nobody used for transactional.id.expiration.ms, and that have no
 * transaction open. Every transaction.remove.expired.transaction.cleanup.interval.ms all are looked
 * through, some in each step; one that comes meanwhile may be passed over until the next time.
 */
#include "coord/txn_int.h"

enum { IDS_PER_STEP_MAX = 1000 };

static bool is_expired(const struct txn *txn, int64_t now_ms, int64_t expiration_ms) {
    bool idle = !txn_is_prepared(txn) && txn->values.state != TXN_ONGOING && !txn->asking;
    int64_t age_ms;
    return idle && txn->known &&
           (__builtin_sub_overflow(now_ms, txn->values.update_ms, &age_ms) ||
            age_ms >= expiration_ms);
}

static err_t expire(struct group_step *step, struct group_timer *timer) {
    struct groups *groups = step->groups;
    struct txns *txns = txns_of(groups);
    const struct config *config = groups->config;
    int64_t expiration_ms = config_int(config, CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS);
    const struct txn *txn = NULL;
    step->output->splittable = true;
    for (int i = 0; i < IDS_PER_STEP_MAX; i++) {
        txn = map_next(&txns->by_id, &txns->expiry_cursor);
        if (txn == NULL) {
            break;
        }
        if (is_expired(txn, step->wall_ms, expiration_ms)) {
            struct transaction_log_key *key =
                step_record(step, (enum group_record)TXN_RECORD, NULL);
            key->transactional_id = txn->id;
        }
    }
    int64_t wait_ms = 0;
    if (txn == NULL) {
        txns->expiry_cursor = 0;
        wait_ms =
            config_int(config, CONFIG_TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS);
    }
    group_timer_set(groups, timer, step->mono_ms + wait_ms);
    return ERR_OK;
}

void txn_expiry_begin(struct group_step *step) {
    struct txns *txns = txns_of(step->groups);
    txns->expiry.fire = expire;
    txns->expiry_cursor = 0;
    group_timer_set(
        step->groups, &txns->expiry,
        step->mono_ms +
            config_int(step->groups->config,
                       CONFIG_TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS));
}
