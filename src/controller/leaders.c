/*
 * Who leads, when a broker comes or goes.
 *
 * Every partition that the change concerns gets the record that partition_change.c builds. They are
 * found by walking all partitions: brokers come and go rarely, and no index has to be kept true. An
 * index by broker belongs here when a cluster's size asks for it.
 */
#include <assert.h>

#include "controller/controller_int.h"

bool feature_elr_enabled(const struct meta_image *image) {
    return meta_image_feature(image, STR("eligible.leader.replicas.version")) >= 1;
}

static bool contains(const int32_t *ids, int32_t count, int32_t id) {
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool concerns(const struct leaders_change *change, const struct meta_partition *partition) {
    switch (change->of) {
    case LEADERS_IN_ISR:
        return meta_partition_in_isr(partition, change->broker_id);
    case LEADERS_IN_ELR:
        return contains(partition->elr, partition->elr_count, change->broker_id);
    case LEADERS_NONE:
        return partition->leader == META_LEADER_NONE;
    case LEADERS_IN_DIRECTORY:
        return meta_partition_has_replica(partition, change->broker_id) &&
               uuid_equal(meta_partition_directory(partition, change->broker_id),
                          change->directory);
    }
    return false;
}

/* A topic's own number, or fewer when it has fewer replicas. */
static int32_t effective_min_isr(const struct config_layers *layers,
                                 const struct meta_topic *topic) {
    struct config *config = config_resolve(CONFIG_TOPIC, layers);
    int32_t min_isr = config_int(config, TOPIC_CONFIG_MIN_INSYNC_REPLICAS);
    config_unref(config);
    const struct meta_partition *first = meta_topic_partition(topic, 0);
    return first != NULL && first->replica_count < min_isr ? first->replica_count : min_isr;
}

static bool unclean_allowed(const struct config_layers *layers) {
    struct config *config = config_resolve(CONFIG_TOPIC, layers);
    bool allowed = config_bool(config, TOPIC_CONFIG_UNCLEAN_LEADER_ELECTION_ENABLE);
    config_unref(config);
    return allowed;
}

void partition_change_init(struct partition_change *change, struct controller *controller,
                           const struct leaders_change *cause, const struct meta_topic *topic) {
    struct config_layers layers = controller_config_layers(controller, topic->name);
    *change = (struct partition_change){
        .image = controller->image,
        .cause = cause,
        .topic = topic,
        .min_isr = effective_min_isr(&layers, topic),
        .elr_enabled = feature_elr_enabled(controller->image),
        .unclean_allowed = unclean_allowed(&layers),
    };
}

void partition_change_add(const struct partition_change *change, struct strand_output *output) {
    struct partition_change_record *body = partition_change_build(change, output->arena);
    if (body != NULL) {
        struct meta_record *record = ARENA_NEW(output->arena, struct meta_record);
        record->type = META_RECORD_PARTITION_CHANGE;
        record->version =
            meta_record_version(record->type, meta_image_metadata_version(change->image));
        record->message = body;
        strand_output_add(output, record);
    }
}

static void update_topic(struct controller *controller, const struct leaders_change *cause,
                         const struct meta_topic *topic, struct strand_output *output) {
    struct partition_change change = {.image = NULL};
    struct pmap_walk walk;
    const struct meta_partition *partition;
    pmap_for_each(&walk, &topic->partitions, partition) {
        if (concerns(cause, partition)) {
            if (change.image == NULL) { /* the first of this topic */
                partition_change_init(&change, controller, cause, topic);
            }
            change.partition = partition;
            partition_change_add(&change, output);
        }
    }
}

void leaders_update(struct controller *controller, const struct leaders_change *change,
                    struct strand_output *output) {
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, &controller->image->topics_by_id, topic) {
        update_topic(controller, change, topic, output);
    }
}

bool leaders_has_any(const struct meta_image *image, int32_t broker_id) {
    struct pmap_walk topics, partitions;
    const struct meta_topic *topic;
    const struct meta_partition *partition;
    pmap_for_each(&topics, &image->topics, topic) {
        pmap_for_each(&partitions, &topic->partitions, partition) {
            if (partition->leader == broker_id) {
                return true;
            }
        }
    }
    return false;
}
