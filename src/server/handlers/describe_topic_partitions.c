/*
 * DescribeTopicPartitions (KIP-966): topics in the order of their names, page by page.
 *
 *   cursor (topic, partition)   skips what is before; the topic must be one of those asked for
 *   limit                       partitions in a page; at most max.request.partition.size.limit
 *   next cursor                 where the next page begins; it may name a topic that is not there
 */
#include <stdlib.h>

#include "meta/topic_name.h"
#include "server/handlers/handlers.h"
#include "server/handlers/operations.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct describe_topic_partitions_request partitions_request;
typedef struct describe_topic_partitions_request_cursor cursor_request;
typedef struct describe_topic_partitions_response partitions_response;
typedef struct describe_topic_partitions_response_cursor cursor_answer;
typedef struct describe_topic_partitions_response_topic topic_answer;
typedef struct describe_topic_partitions_response_partition partition_answer;

struct page {
    struct request *request;
    partitions_response response;
    struct str *names; /* sorted, each once */
    int32_t name_count;
    int32_t remaining; /* partitions */
};

/* --- which topics --- */

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static bool before_cursor(const partitions_request *message, struct str name) {
    return message->cursor != NULL && str_compare(name, message->cursor->topic_name) < 0;
}

static void add_name(struct page *page, struct str name) {
    if (!before_cursor(page->request->message, name)) {
        page->names[page->name_count++] = name;
    }
}

static void list_names(struct page *page) {
    const partitions_request *message = page->request->message;
    const struct meta_image *image = request_image(page->request);
    bool all = message->topics_count <= 0;
    size_t room = all ? image->topics.count : (size_t)message->topics_count;
    page->names = ARENA_ARRAY(&page->request->arena, struct str, room);
    if (all) {
        struct pmap_walk walk;
        const struct meta_topic *topic;
        pmap_for_each(&walk, &image->topics, topic) {
            add_name(page, topic->name);
        }
    }
    for (int32_t i = 0; i < message->topics_count; i++) {
        add_name(page, message->topics[i].name);
    }
    qsort(page->names, (size_t)page->name_count, sizeof page->names[0], compare_names);
    int32_t kept = 0;
    for (int32_t i = 0; i < page->name_count; i++) {
        if (kept == 0 || !str_equal(page->names[kept - 1], page->names[i])) {
            page->names[kept++] = page->names[i];
        }
    }
    page->name_count = kept;
}

static bool cursor_valid(const struct page *page) {
    const partitions_request *message = page->request->message;
    const cursor_request *cursor = message->cursor;
    if (cursor == NULL) {
        return true;
    }
    bool listed = message->topics_count <= 0 ||
                  (page->name_count > 0 && str_equal(page->names[0], cursor->topic_name));
    return listed && cursor->partition_index >= 0;
}

/* --- topics and partitions --- */

static const int32_t *alive_and_not(struct request *request, const struct meta_partition *state,
                                    int32_t *ret_count) {
    int32_t *offline = ARENA_ARRAY(&request->arena, int32_t, state->replica_count);
    int32_t count = 0;
    for (int32_t i = 0; i < state->replica_count; i++) {
        const struct meta_broker *broker =
            meta_image_broker(request_image(request), state->replicas[i]);
        if (broker == NULL || broker->fenced ||
            !meta_broker_has_online_dir(broker, state->directories[i])) {
            offline[count++] = state->replicas[i];
        }
    }
    *ret_count = count;
    return offline;
}

static void fill_partition(struct request *request, const struct meta_partition *state,
                           partition_answer *answer) {
    struct topic_endpoint endpoint;
    bool reachable = topic_endpoint_find(request, state->leader, &endpoint);
    *answer = (partition_answer){
        .partition_index = state->id,
        .leader_id = reachable ? state->leader : META_LEADER_NONE,
        .leader_epoch = state->leader_epoch,
        .replica_nodes = (int32_t *)(uintptr_t)state->replicas,
        .replica_nodes_count = state->replica_count,
        .isr_nodes = (int32_t *)(uintptr_t)state->isr,
        .isr_nodes_count = state->isr_count,
        .eligible_leader_replicas = (int32_t *)(uintptr_t)state->elr,
        .eligible_leader_replicas_count = state->elr_count,
        .last_known_elr = (int32_t *)(uintptr_t)state->last_known_elr,
        .last_known_elr_count = state->last_known_elr_count,
    };
    answer->offline_replicas =
        (int32_t *)(uintptr_t)alive_and_not(request, state, &answer->offline_replicas_count);
}

