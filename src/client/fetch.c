/*
 * Which broker is asked for which partitions, and when.
 *
 * Each broker has a fetcher with the partitions that are read there: at their leader, or at a
 * follower that the leader named. Fetches run ahead of the application:
 *
 * 1. A partition has room while less than max.partition.fetch.bytes of it wait for the application.
 * 2. A broker is asked when every partition that the application reads there has room. (One that
 *    is full has records for the application, so this waits for nobody else; and a request without
 *    it could wait at the broker for fetch.max.wait.ms while the application has used it up.)
 * 3. Nobody is asked while fetch.max.bytes wait in all. So no more than that wait, and one answer
 *    per broker.
 * 4. Errors in a row, answers that lead nowhere, and empty answers that come at once make the
 *    fetcher rest.
 */
#include "client/fetch_int.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

/* --- who reads what --- */

static struct fetcher *fetcher_of(struct ottla_consumer *consumer, int32_t broker_id) {
    struct fetcher *fetcher = map_get_u64(&consumer->fetchers, (uint64_t)broker_id);
    if (fetcher == NULL) {
        fetcher = calloc(1, sizeof *fetcher);
        if (fetcher == NULL) {
            abort();
        }
        *fetcher = (struct fetcher){.consumer = consumer, .broker_id = broker_id};
        list_init(&fetcher->positions);
        list_init(&fetcher->forgotten);
        (void)map_put_u64(&consumer->fetchers, (uint64_t)broker_id, fetcher);
    }
    return fetcher;
}

void fetch_leave(struct position *position) {
    struct fetcher *fetcher = position->fetcher;
    if (fetcher == NULL) {
        return;
    }
    if (position->in_session) {
        fetch_forget(fetcher, position);
    }
    list_remove(&position->fetcher_link);
    position->fetcher = NULL;
    position->in_session = false;
    position->in_flight = false;
    fetcher->dirty = true;
}

static bool broker_is_known(const struct ottla_consumer *consumer, int32_t broker_id) {
    for (size_t i = 0; i < client_broker_count(consumer->client); i++) {
        if (client_broker_at(consumer->client, i)->id == broker_id) {
            return true;
        }
    }
    return false;
}

/* The follower that the leader named, for a while. */
static int32_t reader_of(struct ottla_consumer *consumer, struct position *position) {
    if (position->preferred >= 0 && (position->preferred_until_ms <= consumer_now_ms(consumer) ||
                                     !broker_is_known(consumer, position->preferred))) {
        position->preferred = -1;
    }
    return position->preferred >= 0 ? position->preferred : position->leader;
}

void fetch_place(struct ottla_consumer *consumer, struct position *position) {
    bool reads = position->state == POSITION_READING && !position->revoking;
    int32_t broker_id = reads ? reader_of(consumer, position) : -1;
    if (broker_id < 0) {
        fetch_leave(position);
        return;
    }
    if (position->fetcher == NULL || position->fetcher->broker_id != broker_id) {
        fetch_leave(position);
        position->fetcher = fetcher_of(consumer, broker_id);
        list_add_last(&position->fetcher->positions, &position->fetcher_link);
    }
    fetch_touch(position);
    consumer_want_step(consumer);
}

void fetch_touch(struct position *position) {
    if (position->fetcher != NULL) {
        position->fetcher->dirty = true;
    }
}

/* What a paused partition has does not count for all: it would stop the others. */
void fetch_add_size(struct ottla_consumer *consumer, struct position *position, size_t size) {
    position->fetched_size += size;
    consumer->fetched_size += position->paused ? 0 : size;
}

static void take_size(struct ottla_consumer *consumer, struct position *position, size_t size) {
    assert(size <= position->fetched_size);
    position->fetched_size -= size;
    consumer->fetched_size -= position->paused ? 0 : size;
}

