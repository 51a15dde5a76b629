/* The administrator's operations, against the broker at OTTLA_TEST_BOOTSTRAP. */
#include <string.h>

#include "calls.h"
#include "ottla/producer.h"

/* --- topics --- */

static const struct ottla_topic_description *find_topic(const struct ottla_call *call,
                                                        const char *name) {
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (topics[i].name != NULL && strcmp(topics[i].name, name) == 0) {
            return &topics[i];
        }
    }
    return NULL;
}

static void topics_come_and_go(void **state) {
    struct ottla_client *client = *state;
    char first[64], second[64];
    suite_topic_name("first", first);
    suite_topic_name("second", second);
    struct ottla_setting config = {"retention.ms", "1234567"};
    int32_t one = 1;
    struct ottla_replicas assignments[] = {{&one, 1}, {&one, 1}};
    struct ottla_new_topic topics[] = {
        {.name = first,
         .partitions = 3,
         .replication_factor = 1,
         .configs = &config,
         .config_count = 1},
        {.name = second, .assignments = assignments, .assignment_count = 2},
    };
    struct ottla_admin_options only = {.validate_only = true};
    calls_finish(ottla_topics_create(client, topics, 2, &only), OTTLA_OK);

    struct ottla_call *call = ottla_topics_create(client, topics, 2, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_topic_result *made = ottla_call_topics(call, &count);
    assert_int_equal(count, 2);
    assert_string_equal(made[0].name, first);
    assert_int_equal(made[0].partitions, 3);
    assert_int_equal(made[0].replication_factor, 1);
    assert_int_equal(strlen(made[0].id), 22);
    assert_int_equal(made[1].partitions, 2);
    bool retention = false;
    for (size_t i = 0; i < made[0].config_count; i++) {
        retention |= strcmp(made[0].configs[i].name, "retention.ms") == 0 &&
                     strcmp(made[0].configs[i].value, "1234567") == 0 &&
                     made[0].configs[i].source == OTTLA_SOURCE_TOPIC;
    }
    assert_true(retention);
    char id[23];
    strcpy(id, made[0].id);
    ottla_call_free(call);

    calls_wait_for_topic(client, first);
    calls_wait_for_topic(client, second);
    struct ottla_topic_ref refs[] = {{.name = second}, {.id = id}, {.name = "not-there"}};
    call = ottla_topics_describe(client, refs, 3, NULL);
    assert_int_equal(calls_code_of(call), 3 /* UNKNOWN_TOPIC_OR_PARTITION */);
    const struct ottla_topic_description *told = ottla_call_topic_descriptions(call, &count);
    assert_int_equal(count, 3);
    assert_int_equal(told[0].code, OTTLA_OK);
    assert_int_equal(told[0].partition_count, 2);
    assert_int_equal(told[0].partitions[1].partition, 1);
    assert_int_equal(told[0].partitions[1].leader, 1);
    assert_int_equal(told[0].partitions[1].replicas.count, 1);
    assert_non_null(told[0].partitions[1].eligible.brokers);
    assert_int_equal(told[1].code, OTTLA_OK);
    assert_string_equal(told[1].name, first);
    assert_int_equal(told[1].partition_count, 3);
    assert_null(told[1].partitions[0].eligible.brokers);
    assert_int_equal(told[2].code, 3);
    const struct ottla_failure *failures = ottla_call_failures(call, &count);
    assert_int_equal(count, 1);
    assert_non_null(strstr(failures[0].text, "topic not-there: "));
    ottla_call_free(call);

    call = ottla_topics_list(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_non_null(find_topic(call, first));
    assert_int_equal(find_topic(call, second)->partition_count, 2);
    ottla_call_free(call);

    struct ottla_new_partitions more[] = {{.topic = first, .count = 5},
                                          {.topic = second, .count = 1}};
    call = ottla_partitions_create(client, more, 2, NULL);
    assert_int_equal(calls_code_of(call), 37 /* INVALID_PARTITIONS */);
    const struct ottla_topic_result *changed = ottla_call_topics(call, &count);
    assert_int_equal(changed[0].code, OTTLA_OK);
    assert_int_equal(changed[1].code, 37);
    ottla_call_free(call);

    struct ottla_topic_ref gone[] = {{.id = id}, {.name = second}, {.name = "not-there"}};
    call = ottla_topics_delete(client, gone, 3, NULL);
    assert_int_equal(calls_code_of(call), 3);
    const struct ottla_topic_result *deleted = ottla_call_topics(call, &count);
    assert_int_equal(deleted[0].code, OTTLA_OK);
    assert_string_equal(deleted[0].name, first);
    assert_int_equal(deleted[1].code, OTTLA_OK);
    assert_int_equal(deleted[2].code, 3);
    ottla_call_free(call);
}

static void wrong_topics_fail_alone(void **state) {
    struct ottla_client *client = *state;
    char name[64];
    suite_topic_name("alone", name);
    struct ottla_new_topic topics[] = {
        {.name = name, .partitions = 1},           {.name = "no/slash", .partitions = 1},
        {.name = "many", .replication_factor = 9}, {.name = NULL},
        {.name = name, .partitions = 1},
    };
    struct ottla_call *call = ottla_topics_create(client, topics, 5, NULL);
    assert_int_equal(calls_code_of(call), 17 /* INVALID_TOPIC_EXCEPTION */);
    size_t count;
    const struct ottla_topic_result *made = ottla_call_topics(call, &count);
    assert_int_equal(count, 5);
    assert_int_equal(made[0].code, OTTLA_OK);
    assert_int_equal(made[1].code, 17);
    assert_int_equal(made[2].code, 38 /* INVALID_REPLICATION_FACTOR */);
    assert_int_equal(made[3].code, OTTLA_INVALID);
    assert_int_equal(made[4].code, OTTLA_INVALID); /* named twice */
    for (size_t i = 1; i < 5; i++) {
        assert_true(strlen(made[i].text) > 5);
    }
    ottla_call_free(call);
    call = ottla_topics_create(client, topics, 1, NULL);
    assert_int_equal(calls_code_of(call), 36 /* TOPIC_ALREADY_EXISTS */);
    ottla_call_free(call);
    struct ottla_topic_ref refs[] = {{.name = name}, {.id = "short"}, {.name = "x", .id = "y"}};
    call =
        ottla_topics_delete(client, refs, 3, &(struct ottla_admin_options){.validate_only = true});
    assert_int_equal(calls_code_of(call), OTTLA_UNSUPPORTED);
    ottla_call_free(call);
    call = ottla_topics_delete(client, refs, 3, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_INVALID);
    assert_int_equal(ottla_call_topics(call, &count)[0].code, OTTLA_OK);
    ottla_call_free(call);
}

/* A page of DescribeTopicPartitions has 2000 partitions at most. */
static void pages_are_followed(void **state) {
    struct ottla_client *client = *state;
    char names[3][64];
    struct ottla_topic_ref refs[3];
    for (int i = 0; i < 3; i++) {
        suite_topic_name("pages", names[i]);
        strcat(names[i], i == 0 ? "-c" : i == 1 ? "-a" : "-b");
        calls_make_topic(client, names[i], 750);
        refs[i] = (struct ottla_topic_ref){.name = names[i]};
    }
    struct ottla_call *call = ottla_topics_describe(client, refs, 3, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_topic_description *told = ottla_call_topic_descriptions(call, &count);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(told[i].name, names[i]);
        assert_int_equal(told[i].partition_count, 750);
        for (int32_t p = 0; p < 750; p++) {
            assert_int_equal(told[i].partitions[p].partition, p);
        }
    }
    ottla_call_free(call);
    calls_finish(ottla_topics_delete(client, refs, 3, NULL), OTTLA_OK);
}

/* --- settings --- */

static const struct ottla_config_entry *find_entry(const struct ottla_resource_configs *resource,
                                                   const char *name) {
    for (size_t i = 0; i < resource->entry_count; i++) {
        if (strcmp(resource->entries[i].name, name) == 0) {
            return &resource->entries[i];
        }
    }
    return NULL;
}

/* The value of one setting, in a buffer that the next call overwrites; "" when there is none. */
static const char *value_of(struct ottla_client *client, enum ottla_resource_type type,
                            const char *name, const char *key) {
    static char value[256];
    struct ottla_resource resource = {type, name, &key, 1};
    struct ottla_call *call = ottla_configs_describe(client, &resource, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_config_entry *entry = find_entry(ottla_call_configs(call, &count), key);
    (void)snprintf(value, sizeof value, "%s",
                   entry == NULL || entry->value == NULL ? "" : entry->value);
    ottla_call_free(call);
    return value;
}

/* A change reaches the broker through its controller's log. */
static void wait_for_value(struct ottla_client *client, enum ottla_resource_type type,
                           const char *name, const char *key, const char *value) {
    for (int i = 0; i < 100 && strcmp(value_of(client, type, name, key), value) != 0; i++) {
        ottla_client_run(client, 20);
    }
    assert_string_equal(value_of(client, type, name, key), value);
}

static void settings_change(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("settings", topic);
    calls_make_topic(client, topic, 1);
    struct ottla_config_change changes[] = {
        {OTTLA_CONFIG_SET, "retention.ms", "7654321"},
        {OTTLA_CONFIG_APPEND, "cleanup.policy", "compact"},
    };
    struct ottla_config_change wrong = {OTTLA_CONFIG_SET, "retention.ms", "soon"};
    struct ottla_resource_change resources[] = {
        {OTTLA_RESOURCE_TOPIC, topic, changes, calls_is_apache_kafka() ? 2 : 1},
        {OTTLA_RESOURCE_TOPIC, "not-there", changes, 1},
        {OTTLA_RESOURCE_GROUP, "settings-group", &wrong, 1},
    };
    struct ottla_admin_options only = {.validate_only = true};
    calls_finish(ottla_configs_alter(client, resources, 1, &only), OTTLA_OK);
    assert_string_not_equal(value_of(client, OTTLA_RESOURCE_TOPIC, topic, "retention.ms"),
                            "7654321");

    struct ottla_call *call = ottla_configs_alter(client, resources, 3, NULL);
    assert_int_not_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_resource_result *results = ottla_call_resources(call, &count);
    assert_int_equal(count, 3);
    assert_int_equal(results[0].code, OTTLA_OK);
    assert_int_equal(results[0].type, OTTLA_RESOURCE_TOPIC);
    assert_int_equal(results[1].code, 3);
    assert_int_equal(results[2].code, 40 /* INVALID_CONFIG */);
    ottla_call_free(call);
    wait_for_value(client, OTTLA_RESOURCE_TOPIC, topic, "retention.ms", "7654321");

    struct ottla_config_change back = {OTTLA_CONFIG_DELETE, "retention.ms", NULL};
    struct ottla_resource_change undo = {OTTLA_RESOURCE_TOPIC, topic, &back, 1};
    calls_finish(ottla_configs_alter(client, &undo, 1, NULL), OTTLA_OK);
    wait_for_value(client, OTTLA_RESOURCE_TOPIC, topic, "retention.ms", "604800000");

    struct ottla_config_change set = {OTTLA_CONFIG_SET, "max.message.bytes", "100000"};
    struct ottla_resource_change replace = {OTTLA_RESOURCE_TOPIC, topic, &set, 1};
    calls_finish(ottla_configs_replace(client, &replace, 1, NULL), OTTLA_OK);
    wait_for_value(client, OTTLA_RESOURCE_TOPIC, topic, "max.message.bytes", "100000");
    calls_finish(ottla_configs_replace(client, &undo, 1, NULL), OTTLA_INVALID);
    calls_delete_topic(client, topic);
}

static void settings_of_all_kinds_are_told(void **state) {
    struct ottla_client *client = *state;
    const char *key = "log.retention.ms";
    struct ottla_resource resources[] = {
        {OTTLA_RESOURCE_BROKER, "1", NULL, 0},         {OTTLA_RESOURCE_BROKER, "", NULL, 0},
        {OTTLA_RESOURCE_BROKER_LOGGER, "1", NULL, 0},  {OTTLA_RESOURCE_GROUP, "told", NULL, 0},
        {OTTLA_RESOURCE_BROKER, "x", NULL, 0},         {OTTLA_RESOURCE_TOPIC, "not-there", NULL, 0},
        {OTTLA_RESOURCE_CLIENT_METRICS, "m", NULL, 0}, {(enum ottla_resource_type)3, "m", NULL, 0},
    };
    struct ottla_admin_options options = {.synonyms = true, .documentation = true};
    struct ottla_call *call = ottla_configs_describe(client, resources, 8, &options);
    assert_int_not_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_resource_configs *told = ottla_call_configs(call, &count);
    assert_int_equal(count, 8);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(told[i].code, OTTLA_OK);
    }
    assert_int_equal(told[4].code, OTTLA_INVALID);
    assert_int_equal(told[5].code, 3);
    assert_int_equal(told[7].code, OTTLA_INVALID);
    const struct ottla_config_entry *node = find_entry(&told[0], "node.id");
    assert_string_equal(node->value, "1");
    assert_true(node->read_only);
    assert_int_equal(node->source, OTTLA_SOURCE_STATIC);
    assert_int_equal(node->type, OTTLA_TYPE_INT);
    assert_true(node->synonym_count > 0);
    assert_true(told[2].entry_count > 0);
    assert_int_equal(told[2].entries[0].source, OTTLA_SOURCE_BROKER_LOGGER);
    assert_true(told[3].entry_count > 0);
    ottla_call_free(call);

    struct ottla_config_change change = {OTTLA_CONFIG_SET, key, "99999999"};
    struct ottla_resource_change one = {OTTLA_RESOURCE_BROKER, "1", &change, 1};
    struct ottla_config_change undo = {OTTLA_CONFIG_DELETE, key, NULL};
    struct ottla_resource_change back = {OTTLA_RESOURCE_BROKER, "1", &undo, 1};
    calls_finish(ottla_configs_alter(client, &one, 1, NULL), OTTLA_OK);
    wait_for_value(client, OTTLA_RESOURCE_BROKER, "1", key, "99999999");
    calls_finish(ottla_configs_alter(client, &back, 1, NULL), OTTLA_OK);
}

static void resources_are_listed(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("resource", topic);
    calls_make_topic(client, topic, 1);
    enum ottla_resource_type type = OTTLA_RESOURCE_TOPIC;
    struct ottla_call *call = ottla_resources_list(client, &type, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count, found = 0;
    const struct ottla_resource_result *resources = ottla_call_resources(call, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(resources[i].type, OTTLA_RESOURCE_TOPIC);
        found += strcmp(resources[i].name, topic) == 0;
    }
    assert_int_equal(found, 1);
    ottla_call_free(call);
    calls_finish(ottla_resources_list(client, NULL, 0, NULL), OTTLA_OK);
    calls_delete_topic(client, topic);
}

/* --- records --- */

static void produce(struct ottla_client *client, const char *topic, int32_t partition, int count) {
    struct ottla_producer *producer;
    assert_int_equal(ottla_producer_new(client, &producer, NULL), OTTLA_OK);
    for (int i = 0; i < count; i++) {
        struct ottla_record record = {.topic = topic,
                                      .partition = partition,
                                      .timestamp_ms = 1000 + 100 * i,
                                      .value = {"value", 5}};
        assert_int_equal(ottla_produce(producer, &record, NULL, NULL, NULL), OTTLA_OK);
    }
    assert_int_equal(ottla_producer_flush(producer, 30000), OTTLA_OK);
    ottla_producer_free(producer);
}

static int64_t offset_at(struct ottla_client *client, const char *topic, int32_t partition,
                         int64_t place) {
    struct ottla_position position = {.topic = topic, .partition = partition, .offset = place};
    struct ottla_call *call = ottla_offsets_list(client, &position, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    int64_t offset = ottla_call_offsets(call, &count)->offset;
    ottla_call_free(call);
    return offset;
}

static void offsets_are_told_and_records_deleted(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("offsets", topic);
    calls_make_topic(client, topic, 3);
    produce(client, topic, 0, 10);
    produce(client, topic, 2, 4);
    struct ottla_position places[] = {
        {.topic = topic, .partition = 2, .offset = OTTLA_OFFSET_LATEST},
        {.topic = topic, .partition = 0, .offset = 1250},
        {.topic = "not-there", .partition = 0, .offset = OTTLA_OFFSET_LATEST},
        {.topic = topic, .partition = 1, .offset = 1250},
        {.topic = topic, .partition = 7, .offset = OTTLA_OFFSET_EARLIEST},
        {.topic = topic, .partition = -1, .offset = OTTLA_OFFSET_EARLIEST},
    };
    struct ottla_admin_options committed = {.read_committed = true};
    struct ottla_call *call = ottla_offsets_list(client, places, 6, &committed);
    assert_int_equal(calls_code_of(call), 3);
    size_t count;
    const struct ottla_offset_result *told = ottla_call_offsets(call, &count);
    assert_int_equal(count, 6);
    assert_int_equal(told[0].offset, 4);
    assert_int_equal(told[1].offset, 3);
    assert_int_equal(told[1].timestamp_ms, 1300);
    assert_int_equal(told[2].code, 3);
    assert_int_equal(told[3].code, OTTLA_OK);
    assert_int_equal(told[3].offset, -1);
    assert_int_equal(told[4].code, 3);
    assert_int_equal(told[5].code, OTTLA_INVALID);
    ottla_call_free(call);
    assert_int_equal(offset_at(client, topic, 0, OTTLA_OFFSET_MAX_TIMESTAMP), 9);
    assert_int_equal(offset_at(client, topic, 0, OTTLA_OFFSET_EARLIEST_LOCAL), 0);

    struct ottla_position before[] = {
        {.topic = topic, .partition = 0, .offset = 6},
        {.topic = topic, .partition = 2, .offset = OTTLA_OFFSET_LATEST},
        {.topic = topic, .partition = 1, .offset = 5},
    };
    call = ottla_records_delete(client, before, 3, NULL);
    assert_int_equal(calls_code_of(call), 1 /* OFFSET_OUT_OF_RANGE */);
    const struct ottla_partition_result *deleted = ottla_call_partitions(call, &count);
    assert_int_equal(deleted[0].offset, 6);
    assert_int_equal(deleted[1].offset, 4);
    assert_int_equal(deleted[2].code, 1);
    ottla_call_free(call);
    assert_int_equal(offset_at(client, topic, 0, OTTLA_OFFSET_EARLIEST), 6);

    struct ottla_partition of = {topic, 0};
    call = ottla_producers_describe(client, &of, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    const struct ottla_partition_producers *producers = ottla_call_producers(call, &count);
    assert_int_equal(producers[0].producer_count, 1);
    assert_int_equal(producers[0].producers[0].last_sequence, 9);
    assert_int_equal(producers[0].producers[0].transaction_start_offset, -1);
    ottla_call_free(call);
    calls_delete_topic(client, topic);
}

/* --- the cluster --- */

static void the_cluster_is_described(void **state) {
    struct ottla_client *client = *state;
    struct ottla_admin_options options = {.fenced = true, .authorized_operations = true};
    struct ottla_call *call = ottla_cluster_describe(client, &options);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    assert_int_equal(strlen(cluster->cluster_id), 22);
    assert_int_equal(cluster->controller_id, 1);
    assert_int_equal(cluster->node_count, 1);
    assert_int_equal(cluster->nodes[0].id, 1);
    assert_string_equal(cluster->nodes[0].host, "127.0.0.1");
    assert_false(cluster->nodes[0].fenced);
    assert_true(cluster->authorized_operations != INT32_MIN);
    ottla_call_free(call);
    struct ottla_admin_options controllers = {.controllers = true};
    calls_finish(ottla_cluster_describe(client, &controllers), 114 /* MISMATCHED_ENDPOINT_TYPE */);

    call = ottla_versions_describe(client, NULL, 0, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_broker_versions *versions = ottla_call_versions(call, &count);
    assert_int_equal(count, 1);
    assert_int_equal(versions[0].node.id, 1);
    assert_true(versions[0].node.port > 0);
    assert_true(versions[0].api_count > 30);
    assert_string_equal(versions[0].apis[0].name, "Produce");
    assert_int_equal(versions[0].apis[0].usable, 13);
    ottla_call_free(call);
    int32_t missing[] = {1, 77};
    call = ottla_versions_describe(client, missing, 2, NULL);
    assert_int_equal(calls_code_of(call), 8 /* BROKER_NOT_AVAILABLE */);
    assert_int_equal(ottla_call_versions(call, &count)[0].code, OTTLA_OK);
    assert_int_equal(ottla_call_versions(call, &count)[1].code, 8);
    ottla_call_free(call);
}

static void the_quorum_is_described(void **state) {
    struct ottla_client *client = *state;
    struct ottla_call *call = ottla_quorum_describe(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    const struct ottla_quorum *quorum = ottla_call_quorum(call);
    assert_int_equal(quorum->leader_id, 1);
    assert_int_equal(quorum->voter_count, 1);
    assert_int_equal(quorum->voters[0].id, 1);
    assert_int_equal(strlen(quorum->voters[0].directory_id), 22);
    assert_true(quorum->high_watermark > 0);
    assert_int_equal(quorum->node_count, 1);
    assert_string_equal(quorum->nodes[0].listeners[0].name, "CONTROLLER");
    ottla_call_free(call);
}

/* A client of controllers alone. */
static void controllers_are_asked_without_brokers(void **state) {
    struct ottla_call *call = ottla_quorum_describe(*state, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    char server[32];
    (void)snprintf(server, sizeof server, "127.0.0.1:%u",
                   ottla_call_quorum(call)->nodes[0].listeners[0].port);
    ottla_call_free(call);
    struct ottla_config *config = suite_config();
    assert_int_equal(ottla_config_set(config, "bootstrap.servers", "", NULL), OTTLA_OK);
    assert_int_equal(ottla_config_set(config, "bootstrap.controllers", server, NULL), OTTLA_OK);
    struct ottla_client *client;
    assert_int_equal(ottla_client_new(config, &client, NULL), OTTLA_OK);
    ottla_config_free(config);

    call = ottla_cluster_describe(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_int_equal(ottla_call_cluster(call)->node_count, 1);
    assert_int_equal(ottla_call_cluster(call)->controller_id, 1);
    ottla_call_free(call);
    calls_finish(ottla_quorum_describe(client, NULL), OTTLA_OK);
    calls_finish(ottla_features_describe(client, NULL), OTTLA_OK);
    char topic[64];
    suite_topic_name("ruled", topic);
    struct ottla_new_topic new_topic = {.name = topic, .partitions = 1};
    calls_finish(ottla_topics_create(client, &new_topic, 1, NULL), OTTLA_OK);
    struct ottla_resource resources[] = {{OTTLA_RESOURCE_TOPIC, topic, NULL, 0},
                                         {OTTLA_RESOURCE_BROKER, "1", NULL, 0}};
    int code = OTTLA_PENDING; /* Apache Kafka's controllers hear of what they did a little later */
    for (int i = 0; i < 100 && code != OTTLA_OK; i++) {
        call = ottla_configs_describe(client, resources, 2, NULL);
        code = ottla_call_wait(call, -1, NULL);
        ottla_call_free(call);
        if (code != OTTLA_OK) {
            ottla_client_run(client, 20);
        }
    }
    assert_int_equal(code, OTTLA_OK);
    struct ottla_error error;
    call = ottla_topics_list(client, NULL);
    assert_int_equal(ottla_call_wait(call, -1, &error), OTTLA_UNSUPPORTED);
    assert_non_null(strstr(error.text, "Metadata"));
    ottla_call_free(call);
    calls_delete_topic(client, topic);
    ottla_client_free(client);
}

static void features_are_described_and_checked(void **state) {
    struct ottla_client *client = *state;
    struct ottla_call *call = ottla_features_describe(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    const struct ottla_features *features = ottla_call_features(call);
    int16_t level = 0;
    for (size_t i = 0; i < features->feature_count; i++) {
        if (strcmp(features->features[i].name, "metadata.version") == 0) {
            level = features->features[i].finalized;
            assert_true(features->features[i].supported_max >= level);
        }
    }
    assert_true(level >= 20);
    assert_true(features->epoch >= 0);
    ottla_call_free(call);
    struct ottla_admin_options only = {.validate_only = true};
    struct ottla_feature_update update = {"metadata.version", 999, OTTLA_UPGRADE};
    calls_finish(ottla_features_update(client, &update, 1, &only), 95 /* INVALID_UPDATE_VERSION */);
    update.level = (int16_t)(level - 1);
    update.type = OTTLA_UNSAFE_DOWNGRADE;
    call = ottla_features_update(client, &update, 1, &only);
    (void)calls_code_of(call);
    size_t count;
    assert_string_equal(ottla_call_feature_results(call, &count)->name, "metadata.version");
    ottla_call_free(call);
}

static void log_directories_are_described(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("dirs", topic);
    calls_make_topic(client, topic, 2);
    produce(client, topic, 1, 3);
    struct ottla_call *call = ottla_log_dirs_describe(client, NULL, 0, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_log_dir *dirs = ottla_call_log_dirs(call, &count);
    assert_int_equal(count, 1);
    assert_int_equal(dirs[0].code, OTTLA_OK);
    assert_int_equal(dirs[0].broker_id, 1);
    assert_true(dirs[0].path[0] == '/');
    assert_true(dirs[0].usable_size > 0);
    int64_t size = -1;
    for (size_t i = 0; i < dirs[0].replica_count; i++) {
        if (strcmp(dirs[0].replicas[i].topic, topic) == 0 && dirs[0].replicas[i].partition == 1) {
            size = dirs[0].replicas[i].size;
        }
    }
    assert_true(size > 60);
    ottla_call_free(call);
    int32_t missing[] = {77, 1};
    struct ottla_admin_options soon = {.timeout_ms = 1500};
    call = ottla_log_dirs_describe(client, missing, 2, &soon);
    assert_int_not_equal(calls_code_of(call), OTTLA_OK);
    dirs = ottla_call_log_dirs(call, &count);
    assert_int_equal(count, 2);
    assert_int_equal(dirs[0].broker_id, 1);
    assert_int_equal(dirs[0].code, OTTLA_OK);
    assert_int_equal(dirs[1].broker_id, 77);
    assert_int_not_equal(dirs[1].code, OTTLA_OK);
    assert_null(dirs[1].path);
    ottla_call_free(call);
    calls_delete_topic(client, topic);
}

/* --- what one of the brokers does not have --- */

static void apis_that_are_missing_are_named(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("missing", topic);
    calls_make_topic(client, topic, 1);
    struct ottla_partition partition = {topic, 0};
    int32_t one = 1;
    struct ottla_reassignment reassignment = {topic, 0, {&one, 1}};
    struct ottla_replica_move move = {topic, 0, 1, "/no/such/directory"};
    struct ottla_listener listener = {"CONTROLLER", "127.0.0.1", 1};
    const char *directory = "AAAAAAAAAAAAAAAAAAAAAg";
    struct {
        struct ottla_call *call;
        const char *api;
        int kafka; /* what Apache Kafka says */
    } calls[] = {
        {ottla_leaders_elect(client, OTTLA_ELECTION_PREFERRED, &partition, 1, NULL), "ElectLeaders",
         84},
        {ottla_leaders_elect(client, OTTLA_ELECTION_PREFERRED, NULL, 0, NULL), "ElectLeaders", 0},
        {ottla_reassignments_alter(client, &reassignment, 1, NULL), "AlterPartitionReassignments",
         0},
        {ottla_reassignments_list(client, NULL, 0, NULL), "ListPartitionReassignments", 0},
        {ottla_reassignments_list(client, &partition, 1, NULL), "ListPartitionReassignments", 0},
        {ottla_replicas_move(client, &move, 1, NULL), "AlterReplicaLogDirs", 57},
        {ottla_voter_add(client, 1, directory, &listener, 1, NULL), "AddRaftVoter", 126},
        {ottla_voter_remove(client, 55, directory, NULL), "RemoveRaftVoter", 127},
        {ottla_broker_unregister(client, 55, NULL), "UnregisterBroker", 102},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct ottla_error error = {0};
        int code = ottla_call_wait(calls[i].call, 60000, &error);
        if (calls_is_apache_kafka()) {
            print_message("  %s: %s: %s\n", calls[i].api, ottla_code_name(code), error.text);
            assert_int_equal(code, calls[i].kafka);
        } else if (code == OTTLA_UNSUPPORTED) {
            assert_non_null(strstr(error.text, calls[i].api));
        }
        ottla_call_free(calls[i].call);
    }
    calls_delete_topic(client, topic);
}

/* --- calls --- */

struct seen {
    int count;
    int code;
};

static void on_done(void *arg, struct ottla_call *call) {
    struct seen *seen = arg;
    seen->count++;
    seen->code = ottla_call_code(call, NULL);
    ottla_call_free(call);
}

static void calls_tell_of_their_end(void **state) {
    struct ottla_client *client = *state;
    struct seen seen[4] = {{0}};
    ottla_call_on_done(ottla_cluster_describe(client, NULL), on_done, &seen[0]);
    ottla_call_on_done(ottla_topics_list(client, NULL), on_done, &seen[1]);
    ottla_call_on_done(ottla_topics_create(client, NULL, 0, NULL), on_done, &seen[2]); /* done */
    struct ottla_call *call = ottla_quorum_describe(client, NULL);
    assert_int_equal(ottla_call_code(call, NULL), OTTLA_PENDING);
    assert_null(ottla_call_quorum(call));
    assert_int_equal(ottla_call_wait(call, 0, NULL), OTTLA_TIMED_OUT);
    assert_false(ottla_call_is_done(call));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen[i].count <= 1, true);
    }
    ottla_call_free(call); /* before its end */
    for (int i = 0; i < 1000 && seen[0].count + seen[1].count + seen[2].count < 3; i++) {
        ottla_client_run(client, 100);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen[i].count, 1);
        assert_int_equal(seen[i].code, OTTLA_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        suite_test(topics_come_and_go),
        suite_test(wrong_topics_fail_alone),
        suite_test(settings_change),
        suite_test(settings_of_all_kinds_are_told),
        suite_test(resources_are_listed),
        suite_test(offsets_are_told_and_records_deleted),
        suite_test(the_cluster_is_described),
        suite_test(the_quorum_is_described),
        suite_test(controllers_are_asked_without_brokers),
        suite_test(features_are_described_and_checked),
        suite_test(log_directories_are_described),
        suite_test(apis_that_are_missing_are_named),
        suite_test(calls_tell_of_their_end),
        suite_test(pages_are_followed), /* the last: brokers are busy with so many for a while */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
