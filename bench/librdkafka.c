/*
 * librdkafka under the load of `ottla bench`, so that the CPU per record of the two libraries can
 * be compared in one run: the same records with the same checks and the same histogram, from C.
 *
 *     librdkafka LIBRARY produce SERVERS TOPIC PARTITIONS SIZE WARM_UP COUNT [setting=value ...]
 *     librdkafka LIBRARY consume SERVERS TOPIC PARTITIONS COUNT [setting=value ...]
 *
 * LIBRARY is the shared object that a wheel of confluent-kafka brings; it is loaded by dlopen, and
 * what is used of its interface is declared here. Prints JSON with the keys of `ottla bench`.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli/bench_record.h"
#include "metrics/metrics.h"

enum {
    TYPE_PRODUCER = 0,
    TYPE_CONSUMER = 1,
    MESSAGE_COPY = 2,
    QUEUE_FULL = -184,
    OFFSET_BEGINNING = -2,
    PARTITION_EOF = -191,

    TURN_BYTES = 64 * 1024, /* between two polls, as ottla bench does */
    TURN_RECORDS = 1000,
    BATCH = 10000,
    WAIT_MS = 60000,
};

struct message {
    int err;
    void *topic;
    int32_t partition;
    void *payload;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *opaque;
};
typedef void (*delivered_fn)(void *handle, const struct message *message, void *arg);

/* The library's functions, by their names behind rd_kafka_. */
#define FUNCTIONS(X)                                                                               \
    X(void *, conf_new, (void))                                                                    \
    X(int, conf_set, (void *, const char *, const char *, char *, size_t))                         \
    X(void, conf_set_dr_msg_cb, (void *, delivered_fn))                                            \
    X(void *, new, (int, void *, char *, size_t))                                                  \
    X(void, destroy, (void *))                                                                     \
    X(void *, topic_new, (void *, const char *, void *))                                           \
    X(void, topic_destroy, (void *))                                                               \
    X(int, produce, (void *, int32_t, int, void *, size_t, const void *, size_t, void *))          \
    X(int, last_error, (void))                                                                     \
    X(const char *, err2str, (int))                                                                \
    X(int, poll, (void *, int))                                                                    \
    X(int, flush, (void *, int))                                                                   \
    X(const char *, version_str, (void))                                                           \
    X(int, poll_set_consumer, (void *))                                                            \
    X(void *, queue_get_consumer, (void *))                                                        \
    X(void, queue_destroy, (void *))                                                               \
    X(ssize_t, consume_batch_queue, (void *, int, struct message **, size_t))                      \
    X(void, message_destroy, (struct message *))                                                   \
    X(void *, topic_partition_list_new, (int))                                                     \
    X(void *, topic_partition_list_add, (void *, const char *, int32_t))                           \
    X(int, topic_partition_list_set_offset, (void *, const char *, int32_t, int64_t))              \
    X(void, topic_partition_list_destroy, (void *))                                                \
    X(int, assign, (void *, const void *))                                                         \
    X(int, consumer_close, (void *))

struct library {
#define DECLARE(type, name, arguments) type(*name) arguments;
    FUNCTIONS(DECLARE)
#undef DECLARE
};

static struct library kafka;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "librdkafka: %s: %s\n", what, why);
    exit(1);
}

static void load_library(const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fail(path, dlerror());
    }
