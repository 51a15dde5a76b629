/*
 * The queue of writes, and appending
 *
 *   writing   writes   submit                      who runs
 *   -------   ------   -------------------------   ------------------------------------------
 *   no        empty    writing = yes               the submitter, inline, then it drains
 *   no        empty    blocking, or not healthy    `drain` on a worker, writing = yes meanwhile
 *   yes       any      added to the end            whoever has the token comes to it
 *
 * Whoever drains gives the token back, under the lock, when the queue is empty. A reactor drains at
 * most INLINE_WRITES_MAX of others' writes, then leaves the rest to a worker.
 *
 * An append that validates quickly is validated by its submitter before it queues, so that several
 * reactors check records of one partition at the same time; one that has to compress or to
 * decompress much is validated by the worker in its turn, so that it keeps its place.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "replica/partition_int.h"

enum { INLINE_WRITES_MAX = 16 };

/* --- the queue --- */

static err_t run_append(struct partition_write *write, struct partition *partition,
                        struct log *log);

/* Every way that a write ends: an append that was refused is remembered (refused.c). */
static void end_write(struct partition *partition, struct partition_write *write, err_t err) {
    write->err = err;
    if (err != ERR_OK && write->run == run_append) {
        refused_note(partition, container_of(write, struct partition_append, write), err);
    }
}

