#include <assert.h>
#include <stdlib.h>

#include "coord/assignor.h"

/* Static members first, by instance id: a member that comes back under a new member id gets what it
 * had. Then dynamic ones, by member id. */
static int member_compare(const void *a, const void *b, void *arg) {
    const struct assignor_group *group = arg;
    const struct assignor_member *one = &group->members[*(const int32_t *)a];
    const struct assignor_member *other = &group->members[*(const int32_t *)b];
    if ((one->instance_id.data != NULL) != (other->instance_id.data != NULL)) {
        return one->instance_id.data != NULL ? -1 : 1;
    }
    if (one->instance_id.data != NULL) {
        return str_compare(one->instance_id, other->instance_id);
    }
    return str_compare(one->id, other->id);
}

static void divide(struct assignor_topic *topic, const int32_t *members, int32_t member_count) {
    int32_t quota = topic->partition_count / member_count;
    int32_t extra = topic->partition_count % member_count;
    int32_t partition = 0;
    for (int32_t i = 0; i < member_count; i++) {
        int32_t end = partition + quota + (i < extra ? 1 : 0);
        while (partition < end) {
            topic->owners[partition++] = members[i];
        }
    }
    assert(partition == topic->partition_count);
}

void assignor_range(struct assignor_group *group, struct arena *arena) {
    int32_t *order = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        order[m] = m;
    }
    qsort_r(order, (size_t)group->member_count, sizeof order[0], member_compare, group);
    if (assignor_is_homogeneous(group)) {
        for (int32_t t = 0; t < group->topic_count; t++) {
            divide(&group->topics[t], order, group->member_count);
        }
        return;
    }
    struct assignor_subscribers subscribers;
    assignor_subscribers_find(group, order, arena, &subscribers);
    for (int32_t t = 0; t < group->topic_count; t++) {
        int64_t start = subscribers.starts[t];
        divide(&group->topics[t], &subscribers.members[start],
               (int32_t)(subscribers.starts[t + 1] - start));
    }
}
