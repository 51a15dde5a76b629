/*
 * Drives one of the two state machines of membership: hands it what the consumer wants and what
 * answers say, and takes the actions it asks for.
 *
 * The owner's functions are called from turns of the loop only: public functions change the machine
 * and leave the rest to the timer, which is set to now.
 */
#include "client/member_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int64_t client_member_now_ms(const struct client_member *member) {
    return sys_mono_ms(client_sys(member->client));
}

struct client_ask client_member_ask(const struct client_member *member, int16_t api_key) {
    return (struct client_ask){
        .role = CLIENT_GROUP,
        .key = str_from_c(member->settings->group_id),
        .lane = CLIENT_LANE_GROUP,
        .api_key = api_key,
        .version_max = -1,
        .arg = (void *)(uintptr_t)member,
    };
}

/* --- the machine, whichever it is --- */

static enum member_action next(struct client_member *member) {
    int64_t now_ms = client_member_now_ms(member);
    return member->classic ? member_classic_next(&member->machine, now_ms)
                           : member_consumer_next(&member->consumer, now_ms);
}

static int64_t deadline_ms(const struct client_member *member) {
    int64_t at_ms = member->classic ? member_classic_deadline_ms(&member->machine)
                                    : member_consumer_deadline_ms(&member->consumer);
    return member->leading && member->lead_by_ms < at_ms ? member->lead_by_ms : at_ms;
}

static const struct member_set *set_of(const struct client_member *member,
                                       enum member_action action) {
    const struct member_classic *classic = &member->machine;
    const struct member_consumer *consumer = &member->consumer;
    switch (action) {
    case MEMBER_LOST:
        return member->classic ? &classic->lost : &consumer->lost;
    case MEMBER_REVOKING:
        return member->classic ? &classic->revoking : &consumer->revoking;
    default:
        return member->classic ? &classic->owned : &consumer->owned;
    }
}

/* --- actions --- */

static void cancel(struct client_asked **asked) {
    if (*asked != NULL) {
        client_ask_cancel(*asked);
        *asked = NULL;
    }
}

static void tell_lost(struct client_member *member) {
    const struct member_set *lost = set_of(member, MEMBER_LOST);
    client_log(member->client, OTTLA_LOG_WARNING,
               "group %s: %zu partitions are lost: this member is no longer in the group",
               member->settings->group_id, lost->count);
    member->owner.lost(member->owner.arg, lost->items, lost->count);
}

static void tell_assigned(struct client_member *member) {
    const struct member_set *owned = set_of(member, MEMBER_ASSIGNED);
    const struct member_set *added =
        member->classic ? &member->machine.added : &member->consumer.added;
    client_log(member->client, OTTLA_LOG_INFO,
               "group %s: %zu partitions are assigned, %zu of them are new, in %s %d",
               member->settings->group_id, owned->count, added->count,
               member->classic ? "generation" : "epoch",
               member->classic ? member->machine.generation : member->consumer.epoch);
    member->owner.assigned(member->owner.arg, owned->items, owned->count, added->items,
                           added->count);
}

static void tell_revoking(struct client_member *member) {
    const struct member_set *revoking = set_of(member, MEMBER_REVOKING);
    client_log(member->client, OTTLA_LOG_INFO, "group %s: %zu partitions are to be given back",
               member->settings->group_id, revoking->count);
    member->owner.revoking(member->owner.arg, revoking->items, revoking->count);
}

static void tell_failed(struct client_member *member) {
    err_t failure = member->classic ? member->machine.failure : member->consumer.failure;
    char text[MEMBER_TEXT_SIZE + 300];
    snprintf(text, sizeof text, "group %.249s: %s", member->settings->group_id,
             member->classic ? member->machine.failure_text : member->consumer.failure_text);
    member->owner.failed(member->owner.arg, failure, text);
}

static void tell_left(struct client_member *member) {
    void (*left)(void *arg) = member->left;
    member->left = NULL;
    if (left != NULL) {
        left(member->left_arg);
    }
}

static void send_heartbeat(struct client_member *member) {
    if (member->classic) {
        client_member_send_classic_heartbeat(member);
    } else {
        client_member_send_consumer_heartbeat(member);
    }
}

static void send_leave(struct client_member *member) {
    cancel(&member->leave); /* of a life before */
    if (member->classic) {
        client_member_send_leave(member);
    } else {
        client_member_send_consumer_leave(member);
    }
}

