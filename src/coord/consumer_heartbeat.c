/*
 * ConsumerGroupHeartbeat. What a member epoch says:
 *
 *   > 0   a member tells what changed, or that it is there
 *     0   it joins; it says everything, and owns nothing
 *    -1   it leaves
 *    -2   it leaves for a while, as a static member does: its partitions are kept for its instance
 * id
 */
#include "coord/classic.h"
#include "coord/consumer_int.h"
#include "coord/regex.h"

/* Since then a member chooses its id. */
enum { VERSION_MEMBER_ID = 1 };

/* --- refusals --- */

static struct consumer_refusal refuse(err_t err, struct str message) {
    return (struct consumer_refusal){.err = err, .message = message};
}

void consumer_fail_heartbeat(const struct coord_call *call, int16_t code, void *response) {
    (void)call;
    ((struct consumer_group_heartbeat_response *)response)->error_code = code;
}

/* Not null, and nothing but white space, as Java's String.trim sees it. */
static bool is_blank(struct str s) {
    for (size_t i = 0; i < s.size; i++) {
        if ((uint8_t)s.data[i] > ' ') {
            return false;
        }
    }
    return s.data != NULL;
}

static const char *bad_join(const struct consumer_group_heartbeat_request *request) {
    if (request->rebalance_timeout_ms == -1) {
        return "RebalanceTimeoutMs must be provided in first request.";
    }
    if (request->topic_partitions_count != 0) {
        return "TopicPartitions must be empty when (re-)joining.";
    }
    if (request->subscribed_topic_names_count < 0 && request->subscribed_topic_regex.data == NULL) {
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
               "(re-)joining.";
    }
    return NULL;
}

/* What makes no sense whatever the group; NULL: nothing. */
static const char *bad_request(const struct consumer_group_heartbeat_request *request,
                               int16_t version) {
    int32_t epoch = request->member_epoch;
    bool has_id = version >= VERSION_MEMBER_ID || epoch > 0 || epoch == EPOCH_LEAVE;
    if (has_id && is_blank(request->member_id)) {
        return "MemberId can't be empty.";
    }
    if (is_blank(request->group_id)) {
        return "GroupId can't be empty.";
    }
    if (is_blank(request->instance_id)) {
        return "InstanceId can't be empty.";
    }
    if (is_blank(request->rack_id)) {
        return "RackId can't be empty.";
    }
    if (epoch == EPOCH_JOIN) {
        return bad_join(request);
    }
    if (epoch == EPOCH_LEAVE_STATIC && request->instance_id.data == NULL) {
        return "InstanceId can't be null.";
    }
    return epoch < EPOCH_LEAVE_STATIC ? "MemberEpoch is invalid." : NULL;
}

static struct consumer_refusal check_request(const struct group_step *step) {
    const struct consumer_group_heartbeat_request *request = step->request;
    const char *bad = bad_request(request, step->call->version);
    if (bad != NULL) {
        return refuse(ERR_INVALID_REQUEST, str_from_c(bad));
    }
    struct str assignor = request->server_assignor;
    if (assignor.data != NULL && !consumer_assignor_known(step->groups, assignor)) {
        struct str list = consumer_assignor_list(step->groups, step->arena);
        return refuse(ERR_UNSUPPORTED_ASSIGNOR,
                      arena_printf(step->arena,
                                   "ServerAssignor %.*s is not supported. Supported assignors: "
                                   "%.*s.",
                                   STR_ARGS(assignor), STR_ARGS(list)));
    }
    return refuse(ERR_OK, STR_NULL);
}

/* --- the group --- */

static struct consumer_refusal unknown_group(const struct group_step *step, struct str id) {
    return refuse(ERR_GROUP_ID_NOT_FOUND,
                  arena_printf(step->arena, "Group %.*s not found.", STR_ARGS(id)));
}

/* The group that a member is in, or joins: as it is, or as it will be. */
static struct consumer_refusal find_group(struct consumer_turn *turn, bool joins) {
    struct group_step *step = turn->step;
    struct group *group = groups_find(step->groups, turn->group_id);
    if (group != NULL && group->type == GROUP_CONSUMER) {
        turn->consumer = consumer_of(group);
        return refuse(ERR_OK, STR_NULL);
    }
    if (!joins && group == NULL) {
        return refuse(
            ERR_GROUP_ID_NOT_FOUND,
            arena_printf(step->arena, "Consumer group %.*s not found.", STR_ARGS(turn->group_id)));
    }
    if (!joins) {
        return refuse(ERR_GROUP_ID_NOT_FOUND,
                      arena_printf(step->arena, "Group %.*s is not a consumer group.",
                                   STR_ARGS(turn->group_id)));
    }
    turn->made = true;
    if (group != NULL && group->type == GROUP_CLASSIC && !group->ops->is_empty(group)) {
        struct consumer_refusal refusal;
        turn->upgrades = true;
        turn->consumer = consumer_upgrade(step, group, &refusal);
        return refusal;
    }
    if (group != NULL) {
        group_add_tombstones(step, group);
    }
    turn->consumer = consumer_new(step->groups, NULL, turn->group_id);
    return refuse(ERR_OK, STR_NULL);
}

