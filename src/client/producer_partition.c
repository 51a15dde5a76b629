/*
 * A partition's batches.
 *
 *   state       is                               left by
 *   ---------   ------------------------------   ------------------------------------------------
 *   QUEUED      waiting to be sent, also again   a request ─► IN_FLIGHT; expired ─► ANSWERED
 *   IN_FLIGHT   in a request                     its answer ─► QUEUED, ANSWERED or two halves
 *   ANSWERED    over, with its outcome           none before it is left to be told ─► told, freed
 *
 * Invariants
 *   1. The list is in the order of ottla_produce: what is sent again keeps its place, so order over
 *      retries needs no thought anywhere else.
 *   2. Outcomes are told in that order.
 *   3. A batch whose time is over while it is in flight is told then, and stays in the list until
 *      its answer: the broker's memory of it is needed for those behind, and its bytes are not
 *      anybody else's while a connection may still send them (T35).
 *   4. Functions of the caller are called by producer_partition_check only. They may append.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/producer_int.h"

enum { NO_LEADER_MS = 1000 }; /* until the cluster is asked again */

static struct batch *batch_of(struct list *link) {
    return container_of(link, struct batch, link);
}

static struct batch *last_batch(const struct producer_partition *partition) {
    return list_empty(&partition->batches) ? NULL : batch_of(partition->batches.prev);
}

static struct batch *first_queued(const struct producer_partition *partition) {
    struct list *link;
    list_for_each (link, &partition->batches) {
        if (batch_of(link)->state == BATCH_QUEUED) {
            return batch_of(link);
        }
    }
    return NULL;
}

static void timer_fired(struct sys_timer *timer) {
    producer_partition_check(container_of(timer, struct producer_partition, timer));
}

struct producer_partition *producer_partition_new(struct producer_topic *topic, int32_t index) {
    struct producer_partition *partition = calloc(1, sizeof *partition);
    if (partition == NULL) {
        abort();
    }
    partition->topic = topic;
    partition->index = index;
    partition->leader = -1;
    partition->leader_epoch = -1;
    partition->producer_id = -1;
    partition->epoch = -1;
    partition->timer.fire = timer_fired;
    list_init(&partition->batches);
    return partition;
}

static void remove_batch(struct producer_partition *partition, struct batch *batch) {
    struct ottla_producer *producer = partition->topic->producer;
    list_remove(&batch->link);
    partition->batch_count--;
    if (list_empty(&partition->batches)) {
        list_remove(&partition->active);
        producer_transaction_flushed(producer);
    }
    batch_free(&producer->batches, batch);
    producer->exhausted = false;
    producer->progress = true;
}

/* --- appending --- */

static struct batch *begin_batch(struct producer_partition *partition, size_t record_bound,
                                 int64_t produced_ms) {
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *batch = batches_open(&producer->batches, record_bound, partition->last_size);
    if (batch == NULL) {
        return NULL;
    }
    batch->created_ms = produced_ms >= 0 ? produced_ms : sys_mono_ms(producer->sys);
    partition->topic->used_ms = batch->created_ms;
    list_add_last(&partition->batches, &batch->link);
    partition->batch_count++;
    if (!list_linked(&partition->active)) {
        list_add_last(&producer->active, &partition->active);
    }
    return batch;
}

void producer_batch_close(struct producer_partition *partition, struct batch *batch) {
    if (batch->open) {
        partition->last_size = batch->bytes.size;
        batch_close(&partition->topic->producer->batches, batch);
    }
}

err_t producer_append(struct producer_partition *partition, const struct ottla_record *record,
                      int64_t produced_ms, ottla_delivery_fn delivered, void *arg) {
    struct ottla_producer *producer = partition->topic->producer;
    struct batches *batches = &producer->batches;
    size_t bound = batch_record_bound(record);
    int64_t timestamp_ms = record->timestamp_ms == OTTLA_TIMESTAMP_NOW ? sys_wall_ms(producer->sys)
                                                                       : record->timestamp_ms;
    struct batch *batch = last_batch(partition);
    err_t err = ERR_LIMIT;
    if (batch != NULL && batch->open) {
        err = batches_append(batches, batch, bound, record, timestamp_ms, delivered, arg);
        if (err == ERR_OK && !batch_is_full(batches, batch)) {
            return ERR_OK; /* nothing has changed but the batch */
        }
    }
    if (err == ERR_LIMIT) {
        if (batch != NULL) {
            producer_batch_close(partition, batch);
        }
        batch = begin_batch(partition, bound, produced_ms);
        err = batch == NULL
                  ? ERR_BUSY
                  : batches_append(batches, batch, bound, record, timestamp_ms, delivered, arg);
        assert(err == ERR_OK || batch == NULL);
    }
    producer_partition_ready(partition);
    return err;
}

