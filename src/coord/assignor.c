#include "coord/assignor.h"

#include <stddef.h>

assignor_fn assignor_find(struct str name) {
    static const struct {
        struct str name;
        assignor_fn assign;
    } rows[] = {
        {{"uniform", 7}, assignor_uniform},
        {{"range", 5}, assignor_range},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_equal(rows[i].name, name)) {
            return rows[i].assign;
        }
    }
    return NULL;
}

bool assignor_is_homogeneous(const struct assignor_group *group) {
    for (int32_t m = 0; m < group->member_count; m++) {
        if (group->members[m].topic_count != group->topic_count) {
            return false;
        }
    }
    return true;
}

void assignor_subscribers_find(const struct assignor_group *group, const int32_t *order,
                               struct arena *arena, struct assignor_subscribers *ret) {
    int64_t *starts = ARENA_ARRAY(arena, int64_t, (size_t)group->topic_count + 2);
    for (int32_t m = 0; m < group->member_count; m++) {
        const struct assignor_member *member = &group->members[m];
        for (int32_t i = 0; i < member->topic_count; i++) {
            starts[member->topics[i] + 2]++;
        }
    }
    for (int32_t t = 2; t < group->topic_count + 2; t++) {
        starts[t] += starts[t - 1];
    }
    /* starts[t + 1] is where the next subscriber of topic t goes: at the end, where it ends. */
    int32_t *members = ARENA_ARRAY(arena, int32_t, (size_t)starts[group->topic_count + 1]);
    for (int32_t i = 0; i < group->member_count; i++) {
        int32_t m = order == NULL ? i : order[i];
        const struct assignor_member *member = &group->members[m];
        for (int32_t j = 0; j < member->topic_count; j++) {
            members[starts[member->topics[j] + 1]++] = m;
        }
    }
    *ret = (struct assignor_subscribers){.starts = starts, .members = members};
}
