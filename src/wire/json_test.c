#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"
#include "wire/messages.h"

/* The sentence for JSON that does not fit, or "" for JSON that does. */
static void check_refused(const struct wire_type *type, int16_t version, const char *text,
                          const char *sentence) {
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct buffer error = {0};
    _Alignas(16) uint8_t message[512];
    err_t err = wire_from_json(type, version, json, &arena, message, &error);
    buffer_add(&error, "", 1);
    assert_string_equal((const char *)error.data, sentence);
    assert_int_equal(err, sentence[0] == '\0' ? ERR_OK : ERR_INVALID);
    buffer_done(&error);
    arena_done(&arena);
    json_decref(json);
}

static void test_errors_name_the_field(void **state) {
    (void)state;
    const struct wire_type *produce = &produce_request_type;
    check_refused(produce, 9, "[]", "an object is needed, not an array");
    check_refused(produce, 9, "{\"acks\": \"all\"}",
                  "acks: a whole number is needed, not a string");
    check_refused(produce, 9, "{\"acks\": 40000}",
                  "acks: 40000 is out of range, which is -32768 to 32767");
    check_refused(produce, 9, "{\"timeout\": 1}",
                  "timeout: there is no such field; the nearest is timeoutMs");
    check_refused(produce, 9, "{\"topicData\": 1}", "topicData: an array is needed, not a number");
    check_refused(produce, 9, "{\"topicData\": null}",
                  "topicData: null is not allowed in version 9");
    check_refused(produce, 9, "{\"topicData\": [{}, {\"partitionData\": [{\"records\": \"?\"}]}]}",
                  "topicData[1].partitionData[0].records: this is not base64");
    check_refused(produce, 9, "{\"topicData\": [{\"topicId\": \"x\"}]}",
                  "topicData[0].topicId: version 9 does not have this field");
    check_refused(produce, 13, "{\"topicData\": [{\"topicId\": \"x\"}]}",
                  "topicData[0].topicId: a uuid has 22 characters of base64url");
    check_refused(&metadata_request_type, 9, "{\"allowAutoTopicCreation\": 1}",
                  "allowAutoTopicCreation: true or false is needed, not a number");
    check_refused(&describe_topic_partitions_request_type, 0, "{\"cursor\": {\"topicName\": 1}}",
                  "cursor.topicName: a string is needed, not a number");
    check_refused(&describe_topic_partitions_request_type, 0, "{\"cursor\": null}", "");
}

static void test_missing_fields_have_their_defaults(void **state) {
    (void)state;
    json_t *json = json_loads("{\"topics\": [{\"topic\": \"a\"}]}", 0, NULL);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct buffer error = {0};
    struct fetch_request request;
    assert_int_equal(wire_from_json(&fetch_request_type, 12, json, &arena, &request, &error),
                     ERR_OK);
    assert_int_equal(request.max_bytes, 0x7fffffff);
    assert_int_equal(request.session_epoch, -1);
    assert_null(request.cluster_id.data);
    assert_int_equal(request.topics_count, 1);
    assert_true(str_equal(request.topics[0].topic, STR("a")));
    assert_int_equal(request.topics[0].partitions_count, 0);
    buffer_done(&error);
    arena_done(&arena);
    json_decref(json);
}

static void check_text(const struct wire_type *type, int16_t version, const void *message,
                       const char *expected) {
    json_t *json = wire_to_json(type, version, message);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_only_what_the_version_has_is_printed(void **state) {
    (void)state;
    struct offset_commit_value value;
    wire_init(&offset_commit_value_type, &value);
    value.offset = 7;
    value.metadata = STR("m");
    check_text(&offset_commit_value_type, 0, &value,
               "{\"offset\":7,\"metadata\":\"m\",\"commitTimestamp\":0}");
    check_text(&offset_commit_value_type, 4, &value,
               "{\"offset\":7,\"leaderEpoch\":-1,\"metadata\":\"m\",\"commitTimestamp\":0}");
    value.topic_id = UUID_ONE;
    check_text(&offset_commit_value_type, 4, &value,
               "{\"offset\":7,\"leaderEpoch\":-1,\"metadata\":\"m\",\"commitTimestamp\":0,"
               "\"topicId\":\"AAAAAAAAAAAAAAAAAAAAAQ\"}");
}

static void test_text_that_is_not_utf8(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"a\xff", "a\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82\xac\xe2\x82", "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct transaction_log_key key = {.transactional_id = str_from_c(rows[i][0])};
        char expected[128];
        (void)snprintf(expected, sizeof expected, "{\"transactionalId\":\"%s\"}", rows[i][1]);
        check_text(&transaction_log_key_type, 0, &key, expected);
    }
}

static void test_bytes_are_base64(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sasl_authenticate_request request = {.auth_bytes =
                                                        str_bytes(str_from_c(rows[i][0]))};
        char expected[64];
        (void)snprintf(expected, sizeof expected, "{\"authBytes\":\"%s\"}", rows[i][1]);
        check_text(&sasl_authenticate_request_type, 2, &request, expected);
        json_t *json = json_loads(expected, 0, NULL);
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct buffer error = {0};
        struct sasl_authenticate_request read;
        assert_int_equal(
            wire_from_json(&sasl_authenticate_request_type, 2, json, &arena, &read, &error),
            ERR_OK);
        assert_true(wire_equal(&sasl_authenticate_request_type, &request, &read));
        buffer_done(&error);
        arena_done(&arena);
        json_decref(json);
    }
    const struct wire_type *type = &sasl_authenticate_request_type;
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "Zg==Zg==", "=Zg=", "Zm9*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "{\"authBytes\":\"%s\"}", bad[i]);
        check_refused(type, 2, text, "authBytes: this is not base64");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_name_the_field),
        cmocka_unit_test(test_missing_fields_have_their_defaults),
        cmocka_unit_test(test_only_what_the_version_has_is_printed),
        cmocka_unit_test(test_text_that_is_not_utf8),
        cmocka_unit_test(test_bytes_are_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
