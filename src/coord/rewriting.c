/*
 * Keeps the log of a shard short while nothing compacts it: says anew what is still true, then
 * drops what was before.
 *
 *   when       what came since the last time is more than COORD_REWRITE_BYTES, and more than four
 *              times what that one wrote
 *   1 say      for each group (or transactional id) that there is, one step adds the records of
 *              its state; in between, others have their turns
 *   2 wait     until all of that is committed, and synced (the upkeep of replicas syncs every log
 *              in a while): a power cut must not take the new part when the old one is gone
 *   3 drop     the log's start moves up to where step 1 began; files go with upkeep
 *
 * What changes while it goes on is in the log behind step 1's beginning anyway. A group that cannot
 * be said now (it is in a rebalance) puts it off. Offsets that an open transaction wrote cannot be
 * said at all: its marker would not be about the new records. They stay where they are, with what
 * is committed of their partitions (said anew, it would be later than they are, and would win over
 * them), and step 3 stops before the first of them. Records are what they would have been, so a
 * reader that stops half-way through them, or a Kafka that opens the directory, has the same state.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "coord/coord_int.h"
#include "sys/sys.h"

enum { WAIT_MS = 1000, PUT_OFF_MS = 10 * 1000 };

struct rewriting {
    struct shard *shard;
    bool cancelled;
    int pending; /* an inner operation, a write or a wait for the start to be written */
    int64_t start_offset;
    int64_t end_offset; /* of what step 1 wrote */
    uint64_t bytes_before;
    struct arena arena;
    struct str *ids; /* of the things that there were */
    size_t id_count;
    size_t id_index;
    bool put_off;
    struct sys_timer timer;
    struct partition *partition;
    struct partition_write write;
    struct log_start_wait wait;
};

static void rewriting_free(struct rewriting *rewriting) {
    rewriting->shard->rewriting = NULL;
    partition_unref(rewriting->partition);
    arena_done(&rewriting->arena);
    free(rewriting);
}

/* A part of it came back. False: it was cancelled, and is gone if that was the last part. */
static bool part_done(struct rewriting *rewriting) {
    rewriting->pending--;
    if (!rewriting->cancelled) {
        return true;
    }
    if (rewriting->pending == 0) {
        rewriting_free(rewriting);
    }
    return false;
}

/* --- 1: say it anew --- */

static void say_next(struct rewriting *rewriting);
static void wait_for_sync(struct rewriting *rewriting);

static void try_again_later(struct sys_timer *timer) {
    struct rewriting *rewriting = container_of(timer, struct rewriting, timer);
    struct shard *shard = rewriting->shard;
    rewriting_free(rewriting);
    rewriting_consider(shard);
}

static void put_off(struct rewriting *rewriting) {
    rewriting->timer.fire = try_again_later;
    sys_timer_set(rewriting->shard->home->loop, &rewriting->timer,
                  sys_loop_now_ms(rewriting->shard->home->loop) + PUT_OFF_MS);
}

/* In a step of its own: the state is what the log below start_offset says, no more, no less. It
 * goes down for offsets that are pending. */
static void begin(struct rewriting *rewriting, const struct groups *groups) {
    rewriting->start_offset = rewriting->shard->next_offset;
    rewriting->bytes_before = rewriting->shard->log_bytes;
    rewriting->ids = groups->kind->ids(groups, &rewriting->arena, &rewriting->id_count);
}

static err_t say(struct group_step *step, void *context) {
    struct rewriting *rewriting = context;
    step->output->splittable = true;
    if (rewriting->cancelled) {
        rewriting->put_off = true;
    } else if (rewriting->ids == NULL) {
        begin(rewriting, step->groups);
        groups_add_foreign(step);
    } else {
        struct str id = rewriting->ids[rewriting->id_index++];
        rewriting->put_off = !step->groups->kind->say_anew(step, id, &rewriting->start_offset);
    }
    return ERR_OK;
}

static void said(struct groups *groups, void *context, err_t err) {
    (void)groups;
    struct rewriting *rewriting = context;
    if (!part_done(rewriting)) {
        return;
    }
    if (err != ERR_OK || rewriting->put_off) {
        put_off(rewriting);
    } else if (rewriting->id_index < rewriting->id_count) {
        say_next(rewriting);
    } else {
        wait_for_sync(rewriting);
    }
}

