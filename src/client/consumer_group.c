/*
 * A consumer in a group: what the member wishes, and what the application is told of it.
 *
 * The member speaks in turns of the loop; the application hears of it in its next poll, in the same
 * order (consumer->events). What is to be given away, or was lost, is not read from at once.
 *
 * Giving up the subscription: positions go at once, the application is told later. The member
 * leaves when commits that were made before are through; what is subscribed in between waits until
 * it has left.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/consumer_int.h"

/* --- events --- */

static struct rebalance_event *event_new(enum rebalance_kind kind) {
    struct rebalance_event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        abort();
    }
    event->kind = kind;
    arena_init(&event->arena, SIZE_MAX);
    return event;
}

static void event_free(struct rebalance_event *event) {
    list_remove(&event->link);
    arena_done(&event->arena);
    free(event);
}

static struct ottla_partition *
copy_partitions(struct arena *arena, const struct member_partition *partitions, size_t count) {
    struct ottla_partition *copies = ARENA_ARRAY(arena, struct ottla_partition, count + 1);
    const char *name = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !str_equal(partitions[i].topic, partitions[i - 1].topic)) {
            name = arena_c_str(arena, partitions[i].topic);
        }
        copies[i] = (struct ottla_partition){name, partitions[i].partition};
    }
    return copies;
}

static void add_event(struct ottla_consumer *consumer, struct rebalance_event *event) {
    list_add_last(&consumer->events, &event->link);
    consumer_wake(consumer);
}

static struct position *position_of(const struct ottla_consumer *consumer,
                                    const struct ottla_partition *partition) {
    return consumer_position(consumer, str_from_c(partition->topic), partition->partition);
}

/* No record of them any more, and no fetch. */
static void stop_reading(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                         size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct position *position = position_of(consumer, &partitions[i]);
        if (position != NULL) {
            position->revoking = true;
            list_remove(&position->error_link);
            fetch_leave(position);
            fetch_drop(consumer, position);
        }
    }
}

static void remove_positions(struct ottla_consumer *consumer,
                             const struct ottla_partition *partitions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct position *position = position_of(consumer, &partitions[i]);
        if (position != NULL) {
            consumer_position_remove(consumer, position);
        }
    }
}

/* --- what the member says --- */

static void release_when_through(struct ottla_consumer *consumer) {
    consumer->release_owed = true;
    consumer_commits_through(consumer);
}

static void on_revoking(void *arg, const struct member_partition *partitions, size_t count) {
    struct ottla_consumer *consumer = arg;
    if (!consumer->subscribed || consumer->leaving) {
        release_when_through(consumer); /* the application has been told */
        return;
    }
    struct rebalance_event *event = event_new(REBALANCE_REVOKED);
    event->partitions = copy_partitions(&event->arena, partitions, count);
    event->count = count;
    stop_reading(consumer, event->partitions, count);
    add_event(consumer, event);
}

static void on_assigned(void *arg, const struct member_partition *all, size_t all_count,
                        const struct member_partition *added, size_t added_count) {
    struct ottla_consumer *consumer = arg;
    if (!consumer->subscribed || consumer->leaving) {
        return;
    }
    struct rebalance_event *event = event_new(REBALANCE_ASSIGNED);
    event->all = copy_partitions(&event->arena, all, all_count);
    event->all_count = all_count;
    event->partitions = copy_partitions(&event->arena, added, added_count);
    event->count = added_count;
    add_event(consumer, event);
}

/* A revoking that was not told yet is no revoking any more. */
static void drop_revokes(struct ottla_consumer *consumer) {
    struct list *link, *after;
    list_for_each_safe (link, after, &consumer->events) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        if (event->kind == REBALANCE_REVOKED && event->telling) {
            event->past = true; /* the application reads it right now */
        } else if (event->kind == REBALANCE_REVOKED && !event->past) {
            event_free(event);
        }
    }
    consumer->release_owed = false;
}

static void on_lost(void *arg, const struct member_partition *partitions, size_t count) {
    struct ottla_consumer *consumer = arg;
    drop_revokes(consumer);
    if (!consumer->subscribed || consumer->leaving) {
        return;
    }
    struct rebalance_event *event = event_new(REBALANCE_LOST);
    event->partitions = copy_partitions(&event->arena, partitions, count);
    event->count = count;
    stop_reading(consumer, event->partitions, count);
    add_event(consumer, event);
}

