/*
 * From serving to closed, each step begun by the end of the one before, on reactor 0:
 *
 *   leave        the controller moves leadership away, or fences us          broker_shut_down
 *   hanging      no transaction is ended any more that hangs                 txn_hanging_stop
 *   groups       everybody who waits for others is answered                  coord_stop
 *   transactions likewise; what is prepared is ended by whoever comes next   coord_stop
 *   network      no new requests; those that wait are answered               net_server_stop
 *   controller   nothing is decided any more                                 controller_stop
 *   quorum       the metadata log is closed                                  quorum_stop
 *   replicas     logs closed, checkpoints, clean-shutdown markers            replicas_stop
 *   stopped
 *
 * A step whose part was never begun is passed over, so a start that failed half-way stops the same
 * way.
 */
#include <stdlib.h>

#include "server/assignments.h"
#include "server/broker.h"
#include "server/handlers/fetch.h"
#include "server/node_int.h"
#include "server/txn_hanging.h"

enum { ANSWER_MS = 5000 };

static void all_stopped(void *arg) {
    struct node *node = arg;
    atomic_store(&node->state, NODE_STOPPED);
    text_log_info(node->text_log, "server", "Node %d has stopped", (int)node->node_id);
    node->settings.stopped(node->settings.arg);
}

static void stop_replicas(void *arg) {
    struct node *node = arg;
    if (node->replicas != NULL) {
        replicas_stop(node->replicas, broker_epoch(node->broker), all_stopped, node);
    } else {
        all_stopped(node);
    }
}

static void stop_quorum(void *arg) {
    struct node *node = arg;
    assignments_stop(node->assignments);
    if (node->controller != NULL) {
        controller_stop(node->controller);
    }
    if (node->quorum != NULL) {
        quorum_stop(node->quorum, stop_replicas, node);
    } else {
        stop_replicas(node);
    }
}

static void drain_reactor(struct sys_task *task);

struct draining {
    struct sys_task task;
    struct reactor *reactor;
};

static void drain_reactor(struct sys_task *task) {
    struct draining *draining = container_of(task, struct draining, task);
    fetch_drain(draining->reactor);
    free(draining);
}

static void drain(struct node *node) {
    atomic_store(&node->draining, true);
    quorum_fetches_end(node->quorum);
    for (int i = 0; i < node->reactor_count; i++) {
        struct draining *draining = calloc(1, sizeof *draining);
        draining->task.run = drain_reactor;
        draining->reactor = &node->reactors[i];
        sys_loop_post(node->loops[i], &draining->task);
    }
}

static void stop_network(struct node *node) {
    if (node->net != NULL && node->net_started) {
        drain(node);
        net_server_stop(node->net, sys_mono_ms(node->sys) + ANSWER_MS, stop_quorum, node);
    } else {
        stop_quorum(node);
    }
}

static void stop_transactions_done(void *arg) {
    stop_network(arg);
}

static void stop_groups_done(void *arg) {
    struct node *node = arg;
    coord_stop(node->transactions, stop_transactions_done, node);
}

static void stop_groups(struct node *node) {
    if (node->coord != NULL) {
        coord_stop(node->coord, stop_groups_done, node);
    } else {
        stop_network(node);
    }
}

static void stop_hanging(struct node *node) {
    if (node->txn_hanging != NULL) {
        txn_hanging_stop(node->txn_hanging, stop_groups);
    } else {
        stop_groups(node);
    }
}

void node_stop_steps(struct node *node) {
    text_log_info(node->text_log, "server", "Node %d is shutting down", (int)node->node_id);
    sys_timer_clear(node->loops[0], &node->progress_timer);
    broker_shut_down(node->broker, stop_hanging);
}
