/* The records of a transaction: what is sent, and what is told of it. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "library_txn.h"

enum { VALUE_MAX = 1024 };

struct sent {
    struct list link;
    struct library_txn *txn;
    struct library_sent what;
    int64_t produced_ms;
};

/* --- deliveries --- */

static void check_fenced(const struct library_txn *txn, const struct sent *sent) {
    if (txn->fenced_ms >= 0 && sent->produced_ms > txn->fenced_ms) {
        node_fail(txn->id->sim, "%s, %s-%d: value %" PRIu64 " is written after it was fenced",
                  txn->name, sent->what.topic->name, sent->what.partition, sent->what.value);
    }
}

static void record_failed(struct library_txn *txn, const struct sent *sent,
                          const struct ottla_delivery *delivery) {
    struct node_sim *sim = txn->id->sim;
    int code = delivery->code;
    txn->failed++;
    if (code == ERR_TRANSACTION_ABORTABLE) {
        audit_refuse(sim->run->audit, sent->what.value); /* it has not been sent, and will not be */
        points_add(sim->run->points, "library_txn_unsent", 1);
    } else if (code == OTTLA_TIMED_OUT || node_error_passes((int16_t)code)) {
        txn->has_reason = true;
        library_point(sim, txn->name, "library_txn_out_of_time");
    } else if (!library_txn_may_be_fenced(txn) && !txn->has_reason) {
        node_fail(sim, "%s, %s-%d: value %" PRIu64 " is given up with %s: %s", txn->name,
                  sent->what.topic->name, sent->what.partition, sent->what.value,
                  ottla_code_name(code), delivery->text);
    } else {
        txn->has_reason = true;
    }
}

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct sent *sent = arg;
    struct library_txn *txn = sent->txn;
    struct node_sim *sim = txn->id->sim;
    list_remove(&sent->link);
    if (txn->ending && delivery->code == OTTLA_CLOSED) {
        free(sent);
        return;
    }
    const struct library_sent *what = &sent->what;
    library_check_order(sim, txn->name, what,
                        &txn->lanes[what->topic - sim->topics][what->partition],
                        delivery->code == OTTLA_OK ? delivery->offset : -1, false);
    if (delivery->code != OTTLA_OK) {
        record_failed(txn, sent, delivery);
    } else {
        check_fenced(txn, sent);
        txn->delivered++;
        if (delivery->offset >= 0) {
            library_acknowledge(sim, what, delivery->offset);
        }
    }
    free(sent);
}

/* --- sending --- */

uint64_t library_txn_produce(struct library_txn *txn, struct node_topic *topic, int32_t partition,
                             uint32_t size) {
    struct node_sim *sim = txn->id->sim;
    struct sent *sent = calloc(1, sizeof *sent);
    assert(sent != NULL && size <= VALUE_MAX);
    uint64_t value = audit_send(txn->audit, topic->partitions[partition].audit);
    *sent = (struct sent){.txn = txn,
                          .what = {topic, partition, value, sim->run->power_cut_count},
                          .produced_ms = sys_mono_ms(sim->sys)};
    audit_txn_value(txn->open, value);
    uint8_t bytes[VALUE_MAX];
    audit_value_fill(value, bytes, size);
    char key[TOPIC_KEY_MAX];
    struct bytes key_bytes = topic_key(topic, value, key);
    struct ottla_record record = {
        .topic = topic->name,
        .partition = partition,
        .timestamp_ms = OTTLA_TIMESTAMP_NOW,
        .key = {key_bytes.data, key_bytes.size},
        .value = {bytes, size},
    };
    struct ottla_error error;
    list_add_last(&txn->sent, &sent->link);
    int code = ottla_produce(txn->producer, &record, delivered, sent, &error);
    if (code == OTTLA_OK) {
        return value;
    }
    list_remove(&sent->link);
    audit_refuse(sim->run->audit, value);
    free(sent);
    if (code == OTTLA_BUSY) {
        points_add(sim->run->points, "library_txn_busy", 1);
    } else {
        (void)library_txn_begun(txn, "produce", code, &error);
    }
    return 0;
}
