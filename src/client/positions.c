/*
 * Where each assigned partition is read next.
 *
 *     from                  what is asked                  to
 *     AWAITING              OffsetFetch of the group       READING or VALIDATING; RESETTING, STUCK
 *     RESETTING             ListOffsets of the leader      READING
 *     VALIDATING            OffsetForLeaderEpoch           READING; RESETTING, STUCK when the log
 *                                                          was cut below the offset
 *     READING               (fetch.c)                      VALIDATING when the leader changes,
 *                                                          RESETTING when out of range
 *
 * A question carries the turn of the position; what an answer finds under another turn (a seek
 * happened, or the partition went and came back) it leaves alone.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/consumer_int.h"
#include "client/leader_query.h"
#include "sys/sys.h"

enum { QUERY_TIMEOUT_MS = 30 * 1000 }; /* then what is still wanted is asked anew */

/* A leader_query for positions. */
struct position_query {
    struct list link;
    struct ottla_consumer *consumer;
    enum leader_query_kind kind;
    struct leader_query *query;
};

/* --- answers --- */

static struct position *asked_position(struct ottla_consumer *consumer, struct str topic,
                                       int32_t partition, uint64_t turn) {
    struct position *position = consumer_position(consumer, topic, partition);
    if (position == NULL || position->turn != turn) {
        return NULL;
    }
    assert(position->asking);
    position->asking = false;
    return position;
}

static void fail_and_rest(struct ottla_consumer *consumer, struct position *position, err_t err) {
    if (err != ERR_TIMED_OUT) {
        position_fail(consumer, position, err);
    }
    position_rest(consumer, position);
}

static void found_time(struct ottla_consumer *consumer, struct position *position,
                       const struct leader_item *item) {
    if (item->err != ERR_OK) {
        fail_and_rest(consumer, position, item->err);
    } else if (item->offset >= 0) {
        position_set(consumer, position, item->offset, -1);
    } else if (position->reset_timestamp != OTTLA_OFFSET_LATEST) {
        position_reset(consumer, position, OTTLA_OFFSET_LATEST); /* nothing as young as that */
    } else {
        position_rest(consumer, position);
    }
}

static void found_truncated(struct ottla_consumer *consumer, struct position *position,
                            const struct leader_item *item) {
    bool by_policy = consumer->settings->auto_offset_reset != CLIENT_RESET_NONE;
    if (by_policy && item->offset >= 0 && item->leader_epoch >= 0) {
        client_log(consumer->client, OTTLA_LOG_WARNING,
                   "%.*s-%d was cut from offset %lld to %lld; reading goes on there",
                   STR_ARGS(position->topic->name), (int)position->partition,
                   (long long)position->offset, (long long)item->offset);
        position_set(consumer, position, item->offset, item->leader_epoch);
        position->validated_epoch = position->leader_epoch;
        position->state = POSITION_READING;
        fetch_place(consumer, position);
    } else {
        position_reset_by_policy(consumer, position, ERR_OFFSET_OUT_OF_RANGE);
    }
}

static void found_epoch_end(struct ottla_consumer *consumer, struct position *position,
                            const struct leader_item *item) {
    bool good = item->err == ERR_UNSUPPORTED_VERSION ||
                (item->offset >= position->offset && item->leader_epoch >= 0);
    if (good) {
        position->validated_epoch = position->leader_epoch;
        position->attempt = 0;
        position->state = POSITION_READING;
        fetch_place(consumer, position);
    } else if (item->err != ERR_OK) {
        fail_and_rest(consumer, position, item->err);
    } else {
        found_truncated(consumer, position, item);
    }
}

static void on_answered(void *arg, const struct leader_item *item) {
    struct position_query *query = arg;
    struct ottla_consumer *consumer = query->consumer;
    struct position *position = asked_position(consumer, item->topic, item->partition, item->tag);
    if (position == NULL) {
        return;
    }
    if (query->kind == LEADER_QUERY_TIMES) {
        assert(position->state == POSITION_RESETTING);
        found_time(consumer, position, item);
    } else {
        assert(position->state == POSITION_VALIDATING);
        found_epoch_end(consumer, position, item);
    }
}

