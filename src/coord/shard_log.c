/*
 * The log of a shard: records become batches, batches go to the partition, commits come back.
 *
 * The strand appends one step's records at a time and waits for them, so there is one append, one
 * buffer and one waiter. Records of one step go into one batch, or into as many as their size asks
 * for, if the step allows it; all of them are one append, which is in the log as a whole or not at
 * all. They are committed when the high watermark has passed them: at once where this is the only
 * replica, else the waiter tells.
 */
#include <assert.h>

#include "coord/coord_int.h"
#include "replica/topic_config.h"
#include "sys/sys.h"
#include "wire/batch_builder.h"

/* Beside key and value, a record has a few lengths, a timestamp and an offset. */
enum { RECORD_OVERHEAD_MAX = 64 };

/* --- commits --- */

static void stop_waiting(struct shard *shard) {
    if (shard->waiting) {
        partition_unwait(shard->partition, &shard->waiter);
        shard->waiting = false;
    }
}

/* Tells the strand how far the log is committed, and waits for the rest. An error is nothing to act
 * on: the image tells who leads. */
static void commit_or_wait(struct shard *shard) {
    struct partition_offsets offsets = {.high_watermark = -1};
    err_t err = partition_offsets(shard->partition, PARTITION_ANY_EPOCH, &offsets);
    if (err == ERR_OK && offsets.high_watermark < shard->next_offset && !shard->waiting) {
        shard->waiting = true;
        offsets.high_watermark = partition_wait(shard->partition, &shard->waiter);
    }
    if (err != ERR_OK || offsets.high_watermark >= shard->next_offset) {
        stop_waiting(shard);
    }
    strand_committed(groups_strand(shard->groups), offsets.high_watermark - 1);
}

static void woken(struct sys_task *task) {
    struct shard *shard = container_of(task, struct shard, waiter_task);
    atomic_store(&shard->waiter_posted, false);
    if (shard->state == SHARD_ACTIVE) {
        commit_or_wait(shard);
    }
}

/* --- appending --- */

static int64_t next_offset(void *arg) {
    const struct shard *shard = arg;
    return shard->next_offset;
}

static err_t make_room(struct shard *shard, struct batch_builder *builder, size_t room,
                       bool splittable, const struct batch_options *options) {
    size_t max = (size_t)shard->batch_size_max;
    if (batch_builder_size(builder) + room <= max) {
        return ERR_OK;
    }
    if (builder->record_count == 0) {
        return ERR_MESSAGE_TOO_LARGE;
    }
    if (!splittable) {
        return ERR_RECORD_LIST_TOO_LARGE;
    }
    batch_builder_finish(builder, shard->home->compression);
    batch_builder_init(builder, &shard->batches, options);
    return batch_builder_size(builder) + room <= max ? ERR_OK : ERR_MESSAGE_TOO_LARGE;
}

static enum compression_type codec(const struct shard *shard) {
    int key = shard->coord->settings.kind->compression;
    int32_t number = key < 0 ? 0 : config_int(shard->home->config, (enum config_key)key);
    return number > 0 && number < COMPRESSION_TYPE_COUNT ? (enum compression_type)number
                                                         : COMPRESSION_NONE;
}

static bool is_transaction_end(const struct coord_record *record) {
    return record->type == GROUP_RECORD_TRANSACTION_COMMIT ||
           record->type == GROUP_RECORD_TRANSACTION_ABORT;
}

static struct batch_options options_of(const struct shard *shard,
                                       const struct coord_record *first) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.leader_epoch = shard->leader_epoch;
    if (first->txn != NULL) {
        options.producer_id = first->producer_id;
        options.producer_epoch = first->txn->producer_epoch;
        options.attributes = RECORD_BATCH_TRANSACTIONAL;
        options.base_sequence = is_transaction_end(first) ? RECORD_NO_SEQUENCE : 0; /* Kafka's */
    }
    if (!is_transaction_end(first)) {
        options.compression = codec(shard);
        options.level = compression_level_default(options.compression);
    }
    return options;
}

static void encode_transaction_end(struct shard *shard, const struct coord_record *record,
                                   int64_t now_ms) {
    struct batch_options options = options_of(shard, record);
    buffer_clear(&shard->batches);
    batch_build_end_transaction(&shard->batches, &options, now_ms,
                                record->type == GROUP_RECORD_TRANSACTION_COMMIT,
                                record->txn->coordinator_epoch);
}

