/*
 * Transactions of a producer (KIP-98, KIP-360, KIP-890).
 *
 *   state           left by                                    to
 *   -------------   ----------------------------------------   ------------------------------
 *   UNINITIALIZED   ottla_transactions_init                    INITIALIZING
 *   INITIALIZING    InitProducerId's answer                    READY
 *   READY           ottla_transaction_begin                    OPEN
 *   OPEN            ottla_transaction_commit, _abort           COMMITTING, ABORTING
 *                   a record or request that failed            ABORTABLE
 *   COMMITTING      the same                                   ABORTABLE
 *                   all is written, and EndTxn's answer        READY, INITIALIZING for an epoch
 *   ABORTABLE       ottla_transaction_abort                    ABORTING
 *   ABORTING        nothing is on its way, EndTxn's answer     READY, INITIALIZING for an epoch
 *   any             an error of the last kind                  FATAL
 *
 * What there is to do is found in one place, `step`, in a turn of the loop after anything changed;
 * one request at a time goes to the coordinator.
 *
 * Invariants
 *   1. A batch is sent for the first time only while its transaction is OPEN or COMMITTING, and its
 *      partition is part of it: by AddPartitionsToTxn, or by being written (transaction.version 2).
 *   2. EndTxn is sent when no batch is left, in flight or queued. What was sent and has no answer
 *      is sent again first, also before an abort: else it might be appended behind the marker.
 *   3. So a new epoch finds no batch of the one before, and its sequences begin at 0 (T13: none is
 *      used twice). EndTxn's answer brings it with transaction.version 2. Without, InitProducerId
 *      does after a failure, as sequences may have been lost.
 *   4. A commit whose outcome is not known stays COMMITTING, and is asked again until it is known.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/producer_transaction_int.h"

enum {
    EXPLICIT_PRODUCE_VERSION = 11, /* from 12 on partitions join by being written */
    IMPLICIT_TRANSACTION_VERSION = 2,
};

static void step(struct sys_timer *timer);

/* --- life --- */

void producer_transaction_new(struct ottla_producer *producer) {
    struct producer_transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL) {
        abort();
    }
    transaction->producer = producer;
    transaction->id = str_from_c(producer->settings.transactional_id);
    transaction->timer.fire = step;
    list_init(&transaction->joining);
    list_init(&transaction->adding);
    producer->batches.transactional = true;
    producer->transaction = transaction;
}

static void cancel(struct producer_transaction *transaction) {
    if (transaction->asked != NULL) {
        client_ask_cancel(transaction->asked);
        transaction->asked = NULL;
    }
    sys_timer_clear(transaction->producer->loop, &transaction->timer);
}

void producer_transaction_free(struct ottla_producer *producer) {
    struct producer_transaction *transaction = producer->transaction;
    if (transaction == NULL) {
        return;
    }
    producer->transaction = NULL;
    cancel(transaction);
    transaction->call.left = false;
    transaction_tell(transaction, ERR_CLOSED, "the producer was freed");
    transaction_offsets_free(transaction->offsets);
    free(transaction->text);
    free(transaction);
}

enum ottla_transaction_state ottla_transaction_state(const struct ottla_producer *producer) {
    return producer->transaction == NULL ? OTTLA_TRANSACTION_UNINITIALIZED
                                         : producer->transaction->state;
}

/* --- from state to state --- */

void transaction_step_soon(struct producer_transaction *transaction) {
    sys_timer_set(transaction->producer->loop, &transaction->timer,
                  sys_loop_now_ms(transaction->producer->loop));
}

/* While a transaction is committed nothing lingers. */
static void set_flushing(struct producer_transaction *transaction, bool flushing) {
    if (transaction->flushing != flushing) {
        transaction->flushing = flushing;
        transaction->producer->flushing += flushing ? 1 : -1;
        producer_partitions_ready(transaction->producer);
    }
}

void transaction_ready(struct producer_transaction *transaction) {
    assert(list_empty(&transaction->producer->active));
    transaction->bump = false;
    if (transaction->number == 0) {
        transaction->implicit = client_transaction_version(transaction->producer->client) >=
                                IMPLICIT_TRANSACTION_VERSION;
    }
    transaction->state = OTTLA_TRANSACTION_READY;
    transaction_tell(transaction, ERR_OK, "");
}

static void forget_partitions(struct list *list) {
    while (list_take_first(list) != NULL) {
    }
}

