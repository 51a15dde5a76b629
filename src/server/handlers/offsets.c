/*
 * ListOffsets and OffsetForLeaderEpoch: where records of a time, or the end of an epoch, are.
 *
 * A look-up by time reads indexes and batches, so it runs on a worker of the partition's volume:
 * the partitions of each volume one after the other, one volume after the other, so that a disk
 * that hangs holds up its own workers only. The answer leaves from the reactor.
 */
#include <stdlib.h>
#include <string.h>

#include "base/duplicates.h"
#include "replica/partition.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct list_offsets_request_list_offsets_topic list_topic;
typedef struct list_offsets_request_list_offsets_partition list_partition;
typedef struct list_offsets_response_list_offsets_topic_response list_topic_answer;
typedef struct list_offsets_response_list_offsets_partition_response list_partition_answer;

struct lookup {
    struct partition *partition;
    struct volume *volume; /* whose disk is asked; NULL: none, or no more */
    const list_partition *asked;
    list_partition_answer *answer;
};

struct list_offsets {
    struct sys_job job;
    struct request *request;
    struct list_offsets_response response;
    struct lookup *lookups;
    int32_t lookup_count;
    bool parked;

    /* The pass of one volume. */
    int pass; /* the next one's index */
    struct volume *volume;
    int32_t next;
    bool committed_only;
    bool isolation_wrong;
};

enum { NO_REPLICA = -1 }; /* a consumer asks; for others nothing is uncommitted */

/* The special timestamps that a version of the request may ask for; others are refused as Kafka
 * refuses them. */
static bool timestamp_supported(int64_t timestamp, int16_t version) {
    switch (timestamp) {
    case LOG_TIMESTAMP_MAX:
        return version >= 7;
    case LOG_TIMESTAMP_EARLIEST_LOCAL:
        return version >= 8;
    case LOG_TIMESTAMP_LATEST_TIERED:
        return version >= 9;
    case LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD:
        return version >= 11;
    default:
        return timestamp >= LOG_TIMESTAMP_EARLIEST;
    }
}

static void fill_found(list_partition_answer *answer, int16_t version, err_t err,
                       const struct log_time_offset *found) {
    answer->error_code = topic_read_code(err);
    answer->timestamp = err == ERR_OK ? found->timestamp_ms : -1;
    answer->offset = err == ERR_OK ? found->offset : -1;
    answer->leader_epoch = err == ERR_OK && version >= 4 ? found->leader_epoch : -1;
}

static void answer_lookup(struct list_offsets *list, struct lookup *lookup) {
    struct log_time_offset found;
    err_t err =
        partition_offset_for_timestamp(lookup->partition, lookup->asked->current_leader_epoch,
                                       lookup->asked->timestamp, list->committed_only, &found);
    fill_found(lookup->answer, list->request->version, err, &found);
    lookup->volume = NULL;
}

static void respond(struct list_offsets *list) {
    for (int32_t i = 0; i < list->lookup_count; i++) {
        partition_unref(list->lookups[i].partition);
    }
    request_respond(list->request, &list->response);
}

/* The next lookup of this pass; false: there is none. */
static bool find_next(struct list_offsets *list) {
    while (list->next < list->lookup_count && list->lookups[list->next].volume != list->volume) {
        list->next++;
    }
    return list->next < list->lookup_count;
}

static enum sys_job_result lookup_step(struct sys_job *job) {
    struct list_offsets *list = container_of(job, struct list_offsets, job);
    if (!find_next(list)) {
        return SYS_JOB_DONE;
    }
    answer_lookup(list, &list->lookups[list->next++]);
    return SYS_JOB_AGAIN;
}

static void pass_done(struct sys_job *job);

/* Begins the pass of the next volume that is asked for; answers when there is none. */
static void next_pass(struct list_offsets *list) {
    struct request *request = list->request;
    struct replicas *replicas = request->node->replicas;
    while (list->pass < replicas_volume_count(replicas)) {
        list->volume = replicas_volume(replicas, list->pass++);
        list->next = 0;
        if (find_next(list)) {
            if (!list->parked) {
                list->parked = true;
                net_request_park(request->net);
            }
            list->job = (struct sys_job){
                .run = lookup_step, .done = pass_done, .loop = request->reactor->loop};
            sys_pool_submit(list->volume->upkeep, &list->job);
            return;
        }
    }
    respond(list);
}

static void pass_done(struct sys_job *job) {
    next_pass(container_of(job, struct list_offsets, job));
}

/* Partitions that are named more than once, in the order of the request. Kafka counts them over
 * the whole request; a topic that is named twice is as good as one. */
static void find_duplicates(struct request *request, int32_t count, struct duplicates *ret) {
    const struct list_offsets_request *message = request->message;
    struct bytes *keys = ARENA_ARRAY(&request->arena, struct bytes, (size_t)count);
    int32_t place = 0;
    for (int32_t t = 0; t < message->topics_count; t++) {
        const list_topic *topic = &message->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            uint8_t *key = arena_alloc(&request->arena, topic->name.size + 4);
            put_be32(key, (uint32_t)topic->partitions[p].partition_index);
            memcpy(key + 4, topic->name.data, topic->name.size);
            keys[place++] = (struct bytes){key, topic->name.size + 4};
        }
    }
    duplicates_find(&request->arena, keys, count, ret);
}

