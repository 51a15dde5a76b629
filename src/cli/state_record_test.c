#include "cli/state_record.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/test.h"
#include "meta/record.h"
#include "wire/messages.h"

struct fixture {
    struct arena arena;
    struct buffer key;
    struct buffer value;
    struct state_record record;
    const char *wrong;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    arena_init(&f->arena, SIZE_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    state_record_done(&f->record);
    buffer_done(&f->key);
    buffer_done(&f->value);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static void add_number(struct buffer *out, int16_t number) {
    put_be16(buffer_extend(out, 2), (uint16_t)number);
}

/* A type or version, and the message behind it. */
static void add(struct buffer *out, int16_t number, const struct wire_type *type, int16_t version,
                const void *message) {
    add_number(out, number);
    assert_int_equal(wire_encode(type, version, message, out), ERR_OK);
}

static err_t read_record(struct fixture *f, enum state_topic topic) {
    state_record_done(&f->record);
    return state_record_read(topic, buffer_bytes(&f->key), buffer_bytes(&f->value), &f->arena,
                             &f->record, &f->wrong);
}

static void check_json(json_t *json, const char *expected) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    assert_string_equal(text, expected);
    free(text);
}

static void add_transaction_key(struct fixture *f) {
    struct transaction_log_key key = {.transactional_id = STR("pay")};
    add(&f->key, 0, &transaction_log_key_type, 0, &key);
}

static void test_a_transaction(void **state) {
    struct fixture *f = *state;
    struct transaction_log_value value;
    wire_init(&transaction_log_value_type, &value);
    value.producer_id = 7;
    value.transaction_partitions_count = -1;
    add_transaction_key(f);
    assert_int_equal(read_record(f, STATE_TRANSACTIONS), ERR_OK);
    assert_null(f->record.value);
    add(&f->value, 1, &transaction_log_value_type, 1, &value);
    assert_int_equal(read_record(f, STATE_TRANSACTIONS), ERR_OK);
    assert_string_equal(f->record.name, "TransactionLog");
    assert_int_equal(f->record.version, 1);
    check_json(f->record.key, "{\"transactionalId\":\"pay\"}");
    check_json(f->record.value,
               "{\"producerId\":7,\"producerEpoch\":0,\"transactionTimeoutMs\":0,"
               "\"transactionStatus\":0,\"transactionPartitions\":null,"
               "\"transactionLastUpdateTimestampMs\":0,\"transactionStartTimestampMs\":0}");
}

static void test_what_is_not_known(void **state) {
    struct fixture *f = *state;
    add_number(&f->key, 99);
    assert_int_equal(read_record(f, STATE_TRANSACTIONS), ERR_UNSUPPORTED);
    assert_int_equal(f->record.type, 99);
    buffer_clear(&f->key);
    add_transaction_key(f);
    add_number(&f->value, 5);
    assert_int_equal(read_record(f, STATE_TRANSACTIONS), ERR_MALFORMED);
    assert_string_equal(f->wrong, "Found an unknown record version 5 for 0 type");
    assert_null(f->record.key);
}

static void test_what_is_damaged(void **state) {
    struct fixture *f = *state;
    buffer_add(&f->key, "", 1);
    assert_int_equal(read_record(f, STATE_GROUPS), ERR_MALFORMED);
    assert_string_equal(f->wrong, "Could not read version from key's buffer.");
    buffer_add(&f->key, "\2", 1); /* a group's metadata, whose name is missing */
    assert_int_equal(read_record(f, STATE_GROUPS), ERR_MALFORMED);
    assert_non_null(strstr(f->wrong, "Could not read record with version 2 from key's buffer"));
    buffer_clear(&f->key);
    add_transaction_key(f);
    buffer_add(&f->value, "\0", 1);
    assert_int_equal(read_record(f, STATE_TRANSACTIONS), ERR_MALFORMED);
    assert_string_equal(f->wrong, "Could not read version from value's buffer.");
}

/* Of one member the subscription can be read, of the other one it cannot. */
static void test_members_of_a_classic_group(void **state) {
    struct fixture *f = *state;
    struct group_metadata_key key = {.group = STR("g")};
    struct consumer_protocol_subscription subscription;
    struct str topic = STR("orders");
    struct buffer bytes = {0};
    struct group_metadata_value value;
    struct group_metadata_value_member_metadata members[2];
    wire_init(&consumer_protocol_subscription_type, &subscription);
    subscription.topics = &topic;
    subscription.topics_count = 1;
    subscription.user_data = (struct bytes){0};
    add(&bytes, 0, &consumer_protocol_subscription_type, 0, &subscription);
    wire_init(&group_metadata_value_type, &value);
    for (int i = 0; i < 2; i++) {
        members[i] = (struct group_metadata_value_member_metadata){
            .member_id = STR("m"),
            .client_id = STR("c"),
            .client_host = STR("h"),
            .subscription = i == 0 ? buffer_bytes(&bytes) : (struct bytes){(uint8_t *)"\0\0x", 3},
            .assignment = {(uint8_t *)"", 0},
        };
    }
    value.protocol_type = STR("consumer");
    value.members = members;
    value.members_count = 2;
    add(&f->key, 2, &group_metadata_key_type, 0, &key);
    add(&f->value, 3, &group_metadata_value_type, 3, &value);
    buffer_done(&bytes);
    assert_int_equal(read_record(f, STATE_GROUPS), ERR_OK);
    json_t *list = json_object_get(f->record.value, "members");
    assert_true(json_is_string(json_object_get(json_array_get(list, 0), "subscription")));
    state_record_take_apart(&f->record, &f->arena);
    check_json(json_object_get(json_array_get(list, 0), "subscription"),
               "{\"topics\":[\"orders\"],\"userData\":null}");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "subscription")),
                        "AAB4");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "assignment")),
                        "");
}

static void test_metadata(void **state) {
    struct fixture *f = *state;
    struct feature_level_record message = {.name = STR("group.version"), .feature_level = 1};
    struct meta_record record = {
        .type = META_RECORD_FEATURE_LEVEL, .version = 0, .message = &message};
    assert_int_equal(meta_record_encode(&record, &f->value), ERR_OK);
    assert_int_equal(read_record(f, STATE_METADATA), ERR_OK);
    assert_null(f->record.key);
    assert_string_equal(f->record.name, "FEATURE_LEVEL_RECORD");
    check_json(f->record.value, "{\"name\":\"group.version\",\"featureLevel\":1}");
    f->value.size--;
    assert_int_equal(read_record(f, STATE_METADATA), ERR_MALFORMED);
}

static void test_topics(void **state) {
    (void)state;
    assert_int_equal(state_topic_of("__transaction_state"), STATE_TRANSACTIONS);
    assert_int_equal(state_topic_of("__cluster_metadata"), STATE_METADATA);
    assert_int_equal(state_topic_of("orders"), STATE_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_a_transaction),   TEST(test_what_is_not_known),
        TEST(test_what_is_damaged), TEST(test_members_of_a_classic_group),
        TEST(test_metadata),        cmocka_unit_test(test_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
