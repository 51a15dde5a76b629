/*
 * ConsumerGroupHeartbeat. What a member epoch says:
 *
 *   > 0   a member tells what changed, or that it is there
 *     0   it joins; it says everything, and owns nothing
 *    -1   it leaves
 *    -2   it leaves for a while, as a static member does: its partitions are kept for its
 *         instance id
 */
#include "coord/classic.h"
#include "coord/consumer_int.h"
#include "coord/regex.h"

/* Since then a member chooses its id. */
enum { VERSION_MEMBER_ID = 1 };

/* --- the request by itself --- */

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

static struct str unknown_assignor(const struct coord_call *call, const struct groups *groups,
                                   struct str assignor) {
    struct str list = consumer_assignor_list(groups, call->arena);
    return arena_printf(call->arena,
                        "ServerAssignor %.*s is not supported. Supported assignors: "
                        "%.*s.",
                        STR_ARGS(assignor), STR_ARGS(list));
}

bool consumer_check_heartbeat(const struct coord_call *call, const struct groups *groups,
                              void *ret) {
    const struct consumer_group_heartbeat_request *request = call->request;
    struct consumer_group_heartbeat_response *response = ret;
    const char *bad = bad_request(request, call->version);
    if (bad != NULL) {
        response->error_code = ERR_INVALID_REQUEST;
        response->error_message = str_from_c(bad);
        return false;
    }
    struct str assignor = request->server_assignor;
    if (assignor.data != NULL && !consumer_assignor_known(groups, assignor)) {
        response->error_code = ERR_UNSUPPORTED_ASSIGNOR;
        response->error_message = unknown_assignor(call, groups, assignor);
        return false;
    }
    return true;
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
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    return consumer_refuse(
        ERR_INVALID_REGULAR_EXPRESSION,
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

static struct consumer_refusal unknown_group(const struct group_step *step, struct str id) {
    return consumer_refuse(ERR_GROUP_ID_NOT_FOUND,
                           arena_printf(step->arena, "Group %.*s not found.", STR_ARGS(id)));
}

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
    struct consumer_refusal refusal = consumer_turn_find_group(turn, false);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    struct consumer_member *member = consumer_member_find(turn->consumer, turn->member_id);
    if (request->instance_id.data == NULL && member == NULL) {
        return consumer_unknown_member(turn);
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
    return consumer_refuse(ERR_OK, STR_NULL);
}

/* --- heartbeats --- */

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
    struct consumer_refusal refusal =
        consumer_turn_find_group(turn, request->member_epoch == EPOCH_JOIN);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    refusal = consumer_turn_check_size(turn);
    if (refusal.err != ERR_OK) {
        return refusal;
    }
    if (turn->member_id.size == 0) {
        turn->member_id = consumer_make_member_id(turn->step);
    }
    refusal = consumer_turn_find_member(turn);
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

/* Then everybody is fenced, also who asks. */
static bool begins_anew(struct group_step *step) {
    const struct consumer_group_heartbeat_request *request = step->request;
    struct consumer_group *consumer = consumer_find(step->groups, request->group_id);
    if (consumer == NULL || !consumer_is_spent(consumer)) {
        return false;
    }
    consumer_begin_anew(step, consumer);
    return true;
}

err_t consumer_step_heartbeat(struct group_step *step) {
    const struct consumer_group_heartbeat_request *request = step->request;
    struct consumer_group_heartbeat_response *response = step->response;
    bool leaves =
        request->member_epoch == EPOCH_LEAVE || request->member_epoch == EPOCH_LEAVE_STATIC;
    if (!leaves && begins_anew(step)) {
        response->error_code = err_kafka_code(ERR_UNKNOWN_MEMBER_ID);
        return ERR_OK;
    }
    struct consumer_turn *turn = consumer_turn_new(step, request->group_id, request->member_id);
    turn->owned = request->topic_partitions;
    turn->owned_count = request->topic_partitions_count;
    struct consumer_refusal refusal = leaves ? leave(turn) : beat(turn);
    consumer_turn_end(turn, refusal.err == ERR_OK);
    if (refusal.err != ERR_OK) {
        response->error_code = err_kafka_code(refusal.err);
        response->error_message = refusal.message;
    }
    return ERR_OK;
}
