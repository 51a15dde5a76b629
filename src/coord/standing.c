/*
 * Snapshots of shards, and the times of records that groups have not read yet.
 *
 *   standing_note     a step was taken; the timer is set, unless it is
 *   publish (loop)    groups and their offsets are copied; the time of a record that was found for
 *                     the same offset before is taken over
 *   find (workers)    for each offset behind which there are records, the time of the first: read
 *                     by a worker of its disk, so that one that hangs holds up nobody else
 *   coord_standing    any thread: walks the snapshots, asks partitions for their high watermarks
 *
 * A big shard is copied less often: making a snapshot takes at most a hundredth of the time.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "coord/coord_int.h"
#include "coord/offsets_int.h"
#include "sys/file.h"
#include "sys/sys.h"
#include "wire/message_set.h"

/* Also where nothing changes somebody may write, and a group fall behind. */
enum { INTERVAL_MS = 1000, IDLE_INTERVAL_MS = 5000, COST_SHARE = 100, LOOKED_AT_MAX = 256 };

/* Of the time of a record. */
enum { TIME_UNKNOWN = -1, TIME_NONE = -2 };

struct told_offset {
    const char *topic;
    struct uuid topic_id; /* zero: the topic is not there */
    int32_t partition;
    int64_t offset;
    _Atomic int64_t time_ms; /* of the record at `offset`; TIME_… */
};

struct told_group {
    struct group_standing standing;
    int32_t first; /* in offsets */
};

struct standing_snapshot {
    _Atomic int32_t references;
    struct arena arena;
    struct told_group *groups;
    int32_t group_count;
    struct told_offset *offsets;
    int32_t offset_count;
};

/* Finds times, wherever they are: goes from pool to pool. */
struct standing_job {
    struct sys_job job;
    struct shard *shard;
    struct replicas *replicas;
    struct standing_snapshot *snapshot;
    struct volume *volume; /* whose worker it is on; NULL: of the groups' pool */
    struct volume *next;
    int32_t index;
    _Atomic bool cancelled;
};

/* --- references --- */

static struct standing_snapshot *snapshot_ref(struct standing_snapshot *snapshot) {
    atomic_fetch_add(&snapshot->references, 1);
    return snapshot;
}

static void snapshot_unref(struct standing_snapshot *snapshot) {
    if (snapshot != NULL && atomic_fetch_sub(&snapshot->references, 1) == 1) {
        struct arena arena = snapshot->arena; /* the snapshot is in it */
        arena_done(&arena);
    }
}

/* Takes the reference over. */
static void replace(struct shard *shard, struct standing_snapshot *snapshot) {
    struct coord *coord = shard->coord;
    sys_lock_take(&coord->standing_lock);
    struct standing_snapshot *before = shard->standing.current;
    shard->standing.current = snapshot;
    sys_lock_give(&coord->standing_lock);
    snapshot_unref(before);
}

/* --- making a snapshot --- */

static void count_offsets(const struct groups *groups, int32_t *ret_count) {
    const struct group *group;
    size_t cursor;
    *ret_count = 0;
    map_for_each (&groups->by_id, cursor, group) {
        *ret_count += group->offsets == NULL ? 0 : group->offsets->slot_count;
    }
}

static void tell_slot(struct standing_snapshot *snapshot, const struct standing_snapshot *before,
                      struct offset_slot *slot, const char *topic, struct uuid topic_id) {
    int32_t index = snapshot->offset_count++;
    struct told_offset *told = &snapshot->offsets[index];
    *told = (struct told_offset){.topic = topic,
                                 .topic_id = topic_id,
                                 .partition = slot->partition,
                                 .offset = slot->value.offset};
    int64_t time_ms = TIME_UNKNOWN;
    if (before != NULL && slot->told && before->offsets[slot->told_index].offset == told->offset &&
        uuid_equal(before->offsets[slot->told_index].topic_id, topic_id)) {
        time_ms = atomic_load(&before->offsets[slot->told_index].time_ms);
    }
    atomic_init(&told->time_ms, time_ms);
    slot->told = true;
    slot->told_index = index;
}

