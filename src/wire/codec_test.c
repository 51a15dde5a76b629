#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/rng.h"
#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/random.h"
#include "wire/schema.h"

/* Exact-size copies on the heap, so that a sanitizer sees a read of one byte too many. */
static err_t decode(const struct wire_type *type, int16_t version, const void *data, size_t size,
                    struct arena *arena, void *ret_message, size_t *ret_used) {
    uint8_t *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    err_t err = wire_decode(type, version, (struct bytes){.data = copy, .size = size}, arena,
                            ret_message, ret_used);
    free(copy);
    return err;
}

#define DECODE(type, version, literal, arena, message)                                             \
    decode((type), (version), (literal), sizeof(literal) - 1, (arena), (message), &(size_t){0})

static void for_every_version(void (*run)(const struct wire_type *type, int16_t version)) {
    for (size_t i = 0; i < wire_type_count; i++) {
        const struct wire_type *type = wire_types[i];
        for (int16_t version = type->versions.low; version <= type->versions.high; version++) {
            run(type, version);
        }
    }
}

static void round_trip(const struct wire_type *type, int16_t version) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct rng rng;
    rng_init(&rng, (uint64_t)version);
    for (int i = 0; i < 10; i++) {
        _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX], read[WIRE_MESSAGE_SIZE_MAX];
        wire_random(type, version, &rng, &arena, message);
        struct buffer out;
        buffer_init(&out);
        assert_int_equal(wire_encode(type, version, message, &out), ERR_OK);
        size_t size, used;
        assert_int_equal(wire_size(type, version, message, &size), ERR_OK);
        assert_int_equal(size, out.size);
        struct bytes in = {.data = out.data == NULL ? (const uint8_t *)"" : out.data,
                           .size = out.size};
        assert_int_equal(wire_decode(type, version, in, &arena, read, &used), ERR_OK);
        assert_int_equal(used, out.size);
        assert_true(wire_equal(type, message, read));
        assert_int_equal(wire_copy(type, read, &arena, message), ERR_OK);
        assert_true(wire_equal(type, message, read));
        buffer_done(&out);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void test_every_message_reads_what_it_wrote(void **state) {
    (void)state;
    for_every_version(round_trip);
}

static void every_cut_fails(const struct wire_type *type, int16_t version) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct rng rng;
    rng_init(&rng, 7);
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    wire_random(type, version, &rng, &arena, message);
    struct buffer out;
    buffer_init(&out);
    assert_int_equal(wire_encode(type, version, message, &out), ERR_OK);
    for (size_t size = 0; size < out.size; size++) {
        size_t used = 12345;
        assert_int_equal(decode(type, version, out.data, size, &arena, message, &used),
                         ERR_MALFORMED);
        assert_int_equal(used, 12345);
    }
    buffer_done(&out);
    arena_done(&arena);
}

static void test_a_message_cut_anywhere_is_malformed(void **state) {
    (void)state;
    for_every_version(every_cut_fails);
}

/* Broken bytes are refused or read; memory stays within the bound either way. */
static void damaged(const struct wire_type *type, int16_t version) {
    struct rng rng;
    rng_init(&rng, 11);
    _Alignas(16) uint8_t message[WIRE_MESSAGE_SIZE_MAX];
    for (int i = 0; i < 20; i++) {
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        wire_random(type, version, &rng, &arena, message);
        struct buffer out;
        buffer_init(&out);
        assert_int_equal(wire_encode(type, version, message, &out), ERR_OK);
        arena_done(&arena);
        for (int flips = 0; flips < 3 && out.size > 0; flips++) {
            out.data[rng_below(&rng, out.size)] = (uint8_t)rng_next(&rng);
        }
        arena_init(&arena, wire_decode_bound(out.size));
        (void)decode(type, version, out.data, out.size, &arena, message, &(size_t){0});
        assert_true(arena.used <= wire_decode_bound(out.size));
        arena_done(&arena);
        buffer_done(&out);
    }
}

static void test_damaged_messages_do_no_harm(void **state) {
    (void)state;
    for_every_version(damaged);
}

static void test_unknown_versions_are_refused(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct produce_request request;
    wire_init(&produce_request_type, &request);
    struct buffer out = {0};
    assert_int_equal(wire_encode(&produce_request_type, 2, &request, &out),
                     ERR_UNSUPPORTED_VERSION);
    assert_int_equal(wire_encode(&produce_request_type, 99, &request, &out),
                     ERR_UNSUPPORTED_VERSION);
    assert_int_equal(DECODE(&produce_request_type, -1, "", &arena, &request),
                     ERR_UNSUPPORTED_VERSION);
    buffer_done(&out);
    arena_done(&arena);
}

