/*
 * A reader follows all partitions of one topic from its start, then of another one. Every record
 * goes to the auditor; besides, offsets must follow each other, and watermarks must not go back.
 *
 * Every second reader uses a fetch session: the first request names all partitions, the others only
 * those whose offset moved.
 */
#include <stdlib.h>

#include "stress.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/record_batch.h"

enum { FETCH_WAIT_MS = 200, PARTITION_SIZE_MAX = 64 * 1024, TOPIC_MS = 5000 };

struct position {
    int64_t offset;
    int64_t high_watermark;
    bool told; /* the session knows this offset */
};

struct reader {
    struct client client;
    struct stress *stress;
    int slot;
    struct topic topic;
    struct position positions[TOPIC_PARTITIONS_MAX];
    bool with_session;
    int32_t session_id;
    int32_t session_epoch;
    bool walking; /* records go to the auditor's walk */
    bool left;    /* the topic is gone, or the answer did not come */
    struct compression *compression;
    struct buffer scratch;
};

/* --- records --- */

static void take_record(struct reader *reader, struct audit_partition *audited, int32_t partition,
                        const struct record *record) {
    struct position *position = &reader->positions[partition];
    if (record->offset < position->offset) {
        return; /* a batch begins before what was asked for */
    }
    if (record->offset != position->offset) {
        stress_fail(reader->stress, "%s-%d: offset %lld was asked for, and %lld came",
                    reader->topic.name, partition, (long long)position->offset,
                    (long long)record->offset);
    }
    position->offset = record->offset + 1;
    position->told = false;
    uint64_t value = audit_value_check(record->value.data, (uint32_t)record->value.size);
    (void)stress_audit_take(reader->stress);
    if (reader->walking) {
        audit_walk_record(audited, record->offset, value);
    } else {
        audit_read(audited, record->offset, value);
    }
    stress_audit_give(reader->stress);
}

static void take_batch(struct reader *reader, struct audit_partition *audited, int32_t partition,
                       const struct record_batch *batch) {
    struct record_iter iter;
    struct record record;
    buffer_clear(&reader->scratch);
    err_t err = !record_batch_crc_matches(batch->data, batch->size)
                    ? ERR_CORRUPT
                    : record_iter_init(&iter, batch->data, batch->size, reader->compression,
                                       &reader->scratch, 1 << 20);
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        take_record(reader, audited, partition, &record);
    }
    if (err != ERR_NOT_FOUND) {
        stress_fail(reader->stress, "%s-%d: a batch at offset %lld is broken: %s",
                    reader->topic.name, partition, (long long)record_batch_base_offset(batch->data),
                    err_name(err));
    }
}

static void take_records(struct reader *reader, int32_t partition, struct bytes records) {
    (void)stress_audit_take(reader->stress);
    struct audit_partition *audited = stress_partition(reader->stress, &reader->topic, partition);
    stress_audit_give(reader->stress);
    size_t position = 0;
    struct record_batch batch;
    err_t err;
    while ((err = record_batch_next(records, &position, &batch)) == ERR_OK) {
        take_batch(reader, audited, partition, &batch);
    }
    if (err == ERR_CORRUPT) {
        stress_fail(reader->stress, "%s-%d: what was fetched is no run of batches",
                    reader->topic.name, partition);
    }
}

/* --- answers --- */

static void find_start(struct reader *reader, int32_t partition) {
    int64_t offset = client_offset(&reader->client, reader->topic.name, partition, -2);
    if (offset < 0 || !topic_is_same(reader->stress, reader->slot, &reader->topic)) {
        reader->left = true;
        return;
    }
    struct position *position = &reader->positions[partition];
    if (offset < position->offset) {
        stress_fail(reader->stress,
                    "%s-%d: offset %lld is out of range, but the log starts at %lld",
                    reader->topic.name, partition, (long long)position->offset, (long long)offset);
    }
    if (offset > position->offset && position->offset > 0) {
        atomic_fetch_add(&reader->stress->segments_lost, 1);
    }
    position->offset = offset;
    position->told = false;
}