/* --- when --- */

static int64_t ready_at_ms(const struct producer_partition *partition, const struct batch *batch) {
    const struct ottla_producer *producer = partition->topic->producer;
    if (batch->attempts > 0) {
        return partition->retry_ms;
    }
    bool waits = batch->open && !batch_is_full(&producer->batches, batch) &&
                 producer->flushing == 0 && !producer->exhausted && batch == last_batch(partition);
    int64_t lingered_ms = waits ? batch->created_ms + producer->settings.linger_ms : 0;
    return lingered_ms > partition->retry_ms ? lingered_ms : partition->retry_ms;
}

/* That of the first batch that is not told. */
static int64_t expires_at_ms(const struct producer_partition *partition) {
    const struct client_settings *settings = &partition->topic->producer->settings;
    struct list *link;
    list_for_each (link, &partition->batches) {
        if (batch_of(link)->state != BATCH_ANSWERED && !batch_of(link)->told) {
            return batch_of(link)->created_ms + settings->delivery_timeout_ms;
        }
    }
    return INT64_MAX;
}

void producer_partition_ready(struct producer_partition *partition) {
    struct ottla_producer *producer = partition->topic->producer;
    int64_t next_ms = expires_at_ms(partition);
    const struct batch *batch = first_queued(partition);
    if (batch != NULL) {
        int64_t ready_ms = ready_at_ms(partition, batch);
        if (ready_ms > sys_mono_ms(producer->sys)) {
            next_ms = ready_ms < next_ms ? ready_ms : next_ms;
        } else if (partition->leader < 0) {
            int64_t retry_ms = sys_mono_ms(producer->sys) + NO_LEADER_MS;
            next_ms = retry_ms < next_ms ? retry_ms : next_ms;
            client_metadata_refresh(producer->client);
        } else if (!list_linked(&partition->ready)) {
            struct producer_broker *broker = producer_broker_get(producer, partition->leader);
            list_add_last(&broker->ready, &partition->ready);
            producer_send_soon(producer);
        }
    }
    if (next_ms == INT64_MAX) {
        sys_timer_clear(producer->loop, &partition->timer);
    } else if (!sys_timer_is_set(&partition->timer) || partition->timer.deadline_ms != next_ms) {
        sys_timer_set(producer->loop, &partition->timer, next_ms);
    }
}

void producer_partitions_ready(struct ottla_producer *producer) {
    struct list *link;
    list_for_each (link, &producer->active) {
        producer_partition_ready(container_of(link, struct producer_partition, active));
    }
}

/* Order is kept while requests are on their way to one broker only. */
static bool in_flight_allows(const struct producer_partition *partition) {
    const struct ottla_producer *producer = partition->topic->producer;
    int32_t max = producer->settings.max_in_flight_requests_per_connection;
    bool ordered = producer->idempotent || max == 1;
    bool elsewhere = partition->in_flight > 0 && partition->in_flight_broker != partition->leader;
    return partition->in_flight < max && !(ordered && elsewhere);
}

struct batch *producer_partition_next(struct producer_partition *partition) {
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *batch = first_queued(partition);
    if (batch == NULL || partition->leader < 0 || producer->fatal != ERR_OK ||
        !in_flight_allows(partition) ||
        ready_at_ms(partition, batch) > sys_mono_ms(producer->sys)) {
        return NULL;
    }
    bool allowed =
        producer_transaction_allows(partition, batch) && producer_sequence_allows(partition, batch);
    return allowed ? batch : NULL;
}

/* --- the end of batches --- */

