/* Batches of a producer: filling, packing, stamping, splitting, and what they may use of memory. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "client/batches.h"

static struct batches batches;
static struct ottla_delivery seen[2000];
static size_t seen_args[2000];
static size_t seen_count;

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    seen_args[seen_count] = (size_t)arg;
    seen[seen_count++] = *delivery;
}

static void begin(size_t batch_size, size_t memory, enum compression_type codec) {
    batches_init(&batches, batch_size, memory, codec, compression_level_default(codec));
    seen_count = 0;
}

static char value_text[4096];

static struct ottla_record record_of(size_t number, size_t size) {
    (void)snprintf(value_text, sizeof value_text, "%0*zu", (int)size, number);
    return (struct ottla_record){.topic = "t", .value = {value_text, size}};
}

static err_t append(struct batch *batch, size_t number, size_t size) {
    struct ottla_record record = record_of(number, size);
    return batches_append(&batches, batch, batch_record_bound(&record), &record,
                          1000 + (int64_t)number, delivered, (void *)number);
}

static struct batch *open_for(size_t size) {
    struct ottla_record record = record_of(0, size);
    return batches_open(&batches, batch_record_bound(&record), 0);
}

/* The records are those from `first` on, as append wrote them. Returns how many. */
static size_t check_records(struct batch *batch, size_t first, size_t size) {
    assert_true(record_batch_crc_matches(batch->bytes.data, batch->bytes.size));
    assert_int_equal(record_batch_length(batch->bytes.data) + RECORD_BATCH_OVERHEAD,
                     batch->bytes.size);
    struct buffer scratch = {0};
    struct record_iter iter;
    assert_int_equal(record_iter_init(&iter, batch->bytes.data, batch->bytes.size,
                                      batches.compression, &scratch, SIZE_MAX),
                     ERR_OK);
    struct record record;
    size_t count = 0;
    while (record_iter_next(&iter, &record) == ERR_OK) {
        (void)record_of(first + count, size);
        assert_int_equal(record.value.size, size);
        assert_memory_equal(record.value.data, value_text, size);
        assert_int_equal(record.timestamp, 1000 + first + count);
        count++;
    }
    buffer_done(&scratch);
    return count;
}

static size_t fill(struct batch *batch, size_t first, size_t size) {
    size_t count = 0;
    while (append(batch, first + count, size) == ERR_OK) {
        count++;
    }
    return count;
}

static void every_codec(void **state) {
    (void)state;
    for (enum compression_type codec = 0; (int)codec < COMPRESSION_TYPE_COUNT; codec++) {
        begin(16384, 1 << 20, codec);
        for (int round = 0; round < 3; round++) { /* kept buffers are as good as new ones */
            struct batch *batch = open_for(100);
            size_t count = fill(batch, 7, 100);
            assert_in_range(count, 100, 163);
            batch_stamp(&batches, batch, 42, 3, INT32_MAX - 1);
            assert_int_equal(check_records(batch, 7, 100), count);
            assert_int_equal(record_batch_compression(batch->bytes.data), codec);
            assert_int_equal(record_batch_producer_id(batch->bytes.data), 42);
            assert_int_equal(batch_next_sequence(batch), (int32_t)count - 2);
            batch_stamp(&batches, batch, 43, 0, 0);
            assert_int_equal(check_records(batch, 7, 100), count);
            assert_int_equal(record_batch_producer_epoch(batch->bytes.data), 0);
            assert_true(batches.memory >= batch->bytes.size);
            batch_free(&batches, batch);
        }
        assert_int_equal(batches.memory, 0);
        assert_int_equal(batches.buffer_count, 1);
        batches_done(&batches);
    }
}

static void what_packing_makes_larger_stays(void **state) {
    (void)state;
    begin(16384, 1 << 20, COMPRESSION_ZSTD);
    struct batch *batch = open_for(1);
    assert_int_equal(append(batch, 1, 1), ERR_OK);
    batch_stamp(&batches, batch, -1, -1, -1);
    assert_int_equal(record_batch_compression(batch->bytes.data), COMPRESSION_NONE);
    assert_int_equal(check_records(batch, 1, 1), 1);
    batch_free(&batches, batch);
    batches_done(&batches);
}

static void a_large_record_has_a_batch_of_its_own(void **state) {
    (void)state;
    begin(500, 1 << 20, COMPRESSION_NONE);
    struct batch *batch = open_for(2000);
    assert_int_equal(append(batch, 0, 2000), ERR_OK);
    assert_true(batch_is_full(&batches, batch));
    assert_int_equal(append(batch, 1, 1), ERR_LIMIT);
    batch_free(&batches, batch);
    batches_done(&batches);

    begin(0, 1 << 20, COMPRESSION_NONE); /* batch.size=0: no batching */
    batch = open_for(1);
    assert_int_equal(append(batch, 0, 1), ERR_OK);
    assert_true(batch_is_full(&batches, batch));
    assert_int_equal(append(batch, 1, 1), ERR_LIMIT);
    batch_free(&batches, batch);
    batches_done(&batches);
}

static void memory_has_a_bound(void **state) {
    (void)state;
    enum { MAX = 100000 };
    begin(16384, MAX, COMPRESSION_NONE);
    struct batch *taken[20];
    size_t count = 0;
    while ((taken[count] = open_for(1000)) != NULL) {
        err_t err = ERR_OK;
        for (size_t i = 0; err == ERR_OK; i++) {
            err = append(taken[count], i, 1000);
        }
        count++;
        assert_true(batches.memory <= MAX);
        if (err == ERR_BUSY) {
            break;
        }
    }
    assert_in_range(count, 4, 6);
    while (count > 0) {
        batch_free(&batches, taken[--count]);
        assert_true(batches.memory + batches.spare <= MAX);
    }
    assert_int_equal(batches.memory, 0);
    batches_done(&batches);

    begin(16384, 10, COMPRESSION_NONE); /* one batch there may always be */
    struct batch *batch = open_for(1000);
    assert_int_equal(append(batch, 0, 1000), ERR_OK);
    assert_null(open_for(1));
    batch_free(&batches, batch);
    batches_done(&batches);
}