static void tell_group(struct shard *shard, struct standing_snapshot *snapshot,
                       const struct group *group) {
    struct arena *arena = &snapshot->arena;
    struct told_group *told = &snapshot->groups[snapshot->group_count++];
    *told = (struct told_group){
        .standing = {.id = arena_c_str(arena, group->id),
                     .type = group_type_name(group),
                     .state = group_state_name(group),
                     .member_count = group_member_count(group)},
        .first = snapshot->offset_count,
    };
    struct offset_topic *topic;
    struct offset_slot *slot;
    size_t topics, slots;
    if (group->offsets == NULL) {
        return;
    }
    map_for_each (&group->offsets->topics, topics, topic) {
        const struct meta_topic *found = meta_image_topic(shard->home->image, topic->name);
        struct uuid id = found == NULL ? UUID_ZERO : found->id;
        const char *name = arena_c_str(arena, topic->name);
        map_for_each (&topic->partitions, slots, slot) {
            if (slot->committed && offsets_topic_matches(slot->value.topic_id, id)) {
                tell_slot(snapshot, shard->standing.current, slot, name, id);
            } else {
                slot->told = false;
            }
        }
    }
    told->standing.offset_count = snapshot->offset_count - told->first;
}

static struct standing_snapshot *make_snapshot(struct shard *shard) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct standing_snapshot *snapshot = ARENA_NEW(&arena, struct standing_snapshot);
    snapshot->arena = arena;
    atomic_init(&snapshot->references, 1);
    int32_t offset_count;
    count_offsets(shard->groups, &offset_count);
    snapshot->offsets = ARENA_ARRAY(&snapshot->arena, struct told_offset, offset_count);
    snapshot->groups =
        ARENA_ARRAY(&snapshot->arena, struct told_group, map_count(&shard->groups->by_id));
    const struct group *group;
    size_t cursor;
    map_for_each (&shard->groups->by_id, cursor, group) {
        tell_group(shard, snapshot, group);
    }
    return snapshot;
}

/* --- the times of records: on workers --- */

/* The first record that the group has not read, or the first that there still is. */
static err_t read_time(struct partition *partition, int64_t offset, int64_t log_start_offset,
                       int64_t *ret_time_ms) {
    struct partition_read read = {
        .offset = offset > log_start_offset ? offset : log_start_offset,
        .size_max = 1,
        .min_one = true,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .fetched_epoch = PARTITION_ANY_EPOCH,
    };
    err_t err = partition_read(partition, &read);
    if (err != ERR_OK) {
        return err;
    }
    uint8_t header[RECORD_BATCH_HEADER_SIZE];
    size_t size = 0;
    if (read.slice.size >= sizeof header) {
        err = sys_file_read(read.slice.file, read.slice.position, header, sizeof header, &size);
    }
    log_slice_release(&read.slice);
    if (err == ERR_OK && size == sizeof header) {
        bool whole = record_batch_magic(header) == 2 && !record_batch_has_log_append_time(header);
        *ret_time_ms = whole                             ? record_batch_base_timestamp(header)
                       : record_batch_magic(header) == 2 ? record_batch_max_timestamp(header)
                                                         : TIME_NONE;
    }
    return err;
}

/* NULL: it is not led here, or has nothing that the group has not read. */
static struct partition *behind(const struct standing_job *job, const struct told_offset *told,
                                int64_t *ret_log_start_offset) {
    struct partition *partition =
        uuid_is_zero(told->topic_id)
            ? NULL
            : replicas_find(job->replicas, told->topic_id, told->partition);
    struct partition_offsets offsets;
    if (partition == NULL ||
        partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets) != ERR_OK ||
        offsets.high_watermark <= told->offset || told->offset < 0) {
        partition_unref(partition);
        return NULL;
    }
    *ret_log_start_offset = offsets.log_start_offset;
    return partition;
}