#define FIND(type, name, arguments)                                                                \
    kafka.name = (type(*) arguments)dlsym(handle, "rd_kafka_" #name);                              \
    if (kafka.name == NULL) {                                                                      \
        fail(path, "has no rd_kafka_" #name);                                                      \
    }
    FUNCTIONS(FIND)
#undef FIND
}

/* --- measuring --- */

struct measure {
    struct metrics *registry;
    struct metrics_histogram *latencies;
    uint64_t records;
    uint64_t bytes;
    uint64_t all; /* the warm-up's, too */
    uint64_t failed;
    int64_t begin_ns;
    int64_t end_ns;
    double cpu_s;
};

static int64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void begin(struct measure *measure) {
    measure->begin_ns = now_ns();
    measure->cpu_s = cpu_s();
}

static void end(struct measure *measure) {
    measure->end_ns = now_ns();
    measure->cpu_s = cpu_s() - measure->cpu_s;
}

static void print(const struct measure *measure, const char *bench, uint64_t checksum) {
    double seconds = (double)(measure->end_ns - measure->begin_ns) / 1e9;
    printf("{\"bench\": \"%s\", \"library\": \"librdkafka %s\", \"records\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"recordsPerSecond\": %.3f, "
           "\"ownCpuSeconds\": %.6f, \"ownCpuSecondsPerMillion\": %.6f, \"failed\": %" PRIu64
           ", \"acknowledged\": %" PRIu64 ", \"checksum\": \"%016" PRIx64 "\"}\n",
           bench, kafka.version_str(), measure->records, measure->bytes, seconds,
           (double)measure->records / seconds, measure->cpu_s,
           measure->cpu_s / (double)measure->records * 1e6, measure->failed, measure->all,
           checksum);
}

static void *client_new(int type, const char *servers, char **settings, delivered_fn delivered) {
    char error[512];
    void *conf = kafka.conf_new();
    if (kafka.conf_set(conf, "bootstrap.servers", servers, error, sizeof error) != 0) {
        fail(servers, error);
    }
    if (delivered != NULL) {
        kafka.conf_set_dr_msg_cb(conf, delivered);
    }
    for (; *settings != NULL; settings++) {
        char *value = strchr(*settings, '=');
        if (value == NULL) {
            fail(*settings, "write it as key=value");
        }
        *value = '\0';
        if (kafka.conf_set(conf, *settings, value + 1, error, sizeof error) != 0) {
            fail(*settings, error);
        }
    }
    void *client = kafka.new(type, conf, error, sizeof error);
    if (client == NULL) {
        fail(servers, error);
    }
    return client;
}

/* --- produce --- */

/* One record on its way, as in ottla bench. */
struct slot {
    struct load *load;
    struct slot *next;
    int64_t due_ns;
    uint32_t crc;
};

struct load {
    struct measure measure;
    struct bench_writer *writer;
    struct slot *free_slots;
    size_t size;
    int32_t partitions;
    uint64_t produced;
    uint64_t checksum;
    void *client;
    void *topic;
};

static struct slot *take_slot(struct load *load) {
    struct slot *slot = load->free_slots;
    if (slot == NULL) {
        slot = calloc(1, sizeof *slot);
        slot->load = load;
        return slot;
    }
    load->free_slots = slot->next;
    return slot;
}

static void on_delivery(void *handle, const struct message *message, void *arg) {
    struct slot *slot = message->opaque;
    struct load *load = slot->load;
    (void)handle;
    (void)arg;
    slot->next = load->free_slots;
    load->free_slots = slot;
    if (message->err != 0) {
        load->measure.failed++;
        return;
    }
    load->measure.all++;
    load->checksum += slot->crc;
    if (load->measure.begin_ns > 0 && slot->due_ns >= load->measure.begin_ns) {
        load->measure.records++;
        load->measure.bytes += load->size;
        metrics_observe(load->measure.latencies, now_ns() - slot->due_ns);
    }
}

static void produce_one(struct load *load, int64_t due_ns) {
    struct slot *slot = take_slot(load);
    int32_t partition = (int32_t)(load->produced++ % (uint64_t)load->partitions);
    const void *value;
    slot->due_ns = due_ns;
    slot->crc = bench_writer_next(load->writer, partition, due_ns, &value);
    while (kafka.produce(load->topic, partition, MESSAGE_COPY, (void *)(uintptr_t)value, load->size,
                         NULL, 0, slot) != 0) {
        int err = kafka.last_error();
        if (err != QUEUE_FULL) {
            fail("produce", kafka.err2str(err));
        }
        kafka.poll(load->client, 100);
    }
}

/* Until `count` records, or a time, whichever comes first; all of them acknowledged. */
static void produce_until(struct load *load, uint64_t count, int64_t time_ns) {
    uint64_t turn = TURN_BYTES / load->size;
    turn = turn < 1 ? 1 : turn > TURN_RECORDS ? TURN_RECORDS : turn;
    int64_t now = now_ns();
    while (count > 0 && now < time_ns) {
        for (uint64_t i = 0; i < turn && count > 0; i++, count--) {
            produce_one(load, now);
        }
        kafka.poll(load->client, 0);
        now = now_ns();
    }
    int err = kafka.flush(load->client, WAIT_MS);
    if (err != 0) {
        fail("flush", kafka.err2str(err));
    }
}

static void produce(int argc, char **argv) {
    if (argc < 8) {
        fail("produce", "SERVERS TOPIC PARTITIONS SIZE WARM_UP_SECONDS COUNT are needed");
    }
    struct load load = {.partitions = atoi(argv[4]), .size = strtoul(argv[5], NULL, 10)};
    int64_t warm_up_ns = (int64_t)(strtod(argv[6], NULL) * 1e9);
    struct metrics_id id = {.name = "acknowledged"};
    load.measure.registry = metrics_new(NULL, 1);
    load.measure.latencies = metrics_histogram_get(load.measure.registry, &id, 1e-6, 0);
    load.writer = bench_writer_new((uint32_t)now_ns(), load.size, load.partitions, BENCH_RANDOM);
    load.client = client_new(TYPE_PRODUCER, argv[2], argv + 8, on_delivery);
    load.topic = kafka.topic_new(load.client, argv[3], NULL);
    produce_until(&load, UINT64_MAX, now_ns() + warm_up_ns);
    begin(&load.measure);
    produce_until(&load, strtoull(argv[7], NULL, 10), INT64_MAX);
    end(&load.measure);
    print(&load.measure, "produce", load.checksum);
    kafka.topic_destroy(load.topic);
    kafka.destroy(load.client);
    bench_writer_free(load.writer);
    while (load.free_slots != NULL) {
        free(take_slot(&load));
    }
    metrics_free(load.measure.registry);
}

/* --- consume --- */

static void take(struct measure *measure, struct bench_checker *checker, struct message *message) {
    struct bench_seen seen;
    if (message->err == PARTITION_EOF) {
        return;
    }
    if (message->err != 0) {
        fail("consume", kafka.err2str(message->err));
    }
    (void)bench_checker_see(checker, message->partition, message->payload, message->size, &seen);
    measure->records++;
    measure->bytes += message->size;
}

static void *assign_all(void *client, const char *topic, int32_t partitions) {
    void *list = kafka.topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
        (void)kafka.topic_partition_list_add(list, topic, i);
        (void)kafka.topic_partition_list_set_offset(list, topic, i, OFFSET_BEGINNING);
    }
    (void)kafka.poll_set_consumer(client);
    int err = kafka.assign(client, list);
    if (err != 0) {
        fail("assign", kafka.err2str(err));
    }
    kafka.topic_partition_list_destroy(list);
    return kafka.queue_get_consumer(client);
}

