/*
 * The cluster as the committed image has it: kafka.controller:type=KafkaController,
 * kafka.server:type=MetadataLoader, and what kafka_exporter tells of topics, by its names.
 */
#include <stdio.h>
#include <string.h>

#include "server/node_int.h"
#include "server/node_metrics_int.h"

static const struct metrics_label no_label = {NULL, NULL};

/* --- brokers --- */

/* Kafka's numbers. */
enum { BROKER_FENCED = 10, BROKER_IN_SHUTDOWN = 20, BROKER_ACTIVE = 30 };

struct broker_counts {
    int active;
    int fenced;
    int in_shutdown;
};

static void collect_brokers(const struct meta_image *image, struct metrics_page *page) {
    struct broker_counts counts = {0};
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        counts.active += !broker->fenced;
        counts.fenced += broker->fenced;
        counts.in_shutdown += broker->in_controlled_shutdown;
        char id[16];
        (void)snprintf(id, sizeof id, "%d", (int)broker->id);
        emit_labelled(page, METRICS_GAUGE, "kafka.controller", "KafkaController",
                      "BrokerRegistrationState", (struct metrics_label){"broker", id}, no_label,
                      broker->fenced                   ? BROKER_FENCED
                      : broker->in_controlled_shutdown ? BROKER_IN_SHUTDOWN
                                                       : BROKER_ACTIVE);
    }
    static const char type[] = "KafkaController";
    emit_value(page, METRICS_GAUGE, "kafka.controller", type, "ActiveBrokerCount", counts.active);
    emit_value(page, METRICS_GAUGE, "kafka.controller", type, "FencedBrokerCount", counts.fenced);
    emit_value(page, METRICS_GAUGE, "kafka.controller", type, "ControlledShutdownBrokerCount",
               counts.in_shutdown);
    emit_value(page, METRICS_GAUGE, NULL, NULL, "kafka_brokers", counts.active);
}

/* --- topics --- */

struct topic_counts {
    int64_t offline;
    int64_t non_preferred;
};

static void collect_partition(struct metrics_page *page, const char *topic,
                              const struct meta_partition *state, struct topic_counts *counts) {
    bool preferred = state->replica_count > 0 && state->leader == state->replicas[0];
    counts->offline += state->leader == META_LEADER_NONE;
    counts->non_preferred += !preferred;
    char index[16];
    (void)snprintf(index, sizeof index, "%d", (int)state->id);
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"kafka_topic_partition_leader", state->leader},
        {"kafka_topic_partition_leader_is_preferred", preferred},
        {"kafka_topic_partition_replicas", state->replica_count},
        {"kafka_topic_partition_in_sync_replica", state->isr_count},
        {"kafka_topic_partition_under_replicated_partition",
         state->isr_count < state->replica_count},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        emit_labelled(page, METRICS_GAUGE, NULL, NULL, rows[i].name,
                      (struct metrics_label){"topic", topic},
                      (struct metrics_label){"partition", index}, rows[i].value);
    }
}

static void collect_topics(const struct meta_image *image, struct metrics_page *page) {
    struct topic_counts counts = {0};
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, &image->topics, topic) {
        char name[LOG_TOPIC_NAME_MAX + 1];
        (void)snprintf(name, sizeof name, "%.*s", STR_ARGS(topic->name));
        struct pmap_walk partitions;
        const struct meta_partition *state;
        pmap_for_each(&partitions, &topic->partitions, state) {
            collect_partition(page, name, state, &counts);
        }
        emit_labelled(page, METRICS_GAUGE, NULL, NULL, "kafka_topic_partitions",
                      (struct metrics_label){"topic", name}, no_label,
                      (double)topic->partitions.count);
    }
    static const char type[] = "KafkaController";
    static const char group[] = "kafka.controller";
    emit_value(page, METRICS_GAUGE, group, type, "GlobalTopicCount", (double)image->topics.count);
    emit_value(page, METRICS_GAUGE, group, type, "GlobalPartitionCount",
               (double)image->partition_count);
    emit_value(page, METRICS_GAUGE, group, type, "OfflinePartitionsCount", (double)counts.offline);
    emit_value(page, METRICS_GAUGE, group, type, "PreferredReplicaImbalanceCount",
               (double)counts.non_preferred);
}

/* --- the metadata itself --- */

/* "metadata.version" as Kafka's label has it: metadataVersion. */
static void emit_level(struct metrics_page *page, struct str feature, int level) {
    char name[64];
    size_t size = 0;
    for (size_t i = 0; i < feature.size && size + 1 < sizeof name; i++) {
        bool begins = i > 0 && feature.data[i - 1] == '.';
        char c = feature.data[i];
        if (c != '.') {
            name[size++] = begins && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
    }
    name[size] = '\0';
    emit_labelled(page, METRICS_GAUGE, "kafka.server", "MetadataLoader", "FinalizedLevel",
                  (struct metrics_label){"featureName", name}, no_label, level);
}

static void collect_metadata(struct node *node, const struct meta_image *image,
                             struct metrics_page *page) {
    static const char type[] = "KafkaController";
    static const char group[] = "kafka.controller";
    bool active = atomic_load(&node->state) == NODE_SERVING; /* a quorum of one: it leads */
    emit_value(page, METRICS_GAUGE, group, type, "ActiveControllerCount", active);
    emit_value(page, METRICS_GAUGE, group, type, "LastAppliedRecordOffset",
               (double)image->provenance.offset);
    emit_value(page, METRICS_GAUGE, group, type, "LastCommittedRecordOffset",
               (double)image->provenance.offset);
    emit_value(page, METRICS_GAUGE, group, type, "LastAppliedRecordTimestamp",
               (double)image->provenance.timestamp_ms);
    emit_value(page, METRICS_GAUGE, "kafka.server", "MetadataLoader", "CurrentMetadataVersion",
               meta_image_metadata_version(image));
    emit_value(page, METRICS_GAUGE, "kafka.server", "MetadataLoader", "CurrentControllerId",
               active ? node->node_id : -1);
    struct pmap_walk walk;
    const struct meta_feature *feature;
    pmap_for_each(&walk, &image->features, feature) {
        emit_level(page, feature->name, feature->level);
    }
    emit_level(page, STR("kraft.version"), atomic_load(&node->kraft_version));
}

void collect_cluster(struct node *node, struct metrics_page *page) {
    struct meta_image *image = node_image_ref(node);
    collect_brokers(image, page);
    collect_topics(image, page);
    collect_metadata(node, image, page);
    meta_image_unref(image);
}
