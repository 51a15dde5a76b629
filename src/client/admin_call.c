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
 *    one each; at most PARTS_MAX are on their way.
 * 3. An item rests for the back-off of its tries, at least as long as the broker's throttle said.
 *    Nothing rests or is asked past call->deadline_ms, so endless errors end there.
 * 4. After `take` no item is left in the part: what the answer did not name ends as MALFORMED.
 *    What it named without having been asked finds no item.
 * 5. The caller's function is called from a turn of the loop, as the last thing, for it may free
 *    the call.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/admin_int.h"
#include "sys/sys.h"
#include "wire/api.h"

enum {
    PARTS_MAX = 64,   /* enough to hide a network's latency, few enough for a broker's queue */
    UNKNOWN_TRIES = 4 /* a topic that was just made is unknown to some brokers for a moment */
};

static void call_go(struct ottla_call *call);

static int64_t now_ms(const struct ottla_call *call) {
    return sys_mono_ms(client_sys(call->client));
}

/* --- items --- */

static int key_compare(const struct admin_item *a, struct str name, int32_t number) {
    int order = str_compare(a->name, name);
    return order != 0 ? order : (a->number > number) - (a->number < number);
}

static int item_compare(const void *a, const void *b) {
    const struct admin_item *const *left = a;
    const struct admin_item *const *right = b;
    int order = key_compare(*left, (*right)->name, (*right)->number);
    if (order == 0) {
        order =
            ((*left)->broker_id > (*right)->broker_id) - ((*left)->broker_id < (*right)->broker_id);
    }
    return order != 0 ? order
                      : ((*left)->index > (*right)->index) - ((*left)->index < (*right)->index);
}

struct admin_item *admin_item_add(struct ottla_call *call, struct str name, int32_t number,
                                  const char *label, ...) {
    if (call->item_count == call->item_capacity) {
        call->item_capacity = call->item_capacity * 2 + 8;
        call->items = realloc(call->items, call->item_capacity * sizeof(struct admin_item *));
        if (call->items == NULL) {
            abort();
        }
    }
    char text[LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, label);
    (void)vsnprintf(text, sizeof text, label, args);
    va_end(args);
    struct admin_item *item = ARENA_NEW(&call->arena, struct admin_item);
    *item = (struct admin_item){
        .call = call,
        .name = arena_str(&call->arena, name),
        .number = number,
        .broker_id = -1,
        .index = call->item_count,
        .label = arena_c_str(&call->arena, str_from_c(text)),
    };
    call->items[call->item_count++] = item;
    call->open_count++;
    list_add_last(&call->waiting, &item->link);
    return item;
}

void admin_item_end(struct admin_item *item, int code, const char *text) {
    if (item->ended) {
        return;
    }
    list_remove(&item->link);
    item->part = NULL;
    item->ended = true;
    item->code = code;
    item->text = text != NULL ? text : ottla_code_text(code);
    item->call->open_count--;
}

static void item_queue(struct admin_item *item, int stage, int64_t not_before_ms) {
    struct ottla_call *call = item->call;
    list_remove(&item->link);
    item->part = NULL;
    item->stage = stage;
    item->not_before_ms = not_before_ms;
    list_add_last(not_before_ms > now_ms(call) ? &call->resting : &call->waiting, &item->link);
}

void admin_item_go(struct admin_item *item, int stage) {
    int64_t throttle_ms = item->part == NULL ? 0 : item->part->throttle_ms;
    item_queue(item, stage, now_ms(item->call) + throttle_ms);
}

static void item_again(struct admin_item *item, int code, const char *text) {
    struct ottla_call *call = item->call;
    item->tries++;
    item->code = code;
    item->text = text != NULL ? text : ottla_code_text(code);
    int64_t rest_ms = client_backoff_ms(call->client, item->tries);
    if (rest_ms < item->part->throttle_ms) {
        rest_ms = item->part->throttle_ms;
    }
    item_queue(item, item->part->stage->again, now_ms(call) + (rest_ms > 0 ? rest_ms : 1));
}

