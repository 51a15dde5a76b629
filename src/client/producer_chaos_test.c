/*
 * A producer against brokers that lose, refuse, forget to answer and lie, in random worlds.
 *
 * What must hold of each record, and of each partition:
 *
 *   1. its delivery function is called once, and those of a partition in the order of
 * ottla_produce;
 *   2. delivered means: in the log, at that offset, once; failed means: in the log at most once
 *      (without idempotence: at least once, and any number of times);
 *   3. the log has them in the order of ottla_produce (with one request at a time also without
 *      idempotence, when doubles are left out);
 *   4. in the end there is nothing left: no record, no byte of buffer.memory.
 *
 * Usage: [first seed [count]]
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/rng.h"
#include "client/fake_log_test_int.h"
#include "ottla/producer.h"
#include "wire/record_batch.h"

enum { BROKERS = 3, PARTITIONS = 3, RECORDS = 400, VALUE_MAX = 200, SEEDS = 300 };

enum profile {
    LOSSY,     /* answers get lost, connections end, leaders move */
    IMPATIENT, /* and records have little time */
    REFUSING,  /* and brokers refuse for good, or say nothing useful */
    IN_ORDER,  /* without idempotence, one request at a time */
    LOOSE,     /* and five */
    PROFILES,
};

struct sent {
    int calls;
    int code;
    int64_t offset;
};

static struct world {
    uint64_t seed;
    enum profile profile;
    struct rng rng;
    struct fake_cluster *cluster;
    struct fake_topic *topic;
    struct fake_log logs[PARTITIONS];
    struct sent sent[PARTITIONS][RECORDS];
    int produced[PARTITIONS];
    int last_told[PARTITIONS];
    bool sound; /* no more faults */
    int16_t next_id;
} w;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)w.seed, __FILE__,        \
                    __LINE__, #condition);                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static bool is_idempotent(void) {
    return w.profile != IN_ORDER && w.profile != LOOSE;
}

static bool one_in(uint64_t n) {
    return !w.sound && rng_one_in(&w.rng, n) != 0;
}

/* --- the brokers --- */

static void move_leader(int32_t partition) {
    w.topic->leaders[partition] = 1 + (int32_t)rng_below(&w.rng, BROKERS);
    w.topic->leader_epochs[partition]++;
}

/* Some of what a broker may say without having written anything. */
static err_t draw_refusal(struct bytes records) {
    static const err_t passing[] = {ERR_NOT_ENOUGH_REPLICAS, ERR_UNKNOWN_TOPIC_OR_PARTITION,
                                    ERR_LEADER_NOT_AVAILABLE, ERR_REQUEST_TIMED_OUT,
                                    ERR_KAFKA_STORAGE_ERROR};
    static const err_t final[] = {ERR_INVALID_RECORD, ERR_UNKNOWN_SERVER_ERROR,
                                  ERR_TOPIC_AUTHORIZATION_FAILED, ERR_INVALID_TIMESTAMP};
    if (w.profile == REFUSING && one_in(4)) {
        return final[rng_below(&w.rng, sizeof final / sizeof *final)];
    }
    if (w.profile == REFUSING && one_in(4) && fake_log_record_count(records) > 1) {
        return ERR_MESSAGE_TOO_LARGE;
    }
    return passing[rng_below(&w.rng, sizeof passing / sizeof *passing)];
}

/* Some of what it may say although it has. */
static err_t draw_doubt(void) {
    static const err_t doubts[] = {ERR_REQUEST_TIMED_OUT, ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                                   ERR_KAFKA_STORAGE_ERROR};
    if (w.profile == REFUSING && one_in(4)) {
        return ERR_UNKNOWN_SERVER_ERROR;
    }
    return doubts[rng_below(&w.rng, sizeof doubts / sizeof *doubts)];
}

/* Some batches are, whenever they come. */
static bool is_too_large(struct bytes records) {
    uint32_t drawn =
        crc32c(0, records.data + RECORD_BATCH_HEADER_SIZE, records.size - RECORD_BATCH_HEADER_SIZE);
    return drawn % 16 == 0 && fake_log_record_count(records) > 1;
}

