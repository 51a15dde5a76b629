/*
 * From ready partitions to requests.
 *
 * A request takes one batch of each partition that is ready for its broker, in turn, up to
 * max.request.size. It is put together in the turn after something became ready, so that what
 * became ready together goes together. A batch gets its producer, sequence and checksum when it
 * goes out for the first time; what is sent again are the same bytes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/producer_int.h"
#include "wire/api.h"

enum {
    VERSION_WITHOUT_IDS = 12,
    REQUEST_OVERHEAD = 512,
    NO_CONNECTION_MS = 20, /* until a broker is looked at again that may not be connected to now */
};

/* --- brokers --- */

static void hold_over(struct sys_timer *timer) {
    struct producer_broker *broker = container_of(timer, struct producer_broker, timer);
    producer_send_soon(broker->producer);
}

struct producer_broker *producer_broker_get(struct ottla_producer *producer, int32_t id) {
    struct list *link;
    list_for_each (link, &producer->brokers) {
        struct producer_broker *broker = container_of(link, struct producer_broker, link);
        if (broker->id == id) {
            return broker;
        }
    }
    struct producer_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        abort();
    }
    broker->producer = producer;
    broker->id = id;
    broker->ready_since_ms = -1;
    broker->timer.fire = hold_over;
    list_init(&broker->ready);
    list_add_last(&producer->brokers, &broker->link);
    return broker;
}

static void free_broker(struct producer_broker *broker) {
    list_remove(&broker->link);
    sys_timer_clear(broker->producer->loop, &broker->timer);
    free(broker);
}

void producer_brokers_sweep(struct ottla_producer *producer) {
    struct list *link, *after;
    list_for_each_safe (link, after, &producer->brokers) {
        struct producer_broker *broker = container_of(link, struct producer_broker, link);
        if (list_empty(&broker->ready) && broker->in_flight == 0) {
            free_broker(broker);
        }
    }
}

void producer_brokers_free(struct ottla_producer *producer) {
    struct list *link;
    while ((link = list_first(&producer->brokers)) != NULL) {
        free_broker(container_of(link, struct producer_broker, link));
    }
}

void producer_broker_hold(struct producer_broker *broker, int64_t duration_ms) {
    int64_t until_ms = sys_mono_ms(broker->producer->sys) + duration_ms;
    if (until_ms > broker->held_until_ms) {
        broker->held_until_ms = until_ms;
        sys_timer_set(broker->producer->loop, &broker->timer, until_ms);
    }
}

/* --- putting a request together --- */

static struct producer_request *new_request(struct producer_broker *broker) {
    struct ottla_producer *producer = broker->producer;
    struct producer_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        abort();
    }
    request->producer = producer;
    request->broker = broker;
    arena_init(&request->arena, SIZE_MAX);
    wire_init(&produce_request_type, &request->message);
    if (producer->transaction != NULL) {
        request->message.transactional_id = str_from_c(producer->settings.transactional_id);
    }
    request->message.acks = (int16_t)producer->settings.acks;
    request->message.timeout_ms = (int32_t)producer->settings.request_timeout_ms;
    list_add_last(&producer->requests, &request->link);
    broker->in_flight++;
    return request;
}

void producer_request_free(struct producer_request *request) {
    request->broker->in_flight--;
    list_remove(&request->link);
    arena_done(&request->arena);
    free(request->sent);
    free(request);
}

static void add_batch(struct producer_request *request, struct producer_partition *partition,
                      struct batch *batch) {
    struct ottla_producer *producer = request->producer;
    producer_sequence_stamp(partition, batch);
    if ((request->sent_count & (request->sent_count - 1)) == 0) { /* a power of two: it is full */
        size_t capacity = request->sent_count == 0 ? 1 : request->sent_count * 2;
        request->sent = realloc(request->sent, capacity * sizeof *request->sent);
        if (request->sent == NULL) {
            abort();
        }
    }
    request->sent[request->sent_count++] =
        (struct producer_sent){.batch = batch, .partition = partition};
    if (batch->sent) {
        producer->stats.retries++;
    } else {
        producer->stats.batches++;
    }
    batch->sent = true;
    batch->attempts++;
    batch->state = BATCH_IN_FLIGHT;
    partition->in_flight++;
    partition->in_flight_broker = request->broker->id;
    partition->request_number = producer->request_number;
}

/* A batch of each partition that is ready; those that have more are ready again. */
static struct producer_request *collect(struct producer_broker *broker) {
    struct ottla_producer *producer = broker->producer;
    struct producer_request *request = NULL;
    size_t size = REQUEST_OVERHEAD;
    uint64_t number = ++producer->request_number;
    struct list *link;
    while ((link = list_first(&broker->ready)) != NULL) {
        struct producer_partition *partition = container_of(link, struct producer_partition, ready);
        if (partition->request_number == number) {
            break; /* once around */
        }
        struct batch *batch = producer_partition_next(partition);
        if (batch == NULL) {
            list_remove(link);
            continue;
        }
        producer_batch_close(partition, batch);
        size += batch->bytes.size;
        if (request != NULL && size > (size_t)producer->settings.max_request_size) {
            break;
        }
        list_remove(link);
        request = request != NULL ? request : new_request(broker);
        add_batch(request, partition, batch);
        if (producer_partition_next(partition) != NULL) {
            list_add_last(&broker->ready, link);
        }
    }
    return request;
}

