/*
 * An image as the records that make it, in Kafka's order of sections:
 *
 *   metadata.version, other features, brokers, controllers, topics each with its partitions,
 *   configs, client quotas, producer ids, ACLs, SCRAM credentials, delegation tokens
 *
 * What the image's metadata.version cannot say is left out, as Kafka does.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "meta/object_int.h"
#include "meta/snapshot.h"
#include "wire/codec.h"

enum section {
    SECTION_METADATA_VERSION,
    SECTION_FEATURES,
    SECTION_BROKERS,
    SECTION_CONTROLLERS,
    SECTION_TOPICS,
    SECTION_CONFIGS,
    SECTION_QUOTAS,
    SECTION_PRODUCER_IDS,
    SECTION_ACLS,
    SECTION_SCRAMS,
    SECTION_TOKENS,
    SECTION_ZK_MIGRATION,
    SECTION_END,
};

struct meta_image_walk {
    struct meta_image *image;
    int16_t metadata_version;
    enum section section;
    bool begun; /* outer was started for this section */
    struct pmap_walk outer;
    struct pmap_walk inner;
    const struct meta_topic *topic;              /* inner walks its partitions */
    const struct meta_config_resource *resource; /* inner walks its configs */
    struct arena arena;                          /* of the last record */
};

struct meta_image_walk *meta_image_walk_new(struct meta_image *image) {
    struct meta_image_walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL) {
        abort();
    }
    walk->image = meta_image_ref(image);
    walk->metadata_version = meta_image_metadata_version(image);
    if (walk->metadata_version == 0) {
        walk->metadata_version = METADATA_VERSION_MIN;
    }
    arena_init(&walk->arena, SIZE_MAX);
    return walk;
}

void meta_image_walk_free(struct meta_image_walk *walk) {
    if (walk != NULL) {
        meta_image_unref(walk->image);
        arena_done(&walk->arena);
        free(walk);
    }
}

static void *message_new(struct meta_image_walk *walk, int16_t type) {
    const struct wire_type *wire = meta_record_wire_type(type);
    void *message = arena_alloc(&walk->arena, wire_struct_size(wire));
    wire_init(wire, message);
    return message;
}

/* False when this metadata.version has no such record. */
static bool yield(const struct meta_image_walk *walk, int16_t type, const void *message,
                  struct meta_record *ret_record) {
    int16_t version = meta_record_version(type, walk->metadata_version);
    *ret_record = (struct meta_record){.type = type, .version = version, .message = message};
    return version >= 0;
}

static bool feature_record(struct meta_image_walk *walk, struct str name, int16_t level,
                           struct meta_record *ret_record) {
    struct feature_level_record *message = message_new(walk, META_RECORD_FEATURE_LEVEL);
    message->name = name;
    message->feature_level = level;
    return yield(walk, META_RECORD_FEATURE_LEVEL, message, ret_record);
}

static bool broker_record(struct meta_image_walk *walk, const struct meta_broker *broker,
                          struct meta_record *ret_record) {
    struct register_broker_record *message = message_new(walk, META_RECORD_REGISTER_BROKER);
    int16_t version = meta_record_version(META_RECORD_REGISTER_BROKER, walk->metadata_version);
    message->broker_id = broker->id;
    message->broker_epoch = broker->epoch;
    message->incarnation_id = broker->incarnation_id;
    message->rack = broker->rack;
    message->fenced = broker->fenced;
    message->in_controlled_shutdown = broker->in_controlled_shutdown;
    message->is_migrating_zk_broker = version >= 2 && broker->migrating_zk_broker;
    message->end_points = ARENA_ARRAY(&walk->arena, struct register_broker_record_broker_endpoint,
                                      (size_t)broker->endpoint_count + 1);
    message->end_points_count = broker->endpoint_count;
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        const struct meta_endpoint *from = &broker->endpoints[i];
        message->end_points[i] = (struct register_broker_record_broker_endpoint){
            .name = from->name,
            .host = from->host,
            .port = from->port,
            .security_protocol = from->security_protocol,
        };
    }
    message->features = ARENA_ARRAY(&walk->arena, struct register_broker_record_broker_feature,
                                    (size_t)broker->feature_count + 1);
    message->features_count = broker->feature_count;
    for (int32_t i = 0; i < broker->feature_count; i++) {
        message->features[i] = (struct register_broker_record_broker_feature){
            .name = broker->features[i].name,
            .min_supported_version = broker->features[i].min,
            .max_supported_version = broker->features[i].max,
        };
    }
    if (metadata_version_has_directories(walk->metadata_version)) {
        message->log_dirs = (struct uuid *)broker->log_dirs;
        message->log_dirs_count = broker->log_dir_count;
    }
    if (metadata_version_has_cordoned_log_dirs(walk->metadata_version)) {
        message->cordoned_log_dirs = (struct uuid *)broker->cordoned_log_dirs;
        message->cordoned_log_dirs_count = broker->cordoned_log_dir_count;
    }
    return yield(walk, META_RECORD_REGISTER_BROKER, message, ret_record);
}

