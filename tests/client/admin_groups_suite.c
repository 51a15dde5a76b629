/* The administrator's operations on groups, against the broker at OTTLA_TEST_BOOTSTRAP. Members are
 * played with plain requests. */
#include <string.h>

#include "calls.h"
#include "client/core.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

/* --- commits --- */

static void commit(struct ottla_client *client, const char *group, const char *topic,
                   int64_t offset) {
    struct ottla_position positions[] = {
        {.topic = topic, .partition = 1, .offset = offset, .leader_epoch = -1, .metadata = "hello"},
        {.topic = topic, .partition = 0, .offset = offset + 1, .leader_epoch = -1},
    };
    struct ottla_call *call = ottla_group_offsets_alter(client, group, positions, 2, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    assert_int_equal(ottla_call_partitions(call, &count)[0].offset, offset);
    ottla_call_free(call);
}

static const struct ottla_group_offsets *offsets_of(const struct ottla_call *call,
                                                    const char *group) {
    size_t count;
    const struct ottla_group_offsets *groups = ottla_call_group_offsets(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(groups[i].group, group) == 0) {
            return &groups[i];
        }
    }
    return NULL;
}

static void commits_are_read_set_and_taken_away(void **state) {
    struct ottla_client *client = *state;
    char topic[64], groups[2][64];
    suite_topic_name("commits", topic);
    suite_topic_name("group-a", groups[0]);
    suite_topic_name("group-b", groups[1]);
    calls_make_topic(client, topic, 2);
    commit(client, groups[0], topic, 40);
    commit(client, groups[1], topic, 50);

    struct ottla_partition wanted[] = {{topic, 1}, {"other", 0}, {topic, 0}, {topic, 1}};
    struct ottla_group_partitions asked[] = {
        {groups[0], wanted, 4}, {groups[1], NULL, 0}, {"none", NULL, 0}};
    struct ottla_admin_options stable = {.stable = true};
    struct ottla_call *call = ottla_group_offsets_list(client, asked, 3, &stable);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_group_offsets *told = ottla_call_group_offsets(call, &count);
    assert_int_equal(count, 3);
    assert_int_equal(told[0].position_count, 4);
    assert_int_equal(told[0].positions[0].offset, 40);
    assert_string_equal(told[0].positions[0].metadata, "hello");
    assert_int_equal(told[0].positions[1].offset, OTTLA_OFFSET_NONE);
    assert_int_equal(told[0].positions[2].offset, 41);
    assert_int_equal(told[1].position_count, 2);
    assert_int_equal(told[1].positions[0].partition, 0);
    assert_int_equal(told[1].positions[0].offset, 51);
    assert_int_equal(told[2].position_count, 0);
    ottla_call_free(call);

    call = ottla_group_offsets_list(client, NULL, 0, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_int_equal(offsets_of(call, groups[0])->positions[1].offset, 40);
    assert_int_equal(offsets_of(call, groups[1])->position_count, 2);
    ottla_call_free(call);

    struct ottla_partition away[] = {{topic, 1}};
    calls_finish(ottla_group_offsets_delete(client, groups[0], away, 1, NULL), OTTLA_OK);
    calls_finish(ottla_group_offsets_delete(client, "no-such-group", away, 1, NULL), 69);
    call = ottla_group_offsets_list(client, asked, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_int_equal(ottla_call_group_offsets(call, &count)->positions[0].offset,
                     OTTLA_OFFSET_NONE);
    ottla_call_free(call);

    const char *names[] = {groups[0], "no-such-group", groups[1]};
    call = ottla_groups_delete(client, names, 3, NULL);
    assert_int_equal(calls_code_of(call), 69 /* GROUP_ID_NOT_FOUND */);
    assert_int_equal(ottla_call_groups(call, &count)[0].code, OTTLA_OK);
    assert_int_equal(ottla_call_groups(call, &count)[1].code, 69);
    assert_int_equal(ottla_call_groups(call, &count)[2].code, OTTLA_OK);
    ottla_call_free(call);
    calls_delete_topic(client, topic);
}

/* --- members --- */

/* One request to a group's coordinator, as members send it. */
struct asked {
    bool done;
    err_t err;
    int16_t code;
    char member_id[64];
    int32_t generation;
};

static void on_asked(void *arg, const struct client_answer *answer) {
    struct asked *asked = arg;
    asked->done = true;
    asked->err = answer->err;
    if (answer->err != ERR_OK) {
        return;
    }
    struct str member_id = STR("");
    const struct join_group_response *join = answer->response;
    const struct sync_group_response *sync = answer->response;
    const struct consumer_group_heartbeat_response *beat = answer->response;
    if (asked->generation == -1) { /* JoinGroup */
        asked->code = join->error_code;
        asked->generation = join->generation_id;
        member_id = join->member_id;
    } else if (asked->generation == -2) { /* ConsumerGroupHeartbeat */
        asked->code = beat->error_code;
        member_id = beat->member_id;
    } else {
        asked->code = sync->error_code;
        return;
    }
    (void)snprintf(asked->member_id, sizeof asked->member_id, "%.*s", STR_ARGS(member_id));
}

static err_t judge_none(void *arg, int16_t version, const void *response) {
    (void)version;
    const struct join_group_response *join = response;
    const struct asked *asked = arg;
    err_t err = asked->generation == -1 ? err_from_kafka_code(join->error_code) : ERR_OK;
    return err == ERR_NOT_COORDINATOR || err == ERR_COORDINATOR_NOT_AVAILABLE ||
                   err == ERR_COORDINATOR_LOAD_IN_PROGRESS
               ? err
               : ERR_OK;
}

static void ask(struct ottla_client *client, const char *group, int16_t api_key, int16_t version,
                const void *request, struct asked *asked) {
    asked->done = false;
    (void)client_ask(client, &(struct client_ask){.role = CLIENT_GROUP,
                                                  .key = str_from_c(group),
                                                  .lane = CLIENT_LANE_GROUP,
                                                  .api_key = api_key,
                                                  .version_max = version,
                                                  .request = request,
                                                  .judge = judge_none,
                                                  .done = on_asked,
                                                  .arg = asked});
    assert_int_equal(client_wait(client, &asked->done, client_deadline_ms(client, 60000)), ERR_OK);
    assert_int_equal(asked->err, ERR_OK);
    assert_int_equal(asked->code, 0);
}

/* A static member of a classic group that reads `topic`. */
static void join_classic(struct ottla_client *client, const char *group, const char *instance,
                         const char *topic) {
    struct asked asked = {.generation = -1};
    uint8_t subscription[128] = {0, 1, 0, 0, 0, 1, 0, (uint8_t)strlen(topic)};
    memcpy(subscription + 8, topic, strlen(topic));
    size_t size = 8 + strlen(topic);
    memcpy(subscription + size, "\xff\xff\xff\xff\0\0\0\0", 8); /* no user data, nothing owned */
    struct join_group_request_protocol protocol = {
        .name = STR("range"), .metadata = {.data = subscription, .size = size + 8}};
    struct join_group_request join;
    wire_init(&join_group_request_type, &join);
    join.group_id = str_from_c(group);
    join.session_timeout_ms = 30000;
    join.rebalance_timeout_ms = 30000;
    join.group_instance_id = str_from_c(instance);
    join.protocol_type = STR("consumer");
    join.protocols = &protocol;
    join.protocols_count = 1;
    ask(client, group, API_JOIN_GROUP, 7, &join, &asked);

    uint8_t assignment[128] = {0, 1, 0, 0, 0, 1, 0, (uint8_t)strlen(topic)};
    memcpy(assignment + 8, topic, strlen(topic));
    memcpy(assignment + 8 + strlen(topic), "\0\0\0\2\0\0\0\0\0\0\0\1\xff\xff\xff\xff", 16);
    struct sync_group_request_assignment given = {
        .member_id = str_from_c(asked.member_id),
        .assignment = {.data = assignment, .size = 8 + strlen(topic) + 16}};
    struct sync_group_request sync;
    wire_init(&sync_group_request_type, &sync);
    sync.group_id = str_from_c(group);
    sync.generation_id = asked.generation;
    sync.member_id = str_from_c(asked.member_id);
    sync.group_instance_id = str_from_c(instance);
    sync.protocol_type = STR("consumer");
    sync.protocol_name = STR("range");
    sync.assignments = &given;
    sync.assignments_count = 1;
    ask(client, group, API_SYNC_GROUP, 5, &sync, &asked);
}

static void join_consumer(struct ottla_client *client, const char *group, const char *instance,
                          const char *topic) {
    struct asked asked = {.generation = -2};
    struct str name = str_from_c(topic);
    struct consumer_group_heartbeat_request beat;
    wire_init(&consumer_group_heartbeat_request_type, &beat);
    beat.group_id = str_from_c(group);
    beat.member_id = str_from_c(instance);
    beat.instance_id = str_from_c(instance);
    beat.rebalance_timeout_ms = 30000;
    beat.subscribed_topic_names = &name;
    beat.subscribed_topic_names_count = 1;
    beat.topic_partitions_count = 0;
    ask(client, group, API_CONSUMER_GROUP_HEARTBEAT, 0, &beat, &asked);
}

/* --- groups --- */

static const struct ottla_group_listing *listing_of(const struct ottla_call *call,
                                                    const char *group) {
    size_t count;
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(groups[i].group, group) == 0) {
            return &groups[i];
        }
    }
    return NULL;
}

