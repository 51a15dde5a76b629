#include "log/cleaner_filter.h"

#include <string.h>

#include "base/limits.h"
#include "wire/batch_builder.h"

/* What is decided of a batch before its records are looked at. */
struct verdict {
    bool records_go;   /* all of them */
    bool stays_empty;  /* its head stays in any case */
    bool marker_alone; /* a marker of which nothing else is left */
};

static bool horizon_read(const uint8_t *data, int64_t *ret_horizon_ms) {
    *ret_horizon_ms = record_batch_base_timestamp(data);
    return (record_batch_attributes(data) & RECORD_BATCH_DELETE_HORIZON) != 0;
}

static bool is_last_of_producer(const struct cleaner_filter *filter,
                                const struct batch_header *header) {
    const struct cleaner_last *last =
        header->producer_id < 0 ? NULL
                                : map_get_u64(filter->last_batches, (uint64_t)header->producer_id);
    if (last == NULL) {
        return false;
    }
    return last->data_offset >= 0
               ? header->last_offset == last->data_offset
               : (header->attributes & BATCH_CONTROL) != 0 && header->producer_epoch == last->epoch;
}

static struct verdict batch_judge(struct cleaner_filter *filter, const struct batch_header *header,
                                  const uint8_t *data, struct cleaner_kept *kept) {
    struct verdict verdict = {
        .stays_empty =
            is_last_of_producer(filter, header) || header->last_offset + 1 == filter->end_offset,
    };
    if ((header->attributes & BATCH_CONTROL) == 0) {
        verdict.records_go = cleaner_txns_data(filter->txns, header);
        return verdict;
    }
    int64_t horizon_ms;
    verdict.marker_alone =
        cleaner_txns_control(filter->txns, header, data, &kept->aborted, &kept->txn);
    verdict.records_go =
        verdict.marker_alone && horizon_read(data, &horizon_ms) && horizon_ms <= filter->now_ms;
    return verdict;
}

static bool record_stays(struct cleaner_filter *filter, const uint8_t *data,
                         const struct record *record) {
    if (record->offset > filter->map->latest_offset) {
        return true;
    }
    if (record->key.data == NULL) {
        filter->records_without_key++;
        return false;
    }
    int64_t horizon_ms;
    bool over = horizon_read(data, &horizon_ms) && filter->now_ms >= horizon_ms;
    return record->offset >= offset_map_get(filter->map, record->key) &&
           (record->value.data != NULL || !over);
}

/* The records that stay, marked in filter->kept. */
struct choice {
    uint32_t read;
    uint32_t kept;
    bool tombstone; /* among those that stay */
};

