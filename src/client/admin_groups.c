/* Groups listed by every broker, deleted by their coordinators, and rid of members. */
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

struct admin_item *admin_group_add(struct ottla_call *call, struct str group) {
    struct admin_item *item = admin_item_add(call, group.data == NULL ? STR("") : group, 0,
                                             "group %.*s", STR_ARGS(group));
    item->group = item->name;
    return item;
}

/* --- list --- */

err_t admin_list_groups_build(struct admin_part *part, int16_t version, struct arena *arena,
                              const void **ret_request) {
    const struct ottla_admin_options *options = &part->call->options;
    struct list_groups_request *request = ADMIN_REQUEST(arena, list_groups_request);
    request->states_filter = ARENA_ARRAY(arena, struct str, options->state_count);
    request->states_filter_count = (int32_t)options->state_count;
    for (size_t i = 0; i < options->state_count; i++) {
        request->states_filter[i] = str_from_c(options->states[i]);
    }
    request->types_filter = ARENA_ARRAY(arena, struct str, options->type_count);
    request->types_filter_count = (int32_t)options->type_count;
    for (size_t i = 0; i < options->type_count; i++) {
        request->types_filter[i] = str_from_c(options->types[i]);
    }
    *ret_request = request;
    return (version < 4 && options->state_count > 0) || (version < 5 && options->type_count > 0)
               ? ERR_UNSUPPORTED_VERSION
               : ERR_OK;
}

/* Brokers say "classic"; people, and Java's clients, "Classic". */
static const char *type_text(struct ottla_call *call, struct str type) {
    if (type.size == 0) {
        return "";
    }
    char *text = arena_c_str(&call->arena, type);
    text[0] = text[0] >= 'a' && text[0] <= 'z' ? (char)(text[0] - 'a' + 'A') : text[0];
    return text;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_groups_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->groups_count; i++) {
        struct ottla_group_listing *result = admin_result_add(call);
        result->group = admin_text(call, answer->groups[i].group_id);
        result->protocol_type = admin_text(call, answer->groups[i].protocol_type);
        result->state = admin_text(call, answer->groups[i].group_state);
        result->type = type_text(call, answer->groups[i].group_type);
        result->broker_id = part->broker_id;
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static int by_group(const void *a, const void *b) {
    const struct ottla_group_listing *left = a;
    const struct ottla_group_listing *right = b;
    return strcmp(left->group, right->group);
}

static const struct admin_stage list_stages[] = {
    ADMIN_FIND_BROKERS,
    {.api_key = API_LIST_GROUPS,
     .route = ADMIN_BROKER,
     .each = true,
     .again = 1,
     .build = admin_list_groups_build,
     .take = list_take},
};
static const struct admin_op list_op = {
    .name = "list groups",
    .kind = ADMIN_GROUP_LISTINGS,
    .stages = list_stages,
    .order = by_group,
};

struct ottla_call *ottla_groups_list(struct ottla_client *client,
                                     const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}

/* --- delete --- */

static err_t delete_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)version;
    struct delete_groups_request *request = ADMIN_REQUEST(arena, delete_groups_request);
    request->groups_names = &part->items[0]->group;
    request->groups_names_count = 1;
    *ret_request = request;
    return ERR_OK;
}

static void delete_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct delete_groups_response *answer = response;
    for (int32_t i = 0; i < answer->results_count; i++) {
        struct admin_item *item = admin_find(part, answer->results[i].group_id, 0);
        if (item != NULL) {
            (void)admin_item_answer(item, answer->results[i].error_code, STR_NULL);
        }
    }
}

static const struct admin_stage delete_stages[] = {{
    .api_key = API_DELETE_GROUPS,
    .route = ADMIN_GROUP,
    .each = true,
    .build = delete_build,
    .take = delete_take,
}};
static const struct admin_op delete_op = {
    .name = "delete groups",
    .kind = ADMIN_GROUPS,
    .effect = ADMIN_CHANGES,
    .stages = delete_stages,
};

struct ottla_call *ottla_groups_delete(struct ottla_client *client, const char *const *groups,
                                       size_t count, const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &delete_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_group_add(call, str_from_c(groups[i]));
        struct ottla_group_result *result = admin_result_add(call);
        result->group = admin_text(call, item->name);
        item->result = result;
    }
    return admin_start(call);
}

/* --- members --- */

enum { STAGE_LEAVE, STAGE_CONSUMER, STAGE_CLASSIC };
enum { BY_MEMBER = 0, BY_INSTANCE = 1 };