/* Counts the partitions of each topic, which gets a slot. */
static int32_t count_topics(struct producer_request *request, int32_t *counts) {
    for (size_t i = 0; i < request->sent_count; i++) {
        request->sent[i].partition->topic->slot = -1;
    }
    int32_t topic_count = 0;
    for (size_t i = 0; i < request->sent_count; i++) {
        struct producer_topic *topic = request->sent[i].partition->topic;
        if (topic->slot < 0) {
            topic->slot = topic_count++;
            counts[topic->slot] = 0;
        }
        counts[topic->slot]++;
    }
    return topic_count;
}

/* The message names each topic once; `sent` is put in its order. */
static void write_message(struct producer_request *request) {
    struct arena *arena = &request->arena;
    size_t count = request->sent_count;
    int32_t *counts = ARENA_ARRAY(arena, int32_t, count);
    int32_t topic_count = count_topics(request, counts);
    struct produce_request *message = &request->message;
    message->topic_data =
        ARENA_ARRAY(arena, struct produce_request_topic_produce_data, (size_t)topic_count);
    message->topic_data_count = topic_count;
    size_t *places = ARENA_ARRAY(arena, size_t, (size_t)topic_count);
    size_t place = 0;
    for (int32_t i = 0; i < topic_count; i++) {
        places[i] = place;
        place += (size_t)counts[i];
        message->topic_data[i].partition_data =
            ARENA_ARRAY(arena, struct produce_request_partition_produce_data, (size_t)counts[i]);
    }
    struct producer_sent *sent = malloc(count * sizeof *sent);
    if (sent == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        struct producer_partition *partition = request->sent[i].partition;
        const struct producer_topic *topic = partition->topic;
        struct produce_request_topic_produce_data *data = &message->topic_data[topic->slot];
        data->name = topic->name_str;
        data->topic_id = topic->id;
        data->partition_data[data->partition_data_count++] =
            (struct produce_request_partition_produce_data){
                .index = partition->index, .records = buffer_bytes(&request->sent[i].batch->bytes)};
        sent[places[topic->slot]++] = request->sent[i];
    }
    free(request->sent);
    request->sent = sent;
}

/* Topics are named by ids when all have one. */
static int16_t version_max(const struct producer_request *request) {
    int16_t transaction_max = producer_transaction_produce_version(request->producer);
    if (transaction_max >= 0) {
        return transaction_max;
    }
    for (int32_t i = 0; i < request->message.topic_data_count; i++) {
        if (uuid_is_zero(request->message.topic_data[i].topic_id)) {
            return VERSION_WITHOUT_IDS;
        }
    }
    return -1;
}

static void send_request(struct producer_request *request) {
    struct ottla_producer *producer = request->producer;
    write_message(request);
    producer->stats.requests++;
    request->asked =
        client_ask(producer->client, &(struct client_ask){
                                         .role = CLIENT_BROKER,
                                         .broker_id = request->broker->id,
                                         .lane = CLIENT_LANE_WRITE,
                                         .api_key = API_PRODUCE,
                                         .version_max = version_max(request),
                                         .request = &request->message,
                                         .timeout_ms = producer->settings.delivery_timeout_ms,
                                         .try_timeout_ms = producer->settings.request_timeout_ms,
                                         .no_answer = producer->settings.acks == 0,
                                         .done = producer_answered,
                                         .arg = request,
                                     });
}

/* --- sending --- */

static void send_to(struct producer_broker *broker) {
    struct ottla_producer *producer = broker->producer;
    size_t max = (size_t)producer->settings.max_in_flight_requests_per_connection;
    int64_t now_ms = sys_mono_ms(producer->sys);
    while (!list_empty(&broker->ready) && broker->in_flight < max &&
           now_ms >= broker->held_until_ms) {
        if (client_broker_pending(producer->client, broker->id, CLIENT_LANE_WRITE) == SIZE_MAX) {
            producer_broker_hold(broker, NO_CONNECTION_MS);
            client_metadata_refresh(producer->client);
            break;
        }
        struct producer_request *request = collect(broker);
        if (request == NULL) {
            break;
        }
        send_request(request);
        broker->ready_since_ms = -1;
    }
    if (list_empty(&broker->ready)) {
        broker->ready_since_ms = -1;
    } else if (broker->ready_since_ms < 0) {
        broker->ready_since_ms = now_ms;
    }
}

void producer_send_soon(struct ottla_producer *producer) {
    if (!sys_timer_is_set(&producer->send_timer)) {
        sys_timer_set(producer->loop, &producer->send_timer, sys_loop_now_ms(producer->loop));
    }
}

void producer_send_ready(struct sys_timer *timer) {
    struct ottla_producer *producer = container_of(timer, struct ottla_producer, send_timer);
    struct list *link;
    list_for_each (link, &producer->brokers) {
        send_to(container_of(link, struct producer_broker, link));
    }
}
