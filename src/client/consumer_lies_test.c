/*
 * Brokers that lie to a consumer, half a minute of the simulated world each. Polls return in their
 * time, no broker is hammered, memory stays bounded; and when the truth is told again, all records
 * are read, each once and in order (but where the lie was a record).
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fetch_fake_test_int.h"
#include "ottla/consumer.h"
#include "wire/record_batch.h"

enum {
    LIE_MS = 30 * 1000,
    POLL_MS = 100,
    POLL_LATE_MS = 50,
    CALLS_MAX = 5000, /* what honest reading takes; a request per answer would be ten times more */
    MEMORY_MAX = 8 * 1024 * 1024,
    END = 400,
};

static struct fetch_fake *fake;
static struct ottla_consumer *consumer;
static int calls;
static bool lying;

struct lie {
    const char *name;
    enum fake_do (*tell)(struct fake_call *call);
    bool about_records; /* what is read under it is not what is there */
};

static uint64_t chance(uint64_t bound) {
    return sim_world_random(fake->cluster->world, bound);
}

static struct fetch_response_partition_data *first_of(struct fake_call *call) {
    const struct fetch_response *response = call->response;
    return call->api_key == API_FETCH && response->responses_count > 0
               ? response->responses[0].partitions
               : NULL;
}

/* --- lies --- */

static enum fake_do other_partitions(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->partition_index = (int32_t)chance(3) == 0 ? -1 : 1000 + call->number;
    }
    return FAKE_ANSWER;
}

static enum fake_do other_topics(struct fake_call *call) {
    struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH && response->responses_count > 0) {
        response->responses[0].topic_id.bytes[3] ^= 1;
    }
    return FAKE_ANSWER;
}

/* The same partition many times, with the same records. */
static enum fake_do repeated(struct fake_call *call) {
    struct fetch_response *response = call->response;
    if (first_of(call) != NULL) {
        enum { TIMES = 50 };
        struct fetch_response_partition_data *many =
            ARENA_ARRAY(call->arena, struct fetch_response_partition_data, TIMES);
        for (int i = 0; i < TIMES; i++) {
            many[i] = *first_of(call);
        }
        response->responses[0].partitions = many;
        response->responses[0].partitions_count = TIMES;
    }
    return FAKE_ANSWER;
}

static enum fake_do nothing_at_once(struct fake_call *call) {
    struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH) {
        response->responses_count = 0;
    }
    return FAKE_ANSWER;
}

static enum fake_do sessions_change(struct fake_call *call) {
    struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH) {
        response->session_id = 1 + (int32_t)chance(1000);
        fake->sessions[call->broker_id] = (struct fetch_fake_session){0};
    }
    return FAKE_ANSWER;
}

static enum fake_do cut_batches(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL && data->records.size > 0) {
        data->records.size = 1 + chance(data->records.size - 1);
    }
    return FAKE_ANSWER;
}

static enum fake_do flipped_bytes(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL && data->records.size > 0) {
        uint8_t *bytes = (uint8_t *)data->records.data;
        bytes[chance(data->records.size)] ^= (uint8_t)(1 << chance(8));
    }
    return FAKE_ANSWER;
}

static enum fake_do old_records(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL && data->records.size > 0) {
        record_batch_set_base_offset((uint8_t *)data->records.data, 0);
    }
    return FAKE_ANSWER;
}

static enum fake_do garbage_records(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        uint8_t *bytes = ARENA_ARRAY(call->arena, uint8_t, 500);
        for (int i = 0; i < 500; i++) {
            bytes[i] = (uint8_t)chance(256);
        }
        data->records = (struct bytes){bytes, chance(500)};
    }
    return FAKE_ANSWER;
}

static enum fake_do strange_watermarks(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->high_watermark = chance(2) == 0 ? INT64_MIN : INT64_MAX;
        data->last_stable_offset = INT64_MIN;
        data->log_start_offset = INT64_MAX;
    }
    return FAKE_ANSWER;
}

static enum fake_do every_error(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->error_code = (int16_t)((int)chance(140) - 2);
    }
    return FAKE_ANSWER;
}

