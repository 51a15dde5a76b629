/*
 * A reader: follows every partition, one Fetch after the other, half of them with a fetch session.
 *
 * Where it is told that its offset is out of range it begins again at the log's start. That is fine
 * when records were deleted there, or a power cut may have taken some; else it is a violation. With
 * `held` it is one, too, to be given none of the records that are there for so long.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "node_int.h"
#include "wire/api.h"

enum { POSITIONS_MAX = SIM_TOPICS_MAX * SIM_PARTITIONS_MAX, VERSION_WITH_IDS = 13 };

struct position {
    struct node_topic *topic;
    uint32_t incarnation;
    int32_t partition;
    int64_t offset;
    uint32_t cut;       /* run->power_cut_count when an offset was right the last time */
    bool lost;          /* the start of the log is to be asked for */
    bool told;          /* the session knows this offset */
    int64_t held_ms;    /* since when it is given nothing of what is there; -1: it is */
    uint32_t held_down; /* sim->down_count then */
};

struct reader {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct scenario_range wait;
    int16_t version;
    bool sessions;
    int32_t session_id;
    int32_t session_epoch; /* of the next fetch; -1: no session */
    bool busy;
    int64_t held_ms_max; /* -1: any time */
    struct node_records *records;
    struct position positions[POSITIONS_MAX];
    int count;
};

static void again(struct reader *reader, int64_t delay_ms) {
    node_timer_in(reader->client.sim, &reader->timer, delay_ms);
}

/* --- positions --- */

static struct position *position_of(struct reader *reader, const struct node_topic *topic,
                                    int32_t partition) {
    for (int i = 0; i < reader->count; i++) {
        struct position *position = &reader->positions[i];
        if (position->topic == topic && position->partition == partition) {
            return position;
        }
    }
    return NULL;
}

/* All partitions there are now. A topic that was made again is read from its begin. */
static void find_positions(struct reader *reader) {
    struct node_sim *sim = reader->client.sim;
    for (int t = 0; t < sim->topic_count; t++) {
        struct node_topic *topic = &sim->topics[t];
        for (int32_t p = 0; p < topic->partition_count && topic_is_usable(topic); p++) {
            struct position *position = position_of(reader, topic, p);
            if (position == NULL) {
                assert(reader->count < POSITIONS_MAX);
                position = &reader->positions[reader->count++];
                *position = (struct position){.topic = topic, .partition = p};
            }
            if (position->incarnation != topic->incarnation) {
                *position = (struct position){.topic = topic,
                                              .partition = p,
                                              .incarnation = topic->incarnation,
                                              .cut = sim->run->power_cut_count,
                                              .held_ms = -1};
                reader->session_epoch = 0;
            }
        }
    }
}

static bool is_readable(const struct position *position) {
    return topic_is_usable(position->topic) &&
           position->incarnation == position->topic->incarnation;
}

static bool at_the_end(struct reader *reader) {
    for (int i = 0; i < reader->count; i++) {
        const struct position *position = &reader->positions[i];
        if (is_readable(position) &&
            position->offset < position->topic->partitions[position->partition].final_end) {
            return false;
        }
    }
    return true;
}

/* --- the log's start, for one that lost its place --- */

static void start_answered(void *arg, const struct client_response *response) {
    struct reader *reader = arg;
    reader->busy = false;
    const struct list_offsets_response *message = response->message;
    for (int32_t t = 0; response->err == ERR_OK && t < message->topics_count; t++) {
        struct node_topic *topic = topic_by_name(reader->client.sim, message->topics[t].name);
        const struct list_offsets_response_list_offsets_partition_response *answer =
            &message->topics[t].partitions[0];
        struct position *position = position_of(reader, topic, answer->partition_index);
        if (answer->error_code == ERR_OK && position != NULL && is_readable(position)) {
            position->offset = answer->offset;
            position->cut = reader->client.sim->said_cut;
            position->lost = false;
            position->told = false;
        }
    }
    again(reader, 1);
}

