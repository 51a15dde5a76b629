/*
 * Invariants
 *   1. batches->memory is the sum of batch_memory over all batches in use, batches->spare that of
 *      the buffers kept, and together they are at most memory_max, but for
 *        - the only batch there is, so that any record that may be sent can be,
 *        - the two halves of a batch, until it is freed.
 *   2. A batch's header is undefined until batch_stamp, and its records stay as they are from
 *      batch_close on.
 *   3. receipts is NULL, or has an entry for each record.
 */
#include "client/batches.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 1024, /* of a batch that may stay small */
    FIRST_RECEIPTS = 16,
    KEPT_CAPACITY_MIN = 1024, /* less is not worth keeping */

    /* length, attributes, timestamp, offset, key size, value size, header count */
    RECORD_OVERHEAD_MAX = 5 + 1 + 10 + 5 + 5 + 5 + 5,
    HEADER_OVERHEAD_MAX = 5 + 5,
};

void batches_init(struct batches *batches, size_t batch_size, size_t memory_max,
                  enum compression_type codec, int level) {
    *batches = (struct batches){
        .batch_size = batch_size,
        .memory_max = memory_max,
        .codec = codec,
        .level = level,
        .compression = compression_new(),
    };
}

void batches_done(struct batches *batches) {
    assert(batches->memory == 0);
    for (size_t i = 0; i < batches->buffer_count; i++) {
        buffer_done(&batches->buffers[i]);
    }
    free(batches->buffers);
    buffer_done(&batches->packed);
    compression_free(batches->compression);
    *batches = (struct batches){0};
}

/* --- memory --- */

static size_t batch_memory(const struct batch *batch) {
    return sizeof *batch + batch->bytes.capacity +
           batch->receipt_capacity * sizeof *batch->receipts;
}

static void drop_spare(struct batches *batches) {
    struct buffer *buffer = &batches->buffers[--batches->buffer_count];
    batches->spare -= buffer->capacity;
    buffer_done(buffer);
}

/* Whether so much more may be used; gives up buffers kept for it. */
static bool memory_allows(struct batches *batches, size_t size) {
    while (batches->memory + batches->spare + size > batches->memory_max) {
        if (batches->buffer_count == 0) {
            return batches->memory == 0;
        }
        drop_spare(batches);
    }
    return true;
}

bool batches_reserve(struct batches *batches, size_t size) {
    bool allowed = memory_allows(batches, size);
    batches->memory += allowed ? size : 0;
    return allowed;
}

void batches_unreserve(struct batches *batches, size_t size) {
    assert(batches->memory >= size);
    batches->memory -= size;
}

static void keep_buffer(struct batches *batches, struct buffer *buffer) {
    bool fits = batches->memory + batches->spare + buffer->capacity <= batches->memory_max;
    if (!fits || buffer->capacity != batches->batch_size || buffer->capacity < KEPT_CAPACITY_MIN) {
        buffer_done(buffer);
        return;
    }
    if (batches->buffer_count == batches->buffer_capacity) {
        batches->buffer_capacity = batches->buffer_capacity * 2 + 8;
        batches->buffers =
            realloc(batches->buffers, batches->buffer_capacity * sizeof *batches->buffers);
        if (batches->buffers == NULL) {
            abort();
        }
    }
    batches->spare += buffer->capacity;
    buffer_clear(buffer);
    batches->buffers[batches->buffer_count++] = *buffer;
    *buffer = (struct buffer){0};
}

static void buffer_set_capacity(struct buffer *buffer, size_t capacity) {
    assert(capacity >= buffer->size);
    buffer->data = realloc(buffer->data, capacity);
    if (buffer->data == NULL) {
        abort();
    }
    buffer->capacity = capacity;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* --- filling --- */

size_t batch_record_bound(const struct ottla_record *record) {
    size_t size = RECORD_OVERHEAD_MAX + record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++) {
        size += HEADER_OVERHEAD_MAX + record->headers[i].key_size + record->headers[i].value.size;
    }
    return size;
}

static struct batch *new_batch(struct batches *batches, size_t capacity) {
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        abort();
    }
    if (batches->buffer_count > 0 && capacity <= batches->batch_size) {
        batch->bytes = batches->buffers[--batches->buffer_count];
        batches->spare -= batch->bytes.capacity;
    } else {
        buffer_set_capacity(&batch->bytes, capacity);
    }
    batch->open = true;
    batch->offset = -1;
    batch->append_time_ms = -1;
    batch_builder_init(&batch->builder, &batch->bytes,
                       &(struct batch_options){
                           BATCH_OPTIONS_DEFAULT, .level = batches->level,
                           .attributes = batches->transactional ? RECORD_BATCH_TRANSACTIONAL : 0});
    batches->memory += batch_memory(batch);
    return batch;
}

