/* The topics that members read: they come, grow and go, and in the end each partition has one
 * owner. */
#include <assert.h>

#include "node_member.h"

/* --- places --- */

int member_place_of(const struct member *member, const struct node_topic *topic,
                    int32_t partition) {
    int place = (int)(topic - member->client.sim->topics) * SIM_PARTITIONS_MAX + (int)partition;
    assert(place < AUDIT_PLACES_MAX);
    return place;
}

struct node_topic *member_topic_of(const struct member *member, int place) {
    return &member->client.sim->topics[place / SIM_PARTITIONS_MAX];
}

/* --- topics that change --- */

uint64_t member_topics_stamp(const struct node_sim *sim) {
    uint64_t stamp = 0;
    for (int i = 0; i < sim->topic_count; i++) {
        const struct node_topic *topic = &sim->topics[i];
        uint64_t of_topic = topic_is_usable(topic)
                                ? (uint64_t)topic->incarnation * (SIM_PARTITIONS_MAX + 1) +
                                      (uint64_t)topic->partition_count
                                : 0;
        stamp = stamp * 1000003 + of_topic;
    }
    return stamp;
}

static void forget(struct member *member, int place) {
    member->full |= member->owned[place];
    member->owned[place] = false;
    member->gives_up_ms[place] = 0;
    member->lost_epochs[place] = 0;
}

/* Whoever owned a partition of the topic of before owns nothing of the next one. */
void node_members_topic_begins(struct node_topic *topic) {
    for (struct node_group *group = topic->sim->groups; group != NULL; group = group->next) {
        for (int32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
            int place = member_place_of(group->members, topic, p);
            audit_group_begin(group->audit, place);
            for (struct member *member = group->members; member != NULL; member = member->next) {
                forget(member, place);
            }
        }
        if (topic->incarnation > 1) {
            points_add(topic->sim->run->points, "topic_made_anew", 1);
        }
    }
}

/* --- in the end --- */

/* What a member shall give up is not its own for good. */
static int count_owners(const struct node_group *group, const struct node_topic *topic,
                        int32_t partition) {
    int owners = 0;
    for (struct member *member = group->members; member != NULL; member = member->next) {
        int place = member_place_of(member, topic, partition);
        owners +=
            member->state == MEMBER_IN && member->owned[place] && member->gives_up_ms[place] == 0;
    }
    return owners;
}

struct node_topic *member_find_lonely(const struct node_group *group, struct node_sim *sim,
                                      int32_t *ret_partition) {
    for (int t = 0; t < sim->topic_count; t++) {
        struct node_topic *topic = &sim->topics[t];
        for (int32_t p = 0; p < topic->partition_count && topic->state != TOPIC_ABSENT; p++) {
            if (count_owners(group, topic, p) != 1) {
                *ret_partition = p;
                return topic;
            }
        }
    }
    return NULL;
}