static err_t records_choose(struct cleaner_filter *filter, const struct batch_header *header,
                            const uint8_t *data, const struct verdict *verdict,
                            struct record_iter iter, struct choice *ret_choice) {
    struct choice choice = {0};
    struct record record;
    err_t err;
    int64_t delta = -1;
    buffer_clear(filter->kept);
    while ((err = record_iter_next(&iter, &record)) == ERR_OK) {
        if (record.offset_delta <= delta || record.offset > header->last_offset) {
            return ERR_MALFORMED;
        }
        delta = record.offset_delta;
        bool stays = !verdict->records_go && ((header->attributes & BATCH_CONTROL) != 0 ||
                                              record_stays(filter, data, &record));
        *buffer_extend(filter->kept, 1) = stays;
        choice.read++;
        choice.kept += stays;
        choice.tombstone |= stays && record.value.data == NULL;
    }
    *ret_choice = choice;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* A head alone; nothing but what it says of offsets, producer and time is left. */
static void empty_write(const struct batch_header *header, const uint8_t *data,
                        struct buffer *out) {
    uint8_t *batch = buffer_extend(out, RECORD_BATCH_HEADER_SIZE);
    memcpy(batch, data, RECORD_BATCH_HEADER_SIZE);
    uint16_t attributes =
        record_batch_attributes(data) &
        (RECORD_BATCH_LOG_APPEND_TIME | RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_CONTROL);
    put_be32(batch + RECORD_BATCH_LENGTH, RECORD_BATCH_HEADER_SIZE - RECORD_BATCH_OVERHEAD);
    put_be16(batch + RECORD_BATCH_ATTRIBUTES, attributes);
    put_be64(batch + RECORD_BATCH_BASE_TIMESTAMP, (uint64_t)RECORD_NO_TIMESTAMP);
    put_be64(batch + RECORD_BATCH_MAX_TIMESTAMP, (uint64_t)header->max_timestamp_ms);
    put_be32(batch + RECORD_BATCH_RECORD_COUNT, 0);
    put_be32(batch + RECORD_BATCH_CRC, record_batch_crc_compute(batch, RECORD_BATCH_HEADER_SIZE));
}

static struct batch_options options_of(const struct batch_header *header, const uint8_t *data) {
    enum compression_type compression = (enum compression_type)record_batch_compression(data);
    return (struct batch_options){
        .base_offset = header->base_offset,
        .producer_id = header->producer_id,
        .log_append_time_ms = header->max_timestamp_ms,
        .leader_epoch = header->leader_epoch,
        .base_sequence = header->base_sequence,
        .producer_epoch = header->producer_epoch,
        .attributes = record_batch_attributes(data) & (uint16_t)~RECORD_BATCH_COMPRESSION_MASK,
        .compression = compression,
        .level = compression_level_default(compression),
    };
}

/* The batch with the records that were chosen. horizon_ms: -1 for none. */
static void batch_write(struct cleaner_filter *filter, const struct batch_header *header,
                        const uint8_t *data, struct record_iter iter, int64_t horizon_ms,
                        struct buffer *out) {
    struct batch_options options = options_of(header, data);
    if (horizon_ms >= 0) {
        options.attributes |= RECORD_BATCH_DELETE_HORIZON;
        options.delete_horizon_ms = horizon_ms;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    struct record record;
    for (size_t i = 0; record_iter_next(&iter, &record) == ERR_OK; i++) {
        if (filter->kept->data[i]) {
            batch_builder_add_record_at(&builder, record.offset_delta, &record);
        }
    }
    batch_builder_reach(&builder, (int32_t)(header->last_offset - header->base_offset));
    batch_builder_finish(&builder, filter->compression);
}

static void chosen_write(struct cleaner_filter *filter, const struct batch_header *header,
                         const uint8_t *data, struct record_iter iter, const struct choice *choice,
                         const struct verdict *verdict, struct buffer *out) {
    int64_t horizon_ms;
    bool has_horizon = horizon_read(data, &horizon_ms);
    bool begins = !has_horizon && (choice->tombstone || verdict->marker_alone);
    if (choice->kept == choice->read && !begins) {
        buffer_add(out, data, header->size);
        return;
    }
    if (begins) {
        bool ever = filter->delete_retention_ms < INT64_MAX - filter->now_ms;
        horizon_ms = ever ? filter->now_ms + filter->delete_retention_ms : INT64_MAX;
    }
    batch_write(filter, header, data, iter, begins || has_horizon ? horizon_ms : -1, out);
}

err_t cleaner_records_init(const struct cleaner_filter *filter, const struct batch_header *header,
                           const uint8_t *data, struct record_iter *iter) {
    buffer_clear(filter->scratch);
    err_t err = record_iter_init(iter, data, header->size, filter->compression, filter->scratch,
                                 RECORD_SET_DECOMPRESSED_MAX);
    return err == ERR_LIMIT ? ERR_MESSAGE_TOO_LARGE : err;
}

err_t cleaner_filter_batch(struct cleaner_filter *filter, const struct batch_header *header,
                           const uint8_t *data, struct buffer *out, struct cleaner_kept *ret_kept) {
    struct cleaner_kept kept = {0};
    if (header->magic < 2) {
        buffer_add(out, data, header->size);
        kept.batches = 1;
        *ret_kept = kept;
        return ERR_OK;
    }
    struct verdict verdict = batch_judge(filter, header, data, &kept);
    struct record_iter iter;
    err_t err = cleaner_records_init(filter, header, data, &iter);
    struct choice choice;
    if (err == ERR_OK) {
        err = records_choose(filter, header, data, &verdict, iter, &choice);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (choice.kept > 0) {
        chosen_write(filter, header, data, iter, &choice, &verdict, out);
    } else if (verdict.stays_empty) {
        empty_write(header, data, out);
    }
    kept.batches = choice.kept > 0 || verdict.stays_empty;
    filter->records_read += choice.read;
    filter->records_kept += choice.kept;
    *ret_kept = kept;
    return ERR_OK;
}
