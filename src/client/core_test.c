/* The core in a simulated world: finding brokers, topics and coordinators, and losing them again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fake_broker_test_int.h"

static struct fake_cluster *cluster;
static struct ottla_client *client;

/* --- asking --- */

struct told {
    bool done;
    int count;
    err_t err;
    err_t inside;
    int32_t broker_id;
    char text[256];
};

static err_t judge_groups(void *arg, int16_t version, const void *response) {
    (void)version;
    const struct list_groups_response *groups = response;
    struct told *told = arg;
    told->inside = err_from_kafka_code(groups->error_code);
    return told->inside;
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct told *told = arg;
    told->done = true;
    told->count++;
    told->err = answer->err;
    told->broker_id = answer->broker_id;
    (void)snprintf(told->text, sizeof told->text, "%s", answer->text);
    assert_true((answer->err == ERR_OK) == (answer->response != NULL));
}

static const struct list_groups_request *list_groups(void) {
    static struct list_groups_request request;
    wire_init(&list_groups_request_type, &request);
    return &request;
}

/* ListGroups, as good as any: to where `ask` says. */
static struct client_asked *start(struct client_ask ask, struct told *told) {
    *told = (struct told){0};
    ask.api_key = API_LIST_GROUPS;
    ask.version_max = -1;
    ask.request = list_groups();
    ask.done = on_answer;
    ask.arg = told;
    struct client_asked *asked = client_ask(client, &ask);
    assert_int_equal(told->count, 0);
    return asked;
}

static void wait_for(struct told *told) {
    assert_int_equal(client_wait(client, &told->done, client_deadline_ms(client, 600 * 1000)),
                     ERR_OK);
    assert_int_equal(told->count, 1);
}

static struct told ask_and_wait(struct client_ask ask) {
    struct told told;
    (void)start(ask, &told);
    wait_for(&told);
    return told;
}

static int total_calls(int16_t api_key) {
    int total = 0;
    for (int32_t id = 1; id <= cluster->broker_count; id++) {
        total += fake_broker_calls(cluster, id, api_key);
    }
    return total;
}

static int64_t now_ms(void) {
    return sim_world_now_ms(cluster->world);
}

static int three_brokers(void **state) {
    (void)state;
    cluster = fake_cluster_new(7, 3);
    fake_cluster_topic(cluster, "orders", 6);
    client = NULL;
    return 0;
}

static int free_all(void **state) {
    (void)state;
    fake_cluster_free(cluster);
    return 0;
}

/* --- finding --- */

static void topics_and_brokers_are_learnt(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    int32_t count;
    assert_int_equal(ottla_client_partition_count(client, "orders", 5000, &count, NULL), OTTLA_OK);
    assert_int_equal(count, 6);
    assert_int_equal(client_broker_count(client), 3);
    assert_int_equal(client_controller_id(client), 1);
    assert_true(str_equal(client_cluster_id(client), STR("a-fake-cluster")));
    client_topic_want(client, STR("orders"), false);
    fake_cluster_run(cluster, 500);
    const struct client_topic *topic = client_topic(client, STR("orders"));
    assert_non_null(topic);
    assert_ptr_equal(client_topic_by_id(client, &topic->id), topic);
    assert_int_equal(topic->partitions[4].leader, 2);
    assert_int_equal(topic->partitions[4].replica_count, 1);
    assert_int_equal(client_topic_count(client), 1);
    client_topic_unwant(client, STR("orders"));
    assert_null(client_topic(client, STR("orders")));
    assert_int_equal(client_topic_count(client), 0);
}

static void every_role_finds_its_broker(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    cluster->controller_id = 2;
    struct told told = ask_and_wait((struct client_ask){.role = CLIENT_CONTROLLER});
    assert_int_equal(told.broker_id, 2);
    told = ask_and_wait((struct client_ask){.role = CLIENT_BROKER, .broker_id = 3});
    assert_int_equal(told.broker_id, 3);
    told = ask_and_wait((struct client_ask){.role = CLIENT_GROUP, .key = STR("g")});
    assert_int_equal(told.broker_id, cluster->coordinator_id);
    told = ask_and_wait((struct client_ask){.role = CLIENT_TRANSACTION, .key = STR("g")});
    assert_int_equal(told.broker_id, cluster->coordinator_id);
    told = ask_and_wait((struct client_ask){.role = CLIENT_BOOTSTRAP});
    assert_int_equal(told.broker_id, -1);
    told = ask_and_wait((struct client_ask){.role = CLIENT_ANY_BROKER});
    assert_int_equal(told.err, ERR_OK);
    assert_int_equal(total_calls(API_FIND_COORDINATOR), 2);
}

