/* Topics and partitions: how records change them. */
#include <assert.h>
#include <stdlib.h>

#include "meta/delta_int.h"

enum {
    LEADER_NO_CHANGE = -2,
    RECOVERY_NO_CHANGE = -1,
};

/* --- work entries --- */

static struct topic_work *work_of(struct meta_delta *delta, const struct meta_topic *topic) {
    struct topic_work *work = map_get(&delta->topics, uuid_bytes(&topic->id));
    if (work == NULL) {
        work = delta_calloc(sizeof *work);
        work->change = META_CHANGED;
        work->id = topic->id;
        work->name = bytes_str(delta_dup(str_bytes(topic->name)));
        list_add_last(&delta->topic_list, &work->link);
        (void)map_put(&delta->topics, uuid_bytes(&work->id), work);
    }
    return work;
}

static void work_free(struct meta_delta *delta, struct topic_work *work) {
    list_remove(&work->link);
    (void)map_remove(&delta->topics, uuid_bytes(&work->id));
    free((char *)work->name.data);
    free(work->partitions);
    free(work);
}

static int compare_ids(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_partitions(struct topic_work *work) {
    if (work->partition_count == 0) {
        return;
    }
    qsort(work->partitions, work->partition_count, sizeof *work->partitions, compare_ids);
    size_t kept = 1;
    for (size_t i = 1; i < work->partition_count; i++) {
        if (work->partitions[i] != work->partitions[kept - 1]) {
            work->partitions[kept++] = work->partitions[i];
        }
    }
    work->partition_count = kept;
}

/* Repetitions are thrown out before growing, so that a long replay stays small. */
static void note_partition(struct topic_work *work, int32_t partition) {
    if (work->change == META_CREATED) {
        return;
    }
    if (work->partition_count == work->partition_capacity) {
        sort_partitions(work);
        if (work->partition_count * 2 >= work->partition_capacity) {
            work->partition_capacity = work->partition_capacity * 2 + 4;
            work->partitions =
                realloc(work->partitions, work->partition_capacity * sizeof *work->partitions);
            if (work->partitions == NULL) {
                abort();
            }
        }
    }
    work->partitions[work->partition_count++] = partition;
}

/* --- putting things into the image --- */

static void put_topic(struct meta_delta *delta, struct meta_topic *topic) {
    shared_ref(&topic->shared);
    pmap_put(&delta->image->topics, str_bytes(topic->name), &topic->shared);
    pmap_put(&delta->image->topics_by_id, uuid_bytes(&topic->id), &topic->shared);
}

/* The topic as one that this delta may change. */
static struct meta_topic *own_topic(struct meta_delta *delta, struct topic_work *work,
                                    const struct meta_topic *topic) {
    if (work->fresh == NULL) {
        work->fresh = meta_topic_copy(topic);
        put_topic(delta, work->fresh);
    }
    return work->fresh;
}

static void put_partition(struct meta_delta *delta, const struct meta_topic *topic,
                          const struct meta_partition *partition) {
    struct topic_work *work = work_of(delta, topic);
    struct meta_partition *copy = meta_partition_copy(partition);
    struct meta_topic *own = own_topic(delta, work, topic);
    size_t before = own->partitions.count;
    pmap_put_u64(&own->partitions, id_key(copy->id), &copy->shared);
    delta->image->partition_count += (int64_t)(own->partitions.count - before);
    note_partition(work, copy->id);
}

static err_t unknown_topic(struct meta_delta *delta, const char *record, struct uuid id) {
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    return delta_refuse(delta, "%s: there is no topic with id %s", record, text);
}

/* --- records --- */

err_t delta_topic(struct meta_delta *delta, const struct topic_record *record) {
    if (record->name.data == NULL || record->name.size == 0) {
        return delta_refuse(delta, "TopicRecord: a topic without a name");
    }
    if (meta_image_topic(delta->image, record->name) != NULL ||
        map_get(&delta->topics, uuid_bytes(&record->topic_id)) != NULL ||
        meta_image_topic_by_id(delta->image, record->topic_id) != NULL) {
        return delta_refuse(delta, "TopicRecord: topic %.*s, or its id, is there already",
                            STR_ARGS(record->name));
    }
    struct meta_topic topic = {.id = record->topic_id, .name = record->name};
    struct topic_work *work = work_of(delta, &topic);
    work->change = META_CREATED;
    (void)own_topic(delta, work, &topic);
    return ERR_OK;
}

/* Directories as the record has them; without any, all are MIGRATING (zero), as in old clusters. */
static const struct uuid *directories_or_zero(const struct uuid *directories, int32_t count,
                                              int32_t replica_count, struct uuid **ret_zeros) {
    *ret_zeros = NULL;
    if (count > 0 || replica_count == 0) {
        return directories;
    }
    *ret_zeros = delta_calloc((size_t)replica_count * sizeof(struct uuid));
    return *ret_zeros;
}

static int32_t count_or_zero(int32_t count) {
    return count < 0 ? 0 : count;
}

err_t delta_partition(struct meta_delta *delta, const struct partition_record *record) {
    const struct meta_topic *topic = meta_image_topic_by_id(delta->image, record->topic_id);
    if (topic == NULL) {
        return unknown_topic(delta, "PartitionRecord", record->topic_id);
    }
    if (record->partition_id < 0) {
        return delta_refuse(delta, "PartitionRecord: partition %d of topic %.*s",
                            record->partition_id, STR_ARGS(topic->name));
    }
    if (record->directories_count > 0 && record->directories_count != record->replicas_count) {
        return delta_refuse(delta, "PartitionRecord: %d directories for %d replicas of %.*s-%d",
                            record->directories_count, record->replicas_count,
                            STR_ARGS(topic->name), record->partition_id);
    }
    struct uuid *zeros;
    struct meta_partition partition = {
        .id = record->partition_id,
        .leader = record->leader,
        .leader_epoch = record->leader_epoch,
        .partition_epoch = record->partition_epoch,
        .leader_recovery_state = record->leader_recovery_state,
        .replica_count = record->replicas_count,
        .replicas = record->replicas,
        .directories = directories_or_zero(record->directories, record->directories_count,
                                           record->replicas_count, &zeros),
        .isr_count = record->isr_count,
        .isr = record->isr,
        .removing_count = record->removing_replicas_count,
        .removing = record->removing_replicas,
        .adding_count = record->adding_replicas_count,
        .adding = record->adding_replicas,
        .elr_count = count_or_zero(record->eligible_leader_replicas_count),
        .elr = record->eligible_leader_replicas,
        .last_known_elr_count = count_or_zero(record->last_known_elr_count),
        .last_known_elr = record->last_known_elr,
    };
    put_partition(delta, topic, &partition);
    free(zeros);
    return ERR_OK;
}

/* Replaces a list by that of a change record; a null one (count -1) means no change. */
static void merge_ids(const int32_t **ids, int32_t *count, const int32_t *new_ids,
                      int32_t new_count) {
    if (new_count >= 0) {
        *ids = new_ids;
        *count = new_count;
    }
}

static bool all_zero(const struct uuid *ids, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        if (!uuid_is_zero(ids[i])) {
            return false;
        }
    }
    return true;
}