static void take_watermark(struct reader *reader,
                           const struct fetch_response_partition_data *answer) {
    struct position *position = &reader->positions[answer->partition_index];
    if (answer->high_watermark < position->high_watermark) {
        stress_fail(reader->stress, "%s-%d: the high watermark was %lld, and is %lld",
                    reader->topic.name, answer->partition_index,
                    (long long)position->high_watermark, (long long)answer->high_watermark);
    }
    position->high_watermark = answer->high_watermark;
}

/* Returns whether the offset has to be looked up. */
static bool take_partition(struct reader *reader,
                           const struct fetch_response_partition_data *answer) {
    int32_t partition = answer->partition_index;
    if (partition < 0 || partition >= reader->topic.partition_count) {
        stress_fail(reader->stress, "%s: partition %d was not asked for", reader->topic.name,
                    partition);
        return false;
    }
    switch (answer->error_code) {
    case 0:
        take_watermark(reader, answer);
        take_records(reader, partition, answer->records);
        return false;
    case ERR_OFFSET_OUT_OF_RANGE:
        return true;
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_KAFKA_STORAGE_ERROR:
        reader->left = true;
        return false;
    default:
        stress_fail(reader->stress, "%s-%d: reading was answered with %s", reader->topic.name,
                    partition, err_name((err_t)answer->error_code));
        return false;
    }
}

static void take_answer(struct reader *reader, const struct fetch_response *response) {
    bool lost[TOPIC_PARTITIONS_MAX] = {false};
    if (response->error_code != 0) {
        /* Sessions are evicted: there are fewer slots than readers. */
        reader->session_id = 0;
        reader->session_epoch = 0;
        return;
    }
    if (reader->with_session && reader->session_epoch == 0 && response->session_id != 0) {
        atomic_fetch_add(&reader->stress->sessions, 1);
        reader->session_id = response->session_id;
    }
    reader->session_epoch += reader->session_id != 0;
    for (int32_t i = 0; i < response->responses_count; i++) {
        for (int32_t k = 0; k < response->responses[i].partitions_count; k++) {
            const struct fetch_response_partition_data *answer =
                &response->responses[i].partitions[k];
            if (take_partition(reader, answer)) {
                lost[answer->partition_index] = true;
            }
        }
    }
    for (int32_t i = 0; i < reader->topic.partition_count && !reader->left; i++) {
        if (lost[i]) {
            find_start(reader, i);
        }
    }
}

/* --- asking --- */

static void fetch(struct reader *reader) {
    struct fetch_request_fetch_partition partitions[TOPIC_PARTITIONS_MAX];
    struct fetch_request_fetch_topic topic = {.topic = str_from_c(reader->topic.name),
                                              .topic_id = reader->topic.id,
                                              .partitions = partitions};
    struct fetch_request request;
    wire_init(&fetch_request_type, &request);
    for (int32_t i = 0; i < reader->topic.partition_count; i++) {
        struct position *position = &reader->positions[i];
        if (reader->session_epoch == 0 || !position->told) {
            partitions[topic.partitions_count++] =
                (struct fetch_request_fetch_partition){.partition = i,
                                                       .current_leader_epoch = -1,
                                                       .fetch_offset = position->offset,
                                                       .last_fetched_epoch = -1,
                                                       .log_start_offset = -1,
                                                       .partition_max_bytes = PARTITION_SIZE_MAX,
                                                       .high_watermark = INT64_MAX};
            position->told = true;
        }
    }
    request.max_wait_ms = (int32_t)rng_below(&reader->client.rng, FETCH_WAIT_MS);
    request.min_bytes = rng_one_in(&reader->client.rng, 3) ? 20000 : 1;
    request.max_bytes = 200 * 1024;
    request.topics = &topic;
    request.topics_count = topic.partitions_count > 0 ? 1 : 0;
    request.session_id = reader->session_id;
    request.session_epoch = reader->with_session ? reader->session_epoch : -1;
    void *answer;
    if (client_call(&reader->client, API_FETCH, &request, &answer) == ERR_OK) {
        take_answer(reader, answer);
    } else {
        reader->session_id = 0;
        reader->session_epoch = 0;
        reader->left = reader->walking;
    }
}

