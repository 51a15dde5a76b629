/*
 * Regular expressions of a group are resolved to topics by a job, all of them at once: when one is
 * new, when topics came up since the last time, and from time to time, but never twice within
 * REFRESH_INTERVAL_MS. Until the job is through, a new expression stands for no topics.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "coord/consumer_int.h"
#include "coord/regex.h"

enum { REFRESH_INTERVAL_MS = 10000 };

struct resolved {
    struct str expression;
    struct str *topics; /* names are the image's */
    int32_t topic_count;
    int32_t given_up; /* names that took too many steps */
};

struct consumer_resolution {
    struct group_job job;
    struct str group_id;
    struct meta_image *image;
    int64_t timestamp_ms;
    struct arena arena; /* the job's own */
    struct resolved *list;
    int32_t count;
};

/* --- when --- */

static const struct subscribed_regex *any_resolved(const struct subscription *subscription) {
    const struct subscribed_regex *regex;
    size_t cursor;
    map_for_each (&subscription->regexes, cursor, regex) {
        if (regex->resolved) {
            return regex;
        }
    }
    return NULL;
}

/* Those that will have members after this turn. */
static struct consumer_expressions *expressions_after(const struct consumer_turn *turn) {
    const struct subscription *subscription = &turn->consumer->subscription;
    struct arena *arena = turn->step->arena;
    struct str before = turn->profile_before.regex;
    struct str after = turn->profile.regex;
    struct consumer_expressions *expressions = ARENA_NEW(arena, struct consumer_expressions);
    struct str *list = ARENA_ARRAY(arena, struct str, map_count(&subscription->regexes) + 1);
    bool has_after = after.size == 0;
    const struct subscribed_regex *regex;
    size_t cursor;
    map_for_each (&subscription->regexes, cursor, regex) {
        int32_t members = regex->member_count;
        members -= before.size > 0 && str_equal(regex->expression, before);
        members += after.size > 0 && str_equal(regex->expression, after);
        if (members > 0) {
            /* The records of this step may take its last member away. */
            list[expressions->count++] = arena_str(arena, regex->expression);
            has_after = has_after || str_equal(regex->expression, after);
        }
    }
    if (!has_after) {
        list[expressions->count++] = after;
    }
    expressions->list = list;
    return expressions;
}

void consumer_regex_refresh(struct consumer_turn *turn, bool required) {
    const struct consumer_group *consumer = turn->consumer;
    const struct subscription *subscription = &consumer->subscription;
    if ((!required && subscription->regex_member_kinds == 0) || consumer->resolution != NULL) {
        return;
    }
    const struct subscribed_regex *last = any_resolved(subscription);
    int64_t now_ms = turn->step->wall_ms;
    if (last != NULL && now_ms - REFRESH_INTERVAL_MS <= last->timestamp_ms) {
        return;
    }
    int64_t version = last == NULL ? 0 : last->version;
    int32_t refresh_ms =
        config_int(turn->step->groups->config, CONFIG_GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS);
    struct consumer_expressions *expressions = expressions_after(turn);
    if (expressions->count > 0 && (required || expressions->count != subscription->resolved_count ||
                                   version < consumer->topics_version || last == NULL ||
                                   now_ms - refresh_ms > last->timestamp_ms)) {
        turn->resolve = expressions;
    }
}

/* --- on a worker --- */

static void resolve(struct consumer_resolution *resolution, struct resolved *resolved) {
    struct regex *regex;
    const char *reason;
    if (regex_new(resolved->expression, &regex, &reason) != ERR_OK) {
        return; /* a record of a release that took it */
    }
    const struct pmap *topics = &resolution->image->topics;
    resolved->topics = ARENA_ARRAY(&resolution->arena, struct str, topics->count);
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, topics, topic) {
        bool matches = false;
        if (regex_match(regex, topic->name, &matches) != ERR_OK &&
            ++resolved->given_up == REGEX_GIVEN_UP_MAX) {
            break;
        }
        if (matches) {
            resolved->topics[resolved->topic_count++] = topic->name;
        }
    }
    regex_free(regex);
}

static void resolution_run(struct group_job *job) {
    struct consumer_resolution *resolution = container_of(job, struct consumer_resolution, job);
    for (int32_t i = 0; i < resolution->count; i++) {
        resolve(resolution, &resolution->list[i]);
    }
}

static void resolution_free(struct group_job *job) {
    struct consumer_resolution *resolution = container_of(job, struct consumer_resolution, job);
    meta_image_unref(resolution->image);
    arena_done(&resolution->arena);
    free(resolution);
}

void consumer_resolution_cancel(struct consumer_resolution *resolution) {
    if (resolution != NULL) {
        group_job_cancel(&resolution->job);
    }
}

/* --- what comes of it --- */