static void on_failed(void *arg, err_t err, const char *text) {
    struct ottla_consumer *consumer = arg;
    consumer->failed = err;
    (void)snprintf(consumer->failed_text, sizeof consumer->failed_text, "%s", text);
    consumer_wake(consumer);
}

static struct member_owner owner_of(struct ottla_consumer *consumer) {
    return (struct member_owner){.revoking = on_revoking,
                                 .assigned = on_assigned,
                                 .lost = on_lost,
                                 .failed = on_failed,
                                 .arg = consumer};
}

/* --- what the application is told --- */

typedef void (*told_fn)(void *arg, struct ottla_consumer *consumer,
                        const struct ottla_partition *partitions, size_t count);

static void call(struct ottla_consumer *consumer, told_fn function,
                 const struct ottla_partition *partitions, size_t count) {
    if (function == NULL) {
        return;
    }
    consumer->in_callback = true;
    function(consumer->rebalance.arg, consumer, partitions, count);
    consumer->in_callback = false;
}

static void take_assignment(struct ottla_consumer *consumer, const struct rebalance_event *event) {
    struct list *link, *after;
    list_for_each (link, &consumer->positions) {
        container_of(link, struct position, link)->revoking = true;
    }
    for (size_t i = 0; i < event->all_count; i++) {
        struct position *position = position_of(consumer, &event->all[i]);
        if (position == NULL) {
            position = consumer_position_add(consumer, str_from_c(event->all[i].topic),
                                             event->all[i].partition);
        }
        position->revoking = false;
        fetch_place(consumer, position);
    }
    list_for_each_safe (link, after, &consumer->positions) {
        struct position *position = container_of(link, struct position, link);
        if (position->revoking) {
            consumer_position_remove(consumer, position);
        }
    }
    consumer_want_step(consumer);
}

static void tell_assigned(struct ottla_consumer *consumer, struct rebalance_event *event) {
    list_remove(&event->link);
    take_assignment(consumer, event);
    call(consumer, consumer->rebalance.assigned, event->partitions, event->count);
    event_free(event);
}

static void tell_lost(struct ottla_consumer *consumer, struct rebalance_event *event) {
    list_remove(&event->link);
    told_fn lost = consumer->rebalance.lost;
    if (event->count > 0) {
        call(consumer, lost != NULL ? lost : consumer->rebalance.revoked, event->partitions,
             event->count);
    }
    remove_positions(consumer, event->partitions, event->count);
    event_free(event);
}

/* False: it waits for commits. */
static bool tell_revoked(struct ottla_consumer *consumer, struct rebalance_event *event) {
    if (event->step == REBALANCE_NEW) {
        event->step = REBALANCE_COMMITTING;
        if (!event->past && event->count > 0) {
            commit_auto(consumer, true);
        }
    }
    if (event->step == REBALANCE_COMMITTING) {
        if (!list_empty(&consumer->commits)) {
            return false;
        }
        event->step = REBALANCE_TOLD;
        if (event->count > 0) {
            event->telling = true;
            call(consumer, consumer->rebalance.revoked, event->partitions, event->count);
            event->telling = false;
        }
    }
    if (!list_empty(&consumer->commits)) {
        return false;
    }
    if (!event->past) {
        remove_positions(consumer, event->partitions, event->count);
        client_member_released(consumer->member);
    }
    event_free(event);
    return true;
}

void consumer_tell(struct ottla_consumer *consumer) {
    struct list *link;
    bool more = true;
    while (more && (link = list_first(&consumer->events)) != NULL) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        switch (event->kind) {
        case REBALANCE_ASSIGNED:
            tell_assigned(consumer, event);
            break;
        case REBALANCE_LOST:
            tell_lost(consumer, event);
            break;
        case REBALANCE_REVOKED:
            more = tell_revoked(consumer, event);
            break;
        }
    }
}

/* --- subscribing and leaving --- */

static void join(struct ottla_consumer *consumer) {
    client_member_subscribe(consumer->member, consumer->topic_names, consumer->topic_name_count,
                            consumer->pattern);
}

static void on_left(void *arg) {
    struct ottla_consumer *consumer = arg;
    consumer->leaving = false;
    if (consumer->subscribed && !consumer->closing) {
        join(consumer);
    }
    consumer_wake(consumer);
}

