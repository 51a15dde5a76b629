/*
 * A producer: up to five requests under way on one connection, each with batches for one to three
 * partitions.
 *
 *   kind         acks    what a break of the connection means for requests under way
 *   ----------   -----   -----------------------------------------------------------------
 *   idempotent   -1, 1   all are sent again in their order, with the sequences they had
 *   plain        -1, 1   nobody knows whether they were written; they are forgotten
 *   careless     0       the same
 *
 * A retriable error of an idempotent request breaks the connection from this side. A partition has
 * never more than five batches under way, so whatever was written already is recognised.
 */
#include <stdlib.h>
#include <string.h>

#include "stress.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/batch_builder.h"

enum { REQUESTS_MAX = 5, PARTS_MAX = 3, RECORDS_MAX = 8, VALUE_SIZE_MAX = 600, TARGETS = 4 };
enum kind { IDEMPOTENT, PLAIN, CARELESS, KINDS };

/* A partition that is produced to. */
struct target {
    int slot;
    struct topic topic;
    int32_t partition;
    int32_t sequence; /* of the next record */
};

struct part {
    int target;
    struct topic topic;
    int32_t partition;
    uint64_t values[RECORDS_MAX];
    int record_count;
    bool broken;  /* its checksum is wrong: it is to be refused */
    bool settled; /* answered for good; not to be sent again */
    struct buffer records;
};

struct shipment {
    struct producer *producer;
    bool open;
    uint64_t order;
    struct part parts[PARTS_MAX];
    int part_count;
};

struct producer {
    struct client client;
    struct stress *stress;
    enum kind kind;
    int16_t acks;
    struct audit_producer *audited;
    struct compression *compression;
    int64_t id;
    struct target targets[TARGETS];
    struct shipment shipments[REQUESTS_MAX];
    uint64_t order;
    bool broken; /* the connection is to be made anew */
};

/* --- making --- */

static void choose_target(struct producer *producer, int i) {
    struct client *client = &producer->client;
    struct target *target = &producer->targets[i];
    do {
        target->slot = (int)rng_below(&client->rng, TOPIC_COUNT);
        target->topic = topic_get(producer->stress, target->slot);
    } while (!target->topic.alive);
    target->partition = (int32_t)rng_below(&client->rng, (uint64_t)target->topic.partition_count);
    target->sequence = 0;
    for (int k = 0; k < TARGETS; k++) {
        const struct target *other = &producer->targets[k];
        if (k != i && uuid_equal(other->topic.id, target->topic.id) &&
            other->partition == target->partition) {
            target->topic.alive = false; /* sequences live in one place: this one rests */
        }
    }
}

static void add_records(struct producer *producer, struct part *part,
                        struct batch_builder *builder) {
    struct client *client = &producer->client;
    struct audit *audit = stress_audit_take(producer->stress);
    struct audit_partition *partition =
        stress_partition(producer->stress, &part->topic, part->partition);
    for (int i = 0; i < part->record_count; i++) {
        part->values[i] = audit_send(producer->audited, partition);
        if (part->broken) {
            audit_refuse(audit, part->values[i]);
        }
    }
    stress_audit_give(producer->stress);
    for (int i = 0; i < part->record_count; i++) {
        uint8_t value[VALUE_SIZE_MAX];
        uint32_t size = AUDIT_VALUE_SIZE_MIN +
                        (uint32_t)rng_below(&client->rng, VALUE_SIZE_MAX - AUDIT_VALUE_SIZE_MIN);
        audit_value_fill(part->values[i], value, size);
        batch_builder_add(builder, sys_wall_ms(client->sys), (struct bytes){.data = NULL},
                          (struct bytes){value, size}, NULL, 0);
    }
}

static void make_part(struct producer *producer, struct part *part, int target_index) {
    struct client *client = &producer->client;
    struct target *target = &producer->targets[target_index];
    part->target = target_index;
    part->topic = target->topic;
    part->partition = target->partition;
    part->settled = false;
    part->record_count = 1 + (int)rng_below(&client->rng, RECORDS_MAX);
    part->broken = producer->kind == PLAIN && rng_one_in(&client->rng, 200);
    struct batch_options options = {
        BATCH_OPTIONS_DEFAULT,
        .compression = (enum compression_type)rng_below(&client->rng, COMPRESSION_TYPE_COUNT)};
    options.level = compression_level_default(options.compression);
    if (producer->kind == IDEMPOTENT) {
        options.producer_id = producer->id;
        options.producer_epoch = 0;
        options.base_sequence = target->sequence;
        target->sequence += part->record_count;
    }
    struct batch_builder builder;
    buffer_clear(&part->records);
    batch_builder_init(&builder, &part->records, &options);
    add_records(producer, part, &builder);
    batch_builder_finish(&builder, producer->compression);
    if (part->broken) {
        part->records.data[part->records.size - 1] ^= 1;
    }
}

