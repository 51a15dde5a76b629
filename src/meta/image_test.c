#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "meta/snapshot.h"
#include "meta/test_records.h"
#include "wire/codec.h"

/* The linker sends all allocations through these (meson.build), so that they can be counted. */
static size_t allocated;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size) {
    allocated += size;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    allocated += count * size;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    allocated += size;
    return __real_realloc(memory, size);
}

static const struct meta_provenance somewhere = {.offset = 1, .epoch = 1, .timestamp_ms = 1};

static struct meta_image *finish(struct meta_delta *delta) {
    return meta_delta_finish(delta, &somewhere, NULL);
}

/* --- round trip --- */

static void count_type(void *arg, int16_t type, const void *message) {
    (void)message;
    ((int *)arg)[type]++;
}

static void the_history_has_every_type(void **state) {
    (void)state;
    int counts[META_RECORD_TYPES] = {0};
    test_history(&(struct record_sink){.add = count_type, .arg = counts});
    int types = 0;
    for (int16_t type = 0; type < META_RECORD_TYPES; type++) {
        if (meta_record_wire_type(type) != NULL) {
            assert_true(counts[type] > 0);
            types++;
        }
    }
    assert_int_equal(types, 26);
}

/* The image as encoded records, decoded again, into a new image. */
static struct meta_image *rebuild(struct meta_image *image) {
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    meta_image_unref(empty);
    struct meta_image_walk *walk = meta_image_walk_new(image);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct meta_record record;
    while (meta_image_walk_next(walk, &record)) {
        struct buffer value = {0};
        assert_int_equal(meta_record_encode(&record, &value), ERR_OK);
        struct meta_record decoded;
        assert_int_equal(meta_record_decode(buffer_bytes(&value), &arena, &decoded), ERR_OK);
        assert_int_equal(decoded.type, record.type);
        assert_int_equal(decoded.version, record.version);
        assert_int_equal(meta_delta_apply(delta, &decoded), ERR_OK);
        buffer_done(&value); /* the image must not need it any more */
        arena_reset(&arena);
    }
    arena_done(&arena);
    meta_image_walk_free(walk);
    return finish(delta);
}

static void records_make_the_same_image(void **state) {
    (void)state;
    struct meta_image *image = test_history_image();
    struct meta_image *again = rebuild(image);
    assert_true(meta_image_equal(image, again));
    assert_int_equal(again->partition_count, image->partition_count);

    struct meta_delta *delta = meta_delta_new(again);
    struct config_record config;
    wire_init(&config_record_type, &config);
    config.resource_type = META_RESOURCE_TOPIC;
    config.resource_name = STR("alpha");
    config.name = STR("retention.ms");
    config.value = STR("12346");
    test_apply(delta, META_RECORD_CONFIG, &config);
    struct meta_image *other = finish(delta);
    assert_false(meta_image_equal(image, other));
    assert_true(meta_image_equal(image, again)); /* which the delta did not touch */
    meta_image_unref(other);
    meta_image_unref(again);
    meta_image_unref(image);
}

static void lower_levels_leave_out_what_they_lack(void **state) {
    (void)state;
    for (int16_t level = METADATA_VERSION_MIN; level <= METADATA_VERSION_LATEST; level++) {
        struct meta_image *image = test_history_image();
        struct meta_delta *delta = meta_delta_new(image);
        struct feature_level_record feature;
        wire_init(&feature_level_record_type, &feature);
        feature.name = STR("metadata.version");
        feature.feature_level = level;
        test_apply(delta, META_RECORD_FEATURE_LEVEL, &feature);
        struct meta_image *lower = finish(delta);
        struct meta_image *again = rebuild(lower);
        assert_true(meta_image_equal(lower, again));
        meta_image_unref(again);
        meta_image_unref(lower);
        meta_image_unref(image);
    }
}

/* --- what records do --- */