static struct consumer_refusal check_size(const struct consumer_turn *turn) {
    int32_t size_max = config_int(turn->step->groups->config, CONFIG_GROUP_CONSUMER_MAX_SIZE);
    if (turn->consumer->member_count < size_max ||
        (turn->member_id.size > 0 &&
         consumer_member_find(turn->consumer, turn->member_id) != NULL)) {
        return refuse(ERR_OK, STR_NULL);
    }
    return refuse(ERR_GROUP_MAX_SIZE_REACHED,
                  arena_printf(turn->step->arena,
                               "The consumer group has reached its maximum capacity of %d members.",
                               size_max));
}

/* --- the member --- */

/* Whether all that it says it owns is assigned to it. */
static bool owns_only_assigned(const struct consumer_turn *turn,
                               const struct consumer_ownership *ownership) {
    for (int32_t i = 0; i < turn->owned_count; i++) {
        for (int32_t k = 0; k < turn->owned[i].partitions_count; k++) {
            if (partition_set_find(&ownership->assigned, turn->owned[i].topic_id,
                                   turn->owned[i].partitions[k]) == NULL) {
                return false;
            }
        }
    }
    return turn->owned_count >= 0;
}

/* An answer may have been lost: then the member still has its epoch of before. */
static struct consumer_refusal check_epoch(const struct consumer_turn *turn,
                                           const struct consumer_ownership *ownership,
                                           int32_t epoch) {
    bool ahead = epoch > ownership->epoch;
    bool behind = epoch < ownership->epoch &&
                  !(epoch == ownership->previous_epoch && owns_only_assigned(turn, ownership));
    if (epoch == EPOCH_JOIN || (!ahead && !behind)) {
        return refuse(ERR_OK, STR_NULL);
    }
    return refuse(ERR_FENCED_MEMBER_EPOCH,
                  arena_printf(turn->step->arena,
                               "The consumer group member has a %s member epoch (%d) than the one "
                               "known by the group coordinator (%d). The member must abandon all "
                               "its partitions and rejoin.",
                               ahead ? "greater" : "smaller", epoch, ownership->epoch));
}

static struct consumer_refusal unknown_member(const struct consumer_turn *turn) {
    return refuse(ERR_UNKNOWN_MEMBER_ID,
                  arena_printf(turn->step->arena, "Member %.*s is not a member of group %.*s.",
                               STR_ARGS(turn->member_id), STR_ARGS(turn->group_id)));
}

struct consumer_refusal consumer_check_instance(const struct consumer_turn *turn,
                                                const struct consumer_member *member,
                                                struct str instance_id) {
    struct arena *arena = turn->step->arena;
    if (member == NULL) {
        return refuse(ERR_UNKNOWN_MEMBER_ID,
                      arena_printf(arena, "Instance id %.*s is unknown.", STR_ARGS(instance_id)));
    }
    if (!str_equal(member->id, turn->member_id)) {
        return refuse(ERR_FENCED_INSTANCE_ID,
                      arena_printf(arena,
                                   "Static member %.*s with instance id %.*s was fenced by member "
                                   "%.*s.",
                                   STR_ARGS(turn->member_id), STR_ARGS(instance_id),
                                   STR_ARGS(member->id)));
    }
    return refuse(ERR_OK, STR_NULL);
}

/* The instance's last process must have left, or be one of the classic protocol. */
static struct consumer_refusal check_released(const struct consumer_turn *turn,
                                              struct str instance_id) {
    const struct consumer_member *member = turn->place;
    if (member->profile.is_classic || member->ownership.epoch == EPOCH_LEAVE_STATIC) {
        return refuse(ERR_OK, STR_NULL);
    }
    return refuse(ERR_UNRELEASED_INSTANCE_ID,
                  arena_printf(turn->step->arena,
                               "Static member %.*s with instance id %.*s cannot join the group "
                               "because the instance id is owned by %.*s member.",
                               STR_ARGS(turn->member_id), STR_ARGS(instance_id),
                               STR_ARGS(member->id)));
}

static struct consumer_refusal find_dynamic(struct consumer_turn *turn, int32_t epoch) {
    consumer_turn_sit(turn, consumer_member_find(turn->consumer, turn->member_id), false);
    if (turn->place == NULL && epoch != EPOCH_JOIN) {
        return unknown_member(turn);
    }
    return check_epoch(turn, &turn->ownership, epoch);
}

