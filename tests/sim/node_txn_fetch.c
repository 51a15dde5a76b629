/*
 * Fetches of a reader of committed records. With a session it asks for all partitions that it reads
 * at a time: it says what changed, is told what changed, and takes out what it does not read any
 * more. Without one it asks for one partition at a time.
 */
#include "node_txn_reader.h"
#include "wire/api.h"

enum { VERSION_WITH_IDS = 13 };

/* --- answers --- */

static struct txn_place *place_of(struct txn_reader *reader, const struct node_topic *topic,
                                  int32_t partition) {
    for (int i = 0; i < reader->count; i++) {
        struct txn_place *place = &reader->places[i];
        if (place->topic == topic && place->partition == partition) {
            return place;
        }
    }
    return NULL;
}

/* In a session only what changed is there. */
static void take_response(struct txn_reader *reader, const struct fetch_response *response) {
    struct node_sim *sim = reader->client.sim;
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_fetchable_topic_response *answer = &response->responses[t];
        const struct node_topic *topic = reader->version >= VERSION_WITH_IDS
                                             ? topic_by_id(sim, answer->topic_id)
                                             : topic_by_name(sim, answer->topic);
        for (int32_t p = 0; p < answer->partitions_count; p++) {
            struct txn_place *place =
                place_of(reader, topic, answer->partitions[p].partition_index);
            if (place == NULL || !place->asked) {
                node_fail(sim, "a fetch of others is answered with partition %d of topic %s",
                          answer->partitions[p].partition_index,
                          topic == NULL ? "that is unknown" : topic->name);
                return;
            }
            txn_reader_take(reader, place, &answer->partitions[p]);
            place->told = place->told && place->offset == place->asked_offset;
        }
    }
}

void txn_reader_begin_session(struct txn_reader *reader) {
    reader->session_epoch = reader->sessions ? 0 : -1;
    for (int i = 0; i < reader->count; i++) {
        reader->places[i].told = false;
    }
}

static bool ends_session(int16_t code) {
    return code == ERR_FETCH_SESSION_ID_NOT_FOUND || code == ERR_INVALID_FETCH_SESSION_EPOCH ||
           code == ERR_FETCH_SESSION_TOPIC_ID_ERROR;
}

static void fetched(void *arg, const struct client_response *response) {
    struct txn_reader *reader = arg;
    const struct fetch_response *message = response->message;
    reader->busy = false;
    if (response->err != ERR_OK) {
        txn_reader_begin_session(reader);
    } else if (message->error_code != ERR_OK) {
        if (!ends_session(message->error_code) && !node_error_passes(message->error_code)) {
            node_fail(reader->client.sim, "a fetch of committed records is answered with %s",
                      err_name(message->error_code));
        }
        txn_reader_begin_session(reader);
    } else {
        take_response(reader, message);
        if (reader->sessions && message->session_id != 0) {
            reader->session_id = message->session_id;
            reader->session_epoch++;
        }
    }
    txn_reader_again(reader, 1 + node_draw(reader->client.sim, reader->wait) / 1000);
}

/* --- requests --- */

/* What a fetch points at. */
struct fetching {
    struct fetch_request request;
    struct fetch_request_fetch_topic topics[TXN_PLACES_MAX];
    struct fetch_request_fetch_partition partitions[TXN_PLACES_MAX];
    struct fetch_request_forgotten_topic forgotten[TXN_PLACES_MAX];
};

static void ask_for(struct txn_reader *reader, const struct txn_place *place,
                    struct fetching *fetching) {
    static const int32_t sizes[] = {1, 500, 4096, 65536};
    bool by_id = reader->version >= VERSION_WITH_IDS;
    int32_t at = fetching->request.topics_count++;
    fetching->partitions[at] = (struct fetch_request_fetch_partition){
        .partition = place->partition,
        .current_leader_epoch = -1,
        .fetch_offset = place->offset,
        .last_fetched_epoch = -1,
        .log_start_offset = -1,
        .partition_max_bytes = sizes[reader->final ? 3 : node_below(reader->client.sim, 4)],
        .high_watermark = INT64_MAX,
    };
    fetching->topics[at] = (struct fetch_request_fetch_topic){
        .topic = by_id ? STR("") : str_from_c(place->topic->name),
        .topic_id = by_id ? place->topic->id : UUID_ZERO,
        .partitions = &fetching->partitions[at],
        .partitions_count = 1,
    };
}

static void forget(struct txn_reader *reader, struct txn_place *place, struct fetching *fetching) {
    bool by_id = reader->version >= VERSION_WITH_IDS;
    int32_t at = fetching->request.forgotten_topics_data_count++;
    fetching->forgotten[at] = (struct fetch_request_forgotten_topic){
        .topic = by_id ? STR("") : str_from_c(place->topic->name),
        .topic_id = by_id ? place->topic->id : UUID_ZERO,
        .partitions = &place->partition,
        .partitions_count = 1,
    };
}

/* Those that it reads now: in a session it has all others, too, until they are taken out. */
static void choose(struct txn_reader *reader, const struct txn_place *drawn,
                   struct fetching *fetching) {
    for (int i = 0; i < reader->count; i++) {
        struct txn_place *place = &reader->places[i];
        bool wanted = place->knows_start && !(reader->final && txn_place_is_read(place));
        bool in_session = place->told || (place->asked && reader->session_epoch > 0);
        place->asked = reader->sessions ? wanted : place == drawn;
        place->asked_offset = place->offset;
        if (place->asked && !place->told) {
            ask_for(reader, place, fetching);
        } else if (!place->asked && in_session) {
            forget(reader, place, fetching);
        }
        place->told = place->asked && reader->sessions;
    }
}

void txn_reader_fetch(struct txn_reader *reader, const struct txn_place *drawn) {
    struct node_sim *sim = reader->client.sim;
    struct fetching fetching;
    struct fetch_request *request = &fetching.request;
    wire_init(&fetch_request_type, request);
    request->topics = fetching.topics;
    request->forgotten_topics_data = fetching.forgotten;
    choose(reader, drawn, &fetching);
    request->max_wait_ms = (int32_t)node_below(sim, 50);
    request->min_bytes = 1;
    request->max_bytes = request->topics_count > 0 ? fetching.partitions[0].partition_max_bytes
                                                   : 1 << (int)node_below(sim, 17);
    request->isolation_level = 1;
    request->session_id = reader->session_epoch > 0 ? reader->session_id : 0;
    request->session_epoch = reader->session_epoch;
    reader->asked_down = sim->down_count;
    reader->busy = node_link_send(&reader->link, API_FETCH, reader->version, request, fetched,
                                  reader) == ERR_OK;
    if (!reader->busy) {
        txn_reader_begin_session(reader); /* it was told nothing */
    }
}
