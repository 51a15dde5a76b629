/*
 * What a broker answers to a fetch. Nothing in it is trusted: partitions that were not asked for
 * are passed over, each counts once, sessions that change their number are begun anew, and what
 * leads nowhere makes the fetcher rest.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/fetch_int.h"
#include "sys/sys.h"
#include "wire/messages.h"

enum {
    FETCH_IDLE_MAX = 16,           /* early answers without a record, in a row */
    FETCH_THROTTLE_MAX_MS = 60000, /* what a broker may ask for */
};

/* One answer, while it is read. */
struct reading {
    struct fetcher *fetcher;
    const struct client_answer *answer;
    const struct fetch_response *response;
    struct fetched_frame *frame; /* NULL until the first records are kept */
    struct bytes kept;           /* the frame, where it stays */
    bool brought;                /* records, or an error that was acted on */
};

/* --- errors --- */

static void learn_leader(const struct reading *reading, const struct position *position,
                         const struct fetch_response_partition_data *data) {
    int32_t leader = data->current_leader.leader_id;
    if (leader < 0 || data->current_leader.leader_epoch < 0) {
        return;
    }
    const struct fetch_response *response = reading->response;
    struct client_broker broker = {.id = leader};
    bool found = false;
    for (int32_t i = 0; i < response->node_endpoints_count && !found; i++) {
        const struct fetch_response_node_endpoint *node = &response->node_endpoints[i];
        if (node->node_id == leader && node->port > 0 && node->port <= UINT16_MAX) {
            broker.host = node->host;
            broker.port = (uint16_t)node->port;
            broker.rack = node->rack;
            found = true;
        }
    }
    (void)client_leader_learnt(reading->fetcher->consumer->client, position->topic->name,
                               position->partition, leader, data->current_leader.leader_epoch,
                               found ? &broker : NULL);
}

/* The leader is looked for again. */
static void move_on(struct ottla_consumer *consumer, struct position *position) {
    position->preferred = -1;
    position_rest(consumer, position);
    client_metadata_refresh(consumer->client);
    fetch_place(consumer, position);
}

static void out_of_range(struct ottla_consumer *consumer, struct position *position) {
    if (position->preferred >= 0) { /* the follower is behind, or ahead: the leader knows */
        position->preferred = -1;
        fetch_place(consumer, position);
    } else if (!list_empty(&position->fetched)) {
        position_rest(consumer, position); /* when the application has come to that offset */
    } else {
        position_reset_by_policy(consumer, position, ERR_OFFSET_OUT_OF_RANGE);
        position->attempt = position->resets;
        if (position->resets++ > 0) { /* the broker contradicts itself */
            position_rest(consumer, position);
        }
    }
}

static void partition_failed(struct reading *reading, struct position *position,
                             const struct fetch_response_partition_data *data, err_t err) {
    struct ottla_consumer *consumer = reading->fetcher->consumer;
    reading->brought = true;
    switch (err) {
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_FENCED_LEADER_EPOCH:
        learn_leader(reading, position, data);
        move_on(consumer, position);
        break;
    case ERR_OFFSET_OUT_OF_RANGE:
        out_of_range(consumer, position);
        break;
    default:
        if (!err_retriable(err) && err != ERR_UNKNOWN_SERVER_ERROR) {
            position_fail(consumer, position, err);
        }
        move_on(consumer, position);
        break;
    }
}

/* --- records --- */

/* The frame outlives the answer from now on. */
static void keep_frame(struct reading *reading) {
    if (reading->frame != NULL) {
        return;
    }
    reading->frame = calloc(1, sizeof *reading->frame);
    if (reading->frame == NULL) {
        abort();
    }
    reading->frame->users = 1;
    reading->kept = client_response_keep(reading->answer->from, &reading->frame->memory);
}

static void queue_records(struct reading *reading, struct position *position,
                          const struct fetch_response_partition_data *data, int64_t end) {
    struct ottla_consumer *consumer = reading->fetcher->consumer;
    keep_frame(reading);
    size_t place = (size_t)(data->records.data - reading->answer->frame.data);
    struct bytes records = {.data = reading->kept.data + place, .size = data->records.size};
    struct fetched *fetched = fetched_new(reading->frame, records, data->aborted_transactions,
                                          data->aborted_transactions_count);
    list_add_last(&position->fetched, &fetched->link);
    position->fetch_offset = end;
    fetch_add_size(consumer, position, records.size);
    if (!position->paused && !list_linked(&position->ready_link)) {
        list_add_last(&consumer->ready, &position->ready_link);
    }
    if (position->fetcher == reading->fetcher) { /* others come first the next time */
        list_remove(&position->fetcher_link);
        list_add_last(&reading->fetcher->positions, &position->fetcher_link);
    }
    consumer_wake(consumer);
}

static void partition_fruitless(struct ottla_consumer *consumer, struct position *position) {
    if (++position->fruitless >= FETCH_FRUITLESS_MAX) {
        position->fruitless = 0;
        position_fail(consumer, position, ERR_CORRUPT_MESSAGE);
        position_rest(consumer, position);
    }
}

static void partition_read(struct reading *reading, struct position *position,
                           const struct fetch_response_partition_data *data) {
    struct ottla_consumer *consumer = reading->fetcher->consumer;
    position->high_watermark = data->high_watermark;
    position->last_stable_offset = data->last_stable_offset;
    position->log_start_offset = data->log_start_offset;
    position->attempt = 0;
    if (data->preferred_read_replica >= 0) {
        position->preferred = data->preferred_read_replica;
        position->preferred_until_ms =
            consumer_now_ms(consumer) + consumer->settings->metadata_max_age_ms;
        fetch_place(consumer, position);
    }
    if (data->records.size == 0) {
        consumer_wake(consumer); /* the end may have been reached: at_end, lag */
        return;
    }
    int64_t end = fetched_end_offset(data->records, position->fetch_offset);
    if (end == position->fetch_offset) {
        partition_fruitless(consumer, position);
    } else {
        position->fruitless = 0;
        position->resets = 0;
        reading->brought = true;
        queue_records(reading, position, data, end);
    }
}