static void query_free(struct position_query *query) {
    list_remove(&query->link);
    leader_query_free(query->query);
    free(query);
}

static void on_finished(void *arg, struct leader_query *leader_query) {
    struct position_query *query = arg;
    assert(query->query == leader_query);
    struct ottla_consumer *consumer = query->consumer;
    query_free(query);
    consumer_want_step(consumer);
}

/* The committed offset of one position. */
static void found_committed(struct ottla_consumer *consumer, struct position *position,
                            const struct committed_item *item) {
    if (item->err != ERR_OK) {
        fail_and_rest(consumer, position, item->err);
    } else if (item->offset >= 0) {
        position_set(consumer, position, item->offset, item->leader_epoch);
    } else {
        position_reset_by_policy(consumer, position, ERR_NOT_FOUND);
    }
}

/* Its heartbeats tell who is out of the group, or behind it, what to do; then offsets are asked for
 * again. */
static bool is_heard_in_heartbeats(err_t err) {
    return err == ERR_STALE_MEMBER_EPOCH || err == ERR_UNKNOWN_MEMBER_ID;
}

static void on_committed(void *arg, err_t err, const struct committed_item *items, size_t count) {
    struct ottla_consumer *consumer = arg;
    bool told = false;
    for (size_t i = 0; i < count; i++) {
        struct position *position =
            asked_position(consumer, items[i].topic, items[i].partition, items[i].tag);
        if (position == NULL) {
            continue;
        }
        assert(position->state == POSITION_AWAITING);
        if (err == ERR_OK) {
            found_committed(consumer, position, &items[i]);
            continue;
        }
        if (!told && !err_retriable(err) && err != ERR_TIMED_OUT && !is_heard_in_heartbeats(err)) {
            position_fail(consumer, position, err);
            told = true;
        }
        position_rest(consumer, position);
    }
    consumer_want_step(consumer);
}

/* --- questions --- */

static bool is_due(const struct position *position, enum position_state state, int64_t now) {
    return position->state == state && !position->asking && !position->revoking &&
           position->rest_until_ms <= now;
}

static void ask_leaders(struct ottla_consumer *consumer, enum position_state state, size_t count,
                        int64_t now) {
    struct leader_item *items = calloc(count, sizeof *items);
    struct position_query *query = calloc(1, sizeof *query);
    if (items == NULL || query == NULL) {
        abort();
    }
    size_t at = 0;
    struct list *link;
    list_for_each (link, &consumer->positions) {
        struct position *position = container_of(link, struct position, link);
        if (is_due(position, state, now)) {
            position->asking = true;
            items[at++] = (struct leader_item){
                .topic = position->topic->name,
                .partition = position->partition,
                .timestamp = position->reset_timestamp,
                .epoch = position->offset_epoch,
                .tag = position->turn,
            };
        }
    }
    assert(at == count);
    bool times = state == POSITION_RESETTING;
    query->consumer = consumer;
    query->kind = times ? LEADER_QUERY_TIMES : LEADER_QUERY_EPOCHS;
    struct leader_query_settings settings = {
        .client = consumer->client,
        .kind = query->kind,
        .isolation = consumer->settings->isolation_level,
        .deadline_ms = now + QUERY_TIMEOUT_MS,
        .answered = on_answered,
        .finished = on_finished,
        .arg = query,
    };
    list_add_last(&consumer->queries, &query->link);
    query->query = leader_query_new(&settings, items, count);
    free(items);
}

static void ask_group(struct ottla_consumer *consumer, size_t count, int64_t now) {
    struct committed_item *items = calloc(count, sizeof *items);
    if (items == NULL) {
        abort();
    }
    size_t at = 0;
    struct list *link;
    list_for_each (link, &consumer->positions) {
        struct position *position = container_of(link, struct position, link);
        if (is_due(position, POSITION_AWAITING, now)) {
            position->asking = true;
            items[at++] = (struct committed_item){.topic = position->topic->name,
                                                  .partition = position->partition,
                                                  .tag = position->turn};
        }
    }
    assert(at == count);
    (void)committed_ask(consumer, items, count, QUERY_TIMEOUT_MS, on_committed, consumer);
    free(items);
}

