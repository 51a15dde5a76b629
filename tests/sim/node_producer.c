/*
 * A producer: batches for any partition, each sent until it is answered, as real clients do.
 *
 *   stream   one partition under one producer id: sequences, and its batches in their order
 *   batch    records with values of the auditor; queued or in flight
 *   call     one Produce request with batches of several streams
 *
 * When a batch fails, its stream is *held*: nothing more of it is sent until all that is in flight
 * was answered, then all is sent again in order.
 *
 *   answer of the oldest batch             what it means
 *   ------------------------------------   --------------------------------------------------------
 *   offset                                 acknowledged; the auditor is told
 *   no answer                              sent again; when a younger batch is acknowledged first,
 *                                          it was written, and must be known as a duplicate
 *   OUT_OF_ORDER, after a power cut that   the broker forgot what it had promised to nobody: a new
 *   may have taken records                 epoch, sequences from 0
 *   OUT_OF_ORDER otherwise                 a violation: the broker lost records or producers
 *   an error that passes                   sent again
 *   of a younger batch                     sent again, whatever it was
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "node_int.h"
#include "wire/api.h"
#include "wire/batch_builder.h"

enum {
    STREAM_BATCHES_MAX = 5,
    CALL_BATCHES_MAX = 4,
    RECORDS_MAX = 64,
    VERSION_WITH_IDS = 13,
    VERSION_WITH_ZSTD = 7,
    VERSION_MIN = 3,
    FRESH_ONE_IN = 12, /* lost connections after which the client is another one */
};

struct producer;

struct stream {
    struct list link;
    struct producer *producer;
    uint64_t number; /* of the producer's streams, from 1 */
    struct node_topic *topic;
    uint32_t incarnation;
    int32_t partition;
    struct audit_producer *audit;
    int64_t producer_id; /* -1: none yet */
    int16_t epoch;
    int32_t next_sequence;
    struct list batches; /* oldest first */
    int batch_count;
    int in_flight;
    bool held;
    int16_t last_code; /* why it is held */
    bool acknowledged_once;
    uint32_t acknowledged_cut; /* run->power_cut_count at the last acknowledgement */
};

struct batch {
    struct list link;
    struct stream *stream; /* NULL: given up */
    uint64_t first_value;
    int32_t count;
    int32_t sequence;
    int64_t timestamp_ms;
    enum compression_type codec;
    bool in_flight;
    bool may_be_written; /* sent, and not refused before anything was written */
    struct buffer bytes;
};

struct producer {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    bool idempotent;
    int16_t version;
    int calls_max;
    int calls;
    struct scenario_range wait;
    struct scenario_range records;
    struct scenario_range size;
    struct list streams;
    uint64_t stream_count; /* ever */
    struct compression *compression;
    bool asking_id;
};

struct call {
    struct producer *producer;
    struct batch *batches[CALL_BATCHES_MAX];
    int count;
};

struct id_call {
    struct producer *producer;
    uint64_t stream_number; /* not its address: the stream may be gone, and another one be there */
};

/* --- batches --- */

static uint32_t value_size(const struct producer *producer, uint64_t value) {
    uint64_t span = (uint64_t)(producer->size.most - producer->size.least) + 1;
    return (uint32_t)(producer->size.least +
                      (int64_t)(value * UINT64_C(0x9e3779b97f4a7c15) % span));
}

static void build(struct batch *batch) {
    struct stream *stream = batch->stream;
    struct producer *producer = stream->producer;
    struct batch_options options = {
        BATCH_OPTIONS_DEFAULT,
        .compression = batch->codec,
        .level = compression_level_default(batch->codec),
    };
    if (producer->idempotent) {
        options.producer_id = stream->producer_id;
        options.producer_epoch = stream->epoch;
        options.base_sequence = batch->sequence;
    }
    buffer_clear(&batch->bytes);
    struct batch_builder builder;
    batch_builder_init(&builder, &batch->bytes, &options);
    for (int32_t i = 0; i < batch->count; i++) {
        uint8_t bytes[4096];
        uint64_t value = batch->first_value + (uint64_t)i;
        uint32_t size = value_size(producer, value);
        assert(size <= sizeof bytes);
        audit_value_fill(value, bytes, size);
        char key[TOPIC_KEY_MAX];
        batch_builder_add(&builder, batch->timestamp_ms, topic_key(stream->topic, value, key),
                          (struct bytes){.data = bytes, .size = size}, NULL, 0);
    }
    batch_builder_finish(&builder, producer->compression);
}

