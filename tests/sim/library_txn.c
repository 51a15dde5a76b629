#include "library_txn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core.h"

enum {
    LOOSE_MS = 20000,
    ASKED_AGAIN_MS = 1000, /* the least request.timeout.ms */
};

static struct node_sim *sim_of(const struct library_txn *txn) {
    return txn->id->sim;
}

static int64_t now_ms(const struct library_txn *txn) {
    return sys_mono_ms(sim_of(txn)->sys);
}

/* --- life --- */

void library_txn_id_init(struct library_txn_id *id, struct node_sim *sim, const char *text) {
    *id = (struct library_txn_id){.sim = sim};
    snprintf(id->text, sizeof id->text, "%s", text);
}

void library_txn_set(struct library_txn *txn, struct library_txn_id *id,
                     struct scenario_range timeout, struct ottla_config *config) {
    static const char *const lingers_ms[] = {"0", "0", "5", "50", "300"};
    static const char *const batch_sizes[] = {"0", "300", "2000", "16384"};
    static const char *const codecs[] = {"none", "none", "gzip", "snappy", "lz4", "zstd"};
    static const char *const memories[] = {"8000", "100000", "33554432"};
    static const char *const patience_ms[] = {"1400", "30000", "120000"};
    struct node_sim *sim = id->sim;
    *txn = (struct library_txn){.id = id, .moved = txn->moved, .init_ms = -1, .fenced_ms = -1};
    list_init(&txn->sent);
    const char *patience = LIBRARY_PICK(sim, patience_ms);
    if (strcmp(patience, "1400") == 0) { /* a record runs out of time before the transaction does */
        library_set(sim, config, "request.timeout.ms", "1000");
    }
    txn->timeout_ms = node_draw(sim, timeout) / 1000;
    library_set(sim, config, "transactional.id", "%s", id->text);
    library_set(sim, config, "transaction.timeout.ms", "%" PRId64, txn->timeout_ms);
    library_set(sim, config, "delivery.timeout.ms", "%s", patience);
    library_set(sim, config, "linger.ms", "%s", LIBRARY_PICK(sim, lingers_ms));
    library_set(sim, config, "batch.size", "%s", LIBRARY_PICK(sim, batch_sizes));
    library_set(sim, config, "compression.type", "%s", LIBRARY_PICK(sim, codecs));
    library_set(sim, config, "max.in.flight.requests.per.connection", "%d",
                1 + (int)node_below(sim, 5));
    library_set(sim, config, "max.request.size", "8000");
    library_set(sim, config, "buffer.memory", "%s", LIBRARY_PICK(sim, memories));
}

static void loosen(struct library_txn *txn) {
    txn->id->loose_until_ms = now_ms(txn) + LOOSE_MS;
}

/* A zombie that asks for a next epoch is fenced, but what its successor has open is aborted before
 * anybody looks at the epoch, as in Apache Kafka. */
static void loosen_if_initialising(struct library_txn *txn) {
    if (library_txn_state(txn) == OTTLA_TRANSACTION_INITIALIZING) {
        loosen(txn);
    }
}

void library_txn_becomes_zombie(struct library_txn *txn) {
    loosen_if_initialising(txn);
    txn->may_fence = library_txn_state(txn) == OTTLA_TRANSACTION_INITIALIZING;
    txn->zombie = true;
}

void library_txn_die(struct library_txn *txn) {
    loosen_if_initialising(txn);
    txn->ending = true;
    ottla_producer_free(txn->producer);
    txn->producer = NULL;
    if (!list_empty(&txn->sent)) {
        node_fail(sim_of(txn), "%s: a record is freed without a word to who sent it", txn->name);
    }
    if (txn->call != TXN_CALL_NONE) {
        node_fail(sim_of(txn), "%s: nobody is told of the call that was under way", txn->name);
    }
    struct library_txn **at = &txn->id->users;
    while (*at != txn) {
        at = &(*at)->next;
    }
    *at = txn->next;
}

enum ottla_transaction_state library_txn_state(const struct library_txn *txn) {
    return ottla_transaction_state(txn->producer);
}

bool library_txn_is_ending(const struct library_txn *txn) {
    return txn->call == TXN_CALL_COMMIT || txn->call == TXN_CALL_ABORT;
}

/* --- failures --- */

/* Whether a zombie is at it now: an abort of its own may end with that, too. */
static bool is_being_fenced(const struct library_txn *txn) {
    bool found = false;
    for (const struct library_txn *user = txn->id->users; user != NULL; user = user->next) {
        found = found || (user != txn && user->zombie && user->producer != NULL &&
                          library_txn_state(user) == OTTLA_TRANSACTION_INITIALIZING);
    }
    return found;
}