static bool ask_for_start(struct reader *reader) {
    struct position *position = NULL;
    for (int i = 0; i < reader->count; i++) {
        if (reader->positions[i].lost && is_readable(&reader->positions[i])) {
            position = &reader->positions[i];
        }
    }
    if (position == NULL) {
        return false;
    }
    struct list_offsets_request_list_offsets_partition partition = {
        .partition_index = position->partition, .current_leader_epoch = -1, .timestamp = -2};
    struct list_offsets_request_list_offsets_topic topic = {
        .name = str_from_c(position->topic->name), .partitions = &partition, .partitions_count = 1};
    struct list_offsets_request request;
    wire_init(&list_offsets_request_type, &request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    reader->busy = node_link_send(&reader->link, API_LIST_OFFSETS, 7, &request, start_answered,
                                  reader) == ERR_OK;
    return true;
}

/* --- fetching --- */

static void take_record(void *arg, const struct node_fetched *fetched, int64_t offset,
                        uint64_t value) {
    (void)arg;
    audit_read(fetched->topic->partitions[fetched->partition].audit, offset, value);
}

static void take_marker(void *arg, const struct node_fetched *fetched,
                        const struct record_batch *batch) {
    (void)arg;
    audit_read_marker(fetched->topic->partitions[fetched->partition].audit,
                      record_batch_base_offset(batch->data));
}

static void out_of_range(struct reader *reader, struct position *position) {
    struct node_sim *sim = reader->client.sim;
    const struct node_topic *topic = position->topic;
    if (position->cut == sim->said_cut && !topic->deletes_records && topic->retention_bytes < 0) {
        node_fail(sim, "%s-%d: offset %" PRId64 " was read up to, and now is out of range",
                  topic->name, position->partition, position->offset);
    }
    position->lost = true;
}

/* What is there is given in time, be its transaction open, aborted or committed. */
static void check_given(const struct reader *reader, struct position *position, bool given,
                        int64_t high_watermark) {
    struct node_sim *sim = reader->client.sim;
    int64_t now_ms = sys_mono_ms(sim->sys);
    if (given || position->offset >= high_watermark) {
        position->held_ms = -1;
    } else if (position->held_ms < 0 || position->held_down != sim->down_count) {
        position->held_ms = now_ms;
        position->held_down = sim->down_count;
    } else if (reader->held_ms_max >= 0 && now_ms - position->held_ms > reader->held_ms_max) {
        node_fail(sim,
                  "%s-%d: a reader of all records is given none from offset %" PRId64
                  " on for %" PRId64 " ms, and the high watermark is %" PRId64,
                  position->topic->name, position->partition, position->offset,
                  now_ms - position->held_ms, high_watermark);
    }
}

static void take_partition(struct reader *reader, struct position *position,
                           const struct fetch_response_partition_data *data) {
    struct node_sim *sim = reader->client.sim;
    if (data->error_code == ERR_OFFSET_OUT_OF_RANGE) {
        out_of_range(reader, position);
        return;
    }
    if (data->error_code != ERR_OK) {
        if (!node_error_passes(data->error_code)) {
            node_fail(sim, "%s-%d: reading at offset %" PRId64 " is answered with %s",
                      position->topic->name, position->partition, position->offset,
                      err_name(data->error_code));
        }
        return;
    }
    position->cut = sim->said_cut;
    topic_note_high_watermark(position->topic, position->partition, data->high_watermark);
    struct node_fetched fetched = {
        .topic = position->topic,
        .partition = position->partition,
        .records = data->records,
        .high_watermark = data->high_watermark,
        .take = take_record,
        .marker = take_marker,
    };
    int64_t before = position->offset;
    (void)node_records_read(reader->records, &fetched, &position->offset);
    position->told = position->told && position->offset == before;
    check_given(reader, position, position->offset > before, data->high_watermark);
}

static void take_response(struct reader *reader, const struct fetch_response *response) {
    struct node_sim *sim = reader->client.sim;
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_fetchable_topic_response *answer = &response->responses[t];
        struct node_topic *topic = reader->version >= VERSION_WITH_IDS
                                       ? topic_by_id(sim, answer->topic_id)
                                       : topic_by_name(sim, answer->topic);
        for (int32_t p = 0; topic != NULL && p < answer->partitions_count; p++) {
            struct position *position =
                position_of(reader, topic, answer->partitions[p].partition_index);
            if (position != NULL && is_readable(position) && !position->lost) {
                take_partition(reader, position, &answer->partitions[p]);
            }
        }
    }
}

