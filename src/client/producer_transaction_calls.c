/*
 * What a program calls to have transactions, and who is told how it ended.
 *
 * A call whose caller gave up waiting goes on, and keeps its outcome for the same call made again:
 * the program would not know otherwise whether its transaction was committed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/producer_transaction_int.h"

static const char *const op_names[] = {
    [OP_NONE] = "nothing",
    [OP_INIT] = "ottla_transactions_init",
    [OP_OFFSETS] = "ottla_transaction_send_offsets",
    [OP_COMMIT] = "ottla_transaction_commit",
    [OP_ABORT] = "ottla_transaction_abort",
};

/* --- telling --- */

static void clear_call(struct producer_transaction *transaction) {
    free(transaction->call.text);
    transaction->call = (struct transaction_call){0};
}

static void call_done(struct producer_transaction *transaction, ottla_transaction_fn done,
                      void *arg, int code, const char *text) {
    if (done != NULL) {
        transaction->producer->depth++;
        done(arg, code, text);
        transaction->producer->depth--;
    }
}

void transaction_tell(struct producer_transaction *transaction, err_t err, const char *text) {
    struct transaction_call *call = &transaction->call;
    if (call->op == OP_NONE || (call->over && call->left)) {
        return;
    }
    if (call->left) {
        call->over = true;
        call->code = (int)err;
        call->text = strdup(text);
        if (call->text == NULL) {
            abort();
        }
        return;
    }
    ottla_transaction_fn done = call->done;
    void *arg = call->arg;
    clear_call(transaction);
    call_done(transaction, done, arg, (int)err, text);
}

bool transaction_tell_late(struct producer_transaction *transaction) {
    struct transaction_call call = transaction->call;
    if (!call.over || call.left) {
        return false;
    }
    transaction->call = (struct transaction_call){0};
    transaction_step_soon(transaction);
    call_done(transaction, call.done, call.arg, call.code, call.text);
    free(call.text);
    return true;
}

/* --- may it be called --- */

static int not_in_this_state(const struct producer_transaction *transaction, enum transaction_op op,
                             struct ottla_error *ret_error) {
    static const char *const reasons[] = {
        [OTTLA_TRANSACTION_UNINITIALIZED] = "ottla_transactions_init comes first",
        [OTTLA_TRANSACTION_INITIALIZING] = "it is being initialised",
        [OTTLA_TRANSACTION_READY] = "no transaction is open",
        [OTTLA_TRANSACTION_OPEN] = "a transaction is open",
        [OTTLA_TRANSACTION_COMMITTING] = "the transaction is being committed",
        [OTTLA_TRANSACTION_ABORTING] = "the transaction is being aborted",
        [OTTLA_TRANSACTION_ABORTABLE] = "the transaction has to be aborted",
        [OTTLA_TRANSACTION_FATAL] = "the producer is of no use any more",
    };
    const char *reason = op == OP_INIT && transaction->state == OTTLA_TRANSACTION_READY
                             ? "that has been done"
                             : reasons[transaction->state];
    return client_error_set(ret_error, OTTLA_INVALID, "%s: %s",
                            op == OP_NONE ? "ottla_transaction_begin" : op_names[op], reason);
}

static bool state_allows(enum ottla_transaction_state state, enum transaction_op op) {
    switch (op) {
    case OP_NONE: /* begin */
        return state == OTTLA_TRANSACTION_READY;
    case OP_INIT:
        return state == OTTLA_TRANSACTION_UNINITIALIZED;
    case OP_OFFSETS:
    case OP_COMMIT:
        return state == OTTLA_TRANSACTION_OPEN;
    case OP_ABORT:
        return state == OTTLA_TRANSACTION_OPEN || state == OTTLA_TRANSACTION_ABORTABLE;
    }
    return false;
}

static int check_state(const struct producer_transaction *transaction, enum transaction_op op,
                       struct ottla_error *ret_error) {
    if (state_allows(transaction->state, op)) {
        return OTTLA_OK;
    }
    if (transaction->state == OTTLA_TRANSACTION_FATAL) {
        const struct ottla_producer *producer = transaction->producer;
        return client_error_set(ret_error, (int)producer->fatal, "%s", producer->fatal_text);
    }
    if (transaction->state == OTTLA_TRANSACTION_ABORTABLE && op != OP_INIT && op != OP_NONE) {
        return client_error_set(ret_error, (int)transaction->err,
                                "the transaction has to be aborted: %s", transaction->text);
    }
    return not_in_this_state(transaction, op, ret_error);
}

