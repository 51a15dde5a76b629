/*
 * What groups committed, read from each group's coordinator: of partitions that are named, or of
 * all that have a commit; of groups that are named, or of all that the brokers list.
 */
#include <stdlib.h>
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

enum { STAGE_FETCH, STAGE_BROKERS, STAGE_LIST };

/* --- what an item asks for --- */

struct wanted {
    struct ottla_position *positions; /* in the caller's order; they become the result */
    struct ottla_position **sorted;   /* by topic and number */
    size_t count;
    bool all;
};

static int position_compare(const struct ottla_position *a, const struct ottla_position *b) {
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int by_pointer(const void *a, const void *b) {
    return position_compare(*(struct ottla_position *const *)a, *(struct ottla_position *const *)b);
}

static int by_value(const void *a, const void *b) {
    return position_compare(a, b);
}

static struct wanted *wanted_new(struct ottla_call *call,
                                 const struct ottla_group_partitions *group) {
    struct wanted *wanted = ARENA_NEW(&call->arena, struct wanted);
    if (group == NULL || group->partitions == NULL) {
        wanted->all = true;
        return wanted;
    }
    size_t count = group->partition_count;
    wanted->count = count;
    wanted->positions = ARENA_ARRAY(&call->arena, struct ottla_position, count);
    wanted->sorted = ARENA_ARRAY(&call->arena, struct ottla_position *, count);
    for (size_t i = 0; i < count; i++) {
        const char *topic = group->partitions[i].topic;
        wanted->positions[i] = (struct ottla_position){
            .topic = admin_text(call, str_from_c(topic == NULL ? "" : topic)),
            .partition = group->partitions[i].partition,
            .offset = OTTLA_OFFSET_NONE,
            .leader_epoch = -1,
            .code = OTTLA_MALFORMED, /* until the broker has named it */
        };
        wanted->sorted[i] = &wanted->positions[i];
    }
    if (count > 0) {
        qsort(wanted->sorted, count, sizeof *wanted->sorted, by_pointer);
    }
    return wanted;
}

static err_t fetch_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    typedef struct offset_fetch_request_topics fetch_topic;
    const struct wanted *wanted = part->items[0]->input;
    fetch_topic *topics = ARENA_ARRAY(arena, fetch_topic, wanted->count);
    int32_t *numbers = ARENA_ARRAY(arena, int32_t, wanted->count);
    int32_t topic_count = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct ottla_position *position = wanted->sorted[i];
        if (i > 0 && position_compare(position, wanted->sorted[i - 1]) == 0) {
            continue;
        }
        if (i == 0 || strcmp(position->topic, wanted->sorted[i - 1]->topic) != 0) {
            topics[topic_count++] = (fetch_topic){.name = str_from_c(position->topic),
                                                  .partition_indexes = &numbers[i]};
        }
        fetch_topic *topic = &topics[topic_count - 1];
        topic->partition_indexes[topic->partition_indexes_count++] = position->partition;
    }
    struct offset_fetch_request *request = ADMIN_REQUEST(arena, offset_fetch_request);
    request->require_stable = part->call->options.stable;
    if (version >= 8) {
        request->groups = ARENA_NEW(arena, struct offset_fetch_request_group);
        request->groups_count = 1;
        request->groups->group_id = part->items[0]->group;
        request->groups->member_epoch = -1;
        request->groups->topics = topics;
        request->groups->topics_count = wanted->all ? -1 : topic_count;
    } else {
        request->group_id = part->items[0]->group;
        request->topics = ARENA_ARRAY(arena, struct offset_fetch_request_topic, wanted->count);
        request->topics_count = wanted->all ? -1 : topic_count;
        for (int32_t i = 0; i < topic_count; i++) {
            request->topics[i] = (struct offset_fetch_request_topic){
                topics[i].name, topics[i].partition_indexes, topics[i].partition_indexes_count};
        }
    }
    *ret_request = request;
    return (wanted->all && version < 2) || (request->require_stable && version < 7)
               ? ERR_UNSUPPORTED_VERSION
               : ERR_OK;
}

/* --- the answer, of old and new versions alike --- */

/* A run of partitions of one topic. */
struct fetched {
    struct str topic;
    const struct offset_fetch_response_partitions *partitions;
    int32_t count;
};

_Static_assert(sizeof(struct offset_fetch_response_partition) ==
                   sizeof(struct offset_fetch_response_partitions),
               "both versions of the answer name the same of a partition");

