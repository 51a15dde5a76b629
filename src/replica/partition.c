/*
 * A partition's state
 *
 *   state      log    operations get                how it is left
 *   --------   ----   ---------------------------   -------------------------------------
 *   OPENING    NULL   see below                     partition_set_log, partition_set_offline
 *   ONLINE     open   what the log says             partition_set_offline, partition_set_deleted
 *   OFFLINE    any    KAFKA_STORAGE_ERROR, but      partition_set_log, if there is none; else
 *                     NOT_LEADER without a log      the next start
 *                     and without being leader
 *   DELETED    any    UNKNOWN_TOPIC_OR_PARTITION    the last reference
 *
 * A node serves only after the logs it had are open, so a partition that is OPENING while there are
 * clients is being created, and is empty: readers find nothing at offset 0, and writes stand in the
 * queue until the log is there (whoever opens it holds the writer token). So a client may use a
 * topic at once.
 *
 * The high watermark is the log's. While this node is the only replica in sync every append moves
 * it to the log's end before anyone is told (append.c); with followers it will be the least of
 * their ends.
 *
 * The log is freed with the last reference, so that whoever reads is never surprised.
 */
#include "replica/partition_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct partition *partition_new(struct sys *sys, struct str topic, struct uuid topic_id,
                                int32_t index, int32_t node_id) {
    enum { NUMBER_SIZE_MAX = 13 };
    struct partition *partition = calloc(1, sizeof *partition + topic.size + NUMBER_SIZE_MAX);
    char *name = (char *)(partition + 1);
    memcpy(name, topic.data, topic.size);
    int number_size = snprintf(name + topic.size, NUMBER_SIZE_MAX, "-%d", (int)index);

    atomic_init(&partition->references, 1);
    partition->sys = sys;
    partition->index = index;
    partition->node_id = node_id;
    partition->topic_id = topic_id;
    partition->topic = (struct str){.data = name, .size = topic.size};
    partition->name = (struct str){.data = name, .size = topic.size + (size_t)number_size};
    partition->leader = META_LEADER_NONE;
    partition->leader_epoch = -1;
    sys_lock_init(&partition->lock, SYS_RANK_PARTITION);
    list_init(&partition->writes);
    list_init(&partition->waiters);
    partition->writing = true; /* until the log is there */
    return partition;
}

struct partition *partition_ref(struct partition *partition) {
    atomic_fetch_add_explicit(&partition->references, 1, memory_order_relaxed);
    return partition;
}