static void the_history_ends_as_kafka_would_end_it(void **state) {
    (void)state;
    struct meta_image *image = test_history_image();
    assert_int_equal(meta_image_metadata_version(image), 30);
    assert_int_equal(meta_image_feature(image, STR("group.version")), 1);
    assert_int_equal(meta_image_feature(image, STR("share.version")), 0);
    assert_int_equal(image->next_producer_id, 1000);
    assert_int_equal(image->partition_count, 3);
    assert_null(meta_image_topic(image, STR("gone")));
    assert_null(meta_image_topic_by_id(image, test_id(21)));
    assert_null(
        meta_image_config(image, META_RESOURCE_TOPIC, STR("gone"), STR("retention.ms")).data);
    assert_null(meta_image_config_resource(image, META_RESOURCE_BROKER, STR("2")));
    assert_int_equal(meta_image_config(image, META_RESOURCE_BROKER, STR("1"), STR("x")).size, 0);
    assert_non_null(meta_image_config(image, META_RESOURCE_BROKER, STR("1"), STR("x")).data);
    assert_int_equal(image->acls.count, 2);
    assert_int_equal(image->scrams.count, 1);
    assert_int_equal(image->tokens.count, 1);
    assert_int_equal(image->quotas.count, 2);

    assert_false(meta_image_broker(image, 1)->fenced);
    assert_true(meta_image_broker(image, 2)->fenced);
    assert_true(meta_image_broker(image, 3)->in_controlled_shutdown);
    assert_int_equal(meta_image_broker(image, 3)->log_dir_count, 1);
    assert_int_equal(meta_image_broker(image, 3)->cordoned_log_dir_count, 1);
    assert_int_equal(meta_image_broker(image, 1)->cordoned_log_dir_count, -1);
    assert_null(meta_image_broker(image, 4));

    const struct meta_topic *topic = meta_image_topic(image, STR("alpha"));
    const struct meta_partition *first = meta_topic_partition(topic, 0);
    assert_int_equal(first->leader, 2);
    assert_int_equal(first->leader_epoch, 1);
    assert_int_equal(first->partition_epoch, 2); /* changed, and its ELR cleared */
    assert_int_equal(first->leader_recovery_state, META_RECOVERY_RECOVERING);
    assert_int_equal(first->isr_count, 1);
    assert_int_equal(first->elr_count, 0);
    const struct meta_partition *second = meta_topic_partition(topic, 1);
    assert_int_equal(second->leader, 1);
    assert_int_equal(second->leader_epoch, 0);
    assert_int_equal(second->replica_count, 2);
    assert_false(meta_partition_has_replica(second, 2));
    assert_true(meta_partition_in_isr(second, 2));
    assert_int_equal(meta_topic_partition(topic, 2)->elr_count, 2);
    assert_null(meta_topic_partition(topic, 3));
    assert_null(meta_topic_partition(topic, -1));
    meta_image_unref(image);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct meta_image *image = test_history_image();
    struct meta_delta *delta = meta_delta_new(image);
    struct partition_change_record change;
    wire_init(&partition_change_record_type, &change);
    change.topic_id = test_id(20);
    change.partition_id = 9;
    struct meta_record record = {.type = META_RECORD_PARTITION_CHANGE, .message = &change};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_INVALID);
    assert_string_equal(meta_delta_error(delta),
                        "PartitionChangeRecord: there is no partition alpha-9");
    change.partition_id = 0;
    int32_t two[] = {1, 2};
    change.replicas = two;
    change.replicas_count = 2; /* for three directories */
    assert_int_equal(meta_delta_apply(delta, &record), ERR_INVALID);

    struct fence_broker_record fence = {.id = 1, .epoch = 7};
    record = (struct meta_record){.type = META_RECORD_FENCE_BROKER, .message = &fence};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_INVALID);
    struct topic_record topic = {.name = STR("alpha"), .topic_id = test_id(50)};
    record = (struct meta_record){.type = META_RECORD_TOPIC, .message = &topic};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_INVALID);
    record = (struct meta_record){.type = 6, .message = &topic};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_UNSUPPORTED);

    struct meta_image *same = finish(delta);
    assert_true(meta_image_equal(same, image));
    meta_image_unref(same);
    meta_image_unref(image);
}

/* --- changes --- */

