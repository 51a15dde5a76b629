#pragma once

#include "audit_txn.h"
#include "base/list.h"
#include "library.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"

/*
 * A transactional producer of libottla in one life, and what it is held to beside what the auditor
 * checks of transactions (audit_txn.h) and logs (audit.h):
 *
 *   1. each record's delivery function is called once, before the end of its transaction is told;
 *      those of one partition in the order of ottla_produce
 *   2. a commit that is told as done had no record that failed, and all of it is there. One that is
 *      told as abortable can be aborted, and nothing of what was aborted is there. With any other
 *      outcome nobody knows
 *   3. a call that went well leaves the state it should, one that failed ABORTABLE or FATAL. What
 *      is abortable can be aborted, and another transaction begun
 *   4. a transaction or producer fails only for a reason: somebody else has its id, the transaction
 *      took longer than its timeout, a record ran out of time, the group refuses its offsets
 *   5. who was fenced writes nothing any more, and ends no transaction; of a producer that is of no
 *      use any more nothing can be asked
 *
 * `moved` is called when a call has ended, from within the library; it may go on at once.
 */
struct library_txn;

/* A transactional id, with those who use it one after the other. */
struct library_txn_id {
    struct node_sim *sim;
    char text[48];
    struct library_txn *users; /* newest first */
    int64_t loose_until_ms;    /* an InitProducerId may come in late, and fence who had it before */
};

enum library_txn_call {
    TXN_CALL_NONE,
    TXN_CALL_INIT,
    TXN_CALL_OFFSETS,
    TXN_CALL_COMMIT,
    TXN_CALL_ABORT,
};

struct library_txn {
    struct library_txn_id *id;
    struct library_txn *next; /* an older user of the id */
    struct ottla_client *library;
    struct ottla_producer *producer;
    char name[64];
    void (*moved)(struct library_txn *txn, enum library_txn_call call, int code);
    bool zombie;       /* its program is taken for dead, and it may be fenced any time */
    bool may_fence;    /* its InitProducerId may come in after that of a successor */
    bool ending;       /* what is not delivered is dropped */
    int64_t asked_ms;  /* for the id */
    int64_t init_ms;   /* when it was told that it has the id; -1: not yet */
    int64_t fenced_ms; /* when a successor was told that it has the id; -1: not yet */
    int64_t timeout_ms;
    struct audit_producer *audit;
    struct list sent;
    struct library_lane lanes[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];

    enum library_txn_call call; /* that is under way */
    struct audit_txn *open;     /* NULL: none */
    int64_t begin_ms;
    int64_t end_ms; /* its end was asked for */
    int delivered;  /* records of it */
    int failed;
    bool offsets_sent;
    bool has_reason; /* to fail */
    int abortable;   /* the code it failed with, or 0 */
};

void library_txn_id_init(struct library_txn_id *id, struct node_sim *sim, const char *text);

/* Draws settings of a producer of this id. timeout: of its transactions. */
void library_txn_set(struct library_txn *txn, struct library_txn_id *id,
                     struct scenario_range timeout, struct ottla_config *config);

/* Begins to initialise it; after library_txn_set. number: of the life, for people. */
void library_txn_live(struct library_txn *txn, int number, struct ottla_client *library);

/* It goes on, but its program is taken for dead. */
void library_txn_becomes_zombie(struct library_txn *txn);

/* Its state is FATAL. */
void library_txn_check_fatal(struct library_txn *txn);

/* Without a word to the cluster, before the client is freed. */
void library_txn_die(struct library_txn *txn);

enum ottla_transaction_state library_txn_state(const struct library_txn *txn);

/* Whether its end was asked for: nobody knows what becomes of it. */
bool library_txn_is_ending(const struct library_txn *txn);

void library_txn_begin(struct library_txn *txn);

/* Sends a record; its value. 0: there is no memory for it now, or the transaction has failed. */
uint64_t library_txn_produce(struct library_txn *txn, struct node_topic *topic, int32_t partition,
                             uint32_t size);

/* False: the transaction has failed. */
bool library_txn_send_offsets(struct library_txn *txn, const struct ottla_position *positions,
                              size_t count, const struct ottla_membership *membership);

/* Commits or aborts. False: the transaction has failed, or the producer has. */
bool library_txn_end(struct library_txn *txn, bool commit);

/* --- private to library_txn*.c --- */

/* Whether anybody has given a reason to end it, or the producer. */
bool library_txn_may_be_fenced(const struct library_txn *txn);

/* Whether a call is under way now, or a record. It fails at once only where the last failure was
 * not told. */
bool library_txn_begun(struct library_txn *txn, const char *what, int code,
                       const struct ottla_error *error);
