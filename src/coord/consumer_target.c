/*
 * What each member shall own: who runs the assignor and when, and the records of what it says.
 *
 * A small group's runs within the step, so that the member whose turn it is gets its part at once.
 * The plan of a large one is made on a worker, from values that nobody changes any more; until it
 * is there, members go on with the target that they have, as they do while the assignment interval
 * lasts. What happened to the group meanwhile has given it an epoch of its own, and so the next
 * plan.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/consumer_plan.h"
#include "coord/piece.h"

/* --- which assignor --- */

/* Kafka's own class names stand for the assignors that they are. */
static struct str assignor_name(struct str item) {
    if (str_equal(item, STR("org.apache.kafka.coordinator.group.assignor.UniformAssignor"))) {
        return STR("uniform");
    }
    if (str_equal(item, STR("org.apache.kafka.coordinator.group.assignor.RangeAssignor"))) {
        return STR("range");
    }
    return item;
}

/* The next one that group.consumer.assignors lists. */
static bool next_assignor(const struct groups *groups, size_t *position, struct str *ret_name) {
    struct str list = config_str(groups->config, CONFIG_GROUP_CONSUMER_ASSIGNORS);
    struct str item;
    while (config_list_next(list, position, &item)) {
        *ret_name = assignor_name(item);
        if (assignor_find(*ret_name) != NULL) {
            return true;
        }
    }
    return false;
}

bool consumer_assignor_known(const struct groups *groups, struct str name) {
    struct str known;
    for (size_t position = 0; next_assignor(groups, &position, &known);) {
        if (str_equal(known, name)) {
            return true;
        }
    }
    return false;
}

struct str consumer_assignor_list(const struct groups *groups, struct arena *arena) {
    struct str list = STR_NULL;
    struct str known;
    for (size_t position = 0; next_assignor(groups, &position, &known);) {
        list = arena_list(arena, list, ", ", known);
    }
    return list;
}

static int32_t votes(const struct consumer_group *consumer, const struct consumer_turn *turn,
                     struct str name) {
    int32_t count = consumer_tally_count(&consumer->assignors, name);
    if (turn != NULL) {
        count -= str_equal(turn->profile_before.assignor, name);
        count += str_equal(turn->profile.assignor, name);
    }
    return count;
}

struct str consumer_assignor_preferred(const struct consumer_group *consumer,
                                       const struct consumer_turn *turn) {
    struct str preferred = STR("uniform");
    int32_t most = -1;
    struct str known;
    for (size_t position = 0; next_assignor(consumer->groups, &position, &known);) {
        int32_t count = votes(consumer, turn, known);
        if (count > most) {
            preferred = known;
            most = count;
        }
    }
    return preferred;
}

/* --- the group as it is planned for --- */

static void seat_matched(const struct consumer_group *consumer, struct consumer_seat *seat) {
    const struct subscribed_regex *regex =
        consumer_has_regex(&seat->profile)
            ? subscription_regex(&consumer->subscription, seat->profile.regex)
            : NULL;
    if (regex != NULL) {
        seat->matched = regex->topics;
        seat->matched_count = regex->topic_count;
    }
}

static struct consumer_seat seat_of(const struct consumer_member *member) {
    struct consumer_seat seat = {.id = member->id,
                                 .profile = member->profile,
                                 .target = member->target,
                                 .had_target = member->has_target};
    seat_matched(member->consumer, &seat);
    return seat;
}

/* The one whose turn it is has a new profile, and perhaps another member's place. */
static struct consumer_seat seat_of_turn(const struct consumer_turn *turn) {
    const struct consumer_member *place = turn->place;
    struct consumer_seat seat = {.id = turn->member_id, .profile = turn->profile};
    if (place != NULL) {
        seat.target = place->target;
        seat.had_target = str_equal(place->id, turn->member_id) && place->has_target;
    }
    seat_matched(turn->consumer, &seat);
    return seat;
}

/* As the group will be after the turn. Returns the turn's own seat: where it was, or the last. */
static int32_t take_seats(const struct consumer_turn *turn, struct consumer_plan *plan) {
    const struct consumer_group *consumer = turn->consumer;
    plan->seats =
        ARENA_ARRAY(turn->step->arena, struct consumer_seat, (size_t)consumer->member_count + 1);
    int32_t own = consumer->member_count;
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        if (member == turn->place) {
            own = plan->seat_count++;
        } else {
            plan->seats[plan->seat_count++] = seat_of(member);
        }
    }
    if (turn->place == NULL) {
        plan->seat_count++;
    }
    plan->seats[own] = seat_of_turn(turn);
    return own;
}

static assignor_fn preferred_assignor(const struct consumer_group *consumer,
                                      const struct consumer_turn *turn) {
    assignor_fn assignor = assignor_find(consumer_assignor_preferred(consumer, turn));
    assert(assignor != NULL);
    return assignor;
}

/* --- within the step --- */

