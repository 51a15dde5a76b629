/*
 * A batch goes through three steps:
 *
 *     look_ahead   its header and checksum; batches that hold nothing for the application are
 *                  passed here: control batches, aborted ones, those before the offset
 *     open_batch   its records: in place, or decompressed into scratch memory
 *     take_record  one after the other
 *
 * After the wanted number of records the end of the open batch is looked at once more, so that the
 * offset of a partition that was read to its end stands behind trailing control batches.
 */
#include "client/fetched.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct fetched_scratch {
    struct list link;
    struct buffer buffer;
};

/* --- memory --- */

static void *take_memory(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void fetched_frame_unref(struct fetched_frame *frame) {
    assert(frame->users > 0);
    if (--frame->users == 0) {
        free(frame->memory);
        free(frame);
    }
}

void fetched_pool_init(struct fetched_pool *pool, struct arena *headers) {
    *pool = (struct fetched_pool){.compression = compression_new(),
                                  .headers = headers,
                                  .round = 1,
                                  .lent_max = FETCHED_LENT_MAX,
                                  .check_crcs = true};
    list_init(&pool->idle);
    list_init(&pool->lent);
    list_init(&pool->spent);
}

static void scratch_free(struct fetched_scratch *scratch) {
    buffer_done(&scratch->buffer);
    free(scratch);
}

static void free_scratches(struct list *list) {
    struct list *link;
    while ((link = list_take_first(list)) != NULL) {
        scratch_free(container_of(link, struct fetched_scratch, link));
    }
}

void fetched_pool_release(struct fetched_pool *pool) {
    struct list *link;
    while ((link = list_take_first(&pool->spent)) != NULL) {
        fetched_free(container_of(link, struct fetched, link));
    }
    size_t kept = 0;
    while ((link = list_take_first(&pool->lent)) != NULL) {
        struct fetched_scratch *scratch = container_of(link, struct fetched_scratch, link);
        kept += scratch->buffer.capacity;
        if (kept > FETCHED_IDLE_MAX) {
            scratch_free(scratch);
        } else {
            list_add_first(&pool->idle, &scratch->link);
        }
    }
    pool->lent_size = 0;
    pool->round++;
    arena_reset(pool->headers);
}

void fetched_pool_done(struct fetched_pool *pool) {
    fetched_pool_release(pool);
    free_scratches(&pool->idle);
    compression_free(pool->compression);
}

static struct fetched_scratch *scratch_take(struct fetched_pool *pool) {
    struct list *link = list_take_first(&pool->idle);
    if (link != NULL) {
        return container_of(link, struct fetched_scratch, link);
    }
    return take_memory(sizeof(struct fetched_scratch));
}

/* Nobody looks into it. */
static void scratch_give_back(struct fetched_pool *pool, struct fetched_scratch *scratch) {
    if (scratch->buffer.capacity > FETCHED_IDLE_MAX) {
        scratch_free(scratch);
    } else {
        list_add_first(&pool->idle, &scratch->link);
    }
}

/* The application may look into it until the release. */
static void scratch_lend(struct fetched_pool *pool, struct fetched_scratch *scratch) {
    list_add_last(&pool->lent, &scratch->link);
    pool->lent_size += scratch->buffer.size;
}

struct fetched *fetched_new(struct fetched_frame *frame, struct bytes records,
                            const struct fetch_response_aborted_transaction *aborted,
                            int32_t aborted_count) {
    struct fetched *fetched = take_memory(sizeof *fetched);
    fetched->frame = frame;
    frame->users++;
    fetched->records = records;
    aborted_init(&fetched->aborted, aborted, aborted_count);
    return fetched;
}

void fetched_free(struct fetched *fetched) {
    assert(!list_linked(&fetched->link));
    if (fetched->scratch != NULL) {
        scratch_free(fetched->scratch);
    }
    aborted_done(&fetched->aborted);
    fetched_frame_unref(fetched->frame);
    free(fetched);
}

void fetched_retire(struct fetched *fetched, struct fetched_pool *pool) {
    list_remove(&fetched->link);
    list_add_last(&pool->spent, &fetched->link);
}

/* --- batches --- */

static int64_t last_offset_of(const struct record_batch *batch) {
    return batch->magic < 2 ? message_last_offset(batch) : record_batch_last_offset(batch->data);
}

static bool offsets_possible(const struct record_batch *batch) {
    int64_t base = record_batch_base_offset(batch->data);
    int64_t last = last_offset_of(batch);
    return base >= 0 && last >= base && last < INT64_MAX;
}

int64_t fetched_end_offset(struct bytes records, int64_t from) {
    struct record_batch batch;
    size_t position = 0;
    int64_t end = from;
    while (record_batch_next(records, &position, &batch) == ERR_OK && offsets_possible(&batch)) {
        int64_t next = last_offset_of(&batch) + 1;
        end = next > end ? next : end;
    }
    return end;
}

static bool checksum_good(const struct fetched_pool *pool, const struct record_batch *batch) {
    if (!pool->check_crcs) {
        return true;
    }
    return batch->magic < 2 ? message_check(batch) == ERR_OK
                            : record_batch_crc_matches(batch->data, batch->size);
}

static bool is_wanted(struct fetched *fetched, const struct fetched_pool *pool,
                      const struct record_batch *batch, int64_t offset) {
    bool wanted = last_offset_of(batch) >= offset;
    if (batch->magic < 2) {
        return wanted;
    }
    if (pool->committed_only && aborted_leaves_out(&fetched->aborted, batch)) {
        return false; /* asked for each batch, also those before the offset */
    }
    return wanted && !record_batch_is_control(batch->data) &&
           record_batch_record_count(batch->data) != 0;
}

/* Moves to the next batch that has something for the application, and the offset with it. */
static err_t look_ahead(struct fetched *fetched, const struct fetched_pool *pool,
                        struct fetched_place *place, struct record_batch *ret_batch) {
    for (;;) {
        struct record_batch batch;
        size_t position = fetched->at;
        err_t err = record_batch_next(fetched->records, &position, &batch);
        if (err == ERR_NOT_FOUND || err == ERR_LIMIT) {
            return ERR_NOT_FOUND; /* the fetch was cut within a batch */
        }
        if (err != ERR_OK) {
            return ERR_CORRUPT_MESSAGE;
        }
        if (!fetched->looked) {
            if (!offsets_possible(&batch) || !checksum_good(pool, &batch)) {
                return ERR_CORRUPT_MESSAGE;
            }
            if (!is_wanted(fetched, pool, &batch, place->offset)) {
                fetched->at = position;
                int64_t next = last_offset_of(&batch) + 1;
                place->offset = next > place->offset ? next : place->offset;
                continue;
            }
            fetched->looked = true;
        }
        *ret_batch = batch;
        return ERR_OK;
    }
}

static err_t told_as(err_t err) {
    switch (err) {
    case ERR_UNSUPPORTED:
        return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    case ERR_LIMIT:
        return ERR_MESSAGE_TOO_LARGE;
    default:
        return ERR_CORRUPT_MESSAGE;
    }
}

static err_t start_records(struct fetched *fetched, struct fetched_pool *pool,
                           const struct record_batch *batch, struct buffer *scratch) {
    if (batch->magic < 2) {
        return message_iter_init(&fetched->iter.message, batch, pool->compression, scratch,
                                 FETCHED_DECOMPRESSED_MAX);
    }
    return record_iter_init(&fetched->iter.batch, batch->data, batch->size, pool->compression,
                            scratch, FETCHED_DECOMPRESSED_MAX);
}

static bool is_compressed(const struct record_batch *batch) {
    return batch->magic < 2 ? message_compression(batch) != 0
                            : record_batch_compression(batch->data) != 0;
}

static err_t open_batch(struct fetched *fetched, struct fetched_pool *pool,
                        const struct record_batch *batch) {
    struct fetched_scratch *scratch = is_compressed(batch) ? scratch_take(pool) : NULL;
    err_t err = start_records(fetched, pool, batch, scratch == NULL ? NULL : &scratch->buffer);
    if (err != ERR_OK) {
        if (scratch != NULL) {
            scratch_free(scratch);
        }
        return told_as(err);
    }
    bool append_time = batch->magic < 2 ? message_has_log_append_time(batch)
                                        : record_batch_has_log_append_time(batch->data);
    fetched->scratch = scratch;
    fetched->magic = batch->magic;
    fetched->at += batch->size;
    fetched->last_offset = last_offset_of(batch);
    fetched->epoch =
        batch->magic < 2 ? RECORD_NO_LEADER_EPOCH : record_batch_leader_epoch(batch->data);
    fetched->timestamp_type = append_time ? OTTLA_LOG_APPEND_TIME : OTTLA_CREATE_TIME;
    fetched->looked = false;
    fetched->shown = 0;
    fetched->open = true;
    return ERR_OK;
}

static void close_batch(struct fetched *fetched, struct fetched_pool *pool,
                        struct fetched_place *place) {
    if (fetched->scratch != NULL && fetched->shown == pool->round) {
        scratch_lend(pool, fetched->scratch);
    } else if (fetched->scratch != NULL) {
        scratch_give_back(pool, fetched->scratch);
    }
    fetched->scratch = NULL;
    if (place->offset <= fetched->last_offset) {
        place->offset = fetched->last_offset + 1;
    }
    fetched->open = false;
}

/* --- records --- */

/* LIMIT: more headers than one record can have here. */
static err_t fill_headers(struct fetched_pool *pool, const struct record *from,
                          struct ottla_record *to) {
    size_t count = (size_t)from->header_count;
    if (count > FETCHED_HEADERS_MAX) {
        return ERR_LIMIT;
    }
    struct ottla_header *headers = arena_alloc(pool->headers, count * sizeof *headers);
    size_t position = 0;
    for (size_t i = 0; i < count; i++) {
        struct record_header header;
        record_header_next(from, &position, &header);
        headers[i] = (struct ottla_header){
            .key = arena_c_str(pool->headers, header.key),
            .key_size = header.key.size,
            .value = {header.value.data, header.value.size},
        };
    }
    to->headers = headers;
    to->header_count = count;
    return ERR_OK;
}

static inline err_t fill_record(const struct fetched *fetched, struct fetched_pool *pool,
                                const struct fetched_place *place, const struct record *from,
                                struct ottla_record *to) {
    *to = (struct ottla_record){
        .topic = place->topic,
        .partition = place->partition,
        .timestamp_ms = from->timestamp,
        .key = {from->key.data, from->key.size},
        .value = {from->value.data, from->value.size},
        .offset = from->offset,
        .leader_epoch = fetched->epoch,
        .timestamp_type = fetched->timestamp_type,
    };
    return from->header_count == 0 ? ERR_OK : fill_headers(pool, from, to);
}

static inline err_t next_record(struct fetched *fetched, struct record *ret_record) {
    return fetched->magic < 2 ? message_iter_next(&fetched->iter.message, ret_record)
                              : record_iter_next(&fetched->iter.batch, ret_record);
}

/* Records of the open batch. NOT_FOUND: it ends here. */
static err_t take_records(struct fetched *fetched, struct fetched_pool *pool,
                          struct fetched_place *place, struct ottla_record *records, size_t max,
                          size_t *count) {
    while (*count < max && pool->headers->used <= FETCHED_LENT_MAX) {
        struct record record;
        err_t err = next_record(fetched, &record);
        if (err == ERR_NOT_FOUND) {
            return err;
        }
        if (err != ERR_OK || record.offset > fetched->last_offset) {
            return ERR_CORRUPT_MESSAGE;
        }
        if (record.offset < place->offset) {
            continue;
        }
        err = fill_record(fetched, pool, place, &record, &records[*count]);
        if (err != ERR_OK) {
            return told_as(err);
        }
        place->offset = record.offset + 1;
        place->epoch = fetched->epoch;
        fetched->shown = pool->round;
        ++*count;
    }
    return ERR_OK;
}

static bool open_is_empty(const struct fetched *fetched) {
    if (fetched->magic < 2) {
        return fetched->iter.message.done;
    }
    return fetched->iter.batch.left == 0;
}

static err_t take(struct fetched *fetched, struct fetched_pool *pool, struct fetched_place *place,
                  struct ottla_record *records, size_t max, size_t *count) {
    for (;;) {
        if (fetched->open) {
            err_t err = take_records(fetched, pool, place, records, max, count);
            if (err == ERR_OK && !open_is_empty(fetched)) {
                return ERR_OK;
            }
            if (err != ERR_OK && err != ERR_NOT_FOUND) {
                return err;
            }
            close_batch(fetched, pool, place);
        }
        struct record_batch batch;
        err_t err = look_ahead(fetched, pool, place, &batch);
        if (err != ERR_OK || *count == max || pool->headers->used > FETCHED_LENT_MAX) {
            return err;
        }
        if (is_compressed(&batch) && pool->lent_size >= pool->lent_max) {
            return ERR_OK;
        }
        err = open_batch(fetched, pool, &batch);
        if (err != ERR_OK) {
            return err;
        }
    }
}

err_t fetched_take(struct fetched *fetched, struct fetched_pool *pool, struct fetched_place *place,
                   struct ottla_record *records, size_t max, size_t *ret_count, size_t *ret_size) {
    size_t count = 0;
    err_t err = take(fetched, pool, place, records, max, &count);
    size_t used = err == ERR_NOT_FOUND ? fetched->records.size : fetched->at;
    *ret_count = count;
    *ret_size = used - fetched->counted;
    fetched->counted = used;
    return err;
}