static void follow(struct reader *reader) {
    struct stress *stress = reader->stress;
    int64_t until_ms = sys_mono_ms(reader->client.sys) + TOPIC_MS;
    for (int i = 0; i < TOPIC_PARTITIONS_MAX; i++) {
        reader->positions[i] = (struct position){0};
    }
    reader->left = false;
    reader->session_id = 0;
    reader->session_epoch = 0;
    while (!reader->left && sys_mono_ms(reader->client.sys) < until_ms &&
           topic_is_same(stress, reader->slot, &reader->topic) && client_connect(&reader->client)) {
        fetch(reader);
    }
}

static void reader_open(struct reader *reader, struct stress *stress, uint64_t seed) {
    *reader = (struct reader){.stress = stress};
    client_open(&reader->client, stress, seed);
    reader->compression = compression_new();
}

static void reader_close(struct reader *reader) {
    client_close(&reader->client);
    compression_free(reader->compression);
    buffer_done(&reader->scratch);
}

void *reader_run(void *arg) {
    struct thread *thread = arg;
    struct reader reader;
    reader_open(&reader, thread->stress, thread->seed);
    reader.with_session = thread->number % 2 == 0;
    while (!stress_is_ending(thread->stress)) {
        reader.slot = (int)rng_below(&reader.client.rng, TOPIC_COUNT);
        reader.topic = topic_get(thread->stress, reader.slot);
        if (reader.topic.alive) {
            follow(&reader);
        }
    }
    reader_close(&reader);
    return NULL;
}

/* --- the walk at the end --- */

static bool walk(struct reader *reader, int32_t partition) {
    const struct topic *topic = &reader->topic;
    int64_t start = client_offset(&reader->client, topic->name, partition, -2);
    int64_t end = client_offset(&reader->client, topic->name, partition, -1);
    if (start < 0 || end < 0) {
        stress_fail(reader->stress, "%s-%d: has no offsets at the end", topic->name, partition);
        return false;
    }
    (void)stress_audit_take(reader->stress);
    struct audit_partition *audited = stress_partition(reader->stress, topic, partition);
    audit_walk_begin(audited, start);
    stress_audit_give(reader->stress);

    /* Only this partition is asked for: the others rest as if the session knew them. */
    for (int i = 0; i < TOPIC_PARTITIONS_MAX; i++) {
        reader->positions[i] = (struct position){.told = true};
    }
    reader->positions[partition].offset = start;
    reader->session_id = 0;
    reader->session_epoch = -1; /* none */
    reader->left = false;
    while (!reader->left && reader->positions[partition].offset < end) {
        reader->positions[partition].told = false;
        fetch(reader);
    }
    (void)stress_audit_take(reader->stress);
    audit_walk_end(audited, end);
    stress_audit_give(reader->stress);
    return !reader->left;
}

int reader_walk_all(struct client *client) {
    struct reader reader;
    int count = 0;
    reader_open(&reader, client->stress, 1);
    reader.walking = true;
    reader.client.patient = true;
    for (int slot = 0; slot < TOPIC_KINDS; slot++) {
        reader.topic = topic_get(client->stress, slot);
        reader.slot = slot;
        for (int32_t i = 0; i < reader.topic.partition_count; i++) {
            /* Retention moves the start between the question and the answers. */
            count += slot != TOPIC_RETAINED && walk(&reader, i);
        }
    }
    reader_close(&reader);
    return count;
}
