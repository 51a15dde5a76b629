/* The hash of a group's topics, against numbers that Apache Kafka 4.3 computed. */
#include "coord/subscription.h"

#include "base/test.h"
#include "meta/delta.h"
#include "wire/codec.h"
#include "wire/messages.h"

static void apply(struct meta_delta *delta, int16_t type, const void *message) {
    struct meta_record record = {
        .type = type, .version = wire_version_max(meta_record_wire_type(type)), .message = message};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
}

static void add_broker(struct meta_delta *delta, int32_t id, struct str rack) {
    struct register_broker_record broker;
    wire_init(&register_broker_record_type, &broker);
    broker.broker_id = id;
    broker.rack = rack;
    broker.incarnation_id.bytes[15] = (uint8_t)id;
    apply(delta, META_RECORD_REGISTER_BROKER, &broker);
}

static void add_partition(struct meta_delta *delta, struct uuid topic_id, int32_t id,
                          int32_t *replicas, int32_t replica_count) {
    struct uuid directories[4] = {0};
    struct partition_record record;
    wire_init(&partition_record_type, &record);
    record.partition_id = id;
    record.topic_id = topic_id;
    record.replicas = record.isr = replicas;
    record.replicas_count = record.isr_count = replica_count;
    record.directories = directories;
    record.directories_count = replica_count;
    record.leader = replicas[0];
    apply(delta, META_RECORD_PARTITION, &record);
}

/* Topic "topic" with three partitions, on the racks r1 and rack-ä, on none, and on b; topic "empty"
 * is subscribed to and does not exist. */
static struct meta_image *image_make(void) {
    struct meta_image *base = meta_image_new();
    struct meta_delta *delta = meta_delta_new(base);
    meta_image_unref(base);
    add_broker(delta, 1, STR("r1"));
    add_broker(delta, 2, STR("rack-\xc3\xa4"));
    add_broker(delta, 3, STR_NULL);
    add_broker(delta, 4, STR("b"));
    struct uuid id = {{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}};
    struct topic_record topic = {.name = STR("topic"), .topic_id = id};
    apply(delta, META_RECORD_TOPIC, &topic);
    add_partition(delta, id, 0, (int32_t[]){2, 1}, 2);
    add_partition(delta, id, 1, (int32_t[]){3}, 1);
    add_partition(delta, id, 2, (int32_t[]){4}, 1);
    return meta_delta_finish(delta, &(struct meta_provenance){.offset = 1}, NULL);
}

#define TOPIC_HASH 4599239392459445820

static void hash_is_kafkas(void **state) {
    (void)state;
    struct meta_image *image = image_make();
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct subscription subscription;
    subscription_init(&subscription);
    assert_int_equal(subscription_hash(&subscription, NULL, image, &arena), 0);
    const struct str names[] = {STR("topic"), STR("empty")};
    subscription_count_topics(&subscription, names, 2, 1);
    assert_int_equal(subscription_hash(&subscription, NULL, image, &arena), TOPIC_HASH);
    assert_int_equal(subscription_hash(&subscription, NULL, image, &arena), TOPIC_HASH);
    assert_true(subscription_forget(&subscription, STR("topic")));
    assert_int_equal(subscription_hash(&subscription, NULL, image, &arena), TOPIC_HASH);
    subscription_done(&subscription);
    arena_done(&arena);
    meta_image_unref(image);
}

static void hash_foresees_changes(void **state) {
    (void)state;
    struct meta_image *image = image_make();
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct subscription subscription;
    subscription_init(&subscription);
    const struct str names[] = {STR("topic")};
    const struct subscription_change comes = {.added = names, .added_count = 1};
    const struct subscription_change goes = {.removed = names, .removed_count = 1};
    assert_int_equal(subscription_hash(&subscription, &comes, image, &arena), TOPIC_HASH);
    subscription_count_topics(&subscription, names, 1, 1);
    assert_int_equal(subscription_hash(&subscription, &goes, image, &arena), 0);
    /* An expression stands for it, too. */
    subscription_resolve(&subscription, STR("t.*"), names, 1, 1, 1);
    assert_int_equal(subscription_hash(&subscription, &goes, image, &arena), TOPIC_HASH);
    subscription_unresolve(&subscription, STR("t.*"));
    assert_int_equal(subscription_hash(&subscription, &goes, image, &arena), 0);
    subscription_done(&subscription);
    arena_done(&arena);
    meta_image_unref(image);
}

static void expressions_are_counted(void **state) {
    (void)state;
    struct subscription subscription;
    subscription_init(&subscription);
    const struct str first[] = {STR("b"), STR("a"), STR("b")};
    const struct str second[] = {STR("c")};
    subscription_count_regex(&subscription, STR("x"), 1);
    subscription_count_regex(&subscription, STR("x"), 1);
    assert_int_equal(subscription.regex_member_kinds, 1);
    subscription_resolve(&subscription, STR("x"), first, 3, 7, 8);
    const struct subscribed_regex *regex = subscription_regex(&subscription, STR("x"));
    assert_int_equal(regex->topic_count, 2); /* sorted, each once */
    assert_true(str_equal(regex->topics[0], STR("a")));
    assert_true(subscription_has_topic(&subscription, STR("b")));
    subscription_resolve(&subscription, STR("x"), second, 1, 9, 10);
    assert_false(subscription_has_topic(&subscription, STR("b")));
    assert_true(subscription_has_topic(&subscription, STR("c")));
    subscription_count_regex(&subscription, STR("x"), -2);
    assert_int_equal(subscription.regex_member_kinds, 0);
    assert_int_equal(subscription.resolved_count, 1);
    subscription_unresolve(&subscription, STR("x"));
    assert_null(subscription_regex(&subscription, STR("x")));
    assert_false(subscription_has_topic(&subscription, STR("c")));
    subscription_done(&subscription);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_is_kafkas),
        cmocka_unit_test(hash_foresees_changes),
        cmocka_unit_test(expressions_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
