#pragma once

#include "client/producer_int.h"

/*
 * Private to a producer's transactions.
 *
 *   producer_transaction.c          states, the next step, what partitions and records have to do
 *                                   with it
 *   producer_transaction_calls.c    public functions: who waits for what
 *   producer_transaction_ask.c      requests to the coordinator; what errors mean
 *   producer_transaction_offsets.c  offsets of groups
 */

enum transaction_op { OP_NONE, OP_INIT, OP_OFFSETS, OP_COMMIT, OP_ABORT };

/* What the program asked for last. */
struct transaction_call {
    enum transaction_op op;
    ottla_transaction_fn done; /* may be NULL */
    void *arg;
    bool left; /* nobody waits any more: the same call takes it up again */
    bool over; /* with this outcome, which nobody has been told yet */
    int code;
    char *text;
};

struct transaction_offsets;

struct producer_transaction {
    struct ottla_producer *producer;
    struct str id;
    enum ottla_transaction_state state;
    uint64_t number; /* of the one that is open, or was; from 1 */
    bool implicit;   /* transaction.version 2: partitions and offsets join by being written */
    bool started;    /* the coordinator may know of it: it has to be told of the end */
    bool bump;       /* the next one needs a new epoch, by InitProducerId */
    bool flushing;
    err_t err; /* of ABORTABLE */
    char *text;
    struct transaction_call call;

    struct list joining;                 /* partitions of which the coordinator is to be told */
    struct list adding;                  /* of which it is being told */
    struct transaction_offsets *offsets; /* NULL: none to be sent */

    struct client_asked *asked;              /* one request at a time */
    int failures;                            /* in a row */
    int64_t retry_ms;                        /* nothing is asked before */
    char trouble[OTTLA_ERROR_TEXT_SIZE / 2]; /* the last failure; "" when there is none */
    struct sys_timer timer;                  /* the next step */
};

/* The next turn looks what is to be done. */
void transaction_step_soon(struct producer_transaction *transaction);

/* --- what became of requests --- */

/* There is an id and epoch: the next transaction may begin. */
void transaction_ready(struct producer_transaction *transaction);

/* The coordinator has heard of the end, or needs not. */
void transaction_completed(struct producer_transaction *transaction);

/* Only an abort helps; nothing in states where that does not matter. */
void transaction_abortable(struct producer_transaction *transaction, err_t err, const char *text);

/* --- calls --- */

/* Tells who asked, now or when the call is taken up again. Nothing without a call. Only from turns
 * of the loop. */
void transaction_tell(struct producer_transaction *transaction, err_t err, const char *text);

/* Tells what was taken up again when it was over. */
bool transaction_tell_late(struct producer_transaction *transaction);

/* State changes of calls: producer_transaction.c. */
void transaction_end(struct producer_transaction *transaction, bool commit);

/* --- requests --- */

void transaction_ask_id(struct producer_transaction *transaction);
void transaction_ask_partitions(struct producer_transaction *transaction);
void transaction_ask_end(struct producer_transaction *transaction);

enum transaction_request {
    REQUEST_ID,
    REQUEST_PARTITIONS,
    REQUEST_ADD_OFFSETS,
    REQUEST_OFFSETS,
    REQUEST_COMMIT,
    REQUEST_ABORT,
};

/* Sends it; `done` gets the transaction. */
void transaction_ask(struct producer_transaction *transaction, struct client_ask ask);

/* Takes in an error, which is that of an answer or of having none: asks again, or ends the
 * transaction or the producer. */
void transaction_refused(struct producer_transaction *transaction, enum transaction_request request,
                         const struct client_answer *answer, err_t err);

/* What to tell the core of an error: those that have a shorter pause than it would make come to the
 * answer's function at once. */
err_t transaction_judge(const struct producer_transaction *transaction, err_t err);

/* --- offsets --- */

/* Copies. NULL with *ret_error: they cannot be. */
struct transaction_offsets *transaction_offsets_new(const struct ottla_position *positions,
                                                    size_t count,
                                                    const struct ottla_membership *membership,
                                                    struct ottla_error *ret_error);
void transaction_offsets_free(struct transaction_offsets *offsets); /* accepts NULL */
bool transaction_offsets_empty(const struct transaction_offsets *offsets);

/* The next request of the two that there may be. */
void transaction_ask_offsets(struct producer_transaction *transaction);
