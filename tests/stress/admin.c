/* Administrators: topics come and go, settings change, records are deleted, questions are asked. */
#include <stdio.h>
#include <stdlib.h>

#include "stress.h"
#include "sys/sys.h"

enum { PARTITIONS_AT_FIRST = 3 };

static const char *const kind_names[TOPIC_KINDS] = {"steady", "retained", "trimmed", "packed",
                                                    "flushed"};
static const char *const kind_configs[TOPIC_KINDS] = {
    [TOPIC_STEADY] = "{\"name\": \"internal.segment.bytes\", \"value\": \"200000\"}",
    [TOPIC_RETAINED] = "{\"name\": \"internal.segment.bytes\", \"value\": \"20000\"}, "
                       "{\"name\": \"retention.ms\", \"value\": \"500\"}, "
                       "{\"name\": \"file.delete.delay.ms\", \"value\": \"10\"}",
    [TOPIC_TRIMMED] = "{\"name\": \"internal.segment.bytes\", \"value\": \"30000\"}, "
                      "{\"name\": \"file.delete.delay.ms\", \"value\": \"10\"}",
    [TOPIC_PACKED] = "{\"name\": \"compression.type\", \"value\": \"zstd\"}, "
                     "{\"name\": \"segment.ms\", \"value\": \"500\"}",
    [TOPIC_FLUSHED] = "{\"name\": \"flush.messages\", \"value\": \"50\"}",
};

struct admin {
    struct client client;
    struct stress *stress;
};

/* --- topics --- */

static int16_t create_topic(struct client *client, int slot, enum topic_kind kind, const char *name,
                            int partitions, const char *configs) {
    void *answer;
    if (client_call_json(client, "CreateTopics", &answer,
                         "{\"timeoutMs\": 30000, \"topics\": [{\"name\": \"%s\", "
                         "\"numPartitions\": %d, \"replicationFactor\": 1, \"configs\": [%s]}]}",
                         name, partitions, configs) != ERR_OK) {
        return ERR_CLOSED;
    }
    const struct create_topics_response_creatable_topic_result *result =
        &((const struct create_topics_response *)answer)->topics[0];
    if (result->error_code != 0) {
        return result->error_code;
    }
    struct topic topic = {
        .kind = kind, .id = result->topic_id, .partition_count = partitions, .alive = true};
    (void)snprintf(topic.name, sizeof topic.name, "%s", name);
    topic_set(client->stress, slot, &topic);
    atomic_fetch_add(&client->stress->topics_created, 1);
    return 0;
}

bool admin_create_topics(struct client *client) {
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        int16_t code = create_topic(client, kind, (enum topic_kind)kind, kind_names[kind],
                                    PARTITIONS_AT_FIRST, kind_configs[kind]);
        if (code != 0) {
            stress_fail(client->stress, "%s cannot be created: %s", kind_names[kind],
                        err_name((err_t)code));
            return false;
        }
        struct topic topic = topic_get(client->stress, kind);
        (void)stress_audit_take(client->stress);
        for (int32_t i = 0; kind == TOPIC_RETAINED && i < TOPIC_PARTITIONS_MAX; i++) {
            audit_delete(stress_partition(client->stress, &topic, i), INT64_MAX);
        }
        stress_audit_give(client->stress);
    }
    return true;
}

/* A name gets a new topic, or loses the one it has. A break in the middle leaves an unknown state:
 * then the topic is deleted first the next time. */
static void churn_topic(struct admin *admin) {
    struct client *client = &admin->client;
    int number = (int)rng_below(&client->rng, TOPIC_CHURN_COUNT);
    int slot = TOPIC_KINDS + number;
    struct topic topic = topic_get(admin->stress, slot);
    char name[24];
    (void)snprintf(name, sizeof name, "churn-%d", number);
    if (!topic.alive) {
        int16_t code =
            create_topic(client, slot, TOPIC_CHURNED, name, 1 + (int)rng_below(&client->rng, 4),
                         "{\"name\": \"internal.segment.bytes\", \"value\": \"10000\"}");
        if (code != ERR_TOPIC_ALREADY_EXISTS) {
            return;
        }
    } else if (rng_one_in(&client->rng, 3)) {
        return; /* it lives on for a while */
    }
    topic.alive = false;
    topic_set(admin->stress, slot, &topic);
    void *answer;
    if (client_call_json(client, "DeleteTopics", &answer,
                         "{\"topics\": [{\"name\": \"%s\"}], \"timeoutMs\": 30000}",
                         name) == ERR_OK &&
        ((const struct delete_topics_response *)answer)->responses[0].error_code == 0) {
        atomic_fetch_add(&admin->stress->topics_deleted, 1);
    }
}

