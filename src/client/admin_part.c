/* A part: one request for the items of a call that go to the same place, and its answer. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/admin_int.h"
#include "wire/api.h"

/* --- the answer --- */

/* "broker 3", "the controller", "the coordinator of group g", "… of transactional id t". */
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
    case ADMIN_TRANSACTION:
        return arena_printf(arena, "the coordinator of transactional id %.*s",
                            STR_ARGS(part->items[0]->group))
            .data;
    case ADMIN_ANY:
    case ADMIN_BOOTSTRAP:
    case ADMIN_BROKER:
        break;
    }
    return "the brokers";
}

static void part_unsupported(struct admin_part *part, int32_t broker_id) {
    const char *name = wire_api(part->stage->api_key)->name;
    int16_t version;
    bool has = client_broker_version(part->call->client, broker_id, part->stage->api_key, &version);
    const char *text = arena_printf(&part->call->arena,
                                    has ? "%s has %s in versions only that cannot say this"
                                        : "%s does not have %s",
                                    place_of(part, broker_id), name)
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
    bool over = err == ERR_TIMED_OUT && admin_now_ms(part->call) >= part->call->deadline_ms;
    const char *text = admin_text(part->call, str_from_c(answer->text));
    for (size_t i = 0; i < part->item_count; i++) {
        struct admin_item *item = part->items[i];
        const char *said = over && item->tries > 0 ? item->text : text; /* before, says more */
        if (again) {
            admin_item_again(item, err, said);
        } else {
            admin_item_end(item, err, said);
        }
    }
}

void admin_part_free(struct admin_part *part) {
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
        part->throttle_ms = answer->throttle_ms;
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
    admin_part_free(part);
    admin_call_go(call);
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

void admin_part_add(struct admin_part *part, struct admin_item *item) {
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

static bool has_coordinator(const struct admin_stage *stage) {
    return stage->route == ADMIN_GROUP || stage->route == ADMIN_TRANSACTION;
}

static bool part_fits(const struct admin_part *part, const struct admin_item *item) {
    return part->asked == NULL && !part->stage->each &&
           part->stage == &item->call->op->stages[item->stage] &&
           (part->stage->route != ADMIN_BROKER || part->broker_id == item->broker_id) &&
           (!has_coordinator(part->stage) || str_equal(part->items[0]->group, item->group));
}

/* The newest first: items mostly come in runs. At most ADMIN_PARTS_MAX steps. */
struct admin_part *admin_part_for(struct ottla_call *call, const struct admin_item *item) {
    for (struct list *link = call->parts.prev; link != &call->parts; link = link->prev) {
        struct admin_part *part = container_of(link, struct admin_part, link);
        if (part_fits(part, item)) {
            return part;
        }
    }
    return call->part_count < ADMIN_PARTS_MAX ? part_new(call, item) : NULL;
}

/* Of controllers only the active one answers for the cluster; of brokers any does. */
static enum client_role role_of(const struct admin_part *part) {
    switch (part->stage->route) {
    case ADMIN_ANY:
        return admin_to_controllers(part->call->client) ? CLIENT_CONTROLLER : CLIENT_ANY_BROKER;
    case ADMIN_CONTROLLER:
        return CLIENT_CONTROLLER;
    case ADMIN_BOOTSTRAP:
        return CLIENT_BOOTSTRAP;
    case ADMIN_BROKER:
        return CLIENT_BROKER;
    case ADMIN_GROUP:
        return CLIENT_GROUP;
    case ADMIN_TRANSACTION:
        break;
    }
    return CLIENT_TRANSACTION;
}

void admin_part_send(struct admin_part *part) {
    qsort(part->items, part->item_count, sizeof(struct admin_item *), admin_item_compare);
    int64_t left_ms = part->call->deadline_ms - admin_now_ms(part->call);
    struct client_ask ask = {
        .role = role_of(part),
        .broker_id = part->broker_id,
        .key = has_coordinator(part->stage) ? part->items[0]->group : STR_NULL,
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
