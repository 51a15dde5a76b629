/* Members of groups in a simulated world: a coordinator that a test commands, brokers that go and
 * come, and answers at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/member_fake_test_int.h"

static void on_left(void *arg) {
    (void)arg;
    owner.left_calls++;
}

/* --- classic --- */

static void a_member_leads_and_leaves(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(owner.assigned_calls, 1);
    struct member_identity identity;
    client_member_identity(member, &identity);
    assert_true(str_equal(identity.member_id, STR("m-1")));
    assert_int_equal(identity.generation, 1);
    assert_false(identity.rebalancing);
    run(10000);
    assert_in_range(calls(API_HEARTBEAT), 2, 4);

    /* Another one comes. */
    owner.hold = true;
    coordinator.error = ERR_REBALANCE_IN_PROGRESS;
    coordinator.second_member = true;
    run(4000);
    assert_int_equal(owner.revoking_count, 6);
    assert_int_equal(calls(API_JOIN_GROUP), 2);
    coordinator.error = ERR_OK;
    release();
    run(1000);
    assert_int_equal(owner.owned_count, 3);
    assert_int_equal(coordinator.members_named, 2);
    assert_string_equal(coordinator.reason, "group is already rebalancing");

    owner.hold = false;
    client_member_leave(member, 5000, on_left, NULL);
    assert_int_equal(owner.left_calls, 0);
    run(1000);
    assert_int_equal(owner.left_calls, 1);
    assert_true(coordinator.left);
}

static void a_leader_watches_the_topics(void **state) {
    (void)state;
    start("classic", "cooperative-sticky", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    cluster->topics[0].partition_count = 8;
    cluster->topics[0].leaders[6] = cluster->topics[0].leaders[7] = 1;
    run(3000);
    assert_int_equal(owner.owned_count, 8);
    assert_int_equal(owner.revoking_calls, 0);
    assert_string_equal(coordinator.reason, "cached metadata has changed");
}

static void a_pattern_finds_what_there_is(void **state) {
    (void)state;
    start("classic", "range", NULL);
    client_member_subscribe(member, NULL, 0, STR("orders.*"));
    run(2000);
    assert_int_equal(owner.owned_count, 8);
    assert_string_equal(coordinator.topics, " orders orders-late");
    fake_cluster_topic(cluster, "others", 2);
    fake_cluster_topic(cluster, "orders-new", 3);
    run(3000);
    assert_int_equal(owner.owned_count, 11);
    assert_string_equal(coordinator.reason, "subscription has changed");
    client_member_subscribe(member, NULL, 0, STR("orders(("));
    run(1000);
    assert_int_equal(owner.failed, ERR_INVALID);
    assert_non_null(strstr(owner.text, "orders(("));
}

static void a_coordinator_that_moves_or_dies_loses_nothing(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(1000);
    coordinator.moved = true;
    cluster->coordinator_id = 1;
    run(10000);
    fake_broker_stop(cluster, 1);
    run(20000);
    fake_broker_start(cluster, 1);
    int before = fake_broker_calls(cluster, 1, API_HEARTBEAT);
    run(10000);
    assert_true(fake_broker_calls(cluster, 1, API_HEARTBEAT) > before);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(owner.lost_calls, 0);
    assert_int_equal(calls(API_JOIN_GROUP), 2);
}

static void a_member_that_cannot_be_read_gets_nothing(void **state) {
    (void)state;
    start("classic", "range", NULL);
    coordinator.second_member = coordinator.foreign_bytes = true;
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(coordinator.members_named, 2);
}

static void errors_without_end_are_asked_about_at_leisure(void **state) {
    (void)state;
    start("classic", "range", NULL);
    coordinator.join_error = ERR_UNKNOWN_MEMBER_ID;
    subscribe("orders");
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 8, 25);
    coordinator.join_error = ERR_OK;
    coordinator.bad_assignment = true;
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 16, 50);
    coordinator.bad_assignment = false;
    coordinator.sync_error = ERR_REBALANCE_IN_PROGRESS;
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 24, 75);
    assert_int_equal(owner.owned_count, 0);
    coordinator.sync_error = ERR_OK;
    run(3000);
    assert_int_equal(owner.owned_count, 6);
}

static void who_does_not_poll_leaves(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(50000);
    client_member_polled(member);
    run(50000);
    assert_int_equal(owner.owned_count, 6);
    run(20000);
    assert_int_equal(owner.lost_calls, 1);
    assert_true(coordinator.left);
    client_member_polled(member);
    run(1000);
    assert_int_equal(owner.owned_count, 6);
}

static void a_group_that_refuses_is_told(void **state) {
    (void)state;
    start("classic", "range,of-mine", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.failed, ERR_INVALID);
    assert_non_null(strstr(owner.text, "of-mine"));
    assert_int_equal(calls(API_JOIN_GROUP), 0);
}

/* --- the consumer protocol --- */

static void assign(int32_t first, int32_t count) {
    coordinator.assign = true;
    coordinator.assigned_count = count;
    for (int32_t i = 0; i < count; i++) {
        coordinator.assigned[i] = first + i;
    }
}

