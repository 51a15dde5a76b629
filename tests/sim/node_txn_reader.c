/*
 * A reader of committed records: follows every partition as consumers do, leaving out what the list
 * of aborted transactions says, and tells the auditor what it is given and what it passes. Half of
 * the readers have a fetch session, and ask for all partitions at a time; what they do not want for
 * a while they take out of it. The others ask for one partition, whole, at a time.
 *
 * The last stable offset may stand still only as long as a transaction may be open: its timeout,
 * the interval of the check for it, and a while for the markers (SLACK_MS); the time while the node
 * is down does not count. It never falls while the node lives.
 *
 * At the end each log is read again from its begin: what is there then is final.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node_txn_reader.h"
#include "wire/api.h"

enum { VERSION_WITH_SESSIONS = 7, SLACK_MS = 4000 };

void txn_reader_again(struct txn_reader *reader, int64_t delay_ms) {
    node_timer_in(reader->client.sim, &reader->timer, delay_ms);
}

/* --- what is aborted --- */

static int find_aborting(const struct txn_reader *reader, int64_t producer_id) {
    for (int i = 0; i < reader->aborting_count; i++) {
        if (reader->aborting[i] == producer_id) {
            return i;
        }
    }
    return -1;
}

static void begin_aborts(struct txn_reader *reader, int64_t offset) {
    const struct fetch_response_partition_data *data = reader->data;
    assert(data->aborted_transactions_count <= TXN_ABORTED_MAX);
    for (int32_t i = 0; i < data->aborted_transactions_count; i++) {
        const struct fetch_response_aborted_transaction *txn = &data->aborted_transactions[i];
        if (!reader->taken[i] && txn->first_offset <= offset) {
            reader->taken[i] = true;
            if (find_aborting(reader, txn->producer_id) < 0) {
                reader->aborting[reader->aborting_count++] = txn->producer_id;
            }
        }
    }
}

static bool skips(void *arg, const struct record_batch *batch) {
    struct txn_reader *reader = arg;
    begin_aborts(reader, record_batch_last_offset(batch->data));
    return record_batch_is_transactional(batch->data) &&
           find_aborting(reader, record_batch_producer_id(batch->data)) >= 0;
}

/* One that the cleaner emptied ends nothing. */
static bool is_abort(const struct record_batch *batch) {
    struct record_iter iter;
    struct record record;
    int16_t type;
    return record_iter_init(&iter, batch->data, batch->size, NULL, NULL, 0) == ERR_OK &&
           record_iter_next(&iter, &record) == ERR_OK &&
           control_record_key_read(record.key, &type) == ERR_OK && type == CONTROL_RECORD_ABORT;
}

static void take_marker(void *arg, const struct node_fetched *fetched,
                        const struct record_batch *batch) {
    struct txn_reader *reader = arg;
    begin_aborts(reader, record_batch_base_offset(batch->data));
    int at = find_aborting(reader, record_batch_producer_id(batch->data));
    if (at >= 0 && is_abort(batch)) {
        reader->aborting[at] = reader->aborting[--reader->aborting_count];
    }
    audit_read_marker(fetched->topic->partitions[fetched->partition].audit,
                      record_batch_base_offset(batch->data));
}

static void take_record(void *arg, const struct node_fetched *fetched, int64_t offset,
                        uint64_t value) {
    struct txn_reader *reader = arg;
    struct node_sim *sim = reader->client.sim;
    audit_read(fetched->topic->partitions[fetched->partition].audit, offset, value);
    bool is_old = sim->unsynced && sim->said_cut != sim->run->power_cut_count;
    if (!is_old) { /* else of before the power was cut */
        audit_txns_read(sim->txns, reader->stretch, value);
    }
    if (reader->final) {
        int place = (int)(fetched->topic - sim->topics) * SIM_PARTITIONS_MAX + fetched->partition;
        audit_effects_read(sim->effects, place, offset, value, fetched->topic->is_input);
    }
}

static void pass_record(void *arg, const struct node_fetched *fetched, int64_t offset,
                        uint64_t value) {
    struct txn_reader *reader = arg;
    struct node_sim *sim = reader->client.sim;
    audit_read(fetched->topic->partitions[fetched->partition].audit, offset, value);
    audit_txns_covered(sim->txns, reader->stretch, value);
}

/* --- the last stable offset --- */

