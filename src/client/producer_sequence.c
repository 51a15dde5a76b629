/*
 * Producer ids, epochs and sequences (KIP-98, KIP-360).
 *
 * A partition has a producer id, an epoch and the next sequence of its own; the producer has the id
 * and the highest epoch in use. A partition that must begin anew takes the next epoch and starts at
 * sequence 0; the others go on as they are. When epochs are used up there is a new id.
 *
 * What is sent again keeps its sequence, and goes alone: the broker knows it, or takes it, or has a
 * gap before it. So does the first batch of an epoch: a broker takes any sequence from a producer
 * that it does not know, and would have the second batch in the place of a first that it refused.
 *
 *   the first batch that has no answer             then
 *   --------------------------------------------   ----------------------------------------------
 *   is written, or known as a duplicate            so is what was before it: no gap
 *   is over otherwise (expired, refused)           a gap: those behind are sent again with their
 *                                                  sequences, new ones wait
 *   is out of order, behind a gap                  the broker lacks what is over, hence this, too:
 *                                                  a new epoch, and sent again
 *   is out of order, and each try was refused      the broker lost what it had acknowledged; this
 *                                                  it never had: a new epoch, and sent again
 *   is out of order, and a try had no answer; or   nobody can tell whether it was written: it is
 *   it is half of one that had none                over, and those behind of which the same is
 *                                                  true; then a new epoch (T2, T14)
 *   has no sequence yet, behind a gap              a new epoch
 *
 * No batch is sent for the first time with five before it in the list, answered or not: the broker
 * would forget the first of them, which may have been written.
 *
 * UNKNOWN_PRODUCER_ID is out of order, too. Behind another batch, both only mean that it was not
 * its turn.
 *
 * In transactions the coordinator gives ids and epochs, between transactions
 * (producer_transaction.c). A partition takes a new one with its next batch, when none of the one
 * before is left. Nothing begins anew by itself: after a gap the transaction is aborted.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/producer_int.h"
#include "wire/api.h"

static void ask_for_id(struct ottla_producer *producer);

/* --- the producer's id --- */

static err_t judge_id(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    const struct init_producer_id_response *answer = response;
    return err_from_kafka_code(answer->error_code);
}

static void id_answered(void *arg, const struct client_answer *answer) {
    struct ottla_producer *producer = arg;
    producer->id_asked = NULL;
    const struct init_producer_id_response *response = answer->response;
    err_t err = answer->err != ERR_OK ? answer->err : err_from_kafka_code(response->error_code);
    if (err == ERR_OK && (response->producer_id < 0 || response->producer_epoch < 0)) {
        err = ERR_MALFORMED;
    }
    if (err == ERR_OK) {
        producer->producer_id = response->producer_id;
        producer->epoch = response->producer_epoch;
        producer->id_failures = 0;
        producer_partitions_ready(producer);
        return;
    }
    if (err == ERR_UNSUPPORTED_VERSION || (err < ERR_OWN_FIRST && !err_retriable(err))) {
        producer_fail(producer, err,
                      "no producer id: %s; with enable.idempotence=false none is needed",
                      err_text(err));
        return;
    }
    client_log(producer->client, OTTLA_LOG_WARNING, "no producer id yet: %s%s%s", err_text(err),
               answer->text != NULL && answer->text[0] != 0 ? "; " : "",
               answer->text != NULL ? answer->text : "");
    int64_t pause_ms = client_backoff_ms(producer->client, ++producer->id_failures);
    sys_timer_set(producer->loop, &producer->id_timer, sys_mono_ms(producer->sys) + pause_ms);
}

static void ask_for_id(struct ottla_producer *producer) {
    if (producer->id_asked != NULL || sys_timer_is_set(&producer->id_timer)) {
        return;
    }
    struct init_producer_id_request *request = &producer->id_request;
    wire_init(&init_producer_id_request_type, request);
    request->transactional_id = STR_NULL;
    request->transaction_timeout_ms = INT32_MAX;
    producer->id_asked = client_ask(producer->client, &(struct client_ask){
                                                          .role = CLIENT_ANY_BROKER,
                                                          .lane = CLIENT_LANE_MAIN,
                                                          .api_key = API_INIT_PRODUCER_ID,
                                                          .version_max = -1,
                                                          .request = request,
                                                          .judge = judge_id,
                                                          .done = id_answered,
                                                          .arg = producer,
                                                      });
}

void producer_id_retry(struct sys_timer *timer) {
    struct ottla_producer *producer = container_of(timer, struct ottla_producer, id_timer);
    if (!list_empty(&producer->active)) {
        ask_for_id(producer);
    }
}

void producer_sequence_done(struct ottla_producer *producer) {
    if (producer->id_asked != NULL) {
        client_ask_cancel(producer->id_asked);
        producer->id_asked = NULL;
    }
    sys_timer_clear(producer->loop, &producer->id_timer);
}

/* --- a partition's epoch --- */

static void adopt(struct producer_partition *partition) {
    const struct ottla_producer *producer = partition->topic->producer;
    partition->producer_id = producer->producer_id;
    partition->epoch = producer->epoch;
    partition->next_sequence = 0;
    partition->begun = false;
    partition->gap = false;
    partition->renew = false;
}

static void stamp_next(struct producer_partition *partition, struct batch *batch) {
    batch_stamp(&partition->topic->producer->batches, batch, partition->producer_id,
                partition->epoch, partition->next_sequence);
    partition->next_sequence = batch_next_sequence(batch);
}

