/* Settings, metadata and waiting, against the broker at OTTLA_TEST_BOOTSTRAP. */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "client/core.h"
#include "suite.h"
#include "wire/api.h"
#include "wire/messages.h"

static void a_topic_is_made_and_counted(void **state) {
    struct ottla_client *client = *state;
    struct ottla_error error = {0};
    int32_t count = 0;
    char topic[64];
    suite_topic_name("counted", topic);
    assert_int_equal(ottla_client_partition_count(client, topic, 30000, &count, &error), OTTLA_OK);
    assert_int_equal(count, 1);
}

static void metadata_names_the_cluster(void **state) {
    struct ottla_client *client = *state;
    int32_t count;
    char topic[64];
    suite_topic_name("named", topic);
    assert_int_equal(ottla_client_partition_count(client, topic, 30000, &count, NULL), OTTLA_OK);
    assert_int_equal(client_broker_count(client), 1);
    assert_true(client_broker_at(client, 0)->port > 0);
    assert_true(client_cluster_id(client).size > 0);
    assert_true(client_controller_id(client) >= 0);
}

struct answer {
    bool done;
    err_t err;
    int32_t broker_id;
    int calls;
};

static void on_answer(void *arg, const struct client_answer *answer) {
    struct answer *to = arg;
    to->done = true;
    to->err = answer->err;
    to->broker_id = answer->broker_id;
    to->calls++;
}

static err_t judge_groups(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    const struct describe_groups_response *groups = response;
    return err_from_kafka_code(groups->groups[0].error_code);
}

static void requests_find_their_way(void **state) {
    struct ottla_client *client = *state;
    struct describe_groups_request groups;
    wire_init(&describe_groups_request_type, &groups);
    struct str name = STR("no-such-group");
    groups.groups = &name;
    groups.groups_count = 1;
    struct list_groups_request list;
    wire_init(&list_groups_request_type, &list);
    struct answer answers[4] = {0};
    struct client_ask asks[4] = {
        {.role = CLIENT_GROUP,
         .key = name,
         .api_key = API_DESCRIBE_GROUPS,
         .version_max = 5,
         .request = &groups,
         .judge = judge_groups},
        {.role = CLIENT_CONTROLLER, .api_key = API_LIST_GROUPS, .request = &list},
        {.role = CLIENT_BOOTSTRAP, .api_key = API_LIST_GROUPS, .request = &list},
        {.role = CLIENT_ANY_BROKER,
         .lane = CLIENT_LANE_GROUP,
         .api_key = API_LIST_GROUPS,
         .request = &list},
    };
    for (int i = 0; i < 4; i++) {
        asks[i].version_max = i == 0 ? 5 : -1;
        asks[i].done = on_answer;
        asks[i].arg = &answers[i];
        (void)client_ask(client, &asks[i]);
        assert_int_equal(answers[i].calls, 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(client_wait(client, &answers[i].done, client_deadline_ms(client, 30000)),
                         ERR_OK);
        assert_int_equal(answers[i].err, ERR_OK);
        assert_int_equal(answers[i].calls, 1);
    }
    assert_true(answers[0].broker_id >= 0);
    assert_true(answers[1].broker_id >= 0);
    assert_int_equal(answers[2].broker_id, -1);
    int16_t version;
    assert_true(client_broker_version(client, answers[1].broker_id, API_LIST_GROUPS, &version));
}

/* A program that waits by itself, on the descriptor and the deadline. */
static void a_loop_of_the_programs_own_will_do(void **state) {
    struct ottla_client *client = *state;
    struct list_groups_request list;
    wire_init(&list_groups_request_type, &list);
    struct answer answer = {0};
    (void)client_ask(client, &(struct client_ask){.role = CLIENT_CONTROLLER,
                                                  .api_key = API_LIST_GROUPS,
                                                  .version_max = -1,
                                                  .request = &list,
                                                  .done = on_answer,
                                                  .arg = &answer});
    int rounds = 0;
    for (; !answer.done; rounds++) {
        struct pollfd polled = {.fd = ottla_client_fd(client), .events = POLLIN};
        int64_t wait_ms = ottla_client_deadline_ms(client) - sys_mono_ms(client_sys(client));
        wait_ms = wait_ms < 0 ? 0 : wait_ms > 10000 ? 10000 : wait_ms;
        assert_true(poll(&polled, 1, (int)wait_ms) >= 0);
        ottla_client_run(client, 0);
        assert_true(rounds < 1000);
    }
    assert_int_equal(answer.err, ERR_OK);
    assert_true(ottla_client_deadline_ms(client) > sys_mono_ms(client_sys(client)));
    ottla_client_interrupt(client);
    struct pollfd polled = {.fd = ottla_client_fd(client), .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 0), 1);
    ottla_client_run(client, 10000); /* returns at once */
}