static void a_broker_nobody_knows_is_refused(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    struct told told = ask_and_wait((struct client_ask){.role = CLIENT_BROKER, .broker_id = 9});
    assert_int_equal(told.err, ERR_BROKER_NOT_AVAILABLE);
    assert_non_null(strstr(told.text, "broker 9"));
    told = ask_and_wait((struct client_ask){
        .role = CLIENT_BROKER, .broker_id = 9, .judge = judge_groups, .timeout_ms = 3000});
    assert_int_equal(told.err, ERR_TIMED_OUT);
    assert_non_null(strstr(told.text, "broker 9"));
    assert_true(total_calls(API_METADATA) < 12); /* 100 ms, 200 … 1000 apart */
}

static void lanes_have_connections_of_their_own(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    for (int lane = 0; lane < CLIENT_LANE_COUNT; lane++) {
        struct told told = ask_and_wait((struct client_ask){
            .role = CLIENT_BROKER, .broker_id = 2, .lane = (enum client_lane)lane});
        assert_int_equal(told.err, ERR_OK);
    }
    assert_in_range(fake_broker_connections(cluster, 2), CLIENT_LANE_COUNT, CLIENT_LANE_COUNT + 1);
    assert_int_equal(client_broker_pending(client, 2, CLIENT_LANE_READ), 0);
    assert_int_equal(client_broker_pending(client, 77, CLIENT_LANE_READ), SIZE_MAX);
    int16_t version;
    assert_true(client_broker_version(client, 2, API_LIST_GROUPS, &version));
    assert_int_equal(version, 5);
    assert_false(client_broker_version(client, 77, API_LIST_GROUPS, &version));
}

static void a_cancelled_ask_is_not_told(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    struct told told, other;
    client_ask_cancel(start((struct client_ask){.role = CLIENT_GROUP, .key = STR("g")}, &told));
    struct client_asked *asked =
        start((struct client_ask){.role = CLIENT_BROKER, .broker_id = 2}, &told);
    while (fake_broker_calls(cluster, 2, API_LIST_GROUPS) == 0) {
        sys_loop_turn(client_loop(client), 0);
        sim_world_run_for(cluster->world, 1);
    }
    client_ask_cancel(asked); /* its answer is on the way */
    (void)start((struct client_ask){.role = CLIENT_BROKER, .broker_id = 2}, &other);
    wait_for(&other);
    assert_int_equal(told.count, 0);
}

static void asks_are_told_when_the_client_goes(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    struct told waiting[3];
    (void)start((struct client_ask){.role = CLIENT_GROUP, .key = STR("g")}, &waiting[0]);
    (void)start((struct client_ask){.role = CLIENT_BROKER, .broker_id = 2}, &waiting[1]);
    fake_cluster_run(cluster, 1);
    (void)start((struct client_ask){.role = CLIENT_ANY_BROKER, .judge = judge_groups}, &waiting[2]);
    ottla_client_free(client);
    cluster->client = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(waiting[i].count, 1);
        assert_int_equal(waiting[i].err, ERR_CLOSED);
    }
}

/* --- losing --- */

static void a_dead_bootstrap_server_is_passed_over(void **state) {
    (void)state;
    fake_broker_stop(cluster, 1);
    cluster->hidden[0] = true;
    client =
        fake_cluster_client(cluster, "bootstrap.servers", "10.0.0.1:9092,10.0.0.9:1,b2:9092", NULL);
    int32_t count;
    assert_int_equal(ottla_client_partition_count(client, "orders", 30000, &count, NULL), OTTLA_OK);
    assert_int_equal(client_broker_count(client), 2);
}

static void a_broker_that_went_and_came_is_asked_again(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    struct client_ask ask = {
        .role = CLIENT_BROKER, .broker_id = 2, .judge = judge_groups, .timeout_ms = 20000};
    (void)ask_and_wait(ask);
    fake_broker_stop(cluster, 2);
    struct told told;
    (void)start(ask, &told);
    fake_cluster_run(cluster, 10000);
    assert_int_equal(told.count, 0);
    fake_broker_start(cluster, 2);
    wait_for(&told);
    assert_int_equal(told.err, ERR_OK);
    fake_broker_stop(cluster, 2);
    told = ask_and_wait(ask);
    assert_true(told.err == ERR_TIMED_OUT || told.err == ERR_REFUSED);
    assert_non_null(strstr(told.text, "broker 2"));
    ask.judge = NULL; /* one try */
    told = ask_and_wait(ask);
    assert_int_equal(told.err, ERR_REFUSED);
}