static void grow_topic(struct admin *admin) {
    struct client *client = &admin->client;
    int slot = (int)rng_below(&client->rng, TOPIC_KINDS);
    struct topic topic = topic_get(admin->stress, slot);
    if (topic.partition_count == TOPIC_PARTITIONS_MAX) {
        return;
    }
    void *answer;
    if (client_call_json(client, "CreatePartitions", &answer,
                         "{\"topics\": [{\"name\": \"%s\", \"count\": %d, \"assignments\": null}], "
                         "\"timeoutMs\": 30000}",
                         topic.name, (int)topic.partition_count + 1) == ERR_OK &&
        ((const struct create_partitions_response *)answer)->results[0].error_code == 0) {
        topic.partition_count++;
        topic_set(admin->stress, slot, &topic);
    }
}

/* --- settings --- */

static void alter(struct admin *admin, int type, const char *resource, const char *name,
                  const char *value) {
    void *answer;
    if (client_call_json(&admin->client, "IncrementalAlterConfigs", &answer,
                         "{\"resources\": [{\"resourceType\": %d, \"resourceName\": \"%s\", "
                         "\"configs\": [{\"name\": \"%s\", \"configOperation\": %d, "
                         "\"value\": \"%s\"}]}]}",
                         type, resource, name, value == NULL ? 1 : 0,
                         value == NULL ? "" : value) != ERR_OK) {
        return;
    }
    const struct incremental_alter_configs_response *response = answer;
    if (response->responses[0].error_code != 0) {
        stress_fail(admin->stress, "%s=%s of %s was refused: %s", name,
                    value == NULL ? "(default)" : value, resource,
                    err_name((err_t)response->responses[0].error_code));
        return;
    }
    atomic_fetch_add(&admin->stress->settings_changed, 1);
}

static void change_topic(struct admin *admin) {
    static const struct {
        const char *topic, *name, *value;
    } changes[] = {
        {"packed", "compression.type", "lz4"},
        {"packed", "compression.type", "gzip"},
        {"packed", "compression.type", NULL},
        {"steady", "segment.ms", "300"},
        {"steady", "segment.ms", NULL},
        {"steady", "message.timestamp.type", NULL},
        {"retained", "retention.ms", "100"},
        {"retained", "retention.ms", "1000"},
        {"retained", "retention.bytes", "100000"},
        {"retained", "retention.bytes", "-1"},
        {"flushed", "flush.messages", "1"},
        {"flushed", "flush.messages", "100"},
        {"flushed", "flush.ms", "100"},
        {"trimmed", "index.interval.bytes", "100"},
        {"trimmed", "segment.index.bytes", "200"},
        {"trimmed", "preallocate", "true"},
        {"trimmed", "preallocate", "false"},
        {"steady", "max.message.bytes", "2000000"},
    };
    size_t i = (size_t)rng_below(&admin->client.rng, sizeof changes / sizeof changes[0]);
    alter(admin, 2, changes[i].topic, changes[i].name, changes[i].value);
}

static void change_node(struct admin *admin) {
    static const struct {
        const char *name, *value;
    } changes[] = {
        {"log.segment.delete.delay.ms", "10"},
        {"log.segment.delete.delay.ms", "100"},
        {"max.connections.per.ip", "100000"},
        {"max.connections", "100000"},
        {"log.index.interval.bytes", "500"},
        {"log.index.interval.bytes", NULL},
        {"max.connections", NULL},
        {"message.max.bytes", "3000000"},
    };
    size_t i = (size_t)rng_below(&admin->client.rng, sizeof changes / sizeof changes[0]);
    alter(admin, 4, rng_one_in(&admin->client.rng, 2) ? "" : "1", changes[i].name,
          changes[i].value);
}

