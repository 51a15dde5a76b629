/*
 * Topics described and listed.
 *
 * By name they are asked for with DescribeTopicPartitions, whose answers are pages: a page may end
 * within a topic, and the next request begins there (the cursor). The broker sorts topics by name,
 * as do we, so a page answers the first items of the part, the last of them maybe in part, and
 * says nothing of the others. Each page must bring us on, or the broker is not followed further;
 * and a topic has no more than ADMIN_TOPIC_PARTITIONS_MAX.
 *
 * By id, from brokers without that API, and for all topics: Metadata.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/admin_int.h"
#include "wire/api_keys.h"

enum { STAGE_PAGES, STAGE_METADATA };

typedef struct describe_topic_partitions_response_topic page_topic;
typedef struct describe_topic_partitions_response_partition page_partition;

/* What pages have brought so far; an item's input. */
struct pages {
    struct ottla_partition_description *partitions;
    size_t count;
    size_t capacity;
    int32_t cursor; /* where the next page of this topic begins; 0: at its start */
};

static int partition_compare(const void *a, const void *b) {
    const struct ottla_partition_description *left = a;
    const struct ottla_partition_description *right = b;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

static void set_partitions(struct ottla_topic_description *result,
                           struct ottla_partition_description *partitions, size_t count) {
    if (count > 0) {
        qsort(partitions, count, sizeof *partitions, partition_compare);
    }
    result->partitions = partitions;
    result->partition_count = count;
}

static struct ottla_topic_description *topic_result(struct ottla_call *call) {
    struct ottla_topic_description *result = admin_result_add(call);
    result->authorized_operations = INT32_MIN;
    return result;
}

/* --- DescribeTopicPartitions --- */

static err_t pages_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    typedef struct describe_topic_partitions_request_topic_request topic_request;
    struct describe_topic_partitions_request *request =
        ADMIN_REQUEST(arena, describe_topic_partitions_request);
    request->topics = ARENA_ARRAY(arena, topic_request, part->item_count);
    request->topics_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        request->topics[i].name = part->items[i]->name;
    }
    const struct pages *first = part->items[0]->input;
    if (first->cursor > 0) {
        struct describe_topic_partitions_request_cursor *cursor =
            ARENA_NEW(arena, struct describe_topic_partitions_request_cursor);
        cursor->topic_name = part->items[0]->name;
        cursor->partition_index = first->cursor;
        request->cursor = cursor;
    }
    *ret_request = request;
    return ERR_OK;
}

static void add_page(struct ottla_call *call, struct pages *pages, const page_topic *topic) {
    size_t more = topic->partitions_count > 0 ? (size_t)topic->partitions_count : 0;
    if (pages->count + more > pages->capacity) {
        size_t capacity = (pages->count + more) * 2;
        pages->partitions =
            arena_grow(&call->arena, pages->partitions, pages->capacity * sizeof *pages->partitions,
                       capacity * sizeof *pages->partitions);
        pages->capacity = capacity;
    }
    for (size_t i = 0; i < more; i++) {
        const page_partition *from = &topic->partitions[i];
        pages->partitions[pages->count++] = (struct ottla_partition_description){
            .code = from->error_code,
            .partition = from->partition_index,
            .leader = from->leader_id,
            .leader_epoch = from->leader_epoch,
            .replicas = admin_replicas(call, from->replica_nodes, from->replica_nodes_count),
            .isr = admin_replicas(call, from->isr_nodes, from->isr_nodes_count),
            .offline = admin_replicas(call, from->offline_replicas, from->offline_replicas_count),
            .eligible = admin_replicas(call, from->eligible_leader_replicas,
                                       from->eligible_leader_replicas_count),
            .last_known_eligible =
                admin_replicas(call, from->last_known_elr, from->last_known_elr_count),
        };
    }
}