/* All brokers that metadata named are gone; others are behind bootstrap.servers now. */
static void a_cluster_that_moved_is_found_again(void **state) {
    (void)state;
    cluster->hidden[0] = true;
    cluster->hidden[2] = true;
    client = fake_cluster_client(cluster, NULL);
    int32_t count;
    assert_int_equal(ottla_client_partition_count(client, "orders", 5000, &count, NULL), OTTLA_OK);
    assert_int_equal(client_broker_at(client, 0)->id, 2);
    fake_broker_stop(cluster, 2);
    cluster->hidden[0] = cluster->hidden[2] = false;
    cluster->hidden[1] = true;
    struct told told = ask_and_wait(
        (struct client_ask){.role = CLIENT_ANY_BROKER, .judge = judge_groups, .timeout_ms = 30000});
    assert_int_equal(told.err, ERR_OK);
    fake_cluster_run(cluster, 3000);
    assert_int_equal(client_broker_count(client), 2);
}

static void without_recovery_it_stays_where_it_was(void **state) {
    (void)state;
    cluster->hidden[0] = true;
    cluster->hidden[2] = true;
    client = fake_cluster_client(cluster, "metadata.recovery.strategy", "none", NULL);
    int32_t count;
    assert_int_equal(ottla_client_partition_count(client, "orders", 5000, &count, NULL), OTTLA_OK);
    fake_broker_stop(cluster, 2);
    struct told told = ask_and_wait(
        (struct client_ask){.role = CLIENT_ANY_BROKER, .judge = judge_groups, .timeout_ms = 30000});
    assert_int_not_equal(told.err, ERR_OK);
    assert_non_null(strstr(client_trouble(client), "broker 2"));
    fake_broker_start(cluster, 2);
    fake_cluster_run(cluster, 3000);
    assert_string_equal(client_trouble(client), "");
}

static enum fake_do say_nothing_about_the_cluster(void *arg, struct fake_call *call) {
    (void)arg;
    return call->api_key == API_METADATA && call->broker_id != 1 ? FAKE_SILENCE : FAKE_ANSWER;
}

/* They are up, and tell nothing (KIP-1102). */
static void silence_about_the_cluster_leads_back(void **state) {
    (void)state;
    cluster->hidden[0] = true;
    cluster->hook = say_nothing_about_the_cluster;
    client = fake_cluster_client(cluster, "metadata.recovery.rebootstrap.trigger.ms", "30000",
                                 "request.timeout.ms", "5000", NULL);
    fake_cluster_run(cluster, 1);
    client_metadata_refresh(client);
    fake_cluster_run(cluster, 1000);
    assert_int_equal(client_broker_count(client), 2);
    int calls = fake_broker_calls(cluster, 1, API_METADATA);
    client_metadata_refresh(client);
    fake_cluster_run(cluster, 25000);
    assert_int_equal(fake_broker_calls(cluster, 1, API_METADATA), calls);
    fake_cluster_run(cluster, 20000);
    assert_true(fake_broker_calls(cluster, 1, API_METADATA) > calls);
}

static enum fake_do demand_rebootstrap(void *arg, struct fake_call *call) {
    int *times = arg;
    if (call->api_key == API_METADATA && call->broker_id != 1) {
        struct metadata_response *response = call->response;
        response->error_code = ERR_REBOOTSTRAP_REQUIRED;
        (*times)++;
    }
    return FAKE_ANSWER;
}

static void a_broker_may_ask_for_another_bootstrap(void **state) {
    (void)state;
    int times = 0;
    cluster->hook = demand_rebootstrap;
    cluster->arg = &times;
    cluster->hidden[0] = true; /* in what broker 1 says: only the others are asked next */
    client = fake_cluster_client(cluster, NULL);
    int32_t count;
    for (int i = 0; i < 4; i++) {
        client_metadata_refresh(client);
        fake_cluster_run(cluster, 2000);
        assert_int_equal(ottla_client_partition_count(client, "orders", 5000, &count, NULL),
                         OTTLA_OK);
    }
    assert_true(times > 0);
    assert_true(fake_broker_calls(cluster, 1, API_METADATA) >= times);
}

