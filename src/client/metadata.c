/*
 * What is known of the cluster: brokers, topics, who leads what.
 *
 * An answer is taken as it stands, with these bounds on what a broker can do: topics that nobody
 * asked for are left out, a partition's index must be below the number of partitions in the answer,
 * and arrays are copied only as long as they came. A partition keeps what is known while an answer
 * has an older leader epoch, from a broker that lags behind.
 */
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "wire/messages.h"

/* --- topics: life --- */

static struct client_topic_entry *find_entry(const struct ottla_client *client, struct str name) {
    return map_get(&client->metadata.topics, str_bytes(name));
}

static struct client_topic_entry *entry_new(struct ottla_client *client, struct str name) {
    struct client_topic_entry *entry = calloc(1, sizeof *entry);
    char *copy = malloc(name.size + 1);
    memcpy(copy, name.data, name.size);
    copy[name.size] = 0;
    entry->topic.name = (struct str){.data = copy, .size = name.size};
    (void)map_put(&client->metadata.topics, str_bytes(entry->topic.name), entry);
    return entry;
}

static struct bytes id_bytes(const struct uuid *id) {
    return (struct bytes){.data = id->bytes, .size = sizeof id->bytes};
}

static void drop_id(struct ottla_client *client, struct client_topic_entry *entry) {
    struct bytes key = id_bytes(&entry->topic.id);
    if (map_get(&client->metadata.ids, key) == entry) {
        (void)map_remove(&client->metadata.ids, key);
    }
}

static void drop_partitions(struct client_topic *topic) {
    for (int32_t i = 0; i < topic->partition_count; i++) {
        free(topic->partitions[i].replicas); /* isr is in the same piece */
    }
    free(topic->partitions);
    topic->partitions = NULL;
    topic->partition_count = 0;
}

static void entry_free(struct ottla_client *client, struct client_topic_entry *entry) {
    drop_id(client, entry);
    (void)map_remove(&client->metadata.topics, str_bytes(entry->topic.name));
    drop_partitions(&entry->topic);
    free((char *)entry->topic.name.data);
    free(entry);
}

/* --- an answer: partitions --- */

static void copy_nodes(struct client_partition *partition,
                       const struct metadata_response_partition *row) {
    size_t replicas = row->replica_nodes_count < 0 ? 0 : (size_t)row->replica_nodes_count;
    size_t isr = row->isr_nodes_count < 0 ? 0 : (size_t)row->isr_nodes_count;
    partition->replicas = malloc((replicas + isr + 1) * sizeof *partition->replicas);
    partition->isr = partition->replicas + replicas;
    partition->replica_count = replicas;
    partition->isr_count = isr;
    for (size_t i = 0; i < replicas; i++) {
        partition->replicas[i] = row->replica_nodes[i];
    }
    for (size_t i = 0; i < isr; i++) {
        partition->isr[i] = row->isr_nodes[i];
    }
}

static void take_partition(struct client_partition *partition,
                           const struct metadata_response_partition *row) {
    free(partition->replicas);
    copy_nodes(partition, row);
    partition->err = err_from_kafka_code(row->error_code);
    partition->leader = row->leader_id;
    partition->leader_epoch = row->leader_epoch;
}

/* A partition known before, if its epoch is newer than that of the answer. */
static void keep_newer(struct client_partition *partition, struct client_partition *before) {
    if (before->leader_epoch > partition->leader_epoch && partition->leader_epoch >= 0) {
        struct client_partition older = *partition;
        *partition = *before;
        *before = older;
    }
}

static void take_partitions(struct client_topic *topic, bool same_topic,
                            const struct metadata_response_topic *row) {
    struct client_topic before = *topic;
    topic->partition_count = row->partitions_count < 0 ? 0 : row->partitions_count;
    topic->partitions = calloc((size_t)topic->partition_count + 1, sizeof *topic->partitions);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        topic->partitions[i] = (struct client_partition){
            .leader = -1, .leader_epoch = -1, .err = ERR_UNKNOWN_TOPIC_OR_PARTITION};
    }
    for (int32_t i = 0; i < row->partitions_count; i++) {
        int32_t index = row->partitions[i].partition_index;
        if (index >= 0 && index < topic->partition_count) {
            take_partition(&topic->partitions[index], &row->partitions[i]);
        }
    }
    for (int32_t i = 0; same_topic && i < topic->partition_count && i < before.partition_count;
         i++) {
        keep_newer(&topic->partitions[i], &before.partitions[i]);
    }
    drop_partitions(&before);
}

