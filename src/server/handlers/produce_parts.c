/*
 * What a Produce request names: its partitions, their places in the answer, and the transaction
 * that they are written in.
 */
#include "base/duplicates.h"
#include "base/map.h"
#include "server/handlers/produce.h"
#include "server/handlers/topics.h"
#include "wire/record_set.h"

typedef struct produce_request_topic_produce_data produce_topic;
typedef struct produce_request_partition_produce_data produce_partition;
typedef struct produce_response_topic_produce_response topic_answer;
typedef struct produce_response_partition_produce_response partition_answer;

enum { VERSION_OF_IDS = 13 };

/* --- partitions --- */

static struct bytes topic_key(const struct request *request, const produce_topic *topic) {
    return request->version >= VERSION_OF_IDS
               ? (struct bytes){topic->topic_id.bytes, sizeof topic->topic_id.bytes}
               : str_bytes(topic->name);
}

/* A topic's place in the answer: the one it has, or the next. */
static topic_answer *place_topic(struct produce *produce, struct map *places,
                                 const produce_topic *topic) {
    struct bytes key = topic_key(produce->request, topic);
    topic_answer *answer = map_get(places, key);
    if (answer == NULL) {
        answer = &produce->response.responses[produce->response.responses_count++];
        answer->name = topic->name;
        answer->topic_id = topic->topic_id;
        (void)map_put(places, key, answer);
    }
    return answer;
}

static void list_named(struct produce *produce, struct named_parts *ret_parts) {
    struct request *request = produce->request;
    const struct produce_request *message = request->message;
    size_t count = 0;
    for (int32_t t = 0; t < message->topic_data_count; t++) {
        count += (size_t)message->topic_data[t].partition_data_count;
    }
    struct named_parts parts = {.items = ARENA_ARRAY(&request->arena, struct named_part, count)};
    struct map places;
    map_init(&places);
    for (int32_t t = 0; t < message->topic_data_count; t++) {
        const produce_topic *topic = &message->topic_data[t];
        topic_answer *answer =
            topic->partition_data_count > 0 ? place_topic(produce, &places, topic) : NULL;
        for (int32_t p = 0; p < topic->partition_data_count; p++) {
            parts.items[parts.count++] = (struct named_part){
                .topic = t, .data = &topic->partition_data[p], .answer = answer};
            answer->partition_responses_count++; /* at most; counted again when they are begun */
        }
    }
    map_done(&places);
    *ret_parts = parts;
}

/* Backwards: the last of several is the first that is seen. */
static void find_superseded(struct arena *arena, struct named_parts *parts) {
    struct key {
        uint64_t answer;
        int64_t index;
    } *keys = ARENA_ARRAY(arena, struct key, (size_t)parts->count);
    struct bytes *borrowed = ARENA_ARRAY(arena, struct bytes, (size_t)parts->count);
    for (int32_t i = 0; i < parts->count; i++) {
        const struct named_part *part = &parts->items[parts->count - 1 - i];
        keys[i] = (struct key){.answer = (uintptr_t)part->answer, .index = part->data->index};
        borrowed[i] = (struct bytes){(const uint8_t *)&keys[i], sizeof keys[i]};
    }
    struct duplicates duplicates;
    duplicates_find(arena, borrowed, parts->count, &duplicates);
    for (int32_t i = 0; i < parts->count; i++) {
        parts->items[parts->count - 1 - i].superseded = duplicates.again[i];
    }
}

void produce_list_parts(struct produce *produce) {
    list_named(produce, &produce->parts);
    if (produce->parts.count > 1) {
        find_superseded(&produce->request->arena, &produce->parts);
    }
}

err_t produce_find_topic(struct request *request, const produce_topic *data,
                         const struct meta_topic **ret_topic) {
    return request->version >= VERSION_OF_IDS ? topic_find_by_id(request, data->topic_id, ret_topic)
                                              : topic_find(request, data->name, ret_topic);
}

/* --- transactions --- */

static bool is_transactional(struct bytes records) {
    return records.size >= RECORD_BATCH_HEADER_SIZE && record_batch_magic(records.data) == 2 &&
           record_batch_is_transactional(records.data);
}

/* Records of a transaction are for those who may use its id: a request without one may not. */
static err_t check_request(const struct produce_request *message, const struct named_parts *parts) {
    for (int32_t i = 0; message->transactional_id.data == NULL && i < parts->count; i++) {
        if (is_transactional(parts->items[i].data->records)) {
            return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        }
    }
    return ERR_OK;
}

/* The part's records of a transaction, if Kafka would look at them. */
static bool find_txn(struct request *request, const struct named_part *part,
                     struct produce_txn *ret_txn) {
    const struct produce_request *message = request->message;
    const struct meta_topic *topic;
    struct bytes records = part->data->records;
    if (part->superseded || !is_transactional(records) ||
        record_batch_producer_id(records.data) < 0 ||
        produce_find_topic(request, &message->topic_data[part->topic], &topic) != ERR_OK ||
        meta_topic_partition(topic, part->data->index) == NULL ||
        record_set_check_request(request->version, records) != ERR_OK) {
        return false;
    }
    *ret_txn = (struct produce_txn){
        .topic = arena_str(&request->arena, topic->name), /* the image may move on */
        .index = part->data->index,
        .producer_id = record_batch_producer_id(records.data),
        .producer_epoch = record_batch_producer_epoch(records.data),
    };
    return true;
}

/* INVALID_PRODUCER_ID_MAPPING: they are of more than one producer. */
static err_t list_txns(struct produce *produce) {
    struct request *request = produce->request;
    struct produce_txns *txns = &produce->txns;
    *txns = (struct produce_txns){
        .request = request,
        .items = ARENA_ARRAY(&request->arena, struct produce_txn, produce->parts.count),
    };
    for (int32_t i = 0; i < produce->parts.count; i++) {
        struct named_part *part = &produce->parts.items[i];
        struct produce_txn *txn = &txns->items[txns->count];
        if (!find_txn(request, part, txn)) {
            continue;
        }
        if (txn->producer_id != txns->items[0].producer_id ||
            txn->producer_epoch != txns->items[0].producer_epoch) {
            produce->why = STR("Transactional records contained more than one producer ID");
            return ERR_INVALID_PRODUCER_ID_MAPPING;
        }
        part->txn = txn;
        txns->count++;
    }
    return ERR_OK;
}

err_t produce_check(struct produce *produce) {
    const struct produce_request *message = produce->request->message;
    err_t err = check_request(message, &produce->parts);
    return err == ERR_OK && message->transactional_id.data != NULL ? list_txns(produce) : err;
}
