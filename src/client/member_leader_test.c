/* The leader of a group: from what members said, and metadata, to assignments. */
#include "client/member_leader.h"

#include <stdio.h>

#include "base/test.h"
#include "wire/codec.h"

enum { PARTITIONS = 3 };

static int32_t replicas[PARTITIONS][1] = {{1}, {2}, {3}};
static struct client_partition partitions[PARTITIONS];
static struct client_topic topics[2];

static const struct client_topic *view_topic(void *arg, struct str name) {
    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        if (str_equal(topics[i].name, name)) {
            return &topics[i];
        }
    }
    return NULL;
}

/* Broker 1 is in r1, 2 in r2, 3 in none. */
static struct str view_rack(void *arg, int32_t broker_id) {
    (void)arg;
    return broker_id == 1 ? STR("r1") : broker_id == 2 ? STR("r2") : STR_NULL;
}

static const struct member_view view = {.topic = view_topic, .rack = view_rack};

static int set_up(void **state) {
    (void)state;
    for (int i = 0; i < PARTITIONS; i++) {
        partitions[i] = (struct client_partition){.replicas = replicas[i], .replica_count = 1};
    }
    topics[0] = (struct client_topic){
        .name = STR("a"), .partitions = partitions, .partition_count = PARTITIONS};
    topics[1] = (struct client_topic){.name = STR("gone"), .err = ERR_UNKNOWN_TOPIC_OR_PARTITION};
    return 0;
}

static struct bytes subscription(struct arena *arena, struct str topic, struct str rack) {
    struct member_set none;
    member_set_init(&none);
    struct member_subscription said = {.topics = &topic,
                                       .topic_count = 1,
                                       .owned = &none,
                                       .generation = -1,
                                       .rack = rack,
                                       .last_generation = -1};
    struct buffer out = {0};
    member_subscription_write(&said, client_assignor_by_name(STR("range")), &out);
    struct bytes bytes = arena_bytes(arena, buffer_bytes(&out));
    buffer_done(&out);
    member_set_done(&none);
    return bytes;
}

static void assert_assigned(const struct sync_group_request_assignment *assignments, int32_t count,
                            struct str id, const char *expected) {
    struct member_set set;
    member_set_init(&set);
    char text[128] = "";
    for (int32_t i = 0; i < count; i++) {
        if (str_equal(assignments[i].member_id, id)) {
            assert_int_equal(member_assignment_read(assignments[i].assignment, &set), ERR_OK);
        }
    }
    for (size_t i = 0; i < set.count; i++) {
        size_t size = strlen(text);
        snprintf(text + size, sizeof text - size, " %.*s-%d", STR_ARGS(set.items[i].topic),
                 set.items[i].partition);
    }
    assert_string_equal(text, expected);
    member_set_done(&set);
}

static void racks_topics_and_strangers(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct join_group_response_member members[] = {
        {.member_id = STR("m2"), .metadata = subscription(&arena, STR("a"), STR("r1"))},
        {.member_id = STR("m1"), .metadata = subscription(&arena, STR("a"), STR("r2"))},
        {.member_id = STR("m0"), .metadata = str_bytes(STR("?"))},
        {.member_id = STR("m3"), .metadata = subscription(&arena, STR("gone"), STR_NULL)},
        {.member_id = STR("m4"), .metadata = subscription(&arena, STR("never heard of"), STR_NULL)},
    };
    struct join_group_response joined;
    wire_init(&join_group_response_type, &joined);
    joined.protocol_name = STR("range");
    joined.members = members;
    joined.members_count = 5;
    struct member_leader leader;
    member_leader_init(&leader);
    member_leader_read(&leader, client_assignor_by_name(STR("range")), &joined);
    assert_int_equal(leader.unreadable_count, 1);
    assert_int_equal(leader.topic_count, 3);
    assert_false(member_leader_ready(&leader, &view));
    struct sync_group_request_assignment *assignments;
    int32_t count;
    member_leader_assign(&leader, &view, &arena, &assignments, &count);
    assert_int_equal(count, 5);
    assert_assigned(assignments, count, STR("m1"), " a-1 a-2");
    assert_assigned(assignments, count, STR("m2"), " a-0");
    assert_assigned(assignments, count, STR("m0"), "");
    assert_assigned(assignments, count, STR("m3"), "");
    member_leader_done(&leader);
    arena_done(&arena);
}

static void a_snapshot_tells_what_matters(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct join_group_response_member members[] = {
        {.member_id = STR("m"), .metadata = subscription(&arena, STR("a"), STR_NULL)}};
    struct join_group_response joined;
    wire_init(&join_group_response_type, &joined);
    joined.members = members;
    joined.members_count = 1;
    struct member_leader leader;
    member_leader_init(&leader);
    member_leader_read(&leader, client_assignor_by_name(STR("range")), &joined);
    assert_true(member_leader_ready(&leader, &view));
    uint64_t plain = member_leader_snapshot(&leader, &view, false);
    uint64_t racked = member_leader_snapshot(&leader, &view, true);
    replicas[0][0] = 2; /* moves to another rack */
    assert_true(member_leader_snapshot(&leader, &view, false) == plain);
    assert_true(member_leader_snapshot(&leader, &view, true) != racked);
    replicas[0][0] = 1;
    assert_true(member_leader_snapshot(&leader, &view, true) == racked);
    topics[0].partition_count--;
    assert_true(member_leader_snapshot(&leader, &view, false) != plain);
    member_leader_done(&leader);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(racks_topics_and_strangers, set_up),
        cmocka_unit_test_setup(a_snapshot_tells_what_matters, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
