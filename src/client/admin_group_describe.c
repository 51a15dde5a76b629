/*
 * Groups described. A group is asked for with ConsumerGroupDescribe; that it is none of those (or
 * the coordinator does not know the API) leads to DescribeGroups. What members of a classic group
 * of consumers subscribe to and were given, they told each other in bytes that brokers do not read;
 * we do, and where they cannot be read they say nothing.
 */
#include "client/admin_int.h"
#include "wire/api_keys.h"

enum { STAGE_CONSUMER, STAGE_CLASSIC };

typedef struct consumer_group_describe_response_described_group consumer_group;
typedef struct consumer_group_describe_response_assignment consumer_assignment;
typedef struct describe_groups_response_described_group classic_group;
typedef struct describe_groups_response_described_group_member classic_member;

static const char **copy_topics(struct ottla_call *call, const struct str *topics, int32_t count) {
    const char **copy = ARENA_ARRAY(&call->arena, const char *, count > 0 ? (size_t)count : 0);
    for (int32_t i = 0; i < count; i++) {
        copy[i] = admin_text(call, topics[i]);
    }
    return copy;
}

static int32_t authorized(const struct ottla_call *call, int32_t operations) {
    return call->options.authorized_operations ? operations : INT32_MIN;
}

/* --- groups of the consumer protocol --- */

err_t admin_consumer_group_build(struct admin_part *part, int16_t version, struct arena *arena,
                                 const void **ret_request) {
    (void)version;
    struct consumer_group_describe_request *request =
        ADMIN_REQUEST(arena, consumer_group_describe_request);
    request->group_ids = &part->items[0]->group;
    request->group_ids_count = 1;
    request->include_authorized_operations = part->call->options.authorized_operations;
    *ret_request = request;
    return ERR_OK;
}

static struct ottla_partition *
copy_assignment(struct ottla_call *call, const consumer_assignment *assignment, size_t *ret_count) {
    size_t count = 0;
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++) {
        int32_t more = assignment->topic_partitions[i].partitions_count;
        count += more > 0 ? (size_t)more : 0;
    }
    struct ottla_partition *copy = ARENA_ARRAY(&call->arena, struct ottla_partition, count);
    *ret_count = count;
    count = 0;
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++) {
        const struct consumer_group_describe_response_topic_partitions *topic =
            &assignment->topic_partitions[i];
        const char *name = admin_text(call, topic->topic_name);
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            copy[count++] =
                (struct ottla_partition){.topic = name, .partition = topic->partitions[p]};
        }
    }
    return copy;
}

static void set_consumer_members(struct ottla_call *call, struct ottla_group_description *result,
                                 const consumer_group *group) {
    size_t count = group->members_count > 0 ? (size_t)group->members_count : 0;
    struct ottla_group_member *members =
        ARENA_ARRAY(&call->arena, struct ottla_group_member, count);
    for (size_t i = 0; i < count; i++) {
        const struct consumer_group_describe_response_member *from = &group->members[i];
        struct ottla_group_member *to = &members[i];
        to->member_id = admin_text(call, from->member_id);
        to->instance_id = admin_text(call, from->instance_id);
        to->client_id = admin_text(call, from->client_id);
        to->host = admin_text(call, from->client_host);
        to->rack = admin_text(call, from->rack_id);
        to->epoch = from->member_epoch;
        to->upgraded = from->member_type == 1;
        to->topics =
            copy_topics(call, from->subscribed_topic_names, from->subscribed_topic_names_count);
        to->topic_count =
            from->subscribed_topic_names_count > 0 ? (size_t)from->subscribed_topic_names_count : 0;
        to->topic_regex = from->subscribed_topic_regex.size > 0
                              ? admin_text(call, from->subscribed_topic_regex)
                              : NULL;
        to->assignment = copy_assignment(call, &from->assignment, &to->assignment_count);
        to->target = copy_assignment(call, &from->target_assignment, &to->target_count);
    }
    result->members = members;
    result->member_count = count;
}

static void consumer_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct consumer_group_describe_response *answer = response;
    struct ottla_call *call = part->call;
    for (int32_t i = 0; i < answer->groups_count; i++) {
        const consumer_group *group = &answer->groups[i];
        struct admin_item *item = admin_find(part, group->group_id, 0);
        if (item != NULL && group->error_code == ERR_GROUP_ID_NOT_FOUND) {
            admin_item_go(item, STAGE_CLASSIC);
        } else if (item != NULL &&
                   admin_item_answer(item, group->error_code, group->error_message)) {
            struct ottla_group_description *result = item->result;
            result->type = "Consumer";
            result->state = admin_text(call, group->group_state);
            result->protocol_type = "consumer";
            result->assignor = admin_text(call, group->assignor_name);
            result->epoch = group->group_epoch;
            result->assignment_epoch = group->assignment_epoch;
            result->broker_id = part->broker_id;
            result->authorized_operations = authorized(call, group->authorized_operations);
            set_consumer_members(call, result, group);
        }
    }
}

/* --- classic groups --- */

err_t admin_classic_group_build(struct admin_part *part, int16_t version, struct arena *arena,
                                const void **ret_request) {
    struct describe_groups_request *request = ADMIN_REQUEST(arena, describe_groups_request);
    request->groups = &part->items[0]->group;
    request->groups_count = 1;
    request->include_authorized_operations =
        version >= 3 && part->call->options.authorized_operations;
    *ret_request = request;
    return ERR_OK;
}

