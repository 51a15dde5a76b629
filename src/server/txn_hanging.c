/*
 * Transactions that hang.
 *
 *   tick      which transactions are open that were not seen to begin since the start, or for
 *             longer than any may be (transaction.max.timeout.ms, and the interval of the check)
 *   answered  what the coordinators know of them (coord/txn_fates.c)
 *   marked    their markers are written; the next tick
 *
 *   fate                 what is done
 *   ------------------   -----------------------------------------------------------------------
 *   open                 nothing: its coordinator ends it
 *   lost                 the producer may go on with it, which would make it known again: aborted
 *                        when its timeout is over
 *   committed, aborted   the marker that was lost is written
 *   unknown              aborted
 *
 * The next tick comes soon while a coordinator is being loaded, or something from before the start
 * is open still; else in the interval, and then it costs a look at each partition.
 *
 * Nothing is ended that is just beginning: its coordinator knew of it before its first record was
 * written, and is asked after that was seen. Nor what comes between the question and the marker:
 * the marker is bound to the partition and the offsets of what was seen (txn_markers.exact).
 *
 * An abort of version 2 has the next epoch, as every marker of it: what the producer still sends at
 * this one is refused. Before, producers keep their epoch, and so does the marker.
 */
#include "server/txn_hanging.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/txn_markers.h"
#include "sys/sys.h"

enum {
    FIRST_MS = 10,
    AGAIN_MS = 100,
    OPEN_MS = 1000,
    SAY_AGAIN_MS = 60 * 1000,
    MARKERS_MAX = 64, /* in a round */
};

/* One that is open. */
struct seen {
    struct partition *partition;
    struct log_open_txn txn;
};

struct ending {
    struct txn_hanging *hanging;
    struct seen *seen;
    enum coord_fate fate;
    struct txn_markers markers;
    struct txn_marker_part part;
};

struct txn_hanging {
    struct node *node;
    struct sys_timer timer;
    int64_t started_ms; /* mono */
    _Atomic uint64_t committed;
    _Atomic uint64_t aborted;

    /* Of a round. */
    bool running;
    struct seen *seen; /* sorted by producer id, as are the questions */
    size_t seen_count;
    size_t seen_capacity;
    struct coord_fates fates;
    struct ending *endings;
    int pending;
    int64_t next_ms;   /* until the next round */
    int64_t again_ms;  /* until that, while not all coordinators are there */
    size_t turn;       /* which of those seen is the first to get a marker */
    int64_t failed_ms; /* when it was said last that one cannot be ended */

    void (*stopped)(struct node *node);
    int64_t *watched;
};

static int64_t interval_ms(const struct txn_hanging *hanging) {
    return config_int(hanging->node->config,
                      CONFIG_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS);
}

/* --- which are open --- */