static void say_next(struct rewriting *rewriting) {
    rewriting->pending++;
    groups_run(rewriting->shard->groups, say, said, rewriting);
}

/* --- 3: drop what was before --- */

static err_t drop(struct partition_write *write, struct partition *partition, struct log *log) {
    (void)partition;
    struct rewriting *rewriting = container_of(write, struct rewriting, write);
    return log_delete_records(log, rewriting->start_offset);
}

static void start_kept(struct log_start_wait *wait) {
    struct rewriting *rewriting = container_of(wait, struct rewriting, wait);
    struct shard *shard = rewriting->shard;
    const struct coord_kind *kind = shard->coord->settings.kind;
    if (!part_done(rewriting)) {
        return;
    }
    text_log_info(shard->coord->settings.text_log, "coord",
                  "%s-%" PRId32 " now starts at offset %" PRId64
                  ": %zu %s were written anew, in %" PRIu64 " KiB",
                  kind->topic.data, shard->index, rewriting->start_offset, rewriting->id_count,
                  kind->things, shard->rewritten_bytes / 1024);
    rewriting_free(rewriting);
}

static void dropped(struct partition_write *write) {
    struct rewriting *rewriting = container_of(write, struct rewriting, write);
    struct shard *shard = rewriting->shard;
    if (!part_done(rewriting)) {
        return;
    }
    if (write->err != ERR_OK) {
        put_off(rewriting);
        return;
    }
    rewriting->pending++;
    rewriting->wait = (struct log_start_wait){.loop = shard->home->loop, .done = start_kept};
    replicas_log_start_wait(shard->coord->settings.replicas, partition_volume(rewriting->partition),
                            &rewriting->wait);
}

/* --- 2: wait --- */

static void look_for_sync(struct sys_timer *timer) {
    struct rewriting *rewriting = container_of(timer, struct rewriting, timer);
    struct shard *shard = rewriting->shard;
    struct log *log = partition_log(rewriting->partition);
    if (log == NULL || log_recovery_point(log) < rewriting->end_offset) {
        wait_for_sync(rewriting);
        return;
    }
    rewriting->pending++;
    rewriting->write = (struct partition_write){
        .run = drop, .done = dropped, .loop = shard->home->loop, .blocking = true};
    if (partition_submit(rewriting->partition, &rewriting->write) == ERR_OK) {
        dropped(&rewriting->write);
    }
}

static void wait_for_sync(struct rewriting *rewriting) {
    struct shard *shard = rewriting->shard;
    if (rewriting->end_offset < 0) {
        rewriting->end_offset = shard->next_offset;
        shard->rewritten_bytes = shard->log_bytes - rewriting->bytes_before;
        shard->log_bytes = shard->rewritten_bytes;
    }
    rewriting->timer.fire = look_for_sync;
    sys_timer_set(shard->home->loop, &rewriting->timer,
                  sys_loop_now_ms(shard->home->loop) + WAIT_MS);
}

/* --- life --- */

static bool is_due(const struct shard *shard) {
    return shard->log_bytes > COORD_REWRITE_BYTES && shard->log_bytes > 5 * shard->rewritten_bytes;
}

void rewriting_consider(struct shard *shard) {
    if (shard->state != SHARD_ACTIVE || shard->rewriting != NULL || !is_due(shard)) {
        return;
    }
    struct rewriting *rewriting = calloc(1, sizeof *rewriting);
    assert(rewriting != NULL);
    *rewriting = (struct rewriting){
        .shard = shard,
        .end_offset = -1,
        .partition = partition_ref(shard->partition),
    };
    arena_init(&rewriting->arena, SIZE_MAX);
    shard->rewriting = rewriting;
    say_next(rewriting);
}

void rewriting_cancel(struct shard *shard) {
    struct rewriting *rewriting = shard->rewriting;
    if (rewriting == NULL) {
        return;
    }
    rewriting->cancelled = true;
    sys_timer_clear(shard->home->loop, &rewriting->timer);
    if (rewriting->pending == 0) {
        rewriting_free(rewriting);
    }
}