static void a_member_gets_gives_back_and_leaves(void **state) {
    (void)state;
    start("consumer", "c", NULL);
    assign(0, 6);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(coordinator.told_owned, 6);
    owner.hold = true;
    assign(0, 4);
    run(2000);
    assert_int_equal(owner.revoking_count, 2);
    assert_int_equal(coordinator.told_owned, -1);
    release();
    coordinator.epoch = 2;
    run(500);
    assert_int_equal(owner.owned_count, 4);
    assert_int_equal(coordinator.told_owned, 4);
    owner.hold = false;
    client_member_leave(member, 5000, on_left, NULL);
    run(1000);
    assert_int_equal(owner.left_calls, 1);
    assert_int_equal(coordinator.left_epoch, -1);
}

static void names_of_a_patterns_topics_are_looked_up(void **state) {
    (void)state;
    start("consumer", "c", "static-1");
    coordinator.names_hidden = true;
    assign(2, 2);
    client_member_subscribe(member, NULL, 0, STR("ord.*"));
    run(1000);
    assert_string_equal(coordinator.expression, "ord.*");
    assert_int_equal(owner.assigned_calls, 0);
    assert_in_range(calls(API_METADATA), 3, 14);
    coordinator.names_hidden = false;
    run(1000);
    assert_int_equal(owner.owned_count, 2);
    assert_string_equal(owner.topics[0], "orders");
    client_member_leave(member, 5000, on_left, NULL);
    run(1000);
    assert_int_equal(coordinator.left_epoch, -2);
}

static void fenced_it_joins_again(void **state) {
    (void)state;
    start("consumer", "c", NULL);
    assign(0, 6);
    subscribe("orders");
    run(1000);
    coordinator.error = ERR_FENCED_MEMBER_EPOCH;
    run(10000);
    assert_int_equal(owner.lost_calls, 1);
    assert_in_range(calls(API_CONSUMER_GROUP_HEARTBEAT), 8, 30);
    coordinator.error = ERR_OK;
    assign(0, 6);
    run(2000);
    assert_int_equal(owner.owned_count, 6);
}

/* The coordinator tells what is new once, but to who says all. */
static void an_assignment_whose_answer_is_lost_is_told_again(void **state) {
    (void)state;
    start("consumer", "c", NULL);
    assign(0, 0);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.assigned_calls, 1);
    assert_int_equal(owner.owned_count, 0);
    assign(0, 2);
    coordinator.lose_answer = true;
    run(3000);
    assert_false(coordinator.lose_answer);
    assert_int_equal(owner.owned_count, 2);
    assert_int_equal(owner.lost_calls, 0);
    assert_int_equal(coordinator.told_owned, -1);
}

/* --- at random --- */

/* Whatever a coordinator says: the owner's functions are called in their order (they assert that),
 * requests come no faster than pauses allow, and a sound coordinator finds a sound member. */
static void random_answers(const char *protocol, const char *assignors) {
    for (uint64_t seed = 1; seed <= 15; seed++) {
        (void)set_up(NULL);
        struct rng rng;
        rng_init(&rng, seed);
        start(protocol, assignors, NULL);
        coordinator.rng = &rng;
        subscribe("orders");
        for (int turn = 0; turn < 60; turn++) {
            owner.hold = rng_one_in(&rng, 4);
            run((int64_t)rng_below(&rng, 3000));
            if (owner.revoking_count > 0 && rng_one_in(&rng, 2)) {
                release();
            }
            if (rng_one_in(&rng, 15)) {
                client_member_leave(member, 500, NULL, NULL);
            }
            if (rng_one_in(&rng, 5) || owner.failed != ERR_OK) {
                const struct str topics[] = {STR("orders"), STR("orders-late")};
                owner.failed = ERR_OK;
                client_member_subscribe(member, topics, 1 + rng_below(&rng, 2), STR_NULL);
            }
            client_member_polled(member);
        }
        assert_true(calls(API_JOIN_GROUP) + calls(API_CONSUMER_GROUP_HEARTBEAT) < 1500);
        (void)tear_down(NULL);
    }
}

static void classic_members_stand_random_answers(void **state) {
    (void)state;
    random_answers("classic", "range");
    random_answers("classic", "cooperative-sticky");
}

static void consumer_members_stand_random_answers(void **state) {
    (void)state;
    random_answers("consumer", "c");
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(a_member_leads_and_leaves),
        world_test(a_leader_watches_the_topics),
        world_test(a_pattern_finds_what_there_is),
        world_test(a_coordinator_that_moves_or_dies_loses_nothing),
        world_test(a_member_that_cannot_be_read_gets_nothing),
        world_test(errors_without_end_are_asked_about_at_leisure),
        world_test(who_does_not_poll_leaves),
        world_test(a_group_that_refuses_is_told),
        world_test(a_member_gets_gives_back_and_leaves),
        world_test(names_of_a_patterns_topics_are_looked_up),
        world_test(fenced_it_joins_again),
        world_test(an_assignment_whose_answer_is_lost_is_told_again),
        cmocka_unit_test(classic_members_stand_random_answers),
        cmocka_unit_test(consumer_members_stand_random_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
