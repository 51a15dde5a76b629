/*
 * What an answer means for each batch of its request.
 *
 *   error                                                 the batch
 *   ---------------------------------------------------   ------------------------------------
 *   none, DUPLICATE_SEQUENCE_NUMBER                       is written
 *   MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE              is halved, down to single records
 *   OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID     see producer_sequence.c
 *   retriable; no answer; no answer for this partition    goes again, `retries` times
 *   CLUSTER_AUTHORIZATION_FAILED of an idempotent one,    is over, and so is the producer
 *   PRODUCER_FENCED … of a transactional one
 *   any other                                             is over
 *
 * What has no answer, or one that leaves it open, may have been written. The broker is not trusted:
 * what it says of partitions that it was not asked about is not looked at.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/producer_int.h"
#include "wire/api.h"

/* A batch and its answer. */
struct verdict {
    struct producer_partition *partition;
    struct batch *batch;
    err_t err;
    struct str text;
    bool maybe_written;
    int64_t log_start_offset;
};

static void again(const struct verdict *verdict) {
    struct producer_partition *partition = verdict->partition;
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *batch = verdict->batch;
    batch->maybe_written = batch->maybe_written || verdict->maybe_written;
    if (batch->told || batch->attempts > producer->settings.retries) {
        producer_batch_over(partition, batch, verdict->err, verdict->text);
        return;
    }
    batch_set_outcome(batch, verdict->err, verdict->text); /* for when its time is over */
    int64_t retry_ms =
        sys_mono_ms(producer->sys) + client_backoff_ms(producer->client, batch->attempts);
    if (retry_ms > partition->retry_ms) {
        partition->retry_ms = retry_ms;
    }
}

static void written(const struct verdict *verdict, int64_t offset, int64_t append_time_ms) {
    struct batch *batch = verdict->batch;
    producer_sequence_written(verdict->partition, batch);
    if (!batch->told) {
        batch->offset = offset;
        batch->append_time_ms = append_time_ms;
    }
    verdict->partition->retry_ms = 0;
    producer_batch_over(verdict->partition, batch, ERR_OK, STR_NULL);
}

static void halve(const struct verdict *verdict) {
    struct producer_partition *partition = verdict->partition;
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *halves[2];
    producer->stats.splits++;
    client_log(producer->client, OTTLA_LOG_DEBUG,
               "%s-%" PRId32 ": a batch of %" PRId32 " records (%zu bytes) is too large for the "
               "broker; it goes in halves",
               partition->topic->name, partition->index, batch_record_count(verdict->batch),
               verdict->batch->bytes.size);
    batch_split(&producer->batches, verdict->batch, halves);
    producer_sequence_stamp_halves(partition, verdict->batch, halves);
    producer_partition_replace(partition, verdict->batch, halves);
}

/* Leaders, ids or partitions are not what we think. */
static bool says_metadata_is_old(err_t err) {
    switch (err) {
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_LEADER_NOT_AVAILABLE:
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_REPLICA_NOT_AVAILABLE:
    case ERR_KAFKA_STORAGE_ERROR:
    case ERR_FENCED_LEADER_EPOCH:
    case ERR_UNKNOWN_LEADER_EPOCH:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_INCONSISTENT_TOPIC_ID:
    case ERR_NETWORK_EXCEPTION:
        return true;
    default:
        return false;
    }
}

/* The broker may have written it all the same. */
static bool leaves_it_open(err_t err) {
    return err == ERR_REQUEST_TIMED_OUT || err == ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
           err == ERR_KAFKA_STORAGE_ERROR || err == ERR_NETWORK_EXCEPTION ||
           err == ERR_UNKNOWN_SERVER_ERROR;
}

