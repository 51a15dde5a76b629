/*
 * What a program is told of its group: of each partition `assigned` and then `revoked` or `lost`,
 * in turn, whatever happens between two polls. Commanded brokers in a simulated world.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/consumer.h"
#include "client/fetch_fake_test_int.h"

enum { PARTITIONS = 4, RECORDS = 100, WAIT_MS = 20000, POLL_INTERVAL_MS = 10000 };

static struct fetch_fake *fake;
static struct ottla_consumer *consumer;

/* --- the coordinator: of the consumer protocol --- */

static struct {
    err_t error;     /* of heartbeats */
    int assigned;    /* so many partitions, from 0 on */
    int said;        /* and so many the member was told; -1: nothing */
    int32_t epoch;   /* of the group */
    bool deaf;       /* to commits */
    bool forgetful;  /* does not know who asks for offsets */
    bool left;       /* the member said so */
    int32_t commits; /* taken */
} group;

static void answer_heartbeat(struct fake_call *call) {
    const struct consumer_group_heartbeat_request *request = call->request;
    struct consumer_group_heartbeat_response *response = call->response;
    response->error_code = (int16_t)group.error;
    response->heartbeat_interval_ms = 500;
    response->member_id = request->member_id;
    response->member_epoch = group.epoch;
    if (request->member_epoch < 0) {
        group.left = true;
        response->member_epoch = request->member_epoch;
        return;
    }
    if (group.error != ERR_OK || (request->member_epoch > 0 && group.said == group.assigned)) {
        return;
    }
    static int32_t partitions[PARTITIONS] = {0, 1, 2, 3};
    response->assignment =
        ARENA_NEW(call->arena, struct consumer_group_heartbeat_response_assignment);
    response->assignment->topic_partitions =
        ARENA_NEW(call->arena, struct consumer_group_heartbeat_response_topic_partitions);
    response->assignment->topic_partitions_count = 1;
    response->assignment->topic_partitions[0] =
        (struct consumer_group_heartbeat_response_topic_partitions){fake->topic->id, partitions,
                                                                    group.assigned};
    group.said = group.assigned;
}

static enum fake_do twist(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_CONSUMER_GROUP_HEARTBEAT) {
        answer_heartbeat(call);
    } else if (call->api_key == API_OFFSET_COMMIT && group.deaf) {
        return FAKE_SILENCE;
    } else if (call->api_key == API_OFFSET_COMMIT) {
        group.commits++;
    } else if (call->api_key == API_OFFSET_FETCH && group.forgetful) {
        struct offset_fetch_response *response = call->response;
        response->groups[0].error_code = ERR_UNKNOWN_MEMBER_ID;
    }
    return FAKE_ANSWER;
}

/* --- the program --- */

static struct {
    bool has[PARTITIONS];
    int count;
    int assigned, revoked, lost; /* partitions that it was told of */
    bool commits;                /* when it is told `revoked` */
    bool is_fenced;              /* meanwhile, and waits for the commit */
} told;

static void take(const struct ottla_partition *partitions, size_t count, bool has) {
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(partitions[i].topic, "t");
        assert_int_equal(told.has[partitions[i].partition], !has); /* in turn */
        told.has[partitions[i].partition] = has;
        told.count += has ? 1 : -1;
    }
}

static void on_assigned(void *arg, struct ottla_consumer *it,
                        const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)it;
    told.assigned += (int)count;
    take(partitions, count, true);
}

static void on_revoked(void *arg, struct ottla_consumer *it,
                       const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    told.revoked += (int)count;
    take(partitions, count, false);
    if (told.is_fenced) {
        struct ottla_error error;
        group.error = ERR_FENCED_MEMBER_EPOCH;
        assert_int_not_equal(ottla_consumer_commit(it, NULL, 0, 3000, &error), OTTLA_OK);
    }
    if (told.commits) {
        assert_int_equal(ottla_consumer_commit_async(it, NULL, 0, NULL, NULL), OTTLA_OK);
    }
}