static enum sys_job_result find(struct sys_job *base) {
    struct standing_job *job = container_of(base, struct standing_job, job);
    struct standing_snapshot *snapshot = job->snapshot;
    for (int i = 0; i < LOOKED_AT_MAX; i++) {
        if (job->index == snapshot->offset_count || atomic_load(&job->cancelled)) {
            job->next = NULL;
            return SYS_JOB_DONE;
        }
        struct told_offset *told = &snapshot->offsets[job->index];
        int64_t log_start_offset;
        struct partition *partition = atomic_load(&told->time_ms) == TIME_UNKNOWN
                                          ? behind(job, told, &log_start_offset)
                                          : NULL;
        struct volume *volume = partition == NULL ? NULL : partition_volume(partition);
        if (volume != NULL && volume != job->volume) {
            partition_unref(partition);
            job->next = volume;
            return SYS_JOB_DONE; /* goes on there, with the same one */
        }
        job->index++;
        if (volume != NULL) {
            int64_t time_ms = TIME_UNKNOWN;
            (void)read_time(partition, told->offset, log_start_offset, &time_ms);
            atomic_store(&told->time_ms, time_ms);
            partition_unref(partition);
            return SYS_JOB_AGAIN;
        }
        partition_unref(partition);
    }
    return SYS_JOB_AGAIN;
}

static void found(struct sys_job *base) {
    struct standing_job *job = container_of(base, struct standing_job, job);
    struct shard *shard = job->shard;
    if (job->next != NULL && !atomic_load(&job->cancelled)) {
        job->volume = job->next;
        sys_pool_submit(job->volume->upkeep, &job->job);
        return;
    }
    shard->standing.job = NULL;
    snapshot_unref(job->snapshot);
    free(job);
}

static void start_job(struct shard *shard) {
    struct standing_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->shard = shard;
    job->replicas = shard->coord->settings.replicas;
    job->snapshot = snapshot_ref(shard->standing.current);
    job->job = (struct sys_job){.run = find, .done = found, .loop = shard->home->loop};
    shard->standing.job = job;
    sys_pool_submit(shard->coord->settings.pool, &job->job);
}

/* --- on the loop --- */

static void set_timer(struct shard *shard, int64_t delay_ms) {
    sys_timer_set(shard->home->loop, &shard->standing.timer,
                  sys_loop_now_ms(shard->home->loop) + delay_ms);
}

static void publish(struct sys_timer *timer) {
    struct shard *shard = container_of(timer, struct shard, standing.timer);
    struct standing *standing = &shard->standing;
    struct sys *sys = shard->coord->settings.sys;
    int64_t start_ns = sys_mono_ns(sys);
    if (standing->changed) {
        standing->changed = false;
        replace(shard, make_snapshot(shard));
    }
    if (standing->job == NULL && standing->current->offset_count > 0) {
        start_job(shard);
    }
    if (standing->current->group_count > 0) {
        int64_t rest_ms = (sys_mono_ns(sys) - start_ns) * COST_SHARE / 1000000;
        standing->costly = rest_ms > INTERVAL_MS;
        set_timer(shard, rest_ms > IDLE_INTERVAL_MS ? rest_ms : IDLE_INTERVAL_MS);
    }
}

void standing_note(struct shard *shard) {
    struct standing *standing = &shard->standing;
    if (standing->changed) {
        return;
    }
    standing->changed = true;
    int64_t soon_ms = sys_loop_now_ms(shard->home->loop) + INTERVAL_MS;
    bool set = sys_timer_is_set(&standing->timer);
    if (!set || (standing->timer.deadline_ms > soon_ms && !standing->costly)) {
        standing->timer.fire = publish;
        sys_timer_set(shard->home->loop, &standing->timer, soon_ms);
    }
}