void partition_unref(struct partition *partition) {
    if (partition == NULL ||
        atomic_fetch_sub_explicit(&partition->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    assert(list_empty(&partition->writes));
    assert(list_empty(&partition->waiters));
    log_free(partition->log);
    free(partition);
}

struct str partition_topic(const struct partition *partition) {
    return partition->topic;
}

struct uuid partition_topic_id(const struct partition *partition) {
    return partition->topic_id;
}

int32_t partition_index(const struct partition *partition) {
    return partition->index;
}

err_t partition_check(const struct partition *partition, int32_t leader_epoch) {
    switch (partition->state) {
    case PARTITION_OFFLINE:
        if (partition->log != NULL || partition->leader == partition->node_id) {
            return ERR_KAFKA_STORAGE_ERROR;
        }
        break; /* nothing was here to be led */
    case PARTITION_DELETED:
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    case PARTITION_OPENING:
    case PARTITION_ONLINE:
        break;
    }
    if (partition->volume != NULL && log_directory_state(partition->volume->directory) != ERR_OK) {
        return ERR_KAFKA_STORAGE_ERROR;
    }
    if (leader_epoch != PARTITION_ANY_EPOCH && leader_epoch < partition->leader_epoch) {
        return ERR_FENCED_LEADER_EPOCH;
    }
    if (leader_epoch != PARTITION_ANY_EPOCH && leader_epoch > partition->leader_epoch) {
        return ERR_UNKNOWN_LEADER_EPOCH;
    }
    return partition->leader == partition->node_id ? ERR_OK : ERR_NOT_LEADER_OR_FOLLOWER;
}

void partition_wake_locked(struct partition *partition) {
    struct list *link;
    list_for_each (link, &partition->waiters) {
        struct partition_waiter *waiter = container_of(link, struct partition_waiter, link);
        if (!atomic_exchange(waiter->posted, true)) {
            sys_loop_post(waiter->loop, waiter->task);
        }
    }
}

void partition_wake(struct partition *partition) {
    sys_lock_take(&partition->lock);
    partition_wake_locked(partition);
    sys_lock_give(&partition->lock);
}

void partition_set_leadership(struct partition *partition, const struct meta_partition *state) {
    sys_lock_take(&partition->lock);
    if (state->leader_epoch != partition->leader_epoch) {
        partition->epoch_started = false;
    }
    partition->leader = state->leader;
    partition->leader_epoch = state->leader_epoch;
    partition->replica_count = state->replica_count;
    partition->isr_count = state->isr_count;
    partition_wake_locked(partition);
    sys_lock_give(&partition->lock);
}

void partition_configure(struct partition *partition, const struct partition_config *config) {
    sys_lock_take(&partition->lock);
    bool switched = partition->config.log.cleanup_compact != config->log.cleanup_compact;
    partition->config = *config;
    struct log *log = partition->log;
    sys_lock_give(&partition->lock);
    if (switched) {
        atomic_store(&partition->uncleanable, false); /* who mended it says so by this */
    }
    if (log != NULL) {
        log_configure(log, &config->log);
    }
}

void partition_log_config(struct partition *partition, struct log_config *ret_config) {
    sys_lock_take(&partition->lock);
    *ret_config = partition->config.log;
    sys_lock_give(&partition->lock);
}

void partition_set_log(struct partition *partition, struct volume *volume, struct log *log) {
    struct log_config config;
    partition_log_config(partition, &config);
    log_configure(log, &config);
    /* The only replica is committed to its end: nobody else could say otherwise. */
    log_high_watermark_set(log, log_end_offset(log));
    sys_lock_take(&partition->lock);
    assert(partition->log == NULL);
    bool has_token = partition->writing; /* not when it was offline meanwhile */
    partition->volume = volume;
    partition->log = log;
    if (partition->state != PARTITION_DELETED) {
        partition->state = PARTITION_ONLINE;
    }
    partition_wake_locked(partition);
    sys_lock_give(&partition->lock);
    if (has_token) {
        partition_drain(partition);
    }
}

static void leave(struct partition *partition, enum partition_state state) {
    sys_lock_take(&partition->lock);
    if (partition->state != PARTITION_DELETED) {
        partition->state = state;
    }
    partition_wake_locked(partition);
    sys_lock_give(&partition->lock);
}

void partition_set_offline(struct partition *partition) {
    bool opened = partition_log(partition) != NULL;
    leave(partition, PARTITION_OFFLINE);
    if (!opened) {
        partition_drain(partition);
    }
}

void partition_set_deleted(struct partition *partition) {
    leave(partition, PARTITION_DELETED);
}

struct log *partition_log(struct partition *partition) {
    sys_lock_take(&partition->lock);
    struct log *log = partition->log;
    sys_lock_give(&partition->lock);
    return log;
}

struct volume *partition_volume(struct partition *partition) {
    sys_lock_take(&partition->lock);
    struct volume *volume = partition->volume;
    sys_lock_give(&partition->lock);
    return volume;
}

void partition_replication(struct partition *partition, struct partition_replication *ret) {
    sys_lock_take(&partition->lock);
    int32_t wanted = partition->config.min_insync_replicas;
    *ret = (struct partition_replication){
        .replica_count = partition->replica_count,
        .isr_count = partition->isr_count,
        .min_isr = wanted < partition->replica_count ? wanted : partition->replica_count,
        .leader = partition->leader == partition->node_id,
    };
    sys_lock_give(&partition->lock);
}

bool partition_is_offline(struct partition *partition) {
    sys_lock_take(&partition->lock);
    bool offline =
        partition->state == PARTITION_OFFLINE ||
        (partition->volume != NULL && log_directory_state(partition->volume->directory) != ERR_OK);
    sys_lock_give(&partition->lock);
    return offline;
}