/* H1: a count that no bytes stand behind allocates nothing. */
static void test_h1_counts_without_bytes_allocate_nothing(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct metadata_request request;
    assert_int_equal(DECODE(&metadata_request_type, 1, "\x7f\xff\xff\xff", &arena, &request),
                     ERR_MALFORMED);
    assert_int_equal(DECODE(&metadata_request_type, 9, "\xff\xff\xff\xff\x07", &arena, &request),
                     ERR_MALFORMED);
    assert_int_equal(
        DECODE(&metadata_request_type, 1, "\x00\x00\x00\x03\x00\x00\x00\x00\x00", &arena, &request),
        ERR_MALFORMED);
    assert_int_equal(arena.used, 0);
    arena_done(&arena);
}

/* H1: elements of one byte whose structs are large run into the arena's bound. */
static void test_h1_small_elements_run_into_the_bound(void **state) {
    (void)state;
    enum { COUNT = 1 << 20 };
    uint8_t *data = calloc(COUNT + 16, 1);
    assert_non_null(data);
    memset(data, 1, COUNT + 16);                    /* empty compact strings */
    data[0] = 0x81, data[1] = 0x80, data[2] = 0x40; /* COUNT + 1 */
    struct arena arena;
    arena_init(&arena, wire_decode_bound(COUNT + 16));
    struct delete_groups_request request;
    size_t used;
    assert_int_equal(
        decode(&delete_groups_request_type, 2, data, COUNT + 16, &arena, &request, &used),
        ERR_LIMIT);
    arena_done(&arena);
    free(data);
}

static void test_lengths_beyond_the_end_are_malformed(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct sasl_authenticate_request request;
    const struct wire_type *type = &sasl_authenticate_request_type;
    assert_int_equal(DECODE(type, 1,
                            "\x7f\xff\xff\xff"
                            "ab",
                            &arena, &request),
                     ERR_MALFORMED);
    assert_int_equal(DECODE(type, 2,
                            "\x04"
                            "ab",
                            &arena, &request),
                     ERR_MALFORMED);
    assert_int_equal(DECODE(type, 2, "\xff\xff\xff\xff\xff", &arena, &request), ERR_MALFORMED);
    assert_int_equal(DECODE(type, 2, "\x80\x80\x80\x80\x80\x01", &arena, &request), ERR_MALFORMED);
    arena_done(&arena);
}

static void test_null_is_refused_where_it_must_not_be(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct metadata_request request;
    /* Version 0 asks for all topics with an empty array, version 1 with null. */
    assert_int_equal(DECODE(&metadata_request_type, 0, "\xff\xff\xff\xff", &arena, &request),
                     ERR_MALFORMED);
    assert_int_equal(DECODE(&metadata_request_type, 1, "\xff\xff\xff\xff", &arena, &request),
                     ERR_OK);
    assert_int_equal(request.topics_count, -1);
    assert_null(request.topics);
    struct buffer out = {0};
    assert_int_equal(wire_encode(&metadata_request_type, 1, &request, &out), ERR_OK);
    size_t size = out.size;
    assert_int_equal(wire_encode(&metadata_request_type, 0, &request, &out), ERR_INVALID);
    assert_int_equal(out.size, size);
    buffer_done(&out);
    arena_done(&arena);
}

static void test_strings_too_long_are_not_written(void **state) {
    (void)state;
    static char text[INT16_MAX + 1];
    struct heartbeat_request request;
    wire_init(&heartbeat_request_type, &request);
    struct buffer out = {0};
    request.group_id = (struct str){.data = text, .size = INT16_MAX};
    assert_int_equal(wire_encode(&heartbeat_request_type, 4, &request, &out), ERR_OK);
    request.group_id.size = INT16_MAX + 1;
    size_t size = out.size;
    assert_int_equal(wire_encode(&heartbeat_request_type, 4, &request, &out), ERR_INVALID);
    assert_int_equal(wire_encode(&heartbeat_request_type, 0, &request, &out), ERR_INVALID);
    assert_int_equal(out.size, size);
    buffer_done(&out);
}

static void test_fields_that_a_version_lacks(void **state) {
    (void)state;
    struct buffer out = {0};
    struct join_group_request join;
    wire_init(&join_group_request_type, &join);
    join.rebalance_timeout_ms = 5; /* since version 1, ignorable */
    assert_int_equal(wire_encode(&join_group_request_type, 0, &join, &out), ERR_OK);
    join.group_instance_id = STR("me"); /* since version 5, not ignorable */
    assert_int_equal(wire_encode(&join_group_request_type, 4, &join, &out),
                     ERR_UNSUPPORTED_VERSION);
    assert_int_equal(wire_encode(&join_group_request_type, 5, &join, &out), ERR_OK);
    buffer_done(&out);
}

