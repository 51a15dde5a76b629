/*
 * Members of the classic protocol in a consumer group: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
 *
 * There is no leader. A member joins: it says what it subscribes to and owns, and is told its epoch
 * as a generation. It syncs: it is told what it has. When its next step is due, its heartbeat is
 * answered with REBALANCE_IN_PROGRESS, and it joins again, owning less.
 */
#include "base/limits.h"
#include "coord/classic.h"
#include "coord/consumer_int.h"

/* Of JoinGroup: since then a dynamic member must know its id before it is one (KIP-394). */
enum { VERSION_KNOWN_MEMBER_ID = 4 };

/* --- JoinGroup --- */

static bool supports(const struct consumer_group *consumer,
                     const struct join_group_request *request) {
    if (!str_equal(request->protocol_type, STR("consumer"))) {
        return false;
    }
    for (int32_t i = 0; i < request->protocols_count; i++) {
        if (consumer_tally_count(&consumer->protocols, request->protocols[i].name) ==
            consumer->classic_member_count) {
            return true;
        }
    }
    return false;
}

static err_t check_join(const struct consumer_turn *turn, bool is_new) {
    const struct groups *groups = turn->step->groups;
    const struct consumer_group *consumer = turn->consumer;
    if (!consumer_may_mix(groups)) {
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    }
    if (consumer->member_count >= config_int(groups->config, CONFIG_GROUP_CONSUMER_MAX_SIZE) &&
        (is_new || consumer_member_find(consumer, turn->member_id) == NULL)) {
        return ERR_GROUP_MAX_SIZE_REACHED;
    }
    return supports(consumer, turn->step->request) ? ERR_OK : ERR_INCONSISTENT_GROUP_PROTOCOL;
}

static err_t find_member(struct consumer_turn *turn, struct str instance_id, bool is_new) {
    if (instance_id.data == NULL) {
        consumer_turn_sit(turn, consumer_member_find(turn->consumer, turn->member_id), false);
        return ERR_OK;
    }
    const struct consumer_member *place = consumer_instance_find(turn->consumer, instance_id);
    if (!is_new) {
        struct consumer_refusal refusal = consumer_check_instance(turn, place, instance_id);
        if (refusal.err != ERR_OK) {
            return refusal.err;
        }
    }
    consumer_turn_sit(turn, place, is_new && place != NULL);
    return ERR_OK;
}

/* Topics and partitions by name, as the same by id. */
static void take_owned(struct consumer_turn *turn,
                       const struct consumer_protocol_subscription *subscription) {
    const struct meta_image *image = turn->step->groups->image;
    int32_t count = subscription->owned_partitions_count;
    struct consumer_group_heartbeat_request_topic_partitions *owned =
        ARENA_ARRAY(turn->step->arena, struct consumer_group_heartbeat_request_topic_partitions,
                    (size_t)(count < 0 ? 0 : count));
    turn->owned = owned;
    turn->owned_count = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct consumer_protocol_subscription_topic_partition *topic =
            &subscription->owned_partitions[i];
        const struct meta_topic *found = meta_image_topic(image, topic->topic);
        if (found != NULL) {
            owned[turn->owned_count].topic_id = found->id;
            owned[turn->owned_count].partitions = topic->partitions;
            owned[turn->owned_count++].partitions_count = topic->partitions_count;
        }
    }
}

/* Of protocols with the same name the first counts. */
static void take_protocols(struct arena *arena, const struct join_group_request *request,
                           struct consumer_profile *profile) {
    struct join_group_request_protocol *protocols =
        ARENA_ARRAY(arena, struct join_group_request_protocol, (size_t)request->protocols_count);
    struct map seen;
    map_init(&seen);
    profile->protocol_count = 0;
    for (int32_t i = 0; i < request->protocols_count; i++) {
        if (map_put(&seen, str_bytes(request->protocols[i].name), protocols) == NULL) {
            protocols[profile->protocol_count++] = request->protocols[i];
        }
    }
    map_done(&seen);
    profile->protocols = protocols;
}

static void update_profile(struct consumer_turn *turn,
                           const struct consumer_protocol_subscription *subscription) {
    const struct join_group_request *request = turn->step->request;
    const struct coord_call *call = turn->step->call;
    struct consumer_profile *profile = &turn->profile;
    if (request->group_instance_id.data != NULL) {
        profile->instance_id = request->group_instance_id;
    }
    if (subscription->rack_id.size > 0) {
        profile->rack_id = subscription->rack_id;
    }
    if (request->rebalance_timeout_ms != -1) {
        profile->rebalance_timeout_ms = request->rebalance_timeout_ms;
    }
    profile->topics = consumer_sort_names(turn->step->arena, subscription->topics,
                                          subscription->topics_count, &profile->topic_count);
    profile->regex = STR("");
    profile->client_id = call->client_id.data == NULL ? STR("") : call->client_id;
    profile->client_host = call->client_host;
    profile->is_classic = true;
    profile->session_timeout_ms = request->session_timeout_ms;
    take_protocols(turn->step->arena, request, profile);
}

