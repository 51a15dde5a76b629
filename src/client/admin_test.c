/* The administrator in a simulated world: where items go, what is asked again, and brokers that
 * answer in part, or wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fake_broker_test_int.h"
#include "ottla/admin.h"

static struct fake_cluster *cluster;
static struct ottla_client *client;

static int64_t now_ms(void) {
    return sim_world_now_ms(cluster->world);
}

static int code_of(struct ottla_call *call, struct ottla_error *ret_error) {
    int code = ottla_call_wait(call, 600 * 1000, ret_error);
    assert_true(ottla_call_is_done(call));
    return code;
}

static void begin_with(const char *setting, const char *value) {
    cluster = fake_cluster_new(11, 3);
    fake_cluster_topic(cluster, "orders", 6);
    fake_cluster_topic(cluster, "other", 1);
    client = fake_cluster_client(cluster, setting, value, NULL);
}

static int begin(void **state) {
    (void)state;
    begin_with(NULL, NULL);
    return 0;
}

static int begin_with_two_retries(void **state) {
    (void)state;
    begin_with("retries", "2");
    return 0;
}

static int end(void **state) {
    (void)state;
    fake_cluster_free(cluster);
    return 0;
}

/* --- what hooks do --- */

/* Takes APIs away; `versions` of them are cut to that. */
struct without {
    int16_t api_key;
    int16_t version_max; /* -1: not at all */
};

static void take_away(struct fake_call *call, struct without without) {
    struct api_versions_response *versions = call->response;
    for (int32_t i = 0; i < versions->api_keys_count; i++) {
        if (versions->api_keys[i].api_key == without.api_key) {
            if (without.version_max >= 0) {
                versions->api_keys[i].max_version = without.version_max;
            } else {
                versions->api_keys[i] = versions->api_keys[--versions->api_keys_count];
            }
            return;
        }
    }
}

/* ListOffsets: the broker's number times 100, plus the partition. */
static void answer_offsets(struct fake_call *call, err_t err) {
    const struct list_offsets_request *request = call->request;
    struct list_offsets_response *response = call->response;
    size_t count = (size_t)request->topics_count;
    response->topics =
        ARENA_ARRAY(call->arena, struct list_offsets_response_list_offsets_topic_response, count);
    response->topics_count = request->topics_count;
    for (int32_t t = 0; t < request->topics_count; t++) {
        response->topics[t].name = request->topics[t].name;
        response->topics[t].partitions_count = request->topics[t].partitions_count;
        response->topics[t].partitions =
            ARENA_ARRAY(call->arena, struct list_offsets_response_list_offsets_partition_response,
                        (size_t)request->topics[t].partitions_count);
        for (int32_t p = 0; p < request->topics[t].partitions_count; p++) {
            struct list_offsets_response_list_offsets_partition_response *row =
                &response->topics[t].partitions[p];
            row->partition_index = request->topics[t].partitions[p].partition_index;
            row->error_code = (int16_t)err;
            row->offset = call->broker_id * 100 + row->partition_index;
        }
    }
}

/* CreateTopics: each topic gets the code that `codes` has for it, by number. */
static void answer_created(struct fake_call *call, const int16_t *codes) {
    const struct create_topics_request *request = call->request;
    struct create_topics_response *response = call->response;
    response->topics =
        ARENA_ARRAY(call->arena, struct create_topics_response_creatable_topic_result,
                    (size_t)request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        response->topics[i].name = request->topics[i].name;
        response->topics[i].error_code = codes[request->topics[i].name.data[0] - 'a'];
    }
}

/* --- leaders --- */

static struct ottla_call *list_orders(struct ottla_position positions[6],
                                      const struct ottla_admin_options *options) {
    for (int i = 0; i < 6; i++) {
        positions[i] = (struct ottla_position){
            .topic = "orders", .partition = 5 - i, .offset = OTTLA_OFFSET_LATEST};
    }
    return ottla_offsets_list(client, positions, 6, options);
}

static enum fake_do offsets_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_LIST_OFFSETS) {
        answer_offsets(call, ERR_OK);
    }
    return FAKE_ANSWER;
}