static void refused(struct verdict *verdict) {
    struct producer_partition *partition = verdict->partition;
    struct ottla_producer *producer = partition->topic->producer;
    struct batch *batch = verdict->batch;
    err_t err = verdict->err;
    bool too_large = err == ERR_MESSAGE_TOO_LARGE || err == ERR_RECORD_LIST_TOO_LARGE;
    bool out_of_order = err == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER || err == ERR_UNKNOWN_PRODUCER_ID;
    if (says_metadata_is_old(err)) {
        client_metadata_refresh(producer->client);
    }
    if (too_large && batch_record_count(batch) > 1 && !batch->told) {
        halve(verdict);
        return;
    }
    bool repeat = err_retriable(err);
    if (producer->idempotent && out_of_order) {
        repeat = producer_sequence_refused(partition, batch, verdict->log_start_offset, err);
    }
    if (repeat) {
        again(verdict);
        return;
    }
    producer_batch_over(partition, batch, err, verdict->text);
    if ((producer->idempotent && err == ERR_CLUSTER_AUTHORIZATION_FAILED) ||
        producer_transaction_ends_with(producer, err)) {
        producer->ending = err;
    }
}

/* --- reading the answer --- */

static void learn_leader(struct producer_partition *partition,
                         const struct produce_response *response,
                         const struct produce_response_leader_id_and_epoch *leader) {
    if (leader->leader_id < 0 || leader->leader_epoch < 0) {
        return;
    }
    struct client_broker endpoint = {.id = leader->leader_id};
    for (int32_t i = 0; i < response->node_endpoints_count; i++) {
        const struct produce_response_node_endpoint *node = &response->node_endpoints[i];
        if (node->node_id == leader->leader_id && node->port > 0 && node->port <= UINT16_MAX) {
            endpoint.host = node->host;
            endpoint.port = (uint16_t)node->port;
            endpoint.rack = node->rack;
            break;
        }
    }
    (void)client_leader_learnt(partition->topic->producer->client, partition->topic->name_str,
                               partition->index, leader->leader_id, leader->leader_epoch,
                               endpoint.host.data == NULL ? NULL : &endpoint);
}

static void read_partition(struct producer_sent *sent, const struct produce_response *response,
                           const struct produce_response_partition_produce_response *answer) {
    struct batch *batch = sent->batch;
    struct verdict verdict = {
        .partition = sent->partition,
        .batch = batch,
        .err = err_from_kafka_code(answer->error_code),
        .text = answer->error_message,
        .log_start_offset = answer->log_start_offset,
    };
    sent->answered = true;
    verdict.maybe_written = leaves_it_open(verdict.err);
    if (verdict.err == ERR_OK) {
        written(&verdict, answer->base_offset, answer->log_append_time_ms);
        return;
    }
    if (verdict.err == ERR_DUPLICATE_SEQUENCE_NUMBER) {
        written(&verdict, -1, -1);
        return;
    }
    for (int32_t i = 0; i < answer->record_errors_count && !batch->told; i++) {
        batch_add_complaint(batch, answer->record_errors[i].batch_index,
                            answer->record_errors[i].batch_index_error_message);
    }
    learn_leader(sent->partition, response, &answer->current_leader);
    refused(&verdict);
}

static bool same_topic(const struct produce_request_topic_produce_data *asked,
                       const struct produce_response_topic_produce_response *answered, bool by_id) {
    return by_id ? uuid_equal(asked->topic_id, answered->topic_id)
                 : str_equal(asked->name, answered->name);
}

/* The batches of a topic stand together in `sent`. Brokers answer in order, mostly: the search
 * begins where the last one ended. */
static void read_topic(struct producer_request *request, size_t first, size_t count,
                       const struct produce_response *response,
                       const struct produce_response_topic_produce_response *answer) {
    size_t next = 0;
    for (int32_t i = 0; i < answer->partition_responses_count && (size_t)i < count; i++) {
        for (size_t tries = 0; tries < count; tries++, next++) {
            struct producer_sent *sent = &request->sent[first + next % count];
            if (!sent->answered && sent->partition->index == answer->partition_responses[i].index) {
                read_partition(sent, response, &answer->partition_responses[i]);
                break;
            }
        }
    }
}

