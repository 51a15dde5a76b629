/*
 * The results of a call: collected one by one while answers come, then laid out as one array of the
 * public type. A result's memory is the call's arena.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin_int.h"

/* What begins every result that has a code of its own. */
struct head {
    int code;
    const char *text;
};

#define SAME_HEAD(type)                                                                            \
    _Static_assert(offsetof(type, code) == offsetof(struct head, code) &&                          \
                       offsetof(type, text) == offsetof(struct head, text),                        \
                   #type)
SAME_HEAD(struct ottla_topic_result);
SAME_HEAD(struct ottla_topic_description);
SAME_HEAD(struct ottla_resource_configs);
SAME_HEAD(struct ottla_resource_result);
SAME_HEAD(struct ottla_offset_result);
SAME_HEAD(struct ottla_partition_result);
SAME_HEAD(struct ottla_partition_producers);
SAME_HEAD(struct ottla_group_description);
SAME_HEAD(struct ottla_group_result);
SAME_HEAD(struct ottla_member_result);
SAME_HEAD(struct ottla_group_offsets);
SAME_HEAD(struct ottla_broker_versions);
SAME_HEAD(struct ottla_feature_result);
SAME_HEAD(struct ottla_log_dir);
SAME_HEAD(struct ottla_transaction_description);
SAME_HEAD(struct ottla_fenced_producer);

static const struct {
    size_t size;
    bool coded;
} kinds[ADMIN_KIND_COUNT] = {
    [ADMIN_NOTHING] = {1, false},
    [ADMIN_TOPICS] = {sizeof(struct ottla_topic_result), true},
    [ADMIN_TOPIC_DESCRIPTIONS] = {sizeof(struct ottla_topic_description), true},
    [ADMIN_CONFIGS] = {sizeof(struct ottla_resource_configs), true},
    [ADMIN_RESOURCES] = {sizeof(struct ottla_resource_result), true},
    [ADMIN_OFFSETS] = {sizeof(struct ottla_offset_result), true},
    [ADMIN_PARTITIONS] = {sizeof(struct ottla_partition_result), true},
    [ADMIN_PRODUCERS] = {sizeof(struct ottla_partition_producers), true},
    [ADMIN_GROUP_LISTINGS] = {sizeof(struct ottla_group_listing), false},
    [ADMIN_GROUP_DESCRIPTIONS] = {sizeof(struct ottla_group_description), true},
    [ADMIN_GROUPS] = {sizeof(struct ottla_group_result), true},
    [ADMIN_MEMBERS] = {sizeof(struct ottla_member_result), true},
    [ADMIN_GROUP_OFFSETS] = {sizeof(struct ottla_group_offsets), true},
    [ADMIN_CLUSTER] = {sizeof(struct ottla_cluster), false},
    [ADMIN_VERSIONS] = {sizeof(struct ottla_broker_versions), true},
    [ADMIN_FEATURES] = {sizeof(struct ottla_features), false},
    [ADMIN_FEATURE_RESULTS] = {sizeof(struct ottla_feature_result), true},
    [ADMIN_LOG_DIRS] = {sizeof(struct ottla_log_dir), true},
    [ADMIN_REASSIGNMENTS] = {sizeof(struct ottla_ongoing_reassignment), false},
    [ADMIN_QUORUM] = {sizeof(struct ottla_quorum), false},
    [ADMIN_TRANSACTION_LISTINGS] = {sizeof(struct ottla_transaction_listing), false},
    [ADMIN_TRANSACTION_DESCRIPTIONS] = {sizeof(struct ottla_transaction_description), true},
    [ADMIN_FENCED_PRODUCERS] = {sizeof(struct ottla_fenced_producer), true},
};

void *admin_result_add(struct ottla_call *call) {
    if (call->found_count == call->found_capacity) {
        call->found_capacity = call->found_capacity * 2 + 8;
        call->found = realloc(call->found, call->found_capacity * sizeof(void *));
        if (call->found == NULL) {
            abort();
        }
    }
    void *result = arena_alloc_zero(&call->arena, kinds[call->op->kind].size);
    if (kinds[call->op->kind].coded) {
        struct head head = {OTTLA_OK, ottla_code_text(OTTLA_OK)};
        memcpy(result, &head, sizeof head);
    }
    call->found[call->found_count++] = result;
    return result;
}

const char *admin_text(struct ottla_call *call, struct str s) {
    return arena_c_str(&call->arena, s);
}

const char *admin_id_text(struct ottla_call *call, const struct uuid *id) {
    if (uuid_is_zero(*id)) {
        return NULL;
    }
    char *text = arena_alloc(&call->arena, UUID_TEXT_SIZE + 1);
    uuid_format(*id, text);
    return text;
}

struct ottla_replicas admin_replicas(struct ottla_call *call, const int32_t *brokers,
                                     int32_t count) {
    if (count < 0) {
        return (struct ottla_replicas){0};
    }
    int32_t *copy = ARENA_ARRAY(&call->arena, int32_t, (size_t)count + 1); /* not NULL */
    if (count > 0) {
        memcpy(copy, brokers, sizeof *copy * (size_t)count);
    }
    return (struct ottla_replicas){.brokers = copy, .count = (size_t)count};
}

/* --- the end --- */

static void add_failures(struct ottla_call *call) {
    for (size_t i = 0; i < call->item_count; i++) {
        call->failure_count += call->items[i]->code != OTTLA_OK;
    }
    call->failures = ARENA_ARRAY(&call->arena, struct ottla_failure, call->failure_count);
    size_t count = 0;
    for (size_t i = 0; i < call->item_count; i++) {
        const struct admin_item *item = call->items[i];
        if (item->code != OTTLA_OK) {
            const char *text = item->text;
            if (strncmp(text, item->label, strlen(item->label)) != 0) { /* it is not named yet */
                text = arena_printf(&call->arena, "%s: %s", item->label, item->text).data;
            }
            call->failures[count++] = (struct ottla_failure){
                .code = item->code, .text = text, .broker_id = item->broker_id};
        }
    }
}

static void set_codes(struct ottla_call *call) {
    for (size_t i = 0; i < call->item_count; i++) {
        const struct admin_item *item = call->items[i];
        if (item->result != NULL) {
            struct head head = {item->code, item->text};
            memcpy(item->result, &head, sizeof head);
        } else if (item->code != OTTLA_OK && call->op->failed != NULL) {
            call->op->failed(call->items[i]);
        }
    }
}

/* Sorted where the row has an order; of equal ones (a group that two brokers named while it moved)
 * one stays. */
static void lay_out(struct ottla_call *call) {
    size_t size = kinds[call->op->kind].size;
    uint8_t *all = arena_alloc(&call->arena, size * call->found_count + 1);
    for (size_t i = 0; i < call->found_count; i++) {
        memcpy(all + size * i, call->found[i], size);
    }
    size_t count = call->found_count;
    if (call->op->order != NULL && count > 0) {
        qsort(all, count, size, call->op->order);
        size_t kept = 1;
        for (size_t i = 1; i < count; i++) {
            if (call->op->order(all + size * (kept - 1), all + size * i) != 0) {
                memmove(all + size * kept++, all + size * i, size);
            }
        }
        count = kept;
    }
    call->results = all;
    call->result_count = count;
}

void admin_finish(struct ottla_call *call) {
    if (kinds[call->op->kind].coded) {
        set_codes(call);
    }
    add_failures(call);
    lay_out(call);
    free(call->found);
    call->found = NULL;
}

/* --- the caller's side --- */

const struct ottla_failure *ottla_call_failures(const struct ottla_call *call, size_t *ret_count) {
    *ret_count = call->failure_count;
    return call->failures;
}

static const void *results_of(const struct ottla_call *call, enum admin_kind kind,
                              size_t *ret_count) {
    bool has = call->done && call->op->kind == kind;
    *ret_count = has ? call->result_count : 0;
    return has ? call->results : NULL;
}

#define RESULTS(function, type, kind)                                                              \
    const struct type *function(const struct ottla_call *call, size_t *ret_count) {                \
        return results_of(call, kind, ret_count);                                                  \
    }
RESULTS(ottla_call_topics, ottla_topic_result, ADMIN_TOPICS)
RESULTS(ottla_call_topic_descriptions, ottla_topic_description, ADMIN_TOPIC_DESCRIPTIONS)
RESULTS(ottla_call_configs, ottla_resource_configs, ADMIN_CONFIGS)
RESULTS(ottla_call_resources, ottla_resource_result, ADMIN_RESOURCES)
RESULTS(ottla_call_offsets, ottla_offset_result, ADMIN_OFFSETS)
RESULTS(ottla_call_partitions, ottla_partition_result, ADMIN_PARTITIONS)
RESULTS(ottla_call_producers, ottla_partition_producers, ADMIN_PRODUCERS)
RESULTS(ottla_call_group_listings, ottla_group_listing, ADMIN_GROUP_LISTINGS)
RESULTS(ottla_call_group_descriptions, ottla_group_description, ADMIN_GROUP_DESCRIPTIONS)
RESULTS(ottla_call_groups, ottla_group_result, ADMIN_GROUPS)
RESULTS(ottla_call_members, ottla_member_result, ADMIN_MEMBERS)
RESULTS(ottla_call_group_offsets, ottla_group_offsets, ADMIN_GROUP_OFFSETS)
RESULTS(ottla_call_versions, ottla_broker_versions, ADMIN_VERSIONS)
RESULTS(ottla_call_feature_results, ottla_feature_result, ADMIN_FEATURE_RESULTS)
RESULTS(ottla_call_log_dirs, ottla_log_dir, ADMIN_LOG_DIRS)
RESULTS(ottla_call_reassignments, ottla_ongoing_reassignment, ADMIN_REASSIGNMENTS)
RESULTS(ottla_call_transaction_listings, ottla_transaction_listing, ADMIN_TRANSACTION_LISTINGS)
RESULTS(ottla_call_transaction_descriptions, ottla_transaction_description,
        ADMIN_TRANSACTION_DESCRIPTIONS)
RESULTS(ottla_call_fenced_producers, ottla_fenced_producer, ADMIN_FENCED_PRODUCERS)

/* Those of which there is one. */
#define RESULT(function, type, kind)                                                               \
    const struct type *function(const struct ottla_call *call) {                                   \
        size_t count;                                                                              \
        const struct type *results = results_of(call, kind, &count);                               \
        return count > 0 ? results : NULL;                                                         \
    }
RESULT(ottla_call_cluster, ottla_cluster, ADMIN_CLUSTER)
RESULT(ottla_call_features, ottla_features, ADMIN_FEATURES)
RESULT(ottla_call_quorum, ottla_quorum, ADMIN_QUORUM)