static bool controller_record(struct meta_image_walk *walk,
                              const struct meta_controller *controller,
                              struct meta_record *ret_record) {
    struct register_controller_record *message = message_new(walk, META_RECORD_REGISTER_CONTROLLER);
    message->controller_id = controller->id;
    message->incarnation_id = controller->incarnation_id;
    message->zk_migration_ready = controller->zk_migration_ready;
    message->end_points =
        ARENA_ARRAY(&walk->arena, struct register_controller_record_controller_endpoint,
                    (size_t)controller->endpoint_count + 1);
    message->end_points_count = controller->endpoint_count;
    for (int32_t i = 0; i < controller->endpoint_count; i++) {
        const struct meta_endpoint *from = &controller->endpoints[i];
        message->end_points[i] = (struct register_controller_record_controller_endpoint){
            .name = from->name,
            .host = from->host,
            .port = from->port,
            .security_protocol = from->security_protocol,
        };
    }
    message->features =
        ARENA_ARRAY(&walk->arena, struct register_controller_record_controller_feature,
                    (size_t)controller->feature_count + 1);
    message->features_count = controller->feature_count;
    for (int32_t i = 0; i < controller->feature_count; i++) {
        message->features[i] = (struct register_controller_record_controller_feature){
            .name = controller->features[i].name,
            .min_supported_version = controller->features[i].min,
            .max_supported_version = controller->features[i].max,
        };
    }
    return yield(walk, META_RECORD_REGISTER_CONTROLLER, message, ret_record);
}

static bool topic_record(struct meta_image_walk *walk, const struct meta_topic *topic,
                         struct meta_record *ret_record) {
    struct topic_record *message = message_new(walk, META_RECORD_TOPIC);
    message->name = topic->name;
    message->topic_id = topic->id;
    return yield(walk, META_RECORD_TOPIC, message, ret_record);
}

static bool partition_record(struct meta_image_walk *walk, const struct meta_partition *partition,
                             struct meta_record *ret_record) {
    struct partition_record *message = message_new(walk, META_RECORD_PARTITION);
    message->partition_id = partition->id;
    message->topic_id = walk->topic->id;
    message->leader = partition->leader;
    message->leader_epoch = partition->leader_epoch;
    message->partition_epoch = partition->partition_epoch;
    message->leader_recovery_state = partition->leader_recovery_state;
    message->replicas = (int32_t *)partition->replicas;
    message->replicas_count = partition->replica_count;
    message->isr = (int32_t *)partition->isr;
    message->isr_count = partition->isr_count;
    message->removing_replicas = (int32_t *)partition->removing;
    message->removing_replicas_count = partition->removing_count;
    message->adding_replicas = (int32_t *)partition->adding;
    message->adding_replicas_count = partition->adding_count;
    if (metadata_version_has_directories(walk->metadata_version)) {
        message->directories = (struct uuid *)partition->directories;
        message->directories_count = partition->replica_count;
    }
    if (metadata_version_has_elr(walk->metadata_version) && partition->elr_count > 0) {
        message->eligible_leader_replicas = (int32_t *)partition->elr;
        message->eligible_leader_replicas_count = partition->elr_count;
    }
    if (metadata_version_has_elr(walk->metadata_version) && partition->last_known_elr_count > 0) {
        message->last_known_elr = (int32_t *)partition->last_known_elr;
        message->last_known_elr_count = partition->last_known_elr_count;
    }
    return yield(walk, META_RECORD_PARTITION, message, ret_record);
}

static bool kept_record(struct meta_image_walk *walk, const struct meta_kept *kept,
                        struct meta_record *ret_record) {
    const struct wire_type *wire = meta_record_wire_type(kept->type);
    void *message = message_new(walk, kept->type);
    size_t used;
    err_t err = wire_decode(wire, wire_version_max(wire), kept->body, &walk->arena, message, &used);
    assert(err == ERR_OK); /* kept.c encoded it */
    return yield(walk, kept->type, message, ret_record);
}

/* --- one function per section: false when the section is through --- */

static const void *outer_next(struct meta_image_walk *walk, const struct pmap *map) {
    if (!walk->begun) {
        pmap_walk_start(&walk->outer, map);
        walk->begun = true;
    }
    return pmap_walk_next(&walk->outer);
}

/* Something to yield once in a section. */
static bool once(struct meta_image_walk *walk) {
    bool first = !walk->begun;
    walk->begun = true;
    return first;
}

static bool next_metadata_version(struct meta_image_walk *walk, struct meta_record *ret_record) {
    int16_t level = meta_image_metadata_version(walk->image);
    return once(walk) && level != 0 &&
           feature_record(walk, STR(META_FEATURE_METADATA_VERSION), level, ret_record);
}

static bool next_feature(struct meta_image_walk *walk, struct meta_record *ret_record) {
    const struct meta_feature *feature;
    while ((feature = outer_next(walk, &walk->image->features)) != NULL) {
        if (!str_equal(feature->name, STR(META_FEATURE_METADATA_VERSION))) {
            return feature_record(walk, feature->name, feature->level, ret_record);
        }
    }
    return false;
}