static void read_response(struct producer_request *request, int16_t version,
                          const struct produce_response *response) {
    enum { VERSION_WITH_IDS = 13 };
    const struct produce_request *asked = &request->message;
    int32_t topic_count = asked->topic_data_count;
    int32_t next = 0;
    size_t *firsts = ARENA_ARRAY(&request->arena, size_t, (size_t)topic_count + 1);
    for (int32_t i = 0; i < topic_count; i++) {
        firsts[i + 1] = firsts[i] + (size_t)asked->topic_data[i].partition_data_count;
    }
    for (int32_t i = 0; i < response->responses_count && i < topic_count; i++) {
        for (int32_t tries = 0; tries < topic_count; tries++, next++) {
            int32_t at = next % topic_count;
            if (same_topic(&asked->topic_data[at], &response->responses[i],
                           version >= VERSION_WITH_IDS)) {
                read_topic(request, firsts[at], firsts[at + 1] - firsts[at], response,
                           &response->responses[i]);
                break;
            }
        }
    }
}

/* --- the whole --- */

/* Those that were not answered: nobody knows. */
static void without_answer(struct producer_request *request, err_t err, struct str text) {
    struct ottla_producer *producer = request->producer;
    for (size_t i = 0; i < request->sent_count; i++) {
        struct producer_sent *sent = &request->sent[i];
        if (sent->answered) {
            continue;
        }
        struct verdict verdict = {
            .partition = sent->partition,
            .batch = sent->batch,
            .err = client_connection_lost(err) ? ERR_NETWORK_EXCEPTION
                   : err == ERR_TIMED_OUT      ? ERR_REQUEST_TIMED_OUT
                                               : err,
            .text = text,
            .maybe_written = err != ERR_REFUSED && err != ERR_UNSUPPORTED_VERSION,
        };
        if (err == ERR_UNSUPPORTED_VERSION) {
            producer_batch_over(sent->partition, sent->batch, err, text);
            if (producer_transaction_ends_with(producer, err)) {
                producer->ending = err;
            }
        } else {
            again(&verdict);
        }
    }
    if (err != ERR_OK) {
        client_metadata_refresh(producer->client);
    }
}

static void accept_all(struct producer_request *request) {
    for (size_t i = 0; i < request->sent_count; i++) {
        struct producer_sent *sent = &request->sent[i];
        sent->answered = true;
        written(&(struct verdict){.partition = sent->partition, .batch = sent->batch}, -1, -1);
    }
}

/* No pause that a broker asks for is longer than what a record may take. */
static void throttle(struct producer_broker *broker, int32_t throttle_ms) {
    int64_t max_ms = broker->producer->settings.delivery_timeout_ms;
    if (throttle_ms > 0) {
        producer_broker_hold(broker, throttle_ms < max_ms ? throttle_ms : max_ms);
    }
}

void producer_answered(void *arg, const struct client_answer *answer) {
    struct producer_request *request = arg;
    struct ottla_producer *producer = request->producer;
    for (size_t i = 0; i < request->sent_count; i++) {
        request->sent[i].partition->in_flight--;
        request->sent[i].batch->state = BATCH_QUEUED;
    }
    if (answer->err == ERR_OK && answer->response != NULL) {
        const struct produce_response *response = answer->response;
        throttle(request->broker, response->throttle_time_ms);
        read_response(request, answer->version, response);
    } else if (answer->err == ERR_OK) {
        accept_all(request); /* acks=0: it is on its way */
    }
    without_answer(request, answer->err == ERR_OK ? ERR_MALFORMED : answer->err,
                   answer->err == ERR_OK ? STR("the broker's answer leaves out the partition")
                                         : str_from_c(answer->text));

    /* Functions of records' owners from here on. */
    struct producer_sent *sent = request->sent;
    size_t count = request->sent_count;
    request->sent = NULL;
    producer_request_free(request);
    for (size_t i = 0; i < count; i++) {
        producer_partition_check(sent[i].partition);
    }
    free(sent);
    if (producer->ending != ERR_OK) {
        producer_fail(producer, producer->ending, "%s", err_text(producer->ending));
    }
    producer_send_soon(producer);
}
