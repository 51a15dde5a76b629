/*
 * The request of a fetcher, and its session (KIP-227): after a full request the broker remembers
 * the partitions, and later ones name only what changed, and what is to be forgotten.
 *
 * What the broker remembers of a position is in_session, sent_offset and sent_epoch. A partition
 * that is not to be read now (paused, or full) is forgotten, and named again later.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/fetch_int.h"
#include "wire/messages.h"

enum { FETCH_VERSION_SESSIONS = 7, FETCH_VERSION_IDS = 13 };

/* --- what is to be forgotten --- */

void fetch_forget(struct fetcher *fetcher, const struct position *position) {
    const struct consumer_topic *topic = position->topic;
    struct fetch_forgotten *forgotten = calloc(1, sizeof *forgotten + topic->name.size);
    if (forgotten == NULL) {
        abort();
    }
    char *name = (char *)(forgotten + 1);
    memcpy(name, topic->name.data, topic->name.size);
    forgotten->topic = (struct str){.data = name, .size = topic->name.size};
    forgotten->id = topic->id;
    forgotten->partition = position->partition;
    list_add_last(&fetcher->forgotten, &forgotten->link);
}

void fetch_forgotten_clear(struct fetcher *fetcher) {
    struct list *link;
    while ((link = list_take_first(&fetcher->forgotten)) != NULL) {
        free(container_of(link, struct fetch_forgotten, link));
    }
}

void fetch_session_reset(struct fetcher *fetcher, bool unknown) {
    fetcher->session_epoch = 0;
    if (unknown) {
        fetcher->session_id = 0;
    }
    fetch_forgotten_clear(fetcher);
    struct list *link;
    list_for_each (link, &fetcher->positions) {
        container_of(link, struct position, fetcher_link)->in_session = false;
    }
}

/* --- the request --- */

struct building {
    struct fetcher *fetcher;
    struct fetch_request *request;
    struct arena *arena;
    int16_t version;
    int64_t now;
    size_t position_count;             /* to be named */
    const struct consumer_topic *last; /* whose entry is the last of the topics */
};

static struct fetch_request_fetch_topic *topic_entry(struct building *building,
                                                     const struct consumer_topic *topic) {
    struct fetch_request *request = building->request;
    if (building->last != topic) {
        building->last = topic;
        struct fetch_request_fetch_topic *entry = &request->topics[request->topics_count++];
        entry->topic = topic->name;
        entry->topic_id = topic->id;
        entry->partitions_count = 0;
        /* As many as are left may be of this topic: taken from the common row. */
        entry->partitions = request->topics_count == 1
                                ? ARENA_ARRAY(building->arena, struct fetch_request_fetch_partition,
                                              building->position_count)
                                : entry[-1].partitions + entry[-1].partitions_count;
    }
    return &request->topics[request->topics_count - 1];
}

static void add_partition(struct building *building, struct position *position) {
    struct fetch_request_fetch_topic *topic = topic_entry(building, position->topic);
    struct fetch_request_fetch_partition *entry = &topic->partitions[topic->partitions_count++];
    *entry = (struct fetch_request_fetch_partition){
        .partition = position->partition,
        .current_leader_epoch = position->leader_epoch,
        .fetch_offset = position->fetch_offset,
        .last_fetched_epoch = -1, /* a consumer compares epochs by OffsetForLeaderEpoch */
        .log_start_offset = -1,
        .partition_max_bytes = building->fetcher->consumer->settings->max_partition_fetch_bytes,
        .high_watermark = INT64_MAX,
    };
    position->in_session = true;
    position->sent_offset = position->fetch_offset;
    position->sent_epoch = position->leader_epoch;
}

static bool is_news(const struct position *position) {
    return !position->in_session || position->sent_offset != position->fetch_offset ||
           position->sent_epoch != position->leader_epoch;
}

static bool can_be_named(const struct building *building, const struct position *position) {
    return building->version < FETCH_VERSION_IDS || !uuid_is_zero(position->topic->id);
}