/* --- an answer: topics --- */

static void take_id(struct ottla_client *client, struct client_topic_entry *entry, struct uuid id) {
    drop_id(client, entry);
    entry->topic.id = id;
    if (!uuid_is_zero(id)) {
        (void)map_put(&client->metadata.ids, id_bytes(&entry->topic.id), entry);
    }
}

static void take_topic(struct ottla_client *client, const struct metadata_response_topic *row) {
    if (row->name.data == NULL || row->name.size == 0) {
        return;
    }
    struct client_topic_entry *entry = find_entry(client, row->name);
    if (entry == NULL && client->metadata.want_all == 0) {
        return; /* nobody asked for it, or not any more */
    }
    if (entry == NULL) {
        entry = entry_new(client, row->name);
    }
    struct client_topic *topic = &entry->topic;
    entry->heard = true;
    entry->fresh = true;
    topic->err = err_from_kafka_code(row->error_code);
    topic->internal = row->is_internal;
    if (topic->err == ERR_OK) {
        bool same = uuid_equal(topic->id, row->topic_id);
        take_id(client, entry, row->topic_id);
        take_partitions(topic, same, row);
    } else if (topic->err == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
        take_id(client, entry, UUID_ZERO);
        drop_partitions(topic);
    }
}

/* Topics that an answer about all of them left out are gone. */
static void forget_missing(struct ottla_client *client) {
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&client->metadata.topics, cursor, entry) {
        if (!entry->fresh && entry->wanted == 0) {
            entry_free(client, entry);
        } else if (!entry->fresh) {
            entry->heard = true;
            entry->topic.err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
            take_id(client, entry, UUID_ZERO);
            drop_partitions(&entry->topic);
        }
    }
}

static void list_heard(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    metadata->heard = realloc(metadata->heard,
                              (map_count(&metadata->topics) + 1) * sizeof(struct client_topic *));
    metadata->heard_count = 0;
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&metadata->topics, cursor, entry) {
        entry->fresh = false;
        if (entry->heard) {
            metadata->heard[metadata->heard_count++] = &entry->topic;
        }
    }
}

/* --- an answer: brokers --- */

static bool is_sound(const struct metadata_response_broker *row) {
    return row->node_id >= 0 && row->host.size > 0 && row->port > 0 && row->port <= UINT16_MAX;
}

static void take_brokers(struct ottla_client *client, const struct metadata_response *response) {
    struct client_metadata *metadata = &client->metadata;
    for (size_t i = 0; i < metadata->broker_count; i++) {
        metadata->brokers[i]->listed = false;
    }
    metadata->brokers = realloc(metadata->brokers, ((size_t)response->brokers_count + 1) *
                                                       sizeof(struct client_node *));
    metadata->broker_count = 0;
    for (int32_t i = 0; i < response->brokers_count; i++) {
        const struct metadata_response_broker *row = &response->brokers[i];
        if (!is_sound(row)) {
            continue;
        }
        struct client_broker broker = {
            .id = row->node_id, .host = row->host, .port = (uint16_t)row->port, .rack = row->rack};
        struct client_node *node = client_node_learn(client, &broker);
        if (!node->listed) {
            node->listed = true;
            metadata->brokers[metadata->broker_count++] = node;
        }
    }
    client_nodes_sweep(client);
}

static void take_cluster_id(struct ottla_client *client, struct str id) {
    struct client_metadata *metadata = &client->metadata;
    if (id.data != NULL && !str_equal(id, str_from_c(metadata->cluster_id))) {
        free(metadata->cluster_id);
        metadata->cluster_id = str_dup(id);
    }
}

/* A wanted topic may yet come, or get its leaders: it is asked for again. */
static bool is_open(const struct client_topic_entry *entry) {
    const struct client_topic *topic = &entry->topic;
    if (entry->wanted == 0) {
        return false;
    }
    if (!entry->heard || err_retriable(topic->err)) {
        return true;
    }
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i].leader < 0) {
            return true;
        }
    }
    return false;
}

bool client_metadata_lacks(const struct ottla_client *client, bool create) {
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&client->metadata.topics, cursor, entry) {
        bool unknown = !entry->heard || entry->topic.err == ERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (entry->wanted > 0 && entry->create == create && unknown) {
            return true;
        }
    }
    return false;
}