static void batch_free(struct batch *batch) {
    buffer_done(&batch->bytes);
    free(batch);
}

static void add_batch(struct stream *stream) {
    struct producer *producer = stream->producer;
    struct node_sim *sim = producer->client.sim;
    struct batch *batch = calloc(1, sizeof *batch);
    assert(batch != NULL);
    batch->stream = stream;
    batch->count = (int32_t)node_draw(sim, producer->records);
    batch->timestamp_ms = sys_wall_ms(sim->sys);
    batch->codec = (enum compression_type)node_below(sim, 2 * COMPRESSION_TYPE_COUNT);
    if (batch->codec >
        (producer->version < VERSION_WITH_ZSTD ? COMPRESSION_LZ4 : COMPRESSION_ZSTD)) {
        batch->codec = COMPRESSION_NONE;
    }
    batch->sequence = stream->next_sequence;
    stream->next_sequence += batch->count;
    for (int32_t i = 0; i < batch->count; i++) {
        uint64_t value =
            audit_send(stream->audit, stream->topic->partitions[stream->partition].audit);
        batch->first_value = i == 0 ? value : batch->first_value;
    }
    build(batch);
    list_add_last(&stream->batches, &batch->link);
    stream->batch_count++;
}

/* Takes a batch out of its stream. What is in flight is freed with its call. */
static void drop_batch(struct batch *batch) {
    struct stream *stream = batch->stream;
    list_remove(&batch->link);
    stream->batch_count--;
    if (batch->in_flight) {
        stream->in_flight--;
        batch->stream = NULL;
    } else {
        batch_free(batch);
    }
}

static struct batch *oldest(struct stream *stream) {
    struct list *link = list_first(&stream->batches);
    return link == NULL ? NULL : container_of(link, struct batch, link);
}

/* --- streams --- */

static struct stream *stream_of(struct producer *producer, struct node_topic *topic,
                                int32_t partition) {
    struct list *link;
    list_for_each (link, &producer->streams) {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->topic == topic && stream->partition == partition) {
            return stream;
        }
    }
    struct stream *stream = calloc(1, sizeof *stream);
    assert(stream != NULL);
    stream->producer = producer;
    stream->number = ++producer->stream_count;
    stream->topic = topic;
    stream->incarnation = topic->incarnation;
    stream->partition = partition;
    stream->audit = audit_producer(producer->client.sim->run->audit, producer->idempotent,
                                   producer->idempotent);
    stream->producer_id = -1;
    list_init(&stream->batches);
    list_add_last(&producer->streams, &stream->link);
    return stream;
}

static void drop_stream(struct stream *stream) {
    struct batch *batch;
    while ((batch = oldest(stream)) != NULL) {
        drop_batch(batch);
    }
    list_remove(&stream->link);
    free(stream);
}

/* Streams to topics that were deleted come to their end. */
static void drop_stale(struct producer *producer) {
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &producer->streams) {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->incarnation != stream->topic->incarnation ||
            stream->topic->state != TOPIC_PRESENT) {
            drop_stream(stream);
        }
    }
}

/* All sequences anew, with what was not answered. */
static void restart_sequences(struct stream *stream) {
    stream->next_sequence = 0;
    struct list *link;
    list_for_each (link, &stream->batches) {
        struct batch *batch = container_of(link, struct batch, link);
        assert(!batch->in_flight);
        batch->sequence = stream->next_sequence;
        stream->next_sequence += batch->count;
        build(batch);
    }
}

/* --- answers --- */

/* Records that were acknowledged may be gone. */
static bool may_have_lost(const struct stream *stream) {
    const struct run *run = stream->producer->client.sim->run;
    return !stream->topic->synced && stream->acknowledged_once &&
           stream->acknowledged_cut < run->power_cut_count;
}

/* Batches older than one that is acknowledged are there, too, written by a process that was killed
 * before it could say so: they are sent again, and must be known as duplicates. Only where the
 * broker knew nothing of the producer any more it took any sequence. */
static void check_older(struct batch *acknowledged) {
    struct stream *stream = acknowledged->stream;
    bool known = stream->acknowledged_once && !may_have_lost(stream);
    struct batch *batch;
    while ((batch = oldest(stream)) != acknowledged && !known) {
        drop_batch(batch);
    }
    struct list *link;
    list_for_each (link, &stream->batches) {
        batch = container_of(link, struct batch, link);
        if (batch == acknowledged) {
            return;
        }
        if (!batch->may_be_written) {
            node_fail(stream->producer->client.sim,
                      "%s-%d: a batch with sequence %d is acknowledged before that with %d",
                      stream->topic->name, stream->partition, acknowledged->sequence,
                      batch->sequence);
        }
    }
}

