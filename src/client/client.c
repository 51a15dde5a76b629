/* The client's life, its turns, and waiting for it. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "sys/linux.h"

enum {
    TURNS_MAX = 64, /* of one ottla_client_run, while tasks make tasks */
    LOG_TEXT_SIZE = 512,
};

/* --- the turn: asks that are ready, then watchers --- */

void client_post_task(struct ottla_client *client) {
    if (!client->task_posted && !client->closing) {
        client->task_posted = true;
        sys_loop_post(client->loop, &client->task);
    }
}

void client_changed(struct ottla_client *client) {
    client->changed = true;
    client_post_task(client);
}

/* A watcher may come or go in the function of another: each is taken out, put behind, and told. */
static void tell_watchers(struct ottla_client *client) {
    struct list told;
    list_init(&told);
    list_splice_last(&told, &client->watchers);
    struct list *link;
    while ((link = list_take_first(&told)) != NULL) {
        list_add_last(&client->watchers, link);
        struct client_watcher *watcher = container_of(link, struct client_watcher, link);
        watcher->changed(watcher);
    }
}

static void run_task(struct sys_task *task) {
    struct ottla_client *client = container_of(task, struct ottla_client, task);
    client->task_posted = false;
    struct list ready; /* what becomes ready from here on is for the next turn */
    list_init(&ready);
    list_splice_last(&ready, &client->ready);
    struct list *link;
    while ((link = list_take_first(&ready)) != NULL) {
        client_ask_route(container_of(link, struct client_asked, link));
    }
    if (client->changed) {
        client->changed = false;
        tell_watchers(client);
    }
}

void client_watch(struct ottla_client *client, struct client_watcher *watcher) {
    list_add_last(&client->watchers, &watcher->link);
}

void client_unwatch(struct ottla_client *client, struct client_watcher *watcher) {
    (void)client;
    list_remove(&watcher->link);
}

/* --- life --- */

static uint64_t seed_of(struct sys *sys) {
    uint64_t seed;
    sys_random(sys, &seed, sizeof seed);
    return seed;
}

err_t client_new(const struct ottla_config *config, struct sys *sys, struct sys_loop *loop,
                 struct ottla_client **ret_client, struct ottla_error *ret_error) {
    struct ottla_client *client = calloc(1, sizeof *client);
    client->features_epoch = -1;
    client->sys = sys;
    client->loop = loop;
    client->config = ottla_config_copy(config);
    client->task.run = run_task;
    rng_init(&client->rng, seed_of(sys));
    list_init(&client->watchers);
    list_init(&client->nodes);
    list_init(&client->asks);
    list_init(&client->ready);
    list_init(&client->unknown);
    client_metadata_init(client);
    err_t err = client_settings_of(client->config, &client->settings, ret_error);
    if (err == ERR_OK) {
        err = client_pool_init(client, ret_error);
    }
    if (err != ERR_OK) {
        ottla_client_free(client);
        return err;
    }
    *ret_client = client;
    return ERR_OK;
}

int ottla_client_new(const struct ottla_config *config, struct ottla_client **ret_client,
                     struct ottla_error *ret_error) {
    struct sys *sys = NULL;
    struct sys_loop *loop = NULL;
    err_t err = sys_linux_new(&sys);
    if (err == ERR_OK) {
        err = sys_loop_new(sys, "ottla-client", &loop);
    }
    if (err != ERR_OK) {
        sys_linux_free(sys);
        return client_error_set(ret_error, (int)err, "The client cannot have an event loop: %s",
                                err_text(err));
    }
    err = client_new(config, sys, loop, ret_client, ret_error);
    if (err != ERR_OK) {
        sys_loop_free(loop);
        sys_linux_free(sys);
        return (int)err;
    }
    (*ret_client)->own_world = true;
    return OTTLA_OK;
}

/* What is still asked is told CLOSED. On a loop of somebody else the task may be posted: the loop
 * runs it once more, so the memory goes there. */
static void free_now(struct ottla_client *client) {
    ottla_config_free(client->config);
    free(client);
}

static void run_last_task(struct sys_task *task) {
    free_now(container_of(task, struct ottla_client, task));
}

