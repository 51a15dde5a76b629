/*
 * Subscribing, leaving and closing.
 *
 * Giving up the subscription: positions go at once, the application is told later. The member
 * leaves when commits that were made before are through; what is subscribed in between waits until
 * it has left.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/consumer_int.h"

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
    if (consumer->leave_wanted) { /* first: what is given back is not to be joined with */
        consumer->leave_wanted = false;
        client_member_leave(consumer->member, consumer->leave_timeout_ms, on_left, consumer);
    }
    if (consumer->release_owed) {
        consumer->release_owed = false;
        client_member_released(consumer->member);
    }
    consumer_wake(consumer);
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
    consumer_tell_later(consumer);
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
        struct member_owner owner = consumer_owner(consumer);
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

/* What could not be committed in time does not keep it in the group. */
static err_t leave_now(struct ottla_consumer *consumer, int64_t deadline_ms) {
    int64_t left_ms = deadline_ms == INT64_MAX ? consumer->settings->default_api_timeout_ms
                                               : deadline_ms - consumer_now_ms(consumer);
    consumer_leave(consumer, left_ms > 0 ? left_ms : 0);
    if (left_ms <= 0) {
        commits_done(consumer);
        consumer_commits_through(consumer);
        ottla_client_run(consumer->client, 0);
    }
    return wait_until_through(consumer, deadline_ms);
}

int ottla_consumer_close(struct ottla_consumer *consumer, int64_t timeout_ms) {
    if (consumer->closed) {
        return OTTLA_CLOSED;
    }
    if (consumer->in_callback || sys_loop_is_current(client_loop(consumer->client))) {
        return OTTLA_BUSY;
    }
    int64_t now = consumer_now_ms(consumer);
    int64_t deadline = client_deadline_ms(consumer->client, timeout_ms);
    bool never = false;
    (void)client_wait(consumer->client, &never, now); /* an interruption of before is over */
    consumer_let_go(consumer);
    commit_auto(consumer, true);
    err_t err = wait_until_through(consumer, deadline);
    consumer_tell_the_end(consumer);
    if (err == ERR_OK) {
        err = wait_until_through(consumer, deadline); /* for commits made when told */
    }
    consumer->closing = true;
    err_t left = consumer->subscribed || consumer->leaving ? leave_now(consumer, deadline) : ERR_OK;
    err = err == ERR_OK ? left : err;
    fetch_close_sessions(consumer, deadline);
    consumer_positions_clear(consumer);
    consumer->closed = true;
    return (int)err;
}

/* --- the rest --- */

/* Whether the application knows of this membership, which still lasts. */
static bool live_identity(const struct ottla_consumer *consumer,
                          struct member_identity *ret_identity) {
    *ret_identity = (struct member_identity){.member_id = STR(""), .generation = -1};
    if (consumer->member != NULL) {
        client_member_identity(consumer->member, ret_identity);
    }
    return ret_identity->generation > 0 && consumer->losses == consumer->losses_known;
}

static void forget_identity(struct ottla_consumer *consumer) {
    free(consumer->known_member_id);
    consumer->known_member_id = NULL;
    consumer->known_generation = -1;
}

void consumer_note_identity(struct ottla_consumer *consumer) {
    struct member_identity identity;
    if (live_identity(consumer, &identity)) {
        if (consumer->known_member_id == NULL ||
            !str_equal(str_from_c(consumer->known_member_id), identity.member_id)) {
            forget_identity(consumer);
            consumer->known_member_id = strndup(identity.member_id.data, identity.member_id.size);
            if (consumer->known_member_id == NULL) {
                abort();
            }
        }
        consumer->known_generation = identity.generation;
    } else if (!consumer->subscribed) {
        forget_identity(consumer);
    }
}

/*
 * Who is out of the group, or in it again without the application knowing, may have records in hand
 * that are others' by now. A transaction that commits their offsets must be refused. It would not
 * be with the new membership, nor without one: brokers take that for a program that needs no group.
 */
int ottla_consumer_membership(const struct ottla_consumer *consumer,
                              struct ottla_membership *ret_membership) {
    if (consumer->settings->group_id == NULL) {
        return OTTLA_NOT_FOUND;
    }
    struct member_identity identity;
    if (!live_identity(consumer, &identity)) {
        bool known = consumer->known_member_id != NULL;
        identity.member_id = known ? str_from_c(consumer->known_member_id) : STR("");
        identity.generation = known ? consumer->known_generation : -1;
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
