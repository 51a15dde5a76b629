/* A producer and brokers that do as each test tells them, in a simulated world. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "client/fake_log_test_int.h"
#include "ottla/producer.h"

enum { PARTITIONS = 4, TOLD_MAX = 5000, VALUE_SIZE = 8 };

struct told {
    int calls;
    int code;
    int64_t offset;
    int64_t at_ms;
    char text[600];
};

/* What the brokers do with the next Produce requests. */
typedef enum fake_do (*produce_hook_fn)(struct fake_call *call,
                                        const struct produce_request *request,
                                        struct produce_response *response);

static struct fake_cluster *cluster;
static struct fake_topic *topic;
static struct fake_log logs[PARTITIONS];
static struct ottla_client *client;
static struct ottla_producer *producer;
static struct told told[TOLD_MAX];
static produce_hook_fn produce_hook;
static int16_t id_code;
static int16_t produce_version; /* of the last request */
static int requests;
static char log_text[4000];

static int64_t now_ms(void) {
    return sim_world_now_ms(cluster->world);
}

/* --- sound brokers --- */

static void answer_partition(const struct produce_request_partition_produce_data *data,
                             struct produce_response_partition_produce_response *answer) {
    *answer = (struct produce_response_partition_produce_response){
        .index = data->index,
        .base_offset = -1,
        .log_append_time_ms = -1,
        .current_leader = {-1, -1},
    };
    answer->error_code =
        err_kafka_code(fake_log_append(&logs[data->index], data->records, &answer->base_offset));
}

static void answer_produce(struct fake_call *call) {
    const struct produce_request *request = call->request;
    struct produce_response *response = call->response;
    response->responses = ARENA_ARRAY(call->arena, struct produce_response_topic_produce_response,
                                      (size_t)request->topic_data_count + 1);
    response->responses_count = request->topic_data_count;
    for (int32_t i = 0; i < request->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *data = &request->topic_data[i];
        struct produce_response_topic_produce_response *answer = &response->responses[i];
        answer->topic_id = data->topic_id;
        answer->name = data->name;
        answer->partition_responses_count = data->partition_data_count;
        answer->partition_responses =
            ARENA_ARRAY(call->arena, struct produce_response_partition_produce_response,
                        (size_t)data->partition_data_count + 1);
        for (int32_t p = 0; p < data->partition_data_count; p++) {
            answer_partition(&data->partition_data[p], &answer->partition_responses[p]);
        }
    }
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_INIT_PRODUCER_ID) {
        struct init_producer_id_response *response = call->response;
        response->error_code = id_code;
        response->producer_id = 500 + call->number;
        response->producer_epoch = 0;
    }
    if (call->api_key != API_PRODUCE) {
        return FAKE_ANSWER;
    }
    requests++;
    produce_version = call->version;
    if (produce_hook == NULL) {
        answer_produce(call);
        return FAKE_ANSWER;
    }
    return produce_hook(call, call->request, call->response);
}

/* --- a test's begin and end --- */

static void note_log(void *arg, enum ottla_log_level level, const char *text) {
    (void)arg;
    (void)level;
    size_t size = strlen(log_text);
    (void)snprintf(log_text + size, sizeof log_text - size, "%s\n", text);
}

static void make_cluster(void) {
    cluster = fake_cluster_new(5, 2);
    topic = fake_cluster_topic(cluster, "orders", PARTITIONS);
    cluster->hook = hook;
    memset(told, 0, sizeof told);
    for (int i = 0; i < PARTITIONS; i++) {
        logs[i] = (struct fake_log){.producer_id = -1};
    }
    produce_hook = NULL;
    id_code = 0;
    requests = 0;
    log_text[0] = 0;
}

static void make_producer(void) {
    ottla_client_on_log(client, note_log, NULL);
    assert_int_equal(ottla_producer_new(client, &producer, NULL), OTTLA_OK);
}

/* With settings: pairs of names and values. */
#define begin_with(...)                                                                            \
    do {                                                                                           \
        make_cluster();                                                                            \
        client = fake_cluster_client(cluster, __VA_ARGS__, NULL);                                  \
        make_producer();                                                                           \
    } while (0)

static void begin(void) {
    begin_with("linger.ms", "5", "request.timeout.ms", "1000");
}

