/*
 * Items are sorted by topic and partition, so that a request groups them and an answer finds them.
 * A round goes over all that are neither answered, nor on their way, nor resting; each leader among
 * them gets one request. A new round is made by a timer, and by new metadata.
 *
 * An item that occurs twice in the list is asked twice, one after the other: brokers refuse
 * requests that name a partition twice.
 */
#include "client/leader_query.h"

#include <assert.h>
#include <stdlib.h>

#include "base/list.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

struct leader_query {
    struct leader_query_settings settings;
    struct leader_item *items;
    size_t count;
    size_t left; /* not answered */
    struct list asks;
    struct arena names;
    struct client_watcher watcher;
    struct sys_timer timer; /* of the next round */
};

/* One request to one leader. */
struct leader_ask {
    struct list link;
    struct leader_query *query;
    struct client_asked *asked;
    int32_t broker_id;
    struct arena arena; /* of the request */
    struct leader_item **items;
    size_t count;
};

static int64_t now_ms(const struct leader_query *query) {
    return sys_mono_ms(client_sys(query->settings.client));
}

/* In a later turn: nothing is called from inside a call. */
static void want_round(struct leader_query *query) {
    sys_timer_set(client_loop(query->settings.client), &query->timer, 0);
}

/* --- items --- */

static int compare_place(struct str topic, int32_t partition, const struct leader_item *item) {
    int order = str_compare(topic, item->topic);
    return order != 0 ? order : (partition > item->partition) - (partition < item->partition);
}

static int by_place(const void *a, const void *b) {
    const struct leader_item *left = a;
    return compare_place(left->topic, left->partition, b);
}

/* NULL when this request did not ask for it, or it was answered. */
static struct leader_item *find_item(const struct leader_ask *ask, struct str topic,
                                     int32_t partition) {
    size_t low = 0, high = ask->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_place(topic, partition, ask->items[middle]);
        if (order == 0) {
            struct leader_item *item = ask->items[middle];
            return item->asked_by == ask ? item : NULL;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static void finish_item(struct leader_query *query, struct leader_item *item, err_t err) {
    assert(!item->done);
    item->asked_by = NULL;
    item->done = true;
    item->err = err;
    query->left--;
    query->settings.answered(query->settings.arg, item);
}

static void rest_item(struct leader_query *query, struct leader_item *item) {
    item->asked_by = NULL;
    item->attempt++;
    item->rest_until_ms = now_ms(query) + client_backoff_ms(query->settings.client, item->attempt);
    client_metadata_refresh(query->settings.client);
}

static void answer_item(struct leader_query *query, struct leader_item *item, err_t err,
                        int64_t offset, int32_t leader_epoch) {
    if (err == ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT) { /* too old to know times: there is none */
        err = ERR_OK;
        offset = -1;
    }
    if (err_retriable(err)) {
        item->err = err;
        rest_item(query, item);
        return;
    }
    item->offset = err == ERR_OK && offset >= 0 ? offset : -1;
    item->leader_epoch = err == ERR_OK ? leader_epoch : -1;
    finish_item(query, item, err);
}

/* --- requests --- */

static int32_t current_epoch(const struct leader_query *query, const struct leader_item *item) {
    const struct client_topic *topic = client_topic(query->settings.client, item->topic);
    return topic == NULL || item->partition >= topic->partition_count
               ? -1
               : topic->partitions[item->partition].leader_epoch;
}

/* How many of the items from `first` on are of one topic. */
static size_t same_topic(const struct leader_ask *ask, size_t first) {
    size_t count = 1;
    while (first + count < ask->count &&
           str_equal(ask->items[first + count]->topic, ask->items[first]->topic)) {
        count++;
    }
    return count;
}

static void *make_times(struct leader_ask *ask) {
    struct leader_query *query = ask->query;
    struct list_offsets_request *request = ARENA_NEW(&ask->arena, struct list_offsets_request);
    wire_init(&list_offsets_request_type, request);
    request->replica_id = -1;
    request->isolation_level = (int8_t)query->settings.isolation;
    request->timeout_ms = (int32_t)client_settings(query->settings.client)->request_timeout_ms;
    request->topics =
        ARENA_ARRAY(&ask->arena, struct list_offsets_request_list_offsets_topic, ask->count);
    for (size_t i = 0, n; i < ask->count; i += n) {
        n = same_topic(ask, i);
        struct list_offsets_request_list_offsets_topic *topic =
            &request->topics[request->topics_count++];
        topic->name = ask->items[i]->topic;
        topic->partitions =
            ARENA_ARRAY(&ask->arena, struct list_offsets_request_list_offsets_partition, n);
        topic->partitions_count = (int32_t)n;
        for (size_t p = 0; p < n; p++) {
            topic->partitions[p].partition_index = ask->items[i + p]->partition;
            topic->partitions[p].timestamp = ask->items[i + p]->timestamp;
            topic->partitions[p].current_leader_epoch = current_epoch(query, ask->items[i + p]);
        }
    }
    return request;
}

static void *make_epochs(struct leader_ask *ask) {
    struct offset_for_leader_epoch_request *request =
        ARENA_NEW(&ask->arena, struct offset_for_leader_epoch_request);
    wire_init(&offset_for_leader_epoch_request_type, request);
    request->replica_id = -1;
    request->topics = ARENA_ARRAY(
        &ask->arena, struct offset_for_leader_epoch_request_offset_for_leader_topic, ask->count);
    for (size_t i = 0, n; i < ask->count; i += n) {
        n = same_topic(ask, i);
        struct offset_for_leader_epoch_request_offset_for_leader_topic *topic =
            &request->topics[request->topics_count++];
        topic->topic = ask->items[i]->topic;
        topic->partitions = ARENA_ARRAY(
            &ask->arena, struct offset_for_leader_epoch_request_offset_for_leader_partition, n);
        topic->partitions_count = (int32_t)n;
        for (size_t p = 0; p < n; p++) {
            topic->partitions[p].partition = ask->items[i + p]->partition;
            topic->partitions[p].leader_epoch = ask->items[i + p]->epoch;
            topic->partitions[p].current_leader_epoch =
                current_epoch(ask->query, ask->items[i + p]);
        }
    }
    return request;
}

/* --- answers --- */

static void read_times(struct leader_ask *ask, const struct list_offsets_response *response) {
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct list_offsets_response_list_offsets_topic_response *topic =
            &response->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct list_offsets_response_list_offsets_partition_response *from =
                &topic->partitions[p];
            struct leader_item *item = find_item(ask, topic->name, from->partition_index);
            if (item != NULL) {
                answer_item(ask->query, item, err_from_kafka_code(from->error_code), from->offset,
                            from->leader_epoch);
            }
        }
    }
}

