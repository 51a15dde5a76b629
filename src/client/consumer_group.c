/*
 * A consumer in a group: what the member wishes, and what the application is told of it.
 *
 * The member speaks in turns of the loop; the application hears of it in its next poll, in the same
 * order (consumer->events). What is to be given away, or was lost, is not read from at once.
 *
 * The application has what it was told to have: a partition has a position from `assigned` on until
 * `revoked` or `lost` was told, which is once (position->gone). So a loss makes void what was not
 * told yet, and an assignment that came and went between two polls is not told at all.
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

static void note_gone(const struct ottla_consumer *consumer,
                      const struct ottla_partition *partitions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct position *position = position_of(consumer, &partitions[i]);
        if (position != NULL) {
            position->gone = true;
        }
    }
}

/* Not those that were assigned by hand since. */
static void remove_gone(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct position *position = position_of(consumer, &partitions[i]);
        if (position != NULL && position->gone) {
            consumer_position_remove(consumer, position);
        }
    }
}

/* Keeps what the application has. */
static size_t keep_owned(const struct ottla_consumer *consumer, struct ottla_partition *partitions,
                         size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct position *position = position_of(consumer, &partitions[i]);
        if (position != NULL && !position->gone) {
            partitions[kept++] = partitions[i];
        }
    }
    return kept;
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

/* What was not told yet is not true any more. */
static void drop_untold(struct ottla_consumer *consumer) {
    struct list *link, *after;
    list_for_each_safe (link, after, &consumer->events) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        if (event->kind == REBALANCE_LOST || event->past) {
            continue;
        }
        if (event->telling) { /* the application reads it right now */
            note_gone(consumer, event->partitions, event->count);
            event->past = true;
            continue;
        }
        if (event->step == REBALANCE_TOLD) {
            remove_gone(consumer, event->partitions, event->count);
        }
        event_free(event);
    }
    consumer->release_owed = false;
}

static void on_lost(void *arg, const struct member_partition *partitions, size_t count) {
    struct ottla_consumer *consumer = arg;
    drop_untold(consumer);
    consumer->losses++;
    struct rebalance_event *event = event_new(REBALANCE_LOST);
    event->losses = consumer->losses;
    if (consumer->subscribed && !consumer->leaving) {
        event->partitions = copy_partitions(&event->arena, partitions, count);
        event->count = keep_owned(consumer, event->partitions, count);
        stop_reading(consumer, event->partitions, event->count);
        note_gone(consumer, event->partitions, event->count);
    }
    add_event(consumer, event);
}

static void on_failed(void *arg, err_t err, const char *text) {
    struct ottla_consumer *consumer = arg;
    consumer->failed = err;
    (void)snprintf(consumer->failed_text, sizeof consumer->failed_text, "%s", text);
    consumer_wake(consumer);
}

struct member_owner consumer_owner(struct ottla_consumer *consumer) {
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
    remove_gone(consumer, event->partitions, event->count);
    consumer->losses_known = event->losses;
    event_free(event);
}

static void tell_that_revoked(struct ottla_consumer *consumer, struct rebalance_event *event) {
    event->step = REBALANCE_TOLD;
    if (event->count > 0) {
        event->telling = true;
        call(consumer, consumer->rebalance.revoked, event->partitions, event->count);
        event->telling = false;
    }
    if (!event->past) {
        note_gone(consumer, event->partitions, event->count);
    }
}

/* False: it waits for commits. */
static bool tell_revoked(struct ottla_consumer *consumer, struct rebalance_event *event) {
    if (event->step == REBALANCE_NEW) {
        event->step = REBALANCE_COMMITTING;
        if (!event->past && event->count > 0) {
            stop_reading(consumer, event->partitions, event->count); /* what was assigned since */
            commit_auto(consumer, true);
        }
    }
    if (event->step == REBALANCE_COMMITTING) {
        if (!list_empty(&consumer->commits)) {
            return false;
        }
        tell_that_revoked(consumer, event);
    }
    if (!list_empty(&consumer->commits)) {
        return false;
    }
    remove_gone(consumer, event->partitions, event->count);
    if (!event->past) {
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

/* --- the end of a subscription --- */

void consumer_tell_later(struct ottla_consumer *consumer) {
    struct list *link, *after;
    list_for_each_safe (link, after, &consumer->events) {
        struct rebalance_event *event = container_of(link, struct rebalance_event, link);
        if (event->kind == REBALANCE_LOST || event->past) {
            continue; /* that it is over does not make it less true */
        }
        if (event->kind == REBALANCE_REVOKED) {
            consumer->release_owed = true;
        }
        event_free(event);
    }
    struct rebalance_event *event = event_new(REBALANCE_REVOKED);
    event->past = true;
    event->partitions =
        ARENA_ARRAY(&event->arena, struct ottla_partition, consumer->position_count + 1);
    list_for_each (link, &consumer->positions) {
        const struct position *position = container_of(link, struct position, link);
        if (!position->gone) {
            event->partitions[event->count++] = (struct ottla_partition){
                arena_c_str(&event->arena, position->topic->name), position->partition};
        }
    }
    add_event(consumer, event);
}

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
        if (event->past && event->step != REBALANCE_TOLD && event->count > 0) {
            call(consumer, consumer->rebalance.revoked, event->partitions, event->count);
        }
        remove_gone(consumer, event->partitions, event->count);
        event_free(event);
    }
}

void consumer_tell_the_end(struct ottla_consumer *consumer) {
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
    consumer->release_owed = consumer->member != NULL; /* whatever it waits for */
}

void consumer_group_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->events)) != NULL) {
        event_free(container_of(link, struct rebalance_event, link));
    }
    client_member_free(consumer->member);
    consumer->member = NULL;
}