static void set_cursor(struct page *page, struct str topic, int32_t partition) {
    cursor_answer *cursor = ARENA_NEW(&page->request->arena, cursor_answer);
    *cursor = (cursor_answer){.topic_name = topic, .partition_index = partition};
    page->response.next_cursor = cursor;
}

static void fill_topic(struct page *page, const struct meta_topic *topic, topic_answer *answer) {
    const partitions_request *message = page->request->message;
    bool resumed = message->cursor != NULL && str_equal(message->cursor->topic_name, topic->name);
    int32_t start = resumed ? message->cursor->partition_index : 0;
    int32_t count = (int32_t)topic->partitions.count;
    int32_t end = count - start > page->remaining ? start + page->remaining : count;
    answer->topic_id = topic->id;
    if (end > start) {
        answer->partitions =
            ARENA_ARRAY(&page->request->arena, partition_answer, (size_t)(end - start));
    }
    for (int32_t i = start; i < end; i++) {
        const struct meta_partition *state = meta_topic_partition(topic, i);
        if (state != NULL) {
            fill_partition(page->request, state, &answer->partitions[answer->partitions_count++]);
        }
    }
    page->remaining -= answer->partitions_count;
    if (end < count) {
        set_cursor(page, topic->name, end);
    }
}

static void add_topic(struct page *page, struct str name) {
    struct request *request = page->request;
    topic_answer *answer = &page->response.topics[page->response.topics_count++];
    *answer = (topic_answer){
        .name = name,
        .is_internal = topic_is_internal(name),
        .topic_authorized_operations = OPERATIONS_OF_TOPIC,
    };
    const struct meta_topic *topic = meta_image_topic(request_image(request), name);
    if (topic != NULL) {
        fill_topic(page, topic, answer);
    } else {
        bool valid = topic_name_fault(name, &request->arena).data == NULL;
        answer->error_code =
            err_kafka_code(valid ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_INVALID_TOPIC_EXCEPTION);
    }
}

/* --- the request --- */

static void refuse_all(struct page *page) {
    const partitions_request *message = page->request->message;
    page->response.topics = ARENA_ARRAY(&page->request->arena, topic_answer, message->topics_count);
    page->response.topics_count = message->topics_count;
    for (int32_t i = 0; i < message->topics_count; i++) {
        page->response.topics[i] = (topic_answer){
            .error_code = ERR_INVALID_REQUEST,
            .name = message->topics[i].name,
            .topic_authorized_operations = OPERATIONS_UNKNOWN,
        };
    }
}

static int32_t page_size(const struct request *request) {
    const partitions_request *message = request->message;
    int32_t bound = config_int(request->reactor->config, CONFIG_MAX_REQUEST_PARTITION_SIZE_LIMIT);
    int32_t size =
        message->response_partition_limit < bound ? message->response_partition_limit : bound;
    return size > 1 ? size : 1;
}

void handle_describe_topic_partitions(struct request *request) {
    struct page page = {.request = request, .remaining = page_size(request)};
    wire_init(&describe_topic_partitions_response_type, &page.response);
    list_names(&page);
    if (!cursor_valid(&page)) {
        refuse_all(&page);
        request_respond(request, &page.response);
        return;
    }
    page.response.topics = ARENA_ARRAY(&request->arena, topic_answer, (size_t)page.name_count);
    for (int32_t i = 0; i < page.name_count && page.response.next_cursor == NULL; i++) {
        if (page.remaining > 0) {
            add_topic(&page, page.names[i]);
        } else {
            set_cursor(&page, page.names[i], 0);
        }
    }
    request_respond(request, &page.response);
}