static struct consumer_refusal find_static(struct consumer_turn *turn, struct str instance_id,
                                           int32_t epoch) {
    const struct consumer_member *place = consumer_instance_find(turn->consumer, instance_id);
    if (epoch == EPOCH_JOIN && place == NULL) {
        place = consumer_member_find(turn->consumer, turn->member_id);
        consumer_turn_sit(turn, place, false);
        return refuse(ERR_OK, STR_NULL);
    }
    if (epoch == EPOCH_JOIN) {
        consumer_turn_sit(turn, place, true); /* also under the same id */
        return check_released(turn, instance_id);
    }
    struct consumer_refusal refusal = consumer_check_instance(turn, place, instance_id);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    consumer_turn_sit(turn, place, false);
    return check_epoch(turn, &turn->ownership, epoch);
}

/* A record of a newer release: what the member owns is not known. */
static struct consumer_refusal check_known(const struct consumer_turn *turn) {
    if (turn->ownership.state != CONSUMER_UNKNOWN || turn->owned_count == 0) {
        return refuse(ERR_OK, STR_NULL);
    }
    return refuse(ERR_FENCED_MEMBER_EPOCH,
                  STR("The consumer group member is in a unknown state. The member must abandon "
                      "all its partitions and rejoin."));
}

/* --- what it says --- */

static void update_profile(struct consumer_turn *turn,
                           const struct consumer_group_heartbeat_request *request) {
    const struct coord_call *call = turn->step->call;
    struct consumer_profile *profile = &turn->profile;
    if (request->instance_id.data != NULL) {
        profile->instance_id = request->instance_id;
    }
    if (request->rack_id.data != NULL) {
        profile->rack_id = request->rack_id;
    }
    if (request->rebalance_timeout_ms != -1) {
        profile->rebalance_timeout_ms = request->rebalance_timeout_ms;
    }
    if (request->server_assignor.data != NULL) {
        profile->assignor = request->server_assignor;
    }
    if (request->subscribed_topic_names_count >= 0) {
        profile->topics =
            consumer_sort_names(turn->step->arena, request->subscribed_topic_names,
                                request->subscribed_topic_names_count, &profile->topic_count);
    }
    if (request->subscribed_topic_regex.data != NULL) {
        profile->regex = request->subscribed_topic_regex;
    }
    profile->client_id = call->client_id.data == NULL ? STR("") : call->client_id;
    profile->client_host = call->client_host;
    profile->is_classic = false;
    profile->session_timeout_ms = 0;
    profile->protocols = NULL;
    profile->protocol_count = 0;
}

/* An expression is looked at when nobody in the group has it yet. */
static struct consumer_refusal check_regex(const struct consumer_turn *turn) {
    struct str expression = turn->profile.regex;
    const struct subscribed_regex *regex =
        subscription_regex(&turn->consumer->subscription, expression);
    const char *reason;
    if (expression.size == 0 || str_equal(expression, turn->profile_before.regex) ||
        (regex != NULL && regex->member_count > 0) || regex_check(expression, &reason) == ERR_OK) {
        return refuse(ERR_OK, STR_NULL);
    }
    return refuse(ERR_INVALID_REGULAR_EXPRESSION,
                  arena_printf(turn->step->arena,
                               "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.",
                               STR_ARGS(expression), reason));
}

/* --- the answer --- */

static struct consumer_group_heartbeat_response_assignment *
assignment(struct arena *arena, const struct partition_set *set) {
    struct consumer_group_heartbeat_response_assignment *assignment =
        ARENA_NEW(arena, struct consumer_group_heartbeat_response_assignment);
    assignment->topic_partitions_count = partition_set_topic_count(set);
    assignment->topic_partitions =
        ARENA_ARRAY(arena, struct consumer_group_heartbeat_response_topic_partitions,
                    (size_t)assignment->topic_partitions_count);
    struct partition_run run;
    int32_t cursor = 0;
    for (int32_t i = 0; partition_set_next(set, &cursor, &run); i++) {
        assignment->topic_partitions[i].topic_id = run.topic_id;
        assignment->topic_partitions[i].partitions = partition_run_numbers(arena, &run);
        assignment->topic_partitions[i].partitions_count = run.count;
    }
    return assignment;
}

/* Who says everything is told everything. */
static bool is_full(const struct consumer_group_heartbeat_request *request) {
    return request->rebalance_timeout_ms != -1 && request->topic_partitions_count >= 0 &&
           (request->subscribed_topic_names_count >= 0 ||
            request->subscribed_topic_regex.data != NULL);
}