static enum fake_do not_coordinator(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_LIST_GROUPS && call->broker_id != cluster->coordinator_id) {
        ((struct list_groups_response *)call->response)->error_code = ERR_NOT_COORDINATOR;
    }
    return FAKE_ANSWER;
}

static void a_coordinator_that_moved_is_looked_for(void **state) {
    (void)state;
    cluster->hook = not_coordinator;
    client = fake_cluster_client(cluster, NULL);
    struct client_ask ask = {.role = CLIENT_GROUP, .key = STR("g"), .judge = judge_groups};
    assert_int_equal(ask_and_wait(ask).broker_id, 3);
    cluster->coordinator_id = 2;
    struct told told = ask_and_wait(ask);
    assert_int_equal(told.broker_id, 2);
    assert_int_equal(told.inside, ERR_OK);
    cluster->coordinator_id = 1;
    fake_broker_stop(cluster, 2); /* it does not even say so */
    assert_int_equal(ask_and_wait(ask).broker_id, 1);
}

static void idle_connections_are_closed(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, "connections.max.idle.ms", "5000", NULL);
    struct client_ask ask = {.role = CLIENT_BROKER, .broker_id = 2, .lane = CLIENT_LANE_WRITE};
    (void)ask_and_wait(ask);
    assert_true(sim_net_connection_count(cluster->world) > 0);
    fake_cluster_run(cluster, 12000);
    assert_int_equal(sim_net_connection_count(cluster->world), 0);
    assert_int_equal(ask_and_wait(ask).err, ERR_OK);
    assert_in_range(fake_broker_connections(cluster, 2), 2, 4);
}

static void a_leader_learnt_from_an_answer_counts_at_once(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    client_topic_want(client, STR("orders"), false);
    fake_cluster_run(cluster, 500);
    struct client_broker fourth = {.id = 4, .host = STR("10.0.0.4"), .port = 9092};
    assert_false(client_leader_learnt(client, STR("orders"), 0, 2, 1, NULL)); /* not newer */
    assert_false(client_leader_learnt(client, STR("orders"), 99, 2, 5, NULL));
    assert_false(client_leader_learnt(client, STR("nothing"), 0, 2, 5, NULL));
    assert_false(client_leader_learnt(client, STR("orders"), 0, 55, 5, NULL)); /* who is that */
    assert_true(client_leader_learnt(client, STR("orders"), 0, 2, 5, NULL));
    assert_true(client_leader_learnt(client, STR("orders"), 1, 4, 5, &fourth));
    const struct client_topic *topic = client_topic(client, STR("orders"));
    assert_int_equal(topic->partitions[0].leader, 2);
    assert_int_equal(topic->partitions[1].leader, 4);
    client_metadata_refresh(client); /* the brokers lag behind: epochs of 1 */
    fake_cluster_run(cluster, 2000);
    topic = client_topic(client, STR("orders"));
    assert_int_equal(topic->partitions[0].leader, 2);
    assert_int_equal(topic->partitions[0].leader_epoch, 5);
}

static void a_topic_made_anew_has_new_leaders(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    cluster->topics[0].leader_epochs[0] = 50;
    client_topic_want(client, STR("orders"), false);
    fake_cluster_run(cluster, 500);
    struct uuid before = client_topic(client, STR("orders"))->id;
    cluster->topics[0].id.bytes[5] = 99;
    cluster->topics[0].leader_epochs[0] = 0;
    cluster->topics[0].partition_count = 2;
    client_metadata_refresh(client);
    fake_cluster_run(cluster, 2000);
    const struct client_topic *topic = client_topic(client, STR("orders"));
    assert_int_equal(topic->partition_count, 2);
    assert_int_equal(topic->partitions[0].leader_epoch, 0);
    assert_null(client_topic_by_id(client, &before));
    assert_non_null(client_topic_by_id(client, &topic->id));
}

struct counter {
    struct client_watcher watcher;
    int count;
};

static void count_change(struct client_watcher *watcher) {
    container_of(watcher, struct counter, watcher)->count++;
}

