#include "coord/image_world_test.h"

#include <string.h>

static void set_view(struct image_world_test *test, struct meta_delta *delta,
                     const struct coord_image_change *change) {
    struct meta_provenance provenance = {.offset = test->image->provenance.offset + 1, .epoch = 1};
    struct meta_image *image = meta_delta_finish(delta, &provenance, NULL);
    meta_image_unref(test->image);
    test->image = image;
    if (test->groups != NULL) {
        groups_set_view(test->groups, image, test->config, change);
    }
}

static void apply(struct image_world_test *test, struct meta_delta *delta, int16_t type,
                  const void *message) {
    struct meta_record record = {
        .type = type, .version = wire_version_max(meta_record_wire_type(type)), .message = message};
    if (meta_delta_apply(delta, &record) != ERR_OK) {
        fprintf(test->out, "  %s\n", meta_delta_error(delta));
    }
}

static int32_t add_broker(struct image_world_test *test, struct meta_delta *delta,
                          const char *rack) {
    struct register_broker_record broker;
    wire_init(&register_broker_record_type, &broker);
    broker.broker_id = ++test->next_broker;
    broker.incarnation_id.bytes[15] = (uint8_t)test->next_broker;
    broker.rack = rack[0] == '-' ? STR_NULL : str_from_c(rack);
    apply(test, delta, META_RECORD_REGISTER_BROKER, &broker);
    return broker.broker_id;
}

void image_world_test_topic(struct image_world_test *test, const char *name, int partitions,
                            const char *racks) {
    struct meta_delta *delta = meta_delta_new(test->image);
    int32_t replicas[16];
    int replica_count = 0, used;
    char rack[32];
    while (replica_count < 16 && sscanf(racks, " %31s%n", rack, &used) == 1) {
        racks += used;
        replicas[replica_count++] = add_broker(test, delta, rack);
    }
    if (replica_count == 0) {
        replicas[replica_count++] = 1;
    }
    const struct meta_topic *topic = meta_image_topic(test->image, str_from_c(name));
    struct uuid id = {{0}};
    int first = 0;
    if (topic == NULL) { /* an id that tells the name */
        memcpy(id.bytes, name, strnlen(name, 15));
        struct topic_record record = {.name = str_from_c(name), .topic_id = id};
        apply(test, delta, META_RECORD_TOPIC, &record);
    } else {
        id = topic->id;
        while (meta_topic_partition(topic, first) != NULL) {
            first++;
        }
    }
    struct uuid directories[16] = {{{0}}};
    for (int i = first; i < partitions; i++) {
        struct partition_record record;
        wire_init(&partition_record_type, &record);
        record.partition_id = i;
        record.topic_id = id;
        record.replicas = record.isr = replicas;
        record.replicas_count = record.isr_count = replica_count;
        record.directories = directories;
        record.directories_count = replica_count;
        record.leader = replicas[0];
        apply(test, delta, META_RECORD_PARTITION, &record);
    }
    struct coord_topic_change change = {str_from_c(name), id,
                                        topic == NULL ? META_CREATED : META_CHANGED};
    set_view(test, delta, &(struct coord_image_change){.topics = &change, .topic_count = 1});
}

void image_world_test_delete(struct image_world_test *test, const char *name) {
    const struct meta_topic *topic = meta_image_topic(test->image, str_from_c(name));
    if (topic == NULL) {
        fprintf(test->out, "  no such topic\n");
        return;
    }
    struct coord_topic_change change = {str_from_c(name), topic->id, META_DELETED};
    struct meta_delta *delta = meta_delta_new(test->image);
    struct remove_topic_record record = {.topic_id = topic->id};
    apply(test, delta, META_RECORD_REMOVE_TOPIC, &record);
    set_view(test, delta, &(struct coord_image_change){.topics = &change, .topic_count = 1});
}

void image_world_test_feature(struct image_world_test *test, const char *name, int level) {
    struct meta_delta *delta = meta_delta_new(test->image);
    struct feature_level_record record;
    wire_init(&feature_level_record_type, &record);
    record.name = str_from_c(name);
    record.feature_level = (int16_t)level;
    apply(test, delta, META_RECORD_FEATURE_LEVEL, &record);
    set_view(test, delta, &(struct coord_image_change){0});
}

void image_world_test_group_config(struct image_world_test *test, const char *group,
                                   const char *name, const char *value) {
    struct meta_delta *delta = meta_delta_new(test->image);
    struct config_record record;
    wire_init(&config_record_type, &record);
    record.resource_type = META_RESOURCE_GROUP;
    record.resource_name = str_from_c(group);
    record.name = str_from_c(name);
    record.value = str_from_c(value);
    apply(test, delta, META_RECORD_CONFIG, &record);
    set_view(test, delta, &(struct coord_image_change){.configs = true});
}