static int check_transactional(const struct ottla_producer *producer,
                               struct ottla_error *ret_error) {
    return producer->transaction != NULL
               ? OTTLA_OK
               : client_error_set(ret_error, OTTLA_INVALID,
                                  "a producer has transactions when transactional.id is set");
}

/* An abort needs not wait for how offsets fared, or a commit that has failed; and after the end of
 * the producer there is nothing to be learnt. */
static bool gives_up(const struct producer_transaction *transaction, enum transaction_op op) {
    return transaction->state == OTTLA_TRANSACTION_FATAL ||
           (op == OP_ABORT && (transaction->state == OTTLA_TRANSACTION_ABORTABLE ||
                               transaction->call.op == OP_OFFSETS));
}

/* Begins a call, or takes one up again: *ret_again. */
static int begin_call(struct ottla_producer *producer, enum transaction_op op,
                      ottla_transaction_fn done, void *arg, bool *ret_again,
                      struct ottla_error *ret_error) {
    int code = check_transactional(producer, ret_error);
    if (code != OTTLA_OK) {
        return code;
    }
    struct producer_transaction *transaction = producer->transaction;
    struct transaction_call *call = &transaction->call;
    *ret_again = call->left && call->op == op;
    if (*ret_again) {
        call->left = false;
        call->done = done;
        call->arg = arg;
        transaction_step_soon(transaction);
        return OTTLA_OK;
    }
    if (call->op != OP_NONE && !call->left) {
        return client_error_set(ret_error, OTTLA_BUSY, "%s is under way", op_names[call->op]);
    }
    if (call->op != OP_NONE && !gives_up(transaction, op)) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "%s was not waited for: call it again, to learn how it ended",
                                op_names[call->op]);
    }
    code = check_state(transaction, op, ret_error);
    if (code == OTTLA_OK) {
        clear_call(transaction);
        *call = (struct transaction_call){.op = op, .done = done, .arg = arg};
    }
    return code;
}

/* --- waiting --- */

struct waiter {
    bool done;
    int code;
    char text[OTTLA_ERROR_TEXT_SIZE];
};

static void wake(void *arg, int code, const char *text) {
    struct waiter *waiter = arg;
    waiter->done = true;
    waiter->code = code;
    (void)snprintf(waiter->text, sizeof waiter->text, "%s", text);
}

static int check_waitable(const struct ottla_producer *producer, enum transaction_op op,
                          struct ottla_error *ret_error) {
    return !sys_loop_is_current(producer->loop)
               ? OTTLA_OK
               : client_error_set(ret_error, OTTLA_BUSY,
                                  "%s cannot wait inside a function that the client called",
                                  op_names[op]);
}

/* Why it takes so long. */
static const char *trouble_of(const struct producer_transaction *transaction) {
    const char *asked = transaction->asked == NULL ? "" : client_ask_trouble(transaction->asked);
    const char *cluster = client_trouble(transaction->producer->client);
    return asked[0] != 0 ? asked : cluster[0] != 0 ? cluster : transaction->trouble;
}

static int wait_for(struct ottla_producer *producer, struct waiter *waiter, int64_t timeout_ms,
                    struct ottla_error *ret_error) {
    struct producer_transaction *transaction = producer->transaction;
    enum transaction_op op = transaction->call.op;
    err_t err = client_wait(producer->client, &waiter->done,
                            client_deadline_ms(producer->client, timeout_ms));
    if (waiter->done) {
        return waiter->code == OTTLA_OK
                   ? OTTLA_OK
                   : client_error_set(ret_error, waiter->code, "%s", waiter->text);
    }
    transaction->call.left = true;
    const char *trouble = trouble_of(transaction);
    return client_error_set(ret_error, (int)err, "%s %s%s%s; it goes on: call it again",
                            op_names[op],
                            err == ERR_TIMED_OUT ? "was not done in time" : "was interrupted",
                            trouble[0] == 0 ? "" : ": ", trouble);
}

/* --- the calls --- */

int ottla_transactions_init_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                  void *arg, struct ottla_error *ret_error) {
    bool again;
    int code = begin_call(producer, OP_INIT, done, arg, &again, ret_error);
    if (code == OTTLA_OK && !again) {
        producer->transaction->state = OTTLA_TRANSACTION_INITIALIZING;
        transaction_step_soon(producer->transaction);
    }
    return code;
}