/* False: there is no id yet. What had a sequence gets one of the new epoch. */
static bool begin_epoch(struct producer_partition *partition) {
    struct ottla_producer *producer = partition->topic->producer;
    assert(partition->in_flight == 0);
    if (producer->producer_id == partition->producer_id && producer->epoch <= partition->epoch) {
        if (producer->epoch == INT16_MAX) {
            producer->producer_id = -1;
        } else {
            producer->epoch++;
        }
    }
    if (producer->producer_id < 0) {
        ask_for_id(producer);
        return false;
    }
    adopt(partition);
    struct list *link;
    list_for_each (link, &partition->batches) {
        struct batch *batch = container_of(link, struct batch, link);
        if (batch->state == BATCH_QUEUED && batch->sequenced) {
            batch->maybe_written = false; /* under this epoch */
            stamp_next(partition, batch);
        }
    }
    return true;
}

/* Whether the broker would still know the oldest batch that is open, after this one. Those behind
 * it that are answered stay in the list, so places are enough to tell. */
static bool in_window(const struct producer_partition *partition, const struct batch *batch) {
    const struct list *link = partition->batches.next;
    for (int place = 0; place < PRODUCER_WINDOW_BATCHES; place++, link = link->next) {
        if (link == &batch->link) {
            return true;
        }
    }
    return false;
}

bool producer_sequence_allows(struct producer_partition *partition, const struct batch *batch) {
    struct ottla_producer *producer = partition->topic->producer;
    if (!producer->idempotent) {
        return true;
    }
    if (producer->transaction != NULL &&
        (partition->producer_id != producer->producer_id || partition->epoch != producer->epoch)) {
        assert(!batch->sequenced);
        assert(partition->in_flight == 0);
        adopt(partition);
    }
    if (partition->producer_id < 0) {
        if (producer->producer_id < 0) {
            ask_for_id(producer);
            return false;
        }
        adopt(partition);
    }
    if (!batch->sequenced && !in_window(partition, batch)) {
        return false;
    }
    bool alone = batch->sequenced || partition->gap || partition->renew || !partition->begun;
    if (alone && partition->in_flight > 0) {
        return false;
    }
    if (producer->transaction != NULL) {
        return !partition->gap || batch->sequenced;
    }
    if (partition->renew || (partition->gap && !batch->sequenced)) {
        return begin_epoch(partition);
    }
    return true;
}

void producer_sequence_stamp(struct producer_partition *partition, struct batch *batch) {
    struct ottla_producer *producer = partition->topic->producer;
    if (producer->idempotent && !batch->sequenced) {
        stamp_next(partition, batch);
        batch->sequenced = true;
    } else if (batch->attempts == 0) {
        batch_stamp(&producer->batches, batch, RECORD_NO_PRODUCER_ID, RECORD_NO_PRODUCER_EPOCH,
                    RECORD_NO_SEQUENCE);
    }
}

void producer_sequence_stamp_halves(struct producer_partition *partition, const struct batch *whole,
                                    struct batch *const halves[2]) {
    const struct batch_options *options = &whole->builder.options;
    int32_t sequence = options->base_sequence;
    for (int i = 0; i < 2; i++) {
        batch_stamp(&partition->topic->producer->batches, halves[i], options->producer_id,
                    options->producer_epoch, sequence);
        halves[i]->sequenced = whole->sequenced;
        sequence = whole->sequenced ? batch_next_sequence(halves[i]) : RECORD_NO_SEQUENCE;
    }
}

/* --- what became of a batch --- */

void producer_sequence_written(struct producer_partition *partition, const struct batch *batch) {
    if (batch->sequenced) {
        partition->begun = true;
        partition->gap = false;
    }
}

void producer_sequence_lost(struct producer_partition *partition) {
    partition->gap = true;
    producer_transaction_gap(partition->topic->producer);
}

static bool is_first(const struct producer_partition *partition, const struct batch *batch) {
    struct list *link;
    list_for_each (link, &partition->batches) {
        const struct batch *other = container_of(link, struct batch, link);
        if (other == batch) {
            return true;
        }
        if (other->state != BATCH_ANSWERED) {
            return false;
        }
    }
    return false;
}

static void give_up_unknown(struct producer_partition *partition, const struct batch *first,
                            err_t err) {
    struct list *link;
    list_for_each (link, &partition->batches) {
        struct batch *batch = container_of(link, struct batch, link);
        if (batch != first && batch->state == BATCH_QUEUED && batch->maybe_written) {
            producer_batch_over(partition, batch, err,
                                STR("it cannot be told whether it was written: the broker no "
                                    "longer knows what came before it"));
        }
    }
}

bool producer_sequence_refused(struct producer_partition *partition, struct batch *batch,
                               int64_t log_start_offset, err_t err) {
    bool state_unknown = err == ERR_UNKNOWN_PRODUCER_ID && log_start_offset < 0;
    if (!is_first(partition, batch) || state_unknown) {
        return true; /* not its turn, or the broker could not look: again */
    }
    if (partition->topic->producer->transaction != NULL) {
        return false;
    }
    bool explained = partition->gap && !batch->half;
    bool unknown = batch->maybe_written && !explained;
    partition->renew = true;
    client_log(partition->topic->producer->client, OTTLA_LOG_WARNING,
               "%s-%d: %s; the producer goes on with a new epoch%s", partition->topic->name,
               (int)partition->index, err_text(err),
               unknown ? ", and gives up what may have been written" : "");
    if (unknown) {
        give_up_unknown(partition, batch, err);
    }
    return !unknown;
}