/* A topic whose pages are complete. */
static void end_pages(struct admin_part *part, struct admin_item *item, const page_topic *topic) {
    struct ottla_topic_description *result = item->result;
    const struct pages *pages = item->input;
    result->id = admin_id_text(part->call, &topic->topic_id);
    result->internal = topic->is_internal;
    if (part->call->options.authorized_operations) {
        result->authorized_operations = topic->topic_authorized_operations;
    }
    set_partitions(result, pages->partitions, pages->count);
    admin_item_end(item, OTTLA_OK, NULL);
}

/* Where the answer says that the next page begins: the items from there on are asked again. */
static void follow_cursor(struct admin_part *part,
                          const struct describe_topic_partitions_response_cursor *cursor) {
    struct admin_item *item = admin_find(part, cursor->topic_name, ADMIN_BY_NAME);
    struct pages *pages = item == NULL ? NULL : item->input;
    bool onward = item != NULL && (cursor->partition_index > pages->cursor ||
                                   (cursor->partition_index == 0 && item != part->items[0]));
    if (!onward) {
        return; /* what is left has been left out */
    }
    pages->cursor = cursor->partition_index;
    for (size_t i = 0; i < part->item_count; i++) {
        struct admin_item *other = part->items[i];
        if (admin_is_asked(part, other) && str_compare(other->name, item->name) >= 0) {
            admin_item_go(other, STAGE_PAGES);
        }
    }
}

static void pages_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_topic_partitions_response *answer = response;
    for (int32_t i = 0; i < answer->topics_count; i++) {
        const page_topic *topic = &answer->topics[i];
        struct admin_item *item = admin_find(part, topic->name, ADMIN_BY_NAME);
        if (item == NULL) {
            continue;
        }
        if (topic->error_code != 0) {
            (void)admin_item_answer(item, topic->error_code, STR_NULL);
            continue;
        }
        struct pages *pages = item->input;
        add_page(part->call, pages, topic);
        if (pages->count > ADMIN_TOPIC_PARTITIONS_MAX) {
            admin_item_end(item, OTTLA_LIMIT, "the broker names partitions without end");
        } else if (answer->next_cursor == NULL ||
                   !str_equal(answer->next_cursor->topic_name, topic->name)) {
            end_pages(part, item, topic);
        }
    }
    if (answer->next_cursor != NULL) {
        follow_cursor(part, answer->next_cursor);
    }
}

/* --- Metadata --- */

static void set_metadata(struct ottla_call *call, struct ottla_topic_description *result,
                         const struct metadata_response_topic *topic) {
    size_t count = topic->partitions_count > 0 ? (size_t)topic->partitions_count : 0;
    struct ottla_partition_description *partitions =
        ARENA_ARRAY(&call->arena, struct ottla_partition_description, count);
    for (size_t i = 0; i < count; i++) {
        const struct metadata_response_partition *from = &topic->partitions[i];
        partitions[i] = (struct ottla_partition_description){
            .code = from->error_code,
            .partition = from->partition_index,
            .leader = from->leader_id,
            .leader_epoch = from->leader_epoch,
            .replicas = admin_replicas(call, from->replica_nodes, from->replica_nodes_count),
            .isr = admin_replicas(call, from->isr_nodes, from->isr_nodes_count),
            .offline = admin_replicas(call, from->offline_replicas, from->offline_replicas_count),
        };
    }
    result->name = admin_text(call, topic->name);
    result->id = admin_id_text(call, &topic->topic_id);
    result->internal = topic->is_internal;
    if (call->options.authorized_operations) {
        result->authorized_operations = topic->topic_authorized_operations;
    }
    set_partitions(result, partitions, count);
}

