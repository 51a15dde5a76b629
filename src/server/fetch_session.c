/*
 * What may be evicted for a new session when every slot is taken, first match (as Kafka):
 *
 *   1. the session used longest ago, when that is more than evict_after_ms
 *   2. the least valuable of those made more than evict_after_ms ago, and for a follower's session
 *      also of all consumers', when the new one is worth more: a follower's is worth more than a
 *      consumer's, and more partitions are worth more than fewer
 *
 * A session in use by a request is never freed: eviction takes it out of the table, and the end of
 * the request frees it.
 */
#include "server/fetch_session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "sys/lock.h"

struct session_item {
    struct fetch_item item;
    struct list link; /* of the session's order */
    struct bytes key; /* behind the struct: topic id or name, then the index */
    char *name;       /* of the topic, learnt later; or NULL */
};

struct fetch_session {
    int32_t id;
    int32_t epoch; /* expected next */
    bool by_id;
    bool privileged; /* of a follower */
    bool in_use;
    bool removed; /* from the table; whoever uses it frees it */
    int64_t created_ms;
    int64_t used_ms;
    struct map items; /* struct session_item by key */
    struct list order;
};

struct fetch_sessions {
    struct sys *sys;
    int32_t slots;
    int64_t evict_after_ms;
    struct sys_lock lock; /* guards all below, and sessions not in use */
    struct map table;     /* by id */
    int64_t partitions;
    uint64_t evictions;
};

struct fetch_sessions *fetch_sessions_new(struct sys *sys, int32_t slots, int64_t evict_after_ms) {
    struct fetch_sessions *sessions = calloc(1, sizeof *sessions);
    sessions->sys = sys;
    sessions->slots = slots;
    sessions->evict_after_ms = evict_after_ms;
    sys_lock_init(&sessions->lock, SYS_RANK_SESSIONS);
    map_init(&sessions->table);
    return sessions;
}

static void item_free(struct session_item *own) {
    free(own->name);
    free(own);
}

static void item_name(struct session_item *own, struct str topic) {
    own->name = topic.size == 0 ? NULL : str_dup(topic);
    own->item.topic = (struct str){own->name, topic.size};
}

static void session_free(struct fetch_session *session) {
    struct list *link;
    while ((link = list_take_first(&session->order)) != NULL) {
        item_free(container_of(link, struct session_item, link));
    }
    map_done(&session->items);
    free(session);
}

void fetch_sessions_free(struct fetch_sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    size_t cursor;
    struct fetch_session *session;
    map_for_each (&sessions->table, cursor, session) {
        session_free(session);
    }
    map_done(&sessions->table);
    free(sessions);
}

void fetch_sessions_stats(struct fetch_sessions *sessions, struct fetch_sessions_stats *ret_stats) {
    sys_lock_take(&sessions->lock);
    *ret_stats = (struct fetch_sessions_stats){
        .sessions = (int64_t)map_count(&sessions->table),
        .partitions = sessions->partitions,
        .evictions = sessions->evictions,
    };
    sys_lock_give(&sessions->lock);
}

/* --- items --- */

/* The key of a partition: by id 16 bytes, by name its bytes; then the index. */
static struct bytes make_key(struct arena *arena, bool by_id, struct str topic,
                             struct uuid topic_id, int32_t index) {
    size_t size = (by_id ? sizeof topic_id.bytes : topic.size) + 4;
    uint8_t *key = arena_alloc(arena, size);
    memcpy(key, by_id ? (const void *)topic_id.bytes : (const void *)topic.data, size - 4);
    put_be32(key + size - 4, (uint32_t)index);
    return (struct bytes){.data = key, .size = size};
}

static void item_update(struct fetch_item *item, const struct fetch_request_fetch_partition *data) {
    item->fetch_offset = data->fetch_offset;
    item->log_start_offset = data->log_start_offset;
    item->leader_epoch = data->current_leader_epoch < 0 ? -1 : data->current_leader_epoch;
    item->fetched_epoch = data->last_fetched_epoch;
    item->size_max = data->partition_max_bytes;
}

static void item_init(struct fetch_item *item, const struct fetch_request_fetch_topic *topic,
                      const struct fetch_request_fetch_partition *data) {
    *item = (struct fetch_item){
        .topic = topic->topic,
        .topic_id = topic->topic_id,
        .index = data->partition,
        .told_high_watermark = -1,
        .told_log_start_offset = -1,
    };
    item_update(item, data);
}

/* Adds a partition to a session; the name is the item's own from here on. */
static void session_add(struct fetch_session *session, struct bytes key,
                        const struct fetch_item *item) {
    struct session_item *own = calloc(1, sizeof *own + key.size);
    uint8_t *bytes = (uint8_t *)(own + 1);
    memcpy(bytes, key.data, key.size);
    own->key = (struct bytes){.data = bytes, .size = key.size};
    own->item = *item;
    if (session->by_id) {
        item_name(own, item->topic);
    } else {
        own->item.topic = (struct str){(const char *)bytes, key.size - 4};
    }
    list_add_last(&session->order, &own->link);
    (void)map_put(&session->items, own->key, own);
}