static bool passes(const struct admin_item *item, int code) {
    unsigned passing = item->part->stage->passing;
    switch (code) {
    case ERR_THROTTLING_QUOTA_EXCEEDED:
        return (passing & ADMIN_PASS_QUOTA) != 0;
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_UNKNOWN_TOPIC_ID:
        return (passing & ADMIN_PASS_LEADER) != 0 && item->tries < UNKNOWN_TRIES;
    case ERR_LEADER_NOT_AVAILABLE:
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_REPLICA_NOT_AVAILABLE:
    case ERR_BROKER_NOT_AVAILABLE:
    case ERR_FENCED_LEADER_EPOCH:
    case ERR_UNKNOWN_LEADER_EPOCH:
    case ERR_OFFSET_NOT_AVAILABLE:
    case ERR_KAFKA_STORAGE_ERROR:
    case ERR_LISTENER_NOT_FOUND:
        return (passing & ADMIN_PASS_LEADER) != 0;
    case ERR_REBALANCE_IN_PROGRESS:
    case ERR_UNSTABLE_OFFSET_COMMIT:
        return (passing & ADMIN_PASS_GROUP) != 0;
    default:
        return false;
    }
}

bool admin_item_answer(struct admin_item *item, int16_t code, struct str message) {
    if (code == 0) {
        admin_item_end(item, OTTLA_OK, NULL);
        return true;
    }
    const char *text = message.size > 0 ? admin_text(item->call, message) : NULL;
    if (passes(item, code)) {
        item_again(item, code, text);
    } else {
        admin_item_end(item, code, text);
    }
    return false;
}

bool admin_is_asked(const struct admin_part *part, const struct admin_item *item) {
    return item->part == part;
}

bool admin_part_answer(struct admin_part *part, int16_t code, struct str message) {
    for (size_t i = 0; code != 0 && i < part->item_count; i++) {
        if (admin_is_asked(part, part->items[i])) {
            (void)admin_item_answer(part->items[i], code, message);
        }
    }
    return code == 0;
}

struct admin_item *admin_find(const struct admin_part *part, struct str name, int32_t number) {
    size_t low = 0, high = part->item_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = key_compare(part->items[middle], name, number);
        if (order == 0) {
            return admin_is_asked(part, part->items[middle]) ? part->items[middle] : NULL;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* --- the answer --- */

static int64_t throttle_of(const struct client_answer *answer, int16_t api_key) {
    const struct wire_struct *shape = wire_api(api_key)->response->shape;
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (field->kind == WIRE_INT32 && strcmp(field->name, "throttleTimeMs") == 0) {
            int32_t ms = *(const int32_t *)((const uint8_t *)answer->response + field->offset);
            return ms > 0 ? ms : 0;
        }
    }
    return 0;
}

/* "broker 3", "the controller", "the coordinator of group g". */
static const char *place_of(const struct admin_part *part, int32_t broker_id) {
    struct arena *arena = &part->call->arena;
    if (broker_id >= 0) {
        return arena_printf(arena, "broker %d", (int)broker_id).data;
    }
    switch (part->stage->route) {
    case ADMIN_CONTROLLER:
        return "the controller";
    case ADMIN_GROUP:
        return arena_printf(arena, "the coordinator of group %.*s", STR_ARGS(part->items[0]->group))
            .data;
    case ADMIN_ANY:
    case ADMIN_BOOTSTRAP:
    case ADMIN_BROKER:
        break;
    }
    return "the brokers";
}

static void part_unsupported(struct admin_part *part, int32_t broker_id) {
    const char *text =
        arena_printf(&part->call->arena, "%s: no %s there, or not in a version that can say this",
                     place_of(part, broker_id), wire_api(part->stage->api_key)->name)
            .data;
    for (size_t i = 0; i < part->item_count; i++) {
        struct admin_item *item = part->items[i];
        if (part->stage->fallback != 0) {
            admin_item_go(item, part->stage->fallback);
        } else {
            admin_item_end(item, OTTLA_UNSUPPORTED, text);
        }
    }
}

/* No answer came. */
static void part_failed(struct admin_part *part, const struct client_answer *answer) {
    err_t err = answer->err;
    if (err == ERR_UNSUPPORTED_VERSION || err == ERR_UNSUPPORTED) {
        part_unsupported(part, answer->broker_id);
        return;
    }
    bool again =
        part->stage->once && err != ERR_INVALID && err != ERR_MALFORMED && err != ERR_LIMIT;
    const char *text = admin_text(part->call, str_from_c(answer->text));
    for (size_t i = 0; i < part->item_count; i++) {
        if (again) {
            item_again(part->items[i], err, text);
        } else {
            admin_item_end(part->items[i], err, text);
        }
    }
}

static void part_free(struct admin_part *part) {
    list_remove(&part->link);
    part->call->part_count--;
    free(part->items);
    free(part);
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct admin_part *part = arg;
    struct ottla_call *call = part->call;
    if (answer->err != ERR_OK) {
        part_failed(part, answer);
    } else {
        part->broker_id = answer->broker_id;
        part->frame = answer->frame;
        part->throttle_ms = throttle_of(answer, part->stage->api_key);
        for (size_t i = 0; i < part->item_count; i++) {
            part->items[i]->broker_id = answer->broker_id;
        }
        part->stage->take(part, answer->response, answer->version);
        for (size_t i = 0; i < part->item_count; i++) {
            if (admin_is_asked(part, part->items[i])) {
                admin_item_end(part->items[i], OTTLA_MALFORMED,
                               arena_printf(&call->arena, "%s left it out of its answer to %s",
                                            place_of(part, answer->broker_id),
                                            wire_api(part->stage->api_key)->name)
                                   .data);
            }
        }
    }
    part_free(part);
    call_go(call);
}

static err_t on_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                      const void **ret_request) {
    (void)broker_id;
    struct admin_part *part = arg;
    return part->stage->build(part, version, arena, ret_request);
}

