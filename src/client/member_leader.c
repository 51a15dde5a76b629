#include "client/member_leader.h"

#include <assert.h>
#include <stdlib.h>

#include "wire/codec.h"

void member_leader_init(struct member_leader *leader) {
    *leader = (struct member_leader){0};
    arena_init(&leader->arena, SIZE_MAX);
}

void member_leader_done(struct member_leader *leader) {
    arena_done(&leader->arena);
}

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static int32_t names_unique(struct str *names, int32_t count) {
    if (count == 0) {
        return 0;
    }
    qsort(names, (size_t)count, sizeof names[0], compare_names);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (kept == 0 || !str_equal(names[kept - 1], names[i])) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

/* --- reading --- */

static void topics_collect(struct member_leader *leader) {
    size_t count = 0;
    for (int32_t m = 0; m < leader->member_count; m++) {
        count += (size_t)leader->claims[m].topic_count;
    }
    leader->topics = ARENA_ARRAY(&leader->arena, struct str, count);
    for (int32_t m = 0; m < leader->member_count; m++) {
        for (int32_t i = 0; i < leader->claims[m].topic_count; i++) {
            leader->topics[leader->topic_count++] = leader->claims[m].topics[i];
        }
    }
    leader->topic_count = (size_t)names_unique(leader->topics, (int32_t)leader->topic_count);
}

struct reader {
    const struct join_group_response_member *member;
};

static int compare_members(const void *a, const void *b) {
    return str_compare(((const struct reader *)a)->member->member_id,
                       ((const struct reader *)b)->member->member_id);
}

void member_leader_read(struct member_leader *leader, const struct client_assignor *assignor,
                        const struct join_group_response *joined) {
    struct arena arena = leader->arena;
    arena_reset(&arena);
    *leader = (struct member_leader){.assignor = assignor, .arena = arena};
    struct join_group_response copy;
    err_t err = wire_copy(&join_group_response_type, joined, &leader->arena, &copy);
    assert(err == ERR_OK);
    size_t count = (size_t)copy.members_count;
    struct reader *readers = ARENA_ARRAY(&leader->arena, struct reader, count);
    for (size_t i = 0; i < count; i++) {
        readers[i].member = &copy.members[i];
    }
    qsort(readers, count, sizeof readers[0], compare_members);
    leader->member_count = (int32_t)count;
    leader->claims = ARENA_ARRAY(&leader->arena, struct member_claim, count);
    leader->ids = ARENA_ARRAY(&leader->arena, struct str, count);
    leader->instance_ids = ARENA_ARRAY(&leader->arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        struct member_claim *claim = &leader->claims[i];
        leader->ids[i] = readers[i].member->member_id;
        leader->instance_ids[i] = readers[i].member->group_instance_id;
        if (member_subscription_read(readers[i].member->metadata, assignor, &leader->arena,
                                     claim) != ERR_OK) {
            leader->unreadable_count++;
        }
        claim->topic_count = names_unique(claim->topics, claim->topic_count);
    }
    topics_collect(leader);
}

bool member_leader_ready(const struct member_leader *leader, const struct member_view *view) {
    for (size_t i = 0; i < leader->topic_count; i++) {
        if (view->topic(view->arg, leader->topics[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* --- the group that an assignor sees --- */

struct building {
    struct member_leader *leader;
    const struct member_view *view;
    struct arena *arena;
    struct client_assign_group group;
    struct map racks; /* the number of a rack, plus one, by name */
};

static int32_t rack_number(struct building *building, struct str rack) {
    if (rack.size == 0) {
        return CLIENT_ASSIGN_RACK_NONE;
    }
    uintptr_t number = (uintptr_t)map_get(&building->racks, str_bytes(rack));
    if (number == 0) {
        number = (uintptr_t)++building->group.rack_count;
        map_put(&building->racks, str_bytes(rack), (void *)number);
    }
    return (int32_t)number - 1;
}

static int compare_int32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static struct client_assign_racks partition_racks(struct building *building,
                                                  const struct client_partition *partition) {
    int32_t *ids = ARENA_ARRAY(building->arena, int32_t, partition->replica_count);
    int32_t count = 0;
    for (size_t i = 0; i < partition->replica_count; i++) {
        struct str rack = building->view->rack(building->view->arg, partition->replicas[i]);
        int32_t number = rack_number(building, rack);
        if (number != CLIENT_ASSIGN_RACK_NONE) {
            ids[count++] = number;
        }
    }
    qsort(ids, (size_t)count, sizeof ids[0], compare_int32);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return (struct client_assign_racks){.ids = ids, .count = kept};
}

static void build_topics(struct building *building, bool racked) {
    const struct member_leader *leader = building->leader;
    struct client_assign_group *group = &building->group;
    group->topics = ARENA_ARRAY(building->arena, struct client_assign_topic, leader->topic_count);
    for (size_t i = 0; i < leader->topic_count; i++) {
        const struct client_topic *from =
            building->view->topic(building->view->arg, leader->topics[i]);
        if (from == NULL || from->partition_count <= 0) {
            continue;
        }
        struct client_assign_topic *topic = &group->topics[group->topic_count++];
        *topic = (struct client_assign_topic){.name = leader->topics[i],
                                              .partition_count = from->partition_count};
        struct client_assign_racks *racks = NULL;
        if (racked) {
            racks = ARENA_ARRAY(building->arena, struct client_assign_racks,
                                (size_t)from->partition_count);
        }
        for (int32_t p = 0; racked && p < from->partition_count; p++) {
            racks[p] = partition_racks(building, &from->partitions[p]);
        }
        topic->racks = racks;
    }
}

/* The place of a topic in the group; -1: it does not exist. */
static int32_t topic_place(const struct client_assign_group *group, struct str name) {
    int32_t low = 0;
    int32_t high = group->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = str_compare(group->topics[middle].name, name);
        if (order == 0) {
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return -1;
}

static void build_owned(struct building *building, const struct member_claim *claim,
                        struct client_assign_member *member) {
    struct client_assign_partition *owned =
        ARENA_ARRAY(building->arena, struct client_assign_partition, claim->owned_count);
    size_t count = 0;
    int32_t topic = -1;
    struct str name = STR_NULL;
    for (size_t i = 0; i < claim->owned_count; i++) {
        if (i == 0 || !str_equal(name, claim->owned[i].topic)) {
            name = claim->owned[i].topic;
            topic = topic_place(&building->group, name);
        }
        if (topic >= 0 && claim->owned[i].partition >= 0) {
            owned[count++] = (struct client_assign_partition){topic, claim->owned[i].partition};
        }
    }
    qsort(owned, count, sizeof owned[0], client_assign_partition_compare);
    int32_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || client_assign_partition_compare(&owned[kept - 1], &owned[i]) != 0) {
            owned[kept++] = owned[i];
        }
    }
    member->owned = owned;
    member->owned_count = kept;
}

static void build_members(struct building *building) {
    const struct member_leader *leader = building->leader;
    struct client_assign_member *members =
        ARENA_ARRAY(building->arena, struct client_assign_member, (size_t)leader->member_count);
    for (int32_t m = 0; m < leader->member_count; m++) {
        const struct member_claim *claim = &leader->claims[m];
        int32_t *topics = ARENA_ARRAY(building->arena, int32_t, (size_t)claim->topic_count);
        members[m] = (struct client_assign_member){
            .id = leader->ids[m],
            .instance_id = leader->instance_ids[m],
            .rack = rack_number(building, claim->rack),
            .topics = topics,
            .generation = claim->generation,
        };
        for (int32_t i = 0; i < claim->topic_count; i++) {
            int32_t topic = topic_place(&building->group, claim->topics[i]);
            if (topic >= 0) {
                topics[members[m].topic_count++] = topic;
            }
        }
        build_owned(building, claim, &members[m]);
    }
    building->group.members = members;
    building->group.member_count = leader->member_count;
}

/* --- from owners to assignments --- */

/* Gathers each member's partitions: counted first, so that they lie in one piece. */
static void write_assignments(const struct building *building,
                              struct sync_group_request_assignment *assignments) {
    const struct client_assign_group *group = &building->group;
    size_t members = (size_t)group->member_count;
    size_t *counts = ARENA_ARRAY(building->arena, size_t, members);
    struct member_partition **lists =
        ARENA_ARRAY(building->arena, struct member_partition *, members);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t m = 0; pass == 1 && m < members; m++) {
            lists[m] = ARENA_ARRAY(building->arena, struct member_partition, counts[m]);
            counts[m] = 0;
        }
        for (int32_t t = 0; t < group->topic_count; t++) {
            for (int32_t p = 0; p < group->topics[t].partition_count; p++) {
                int32_t owner = group->topics[t].owners[p];
                if (owner == CLIENT_ASSIGN_NOBODY) {
                    continue;
                }
                if (pass == 1) {
                    lists[owner][counts[owner]] =
                        (struct member_partition){.topic = group->topics[t].name, .partition = p};
                }
                counts[owner]++;
            }
        }
    }
    for (size_t m = 0; m < members; m++) {
        struct buffer bytes = {0};
        member_assignment_write(lists[m], counts[m], building->arena, &bytes);
        assignments[m].member_id = arena_str(building->arena, building->leader->ids[m]);
        assignments[m].assignment = arena_bytes(building->arena, buffer_bytes(&bytes));
        buffer_done(&bytes);
    }
}

void member_leader_assign(struct member_leader *leader, const struct member_view *view,
                          struct arena *arena,
                          struct sync_group_request_assignment **ret_assignments,
                          int32_t *ret_count) {
    struct building building = {.leader = leader, .view = view, .arena = arena};
    bool racked = false;
    for (int32_t m = 0; m < leader->member_count; m++) {
        racked = racked || leader->claims[m].rack.size > 0;
    }
    build_topics(&building, racked);
    build_members(&building);
    leader->assignor->assign(&building.group, arena);
    struct sync_group_request_assignment *assignments =
        ARENA_ARRAY(arena, struct sync_group_request_assignment, (size_t)leader->member_count);
    write_assignments(&building, assignments);
    map_done(&building.racks);
    *ret_assignments = assignments;
    *ret_count = leader->member_count;
}

/* --- snapshot --- */

static uint64_t mix(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211); /* FNV-1a */
    }
    return hash;
}

static uint64_t mix_racks(uint64_t hash, const struct client_partition *partition,
                          const struct member_view *view) {
    uint64_t sum = 0; /* the order of replicas does not matter */
    for (size_t i = 0; i < partition->replica_count; i++) {
        struct str rack = view->rack(view->arg, partition->replicas[i]);
        sum += mix(1, rack.data, rack.size);
    }
    return mix(hash, &sum, sizeof sum);
}

uint64_t member_leader_snapshot(const struct member_leader *leader, const struct member_view *view,
                                bool racks) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < leader->topic_count; i++) {
        const struct client_topic *topic = view->topic(view->arg, leader->topics[i]);
        int32_t count = topic == NULL ? 0 : topic->partition_count;
        hash = mix(hash, leader->topics[i].data, leader->topics[i].size);
        hash = mix(hash, &count, sizeof count);
        for (int32_t p = 0; racks && p < count; p++) {
            hash = mix_racks(hash, &topic->partitions[p], view);
        }
    }
    return hash;
}