static void end(void) {
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.memory, 0);
    ottla_producer_free(producer);
    fake_cluster_free(cluster);
    for (int i = 0; i < PARTITIONS; i++) {
        fake_log_done(&logs[i]);
    }
}

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct told *to = arg;
    to->calls++;
    to->code = delivery->code;
    to->offset = delivery->offset;
    to->at_ms = now_ms();
    (void)snprintf(to->text, sizeof to->text, "%s", delivery->text);
}

static int produce_to(const char *name, int32_t partition, uint64_t number) {
    uint8_t value[VALUE_SIZE];
    put_be64(value, number);
    struct ottla_record record = {
        .topic = name, .partition = partition, .value = {value, VALUE_SIZE}};
    return ottla_produce(producer, &record, delivered, &told[number], NULL);
}

static void produce(int32_t partition, uint64_t number) {
    assert_int_equal(produce_to("orders", partition, number), OTTLA_OK);
}

static void flush(void) {
    assert_int_equal(ottla_producer_flush(producer, 1000 * 1000), OTTLA_OK);
}

static void check_log(int partition, uint64_t first, size_t count) {
    assert_int_equal(logs[partition].count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(logs[partition].values[i], first + i);
    }
}

static void check_told(uint64_t first, size_t count, int code) {
    for (uint64_t i = first; i < first + count; i++) {
        assert_int_equal(told[i].calls, 1);
        assert_int_equal(told[i].code, code);
    }
}

/* --- batching --- */

static void what_lingers_together_goes_together(void **state) {
    (void)state;
    begin_with("linger.ms", "20", "enable.idempotence", "false");
    produce(0, 0);
    flush(); /* knows the topic */
    requests = 0;
    int64_t begun_ms = now_ms();
    for (uint64_t i = 1; i <= 10; i++) {
        produce(0, i); /* led by broker 1 */
        produce(2, 100 + i);
        fake_cluster_run(cluster, 1);
    }
    fake_cluster_run(cluster, 8);
    assert_int_equal(requests, 0);
    fake_cluster_run(cluster, 10);
    assert_in_range(requests, 1, 2);
    assert_in_range(told[1].at_ms - begun_ms, 20, 25);
    check_told(1, 10, OTTLA_OK);
    check_told(101, 10, OTTLA_OK);
    end();
}

static void a_full_batch_does_not_linger(void **state) {
    (void)state;
    begin_with("linger.ms", "20000", "batch.size", "500");
    for (uint64_t i = 0; i < 100; i++) {
        produce(0, i);
    }
    fake_cluster_run(cluster, 200);
    size_t sent = logs[0].count;
    assert_in_range(sent, 70, 99); /* all but the last batch */
    flush();
    check_log(0, 0, 100);
    check_told(0, 100, OTTLA_OK);
    end();
}

/* --- in flight --- */

static enum fake_do keep_silent(struct fake_call *call, const struct produce_request *request,
                                struct produce_response *response) {
    (void)call;
    (void)request;
    (void)response;
    return FAKE_SILENCE;
}

static void requests_in_flight_are_bounded(void **state) {
    (void)state;
    begin_with("batch.size", "100", "request.timeout.ms", "1000");
    produce(0, 0);
    flush(); /* the first batch of a producer goes alone */
    requests = 0;
    produce_hook = keep_silent;
    for (uint64_t i = 1; i < 40; i++) {
        produce(0, i);
    }
    fake_cluster_run(cluster, 500);
    assert_int_equal(requests, 5);
    produce_hook = NULL;
    flush();
    check_log(0, 0, 40);
    check_told(0, 40, OTTLA_OK);
    end();
}

static enum fake_do write_only(struct fake_call *call, const struct produce_request *request,
                               struct produce_response *response) {
    (void)response;
    assert_int_equal(request->acks, 0);
    answer_produce(call);
    return FAKE_SILENCE;
}

static void without_acks_it_is_delivered_when_it_has_left(void **state) {
    (void)state;
    begin_with("acks", "0", "batch.size", "100");
    produce_hook = write_only;
    for (uint64_t i = 0; i < 50; i++) {
        produce(0, i);
    }
    flush();
    fake_cluster_run(cluster, 100);
    check_told(0, 50, OTTLA_OK);
    check_log(0, 0, 50);
    assert_int_equal(told[0].offset, -1);
    end();
}

