/*
 * Commits, one after the other: the next is sent when the one before it was answered, so that a
 * commit that is repeated (the coordinator moved, or is loading) cannot overtake a later one.
 *
 * A commit belongs to the generation in which it was made. In a classic group it is not sent any
 * more in a later one: who owns the partitions may have changed. A member of the consumer protocol
 * keeps what it has while its epoch moves on, so there it takes the epoch of now.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/consumer_int.h"
#include "client/offsets.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

enum { COMMIT_VERSION_BY_NAME = 9, COMMIT_VERSION_IDS = 10 };
#define WAIT_MAX_MS (INT64_C(1) << 40) /* "without limit" */

struct commit {
    struct list link;
    struct ottla_consumer *consumer;
    struct arena arena;
    struct ottla_position *positions; /* topics and metadata in the arena */
    size_t count;
    struct offsets_list list;
    int32_t generation; /* made in; of the last try */
    bool in_group;
    int64_t deadline_ms;
    int attempt;
    struct client_asked *asked; /* NULL: not on its way */
    struct sys_timer timer;     /* to try again; or to begin */
    bool automatic;
    ottla_commit_fn done;
    void *arg;
};

static void commit_free(struct commit *commit) {
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

static void start_first(struct ottla_consumer *consumer) {
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
    start_first(consumer);
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

static void on_timer(struct sys_timer *timer) {
    start(container_of(timer, struct commit, timer));
}

/* --- making one --- */

static void copy_positions(struct commit *commit, const struct ottla_position *positions,
                           size_t count) {
    struct arena *arena = &commit->arena;
    commit->positions = ARENA_ARRAY(arena, struct ottla_position, count + 1);
    commit->count = count;
    for (size_t i = 0; i < count; i++) {
        commit->positions[i] = positions[i];
        commit->positions[i].topic = arena_c_str(arena, str_from_c(positions[i].topic));
        commit->positions[i].metadata = arena_c_str(arena, str_from_c(positions[i].metadata));
        commit->positions[i].leader_epoch =
            positions[i].leader_epoch > 0 ? positions[i].leader_epoch : -1;
        commit->positions[i].code = OTTLA_OK;
    }
}

/* Of everything assigned, as handed out so far. */
static void collect_positions(struct commit *commit) {
    const struct ottla_consumer *consumer = commit->consumer;
    commit->positions =
        ARENA_ARRAY(&commit->arena, struct ottla_position, consumer->position_count + 1);
    struct list *link;
    list_for_each (link, &consumer->positions) {
        const struct position *position = container_of(link, struct position, link);
        if (position->offset < 0) {
            continue;
        }
        commit->positions[commit->count++] = (struct ottla_position){
            .topic = arena_c_str(&commit->arena, position->topic->name),
            .partition = position->partition,
            .offset = position->offset,
            .leader_epoch = position->offset_epoch,
        };
    }
}

static void list_positions(struct commit *commit) {
    struct offsets_entry *entries =
        ARENA_ARRAY(&commit->arena, struct offsets_entry, commit->count + 1);
    for (size_t i = 0; i < commit->count; i++) {
        entries[i] = (struct offsets_entry){.topic = str_from_c(commit->positions[i].topic),
                                            .partition = commit->positions[i].partition,
                                            .index = i};
    }
    offsets_list_init(&commit->list, entries, commit->count, &commit->arena);
}

/* positions NULL: of everything. Without any position it is answered in a later turn all the same.
 */
static struct commit *commit_new(struct ottla_consumer *consumer,
                                 const struct ottla_position *positions, size_t count,
                                 int64_t deadline_ms) {
    struct commit *commit = calloc(1, sizeof *commit);
    if (commit == NULL) {
        abort();
    }
    commit->consumer = consumer;
    commit->deadline_ms = deadline_ms;
    commit->timer.fire = on_timer;
    commit->in_group = consumer->subscribed;
    arena_init(&commit->arena, SIZE_MAX);
    if (positions == NULL) {
        collect_positions(commit);
    } else {
        copy_positions(commit, positions, count);
    }
    list_positions(commit);
    if (commit->in_group) {
        struct member_identity identity;
        client_member_identity(consumer->member, &identity);
        commit->generation = identity.generation;
    }
    list_add_last(&consumer->commits, &commit->link);
    consumer->commit_count++;
    start_first(consumer);
    return commit;
}

static int check(const struct ottla_consumer *consumer, const struct ottla_position *positions,
                 size_t count, struct ottla_error *ret_error) {
    if (consumer->closed) {
        return client_error_set(ret_error, OTTLA_CLOSED, "the consumer was closed");
    }
    if (consumer->settings->group_id == NULL) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "offsets are committed for a group: set group.id");
    }
    for (size_t i = 0; i < count && positions != NULL; i++) {
        if (positions[i].topic == NULL || positions[i].partition < 0 || positions[i].offset < 0) {
            return client_error_set(ret_error, OTTLA_INVALID,
                                    "a committed position needs a topic, a partition and an "
                                    "offset of 0 or more");
        }
    }
    if (consumer->commit_count >= CONSUMER_COMMITS_MAX) {
        return client_error_set(ret_error, OTTLA_BUSY,
                                "%d commits wait already; poll, and commit less often",
                                CONSUMER_COMMITS_MAX);
    }
    return OTTLA_OK;
}