static void run_write(struct partition *partition, struct partition_write *write, bool inlined) {
    sys_lock_take(&partition->lock);
    struct log *log = partition->log;
    struct volume *volume = partition->volume;
    err_t err = partition->state == PARTITION_OFFLINE ? ERR_KAFKA_STORAGE_ERROR
                : partition->state == PARTITION_DELETED && !write->even_deleted
                    ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                    : ERR_OK;
    sys_lock_give(&partition->lock);

    if (err == ERR_OK && log == NULL) {
        err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (err == ERR_OK) {
        int64_t start_ns = inlined ? sys_mono_ns(partition->sys) : 0;
        err = write->run(write, partition, log);
        if (inlined) {
            volume_note_write(volume, sys_mono_ns(partition->sys) - start_ns);
        }
    }
    end_write(partition, write, err);
}

/* The next write, or NULL: then the token was given back. */
static struct partition_write *next_write(struct partition *partition) {
    sys_lock_take(&partition->lock);
    struct list *link = list_take_first(&partition->writes);
    if (link == NULL) {
        partition->writing = false;
    }
    sys_lock_give(&partition->lock);
    return link == NULL ? NULL : container_of(link, struct partition_write, link);
}

static void tell_done(struct sys_task *task) {
    struct partition_write *write = container_of(task, struct partition_write, task);
    write->done(write);
}

static void finish_write(struct partition_write *write) {
    if (write->loop == NULL) {
        write->done(write);
    } else {
        write->task.run = tell_done;
        sys_loop_post(write->loop, &write->task);
    }
}

static enum sys_job_result drain_step(struct sys_job *job) {
    struct partition *partition = container_of(job, struct partition, drain);
    struct partition_write *write = next_write(partition);
    if (write != NULL) {
        run_write(partition, write, false);
        finish_write(write);
        return SYS_JOB_AGAIN;
    }
    partition_unref(partition);
    return SYS_JOB_DONE;
}

/* The caller has the token and passes it on to a worker. */
static void drain_on_worker(struct partition *partition) {
    partition_ref(partition);
    partition->drain = (struct sys_job){.run = drain_step};
    sys_pool_submit(partition->volume->writers, &partition->drain);
}

static void drain_inline(struct partition *partition) {
    for (int count = 0; count < INLINE_WRITES_MAX; count++) {
        sys_lock_take(&partition->lock);
        struct list *link = list_first(&partition->writes);
        struct partition_write *write =
            link == NULL ? NULL : container_of(link, struct partition_write, link);
        bool inlined = write != NULL && !write->blocking && volume_is_healthy(partition->volume);
        if (write == NULL) {
            partition->writing = false;
        } else if (inlined) {
            list_remove(link);
        }
        sys_lock_give(&partition->lock);
        if (write == NULL) {
            return;
        }
        if (!inlined) {
            break;
        }
        run_write(partition, write, true);
        finish_write(write);
    }
    drain_on_worker(partition);
}

void partition_drain(struct partition *partition) {
    if (partition_volume(partition) != NULL) {
        drain_on_worker(partition);
        return;
    }
    struct partition_write *write;
    while ((write = next_write(partition)) != NULL) {
        run_write(partition, write, false);
        finish_write(write);
    }
}

err_t partition_submit(struct partition *partition, struct partition_write *write) {
    sys_lock_take(&partition->lock);
    if (partition->log == NULL && partition->state != PARTITION_OPENING) {
        err_t err = partition->state == PARTITION_DELETED ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                          : ERR_KAFKA_STORAGE_ERROR;
        sys_lock_give(&partition->lock);
        end_write(partition, write, err);
        return ERR_OK;
    }
    bool idle = !partition->writing;
    bool inlined = idle && !write->blocking && volume_is_healthy(partition->volume);
    if (!inlined) {
        list_add_last(&partition->writes, &write->link);
    }
    partition->writing = true;
    sys_lock_give(&partition->lock);

    if (inlined) {
        run_write(partition, write, true);
        drain_inline(partition);
        return ERR_OK;
    }
    if (idle) {
        drain_on_worker(partition);
    }
    return ERR_PENDING;
}

/* --- appending --- */

/* min.insync.replicas cannot ask for more replicas than there are (KIP-966). */
static bool enough_in_sync(const struct partition *partition) {
    int32_t wanted = partition->config.min_insync_replicas;
    return partition->isr_count >=
           (wanted < partition->replica_count ? wanted : partition->replica_count);
}

static err_t validate(struct partition_append *append, const struct partition *partition,
                      const struct record_set_rules *common, struct compression *compression,
                      int64_t now_ms) {
    struct record_set_rules rules = *common;
    rules.partition = partition->name;
    rules.origin = append->coordinator ? RECORD_SET_COORDINATOR : RECORD_SET_CLIENT;
    return record_set_validate(&rules, append->records, append->size, now_ms, compression,
                               &append->recompressed, append->arena, &append->validated,
                               &append->refusal);
}

/* Runs on a worker: the batch is recompressed, or expanded to be checked, in its turn. */
static err_t validate_long(struct partition_append *append, const struct partition *partition,
                           const struct record_set_rules *rules, int64_t now_ms) {
    struct compression *compression = compression_new();
    err_t err = validate(append, partition, rules, compression, now_ms);
    compression_free(compression);
    return err;
}

/* The log learns of a new leader epoch before its first record. */
static err_t start_epoch(struct partition *partition, struct log *log, int32_t *ret_epoch) {
    sys_lock_take(&partition->lock);
    int32_t epoch = partition->leader_epoch;
    bool started = partition->epoch_started;
    sys_lock_give(&partition->lock);

    err_t err = ERR_OK;
    if (!started) {
        err = log_epoch_start(log, epoch);
        sys_lock_take(&partition->lock);
        partition->epoch_started = err == ERR_OK && partition->leader_epoch == epoch;
        sys_lock_give(&partition->lock);
    }
    *ret_epoch = epoch;
    return err;
}

static void take_result(struct partition_append *append, const struct log_append_result *result) {
    append->first_offset = result->first_offset;
    append->last_offset = result->last_offset;
    append->log_start_offset = result->log_start_offset;
    append->duplicate = result->duplicate;
    append->record_count = append->validated.record_count;
    append->appended_size = result->duplicate ? 0 : append->validated.size;
    append->log_append_time_ms =
        result->duplicate ? result->duplicate_timestamp_ms : append->validated.log_append_time_ms;
}

static int flags_of(const struct partition_append *append) {
    return (append->coordinator ? LOG_APPEND_COORDINATOR : 0) |
           (append->txn.verified ? LOG_APPEND_VERIFIED : 0) |
           (append->txn.from_zero ? LOG_APPEND_FROM_ZERO : 0) |
           (append->txn.exact ? LOG_APPEND_EXACT : 0);
}

static err_t run_append(struct partition_write *write, struct partition *partition,
                        struct log *log) {
    struct partition_append *append = container_of(write, struct partition_append, write);
    int64_t now_ms = sys_wall_ms(partition->sys);

    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, append->leader_epoch);
    struct record_set_rules rules = partition->config.rules;
    sys_lock_give(&partition->lock);

    if (err == ERR_OK && append->long_validation) {
        err = validate_long(append, partition, &rules, now_ms);
    }
    int32_t leader_epoch = -1;
    if (err == ERR_OK) {
        err = start_epoch(partition, log, &leader_epoch);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (refused_waits(partition, log, append)) {
        return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    struct log_append log_append_of = {
        .data = append->validated.records,
        .size = append->validated.size,
        .leader_epoch = leader_epoch,
        .now_ms = now_ms,
        .flags = flags_of(append),
        .transaction_version = append->txn.version,
        .txn_guard = append->txn.guard,
        .txn_first_offset = append->txn.first_offset,
        .txn_last_offset = append->txn.last_offset,
    };
    struct log_append_result result;
    err = log_append(log, &log_append_of, &result);
    err = volume_log_err(volume_note(partition->volume, err));
    if (err != ERR_OK) {
        return err;
    }
    take_result(append, &result);
    if (result.flush_due) { /* of a duplicate, too: it may be older than the setting */
        err = volume_note(partition->volume, log_flush(log, INT64_MAX));
        volume_note_synced(partition->volume);
    }
    if (result.duplicate) {
        return err; /* its offsets are of long ago: nothing moved */
    }
    log_high_watermark_set(log, result.last_offset + 1);
    partition_wake(partition);
    return err;
}

static bool is_long(const struct partition_append *append, const struct record_set_rules *rules) {
    struct bytes records = {.data = append->records, .size = append->size};
    return record_set_needs_recompression(rules, records) ||
           (append->size > INLINE_DECOMPRESSION_SIZE_MAX &&
            record_set_needs_decompression(records));
}

err_t partition_append(struct partition *partition, struct partition_append *append) {
    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, append->leader_epoch);
    struct record_set_rules rules = partition->config.rules;
    if (err == ERR_OK && append->all_acks && !enough_in_sync(partition)) {
        err = ERR_NOT_ENOUGH_REPLICAS;
    }
    bool flushes = partition->config.log.flush_messages != INT64_MAX;
    bool epoch_started = partition->epoch_started;
    struct log *log = partition->log;
    sys_lock_give(&partition->lock);

    append->refusal = (struct record_set_refusal){.message = STR_NULL};
    append->recompressed = (struct buffer){0};
    if (err == ERR_OK) {
        append->long_validation = is_long(append, &rules);
        if (!append->long_validation) {
            err = validate(append, partition, &rules, append->compression,
                           sys_wall_ms(partition->sys));
        }
    }
    if (err != ERR_OK) {
        refused_note(partition, append, err);
        append->write.err = err;
        return ERR_OK;
    }
    append->write.run = run_append;
    append->write.blocking =
        append->long_validation || flushes || !epoch_started ||
        (log != NULL && log_roll_due(log, append->validated.size, append->validated.max_timestamp,
                                     sys_wall_ms(partition->sys)));
    return partition_submit(partition, &append->write);
}

void partition_append_refuse(struct partition *partition, struct partition_append *append,
                             err_t err) {
    refused_note(partition, append, err);
    append->write.err = err;
}

err_t partition_txn_is_open(struct partition *partition, int64_t producer_id, int16_t epoch,
                            bool *ret_open, int64_t *ret_guard) {
    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, PARTITION_ANY_EPOCH);
    struct log *log = partition->log;
    sys_lock_give(&partition->lock);
    if (err != ERR_OK) {
        return err;
    }
    if (log != NULL) {
        return log_txn_is_open(log, producer_id, epoch, ret_open, ret_guard);
    }
    *ret_open = false; /* it is being made, and nobody wrote to it */
    *ret_guard = LOG_TXN_GUARD_NEW;
    return ERR_OK;
}

void partition_append_done(struct partition_append *append) {
    buffer_done(&append->recompressed);
}