/* --- leaders --- */

static enum fake_do point_at_leader(struct fake_call *call, const struct produce_request *request,
                                    struct produce_response *response) {
    answer_produce(call);
    (void)request;
    if (call->broker_id == 1) {
        response->responses[0].partition_responses[0].error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        response->responses[0].partition_responses[0].base_offset = -1;
        response->responses[0].partition_responses[0].current_leader =
            (struct produce_response_leader_id_and_epoch){2, 9};
        logs[0].count = 0;
        logs[0].producer_id = -1;
    }
    return FAKE_ANSWER;
}

/* KIP-951: the answer says who leads; no metadata is needed, and no pause. */
static void a_new_leader_is_learnt_from_the_answer(void **state) {
    (void)state;
    begin_with("retry.backoff.ms", "1000", "metadata.max.age.ms", "100000");
    produce_hook = point_at_leader;
    produce(0, 0);
    fake_cluster_run(cluster, 300);
    check_told(0, 1, OTTLA_OK);
    check_log(0, 0, 1);
    end();
}

static void a_leader_that_is_gone_is_waited_for(void **state) {
    (void)state;
    begin();
    produce(1, 0);
    flush();
    topic->leaders[1] = -1;
    fake_broker_stop(cluster, 2);
    produce(1, 1);
    fake_cluster_run(cluster, 3000);
    assert_int_equal(told[1].calls, 0);
    topic->leaders[1] = 1;
    topic->leader_epochs[1]++;
    flush();
    check_told(0, 2, OTTLA_OK);
    check_log(1, 0, 2);
    fake_broker_start(cluster, 2);
    end();
}

/* --- time --- */

static void records_fail_when_their_time_is_over(void **state) {
    (void)state;
    begin_with("delivery.timeout.ms", "3000", "request.timeout.ms", "2000");
    produce(0, 0);
    flush();
    produce_hook = keep_silent;
    int64_t begun_ms = now_ms();
    produce(0, 1);
    flush();
    check_told(1, 1, OTTLA_TIMED_OUT);
    assert_in_range(told[1].at_ms - begun_ms, 3000, 3100);
    assert_non_null(strstr(told[1].text, "delivery.timeout.ms (3000)"));
    produce_hook = NULL;
    fake_cluster_run(cluster, 3000); /* its request is over, too */
    produce(0, 2);
    flush();
    check_told(2, 1, OTTLA_OK);
    assert_int_equal(logs[0].epoch, 1); /* what came before it is lost */
    end();
}

static enum fake_do refuse_for_now(struct fake_call *call, const struct produce_request *request,
                                   struct produce_response *response) {
    (void)request;
    answer_produce(call);
    response->responses[0].partition_responses[0].error_code = ERR_NOT_ENOUGH_REPLICAS;
    return FAKE_ANSWER;
}

/* 100 ms doubled up to a second: an error without end costs few requests. */
static void endless_errors_are_paced(void **state) {
    (void)state;
    begin_with("delivery.timeout.ms", "30000", "request.timeout.ms", "1000", "enable.idempotence",
               "false");
    produce_hook = refuse_for_now;
    produce(0, 0);
    flush();
    check_told(0, 1, OTTLA_TIMED_OUT);
    assert_in_range(requests, 20, 45);
    end();
}