static void on_lost(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                    size_t count) {
    (void)arg;
    (void)it;
    told.lost += (int)count;
    take(partitions, count, false);
}

static void subscribe(void) {
    const char *const topics[] = {"t"};
    const struct ottla_rebalance rebalance = {on_assigned, on_revoked, on_lost, NULL};
    struct ottla_error error;
    assert_int_equal(ottla_consumer_subscribe(consumer, topics, 1, &rebalance, &error), OTTLA_OK);
}

static void unsubscribe(void) {
    struct ottla_error error;
    assert_int_equal(ottla_consumer_subscribe(consumer, NULL, 0, NULL, &error), OTTLA_OK);
}

static void commit(void) {
    assert_int_equal(ottla_consumer_commit_async(consumer, NULL, 0, NULL, NULL), OTTLA_OK);
}

/* The loop goes on, and nobody polls. */
static void run(int64_t duration_ms) {
    fake_cluster_run(fake->cluster, duration_ms);
}

static void poll_once(void) {
    const struct ottla_record *records;
    struct ottla_error error;
    size_t count;
    assert_int_equal(consumer_take(consumer, &records, &count, &error), OTTLA_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(told.has[records[i].partition]);
    }
}

static void poll_for(int64_t duration_ms) {
    for (int64_t i = 0; i < duration_ms; i += 100) {
        poll_once();
        run(100);
    }
}

