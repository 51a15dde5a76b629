#include "read_back.h"

#include <string.h>

#include "suite.h"
#include "wire/api.h"
#include "wire/messages.h"

enum { WAIT_MS = 30000, FETCH_WITH_NAMES = 12, FETCH_BYTES = 1 << 20 };

/* --- plain requests --- */

struct waiting {
    bool done;
    err_t err;
    void (*read)(struct waiting *waiting, const struct client_answer *answer);
    void *arg;
};

static void answered(void *arg, const struct client_answer *answer) {
    struct waiting *waiting = arg;
    waiting->done = true;
    waiting->err = answer->err;
    if (answer->err == ERR_OK) {
        waiting->read(waiting, answer);
    }
}

static err_t ask(struct ottla_client *client, struct client_ask ask, struct waiting *waiting) {
    ask.done = answered;
    ask.arg = waiting;
    (void)client_ask(client, &ask);
    err_t err = client_wait(client, &waiting->done, sys_mono_ms(client_sys(client)) + WAIT_MS);
    return err != ERR_OK ? err : waiting->err;
}

/* --- topics --- */

static void read_created(struct waiting *waiting, const struct client_answer *answer) {
    const struct create_topics_response *response = answer->response;
    waiting->err = err_from_kafka_code(response->topics[0].error_code);
}

void topic_create(struct ottla_client *client, const char *topic, int32_t partition_count, ...) {
    struct create_topics_request_creatable_topic_config configs[8];
    struct create_topics_request_creatable_topic creatable;
    memset(&creatable, 0, sizeof creatable);
    creatable.name = str_from_c(topic);
    creatable.num_partitions = partition_count;
    creatable.replication_factor = -1;
    creatable.configs = configs;
    va_list args;
    va_start(args, partition_count);
    for (const char *name; (name = va_arg(args, const char *)) != NULL;) {
        configs[creatable.configs_count++] = (struct create_topics_request_creatable_topic_config){
            .name = str_from_c(name), .value = str_from_c(va_arg(args, const char *))};
    }
    va_end(args);
    struct create_topics_request request;
    wire_init(&create_topics_request_type, &request);
    request.topics = &creatable;
    request.topics_count = 1;
    request.timeout_ms = WAIT_MS;
    struct waiting waiting = {.read = read_created};
    err_t err = ask(client,
                    (struct client_ask){.role = CLIENT_CONTROLLER,
                                        .api_key = API_CREATE_TOPICS,
                                        .version_max = -1,
                                        .request = &request},
                    &waiting);
    if (err != ERR_OK) {
        fail_msg("topic %s cannot be created: %s", topic, err_name(err));
    }
}

static void read_grown(struct waiting *waiting, const struct client_answer *answer) {
    const struct create_partitions_response *response = answer->response;
    waiting->err = err_from_kafka_code(response->results[0].error_code);
}

void topic_grow(struct ottla_client *client, const char *topic, int32_t partition_count) {
    struct create_partitions_request_create_partitions_topic grown = {
        .name = str_from_c(topic), .count = partition_count, .assignments_count = -1};
    struct create_partitions_request request;
    wire_init(&create_partitions_request_type, &request);
    request.topics = &grown;
    request.topics_count = 1;
    request.timeout_ms = WAIT_MS;
    struct waiting waiting = {.read = read_grown};
    assert_int_equal(ask(client,
                         (struct client_ask){.role = CLIENT_CONTROLLER,
                                             .api_key = API_CREATE_PARTITIONS,
                                             .version_max = -1,
                                             .request = &request},
                         &waiting),
                     ERR_OK);
}

/* --- reading --- */

static void add_batch(struct read_back *read, struct bytes bytes) {
    struct compression *compression = compression_new();
    struct buffer scratch = {0};
    struct record_iter iter;
    assert_true(record_batch_crc_matches(bytes.data, bytes.size));
    assert_int_equal(
        record_iter_init(&iter, bytes.data, bytes.size, compression, &scratch, SIZE_MAX), ERR_OK);
    struct bytes kept = arena_bytes(&read->arena, iter.records);
    iter.records = kept;
    struct record record;
    while (record_iter_next(&iter, &record) == ERR_OK) {
        if (read->count == read->capacity) {
            size_t capacity = read->capacity * 2 + 64;
            read->records =
                arena_grow(&read->arena, read->records, read->capacity * sizeof *read->records,
                           capacity * sizeof *read->records);
            read->codecs =
                arena_grow(&read->arena, read->codecs, read->capacity * sizeof *read->codecs,
                           capacity * sizeof *read->codecs);
            read->capacity = capacity;
        }
        read->codecs[read->count] = (enum compression_type)record_batch_compression(bytes.data);
        read->records[read->count++] = record;
    }
    buffer_done(&scratch);
    compression_free(compression);
}

struct reading {
    struct read_back *read;
    int64_t next_offset;
    int64_t end_offset;
};

static void read_fetched(struct waiting *waiting, const struct client_answer *answer) {
    struct reading *reading = waiting->arg;
    const struct fetch_response *response = answer->response;
    assert_int_equal(response->responses_count, 1);
    const struct fetch_response_partition_data *partition = &response->responses[0].partitions[0];
    waiting->err = err_from_kafka_code(partition->error_code);
    reading->end_offset = partition->high_watermark;
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(partition->records, &position, &batch) == ERR_OK) {
        add_batch(reading->read, (struct bytes){batch.data, batch.size});
        reading->next_offset = record_batch_next_offset(batch.data);
    }
}

void read_back(struct ottla_client *client, const char *topic, int32_t partition,
               struct read_back *ret_read) {
    *ret_read = (struct read_back){0};
    arena_init(&ret_read->arena, SIZE_MAX);
    int32_t count;
    assert_int_equal(ottla_client_partition_count(client, topic, WAIT_MS, &count, NULL), OTTLA_OK);
    struct reading reading = {.read = ret_read, .end_offset = INT64_MAX};
    while (reading.next_offset < reading.end_offset) {
        struct fetch_request_fetch_partition part;
        memset(&part, 0, sizeof part);
        part.partition = partition;
        part.current_leader_epoch = part.last_fetched_epoch = -1;
        part.fetch_offset = reading.next_offset;
        part.log_start_offset = -1;
        part.partition_max_bytes = FETCH_BYTES;
        part.high_watermark = INT64_MAX;
        struct fetch_request_fetch_topic of = {
            .topic = str_from_c(topic), .partitions = &part, .partitions_count = 1};
        struct fetch_request request;
        wire_init(&fetch_request_type, &request);
        request.topics = &of;
        request.topics_count = 1;
        request.max_bytes = FETCH_BYTES;
        struct waiting waiting = {.read = read_fetched, .arg = &reading};
        assert_int_equal(
            ask(client,
                (struct client_ask){
                    .role = CLIENT_BROKER,
                    .broker_id =
                        client_topic(client, str_from_c(topic))->partitions[partition].leader,
                    .lane = CLIENT_LANE_READ,
                    .api_key = API_FETCH,
                    .version_max = FETCH_WITH_NAMES,
                    .request = &request},
                &waiting),
            ERR_OK);
    }
}

void read_back_done(struct read_back *read) {
    arena_done(&read->arena);
}