static void merge_change(struct meta_partition *partition,
                         const struct partition_change_record *record) {
    merge_ids(&partition->replicas, &partition->replica_count, record->replicas,
              record->replicas_count);
    merge_ids(&partition->isr, &partition->isr_count, record->isr, record->isr_count);
    merge_ids(&partition->removing, &partition->removing_count, record->removing_replicas,
              record->removing_replicas_count);
    merge_ids(&partition->adding, &partition->adding_count, record->adding_replicas,
              record->adding_replicas_count);
    merge_ids(&partition->elr, &partition->elr_count, record->eligible_leader_replicas,
              record->eligible_leader_replicas_count);
    merge_ids(&partition->last_known_elr, &partition->last_known_elr_count, record->last_known_elr,
              record->last_known_elr_count);
    if (record->leader != LEADER_NO_CHANGE) { /* also when it is the same one: it was elected */
        partition->leader = record->leader;
        partition->leader_epoch++;
    }
    if (record->leader_recovery_state != RECOVERY_NO_CHANGE) {
        partition->leader_recovery_state = record->leader_recovery_state;
    }
    partition->partition_epoch++;
}

err_t delta_partition_change(struct meta_delta *delta,
                             const struct partition_change_record *record) {
    const struct meta_topic *topic = meta_image_topic_by_id(delta->image, record->topic_id);
    if (topic == NULL) {
        return unknown_topic(delta, "PartitionChangeRecord", record->topic_id);
    }
    const struct meta_partition *before = meta_topic_partition(topic, record->partition_id);
    if (before == NULL) {
        return delta_refuse(delta, "PartitionChangeRecord: there is no partition %.*s-%d",
                            STR_ARGS(topic->name), record->partition_id);
    }
    struct meta_partition after = *before;
    merge_change(&after, record);
    struct uuid *zeros = NULL;
    if (record->directories_count >= 0) {
        after.directories = directories_or_zero(record->directories, record->directories_count,
                                                after.replica_count, &zeros);
    } else if (after.replica_count != before->replica_count &&
               all_zero(before->directories, before->replica_count)) {
        after.directories = directories_or_zero(NULL, 0, after.replica_count, &zeros);
    }
    bool fits = zeros != NULL ||
                after.replica_count == (record->directories_count >= 0 ? record->directories_count
                                                                       : before->replica_count);
    if (fits) {
        put_partition(delta, topic, &after);
    }
    free(zeros);
    return fits ? ERR_OK
                : delta_refuse(delta,
                               "PartitionChangeRecord: as many directories as replicas are "
                               "needed in %.*s-%d",
                               STR_ARGS(topic->name), record->partition_id);
}

