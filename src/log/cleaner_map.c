/*
 * The first phase of a cleaning: where each key of the dirty part was written last. Records of
 * aborted transactions write nothing. When the map is full in the midst of a batch, what it has of
 * that batch is right already, and the cleaning ends before it.
 */
#include <stdlib.h>

#include "log/cleaner_int.h"

static err_t map_records(struct log_cleaning *cleaning, const struct batch_header *header,
                         const uint8_t *data) {
    struct record_iter iter;
    struct record record;
    err_t err = cleaner_records_init(&cleaning->filter, header, data, &iter);
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        if (record.key.data != NULL && record.offset >= cleaning->cleanable.first_dirty_offset &&
            !offset_map_put(&cleaning->map, record.key, record.offset)) {
            return ERR_LIMIT;
        }
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* LIMIT: the map is full. */
static err_t map_batch(struct log_cleaning *cleaning, const struct batch_header *header,
                       const uint8_t *data) {
    if (header->last_offset < cleaning->cleanable.first_dirty_offset) {
        return ERR_OK;
    }
    err_t err = ERR_OK;
    bool aborted;
    struct txn_index_entry txn;
    if ((header->attributes & BATCH_CONTROL) != 0) {
        (void)cleaner_txns_control(&cleaning->txns, header, data, &aborted, &txn);
    } else if (header->magic >= 2 && !cleaner_txns_data(&cleaning->txns, header)) {
        err = map_records(cleaning, header, data);
    }
    if (err == ERR_OK) {
        offset_map_reach(&cleaning->map, header->last_offset);
    }
    return err;
}

/* What producers wrote last, before anything is copied: a later batch only makes one more stay. */
static void last_batches_load(struct log_cleaning *cleaning) {
    struct log_producer *producers;
    size_t count;
    log_producers(cleaning->log, &producers, &count);
    for (size_t i = 0; i < count; i++) {
        struct cleaner_last *last = malloc(sizeof *last);
        *last = (struct cleaner_last){.data_offset = producers[i].last_data_offset,
                                      .epoch = producers[i].epoch};
        free(map_put_u64(&cleaning->last_batches, (uint64_t)producers[i].producer_id, last));
    }
    free(producers);
}

static err_t map_end(struct log_cleaning *cleaning) {
    int64_t end_offset = cleaning->map.latest_offset + 1;
    if (end_offset <= cleaning->cleanable.first_dirty_offset) {
        return ERR_LIMIT;
    }
    cleaning->stats.end_offset = end_offset;
    size_t count = 0;
    while (count < cleaning->segment_count && cleaning->segments[count]->base_offset < end_offset) {
        count++;
    }
    cleaning->group_start = 0;
    cleaning->group_end = 0;
    cleaning->phase = CLEANING_GROUP;
    cleaner_txns_done(&cleaning->txns);
    cleaner_txns_init(&cleaning->txns);
    last_batches_load(cleaning);
    while (cleaning->segment_count > count) { /* the map did not get as far as these */
        cleaning->cleanable.first_uncleanable_offset =
            cleaning->segments[cleaning->segment_count - 1]->base_offset;
        segment_unref(cleaning->segments[--cleaning->segment_count]);
    }
    return ERR_OK;
}

err_t cleaning_map_step(struct log_cleaning *cleaning) {
    if (cleaning->segment == cleaning->segment_count) {
        return map_end(cleaning);
    }
    int64_t end = cleaning_segment_end(cleaning, cleaning->segment);
    int64_t first_dirty = cleaning->cleanable.first_dirty_offset;
    bool dirty = end > first_dirty;
    if (dirty && cleaning->position == 0) {
        /* One that ended before is not to be known: its marker is not met. */
        int64_t base = cleaning->segments[cleaning->segment]->base_offset;
        err_t err = cleaning_aborted_load(cleaning, base > first_dirty ? base : first_dirty, end);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (dirty && !cleaning_segment_at_end(cleaning)) {
        err_t err = cleaning_piece_walk(cleaning, map_batch);
        return err == ERR_LIMIT ? map_end(cleaning) : err;
    }
    if (dirty) {
        offset_map_reach(&cleaning->map, end - 1);
    }
    cleaning->segment++;
    cleaning->position = 0;
    return ERR_OK;
}