int ottla_consumer_commit_async(struct ottla_consumer *consumer,
                                const struct ottla_position *positions, size_t count,
                                ottla_commit_fn done, void *arg) {
    int code = check(consumer, positions, count, NULL);
    if (code != OTTLA_OK) {
        return code;
    }
    int64_t timeout = consumer->settings->default_api_timeout_ms;
    struct commit *commit =
        commit_new(consumer, positions, count, consumer_now_ms(consumer) + timeout);
    commit->done = done;
    commit->arg = arg;
    return OTTLA_OK;
}

struct waiting {
    bool done;
    int code;
    int partition_code;
    char place[300]; /* the partition whose error it is */
};

static void on_waited(void *arg, int code, const struct ottla_position *positions, size_t count) {
    struct waiting *waiting = arg;
    waiting->done = true;
    waiting->code = code;
    for (size_t i = 0; i < count; i++) {
        if (positions[i].code != OTTLA_OK) {
            (void)snprintf(waiting->place, sizeof waiting->place, "%s-%d", positions[i].topic,
                           (int)positions[i].partition);
            break;
        }
    }
}

static int tell_commit(const struct ottla_consumer *consumer, int code, const char *place,
                       struct ottla_error *ret_error) {
    const char *group = consumer->settings->group_id;
    switch (code) {
    case OTTLA_OK:
        return OTTLA_OK;
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_ILLEGAL_GENERATION:
    case ERR_STALE_MEMBER_EPOCH:
    case ERR_FENCED_INSTANCE_ID:
        return client_error_set(ret_error, code,
                                "group %s does not take this commit (%s): its partitions may "
                                "belong to another member by now. Poll more often than "
                                "max.poll.interval.ms, or make it longer",
                                group, err_name((err_t)code));
    case ERR_REBALANCE_IN_PROGRESS:
        return client_error_set(ret_error, code, "group %s rebalances: poll, and commit again",
                                group);
    default:
        return client_error_set(ret_error, code, "commit of %s in group %s: %s", place, group,
                                err_text((err_t)code));
    }
}

int ottla_consumer_commit(struct ottla_consumer *consumer, const struct ottla_position *positions,
                          size_t count, int64_t timeout_ms, struct ottla_error *ret_error) {
    int code = check(consumer, positions, count, ret_error);
    if (code != OTTLA_OK) {
        return code;
    }
    struct waiting waiting = {.place = "offsets"};
    int64_t now = consumer_now_ms(consumer);
    int64_t deadline = now + (timeout_ms < 0 ? WAIT_MAX_MS : timeout_ms);
    struct commit *commit = commit_new(consumer, positions, count, deadline);
    commit->done = on_waited;
    commit->arg = &waiting;
    err_t err = client_wait(consumer->client, &waiting.done, deadline);
    if (!waiting.done) { /* the broker may still take it; nobody hears of it */
        commit_free(commit);
        start_first(consumer);
        consumer_commits_through(consumer);
        return tell_commit(consumer, (int)err, waiting.place, ret_error);
    }
    return tell_commit(consumer, waiting.code, waiting.place, ret_error);
}

/* --- behind the application --- */

int64_t commit_auto_deadline(const struct ottla_consumer *consumer) {
    const struct client_settings *settings = consumer->settings;
    bool none = !settings->enable_auto_commit || settings->group_id == NULL || consumer->closed ||
                consumer->position_count == 0 || consumer->auto_committing;
    return none ? INT64_MAX : consumer->auto_commit_ms;
}

void commit_auto(struct ottla_consumer *consumer, bool now) {
    const struct client_settings *settings = consumer->settings;
    if (!settings->enable_auto_commit || settings->group_id == NULL || consumer->closed) {
        return;
    }
    int64_t time = consumer_now_ms(consumer);
    bool due = now || time >= commit_auto_deadline(consumer);
    if (!due || consumer->position_count == 0) {
        return;
    }
    consumer->auto_commit_ms = time + settings->auto_commit_interval_ms;
    if (consumer->commit_count >= CONSUMER_COMMITS_MAX) {
        return;
    }
    struct commit *commit = commit_new(consumer, NULL, 0, time + settings->default_api_timeout_ms);
    if (commit->count == 0) {
        commit_free(commit);
        return;
    }
    commit->automatic = true;
    consumer->auto_committing = true;
}

void commits_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->commits)) != NULL) {
        commit_free(container_of(link, struct commit, link));
    }
}
