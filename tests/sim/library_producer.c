/*
 * A producer of libottla. What it holds the library to, beside what the auditor checks of the log:
 *
 *   1. each record's delivery function is called once, and in the end none is missing
 *   2. deliveries of one partition come in the order of ottla_produce, and so do their offsets
 *   3. delivered (idempotent): the record is at that offset, once, behind all that were produced
 *      before it (audit.h, 4 to 6)
 *   4. an idempotent producer loses its sequences only where the broker may have forgotten them, or
 *      after a record ran out of time
 *
 * A log that has forgotten a producer with the power takes any sequence. When it refuses a batch as
 * too large, it may take the one in flight behind it before the halves come: then there is no order
 * (5), and no protocol that would save it.
 *
 * The library does not tell when an answer was given, and keeps it until it knows of all records
 * before it. What was produced before a power cut and told of after it says nothing of records that
 * are not synced: the auditor is not told.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "library.h"
#include "ottla/producer.h"

enum {
    VALUE_MAX = 1024,
    TURNS_PER_DEATH = 150, /* of the process; another takes its place */
    TURNS_PER_HEADER = 4,
};

struct lane { /* a partition, in one life */
    struct library_lane told;
    bool out_of_time; /* a record ended without an answer: its sequence is missing */
};

struct library_producer {
    struct node_client client;
    struct sys_timer timer;
    struct ottla_client *library;
    struct ottla_producer *producer;
    char name[32];
    bool idempotent;
    bool acknowledged; /* acks is not 0 */
    bool ending;       /* what is not delivered is dropped */
    uint32_t begin_cut;
    struct audit_producer *audit;
    struct scenario_range wait;
    struct scenario_range records;
    struct scenario_range size;
    struct list sent;
    struct lane lanes[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];
};

struct sent {
    struct list link;
    struct library_producer *producer;
    struct library_sent what;
    uint32_t down; /* sim->down_count when it was produced */
};

/* --- a life --- */

static void draw_settings(struct library_producer *producer, struct ottla_config *config) {
    static const char *const lingers_ms[] = {"0", "0", "5", "50", "300"};
    static const char *const batch_sizes[] = {"0", "300", "2000", "16384"};
    static const char *const codecs[] = {"none", "none", "gzip", "snappy", "lz4", "zstd"};
    static const char *const acks[] = {"0", "1", "all"};
    static const char *const memories[] = {"8000", "100000", "33554432"};
    static const char *const patience_ms[] = {"9000", "30000", "120000"};
    struct node_sim *sim = producer->client.sim;
    library_set(sim, config, "client.id", "%s", producer->name);
    library_set(sim, config, "linger.ms", "%s", LIBRARY_PICK(sim, lingers_ms));
    library_set(sim, config, "batch.size", "%s", LIBRARY_PICK(sim, batch_sizes));
    library_set(sim, config, "compression.type", "%s", LIBRARY_PICK(sim, codecs));
    library_set(sim, config, "max.in.flight.requests.per.connection", "%d",
                1 + (int)node_below(sim, 5));
    library_set(sim, config, "max.request.size", "8000");
    library_set(sim, config, "buffer.memory", "%s", LIBRARY_PICK(sim, memories));
    library_set(sim, config, "delivery.timeout.ms", "%s", LIBRARY_PICK(sim, patience_ms));
    producer->acknowledged = true;
    if (!producer->idempotent) {
        const char *drawn = LIBRARY_PICK(sim, acks);
        producer->acknowledged = drawn[0] != '0';
        library_set(sim, config, "enable.idempotence", "false");
        library_set(sim, config, "acks", "%s", drawn);
    }
}

static void said(void *arg, enum ottla_log_level level, const char *text) {
    struct library_producer *producer = arg;
    library_say(producer->client.sim, level, text);
    if (producer->producer != NULL) {
        struct ottla_producer_stats stats;
        ottla_producer_stats(producer->producer, &stats);
        if (stats.splits > 0 && producer->begin_cut != producer->client.sim->run->power_cut_count) {
            audit_producer_unordered(producer->audit);
        }
    }
}

