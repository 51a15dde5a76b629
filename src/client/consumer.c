/* A consumer's life, its positions as they come and go, and the steps that they take. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "client/consumer_int.h"
#include "sys/sys.h"

/* --- the step: work that has become possible --- */

int64_t consumer_now_ms(const struct ottla_consumer *consumer) {
    return sys_mono_ms(client_sys(consumer->client));
}

void consumer_step_at(struct ottla_consumer *consumer, int64_t when_ms) {
    if (when_ms == INT64_MAX || consumer->closing ||
        (sys_timer_is_set(&consumer->timer) && consumer->timer.deadline_ms <= when_ms)) {
        return;
    }
    sys_timer_set(client_loop(consumer->client), &consumer->timer, when_ms);
}

void consumer_want_step(struct ottla_consumer *consumer) {
    consumer_step_at(consumer, 0);
}

static void on_timer(struct sys_timer *timer) {
    struct ottla_consumer *consumer = container_of(timer, struct ottla_consumer, timer);
    if (consumer->place_wanted) {
        consumer->place_wanted = false;
        positions_place(consumer);
    }
    positions_step(consumer);
    fetch_step(consumer);
}

static void on_metadata(struct client_watcher *watcher) {
    struct ottla_consumer *consumer = container_of(watcher, struct ottla_consumer, watcher);
    positions_place(consumer);
    consumer_want_step(consumer);
}

void consumer_wake(struct ottla_consumer *consumer) {
    consumer->woken = true;
    if (consumer->ready_fn != NULL) {
        consumer->ready_fn(consumer->ready_arg);
    }
}

void consumer_on_ready(struct ottla_consumer *consumer, void (*ready)(void *arg), void *arg) {
    consumer->ready_fn = ready;
    consumer->ready_arg = arg;
}

/* --- life --- */

int consumer_check(const struct ottla_consumer *consumer, struct ottla_error *ret_error) {
    if (consumer->closed) {
        return client_error_set(ret_error, OTTLA_CLOSED, "the consumer was closed");
    }
    if (consumer->in_callback) {
        return client_error_set(ret_error, OTTLA_BUSY, "this cannot be done inside a rebalance");
    }
    return OTTLA_OK;
}

static void init(struct ottla_consumer *consumer, struct ottla_client *client) {
    const struct client_settings *settings = client_settings(client);
    consumer->client = client;
    consumer->settings = settings;
    consumer->pattern = STR_NULL;
    struct list *lists[] = {&consumer->positions, &consumer->retired_topics, &consumer->events,
                            &consumer->commits,   &consumer->lookups,        &consumer->queries,
                            &consumer->ready,     &consumer->errors};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        list_init(lists[i]);
    }
    struct arena *arenas[] = {&consumer->subscription, &consumer->identity,
                              &consumer->committed_texts, &consumer->headers};
    for (size_t i = 0; i < sizeof arenas / sizeof *arenas; i++) {
        arena_init(arenas[i], SIZE_MAX);
    }
    fetched_pool_init(&consumer->pool, &consumer->headers);
    consumer->pool.check_crcs = settings->check_crcs;
    consumer->pool.committed_only = settings->isolation_level == CLIENT_READ_COMMITTED;
    consumer->timer.fire = on_timer;
    consumer->watcher.changed = on_metadata;
    consumer->auto_commit_ms = consumer_now_ms(consumer) + settings->auto_commit_interval_ms;
}

int ottla_consumer_new(struct ottla_client *client, struct ottla_consumer **ret_consumer,
                       struct ottla_error *ret_error) {
    (void)ret_error; /* the settings were checked with the client */
    struct ottla_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        abort();
    }
    init(consumer, client);
    size_t count = (size_t)consumer->settings->max_poll_records;
    consumer->record_max = count < CONSUMER_RECORDS_MAX ? count : CONSUMER_RECORDS_MAX;
    consumer->records = calloc(consumer->record_max, sizeof *consumer->records);
    if (consumer->records == NULL) {
        abort();
    }
    client_watch(client, &consumer->watcher);
    *ret_consumer = consumer;
    return OTTLA_OK;
}

static void free_retired(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_take_first(&consumer->retired_topics)) != NULL) {
        struct consumer_topic *topic = container_of(link, struct consumer_topic, link);
        map_done(&topic->positions);
        free((char *)topic->name.data);
        free(topic);
    }
}

void consumer_let_go(struct ottla_consumer *consumer) {
    fetched_pool_release(&consumer->pool);
    free_retired(consumer);
}

void consumer_positions_clear(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->positions)) != NULL) {
        consumer_position_remove(consumer, container_of(link, struct position, link));
    }
}

void ottla_consumer_free(struct ottla_consumer *consumer) {
    if (consumer == NULL) {
        return;
    }
    assert(!consumer->in_callback);
    consumer->closing = true;
    client_unwatch(consumer->client, &consumer->watcher);
    consumer_group_done(consumer);
    commits_done(consumer);
    committed_done(consumer);
    positions_done(consumer);
    consumer_positions_clear(consumer);
    fetch_done(consumer);
    sys_timer_clear(client_loop(consumer->client), &consumer->timer);
    consumer_let_go(consumer);
    fetched_pool_done(&consumer->pool);
    map_done(&consumer->topics);
    arena_done(&consumer->subscription);
    arena_done(&consumer->identity);
    free(consumer->known_member_id);
    arena_done(&consumer->committed_texts);
    arena_done(&consumer->headers);
    free(consumer->records);
    free(consumer);
}

/* --- positions come and go --- */

