/*
 * The table of partitions, and how it follows the image
 *
 *   the image says                    what is done
 *   -------------------------------   ---------------------------------------------------------
 *   topic made, we are a replica      partition in the table (OPENING), its log made by a worker;
 *                                     OFFLINE when its directory is not here
 *   partition changed                 leadership, epochs and replicas in sync are taken over
 *   topic deleted                     out of the table, DELETED, folder renamed by a worker
 *   topic or broker settings changed  partitions of that topic, or all, are configured
 *
 * A topic that is deleted and made again under its name must wait for its old folder to be out of
 * the way (opening.c).
 */
#include "replica/replicas_int.h"

#include <assert.h>
#include <stdlib.h>

#include "replica/topic_config.h"

void replica_key(struct uuid topic_id, int32_t index, uint8_t key[20]) {
    memcpy(key, topic_id.bytes, sizeof topic_id.bytes);
    put_be32(key + sizeof topic_id.bytes, (uint32_t)index);
}

struct replicas *replicas_new(const struct replicas_settings *settings) {
    struct replicas *replicas = calloc(1, sizeof *replicas);
    replicas->sys = settings->sys;
    replicas->loop = settings->loop;
    replicas->text_log = settings->text_log;
    replicas->node_id = settings->node_id;
    replicas->volume_count = settings->volume_count;
    replicas->data_volume_count = settings->data_volume_count;
    replicas->volumes_missing = settings->volumes_missing;
    replicas->volumes = calloc((size_t)settings->volume_count, sizeof *replicas->volumes);
    memcpy(replicas->volumes, settings->volumes,
           (size_t)settings->volume_count * sizeof *replicas->volumes);
    replicas->volume_logs = calloc((size_t)settings->volume_count, sizeof *replicas->volume_logs);
    config_ref(settings->config);
    replicas->config = settings->config;
    replicas->misplaced = settings->misplaced;
    replicas->misplaced_arg = settings->arg;
    sys_lock_init(&replicas->lock, SYS_RANK_REPLICAS);
    map_init(&replicas->table);
    map_init(&replicas->leavings);
    map_init(&replicas->openings);
    list_init(&replicas->listings);
    replicas_upkeep_new(replicas);
    return replicas;
}

void replicas_free(struct replicas *replicas) {
    if (replicas == NULL) {
        return;
    }
    assert(replicas->tasks_running == 0);
    sys_timer_clear(replicas->loop, &replicas->upkeep_timer);
    replicas_upkeep_free(replicas);
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        partition_unref(replica->partition);
        free(replica);
    }
    map_done(&replicas->table);
    map_done(&replicas->leavings);
    map_done(&replicas->openings);
    meta_image_unref(replicas->image);
    config_unref(replicas->config);
    free(replicas->volume_logs);
    free(replicas->volumes);
    free(replicas);
}

/* --- the table --- */

static void count_log(struct replicas *replicas, const struct volume *volume, int change) {
    for (int i = 0; i < replicas->volume_count; i++) {
        if (replicas->volumes[i] == volume) {
            replicas->volume_logs[i] += (size_t)change;
        }
    }
}

void replicas_put(struct replicas *replicas, struct partition *partition, struct volume *volume,
                  bool found) {
    struct replica *replica = calloc(1, sizeof *replica);
    replica_key(partition_topic_id(partition), partition_index(partition), replica->key);
    replica->partition = partition;
    replica->volume = volume;
    replica->found = found;
    count_log(replicas, volume, 1);
    if (volume != NULL) {
        replicas_note_addition(replicas, volume);
    }
    sys_lock_take(&replicas->lock);
    void *before =
        map_put(&replicas->table, (struct bytes){replica->key, sizeof replica->key}, replica);
    sys_lock_give(&replicas->lock);
    assert(before == NULL);
}

/* The topic is gone. */
static void remove_replica(struct replicas *replicas, struct replica *replica) {
    struct partition *partition = replica->partition;
    sys_lock_take(&replicas->lock);
    void *removed = map_remove(&replicas->table, (struct bytes){replica->key, sizeof replica->key});
    sys_lock_give(&replicas->lock);
    assert(removed == replica);
    partition_set_deleted(partition);
    if (replica->volume != NULL) {
        count_log(replicas, replica->volume, -1);
        replicas_remove_log(replicas, partition, replica->volume);
    }
    partition_unref(partition);
    free(replica);
}