/* Also the first transaction after the cluster went over to version 2 needs an epoch of its own. */
void transaction_completed(struct producer_transaction *transaction) {
    struct ottla_producer *producer = transaction->producer;
    bool implicit = client_transaction_version(producer->client) >= IMPLICIT_TRANSACTION_VERSION;
    forget_partitions(&transaction->joining);
    forget_partitions(&transaction->adding);
    transaction_offsets_free(transaction->offsets);
    transaction->offsets = NULL;
    transaction->started = false;
    transaction->err = ERR_OK;
    transaction->bump = transaction->bump || (implicit && !transaction->implicit);
    transaction->implicit = implicit;
    if (transaction->bump) {
        transaction->state = OTTLA_TRANSACTION_INITIALIZING;
        transaction_step_soon(transaction);
    } else {
        transaction_ready(transaction);
    }
}

/* With a code that says what to do where that of the record does not: repeating is of no use. */
static err_t abort_code(err_t err) {
    bool misleads = err_retriable(err) || err >= ERR_OWN_FIRST || err == ERR_INVALID_TXN_STATE;
    return misleads ? ERR_TRANSACTION_ABORTABLE : err;
}

void transaction_abortable(struct producer_transaction *transaction, err_t err, const char *text) {
    if (transaction->state != OTTLA_TRANSACTION_OPEN &&
        transaction->state != OTTLA_TRANSACTION_COMMITTING) {
        return;
    }
    transaction->state = OTTLA_TRANSACTION_ABORTABLE;
    set_flushing(transaction, false);
    transaction->bump = transaction->bump || !transaction->implicit;
    transaction->err = abort_code(err);
    free(transaction->text);
    transaction->text = strdup(text);
    if (transaction->text == NULL) {
        abort();
    }
    client_log(transaction->producer->client, OTTLA_LOG_WARNING,
               "the transaction of %.*s can only be aborted: %s", STR_ARGS(transaction->id), text);
    transaction_step_soon(transaction);
}

void producer_transaction_fatal(struct ottla_producer *producer) {
    struct producer_transaction *transaction = producer->transaction;
    if (transaction == NULL) {
        return;
    }
    transaction->state = OTTLA_TRANSACTION_FATAL;
    cancel(transaction);
    set_flushing(transaction, false);
    transaction_tell(transaction, producer->fatal, producer->fatal_text);
}

void transaction_end(struct producer_transaction *transaction, bool commit) {
    transaction->state = commit ? OTTLA_TRANSACTION_COMMITTING : OTTLA_TRANSACTION_ABORTING;
    set_flushing(transaction, true);
    transaction_step_soon(transaction);
}

/* --- a step --- */

static void drop_partition(struct producer_partition *partition, err_t err, struct str text) {
    bool any = false;
    struct list *link;
    list_for_each (link, &partition->batches) {
        struct batch *batch = container_of(link, struct batch, link);
        if (batch->state == BATCH_QUEUED && !batch->sequenced) {
            producer_batch_over(partition, batch, err, text);
            any = true;
        }
    }
    if (any) {
        producer_partition_check(partition);
    }
}

/* What no broker has seen yet. Functions of the records' owners may change the state. */
static void drop_unsent(struct producer_transaction *transaction) {
    struct ottla_producer *producer = transaction->producer;
    bool failed = transaction->err != ERR_OK;
    char text[OTTLA_ERROR_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s%s", failed ? "the transaction has failed: " : "",
                   failed ? transaction->text : "the transaction was aborted");
    struct list *link, *after;
    list_for_each_safe (link, after, &producer->active) {
        drop_partition(container_of(link, struct producer_partition, active),
                       ERR_TRANSACTION_ABORTABLE, str_from_c(text));
    }
    list_for_each (link, &producer->topics) {
        producer_fail_waiting(container_of(link, struct producer_topic, link),
                              ERR_TRANSACTION_ABORTABLE, text);
    }
}

static bool is_flushed(const struct producer_transaction *transaction) {
    return transaction->producer->empty && list_empty(&transaction->producer->active);
}

static void finish(struct producer_transaction *transaction) {
    set_flushing(transaction, false);
    if (transaction->started) {
        transaction_ask_end(transaction);
    } else {
        transaction_completed(transaction);
    }
}

static void ask_next(struct producer_transaction *transaction) {
    bool joining = !list_empty(&transaction->joining) || !list_empty(&transaction->adding);
    switch (transaction->state) {
    case OTTLA_TRANSACTION_INITIALIZING:
        transaction_ask_id(transaction);
        break;
    case OTTLA_TRANSACTION_OPEN:
    case OTTLA_TRANSACTION_COMMITTING:
        if (joining) {
            transaction_ask_partitions(transaction);
        } else if (transaction->offsets != NULL) {
            transaction_ask_offsets(transaction);
        } else if (transaction->state == OTTLA_TRANSACTION_COMMITTING && is_flushed(transaction)) {
            finish(transaction);
        }
        break;
    case OTTLA_TRANSACTION_ABORTING:
        if (is_flushed(transaction)) {
            finish(transaction);
        }
        break;
    case OTTLA_TRANSACTION_UNINITIALIZED:
    case OTTLA_TRANSACTION_READY:
    case OTTLA_TRANSACTION_ABORTABLE:
    case OTTLA_TRANSACTION_FATAL:
        break;
    }
}