static void check_stable(struct txn_reader *reader, struct txn_place *place,
                         const struct fetch_response_partition_data *data) {
    struct node_sim *sim = reader->client.sim;
    int64_t now_ms = sys_mono_ms(sim->sys);
    int64_t stable = data->last_stable_offset;
    bool same_life = place->stable_down == sim->down_count;
    if (reader->asked_down != sim->down_count) {
        return;
    }
    if (stable > data->high_watermark || (same_life && stable < place->stable)) {
        node_fail(sim,
                  "%s-%d: the last stable offset is %" PRId64 " after %" PRId64
                  ", the high watermark %" PRId64,
                  place->topic->name, place->partition, stable, place->stable,
                  data->high_watermark);
    }
    bool is_held = stable < data->high_watermark;
    if (!same_life || stable != place->stable || !is_held || place->held_ms < 0) {
        place->stable = stable;
        place->stable_down = sim->down_count;
        place->held_ms = is_held ? now_ms : -1;
    } else if (now_ms - place->held_ms > reader->open_ms_max + SLACK_MS) {
        node_fail(sim,
                  "%s-%d: the last stable offset is stuck at %" PRId64 " for %" PRId64
                  " ms, the high watermark is %" PRId64,
                  place->topic->name, place->partition, stable, now_ms - place->held_ms,
                  data->high_watermark);
    }
}

/* --- fetching --- */

static void cover(struct txn_reader *reader, const struct txn_place *place, int64_t from) {
    struct node_sim *sim = reader->client.sim;
    bool may_be_old = sim->run->power_cut_count > 0 && !reader->final;
    if (may_be_old || place->topic->compacted) {
        return; /* what is known of these offsets may not be there any more */
    }
    const struct audit_partition *audit = place->topic->partitions[place->partition].audit;
    for (int64_t at = from; at < place->offset; at++) {
        uint64_t value = audit_value_at(audit, at);
        if (value != 0) {
            audit_txns_covered(sim->txns, reader->stretch, value);
        }
    }
}

void txn_reader_take(struct txn_reader *reader, struct txn_place *place,
                     const struct fetch_response_partition_data *data) {
    struct node_sim *sim = reader->client.sim;
    if (data->error_code == ERR_OFFSET_OUT_OF_RANGE) {
        if (!place->topic->deletes_records && place->topic->retention_bytes < 0 &&
            sim->run->power_cut_count == 0) {
            node_fail(sim,
                      "%s-%d: offset %" PRId64 " is out of range for readers of committed records",
                      place->topic->name, place->partition, place->offset);
        }
        place->knows_start = false;
        return;
    }
    if (data->error_code != ERR_OK) {
        if (!node_error_passes(data->error_code)) {
            node_fail(sim, "%s-%d: reading committed records is answered with %s",
                      place->topic->name, place->partition, err_name(data->error_code));
        }
        return;
    }
    check_stable(reader, place, data);
    if (data->aborted_transactions_count > 0) {
        bool in_session = reader->session_epoch > 1;
        points_add(sim->run->points, in_session ? "aborted_listed_in_session" : "aborted_listed",
                   1);
    }
    int64_t from = place->offset;
    reader->data = data;
    reader->stretch = audit_txns_stretch(sim->txns);
    reader->aborting_count = 0;
    for (int i = 0; i < TXN_ABORTED_MAX; i++) {
        reader->taken[i] = false;
    }
    struct node_fetched fetched = {
        .topic = place->topic,
        .partition = place->partition,
        .records = data->records,
        .high_watermark = data->last_stable_offset,
        .take = take_record,
        .pass = pass_record,
        .marker = take_marker,
        .skips = skips,
        .arg = reader,
    };
    if (node_records_read(reader->records, &fetched, &place->offset)) {
        cover(reader, place, from);
    }
}

/* --- the log's start --- */

static void start_answered(void *arg, const struct client_response *response) {
    struct txn_reader *reader = arg;
    reader->busy = false;
    const struct list_offsets_response *message = response->message;
    if (response->err == ERR_OK && message->topics[0].partitions[0].error_code == ERR_OK) {
        reader->start_asked->offset = message->topics[0].partitions[0].offset;
        reader->start_asked->knows_start = true;
        reader->start_asked->told = false;
    }
    txn_reader_again(reader, 1);
}

