#include "replica/log_starts_int.h"

void log_starts_init(struct log_starts *starts, struct sys_loop *loop,
                     void (*task)(struct sys_task *task)) {
    *starts = (struct log_starts){.loop = loop, .task = {.run = task}};
    sys_lock_init(&starts->lock, SYS_RANK_WAITING);
    list_init(&starts->waits);
}

void log_starts_add(struct log_starts *starts, struct log_start_wait *wait) {
    sys_lock_take(&starts->lock);
    list_add_last(&starts->waits, &wait->link);
    bool post = !starts->posted;
    starts->posted = true;
    sys_lock_give(&starts->lock);
    if (post) {
        sys_loop_post(starts->loop, &starts->task);
    }
}

void log_starts_note_task(struct log_starts *starts) {
    sys_lock_take(&starts->lock);
    starts->posted = false;
    sys_lock_give(&starts->lock);
}

bool log_starts_awaited(struct log_starts *starts) {
    sys_lock_take(&starts->lock);
    bool awaited = !list_empty(&starts->waits);
    sys_lock_give(&starts->lock);
    return awaited;
}

void log_starts_take(struct log_starts *starts, struct list *ret_waits) {
    list_init(ret_waits);
    sys_lock_take(&starts->lock);
    list_splice_last(ret_waits, &starts->waits);
    sys_lock_give(&starts->lock);
}

static void tell(struct sys_task *task) {
    struct log_start_wait *wait = container_of(task, struct log_start_wait, task);
    wait->done(wait);
}

void log_starts_tell(struct list *waits, err_t err) {
    struct list *link;
    while ((link = list_take_first(waits)) != NULL) {
        struct log_start_wait *wait = container_of(link, struct log_start_wait, link);
        wait->err = err;
        wait->task = (struct sys_task){.run = tell};
        sys_loop_post(wait->loop, &wait->task);
    }
}