static bool next_topic(struct meta_image_walk *walk, struct meta_record *ret_record) {
    const struct meta_partition *partition =
        walk->topic == NULL ? NULL : pmap_walk_next(&walk->inner);
    if (partition != NULL) {
        return partition_record(walk, partition, ret_record);
    }
    walk->topic = outer_next(walk, &walk->image->topics);
    if (walk->topic == NULL) {
        return false;
    }
    pmap_walk_start(&walk->inner, &walk->topic->partitions);
    return topic_record(walk, walk->topic, ret_record);
}

static bool next_config(struct meta_image_walk *walk, struct meta_record *ret_record) {
    const struct meta_config *config = walk->resource == NULL ? NULL : pmap_walk_next(&walk->inner);
    while (config == NULL) {
        walk->resource = outer_next(walk, &walk->image->configs);
        if (walk->resource == NULL) {
            return false;
        }
        pmap_walk_start(&walk->inner, &walk->resource->configs);
        config = pmap_walk_next(&walk->inner);
    }
    struct config_record *message = message_new(walk, META_RECORD_CONFIG);
    message->resource_type = walk->resource->type;
    message->resource_name = walk->resource->name;
    message->name = config->name;
    message->value = config->value;
    return yield(walk, META_RECORD_CONFIG, message, ret_record);
}

static bool next_producer_ids(struct meta_image_walk *walk, struct meta_record *ret_record) {
    if (!once(walk) || walk->image->next_producer_id < 0) {
        return false;
    }
    struct producer_ids_record *message = message_new(walk, META_RECORD_PRODUCER_IDS);
    message->broker_id = -1;
    message->broker_epoch = -1;
    message->next_producer_id = walk->image->next_producer_id;
    return yield(walk, META_RECORD_PRODUCER_IDS, message, ret_record);
}

static bool next_zk_migration(struct meta_image_walk *walk, struct meta_record *ret_record) {
    if (!once(walk) || !walk->image->zk_migration_state_known) {
        return false;
    }
    struct zk_migration_state_record *message = message_new(walk, META_RECORD_ZK_MIGRATION_STATE);
    message->zk_migration_state = walk->image->zk_migration_state;
    return yield(walk, META_RECORD_ZK_MIGRATION_STATE, message, ret_record);
}

static bool next_kept(struct meta_image_walk *walk, const struct pmap *map,
                      struct meta_record *ret_record) {
    const struct meta_kept *kept = outer_next(walk, map);
    return kept != NULL && kept_record(walk, kept, ret_record);
}

static bool next_in_section(struct meta_image_walk *walk, struct meta_record *ret_record) {
    const struct meta_image *image = walk->image;
    const void *value;
    switch (walk->section) {
    case SECTION_METADATA_VERSION:
        return next_metadata_version(walk, ret_record);
    case SECTION_FEATURES:
        return next_feature(walk, ret_record);
    case SECTION_BROKERS:
        value = outer_next(walk, &image->brokers);
        return value != NULL && broker_record(walk, value, ret_record);
    case SECTION_CONTROLLERS:
        value = outer_next(walk, &image->controllers);
        return value != NULL && controller_record(walk, value, ret_record);
    case SECTION_TOPICS:
        return next_topic(walk, ret_record);
    case SECTION_CONFIGS:
        return next_config(walk, ret_record);
    case SECTION_QUOTAS:
        return next_kept(walk, &image->quotas, ret_record);
    case SECTION_PRODUCER_IDS:
        return next_producer_ids(walk, ret_record);
    case SECTION_ACLS:
        return next_kept(walk, &image->acls, ret_record);
    case SECTION_SCRAMS:
        return next_kept(walk, &image->scrams, ret_record);
    case SECTION_TOKENS:
        return next_kept(walk, &image->tokens, ret_record);
    case SECTION_ZK_MIGRATION:
        return next_zk_migration(walk, ret_record);
    case SECTION_END:
        break;
    }
    return false;
}

bool meta_image_walk_next(struct meta_image_walk *walk, struct meta_record *ret_record) {
    arena_reset(&walk->arena);
    while (walk->section != SECTION_END) {
        if (next_in_section(walk, ret_record)) {
            return true;
        }
        walk->section++; /* this one is through, or the level has no such record */
        walk->begun = false;
    }
    return false;
}

/* Two images are equal when the same records make them. */
bool meta_image_equal(const struct meta_image *a, const struct meta_image *b) {
    struct meta_image_walk *walk_a = meta_image_walk_new((struct meta_image *)a);
    struct meta_image_walk *walk_b = meta_image_walk_new((struct meta_image *)b);
    struct meta_record record_a, record_b;
    bool equal = true;
    bool more = true;
    while (equal && more) {
        more = meta_image_walk_next(walk_a, &record_a);
        equal = meta_image_walk_next(walk_b, &record_b) == more;
        if (equal && more) {
            equal = record_a.type == record_b.type && record_a.version == record_b.version &&
                    wire_equal(meta_record_wire_type(record_a.type), record_a.message,
                               record_b.message);
        }
    }
    meta_image_walk_free(walk_a);
    meta_image_walk_free(walk_b);
    return equal;
}