static void produce_to(struct fake_call *call, struct produce_response *response,
                       const struct produce_request_partition_produce_data *data,
                       struct produce_response_partition_produce_response *answer) {
    CHECK(data->index >= 0 && data->index < PARTITIONS);
    answer->index = data->index;
    answer->base_offset = answer->log_append_time_ms = answer->log_start_offset = -1;
    answer->current_leader.leader_id = answer->current_leader.leader_epoch = -1;
    if (one_in(60)) {
        move_leader(data->index);
    }
    int32_t leader = w.topic->leaders[data->index];
    if (leader != call->broker_id) {
        answer->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        if (one_in(2)) {
            answer->current_leader.leader_id = leader;
            answer->current_leader.leader_epoch = w.topic->leader_epochs[data->index];
            (void)response;
        }
        return;
    }
    if (one_in(15)) {
        answer->error_code = err_kafka_code(draw_refusal(data->records));
        return;
    }
    if (is_too_large(data->records)) {
        answer->error_code = ERR_MESSAGE_TOO_LARGE;
        return;
    }
    int64_t offset = -1;
    err_t err = fake_log_append(&w.logs[data->index], data->records, &offset);
    answer->log_start_offset = 0;
    answer->base_offset = err == ERR_OK ? offset : -1;
    if (err == ERR_OK && one_in(20)) {
        err = draw_doubt();
        answer->base_offset = -1;
    }
    answer->error_code = err_kafka_code(err);
}

static enum fake_do answer_produce(struct fake_call *call) {
    const struct produce_request *request = call->request;
    struct produce_response *response = call->response;
    if (one_in(25)) {
        return one_in(2) ? FAKE_CLOSE : FAKE_SILENCE;
    }
    CHECK(request->topic_data_count == 1);
    const struct produce_request_topic_produce_data *data = &request->topic_data[0];
    CHECK(uuid_equal(data->topic_id, w.topic->id));
    response->responses = ARENA_NEW(call->arena, struct produce_response_topic_produce_response);
    response->responses_count = 1;
    response->responses->topic_id = data->topic_id;
    response->responses->partition_responses =
        ARENA_ARRAY(call->arena, struct produce_response_partition_produce_response,
                    (size_t)data->partition_data_count);
    for (int32_t i = 0; i < data->partition_data_count; i++) {
        int32_t at = response->responses->partition_responses_count++;
        produce_to(call, response, &data->partition_data[i],
                   &response->responses->partition_responses[at]);
        if (one_in(40)) {
            response->responses->partition_responses_count--; /* it forgets to say so */
        }
    }
    return one_in(25) ? one_in(2) ? FAKE_CLOSE : FAKE_SILENCE : FAKE_ANSWER;
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_PRODUCE) {
        return answer_produce(call);
    }
    if (call->api_key == API_INIT_PRODUCER_ID) {
        struct init_producer_id_response *response = call->response;
        response->error_code = one_in(3) ? ERR_COORDINATOR_LOAD_IN_PROGRESS : ERR_OK;
        response->producer_id = 1000 + w.next_id++;
        response->producer_epoch = w.seed % 8 == 0 ? INT16_MAX - 1 : 0; /* soon used up */
        return one_in(4) ? FAKE_CLOSE : FAKE_ANSWER;
    }
    return one_in(50) ? FAKE_CLOSE : FAKE_ANSWER;
}

/* --- the workload --- */

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct sent *sent = arg;
    int partition = (int)((sent - &w.sent[0][0]) / RECORDS);
    int index = (int)(sent - w.sent[partition]);
    CHECK(sent->calls == 0);
    CHECK(index > w.last_told[partition]);
    CHECK(delivery->partition == partition);
    CHECK(delivery->text != NULL);
    w.last_told[partition] = index;
    sent->calls++;
    sent->code = delivery->code;
    sent->offset = delivery->offset;
}

static void produce_one(struct ottla_producer *producer, int partition) {
    uint8_t value[VALUE_MAX] = {0};
    int index = w.produced[partition];
    put_be64(value, (uint64_t)index);
    struct ottla_record record = {
        .topic = "orders",
        .partition = partition,
        .value = {value, 8 + rng_below(&w.rng, VALUE_MAX - 8)},
    };
    struct ottla_error error;
    int code = ottla_produce(producer, &record, delivered, &w.sent[partition][index], &error);
    CHECK(code == OTTLA_OK || code == OTTLA_BUSY);
    if (code == OTTLA_OK) {
        w.produced[partition]++;
    }
}

static void produce_all(struct ottla_producer *producer) {
    bool left = true;
    int stopped = 0;
    while (left) {
        left = false;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            for (uint64_t n = rng_below(&w.rng, 30); n > 0; n--) {
                if (w.produced[partition] < RECORDS) {
                    produce_one(producer, partition);
                }
            }
            left = left || w.produced[partition] < RECORDS;
        }
        fake_cluster_run(w.cluster, (int64_t)rng_below(&w.rng, 60));
        if (stopped == 0 && one_in(12)) {
            stopped = 1 + (int)rng_below(&w.rng, BROKERS);
            fake_broker_stop(w.cluster, stopped);
        } else if (stopped != 0 && rng_one_in(&w.rng, 3)) {
            fake_broker_start(w.cluster, stopped);
            stopped = 0;
        }
    }
    if (stopped != 0) {
        fake_broker_start(w.cluster, stopped);
    }
}

/* --- the audit --- */