bool library_txn_may_be_fenced(const struct library_txn *txn) {
    bool too_long = txn->open != NULL && now_ms(txn) - txn->begin_ms >= txn->timeout_ms;
    bool initialised = txn->init_ms >= 0;
    bool loose = (initialised ? txn->init_ms : now_ms(txn)) < txn->id->loose_until_ms;
    return txn->zombie || too_long || loose || is_being_fenced(txn);
}

static bool is_about_group(int code) {
    return code == ERR_UNKNOWN_MEMBER_ID || code == ERR_ILLEGAL_GENERATION ||
           code == ERR_STALE_MEMBER_EPOCH || code == ERR_REBALANCE_IN_PROGRESS ||
           code == ERR_FENCED_INSTANCE_ID;
}

static void note_fatal(struct library_txn *txn, const char *what, int code, const char *text) {
    struct node_sim *sim = sim_of(txn);
    if (!library_txn_may_be_fenced(txn)) {
        node_fail(sim, "%s: %s ends the producer with %s, and nobody fenced it: %s", txn->name,
                  what, ottla_code_name(code), text);
    }
    library_point(sim, txn->name, txn->zombie ? "library_txn_zombie_fenced" : "library_txn_fatal");
    if (txn->zombie) {
        loosen(txn); /* it may have asked for a next epoch until now */
    }
    if (txn->call == TXN_CALL_COMMIT) {
        library_point(sim, txn->name, "library_txn_commit_unknown");
    }
}

static void note_abortable(struct library_txn *txn, const char *what, int code, const char *text) {
    run_say(sim_of(txn)->run, "%s: %s fails with %s: %s", txn->name, what, ottla_code_name(code),
            text);
    library_point(sim_of(txn), txn->name, "library_txn_abortable");
    txn->abortable = code;
    txn->has_reason |=
        library_txn_may_be_fenced(txn) || (txn->offsets_sent && is_about_group(code));
}

/* When all is known of it. */
static void check_reason(struct library_txn *txn) {
    if (txn->abortable != 0 && !txn->has_reason) {
        node_fail(sim_of(txn), "%s: a transaction fails with %s for no reason", txn->name,
                  ottla_code_name(txn->abortable));
    }
}

/* --- ends --- */

/* Its successor was told that it has the id before this one asked for the end. */
static void check_fenced(const struct library_txn *txn) {
    bool known = txn->delivered > 0 || txn->offsets_sent;
    if (known && txn->fenced_ms >= 0 && txn->end_ms > txn->fenced_ms) {
        node_fail(sim_of(txn), "%s: ends a transaction after it was fenced", txn->name);
    }
}

static void ended(struct library_txn *txn, bool commit) {
    struct node_sim *sim = sim_of(txn);
    if (!list_empty(&txn->sent)) {
        node_fail(sim, "%s: a transaction ends before all of its records do", txn->name);
    }
    if (commit && txn->failed > 0) {
        node_fail(sim, "%s: a transaction is committed, %d of its records have failed", txn->name,
                  txn->failed);
    }
    check_fenced(txn);
    check_reason(txn);
    audit_txn_ended(txn->open, commit);
    if (commit && txn->zombie) {
        library_point(sim, txn->name, "library_txn_zombie_commits");
    } else {
        points_add(sim->run->points, commit ? "library_txn_committed" : "library_txn_aborted", 1);
    }
    if (!commit && txn->abortable != 0) {
        points_add(sim->run->points, "library_txn_goes_on", 1);
    }
    points_add(sim->run->points,
               client_transaction_version(txn->library) < 2 ? "library_txn_explicit"
                                                            : "library_txn_implicit",
               1);
    txn->open = NULL;
}

static void has_id(struct library_txn *txn) {
    txn->init_ms = now_ms(txn);
    if (txn->init_ms - txn->asked_ms >= ASKED_AGAIN_MS) {
        loosen(txn); /* by then it may have asked twice, and what it asked first come in late */
    }
    if (txn->zombie) {
        return;
    }
    for (struct library_txn *older = txn->next; older != NULL; older = older->next) {
        if (older->fenced_ms < 0 && !older->may_fence) {
            older->fenced_ms = now_ms(txn);
        }
    }
}

static void went_well(struct library_txn *txn, enum library_txn_call call) {
    enum ottla_transaction_state state = library_txn_state(txn);
    bool fits = call == TXN_CALL_OFFSETS
                    ? state == OTTLA_TRANSACTION_OPEN || state == OTTLA_TRANSACTION_ABORTABLE
                    : state == OTTLA_TRANSACTION_READY;
    if (!fits) {
        node_fail(sim_of(txn), "%s: call %d went well, and leaves state %d", txn->name, (int)call,
                  (int)state);
    }
    if (call == TXN_CALL_INIT) {
        has_id(txn);
    } else if (call != TXN_CALL_OFFSETS) {
        ended(txn, call == TXN_CALL_COMMIT);
    }
}