static void session_update(struct fetch_session *session, const struct fetch_request *message,
                           struct arena *arena) {
    for (int32_t t = 0; t < message->topics_count; t++) {
        const struct fetch_request_fetch_topic *topic = &message->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct fetch_request_fetch_partition *data = &topic->partitions[p];
            struct bytes key =
                make_key(arena, session->by_id, topic->topic, topic->topic_id, data->partition);
            struct session_item *own = map_get(&session->items, key);
            if (own != NULL) {
                item_update(&own->item, data);
            } else {
                struct fetch_item item;
                item_init(&item, topic, data);
                session_add(session, key, &item);
            }
        }
    }
    for (int32_t t = 0; t < message->forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topic *topic = &message->forgotten_topics_data[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct bytes key = make_key(arena, session->by_id, topic->topic, topic->topic_id,
                                        topic->partitions[p]);
            struct session_item *own = map_remove(&session->items, key);
            if (own != NULL) {
                list_remove(&own->link);
                item_free(own);
            }
        }
    }
}

/* --- the table, with the lock held --- */

static void table_remove(struct fetch_sessions *sessions, struct fetch_session *session) {
    (void)map_remove_u64(&sessions->table, (uint64_t)session->id);
    sessions->partitions -= (int64_t)map_count(&session->items);
    if (session->in_use) {
        session->removed = true;
    } else {
        session_free(session);
    }
}

/* Whether a session of that kind and size is worth more than another. */
static bool is_worth_more(bool privileged, size_t size, const struct fetch_session *than) {
    return privileged != than->privileged ? privileged : size > map_count(&than->items);
}

static struct fetch_session *choose_victim(struct fetch_sessions *sessions, int64_t now_ms,
                                           bool privileged, size_t size) {
    struct fetch_session *oldest = NULL;
    struct fetch_session *least = NULL;
    size_t cursor;
    struct fetch_session *session;
    map_for_each (&sessions->table, cursor, session) {
        if (oldest == NULL || session->used_ms < oldest->used_ms) {
            oldest = session;
        }
        bool evictable = (privileged && !session->privileged) ||
                         now_ms - session->created_ms > sessions->evict_after_ms;
        if (evictable && (least == NULL ||
                          is_worth_more(least->privileged, map_count(&least->items), session))) {
            least = session;
        }
    }
    if (oldest != NULL && now_ms - oldest->used_ms > sessions->evict_after_ms) {
        return oldest;
    }
    return least != NULL && is_worth_more(privileged, size, least) ? least : NULL;
}

static bool make_room(struct fetch_sessions *sessions, int64_t now_ms, bool privileged,
                      size_t size) {
    if ((int32_t)map_count(&sessions->table) < sessions->slots) {
        return true;
    }
    struct fetch_session *victim = choose_victim(sessions, now_ms, privileged, size);
    if (victim == NULL) {
        return false;
    }
    sessions->evictions++;
    table_remove(sessions, victim);
    return true;
}

static int32_t free_id(struct fetch_sessions *sessions) {
    for (;;) {
        uint32_t random;
        sys_random(sessions->sys, &random, sizeof random);
        int32_t id = (int32_t)(random & INT32_MAX);
        if (id != 0 && map_get_u64(&sessions->table, (uint64_t)id) == NULL) {
            return id;
        }
    }
}

/* --- requests --- */

static int32_t next_epoch(int32_t epoch) {
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

static void list_session(struct fetch_session *session, struct fetch_context *context) {
    context->items =
        ARENA_ARRAY(context->arena, struct fetch_item *, map_count(&session->items) + 1);
    struct list *link;
    list_for_each (link, &session->order) {
        struct session_item *own = container_of(link, struct session_item, link);
        context->items[context->item_count++] = &own->item;
    }
}

/* A partition that is named twice is fetched once, as it was named last. */
static void list_message(const struct fetch_request *message, struct fetch_context *context) {
    size_t count = 0;
    for (int32_t t = 0; t < message->topics_count; t++) {
        count += (size_t)message->topics[t].partitions_count;
    }
    struct fetch_item *items = ARENA_ARRAY(context->arena, struct fetch_item, count + 1);
    context->items = ARENA_ARRAY(context->arena, struct fetch_item *, count + 1);
    struct map seen = {0};
    for (int32_t t = 0; t < message->topics_count; t++) {
        const struct fetch_request_fetch_topic *topic = &message->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct fetch_request_fetch_partition *data = &topic->partitions[p];
            struct bytes key = make_key(context->arena, context->by_id, topic->topic,
                                        topic->topic_id, data->partition);
            struct fetch_item *before = count > 1 ? map_get(&seen, key) : NULL;
            if (before != NULL) {
                item_update(before, data);
                continue;
            }
            struct fetch_item *item = &items[context->item_count];
            item_init(item, topic, data);
            context->items[context->item_count++] = item;
            if (count > 1) {
                (void)map_put(&seen, key, item);
            }
        }
    }
    map_done(&seen);
}

