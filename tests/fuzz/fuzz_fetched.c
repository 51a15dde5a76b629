/* What a consumer makes of the records of a fetch: any bytes behind a byte of choices. Checksums of
 * batches are made right where a choice says so. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "client/fetched.h"
#include "wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHECK_CRCS = 1, MAKE_CRCS = 2, COMMITTED_ONLY = 4, LEND_LITTLE = 8, RECORDS_MAX = 64 };

static void make_crcs(uint8_t *copy, size_t size) {
    struct bytes run = {.data = copy, .size = size};
    struct record_batch batch;
    size_t position = 0;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        uint8_t *at = copy + (batch.data - copy);
        if (batch.magic < 2) {
            put_be32(at + MESSAGE_CRC,
                     crc32_ieee(0, at + RECORD_BATCH_MAGIC, batch.size - RECORD_BATCH_MAGIC));
        } else {
            put_be32(at + RECORD_BATCH_CRC, record_batch_crc_compute(at, batch.size));
        }
    }
}

/* Every byte that a record points at is there. */
static uint64_t touch(const struct ottla_record *record) {
    uint64_t sum = 0;
    for (size_t i = 0; i < record->key.size; i++) {
        sum += ((const uint8_t *)record->key.data)[i];
    }
    for (size_t i = 0; i < record->value.size; i++) {
        sum += ((const uint8_t *)record->value.data)[i];
    }
    for (size_t h = 0; h < record->header_count; h++) {
        assert(record->headers[h].key[record->headers[h].key_size] == 0);
        for (size_t i = 0; i < record->headers[h].value.size; i++) {
            sum += ((const uint8_t *)record->headers[h].value.data)[i];
        }
    }
    return sum;
}

static volatile uint64_t sink;

static void read_all(struct fetched *fetched, struct fetched_pool *pool, size_t max) {
    static struct ottla_record records[RECORDS_MAX];
    struct fetched_place place = {.topic = "t", .epoch = -1};
    size_t used = 0;
    err_t err = ERR_OK;
    while (err == ERR_OK) {
        size_t count, bytes;
        int64_t before = place.offset;
        err = fetched_take(fetched, pool, &place, records, max, &count, &bytes);
        assert(count <= max);
        assert(count > 0 || err != ERR_OK);
        assert(place.offset >= before);
        used += bytes;
        assert(used <= fetched->records.size);
        for (size_t i = 0; i < count; i++) {
            assert(records[i].offset >= before);
            assert(records[i].offset < place.offset);
            before = records[i].offset + 1;
            sink += touch(&records[i]);
        }
        fetched_pool_release(pool);
    }
    assert(err == ERR_NOT_FOUND || err == ERR_CORRUPT_MESSAGE || err == ERR_MESSAGE_TOO_LARGE ||
           err == ERR_UNSUPPORTED_COMPRESSION_TYPE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    uint8_t choices = data[0];
    struct fetched_frame *frame = calloc(1, sizeof *frame);
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    if ((choices & MAKE_CRCS) != 0) {
        make_crcs(copy, size - 1);
    }
    struct bytes run = {.data = copy, .size = size - 1};
    assert(fetched_end_offset(run, 5) >= 5);

    struct arena headers;
    struct fetched_pool pool;
    arena_init(&headers, SIZE_MAX);
    fetched_pool_init(&pool, &headers);
    pool.check_crcs = (choices & CHECK_CRCS) != 0;
    pool.committed_only = (choices & COMMITTED_ONLY) != 0;
    pool.lent_max = (choices & LEND_LITTLE) != 0 ? 100 : pool.lent_max;
    frame->memory = copy;
    frame->users = 1;
    const struct fetch_response_aborted_transaction aborted[] = {{1, 3}, {0, 0}};
    struct fetched *fetched = fetched_new(frame, run, aborted, 2);
    fetched_frame_unref(frame);
    read_all(fetched, &pool, (size_t)(choices >> 4) + 1);
    fetched_retire(fetched, &pool);
    fetched_pool_done(&pool);
    arena_done(&headers);
    return 0;
}