void standing_stop(struct shard *shard) {
    struct standing *standing = &shard->standing;
    sys_timer_clear(shard->home->loop, &standing->timer);
    standing->changed = false;
    if (standing->job != NULL) {
        atomic_store(&standing->job->cancelled, true);
    }
    replace(shard, NULL);
}

bool standing_is_quiet(const struct shard *shard) {
    return shard->standing.job == NULL;
}

void standing_done(struct shard *shard) {
    snapshot_unref(shard->standing.current);
}

/* --- reading: any thread --- */

static void visit_offset(struct coord *coord, const struct standing_visitor *visitor,
                         const struct group_standing *group, const struct told_offset *told) {
    struct offset_standing standing = {
        .topic = told->topic, .partition = told->partition, .offset = told->offset};
    struct partition *partition =
        uuid_is_zero(told->topic_id)
            ? NULL
            : replicas_find(coord->settings.replicas, told->topic_id, told->partition);
    struct partition_offsets offsets;
    if (partition != NULL &&
        partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets) == ERR_OK) {
        int64_t lag = offsets.high_watermark - told->offset;
        int64_t time_ms = atomic_load(&((struct told_offset *)told)->time_ms);
        int64_t age_ms = sys_wall_ms(coord->settings.sys) - time_ms;
        standing.lag_known = true;
        standing.lag = lag > 0 ? lag : 0;
        standing.lag_ms_known = lag <= 0 || time_ms >= 0;
        standing.lag_ms = lag <= 0 || age_ms < 0 ? 0 : age_ms;
    }
    partition_unref(partition);
    visitor->offset(visitor->arg, group, &standing);
}

static void visit_shard(struct shard *shard, const struct standing_visitor *visitor) {
    struct coord *coord = shard->coord;
    sys_lock_take(&coord->standing_lock);
    struct standing_snapshot *snapshot =
        shard->standing.current == NULL ? NULL : snapshot_ref(shard->standing.current);
    sys_lock_give(&coord->standing_lock);
    for (int32_t i = 0; snapshot != NULL && i < snapshot->group_count; i++) {
        const struct told_group *group = &snapshot->groups[i];
        visitor->group(visitor->arg, &group->standing);
        for (int32_t k = 0; k < group->standing.offset_count; k++) {
            visit_offset(coord, visitor, &group->standing, &snapshot->offsets[group->first + k]);
        }
    }
    snapshot_unref(snapshot);
}

void coord_counts(struct coord *coord, uint64_t ret_counts[GROUP_COUNTS]) {
    const struct shard_table *table = atomic_load_explicit(&coord->table, memory_order_acquire);
    memset(ret_counts, 0, GROUP_COUNTS * sizeof ret_counts[0]);
    for (int32_t i = 0; i < table->shard_count; i++) {
        for (int k = 0; k < GROUP_COUNTS; k++) {
            ret_counts[k] +=
                atomic_load_explicit(&table->shards[i]->groups->counts[k], memory_order_relaxed);
        }
    }
}

void coord_txn_stats(struct coord *coord, struct coord_txn_stats *ret_stats) {
    const struct shard_table *table = atomic_load_explicit(&coord->table, memory_order_acquire);
    *ret_stats = (struct coord_txn_stats){
        .load_count = atomic_load(&coord->load_count),
        .load_ms_sum = atomic_load(&coord->load_ms_sum),
        .load_ms_max = atomic_load(&coord->load_ms_max),
    };
    for (int32_t i = 0; i < table->shard_count; i++) {
        const struct groups *groups = table->shards[i]->groups;
        ret_stats->markers_waiting += atomic_load(&groups->markers_waiting);
        ret_stats->ends_waiting += atomic_load(&groups->ends_waiting);
    }
}

void coord_standing(struct coord *coord, const struct standing_visitor *visitor) {
    const struct shard_table *table = atomic_load_explicit(&coord->table, memory_order_acquire);
    for (int32_t i = 0; i < table->shard_count; i++) {
        visit_shard(table->shards[i], visitor);
    }
}