static void acknowledge(struct batch *batch, int64_t base_offset) {
    struct stream *stream = batch->stream;
    struct node_sim *sim = stream->producer->client.sim;
    if (stream->producer->idempotent) {
        check_older(batch);
    }
    for (int32_t i = 0; i < batch->count; i++) {
        audit_ack(sim->run->audit, batch->first_value + (uint64_t)i, base_offset + i,
                  stream->topic->synced ? AUDIT_SYNCED : AUDIT_WRITTEN);
    }
    stream->acknowledged_once = true;
    stream->acknowledged_cut = sim->said_cut;
    drop_batch(batch);
}

static void refuse(struct batch *batch, int16_t code) {
    struct stream *stream = batch->stream;
    struct node_sim *sim = stream->producer->client.sim;
    bool is_oldest = oldest(stream) == batch;
    bool sequence_lost =
        code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER || code == ERR_INVALID_PRODUCER_EPOCH;
    stream->held = true;
    stream->last_code = code;
    if (node_error_passes(code) || (sequence_lost && !is_oldest)) {
        return;
    }
    if (sequence_lost && may_have_lost(stream)) {
        points_add(sim->run->points, "producer_forgotten_with_the_power", 1);
        stream->epoch++;
        stream->next_sequence = -1; /* when nothing is in flight: restart_sequences */
        return;
    }
    node_fail(sim, "%s-%d: a batch with sequence %d of producer %" PRId64 " is refused with %s",
              stream->topic->name, stream->partition, batch->sequence, stream->producer_id,
              err_name(code));
}

/* The answer for a batch; code ERR_OK with offset -1: there was none. */
static void take_answer(struct batch *batch, int16_t code, int64_t base_offset) {
    struct stream *stream = batch->stream;
    if (stream == NULL) {
        batch_free(batch); /* nobody cares any more */
        return;
    }
    batch->in_flight = false;
    stream->in_flight--;
    if (code != ERR_OK) {
        batch->may_be_written |= code == ERR_REQUEST_TIMED_OUT || code == ERR_KAFKA_STORAGE_ERROR;
        refuse(batch, code);
    } else if (base_offset < 0) {
        node_fail(stream->producer->client.sim, "%s-%d: acknowledged at offset %" PRId64,
                  stream->topic->name, stream->partition, base_offset);
    } else {
        acknowledge(batch, base_offset);
    }
    if (stream->in_flight == 0 && stream->held) {
        stream->held = false;
        if (stream->next_sequence < 0) {
            restart_sequences(stream);
        }
    }
}

static void answer_of(const struct produce_response *response, const struct batch *batch,
                      int16_t *ret_code, int64_t *ret_offset) {
    const struct stream *stream = batch->stream;
    *ret_code = ERR_UNKNOWN_SERVER_ERROR;
    for (int32_t t = 0; t < response->responses_count && stream != NULL; t++) {
        const struct produce_response_topic_produce_response *topic = &response->responses[t];
        if (stream->producer->version >= VERSION_WITH_IDS
                ? !uuid_equal(topic->topic_id, stream->topic->id)
                : !str_equal(topic->name, str_from_c(stream->topic->name))) {
            continue;
        }
        for (int32_t p = 0; p < topic->partition_responses_count; p++) {
            if (topic->partition_responses[p].index == stream->partition) {
                *ret_code = topic->partition_responses[p].error_code;
                *ret_offset = topic->partition_responses[p].base_offset;
            }
        }
    }
}

static void send_all(struct producer *producer);

static void answered(void *arg, const struct client_response *response) {
    struct call *call = arg;
    struct producer *producer = call->producer;
    producer->calls--;
    drop_stale(producer);
    for (int i = 0; i < call->count; i++) {
        int16_t code = ERR_REQUEST_TIMED_OUT; /* no answer: the same as one that says try again */
        int64_t offset = -1;
        if (response->err == ERR_OK) {
            answer_of(response->message, call->batches[i], &code, &offset);
        }
        take_answer(call->batches[i], code, offset);
    }
    free(call);
    if (response->err == ERR_OK && node_below(producer->client.sim, 2) == 0) {
        send_all(producer);
    }
}

/* --- sending --- */