bool client_metadata_take(struct ottla_client *client, const struct metadata_response *response) {
    struct client_metadata *metadata = &client->metadata;
    take_brokers(client, response);
    take_cluster_id(client, response->cluster_id);
    metadata->controller_id = response->controller_id;
    for (int32_t i = 0; i < response->topics_count; i++) {
        take_topic(client, &response->topics[i]);
    }
    if (metadata->asked_all) {
        forget_missing(client);
    }
    list_heard(client);
    metadata->time_ms = sys_mono_ms(client->sys);
    client->bootstrapping = false;
    client_changed(client);
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&metadata->topics, cursor, entry) {
        if (is_open(entry)) {
            return false;
        }
    }
    return true;
}

/* --- life --- */

void client_metadata_init(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    metadata->controller_id = -1;
    metadata->time_ms = -1;
    metadata->failing_ms = -1;
    metadata->begun_ms = -1;
    metadata->timer.fire = client_metadata_late;
}

void client_metadata_done(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    sys_timer_clear(client->loop, &metadata->timer);
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&metadata->topics, cursor, entry) {
        entry_free(client, entry);
    }
    map_done(&metadata->topics);
    map_done(&metadata->ids);
    free(metadata->heard);
    free(metadata->brokers);
    free(metadata->cluster_id);
}

/* --- what is wanted --- */

void client_topic_want(struct ottla_client *client, struct str name, bool create) {
    struct client_topic_entry *entry = find_entry(client, name);
    if (entry == NULL) {
        entry = entry_new(client, name);
    }
    entry->wanted++;
    entry->create = entry->create || create;
    if (!entry->heard || is_open(entry)) {
        client_metadata_refresh(client);
    }
}

void client_topic_unwant(struct ottla_client *client, struct str name) {
    struct client_topic_entry *entry = find_entry(client, name);
    if (entry != NULL && entry->wanted > 0 && --entry->wanted == 0) {
        entry->create = false;
        if (client->metadata.want_all == 0) {
            entry_free(client, entry);
            list_heard(client);
        }
    }
}

void client_topics_want_all(struct ottla_client *client, bool want) {
    client->metadata.want_all += want ? 1 : -1;
    if (want) {
        client_metadata_refresh(client);
    }
}

/* --- what is known --- */

const struct client_topic *client_topic(const struct ottla_client *client, struct str name) {
    const struct client_topic_entry *entry = find_entry(client, name);
    return entry == NULL || !entry->heard ? NULL : &entry->topic;
}

const struct client_topic *client_topic_by_id(const struct ottla_client *client,
                                              const struct uuid *id) {
    const struct client_topic_entry *entry = map_get(&client->metadata.ids, id_bytes(id));
    return entry == NULL ? NULL : &entry->topic;
}

size_t client_topic_count(const struct ottla_client *client) {
    return client->metadata.heard_count;
}

const struct client_topic *client_topic_at(const struct ottla_client *client, size_t index) {
    return client->metadata.heard[index];
}

int64_t client_metadata_time_ms(const struct ottla_client *client) {
    return client->metadata.time_ms;
}

size_t client_broker_count(const struct ottla_client *client) {
    return client->metadata.broker_count;
}

const struct client_broker *client_broker_at(const struct ottla_client *client, size_t index) {
    return &client->metadata.brokers[index]->broker;
}

int32_t client_controller_id(const struct ottla_client *client) {
    return client->metadata.controller_id;
}

struct str client_cluster_id(const struct ottla_client *client) {
    return str_from_c(client->metadata.cluster_id);
}

bool client_leader_learnt(struct ottla_client *client, struct str topic_name, int32_t partition,
                          int32_t leader, int32_t leader_epoch,
                          const struct client_broker *endpoint) {
    struct client_topic_entry *entry = find_entry(client, topic_name);
    if (entry == NULL || partition < 0 || partition >= entry->topic.partition_count) {
        return false;
    }
    struct client_partition *known = &entry->topic.partitions[partition];
    if (leader < 0 || leader_epoch <= known->leader_epoch) {
        return false;
    }
    if (endpoint != NULL && endpoint->host.size > 0 && endpoint->port > 0) {
        (void)client_node_learn(client, endpoint);
    } else if (client_node_find(client, leader) == NULL) {
        return false;
    }
    known->leader = leader;
    known->leader_epoch = leader_epoch;
    known->err = ERR_OK;
    client_changed(client);
    return true;
}