static void changes_say_what_changed(void **state) {
    (void)state;
    struct meta_image *image = test_history_image();
    struct meta_delta *delta = meta_delta_new(image);
    struct partition_change_record change;
    wire_init(&partition_change_record_type, &change);
    change.topic_id = test_id(20);
    for (int32_t partition = 2; partition >= 0; partition -= 2) {
        change.partition_id = partition;
        change.leader = 1;
        test_apply(delta, META_RECORD_PARTITION_CHANGE, &change);
        test_apply(delta, META_RECORD_PARTITION_CHANGE, &change);
    }
    struct topic_record topic = {.name = STR("new"), .topic_id = test_id(51)};
    test_apply(delta, META_RECORD_TOPIC, &topic);
    topic = (struct topic_record){.name = STR("passing"), .topic_id = test_id(52)};
    test_apply(delta, META_RECORD_TOPIC, &topic);
    struct remove_topic_record remove = {.topic_id = test_id(52)};
    test_apply(delta, META_RECORD_REMOVE_TOPIC, &remove);
    struct unfence_broker_record unfence = {.id = 2, .epoch = 102};
    test_apply(delta, META_RECORD_UNFENCE_BROKER, &unfence);

    struct meta_changes *changes;
    struct meta_image *next = meta_delta_finish(delta, &somewhere, &changes);
    assert_int_equal(changes->topic_count, 2);
    assert_int_equal(changes->topics[0].change, META_CHANGED);
    assert_int_equal(changes->topics[0].partition_count, 2);
    assert_int_equal(changes->topics[0].partitions[0], 0);
    assert_int_equal(changes->topics[0].partitions[1], 2);
    assert_int_equal(changes->topics[1].change, META_CREATED);
    assert_true(str_equal(changes->topics[1].name, STR("new")));
    assert_int_equal(changes->broker_count, 1);
    assert_int_equal(changes->brokers[0].change, META_CHANGED);
    assert_int_equal(changes->config_count, 0);
    assert_false(changes->features);
    assert_int_equal(meta_topic_partition(meta_image_topic(next, STR("alpha")), 0)->leader_epoch,
                     3);
    assert_int_equal(meta_topic_partition(meta_image_topic(image, STR("alpha")), 0)->leader_epoch,
                     1);
    meta_changes_free(changes);

    delta = meta_delta_new(next);
    remove.topic_id = test_id(20);
    test_apply(delta, META_RECORD_REMOVE_TOPIC, &remove);
    topic = (struct topic_record){.name = STR("alpha"), .topic_id = test_id(53)};
    test_apply(delta, META_RECORD_TOPIC, &topic);
    struct meta_image *last = meta_delta_finish(delta, &somewhere, &changes);
    assert_int_equal(changes->topic_count, 2); /* deleted, and made anew */
    assert_int_equal(changes->topics[0].change, META_DELETED);
    assert_int_equal(changes->topics[1].change, META_CREATED);
    assert_int_equal(changes->config_count, 1); /* went with the topic */
    meta_changes_free(changes);
    meta_image_unref(last);
    meta_image_unref(next);
    meta_image_unref(image);
}

/* --- what a change costs --- */

static struct meta_image *many_partitions(int topics, int partitions) {
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    meta_image_unref(empty);
    int32_t replicas[] = {1, 2, 3};
    struct uuid directories[3] = {test_id(1), test_id(2), test_id(3)};
    for (int i = 0; i < topics; i++) {
        char name[32];
        snprintf(name, sizeof name, "topic-%d", i);
        struct topic_record topic = {.name = str_from_c(name), .topic_id = test_id(i)};
        test_apply(delta, META_RECORD_TOPIC, &topic);
        for (int32_t j = 0; j < partitions; j++) {
            struct partition_record partition;
            wire_init(&partition_record_type, &partition);
            partition.topic_id = test_id(i);
            partition.partition_id = j;
            partition.leader = 1;
            partition.replicas = replicas;
            partition.replicas_count = 3;
            partition.isr = replicas;
            partition.isr_count = 3;
            partition.directories = directories;
            partition.directories_count = 3;
            test_apply(delta, META_RECORD_PARTITION, &partition);
        }
    }
    return finish(delta);
}

static size_t cost_of_leader_change(struct meta_image *image, int topic, int32_t partition) {
    struct partition_change_record change;
    wire_init(&partition_change_record_type, &change);
    change.topic_id = test_id(topic);
    change.partition_id = partition;
    change.leader = 2;
    allocated = 0;
    struct meta_delta *delta = meta_delta_new(image);
    test_apply(delta, META_RECORD_PARTITION_CHANGE, &change);
    struct meta_changes *changes;
    struct meta_image *next = meta_delta_finish(delta, &somewhere, &changes);
    size_t cost = allocated;
    meta_changes_free(changes);
    meta_image_unref(next);
    return cost;
}

static void a_leader_change_is_cheap(void **state) {
    (void)state;
    const int shapes[][2] = {{1, 10000}, {10000, 1}, {100, 100}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct meta_image *image = many_partitions(shapes[i][0], shapes[i][1]);
        assert_int_equal(image->partition_count, 10000);
        size_t most = 0;
        for (int j = 0; j < 10000; j += 97) {
            size_t cost = cost_of_leader_change(image, j % shapes[i][0], j % shapes[i][1]);
            most = cost > most ? cost : most;
        }
        print_message("%d topics of %d partitions: a leader change allocates %zu bytes\n",
                      shapes[i][0], shapes[i][1], most);
        assert_true(most <= 16 * 1024);
        meta_image_unref(image);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_history_has_every_type),
        cmocka_unit_test(records_make_the_same_image),
        cmocka_unit_test(lower_levels_leave_out_what_they_lack),
        cmocka_unit_test(the_history_ends_as_kafka_would_end_it),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(changes_say_what_changed),
        cmocka_unit_test(a_leader_change_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