static bool make_shipment(struct producer *producer, struct shipment *shipment) {
    shipment->part_count = 0;
    int wanted = 1 + (int)rng_below(&producer->client.rng, PARTS_MAX);
    int first = (int)rng_below(&producer->client.rng, TARGETS);
    for (int i = 0; i < TARGETS && shipment->part_count < wanted; i++) {
        int target = (first + i) % TARGETS;
        if (producer->targets[target].topic.alive) {
            make_part(producer, &shipment->parts[shipment->part_count++], target);
        }
    }
    shipment->producer = producer;
    shipment->open = shipment->part_count > 0;
    shipment->order = ++producer->order;
    return shipment->open;
}

/* --- answers --- */

static bool is_retriable(int16_t code) {
    return code == ERR_NOT_LEADER_OR_FOLLOWER || code == ERR_KAFKA_STORAGE_ERROR ||
           code == ERR_UNKNOWN_TOPIC_ID || code == ERR_UNKNOWN_TOPIC_OR_PARTITION ||
           code == ERR_NOT_ENOUGH_REPLICAS;
}

static void acknowledge(struct producer *producer, struct part *part, int64_t base_offset) {
    struct audit *audit = stress_audit_take(producer->stress);
    for (int i = 0; i < part->record_count; i++) {
        audit_ack(audit, part->values[i], base_offset + i, AUDIT_WRITTEN);
    }
    stress_audit_give(producer->stress);
}

/* False: the part is not settled and must be sent again. */
static bool settle(struct producer *producer, struct part *part,
                   const struct produce_response_partition_produce_response *answer) {
    if (answer->error_code == 0 && !part->broken) {
        acknowledge(producer, part, answer->base_offset);
        return true;
    }
    if (part->broken && answer->error_code != 0) {
        return true;
    }
    if (is_retriable(answer->error_code)) {
        return false;
    }
    if (answer->error_code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && producer->broken) {
        return false; /* one before it was not written */
    }
    stress_fail(producer->stress, "%s-%d: %s records of producer %lld with sequence %d got %s",
                part->topic.name, part->partition, part->broken ? "broken" : "good",
                (long long)producer->id, (int)record_batch_base_sequence(part->records.data),
                err_name((err_t)answer->error_code));
    return true;
}

static struct part *find_part(struct shipment *shipment, struct uuid topic, int32_t partition) {
    for (int i = 0; i < shipment->part_count; i++) {
        struct part *part = &shipment->parts[i];
        if (uuid_equal(part->topic.id, topic) && part->partition == partition) {
            return part;
        }
    }
    return NULL;
}

static void answered(void *arg, const struct client_response *response) {
    struct shipment *shipment = arg;
    struct producer *producer = shipment->producer;
    sys_loop_stop(producer->client.loop);
    if (response->err != ERR_OK) {
        producer->broken = true;
        return;
    }
    const struct produce_response *message = response->message;
    bool settled = true;
    for (int32_t i = 0; i < message->responses_count; i++) {
        for (int32_t k = 0; k < message->responses[i].partition_responses_count; k++) {
            const struct produce_response_partition_produce_response *answer =
                &message->responses[i].partition_responses[k];
            struct part *part = find_part(shipment, message->responses[i].topic_id, answer->index);
            if (part == NULL) {
                stress_fail(producer->stress, "an answer names a partition nobody asked for");
            } else {
                part->settled = settle(producer, part, answer);
                settled = settled && part->settled;
            }
        }
    }
    shipment->open = !settled && producer->kind == IDEMPOTENT;
    producer->broken = producer->broken || !settled;
}

/* --- sending --- */

static void send_shipment(struct producer *producer, struct shipment *shipment) {
    struct produce_request_partition_produce_data partitions[PARTS_MAX];
    struct produce_request_topic_produce_data topics[PARTS_MAX];
    struct produce_request request;
    wire_init(&produce_request_type, &request);
    request.acks = producer->acks;
    request.timeout_ms = 30 * 1000;
    request.topic_data = topics;
    for (int i = 0; i < shipment->part_count; i++) {
        const struct part *part = &shipment->parts[i];
        if (part->settled) {
            continue;
        }
        partitions[i] = (struct produce_request_partition_produce_data){
            .index = part->partition, .records = buffer_bytes(&part->records)};
        topics[request.topic_data_count++] =
            (struct produce_request_topic_produce_data){.name = str_from_c(part->topic.name),
                                                        .topic_id = part->topic.id,
                                                        .partition_data = &partitions[i],
                                                        .partition_data_count = 1};
    }
    struct client_connection *connection = producer->client.connection;
    err_t err;
    if (producer->acks == 0) {
        err = client_connection_send_forget(connection, API_PRODUCE, -1, &request, NULL, NULL);
        shipment->open = false;
        client_wait(&producer->client, 2);
    } else {
        err = client_connection_send(connection, API_PRODUCE, -1, &request, answered, shipment);
    }
    producer->broken = producer->broken || err != ERR_OK;
}