/* ApiVersionsResponse 3: error code, no keys, throttle time; then the tagged fields. */
#define RESPONSE_START "\x00\x00\x01\x00\x00\x00\x00"

static void test_tagged_fields_of_any_order(void **state) {
    (void)state;
    const struct wire_type *type = &api_versions_response_type;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct api_versions_response response;
    assert_int_equal(DECODE(type, 3,
                            RESPONSE_START "\x02\x03\x01\x01\x01\x08\x00\x00\x00\x00\x00\x00\x00"
                                           "\x05",
                            &arena, &response),
                     ERR_OK);
    assert_true(response.zk_migration_ready);
    assert_int_equal(response.finalized_features_epoch, 5);
    /* Twice the same: the last counts, as with Kafka's classes. */
    assert_int_equal(
        DECODE(type, 3, RESPONSE_START "\x02\x03\x01\x01\x03\x01\x00", &arena, &response), ERR_OK);
    assert_false(response.zk_migration_ready);
    assert_int_equal(response.finalized_features_epoch, -1);
    /* A size that the field does not fill, or overruns. */
    assert_int_equal(DECODE(type, 3, RESPONSE_START "\x01\x03\x02\x01\x00", &arena, &response),
                     ERR_MALFORMED);
    assert_int_equal(DECODE(type, 3, RESPONSE_START "\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x05",
                            &arena, &response),
                     ERR_MALFORMED);
    arena_done(&arena);
}

/* H2: unknown tagged fields are skipped without memory, and only so many. */
static void test_h2_unknown_tagged_fields(void **state) {
    (void)state;
    uint8_t data[7 + 1 + 2 * (WIRE_UNKNOWN_TAGS_MAX + 1)];
    memcpy(data, RESPONSE_START, 7);
    for (size_t i = 0; i <= WIRE_UNKNOWN_TAGS_MAX; i++) {
        data[8 + 2 * i] = 100;
        data[9 + 2 * i] = 0;
    }
    for (uint32_t count = WIRE_UNKNOWN_TAGS_MAX; count <= WIRE_UNKNOWN_TAGS_MAX + 1; count++) {
        data[7] = (uint8_t)count;
        size_t size = 8 + 2 * count;
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct api_versions_response response;
        size_t used;
        assert_int_equal(
            decode(&api_versions_response_type, 3, data, size, &arena, &response, &used),
            count > WIRE_UNKNOWN_TAGS_MAX ? ERR_LIMIT : ERR_OK);
        assert_int_equal(arena.used, 0);
        arena_done(&arena);
    }
}

static void test_tagged_fields_of_128_bytes_and_more(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct uuid log_dirs[40] = {{{1}}};
    struct register_broker_record record, read;
    wire_init(&register_broker_record_type, &record);
    record.log_dirs = log_dirs;
    for (record.log_dirs_count = 6; record.log_dirs_count < 40; record.log_dirs_count++) {
        struct buffer out = {0};
        assert_int_equal(wire_encode(&register_broker_record_type, 3, &record, &out), ERR_OK);
        size_t used;
        assert_int_equal(
            decode(&register_broker_record_type, 3, out.data, out.size, &arena, &read, &used),
            ERR_OK);
        assert_int_equal(used, out.size);
        assert_int_equal(read.log_dirs_count, record.log_dirs_count);
        buffer_done(&out);
    }
    arena_done(&arena);
}

/* Null is really sent for a tagged field whose default is empty, not null. */
static void test_nullable_tagged_fields_whose_default_is_empty(void **state) {
    (void)state;
    const struct wire_type *type = &consumer_group_member_metadata_value_type;
    struct consumer_group_member_metadata_value value, read;
    wire_init(type, &value);
    assert_non_null(value.classic_member_metadata);
    struct buffer empty = {0}, null = {0};
    assert_int_equal(wire_encode(type, 0, &value, &empty), ERR_OK);
    value.classic_member_metadata = NULL;
    assert_int_equal(wire_encode(type, 0, &value, &null), ERR_OK);
    assert_int_equal(null.size, empty.size + 3);
    assert_memory_equal(null.data + null.size - 4, "\x01\x00\x01\x00", 4);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    size_t used;
    assert_int_equal(wire_decode(type, 0, buffer_bytes(&null), &arena, &read, &used), ERR_OK);
    assert_null(read.classic_member_metadata);
    arena_done(&arena);
    buffer_done(&empty);
    buffer_done(&null);
}

