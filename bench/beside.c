/*
 * Produce and fetch of one partition at fixed rates, and how long each takes: what goes on in the
 * log beneath them is the caller's affair.
 *
 *     beside SERVERS TOPIC fill KEYS
 *     beside SERVERS TOPIC load KEYS WRITES READS SECONDS
 *
 * fill writes each key once. load writes WRITES records a second without lingering, each of a key
 * by chance, and fetches READS times a second from an offset by chance, in the whole log. Both
 * count from when they were due, so that a pause is seen by all that fall into it. What is fetched
 * is checked. The first two seconds do not count. Prints percentiles in ms as JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "client/core.h"
#include "ottla/producer.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"
#include "wire/record_batch.h"

enum {
    VALUE_SIZE = 1024,
    FETCH_BYTES = 64 * 1024,
    FETCH_VERSION = 12, /* the last that names topics */
    NS_OF_MS = 1000000,
    NS_OF_S = 1000000000,
    WARM_UP_S = 2,
    WAIT_MS = 60000,
};

/* Things that are due at a rate, and how long they took. */
struct series {
    struct beside *beside;
    int64_t per_second;
    int64_t begun;
    int64_t ended;
    int64_t *took_ns;
    size_t count;
};

struct beside {
    struct ottla_client *client;
    struct ottla_producer *producer;
    struct sys *sys;
    const char *topic;
    struct rng rng;
    char value[VALUE_SIZE];
    int64_t keys;
    int64_t start_ns;
    int64_t end_offset; /* of what was acknowledged */
    struct series writes, reads;
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "beside: %s: %s\n", what, why);
    exit(1);
}

static void need(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fail("client", error->text);
    }
}

/* --- series --- */

static int64_t due_ns(const struct series *series, int64_t number) {
    int64_t period_ns = NS_OF_S / series->per_second;
    return series->beside->start_ns + number * period_ns;
}

static void series_init(struct series *series, struct beside *beside, int64_t per_second,
                        int64_t seconds) {
    *series = (struct series){.beside = beside, .per_second = per_second};
    series->took_ns = calloc((size_t)(per_second * (seconds + WARM_UP_S) + 1), sizeof(int64_t));
}

static void series_end(struct series *series, int64_t due) {
    const struct beside *beside = series->beside;
    series->ended++;
    if (due >= beside->start_ns + (int64_t)WARM_UP_S * NS_OF_S) {
        series->took_ns[series->count++] = sys_mono_ns(beside->sys) - due;
    }
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void series_print(struct series *series, const char *name, const char *after) {
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    qsort(series->took_ns, series->count, sizeof(int64_t), ascending);
    printf("\"%s\": {\"count\": %zu", name, series->count);
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0] && series->count > 0; i++) {
        size_t at = (size_t)(percentiles[i].share * (double)series->count);
        at = at < series->count ? at : series->count - 1;
        printf(", \"%s\": %.4f", percentiles[i].name, (double)series->took_ns[at] / NS_OF_MS);
    }
    printf("}%s", after);
}

/* --- writes --- */

struct written {
    struct beside *beside;
    int64_t due_ns; /* -1: it is not measured */
};

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    struct written *written = arg;
    struct beside *beside = written->beside;
    if (delivery->code != OTTLA_OK) {
        fail("a record was not taken", delivery->text);
    }
    beside->end_offset = delivery->offset + 1;
    if (written->due_ns >= 0) {
        series_end(&beside->writes, written->due_ns);
    }
    free(written);
}

static void write_one(struct beside *beside, int64_t key, int64_t due) {
    struct written *written = malloc(sizeof *written);
    *written = (struct written){.beside = beside, .due_ns = due};
    char name[32];
    int size = snprintf(name, sizeof name, "key-%09" PRId64, key);
    rng_bytes(&beside->rng, beside->value, 16);
    struct ottla_record record = {
        .topic = beside->topic,
        .partition = 0,
        .timestamp_ms = OTTLA_TIMESTAMP_NOW,
        .key = {name, (size_t)size},
        .value = {beside->value, sizeof beside->value},
    };
    struct ottla_error error;
    need(ottla_produce_wait(beside->producer, &record, on_delivery, written, &error), &error);
}

/* --- reads --- */

struct reading {
    struct beside *beside;
    int64_t due_ns;
    int64_t offset;
    struct fetch_request_fetch_partition partition;
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
};

/* What came begins with the batch of the offset, or with the next one that is left. */
static void records_check(const struct reading *reading, struct bytes records) {
    if (records.size < RECORD_BATCH_HEADER_SIZE) {
        fail("fetch", "no record came");
    }
    size_t size = RECORD_BATCH_OVERHEAD + (size_t)record_batch_length(records.data);
    if (record_batch_last_offset(records.data) < reading->offset) {
        fail("fetch", "a batch from before the offset came");
    }
    if (size <= records.size && !record_batch_crc_matches(records.data, size)) {
        fail("fetch", "a damaged batch came");
    }
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct reading *reading = arg;
    if (answer->err != ERR_OK) {
        fail("fetch", answer->text);
    }
    const struct fetch_response *response = answer->response;
    if (response->responses_count != 1 || response->responses[0].partitions_count != 1 ||
        response->responses[0].partitions[0].error_code != 0) {
        fail("fetch", "an error came");
    }
    records_check(reading, response->responses[0].partitions[0].records);
    series_end(&reading->beside->reads, reading->due_ns);
    free(reading);
}