/* Topics that were deleted are left, with all that was under way for them. Not connected. */
static void leave_dead_topics(struct producer *producer) {
    for (int i = 0; i < TARGETS; i++) {
        struct target *target = &producer->targets[i];
        if (target->topic.alive && topic_is_same(producer->stress, target->slot, &target->topic)) {
            continue;
        }
        for (int k = 0; k < REQUESTS_MAX; k++) {
            struct shipment *shipment = &producer->shipments[k];
            for (int p = shipment->part_count - 1; p >= 0; p--) {
                if (shipment->parts[p].target == i) {
                    struct part gone = shipment->parts[p];
                    shipment->parts[p] = shipment->parts[--shipment->part_count];
                    shipment->parts[shipment->part_count] = gone;
                }
            }
            shipment->open = shipment->open && shipment->part_count > 0;
        }
        choose_target(producer, i);
    }
}

static struct shipment *oldest_after(struct producer *producer, uint64_t order) {
    struct shipment *oldest = NULL;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct shipment *shipment = &producer->shipments[i];
        if (shipment->open && shipment->order > order &&
            (oldest == NULL || shipment->order < oldest->order)) {
            oldest = shipment;
        }
    }
    return oldest;
}

static void register_producer(struct producer *producer) {
    struct audit *audit = stress_audit_take(producer->stress);
    producer->audited = audit_producer(audit, true, producer->kind == IDEMPOTENT);
    stress_audit_give(producer->stress);
}

static bool get_producer_id(struct producer *producer) {
    while (client_connect(&producer->client)) {
        void *answer;
        if (client_call_json(&producer->client, "InitProducerId", &answer,
                             "{\"transactionalId\": null, \"transactionTimeoutMs\": 1000, "
                             "\"producerId\": -1, \"producerEpoch\": -1}") == ERR_OK) {
            const struct init_producer_id_response *response = answer;
            if (response->error_code == 0) {
                producer->id = response->producer_id;
                return true;
            }
            client_wait(&producer->client, 50);
        }
    }
    return false;
}

static void forget_shipments(struct producer *producer) {
    for (int i = 0; i < REQUESTS_MAX; i++) {
        producer->shipments[i].open = false;
    }
}

/* A new connection, and on it what is still open, or nothing. */
static void begin_again(struct producer *producer) {
    client_disconnect(&producer->client);
    leave_dead_topics(producer);
    if (!client_connect(&producer->client)) {
        return;
    }
    producer->broken = false;
    if (producer->kind != IDEMPOTENT) {
        register_producer(producer); /* the node may come to old requests after new ones */
        forget_shipments(producer);
        return;
    }
    uint64_t order = 0;
    struct shipment *shipment;
    while (!producer->broken && (shipment = oldest_after(producer, order)) != NULL) {
        order = shipment->order;
        atomic_fetch_add(&producer->stress->resent, 1);
        send_shipment(producer, shipment);
    }
}

static void produce(struct producer *producer) {
    while (!stress_is_ending(producer->stress)) {
        if (producer->broken || client_connection_error(producer->client.connection) != ERR_OK) {
            begin_again(producer);
            client_wait(&producer->client, 20);
            continue;
        }
        if (rng_one_in(&producer->client.rng, 300)) {
            producer->broken = true; /* for nothing: what is under way is sent again */
            continue;
        }
        struct shipment *idle = NULL;
        for (int i = 0; i < REQUESTS_MAX && idle == NULL; i++) {
            idle = producer->shipments[i].open ? NULL : &producer->shipments[i];
        }
        if (idle == NULL) {
            client_wait(&producer->client, 1000);
        } else if (make_shipment(producer, idle)) {
            send_shipment(producer, idle);
        } else {
            producer->broken = true; /* no topic left: choose others */
        }
    }
}

void *producer_run(void *arg) {
    struct thread *thread = arg;
    struct producer *producer = calloc(1, sizeof *producer);
    producer->stress = thread->stress;
    producer->kind = (enum kind)(thread->number % KINDS);
    producer->acks = producer->kind == CARELESS ? 0 : thread->number % 2 == 0 ? -1 : 1;
    producer->compression = compression_new();
    client_open(&producer->client, thread->stress, thread->seed);
    register_producer(producer);
    for (int i = 0; i < TARGETS; i++) {
        choose_target(producer, i);
    }
    if (get_producer_id(producer)) {
        produce(producer);
    }
    client_close(&producer->client);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        for (int k = 0; k < PARTS_MAX; k++) {
            buffer_done(&producer->shipments[i].parts[k].records);
        }
    }
    compression_free(producer->compression);
    free(producer);
    return NULL;
}
