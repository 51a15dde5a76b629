/* Commits of the application, and those behind it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/offsets_commit_int.h"

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
        if (position->offset < 0 || position->gone) {
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
    commit->timer.fire = commit_on_timer;
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
        commit->losses = consumer->losses_known;
    }
    list_add_last(&consumer->commits, &commit->link);
    consumer->commit_count++;
    commits_start(consumer);
    return commit;
}

static int check(const struct ottla_consumer *consumer, const struct ottla_position *positions,
                 size_t count, struct ottla_error *ret_error) {
    if (consumer->closed || consumer->closing) {
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
    int64_t deadline = client_deadline_ms(consumer->client, timeout_ms);
    struct commit *commit = commit_new(consumer, positions, count, deadline);
    commit->done = on_waited;
    commit->arg = &waiting;
    err_t err = client_wait(consumer->client, &waiting.done, deadline);
    if (!waiting.done) { /* the broker may still take it; nobody hears of it */
        commit_free(commit);
        commits_start(consumer);
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