void consumer_commits_through(struct ottla_consumer *consumer) {
    if (!list_empty(&consumer->commits)) {
        return;
    }
    if (consumer->release_owed) {
        consumer->release_owed = false;
        client_member_released(consumer->member);
    }
    if (consumer->leave_wanted) {
        consumer->leave_wanted = false;
        client_member_leave(consumer->member, consumer->leave_timeout_ms, on_left, consumer);
    }
    consumer_wake(consumer);
}

/* The application hears in its next poll that all was revoked. */
static void tell_later(struct ottla_consumer *consumer) {
    struct list *link, *after;
    list_for_each_safe (link, after, &consumer->events) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        if (event->kind == REBALANCE_ASSIGNED || event->kind == REBALANCE_REVOKED) {
            event_free(event); /* it is over before it was told */
        }
    }
    struct rebalance_event *event = event_new(REBALANCE_REVOKED);
    event->past = true;
    event->partitions =
        ARENA_ARRAY(&event->arena, struct ottla_partition, consumer->position_count + 1);
    list_for_each (link, &consumer->positions) {
        const struct position *position = container_of(link, struct position, link);
        event->partitions[event->count++] = (struct ottla_partition){
            arena_c_str(&event->arena, position->topic->name), position->partition};
    }
    add_event(consumer, event);
}

void consumer_leave(struct ottla_consumer *consumer, int64_t timeout_ms) {
    consumer->subscribed = false;
    consumer->failed = ERR_OK;
    if (consumer->leaving) {
        return;
    }
    consumer->leaving = true;
    consumer->leave_wanted = true;
    consumer->leave_timeout_ms = timeout_ms;
    consumer_commits_through(consumer);
}

void consumer_give_up(struct ottla_consumer *consumer) {
    tell_later(consumer);
    consumer_positions_clear(consumer);
    consumer_leave(consumer, consumer->settings->default_api_timeout_ms);
}

static int check_subscribe(struct ottla_consumer *consumer, struct ottla_error *ret_error) {
    if (consumer->settings->group_id == NULL) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "to subscribe needs a group: set group.id (assign needs none)");
    }
    return OTTLA_OK;
}

static int subscribe(struct ottla_consumer *consumer, const struct ottla_rebalance *rebalance) {
    if (!consumer->subscribed) { /* what was assigned by hand ends */
        commit_auto(consumer, true);
        consumer_positions_clear(consumer);
    }
    consumer->subscribed = true;
    consumer->failed = ERR_OK;
    consumer->rebalance =
        rebalance == NULL ? (struct ottla_rebalance){.assigned = NULL} : *rebalance;
    if (consumer->member == NULL) {
        struct member_owner owner = owner_of(consumer);
        consumer->member = client_member_new(consumer->client, &owner);
    }
    if (!consumer->leaving) {
        join(consumer);
    }
    return OTTLA_OK;
}

int ottla_consumer_subscribe(struct ottla_consumer *consumer, const char *const *topics,
                             size_t count, const struct ottla_rebalance *rebalance,
                             struct ottla_error *ret_error) {
    int code = consumer_check(consumer, ret_error);
    if (count == 0 && code == OTTLA_OK) {
        commit_auto(consumer, true);
        if (consumer->subscribed) {
            consumer_give_up(consumer);
        }
        consumer_positions_clear(consumer);
        return OTTLA_OK;
    }
    code = code == OTTLA_OK ? check_subscribe(consumer, ret_error) : code;
    for (size_t i = 0; i < count && code == OTTLA_OK; i++) {
        if (topics[i] == NULL || *topics[i] == '\0') {
            code = client_error_set(ret_error, OTTLA_INVALID, "a topic's name is empty");
        }
    }
    if (code != OTTLA_OK) {
        return code;
    }
    arena_reset(&consumer->subscription);
    consumer->pattern = STR_NULL;
    consumer->topic_names = ARENA_ARRAY(&consumer->subscription, struct str, count);
    consumer->topic_name_count = count;
    for (size_t i = 0; i < count; i++) {
        consumer->topic_names[i] = arena_str(&consumer->subscription, str_from_c(topics[i]));
    }
    return subscribe(consumer, rebalance);
}