/* The error of a message, or of the first thing in it that has one. */
static int16_t first_error(const struct wire_struct *shape, const uint8_t *message) {
    for (uint16_t i = 0; i < shape->field_count; i++) {
        if (shape->fields[i].kind == WIRE_INT16 &&
            strcmp(shape->fields[i].name, "errorCode") == 0) {
            int16_t code = *(const int16_t *)(message + shape->fields[i].offset);
            if (code != 0) {
                return code;
            }
        }
    }
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (field->kind == WIRE_STRUCT && field->array &&
            wire_count_at(message, field->count_offset) > 0) {
            return first_error(field->shape, *(const uint8_t *const *)(message + field->offset));
        }
    }
    return 0;
}

/* Only what says that the request came to the wrong place is repeated as a whole. A controller or a
 * coordinator that is not one says so of everything. */
static err_t on_judge(void *arg, int16_t version, const void *response) {
    (void)version;
    struct admin_part *part = arg;
    switch (first_error(wire_api(part->stage->api_key)->response->shape, response)) {
    case ERR_NOT_CONTROLLER:
        return ERR_NOT_CONTROLLER;
    case ERR_NOT_COORDINATOR:
        return ERR_NOT_COORDINATOR;
    case ERR_COORDINATOR_NOT_AVAILABLE:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
        return ERR_COORDINATOR_LOAD_IN_PROGRESS;
    default:
        return ERR_OK;
    }
}

/* --- parts --- */

static struct admin_part *part_new(struct ottla_call *call, const struct admin_item *first) {
    struct admin_part *part = calloc(1, sizeof *part);
    if (part == NULL) {
        abort();
    }
    part->call = call;
    part->stage = &call->op->stages[first->stage];
    part->broker_id = part->stage->route == ADMIN_BROKER ? first->broker_id : -1;
    list_add_last(&call->parts, &part->link);
    call->part_count++;
    return part;
}

static void part_add(struct admin_part *part, struct admin_item *item) {
    if (part->item_count == part->item_capacity) {
        part->item_capacity = part->item_capacity * 2 + 1;
        part->items = realloc(part->items, part->item_capacity * sizeof(struct admin_item *));
        if (part->items == NULL) {
            abort();
        }
    }
    list_remove(&item->link);
    item->part = part;
    part->items[part->item_count++] = item;
}

static bool part_fits(const struct admin_part *part, const struct admin_item *item) {
    return part->asked == NULL && !part->stage->each &&
           part->stage == &item->call->op->stages[item->stage] &&
           (part->stage->route != ADMIN_BROKER || part->broker_id == item->broker_id) &&
           (part->stage->route != ADMIN_GROUP || str_equal(part->items[0]->group, item->group));
}

