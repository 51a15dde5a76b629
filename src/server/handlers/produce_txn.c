/*
 * Verification of transactional records.
 *
 *   the partition                       asked of the coordinator   then the append
 *   ---------------------------------   ------------------------   ----------------------------
 *   has an open transaction of the      no                         needs that one still open
 *   producer at its epoch
 *   has none                            yes, with a guard taken    needs that no marker of the
 *                                       before                     producer has come since
 *   any, and verification is off        only by Produce >= 12      as it is
 *   knows a newer epoch of it           no: INVALID_PRODUCER_EPOCH
 *
 * While the transaction before is being ended the coordinator says CONCURRENT_TRANSACTIONS, which
 * is over soon: it is asked again for a while (add.partitions.to.txn.retry.backoff.*), with a new
 * guard, for the marker of that one has come meanwhile. What is an
 * error then is told as producers of the request's version know it.
 */
#include "server/handlers/produce_txn.h"

#include "server/handlers/topics.h"
#include "server/node_int.h"

enum { VERSION_OF_ABORTABLE = 11, VERSION_OF_ADDING = 12 };

static bool adds(const struct produce_txns *txns) {
    return txns->request->version >= VERSION_OF_ADDING;
}

static bool verification_enabled(const struct produce_txns *txns) {
    return config_bool(txns->request->reactor->config,
                       CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE);
}

/* --- what the producer is told --- */

static bool passes(err_t err) {
    return err == ERR_CONCURRENT_TRANSACTIONS || err == ERR_NETWORK_EXCEPTION ||
           err == ERR_COORDINATOR_LOAD_IN_PROGRESS || err == ERR_COORDINATOR_NOT_AVAILABLE ||
           err == ERR_NOT_COORDINATOR;
}

static void tell(const struct produce_txns *txns, struct produce_txn *item, err_t err) {
    if (err == ERR_PRODUCER_FENCED) {
        err = ERR_INVALID_PRODUCER_EPOCH;
    } else if (err == ERR_TRANSACTION_ABORTABLE && txns->request->version < VERSION_OF_ABORTABLE) {
        err = ERR_INVALID_TXN_STATE;
    }
    item->err = err;
    if (err == ERR_INVALID_TXN_STATE) {
        item->message = STR("Partition was not added to the transaction");
    } else if (passes(err) && !(err == ERR_CONCURRENT_TRANSACTIONS && adds(txns))) {
        item->err = ERR_NOT_ENOUGH_REPLICAS; /* which every producer repeats as it is */
        item->message = arena_printf(&txns->request->arena,
                                     "Unable to verify the partition has been added to the "
                                     "transaction. Underlying error: %s",
                                     err_name(err));
    }
}

/* --- what is asked --- */

static err_t find_partition(struct request *request, const struct produce_txn *item,
                            struct partition **ret_partition) {
    const struct meta_topic *topic;
    err_t err = topic_find(request, item->topic, &topic);
    return err == ERR_OK ? topic_partition_find(request, topic, item->index, ret_partition) : err;
}

/* Whether the coordinator is to be asked. */
static bool look(const struct produce_txns *txns, struct produce_txn *item) {
    struct partition *partition = NULL;
    bool open = false;
    item->err = find_partition(txns->request, item, &partition);
    if (item->err == ERR_OK) {
        item->err = partition_txn_is_open(partition, item->producer_id, item->producer_epoch, &open,
                                          &item->txn.guard);
    }
    partition_unref(partition);
    item->txn.verified = verification_enabled(txns);
    item->txn.from_zero = adds(txns) && !open;
    if (open) {
        item->txn.guard = LOG_TXN_GUARD_NONE;
    }
    return item->err == ERR_OK && !open;
}

/* --- asking --- */

/* By now there may be the marker that was waited for: the guards of before hold no more. */
static void ask_again(struct sys_timer *timer) {
    struct produce_txns *txns = container_of(timer, struct produce_txns, timer);
    for (int32_t i = 0; i < txns->verify.part_count; i++) {
        (void)look(txns, &txns->items[txns->places[i]]);
    }
    produce_txns_ask(txns);
}

static bool try_again_later(struct produce_txns *txns) {
    struct reactor *reactor = txns->request->reactor;
    int64_t now_ms = sys_loop_now_ms(reactor->loop);
    bool busy = false;
    for (int32_t i = 0; i < txns->verify.part_count; i++) {
        busy = busy || txns->verify.parts[i].err == ERR_CONCURRENT_TRANSACTIONS;
    }
    if (!busy || now_ms >= txns->retry_ms_max || atomic_load(&reactor->node->draining)) {
        return false;
    }
    txns->timer.fire = ask_again;
    sys_timer_set(reactor->loop, &txns->timer,
                  now_ms +
                      config_int(reactor->config, CONFIG_ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS));
    return true;
}

static void answered(struct txn_verify *verify) {
    struct produce_txns *txns = container_of(verify, struct produce_txns, verify);
    if (try_again_later(txns)) {
        return;
    }
    for (int32_t i = 0; i < verify->part_count; i++) {
        struct produce_txn *item = &txns->items[txns->places[i]];
        if (item->err == ERR_OK) {
            tell(txns, item, verify->parts[i].err);
        }
    }
    txns->done(txns);
}

void produce_txns_ask(struct produce_txns *txns) {
    txn_verify_begin(txns->request->node, &txns->verify);
}

bool produce_txns_look(struct produce_txns *txns) {
    struct request *request = txns->request;
    const struct produce_request *message = request->message;
    struct reactor *reactor = request->reactor;
    struct txn_verify_part *parts =
        ARENA_ARRAY(&request->arena, struct txn_verify_part, txns->count);
    int32_t count = 0;
    txns->places = ARENA_ARRAY(&request->arena, int32_t, txns->count);
    if (adds(txns) || verification_enabled(txns)) {
        for (int32_t i = 0; i < txns->count; i++) {
            if (look(txns, &txns->items[i])) {
                txns->places[count] = i;
                parts[count++] = (struct txn_verify_part){.topic = txns->items[i].topic,
                                                          .partition = txns->items[i].index};
            }
        }
    }
    if (count == 0) {
        return false;
    }
    txns->verify = (struct txn_verify){
        .transactional_id = message->transactional_id,
        .producer_id = txns->items[0].producer_id,
        .producer_epoch = txns->items[0].producer_epoch,
        .mode = adds(txns) ? TXN_VERIFY_ADD : TXN_VERIFY_ONLY,
        .parts = parts,
        .part_count = count,
        .loop = reactor->loop,
        .done = answered,
    };
    int64_t retry_ms =
        config_int(reactor->config, CONFIG_ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS);
    txns->retry_ms_max = sys_loop_now_ms(reactor->loop) + retry_ms;
    return true;
}