static void consume(int argc, char **argv) {
    if (argc < 6) {
        fail("consume", "SERVERS TOPIC PARTITIONS COUNT are needed");
    }
    int32_t partitions = atoi(argv[4]);
    uint64_t count = strtoull(argv[5], NULL, 10);
    struct measure measure = {0};
    struct message **messages = calloc(BATCH, sizeof *messages);
    struct bench_checker *checker = bench_checker_new(partitions, false);
    void *client = client_new(TYPE_CONSUMER, argv[2], argv + 6, NULL);
    begin(&measure);
    void *queue = assign_all(client, argv[3], partitions);
    while (measure.records < count) {
        uint64_t left = count - measure.records; /* it waits until it has all that it is asked */
        size_t wanted = left < BATCH ? (size_t)left : BATCH;
        ssize_t got = kafka.consume_batch_queue(queue, WAIT_MS, messages, wanted);
        if (got <= 0) {
            fail("consume", "no records come");
        }
        for (ssize_t i = 0; i < got; i++) {
            take(&measure, checker, messages[i]);
            kafka.message_destroy(messages[i]);
        }
    }
    end(&measure);
    const struct bench_checks *checks = bench_checker_result(checker);
    measure.failed = checks->damaged + checks->lost + checks->doubled;
    measure.all = checks->records;
    print(&measure, "consume", checks->checksum);
    kafka.queue_destroy(queue);
    (void)kafka.consumer_close(client);
    kafka.destroy(client);
    bench_checker_free(checker);
    free(messages);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("librdkafka LIBRARY produce|consume ...\n", stderr);
        return 2;
    }
    load_library(argv[1]);
    (strcmp(argv[2], "produce") == 0 ? produce : consume)(argc - 1, argv + 1);
    return 0;
}
