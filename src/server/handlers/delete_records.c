/*
 * DeleteRecords: moves the start of partitions up. What was below is gone for readers at once; its
 * files follow with the next retention check.
 *
 * Each partition's part stands in its queue of writes and runs on a worker, because it may write
 * files; then it waits until the log's start is on the disk: what was deleted does not come back.
 * The answer leaves when the last one is done. There is one replica, so the low watermark is this
 * log's start. The request's timeout is for followers that do not follow; it bounds nothing here,
 * as in Apache Kafka, where a disk that hangs makes the client wait, too.
 */
#include <string.h>

#include "base/duplicates.h"
#include "replica/partition.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct delete_records_request_delete_records_topic topic_request;
typedef struct delete_records_request_delete_records_partition partition_request;
typedef struct delete_records_response_delete_records_topic_result topic_answer;
typedef struct delete_records_response_delete_records_partition_result partition_answer;

enum { OFFSET_HIGH_WATERMARK = -1 };

struct deletion {
    struct request *request;
    struct delete_records_response response;
    int32_t pending;
    bool parked;
};

struct part {
    struct partition_write write;
    struct log_start_wait wait;
    struct deletion *deletion;
    struct partition *partition;
    int64_t offset;
    int64_t low_watermark;
    partition_answer *answer;
};

/* On a worker. */
static err_t run(struct partition_write *write, struct partition *partition, struct log *log) {
    struct part *part = container_of(write, struct part, write);
    struct partition_offsets offsets;
    struct log_config config;
    log_config_read(log, &config);
    err_t err = partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets);
    if (err != ERR_OK) {
        return err; /* it does not lead, or its directory failed */
    }
    if (config.cleanup_compact && !config.cleanup_delete) {
        return ERR_POLICY_VIOLATION;
    }
    int64_t offset = part->offset == OFFSET_HIGH_WATERMARK ? log_high_watermark(log) : part->offset;
    err = log_delete_records(log, offset);
    part->low_watermark = log_start_offset(log);
    return err;
}

static void fill_answer(struct part *part) {
    err_t err = part->write.err;
    part->answer->error_code = err_kafka_code(err);
    if (err == ERR_OK) {
        part->answer->low_watermark = part->low_watermark;
    }
    partition_unref(part->partition);
}

static void respond(struct deletion *deletion) {
    request_respond(deletion->request, &deletion->response);
}

static void end_part(struct part *part) {
    struct deletion *deletion = part->deletion;
    fill_answer(part);
    deletion->pending--;
    if (deletion->pending == 0 && deletion->parked) {
        respond(deletion);
    }
}

static void kept(struct log_start_wait *wait) {
    struct part *part = container_of(wait, struct part, wait);
    part->write.err = wait->err;
    end_part(part);
}

static void done(struct partition_write *write) {
    struct part *part = container_of(write, struct part, write);
    if (write->err != ERR_OK) {
        end_part(part);
        return;
    }
    const struct request *request = part->deletion->request;
    part->wait = (struct log_start_wait){.loop = request->reactor->loop, .done = kept};
    replicas_log_start_wait(request->node->replicas, partition_volume(part->partition),
                            &part->wait);
}

static void begin_partition(struct deletion *deletion, struct str topic_name,
                            const partition_request *asked, partition_answer *answer) {
    struct request *request = deletion->request;
    *answer = (partition_answer){.partition_index = asked->partition_index, .low_watermark = -1};
    struct part *part = ARENA_NEW(&request->arena, struct part);
    part->deletion = deletion;
    part->offset = asked->offset;
    part->answer = answer;
    part->write = (struct partition_write){
        .run = run, .done = done, .loop = request->reactor->loop, .blocking = true};

    const struct meta_topic *topic = NULL;
    err_t err = topic_find(request, topic_name, &topic);
    if (err == ERR_OK) {
        err = topic_partition_find(request, topic, asked->partition_index, &part->partition);
    }
    if (err == ERR_OK && topic_is_internal(topic_name)) {
        err = ERR_INVALID_TOPIC_EXCEPTION;
    }
    deletion->pending++;
    if (err != ERR_OK) {
        part->write.err = err;
        end_part(part);
    } else if (partition_submit(part->partition, &part->write) == ERR_OK) {
        done(&part->write);
    }
}

/* Named again later in the request: Kafka gathers it in a map, where the last one stays. */
static const bool *find_superseded(struct request *request, int32_t count) {
    const struct delete_records_request *message = request->message;
    struct bytes *keys = ARENA_ARRAY(&request->arena, struct bytes, (size_t)count);
    bool *superseded = ARENA_ARRAY(&request->arena, bool, (size_t)count);
    int32_t place = count; /* backwards: the last is the first that is seen */
    for (int32_t t = 0; t < message->topics_count; t++) {
        const topic_request *topic = &message->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            uint8_t *key = arena_alloc(&request->arena, topic->name.size + 4);
            put_be32(key, (uint32_t)topic->partitions[p].partition_index);
            memcpy(key + 4, topic->name.data, topic->name.size);
            keys[--place] = (struct bytes){key, topic->name.size + 4};
        }
    }
    struct duplicates duplicates;
    duplicates_find(&request->arena, keys, count, &duplicates);
    for (int32_t i = 0; i < count; i++) {
        superseded[i] = duplicates.again[count - 1 - i];
    }
    return superseded;
}

static void begin_all(struct deletion *deletion) {
    struct request *request = deletion->request;
    const struct delete_records_request *message = request->message;
    struct delete_records_response *response = &deletion->response;
    response->topics = ARENA_ARRAY(&request->arena, topic_answer, message->topics_count);
    int32_t count = 0;
    for (int32_t t = 0; t < message->topics_count; t++) {
        count += message->topics[t].partitions_count;
    }
    const bool *superseded = find_superseded(request, count);
    for (int32_t t = 0, place = 0; t < message->topics_count; t++) {
        const topic_request *asked = &message->topics[t];
        topic_answer *answer = &response->topics[response->topics_count];
        *answer = (topic_answer){.name = asked->name};
        answer->partitions =
            ARENA_ARRAY(&request->arena, partition_answer, asked->partitions_count);
        for (int32_t p = 0; p < asked->partitions_count; p++, place++) {
            if (!superseded[place]) {
                begin_partition(deletion, asked->name, &asked->partitions[p],
                                &answer->partitions[answer->partitions_count++]);
            }
        }
        response->topics_count += answer->partitions_count > 0;
    }
}

void handle_delete_records(struct request *request) {
    struct deletion *deletion = ARENA_NEW(&request->arena, struct deletion);
    deletion->request = request;
    wire_init(&delete_records_response_type, &deletion->response);
    begin_all(deletion);
    if (deletion->pending == 0) {
        respond(deletion);
    } else {
        deletion->parked = true;
        net_request_park(request->net);
    }
}