static void ask_start(struct txn_reader *reader, struct txn_place *place) {
    struct list_offsets_request_list_offsets_partition partition = {
        .partition_index = place->partition, .current_leader_epoch = -1, .timestamp = -2};
    struct list_offsets_request_list_offsets_topic topic = {
        .name = str_from_c(place->topic->name), .partitions = &partition, .partitions_count = 1};
    struct list_offsets_request request;
    wire_init(&list_offsets_request_type, &request);
    request.replica_id = -1;
    request.isolation_level = 1;
    request.topics = &topic;
    request.topics_count = 1;
    reader->start_asked = place;
    reader->busy = node_link_send(&reader->link, API_LIST_OFFSETS, 7, &request, start_answered,
                                  reader) == ERR_OK;
}

/* --- turns --- */

static void find_places(struct txn_reader *reader) {
    struct node_sim *sim = reader->client.sim;
    for (int t = 0; t < sim->topic_count; t++) {
        struct node_topic *topic = &sim->topics[t];
        for (int32_t p = 0;
             topic_is_usable(topic) && !topic->comes_and_goes && p < topic->partition_count; p++) {
            bool known = false;
            for (int i = 0; i < reader->count; i++) {
                known |= reader->places[i].topic == topic && reader->places[i].partition == p;
            }
            if (!known) {
                reader->places[reader->count++] =
                    (struct txn_place){.topic = topic, .partition = p, .stable = -1};
            }
        }
    }
}

bool txn_place_is_read(const struct txn_place *place) {
    return place->knows_start &&
           place->offset >= place->topic->partitions[place->partition].final_end;
}

static struct txn_place *draw_place(struct txn_reader *reader) {
    struct node_sim *sim = reader->client.sim;
    if (!reader->final) {
        return &reader->places[node_below(sim, (uint64_t)reader->count)];
    }
    for (int i = 0; i < reader->count; i++) {
        if (!txn_place_is_read(&reader->places[i])) {
            return &reader->places[i];
        }
    }
    return NULL;
}

static void turn(struct sys_timer *timer) {
    struct txn_reader *reader = container_of(timer, struct txn_reader, timer);
    struct node_sim *sim = reader->client.sim;
    find_places(reader);
    if (sim->final_walk_done && !reader->final && !reader->busy) {
        reader->final = true;
        for (int i = 0; i < reader->count; i++) {
            reader->places[i].knows_start = false;
        }
    }
    struct txn_place *place = reader->count > 0 && !reader->busy ? draw_place(reader) : NULL;
    if (reader->final && place == NULL) {
        reader->client.over = true;
        return;
    }
    if (place != NULL && reader->link.is_up && !place->knows_start) {
        ask_start(reader, place);
    } else if (place != NULL && reader->link.is_up) {
        txn_reader_fetch(reader, place);
    }
    if (!reader->busy) {
        txn_reader_again(reader, 20);
    }
}

static void describe(struct node_client *client, char *text, size_t size) {
    const struct txn_reader *reader = container_of(client, struct txn_reader, client);
    for (int i = 0; i < reader->count; i++) {
        const struct txn_place *place = &reader->places[i];
        if (!txn_place_is_read(place)) {
            snprintf(text, size,
                     "a reader of committed records: %s-%d is read up to %" PRId64
                     ", stable up to %" PRId64 ", and ends at %" PRId64,
                     place->topic->name, place->partition, place->offset, place->stable,
                     place->topic->partitions[place->partition].final_end);
        }
    }
}

static void reader_free(struct node_client *client) {
    struct txn_reader *reader = container_of(client, struct txn_reader, client);
    node_records_free(reader->records);
    free(reader);
}

void node_txn_reader_new(struct node_sim *sim, struct scenario_line *line) {
    struct txn_reader *reader = calloc(1, sizeof *reader);
    assert(reader != NULL);
    node_client_add(sim, &reader->client, "committed-reader");
    reader->client.free = reader_free;
    reader->client.describe = describe;
    reader->wait = scenario_range(line, "wait", "5ms-50ms");
    reader->open_ms_max = scenario_range(line, "open", "7s").most / 1000;
    reader->version = (int16_t)(4 + node_below(sim, 14));
    reader->sessions = reader->version >= VERSION_WITH_SESSIONS && node_below(sim, 2) == 0;
    reader->session_epoch = reader->sessions ? 0 : -1;
    reader->records = node_records_new();
    reader->timer.fire = turn;
    node_link_begin(&reader->link, sim);
    txn_reader_again(reader, 10);
}