static void read_epochs(struct leader_ask *ask,
                        const struct offset_for_leader_epoch_response *response) {
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct offset_for_leader_epoch_response_offset_for_leader_topic_result *topic =
            &response->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct offset_for_leader_epoch_response_epoch_end_offset *from =
                &topic->partitions[p];
            struct leader_item *item = find_item(ask, topic->topic, from->partition);
            if (item != NULL) {
                answer_item(ask->query, item, err_from_kafka_code(from->error_code),
                            from->end_offset, from->leader_epoch);
            }
        }
    }
}

static void free_ask(struct leader_ask *ask) {
    list_remove(&ask->link);
    arena_done(&ask->arena);
    free(ask->items);
    free(ask);
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct leader_ask *ask = arg;
    struct leader_query *query = ask->query;
    if (answer->err == ERR_OK) {
        if (query->settings.kind == LEADER_QUERY_TIMES) {
            read_times(ask, answer->response);
        } else {
            read_epochs(ask, answer->response);
        }
    }
    for (size_t i = 0; i < ask->count; i++) {
        struct leader_item *item = ask->items[i];
        if (item->asked_by != ask) {
            continue;
        }
        if (answer->err == ERR_UNSUPPORTED_VERSION) {
            finish_item(query, item, answer->err);
        } else { /* the broker is gone, or left it out */
            item->err = answer->err == ERR_OK ? ERR_MALFORMED : answer->err;
            rest_item(query, item);
        }
    }
    free_ask(ask);
    want_round(query);
}

/* --- rounds --- */

static int32_t leader_of(const struct leader_query *query, const struct leader_item *item,
                         err_t *ret_err) {
    const struct client_topic *topic = client_topic(query->settings.client, item->topic);
    *ret_err = topic == NULL ? ERR_OK : topic->err;
    if (topic == NULL || item->partition < 0 || item->partition >= topic->partition_count) {
        return -1;
    }
    return topic->partitions[item->partition].leader;
}

static bool is_due(const struct leader_query *query, size_t index, int64_t now) {
    const struct leader_item *item = &query->items[index];
    bool twice =
        index > 0 && !query->items[index - 1].done && by_place(item, &query->items[index - 1]) == 0;
    return !item->done && item->asked_by == NULL && item->rest_until_ms <= now && !twice;
}

static void ask_leader(struct leader_query *query, int32_t broker_id, size_t first, int64_t now) {
    struct leader_ask *ask = calloc(1, sizeof *ask);
    struct leader_item **items = calloc(query->count - first, sizeof *items);
    if (ask == NULL || items == NULL) {
        abort();
    }
    *ask = (struct leader_ask){.query = query, .broker_id = broker_id, .items = items};
    arena_init(&ask->arena, SIZE_MAX);
    for (size_t i = first; i < query->count; i++) {
        err_t err;
        if (is_due(query, i, now) && leader_of(query, &query->items[i], &err) == broker_id) {
            query->items[i].asked_by = ask;
            items[ask->count++] = &query->items[i];
        }
    }
    bool times = query->settings.kind == LEADER_QUERY_TIMES;
    list_add_last(&query->asks, &ask->link);
    struct client_ask what = {
        .role = CLIENT_BROKER,
        .broker_id = broker_id,
        .lane = CLIENT_LANE_MAIN,
        .api_key = times ? API_LIST_OFFSETS : API_OFFSET_FOR_LEADER_EPOCH,
        .version_max = -1,
        .request = times ? make_times(ask) : make_epochs(ask),
        .done = on_answer,
        .arg = ask,
    };
    ask->asked = client_ask(query->settings.client, &what);
}