static void each_leader_is_asked_once(void **state) {
    (void)state;
    cluster->hook = offsets_hook;
    struct ottla_position positions[6];
    struct ottla_call *call = list_orders(positions, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_offset_result *told = ottla_call_offsets(call, &count);
    assert_int_equal(count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(told[i].partition, 5 - i);
        assert_int_equal(told[i].offset, (1 + (5 - i) % 3) * 100 + 5 - i);
    }
    for (int32_t id = 1; id <= 3; id++) {
        assert_int_equal(fake_broker_calls(cluster, id, API_LIST_OFFSETS), 1);
    }
    ottla_call_free(call);
}

/* Broker 2 says that it leads no more; metadata follows a while later. */
static enum fake_do moving_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_LIST_OFFSETS) {
        answer_offsets(call, call->broker_id == 2 ? ERR_NOT_LEADER_OR_FOLLOWER : ERR_OK);
        if (call->broker_id == 2 && call->number == 3) {
            cluster->topics[0].leaders[1] = 3;
            cluster->topics[0].leaders[4] = 1;
        }
    }
    return FAKE_ANSWER;
}

static void leaders_that_moved_are_found(void **state) {
    (void)state;
    cluster->hook = moving_hook;
    struct ottla_position positions[6];
    struct ottla_call *call = list_orders(positions, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_offset_result *told = ottla_call_offsets(call, &count);
    assert_int_equal(told[4].offset, 301); /* partition 1 */
    assert_int_equal(told[1].offset, 104);
    assert_int_equal(told[0].offset, 305);
    assert_int_equal(fake_broker_calls(cluster, 2, API_LIST_OFFSETS), 3);
    assert_int_equal(fake_broker_calls(cluster, 1, API_LIST_OFFSETS), 2);
    ottla_call_free(call);
}

static void leaders_that_die_are_replaced(void **state) {
    (void)state;
    cluster->hook = offsets_hook;
    fake_broker_stop(cluster, 2);
    struct ottla_position positions[6];
    struct ottla_call *call = list_orders(positions, NULL);
    fake_cluster_run(cluster, 2000);
    assert_false(ottla_call_is_done(call));
    cluster->topics[0].leaders[1] = 3;
    cluster->topics[0].leaders[4] = 3;
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    ottla_call_free(call);
}

/* What does not pass by is said for the item alone, after its time. */
static void partitions_without_a_leader_fail_alone(void **state) {
    (void)state;
    cluster->hook = offsets_hook;
    cluster->topics[0].leaders[2] = -1;
    struct ottla_position positions[7];
    struct ottla_admin_options options = {.timeout_ms = 5000};
    int64_t start_ms = now_ms();
    struct ottla_call *call = list_orders(positions, &options);
    struct ottla_error error;
    assert_int_equal(code_of(call, &error), OTTLA_TIMED_OUT);
    assert_non_null(strstr(error.text, "partition orders-2: "));
    assert_non_null(strstr(error.text, "no leader"));
    assert_true(now_ms() - start_ms >= 5000);
    assert_true(now_ms() - start_ms < 6000);
    size_t count;
    (void)ottla_call_failures(call, &count);
    assert_int_equal(count, 1);
    assert_int_equal(ottla_call_offsets(call, &count)[0].code, OTTLA_OK);
    assert_int_equal(ottla_call_offsets(call, &count)[3].code, OTTLA_TIMED_OUT);
    ottla_call_free(call);
    struct ottla_position missing[] = {{.topic = "missing"}, {.topic = "other", .partition = 1}};
    start_ms = now_ms();
    call = ottla_offsets_list(client, missing, 2, NULL);
    assert_int_equal(code_of(call, NULL), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_true(now_ms() - start_ms < 5000); /* not as long as other errors may take */
    ottla_call_free(call);
}

/* --- controller, coordinator --- */

static enum fake_do controller_hook(void *arg, struct fake_call *call) {
    (void)arg;
    static const int16_t here[26] = {0};
    static const int16_t elsewhere[26] = {ERR_NOT_CONTROLLER, ERR_NOT_CONTROLLER};
    if (call->api_key == API_CREATE_TOPICS) {
        answer_created(call, call->broker_id == 3 ? here : elsewhere);
        cluster->controller_id = 3;
    }
    return FAKE_ANSWER;
}

static void controllers_that_moved_are_found(void **state) {
    (void)state;
    cluster->hook = controller_hook;
    struct ottla_new_topic topics[] = {{.name = "a", .partitions = 1}, {.name = "b"}};
    struct ottla_call *call = ottla_topics_create(client, topics, 2, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_int_equal(fake_broker_calls(cluster, 1, API_CREATE_TOPICS), 1);
    assert_int_equal(fake_broker_calls(cluster, 3, API_CREATE_TOPICS), 1);
    ottla_call_free(call);
}

static enum fake_do coordinator_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_DELETE_GROUPS) {
        const struct delete_groups_request *request = call->request;
        struct delete_groups_response *response = call->response;
        response->results =
            ARENA_NEW(call->arena, struct delete_groups_response_deletable_group_result);
        response->results_count = 1;
        response->results->group_id = request->groups_names[0];
        response->results->error_code = call->broker_id == 2 ? 0
                                        : call->number == 1  ? ERR_COORDINATOR_LOAD_IN_PROGRESS
                                                             : ERR_NOT_COORDINATOR;
        cluster->coordinator_id = call->number > 1 ? 2 : cluster->coordinator_id;
    }
    return FAKE_ANSWER;
}

static void coordinators_that_moved_are_found(void **state) {
    (void)state;
    cluster->hook = coordinator_hook;
    const char *group = "g";
    struct ottla_call *call = ottla_groups_delete(client, &group, 1, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_int_equal(fake_broker_calls(cluster, 3, API_DELETE_GROUPS), 2);
    assert_int_equal(fake_broker_calls(cluster, 2, API_DELETE_GROUPS), 1);
    ottla_call_free(call);
}

/* --- quotas --- */

static enum fake_do quota_hook(void *arg, struct fake_call *call) {
    int64_t *second_ms = arg;
    if (call->api_key == API_CREATE_TOPICS) {
        int16_t codes[26] = {0, ERR_THROTTLING_QUOTA_EXCEEDED, ERR_POLICY_VIOLATION};
        if (call->number > 1) {
            const struct create_topics_request *request = call->request;
            assert_int_equal(request->topics_count, 1); /* what is done is not asked again */
            assert_int_equal(request->topics[0].name.data[0], 'b');
            *second_ms = now_ms();
            codes[1] = 0;
        }
        answer_created(call, codes);
        struct create_topics_response *response = call->response;
        response->throttle_time_ms = call->number > 1 ? 0 : 3000;
    }
    return FAKE_ANSWER;
}

static void throttled_items_wait_and_go_again(void **state) {
    (void)state;
    int64_t second_ms = 0;
    cluster->hook = quota_hook;
    cluster->arg = &second_ms;
    struct ottla_new_topic topics[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct ottla_call *call = ottla_topics_create(client, topics, 3, NULL);
    assert_int_equal(code_of(call, NULL), ERR_POLICY_VIOLATION);
    size_t count;
    const struct ottla_topic_result *made = ottla_call_topics(call, &count);
    assert_int_equal(made[0].code, OTTLA_OK);
    assert_int_equal(made[1].code, OTTLA_OK);
    assert_int_equal(made[2].code, ERR_POLICY_VIOLATION);
    assert_true(second_ms >= 3000);
    ottla_call_free(call);
}

/* A throttle without an error is for what comes next. */
static enum fake_do slow_hook(void *arg, struct fake_call *call) {
    int64_t *second_ms = arg;
    if (call->api_key == API_CREATE_TOPICS) {
        static const int16_t codes[26] = {0};
        answer_created(call, codes);
        ((struct create_topics_response *)call->response)->throttle_time_ms = 2000;
        *second_ms = call->number == 2 ? now_ms() : 0;
    }
    return FAKE_ANSWER;
}

static void brokers_are_left_alone_when_they_ask_for_it(void **state) {
    (void)state;
    int64_t second_ms = 0;
    cluster->hook = slow_hook;
    cluster->arg = &second_ms;
    struct ottla_new_topic topics[] = {{.name = "a"}, {.name = "b"}};
    for (int i = 0; i < 2; i++) {
        int64_t start_ms = now_ms();
        struct ottla_call *call = ottla_topics_create(client, &topics[i], 1, NULL);
        assert_int_equal(code_of(call, NULL), OTTLA_OK);
        assert_int_equal(now_ms() - start_ms >= 1900, i == 1);
        ottla_call_free(call);
    }
    assert_true(second_ms >= 2000);
}

/* --- all brokers --- */

static enum fake_do groups_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_LIST_GROUPS) {
        struct list_groups_response *response = call->response;
        response->groups = ARENA_ARRAY(call->arena, struct list_groups_response_listed_group, 2);
        response->groups_count = 2;
        for (int i = 0; i < 2; i++) {
            response->groups[i] = (struct list_groups_response_listed_group){
                STR("everywhere"), STR("consumer"), STR("Stable"), STR("classic")};
        } /* the first is named by all, as while it moves */
        response->groups[1].group_id = arena_printf(call->arena, "g%d", (int)(9 - call->broker_id));
    }
    return FAKE_ANSWER;
}

static void a_missing_broker_hides_its_groups_only(void **state) {
    (void)state;
    cluster->hook = groups_hook;
    fake_broker_stop(cluster, 2);
    struct ottla_admin_options options = {.timeout_ms = 5000};
    struct ottla_call *call = ottla_groups_list(client, &options);
    assert_int_not_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_failure *failures = ottla_call_failures(call, &count);
    assert_int_equal(count, 1);
    assert_int_equal(failures[0].broker_id, 2);
    assert_non_null(strstr(failures[0].text, "broker 2"));
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    assert_int_equal(count, 3);
    assert_string_equal(groups[0].group, "everywhere");
    assert_string_equal(groups[0].type, "Classic");
    assert_string_equal(groups[1].group, "g6");
    assert_int_equal(groups[1].broker_id, 3);
    assert_string_equal(groups[2].group, "g8");
    ottla_call_free(call);
    call = ottla_log_dirs_describe(client, NULL, 0, &options);
    assert_int_not_equal(code_of(call, NULL), OTTLA_OK);
    const struct ottla_log_dir *dirs = ottla_call_log_dirs(call, &count);
    assert_int_equal(count, 1); /* the others have none in this world */
    assert_int_equal(dirs[0].broker_id, 2);
    assert_int_not_equal(dirs[0].code, OTTLA_OK);
    ottla_call_free(call);
}

/* --- brokers that are older --- */

static enum fake_do old_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_API_VERSIONS) {
        take_away(call, (struct without){API_ELECT_LEADERS, -1});
        take_away(call, (struct without){API_DESCRIBE_TOPIC_PARTITIONS, -1});
        take_away(call, (struct without){API_CONSUMER_GROUP_DESCRIBE, -1});
        take_away(call, (struct without){API_DESCRIBE_CLUSTER, -1});
        take_away(call, (struct without){API_DELETE_TOPICS, 5});
        take_away(call, (struct without){API_OFFSET_FETCH, 5});
        take_away(call, (struct without){API_LIST_GROUPS, 3});
    } else if (call->api_key == API_DESCRIBE_GROUPS) {
        struct describe_groups_response *response = call->response;
        response->groups = ARENA_NEW(call->arena, struct describe_groups_response_described_group);
        response->groups_count = 1;
        response->groups->group_id = STR("g");
        response->groups->group_state = STR("Dead");
        response->groups->protocol_type = response->groups->protocol_data = STR("");
    } else if (call->api_key == API_OFFSET_FETCH) {
        assert_int_equal(call->version, 5);
        struct offset_fetch_response *response = call->response;
        response->topics = ARENA_NEW(call->arena, struct offset_fetch_response_topic);
        response->topics_count = 1;
        response->topics->name = STR("orders");
        response->topics->partitions =
            ARENA_NEW(call->arena, struct offset_fetch_response_partition);
        response->topics->partitions_count = 1;
        response->topics->partitions->committed_offset = 44;
        response->topics->partitions->metadata = STR("m");
    }
    return FAKE_ANSWER;
}