static enum fake_do one_error(struct fake_call *call) {
    struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH) {
        response->error_code = ERR_UNKNOWN_SERVER_ERROR;
    }
    return FAKE_ANSWER;
}

static enum fake_do never_a_leader(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        data->current_leader.leader_id = (int32_t)chance(100);
        data->current_leader.leader_epoch = (int32_t)chance(2) == 0 ? -5 : 1;
    }
    return FAKE_ANSWER;
}

static enum fake_do followers_in_a_circle(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->preferred_read_replica = call->broker_id % 2 + 1;
        data->records = (struct bytes){.data = NULL};
    }
    return FAKE_ANSWER;
}

static enum fake_do followers_with_records(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->preferred_read_replica = (int32_t)chance(4) - 1;
    }
    return FAKE_ANSWER;
}

/* Leaders that nobody is, another one each time. */
static enum fake_do leaders_from_nowhere(struct fake_call *call) {
    if (call->api_key == API_METADATA) {
        struct metadata_response *response = call->response;
        for (int32_t i = 0; i < response->topics_count; i++) {
            if (response->topics[i].partitions_count > 0) {
                response->topics[i].partitions[0].leader_id = (int32_t)chance(INT32_MAX);
            }
        }
    }
    return never_a_leader(call);
}

static enum fake_do always_out_of_range(struct fake_call *call) {
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL) {
        data->error_code = ERR_OFFSET_OUT_OF_RANGE;
    }
    return FAKE_ANSWER;
}

static enum fake_do offsets_from_nowhere(struct fake_call *call) {
    if (call->api_key == API_LIST_OFFSETS) {
        struct list_offsets_response *response = call->response;
        response->topics[0].partitions[0].offset = chance(2) == 0 ? INT64_MIN : INT64_MAX;
    }
    struct fetch_response_partition_data *data = first_of(call);
    if (data != NULL && chance(3) == 0) {
        data->error_code = ERR_OFFSET_OUT_OF_RANGE;
    }
    return FAKE_ANSWER;
}

static enum fake_do no_offsets(struct fake_call *call) {
    if (call->api_key == API_LIST_OFFSETS) {
        ((struct list_offsets_response *)call->response)->topics_count = 0;
    }
    return always_out_of_range(call);
}

static enum fake_do throttled_for_ever(struct fake_call *call) {
    if (call->api_key == API_FETCH) {
        ((struct fetch_response *)call->response)->throttle_time_ms =
            chance(2) == 0 ? INT32_MIN : 100;
    }
    return FAKE_ANSWER;
}

/* The whole answer as bytes, some of them wrong. */
static enum fake_do flipped_answers(struct fake_call *call) {
    if (call->api_key != API_FETCH || chance(3) == 0) {
        return FAKE_ANSWER;
    }
    struct buffer *out = &call->raw;
    (void)buffer_extend(out, 4);
    struct response_header header = {.correlation_id = call->correlation_id};
    int16_t header_version = wire_response_header_version(call->api_key, call->version);
    assert_int_equal(wire_encode(&response_header_type, header_version, &header, out), ERR_OK);
    size_t body = out->size;
    assert_int_equal(
        wire_encode(wire_api(call->api_key)->response, call->version, call->response, out), ERR_OK);
    for (uint64_t flips = 1 + chance(4); flips > 0; flips--) {
        out->data[body + chance(out->size - body)] ^= (uint8_t)(1 << chance(8));
    }
    put_be32(out->data, (uint32_t)(out->size - 4));
    return FAKE_BYTES;
}

/* --- a lie's life --- */

static enum fake_do twist(void *arg, struct fake_call *call) {
    const struct lie *lie = arg;
    calls += call->api_key != API_METADATA;
    return lying ? lie->tell(call) : FAKE_ANSWER;
}

static int64_t next[2];