static err_t encode(struct shard *shard, void *const *records, int32_t count, bool splittable) {
    int64_t now_ms = sys_wall_ms(shard->coord->settings.sys);
    if (is_transaction_end(records[0])) {
        encode_transaction_end(shard, records[0], now_ms);
        return ERR_OK;
    }
    struct batch_options options = options_of(shard, records[0]);
    struct batch_builder builder;
    struct buffer key = {0}, value = {0};
    buffer_clear(&shard->batches);
    batch_builder_init(&builder, &shard->batches, &options);
    err_t err = ERR_OK;
    for (int32_t i = 0; i < count && err == ERR_OK; i++) {
        const struct coord_record *record = records[i];
        buffer_clear(&key);
        buffer_clear(&value);
        err = coord_record_encode(shard->coord->settings.kind, record, &key, &value);
        if (err == ERR_OK) {
            err = make_room(shard, &builder, key.size + value.size + RECORD_OVERHEAD_MAX,
                            splittable, &options);
        }
        if (err == ERR_OK) {
            struct bytes none = {NULL, 0};
            batch_builder_add(&builder, now_ms, buffer_bytes(&key),
                              record->value == NULL ? none : buffer_bytes(&value), NULL, 0);
        }
    }
    if (err == ERR_OK) {
        batch_builder_finish(&builder, shard->home->compression);
    }
    buffer_done(&key);
    buffer_done(&value);
    return err;
}

/* The append is through: OK with the last offset, or why not. */
static err_t end_append(struct shard *shard, int64_t *ret_last_offset) {
    struct partition_append *append = &shard->append;
    err_t err = append->write.err;
    partition_append_done(append);
    arena_reset(&shard->append_arena);
    if (err == ERR_OK && shard->state == SHARD_ACTIVE) {
        shard->next_offset = append->last_offset + 1;
        shard->log_bytes += append->appended_size;
        *ret_last_offset = append->last_offset;
    }
    return err;
}

static void append_done(struct partition_write *write) {
    struct shard *shard = container_of(write, struct shard, append.write);
    int64_t last_offset = -1;
    err_t err = end_append(shard, &last_offset);
    partition_unref(shard->append_partition);
    shard->append_partition = NULL;
    strand_append_done(groups_strand(shard->groups), err, last_offset);
    if (shard->state == SHARD_ACTIVE) {
        commit_or_wait(shard);
        rewriting_consider(shard);
    }
}

static err_t append(void *arg, void *const *records, int32_t record_count, bool splittable,
                    int64_t *ret_last_offset) {
    struct shard *shard = arg;
    assert(shard->state == SHARD_ACTIVE);
    assert(shard->append_partition == NULL);
    err_t err = encode(shard, records, record_count, splittable);
    if (err != ERR_OK) {
        return err;
    }
    const struct coord_record *first = records[0];
    shard->append = (struct partition_append){
        .write = {.done = append_done, .loop = shard->home->loop},
        .records = shard->batches.data,
        .size = shard->batches.size,
        .leader_epoch = shard->leader_epoch,
        .all_acks = true,
        .coordinator = true,
        .txn = first->txn == NULL ? (struct partition_txn){0} : first->txn->check,
        .arena = &shard->append_arena,
        .compression = shard->home->compression,
    };
    shard->append_partition = partition_ref(shard->partition);
    if (partition_append(shard->partition, &shard->append) == ERR_PENDING) {
        return ERR_PENDING;
    }
    partition_unref(shard->append_partition);
    shard->append_partition = NULL;
    err = end_append(shard, ret_last_offset);
    if (err == ERR_OK) {
        commit_or_wait(shard);
        rewriting_consider(shard);
    }
    return err;
}

/* --- life --- */

struct strand_log shard_log(struct shard *shard) {
    return (struct strand_log){.arg = shard, .next_offset = next_offset, .append = append};
}

void shard_log_init(struct shard *shard) {
    arena_init(&shard->append_arena, SIZE_MAX);
    shard->waiter = (struct partition_waiter){
        .loop = shard->home->loop, .task = &shard->waiter_task, .posted = &shard->waiter_posted};
    shard->waiter_task.run = woken;
}

void shard_log_done(struct shard *shard) {
    assert(shard->append_partition == NULL);
    buffer_done(&shard->batches);
    arena_done(&shard->append_arena);
}

void shard_log_read_config(struct shard *shard) {
    const struct coord_loop *home = shard->home;
    struct partition_config config;
    topic_config_read(home->image, shard->coord->settings.kind->topic,
                      shard->coord->settings.node_id, home->config, &config);
    shard->batch_size_max = config.rules.message_size_max;
}

void shard_log_close(struct shard *shard) {
    stop_waiting(shard);
}
