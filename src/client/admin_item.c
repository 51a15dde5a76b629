/* The items of a call: made, ended, sent to a stage, asked again. The head of admin_call.c tells
 * how they go on. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/admin_int.h"

enum { UNKNOWN_TRIES = 4 }; /* a topic that was just made is unknown to some brokers for a moment */

static int key_compare(const struct admin_item *a, struct str name, int32_t number) {
    int order = str_compare(a->name, name);
    return order != 0 ? order : (a->number > number) - (a->number < number);
}

int admin_item_compare(const void *a, const void *b) {
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
    list_add_last(not_before_ms > admin_now_ms(call) ? &call->resting : &call->waiting,
                  &item->link);
}

void admin_item_go(struct admin_item *item, int stage) {
    int64_t throttle_ms = item->part == NULL ? 0 : item->part->throttle_ms;
    item_queue(item, stage, admin_now_ms(item->call) + throttle_ms);
}

/* One rest for all items of a part, though it is drawn by lot: they stay together. */
static int64_t rest_of(struct admin_part *part, int tries) {
    if (tries > part->rest_tries) {
        part->rest_tries = tries;
        part->rest_ms = client_backoff_ms(part->call->client, tries);
    }
    int64_t rest_ms = part->rest_ms > part->throttle_ms ? part->rest_ms : part->throttle_ms;
    return rest_ms > 0 ? rest_ms : 1;
}

void admin_item_again(struct admin_item *item, int code, const char *text) {
    struct ottla_call *call = item->call;
    if (item->tries >= client_settings(call->client)->retries) {
        admin_item_end(item, code, text);
        return;
    }
    item->tries++;
    item->code = code;
    item->text = text != NULL ? text : ottla_code_text(code);
    item_queue(item, item->part->stage->again,
               admin_now_ms(call) + rest_of(item->part, item->tries));
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
    case ERR_CONCURRENT_TRANSACTIONS:
        return (passing & ADMIN_PASS_TRANSACTION) != 0;
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
        admin_item_again(item, code, text);
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