static void act(struct client_member *member, enum member_action action) {
    switch (action) {
    case MEMBER_NOTHING:
        break;
    case MEMBER_CANCEL:
        cancel(&member->request);
        cancel(&member->heartbeat);
        cancel(&member->resolve);
        member->leading = false;
        break;
    case MEMBER_JOIN:
        client_member_send_join(member);
        break;
    case MEMBER_LEAD:
        client_member_lead(member);
        break;
    case MEMBER_SYNC:
        client_member_send_sync(member);
        break;
    case MEMBER_HEARTBEAT:
        send_heartbeat(member);
        break;
    case MEMBER_LEAVE:
        send_leave(member);
        break;
    case MEMBER_RESOLVE:
        client_member_topics_resolve(member);
        break;
    case MEMBER_LOST:
        tell_lost(member);
        break;
    case MEMBER_ASSIGNED:
        tell_assigned(member);
        break;
    case MEMBER_REVOKING:
        tell_revoking(member);
        break;
    case MEMBER_FAILED:
        tell_failed(member);
        break;
    case MEMBER_LEFT:
        tell_left(member);
        break;
    }
}

void client_member_drive(struct client_member *member) {
    if (member->driving) {
        return;
    }
    member->driving = true;
    client_member_lead_go_on(member);
    enum member_action action;
    while ((action = next(member)) != MEMBER_NOTHING) {
        act(member, action);
    }
    member->driving = false;
    int64_t at_ms = deadline_ms(member);
    if (at_ms == INT64_MAX) {
        sys_timer_clear(client_loop(member->client), &member->timer);
    } else {
        sys_timer_set(client_loop(member->client), &member->timer, at_ms);
    }
}

static void timer_fire(struct sys_timer *timer) {
    client_member_drive(container_of(timer, struct client_member, timer));
}

/* What was asked for is done in a turn of the loop. */
static void drive_soon(struct client_member *member) {
    if (!member->driving) {
        sys_timer_set(client_loop(member->client), &member->timer, client_member_now_ms(member));
    }
}

/* --- metadata --- */

static void subscription_changed(struct client_member *member) {
    int64_t now_ms = client_member_now_ms(member);
    client_member_topics_want(member);
    if (member->classic) {
        member_classic_subscribe(&member->machine, now_ms);
    } else {
        member_consumer_subscribe(&member->consumer, now_ms);
    }
}

static void metadata_changed(struct client_watcher *watcher) {
    struct client_member *member = container_of(watcher, struct client_member, watcher);
    if (member->subscribed && member->pattern != NULL && client_member_topics_match(member)) {
        subscription_changed(member);
    }
    if (member->classic) {
        client_member_watch_snapshot(member);
    } else {
        member_consumer_names_changed(&member->consumer);
    }
    client_member_drive(member);
}

/* --- life --- */

static int64_t backoff_ms(void *arg, int attempt) {
    const struct client_member *member = arg;
    return client_backoff_ms(member->client, attempt);
}

static bool is_subscribed(void *arg, struct str topic) {
    return client_member_topics_has(arg, topic);
}

static struct str topic_name(void *arg, const struct uuid *id) {
    return client_member_topic_name(arg, id);
}