int ottla_transactions_init(struct ottla_producer *producer, int64_t timeout_ms,
                            struct ottla_error *ret_error) {
    struct waiter waiter = {0};
    int code = check_waitable(producer, OP_INIT, ret_error);
    if (code == OTTLA_OK) {
        code = ottla_transactions_init_async(producer, wake, &waiter, ret_error);
    }
    return code == OTTLA_OK ? wait_for(producer, &waiter, timeout_ms, ret_error) : code;
}

int ottla_transaction_begin(struct ottla_producer *producer, struct ottla_error *ret_error) {
    int code = check_transactional(producer, ret_error);
    if (code != OTTLA_OK) {
        return code;
    }
    struct producer_transaction *transaction = producer->transaction;
    if (transaction->call.op != OP_NONE && transaction->state == OTTLA_TRANSACTION_READY) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "%s was not waited for: call it again, to learn how it ended",
                                op_names[transaction->call.op]);
    }
    code = check_state(transaction, OP_NONE, ret_error);
    if (code == OTTLA_OK) {
        transaction->number++;
        transaction->state = OTTLA_TRANSACTION_OPEN;
    }
    return code;
}

int ottla_transaction_send_offsets_async(struct ottla_producer *producer,
                                         const struct ottla_position *positions, size_t count,
                                         const struct ottla_membership *membership,
                                         ottla_transaction_fn done, void *arg,
                                         struct ottla_error *ret_error) {
    struct transaction_offsets *offsets =
        transaction_offsets_new(positions, count, membership, ret_error);
    if (offsets == NULL) {
        return OTTLA_INVALID;
    }
    bool again;
    int code = begin_call(producer, OP_OFFSETS, done, arg, &again, ret_error);
    if (code != OTTLA_OK || again) {
        transaction_offsets_free(offsets);
        return code;
    }
    if (transaction_offsets_empty(offsets)) {
        transaction_offsets_free(offsets);
        struct transaction_call *call = &producer->transaction->call;
        call->over = true; /* the next step tells */
        call->text = strdup("");
    } else {
        producer->transaction->offsets = offsets;
    }
    transaction_step_soon(producer->transaction);
    return OTTLA_OK;
}

int ottla_transaction_send_offsets(struct ottla_producer *producer,
                                   const struct ottla_position *positions, size_t count,
                                   const struct ottla_membership *membership, int64_t timeout_ms,
                                   struct ottla_error *ret_error) {
    struct waiter waiter = {0};
    int code = check_waitable(producer, OP_OFFSETS, ret_error);
    if (code == OTTLA_OK) {
        code = ottla_transaction_send_offsets_async(producer, positions, count, membership, wake,
                                                    &waiter, ret_error);
    }
    return code == OTTLA_OK ? wait_for(producer, &waiter, timeout_ms, ret_error) : code;
}

static int end_async(struct ottla_producer *producer, enum transaction_op op,
                     ottla_transaction_fn done, void *arg, struct ottla_error *ret_error) {
    bool again;
    int code = begin_call(producer, op, done, arg, &again, ret_error);
    if (code == OTTLA_OK && !again) {
        transaction_end(producer->transaction, op == OP_COMMIT);
    }
    return code;
}

static int end_and_wait(struct ottla_producer *producer, enum transaction_op op, int64_t timeout_ms,
                        struct ottla_error *ret_error) {
    struct waiter waiter = {0};
    int code = check_waitable(producer, op, ret_error);
    if (code == OTTLA_OK) {
        code = end_async(producer, op, wake, &waiter, ret_error);
    }
    return code == OTTLA_OK ? wait_for(producer, &waiter, timeout_ms, ret_error) : code;
}

int ottla_transaction_commit(struct ottla_producer *producer, int64_t timeout_ms,
                             struct ottla_error *ret_error) {
    return end_and_wait(producer, OP_COMMIT, timeout_ms, ret_error);
}

int ottla_transaction_commit_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                   void *arg, struct ottla_error *ret_error) {
    return end_async(producer, OP_COMMIT, done, arg, ret_error);
}

int ottla_transaction_abort(struct ottla_producer *producer, int64_t timeout_ms,
                            struct ottla_error *ret_error) {
    return end_and_wait(producer, OP_ABORT, timeout_ms, ret_error);
}

int ottla_transaction_abort_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                  void *arg, struct ottla_error *ret_error) {
    return end_async(producer, OP_ABORT, done, arg, ret_error);
}
