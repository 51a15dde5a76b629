/* DescribeProducers: the idempotent and transactional producers that partitions remember. */
#include <stdlib.h>

#include "base/limits.h"
#include "meta/topic_name.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct describe_producers_request_topic_request topic_request;
typedef struct describe_producers_response_topic_response topic_answer;
typedef struct describe_producers_response_partition_response partition_answer;
typedef struct describe_producers_response_producer_state producer_answer;

static void fill_producers(struct request *request, const struct log_producer *producers,
                           size_t count, partition_answer *answer) {
    answer->active_producers = ARENA_ARRAY(&request->arena, producer_answer, count);
    answer->active_producers_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        answer->active_producers[i] = (producer_answer){
            .producer_id = producers[i].producer_id,
            .producer_epoch = producers[i].epoch,
            .last_sequence = producers[i].last_sequence,
            .last_timestamp = producers[i].last_timestamp_ms,
            .coordinator_epoch = producers[i].coordinator_epoch,
            .current_txn_start_offset = producers[i].current_txn_offset,
        };
    }
}

static void fill_partition(struct request *request, const struct meta_topic *topic, int32_t index,
                           partition_answer *answer) {
    struct partition *partition = NULL;
    struct log_producer *producers = NULL;
    size_t count = 0;
    err_t err = topic_partition_find(request, topic, index, &partition);
    if (err == ERR_OK) {
        err = partition_producers(partition, &producers, &count);
        partition_unref(partition);
    }
    *answer = (partition_answer){.partition_index = index, .error_code = err_kafka_code(err)};
    if (err == ERR_OK) {
        fill_producers(request, producers, count, answer);
    }
    free(producers);
}

/* The message comes for a whole topic only. */
static err_t find_topic(struct request *request, struct str name, const struct meta_topic **ret,
                        struct str *ret_message) {
    struct str fault = topic_name_fault(name, &request->arena);
    if (fault.data != NULL) {
        *ret_message = fault;
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    err_t err = topic_find(request, name, ret);
    if (err != ERR_OK) {
        *ret_message = STR("This server does not host this topic-partition.");
    }
    return err;
}

static void fill_topic(struct request *request, const topic_request *asked, topic_answer *answer) {
    const struct meta_topic *topic = NULL;
    struct str message = STR_NULL;
    err_t err = find_topic(request, asked->name, &topic, &message);
    answer->name = asked->name;
    answer->partitions_count = asked->partition_indexes_count;
    answer->partitions =
        ARENA_ARRAY(&request->arena, partition_answer, asked->partition_indexes_count);
    for (int32_t i = 0; i < asked->partition_indexes_count; i++) {
        if (err == ERR_OK) {
            fill_partition(request, topic, asked->partition_indexes[i], &answer->partitions[i]);
        } else {
            answer->partitions[i] =
                (partition_answer){.partition_index = asked->partition_indexes[i],
                                   .error_code = err_kafka_code(err),
                                   .error_message = message};
        }
    }
}

void handle_describe_producers(struct request *request) {
    const struct describe_producers_request *message = request->message;
    struct describe_producers_response response;
    wire_init(&describe_producers_response_type, &response);
    response.topics = ARENA_ARRAY(&request->arena, topic_answer, message->topics_count);
    response.topics_count = message->topics_count;
    for (int32_t i = 0; i < message->topics_count; i++) {
        fill_topic(request, &message->topics[i], &response.topics[i]);
        if (request->arena.used > SERVER_ANSWER_BYTES_MAX) {
            request_close(request, "it asks for more producers than we send");
            return;
        }
    }
    request_respond(request, &response);
}