static void live(struct library_producer *producer) {
    struct node_sim *sim = producer->client.sim;
    struct ottla_config *config = library_config_new(sim);
    draw_settings(producer, config);
    producer->library = library_client_new(sim, config);
    ottla_client_on_log(producer->library, said, producer);
    struct ottla_error error;
    if (ottla_producer_new(producer->library, &producer->producer, &error) != OTTLA_OK) {
        node_fail(sim, "%s: libottla makes no producer: %s", producer->name, error.text);
    }
    producer->audit = audit_producer(sim->run->audit, producer->idempotent, producer->idempotent);
    producer->begin_cut = sim->run->power_cut_count;
    for (int t = 0; t < SIM_TOPICS_MAX; t++) {
        for (int p = 0; p < SIM_PARTITIONS_MAX; p++) {
            producer->lanes[t][p] = (struct lane){.told.last_offset = -1};
        }
    }
}

static void die(struct library_producer *producer) {
    producer->ending = true;
    ottla_producer_free(producer->producer);
    producer->producer = NULL;
    ottla_client_free(producer->library);
    producer->ending = false;
    if (!list_empty(&producer->sent)) {
        node_fail(producer->client.sim, "%s: a record is freed without a word to who sent it",
                  producer->name);
    }
}

/* --- deliveries --- */

static struct lane *lane_of(const struct sent *sent) {
    ptrdiff_t topic = sent->what.topic - sent->producer->client.sim->topics;
    return &sent->producer->lanes[topic][sent->what.partition];
}

static void check_order(const struct sent *sent, int64_t offset) {
    const struct library_producer *producer = sent->producer;
    library_check_order(producer->client.sim, producer->name, &sent->what, &lane_of(sent)->told,
                        offset, !producer->idempotent);
}

/* Whether the library may end a record with this error. */
static bool may_fail(const struct library_producer *producer, const struct sent *sent,
                     const struct lane *lane, int code) {
    const struct run *run = producer->client.sim->run;
    if (code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER) {
        bool forgotten = !sent->what.topic->synced && producer->begin_cut != run->power_cut_count;
        return producer->idempotent && (forgotten || lane->out_of_time);
    }
    return code == OTTLA_TIMED_OUT || node_error_passes((int16_t)code);
}

static void fail(struct library_producer *producer, const struct sent *sent,
                 const struct ottla_delivery *delivery) {
    struct node_sim *sim = producer->client.sim;
    struct lane *lane = lane_of(sent);
    if (!may_fail(producer, sent, lane, delivery->code)) {
        node_fail(sim, "%s, %s-%d: value %" PRIu64 " is given up with %s: %s", producer->name,
                  sent->what.topic->name, sent->what.partition, sent->what.value,
                  ottla_code_name(delivery->code), delivery->text);
    }
    if (delivery->code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER) {
        library_point(sim, producer->name, "library_forgotten_with_the_power");
    } else {
        lane->out_of_time = true;
        library_point(sim, producer->name, "library_out_of_time");
    }
}

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct sent *sent = arg;
    struct library_producer *producer = sent->producer;
    struct node_sim *sim = producer->client.sim;
    list_remove(&sent->link);
    if (delivery->code != OTTLA_OK) {
        if (!producer->ending || delivery->code != OTTLA_CLOSED) {
            check_order(sent, -1);
            fail(producer, sent, delivery);
        }
    } else {
        check_order(sent, delivery->offset);
        if (delivery->offset >= 0) {
            library_acknowledge(sim, &sent->what, delivery->offset);
            if (sent->down != sim->down_count) {
                points_add(sim->run->points, "library_delivered_after_crash", 1);
            }
        } else if (producer->acknowledged) {
            library_point(sim, producer->name, "library_offset_unknown");
        }
    }
    free(sent);
}

/* --- turns --- */