struct batch *batches_open(struct batches *batches, size_t record_bound, size_t likely_size) {
    size_t likely = likely_size > batches->batch_size / 2 ? batches->batch_size
                                                          : max_size(likely_size, FIRST_CAPACITY);
    size_t capacity =
        max_size(RECORD_BATCH_HEADER_SIZE + record_bound, min_size(likely, batches->batch_size));
    bool kept = batches->buffer_count > 0 && capacity <= batches->batch_size;
    if (!kept && !memory_allows(batches, sizeof(struct batch) + capacity)) {
        return NULL;
    }
    return new_batch(batches, capacity);
}

struct room {
    size_t capacity;
    size_t receipt_capacity;
    size_t more; /* memory than now */
};

/* What a batch must have to take a record of that bound, and its receipt if there are receipts. */
static struct room plan_room(const struct batches *batches, const struct batch *batch,
                             size_t record_bound) {
    struct room room = {.capacity = batch->bytes.capacity,
                        .receipt_capacity = batch->receipt_capacity};
    size_t needed = batch->bytes.size + record_bound;
    if (needed > room.capacity) {
        room.capacity = max_size(needed, min_size(room.capacity * 2, batches->batch_size));
    }
    if (batch->receipts != NULL && (size_t)batch_record_count(batch) == room.receipt_capacity) {
        room.receipt_capacity *= 2;
    }
    room.more = room.capacity - batch->bytes.capacity +
                (room.receipt_capacity - batch->receipt_capacity) * sizeof *batch->receipts;
    return room;
}

static void make_room(struct batches *batches, struct batch *batch, struct room room) {
    if (room.capacity != batch->bytes.capacity) {
        buffer_set_capacity(&batch->bytes, room.capacity);
    }
    if (room.receipt_capacity != batch->receipt_capacity) {
        batch->receipts = realloc(batch->receipts, room.receipt_capacity * sizeof *batch->receipts);
        if (batch->receipts == NULL) {
            abort();
        }
        batch->receipt_capacity = room.receipt_capacity;
    }
    batches->memory += room.more;
}

/* Nobody wanted to hear of the records before. */
static void begin_receipts(struct batches *batches, struct batch *batch, size_t capacity) {
    batch->receipts = calloc(capacity, sizeof *batch->receipts);
    if (batch->receipts == NULL) {
        abort();
    }
    batch->receipt_capacity = capacity;
    batches->memory += capacity * sizeof *batch->receipts;
}

static void add_receipt(struct batches *batches, struct batch *batch, int64_t timestamp_ms,
                        ottla_delivery_fn delivered, void *arg) {
    if (batch->receipts == NULL) {
        if (delivered == NULL) {
            return;
        }
        size_t count = (size_t)batch_record_count(batch);
        begin_receipts(batches, batch, max_size(FIRST_RECEIPTS, count * 2));
    }
    batch->receipts[batch_record_count(batch)] =
        (struct batch_receipt){.delivered = delivered, .arg = arg, .timestamp_ms = timestamp_ms};
}

static_assert(
    sizeof(struct ottla_header) == sizeof(struct record_header) &&
        offsetof(struct ottla_header, key) == offsetof(struct record_header, key.data) &&
        offsetof(struct ottla_header, key_size) == offsetof(struct record_header, key.size) &&
        offsetof(struct ottla_header, value.data) == offsetof(struct record_header, value.data) &&
        offsetof(struct ottla_header, value.size) == offsetof(struct record_header, value.size),
    "headers of the caller are written as they are");

err_t batches_append(struct batches *batches, struct batch *batch, size_t record_bound,
                     const struct ottla_record *record, int64_t timestamp_ms,
                     ottla_delivery_fn delivered, void *arg) {
    assert(batch->open);
    if (batch_record_count(batch) > 0 && batch->bytes.size + record_bound > batches->batch_size) {
        return ERR_LIMIT;
    }
    struct room room = plan_room(batches, batch, record_bound);
    if (room.more > 0) {
        if (!memory_allows(batches, room.more) && batches->memory > batch_memory(batch)) {
            return ERR_BUSY;
        }
        make_room(batches, batch, room);
    }
    add_receipt(batches, batch, timestamp_ms, delivered, arg);
    batch_builder_add(&batch->builder, timestamp_ms,
                      (struct bytes){.data = record->key.data, .size = record->key.size},
                      (struct bytes){.data = record->value.data, .size = record->value.size},
                      (const struct record_header *)(const void *)record->headers,
                      (int)record->header_count);
    return ERR_OK;
}