static err_t metadata_build(struct admin_part *part, int16_t version, struct arena *arena,
                            const void **ret_request) {
    struct metadata_request *request = ADMIN_REQUEST(arena, metadata_request);
    request->allow_auto_topic_creation = false;
    request->include_topic_authorized_operations =
        version >= 8 && part->call->options.authorized_operations;
    request->topics = ARENA_ARRAY(arena, struct metadata_request_topic, part->item_count);
    request->topics_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        const struct admin_item *item = part->items[i];
        if (item->number == ADMIN_BY_NAME) {
            request->topics[i].name = item->name;
        } else if (version < 12) {
            return ERR_UNSUPPORTED_VERSION;
        } else {
            (void)uuid_parse(item->name, &request->topics[i].topic_id);
        }
    }
    *ret_request = request;
    return version < 4 ? ERR_UNSUPPORTED_VERSION : ERR_OK; /* it would create the topics */
}

static void metadata_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->topics_count; i++) {
        const struct metadata_response_topic *topic = &answer->topics[i];
        char id[UUID_TEXT_SIZE + 1];
        uuid_format(topic->topic_id, id);
        struct admin_item *item = admin_find(part, topic->name, ADMIN_BY_NAME);
        item = item != NULL ? item : admin_find(part, str_from_c(id), ADMIN_BY_ID);
        if (item != NULL && admin_item_answer(item, topic->error_code, STR_NULL)) {
            set_metadata(part->call, item->result, topic);
        }
    }
}

static const struct admin_stage describe_stages[] = {
    [STAGE_PAGES] = {.api_key = API_DESCRIBE_TOPIC_PARTITIONS,
                     .route = ADMIN_ANY,
                     .again = STAGE_PAGES,
                     .fallback = STAGE_METADATA,
                     .build = pages_build,
                     .take = pages_take},
    [STAGE_METADATA] = {.api_key = API_METADATA,
                        .route = ADMIN_ANY,
                        .again = STAGE_METADATA,
                        .build = metadata_build,
                        .take = metadata_take},
};
static const struct admin_op describe_op = {
    .name = "describe topics",
    .kind = ADMIN_TOPIC_DESCRIPTIONS,
    .stages = describe_stages,
};

struct ottla_call *ottla_topics_describe(struct ottla_client *client,
                                         const struct ottla_topic_ref *topics, size_t count,
                                         const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &describe_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_topic_add(call, &topics[i]);
        item->stage = item->number == ADMIN_BY_ID ? STAGE_METADATA : STAGE_PAGES;
        item->input = ARENA_NEW(&call->arena, struct pages);
        struct ottla_topic_description *result = topic_result(call);
        result->name = admin_text(call, str_from_c(topics[i].name));
        result->id = admin_text(call, str_from_c(topics[i].id));
        item->result = result;
    }
    return admin_start(call);
}

/* --- all topics --- */

static err_t list_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    struct metadata_request *request = ADMIN_REQUEST(arena, metadata_request);
    request->topics_count = -1;
    request->include_topic_authorized_operations =
        version >= 8 && part->call->options.authorized_operations;
    *ret_request = request;
    return version < 1 ? ERR_UNSUPPORTED_VERSION : ERR_OK;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->topics_count; i++) {
        const struct metadata_response_topic *topic = &answer->topics[i];
        if (topic->name.data == NULL || (topic->is_internal && !part->call->options.internal)) {
            continue;
        }
        struct ottla_topic_description *result = topic_result(part->call);
        result->code = topic->error_code;
        result->text = ottla_code_text(topic->error_code);
        set_metadata(part->call, result, topic);
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static int by_name(const void *a, const void *b) {
    const struct ottla_topic_description *left = a;
    const struct ottla_topic_description *right = b;
    return strcmp(left->name, right->name);
}

static const struct admin_stage list_stages[] = {
    {.api_key = API_METADATA, .route = ADMIN_ANY, .build = list_build, .take = list_take},
};
static const struct admin_op list_op = {
    .name = "list topics",
    .kind = ADMIN_TOPIC_DESCRIPTIONS,
    .stages = list_stages,
    .order = by_name,
};

struct ottla_call *ottla_topics_list(struct ottla_client *client,
                                     const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}