static void all_topics_come_and_go(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, "metadata.max.age.ms", "10000", NULL);
    fake_cluster_topic(cluster, "more", 1);
    struct counter counter = {.watcher.changed = count_change};
    client_watch(client, &counter.watcher);
    client_topics_want_all(client, true);
    fake_cluster_run(cluster, 1000);
    assert_int_equal(client_topic_count(client), 2);
    assert_true(counter.count > 0);
    client_topic_want(client, STR("more"), false);
    fake_cluster_topic(cluster, "third", 1);
    cluster->topics[0].name[0] = 'O';
    cluster->topics[1].name[0] = 'M';
    fake_cluster_run(cluster, 15000); /* metadata.max.age.ms */
    assert_int_equal(client_topic_count(client), 4);
    assert_null(client_topic(client, STR("orders")));
    assert_int_equal(client_topic(client, STR("more"))->err, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    client_topics_want_all(client, false);
    client_unwatch(client, &counter.watcher);
    int calls = total_calls(API_METADATA);
    client_topic_unwant(client, STR("more"));
    fake_cluster_run(cluster, 35000);
    assert_in_range(total_calls(API_METADATA), calls + 3, calls + 5);
}

static void what_a_topic_lacks_is_asked_for_again(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    cluster->topics[0].leaders[3] = -1;
    client_topic_want(client, STR("orders"), false);
    fake_cluster_run(cluster, 5000);
    assert_int_equal(client_topic(client, STR("orders"))->partitions[3].leader, -1);
    assert_in_range(total_calls(API_METADATA), 6, 14);
    cluster->topics[0].leaders[3] = 2;
    fake_cluster_run(cluster, 2000);
    assert_int_equal(client_topic(client, STR("orders"))->partitions[3].leader, 2);
    int calls = total_calls(API_METADATA);
    fake_cluster_run(cluster, 60000);
    assert_int_equal(total_calls(API_METADATA), calls);
}

static enum fake_do two_controllers(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_DESCRIBE_CLUSTER) {
        const struct describe_cluster_request *request = call->request;
        assert_int_equal(request->endpoint_type, 2);
        struct describe_cluster_response *response = call->response;
        response->endpoint_type = 2;
        response->cluster_id = STR("ruled");
        response->controller_id = 3;
        response->brokers =
            ARENA_ARRAY(call->arena, struct describe_cluster_response_describe_cluster_broker, 2);
        response->brokers_count = 2;
        for (int i = 0; i < 2; i++) {
            response->brokers[i].broker_id = i + 2;
            response->brokers[i].host = i == 0 ? STR("b2") : STR("b3");
            response->brokers[i].port = FAKE_PORT;
        }
    }
    return FAKE_ANSWER;
}

static void controllers_are_asked_without_brokers(void **state) {
    (void)state;
    cluster->hook = two_controllers;
    client = fake_cluster_client(cluster, "bootstrap.servers", "", "bootstrap.controllers",
                                 "b1:9092", NULL);
    assert_int_equal(ask_and_wait((struct client_ask){.role = CLIENT_CONTROLLER}).broker_id, 3);
    assert_int_equal(client_broker_count(client), 2);
    assert_true(str_equal(client_cluster_id(client), STR("ruled")));
    assert_int_equal(total_calls(API_METADATA), 0);
}

static void servers_are_written_as_host_and_port(void **state) {
    (void)state;
    static const struct {
        const char *servers;
        bool fine;
    } rows[] = {{"b1:9092", true},
                {" b1:9092 , b2:9092,", true},
                {"PLAINTEXT://b1:9092", true},
                {"[fd00::1]:9092", true},
                {"", false},
                {"b1", false},
                {":9092", false},
                {"b1:", false},
                {"b1:0", false},
                {"b1:65536", false},
                {"b1:000009092", true},
                {"b1:4294976388", false},
                {"b1:9o92", false},
                {"[]:1", false}};
    struct sys_loop *loop;
    assert_int_equal(sys_loop_new(sim_host_sys(cluster->client_host), "c", &loop), ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ottla_config *config = ottla_config_new();
        struct ottla_client *made;
        assert_int_equal(ottla_config_set(config, "bootstrap.servers", rows[i].servers, NULL), 0);
        err_t err = client_new(config, sim_host_sys(cluster->client_host), loop, &made, NULL);
        assert_int_equal(err, rows[i].fine ? ERR_OK : ERR_INVALID);
        if (rows[i].fine) {
            ottla_client_free(made);
        }
        ottla_config_free(config);
    }
    sys_loop_free(loop);
}

