/*
 * Whose heartbeat it is: the group, and the member in it, or what is wrong with them.
 *
 * With its epoch a member shows that it knows what it was given last. One that is behind was given
 * up meanwhile, or its request is late; but if it is behind by one answer, and owns nothing that is
 * not assigned to it, only that answer was lost.
 */
#include "coord/consumer_int.h"

struct consumer_refusal consumer_refuse(err_t err, struct str message) {
    return (struct consumer_refusal){.err = err, .message = message};
}

/* --- the group --- */

struct consumer_refusal consumer_turn_find_group(struct consumer_turn *turn, bool joins) {
    struct group_step *step = turn->step;
    struct group *group = groups_find(step->groups, turn->group_id);
    if (group != NULL && group->type == GROUP_CONSUMER) {
        turn->consumer = consumer_of(group);
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    if (!joins && group == NULL) {
        return consumer_refuse(
            ERR_GROUP_ID_NOT_FOUND,
            arena_printf(step->arena, "Consumer group %.*s not found.", STR_ARGS(turn->group_id)));
    }
    if (!joins) {
        return consumer_refuse(ERR_GROUP_ID_NOT_FOUND,
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
    return consumer_refuse(ERR_OK, STR_NULL);
}

struct consumer_refusal consumer_turn_check_size(const struct consumer_turn *turn) {
    int32_t size_max = config_int(turn->step->groups->config, CONFIG_GROUP_CONSUMER_MAX_SIZE);
    if (turn->consumer->member_count < size_max ||
        (turn->member_id.size > 0 &&
         consumer_member_find(turn->consumer, turn->member_id) != NULL)) {
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    return consumer_refuse(
        ERR_GROUP_MAX_SIZE_REACHED,
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
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    return consumer_refuse(
        ERR_FENCED_MEMBER_EPOCH,
        arena_printf(turn->step->arena,
                     "The consumer group member has a %s member epoch (%d) than the one "
                     "known by the group coordinator (%d). The member must abandon all "
                     "its partitions and rejoin.",
                     ahead ? "greater" : "smaller", epoch, ownership->epoch));
}

struct consumer_refusal consumer_unknown_member(const struct consumer_turn *turn) {
    return consumer_refuse(ERR_UNKNOWN_MEMBER_ID,
                           arena_printf(turn->step->arena,
                                        "Member %.*s is not a member of group %.*s.",
                                        STR_ARGS(turn->member_id), STR_ARGS(turn->group_id)));
}

struct consumer_refusal consumer_check_instance(const struct consumer_turn *turn,
                                                const struct consumer_member *member,
                                                struct str instance_id) {
    struct arena *arena = turn->step->arena;
    if (member == NULL) {
        return consumer_refuse(
            ERR_UNKNOWN_MEMBER_ID,
            arena_printf(arena, "Instance id %.*s is unknown.", STR_ARGS(instance_id)));
    }
    if (!str_equal(member->id, turn->member_id)) {
        return consumer_refuse(
            ERR_FENCED_INSTANCE_ID,
            arena_printf(arena,
                         "Static member %.*s with instance id %.*s was fenced by member "
                         "%.*s.",
                         STR_ARGS(turn->member_id), STR_ARGS(instance_id), STR_ARGS(member->id)));
    }
    return consumer_refuse(ERR_OK, STR_NULL);
}

/* The instance's last process must have left, or be one of the classic protocol. */
static struct consumer_refusal check_released(const struct consumer_turn *turn,
                                              struct str instance_id) {
    const struct consumer_member *member = turn->place;
    if (member->profile.is_classic || member->ownership.epoch == EPOCH_LEAVE_STATIC) {
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    return consumer_refuse(
        ERR_UNRELEASED_INSTANCE_ID,
        arena_printf(turn->step->arena,
                     "Static member %.*s with instance id %.*s cannot join the group "
                     "because the instance id is owned by %.*s member.",
                     STR_ARGS(turn->member_id), STR_ARGS(instance_id), STR_ARGS(member->id)));
}

static struct consumer_refusal find_dynamic(struct consumer_turn *turn, int32_t epoch) {
    consumer_turn_sit(turn, consumer_member_find(turn->consumer, turn->member_id), false);
    if (turn->place == NULL && epoch != EPOCH_JOIN) {
        return consumer_unknown_member(turn);
    }
    return check_epoch(turn, &turn->ownership, epoch);
}

static struct consumer_refusal find_static(struct consumer_turn *turn, struct str instance_id,
                                           int32_t epoch) {
    const struct consumer_member *place = consumer_instance_find(turn->consumer, instance_id);
    if (epoch == EPOCH_JOIN && place == NULL) {
        place = consumer_member_find(turn->consumer, turn->member_id);
        consumer_turn_sit(turn, place, false);
        return consumer_refuse(ERR_OK, STR_NULL);
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
        return consumer_refuse(ERR_OK, STR_NULL);
    }
    return consumer_refuse(
        ERR_FENCED_MEMBER_EPOCH,
        STR("The consumer group member is in a unknown state. The member must abandon "
            "all its partitions and rejoin."));
}

struct consumer_refusal consumer_turn_find_member(struct consumer_turn *turn) {
    const struct consumer_group_heartbeat_request *request = turn->step->request;
    struct consumer_refusal refusal =
        request->instance_id.data == NULL
            ? find_dynamic(turn, request->member_epoch)
            : find_static(turn, request->instance_id, request->member_epoch);
    return refusal.err == ERR_OK ? check_known(turn) : refusal;
}