/* --- records --- */

static void delete_records(struct admin *admin) {
    struct client *client = &admin->client;
    struct topic topic = topic_get(admin->stress, TOPIC_TRIMMED);
    int32_t partition = (int32_t)rng_below(&client->rng, (uint64_t)topic.partition_count);
    int64_t start = client_offset(client, topic.name, partition, -2);
    int64_t end = client_offset(client, topic.name, partition, -1);
    if (start < 0 || end <= start) {
        return;
    }
    int64_t offset = start + (int64_t)rng_below(&client->rng, (uint64_t)(end - start) + 1);
    (void)stress_audit_take(admin->stress);
    audit_delete(stress_partition(admin->stress, &topic, partition), offset);
    stress_audit_give(admin->stress);
    void *answer;
    if (client_call_json(client, "DeleteRecords", &answer,
                         "{\"topics\": [{\"name\": \"%s\", \"partitions\": [{\"partitionIndex\": "
                         "%d, \"offset\": %lld}]}], \"timeoutMs\": 30000}",
                         topic.name, (int)partition, (long long)offset) == ERR_OK &&
        ((const struct delete_records_response *)answer)->topics[0].partitions[0].error_code == 0) {
        atomic_fetch_add(&admin->stress->records_deleted, 1);
    }
}

/* --- questions --- */

static void ask(struct admin *admin) {
    static const struct {
        const char *api, *request;
    } questions[] = {
        {"Metadata", "{\"topics\": null}"},
        {"DescribeCluster", "{}"},
        {"DescribeConfigs", "{\"resources\": [{\"resourceType\": 2, \"resourceName\": \"steady\", "
                            "\"configurationKeys\": null}, {\"resourceType\": 4, "
                            "\"resourceName\": \"1\", \"configurationKeys\": null}]}"},
        {"DescribeLogDirs", "{\"topics\": null}"},
        {"DescribeProducers",
         "{\"topics\": [{\"name\": \"steady\", \"partitionIndexes\": [0, 1, 2]}]}"},
        {"DescribeTopicPartitions",
         "{\"topics\": [{\"name\": \"steady\"}, {\"name\": \"churn-1\"}]}"},
        {"DescribeQuorum", "{\"topics\": [{\"topicName\": \"__cluster_metadata\", "
                           "\"partitions\": [{\"partitionIndex\": 0}]}]}"},
        {"ListConfigResources", "{\"resourceTypes\": []}"},
        {"OffsetForLeaderEpoch", "{\"replicaId\": -1, \"topics\": [{\"topic\": \"packed\", "
                                 "\"partitions\": [{\"partition\": "
                                 "0, \"currentLeaderEpoch\": -1, \"leaderEpoch\": 0}]}]}"},
        {"ListOffsets", "{\"replicaId\": -1, \"topics\": [{\"name\": \"retained\", \"partitions\": "
                        "[{\"partitionIndex\": 0, \"timestamp\": 1}, {\"partitionIndex\": 1, "
                        "\"timestamp\": -3}]}]}"},
    };
    size_t i = (size_t)rng_below(&admin->client.rng, sizeof questions / sizeof questions[0]);
    void *answer;
    (void)client_call_json(&admin->client, questions[i].api, &answer, "%s", questions[i].request);
}

void *admin_run(void *arg) {
    static void (*const deeds[])(struct admin * admin) = {
        churn_topic, churn_topic,    churn_topic,    change_topic, change_node,
        grow_topic,  delete_records, delete_records, ask,          ask,
    };
    struct thread *thread = arg;
    struct admin admin = {.stress = thread->stress};
    client_open(&admin.client, thread->stress, thread->seed);
    /* Two administrators would not know who made which topic. */
    size_t first = thread->number == 0 ? 0 : 3;
    size_t count = sizeof deeds / sizeof deeds[0] - first;
    while (client_connect(&admin.client)) {
        size_t i = first + (size_t)rng_below(&admin.client.rng, count);
        if (deeds[i] != grow_topic || thread->number == 0) {
            deeds[i](&admin);
        }
        client_wait(&admin.client, (int64_t)rng_below(&admin.client.rng, 30));
    }
    client_close(&admin.client);
    return NULL;
}
