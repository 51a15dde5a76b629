/*
 * How a call of the administrator goes on.
 *
 * A call has items (topics, partitions, groups, or one for the whole), each at a stage of its
 * operation's row. Until all have ended:
 *
 *     waiting ──► part on its way ──► answer taken ──► ended
 *        ▲                │                 │
 *        └── resting ◄────┴── again, later ─┘── next stage ──► waiting
 *
 * 1. An open item is in exactly one of: call->waiting, call->resting, one part.
 * 2. Waiting items that go to the same place at the same stage share a part, unless the stage says
 *    one each; only so many are on their way at once.
 * 3. An item rests for the back-off of its tries, at least as long as the broker's throttle said.
 *    Nothing rests or is asked past call->deadline_ms, so endless errors end there.
 * 4. After `take` no item is left in the part: what the answer did not name ends as MALFORMED.
 *    What it named without having been asked finds no item.
 * 5. The caller's function is called from a turn of the loop, as the last thing, for it may free
 *    the call.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/admin_int.h"
#include "sys/sys.h"

int64_t admin_now_ms(const struct ottla_call *call) {
    return sys_mono_ms(client_sys(call->client));
}

/* --- the call --- */

static void call_done(struct ottla_call *call) {
    sys_timer_clear(client_loop(call->client), &call->timer);
    admin_finish(call);
    call->done = true;
    if (call->fn != NULL) {
        call->fn(call->fn_arg, call);
    }
}

/* Its time is over: what is not on its way ends. */
static void end_all(struct ottla_call *call, struct list *items) {
    struct list *link;
    while ((link = list_first(items)) != NULL) {
        struct admin_item *item = container_of(link, struct admin_item, link);
        const char *text =
            item->tries == 0 ? NULL
                             : arena_printf(&call->arena, "timed out after %d tries; the last: %s",
                                            item->tries, item->text)
                                   .data;
        admin_item_end(item, OTTLA_TIMED_OUT, text);
    }
}

/* Items whose rest is over wait again; the timer is set for the next. */
static void wake_resting(struct ottla_call *call) {
    int64_t now = admin_now_ms(call);
    int64_t next_ms = call->deadline_ms;
    if (now >= call->deadline_ms) {
        end_all(call, &call->resting);
        end_all(call, &call->waiting);
    }
    struct list *link, *after;
    list_for_each_safe (link, after, &call->resting) {
        struct admin_item *item = container_of(link, struct admin_item, link);
        if (item->not_before_ms <= now) {
            list_remove(link);
            list_add_last(&call->waiting, link);
        } else if (item->not_before_ms < next_ms) {
            next_ms = item->not_before_ms;
        }
    }
    if (list_empty(&call->resting)) {
        sys_timer_clear(client_loop(call->client), &call->timer);
    } else {
        sys_timer_set(client_loop(call->client), &call->timer, next_ms);
    }
}

void admin_call_go(struct ottla_call *call) {
    wake_resting(call);
    struct list *link, *after;
    list_for_each_safe (link, after, &call->waiting) {
        struct admin_item *item = container_of(link, struct admin_item, link);
        struct admin_part *part = admin_part_for(call, item);
        if (part == NULL) {
            break; /* when one of those on their way is answered */
        }
        admin_part_add(part, item);
    }
    list_for_each_safe (link, after, &call->parts) {
        struct admin_part *part = container_of(link, struct admin_part, link);
        if (part->asked == NULL) {
            admin_part_send(part);
        }
    }
    if (call->open_count == 0 && !call->done) {
        assert(call->part_count == 0);
        call_done(call);
    }
}

static void on_timer(struct sys_timer *timer) {
    struct ottla_call *call = container_of(timer, struct ottla_call, timer);
    if (call->done) {
        call->fn(call->fn_arg, call);
    } else {
        admin_call_go(call);
    }
}

int32_t admin_timeout_ms(const struct ottla_call *call) {
    int64_t left_ms = call->deadline_ms - admin_now_ms(call);
    int64_t most_ms = client_settings(call->client)->request_timeout_ms;
    left_ms = left_ms < most_ms ? left_ms : most_ms;
    return left_ms < 1 ? 1 : left_ms > INT32_MAX ? INT32_MAX : (int32_t)left_ms;
}

static const char **copy_texts(struct ottla_call *call, const char *const *texts, size_t count) {
    const char **copy = ARENA_ARRAY(&call->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = admin_text(call, str_from_c(texts[i]));
    }
    return copy;
}

static const void *copy_bytes(struct ottla_call *call, const void *from, size_t size) {
    if (from == NULL) {
        return NULL;
    }
    void *copy = arena_alloc(&call->arena, size);
    memcpy(copy, from, size);
    return copy;
}