static int set_up(void **state) {
    (void)state;
    struct ottla_error error = {0};
    memset(&group, 0, sizeof group);
    memset(&told, 0, sizeof told);
    group.assigned = PARTITIONS;
    group.said = -1;
    group.epoch = 1;
    fake = fetch_fake_new(7, 1, PARTITIONS, RECORDS);
    fake->twist = twist;
    (void)fake_cluster_client(fake->cluster, "auto.offset.reset", "earliest", "group.id", "g",
                              "group.protocol", "consumer", "enable.auto.commit", "false",
                              "max.poll.interval.ms", "10000", "request.timeout.ms", "1000", NULL);
    assert_int_equal(ottla_consumer_new(fake->cluster->client, &consumer, &error), OTTLA_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    group.deaf = false;
    ottla_consumer_free(consumer);
    fetch_fake_free(fake);
    return 0;
}

static int64_t now_ms(void) {
    return sim_world_now_ms(fake->cluster->world);
}

/* It has all, and read all. */
static void begin(void) {
    subscribe();
    poll_for(3000);
    assert_int_equal(told.count, PARTITIONS);
}

/* --- unsubscribing --- */

static void each_subscription_that_ends_is_told(void **state) {
    (void)state;
    begin();
    group.deaf = true;
    commit();
    unsubscribe();
    subscribe();
    unsubscribe();
    poll_for(2000);
    assert_int_equal(told.revoked, 0); /* the commit is waited for */
    group.deaf = false;
    poll_for(3000);
    assert_int_equal(told.revoked, PARTITIONS);
    assert_true(group.left);
    subscribe();
    poll_for(3000);
    assert_int_equal(told.count, PARTITIONS);
}

/* The program gave up half, and its commit of that waits. */
static void begin_to_give_back(void) {
    begin();
    group.deaf = true;
    told.commits = true;
    group.assigned = PARTITIONS / 2;
    group.epoch++;
    poll_for(1500);
    assert_int_equal(told.revoked, PARTITIONS / 2);
    told.commits = false;
}

static void what_was_given_back_is_not_told_again(void **state) {
    (void)state;
    begin_to_give_back();
    unsubscribe();
    group.deaf = false;
    int64_t from = now_ms();
    while (!group.left && now_ms() < from + WAIT_MS) {
        poll_for(100);
    }
    assert_true(now_ms() - from < 5000); /* nothing is left to wait for */
    poll_for(1000);
    assert_int_equal(told.revoked, PARTITIONS);
    assert_int_equal(told.count, 0);
}

static void closing_does_not_wait_for_what_is_given_back(void **state) {
    (void)state;
    begin_to_give_back();
    group.deaf = false;
    int64_t from = now_ms();
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    assert_true(now_ms() - from < 5000);
    assert_true(group.left);
    assert_int_equal(told.revoked, PARTITIONS);
    assert_int_equal(told.count, 0);
}

/* --- losing --- */

static void what_was_never_told_is_not_lost(void **state) {
    (void)state;
    subscribe();
    run(3000); /* it is assigned, and nobody polls */
    assert_int_equal(group.said, PARTITIONS);
    run(POLL_INTERVAL_MS);
    assert_true(group.left);
    poll_once();
    assert_int_equal(told.assigned, 0);
    group.said = -1;
    poll_for(3000);
    assert_int_equal(told.lost, 0);
    assert_int_equal(told.assigned, PARTITIONS);
}

static void who_stalls_is_told_once(void **state) {
    (void)state;
    begin();
    group.assigned = PARTITIONS / 2;
    run(POLL_INTERVAL_MS + 1000); /* to be given back, and then it is lost */
    assert_true(group.left);
    group.assigned = PARTITIONS;
    group.said = -1;
    poll_once();
    assert_int_equal(told.lost, PARTITIONS);
    poll_for(3000);
    assert_int_equal(told.lost, PARTITIONS);
    assert_int_equal(told.revoked, 0);
    assert_int_equal(told.count, PARTITIONS);
}

static void what_was_given_back_is_not_lost(void **state) {
    (void)state;
    begin_to_give_back();
    group.error = ERR_FENCED_MEMBER_EPOCH;
    poll_for(1000);
    group.error = ERR_OK;
    group.deaf = false;
    group.said = -1;
    poll_for(5000);
    assert_int_equal(told.lost, PARTITIONS / 2);
    assert_int_equal(told.revoked, PARTITIONS / 2);
    assert_int_equal(told.count, PARTITIONS / 2);
}

static void what_is_lost_while_it_is_given_back_is_told_once(void **state) {
    (void)state;
    begin();
    group.deaf = true;
    told.is_fenced = true;
    group.assigned = PARTITIONS / 2;
    group.epoch++;
    while (told.revoked == 0) {
        poll_for(100);
    }
    told.is_fenced = false;
    group.deaf = false;
    group.error = ERR_OK;
    poll_for(5000);
    assert_int_equal(told.revoked, PARTITIONS / 2);
    assert_int_equal(told.lost, PARTITIONS / 2);
    assert_int_equal(told.count, PARTITIONS / 2);
}

/* What was lost is told, though some of it is read by hand by then: that stays. */
static void what_is_assigned_by_hand_stays(void **state) {
    (void)state;
    struct ottla_error error;
    const struct ottla_position by_hand = {.topic = "t", .partition = 1, .leader_epoch = -1};
    begin();
    group.error = ERR_FENCED_MEMBER_EPOCH;
    run(1000);
    group.error = ERR_OK;
    assert_int_equal(ottla_consumer_assign(consumer, &by_hand, 1, &error), OTTLA_OK);
    const struct ottla_record *records;
    size_t count;
    assert_int_equal(consumer_take(consumer, &records, &count, &error), OTTLA_OK);
    assert_int_equal(told.lost, PARTITIONS);
    assert_int_equal(told.revoked, 0);
    struct ottla_partition partition;
    assert_int_equal(ottla_consumer_assignment(consumer, &partition, 1), 1);
    assert_int_equal(partition.partition, 1);
}

/* Others have the partitions by now: what is committed of them must not go back. */
static void a_commit_of_before_a_loss_is_not_made(void **state) {
    (void)state;
    begin();
    group.deaf = true;
    commit();
    run(200);
    group.error = ERR_FENCED_MEMBER_EPOCH;
    run(1000);
    group.error = ERR_OK;
    group.said = -1;
    run(1000);
    commit(); /* it has not heard of the loss */
    group.deaf = false;
    run(5000);
    assert_int_equal(group.commits, 0);
    poll_for(3000);
    assert_int_equal(told.lost, PARTITIONS);
    assert_int_equal(told.count, PARTITIONS);
    commit();
    poll_for(1000);
    assert_int_equal(group.commits, 1);
}

/* --- the membership --- */

/* A heartbeat will say so; the program has done nothing wrong. */
static void who_is_out_of_the_group_when_it_asks_for_offsets_joins_anew(void **state) {
    (void)state;
    group.forgetful = true;
    begin(); /* no poll fails */
    group.error = ERR_UNKNOWN_MEMBER_ID;
    poll_for(1000);
    assert_int_equal(told.lost, PARTITIONS);
    group.error = ERR_OK;
    group.said = -1;
    group.forgetful = false;
    poll_for(3000);
    assert_int_equal(told.count, PARTITIONS);
    struct ottla_position position;
    const struct ottla_partition partition = {"t", 0};
    assert_int_equal(ottla_consumer_position(consumer, &partition, &position), OTTLA_OK);
    assert_int_equal(position.offset, RECORDS);
}

static int32_t generation(void) {
    struct ottla_membership membership;
    assert_int_equal(ottla_consumer_membership(consumer, &membership), OTTLA_OK);
    assert_int_equal(membership.generation > 0, membership.member_id[0] != 0);
    return membership.generation;
}

/* Offsets that a transaction commits with it are those of records that may be others' by now: they
 * must be refused, not taken as those of who is in no group. */
static void the_membership_is_that_of_the_records(void **state) {
    (void)state;
    assert_int_equal(generation(), -1);
    begin();
    assert_int_equal(generation(), 1);
    group.epoch = 2;
    run(1000); /* it keeps what it has */
    assert_int_equal(generation(), 2);
    poll_once();
    group.error = ERR_FENCED_MEMBER_EPOCH;
    run(1000);
    assert_int_equal(generation(), 2);
    group.error = ERR_OK;
    group.said = -1;
    group.epoch = 7;
    run(1000); /* a member again, which the program does not know */
    assert_int_equal(generation(), 2);
    poll_for(3000);
    assert_int_equal(told.lost, PARTITIONS);
    assert_int_equal(generation(), 7);
}

static void who_left_keeps_the_membership_of_before(void **state) {
    (void)state;
    begin();
    run(POLL_INTERVAL_MS + 1000);
    assert_true(group.left);
    assert_int_equal(generation(), 1);
    group.error = ERR_COORDINATOR_LOAD_IN_PROGRESS; /* no way back for now */
    poll_once();
    assert_int_equal(told.lost, PARTITIONS);
    assert_int_equal(generation(), 1);
    group.error = ERR_OK;
    group.said = -1;
    group.epoch = 3;
    poll_for(3000);
    assert_int_equal(generation(), 3);
    unsubscribe();
    poll_for(1000);
    assert_int_equal(generation(), -1);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(each_subscription_that_ends_is_told),
        world_test(what_was_given_back_is_not_told_again),
        world_test(closing_does_not_wait_for_what_is_given_back),
        world_test(what_was_never_told_is_not_lost),
        world_test(who_stalls_is_told_once),
        world_test(what_was_given_back_is_not_lost),
        world_test(what_is_lost_while_it_is_given_back_is_told_once),
        world_test(what_is_assigned_by_hand_stays),
        world_test(a_commit_of_before_a_loss_is_not_made),
        world_test(who_is_out_of_the_group_when_it_asks_for_offsets_joins_anew),
        world_test(the_membership_is_that_of_the_records),
        world_test(who_left_keeps_the_membership_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