static void plan_now(struct consumer_turn *turn) {
    struct consumer_plan plan = {
        .image = turn->step->groups->image,
        .assignor = preferred_assignor(turn->consumer, turn),
    };
    int32_t own = take_seats(turn, &plan);
    const struct partition_set *sets = consumer_plan_run(&plan, turn->step->arena);
    for (int32_t i = 0; i < plan.seat_count; i++) {
        const struct consumer_seat *seat = &plan.seats[i];
        if (!seat->had_target || !partition_set_equal(&seat->target, &sets[i])) {
            consumer_record_target(turn->step, turn->group_id, seat->id, &sets[i]);
        }
    }
    consumer_record_target_epoch(turn->step, turn->group_id, turn->group_epoch,
                                 turn->step->wall_ms);
    turn->target = sets[own];
    turn->target_epoch = turn->group_epoch;
}

/* Names and partitions that have to be looked at, about. */
static bool is_large(const struct consumer_turn *turn) {
    int64_t size = turn->profile.topic_count;
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(turn->consumer, &cursor)) != NULL;) {
        struct consumer_seat seat = seat_of(member);
        size += seat.profile.topic_count + seat.matched_count + seat.target.count;
    }
    return size > turn->step->groups->plan_inline_max;
}

void consumer_target_update(struct consumer_turn *turn) {
    const struct consumer_group *consumer = turn->consumer;
    if (consumer->planning != NULL) {
        return;
    }
    /* A group's first members need an epoch to begin with. */
    if (consumer->target_epoch > 0 && is_large(turn)) {
        turn->plan_later = true;
        return;
    }
    plan_now(turn);
}

/* --- on a worker --- */

struct consumer_planning {
    struct group_job job;
    struct str group_id;
    int32_t group_epoch;
    struct meta_image *image;
    struct arena arena; /* the job's own */
    struct consumer_plan plan;
    struct partition_set *sets;
    void **shared; /* what the seats point at */
    size_t shared_count;
};

static void planning_run(struct group_job *job) {
    struct consumer_planning *planning = container_of(job, struct consumer_planning, job);
    planning->sets = consumer_plan_run(&planning->plan, &planning->arena);
}

static void planning_free(struct group_job *job) {
    struct consumer_planning *planning = container_of(job, struct consumer_planning, job);
    for (size_t i = 0; i < planning->shared_count; i++) {
        piece_unref(planning->shared[i]);
    }
    meta_image_unref(planning->image);
    arena_done(&planning->arena);
    free(planning);
}

void consumer_planning_cancel(struct consumer_planning *planning) {
    if (planning != NULL) {
        group_job_cancel(&planning->job);
    }
}

/* The member that has the seat by now; NULL: it left. */
static const struct consumer_member *sits_in(const struct consumer_group *consumer,
                                             const struct consumer_seat *seat) {
    return seat->profile.instance_id.data != NULL
               ? consumer_instance_find(consumer, seat->profile.instance_id)
               : consumer_member_find(consumer, seat->id);
}

static err_t planning_finish(struct group_step *step, struct group_job *job) {
    struct consumer_planning *planning = container_of(job, struct consumer_planning, job);
    struct consumer_group *consumer = consumer_find(step->groups, planning->group_id);
    assert(consumer != NULL); /* else it would have been cancelled */
    consumer->planning = NULL;
    for (int32_t i = 0; i < planning->plan.seat_count; i++) {
        const struct consumer_member *member = sits_in(consumer, &planning->plan.seats[i]);
        if (member != NULL &&
            (!member->has_target || !partition_set_equal(&member->target, &planning->sets[i]))) {
            consumer_record_target(step, consumer->id, member->id, &planning->sets[i]);
        }
    }
    consumer_record_target_epoch(step, consumer->id, planning->group_epoch, step->wall_ms);
    return ERR_OK;
}

static void keep_seat(struct consumer_planning *planning, const struct consumer_member *member) {
    struct consumer_seat *seat = &planning->plan.seats[planning->plan.seat_count++];
    *seat = seat_of(member);
    seat->id = arena_str(&planning->arena, member->id);
    planning->shared[planning->shared_count++] = piece_ref(member->profile_memory);
    planning->shared[planning->shared_count++] = piece_ref(seat->target.items);
    planning->shared[planning->shared_count++] = piece_ref((void *)seat->matched);
}

void consumer_planning_start(struct group_step *step, struct consumer_group *consumer) {
    struct consumer_planning *planning = calloc(1, sizeof *planning);
    assert(planning != NULL);
    arena_init(&planning->arena, SIZE_MAX);
    planning->job.run = planning_run;
    planning->job.finish = planning_finish;
    planning->job.free = planning_free;
    planning->group_id = arena_str(&planning->arena, consumer->id);
    planning->group_epoch = consumer->epoch;
    planning->image = meta_image_ref(step->groups->image);
    planning->plan.image = planning->image;
    planning->plan.assignor = preferred_assignor(consumer, NULL);
    size_t count = (size_t)consumer->member_count;
    planning->plan.seats = ARENA_ARRAY(&planning->arena, struct consumer_seat, count);
    planning->shared = ARENA_ARRAY(&planning->arena, void *, 3 * count);
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        keep_seat(planning, member);
    }
    consumer->planning = planning;
    group_job_start(step->groups, &planning->job);
}