/* Where in `sorted` the partition is, or would be; the caller may have named it more than once. */
static size_t find_wanted(const struct wanted *wanted, const struct ottla_position *key) {
    size_t low = 0, high = wanted->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (position_compare(wanted->sorted[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void set_position(struct ottla_call *call, struct ottla_position *position,
                         const struct offset_fetch_response_partitions *row) {
    position->code = row->error_code;
    position->offset = row->committed_offset < 0 ? OTTLA_OFFSET_NONE : row->committed_offset;
    position->leader_epoch = row->committed_leader_epoch;
    position->metadata = admin_text(call, row->metadata);
}

/* Whether a transaction is still open there, and the group is to be asked again. */
static bool is_unstable(const struct fetched *runs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (int32_t p = 0; p < runs[i].count; p++) {
            if (runs[i].partitions[p].error_code == ERR_UNSTABLE_OFFSET_COMMIT) {
                return true;
            }
        }
    }
    return false;
}

static void take_all(struct ottla_call *call, struct ottla_group_offsets *result,
                     const struct fetched *runs, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += runs[i].count > 0 ? (size_t)runs[i].count : 0;
    }
    struct ottla_position *positions = ARENA_ARRAY(&call->arena, struct ottla_position, total);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const char *topic = runs[i].count > 0 ? admin_text(call, runs[i].topic) : NULL;
        for (int32_t p = 0; p < runs[i].count; p++) {
            positions[at].topic = topic;
            positions[at].partition = runs[i].partitions[p].partition_index;
            set_position(call, &positions[at++], &runs[i].partitions[p]);
        }
    }
    if (total > 0) {
        qsort(positions, total, sizeof *positions, by_value);
    }
    result->positions = positions;
    result->position_count = total;
}

static void take_wanted(struct ottla_call *call, const struct wanted *wanted,
                        struct ottla_group_offsets *result, const struct fetched *runs,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *topic = admin_text(call, runs[i].topic);
        for (int32_t p = 0; p < runs[i].count; p++) {
            struct ottla_position key = {.topic = topic,
                                         .partition = runs[i].partitions[p].partition_index};
            for (size_t at = find_wanted(wanted, &key);
                 at < wanted->count && position_compare(wanted->sorted[at], &key) == 0; at++) {
                set_position(call, wanted->sorted[at], &runs[i].partitions[p]);
            }
        }
    }
    result->positions = wanted->positions;
    result->position_count = wanted->count;
}

static void take_group(struct admin_part *part, int16_t code, const struct fetched *runs,
                       size_t count) {
    struct admin_item *item = part->items[0];
    if (code == 0 && is_unstable(runs, count)) {
        code = ERR_UNSTABLE_OFFSET_COMMIT;
    }
    if (!admin_item_answer(item, code, STR_NULL)) {
        return;
    }
    const struct wanted *wanted = item->input;
    if (wanted->all) {
        take_all(part->call, item->result, runs, count);
    } else {
        take_wanted(part->call, wanted, item->result, runs, count);
    }
}

static void fetch_take(struct admin_part *part, const void *response, int16_t version) {
    const struct offset_fetch_response *answer = response;
    const struct offset_fetch_response_group *group = answer->groups;
    if (version >= 8 &&
        (answer->groups_count != 1 || !str_equal(group->group_id, part->items[0]->group))) {
        return;
    }
    int32_t count = version >= 8 ? group->topics_count : answer->topics_count;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct fetched *runs = ARENA_ARRAY(&arena, struct fetched, count > 0 ? (size_t)count : 0);
    for (int32_t i = 0; i < count; i++) {
        if (version >= 8) {
            runs[i] = (struct fetched){group->topics[i].name, group->topics[i].partitions,
                                       group->topics[i].partitions_count};
        } else {
            runs[i] =
                (struct fetched){answer->topics[i].name, (const void *)answer->topics[i].partitions,
                                 answer->topics[i].partitions_count};
        }
    }
    take_group(part, version >= 8 ? group->error_code : answer->error_code, runs,
               count > 0 ? (size_t)count : 0);
    arena_done(&arena);
}

static void fetch_add(struct ottla_call *call, struct str group,
                      const struct ottla_group_partitions *partitions) {
    struct admin_item *item = admin_group_add(call, group);
    item->stage = STAGE_FETCH;
    item->input = wanted_new(call, partitions);
    struct ottla_group_offsets *result = admin_result_add(call);
    result->group = admin_text(call, item->name);
    item->result = result;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_groups_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->groups_count; i++) {
        fetch_add(part->call, answer->groups[i].group_id, NULL);
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static int by_group(const void *a, const void *b) {
    const struct ottla_group_offsets *left = a;
    const struct ottla_group_offsets *right = b;
    return strcmp(left->group, right->group);
}

static const struct admin_stage fetch_stages[] = {
    [STAGE_FETCH] = {.api_key = API_OFFSET_FETCH,
                     .version_max = ADMIN_OFFSETS_VERSION_MAX,
                     .route = ADMIN_GROUP,
                     .each = true,
                     .again = STAGE_FETCH,
                     .passing = ADMIN_PASS_GROUP,
                     .build = fetch_build,
                     .take = fetch_take},
    [STAGE_BROKERS] = ADMIN_FIND_BROKERS,
    [STAGE_LIST] = {.api_key = API_LIST_GROUPS,
                    .route = ADMIN_BROKER,
                    .each = true,
                    .again = STAGE_LIST,
                    .build = admin_list_groups_build,
                    .take = list_take},
};
static const struct admin_op fetch_op = {
    .name = "list group offsets",
    .kind = ADMIN_GROUP_OFFSETS,
    .stages = fetch_stages,
};
static const struct admin_op fetch_all_op = {
    .name = "list offsets of all groups",
    .kind = ADMIN_GROUP_OFFSETS,
    .stages = fetch_stages,
    .order = by_group,
};

struct ottla_call *ottla_group_offsets_list(struct ottla_client *client,
                                            const struct ottla_group_partitions *groups,
                                            size_t count,
                                            const struct ottla_admin_options *options) {
    struct ottla_call *call =
        admin_call_new(client, groups == NULL ? &fetch_all_op : &fetch_op, options);
    if (groups == NULL) {
        admin_item_whole(call)->stage = STAGE_BROKERS;
    }
    for (size_t i = 0; groups != NULL && i < count; i++) {
        fetch_add(call, str_from_c(groups[i].group), &groups[i]);
    }
    return admin_start(call);
}