/* What is to be read becomes in_flight, what not is forgotten. Counts those to be named. */
static void choose_positions(struct building *building) {
    struct fetcher *fetcher = building->fetcher;
    struct list *link;
    list_for_each (link, &fetcher->positions) {
        struct position *position = container_of(link, struct position, fetcher_link);
        position->in_flight = fetch_can_read(position, building->now) && fetch_has_room(position) &&
                              can_be_named(building, position);
        if (position->in_flight) {
            building->position_count += fetcher->full || is_news(position);
        } else if (position->in_session) {
            fetch_forget(fetcher, position);
            position->in_session = false;
        }
    }
}

static void add_positions(struct building *building) {
    struct fetcher *fetcher = building->fetcher;
    choose_positions(building);
    building->request->topics = ARENA_ARRAY(building->arena, struct fetch_request_fetch_topic,
                                            building->position_count + 1);
    struct list *link;
    list_for_each (link, &fetcher->positions) {
        struct position *position = container_of(link, struct position, fetcher_link);
        if (position->in_flight && (fetcher->full || is_news(position))) {
            add_partition(building, position);
        }
    }
}

/* It came back to this broker before the broker was told to forget it. */
static bool is_back(const struct fetcher *fetcher, const struct fetch_forgotten *forgotten) {
    const struct position *position =
        consumer_position(fetcher->consumer, forgotten->topic, forgotten->partition);
    return position != NULL && position->fetcher == fetcher && position->in_session &&
           (!fetcher->by_id || uuid_equal(position->topic->id, forgotten->id));
}

static void add_forgotten(struct building *building) {
    struct fetcher *fetcher = building->fetcher;
    size_t count = 0;
    struct list *link;
    list_for_each (link, &fetcher->forgotten) {
        count++;
    }
    struct fetch_request *request = building->request;
    request->forgotten_topics_data =
        ARENA_ARRAY(building->arena, struct fetch_request_forgotten_topic, count + 1);
    int32_t *partitions = ARENA_ARRAY(building->arena, int32_t, count + 1);
    list_for_each (link, &fetcher->forgotten) {
        const struct fetch_forgotten *forgotten = container_of(link, struct fetch_forgotten, link);
        if (is_back(fetcher, forgotten)) {
            continue;
        }
        *partitions = forgotten->partition;
        request->forgotten_topics_data[request->forgotten_topics_data_count++] =
            (struct fetch_request_forgotten_topic){
                .topic = arena_str(building->arena, forgotten->topic),
                .topic_id = forgotten->id,
                .partitions = partitions++,
                .partitions_count = 1,
            };
    }
    fetch_forgotten_clear(fetcher);
}

/* The session goes on, or a new one is begun with everything in it. */
static void prepare_session(struct fetcher *fetcher, int16_t version) {
    bool by_id = version >= FETCH_VERSION_IDS;
    if (by_id != fetcher->by_id || version < FETCH_VERSION_SESSIONS) {
        fetch_session_reset(fetcher, version < FETCH_VERSION_SESSIONS);
        fetcher->by_id = by_id;
    }
    fetcher->full = fetcher->session_epoch == 0;
    if (fetcher->full) {
        fetch_session_reset(fetcher, false);
    }
}

err_t fetch_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                  const void **ret_request) {
    struct fetcher *fetcher = arg;
    assert(broker_id == fetcher->broker_id);
    const struct client_settings *settings = fetcher->consumer->settings;
    struct fetch_request *request = ARENA_NEW(arena, struct fetch_request);
    struct building building = {.fetcher = fetcher,
                                .request = request,
                                .arena = arena,
                                .version = version,
                                .now = consumer_now_ms(fetcher->consumer)};
    wire_init(&fetch_request_type, request);
    prepare_session(fetcher, version);
    request->max_wait_ms = settings->fetch_max_wait_ms;
    request->min_bytes = settings->fetch_min_bytes;
    request->max_bytes = settings->fetch_max_bytes;
    request->isolation_level = (int8_t)settings->isolation_level;
    request->rack_id = str_from_c(settings->client_rack == NULL ? "" : settings->client_rack);
    if (version >= FETCH_VERSION_SESSIONS) {
        request->session_id = fetcher->session_id;
        request->session_epoch = fetcher->session_epoch;
    }
    add_positions(&building);
    add_forgotten(&building);
    *ret_request = request;
    return ERR_OK;
}
