/*
 * Commits, one after the other: the next is sent when the one before it was answered, so that a
 * commit that is repeated (the coordinator moved, or is loading) cannot overtake a later one.
 *
 * A commit belongs to the generation in which it was made. In a classic group it is not sent any
 * more in a later one: who owns the partitions may have changed. A member of the consumer protocol
 * keeps what it has while its epoch moves on, so there it takes the epoch of now. In both, what was
 * lost may be others' already: a commit of before is not made any more, nor one of an application
 * that has not heard of the loss yet, whatever the member is by now.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/offsets_commit_int.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

enum {
    COMMIT_VERSION_BY_NAME = 9,
    COMMIT_VERSION_IDS = 10,
    TRY_MAX_MS = 24 * 3600 * 1000, /* what "without limit" is to a request */
};

void commit_free(struct commit *commit) {
    struct ottla_consumer *consumer = commit->consumer;
    if (commit->asked != NULL) {
        client_ask_cancel(commit->asked);
    }
    sys_timer_clear(client_loop(consumer->client), &commit->timer);
    list_remove(&commit->link);
    consumer->commit_count--;
    arena_done(&commit->arena);
    free(commit);
}

void commits_start(struct ottla_consumer *consumer) {
    struct list *link = list_first(&consumer->commits);
    if (link != NULL) {
        struct commit *commit = container_of(link, struct commit, link);
        if (commit->asked == NULL && !sys_timer_is_set(&commit->timer)) {
            sys_timer_set(client_loop(consumer->client), &commit->timer, 0);
        }
    }
}

/* --- the end of a commit --- */

static void log_automatic(const struct commit *commit, err_t err) {
    const struct ottla_consumer *consumer = commit->consumer;
    client_log(consumer->client, OTTLA_LOG_WARNING,
               "group %s: offsets could not be committed behind the application: %s",
               consumer->settings->group_id, err_text(err));
}

/* The time to the next one counts from when this was made; after an error that passes it is short.
 */
static void automatic_done(struct ottla_consumer *consumer, err_t err) {
    consumer->auto_committing = false;
    int64_t soon = consumer_now_ms(consumer) + consumer->settings->retry_backoff_ms;
    bool passes = err != ERR_OK && (err_retriable(err) || client_connection_lost(err));
    if (passes && soon < consumer->auto_commit_ms) {
        consumer->auto_commit_ms = soon;
    }
}

static void end(struct commit *commit, err_t err) {
    struct ottla_consumer *consumer = commit->consumer;
    for (size_t i = 0; i < commit->count; i++) {
        if (err != ERR_OK && commit->positions[i].code == OTTLA_OK) {
            commit->positions[i].code = (int)err;
        } else if (err == ERR_OK && commit->positions[i].code != OTTLA_OK) {
            err = (err_t)commit->positions[i].code;
        }
    }
    if (commit->automatic) {
        automatic_done(consumer, err);
        if (err != ERR_OK && err != ERR_CLOSED) {
            log_automatic(commit, err);
        }
    }
    list_remove(&commit->link);
    commit->asked = NULL;
    if (commit->done != NULL) {
        commit->done(commit->arg, (int)err, commit->positions, commit->count);
    }
    commit_free(commit);
    commits_start(consumer);
    consumer_commits_through(consumer);
}

/* --- the request --- */

/* Why this commit cannot be made now; OK: it can. Takes the identity to commit with. */
static err_t identify(struct commit *commit, struct member_identity *identity) {
    const struct ottla_consumer *consumer = commit->consumer;
    *identity = (struct member_identity){.member_id = STR(""), .generation = -1};
    if (!commit->in_group) {
        return ERR_OK;
    }
    client_member_identity(consumer->member, identity);
    if (identity->generation < 0) {
        return identity->rebalancing ? ERR_REBALANCE_IN_PROGRESS : ERR_UNKNOWN_MEMBER_ID;
    }
    if (commit->losses != consumer->losses) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    bool classic = consumer->settings->group_protocol == CLIENT_GROUP_CLASSIC;
    if (classic && identity->generation != commit->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    commit->generation = identity->generation;
    return identity->rebalancing ? ERR_REBALANCE_IN_PROGRESS : ERR_OK;
}

static void fill_topic(const struct commit *commit, const struct offsets_topic *from,
                       struct offset_commit_request_topic *to, struct arena *arena) {
    *to = (struct offset_commit_request_topic){.name = from->name, .topic_id = from->id};
    to->partitions = ARENA_ARRAY(arena, struct offset_commit_request_partition, from->count);
    to->partitions_count = (int32_t)from->count;
    for (size_t i = 0; i < from->count; i++) {
        const struct offsets_entry *entry = &commit->list.entries[from->first + i];
        const struct ottla_position *position = &commit->positions[entry->index];
        to->partitions[i] = (struct offset_commit_request_partition){
            .partition_index = entry->partition,
            .committed_offset = position->offset,
            .committed_leader_epoch = position->leader_epoch,
            .committed_metadata = str_from_c(position->metadata == NULL ? "" : position->metadata),
        };
    }
}

static err_t build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                   const void **ret_request) {
    struct commit *commit = arg;
    (void)broker_id;
    struct member_identity identity;
    err_t err = identify(commit, &identity);
    if (err != ERR_OK) {
        return err;
    }
    if (version >= COMMIT_VERSION_IDS && !commit->list.ids) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct offset_commit_request *request = ARENA_NEW(arena, struct offset_commit_request);
    wire_init(&offset_commit_request_type, request);
    request->group_id = str_from_c(commit->consumer->settings->group_id);
    request->generation_id_or_member_epoch = identity.generation;
    request->member_id = arena_str(arena, identity.member_id);
    request->group_instance_id = arena_str(arena, identity.instance_id);
    request->topics =
        ARENA_ARRAY(arena, struct offset_commit_request_topic, commit->list.topic_count);
    request->topics_count = (int32_t)commit->list.topic_count;
    for (size_t i = 0; i < commit->list.topic_count; i++) {
        fill_topic(commit, &commit->list.topics[i], &request->topics[i], arena);
    }
    *ret_request = request;
    return ERR_OK;
}