static void read_one(struct beside *beside, int64_t due) {
    struct reading *reading = calloc(1, sizeof *reading);
    reading->beside = beside;
    reading->due_ns = due;
    reading->offset = (int64_t)rng_below(&beside->rng, (uint64_t)beside->end_offset);
    reading->partition = (struct fetch_request_fetch_partition){
        .current_leader_epoch = -1,
        .fetch_offset = reading->offset,
        .last_fetched_epoch = -1,
        .log_start_offset = -1,
        .partition_max_bytes = FETCH_BYTES,
        .high_watermark = INT64_MAX,
    };
    reading->topic = (struct fetch_request_fetch_topic){
        .topic = {beside->topic, strlen(beside->topic)},
        .partitions = &reading->partition,
        .partitions_count = 1,
    };
    reading->request = (struct fetch_request){
        .replica_id = -1,
        .replica_state = {.replica_id = -1, .replica_epoch = -1},
        .rack_id = {"", 0},
        .min_bytes = 1,
        .max_bytes = FETCH_BYTES,
        .session_epoch = -1,
        .topics = &reading->topic,
        .topics_count = 1,
    };
    struct client_ask ask = {
        .role = CLIENT_BROKER,
        .broker_id = client_broker_at(beside->client, 0)->id,
        .lane = CLIENT_LANE_READ,
        .api_key = API_FETCH,
        .version_max = FETCH_VERSION,
        .request = &reading->request,
        .timeout_ms = WAIT_MS,
        .done = on_answer,
        .arg = reading,
    };
    (void)client_ask(beside->client, &ask);
}

/* --- the two modes --- */

static struct ottla_client *connect_to(const char *servers, bool fills) {
    struct ottla_error error = {0};
    struct ottla_config *config = ottla_config_new();
    need(ottla_config_set(config, "bootstrap.servers", servers, &error), &error);
    need(ottla_config_set(config, "linger.ms", fills ? "5" : "0", &error), &error);
    struct ottla_client *client;
    need(ottla_client_new(config, &client, &error), &error);
    ottla_config_free(config);
    return client;
}

static void fill(struct beside *beside) {
    for (int64_t key = 0; key < beside->keys; key++) {
        write_one(beside, key, -1);
    }
    if (ottla_producer_flush(beside->producer, WAIT_MS) != OTTLA_OK) {
        fail("fill", "records were not acknowledged in time");
    }
}

/* Begins what is due of a series; the time of the next. */
static int64_t begin_due(struct series *series, int64_t now_ns, int64_t last,
                         void (*begin)(struct beside *beside, int64_t due)) {
    while (series->begun < last && due_ns(series, series->begun) <= now_ns) {
        begin(series->beside, due_ns(series, series->begun++));
    }
    return series->begun < last ? due_ns(series, series->begun) : INT64_MAX;
}

static void write_any(struct beside *beside, int64_t due) {
    write_one(beside, (int64_t)rng_below(&beside->rng, (uint64_t)beside->keys), due);
}

/* The loop is asked without sleeping, as by ottla bench at a fixed rate. */
static void load(struct beside *beside, int64_t seconds) {
    write_one(beside, 0, -1); /* connections are made, and the end of the log is known */
    if (ottla_producer_flush(beside->producer, WAIT_MS) != OTTLA_OK) {
        fail("load", "the first record was not acknowledged in time");
    }
    beside->start_ns = sys_mono_ns(beside->sys);
    int64_t writes = beside->writes.per_second * (seconds + WARM_UP_S);
    int64_t reads = beside->reads.per_second * (seconds + WARM_UP_S);
    while (beside->writes.ended < writes || beside->reads.ended < reads) {
        int64_t now_ns = sys_mono_ns(beside->sys);
        (void)begin_due(&beside->writes, now_ns, writes, write_any);
        (void)begin_due(&beside->reads, now_ns, reads, read_one);
        ottla_client_run(beside->client, 0);
    }
    printf("{");
    series_print(&beside->writes, "produceMs", ", ");
    series_print(&beside->reads, "fetchMs", "}\n");
}

int main(int argc, char **argv) {
    bool fills = argc == 5 && strcmp(argv[3], "fill") == 0;
    bool loads = argc == 8 && strcmp(argv[3], "load") == 0;
    int64_t numbers[4] = {1, 1, 1, 1};
    for (int i = 4; i < argc && i < 8; i++) {
        numbers[i - 4] = atoll(argv[i]);
    }
    if (!(fills || loads) || numbers[0] < 1 || numbers[1] < 1 || numbers[2] < 1 || numbers[3] < 1) {
        fputs(
            "beside SERVERS TOPIC fill KEYS\nbeside SERVERS TOPIC load KEYS WRITES READS SECONDS\n",
            stderr);
        return 2;
    }
    static struct beside beside;
    beside.client = connect_to(argv[1], fills);
    beside.topic = argv[2];
    beside.sys = client_sys(beside.client);
    beside.keys = numbers[0];
    rng_init(&beside.rng, 1);
    rng_bytes(&beside.rng, beside.value, sizeof beside.value);
    struct ottla_error error;
    need(ottla_producer_new(beside.client, &beside.producer, &error), &error);
    series_init(&beside.writes, &beside, numbers[1], numbers[3]);
    series_init(&beside.reads, &beside, numbers[2], numbers[3]);
    if (fills) {
        fill(&beside);
    } else {
        load(&beside, numbers[3]);
    }
    ottla_producer_free(beside.producer);
    free(beside.writes.took_ns);
    free(beside.reads.took_ns);
    ottla_client_free(beside.client);
    return 0;
}