static void fetched(void *arg, const struct client_response *response) {
    struct reader *reader = arg;
    const struct fetch_response *message = response->message;
    reader->busy = false;
    if (response->err != ERR_OK) {
        reader->session_epoch = reader->sessions ? 0 : -1;
    } else if (message->error_code != ERR_OK) {
        if (message->error_code != ERR_FETCH_SESSION_ID_NOT_FOUND &&
            message->error_code != ERR_INVALID_FETCH_SESSION_EPOCH &&
            message->error_code != ERR_FETCH_SESSION_TOPIC_ID_ERROR &&
            !node_error_passes(message->error_code)) {
            node_fail(reader->client.sim, "Fetch is answered with %s",
                      err_name(message->error_code));
        }
        reader->session_epoch = reader->sessions ? 0 : -1;
    } else {
        take_response(reader, message);
        if (reader->sessions && message->session_id != 0) {
            reader->session_id = message->session_id;
            reader->session_epoch++;
        }
    }
    again(reader, node_draw(reader->client.sim, reader->wait) / 1000);
}

/* In a session only what changed is sent. */
static void fetch(struct reader *reader) {
    struct node_sim *sim = reader->client.sim;
    static const int32_t sizes[] = {1, 500, 4096, 65536};
    struct fetch_request_fetch_topic topics[POSITIONS_MAX];
    struct fetch_request_fetch_partition partitions[POSITIONS_MAX];
    struct fetch_request request;
    wire_init(&fetch_request_type, &request);
    request.max_wait_ms = (int32_t)node_below(sim, 400);
    request.min_bytes = 1;
    request.max_bytes = sizes[node_below(sim, 4)] * 4;
    request.topics = topics;
    request.session_id = reader->session_epoch > 0 ? reader->session_id : 0;
    request.session_epoch = reader->session_epoch;
    for (int i = 0; i < reader->count; i++) {
        struct position *position = &reader->positions[i];
        if (!is_readable(position) || position->lost ||
            (reader->session_epoch > 0 && position->told)) {
            continue;
        }
        partitions[i] = (struct fetch_request_fetch_partition){
            .partition = position->partition,
            .current_leader_epoch = -1,
            .fetch_offset = position->offset,
            .last_fetched_epoch = -1,
            .log_start_offset = -1,
            .partition_max_bytes = sizes[node_below(sim, 4)],
            .high_watermark = INT64_MAX,
        };
        topics[request.topics_count++] = (struct fetch_request_fetch_topic){
            .topic =
                reader->version >= VERSION_WITH_IDS ? STR("") : str_from_c(position->topic->name),
            .topic_id = reader->version >= VERSION_WITH_IDS ? position->topic->id : UUID_ZERO,
            .partitions = &partitions[i],
            .partitions_count = 1,
        };
        position->told = true;
    }
    err_t err =
        node_link_send(&reader->link, API_FETCH, reader->version, &request, fetched, reader);
    reader->busy = err == ERR_OK;
}

static void turn(struct sys_timer *timer) {
    struct reader *reader = container_of(timer, struct reader, timer);
    struct node_sim *sim = reader->client.sim;
    if (sim->final_walk_done && at_the_end(reader)) {
        reader->client.over = true;
        return;
    }
    find_positions(reader);
    if (reader->link.is_up && !reader->busy && reader->count > 0 && !ask_for_start(reader)) {
        fetch(reader);
    }
    if (!reader->busy) {
        again(reader, 20 + node_draw(sim, reader->wait) / 1000);
    }
}

static void reader_free(struct node_client *client) {
    struct reader *reader = container_of(client, struct reader, client);
    node_records_free(reader->records);
    free(reader);
}

void node_reader_new(struct node_sim *sim, struct scenario_line *line) {
    struct reader *reader = calloc(1, sizeof *reader);
    assert(reader != NULL);
    node_client_add(sim, &reader->client, "reader");
    reader->client.free = reader_free;
    reader->wait = scenario_range(line, "wait", "10ms-200ms");
    reader->held_ms_max = scenario_text(line, "held", NULL) == NULL
                              ? -1
                              : scenario_range(line, "held", "1s").most / 1000;
    reader->version =
        (int16_t)(node_below(sim, 2) == 0 ? 4 + node_below(sim, 9) : 13 + node_below(sim, 6));
    reader->sessions = reader->version >= 7 && node_below(sim, 2) == 0;
    reader->session_epoch = reader->sessions ? 0 : -1;
    reader->records = node_records_new();
    reader->timer.fire = turn;
    node_link_begin(&reader->link, sim);
    again(reader, 10);
}