static void done(void *arg, int code, const char *text) {
    static const char *const names[] = {"nothing", "init", "send_offsets", "commit", "abort"};
    struct library_txn *txn = arg;
    enum library_txn_call call = txn->call;
    if (txn->ending) {
        txn->call = TXN_CALL_NONE;
        return;
    }
    run_say(sim_of(txn)->run, "%s: %s: %s", txn->name, names[call], ottla_code_name(code));
    if (code == OTTLA_OK) {
        went_well(txn, call);
    } else if (library_txn_state(txn) == OTTLA_TRANSACTION_FATAL) {
        note_fatal(txn, names[call], code, text);
    } else if (library_txn_state(txn) == OTTLA_TRANSACTION_ABORTABLE && call != TXN_CALL_ABORT) {
        note_abortable(txn, names[call], code, text);
    } else {
        node_fail(sim_of(txn), "%s: %s fails with %s, and leaves state %d", txn->name, names[call],
                  ottla_code_name(code), (int)library_txn_state(txn));
    }
    txn->call = TXN_CALL_NONE;
    txn->moved(txn, call, code);
}

/* --- calls --- */

bool library_txn_begun(struct library_txn *txn, const char *what, int code,
                       const struct ottla_error *error) {
    if (code == OTTLA_OK) {
        return true;
    }
    txn->call = TXN_CALL_NONE;
    enum ottla_transaction_state state = library_txn_state(txn);
    if (state == OTTLA_TRANSACTION_FATAL) {
        note_fatal(txn, what, code, error->text);
    } else if (state == OTTLA_TRANSACTION_ABORTABLE) {
        note_abortable(txn, what, code, error->text);
    } else {
        node_fail(sim_of(txn), "%s: %s says %s: %s", txn->name, what, ottla_code_name(code),
                  error->text);
    }
    return false;
}

void library_txn_live(struct library_txn *txn, int number, struct ottla_client *library) {
    struct node_sim *sim = sim_of(txn);
    struct ottla_error error;
    txn->library = library;
    snprintf(txn->name, sizeof txn->name, "%s/%d", txn->id->text, number);
    if (ottla_producer_new(library, &txn->producer, &error) != OTTLA_OK) {
        node_fail(sim, "%s: libottla makes no producer: %s", txn->name, error.text);
    }
    txn->audit = audit_producer(sim->run->audit, true, true);
    for (int t = 0; t < SIM_TOPICS_MAX; t++) {
        for (int p = 0; p < SIM_PARTITIONS_MAX; p++) {
            txn->lanes[t][p].last_offset = -1;
        }
    }
    txn->next = txn->id->users;
    txn->id->users = txn;
    txn->call = TXN_CALL_INIT;
    txn->asked_ms = now_ms(txn);
    (void)library_txn_begun(
        txn, "init", ottla_transactions_init_async(txn->producer, done, txn, &error), &error);
}

void library_txn_check_fatal(struct library_txn *txn) {
    struct ottla_error error;
    int codes[] = {
        ottla_transaction_begin(txn->producer, &error),
        ottla_transaction_commit_async(txn->producer, NULL, NULL, &error),
        ottla_transaction_abort_async(txn->producer, NULL, NULL, &error),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == OTTLA_OK) {
            node_fail(sim_of(txn), "%s: call %zu of a producer of no use goes well", txn->name, i);
        }
    }
}

void library_txn_begin(struct library_txn *txn) {
    struct ottla_error error;
    int code = ottla_transaction_begin(txn->producer, &error);
    if (code != OTTLA_OK) {
        (void)library_txn_begun(txn, "begin", code, &error);
        return;
    }
    txn->open = audit_txn_begin(sim_of(txn)->txns, txn->name);
    txn->begin_ms = now_ms(txn);
    txn->delivered = txn->failed = 0;
    txn->offsets_sent = txn->has_reason = false;
    txn->abortable = 0;
}

bool library_txn_send_offsets(struct library_txn *txn, const struct ottla_position *positions,
                              size_t count, const struct ottla_membership *membership) {
    struct ottla_error error;
    txn->call = TXN_CALL_OFFSETS;
    txn->offsets_sent = true;
    int code = ottla_transaction_send_offsets_async(txn->producer, positions, count, membership,
                                                    done, txn, &error);
    return library_txn_begun(txn, "send_offsets", code, &error);
}

bool library_txn_end(struct library_txn *txn, bool commit) {
    struct ottla_error error;
    txn->call = commit ? TXN_CALL_COMMIT : TXN_CALL_ABORT;
    txn->end_ms = now_ms(txn);
    int code = commit ? ottla_transaction_commit_async(txn->producer, done, txn, &error)
                      : ottla_transaction_abort_async(txn->producer, done, txn, &error);
    if (code == OTTLA_OK) {
        audit_txn_end_asked(txn->open, commit); /* nothing is sent before the next turn */
    }
    return library_txn_begun(txn, commit ? "commit" : "abort", code, &error);
}