static void fetch_response(struct fetch_response *response,
                           struct fetch_response_fetchable_topic_response *topic,
                           struct fetch_response_partition_data partitions[2]) {
    wire_init(&fetch_response_type, response);
    *topic = (struct fetch_response_fetchable_topic_response){
        .topic = STR(""), .partitions = partitions, .partitions_count = 2};
    for (int i = 0; i < 2; i++) {
        partitions[i] = (struct fetch_response_partition_data){
            .partition_index = i,
            .last_stable_offset = -1,
            .log_start_offset = -1,
            .preferred_read_replica = -1,
            .aborted_transactions_count = -1,
            .diverging_epoch = {.epoch = -1, .end_offset = -1},
            .current_leader = {.leader_id = -1, .leader_epoch = -1},
            .snapshot_id = {.end_offset = -1, .epoch = -1}};
    }
    response->responses = topic;
    response->responses_count = 1;
}

static void test_gaps_are_where_the_bytes_belong(void **state) {
    (void)state;
    static uint8_t bytes[300];
    memset(bytes, 0xab, sizeof bytes);
    struct fetch_response response;
    struct fetch_response_fetchable_topic_response topic;
    struct fetch_response_partition_data partitions[2];
    fetch_response(&response, &topic, partitions);
    for (int16_t version = 4; version <= 18; version++) {
        partitions[0].records = (struct bytes){.data = bytes, .size = 0};
        partitions[1].records = (struct bytes){.data = bytes, .size = sizeof bytes};
        struct buffer whole = {0}, holed = {0};
        assert_int_equal(wire_encode(&fetch_response_type, version, &response, &whole), ERR_OK);
        partitions[0].records.data = WIRE_GAP;
        partitions[1].records.data = WIRE_GAP;
        struct wire_gap gaps[2];
        size_t count;
        assert_int_equal(wire_encode_with_gaps(&fetch_response_type, version, &response, &holed,
                                               gaps, 1, &count),
                         ERR_LIMIT);
        assert_int_equal(holed.size, 0);
        assert_int_equal(wire_encode_with_gaps(&fetch_response_type, version, &response, &holed,
                                               gaps, 2, &count),
                         ERR_OK);
        assert_int_equal(count, 2);
        assert_int_equal(gaps[0].size, 0);
        assert_int_equal(gaps[1].size, sizeof bytes);
        assert_int_equal(holed.size + sizeof bytes, whole.size);
        size_t position = gaps[1].position;
        assert_memory_equal(holed.data, whole.data, position);
        assert_memory_equal(bytes, whole.data + position, sizeof bytes);
        assert_memory_equal(holed.data + position, whole.data + position + sizeof bytes,
                            holed.size - position);
        buffer_done(&whole);
        buffer_done(&holed);
    }
}

static size_t shape_depth(const struct wire_struct *shape) {
    size_t deepest = 0;
    for (uint16_t i = 0; i < shape->field_count; i++) {
        if (shape->fields[i].shape != NULL) {
            size_t depth = shape_depth(shape->fields[i].shape);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest + 1;
}

static void test_no_message_is_deeper_than_the_limit(void **state) {
    (void)state;
    for (size_t i = 0; i < wire_type_count; i++) {
        assert_in_range(shape_depth(wire_types[i]->shape), 1, WIRE_DEPTH_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_reads_what_it_wrote),
        cmocka_unit_test(test_a_message_cut_anywhere_is_malformed),
        cmocka_unit_test(test_damaged_messages_do_no_harm),
        cmocka_unit_test(test_unknown_versions_are_refused),
        cmocka_unit_test(test_h1_counts_without_bytes_allocate_nothing),
        cmocka_unit_test(test_h1_small_elements_run_into_the_bound),
        cmocka_unit_test(test_lengths_beyond_the_end_are_malformed),
        cmocka_unit_test(test_null_is_refused_where_it_must_not_be),
        cmocka_unit_test(test_strings_too_long_are_not_written),
        cmocka_unit_test(test_fields_that_a_version_lacks),
        cmocka_unit_test(test_tagged_fields_of_any_order),
        cmocka_unit_test(test_h2_unknown_tagged_fields),
        cmocka_unit_test(test_tagged_fields_of_128_bytes_and_more),
        cmocka_unit_test(test_nullable_tagged_fields_whose_default_is_empty),
        cmocka_unit_test(test_gaps_are_where_the_bytes_belong),
        cmocka_unit_test(test_no_message_is_deeper_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