void ottla_client_free(struct ottla_client *client) {
    if (client == NULL) {
        return;
    }
    client->closing = true;
    client_asks_done(client);
    client_pool_done(client); /* connections give back the asks that they still have */
    client_coordinators_done(client);
    client_metadata_done(client);
    assert(list_empty(&client->asks));
    client->changed = false;
    if (client->own_world) {
        struct sys *sys = client->sys;
        sys_loop_turn(client->loop, 0); /* tasks of connections that were just closed */
        sys_loop_free(client->loop);
        sys_linux_free(sys);
        free_now(client);
    } else if (client->task_posted) {
        client->task.run = run_last_task;
    } else {
        free_now(client);
    }
}

/* --- what it stands on --- */

struct sys *client_sys(struct ottla_client *client) {
    return client->sys;
}

struct sys_loop *client_loop(struct ottla_client *client) {
    return client->loop;
}

const struct client_settings *client_settings(const struct ottla_client *client) {
    return &client->settings;
}

void ottla_client_on_log(struct ottla_client *client, ottla_log_fn fn, void *arg) {
    client->log = fn;
    client->log_arg = arg;
}

void client_log(struct ottla_client *client, enum ottla_log_level level, const char *format, ...) {
    if (client->log == NULL) {
        return;
    }
    char text[LOG_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    client->log(client->log_arg, level, text);
}

const char *client_trouble(const struct ottla_client *client) {
    return client->trouble;
}

/* min doubled with each attempt up to max, give or take a fifth. */
int64_t client_backoff_between(struct ottla_client *client, int attempt, int64_t min_ms,
                               int64_t max_ms) {
    int64_t pause_ms = min_ms;
    for (int i = 1; i < attempt && pause_ms < max_ms; i++) {
        pause_ms *= 2;
    }
    pause_ms = pause_ms < max_ms ? pause_ms : max_ms;
    int64_t fifth_ms = pause_ms / 5;
    return pause_ms - fifth_ms + (int64_t)rng_below(&client->rng, (uint64_t)(2 * fifth_ms + 1));
}

int64_t client_backoff_ms(struct ottla_client *client, int attempt) {
    return client_backoff_between(client, attempt, client->settings.retry_backoff_ms,
                                  client->settings.retry_backoff_max_ms);
}

/* --- turns of the caller's thread --- */

static bool take_interrupt(struct ottla_client *client) {
    return __atomic_exchange_n(&client->interrupted, false, __ATOMIC_SEQ_CST);
}

void ottla_client_interrupt(struct ottla_client *client) {
    __atomic_store_n(&client->interrupted, true, __ATOMIC_SEQ_CST);
    sys_loop_wake(client->loop);
}

int ottla_client_fd(const struct ottla_client *client) {
    return sys_loop_fd(client->loop);
}

int64_t ottla_client_deadline_ms(const struct ottla_client *client) {
    return sys_loop_deadline_ms(client->loop);
}

void ottla_client_run(struct ottla_client *client, int64_t timeout_ms) {
    if (sys_loop_is_current(client->loop) || take_interrupt(client)) {
        return;
    }
    sys_loop_turn(client->loop, timeout_ms);
    for (int turns = 1; turns < TURNS_MAX; turns++) {
        if (sys_loop_deadline_ms(client->loop) > sys_mono_ms(client->sys)) {
            break;
        }
        sys_loop_turn(client->loop, 0);
    }
    (void)take_interrupt(client);
}

int64_t client_deadline_ms(struct ottla_client *client, int64_t timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : sys_later_ms(sys_mono_ms(client->sys), timeout_ms);
}

err_t client_wait(struct ottla_client *client, const bool *done, int64_t deadline_ms) {
    if (sys_loop_is_current(client->loop)) {
        return ERR_BUSY; /* a call that waits, from a function that the loop called */
    }
    while (!*done) {
        if (take_interrupt(client)) {
            return ERR_CLOSED;
        }
        int64_t now_ms = sys_mono_ms(client->sys);
        if (now_ms >= deadline_ms) {
            return ERR_TIMED_OUT;
        }
        sys_loop_turn(client->loop, deadline_ms == INT64_MAX ? -1 : deadline_ms - now_ms);
    }
    return ERR_OK;
}