static bool produce_one(struct library_producer *producer, struct node_topic *topic,
                        int32_t partition) {
    struct node_sim *sim = producer->client.sim;
    struct sent *sent = calloc(1, sizeof *sent);
    assert(sent != NULL);
    uint64_t value = audit_send(producer->audit, topic->partitions[partition].audit);
    *sent = (struct sent){.producer = producer,
                          .what = {topic, partition, value, sim->run->power_cut_count},
                          .down = sim->down_count};
    uint8_t bytes[VALUE_MAX];
    uint32_t size = (uint32_t)node_draw(sim, producer->size);
    audit_value_fill(value, bytes, size);
    struct ottla_header header = {.key = "h", .key_size = 1, .value = {"", 0}};
    char key[TOPIC_KEY_MAX];
    struct bytes key_bytes = topic_key(topic, value, key);
    struct ottla_record record = {
        .topic = topic->name,
        .partition = partition,
        .timestamp_ms = OTTLA_TIMESTAMP_NOW,
        .key = {key_bytes.data, key_bytes.size},
        .value = {bytes, size},
        .headers = &header,
        .header_count = node_below(sim, TURNS_PER_HEADER) == 0,
    };
    list_add_last(&producer->sent, &sent->link);
    struct ottla_error error;
    int code = ottla_produce(producer->producer, &record, delivered, sent, &error);
    if (code == OTTLA_OK) {
        return true;
    }
    list_remove(&sent->link);
    audit_refuse(sim->run->audit, value);
    free(sent);
    if (code != OTTLA_BUSY) {
        node_fail(sim, "%s: %s-%d: ottla_produce says %s", producer->name, topic->name, partition,
                  error.text);
    }
    points_add(sim->run->points, "library_busy", 1);
    return false;
}

/* By its name a late batch might get into the next topic of that name. */
static void produce(struct library_producer *producer) {
    struct node_sim *sim = producer->client.sim;
    struct node_topic *topic = &sim->topics[node_below(sim, (uint64_t)sim->topic_count)];
    if (!topic_is_usable(topic) || topic->comes_and_goes) {
        return;
    }
    int32_t partition = (int32_t)node_below(sim, (uint64_t)topic->partition_count);
    int64_t count = node_draw(sim, producer->records);
    while (count-- > 0 && produce_one(producer, topic, partition)) {
    }
}

/* The memory of a record that ran out of time is held for as long as it is under way. */
static bool is_through(const struct library_producer *producer) {
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer->producer, &stats);
    return list_empty(&producer->sent) && stats.records == 0 && stats.memory == 0;
}

static void turn(struct sys_timer *timer) {
    struct library_producer *producer = container_of(timer, struct library_producer, timer);
    struct node_sim *sim = producer->client.sim;
    if (sim->finishing && is_through(producer)) {
        producer->client.over = true;
        return;
    }
    if (!sim->finishing && node_below(sim, TURNS_PER_DEATH) == 0) {
        library_point(sim, producer->name, "library_producer_died");
        die(producer);
        live(producer);
    }
    if (!sim->finishing) {
        produce(producer);
    }
    node_timer_in(sim, &producer->timer, node_draw(sim, producer->wait) / 1000);
}

/* --- the client --- */

static void describe(struct node_client *client, char *text, size_t size) {
    struct library_producer *producer = container_of(client, struct library_producer, client);
    struct list *link = list_first(&producer->sent);
    if (link == NULL) {
        snprintf(text, size, "%s, for memory that it has in use", producer->name);
    } else {
        const struct sent *sent = container_of(link, struct sent, link);
        snprintf(text, size, "%s, for the delivery of value %" PRIu64 " to %s-%d", producer->name,
                 sent->what.value, sent->what.topic->name, sent->what.partition);
    }
}

static void producer_free(struct node_client *client) {
    struct library_producer *producer = container_of(client, struct library_producer, client);
    die(producer);
    free(producer);
}

void library_producer_new(struct node_sim *sim, struct scenario_line *line) {
    struct library_producer *producer = calloc(1, sizeof *producer);
    assert(producer != NULL);
    node_client_add(sim, &producer->client, "producer");
    producer->client.free = producer_free;
    producer->client.describe = describe;
    snprintf(producer->name, sizeof producer->name, "library-produce-%d", line->number);
    producer->idempotent = scenario_flag(line, "idempotent", true);
    producer->wait = scenario_range(line, "wait", "10ms-200ms");
    producer->records = scenario_range(line, "records", "1-10");
    producer->size = scenario_range(line, "size", "24-300");
    assert(producer->size.least >= AUDIT_VALUE_SIZE_MIN && producer->size.most <= VALUE_MAX);
    list_init(&producer->sent);
    producer->timer.fire = turn;
    live(producer);
    node_timer_in(sim, &producer->timer, node_draw(sim, producer->wait) / 1000);
}