static void member_add(struct ottla_call *call, struct str group, struct str member_id,
                       struct str instance_id) {
    bool by_instance = instance_id.data != NULL;
    struct str name = by_instance ? instance_id : member_id;
    struct admin_item *item = admin_item_add(call, name.data == NULL ? STR("") : name, by_instance,
                                             "member %.*s", STR_ARGS(name));
    item->group = arena_str(&call->arena, group);
    struct ottla_member_result *result = admin_result_add(call);
    result->member_id = by_instance ? "" : admin_text(call, item->name);
    result->instance_id = by_instance ? admin_text(call, item->name) : NULL;
    item->result = result;
    if (name.size == 0) {
        admin_item_end(item, OTTLA_INVALID, "a member has a member id or an instance id");
    }
}

static err_t leave_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    if (version < 3) {
        return ERR_UNSUPPORTED_VERSION; /* only a member itself can leave */
    }
    const char *reason = part->call->options.reason;
    struct str text = STR("removed by an administrator");
    if (reason != NULL) {
        text = arena_printf(arena, "%.*s: %s", STR_ARGS(text), reason);
    }
    struct leave_group_request *request = ADMIN_REQUEST(arena, leave_group_request);
    request->group_id = part->items[0]->group;
    request->members =
        ARENA_ARRAY(arena, struct leave_group_request_member_identity, part->item_count);
    request->members_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        bool by_instance = part->items[i]->number == BY_INSTANCE;
        request->members[i] = (struct leave_group_request_member_identity){
            .member_id = by_instance ? STR("") : part->items[i]->name,
            .group_instance_id = by_instance ? part->items[i]->name : STR_NULL,
            .reason = text,
        };
    }
    *ret_request = request;
    return ERR_OK;
}

static void leave_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct leave_group_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->members_count; i++) {
        const struct leave_group_response_member_response *row = &answer->members[i];
        struct admin_item *item = admin_find(part, row->group_instance_id, BY_INSTANCE);
        item = item != NULL ? item : admin_find(part, row->member_id, BY_MEMBER);
        if (item != NULL) {
            (void)admin_item_answer(item, row->error_code, STR_NULL);
        }
    }
}

/* Who is there, asked in both protocols: GROUP_ID_NOT_FOUND of the first leads to the second. */
static void consumer_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct consumer_group_describe_response *answer = response;
    struct admin_item *item = part->items[0];
    if (answer->groups_count != 1 || !str_equal(answer->groups[0].group_id, item->group)) {
        return;
    }
    if (answer->groups[0].error_code == ERR_GROUP_ID_NOT_FOUND) {
        admin_item_go(item, STAGE_CLASSIC);
        return;
    }
    if (admin_item_answer(item, answer->groups[0].error_code, answer->groups[0].error_message)) {
        for (int32_t i = 0; i < answer->groups[0].members_count; i++) {
            member_add(part->call, item->group, answer->groups[0].members[i].member_id,
                       answer->groups[0].members[i].instance_id);
        }
    }
}

static void classic_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_groups_response *answer = response;
    struct admin_item *item = part->items[0];
    if (answer->groups_count == 1 && str_equal(answer->groups[0].group_id, item->group) &&
        admin_item_answer(item, answer->groups[0].error_code, answer->groups[0].error_message)) {
        for (int32_t i = 0; i < answer->groups[0].members_count; i++) {
            member_add(part->call, item->group, answer->groups[0].members[i].member_id,
                       answer->groups[0].members[i].group_instance_id);
        }
    }
}

static const struct admin_stage member_stages[] = {
    [STAGE_LEAVE] = {.api_key = API_LEAVE_GROUP,
                     .route = ADMIN_GROUP,
                     .again = STAGE_LEAVE,
                     .build = leave_build,
                     .take = leave_take},
    [STAGE_CONSUMER] = {.api_key = API_CONSUMER_GROUP_DESCRIBE,
                        .route = ADMIN_GROUP,
                        .again = STAGE_CONSUMER,
                        .fallback = STAGE_CLASSIC,
                        .build = admin_consumer_group_build,
                        .take = consumer_take},
    [STAGE_CLASSIC] = {.api_key = API_DESCRIBE_GROUPS,
                       .route = ADMIN_GROUP,
                       .again = STAGE_CLASSIC,
                       .build = admin_classic_group_build,
                       .take = classic_take},
};
static const struct admin_op member_op = {
    .name = "remove members",
    .kind = ADMIN_MEMBERS,
    .effect = ADMIN_CHANGES,
    .stages = member_stages,
};

struct ottla_call *ottla_members_remove(struct ottla_client *client, const char *group,
                                        const struct ottla_member_ref *members, size_t count,
                                        const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &member_op, options);
    if (members == NULL) {
        admin_group_add(call, str_from_c(group))->stage = STAGE_CONSUMER;
    }
    for (size_t i = 0; members != NULL && i < count; i++) {
        member_add(call, str_from_c(group == NULL ? "" : group), str_from_c(members[i].member_id),
                   str_from_c(members[i].instance_id));
    }
    return admin_start(call);
}