static bool same_topics(const struct subscribed_regex *old, const struct resolved *resolved) {
    if (old->topic_count != resolved->topic_count) {
        return false;
    }
    for (int32_t i = 0; i < old->topic_count; i++) {
        if (!str_equal(old->topics[i], resolved->topics[i])) { /* both are sorted */
            return false;
        }
    }
    return true;
}

/* Adds the records of what was resolved, and says which topics come and go. */
static bool take_resolved(struct group_step *step, const struct consumer_group *consumer,
                          const struct consumer_resolution *resolution,
                          struct subscription_change *change) {
    size_t removed_max = 0;
    size_t added_max = 0;
    for (int32_t i = 0; i < resolution->count; i++) {
        const struct subscribed_regex *old =
            subscription_regex(&consumer->subscription, resolution->list[i].expression);
        removed_max += old == NULL ? 0 : (size_t)old->topic_count;
        added_max += (size_t)resolution->list[i].topic_count;
    }
    struct str *removed = ARENA_ARRAY(step->arena, struct str, removed_max);
    struct str *added = ARENA_ARRAY(step->arena, struct str, added_max);
    bool changed = false;
    for (int32_t i = 0; i < resolution->count; i++) {
        const struct resolved *resolved = &resolution->list[i];
        const struct subscribed_regex *old =
            subscription_regex(&consumer->subscription, resolved->expression);
        if (old == NULL || old->member_count == 0) {
            continue; /* everybody turned away from it meanwhile */
        }
        changed = changed || !same_topics(old, resolved);
        for (int32_t k = 0; k < old->topic_count; k++) {
            removed[change->removed_count++] = old->topics[k];
        }
        for (int32_t k = 0; k < resolved->topic_count; k++) {
            added[change->added_count++] = resolved->topics[k];
        }
        consumer_record_regex(step, consumer->id, resolved->expression, resolved->topics,
                              resolved->topic_count, resolution->image->provenance.offset,
                              resolution->timestamp_ms);
    }
    change->removed = removed;
    change->added = added;
    return changed;
}

static void report_given_up(const struct group_step *step,
                            const struct consumer_resolution *resolution) {
    for (int32_t i = 0; i < resolution->count; i++) {
        const struct resolved *resolved = &resolution->list[i];
        if (resolved->given_up > 0) {
            text_log_warn(step->groups->text_log, "coord",
                          "matching topics against %.*s of the consumer group %.*s takes too many "
                          "steps: topics may be missing; a simpler expression will find them",
                          STR_ARGS(resolved->expression), STR_ARGS(resolution->group_id));
        }
    }
}

static err_t resolution_finish(struct group_step *step, struct group_job *job) {
    struct consumer_resolution *resolution = container_of(job, struct consumer_resolution, job);
    struct consumer_group *consumer = consumer_find(step->groups, resolution->group_id);
    assert(consumer != NULL); /* else it would have been cancelled */
    consumer->resolution = NULL;
    report_given_up(step, resolution);
    struct subscription_change change = {0};
    bool bump = take_resolved(step, consumer, resolution, &change);
    int64_t hash =
        subscription_hash(&consumer->subscription, &change, step->groups->image, step->arena);
    if (!bump && hash == consumer->metadata_hash) {
        return ERR_OK;
    }
    if (consumer_is_spent(consumer)) {
        step_take_back(step);
        consumer_begin_anew(step, consumer);
        return ERR_OK;
    }
    consumer_record_epoch(step, consumer->id, consumer->epoch + 1, hash);
    step_count(step, GROUP_COUNT_CONSUMER_REBALANCES, 1);
    consumer->metadata_fresh = true;
    struct consumer_turn *turn = consumer_turn_new(step, consumer->id, STR(""));
    turn->hash_taken = true;
    step->context = turn;
    step->settled = consumer_turn_settled;
    return ERR_OK;
}

void consumer_regex_start(struct group_step *step, struct consumer_group *consumer,
                          const struct consumer_expressions *expressions) {
    struct consumer_resolution *resolution = calloc(1, sizeof *resolution);
    assert(resolution != NULL);
    arena_init(&resolution->arena, SIZE_MAX);
    resolution->job.run = resolution_run;
    resolution->job.finish = resolution_finish;
    resolution->job.free = resolution_free;
    resolution->group_id = arena_str(&resolution->arena, consumer->id);
    resolution->image = meta_image_ref(step->groups->image);
    resolution->timestamp_ms = step->wall_ms;
    resolution->count = expressions->count;
    resolution->list = ARENA_ARRAY(&resolution->arena, struct resolved, (size_t)expressions->count);
    for (int32_t i = 0; i < expressions->count; i++) {
        resolution->list[i].expression = arena_str(&resolution->arena, expressions->list[i]);
    }
    consumer->resolution = resolution;
    group_job_start(step->groups, &resolution->job);
}