static void split_goes_on_to_single_records(void **state) {
    (void)state;
    for (enum compression_type codec = 0; codec <= COMPRESSION_GZIP; codec++) {
        begin(16384, 1 << 20, codec);
        struct batch *batch = open_for(500);
        size_t count = fill(batch, 0, 500);
        batch_stamp(&batches, batch, 1, 0, 0);
        size_t done = 0;
        struct list todo;
        list_init(&todo);
        list_add_last(&todo, &batch->link);
        while (!list_empty(&todo)) {
            batch = container_of(list_take_first(&todo), struct batch, link);
            if (batch_record_count(batch) == 1) {
                assert_int_equal(check_records(batch, done, 500), 1);
                batch->offset = (int64_t)done;
                batch_deliver(batch, "t", 0);
                done++;
            } else {
                struct batch *halves[2];
                batch_split(&batches, batch, halves);
                int32_t both = batch_record_count(halves[0]) + batch_record_count(halves[1]);
                assert_int_equal(both, batch_record_count(batch));
                for (int i = 1; i >= 0; i--) {
                    batch_stamp(&batches, halves[i], 1, 0, 0);
                    list_add_first(&todo, &halves[i]->link);
                }
            }
            batch_free(&batches, batch);
        }
        assert_int_equal(done, count);
        assert_int_equal(seen_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(seen_args[i], i);
            assert_int_equal(seen[i].offset, i);
            assert_int_equal(seen[i].timestamp_ms, 1000 + i);
        }
        assert_int_equal(batches.memory, 0);
        batches_done(&batches);
    }
}

/* Receipts are only there from the first record whose owner wants to hear. */
static void deliveries_tell_the_outcome(void **state) {
    (void)state;
    begin(16384, 1 << 20, COMPRESSION_NONE);
    struct batch *batch = open_for(10);
    struct ottla_record record = record_of(0, 10);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(
            batches_append(&batches, batch, batch_record_bound(&record), &record, 5, NULL, NULL),
            ERR_OK);
    }
    assert_null(batch->receipts);
    for (size_t i = 40; i < 43; i++) {
        assert_int_equal(append(batch, i, 10), ERR_OK);
    }
    batch->offset = 1000;
    batch->append_time_ms = 77;
    batch_deliver(batch, "t", 3);
    assert_int_equal(seen_count, 3);
    assert_int_equal(seen_args[0], 40);
    assert_int_equal(seen[0].offset, 1040);
    assert_int_equal(seen[0].timestamp_ms, 77);
    assert_int_equal(seen[2].partition, 3);

    seen_count = 0;
    batch_set_outcome(batch, ERR_INVALID_RECORD, STR("bad ones"));
    batch_add_complaint(batch, 41, STR("no key"));
    batch_add_complaint(batch, 41, STR("again"));
    batch_add_complaint(batch, 43, STR("beyond"));
    batch_add_complaint(batch, 42, STR_NULL);
    batch_deliver(batch, "t", 3);
    assert_int_equal(seen[0].code, ERR_INVALID_RECORD);
    assert_non_null(strstr(seen[0].text, "another record"));
    assert_int_equal(seen[0].offset, -1);
    assert_string_equal(seen[1].text, "no key");
    assert_string_equal(seen[2].text, "bad ones");
    batch_free(&batches, batch);
    batches_done(&batches);
}

static void headers_and_nulls(void **state) {
    (void)state;
    begin(16384, 1 << 20, COMPRESSION_NONE);
    struct ottla_header headers[] = {{"h1", 2, {"one", 3}}, {"", 0, {NULL, 0}}, {"h3", 2, {"", 0}}};
    struct ottla_record record = {.key = {"", 0}, .headers = headers, .header_count = 3};
    struct batch *batch = batches_open(&batches, batch_record_bound(&record), 0);
    assert_int_equal(
        batches_append(&batches, batch, batch_record_bound(&record), &record, 1, NULL, NULL),
        ERR_OK);
    batch_stamp(&batches, batch, -1, -1, -1);
    struct record_iter iter;
    assert_int_equal(
        record_iter_init(&iter, batch->bytes.data, batch->bytes.size, NULL, NULL, SIZE_MAX),
        ERR_OK);
    struct record read;
    assert_int_equal(record_iter_next(&iter, &read), ERR_OK);
    assert_non_null(read.key.data);
    assert_null(read.value.data);
    size_t position = 0;
    struct record_header header;
    record_header_next(&read, &position, &header);
    assert_true(str_equal(header.key, STR("h1")));
    record_header_next(&read, &position, &header);
    assert_null(header.value.data);
    record_header_next(&read, &position, &header);
    assert_non_null(header.value.data);
    assert_int_equal(header.value.size, 0);
    batch_free(&batches, batch);
    batches_done(&batches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec),
        cmocka_unit_test(what_packing_makes_larger_stays),
        cmocka_unit_test(a_large_record_has_a_batch_of_its_own),
        cmocka_unit_test(memory_has_a_bound),
        cmocka_unit_test(split_goes_on_to_single_records),
        cmocka_unit_test(deliveries_tell_the_outcome),
        cmocka_unit_test(headers_and_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