/* For whoever looks into a seed. */
static void print_partition(int partition) {
    const struct fake_log *log = &w.logs[partition];
    printf("partition %d:", partition);
    for (size_t i = 0; i < log->count; i++) {
        printf(" %d", (int)log->values[i]);
    }
    printf("\nfailed:");
    for (int i = 0; i < RECORDS; i++) {
        if (w.sent[partition][i].code != OTTLA_OK) {
            printf(" %d: %s,", i, ottla_code_name(w.sent[partition][i].code));
        }
    }
    printf("\n");
}

static void audit_partition(int partition) {
    const struct fake_log *log = &w.logs[partition];
    int found[RECORDS] = {0};
    uint64_t last = 0;
    for (size_t i = 0; i < log->count; i++) {
        uint64_t value = log->values[i];
        CHECK(value < RECORDS);
        found[value]++;
        CHECK(!is_idempotent() || i == 0 || value > last);
        last = value;
    }
    for (int i = 0; i < RECORDS; i++) {
        const struct sent *sent = &w.sent[partition][i];
        CHECK(sent->calls == 1);
        CHECK(!is_idempotent() || found[i] <= 1);
        if (sent->code == OTTLA_OK) {
            CHECK(found[i] >= 1);
            CHECK(sent->offset < 0 || log->values[sent->offset] == (uint64_t)i);
        }
        CHECK(sent->code == OTTLA_OK || w.profile == IMPATIENT || w.profile == REFUSING);
    }
}

/* First times, in the order of ottla_produce: what a reader who drops doubles sees. */
static void audit_order(int partition) {
    const struct fake_log *log = &w.logs[partition];
    int64_t newest = -1;
    for (size_t i = 0; i < log->count; i++) {
        int64_t value = (int64_t)log->values[i];
        CHECK(value <= newest + 1 || w.profile != IN_ORDER);
        newest = value > newest ? value : newest;
    }
}

static void run(uint64_t seed, bool verbose) {
    w = (struct world){.seed = seed, .profile = (enum profile)(seed % PROFILES)};
    rng_init(&w.rng, seed);
    w.cluster = fake_cluster_new(seed, BROKERS);
    w.topic = fake_cluster_topic(w.cluster, "orders", PARTITIONS);
    w.cluster->hook = hook;
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    struct ottla_client *client = fake_cluster_client(
        w.cluster, "compression.type", codecs[rng_below(&w.rng, 5)], "batch.size",
        rng_one_in(&w.rng, 2) ? "600" : "4000", "linger.ms", rng_one_in(&w.rng, 2) ? "0" : "8",
        "request.timeout.ms", "400", "delivery.timeout.ms",
        w.profile == IMPATIENT ? "900" : "600000", "buffer.memory", "30000",
        "max.in.flight.requests.per.connection", w.profile == IN_ORDER ? "1" : "5",
        "enable.idempotence", is_idempotent() ? "true" : "false", "metadata.max.age.ms", "3000",
        NULL);
    sim_net_set_link(w.cluster->world, NULL, NULL,
                     &(struct sim_link){.delay_min_us = 100,
                                        .delay_max_us = rng_one_in(&w.rng, 2) ? 3000 : 150000});
    for (int i = 0; i < PARTITIONS; i++) {
        w.logs[i].producer_id = -1;
        w.last_told[i] = -1;
    }
    struct ottla_producer *producer;
    CHECK(ottla_producer_new(client, &producer, NULL) == OTTLA_OK);
    produce_all(producer);
    w.sound = true;
    CHECK(ottla_producer_flush(producer, 600000) == OTTLA_OK);
    struct ottla_producer_stats stats;
    fake_cluster_run(w.cluster, 2000); /* what was told before its answer came */
    ottla_producer_stats(producer, &stats);
    CHECK(stats.records == 0);
    CHECK(stats.memory == 0);
    CHECK(stats.delivered + stats.failed == PARTITIONS * RECORDS);
    int duplicates = 0, refused = 0;
    for (int i = 0; i < PARTITIONS && verbose; i++) {
        print_partition(i);
    }
    (void)fflush(stdout);
    for (int i = 0; i < PARTITIONS; i++) {
        audit_partition(i);
        audit_order(i);
        duplicates += w.logs[i].duplicates;
        refused += w.logs[i].refused;
        fake_log_done(&w.logs[i]);
    }
    if (verbose) {
        printf("seed %llu: %llu delivered, %llu failed, %llu requests, %llu retries, "
               "%d duplicates seen, %d out of order\n",
               (unsigned long long)seed, (unsigned long long)stats.delivered,
               (unsigned long long)stats.failed, (unsigned long long)stats.requests,
               (unsigned long long)stats.retries, duplicates, refused);
    }
    ottla_producer_free(producer);
    fake_cluster_free(w.cluster);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : SEEDS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed, argc > 1);
    }
    return 0;
}