struct asked_for {
    int creating[2]; /* requests that named a topic and might create it: of "made", of "asked" */
    int asking;      /* that named "asked" at all */
    int all;
};

static enum fake_do note_creation(void *arg, struct fake_call *call) {
    struct asked_for *noted = arg;
    const struct metadata_request *request = call->request;
    if (call->api_key != API_METADATA) {
        return FAKE_ANSWER;
    }
    noted->all += request->topics_count < 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        bool asked = str_equal(request->topics[i].name, STR("asked"));
        noted->creating[asked] += request->allow_auto_topic_creation;
        noted->asking += asked;
    }
    return FAKE_ANSWER;
}

static void only_topics_that_may_are_created(void **state) {
    (void)state;
    struct asked_for noted = {0};
    cluster->hook = note_creation;
    cluster->arg = &noted;
    client = fake_cluster_client(cluster, NULL);
    client_topic_want(client, STR("made"), true);
    client_topic_want(client, STR("asked"), false);
    fake_cluster_run(cluster, 5000);
    assert_true(noted.creating[0] > 1);
    assert_int_equal(noted.creating[1], 0);
    assert_true(noted.asking > 1);
    client_topics_want_all(client, true);
    noted.creating[0] = 0;
    fake_cluster_run(cluster, 5000);
    assert_true(noted.creating[0] > 1);
    assert_true(noted.all > 1);
    assert_int_equal(noted.creating[1], 0);
}

struct program {
    int32_t count;
    int code;
    bool ended;
};

static void run_program(void *arg) {
    struct program *program = arg;
    for (int i = 0; i < 20 && program->code == OTTLA_OK; i++) {
        program->code =
            ottla_client_partition_count(client, "orders", 30000, &program->count, NULL);
        ottla_client_run(client, 1000);
    }
    program->ended = true;
}

static bool has_ended(void *arg) {
    return ((struct program *)arg)->ended;
}

/* As a program runs in a simulation: as a thread of its host, among others. */
static void a_simulated_program_waits_as_a_real_one(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    struct program program = {0};
    sim_host_spawn(cluster->client_host, "program", run_program, &program);
    assert_true(sim_world_run_until(cluster->world, has_ended, &program, 60000));
    assert_int_equal(program.code, OTTLA_OK);
    assert_int_equal(program.count, 6);
    assert_true(sim_world_event_count(cluster->world) < 2000); /* it does not look all the time */
}

static void interruption_ends_a_wait(void **state) {
    (void)state;
    client = fake_cluster_client(cluster, NULL);
    bool never = false;
    ottla_client_interrupt(client);
    assert_int_equal(client_wait(client, &never, INT64_MAX), ERR_CLOSED);
    int64_t before_ms = now_ms();
    assert_int_equal(client_wait(client, &never, client_deadline_ms(client, 250)), ERR_TIMED_OUT);
    assert_in_range(now_ms() - before_ms, 250, 260);
    ottla_client_interrupt(client);
    ottla_client_run(client, 60000);
    assert_in_range(now_ms() - before_ms, 250, 260);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, three_brokers, free_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(topics_and_brokers_are_learnt),
        TEST(every_role_finds_its_broker),
        TEST(a_broker_nobody_knows_is_refused),
        TEST(lanes_have_connections_of_their_own),
        TEST(a_cancelled_ask_is_not_told),
        TEST(asks_are_told_when_the_client_goes),
        TEST(a_dead_bootstrap_server_is_passed_over),
        TEST(a_broker_that_went_and_came_is_asked_again),
        TEST(a_cluster_that_moved_is_found_again),
        TEST(without_recovery_it_stays_where_it_was),
        TEST(silence_about_the_cluster_leads_back),
        TEST(a_broker_may_ask_for_another_bootstrap),
        TEST(a_coordinator_that_moved_is_looked_for),
        TEST(idle_connections_are_closed),
        TEST(a_leader_learnt_from_an_answer_counts_at_once),
        TEST(a_topic_made_anew_has_new_leaders),
        TEST(all_topics_come_and_go),
        TEST(what_a_topic_lacks_is_asked_for_again),
        TEST(controllers_are_asked_without_brokers),
        TEST(servers_are_written_as_host_and_port),
        TEST(a_simulated_program_waits_as_a_real_one),
        TEST(only_topics_that_may_are_created),
        TEST(interruption_ends_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