static void poll_once(bool in_order) {
    const struct ottla_record *records;
    struct ottla_error error = {0};
    size_t count;
    int64_t before = sim_world_now_ms(fake->cluster->world);
    int code = ottla_consumer_poll(consumer, POLL_MS, &records, &count, &error);
    assert_true(sim_world_now_ms(fake->cluster->world) - before <= POLL_MS + POLL_LATE_MS);
    if (code != OTTLA_OK) {
        assert_true(error.text[0] != 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t partition = records[i].partition;
        assert_true(partition == 0 || partition == 1);
        if (in_order) {
            assert_int_equal(records[i].offset, next[partition]);
        }
        next[partition] = records[i].offset + 1;
    }
}

static void begin(const struct lie *lie) {
    struct ottla_error error = {0};
    fake = fetch_fake_new(11, 2, 2, END);
    fake->twist = twist;
    fake->arg = (void *)(uintptr_t)lie;
    calls = 0;
    (void)fake_cluster_client(fake->cluster, "auto.offset.reset", "earliest", NULL);
    assert_int_equal(ottla_consumer_new(fake->cluster->client, &consumer, &error), OTTLA_OK);
    struct ottla_position positions[] = {{.topic = "t", .partition = 0, .leader_epoch = -1},
                                         {.topic = "t", .partition = 1, .leader_epoch = -1}};
    next[0] = next[1] = 0;
    assert_int_equal(ottla_consumer_assign(consumer, positions, 2, &error), OTTLA_OK);
}

static bool is_read(void) {
    return next[0] == END && next[1] == END;
}

/* From the start again, truly. */
static void read_all(void) {
    for (int32_t i = 0; i < 2; i++) {
        struct ottla_position start = {.topic = "t", .partition = i, .leader_epoch = -1};
        assert_int_equal(ottla_consumer_seek(consumer, &start), OTTLA_OK);
        next[i] = 0;
    }
    int64_t until = sim_world_now_ms(fake->cluster->world) + LIE_MS;
    while (!is_read() && sim_world_now_ms(fake->cluster->world) < until) {
        poll_once(true);
    }
    assert_true(is_read());
}

static void live_through(void **state) {
    const struct lie *lie = *state;
    begin(lie);
    lying = true;
    size_t memory = mallinfo2().uordblks;
    for (int64_t until = sim_world_now_ms(fake->cluster->world) + LIE_MS;
         sim_world_now_ms(fake->cluster->world) < until;) {
        poll_once(!lie->about_records);
        if (is_read()) {
            next[0] = next[1] = 0;
            for (int32_t i = 0; i < 2; i++) {
                struct ottla_position start = {.topic = "t", .partition = i, .leader_epoch = -1};
                (void)ottla_consumer_seek(consumer, &start);
            }
            fake_cluster_run(fake->cluster, 1000);
        }
    }
    assert_in_range(calls, 1, CALLS_MAX);
    size_t now = mallinfo2().uordblks;
    assert_true(now < memory + MEMORY_MAX);
    lying = false;
    fake_cluster_run(fake->cluster, 3000);
    read_all();
    (void)ottla_consumer_close(consumer, 5000);
    ottla_consumer_free(consumer);
    fetch_fake_free(fake);
}

static struct lie lies[] = {
    {"other partitions", other_partitions, false},
    {"other topics", other_topics, false},
    {"repeated", repeated, false},
    {"nothing at once", nothing_at_once, false},
    {"sessions change", sessions_change, false},
    {"cut batches", cut_batches, false},
    {"flipped bytes", flipped_bytes, true},
    {"old records", old_records, true},
    {"garbage records", garbage_records, true},
    {"strange watermarks", strange_watermarks, false},
    {"every error", every_error, true},
    {"one error", one_error, false},
    {"never a leader", never_a_leader, false},
    {"followers in a circle", followers_in_a_circle, false},
    {"followers with records", followers_with_records, false},
    {"leaders from nowhere", leaders_from_nowhere, false},
    {"always out of range", always_out_of_range, true},
    {"offsets from nowhere", offsets_from_nowhere, true},
    {"no offsets", no_offsets, true},
    {"throttled for ever", throttled_for_ever, false},
    {"flipped answers", flipped_answers, true},
};

int main(void) {
    enum { COUNT = sizeof lies / sizeof *lies };
    struct CMUnitTest tests[COUNT];
    for (int i = 0; i < COUNT; i++) {
        tests[i] = (struct CMUnitTest){
            .name = lies[i].name, .test_func = live_through, .initial_state = &lies[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