void fetch_pause(struct ottla_consumer *consumer, struct position *position, bool pause) {
    if (position->paused == pause) {
        return;
    }
    size_t size = position->fetched_size;
    take_size(consumer, position, size);
    position->paused = pause;
    fetch_add_size(consumer, position, size);
    list_remove(&position->ready_link);
    if (!pause && !list_empty(&position->fetched)) {
        list_add_last(&consumer->ready, &position->ready_link);
    }
    fetch_touch(position);
    consumer_want_step(consumer);
}

void fetch_drop(struct ottla_consumer *consumer, struct position *position) {
    struct list *link;
    while ((link = list_first(&position->fetched)) != NULL) {
        fetched_retire(container_of(link, struct fetched, link), &consumer->pool);
    }
    list_remove(&position->ready_link);
    take_size(consumer, position, position->fetched_size);
    position->in_flight = false; /* what is on its way is for another offset */
    position->fetch_offset = position->offset;
    fetch_touch(position);
}

/* --- when --- */

bool fetch_has_room(const struct position *position) {
    const struct ottla_consumer *consumer = position->fetcher->consumer;
    return position->fetched_size < (size_t)consumer->settings->max_partition_fetch_bytes ||
           position->fetched_size == 0;
}

bool fetch_can_read(const struct position *position, int64_t now) {
    return position->state == POSITION_READING && !position->paused && !position->revoking &&
           position->rest_until_ms <= now;
}

/* Rule 2. */
static bool is_worth_asking(struct fetcher *fetcher, int64_t now) {
    size_t readable = 0;
    int64_t next = INT64_MAX;
    struct list *link;
    list_for_each (link, &fetcher->positions) {
        const struct position *position = container_of(link, struct position, fetcher_link);
        if (fetch_can_read(position, now)) {
            if (!fetch_has_room(position)) {
                return false;
            }
            readable++;
        } else if (position->rest_until_ms > now && position->rest_until_ms < next) {
            next = position->rest_until_ms;
        }
    }
    if (next != INT64_MAX) {
        fetcher->dirty = true;
        consumer_step_at(fetcher->consumer, next);
    }
    return readable > 0;
}

static bool all_have_ids(const struct fetcher *fetcher) {
    struct list *link;
    list_for_each (link, &fetcher->positions) {
        const struct position *position = container_of(link, struct position, fetcher_link);
        if (uuid_is_zero(position->topic->id)) {
            return false;
        }
    }
    return true;
}

enum { FETCH_VERSION_BY_NAME = 12 };

static void send(struct fetcher *fetcher, int64_t now) {
    const struct client_settings *settings = fetcher->consumer->settings;
    struct client_ask ask = {
        .role = CLIENT_BROKER,
        .broker_id = fetcher->broker_id,
        .lane = CLIENT_LANE_READ,
        .api_key = API_FETCH,
        .version_max = all_have_ids(fetcher) ? -1 : FETCH_VERSION_BY_NAME,
        .build = fetch_build,
        .done = fetch_answered,
        .timeout_ms = settings->request_timeout_ms + settings->fetch_max_wait_ms,
        .try_timeout_ms = settings->request_timeout_ms + settings->fetch_max_wait_ms,
        .arg = fetcher,
    };
    fetcher->sent_ms = now;
    fetcher->asked = client_ask(fetcher->consumer->client, &ask);
}

static void step(struct fetcher *fetcher, int64_t now) {
    struct ottla_consumer *consumer = fetcher->consumer;
    if (!fetcher->dirty || fetcher->asked != NULL) {
        return;
    }
    if (fetcher->rest_until_ms > now) {
        consumer_step_at(consumer, fetcher->rest_until_ms);
        return;
    }
    if (consumer->fetched_size >= (size_t)consumer->settings->fetch_max_bytes &&
        consumer->fetched_size > 0) {
        return; /* dirty still: when the application has taken some */
    }
    fetcher->dirty = false;
    if (is_worth_asking(fetcher, now)) {
        send(fetcher, now);
    }
}

static void fetcher_free(struct fetcher *fetcher) {
    if (fetcher->asked != NULL) {
        client_ask_cancel(fetcher->asked);
    }
    fetch_forgotten_clear(fetcher);
    free(fetcher);
}