static struct uuid random_id(struct sys *sys) {
    struct uuid id;
    uint8_t random[16];
    do {
        sys_random(sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    return id;
}

struct client_member *client_member_new(struct ottla_client *client,
                                        const struct member_owner *owner) {
    const struct client_settings *settings = client_settings(client);
    struct client_member *member = calloc(1, sizeof *member);
    assert(member != NULL);
    assert(settings->group_id != NULL);
    member->client = client;
    member->settings = settings;
    member->owner = *owner;
    member->classic = settings->group_protocol == CLIENT_GROUP_CLASSIC;
    member->timer.fire = timer_fire;
    member->watcher.changed = metadata_changed;
    client_member_topics_init(member);
    member_leader_init(&member->leader);
    arena_init(&member->leader_arena, SIZE_MAX);
    char text[MEMBER_TEXT_SIZE];
    (void)client_member_assignors_init(member, text, sizeof text); /* told when it subscribes */
    struct member_settings machine = {
        .is_static = settings->group_instance_id != NULL,
        .cooperative = client_member_all_cooperative(member),
        .heartbeat_interval_ms = settings->heartbeat_interval_ms,
        .max_poll_interval_ms = settings->max_poll_interval_ms,
        .backoff_ms = backoff_ms,
        .subscribed = is_subscribed,
        .topic_name = topic_name,
        .arg = member,
    };
    member_classic_init(&member->machine, &machine);
    member_consumer_init(&member->consumer, &machine, random_id(client_sys(client)));
    member->join_lane = client_join_lane_take(client);
    client_watch(client, &member->watcher);
    return member;
}

void client_member_free(struct client_member *member) {
    if (member == NULL) {
        return;
    }
    assert(!member->driving);
    sys_timer_clear(client_loop(member->client), &member->timer);
    client_unwatch(member->client, &member->watcher);
    client_join_lane_give(member->client, member->join_lane);
    cancel(&member->request);
    cancel(&member->heartbeat);
    cancel(&member->leave);
    cancel(&member->resolve);
    client_member_topics_done(member);
    member_leader_done(&member->leader);
    arena_done(&member->leader_arena);
    member_classic_done(&member->machine);
    member_consumer_done(&member->consumer);
    free(member);
}

/* --- what the consumer wants --- */

/* A subscription that cannot be: as if the group had refused it. */
static void refuse(struct client_member *member, err_t err, const char *text) {
    if (member->classic) {
        member_classic_refuse(&member->machine, err, text);
    } else {
        member_consumer_refuse(&member->consumer, err, text);
    }
}

void client_member_subscribe(struct client_member *member, const struct str *topics, size_t count,
                             struct str pattern) {
    char text[MEMBER_TEXT_SIZE];
    err_t err = ERR_OK;
    if (member->classic) {
        err = client_member_assignors_init(member, text, sizeof text);
    }
    if (err == ERR_OK) {
        err = client_member_topics_set(member, topics, count, pattern, text, sizeof text);
    }
    if (err != ERR_OK) {
        refuse(member, err, text);
    } else if (member->pattern == NULL) {
        subscription_changed(member);
    } else {
        client_member_topics_want(member); /* and joins when it knows what there is */
        client_metadata_refresh(member->client);
    }
    drive_soon(member);
}

void client_member_leave(struct client_member *member, int64_t timeout_ms, void (*done)(void *arg),
                         void *arg) {
    int64_t now_ms = client_member_now_ms(member);
    int64_t by_ms = timeout_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + timeout_ms;
    client_member_topics_clear(member);
    member->left = done;
    member->left_arg = arg;
    if (member->classic) {
        member_classic_leave(&member->machine, now_ms, by_ms);
    } else {
        member_consumer_leave(&member->consumer, now_ms, by_ms);
    }
    drive_soon(member);
}

void client_member_released(struct client_member *member) {
    if (member->classic) {
        member_classic_released(&member->machine, client_member_now_ms(member));
    } else {
        member_consumer_released(&member->consumer);
    }
    drive_soon(member);
}

void client_member_polled(struct client_member *member) {
    int64_t now_ms = client_member_now_ms(member);
    if (member->classic) {
        member_classic_polled(&member->machine, now_ms);
    } else {
        member_consumer_polled(&member->consumer, now_ms);
    }
    if (member->machine.phase == CLASSIC_JOINING || member->consumer.phase == CONSUMER_JOINING) {
        drive_soon(member); /* it may have been stale */
    }
}

void client_member_rejoin(struct client_member *member, const char *reason) {
    if (member->classic) {
        member_classic_rejoin(&member->machine, reason, client_member_now_ms(member));
        drive_soon(member);
    }
}

void client_member_identity(const struct client_member *member,
                            struct member_identity *ret_identity) {
    *ret_identity =
        (struct member_identity){.instance_id = str_from_c(member->settings->group_instance_id)};
    if (member->classic) {
        ret_identity->member_id = str_from_c(member->machine.member_id);
        ret_identity->generation = member->machine.generation;
        ret_identity->rebalancing = member_classic_rebalancing(&member->machine);
    } else {
        const struct member_consumer *consumer = &member->consumer;
        ret_identity->member_id = str_from_c(consumer->member_id);
        ret_identity->generation = consumer->epoch > 0 ? consumer->epoch : -1;
        ret_identity->rebalancing = consumer->phase == CONSUMER_JOINING;
    }
}

void client_member_commit_answered(struct client_member *member, int32_t generation, err_t err) {
    int64_t now_ms = client_member_now_ms(member);
    if (member->classic) {
        member_classic_commit_answered(&member->machine, generation, err, now_ms);
    } else {
        member_consumer_commit_answered(&member->consumer, generation, err, now_ms);
    }
    drive_soon(member);
}