/* With the lock, or on the loop, which alone changes the table. */
static struct replica *find_replica(struct replicas *replicas, struct uuid topic_id,
                                    int32_t index) {
    uint8_t key[20];
    replica_key(topic_id, index, key);
    return map_get(&replicas->table, (struct bytes){key, sizeof key});
}

struct partition *replicas_find(struct replicas *replicas, struct uuid topic_id, int32_t index) {
    sys_lock_take(&replicas->lock);
    struct replica *replica = find_replica(replicas, topic_id, index);
    struct partition *partition = replica == NULL ? NULL : partition_ref(replica->partition);
    sys_lock_give(&replicas->lock);
    return partition;
}

struct partition **replicas_list(struct replicas *replicas, size_t *ret_count) {
    sys_lock_take(&replicas->lock);
    struct partition **list = calloc(map_count(&replicas->table) + 1, sizeof *list);
    size_t count = 0;
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        list[count++] = partition_ref(replica->partition);
    }
    sys_lock_give(&replicas->lock);
    *ret_count = count;
    return list;
}

size_t replicas_count(const struct replicas *replicas) {
    return map_count(&replicas->table);
}

int replicas_volume_count(const struct replicas *replicas) {
    return replicas->volume_count;
}

int replicas_data_volume_count(const struct replicas *replicas) {
    return replicas->data_volume_count;
}

struct volume *replicas_volume(const struct replicas *replicas, int index) {
    return replicas->volumes[index];
}

/* --- following the image --- */

static void configure(struct replicas *replicas, const struct meta_topic *topic) {
    struct partition_config config;
    topic_config_read(replicas->image, topic->name, replicas->node_id, replicas->config, &config);
    struct pmap_walk walk;
    const struct meta_partition *state;
    pmap_for_each(&walk, &topic->partitions, state) {
        struct partition *partition = replicas_find(replicas, topic->id, state->id);
        if (partition != NULL) {
            partition_configure(partition, &config);
            partition_unref(partition);
        }
    }
}

static void configure_all(struct replicas *replicas) {
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, &replicas->image->topics, topic) {
        configure(replicas, topic);
    }
}

/* Tells when the metadata does not know where the replica is: the broker chose (KIP-858). */
static void check_place(struct replicas *replicas, struct uuid topic_id,
                        const struct meta_partition *state, const struct volume *volume) {
    if (volume != NULL && replicas->misplaced != NULL && !uuid_is_zero(volume->id) &&
        !uuid_equal(meta_partition_directory(state, replicas->node_id), volume->id)) {
        replicas->misplaced(replicas->misplaced_arg, topic_id, state->id, volume->id);
    }
}

static void note_unplaced(struct replicas *replicas, const struct meta_topic *topic,
                          const struct meta_partition *state) {
    if (replicas->unplaced++ == 0) {
        log_folder_format(topic->name, state->id, LOG_FOLDER_CURRENT, UUID_ZERO,
                          replicas->unplaced_name);
    }
}

/* Once for all partitions of an image. */
static void tell_unplaced(struct replicas *replicas) {
    if (replicas->unplaced > 0) {
        text_log_error(replicas->text_log, "replica",
                       "%zu partitions are offline (%s%s): their log directory is not among "
                       "log.dirs, or cannot be used",
                       replicas->unplaced, replicas->unplaced_name,
                       replicas->unplaced > 1 ? ", …" : "");
        replicas->unplaced = 0;
    }
}

static void create(struct replicas *replicas, const struct meta_topic *topic,
                   const struct meta_partition *state, const struct partition_config *config) {
    struct partition *partition =
        partition_new(replicas->sys, topic->name, topic->id, state->id, replicas->node_id);
    partition_configure(partition, config);
    partition_set_leadership(partition, state);
    struct volume *volume = replicas_choose_volume(replicas, state);
    replicas_put(replicas, partition, volume, false);
    if (volume == NULL || log_directory_state(volume->directory) != ERR_OK) {
        note_unplaced(replicas, topic, state);
        partition_set_offline(partition);
    } else {
        replicas_open_log(replicas, partition, volume, NULL);
    }
    check_place(replicas, topic->id, state, volume);
}