static bool may_hang(const struct txn_hanging *hanging, const struct log_open_txn *txn) {
    int64_t max_ms = config_int(hanging->node->config, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
    int64_t now_ms = sys_wall_ms(hanging->node->sys);
    return txn->since_ms < 0 || now_ms - txn->since_ms > max_ms + interval_ms(hanging);
}

static void add(struct txn_hanging *hanging, struct partition *partition,
                const struct log_open_txn *txn) {
    if (hanging->seen_count == hanging->seen_capacity) {
        hanging->seen_capacity = hanging->seen_capacity == 0 ? 16 : hanging->seen_capacity * 2;
        hanging->seen = realloc(hanging->seen, hanging->seen_capacity * sizeof *hanging->seen);
        assert(hanging->seen != NULL);
    }
    hanging->seen[hanging->seen_count++] =
        (struct seen){.partition = partition_ref(partition), .txn = *txn};
}

static void look_at(struct txn_hanging *hanging, struct partition *partition) {
    struct log_open_txn *txns;
    size_t count;
    if (partition_is_offline(partition) ||
        partition_open_txns(partition, &txns, &count) != ERR_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (may_hang(hanging, &txns[i])) {
            add(hanging, partition, &txns[i]);
        }
    }
    free(txns);
}

static int compare(const void *left, const void *right) {
    const struct seen *a = left, *b = right;
    return (a->txn.producer_id > b->txn.producer_id) - (a->txn.producer_id < b->txn.producer_id);
}

static void look(struct txn_hanging *hanging) {
    size_t count;
    struct partition **partitions = replicas_list(hanging->node->replicas, &count);
    for (size_t i = 0; i < count; i++) {
        look_at(hanging, partitions[i]);
        partition_unref(partitions[i]);
    }
    free(partitions);
    if (hanging->seen_count > 0) {
        qsort(hanging->seen, hanging->seen_count, sizeof *hanging->seen, compare);
    }
}

/* --- the end of a round --- */

static void end_round(struct txn_hanging *hanging, int64_t next_ms) {
    for (size_t i = 0; i < hanging->seen_count; i++) {
        partition_unref(hanging->seen[i].partition);
    }
    hanging->seen_count = 0;
    free(hanging->fates.items);
    free(hanging->endings);
    hanging->fates.items = NULL;
    hanging->endings = NULL;
    hanging->running = false;
    if (hanging->stopped != NULL) {
        hanging->stopped(hanging->node);
        return;
    }
    sys_timer_set(hanging->node->loops[0], &hanging->timer,
                  sys_mono_ms(hanging->node->sys) + next_ms);
}

/* --- markers --- */

static const char *reason(enum coord_fate fate) {
    switch (fate) {
    case COORD_FATE_COMMITTED:
    case COORD_FATE_ABORTED:
        return "as its coordinator's log says; the marker had been lost";
    case COORD_FATE_LOST:
        return "for its coordinator knows nothing of its begin, and its timeout is over";
    default:
        return "for no coordinator will end it or knows how it ended";
    }
}

static void tell_failure(struct txn_hanging *hanging, const struct ending *ending) {
    const struct log_open_txn *txn = &ending->seen->txn;
    int64_t now_ms = sys_mono_ms(hanging->node->sys);
    if (hanging->failed_ms > 0 && now_ms - hanging->failed_ms < SAY_AGAIN_MS) {
        return;
    }
    hanging->failed_ms = now_ms;
    text_log_warn(hanging->node->text_log, "coord",
                  "The transaction of producer id %" PRId64 ", epoch %d, that hangs in "
                  "%.*s-%" PRId32 " from offset %" PRId64
                  " on cannot be ended yet (%s); it is tried again",
                  txn->producer_id, txn->epoch, STR_ARGS(ending->part.topic),
                  ending->part.partition, txn->first_offset, err_text(ending->part.err));
}

static void tell(struct txn_hanging *hanging, const struct ending *ending) {
    const struct log_open_txn *txn = &ending->seen->txn;
    struct text_log *text_log = hanging->node->text_log;
    bool commit = ending->markers.commit;
    if (ending->part.err == ERR_OK) {
        text_log_warn(text_log, "coord",
                      "A transaction hung in %.*s-%" PRId32 ": that of producer id %" PRId64
                      ", epoch %d, from offset %" PRId64 " on, was %s, %s",
                      STR_ARGS(ending->part.topic), ending->part.partition, txn->producer_id,
                      txn->epoch, txn->first_offset, commit ? "committed" : "aborted",
                      reason(ending->fate));
        atomic_fetch_add(commit ? &hanging->committed : &hanging->aborted, 1);
    } else if (ending->part.err != ERR_INVALID_TXN_STATE) { /* it went on, or is over */
        tell_failure(hanging, ending);
    }
}

static void one_done(struct txn_hanging *hanging) {
    hanging->pending--;
    if (hanging->pending == 0) {
        end_round(hanging, hanging->next_ms);
    }
}

static void marked(struct txn_markers *markers) {
    struct ending *ending = container_of(markers, struct ending, markers);
    tell(ending->hanging, ending);
    one_done(ending->hanging);
}

static void end_one(struct txn_hanging *hanging, struct ending *ending, size_t index) {
    const struct coord_fate_of *of = &hanging->fates.items[index];
    struct seen *seen = &hanging->seen[index];
    bool next_epoch = of->version_2 && of->epoch < INT16_MAX;
    *ending = (struct ending){
        .hanging = hanging,
        .seen = seen,
        .fate = of->fate,
        .part = {.topic = of->topic, .partition = of->partition},
        .markers =
            {
                .producer_id = of->producer_id,
                .producer_epoch = (int16_t)(of->epoch + next_epoch),
                .coordinator_epoch =
                    seen->txn.coordinator_epoch < 0 ? 0 : seen->txn.coordinator_epoch,
                .transaction_version = next_epoch ? 2 : 0,
                .commit = of->fate == COORD_FATE_COMMITTED,
                .exact = true,
                .partition = seen->partition,
                .first_offset = seen->txn.first_offset,
                .last_offset = seen->txn.last_offset,
                .parts = &ending->part,
                .part_count = 1,
                .loop = hanging->node->loops[0],
                .done = marked,
            },
    };
    hanging->pending++;
    txn_markers_write(hanging->node, &ending->markers);
}

/* --- what the coordinators say --- */

static bool is_to_be_ended(const struct txn_hanging *hanging, const struct coord_fate_of *of) {
    int64_t up_ms = sys_mono_ms(hanging->node->sys) - hanging->started_ms;
    return of->fate != COORD_FATE_OPEN && (of->fate != COORD_FATE_LOST || up_ms >= of->timeout_ms);
}

static void answered(struct coord_fates *fates) {
    struct txn_hanging *hanging = container_of(fates, struct txn_hanging, fates);
    if (!fates->complete || hanging->stopped != NULL) {
        int64_t again_ms = hanging->again_ms;
        hanging->again_ms = 2 * again_ms < OPEN_MS ? 2 * again_ms : OPEN_MS;
        end_round(hanging, again_ms);
        return;
    }
    hanging->again_ms = AGAIN_MS;
    size_t first = hanging->turn % fates->count;
    size_t count = 0;
    hanging->next_ms = interval_ms(hanging) < OPEN_MS ? interval_ms(hanging) : OPEN_MS;
    hanging->endings = calloc(MARKERS_MAX, sizeof *hanging->endings);
    assert(hanging->endings != NULL);
    hanging->pending = 1;
    for (size_t i = 0; i < fates->count; i++) {
        size_t index = (first + i) % fates->count;
        if (!is_to_be_ended(hanging, &fates->items[index])) {
            continue;
        }
        if (count == MARKERS_MAX) { /* the others, whatever becomes of these */
            hanging->turn = index;
            hanging->next_ms = AGAIN_MS;
            break;
        }
        end_one(hanging, &hanging->endings[count++], index);
    }
    one_done(hanging);
}

static void ask(struct txn_hanging *hanging) {
    struct coord_fate_of *items = calloc(hanging->seen_count, sizeof *items);
    assert(items != NULL);
    for (size_t i = 0; i < hanging->seen_count; i++) {
        const struct seen *seen = &hanging->seen[i];
        items[i] = (struct coord_fate_of){.producer_id = seen->txn.producer_id,
                                          .epoch = seen->txn.epoch,
                                          .topic = partition_topic(seen->partition),
                                          .partition = partition_index(seen->partition)};
    }
    hanging->fates = (struct coord_fates){.items = items,
                                          .count = hanging->seen_count,
                                          .loop = hanging->node->loops[0],
                                          .done = answered};
    coord_fates_ask(hanging->node->transactions, &hanging->fates);
}

static void tick(struct sys_timer *timer) {
    struct txn_hanging *hanging = container_of(timer, struct txn_hanging, timer);
    hanging->running = true;
    look(hanging);
    if (hanging->seen_count == 0) {
        end_round(hanging, interval_ms(hanging));
    } else {
        ask(hanging);
    }
}

/* --- life --- */

struct txn_hanging *txn_hanging_new(struct node *node) {
    struct txn_hanging *hanging = calloc(1, sizeof *hanging);
    assert(hanging != NULL);
    hanging->node = node;
    hanging->again_ms = AGAIN_MS;
    hanging->timer.fire = tick;
    return hanging;
}

void txn_hanging_free(struct txn_hanging *hanging) {
    if (hanging != NULL) {
        assert(!hanging->running);
        free(hanging->seen);
        free(hanging->watched);
        free(hanging);
    }
}

static int compare_ids(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Nobody leads a partition yet. */
void txn_hanging_watch(struct txn_hanging *hanging) {
    struct node *node = hanging->node;
    size_t partition_count, count = 0;
    struct partition **partitions = replicas_list(node->replicas, &partition_count);
    for (size_t i = 0; i < partition_count; i++) {
        struct log *log = partition_log(partitions[i]);
        struct log_open_txn *txns = NULL;
        size_t txn_count = 0;
        if (log != NULL) {
            log_open_txns(log, &txns, &txn_count);
        }
        if (txn_count > 0) {
            hanging->watched =
                realloc(hanging->watched, (count + txn_count) * sizeof *hanging->watched);
            assert(hanging->watched != NULL);
        }
        for (size_t t = 0; t < txn_count; t++) {
            hanging->watched[count++] = txns[t].producer_id;
        }
        free(txns);
        partition_unref(partitions[i]);
    }
    free(partitions);
    if (count > 0) {
        qsort(hanging->watched, count, sizeof *hanging->watched, compare_ids);
    }
    node->transactions_world.watched = hanging->watched;
    node->transactions_world.watched_count = count;
}

void txn_hanging_start(struct txn_hanging *hanging) {
    hanging->started_ms = sys_mono_ms(hanging->node->sys);
    sys_timer_set(hanging->node->loops[0], &hanging->timer, hanging->started_ms + FIRST_MS);
}

void txn_hanging_stop(struct txn_hanging *hanging, void (*stopped)(struct node *node)) {
    sys_timer_clear(hanging->node->loops[0], &hanging->timer);
    hanging->stopped = stopped;
    if (!hanging->running) {
        stopped(hanging->node);
    }
}

void txn_hanging_stats(const struct txn_hanging *hanging, struct txn_hanging_stats *ret_stats) {
    *ret_stats = (struct txn_hanging_stats){.committed = atomic_load(&hanging->committed),
                                            .aborted = atomic_load(&hanging->aborted)};
}