static void unknown_brokers_are_no_puzzle(void **state) {
    struct ottla_client *client = *state;
    struct list_groups_request list;
    wire_init(&list_groups_request_type, &list);
    struct answer answer = {0};
    (void)client_ask(client, &(struct client_ask){.role = CLIENT_BROKER,
                                                  .broker_id = 4711,
                                                  .api_key = API_LIST_GROUPS,
                                                  .version_max = -1,
                                                  .request = &list,
                                                  .done = on_answer,
                                                  .arg = &answer});
    assert_int_equal(client_wait(client, &answer.done, client_deadline_ms(client, 30000)), ERR_OK);
    assert_int_equal(answer.err, ERR_BROKER_NOT_AVAILABLE);
}

static void a_missing_topic_is_said(void **state) {
    (void)state;
    struct ottla_config *config = suite_config();
    assert_int_equal(ottla_config_set(config, "allow.auto.create.topics", "false", NULL), OTTLA_OK);
    struct ottla_client *client;
    assert_int_equal(ottla_client_new(config, &client, NULL), OTTLA_OK);
    struct ottla_error error = {0};
    int32_t count = 0;
    assert_int_equal(ottla_client_partition_count(client, "not-there", 30000, &count, &error),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_non_null(strstr(error.text, "not-there"));
    ottla_client_free(client);
    ottla_config_free(config);
}

static void *interrupt_later(void *arg) {
    usleep(100 * 1000);
    ottla_client_interrupt(arg);
    return NULL;
}

static void waiting_can_be_interrupted(void **state) {
    struct ottla_client *client = *state;
    pthread_t thread;
    bool never = false;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, client), 0);
    assert_int_equal(client_wait(client, &never, client_deadline_ms(client, 30000)), ERR_CLOSED);
    pthread_join(thread, NULL);
    assert_int_equal(client_wait(client, &never, client_deadline_ms(client, 50)), ERR_TIMED_OUT);
}

/* The first two of three servers are not there. */
static void dead_servers_are_passed_over(void **state) {
    (void)state;
    struct ottla_config *config = suite_config();
    char servers[256];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:1,localhost:2,%s", suite_bootstrap());
    assert_int_equal(ottla_config_set(config, "bootstrap.servers", servers, NULL), OTTLA_OK);
    struct ottla_client *client;
    assert_int_equal(ottla_client_new(config, &client, NULL), OTTLA_OK);
    struct ottla_error error = {0};
    int32_t count = 0;
    char topic[64];
    suite_topic_name("passed", topic);
    assert_int_equal(ottla_client_partition_count(client, topic, 30000, &count, &error), OTTLA_OK);
    ottla_client_free(client);
    ottla_config_free(config);
}

static void nobody_there_is_said(void **state) {
    (void)state;
    struct ottla_config *config = suite_config();
    assert_int_equal(ottla_config_set(config, "bootstrap.servers", "127.0.0.1:1", NULL), OTTLA_OK);
    struct ottla_client *client;
    assert_int_equal(ottla_client_new(config, &client, NULL), OTTLA_OK);
    struct ottla_error error = {0};
    int32_t count = 0;
    assert_int_equal(ottla_client_partition_count(client, "x", 700, &count, &error),
                     OTTLA_TIMED_OUT);
    assert_non_null(strstr(error.text, "127.0.0.1:1"));
    ottla_client_free(client);
    ottla_config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        suite_test(a_topic_is_made_and_counted),
        suite_test(metadata_names_the_cluster),
        suite_test(requests_find_their_way),
        suite_test(unknown_brokers_are_no_puzzle),
        suite_test(a_loop_of_the_programs_own_will_do),
        suite_test(waiting_can_be_interrupted),
        cmocka_unit_test(a_missing_topic_is_said),
        cmocka_unit_test(dead_servers_are_passed_over),
        cmocka_unit_test(nobody_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
