#include "server/producer_ids.h"

#include <stdlib.h>

#include "base/list.h"
#include "coord/transactions.h"
#include "server/broker.h"
#include "server/node_int.h"

enum { CALL_MS = 10 * 1000 };

struct producer_ids {
    struct node *node;
    struct sys_lock lock; /* guards next, end, waiters, asking */
    int64_t next;
    int64_t end;
    struct list waiters; /* struct coord_id_wait */
    bool asking;

    /* The call for a block; reactor 0's. */
    struct sys_task ask_task;
    struct arena arena;
    struct controller_call call;
    struct allocate_producer_ids_request request;
    struct allocate_producer_ids_response response;
};

struct producer_ids *producer_ids_new(struct node *node) {
    struct producer_ids *ids = calloc(1, sizeof *ids);
    ids->node = node;
    sys_lock_init(&ids->lock, SYS_RANK_NODE);
    list_init(&ids->waiters);
    arena_init(&ids->arena, SIZE_MAX);
    return ids;
}

void producer_ids_free(struct producer_ids *ids) {
    if (ids != NULL) {
        arena_done(&ids->arena);
        free(ids);
    }
}

static void tell(struct sys_task *task) {
    struct coord_id_wait *wait = container_of(task, struct coord_id_wait, task);
    wait->done(wait, wait->err, wait->producer_id);
}

/* With the lock held: everybody gets an id, or the error. Whoever is left waits for the next
 * block. */
static void serve_waiters(struct producer_ids *ids, err_t err) {
    struct list *link;
    while ((err != ERR_OK || ids->next < ids->end) &&
           (link = list_take_first(&ids->waiters)) != NULL) {
        struct coord_id_wait *wait = container_of(link, struct coord_id_wait, link);
        wait->err = err;
        wait->producer_id = err == ERR_OK ? ids->next++ : -1;
        wait->task.run = tell;
        sys_loop_post(wait->loop, &wait->task);
    }
}

static void ask(struct sys_task *task);

static void block_given(struct controller_call *call, err_t err) {
    struct producer_ids *ids = container_of(call, struct producer_ids, call);
    if (err == ERR_OK) {
        err = err_from_kafka_code(ids->response.error_code);
    }
    /* Whatever it was, producers try again, as with Kafka. */
    err = err == ERR_OK ? ERR_OK : ERR_COORDINATOR_LOAD_IN_PROGRESS;
    sys_lock_take(&ids->lock);
    if (err == ERR_OK) {
        ids->next = ids->response.producer_id_start;
        ids->end = ids->next + ids->response.producer_id_len;
    }
    serve_waiters(ids, err);
    ids->asking = !list_empty(&ids->waiters);
    bool again = ids->asking;
    sys_lock_give(&ids->lock);
    if (again) {
        ask(&ids->ask_task);
    }
}

static void ask(struct sys_task *task) {
    struct producer_ids *ids = container_of(task, struct producer_ids, ask_task);
    struct node *node = ids->node;
    arena_reset(&ids->arena);
    ids->call = (struct controller_call){
        .arena = &ids->arena,
        .deadline_ms = sys_mono_ms(node->sys) + CALL_MS,
        .principal = STR("User:ANONYMOUS"),
        .done = block_given,
    };
    wire_init(&allocate_producer_ids_request_type, &ids->request);
    wire_init(&allocate_producer_ids_response_type, &ids->response);
    ids->request.broker_id = node->node_id;
    ids->request.broker_epoch = broker_epoch(node->broker);
    controller_allocate_producer_ids(node->controller, &ids->call, &ids->request, &ids->response);
}

bool producer_ids_take(struct producer_ids *ids, int64_t *ret_producer_id) {
    sys_lock_take(&ids->lock);
    bool left = ids->next < ids->end;
    if (left) {
        *ret_producer_id = ids->next++;
    }
    sys_lock_give(&ids->lock);
    return left;
}

void producer_ids_await(struct producer_ids *ids, struct coord_id_wait *wait) {
    sys_lock_take(&ids->lock);
    list_add_last(&ids->waiters, &wait->link);
    serve_waiters(ids, ERR_OK); /* a block may have come meanwhile */
    bool first = !ids->asking && !list_empty(&ids->waiters);
    ids->asking = ids->asking || first;
    sys_lock_give(&ids->lock);
    if (first) {
        ids->ask_task.run = ask;
        sys_loop_post(ids->node->loops[0], &ids->ask_task);
    }
}
