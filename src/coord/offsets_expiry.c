/*
 * Offsets that nobody needs any more, and groups without any.
 *
 * Every offsets.retention.check.interval.ms all groups are looked through, some in each step. A
 * group that comes while it goes on may be passed over until the next time.
 *
 *   the group                                the retention counts from
 *   --------------------------------------   ------------------------------
 *   has members that read the topic          never
 *   has members of another topic             the commit
 *   is classic, and empty                    the moment it became empty
 *   is a consumer group, and empty           the commit: as in Apache Kafka, which knows no moment
 *   only commits, without members            the commit
 *
 * An offset that was committed with a retention of its own (old clients) has a time of its own.
 *
 * When a topic is deleted, what groups committed of it goes in one step, soon afterwards. Not when
 * the node dies in between, and not what was on its way then: this goes with what expires, whoever
 * reads the topic that has the name now, as far as the record says of which topic it is.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/groups_int.h"
#include "coord/offsets_int.h"

/* Of one step, so that nobody waits long for a turn. */
enum { GROUPS_PER_STEP_MAX = 64 };

static bool is_expired(const struct offset_value *value, int64_t since_ms, int64_t now_ms,
                       int64_t retention_ms) {
    if (value->expire_ms >= 0) {
        return now_ms >= value->expire_ms;
    }
    int64_t age_ms; /* of a record from who knows where: too old to tell is old */
    bool ancient =
        __builtin_sub_overflow(now_ms, since_ms >= 0 ? since_ms : value->commit_ms, &age_ms);
    return ancient || age_ms >= retention_ms;
}

/* What is to go of one group. */
struct expiry {
    bool may_expire;
    int64_t since_ms; /* -1: of each commit */
    int64_t retention_ms;
};

static bool is_due(const struct group_step *step, const struct expiry *expiry, bool subscribed,
                   struct uuid topic_id, const struct offset_slot *slot) {
    if (!list_empty(&slot->pending)) {
        return false;
    }
    bool gone = !uuid_is_zero(slot->value.topic_id) && !uuid_equal(slot->value.topic_id, topic_id);
    return gone ||
           (expiry->may_expire && !subscribed &&
            is_expired(&slot->value, expiry->since_ms, step->wall_ms, expiry->retention_ms));
}

/* Adds tombstones for what expired; returns whether nothing is left. */
static bool expire_group(struct group_step *step, const struct group *group, int64_t retention_ms) {
    if (group->offsets == NULL) {
        return true;
    }
    struct expiry expiry = {.since_ms = -1, .retention_ms = retention_ms};
    expiry.may_expire =
        group->ops == NULL || group->ops->offsets_may_expire(group, &expiry.since_ms);
    int32_t left = 0;
    const struct offset_topic *topic;
    const struct offset_slot *slot;
    size_t topics, slots;
    map_for_each (&group->offsets->topics, topics, topic) {
        bool subscribed = expiry.may_expire && group->ops != NULL &&
                          group->ops->is_subscribed(group, topic->name);
        struct uuid id = offsets_topic_id_now(step->groups, topic->name);
        map_for_each (&topic->partitions, slots, slot) {
            if (is_due(step, &expiry, subscribed, id, slot)) {
                offsets_add_tombstone(step, group->id, topic->name, slot->partition);
                step_count(step, GROUP_COUNT_OFFSETS_EXPIRED, 1);
            } else {
                left++;
            }
        }
    }
    return expiry.may_expire && left == 0;
}

static err_t expire(struct group_step *step, struct group_timer *timer) {
    struct groups *groups = step->groups;
    struct groups_runtime *runtime = groups->runtime;
    const struct config *config = groups->config;
    int64_t retention_ms =
        (int64_t)config_int(config, CONFIG_OFFSETS_RETENTION_MINUTES) * 60 * 1000;
    struct group *group = NULL;
    step->output->splittable = true;
    for (int i = 0; i < GROUPS_PER_STEP_MAX; i++) {
        group = map_next(&groups->by_id, &runtime->expiry_cursor);
        if (group == NULL) {
            break;
        }
        if (expire_group(step, group, retention_ms) && group_is_empty(group)) {
            group_add_tombstones(step, group);
        }
    }
    int64_t wait_ms = 0;
    if (group == NULL) {
        runtime->expiry_cursor = 0;
        wait_ms = config_long(config, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS);
    }
    group_timer_set(groups, timer, step->mono_ms + wait_ms);
    return ERR_OK;
}

void offsets_begin(struct group_step *step) {
    struct groups *groups = step->groups;
    struct group_timer *timer = &groups->runtime->expiry;
    timer->fire = expire;
    groups->runtime->expiry_cursor = 0;
    group_timer_set(groups, timer,
                    step->mono_ms +
                        config_long(groups->config, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS));
}

/* --- topics that are deleted --- */

struct gone_topics {
    struct arena arena;
    struct coord_topic_change *topics;
    int32_t count;
};

static void drop_topic(struct group_step *step, const struct group *group,
                       const struct coord_topic_change *gone) {
    const struct offset_topic *topic = offsets_topic(group, gone->name);
    const struct offset_slot *slot;
    size_t cursor;
    if (topic == NULL) {
        return;
    }
    map_for_each (&topic->partitions, cursor, slot) {
        if (!slot->committed || offsets_topic_matches(slot->value.topic_id, gone->id)) {
            offsets_add_tombstone(step, group->id, topic->name, slot->partition);
        }
    }
}

static err_t drop_topics(struct group_step *step, void *context) {
    const struct gone_topics *gone = context;
    const struct group *group;
    size_t cursor;
    step->output->splittable = true;
    map_for_each (&step->groups->by_id, cursor, group) {
        for (int32_t i = 0; i < gone->count && group->offsets != NULL; i++) {
            drop_topic(step, group, &gone->topics[i]);
        }
    }
    return ERR_OK;
}

static void dropped(struct groups *groups, void *context, err_t err) {
    (void)groups;
    (void)err; /* if they stay, they expire */
    struct gone_topics *gone = context;
    arena_done(&gone->arena);
    free(gone);
}

void offsets_image_changed(struct groups *groups, const struct coord_image_change *change) {
    struct gone_topics *gone = NULL;
    for (int32_t i = 0; i < change->topic_count; i++) {
        const struct coord_topic_change *topic = &change->topics[i];
        if (topic->change != META_DELETED) {
            continue;
        }
        if (gone == NULL) {
            gone = calloc(1, sizeof *gone);
            assert(gone != NULL);
            arena_init(&gone->arena, SIZE_MAX);
            gone->topics =
                ARENA_ARRAY(&gone->arena, struct coord_topic_change, change->topic_count);
        }
        gone->topics[gone->count] = *topic;
        gone->topics[gone->count++].name = arena_str(&gone->arena, topic->name);
    }
    if (gone != NULL) {
        groups_run(groups, drop_topics, dropped, gone);
    }
}