static void step(struct sys_timer *timer) {
    struct producer_transaction *transaction =
        container_of(timer, struct producer_transaction, timer);
    if (transaction_tell_late(transaction)) {
        return; /* what it did has asked for a step of its own */
    }
    if (transaction->state == OTTLA_TRANSACTION_ABORTABLE ||
        transaction->state == OTTLA_TRANSACTION_ABORTING) {
        drop_unsent(transaction);
    }
    if (transaction->state == OTTLA_TRANSACTION_ABORTABLE) {
        transaction_tell(transaction, transaction->err, transaction->text);
        return;
    }
    if (transaction->asked != NULL) {
        return;
    }
    if (sys_mono_ms(transaction->producer->sys) < transaction->retry_ms) {
        sys_timer_set(transaction->producer->loop, timer, transaction->retry_ms);
    } else {
        ask_next(transaction);
    }
}

/* --- records and partitions --- */

err_t producer_transaction_takes(const struct ottla_producer *producer,
                                 struct ottla_error *ret_error) {
    static const char *const hints[] = {
        [OTTLA_TRANSACTION_UNINITIALIZED] = "call ottla_transactions_init, then begin one",
        [OTTLA_TRANSACTION_INITIALIZING] = "it is being initialised",
        [OTTLA_TRANSACTION_READY] = "call ottla_transaction_begin",
        [OTTLA_TRANSACTION_COMMITTING] = "the last one is being committed",
        [OTTLA_TRANSACTION_ABORTING] = "the last one is being aborted",
        [OTTLA_TRANSACTION_FATAL] = "the producer is of no use any more",
    };
    const struct producer_transaction *transaction = producer->transaction;
    if (transaction == NULL || transaction->state == OTTLA_TRANSACTION_OPEN) {
        return ERR_OK;
    }
    if (transaction->state == OTTLA_TRANSACTION_ABORTABLE) {
        return client_error_set(ret_error, transaction->err,
                                "the transaction has to be aborted: %s", transaction->text);
    }
    return client_error_set(ret_error, OTTLA_INVALID,
                            "with a transactional.id records are produced in transactions, and "
                            "none is open: %s",
                            hints[transaction->state]);
}

bool producer_transaction_allows(struct producer_partition *partition, const struct batch *batch) {
    struct producer_transaction *transaction = partition->topic->producer->transaction;
    if (transaction == NULL || batch->sequenced) {
        return true;
    }
    if (transaction->state != OTTLA_TRANSACTION_OPEN &&
        transaction->state != OTTLA_TRANSACTION_COMMITTING) {
        return false;
    }
    if (partition->transaction == transaction->number) {
        return true;
    }
    if (transaction->implicit) {
        partition->transaction = transaction->number;
        transaction->started = true;
        return true;
    }
    if (!list_linked(&partition->joining)) {
        list_add_last(&transaction->joining, &partition->joining);
        transaction_step_soon(transaction);
    }
    return false;
}

void producer_transaction_record_failed(struct ottla_producer *producer, err_t err,
                                        struct str text) {
    struct producer_transaction *transaction = producer->transaction;
    if (transaction == NULL || producer->fatal != ERR_OK) {
        return;
    }
    char reason[OTTLA_ERROR_TEXT_SIZE];
    (void)snprintf(reason, sizeof reason, "a record was not written: %.*s (%s)",
                   STR_ARGS(text.size > 0 ? text : str_from_c(err_text(err))), err_name(err));
    transaction_abortable(transaction, err, reason);
}

void producer_transaction_gap(struct ottla_producer *producer) {
    if (producer->transaction != NULL && !producer->transaction->implicit) {
        producer->transaction->bump = true;
    }
}

void producer_transaction_flushed(struct ottla_producer *producer) {
    if (producer->transaction != NULL && producer->transaction->flushing) {
        transaction_step_soon(producer->transaction);
    }
}

bool producer_transaction_ends_with(const struct ottla_producer *producer, err_t err) {
    return producer->transaction != NULL &&
           (err == ERR_PRODUCER_FENCED || err == ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
            err == ERR_UNSUPPORTED_VERSION || err == ERR_INVALID_PRODUCER_ID_MAPPING);
}

int16_t producer_transaction_produce_version(const struct ottla_producer *producer) {
    bool joins = producer->transaction == NULL || producer->transaction->implicit;
    return joins ? -1 : EXPLICIT_PRODUCE_VERSION;
}