static err_t begin_incremental(struct fetch_sessions *sessions, const struct fetch_request *message,
                               struct fetch_context *context) {
    struct fetch_session *session =
        map_get_u64(&sessions->table, (uint64_t)(uint32_t)message->session_id);
    if (session == NULL) {
        return ERR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->epoch != message->session_epoch || session->in_use) {
        return ERR_INVALID_FETCH_SESSION_EPOCH;
    }
    if (session->by_id != context->by_id) {
        return ERR_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    sessions->partitions -= (int64_t)map_count(&session->items);
    session_update(session, message, context->arena);
    sessions->partitions += (int64_t)map_count(&session->items);
    if (map_count(&session->items) == 0) {
        table_remove(sessions, session);
        context->full = true;
        context->session_epoch = FETCH_EPOCH_FINAL;
        return ERR_OK;
    }
    session->used_ms = sys_mono_ms(sessions->sys);
    session->epoch = next_epoch(session->epoch);
    session->in_use = true;
    context->session = session;
    context->session_id = session->id;
    context->session_epoch = session->epoch;
    list_session(session, context);
    return ERR_OK;
}

err_t fetch_sessions_begin(struct fetch_sessions *sessions, const struct fetch_request *message,
                           int16_t version, struct arena *arena,
                           struct fetch_context *ret_context) {
    struct fetch_context context = {.by_id = version >= 13, .arena = arena};
    err_t err = ERR_OK;
    bool full = message->session_epoch == FETCH_EPOCH_INITIAL ||
                message->session_epoch == FETCH_EPOCH_FINAL;
    sys_lock_take(&sessions->lock);
    if (!full) {
        err = begin_incremental(sessions, message, &context);
    } else {
        struct fetch_session *before =
            message->session_id == 0
                ? NULL
                : map_get_u64(&sessions->table, (uint64_t)(uint32_t)message->session_id);
        if (before != NULL) {
            table_remove(sessions, before);
        }
        context.full = true;
        context.session_epoch = message->session_epoch;
    }
    sys_lock_give(&sessions->lock);
    if (err != ERR_OK) {
        return err;
    }
    if (full) {
        list_message(message, &context);
    }
    *ret_context = context;
    return ERR_OK;
}

void fetch_context_name(struct fetch_context *context, struct fetch_item *item, struct str topic) {
    assert(context->by_id);
    assert(item->topic.size == 0);
    if (context->session != NULL) {
        item_name(container_of(item, struct session_item, item), topic);
    } else {
        item->topic = arena_str(context->arena, topic);
    }
}

bool fetch_context_tell(struct fetch_context *context, struct fetch_item *item, err_t err,
                        int64_t high_watermark, int64_t log_start_offset, size_t record_size,
                        bool diverging) {
    bool news = context->full || record_size > 0 || diverging || err != ERR_OK ||
                item->told_high_watermark != high_watermark ||
                item->told_log_start_offset != log_start_offset;
    /* After an error they are told again. */
    item->told_high_watermark = err == ERR_OK ? high_watermark : -1;
    item->told_log_start_offset = err == ERR_OK ? log_start_offset : -1;
    if (context->session != NULL && record_size > 0) {
        struct session_item *own = container_of(item, struct session_item, item);
        list_remove(&own->link);
        list_add_last(&context->session->order, &own->link);
    }
    return news;
}

static void end_use(struct fetch_sessions *sessions, struct fetch_session *session) {
    session->in_use = false;
    session->used_ms = sys_mono_ms(sessions->sys);
    if (session->removed) {
        session_free(session);
    }
}

/* The session of a full fetch that asked for one; NULL when there is no room. */
static struct fetch_session *open_session(struct fetch_sessions *sessions,
                                          const struct fetch_context *context, bool privileged) {
    int64_t now_ms = sys_mono_ms(sessions->sys);
    if (!make_room(sessions, now_ms, privileged, (size_t)context->item_count)) {
        return NULL;
    }
    struct fetch_session *session = calloc(1, sizeof *session);
    session->id = free_id(sessions);
    session->epoch = next_epoch(FETCH_EPOCH_INITIAL);
    session->by_id = context->by_id;
    session->privileged = privileged;
    session->created_ms = now_ms;
    session->used_ms = now_ms;
    map_init(&session->items);
    list_init(&session->order);
    for (int32_t i = 0; i < context->item_count; i++) {
        const struct fetch_item *item = context->items[i];
        session_add(
            session,
            make_key(context->arena, session->by_id, item->topic, item->topic_id, item->index),
            item);
    }
    sessions->partitions += (int64_t)map_count(&session->items);
    (void)map_put_u64(&sessions->table, (uint64_t)session->id, session);
    return session;
}

void fetch_context_end(struct fetch_sessions *sessions, struct fetch_context *context,
                       bool privileged) {
    sys_lock_take(&sessions->lock);
    if (context->session != NULL) {
        end_use(sessions, context->session);
        context->session = NULL;
    } else if (context->session_epoch == FETCH_EPOCH_INITIAL) {
        struct fetch_session *session = open_session(sessions, context, privileged);
        if (session != NULL) {
            context->session_id = session->id;
        }
    }
    sys_lock_give(&sessions->lock);
}