static void old_brokers_are_asked_in_old_ways(void **state) {
    (void)state;
    cluster->hook = old_hook;
    size_t count;
    struct ottla_error error;
    struct ottla_topic_ref refs[] = {{.name = "orders"}, {.name = "missing"}};
    struct ottla_call *call = ottla_topics_describe(client, refs, 2, NULL);
    assert_int_equal(code_of(call, NULL), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(ottla_call_topic_descriptions(call, &count)[0].partition_count, 6);
    assert_int_equal(ottla_call_topic_descriptions(call, &count)[0].partitions[4].leader, 2);
    ottla_call_free(call);

    const char *group = "g";
    call = ottla_groups_describe(client, &group, 1, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_string_equal(ottla_call_group_descriptions(call, &count)[0].state, "Dead");
    ottla_call_free(call);

    call = ottla_cluster_describe(client, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_int_equal(ottla_call_cluster(call)->node_count, 3);
    assert_string_equal(ottla_call_cluster(call)->nodes[2].host, "10.0.0.3");
    ottla_call_free(call);

    struct ottla_partition partition = {"orders", 0};
    call = ottla_leaders_elect(client, OTTLA_ELECTION_PREFERRED, &partition, 1, NULL);
    assert_int_equal(code_of(call, &error), OTTLA_UNSUPPORTED);
    assert_string_equal(error.text, "partition orders-0: broker 1 does not have ElectLeaders");
    ottla_call_free(call);

    struct ottla_topic_ref id = {.id = "AAAAAAAAAAAAAAAAAAAAAg"};
    call = ottla_topics_delete(client, &id, 1, NULL);
    assert_int_equal(code_of(call, &error), OTTLA_UNSUPPORTED);
    assert_non_null(strstr(error.text, "broker 1 has DeleteTopics in versions only that cannot"));
    ottla_call_free(call);

    const char *stable = "Stable";
    struct ottla_admin_options options = {.states = &stable, .state_count = 1};
    call = ottla_groups_list(client, &options);
    assert_int_equal(code_of(call, NULL), OTTLA_UNSUPPORTED);
    ottla_call_free(call);

    struct ottla_group_partitions groups[] = {{"g", &partition, 1}, {"h", NULL, 0}};
    call = ottla_group_offsets_list(client, groups, 2, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    const struct ottla_group_offsets *offsets = ottla_call_group_offsets(call, &count);
    assert_int_equal(offsets[0].positions[0].offset, 44);
    assert_string_equal(offsets[1].positions[0].metadata, "m");
    ottla_call_free(call);
}

/* --- pages --- */

enum page_lie { PAGES_SOUND, PAGES_STAND_STILL, PAGES_OF_OTHERS, PAGES_FOR_EVER };

static enum fake_do pages_hook(void *arg, struct fake_call *call) {
    const enum page_lie *lie = arg;
    if (call->api_key != API_DESCRIBE_TOPIC_PARTITIONS) {
        return FAKE_ANSWER;
    }
    enum { PAGE = 4 };
    const struct describe_topic_partitions_request *request = call->request;
    struct describe_topic_partitions_response *response = call->response;
    response->topics = ARENA_ARRAY(call->arena, struct describe_topic_partitions_response_topic,
                                   (size_t)request->topics_count);
    struct describe_topic_partitions_response_cursor *cursor =
        ARENA_NEW(call->arena, struct describe_topic_partitions_response_cursor);
    int32_t first = request->cursor == NULL ? 0 : request->cursor->partition_index;
    int32_t room = PAGE;
    for (int32_t t = 0; t < request->topics_count && response->next_cursor == NULL; t++) {
        struct describe_topic_partitions_response_topic *topic =
            &response->topics[response->topics_count++];
        topic->name = request->topics[t].name;
        topic->partitions =
            ARENA_ARRAY(call->arena, struct describe_topic_partitions_response_partition, PAGE);
        int32_t total = str_equal(topic->name, STR("orders")) ? 6 : 1;
        for (int32_t p = t == 0 ? first : 0; p < total; p++) {
            if (room-- == 0) {
                cursor->topic_name = topic->name;
                cursor->partition_index = p;
                response->next_cursor = cursor;
                break;
            }
            topic->partitions[topic->partitions_count++].partition_index = p;
        }
    }
    if (*lie != PAGES_SOUND) {
        cursor->topic_name = *lie == PAGES_OF_OTHERS ? STR("strange") : request->topics[0].name;
        cursor->partition_index = *lie == PAGES_FOR_EVER ? call->number + 1000 : 0;
        response->next_cursor = cursor;
    }
    return FAKE_ANSWER;
}

static void pages_are_followed_while_they_lead_on(void **state) {
    (void)state;
    enum page_lie lie = PAGES_SOUND;
    cluster->hook = pages_hook;
    cluster->arg = &lie;
    struct ottla_topic_ref refs[] = {{.name = "other"}, {.name = "a"}, {.name = "orders"}};
    struct ottla_call *call = ottla_topics_describe(client, refs, 3, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_topic_description *told = ottla_call_topic_descriptions(call, &count);
    assert_int_equal(told[0].partition_count, 1);
    assert_int_equal(told[1].partition_count, 1);
    assert_int_equal(told[2].partition_count, 6);
    assert_int_equal(told[2].partitions[5].partition, 5);
    ottla_call_free(call);
    for (lie = PAGES_STAND_STILL; lie <= PAGES_OF_OTHERS; lie++) {
        call = ottla_topics_describe(client, refs + 2, 1, NULL);
        int code = code_of(call, NULL);
        assert_true(code == OTTLA_MALFORMED || lie == PAGES_OF_OTHERS);
        ottla_call_free(call);
    }
    struct ottla_admin_options options = {.timeout_ms = 2000};
    lie = PAGES_FOR_EVER;
    call = ottla_topics_describe(client, refs + 2, 1, &options);
    assert_int_equal(code_of(call, NULL), OTTLA_TIMED_OUT);
    ottla_call_free(call);
}

/* --- brokers that lie --- */

/* Names a topic that nobody asked for, and leaves out those that were. */
static enum fake_do leaving_out_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_CREATE_TOPICS) {
        int16_t codes[26] = {0};
        answer_created(call, codes);
        struct create_topics_response *response = call->response;
        response->topics[1].name = STR("strange");
        response->topics[2] = response->topics[0]; /* twice */
        response->topics[2].error_code = ERR_TOPIC_ALREADY_EXISTS;
    }
    return FAKE_ANSWER;
}

static void what_is_left_out_is_malformed(void **state) {
    (void)state;
    cluster->hook = leaving_out_hook;
    struct ottla_new_topic topics[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct ottla_call *call = ottla_topics_create(client, topics, 3, NULL);
    struct ottla_error error;
    assert_int_equal(code_of(call, &error), OTTLA_MALFORMED);
    assert_string_equal(error.text, "topic b: broker 1 left it out of its answer to CreateTopics");
    size_t count;
    const struct ottla_topic_result *made = ottla_call_topics(call, &count);
    assert_int_equal(made[0].code, OTTLA_OK);
    assert_int_equal(made[1].code, OTTLA_MALFORMED);
    assert_int_equal(made[2].code, OTTLA_MALFORMED);
    ottla_call_free(call);
}

static enum fake_do never_hook(void *arg, struct fake_call *call) {
    const err_t *err = arg;
    if (call->api_key == API_LIST_OFFSETS) {
        answer_offsets(call, *err);
    }
    return FAKE_ANSWER;
}

/* Errors without end cost requests at the pace of the back-off, and end with the call. */
static void endless_errors_end_in_time(void **state) {
    (void)state;
    err_t err = ERR_NOT_LEADER_OR_FOLLOWER;
    cluster->hook = never_hook;
    cluster->arg = &err;
    struct ottla_position positions[6];
    struct ottla_admin_options options = {.timeout_ms = 20000};
    struct ottla_call *call = list_orders(positions, &options);
    struct ottla_error error;
    assert_int_equal(code_of(call, &error), OTTLA_TIMED_OUT);
    assert_non_null(strstr(error.text, "does not lead"));
    assert_true(fake_broker_calls(cluster, 2, API_LIST_OFFSETS) < 60);
    ottla_call_free(call);
}

static void retries_are_counted(void **state) {
    (void)state;
    err_t err = ERR_NOT_LEADER_OR_FOLLOWER;
    cluster->hook = never_hook;
    cluster->arg = &err;
    struct ottla_position positions[6];
    struct ottla_call *call = list_orders(positions, NULL);
    assert_int_equal(code_of(call, NULL), ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(fake_broker_calls(cluster, 2, API_LIST_OFFSETS), 3);
    ottla_call_free(call);
}

static enum fake_do throttle_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_CREATE_TOPICS) {
        int16_t codes[26] = {ERR_THROTTLING_QUOTA_EXCEEDED};
        answer_created(call, codes);
        ((struct create_topics_response *)call->response)->throttle_time_ms = INT32_MAX;
    }
    return FAKE_ANSWER;
}

static void endless_throttles_end_in_time(void **state) {
    (void)state;
    cluster->hook = throttle_hook;
    struct ottla_new_topic topic = {.name = "a"};
    int64_t start_ms = now_ms();
    struct ottla_call *call = ottla_topics_create(client, &topic, 1, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_TIMED_OUT);
    assert_true(now_ms() - start_ms < 61000);
    ottla_call_free(call);
}

static enum fake_do silent_hook(void *arg, struct fake_call *call) {
    const enum fake_do *how = arg;
    return call->api_key == API_CREATE_TOPICS || call->api_key == API_LIST_OFFSETS ? *how
                                                                                   : FAKE_ANSWER;
}

static void silent_and_closing_brokers_end_in_time(void **state) {
    (void)state;
    enum fake_do how;
    cluster->hook = silent_hook;
    cluster->arg = &how;
    for (how = FAKE_BYTES; how <= FAKE_CLOSE; how++) { /* bytes: none */
        struct ottla_admin_options options = {.timeout_ms = 10000};
        struct ottla_new_topic topic = {.name = "a"};
        struct ottla_position positions[6];
        int64_t start_ms = now_ms();
        struct ottla_call *create = ottla_topics_create(client, &topic, 1, &options);
        struct ottla_call *list = list_orders(positions, &options);
        assert_int_not_equal(code_of(create, NULL), OTTLA_OK);
        assert_int_not_equal(code_of(list, NULL), OTTLA_OK);
        assert_true(now_ms() - start_ms < 11000);
        ottla_call_free(create);
        ottla_call_free(list);
    }
}

/* --- the caller's side --- */

static int seen;

static void free_it(void *arg, struct ottla_call *call) {
    seen += ottla_call_code(call, NULL) == *(const int *)arg;
    ottla_call_free(call);
}

static void calls_may_be_left_at_any_time(void **state) {
    (void)state;
    cluster->hook = offsets_hook;
    struct ottla_position positions[6];
    for (int64_t after_ms = 0; after_ms < 40; after_ms++) {
        struct ottla_call *call = list_orders(positions, NULL);
        fake_cluster_run(cluster, after_ms);
        ottla_call_free(call);
    }
    static const int ok = OTTLA_OK, invalid = OTTLA_INVALID;
    seen = 0;
    ottla_call_on_done(list_orders(positions, NULL), free_it, (void *)&ok);
    struct ottla_position wrong = {.topic = NULL};
    struct ottla_call *done = ottla_offsets_list(client, &wrong, 1, NULL);
    assert_true(ottla_call_is_done(done));
    ottla_call_on_done(done, free_it, (void *)&invalid);
    assert_int_equal(seen, 0); /* not from inside */
    struct ottla_call *left = ottla_offsets_list(client, &wrong, 1, NULL);
    ottla_call_on_done(left, free_it, (void *)&invalid);
    ottla_call_free(left);
    fake_cluster_run(cluster, 5000);
    assert_int_equal(seen, 2);
}

static void accessors_know_their_operation(void **state) {
    (void)state;
    struct ottla_call *call = ottla_topics_list(client, NULL);
    size_t count = 7;
    assert_null(ottla_call_topic_descriptions(call, &count)); /* not done */
    assert_int_equal(count, 0);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_null(ottla_call_groups(call, &count));
    assert_int_equal(count, 0);
    assert_null(ottla_call_quorum(call));
    assert_non_null(ottla_call_topic_descriptions(call, &count));
    assert_int_equal(count, 2);
    ottla_call_free(call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_leader_is_asked_once),
        TEST(leaders_that_moved_are_found),
        TEST(leaders_that_die_are_replaced),
        TEST(partitions_without_a_leader_fail_alone),
        TEST(controllers_that_moved_are_found),
        TEST(coordinators_that_moved_are_found),
        TEST(throttled_items_wait_and_go_again),
        TEST(brokers_are_left_alone_when_they_ask_for_it),
        TEST(a_missing_broker_hides_its_groups_only),
        TEST(old_brokers_are_asked_in_old_ways),
        TEST(pages_are_followed_while_they_lead_on),
        TEST(what_is_left_out_is_malformed),
        TEST(endless_errors_end_in_time),
        cmocka_unit_test_setup_teardown(retries_are_counted, begin_with_two_retries, end),
        TEST(endless_throttles_end_in_time),
        TEST(silent_and_closing_brokers_end_in_time),
        TEST(calls_may_be_left_at_any_time),
        TEST(accessors_know_their_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
