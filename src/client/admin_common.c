/*
 * What the administrator's operations share: items of usual kinds, runs of items in a request, and
 * the two questions that come before others: which brokers are there, and who leads a partition.
 * Metadata is asked anew for each call, so that what it says is not older than the call.
 */
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

void *admin_request(struct arena *arena, const struct wire_type *type) {
    void *request = arena_alloc(arena, wire_struct_size(type));
    wire_init(type, request);
    return request;
}

bool admin_to_controllers(const struct ottla_client *client) {
    const char *controllers = client_settings(client)->bootstrap_controllers;
    return controllers != NULL && controllers[0] != '\0';
}

/* --- items --- */

struct admin_item *admin_item_whole(struct ottla_call *call) {
    return admin_item_add(call, STR(""), 0, "%s", "");
}

struct admin_item *admin_broker_add(struct ottla_call *call, int32_t id, int stage) {
    struct admin_item *item = admin_item_add(call, STR(""), id, "broker %d", (int)id);
    item->broker_id = id;
    item->stage = stage;
    return item;
}

struct admin_item *admin_partition_add(struct ottla_call *call, const char *topic,
                                       int32_t partition) {
    const char *name = topic == NULL ? "" : topic;
    struct admin_item *item =
        admin_item_add(call, str_from_c(name), partition, "partition %s-%d", name, (int)partition);
    if (name[0] == '\0' || partition < 0) {
        admin_item_end(item, OTTLA_INVALID, "a partition has a topic and a number from 0 on");
    }
    return item;
}

struct admin_item *admin_topic_add(struct ottla_call *call, const struct ottla_topic_ref *topic) {
    bool by_id = topic->id != NULL;
    const char *text = by_id ? topic->id : topic->name != NULL ? topic->name : "";
    struct admin_item *item = admin_item_add(call, str_from_c(text), by_id, "topic %s", text);
    struct uuid id;
    if ((topic->name == NULL) != by_id) {
        admin_item_end(item, OTTLA_INVALID, "a topic is named by its name or by its id");
    } else if (by_id && uuid_parse(item->name, &id) != ERR_OK) {
        admin_item_end(item, OTTLA_INVALID, "a topic's id has 22 characters of base64");
    }
    return item;
}

struct ottla_partition_result *admin_partition_result(struct ottla_call *call,
                                                      struct admin_item *item) {
    struct ottla_partition_result *result = admin_result_add(call);
    result->topic = admin_text(call, item->name);
    result->partition = item->number;
    result->broker_id = -1;
    result->offset = -1;
    item->result = result;
    return result;
}

int admin_partition_order(const void *a, const void *b) {
    const struct ottla_partition *left = a;
    const struct ottla_partition *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

/* --- runs --- */

size_t admin_run_end(const struct admin_part *part, size_t start) {
    size_t end = start + 1;
    while (end < part->item_count && str_equal(part->items[end]->name, part->items[start]->name)) {
        end++;
    }
    return end;
}

size_t admin_run_count(const struct admin_part *part) {
    size_t count = 0;
    for (size_t start = 0; start < part->item_count; start = admin_run_end(part, start)) {
        count++;
    }
    return count;
}

int32_t *admin_numbers(const struct admin_part *part, struct arena *arena) {
    int32_t *numbers = ARENA_ARRAY(arena, int32_t, part->item_count);
    for (size_t i = 0; i < part->item_count; i++) {
        numbers[i] = part->items[i]->number;
    }
    return numbers;
}

size_t admin_find_run(const struct admin_part *part, struct str name, size_t *ret_start) {
    size_t low = 0, high = part->item_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(part->items[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool there = low < part->item_count && str_equal(part->items[low]->name, name);
    *ret_start = there ? low : 0;
    return there ? admin_run_end(part, low) : 0;
}

/* --- brokers --- */

err_t admin_brokers_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)part;
    struct metadata_request *request = ADMIN_REQUEST(arena, metadata_request);
    request->allow_auto_topic_creation = version < 4; /* of no topic; older ones cannot say no */
    *ret_request = request;
    return version < 1 ? ERR_UNSUPPORTED_VERSION : ERR_OK;
}

void admin_brokers_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *metadata = response;
    struct admin_item *item = part->items[0];
    if (metadata->brokers_count <= 0) {
        (void)admin_item_answer(item, ERR_BROKER_NOT_AVAILABLE, STR("no broker is there"));
        return;
    }
    for (int32_t i = 0; i < metadata->brokers_count; i++) {
        (void)admin_broker_add(part->call, metadata->brokers[i].node_id, item->stage + 1);
    }
    admin_item_end(item, OTTLA_OK, NULL);
}

/* --- leaders --- */

err_t admin_leaders_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    if (version < 4) {
        return ERR_UNSUPPORTED_VERSION; /* it would create the topics */
    }
    struct metadata_request *request = ADMIN_REQUEST(arena, metadata_request);
    request->topics = ARENA_ARRAY(arena, struct metadata_request_topic, admin_run_count(part));
    request->topics_count = 0;
    for (size_t start = 0; start < part->item_count; start = admin_run_end(part, start)) {
        request->topics[request->topics_count++].name = part->items[start]->name;
    }
    request->allow_auto_topic_creation = false;
    *ret_request = request;
    return ERR_OK;
}

static void take_leaders(struct admin_part *part, const struct metadata_response_topic *topic) {
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &topic->partitions[i];
        struct admin_item *item = admin_find(part, topic->name, partition->partition_index);
        if (item == NULL) {
            continue;
        }
        if (partition->leader_id >= 0) {
            item->broker_id = partition->leader_id;
            admin_item_go(item, item->stage + 1);
        } else {
            (void)admin_item_answer(item, ERR_LEADER_NOT_AVAILABLE, STR_NULL);
        }
    }
}

void admin_leaders_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *metadata = response;
    for (int32_t i = 0; i < metadata->topics_count; i++) {
        const struct metadata_response_topic *topic = &metadata->topics[i];
        size_t start, end = admin_find_run(part, topic->name, &start);
        int16_t code = topic->error_code;
        if (code == 0) {
            take_leaders(part, topic);
            code = ERR_UNKNOWN_TOPIC_OR_PARTITION; /* of partitions that it does not name */
        }
        for (; start < end; start++) {
            if (admin_is_asked(part, part->items[start])) {
                (void)admin_item_answer(part->items[start], code, STR_NULL);
            }
        }
    }
}
