#include "server/node.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/assignments.h"
#include "server/broker.h"
#include "server/handlers/fetch.h"
#include "server/node_int.h"
#include "server/node_metrics.h"
#include "server/producer_ids.h"
#include "server/txn_hanging.h"

enum { FETCH_SESSION_EVICT_AFTER_MS = 120 * 1000 };

static void take_metrics_lock(void *arg) {
    sys_lock_take(arg);
}

static void give_metrics_lock(void *arg) {
    sys_lock_give(arg);
}

/* One reactor per processor, unless the settings say otherwise; more than eight only pass
 * connections around. */
static int choose_reactor_count(struct node *node) {
    int wanted = config_int(node->config, CONFIG_OTTLA_REACTORS);
    if (wanted > 0) {
        return wanted < NODE_REACTORS_MAX ? wanted : NODE_REACTORS_MAX;
    }
    int processors = sys_processor_count(node->sys);
    return processors < 8 ? processors : 8;
}

static err_t make_reactors(struct node *node) {
    int count = choose_reactor_count(node);
    for (int i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "reactor-%d", i);
        err_t err = sys_loop_new(node->sys, name, &node->loops[i]);
        if (err != ERR_OK) {
            return err;
        }
        reactor_init(&node->reactors[i], node, i, node->loops[i], node->config);
        node->reactor_count++;
    }
    return ERR_OK;
}

err_t node_new(const struct node_settings *settings, struct node **ret_node) {
    struct node *node = calloc(1, sizeof *node);
    node->settings = *settings;
    node->sys = settings->sys;
    node->text_log = settings->text_log;
    node->config = settings->config;
    config_ref(settings->config); /* node->config */
    config_ref(settings->config); /* settings.config */
    node->node_id = config_int(node->config, CONFIG_NODE_ID);
    node->image = meta_image_new();
    node->started_ms = sys_mono_ms(node->sys);
    arena_init(&node->bootstrap_arena, SIZE_MAX);
    sys_lock_init(&node->image_lock, SYS_RANK_NODE);
    sys_lock_init(&node->metrics_lock, SYS_RANK_METRICS);
    node->guard = (struct metrics_guard){
        .take = take_metrics_lock, .give = give_metrics_lock, .arg = &node->metrics_lock};

    err_t err = make_reactors(node);
    if (err != ERR_OK) {
        node_free(node);
        return err;
    }
    node->metrics = metrics_new(&node->guard, node->reactor_count);
    node->fetch_sessions = fetch_sessions_new(
        node->sys, config_int(node->config, CONFIG_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS),
        FETCH_SESSION_EVICT_AFTER_MS);
    node->producer_ids = producer_ids_new(node);
    node->broker = broker_new(node);
    node->assignments = assignments_new(node);
    node_metrics_start(node);
    *ret_node = node;
    return ERR_OK;
}

void node_free(struct node *node) {
    if (node == NULL) {
        return;
    }
    net_server_free(node->net);
    broker_free(node->broker);
    assignments_free(node->assignments);
    coord_free(node->transactions);
    coord_free(node->coord);
    txn_hanging_free(node->txn_hanging);
    sys_pool_free(node->group_pool);
    replicas_free(node->replicas);
    controller_free(node->controller);
    quorum_free(node->quorum);
    producer_ids_free(node->producer_ids);
    fetch_sessions_free(node->fetch_sessions);
    node_close_storage(node);
    for (int i = 0; i < node->reactor_count; i++) {
        reactor_done(&node->reactors[i]);
        sys_loop_free(node->loops[i]);
    }
    node_metrics_stop(node);
    metrics_free(node->metrics);
    meta_image_unref(node->image);
    arena_done(&node->bootstrap_arena);
    config_unref(node->config);
    config_unref(node->settings.config);
    free(node);
}

static void run_start(struct sys_task *task) {
    node_start_steps(container_of(task, struct node, start_task));
}

static void run_stop(struct sys_task *task) {
    node_stop_steps(container_of(task, struct node, stop_task));
}

err_t node_start(struct node *node) {
    node->start_task.run = run_start;
    node->stop_task.run = run_stop;
    atomic_store(&node->state, NODE_STARTING);
    sys_loop_post(node->loops[0], &node->start_task);
    for (int i = node->reactor_count - 1; i >= 0; i--) {
        err_t err = sys_loop_start(node->loops[i]);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

void node_stop(struct node *node) {
    int state = atomic_load(&node->state);
    while (state != NODE_STOPPING && state != NODE_STOPPED) {
        if (atomic_compare_exchange_weak(&node->state, &state, NODE_STOPPING)) {
            sys_loop_post(node->loops[0], &node->stop_task);
            return;
        }
    }
}

void node_end_loops(struct node *node) {
    for (int i = 0; i < node->reactor_count; i++) {
        sys_loop_stop(node->loops[i]);
    }
}

void node_join(struct node *node) {
    for (int i = 0; i < node->reactor_count; i++) {
        sys_loop_join(node->loops[i]);
    }
}

void node_fail_start(struct node *node, err_t err, const char *format, ...) {
    char text[sizeof node->error]; /* node->error may be among the arguments */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(node->error, text, sizeof text);
    text_log_error(node->text_log, "server", "%s", node->error);
    node->settings.started(node->settings.arg, err, node->error);
}

bool node_is_ready(const struct node *node) {
    return atomic_load(&node->state) == NODE_SERVING && !atomic_load(&node->fenced);
}

bool node_is_live(const struct node *node) {
    int state = atomic_load(&node->state);
    return state != NODE_NEW && state != NODE_STOPPED;
}

struct metrics *node_metrics(struct node *node) {
    return node->metrics;
}

struct sys_loop *node_loop(struct node *node) {
    return node->loops[0];
}

uint16_t node_port(const struct node *node, const char *listener) {
    for (int i = 0; i < node->listener_count; i++) {
        if (str_equal(node->listeners[i].name, str_from_c(listener))) {
            return net_server_address(node->net, i).port;
        }
    }
    return 0;
}