void positions_step(struct ottla_consumer *consumer) {
    int64_t now = consumer_now_ms(consumer);
    size_t due[POSITION_STATE_COUNT] = {0};
    int64_t next = INT64_MAX;
    struct list *link;
    list_for_each (link, &consumer->positions) {
        struct position *position = container_of(link, struct position, link);
        if (position->state == POSITION_STUCK && position->rest_until_ms <= now) {
            position_begin(consumer, position);
        }
        if (is_due(position, position->state, now)) {
            due[position->state]++;
        } else if (!position->asking && position->rest_until_ms > now &&
                   position->rest_until_ms < next) {
            next = position->rest_until_ms;
        }
    }
    if (due[POSITION_AWAITING] > 0) {
        ask_group(consumer, due[POSITION_AWAITING], now);
    }
    if (due[POSITION_RESETTING] > 0) {
        ask_leaders(consumer, POSITION_RESETTING, due[POSITION_RESETTING], now);
    }
    if (due[POSITION_VALIDATING] > 0) {
        ask_leaders(consumer, POSITION_VALIDATING, due[POSITION_VALIDATING], now);
    }
    consumer_step_at(consumer, next);
}

void positions_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->queries)) != NULL) {
        query_free(container_of(link, struct position_query, link));
    }
}

/* --- leaders --- */

/* Whether what was read must be compared with the leader's log. */
static bool wants_validation(const struct position *position) {
    return position->offset_epoch >= 0 && position->leader_epoch > position->validated_epoch &&
           position->leader_epoch != position->offset_epoch;
}

void position_validate(struct ottla_consumer *consumer, struct position *position) {
    if (position->state == POSITION_READING && wants_validation(position)) {
        fetch_leave(position);
        fetch_drop(consumer, position);
        position->turn = ++consumer->last_turn;
        position->asking = false;
        position->state = POSITION_VALIDATING;
    }
}

static void place(struct ottla_consumer *consumer, struct position *position,
                  const struct client_topic *topic) {
    if (position->partition >= topic->partition_count) {
        return; /* what is known of it is the best there is */
    }
    const struct client_partition *partition = &topic->partitions[position->partition];
    position->leader = partition->leader;
    if (partition->leader_epoch > position->leader_epoch) {
        position->leader_epoch = partition->leader_epoch;
        position_validate(consumer, position);
    }
    fetch_place(consumer, position);
}

/* A topic that was made anew has new epochs, and other records. */
static void take_id(struct ottla_consumer *consumer, struct consumer_topic *topic, struct uuid id) {
    if (uuid_is_zero(id) || uuid_equal(id, topic->id)) {
        return;
    }
    bool known = !uuid_is_zero(topic->id);
    size_t cursor;
    struct position *position;
    map_for_each (&topic->positions, cursor, position) {
        fetch_leave(position); /* the broker forgets it under its old id */
        position->leader_epoch = known ? -1 : position->leader_epoch;
        position->validated_epoch = known ? -1 : position->validated_epoch;
        position->offset_epoch = known ? -1 : position->offset_epoch;
    }
    topic->id = id;
    (void)consumer;
}

void positions_place(struct ottla_consumer *consumer) {
    size_t cursor, inner;
    struct consumer_topic *topic;
    map_for_each (&consumer->topics, cursor, topic) {
        const struct client_topic *known = client_topic(consumer->client, topic->name);
        if (known == NULL) {
            continue;
        }
        take_id(consumer, topic, known->id);
        struct position *position;
        map_for_each (&topic->positions, inner, position) {
            if (known->err == ERR_TOPIC_AUTHORIZATION_FAILED ||
                known->err == ERR_INVALID_TOPIC_EXCEPTION) {
                position_fail(consumer, position, known->err);
                break; /* one of them tells it */
            }
            place(consumer, position, known);
        }
    }
}