/* A partition as the image has it: a replica of this node is made, or told. */
static void apply_partition(struct replicas *replicas, const struct meta_topic *topic,
                            const struct meta_partition *state,
                            const struct partition_config *config) {
    struct replica *replica = find_replica(replicas, topic->id, state->id);
    if (replica != NULL) {
        partition_set_leadership(replica->partition, state);
        check_place(replicas, topic->id, state, replica->volume);
    } else if (meta_partition_has_replica(state, replicas->node_id)) {
        create(replicas, topic, state, config);
    }
}

static void apply_partitions(struct replicas *replicas, const struct meta_topic *topic,
                             const struct meta_topic_change *change) {
    struct partition_config config;
    topic_config_read(replicas->image, topic->name, replicas->node_id, replicas->config, &config);
    for (int32_t i = 0; i < change->partition_count; i++) {
        const struct meta_partition *state = meta_topic_partition(topic, change->partitions[i]);
        if (state != NULL) {
            apply_partition(replicas, topic, state, &config);
        }
    }
    tell_unplaced(replicas);
}

static void delete_topic(struct replicas *replicas, struct uuid topic_id,
                         const struct meta_image *before) {
    const struct meta_topic *topic = meta_image_topic_by_id(before, topic_id);
    if (topic == NULL) {
        return; /* made and deleted within the change */
    }
    struct pmap_walk walk;
    const struct meta_partition *state;
    pmap_for_each(&walk, &topic->partitions, state) {
        struct replica *replica = find_replica(replicas, topic_id, state->id);
        if (replica != NULL) {
            remove_replica(replicas, replica);
        }
    }
}

static void delete_unknown(struct replicas *replicas) {
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        if (meta_image_topic_by_id(replicas->image, partition_topic_id(replica->partition)) ==
            NULL) {
            remove_replica(replicas, replica);
        }
    }
}

void replicas_follow(struct replicas *replicas) {
    delete_unknown(replicas);
    struct pmap_walk topics;
    const struct meta_topic *topic;
    pmap_for_each(&topics, &replicas->image->topics, topic) {
        struct partition_config config;
        topic_config_read(replicas->image, topic->name, replicas->node_id, replicas->config,
                          &config);
        struct pmap_walk walk;
        const struct meta_partition *state;
        pmap_for_each(&walk, &topic->partitions, state) {
            apply_partition(replicas, topic, state, &config);
        }
    }
}

void replicas_catch_up(struct replicas *replicas, struct meta_image *image) {
    assert(replicas->following);
    struct meta_image *before = replicas->image;
    replicas->image = meta_image_ref(image);
    replicas_follow(replicas);
    configure_all(replicas);
    meta_image_unref(before);
}

static void apply_configs(struct replicas *replicas, const struct meta_changes *changes) {
    for (int32_t i = 0; i < changes->config_count; i++) {
        const struct meta_config_change *change = &changes->configs[i];
        if (change->type == META_RESOURCE_BROKER) {
            configure_all(replicas);
            return;
        }
    }
    for (int32_t i = 0; i < changes->config_count; i++) {
        const struct meta_config_change *change = &changes->configs[i];
        const struct meta_topic *topic = change->type == META_RESOURCE_TOPIC
                                             ? meta_image_topic(replicas->image, change->name)
                                             : NULL;
        if (topic != NULL) {
            configure(replicas, topic);
        }
    }
}

void replicas_apply(struct replicas *replicas, struct meta_image *image,
                    const struct meta_changes *changes) {
    assert(replicas->following);
    struct meta_image *before = replicas->image;
    replicas->image = meta_image_ref(image);

    for (int32_t i = 0; i < changes->topic_count; i++) {
        if (changes->topics[i].change == META_DELETED) {
            delete_topic(replicas, changes->topics[i].id, before);
        }
    }
    for (int32_t i = 0; i < changes->topic_count; i++) {
        const struct meta_topic_change *change = &changes->topics[i];
        const struct meta_topic *topic = meta_image_topic_by_id(image, change->id);
        if (change->change != META_DELETED && topic != NULL) {
            apply_partitions(replicas, topic, change);
        }
    }
    tell_unplaced(replicas);
    apply_configs(replicas, changes);
    meta_image_unref(before);
}

void replicas_configure(struct replicas *replicas, struct config *config) {
    config_ref(config);
    config_unref(replicas->config);
    replicas->config = config;
    if (replicas->image != NULL) {
        configure_all(replicas);
    }
    replicas_upkeep_configure(replicas);
}
