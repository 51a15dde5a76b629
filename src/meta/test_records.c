#include "meta/test_records.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/codec.h"

struct uuid test_id(int number) {
    struct uuid id = {{0xaa}};
    id.bytes[15] = (uint8_t)number;
    id.bytes[14] = (uint8_t)(number >> 8);
    return id;
}

void test_apply(struct meta_delta *delta, int16_t type, const void *message) {
    struct meta_record record = {
        .type = type,
        .version = wire_version_max(meta_record_wire_type(type)),
        .message = message,
    };
    if (meta_delta_apply(delta, &record) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", meta_record_name(type), meta_delta_error(delta));
        abort();
    }
}

/* A record of the name with its defaults, called `r`, is filled by the statements and added. */
#define ADD(TYPE, name, ...)                                                                       \
    do {                                                                                           \
        struct name r;                                                                             \
        wire_init(&name##_type, &r);                                                               \
        __VA_ARGS__;                                                                               \
        sink->add(sink->arg, META_RECORD_##TYPE, &r);                                              \
    } while (0)

#define LIST(type, ...)                                                                            \
    (type[]) {                                                                                     \
        __VA_ARGS__                                                                                \
    }
#define IDS(field, ...)                                                                            \
    r.field = LIST(int32_t, __VA_ARGS__);                                                          \
    r.field##_count = (int32_t)(sizeof LIST(int32_t, __VA_ARGS__) / sizeof(int32_t))

static void features_and_nodes(const struct record_sink *sink) {
    ADD(BEGIN_TRANSACTION, begin_transaction_record, r.name = STR("Bootstrap records"));
    ADD(FEATURE_LEVEL, feature_level_record, r.name = STR("metadata.version");
        r.feature_level = 30);
    ADD(FEATURE_LEVEL, feature_level_record, r.name = STR("group.version"); r.feature_level = 1);
    ADD(FEATURE_LEVEL, feature_level_record, r.name = STR("share.version"); r.feature_level = 1);
    ADD(FEATURE_LEVEL, feature_level_record, r.name = STR("share.version"); r.feature_level = 0);
    ADD(END_TRANSACTION, end_transaction_record, (void)r);
    ADD(ZK_MIGRATION_STATE, zk_migration_state_record, r.zk_migration_state = 4);
    ADD(NO_OP, no_op_record, (void)r);

    struct register_controller_record_controller_endpoint controller_endpoint = {
        .name = STR("CONTROLLER"), .host = STR("localhost"), .port = 9093};
    struct register_controller_record_controller_feature controller_feature = {
        .name = STR("metadata.version"), .min_supported_version = 7, .max_supported_version = 30};
    ADD(REGISTER_CONTROLLER, register_controller_record, r.controller_id = 1;
        r.incarnation_id = test_id(1); r.end_points = &controller_endpoint; r.end_points_count = 1;
        r.features = &controller_feature; r.features_count = 1);

    struct register_broker_record_broker_endpoint endpoints[] = {
        {.name = STR("PLAINTEXT"), .host = STR("10.0.0.1"), .port = 9092},
        {.name = STR("EXTERNAL"), .host = STR("a.example"), .port = 65535, .security_protocol = 3},
    };
    struct register_broker_record_broker_feature feature = {
        .name = STR("metadata.version"), .min_supported_version = 7, .max_supported_version = 30};
    struct uuid log_dirs[] = {test_id(10), test_id(11)};
    for (int id = 1; id <= 4; id++) {
        ADD(REGISTER_BROKER, register_broker_record, r.broker_id = id; r.broker_epoch = 100 + id;
            r.incarnation_id = test_id(id); r.end_points = endpoints; r.end_points_count = 2;
            r.features = &feature; r.features_count = 1; r.log_dirs = log_dirs;
            r.log_dirs_count = 2; r.rack = id == 2 ? STR("rack-2") : STR_NULL);
    }
    ADD(UNFENCE_BROKER, unfence_broker_record, r.id = 1; r.epoch = 101);
    ADD(UNFENCE_BROKER, unfence_broker_record, r.id = 2; r.epoch = 102);
    ADD(FENCE_BROKER, fence_broker_record, r.id = 2; r.epoch = 102);
    ADD(BROKER_REGISTRATION_CHANGE, broker_registration_change_record, r.broker_id = 3;
        r.broker_epoch = 103; r.fenced = -1; r.in_controlled_shutdown = 1; r.log_dirs = log_dirs;
        r.log_dirs_count = 1; r.cordoned_log_dirs = log_dirs + 1; r.cordoned_log_dirs_count = 1);
    ADD(UNREGISTER_BROKER, unregister_broker_record, r.broker_id = 4; r.broker_epoch = 104);
}

static void topics(const struct record_sink *sink) {
    ADD(TOPIC, topic_record, r.name = STR("alpha"); r.topic_id = test_id(20));
    ADD(TOPIC, topic_record, r.name = STR("gone"); r.topic_id = test_id(21));
    struct uuid directories[] = {test_id(10), test_id(11), test_id(10)};
    for (int32_t partition = 0; partition < 3; partition++) {
        for (int topic = 20; topic <= 21; topic++) {
            ADD(PARTITION, partition_record, r.topic_id = test_id(topic);
                r.partition_id = partition; r.leader = 1; r.leader_epoch = 0; r.partition_epoch = 0;
                IDS(replicas, 1, 2, 3); IDS(isr, 1, 2); r.directories = directories;
                r.directories_count = 3; IDS(eligible_leader_replicas, 3); IDS(last_known_elr, 2));
        }
    }
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_TOPIC;
        r.resource_name = STR("alpha"); r.name = STR("retention.ms"); r.value = STR("12345"));
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_TOPIC; r.resource_name = STR("gone");
        r.name = STR("retention.ms"); r.value = STR("1"));
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_BROKER; r.resource_name = STR("");
        r.name = STR("message.max.bytes"); r.value = STR("2000000"));
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_BROKER; r.resource_name = STR("1");
        r.name = STR("x"); r.value = STR(""));
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_BROKER; r.resource_name = STR("2");
        r.name = STR("y"); r.value = STR("1"));
    ADD(CONFIG, config_record, r.resource_type = META_RESOURCE_BROKER; r.resource_name = STR("2");
        r.name = STR("y"); r.value = STR_NULL);
    ADD(PARTITION_CHANGE, partition_change_record, r.topic_id = test_id(20); r.partition_id = 0;
        r.leader = 2; IDS(isr, 2); r.leader_recovery_state = 1);
    ADD(PARTITION_CHANGE, partition_change_record, r.topic_id = test_id(20); r.partition_id = 1;
        IDS(replicas, 3, 1); IDS(removing_replicas, 1); IDS(adding_replicas, 3);
        r.directories = directories; r.directories_count = 2);
    ADD(REMOVE_TOPIC, remove_topic_record, r.topic_id = test_id(21));
    ADD(CLEAR_ELR, clear_elr_record, r.topic_name = STR("alpha"));
    ADD(PARTITION_CHANGE, partition_change_record, r.topic_id = test_id(20); r.partition_id = 2;
        IDS(eligible_leader_replicas, 1, 3); IDS(last_known_elr, 2));
}

