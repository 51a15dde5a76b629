#include "client/assignor.h"

#include <assert.h>
#include <stdlib.h>

static const struct client_assignor assignors[] = {
    {"range", "org.apache.kafka.clients.consumer.RangeAssignor", false, false, client_assign_range},
    {"roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor", false, false,
     client_assign_round_robin},
    {"sticky", "org.apache.kafka.clients.consumer.StickyAssignor", false, true,
     client_assign_sticky},
    {"cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor", true,
     true, client_assign_cooperative_sticky},
};

const struct client_assignor *client_assignor_by_name(struct str name) {
    for (size_t i = 0; i < sizeof assignors / sizeof assignors[0]; i++) {
        if (str_equal(name, str_from_c(assignors[i].name)) ||
            str_equal(name, str_from_c(assignors[i].java_class))) {
            return &assignors[i];
        }
    }
    return NULL;
}

int client_assign_partition_compare(const void *a, const void *b) {
    const struct client_assign_partition *x = a;
    const struct client_assign_partition *y = b;
    if (x->topic != y->topic) {
        return x->topic < y->topic ? -1 : 1;
    }
    return (x->partition > y->partition) - (x->partition < y->partition);
}

void client_assign_clear(struct client_assign_group *group, struct arena *arena) {
    for (int32_t t = 0; t < group->topic_count; t++) {
        struct client_assign_topic *topic = &group->topics[t];
        topic->owners = arena_alloc(arena, sizeof(int32_t) * (size_t)topic->partition_count);
        for (int32_t p = 0; p < topic->partition_count; p++) {
            topic->owners[p] = CLIENT_ASSIGN_NOBODY;
        }
    }
}

/* --- order --- */

struct place {
    const struct client_assign_member *member;
    int32_t index;
};

static int compare_places(const void *a, const void *b) {
    const struct client_assign_member *x = ((const struct place *)a)->member;
    const struct client_assign_member *y = ((const struct place *)b)->member;
    bool x_static = x->instance_id.data != NULL;
    bool y_static = y->instance_id.data != NULL;
    if (x_static != y_static) {
        return x_static ? -1 : 1;
    }
    int order = x_static ? str_compare(x->instance_id, y->instance_id) : 0;
    return order != 0 ? order : str_compare(x->id, y->id);
}

int32_t *client_assign_order(const struct client_assign_group *group, struct arena *arena) {
    struct place *places = ARENA_ARRAY(arena, struct place, (size_t)group->member_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        places[m] = (struct place){.member = &group->members[m], .index = m};
    }
    qsort(places, (size_t)group->member_count, sizeof places[0], compare_places);
    int32_t *order = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    for (int32_t i = 0; i < group->member_count; i++) {
        order[i] = places[i].index;
    }
    return order;
}

/* --- questions --- */

static int compare_int32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

bool client_assign_subscribes(const struct client_assign_member *member, int32_t topic) {
    return member->topic_count > 0 && bsearch(&topic, member->topics, (size_t)member->topic_count,
                                              sizeof topic, compare_int32) != NULL;
}

struct client_assign_readers *client_assign_readers(const struct client_assign_group *group,
                                                    const int32_t *order, struct arena *arena) {
    struct client_assign_readers *readers =
        ARENA_ARRAY(arena, struct client_assign_readers, (size_t)group->topic_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        for (int32_t i = 0; i < group->members[m].topic_count; i++) {
            readers[group->members[m].topics[i]].count++;
        }
    }
    for (int32_t t = 0; t < group->topic_count; t++) {
        readers[t].members = ARENA_ARRAY(arena, int32_t, (size_t)readers[t].count);
        readers[t].count = 0;
    }
    for (int32_t i = 0; i < group->member_count; i++) {
        int32_t m = order == NULL ? i : order[i];
        for (int32_t j = 0; j < group->members[m].topic_count; j++) {
            struct client_assign_readers *of = &readers[group->members[m].topics[j]];
            of->members[of->count++] = m;
        }
    }
    return readers;
}

/* --- in turn --- */

void client_assign_round_robin(struct client_assign_group *group, struct arena *arena) {
    client_assign_clear(group, arena);
    const struct client_assign_readers *readers = client_assign_readers(group, NULL, arena);
    const int32_t *order = client_assign_order(group, arena);
    int32_t turn = 0;
    for (int32_t t = 0; t < group->topic_count; t++) {
        const struct client_assign_topic *topic = &group->topics[t];
        for (int32_t p = 0; readers[t].count > 0 && p < topic->partition_count; p++) {
            while (!client_assign_subscribes(&group->members[order[turn]], t)) {
                turn = (turn + 1) % group->member_count;
            }
            topic->owners[p] = order[turn];
            turn = (turn + 1) % group->member_count;
        }
    }
}