static struct consumer_topic *topic_of(struct ottla_consumer *consumer, struct str name) {
    struct consumer_topic *topic = map_get(&consumer->topics, str_bytes(name));
    if (topic != NULL) {
        return topic;
    }
    topic = calloc(1, sizeof *topic);
    char *copy = topic == NULL ? NULL : malloc(name.size + 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, name.data, name.size);
    copy[name.size] = '\0';
    topic->name = (struct str){.data = copy, .size = name.size};
    (void)map_put(&consumer->topics, str_bytes(topic->name), topic);
    client_topic_want(consumer->client, topic->name, consumer->settings->allow_auto_create_topics);
    return topic;
}

struct position *consumer_position(const struct ottla_consumer *consumer, struct str topic,
                                   int32_t partition) {
    const struct consumer_topic *found = map_get(&consumer->topics, str_bytes(topic));
    return found == NULL ? NULL : map_get_u64(&found->positions, (uint64_t)(int64_t)partition);
}

struct position *consumer_position_add(struct ottla_consumer *consumer, struct str topic_name,
                                       int32_t partition) {
    struct position *position = calloc(1, sizeof *position);
    if (position == NULL) {
        abort();
    }
    struct consumer_topic *topic = topic_of(consumer, topic_name);
    *position = (struct position){.topic = topic,
                                  .partition = partition,
                                  .leader = -1,
                                  .leader_epoch = -1,
                                  .high_watermark = -1,
                                  .last_stable_offset = -1,
                                  .log_start_offset = -1,
                                  .preferred = -1};
    list_init(&position->fetched);
    struct position *old = map_put_u64(&topic->positions, (uint64_t)(int64_t)partition, position);
    assert(old == NULL);
    list_add_last(&consumer->positions, &position->link);
    consumer->position_count++;
    position_begin(consumer, position);
    consumer->place_wanted = true;
    return position;
}

void consumer_position_remove(struct ottla_consumer *consumer, struct position *position) {
    struct consumer_topic *topic = position->topic;
    fetch_leave(position);
    fetch_drop(consumer, position);
    list_remove(&position->error_link);
    list_remove(&position->link);
    consumer->position_count--;
    (void)map_remove_u64(&topic->positions, (uint64_t)(int64_t)position->partition);
    free(position);
    if (map_count(&topic->positions) == 0) {
        (void)map_remove(&consumer->topics, str_bytes(topic->name));
        client_topic_unwant(consumer->client, topic->name);
        list_add_last(&consumer->retired_topics, &topic->link); /* records may name it */
    }
}

/* --- a position's changes --- */

static void begin(struct ottla_consumer *consumer, struct position *position,
                  enum position_state state, int64_t offset, int32_t epoch) {
    position->turn = ++consumer->last_turn;
    position->asking = false;
    position->state = state;
    position->offset = offset;
    position->offset_epoch = epoch;
    position->validated_epoch = -1;
    position->attempt = 0;
    position->rest_until_ms = 0;
    position->fruitless = 0;
    list_remove(&position->error_link); /* of what is over */
    fetch_drop(consumer, position);
    fetch_place(consumer, position);
    consumer_want_step(consumer);
}

void position_begin(struct ottla_consumer *consumer, struct position *position) {
    if (consumer->settings->group_id == NULL) {
        position_reset_by_policy(consumer, position, ERR_NOT_FOUND);
    } else {
        begin(consumer, position, POSITION_AWAITING, -1, -1);
    }
}

void position_set(struct ottla_consumer *consumer, struct position *position, int64_t offset,
                  int32_t epoch) {
    begin(consumer, position, POSITION_READING, offset, epoch);
    position_validate(consumer, position);
}

void position_reset(struct ottla_consumer *consumer, struct position *position, int64_t timestamp) {
    begin(consumer, position, POSITION_RESETTING, -1, -1);
    position->reset_timestamp = timestamp;
}

void position_reset_by_policy(struct ottla_consumer *consumer, struct position *position,
                              err_t why) {
    const struct client_settings *settings = consumer->settings;
    int64_t offset = position->offset;
    int32_t epoch = position->offset_epoch;
    switch (settings->auto_offset_reset) {
    case CLIENT_RESET_EARLIEST:
        position_reset(consumer, position, OTTLA_OFFSET_EARLIEST);
        break;
    case CLIENT_RESET_LATEST:
        position_reset(consumer, position, OTTLA_OFFSET_LATEST);
        break;
    case CLIENT_RESET_DURATION:
        position_reset(consumer, position,
                       sys_wall_ms(client_sys(consumer->client)) -
                           settings->auto_offset_reset_duration_ms);
        break;
    case CLIENT_RESET_NONE:
        if (why == ERR_OFFSET_OUT_OF_RANGE) { /* it may come into range, or be sought */
            begin(consumer, position, POSITION_READING, offset, epoch);
            position->validated_epoch = position->leader_epoch;
        } else {
            begin(consumer, position, POSITION_STUCK, -1, -1);
        }
        position_fail(consumer, position, why);
        position_rest(consumer, position);
        break;
    }
}

void position_rest(struct ottla_consumer *consumer, struct position *position) {
    position->attempt++;
    position->rest_until_ms =
        consumer_now_ms(consumer) + client_backoff_ms(consumer->client, position->attempt);
    consumer_step_at(consumer, position->rest_until_ms);
}

void position_fail(struct ottla_consumer *consumer, struct position *position, err_t err) {
    position->error = err;
    position->error_offset = position->offset;
    if (!list_linked(&position->error_link)) {
        list_add_last(&consumer->errors, &position->error_link);
    }
    consumer_wake(consumer);
}
