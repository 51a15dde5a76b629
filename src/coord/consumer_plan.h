#pragma once

#include "coord/assignor.h"
#include "coord/consumer_int.h"

/*
 * What each member of a group shall own: the group as an assignor sees it, and what it says. Pure,
 * and looks at nothing but the plan, so that a worker can do it.
 */
struct consumer_seat { /* of a member */
    struct str id;
    struct consumer_profile profile;
    const struct str *matched; /* what the profile's expression stands for, sorted */
    int32_t matched_count;
    struct partition_set target; /* its last */
    bool had_target;
};

struct consumer_plan {
    const struct meta_image *image;
    assignor_fn assignor;
    struct consumer_seat *seats;
    int32_t seat_count;
};

/* A set for each seat, in the arena. */
struct partition_set *consumer_plan_run(const struct consumer_plan *plan, struct arena *arena);