/* An item without a leader waits for metadata; one that no metadata will help ends. */
static void place_item(struct leader_query *query, size_t index, int64_t now) {
    struct leader_item *item = &query->items[index];
    err_t err;
    int32_t leader = leader_of(query, item, &err);
    if (leader >= 0) {
        ask_leader(query, leader, index, now);
    } else if (err != ERR_OK && !err_retriable(err)) {
        finish_item(query, item, err);
    } else {
        item->err = err == ERR_OK ? ERR_LEADER_NOT_AVAILABLE : err;
        rest_item(query, item);
    }
}

static void set_timer(struct leader_query *query) {
    int64_t next = query->settings.deadline_ms;
    for (size_t i = 0; i < query->count; i++) {
        const struct leader_item *item = &query->items[i];
        if (!item->done && item->asked_by == NULL && item->rest_until_ms < next) {
            next = item->rest_until_ms;
        }
    }
    if (next == INT64_MAX) {
        sys_timer_clear(client_loop(query->settings.client), &query->timer);
    } else {
        sys_timer_set(client_loop(query->settings.client), &query->timer, next);
    }
}

static void give_up(struct leader_query *query) {
    struct list *link;
    while ((link = list_first(&query->asks)) != NULL) {
        struct leader_ask *ask = container_of(link, struct leader_ask, link);
        client_ask_cancel(ask->asked);
        free_ask(ask);
    }
    for (size_t i = 0; i < query->count; i++) {
        if (!query->items[i].done) {
            finish_item(query, &query->items[i], ERR_TIMED_OUT);
        }
    }
}

static void round_of(struct leader_query *query) {
    int64_t now = now_ms(query);
    if (now >= query->settings.deadline_ms) {
        give_up(query);
    }
    for (size_t i = 0; i < query->count && query->left > 0; i++) {
        if (is_due(query, i, now)) {
            place_item(query, i, now);
        }
    }
    if (query->left == 0) {
        query->settings.finished(query->settings.arg, query);
        return;
    }
    set_timer(query);
}

static void on_timer(struct sys_timer *timer) {
    round_of(container_of(timer, struct leader_query, timer));
}

/* New metadata: those that rest only for a leader need not. */
static void on_metadata(struct client_watcher *watcher) {
    struct leader_query *query = container_of(watcher, struct leader_query, watcher);
    for (size_t i = 0; i < query->count; i++) {
        err_t err;
        if (query->items[i].err == ERR_LEADER_NOT_AVAILABLE &&
            leader_of(query, &query->items[i], &err) >= 0) {
            query->items[i].rest_until_ms = 0;
        }
    }
    want_round(query);
}

/* --- life --- */

struct leader_query *leader_query_new(const struct leader_query_settings *settings,
                                      const struct leader_item *items, size_t count) {
    struct leader_query *query = calloc(1, sizeof *query);
    struct leader_item *copies = calloc(count + 1, sizeof *copies);
    if (query == NULL || copies == NULL) {
        abort();
    }
    *query = (struct leader_query){
        .settings = *settings, .items = copies, .count = count, .left = count};
    arena_init(&query->names, SIZE_MAX);
    list_init(&query->asks);
    for (size_t i = 0; i < count; i++) {
        bool known = i > 0 && str_equal(items[i].topic, items[i - 1].topic);
        copies[i] = (struct leader_item){
            .topic = known ? copies[i - 1].topic : arena_str(&query->names, items[i].topic),
            .partition = items[i].partition,
            .timestamp = items[i].timestamp,
            .epoch = items[i].epoch,
            .tag = items[i].tag,
            .offset = -1,
            .leader_epoch = -1,
        };
        client_topic_want(settings->client, copies[i].topic, false);
    }
    qsort(copies, count, sizeof *copies, by_place);
    query->watcher.changed = on_metadata;
    query->timer.fire = on_timer;
    client_watch(settings->client, &query->watcher);
    want_round(query);
    return query;
}

void leader_query_free(struct leader_query *query) {
    if (query == NULL) {
        return;
    }
    struct list *link;
    while ((link = list_first(&query->asks)) != NULL) {
        struct leader_ask *ask = container_of(link, struct leader_ask, link);
        client_ask_cancel(ask->asked);
        free_ask(ask);
    }
    for (size_t i = 0; i < query->count; i++) {
        client_topic_unwant(query->settings.client, query->items[i].topic);
    }
    client_unwatch(query->settings.client, &query->watcher);
    sys_timer_clear(client_loop(query->settings.client), &query->timer);
    arena_done(&query->names);
    free(query->items);
    free(query);
}