struct ottla_call *admin_call_new(struct ottla_client *client, const struct admin_op *op,
                                  const struct ottla_admin_options *options) {
    struct ottla_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        abort();
    }
    call->client = client;
    call->op = op;
    arena_init(&call->arena, SIZE_MAX);
    list_init(&call->waiting);
    list_init(&call->resting);
    list_init(&call->parts);
    call->timer.fire = on_timer;
    if (options != NULL) {
        call->options = *options;
        call->options.reason = admin_text(call, str_from_c(options->reason));
        call->options.states = copy_texts(call, options->states, options->state_count);
        call->options.types = copy_texts(call, options->types, options->type_count);
        call->options.producer_ids =
            copy_bytes(call, options->producer_ids, options->producer_id_count * sizeof(int64_t));
        call->options.older_than_ms = copy_bytes(call, options->older_than_ms, sizeof(int64_t));
        call->options.id_pattern = admin_text(call, str_from_c(options->id_pattern));
        call->options.broker_id = copy_bytes(call, options->broker_id, sizeof(int32_t));
    }
    int64_t timeout_ms = call->options.timeout_ms > 0
                             ? call->options.timeout_ms
                             : client_settings(client)->default_api_timeout_ms;
    int64_t now = admin_now_ms(call);
    call->deadline_ms = timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
    return call;
}

/* What is named twice is asked once: a broker's answers could not be told apart. */
static void end_duplicates(struct ottla_call *call) {
    struct admin_item **sorted = malloc((call->item_count + 1) * sizeof(struct admin_item *));
    if (sorted == NULL) {
        abort();
    }
    size_t count = 0;
    for (size_t i = 0; i < call->item_count; i++) {
        if (!call->items[i]->ended) {
            sorted[count++] = call->items[i];
        }
    }
    qsort(sorted, count, sizeof(struct admin_item *), admin_item_compare);
    for (size_t i = 1; i < count; i++) {
        const struct admin_item *before = sorted[i - 1];
        if (str_equal(sorted[i]->name, before->name) && sorted[i]->number == before->number &&
            sorted[i]->broker_id == before->broker_id) {
            admin_item_end(sorted[i], OTTLA_INVALID, "it is named more than once");
        }
    }
    free(sorted);
}

struct ottla_call *admin_start(struct ottla_call *call) {
    if (call->options.validate_only && call->op->effect == ADMIN_CHANGES) {
        const char *text =
            arena_printf(&call->arena, "validate_only: Kafka's protocol has none for %s",
                         call->op->name)
                .data;
        for (size_t i = 0; i < call->item_count; i++) {
            admin_item_end(call->items[i], OTTLA_UNSUPPORTED, text);
        }
    }
    end_duplicates(call);
    admin_call_go(call);
    return call;
}

/* --- the caller's side --- */

int ottla_call_wait(struct ottla_call *call, int64_t timeout_ms, struct ottla_error *ret_error) {
    int64_t now = admin_now_ms(call);
    int64_t deadline_ms =
        timeout_ms < 0 || timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
    err_t err = client_wait(call->client, &call->done, deadline_ms);
    if (!call->done) {
        return client_error_set(ret_error, err == ERR_OK ? ERR_TIMED_OUT : (int)err,
                                "%s: still on its way (%s)", call->op->name, err_text(err));
    }
    return ottla_call_code(call, ret_error);
}

bool ottla_call_is_done(const struct ottla_call *call) {
    return call->done;
}

int ottla_call_code(const struct ottla_call *call, struct ottla_error *ret_error) {
    if (!call->done) {
        return client_error_set(ret_error, OTTLA_PENDING, "%s: still on its way", call->op->name);
    }
    if (call->failure_count > 0) {
        return client_error_set(ret_error, call->failures[0].code, "%s", call->failures[0].text);
    }
    return client_error_set(ret_error, OTTLA_OK, "%s", "");
}

void ottla_call_on_done(struct ottla_call *call, ottla_call_fn fn, void *arg) {
    call->fn = fn;
    call->fn_arg = arg;
    if (call->done) {
        sys_timer_clear(client_loop(call->client), &call->timer);
        if (fn != NULL) {
            sys_timer_set(client_loop(call->client), &call->timer, admin_now_ms(call));
        }
    }
}

void ottla_call_free(struct ottla_call *call) {
    if (call == NULL) {
        return;
    }
    sys_timer_clear(client_loop(call->client), &call->timer);
    struct list *link;
    while ((link = list_first(&call->parts)) != NULL) {
        struct admin_part *part = container_of(link, struct admin_part, link);
        client_ask_cancel(part->asked);
        admin_part_free(part);
    }
    free(call->items);
    free(call->found);
    arena_done(&call->arena);
    free(call);
}