int ottla_consumer_subscribe_pattern(struct ottla_consumer *consumer, const char *pattern,
                                     const struct ottla_rebalance *rebalance,
                                     struct ottla_error *ret_error) {
    int code = consumer_check(consumer, ret_error);
    code = code == OTTLA_OK ? check_subscribe(consumer, ret_error) : code;
    if (code == OTTLA_OK && (pattern == NULL || *pattern == '\0')) {
        code = client_error_set(ret_error, OTTLA_INVALID, "the pattern is empty");
    }
    if (code != OTTLA_OK) {
        return code;
    }
    arena_reset(&consumer->subscription);
    consumer->topic_names = NULL;
    consumer->topic_name_count = 0;
    consumer->pattern = arena_str(&consumer->subscription, str_from_c(pattern));
    return subscribe(consumer, rebalance);
}

/* --- close --- */

/* What the application does not know yet. */
static void tell_last_events(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->events)) != NULL) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        if (event->kind == REBALANCE_LOST) {
            tell_lost(consumer, event);
            continue;
        }
        list_remove(&event->link);
        if (event->kind == REBALANCE_REVOKED && event->step == REBALANCE_TOLD) {
            remove_positions(consumer, event->partitions, event->count);
        } else if (event->past && event->count > 0) {
            call(consumer, consumer->rebalance.revoked, event->partitions, event->count);
        }
        event_free(event);
    }
}

/* And that it loses all it has. */
static void tell_the_end(struct ottla_consumer *consumer) {
    tell_last_events(consumer);
    size_t size = consumer->position_count;
    struct ottla_partition *all = calloc(size + 1, sizeof *all);
    if (all == NULL) {
        abort();
    }
    (void)ottla_consumer_assignment(consumer, all, size);
    if (size > 0 && consumer->subscribed) {
        call(consumer, consumer->rebalance.revoked, all, size);
    }
    free(all);
}

static bool is_through(struct ottla_consumer *consumer) {
    return list_empty(&consumer->commits) && !consumer->leaving;
}

static err_t wait_until_through(struct ottla_consumer *consumer, int64_t deadline_ms) {
    while (!is_through(consumer)) {
        consumer->woken = false;
        err_t err = client_wait(consumer->client, &consumer->woken, deadline_ms);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

int ottla_consumer_close(struct ottla_consumer *consumer, int64_t timeout_ms) {
    if (consumer->closed || consumer->in_callback) {
        return consumer->closed ? OTTLA_CLOSED : OTTLA_BUSY;
    }
    int64_t now = consumer_now_ms(consumer);
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : now + timeout_ms;
    bool never = false;
    (void)client_wait(consumer->client, &never, now); /* an interruption of before is over */
    consumer_let_go(consumer);
    commit_auto(consumer, true);
    err_t err = wait_until_through(consumer, deadline);
    tell_the_end(consumer);
    if (err == ERR_OK) {
        err = wait_until_through(consumer, deadline); /* for commits made when told */
    }
    consumer->closing = true;
    if (consumer->subscribed) {
        int64_t left = deadline == INT64_MAX ? consumer->settings->default_api_timeout_ms
                                             : deadline - consumer_now_ms(consumer);
        consumer_leave(consumer, left > 0 ? left : 0);
        err_t left_err = wait_until_through(consumer, deadline);
        err = err == ERR_OK ? left_err : err;
    }
    fetch_close_sessions(consumer, deadline);
    consumer_positions_clear(consumer);
    consumer->closed = true;
    return (int)err;
}

/* --- the rest --- */

int ottla_consumer_membership(const struct ottla_consumer *consumer,
                              struct ottla_membership *ret_membership) {
    if (consumer->settings->group_id == NULL) {
        return OTTLA_NOT_FOUND;
    }
    struct member_identity identity = {.member_id = STR(""), .generation = -1};
    if (consumer->member != NULL) {
        client_member_identity(consumer->member, &identity);
    }
    struct arena *texts = (struct arena *)&consumer->identity;
    *ret_membership = (struct ottla_membership){
        .group_id = consumer->settings->group_id,
        .member_id = arena_c_str(texts, identity.member_id),
        .instance_id = arena_c_str(texts, identity.instance_id),
        .generation = identity.generation,
    };
    return OTTLA_OK;
}

int ottla_consumer_enforce_rebalance(struct ottla_consumer *consumer, const char *reason) {
    if (!consumer->subscribed) {
        return OTTLA_NOT_FOUND;
    }
    if (!consumer->leaving) {
        client_member_rejoin(consumer->member, reason);
    }
    return OTTLA_OK;
}

void consumer_group_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->events)) != NULL) {
        event_free(container_of(link, struct rebalance_event, link));
    }
    client_member_free(consumer->member);
    consumer->member = NULL;
}