static void groups_are_described(void **state) {
    struct ottla_client *client = *state;
    char topic[64], classic[64], consumer[64], simple[64];
    suite_topic_name("described", topic);
    suite_topic_name("classic", classic);
    suite_topic_name("consumer", consumer);
    suite_topic_name("simple", simple);
    calls_make_topic(client, topic, 2);
    join_classic(client, classic, "one", topic);
    join_consumer(client, consumer, "two", topic);
    commit(client, simple, topic, 7);

    const char *states[] = {"Stable"};
    const char *types[] = {"classic"};
    struct ottla_admin_options filter = {
        .states = states, .state_count = 1, .types = types, .type_count = 1};
    struct ottla_call *call = ottla_groups_list(client, &filter);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_string_equal(listing_of(call, classic)->state, "Stable");
    assert_string_equal(listing_of(call, classic)->type, "Classic");
    assert_string_equal(listing_of(call, classic)->protocol_type, "consumer");
    assert_null(listing_of(call, consumer));
    assert_null(listing_of(call, simple));
    ottla_call_free(call);
    call = ottla_groups_list(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_string_equal(listing_of(call, consumer)->type, "Consumer");
    assert_string_equal(listing_of(call, simple)->state, "Empty");
    assert_int_equal(listing_of(call, simple)->broker_id, 1);
    ottla_call_free(call);

    const char *names[] = {classic, "no-such-group", consumer, simple};
    struct ottla_admin_options operations = {.authorized_operations = true};
    call = ottla_groups_describe(client, names, 4, &operations);
    assert_int_equal(calls_code_of(call), 69 /* GROUP_ID_NOT_FOUND */);
    size_t count;
    const struct ottla_group_description *told = ottla_call_group_descriptions(call, &count);
    assert_int_equal(count, 4);
    assert_string_equal(told[0].type, "Classic");
    assert_string_equal(told[0].state, "Stable");
    assert_string_equal(told[0].assignor, "range");
    assert_int_equal(told[0].broker_id, 1);
    assert_int_equal(told[0].member_count, 1);
    assert_string_equal(told[0].members[0].instance_id, "one");
    assert_int_equal(told[0].members[0].topic_count, 1);
    assert_string_equal(told[0].members[0].topics[0], topic);
    assert_int_equal(told[0].members[0].assignment_count, 2);
    assert_string_equal(told[0].members[0].assignment[1].topic, topic);
    assert_int_equal(told[0].members[0].assignment[1].partition, 1);
    assert_int_equal(told[0].members[0].epoch, -1);
    assert_int_equal(told[1].code, 69);
    assert_string_equal(told[2].type, "Consumer");
    assert_int_equal(told[2].member_count, 1);
    assert_string_equal(told[2].members[0].instance_id, "two");
    assert_true(told[2].epoch > 0);
    assert_true(told[2].members[0].epoch > 0);
    assert_true(told[2].members[0].upgraded);
    assert_int_equal(told[2].members[0].target_count, 2);
    assert_string_equal(told[2].members[0].topics[0], topic);
    assert_string_equal(told[3].state, "Empty");
    assert_int_equal(told[3].member_count, 0);
    assert_true(told[0].authorized_operations != INT32_MIN);
    ottla_call_free(call);

    struct ottla_position position = {.topic = topic, .offset = 1, .leader_epoch = -1};
    calls_finish(ottla_group_offsets_alter(client, classic, &position, 1, NULL),
                 25 /* UNKNOWN_MEMBER_ID */);
    struct ottla_partition partition = {topic, 0};
    calls_finish(ottla_group_offsets_delete(client, classic, &partition, 1, NULL),
                 86 /* SUBSCRIBED */);
    const char *in_use[] = {classic, consumer};
    calls_finish(ottla_groups_delete(client, in_use, 2, NULL), 68 /* NON_EMPTY_GROUP */);

    struct ottla_member_ref members[] = {
        {.instance_id = "one"}, {.member_id = "nobody"}, {NULL, NULL}};
    struct ottla_admin_options reason = {.reason = "a test"};
    call = ottla_members_remove(client, classic, members, 3, &reason);
    assert_int_equal(calls_code_of(call), 25);
    const struct ottla_member_result *removed = ottla_call_members(call, &count);
    assert_int_equal(removed[0].code, OTTLA_OK);
    assert_string_equal(removed[0].instance_id, "one");
    assert_int_equal(removed[1].code, 25);
    assert_int_equal(removed[2].code, OTTLA_INVALID);
    ottla_call_free(call);
    call = ottla_members_remove(client, consumer, NULL, 0, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_string_equal(ottla_call_members(call, &count)[0].instance_id, "two");
    assert_int_equal(count, 1);
    ottla_call_free(call);
    calls_finish(ottla_groups_delete(client, in_use, 2, NULL), OTTLA_OK);
    calls_delete_topic(client, topic);
}

static void many_groups_at_once(void **state) {
    struct ottla_client *client = *state;
    enum { GROUPS = 300 };
    ottla_client_on_log(client, NULL, NULL); /* a line for each coordinator */
    static char names[GROUPS][64];
    static const char *pointers[GROUPS];
    for (int i = 0; i < GROUPS; i++) {
        suite_topic_name("many", names[i]);
        pointers[i] = names[i];
    }
    struct ottla_call *call = ottla_groups_describe(client, pointers, GROUPS, NULL);
    (void)calls_code_of(call);
    size_t count;
    (void)ottla_call_failures(call, &count);
    assert_int_equal(count, GROUPS);
    const struct ottla_group_description *told = ottla_call_group_descriptions(call, &count);
    for (int i = 0; i < GROUPS; i++) {
        assert_int_equal(told[i].code, 69);
        assert_string_equal(told[i].group, names[i]);
    }
    ottla_call_free(call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        suite_test(commits_are_read_set_and_taken_away),
        suite_test(groups_are_described),
        suite_test(many_groups_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