static void send_call(struct call *call) {
    struct producer *producer = call->producer;
    struct produce_request_partition_produce_data partitions[CALL_BATCHES_MAX];
    struct produce_request_topic_produce_data topics[CALL_BATCHES_MAX];
    struct produce_request request;
    wire_init(&produce_request_type, &request);
    request.acks =
        producer->idempotent ? -1 : (int16_t)(node_below(producer->client.sim, 2) * 2 - 1);
    request.timeout_ms = 3000;
    request.topic_data = topics;
    for (int i = 0; i < call->count; i++) { /* sorted by topic, see gather */
        const struct stream *stream = call->batches[i]->stream;
        const struct buffer *bytes = &call->batches[i]->bytes;
        partitions[i] = (struct produce_request_partition_produce_data){
            .index = stream->partition, .records = {.data = bytes->data, .size = bytes->size}};
        if (i == 0 || call->batches[i - 1]->stream->topic != stream->topic) {
            topics[request.topic_data_count++] = (struct produce_request_topic_produce_data){
                .name = str_from_c(stream->topic->name),
                .topic_id = stream->topic->id,
                .partition_data = &partitions[i],
            };
        }
        topics[request.topic_data_count - 1].partition_data_count++;
    }
    for (int i = 0; i < request.topic_data_count; i++) {
        if (producer->version >= VERSION_WITH_IDS) {
            topics[i].name = STR("");
        } else {
            topics[i].topic_id = UUID_ZERO;
        }
    }
    producer->calls++;
    err_t err =
        node_link_send(&producer->link, API_PRODUCE, producer->version, &request, answered, call);
    if (err != ERR_OK) {
        answered(call, &(struct client_response){.err = err});
    }
}

/* The next batch of a stream that may be sent. */
static struct batch *next_of(struct stream *stream) {
    if (stream->held || (stream->producer->idempotent && stream->producer_id < 0)) {
        return NULL;
    }
    struct list *link;
    list_for_each (link, &stream->batches) {
        struct batch *batch = container_of(link, struct batch, link);
        if (!batch->in_flight) {
            return batch;
        }
    }
    return NULL;
}

static int by_topic(const void *a, const void *b) {
    const struct stream *first = (*(struct batch *const *)a)->stream;
    const struct stream *second = (*(struct batch *const *)b)->stream;
    int order = strcmp(first->topic->name, second->topic->name);
    return order != 0 ? order : first->partition - second->partition;
}

static bool send_some(struct producer *producer) {
    struct call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->producer = producer;
    struct list *link;
    list_for_each (link, &producer->streams) {
        struct stream *stream = container_of(link, struct stream, link);
        struct batch *batch = next_of(stream);
        if (batch != NULL && call->count < CALL_BATCHES_MAX) {
            batch->in_flight = true;
            stream->in_flight++;
            call->batches[call->count++] = batch;
        }
    }
    if (call->count == 0) {
        free(call);
        return false;
    }
    qsort(call->batches, (size_t)call->count, sizeof call->batches[0], by_topic);
    send_call(call);
    return true;
}

static void send_all(struct producer *producer) {
    drop_stale(producer);
    while (producer->link.is_up && producer->calls < producer->calls_max && send_some(producer)) {
    }
}

/* --- producer ids --- */

static void id_answered(void *arg, const struct client_response *response) {
    struct id_call *call = arg;
    struct producer *producer = call->producer;
    struct node_sim *sim = producer->client.sim;
    producer->asking_id = false;
    const struct init_producer_id_response *message = response->message;
    if (response->err == ERR_OK && message->error_code == ERR_OK) {
        node_note_producer_id(sim, message->producer_id);
        struct list *link;
        list_for_each (link, &producer->streams) {
            struct stream *stream = container_of(link, struct stream, link);
            if (stream->number == call->stream_number && stream->producer_id < 0) {
                stream->producer_id = message->producer_id;
                stream->epoch = message->producer_epoch;
                restart_sequences(stream);
            }
        }
    } else if (response->err == ERR_OK && !node_error_passes(message->error_code) &&
               message->error_code != ERR_COORDINATOR_NOT_AVAILABLE) {
        node_fail(sim, "InitProducerId is answered with %s", err_name(message->error_code));
    }
    free(call);
}

static void ask_for_id(struct producer *producer) {
    struct list *link;
    struct stream *stream = NULL;
    list_for_each (link, &producer->streams) {
        struct stream *candidate = container_of(link, struct stream, link);
        stream = stream == NULL && candidate->producer_id < 0 ? candidate : stream;
    }
    if (!producer->idempotent || stream == NULL || producer->asking_id) {
        return;
    }
    struct init_producer_id_request request;
    wire_init(&init_producer_id_request_type, &request);
    request.transactional_id = STR_NULL;
    struct id_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    *call = (struct id_call){.producer = producer, .stream_number = stream->number};
    producer->asking_id = true;
    if (node_link_send(&producer->link, API_INIT_PRODUCER_ID, 4, &request, id_answered, call) !=
        ERR_OK) {
        producer->asking_id = false;
        free(call);
    }
}

