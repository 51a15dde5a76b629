/*
 * Requests about groups of any type: ListGroups, of one shard; DescribeGroups and DeleteGroups, of
 * groups of one shard.
 */
#include "coord/offsets_int.h"
#include "coord/requests_int.h"

/* --- ListGroups --- */

/* As Java's String.trim sees it. */
static struct str trim(struct str text) {
    while (text.size > 0 && (uint8_t)text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (uint8_t)text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

static bool same_word(struct str a, const char *b) {
    struct str other = str_from_c(b);
    if (a.size != other.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        char left = a.data[i], right = other.data[i];
        left = (char)(left >= 'A' && left <= 'Z' ? left + 32 : left);
        right = (char)(right >= 'A' && right <= 'Z' ? right + 32 : right);
        if (left != right) {
            return false;
        }
    }
    return true;
}

/* Keeps the words that groups can have, each once; one of the others when there are only such, for
 * nothing passes that, but everything would pass none. */
static int32_t words_keep(struct str *words, int32_t count, const char *const *known) {
    int32_t kept = 0;
    for (; *known != NULL; known++) {
        int32_t i = kept;
        while (i < count && !same_word(words[i], *known)) {
            i++;
        }
        if (i < count) {
            struct str word = words[i];
            words[i] = words[kept];
            words[kept++] = word;
        }
    }
    return kept == 0 && count > 0 ? 1 : kept;
}

void coord_group_filters_prepare(struct list_groups_request *request) {
    static const char *const states[] = {"Empty",  "PreparingRebalance", "CompletingRebalance",
                                         "Stable", "Assigning",          "Reconciling",
                                         NULL};
    static const char *const types[] = {"classic", "consumer", NULL};
    for (int32_t i = 0; i < request->states_filter_count; i++) {
        request->states_filter[i] = trim(request->states_filter[i]); /* types are as they are */
    }
    request->states_filter_count =
        words_keep(request->states_filter, request->states_filter_count, states);
    request->types_filter_count =
        words_keep(request->types_filter, request->types_filter_count, types);
}

static bool passes(const struct str *filter, int32_t count, const char *word) {
    for (int32_t i = 0; i < count; i++) {
        if (same_word(filter[i], word)) {
            return true;
        }
    }
    return count == 0;
}

err_t groups_list_step(struct group_step *step) {
    const struct list_groups_request *request = step->request;
    struct list_groups_response *response = step->response;
    struct arena *arena = step->call->arena;
    response->groups = ARENA_ARRAY(arena, struct list_groups_response_listed_group,
                                   map_count(&step->groups->by_id));
    const struct group *group;
    size_t cursor;
    map_for_each (&step->groups->by_id, cursor, group) {
        const char *state = group_state_name(group), *type = group_type_name(group);
        if (passes(request->states_filter, request->states_filter_count, state) &&
            passes(request->types_filter, request->types_filter_count, type)) {
            response->groups[response->groups_count++] = (struct list_groups_response_listed_group){
                .group_id = arena_str(arena, group->id),
                .protocol_type = arena_str(arena, group_protocol_type(group)),
                .group_state = str_from_c(state),
                .group_type = str_from_c(type),
            };
        }
    }
    return ERR_OK;
}

/* --- DescribeGroups --- */

static void describe_unknown(struct group_step *step, struct str text,
                             struct describe_groups_response_described_group *ret) {
    ret->group_state = STR("Dead");
    if (step->call->version >= 6) {
        ret->error_code = ERR_GROUP_ID_NOT_FOUND;
        ret->error_message = text;
    }
}

err_t groups_describe_step(struct group_step *step) {
    const struct describe_groups_request *request = step->request;
    struct describe_groups_response *response = step->response;
    response->groups = ARENA_ARRAY(step->arena, struct describe_groups_response_described_group,
                                   request->groups_count);
    response->groups_count = request->groups_count;
    for (int32_t i = 0; i < request->groups_count; i++) {
        struct str id = request->groups[i];
        struct describe_groups_response_described_group *ret = &response->groups[i];
        *ret = (struct describe_groups_response_described_group){
            .group_id = id,
            .group_state = STR(""),
            .protocol_type = STR(""),
            .protocol_data = STR(""),
            .authorized_operations = INT32_MIN, /* not asked */
        };
        const struct group *group = groups_find(step->groups, id);
        if (!step_has_room(step)) {
            ret->error_code = ERR_INVALID_REQUEST;
        } else if (group == NULL) {
            describe_unknown(step, arena_printf(step->arena, "Group %.*s not found.", STR_ARGS(id)),
                             ret);
        } else if (group->type == GROUP_SIMPLE) {
            ret->group_state = STR("Empty");
        } else if (group->ops->describe_classic != NULL) {
            group->ops->describe_classic(step, group, ret);
        } else {
            describe_unknown(
                step, arena_printf(step->arena, "Group %.*s is not a classic group.", STR_ARGS(id)),
                ret);
        }
        struct describe_groups_response one = {.groups = ret, .groups_count = 1};
        step_take_room_of(step, &one);
    }
    return ERR_OK;
}

/* --- DeleteGroups --- */

err_t groups_delete_step(struct group_step *step) {
    const struct delete_groups_request *request = step->request;
    struct delete_groups_response *response = step->response;
    response->results =
        ARENA_ARRAY(step->call->arena, struct delete_groups_response_deletable_group_result,
                    request->groups_names_count);
    response->results_count = request->groups_names_count;
    step->output->splittable = true;
    for (int32_t i = 0; i < request->groups_names_count; i++) {
        struct group *group = groups_find(step->groups, request->groups_names[i]);
        err_t err = group == NULL        ? ERR_GROUP_ID_NOT_FOUND
                    : group->ops == NULL ? ERR_OK
                                         : group->ops->check_delete(group);
        response->results[i].group_id = request->groups_names[i];
        response->results[i].error_code = err_kafka_code(err);
        if (err == ERR_OK) {
            (void)offsets_add_tombstones(step, group);
            group_add_tombstones(step, group);
        }
    }
    return ERR_OK;
}