static void answer(const struct consumer_turn *turn) {
    const struct consumer_group_heartbeat_request *request = turn->step->request;
    struct consumer_group_heartbeat_response *response = turn->step->response;
    response->member_id = turn->member_id;
    response->member_epoch = turn->ownership.epoch;
    response->heartbeat_interval_ms =
        consumer_heartbeat_interval_ms(turn->step->groups, turn->group_id);
    if (request->member_epoch == EPOCH_JOIN || is_full(request) ||
        !partition_set_equal(&turn->ownership_before.assigned, &turn->ownership.assigned)) {
        response->assignment = assignment(turn->step->arena, &turn->ownership.assigned);
    }
}

/* --- leaving --- */

static void leave_for_a_while(struct consumer_turn *turn) {
    struct consumer_ownership ownership = turn->place->ownership;
    struct partition_set assigned =
        partition_set_without(turn->step->arena, &ownership.assigned, &(struct partition_set){0});
    for (int32_t i = 0; i < assigned.count; i++) {
        assigned.items[i].epoch = 0;
    }
    ownership.epoch = EPOCH_LEAVE_STATIC;
    ownership.assigned = assigned;
    ownership.revoking = (struct partition_set){0};
    consumer_record_ownership(turn->step, turn->group_id, turn->member_id, &ownership);
}

static struct consumer_refusal leave(struct consumer_turn *turn) {
    const struct consumer_group_heartbeat_request *request = turn->step->request;
    struct consumer_group_heartbeat_response *response = turn->step->response;
    const struct group *group = groups_find(turn->step->groups, turn->group_id);
    if (group == NULL) {
        return unknown_group(turn->step, turn->group_id);
    }
    struct consumer_refusal refusal = find_group(turn, false);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    struct consumer_member *member = consumer_member_find(turn->consumer, turn->member_id);
    if (request->instance_id.data == NULL && member == NULL) {
        return unknown_member(turn);
    }
    if (request->instance_id.data != NULL) {
        member = consumer_instance_find(turn->consumer, request->instance_id);
        refusal = consumer_check_instance(turn, member, request->instance_id);
        if (refusal.err != ERR_OK) {
            return refusal;
        }
    }
    response->member_id = turn->member_id;
    response->member_epoch = request->member_epoch;
    if (request->member_epoch == EPOCH_LEAVE_STATIC) {
        turn->place = member;
        leave_for_a_while(turn);
    } else {
        consumer_fence(turn->step, turn->consumer, &member, 1);
    }
    return refuse(ERR_OK, STR_NULL);
}

/* --- heartbeats --- */

static struct consumer_refusal find_member(struct consumer_turn *turn) {
    const struct consumer_group_heartbeat_request *request = turn->step->request;
    struct consumer_refusal refusal =
        request->instance_id.data == NULL
            ? find_dynamic(turn, request->member_epoch)
            : find_static(turn, request->instance_id, request->member_epoch);
    return refusal.err == ERR_OK ? check_known(turn) : refusal;
}

static void go_on(struct consumer_turn *turn) {
    turn->group_epoch = turn->consumer->epoch;
    if (turn->replaces) {
        consumer_turn_replace(turn);
    }
    struct consumer_subscription_change change = consumer_turn_subscribe(turn);
    consumer_turn_bump_epoch(turn, change.topics || change.regex_resolved);
    consumer_turn_take_target(turn);
    consumer_turn_reconcile(turn, change.topics || change.regex);
    turn->session_timeout_ms = consumer_session_timeout_ms(turn->step->groups, turn->group_id);
    turn->step->context = turn;
    turn->step->settled = consumer_turn_settled;
    answer(turn);
}

static struct consumer_refusal beat(struct consumer_turn *turn) {
    const struct consumer_group_heartbeat_request *request = turn->step->request;
    struct consumer_refusal refusal = find_group(turn, request->member_epoch == EPOCH_JOIN);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    refusal = check_size(turn);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    if (turn->member_id.size == 0) {
        turn->member_id = consumer_make_member_id(turn->step);
    }
    refusal = find_member(turn);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    update_profile(turn, request);
    refusal = check_regex(turn);
    if (refusal.err == ERR_OK) {
        go_on(turn);
    }
    return refusal;
}

err_t consumer_step_heartbeat(struct group_step *step) {
    const struct consumer_group_heartbeat_request *request = step->request;
    struct consumer_group_heartbeat_response *response = step->response;
    struct consumer_refusal refusal = check_request(step);
    struct consumer_turn *turn = consumer_turn_new(step, request->group_id, request->member_id);
    turn->owned = request->topic_partitions;
    turn->owned_count = request->topic_partitions_count;
    if (refusal.err == ERR_OK) {
        bool leaves =
            request->member_epoch == EPOCH_LEAVE || request->member_epoch == EPOCH_LEAVE_STATIC;
        refusal = leaves ? leave(turn) : beat(turn);
    }
    consumer_turn_end(turn, refusal.err == ERR_OK);
    if (refusal.err != ERR_OK) {
        response->error_code = err_kafka_code(refusal.err);
        response->error_message = refusal.message;
    }
    return ERR_OK;
}