/* --- the answer --- */

static const struct consumer_topic *
topic_of(const struct ottla_consumer *consumer,
         const struct fetch_response_fetchable_topic_response *topic, bool by_id) {
    if (!by_id) {
        return map_get(&consumer->topics, str_bytes(topic->topic));
    }
    const struct client_topic *known = client_topic_by_id(consumer->client, &topic->topic_id);
    return known == NULL ? NULL : map_get(&consumer->topics, str_bytes(known->name));
}

static void read_partition(struct reading *reading, const struct consumer_topic *topic,
                           const struct fetch_response_partition_data *data) {
    struct position *position =
        map_get_u64(&topic->positions, (uint64_t)(int64_t)data->partition_index);
    if (position == NULL || !position->in_flight || position->fetcher != reading->fetcher ||
        position->sent_offset != position->fetch_offset) {
        return; /* not asked for, or not any more */
    }
    position->in_flight = false;
    err_t err = err_from_kafka_code(data->error_code);
    if (err == ERR_OK) {
        partition_read(reading, position, data);
    } else {
        partition_failed(reading, position, data, err);
    }
}

static void read_topics(struct reading *reading) {
    const struct fetch_response *response = reading->response;
    struct fetcher *fetcher = reading->fetcher;
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_fetchable_topic_response *entry = &response->responses[t];
        const struct consumer_topic *topic = topic_of(fetcher->consumer, entry, fetcher->by_id);
        if (topic == NULL) {
            continue;
        }
        for (int32_t p = 0; p < entry->partitions_count; p++) {
            read_partition(reading, topic, &entry->partitions[p]);
        }
    }
    if (reading->frame != NULL) {
        fetched_frame_unref(reading->frame);
    }
}

/* False: it was begun anew, or the answer is of another one. */
static bool session_continues(struct fetcher *fetcher, const struct fetch_response *response) {
    if (response->session_id == 0) {
        fetch_session_reset(fetcher, true); /* the broker has no room for sessions */
        return true;
    }
    if (!fetcher->full && response->session_id != fetcher->session_id) {
        fetch_session_reset(fetcher, false);
        return false;
    }
    fetcher->session_id = response->session_id;
    fetcher->session_epoch = fetcher->session_epoch == INT32_MAX ? 1 : fetcher->session_epoch + 1;
    return true;
}

static void rest(struct fetcher *fetcher) {
    struct ottla_consumer *consumer = fetcher->consumer;
    fetcher->attempt++;
    fetcher->rest_until_ms =
        consumer_now_ms(consumer) + client_backoff_ms(consumer->client, fetcher->attempt);
}

/* All of it failed. */
static void request_failed(struct fetcher *fetcher, err_t err) {
    struct ottla_consumer *consumer = fetcher->consumer;
    bool again = err == ERR_FETCH_SESSION_ID_NOT_FOUND && fetcher->attempt == 0;
    fetch_session_reset(fetcher, err == ERR_FETCH_SESSION_ID_NOT_FOUND);
    if (again) { /* brokers evict sessions, and lose them when they start */
        fetcher->attempt = 1;
        return;
    }
    rest(fetcher);
    client_metadata_refresh(consumer->client);
    struct list *link, *after;
    list_for_each_safe (link, after, &fetcher->positions) {
        struct position *position = container_of(link, struct position, fetcher_link);
        if (position->preferred >= 0) {
            position->preferred = -1; /* a follower that fails: back to the leader */
            fetch_place(consumer, position);
        }
    }
}

/* Empty answers that do not wait would keep both sides busy with nothing. */
static void count_idle(const struct reading *reading) {
    struct fetcher *fetcher = reading->fetcher;
    int64_t took_ms = consumer_now_ms(fetcher->consumer) - fetcher->sent_ms;
    if (reading->brought || took_ms >= fetcher->consumer->settings->fetch_max_wait_ms) {
        fetcher->idle = 0;
        fetcher->attempt = 0;
    } else if (++fetcher->idle >= FETCH_IDLE_MAX) {
        rest(fetcher);
    }
}

static void throttle(struct fetcher *fetcher, int32_t throttle_ms) {
    int64_t wait = throttle_ms > FETCH_THROTTLE_MAX_MS ? FETCH_THROTTLE_MAX_MS : throttle_ms;
    int64_t until = consumer_now_ms(fetcher->consumer) + wait;
    if (wait > 0 && until > fetcher->rest_until_ms) {
        fetcher->rest_until_ms = until;
    }
}

void fetch_answered(void *arg, const struct client_answer *answer) {
    struct fetcher *fetcher = arg;
    struct ottla_consumer *consumer = fetcher->consumer;
    fetcher->asked = NULL;
    fetcher->dirty = true;
    const struct fetch_response *response = answer->response;
    err_t err = answer->err != ERR_OK ? answer->err : err_from_kafka_code(response->error_code);
    if (err == ERR_OK && !session_continues(fetcher, response)) {
        err = ERR_MALFORMED;
    }
    if (err == ERR_OK) {
        struct reading reading = {.fetcher = fetcher, .answer = answer, .response = response};
        read_topics(&reading);
        count_idle(&reading);
        throttle(fetcher, response->throttle_time_ms);
    } else {
        request_failed(fetcher, err);
    }
    fetch_step(consumer);
}