/* Behind their version; of one newer than ours, the part that we know. */
static bool read_versioned(const struct wire_type *type, struct bytes bytes, struct arena *arena,
                           void *ret_message) {
    if (bytes.size < 2) {
        return false;
    }
    int16_t version = (int16_t)get_be16(bytes.data);
    int16_t most = wire_version_max(type);
    struct bytes body = {bytes.data + 2, bytes.size - 2};
    size_t used;
    return version >= 0 && wire_decode(type, version > most ? most : version, body, arena,
                                       ret_message, &used) == ERR_OK;
}

static void set_classic_topics(struct ottla_call *call, struct ottla_group_member *to,
                               const classic_member *from) {
    struct arena arena;
    arena_init(&arena, wire_decode_bound(from->member_metadata.size));
    struct consumer_protocol_subscription message;
    if (read_versioned(&consumer_protocol_subscription_type, from->member_metadata, &arena,
                       &message)) {
        to->topics = copy_topics(call, message.topics, message.topics_count);
        to->topic_count = message.topics_count > 0 ? (size_t)message.topics_count : 0;
        to->rack = admin_text(call, message.rack_id);
    }
    arena_done(&arena);
}

static void set_classic_assignment(struct ottla_call *call, struct ottla_group_member *to,
                                   const classic_member *from) {
    struct arena arena;
    arena_init(&arena, wire_decode_bound(from->member_assignment.size));
    struct consumer_protocol_assignment message;
    if (read_versioned(&consumer_protocol_assignment_type, from->member_assignment, &arena,
                       &message)) {
        size_t count = 0;
        for (int32_t i = 0; i < message.assigned_partitions_count; i++) {
            int32_t more = message.assigned_partitions[i].partitions_count;
            count += more > 0 ? (size_t)more : 0;
        }
        struct ottla_partition *copy = ARENA_ARRAY(&call->arena, struct ottla_partition, count);
        for (int32_t i = 0; i < message.assigned_partitions_count; i++) {
            const char *name = admin_text(call, message.assigned_partitions[i].topic);
            for (int32_t p = 0; p < message.assigned_partitions[i].partitions_count; p++) {
                copy[to->assignment_count++] = (struct ottla_partition){
                    .topic = name, .partition = message.assigned_partitions[i].partitions[p]};
            }
        }
        to->assignment = copy;
    }
    arena_done(&arena);
}

static struct ottla_bytes copy_bytes(struct ottla_call *call, struct bytes bytes) {
    struct bytes copy = arena_bytes(&call->arena, bytes);
    return (struct ottla_bytes){.data = copy.data, .size = copy.size};
}

static void set_classic_members(struct ottla_call *call, struct ottla_group_description *result,
                                const classic_group *group) {
    size_t count = group->members_count > 0 ? (size_t)group->members_count : 0;
    struct ottla_group_member *members =
        ARENA_ARRAY(&call->arena, struct ottla_group_member, count);
    bool consumers = str_equal(group->protocol_type, STR("consumer"));
    for (size_t i = 0; i < count; i++) {
        const classic_member *from = &group->members[i];
        struct ottla_group_member *to = &members[i];
        to->member_id = admin_text(call, from->member_id);
        to->instance_id = admin_text(call, from->group_instance_id);
        to->client_id = admin_text(call, from->client_id);
        to->host = admin_text(call, from->client_host);
        to->epoch = -1;
        to->metadata = copy_bytes(call, from->member_metadata);
        to->assignment_bytes = copy_bytes(call, from->member_assignment);
        if (consumers) {
            set_classic_topics(call, to, from);
            set_classic_assignment(call, to, from);
        }
    }
    result->members = members;
    result->member_count = count;
}

static void classic_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_groups_response *answer = response;
    struct ottla_call *call = part->call;
    for (int32_t i = 0; i < answer->groups_count; i++) {
        const classic_group *group = &answer->groups[i];
        struct admin_item *item = admin_find(part, group->group_id, 0);
        if (item != NULL && admin_item_answer(item, group->error_code, group->error_message)) {
            struct ottla_group_description *result = item->result;
            result->type = "Classic";
            result->state = admin_text(call, group->group_state);
            result->protocol_type = admin_text(call, group->protocol_type);
            result->assignor = admin_text(call, group->protocol_data);
            result->broker_id = part->broker_id;
            result->authorized_operations = authorized(call, group->authorized_operations);
            set_classic_members(call, result, group);
        }
    }
}

static const struct admin_stage describe_stages[] = {
    [STAGE_CONSUMER] = {.api_key = API_CONSUMER_GROUP_DESCRIBE,
                        .route = ADMIN_GROUP,
                        .each = true,
                        .again = STAGE_CONSUMER,
                        .fallback = STAGE_CLASSIC,
                        .build = admin_consumer_group_build,
                        .take = consumer_take},
    [STAGE_CLASSIC] = {.api_key = API_DESCRIBE_GROUPS,
                       .route = ADMIN_GROUP,
                       .each = true,
                       .again = STAGE_CLASSIC,
                       .build = admin_classic_group_build,
                       .take = classic_take},
};
static const struct admin_op describe_op = {
    .name = "describe groups",
    .kind = ADMIN_GROUP_DESCRIPTIONS,
    .stages = describe_stages,
};

struct ottla_call *ottla_groups_describe(struct ottla_client *client, const char *const *groups,
                                         size_t count, const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &describe_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_group_add(call, str_from_c(groups[i]));
        struct ottla_group_description *result = admin_result_add(call);
        *result = (struct ottla_group_description){
            .group = admin_text(call, item->name),
            .type = "",
            .state = "",
            .protocol_type = "",
            .assignor = "",
            .epoch = -1,
            .assignment_epoch = -1,
            .broker_id = -1,
            .authorized_operations = INT32_MIN,
        };
        item->result = result;
    }
    return admin_start(call);
}