/* A static member takes the place of the last one of the consumer protocol. */
static void go_on_as_classic(struct consumer_turn *turn, bool subscription_changed) {
    turn->target_epoch = turn->consumer->target_epoch;
    turn->target = turn->place->target;
    bool rebalance = turn->consumer->target_epoch < turn->group_epoch;
    if (!rebalance) {
        consumer_turn_reconcile(turn, subscription_changed);
    }
    consumer_downgrade(turn->step, turn->consumer, NULL, 0, turn, rebalance);
}

static void go_on(struct consumer_turn *turn) {
    const struct join_group_request *request = turn->step->request;
    bool downgrades = request->group_instance_id.data != NULL && consumer_may_downgrade_with(turn);
    turn->group_epoch = turn->consumer->epoch;
    if (turn->replaces) {
        consumer_turn_replace(turn);
    }
    struct consumer_subscription_change change = consumer_turn_subscribe(turn);
    bool changed = change.topics || change.regex;
    consumer_turn_bump_epoch(turn, changed);
    if (downgrades) {
        go_on_as_classic(turn, changed);
        return;
    }
    consumer_turn_take_target(turn);
    consumer_turn_reconcile(turn, changed);
    turn->session_timeout_ms = request->session_timeout_ms;
    turn->sync_timeout_ms = request->rebalance_timeout_ms;
    turn->step->context = turn;
    turn->step->settled = consumer_turn_settled;
}

static err_t join(struct consumer_turn *turn) {
    const struct join_group_request *request = turn->step->request;
    struct join_group_response *response = turn->step->response;
    bool is_new = request->member_id.size == 0;
    err_t err = check_join(turn, is_new);
    if (err != ERR_OK) {
        return err;
    }
    if (is_new) {
        turn->member_id = consumer_make_member_id(turn->step);
    }
    if (is_new && request->group_instance_id.data == NULL &&
        turn->step->call->version >= VERSION_KNOWN_MEMBER_ID) {
        classic_refuse_join(response, turn->step->call->version, ERR_MEMBER_ID_REQUIRED,
                            turn->member_id);
        return ERR_OK;
    }
    err = find_member(turn, request->group_instance_id, is_new);
    struct consumer_protocol_subscription subscription;
    if (err == ERR_OK && consumer_read_subscription(request->protocols[0].metadata,
                                                    turn->step->arena, &subscription) != ERR_OK) {
        err = ERR_INCONSISTENT_GROUP_PROTOCOL;
    }
    if (err != ERR_OK) {
        return err;
    }
    take_owned(turn, &subscription);
    update_profile(turn, &subscription);
    go_on(turn);
    response->member_id = turn->member_id;
    response->generation_id = turn->ownership.epoch;
    response->protocol_type = STR("consumer");
    response->protocol_name = request->protocols[0].name;
    return ERR_OK;
}

err_t consumer_classic_join(struct group_step *step, struct group *group) {
    const struct join_group_request *request = step->request;
    struct consumer_group *consumer = consumer_of(group);
    if (consumer->member_count == 0) {
        return classic_join_instead(step, group);
    }
    if (consumer_is_spent(consumer)) {
        consumer_begin_anew(step, consumer);
        classic_refuse_join(step->response, step->call->version, ERR_UNKNOWN_MEMBER_ID, STR(""));
        return ERR_OK;
    }
    struct consumer_turn *turn = consumer_turn_new(step, request->group_id, request->member_id);
    turn->consumer = consumer;
    err_t err = join(turn);
    consumer_turn_end(turn, err == ERR_OK);
    if (err != ERR_OK) {
        classic_refuse_join(step->response, step->call->version, err, STR(""));
    }
    return ERR_OK;
}

/* --- SyncGroup, Heartbeat --- */

