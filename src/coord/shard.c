/*
 * The life of a shard, on its loop.
 *
 *   state      event                           what happens
 *   --------   -----------------------------   ----------------------------------------------------
 *   IDLE       this node leads                 LOADING: slices of the log are read and replayed
 *   LOADING    the end of the log is reached   ACTIVE: sessions begin, requests are taken
 *   LOADING    a slice could not be read       it is tried again, a little later
 *   LOADING,   this node leads no more, or     IDLE: what waits fails with NOT_COORDINATOR, the
 *   ACTIVE     the node stops                  state is dropped
 *
 * What is under way when a shard becomes idle comes back to it and is thrown away: the slice that
 * is being read, an append, jobs of groups. shard_is_quiet tells when nothing is.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "coord/coord_int.h"
#include "sys/sys.h"

/* A load that takes longer is worth a line at the usual level. */
enum { LOAD_LONG_MS = 1000 };

static void note_step(void *arg) {
    standing_note(arg);
}

struct shard *shard_new(struct coord *coord, int32_t index) {
    struct shard *shard = calloc(1, sizeof *shard);
    assert(shard != NULL);
    shard->coord = coord;
    shard->index = index;
    shard->home = &coord->loops[index % coord->settings.loop_count];
    shard->led_epoch = -1;
    shard_log_init(shard);
    const struct coord_kind *kind = coord->settings.kind;
    struct groups_options options = {
        .kind = kind,
        .world = coord->settings.world,
        .loop = shard->home->loop,
        .pool = coord->settings.pool,
        .text_log = coord->settings.text_log,
        .partition = index,
        .log = shard_log(shard),
        .mailbox_max = COORD_MAILBOX_MAX,
        .stepped = kind->standing ? note_step : NULL,
        .stepped_arg = shard,
        .image = coord->settings.image,
        .config = coord->settings.config,
    };
    shard->groups = groups_new(&options, ERR_NOT_COORDINATOR);
    return shard;
}

void shard_free(struct shard *shard) {
    assert(shard->state == SHARD_IDLE);
    standing_done(shard);
    groups_free(shard->groups);
    shard_log_done(shard);
    free(shard);
}

void shard_lead(struct shard *shard, struct partition *partition, int32_t leader_epoch) {
    assert(shard->state == SHARD_IDLE);
    assert(shard->partition == NULL);
    shard->state = SHARD_LOADING;
    shard->partition = partition;
    shard->leader_epoch = leader_epoch;
    shard->load_started_ms = sys_loop_now_ms(shard->home->loop);
    shard->load_failed_said = false;
    shard->log_bytes = 0;
    shard->rewritten_bytes = 0;
    groups_unload(shard->groups, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    loading_start(shard);
}

static void note_load(struct coord *coord, uint64_t took_ms) {
    atomic_fetch_add(&coord->load_count, 1);
    atomic_fetch_add(&coord->load_ms_sum, took_ms);
    uint64_t max_ms = atomic_load(&coord->load_ms_max);
    while (took_ms > max_ms &&
           !atomic_compare_exchange_weak(&coord->load_ms_max, &max_ms, took_ms)) {
    }
}

void shard_loaded(struct shard *shard, int64_t next_offset) {
    const struct coord_kind *kind = shard->coord->settings.kind;
    assert(shard->state == SHARD_LOADING);
    shard->state = SHARD_ACTIVE;
    shard->next_offset = next_offset;
    shard_log_read_config(shard);
    shard->groups->leader_epoch = shard->leader_epoch;
    groups_activate(shard->groups);
    int64_t took_ms = sys_loop_now_ms(shard->home->loop) - shard->load_started_ms;
    note_load(shard->coord, (uint64_t)took_ms);
    text_log_write(shard->coord->settings.text_log,
                   took_ms >= LOAD_LONG_MS ? TEXT_LOG_INFO : TEXT_LOG_DEBUG, "coord",
                   "Loaded %zu %s of %s-%" PRId32 ", %" PRIu64 " KiB of its log, in %" PRId64 " ms",
                   kind->count(shard->groups), kind->things, kind->topic.data, shard->index,
                   shard->log_bytes / 1024, took_ms);
    rewriting_consider(shard);
}

void shard_resign(struct shard *shard) {
    if (shard->state == SHARD_IDLE) {
        return;
    }
    loading_cancel(shard);
    rewriting_cancel(shard);
    standing_stop(shard);
    shard->state = SHARD_IDLE;
    shard_log_close(shard);
    partition_unref(shard->partition);
    shard->partition = NULL;
    groups_unload(shard->groups, ERR_NOT_COORDINATOR);
}

bool shard_is_quiet(const struct shard *shard) {
    return shard->state == SHARD_IDLE && shard->load == NULL && shard->loads_cancelled == 0 &&
           shard->append_partition == NULL && shard->rewriting == NULL && !shard->waiter_posted &&
           groups_pending(shard->groups) == 0 && standing_is_quiet(shard);
}
