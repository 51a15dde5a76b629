/* Which topics a member subscribes to: by name, or by a pattern that is matched here (classic) or
 * by the broker (consumer); and what metadata has to be asked for because of it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/member_int.h"
#include "wire/api.h"
#include "wire/messages.h"

enum { RESOLVE_VERSION_MIN = 12, RESOLVE_TIMEOUT_MS = 5000 };

void client_member_topics_init(struct client_member *member) {
    arena_init(&member->names_arena, SIZE_MAX);
    arena_init(&member->wanted_arena, SIZE_MAX);
}

static void names_forget(struct client_member *member) {
    member->subscribed = false;
    member->matched = false;
    member->names = NULL;
    member->name_count = 0;
    member->expression = STR_NULL;
    member_pattern_free(member->pattern);
    member->pattern = NULL;
    arena_reset(&member->names_arena);
}

static void topic_names_clear(struct client_member *member) {
    size_t cursor;
    struct member_topic_name *name;
    map_for_each (&member->topic_names, cursor, name) {
        free(name);
    }
    map_clear(&member->topic_names);
}

void client_member_topics_clear(struct client_member *member) {
    names_forget(member);
    client_member_topics_want(member);
}

void client_member_topics_done(struct client_member *member) {
    member_leader_done(&member->leader);
    member_leader_init(&member->leader);
    client_member_topics_clear(member);
    topic_names_clear(member);
    map_done(&member->topic_names);
    arena_done(&member->names_arena);
    arena_done(&member->wanted_arena);
}

/* --- the subscription --- */

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static size_t names_unique(struct str *names, size_t count) {
    if (count == 0) {
        return 0;
    }
    qsort(names, count, sizeof names[0], compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!str_equal(names[kept - 1], names[i])) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

static err_t names_check(const struct str *topics, size_t count, char *ret_text, size_t text_size) {
    for (size_t i = 0; i < count; i++) {
        if (topics[i].size == 0 || topics[i].size > LIMIT_TOPIC_NAME) {
            snprintf(ret_text, text_size, "'%.*s' is no topic's name", STR_ARGS(topics[i]));
            return ERR_INVALID_TOPIC_EXCEPTION;
        }
    }
    return ERR_OK;
}

err_t client_member_topics_set(struct client_member *member, const struct str *topics, size_t count,
                               struct str pattern, char *ret_text, size_t text_size) {
    err_t err = names_check(topics, count, ret_text, text_size);
    struct member_pattern *compiled = NULL;
    if (err == ERR_OK && pattern.data != NULL && member->classic) {
        err = member_pattern_new(pattern, &compiled, ret_text, text_size);
    }
    if (err != ERR_OK) {
        return err;
    }
    names_forget(member);
    member->subscribed = true;
    member->pattern = compiled;
    member->expression = arena_str(&member->names_arena, pattern);
    member->matching_since_ms = client_member_now_ms(member);
    member->names = ARENA_ARRAY(&member->names_arena, struct str, count);
    for (size_t i = 0; pattern.data == NULL && i < count; i++) {
        member->names[member->name_count++] = arena_str(&member->names_arena, topics[i]);
    }
    member->name_count = names_unique(member->names, member->name_count);
    return ERR_OK;
}

bool client_member_topics_has(const struct client_member *member, struct str topic) {
    if (member->pattern != NULL) {
        return member_pattern_matches(member->pattern, topic);
    }
    return member->name_count > 0 && bsearch(&topic, member->names, member->name_count,
                                             sizeof member->names[0], compare_names) != NULL;
}

static bool is_match(const struct client_member *member, const struct client_topic *topic) {
    bool hidden = topic->internal && member->settings->exclude_internal_topics;
    return topic->err == ERR_OK && !hidden && member_pattern_matches(member->pattern, topic->name);
}

bool client_member_topics_match(struct client_member *member) {
    if (!member->matched && client_metadata_time_ms(member->client) <= member->matching_since_ms) {
        return false;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    size_t topic_count = client_topic_count(member->client);
    struct str *names = ARENA_ARRAY(&arena, struct str, topic_count);
    size_t count = 0;
    for (size_t i = 0; i < topic_count; i++) {
        const struct client_topic *topic = client_topic_at(member->client, i);
        if (is_match(member, topic)) {
            names[count++] = arena_str(&arena, topic->name);
        }
    }
    count = names_unique(names, count);
    bool changed = !member->matched || count != member->name_count;
    for (size_t i = 0; !changed && i < count; i++) {
        changed = !str_equal(names[i], member->names[i]);
    }
    if (changed) {
        struct str expression = arena_str(&arena, member->expression);
        arena_reset(&member->names_arena);
        member->expression = arena_str(&member->names_arena, expression);
        member->names = ARENA_ARRAY(&member->names_arena, struct str, count);
        for (size_t i = 0; i < count; i++) {
            member->names[i] = arena_str(&member->names_arena, names[i]);
        }
        member->name_count = count;
        member->matched = true;
    }
    arena_done(&arena);
    return changed;
}

/* --- what metadata is asked for --- */

static void want_names(struct client_member *member, struct arena *arena, struct str *ret_names[],
                       size_t *ret_count) {
    size_t others = member->leading || member->machine.leader ? member->leader.topic_count : 0;
    struct str *names = ARENA_ARRAY(arena, struct str, member->name_count + others);
    size_t count = 0;
    for (size_t i = 0; i < member->name_count; i++) {
        names[count++] = arena_str(arena, member->names[i]);
    }
    for (size_t i = 0; i < others; i++) {
        names[count++] = arena_str(arena, member->leader.topics[i]);
    }
    *ret_names = names;
    *ret_count = names_unique(names, count);
}

void client_member_topics_want(struct client_member *member) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct str *names = NULL;
    size_t count = 0;
    if (member->subscribed) {
        want_names(member, &arena, &names, &count);
    }
    bool create = member->settings->allow_auto_create_topics;
    for (size_t i = 0; i < count; i++) {
        client_topic_want(member->client, names[i],
                          create && client_member_topics_has(member, names[i]));
    }
    for (size_t i = 0; i < member->wanted_count; i++) {
        client_topic_unwant(member->client, member->wanted[i]);
    }
    arena_done(&member->wanted_arena);
    member->wanted_arena = arena;
    member->wanted = names;
    member->wanted_count = count;
    bool all = member->subscribed && member->pattern != NULL;
    if (all != member->wants_all) {
        member->wants_all = all;
        client_topics_want_all(member->client, all);
    }
}

/* --- names of assigned topics --- */

struct str client_member_topic_name(struct client_member *member, const struct uuid *id) {
    const struct client_topic *topic = client_topic_by_id(member->client, id);
    if (topic != NULL) {
        return topic->name;
    }
    const struct member_topic_name *name =
        map_get(&member->topic_names, (struct bytes){id->bytes, sizeof id->bytes});
    return name == NULL ? STR_NULL : (struct str){.data = name->text, .size = name->size};
}

static void topic_name_keep(struct client_member *member, struct uuid id, struct str text) {
    struct member_topic_name *name = malloc(sizeof *name + text.size);
    assert(name != NULL);
    name->id = id;
    name->size = text.size;
    memcpy(name->text, text.data, text.size);
    free(
        map_put(&member->topic_names, (struct bytes){name->id.bytes, sizeof name->id.bytes}, name));
}

static bool is_targeted(const struct client_member *member, const struct uuid *id) {
    for (size_t i = 0; i < member->consumer.target.count; i++) {
        if (uuid_equal(member->consumer.target.items[i].topic_id, *id)) {
            return true;
        }
    }
    return false;
}

/* Names of topics that are not assigned any more are of no use. */
static void topic_names_prune(struct client_member *member) {
    size_t cursor;
    struct member_topic_name *name;
    map_for_each (&member->topic_names, cursor, name) {
        if (!is_targeted(member, &name->id)) {
            map_remove(&member->topic_names, (struct bytes){name->id.bytes, sizeof name->id.bytes});
            free(name);
        }
    }
}

static err_t resolve_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                           const void **ret_request) {
    (void)broker_id;
    struct client_member *member = arg;
    if (version < RESOLVE_VERSION_MIN) {
        return ERR_UNSUPPORTED_VERSION;
    }
    const struct member_set *target = &member->consumer.target;
    struct metadata_request *request = ARENA_NEW(arena, struct metadata_request);
    wire_init(&metadata_request_type, request);
    request->allow_auto_topic_creation = false;
    request->topics = ARENA_ARRAY(arena, struct metadata_request_topic, target->count);
    request->topics_count = 0;
    for (size_t i = 0; i < target->count; i++) {
        const struct uuid *id = &target->items[i].topic_id;
        bool again = i > 0 && uuid_equal(*id, target->items[i - 1].topic_id);
        if (!again && client_member_topic_name(member, id).data == NULL) {
            request->topics[request->topics_count++] =
                (struct metadata_request_topic){.topic_id = *id, .name = STR_NULL};
        }
    }
    *ret_request = request;
    return ERR_OK;
}

static void resolve_done(void *arg, const struct client_answer *answer) {
    struct client_member *member = arg;
    member->resolve = NULL;
    const struct metadata_response *response = answer->response;
    for (int32_t i = 0; response != NULL && i < response->topics_count; i++) {
        const struct metadata_response_topic *topic = &response->topics[i];
        if (topic->error_code == 0 && topic->name.size > 0 &&
            is_targeted(member, &topic->topic_id)) {
            topic_name_keep(member, topic->topic_id, topic->name);
        }
    }
    member_consumer_resolved(&member->consumer, client_member_now_ms(member));
    client_member_drive(member);
}

void client_member_topics_resolve(struct client_member *member) {
    topic_names_prune(member);
    struct client_ask ask = {
        .role = CLIENT_ANY_BROKER,
        .lane = CLIENT_LANE_MAIN,
        .api_key = API_METADATA,
        .version_max = -1,
        .build = resolve_build,
        .timeout_ms = RESOLVE_TIMEOUT_MS,
        .done = resolve_done,
        .arg = member,
    };
    member->resolve = client_ask(member->client, &ask);
}