/* The newest first: items mostly come in runs. At most PARTS_MAX steps. */
static struct admin_part *part_for(struct ottla_call *call, const struct admin_item *item) {
    for (struct list *link = call->parts.prev; link != &call->parts; link = link->prev) {
        struct admin_part *part = container_of(link, struct admin_part, link);
        if (part_fits(part, item)) {
            return part;
        }
    }
    return call->part_count < PARTS_MAX ? part_new(call, item) : NULL;
}

static void part_send(struct admin_part *part) {
    static const enum client_role roles[] = {
        [ADMIN_ANY] = CLIENT_ANY_BROKER,      [ADMIN_CONTROLLER] = CLIENT_CONTROLLER,
        [ADMIN_BOOTSTRAP] = CLIENT_BOOTSTRAP, [ADMIN_BROKER] = CLIENT_BROKER,
        [ADMIN_GROUP] = CLIENT_GROUP,
    };
    qsort(part->items, part->item_count, sizeof(struct admin_item *), item_compare);
    int64_t left_ms = part->call->deadline_ms - now_ms(part->call);
    struct client_ask ask = {
        .role = roles[part->stage->route],
        .broker_id = part->broker_id,
        .key = part->stage->route == ADMIN_GROUP ? part->items[0]->group : STR_NULL,
        .lane = CLIENT_LANE_MAIN,
        .api_key = part->stage->api_key,
        .version_max = part->stage->version_max > 0 ? part->stage->version_max : -1,
        .build = on_build,
        .judge = part->stage->once ? NULL : on_judge,
        .timeout_ms = left_ms > 0 ? left_ms : 1,
        .done = on_answer,
        .arg = part,
    };
    part->asked = client_ask(part->call->client, &ask);
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

static void end_resting(struct ottla_call *call) {
    struct list *link;
    while ((link = list_first(&call->resting)) != NULL) {
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
    int64_t now = now_ms(call);
    int64_t next_ms = call->deadline_ms;
    if (now >= call->deadline_ms) {
        end_resting(call);
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

static void call_go(struct ottla_call *call) {
    wake_resting(call);
    struct list *link, *after;
    list_for_each_safe (link, after, &call->waiting) {
        struct admin_item *item = container_of(link, struct admin_item, link);
        struct admin_part *part = part_for(call, item);
        if (part == NULL) {
            break; /* when one of those on their way is answered */
        }
        part_add(part, item);
    }
    list_for_each_safe (link, after, &call->parts) {
        struct admin_part *part = container_of(link, struct admin_part, link);
        if (part->asked == NULL) {
            part_send(part);
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
        call_go(call);
    }
}

int32_t admin_timeout_ms(const struct ottla_call *call) {
    int64_t left_ms = call->deadline_ms - now_ms(call);
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
    }
    int64_t timeout_ms = call->options.timeout_ms > 0
                             ? call->options.timeout_ms
                             : client_settings(client)->default_api_timeout_ms;
    int64_t now = now_ms(call);
    call->deadline_ms = timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
    return call;
}

/* What is named twice is asked once: a broker's answer could not be told apart. */
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
    qsort(sorted, count, sizeof(struct admin_item *), item_compare);
    for (size_t i = 1; i < count; i++) {
        if (key_compare(sorted[i], sorted[i - 1]->name, sorted[i - 1]->number) == 0 &&
            sorted[i]->broker_id == sorted[i - 1]->broker_id) {
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
    call_go(call);
    return call;
}

/* --- the caller's side --- */

int ottla_call_wait(struct ottla_call *call, int64_t timeout_ms, struct ottla_error *ret_error) {
    int64_t now = now_ms(call);
    int64_t deadline_ms =
        timeout_ms < 0 || timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
    err_t err = client_wait(call->client, &call->done, deadline_ms);
    if (!call->done) {
        return client_error_set(ret_error, err == ERR_OK ? ERR_TIMED_OUT : (int)err,
                                "%s: still on its way", call->op->name);
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
            sys_timer_set(client_loop(call->client), &call->timer, now_ms(call));
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
        part_free(part);
    }
    free(call->items);
    free(call->found);
    arena_done(&call->arena);
    free(call);
}