static void begin_partition(struct list_offsets *list, const list_topic *topic, int32_t place,
                            bool twice, list_partition_answer *answer) {
    struct request *request = list->request;
    const list_partition *asked = &topic->partitions[place];
    *answer = (list_partition_answer){.partition_index = asked->partition_index,
                                      .timestamp = -1,
                                      .offset = -1,
                                      .leader_epoch = -1};
    const struct meta_topic *meta = NULL;
    struct partition *partition = NULL;
    err_t err = ERR_OK;
    if (twice || list->isolation_wrong) {
        err = ERR_INVALID_REQUEST;
    } else if (!timestamp_supported(asked->timestamp, request->version)) {
        err = ERR_UNSUPPORTED_VERSION;
    } else {
        err = topic_find(request, topic->name, &meta);
    }
    if (err == ERR_OK) {
        err = topic_partition_find(request, meta, asked->partition_index, &partition);
    }
    if (err != ERR_OK) {
        answer->error_code = err_kafka_code(err);
        return;
    }
    list->lookups[list->lookup_count++] =
        (struct lookup){.partition = partition, .asked = asked, .answer = answer};
}

static void begin_all(struct list_offsets *list) {
    struct request *request = list->request;
    const struct list_offsets_request *message = request->message;
    struct list_offsets_response *response = &list->response;
    response->topics = ARENA_ARRAY(&request->arena, list_topic_answer, message->topics_count);
    int32_t count = 0;
    for (int32_t t = 0; t < message->topics_count; t++) {
        count += message->topics[t].partitions_count;
    }
    struct duplicates duplicates;
    find_duplicates(request, count, &duplicates);
    list->lookups = ARENA_ARRAY(&request->arena, struct lookup, count + 1);
    for (int32_t t = 0, place = 0; t < message->topics_count; t++) {
        const list_topic *topic = &message->topics[t];
        list_topic_answer *answer = &response->topics[response->topics_count];
        *answer = (list_topic_answer){.name = topic->name};
        answer->partitions =
            ARENA_ARRAY(&request->arena, list_partition_answer, topic->partitions_count);
        for (int32_t p = 0; p < topic->partitions_count; p++, place++) {
            if (!duplicates.again[place]) {
                begin_partition(list, topic, p, duplicates.twice[place],
                                &answer->partitions[answer->partitions_count++]);
            }
        }
        response->topics_count += answer->partitions_count > 0;
    }
}

/* The ends of a log are known without the disk; one that is being made has nothing on it. */
static void answer_from_memory(struct list_offsets *list) {
    for (int32_t i = 0; i < list->lookup_count; i++) {
        struct lookup *lookup = &list->lookups[i];
        int64_t timestamp = lookup->asked->timestamp;
        lookup->volume = partition_volume(lookup->partition);
        if (lookup->volume == NULL || timestamp == LOG_TIMESTAMP_LATEST ||
            timestamp == LOG_TIMESTAMP_EARLIEST) {
            answer_lookup(list, lookup);
        }
    }
}

void handle_list_offsets(struct request *request) {
    const struct list_offsets_request *message = request->message;
    struct list_offsets *list = ARENA_NEW(&request->arena, struct list_offsets);
    list->request = request;
    list->committed_only = message->isolation_level == 1 && message->replica_id == NO_REPLICA;
    list->isolation_wrong = message->isolation_level < 0 || message->isolation_level > 1;
    wire_init(&list_offsets_response_type, &list->response);
    begin_all(list);
    answer_from_memory(list);
    next_pass(list);
}

/* --- OffsetForLeaderEpoch (KIP-320) --- */

typedef struct offset_for_leader_epoch_request_offset_for_leader_topic epoch_topic;
typedef struct offset_for_leader_epoch_request_offset_for_leader_partition epoch_partition;
typedef struct offset_for_leader_epoch_response_offset_for_leader_topic_result epoch_topic_answer;
typedef struct offset_for_leader_epoch_response_epoch_end_offset epoch_answer;

static void answer_epoch(struct request *request, struct str topic, const epoch_partition *asked,
                         epoch_answer *answer) {
    *answer = (epoch_answer){.partition = asked->partition, .leader_epoch = -1, .end_offset = -1};
    const struct meta_topic *meta = NULL;
    struct partition *partition = NULL;
    err_t err = topic_find(request, topic, &meta);
    if (err == ERR_OK) {
        err = topic_partition_find(request, meta, asked->partition, &partition);
    }
    if (err == ERR_OK) {
        err =
            partition_epoch_end_offset(partition, asked->current_leader_epoch, asked->leader_epoch,
                                       &answer->leader_epoch, &answer->end_offset);
        partition_unref(partition);
    }
    answer->error_code = err_kafka_code(err);
}

void handle_offset_for_leader_epoch(struct request *request) {
    const struct offset_for_leader_epoch_request *message = request->message;
    struct offset_for_leader_epoch_response response;
    wire_init(&offset_for_leader_epoch_response_type, &response);
    response.topics_count = message->topics_count;
    response.topics = ARENA_ARRAY(&request->arena, epoch_topic_answer, message->topics_count);
    for (int32_t t = 0; t < message->topics_count; t++) {
        const epoch_topic *topic = &message->topics[t];
        epoch_topic_answer *answer = &response.topics[t];
        answer->topic = topic->topic;
        answer->partitions_count = topic->partitions_count;
        answer->partitions = ARENA_ARRAY(&request->arena, epoch_answer, topic->partitions_count);
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            answer_epoch(request, topic->topic, &topic->partitions[p], &answer->partitions[p]);
        }
    }
    request_respond(request, &response);
}