static void kept_kinds(const struct record_sink *sink) {
    struct client_quota_record_entity_data user = {.entity_type = STR("user"),
                                                   .entity_name = STR("joe")};
    struct client_quota_record_entity_data both[] = {
        {.entity_type = STR("user"), .entity_name = STR_NULL},
        {.entity_type = STR("client-id"), .entity_name = STR("c")},
    };
    ADD(CLIENT_QUOTA, client_quota_record, r.entity = &user; r.entity_count = 1;
        r.key = STR("producer_byte_rate"); r.value = 1024.5);
    ADD(CLIENT_QUOTA, client_quota_record, r.entity = both; r.entity_count = 2;
        r.key = STR("request_percentage"); r.value = 50);
    ADD(CLIENT_QUOTA, client_quota_record, r.entity = &user; r.entity_count = 1;
        r.key = STR("consumer_byte_rate"); r.value = 1);
    ADD(CLIENT_QUOTA, client_quota_record, r.entity = &user; r.entity_count = 1;
        r.key = STR("consumer_byte_rate"); r.remove = true);
    ADD(PRODUCER_IDS, producer_ids_record, r.broker_id = 1; r.broker_epoch = 101;
        r.next_producer_id = 1000);
    for (int i = 0; i < 3; i++) {
        ADD(ACCESS_CONTROL_ENTRY, access_control_entry_record, r.id = test_id(30 + i);
            r.resource_type = 2; r.resource_name = STR("alpha"); r.pattern_type = 3;
            r.principal = STR("User:bob"); r.host = STR("*"); r.operation = (int8_t)(3 + i);
            r.permission_type = 3);
    }
    ADD(REMOVE_ACCESS_CONTROL_ENTRY, remove_access_control_entry_record, r.id = test_id(31));
    struct bytes secret = {.data = (const uint8_t *)"0123456789", .size = 10};
    for (int8_t mechanism = 1; mechanism <= 2; mechanism++) {
        ADD(USER_SCRAM_CREDENTIAL, user_scram_credential_record, r.name = STR("joe");
            r.mechanism = mechanism; r.salt = secret; r.stored_key = secret; r.server_key = secret;
            r.iterations = 8192);
    }
    ADD(REMOVE_USER_SCRAM_CREDENTIAL, remove_user_scram_credential_record, r.name = STR("joe");
        r.mechanism = 1);
    struct str renewer = STR("User:r");
    for (int i = 0; i < 2; i++) {
        ADD(DELEGATION_TOKEN, delegation_token_record, r.owner = STR("User:o");
            r.requester = STR("User:o"); r.renewers = &renewer; r.renewers_count = 1;
            r.issue_timestamp = 1; r.max_timestamp = 2; r.expiration_timestamp = 3;
            r.token_id = i == 0 ? STR("t0") : STR("t1"));
    }
    ADD(REMOVE_DELEGATION_TOKEN, remove_delegation_token_record, r.token_id = STR("t0"));
    ADD(BEGIN_TRANSACTION, begin_transaction_record, (void)r);
    ADD(ABORT_TRANSACTION, abort_transaction_record, r.reason = STR("none"));
}

void test_history(const struct record_sink *sink) {
    features_and_nodes(sink);
    topics(sink);
    kept_kinds(sink);
}

static void apply_to(void *arg, int16_t type, const void *message) {
    test_apply(arg, type, message);
}

struct meta_image *test_history_image(void) {
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    test_history(&(struct record_sink){.add = apply_to, .arg = delta});
    const struct meta_provenance provenance = {.offset = 99, .epoch = 3, .timestamp_ms = 1234};
    struct meta_image *image = meta_delta_finish(delta, &provenance, NULL);
    meta_image_unref(empty);
    return image;
}