/* --- turns --- */

static void write_more(struct producer *producer) {
    struct node_sim *sim = producer->client.sim;
    int wanted = 1 + (int)node_below(sim, CALL_BATCHES_MAX);
    for (int i = 0; i < wanted; i++) {
        struct node_topic *topic = &sim->topics[node_below(sim, (uint64_t)sim->topic_count)];
        if (!topic_is_usable(topic) ||
            (topic->comes_and_goes && producer->version < VERSION_WITH_IDS)) {
            continue; /* by its name a late batch might get into the next topic of that name */
        }
        int32_t partition = (int32_t)node_below(sim, (uint64_t)topic->partition_count);
        struct stream *stream = stream_of(producer, topic, partition);
        if (stream->batch_count < STREAM_BATCHES_MAX && stream->next_sequence >= 0) {
            add_batch(stream);
        }
    }
}

static bool has_batches(struct producer *producer) {
    struct list *link;
    list_for_each (link, &producer->streams) {
        if (container_of(link, struct stream, link)->batch_count > 0) {
            return true;
        }
    }
    return false;
}

static void turn(struct sys_timer *timer) {
    struct producer *producer = container_of(timer, struct producer, timer);
    struct node_sim *sim = producer->client.sim;
    drop_stale(producer);
    if (sim->finishing && !has_batches(producer) && producer->calls == 0) {
        producer->client.over = true;
        return;
    }
    if (!sim->finishing && producer->link.is_up) {
        write_more(producer);
    }
    ask_for_id(producer);
    send_all(producer);
    node_timer_in(sim, &producer->timer, node_draw(sim, producer->wait) / 1000);
}

/* Sometimes it was the client that ended, and the next one knows nothing of what was under way. */
static void down(struct node_link *link) {
    struct producer *producer = container_of(link, struct producer, link);
    struct node_sim *sim = producer->client.sim;
    if (node_below(sim, FRESH_ONE_IN) == 0) {
        while (!list_empty(&producer->streams)) {
            drop_stream(container_of(list_first(&producer->streams), struct stream, link));
        }
    }
}

static void describe(struct node_client *client, char *text, size_t size) {
    struct producer *producer = container_of(client, struct producer, client);
    struct list *link;
    list_for_each (link, &producer->streams) {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->batch_count > 0) {
            snprintf(text, size,
                     "a producer for %s-%d: sequence %d of producer id %" PRId64
                     ", %d in flight, the last error was %s",
                     stream->topic->name, stream->partition, oldest(stream)->sequence,
                     stream->producer_id, stream->in_flight, err_name(stream->last_code));
        }
    }
}

static void producer_free(struct node_client *client) {
    struct producer *producer = container_of(client, struct producer, client);
    compression_free(producer->compression);
    while (!list_empty(&producer->streams)) {
        drop_stream(container_of(list_first(&producer->streams), struct stream, link));
    }
    free(producer);
}

void node_producer_new(struct node_sim *sim, struct scenario_line *line) {
    struct producer *producer = calloc(1, sizeof *producer);
    assert(producer != NULL);
    node_client_add(sim, &producer->client, "producer");
    producer->client.free = producer_free;
    producer->client.describe = describe;
    producer->idempotent = scenario_flag(line, "idempotent", true);
    producer->calls_max = (int)node_draw(sim, scenario_range(line, "in_flight", "1-5"));
    producer->wait = scenario_range(line, "wait", "10ms-200ms");
    producer->records = scenario_range(line, "records", "1-10");
    producer->size = scenario_range(line, "size", "24-300");
    assert(producer->size.least >= AUDIT_VALUE_SIZE_MIN && producer->records.most <= RECORDS_MAX);
    producer->version =
        node_below(sim, 2) == 0
            ? VERSION_WITH_IDS
            : (int16_t)(VERSION_MIN + node_below(sim, VERSION_WITH_IDS - VERSION_MIN));
    producer->compression = compression_new();
    list_init(&producer->streams);
    producer->timer.fire = turn;
    producer->link.down = down;
    node_link_begin(&producer->link, sim);
    node_timer_in(sim, &producer->timer, node_draw(sim, producer->wait) / 1000);
}