/* --- the answer --- */

/* The first error of a partition that says what to do with all of them. */
static err_t judge(void *arg, int16_t version, const void *message) {
    (void)arg;
    (void)version;
    const struct offset_commit_response *response = message;
    for (int32_t t = 0; t < response->topics_count; t++) {
        for (int32_t p = 0; p < response->topics[t].partitions_count; p++) {
            err_t err = err_from_kafka_code(response->topics[t].partitions[p].error_code);
            if (err == ERR_COORDINATOR_LOAD_IN_PROGRESS || err == ERR_NOT_COORDINATOR ||
                err == ERR_COORDINATOR_NOT_AVAILABLE || err == ERR_REQUEST_TIMED_OUT) {
                return err;
            }
        }
    }
    return ERR_OK;
}

/* Fills the codes; what is said of the member. */
static err_t read_answer(struct commit *commit, const struct offset_commit_response *response,
                         bool by_id) {
    err_t member = ERR_OK;
    for (size_t i = 0; i < commit->list.entry_count; i++) { /* unless the answer has it */
        commit->positions[commit->list.entries[i].index].code = (int)ERR_MALFORMED;
    }
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct offset_commit_response_topic *from = &response->topics[t];
        const struct offsets_topic *topic =
            offsets_topic_find(&commit->list, from->name, &from->topic_id, by_id);
        for (int32_t p = 0; topic != NULL && p < from->partitions_count; p++) {
            const struct offsets_entry *entry =
                offsets_entry_find(&commit->list, topic, from->partitions[p].partition_index);
            if (entry == NULL) {
                continue;
            }
            err_t err = err_from_kafka_code(from->partitions[p].error_code);
            commit->positions[entry->index].code = (int)err;
            bool about_member = err == ERR_UNKNOWN_MEMBER_ID || err == ERR_FENCED_INSTANCE_ID ||
                                err == ERR_ILLEGAL_GENERATION || err == ERR_STALE_MEMBER_EPOCH ||
                                err == ERR_REBALANCE_IN_PROGRESS;
            member = about_member ? err : member;
        }
    }
    return member;
}

/* A member of the consumer protocol whose epoch moved on meanwhile: again, with the new one. */
static bool try_again(struct commit *commit, err_t err) {
    struct ottla_consumer *consumer = commit->consumer;
    int64_t now = consumer_now_ms(consumer);
    if (err != ERR_STALE_MEMBER_EPOCH || now >= commit->deadline_ms) {
        return false;
    }
    for (size_t i = 0; i < commit->count; i++) {
        commit->positions[i].code = OTTLA_OK;
    }
    int64_t pause = client_backoff_ms(consumer->client, ++commit->attempt);
    sys_timer_set(client_loop(consumer->client), &commit->timer, now + pause);
    return true;
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct commit *commit = arg;
    struct ottla_consumer *consumer = commit->consumer;
    commit->asked = NULL;
    err_t err = answer->err;
    if (err == ERR_OK) {
        err_t member = read_answer(commit, answer->response, answer->version >= COMMIT_VERSION_IDS);
        if (commit->in_group && consumer->member != NULL && member != ERR_OK) {
            client_member_commit_answered(consumer->member, commit->generation, member);
        }
        if (try_again(commit, member)) {
            return;
        }
    }
    end(commit, err);
}

static void start(struct commit *commit) {
    struct ottla_consumer *consumer = commit->consumer;
    struct member_identity identity;
    int64_t left = commit->deadline_ms - consumer_now_ms(consumer);
    left = left < TRY_MAX_MS ? left : TRY_MAX_MS;
    err_t err = left <= 0 ? ERR_TIMED_OUT : identify(commit, &identity);
    if (err != ERR_OK || commit->count == 0) {
        end(commit, err);
        return;
    }
    offsets_list_identify(&commit->list, consumer->client);
    struct client_ask ask = {
        .role = CLIENT_GROUP,
        .key = str_from_c(consumer->settings->group_id),
        .lane = CLIENT_LANE_MAIN,
        .api_key = API_OFFSET_COMMIT,
        .version_max = commit->list.ids ? -1 : COMMIT_VERSION_BY_NAME,
        .build = build,
        .judge = judge,
        .timeout_ms = left,
        .done = on_answer,
        .arg = commit,
    };
    commit->asked = client_ask(consumer->client, &ask);
}

void commit_on_timer(struct sys_timer *timer) {
    start(container_of(timer, struct commit, timer));
}

/* Those that were not answered are told so. */
void commits_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_take_first(&consumer->commits)) != NULL) {
        struct commit *commit = container_of(link, struct commit, link);
        for (size_t i = 0; i < commit->count; i++) {
            commit->positions[i].code = OTTLA_CLOSED;
        }
        if (commit->done != NULL) {
            commit->done(commit->arg, OTTLA_CLOSED, commit->positions, commit->count);
        }
        commit_free(commit);
    }
}