bool batch_is_full(const struct batches *batches, const struct batch *batch) {
    return !batch->open || batch->bytes.size >= batches->batch_size;
}

/* --- closing --- */

/* Puts the packed records into a buffer of just their size; the large one is kept. */
static void pack(struct batches *batches, struct batch *batch) {
    struct bytes records = {.data = batch->bytes.data + RECORD_BATCH_HEADER_SIZE,
                            .size = batch->bytes.size - RECORD_BATCH_HEADER_SIZE};
    buffer_clear(&batches->packed);
    compression_compress(batches->compression, batches->codec, batches->level, records,
                         &batches->packed);
    if (batches->packed.size >= records.size) {
        return;
    }
    struct buffer bytes = {0};
    buffer_set_capacity(&bytes, RECORD_BATCH_HEADER_SIZE + batches->packed.size);
    (void)buffer_extend(&bytes, RECORD_BATCH_HEADER_SIZE);
    buffer_add(&bytes, batches->packed.data, batches->packed.size);

    batches->memory -= batch_memory(batch);
    struct buffer large = batch->bytes;
    batch->bytes = bytes;
    batches->memory += batch_memory(batch);
    keep_buffer(batches, &large);
    batch->packed = true;
    batch->builder.options.compression = batches->codec;
}

void batch_close(struct batches *batches, struct batch *batch) {
    if (batch->open) {
        batch->open = false;
        if (batches->codec != COMPRESSION_NONE) {
            pack(batches, batch);
        }
    }
}

void batch_stamp(struct batches *batches, struct batch *batch, int64_t producer_id, int16_t epoch,
                 int32_t sequence) {
    batch_close(batches, batch);
    struct batch_options *options = &batch->builder.options;
    options->producer_id = producer_id;
    options->producer_epoch = epoch;
    options->base_sequence = sequence;
    batch_builder_finish_packed(&batch->builder);
}

int32_t batch_next_sequence(const struct batch *batch) {
    uint32_t next = (uint32_t)batch_sequence(batch) + (uint32_t)batch_record_count(batch);
    return (int32_t)(next & INT32_MAX);
}

/* --- splitting --- */

static struct batch *new_part(struct batches *batches, const struct batch *whole, size_t size) {
    struct batch *part = new_batch(batches, RECORD_BATCH_HEADER_SIZE + size);
    part->created_ms = whole->created_ms;
    part->attempts = whole->attempts;
    part->maybe_written = whole->maybe_written;
    part->half = true;
    if (whole->receipts != NULL) {
        begin_receipts(batches, part, (size_t)batch_record_count(whole));
    }
    return part;
}

void batch_split(struct batches *batches, struct batch *batch, struct batch *ret_halves[2]) {
    int32_t count = batch_record_count(batch);
    assert(!batch->open);
    assert(count > 1);
    struct buffer scratch = {0};
    struct record_iter iter;
    err_t err = record_iter_init(&iter, batch->bytes.data, batch->bytes.size, batches->compression,
                                 &scratch, SIZE_MAX);
    assert(err == ERR_OK);
    size_t half = iter.records.size / 2;
    struct batch *halves[2] = {new_part(batches, batch, half), new_part(batches, batch, half)};
    for (int32_t i = 0; i < count; i++) {
        bool first = i == 0 || (iter.position < half && i + 1 < count);
        struct batch *to = halves[first ? 0 : 1];
        struct record record;
        err = record_iter_next(&iter, &record);
        assert(err == ERR_OK);
        make_room(batches, to, plan_room(batches, to, record.size + RECORD_OVERHEAD_MAX));
        if (batch->receipts != NULL) {
            to->receipts[batch_record_count(to)] = batch->receipts[i];
        }
        batch_builder_add_record(&to->builder, &record);
    }
    buffer_done(&scratch);
    batch_close(batches, halves[0]);
    batch_close(batches, halves[1]);
    ret_halves[0] = halves[0];
    ret_halves[1] = halves[1];
}

void batch_free(struct batches *batches, struct batch *batch) {
    if (batch == NULL) {
        return;
    }
    batches->memory -= batch_memory(batch);
    keep_buffer(batches, &batch->bytes);
    free(batch->receipts);
    batch_outcome_done(batch);
    free(batch);
}