static void tell(struct producer_partition *partition, const struct batch *batch) {
    struct ottla_producer *producer = partition->topic->producer;
    producer->depth++;
    batch_deliver(batch, partition->topic->name, partition->index);
    producer->depth--;
    producer_told(producer, (size_t)batch_record_count(batch), batch->err == ERR_OK);
}

void producer_batch_over(struct producer_partition *partition, struct batch *batch, err_t err,
                         struct str text) {
    assert(batch->state != BATCH_ANSWERED);
    batch_close(&partition->topic->producer->batches, batch);
    if (!batch->told) {
        batch_set_outcome(batch, err, text);
    }
    batch->state = BATCH_ANSWERED;
    if (err != ERR_OK && batch->sequenced) {
        producer_sequence_lost(partition);
    }
    if (err != ERR_OK) {
        producer_transaction_record_failed(partition->topic->producer, err, text);
    }
}

static void expire(struct producer_partition *partition, struct batch *batch) {
    const struct client_settings *settings = &partition->topic->producer->settings;
    char text[OTTLA_ERROR_TEXT_SIZE];
    const char *last = batch->text != NULL     ? batch->text
                       : batch->err != ERR_OK  ? err_text(batch->err)
                       : partition->leader < 0 ? "the partition has no leader that is known"
                                               : "the broker has not answered";
    (void)snprintf(text, sizeof text,
                   "delivery.timeout.ms (%" PRId64 ") is over after %" PRId32 " tries; %s",
                   settings->delivery_timeout_ms, batch->attempts, last);
    batch_set_outcome(batch, ERR_TIMED_OUT, str_from_c(text));
    if (batch->state == BATCH_QUEUED) {
        producer_batch_over(partition, batch, ERR_TIMED_OUT, str_from_c(text));
        return;
    }
    batch->told = true;
    producer_transaction_record_failed(partition->topic->producer, ERR_TIMED_OUT, str_from_c(text));
    tell(partition, batch);
}

/* What stands before all that is still open, or NULL. */
static struct batch *first_due(struct producer_partition *partition, int64_t now_ms) {
    int64_t timeout_ms = partition->topic->producer->settings.delivery_timeout_ms;
    struct list *link;
    list_for_each (link, &partition->batches) {
        struct batch *batch = batch_of(link);
        if (batch->state == BATCH_ANSWERED) {
            return batch;
        }
        if (!batch->told) {
            return batch->created_ms + timeout_ms <= now_ms ? batch : NULL;
        }
    }
    return NULL;
}

void producer_partition_check(struct producer_partition *partition) {
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *batch;
    while ((batch = first_due(partition, sys_mono_ms(producer->sys))) != NULL) {
        if (batch->state != BATCH_ANSWERED) {
            expire(partition, batch);
            continue;
        }
        if (!batch->told) {
            batch->told = true;
            tell(partition, batch);
        }
        remove_batch(partition, batch);
    }
    producer_partition_ready(partition);
}

void producer_partition_replace(struct producer_partition *partition, struct batch *batch,
                                struct batch *const halves[2]) {
    list_insert_before(&halves[0]->link, &batch->link);
    list_insert_before(&halves[1]->link, &batch->link);
    partition->batch_count += 2;
    remove_batch(partition, batch);
}

void producer_partition_fail(struct producer_partition *partition, err_t err, struct str text) {
    struct list *link;
    list_for_each (link, &partition->batches) {
        if (batch_of(link)->state == BATCH_QUEUED) {
            producer_batch_over(partition, batch_of(link), err, text);
        }
    }
    producer_partition_check(partition);
}

/* Nothing is in flight any more, or will be answered. */
void producer_partition_free(struct producer_partition *partition) {
    struct ottla_producer *producer = partition->topic->producer;
    struct list *link;
    while ((link = list_first(&partition->batches)) != NULL) {
        struct batch *batch = batch_of(link);
        if (!batch->told) {
            batch_close(&producer->batches, batch);
            if (batch->state != BATCH_ANSWERED) {
                batch_set_outcome(batch, ERR_CLOSED, STR("the producer was freed"));
            }
            tell(partition, batch);
        }
        remove_batch(partition, batch);
    }
    list_remove(&partition->ready);
    list_remove(&partition->joining);
    sys_timer_clear(producer->loop, &partition->timer);
    free(partition);
}