/* The member that a request names, if it is one of the classic protocol. */
static err_t find_classic(const struct consumer_group *consumer, struct str member_id,
                          struct str instance_id, int32_t generation,
                          struct consumer_member **ret_member) {
    struct consumer_member *member = instance_id.data == NULL
                                         ? consumer_member_find(consumer, member_id)
                                         : consumer_instance_find(consumer, instance_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    if (!str_equal(member->id, member_id)) {
        return ERR_FENCED_INSTANCE_ID;
    }
    if (!member->profile.is_classic || member->profile.protocol_count == 0) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    *ret_member = member;
    return member->ownership.epoch == generation ? ERR_OK : ERR_ILLEGAL_GENERATION;
}

static void expect_join(struct group_step *step, struct consumer_member *member) {
    if (!group_timer_is_set(&member->join)) {
        consumer_timer_set(step, &member->join, member->profile.rebalance_timeout_ms,
                           consumer_join_expired);
    }
}

static err_t check_sync(struct group_step *step, const struct consumer_group *consumer,
                        struct consumer_member **ret_member) {
    const struct sync_group_request *request = step->request;
    struct consumer_member *member;
    err_t err = find_classic(consumer, request->member_id, request->group_instance_id,
                             request->generation_id, &member);
    if (err != ERR_OK) {
        return err;
    }
    if ((request->protocol_type.data != NULL &&
         !str_equal(request->protocol_type, STR("consumer"))) ||
        (request->protocol_name.data != NULL &&
         !str_equal(request->protocol_name, member->profile.protocols[0].name))) {
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    }
    if (consumer->target_epoch > member->ownership.epoch &&
        member->ownership.state != CONSUMER_UNREVOKED) {
        expect_join(step, member);
        return ERR_REBALANCE_IN_PROGRESS;
    }
    *ret_member = member;
    return ERR_OK;
}

err_t consumer_classic_sync(struct group_step *step, struct group *group) {
    const struct sync_group_request *request = step->request;
    struct sync_group_response *response = step->response;
    struct consumer_member *member;
    err_t err = check_sync(step, consumer_of(group), &member);
    if (err != ERR_OK) {
        classic_fail_sync(step->call, err_kafka_code(err), response);
        return ERR_OK;
    }
    group_timer_clear(step->groups, &member->sync);
    consumer_timer_set(step, &member->session, member->profile.session_timeout_ms,
                       consumer_session_expired);
    response->protocol_type = request->protocol_type;
    response->protocol_name = request->protocol_name;
    response->assignment = consumer_write_assignment(step, &member->ownership.assigned,
                                                     member->profile.protocols[0].metadata);
    return ERR_OK;
}

/* Whether what the member still lacks is owned by others. */
static bool waits_for_others(const struct consumer_member *member) {
    for (int32_t i = 0; i < member->target.count; i++) {
        const struct partition_item *item = &member->target.items[i];
        if (partition_set_find(&member->ownership.assigned, item->topic_id, item->partition) ==
                NULL &&
            consumer_partition_epoch(member->consumer, item->topic_id, item->partition) != -1) {
            return true;
        }
    }
    return false;
}

static bool must_join(const struct consumer_member *member) {
    const struct consumer_ownership *ownership = &member->ownership;
    return ownership->epoch < member->consumer->target_epoch ||
           ownership->state == CONSUMER_UNREVOKED ||
           (ownership->state == CONSUMER_UNRELEASED && !waits_for_others(member));
}

err_t consumer_classic_heartbeat(struct group_step *step, struct group *group) {
    const struct heartbeat_request *request = step->request;
    struct heartbeat_response *response = step->response;
    struct consumer_member *member;
    err_t err = find_classic(consumer_of(group), request->member_id, request->group_instance_id,
                             request->generation_id, &member);
    if (err == ERR_OK) {
        consumer_timer_set(step, &member->session, member->profile.session_timeout_ms,
                           consumer_session_expired);
        if (must_join(member)) {
            expect_join(step, member);
            err = ERR_REBALANCE_IN_PROGRESS;
        }
    }
    response->error_code = err_kafka_code(err);
    return ERR_OK;
}

/* --- LeaveGroup --- */

static err_t find_leaving(const struct consumer_group *consumer,
                          const struct leave_group_request_member_identity *identity,
                          struct consumer_member **ret_member) {
    bool is_static = identity->group_instance_id.data != NULL;
    struct consumer_member *member =
        is_static ? consumer_instance_find(consumer, identity->group_instance_id)
                  : consumer_member_find(consumer, identity->member_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    if (is_static && identity->member_id.size > 0 && !str_equal(identity->member_id, member->id)) {
        return ERR_FENCED_INSTANCE_ID;
    }
    *ret_member = member;
    return ERR_OK;
}

err_t consumer_classic_leave(struct group_step *step, struct group *group) {
    const struct leave_group_request *request = step->request;
    struct leave_group_response *response = step->response;
    struct consumer_group *consumer = consumer_of(group);
    size_t count_max = (size_t)request->members_count;
    struct consumer_member **leaving =
        ARENA_ARRAY(step->arena, struct consumer_member *, count_max);
    int32_t leaving_count = 0;
    struct map seen;
    map_init(&seen);
    response->members =
        ARENA_ARRAY(step->arena, struct leave_group_response_member_response, count_max);
    response->members_count = request->members_count;
    for (int32_t i = 0; i < request->members_count; i++) {
        struct consumer_member *member;
        err_t err = find_leaving(consumer, &request->members[i], &member);
        response->members[i] = (struct leave_group_response_member_response){
            .member_id = request->members[i].member_id,
            .group_instance_id = request->members[i].group_instance_id,
            .error_code = err_kafka_code(err),
        };
        if (err == ERR_OK && map_put(&seen, str_bytes(member->id), member) == NULL) {
            leaving[leaving_count++] = member;
        }
    }
    map_done(&seen);
    consumer_fence(step, consumer, leaving, leaving_count);
    return ERR_OK;
}