err_t delta_remove_topic(struct meta_delta *delta, const struct remove_topic_record *record) {
    struct meta_topic *topic = pmap_get(&delta->image->topics_by_id, uuid_bytes(&record->topic_id));
    if (topic == NULL) {
        return unknown_topic(delta, "RemoveTopicRecord", record->topic_id);
    }
    shared_ref(&topic->shared); /* its name and id are the keys to remove */
    struct topic_work *work = work_of(delta, topic);
    delta->image->partition_count -= (int64_t)topic->partitions.count;
    pmap_remove(&delta->image->topics, str_bytes(topic->name));
    pmap_remove(&delta->image->topics_by_id, uuid_bytes(&topic->id));
    delta_drop_configs(delta, META_RESOURCE_TOPIC, topic->name);
    if (work->change == META_CREATED) {
        work_free(delta, work); /* nobody has ever seen it */
    } else {
        work->change = META_DELETED;
        work->fresh = NULL;
        work->partition_count = 0;
    }
    shared_unref(&topic->shared);
    return ERR_OK;
}

static void clear_elr_of(struct meta_delta *delta, struct meta_topic *topic) {
    shared_ref(&topic->shared);
    struct pmap partitions = pmap_copy(&topic->partitions); /* it changes under the walk */
    struct pmap_walk walk;
    const struct meta_partition *partition;
    pmap_for_each(&walk, &partitions, partition) {
        if (partition->elr_count > 0 || partition->last_known_elr_count > 0) {
            struct meta_partition cleared = *partition;
            cleared.elr_count = 0;
            cleared.last_known_elr_count = 0;
            cleared.partition_epoch++;
            put_partition(delta, topic, &cleared);
        }
    }
    pmap_done(&partitions);
    shared_unref(&topic->shared);
}

/* An empty name means all topics. */
err_t delta_clear_elr(struct meta_delta *delta, const struct clear_elr_record *record) {
    if (record->topic_name.size > 0) {
        struct meta_topic *topic = pmap_get(&delta->image->topics, str_bytes(record->topic_name));
        if (topic == NULL) {
            return delta_refuse(delta, "ClearElrRecord: there is no topic %.*s",
                                STR_ARGS(record->topic_name));
        }
        clear_elr_of(delta, topic);
        return ERR_OK;
    }
    struct pmap topics = pmap_copy(&delta->image->topics);
    struct pmap_walk walk;
    struct meta_topic *topic;
    pmap_for_each(&walk, &topics, topic) {
        clear_elr_of(delta, topic);
    }
    pmap_done(&topics);
    return ERR_OK;
}

/* --- the end --- */

void delta_topics_done(struct meta_delta *delta) {
    struct list *link;
    while ((link = list_first(&delta->topic_list)) != NULL) {
        work_free(delta, container_of(link, struct topic_work, link));
    }
    map_done(&delta->topics);
}

void delta_list_partitions(const struct meta_topic *topic, struct meta_topic_change *change) {
    change->partitions = delta_calloc((topic->partitions.count + 1) * sizeof(int32_t));
    struct pmap_walk walk;
    const struct meta_partition *partition;
    pmap_for_each(&walk, &topic->partitions, partition) {
        change->partitions[change->partition_count++] = partition->id;
    }
}

void delta_topics_finish(struct meta_delta *delta, struct meta_changes *changes) {
    changes->topics = delta_calloc((map_count(&delta->topics) + 1) * sizeof *changes->topics);
    struct list *link;
    list_for_each (link, &delta->topic_list) {
        struct topic_work *work = container_of(link, struct topic_work, link);
        struct meta_topic_change *change = &changes->topics[changes->topic_count++];
        change->change = work->change;
        change->id = work->id;
        change->name = work->name;
        work->name = STR_NULL; /* moved */
        if (work->change == META_CREATED) {
            delta_list_partitions(work->fresh, change);
        } else {
            sort_partitions(work);
            change->partitions = work->partitions;
            change->partition_count = (int32_t)work->partition_count;
            work->partitions = NULL;
        }
    }
}