/* Metadata names it no more. One that is only not read from keeps its session for the next time. */
static bool is_gone(const struct fetcher *fetcher) {
    return list_empty(&fetcher->positions) && fetcher->asked == NULL &&
           !broker_is_known(fetcher->consumer, fetcher->broker_id);
}

void fetch_step(struct ottla_consumer *consumer) {
    if (consumer->closing) {
        return;
    }
    int64_t now = consumer_now_ms(consumer);
    size_t cursor;
    struct fetcher *fetcher;
    map_for_each (&consumer->fetchers, cursor, fetcher) {
        if (is_gone(fetcher)) {
            (void)map_remove_u64(&consumer->fetchers, (uint64_t)fetcher->broker_id);
            fetcher_free(fetcher);
        } else {
            step(fetcher, now);
        }
    }
}

void fetch_consumed(struct ottla_consumer *consumer, struct position *position, size_t size) {
    take_size(consumer, position, size);
    if (position->fetcher != NULL && fetch_has_room(position)) {
        position->fetcher->dirty = true;
    }
}

/* --- the end --- */

struct goodbye {
    struct fetch_request request;
    struct client_asked *asked; /* NULL: not sent, or answered */
    struct farewell *farewell;
};

struct farewell {
    size_t left;
    bool done;
};

static void on_goodbye(void *arg, const struct client_answer *answer) {
    (void)answer; /* whatever it says */
    struct goodbye *goodbye = arg;
    goodbye->asked = NULL;
    goodbye->farewell->done = --goodbye->farewell->left == 0;
}

static bool has_session(const struct fetcher *fetcher) {
    return fetcher->asked == NULL && fetcher->session_id != 0 && fetcher->session_epoch > 0;
}

static void say_goodbye(const struct fetcher *fetcher, struct goodbye *goodbye) {
    enum { FINAL_EPOCH = -1 };
    wire_init(&fetch_request_type, &goodbye->request);
    goodbye->request.session_id = fetcher->session_id;
    goodbye->request.session_epoch = FINAL_EPOCH;
    struct client_ask ask = {
        .role = CLIENT_BROKER,
        .broker_id = fetcher->broker_id,
        .lane = CLIENT_LANE_READ,
        .api_key = API_FETCH,
        .version_max = fetcher->by_id ? -1 : FETCH_VERSION_BY_NAME,
        .request = &goodbye->request,
        .timeout_ms = CONSUMER_GOODBYE_MS,
        .done = on_goodbye,
        .arg = goodbye,
    };
    goodbye->asked = client_ask(fetcher->consumer->client, &ask);
}

void fetch_close_sessions(struct ottla_consumer *consumer, int64_t deadline_ms) {
    struct goodbye *goodbyes = calloc(map_count(&consumer->fetchers) + 1, sizeof *goodbyes);
    if (goodbyes == NULL) {
        abort();
    }
    struct farewell farewell = {0};
    size_t cursor;
    struct fetcher *fetcher;
    map_for_each (&consumer->fetchers, cursor, fetcher) {
        if (has_session(fetcher)) {
            struct goodbye *goodbye = &goodbyes[farewell.left++];
            goodbye->farewell = &farewell;
            say_goodbye(fetcher, goodbye);
        }
    }
    size_t count = farewell.left;
    if (count > 0) {
        (void)client_wait(consumer->client, &farewell.done, deadline_ms);
    }
    for (size_t i = 0; i < count; i++) {
        if (goodbyes[i].asked != NULL) {
            client_ask_cancel(goodbyes[i].asked);
        }
    }
    free(goodbyes);
}

void fetch_done(struct ottla_consumer *consumer) {
    size_t cursor;
    struct fetcher *fetcher;
    map_for_each (&consumer->fetchers, cursor, fetcher) {
        assert(list_empty(&fetcher->positions));
        fetcher_free(fetcher);
    }
    map_done(&consumer->fetchers);
}