static void retries_have_a_bound(void **state) {
    (void)state;
    begin_with("retries", "2", "enable.idempotence", "false");
    produce_hook = refuse_for_now;
    produce(0, 0);
    flush();
    check_told(0, 1, ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(requests, 3);
    end();
}

static enum fake_do throttle(struct fake_call *call, const struct produce_request *request,
                             struct produce_response *response) {
    (void)request;
    answer_produce(call);
    response->throttle_time_ms = requests == 1 ? 2000 : 0;
    return FAKE_ANSWER;
}

static void brokers_may_ask_for_a_pause(void **state) {
    (void)state;
    begin();
    produce_hook = throttle;
    produce(0, 0);
    flush();
    int64_t begun_ms = now_ms();
    produce(0, 1);
    flush();
    assert_in_range(told[1].at_ms - begun_ms, 1900, 2100);
    end();
}

/* --- producer ids --- */

static void the_id_is_asked_for_until_it_comes(void **state) {
    (void)state;
    begin();
    id_code = ERR_COORDINATOR_NOT_AVAILABLE;
    produce(0, 0);
    fake_cluster_run(cluster, 2000);
    assert_int_equal(told[0].calls, 0);
    id_code = 0;
    flush();
    check_told(0, 1, OTTLA_OK);
    assert_true(logs[0].producer_id > 500);
    end();
}

static void without_the_right_to_it_all_is_over(void **state) {
    (void)state;
    begin();
    id_code = ERR_CLUSTER_AUTHORIZATION_FAILED;
    produce(0, 0);
    produce(1, 1);
    assert_int_equal(produce_to("never-heard-of", 0, 2), OTTLA_OK);
    flush();
    check_told(0, 3, ERR_CLUSTER_AUTHORIZATION_FAILED);
    assert_non_null(strstr(told[0].text, "enable.idempotence=false"));
    assert_int_equal(produce_to("orders", 0, 3), ERR_CLUSTER_AUTHORIZATION_FAILED);
    end();
}

/* T2: a broker that lost what it knew of the producer, after it may have written the batch. */
static enum fake_do forget(struct fake_call *call, const struct produce_request *request,
                           struct produce_response *response) {
    (void)request;
    answer_produce(call);
    if (requests == 1) {
        return FAKE_CLOSE; /* written, and nobody knows */
    }
    response->responses[0].partition_responses[0].error_code = ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    produce_hook = NULL;
    return FAKE_ANSWER;
}

static void what_may_have_been_written_is_not_written_twice(void **state) {
    (void)state;
    begin();
    produce(0, 0);
    flush();
    requests = 0;
    produce_hook = forget;
    produce(0, 1);
    flush();
    check_told(1, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_non_null(strstr(log_text, "new epoch"));
    produce(0, 2);
    flush();
    check_told(2, 1, OTTLA_OK);
    check_log(0, 0, 3);
    assert_int_equal(logs[0].epoch, 1);
    end();
}

/* An unclean election: the log is shorter, and the broker says so of a batch it never had. */
static void what_was_never_written_goes_on_under_a_new_epoch(void **state) {
    (void)state;
    begin();
    for (uint64_t i = 0; i < 3; i++) {
        produce(0, i);
        flush();
    }
    logs[0].window_count = 1; /* it knows the first batch only */
    produce(0, 3);
    flush();
    check_told(0, 4, OTTLA_OK);
    check_log(0, 0, 4);
    assert_int_equal(logs[0].epoch, 1);
    end();
}

/* --- lies --- */

static int lie;

static enum fake_do tell_lies(struct fake_call *call, const struct produce_request *request,
                              struct produce_response *response) {
    (void)request;
    static uint8_t garbage[64];
    answer_produce(call);
    struct produce_response_topic_produce_response *answer = &response->responses[0];
    switch (requests > 3 ? -1 : lie) {
    case 0: /* nothing at all */
        response->responses_count = 0;
        break;
    case 1: /* another topic */
        answer->topic_id.bytes[0] ^= 1;
        break;
    case 2: /* another partition */
        answer->partition_responses[0].index = INT32_MIN;
        break;
    case 3: /* the same twice */
        response->responses_count = 2;
        response->responses[1] = *answer;
        break;
    case 4: /* an error nobody knows */
        answer->partition_responses[0].error_code = 9999;
        break;
    case 5: /* no frame */
        buffer_add(&call->raw, garbage, sizeof garbage);
        return FAKE_BYTES;
    case 6: /* a frame of 2 GiB */
        buffer_add(&call->raw, "\x7f\xff\xff\xff", 4);
        return FAKE_BYTES;
    case 7: /* offsets that are none, leaders and brokers that are none */
        answer->partition_responses[0].base_offset = INT64_MIN;
        answer->partition_responses[0].error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        answer->partition_responses[0].current_leader =
            (struct produce_response_leader_id_and_epoch){77, INT32_MAX};
        break;
    default:
        break;
    }
    return FAKE_ANSWER;
}

static void lies_do_no_harm(void **state) {
    (void)state;
    for (lie = 0; lie <= 7; lie++) {
        begin_with("delivery.timeout.ms", "20000", "request.timeout.ms", "1000");
        produce_hook = tell_lies;
        for (uint64_t i = 0; i < 3; i++) {
            produce(0, i);
            flush();
            assert_int_equal(told[i].calls, 1);
        }
        produce_hook = NULL;
        topic->leader_epochs[0] = INT32_MAX; /* so that the truth is believed again */
        fake_cluster_run(cluster, 3000);
        produce(0, 3);
        flush();
        assert_int_equal(told[3].calls, 1);
        end();
    }
}

/* --- topics --- */

static void a_topic_that_does_not_come_is_told(void **state) {
    (void)state;
    begin_with("max.block.ms", "2000", "linger.ms", "0");
    int64_t begun_ms = now_ms();
    assert_int_equal(produce_to("not-there", OTTLA_PARTITION_ANY, 0), OTTLA_OK);
    fake_cluster_run(cluster, 1000);
    assert_int_equal(produce_to("not-there", OTTLA_PARTITION_ANY, 1), OTTLA_OK);
    flush();
    check_told(0, 2, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_in_range(told[0].at_ms - begun_ms, 2000, 2100);
    assert_in_range(told[1].at_ms - begun_ms, 3000, 3100);
    assert_non_null(strstr(told[0].text, "not-there"));
    end();
}

static void a_topic_that_comes_gets_what_waited(void **state) {
    (void)state;
    begin();
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(produce_to("late", 0, i), OTTLA_OK);
    }
    fake_cluster_run(cluster, 1500);
    (void)fake_cluster_topic(cluster, "late", 1);
    flush();
    check_told(0, 100, OTTLA_OK);
    check_log(0, 0, 100);
    end();
}

/* Before topics had ids, and Produce 13. */
static void topics_without_ids_have_names(void **state) {
    (void)state;
    begin();
    topic->id = UUID_ZERO;
    produce(0, 0);
    flush();
    assert_int_equal(produce_version, 12);
    check_told(0, 1, OTTLA_OK);
    check_log(0, 0, 1);
    end();
}

static enum fake_do know_new_id_only(struct fake_call *call, const struct produce_request *request,
                                     struct produce_response *response) {
    bool known = uuid_equal(request->topic_data[0].topic_id, topic->id);
    if (known) {
        answer_produce(call);
        return FAKE_ANSWER;
    }
    response->responses = ARENA_NEW(call->arena, struct produce_response_topic_produce_response);
    response->responses_count = 1;
    response->responses->topic_id = request->topic_data[0].topic_id;
    response->responses->partition_responses =
        ARENA_NEW(call->arena, struct produce_response_partition_produce_response);
    response->responses->partition_responses_count = 1;
    response->responses->partition_responses->error_code = ERR_UNKNOWN_TOPIC_ID;
    return FAKE_ANSWER;
}

static void a_topic_made_anew_is_found(void **state) {
    (void)state;
    begin();
    produce(0, 0);
    flush();
    topic->id.bytes[5] = 99;
    topic->leader_epochs[0] = 0;
    fake_log_done(&logs[0]);
    logs[0].producer_id = -1;
    produce_hook = know_new_id_only;
    produce(0, 1);
    flush();
    assert_int_equal(produce_version, 13);
    check_told(0, 2, OTTLA_OK);
    check_log(0, 1, 1);
    end();
}

static void topics_that_nobody_uses_are_not_asked_for(void **state) {
    (void)state;
    begin_with("metadata.max.idle.ms", "5000", "metadata.max.age.ms", "1000");
    produce(0, 0);
    flush();
    assert_non_null(client_topic(client, STR("orders")));
    fake_cluster_run(cluster, 20000);
    assert_null(client_topic(client, STR("orders")));
    produce(0, 1);
    flush();
    check_told(0, 2, OTTLA_OK);
    check_log(0, 0, 2);
    end();
}

/* Of partitions that wait for a broker that is slow, none is chosen (KIP-794). */
static void slow_brokers_get_less(void **state) {
    (void)state;
    begin_with("partitioner.availability.timeout.ms", "500", "batch.size", "200");
    produce(0, 0);
    produce(1, 1);
    flush();
    uint64_t number = 2;
    size_t before = 0;
    for (int round = 0; round < 60; round++) {
        if (round == 10) { /* broker 1 hangs from here on */
            sim_host_pause(fake_broker_host(cluster, 1), 60 * 1000);
        }
        if (round == 30) {
            before = logs[1].count + logs[3].count;
        }
        for (int i = 0; i < 50; i++) {
            produce(OTTLA_PARTITION_ANY, number++);
        }
        fake_cluster_run(cluster, 50);
    }
    size_t after = logs[1].count + logs[3].count;
    assert_in_range(after - before, 1300, 1500); /* of the last 1500, all but what was sticky */
    flush();
    check_told(0, number, OTTLA_OK);
    end();
}

/* --- memory --- */

static void memory_comes_back(void **state) {
    (void)state;
    begin_with("buffer.memory", "20000", "linger.ms", "60000");
    uint64_t number = 0;
    for (int round = 0; round < 5; round++) {
        int code;
        while ((code = produce_to("orders", (int32_t)(number % PARTITIONS), number)) == OTTLA_OK) {
            number++;
            struct ottla_producer_stats stats;
            ottla_producer_stats(producer, &stats);
            assert_true(stats.memory <= 20000);
        }
        assert_int_equal(code, OTTLA_BUSY);
        fake_cluster_run(cluster, 300); /* memory is short: nothing lingers */
    }
    assert_true(number > 500);
    flush();
    check_told(0, number, OTTLA_OK);
    end();
}

static int code_inside;

static void produce_inside(void *arg, const struct ottla_delivery *delivery) {
    (void)delivery;
    static uint8_t large[15000];
    struct ottla_record record = {.topic = "orders", .value = {large, sizeof large}};
    code_inside = ottla_produce_wait(producer, &record, NULL, NULL, arg);
}

static void waiting_for_memory_ends(void **state) {
    (void)state;
    begin_with("buffer.memory", "20000", "max.block.ms", "2000", "linger.ms", "0");
    static uint8_t value[14000];
    struct ottla_record record = {.topic = "orders", .value = {value, sizeof value}};
    struct ottla_error error = {0};
    produce(0, 0);
    flush();
    produce_hook = keep_silent;
    assert_int_equal(ottla_produce(producer, &record, produce_inside, &error, NULL), OTTLA_OK);
    int64_t begun_ms = now_ms();
    assert_int_equal(ottla_produce_wait(producer, &record, NULL, NULL, &error), OTTLA_TIMED_OUT);
    assert_in_range(now_ms() - begun_ms, 2000, 2100);
    assert_non_null(strstr(error.text, "max.block.ms"));
    ottla_client_interrupt(client);
    assert_int_equal(ottla_produce_wait(producer, &record, NULL, NULL, &error), OTTLA_CLOSED);
    assert_non_null(strstr(error.text, "interrupted"));
    produce_hook = NULL;
    flush();
    assert_int_equal(code_inside, OTTLA_BUSY);
    assert_non_null(strstr(error.text, "cannot wait"));
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lingers_together_goes_together),
        cmocka_unit_test(a_full_batch_does_not_linger),
        cmocka_unit_test(requests_in_flight_are_bounded),
        cmocka_unit_test(without_acks_it_is_delivered_when_it_has_left),
        cmocka_unit_test(a_new_leader_is_learnt_from_the_answer),
        cmocka_unit_test(a_leader_that_is_gone_is_waited_for),
        cmocka_unit_test(records_fail_when_their_time_is_over),
        cmocka_unit_test(endless_errors_are_paced),
        cmocka_unit_test(retries_have_a_bound),
        cmocka_unit_test(brokers_may_ask_for_a_pause),
        cmocka_unit_test(the_id_is_asked_for_until_it_comes),
        cmocka_unit_test(without_the_right_to_it_all_is_over),
        cmocka_unit_test(what_may_have_been_written_is_not_written_twice),
        cmocka_unit_test(what_was_never_written_goes_on_under_a_new_epoch),
        cmocka_unit_test(lies_do_no_harm),
        cmocka_unit_test(a_topic_that_does_not_come_is_told),
        cmocka_unit_test(a_topic_that_comes_gets_what_waited),
        cmocka_unit_test(topics_without_ids_have_names),
        cmocka_unit_test(a_topic_made_anew_is_found),
        cmocka_unit_test(topics_that_nobody_uses_are_not_asked_for),
        cmocka_unit_test(slow_brokers_get_less),
        cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(waiting_for_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
