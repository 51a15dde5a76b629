/*
 * The order of the checks is Kafka's, because the first that fails names the error:
 *
 *   1  one batch, base offset 0          INVALID_RECORD
 *   2  size                              MESSAGE_TOO_LARGE
 *   3  CRC                               CORRUPT_MESSAGE
 *   4  header: offset range and count, control batch, sequence   INVALID_RECORD
 *   5  every record: structure           INVALID_RECORD
 *                    key, timestamp      collected, then INVALID_TIMESTAMP or INVALID_RECORD, with
 *                                        record_errors
 *   6  size again after recompression, segment size
 *
 * Where Kafka has no name for what it found (an unknown codec, data that does not decompress) it
 * answers UNKNOWN_SERVER_ERROR; we answer UNSUPPORTED_COMPRESSION_TYPE and INVALID_RECORD.
 *
 * Offset deltas other than 0, 1, 2, … are INVALID_RECORD. (Kafka stores such a batch as it is when
 * it is not compressed, gives it new deltas when it recompresses, and fails without a name else.)
 *
 * Only what must change is changed: timestamp type, max timestamp, CRC. Attribute bits that are not
 * known stay.
 */
#include <inttypes.h>

#include "base/limits.h"
#include "wire/record_scan_int.h"
#include "wire/record_set_int.h"

/* --- before the replica --- */

err_t record_set_check_request(int16_t produce_version, struct bytes records) {
    enum { ZSTD_VERSION_MIN = 7 };
    size_t position = 0;
    struct record_batch batch;
    switch (record_batch_next(records, &position, &batch)) {
    case ERR_OK:
        break;
    case ERR_CORRUPT:
        return ERR_CORRUPT_MESSAGE;
    default:
        return ERR_INVALID_RECORD; /* no batch at all; Kafka does not see one that is cut */
    }
    if (batch.magic != 2) {
        return ERR_INVALID_RECORD;
    }
    if (produce_version < ZSTD_VERSION_MIN &&
        record_batch_compression(batch.data) == COMPRESSION_ZSTD) {
        return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    switch (record_batch_next(records, &position, &batch)) {
    case ERR_OK:
        return ERR_INVALID_RECORD;
    case ERR_CORRUPT:
        return ERR_CORRUPT_MESSAGE;
    default:
        return ERR_OK; /* a cut tail is not stored */
    }
}

struct str record_set_corrupt_message(struct bytes records, struct arena *arena) {
    enum { OVERHEAD_V0 = 14 }; /* of the oldest format, which Kafka names */
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(records, &position, &batch) == ERR_OK) {
    }
    const uint8_t *wrong = records.data + position;
    if (records.size - position <= RECORD_BATCH_MAGIC) {
        return STR_NULL;
    }
    if (record_batch_length(wrong) < OVERHEAD_V0) {
        return arena_printf(arena,
                            "Record size %" PRId32 " is less than the minimum record overhead (%d)",
                            record_batch_length(wrong), OVERHEAD_V0);
    }
    if (record_batch_magic(wrong) >= 0 && record_batch_magic(wrong) <= 2) {
        return STR_NULL; /* the length is too small for its format */
    }
    return arena_printf(arena, "Invalid magic found in record: %d", record_batch_magic(wrong));
}

static enum compression_type target_of(const struct record_set_rules *rules, const uint8_t *batch) {
    enum compression_type source = (enum compression_type)record_batch_compression(batch);
    bool keep =
        rules->keep_compression || (source == COMPRESSION_NONE && record_batch_is_control(batch));
    return keep ? source : rules->compression;
}

bool record_set_needs_recompression(const struct record_set_rules *rules, struct bytes records) {
    return records.size >= RECORD_BATCH_HEADER_SIZE &&
           (int)target_of(rules, records.data) != record_batch_compression(records.data);
}

bool record_set_needs_decompression(struct bytes records) {
    return records.size >= RECORD_BATCH_HEADER_SIZE &&
           record_batch_compression(records.data) != COMPRESSION_NONE;
}

/* --- the header --- */

static void note_fault(struct record_check *check, enum record_set_fault fault) {
    check->refusal.fault = fault;
    check->refusal.fault_count++;
}

static err_t check_size_and_crc(struct record_check *check) {
    if (check->rules->origin == RECORD_SET_CLIENT && record_batch_base_offset(check->batch) != 0) {
        return ERR_INVALID_RECORD;
    }
    if (check->size > (size_t)check->rules->message_size_max) {
        return ERR_MESSAGE_TOO_LARGE;
    }
    if (!record_batch_crc_matches(check->batch, check->size)) {
        note_fault(check, RECORD_SET_FAULT_CHECKSUM);
        return ERR_CORRUPT_MESSAGE;
    }
    if (record_batch_compression(check->batch) >= COMPRESSION_TYPE_COUNT) {
        return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    return ERR_OK;
}

static bool numbers_fit(const uint8_t *batch) {
    int64_t count = record_batch_record_count(batch);
    bool sequence_wrong = record_batch_producer_id(batch) > RECORD_NO_PRODUCER_ID &&
                          record_batch_base_sequence(batch) < 0;
    return count > 0 && (int64_t)record_batch_last_offset_delta(batch) + 1 == count &&
           !record_batch_is_control(batch) && !sequence_wrong;
}

static err_t check_header(struct record_check *check) {
    const uint8_t *batch = check->batch;
    if (check->rules->origin != RECORD_SET_CLIENT) {
        return record_batch_record_count(batch) < 0 ? ERR_INVALID_RECORD : ERR_OK;
    }
    if (!numbers_fit(batch)) {
        note_fault(check, RECORD_SET_FAULT_NUMBERS);
        return ERR_INVALID_RECORD;
    }
    return ERR_OK;
}

/* --- the records --- */

/* Counts an error; false when its message would not be kept. */
static bool count_error(struct record_check *check) {
    struct record_set_refusal *refusal = &check->refusal;
    check->error_total++;
    if (refusal->errors == NULL) {
        refusal->errors = ARENA_ARRAY(check->arena, struct record_set_error, RECORD_ERRORS_MAX);
    }
    return refusal->errors != NULL && refusal->error_count < RECORD_ERRORS_MAX;
}

static void add_error(struct record_check *check, int32_t record_index, struct str message) {
    struct record_set_refusal *refusal = &check->refusal;
    refusal->errors[refusal->error_count++] =
        (struct record_set_error){.record_index = record_index, .message = message};
}

static int64_t record_timestamp(const struct record_check *check,
                                const struct record_facts *facts) {
    if (record_batch_has_log_append_time(check->batch)) {
        return record_batch_max_timestamp(check->batch);
    }
    return (int64_t)((uint64_t)record_batch_base_timestamp(check->batch) +
                     (uint64_t)facts->timestamp_delta);
}

/* With Java's arithmetic, which runs over at the ends. */
static bool timestamp_out_of_bounds(const struct record_check *check, int64_t timestamp) {
    uint64_t age = (uint64_t)check->now_ms - (uint64_t)timestamp;
    return (int64_t)age > check->rules->timestamp_before_ms_max ||
           (int64_t)(0 - age) > check->rules->timestamp_after_ms_max;
}

static struct str out_of_bounds_message(const struct record_check *check,
                                        const struct record_facts *facts, int64_t timestamp) {
    uint64_t now = (uint64_t)check->now_ms;
    return arena_printf(check->arena,
                        "Timestamp %" PRId64 " of message with offset %" PRId32
                        " is out of range. The timestamp should be within [%" PRId64 ", %" PRId64
                        "]",
                        timestamp, facts->offset_delta,
                        (int64_t)(now - (uint64_t)check->rules->timestamp_before_ms_max),
                        (int64_t)(now + (uint64_t)check->rules->timestamp_after_ms_max));
}

/* Kafka prints the record; how, depends on whether it had read it as a whole. */
static struct str wrong_type_message(const struct record_check *check,
                                     const struct record_facts *facts, int64_t timestamp) {
    bool whole = check->source == COMPRESSION_NONE || check->source != check->target;
    int32_t null_size = whole ? 0 : -1;
    return arena_printf(check->arena,
                        "Invalid timestamp type in message %sDefaultRecord(offset=%" PRId32
                        ", timestamp=%" PRId64 ", key=%" PRId32 " bytes, value=%" PRId32
                        " bytes). Producer should not set timestamp type to LogAppendTime.",
                        whole ? "" : "Partial", facts->offset_delta, timestamp,
                        facts->key_size < 0 ? null_size : facts->key_size,
                        facts->value_size < 0 ? null_size : facts->value_size);
}

static void check_timestamp(struct record_check *check, int32_t record_index,
                            const struct record_facts *facts, int64_t timestamp) {
    if (!check->rules->log_append_time && timestamp != RECORD_NO_TIMESTAMP) {
        if (timestamp_out_of_bounds(check, timestamp)) {
            check->timestamp_error = true;
            if (count_error(check)) {
                add_error(check, record_index, out_of_bounds_message(check, facts, timestamp));
            }
        }
    } else if (record_batch_has_log_append_time(check->batch)) {
        check->timestamp_error = true;
        if (count_error(check)) {
            add_error(check, record_index, wrong_type_message(check, facts, timestamp));
        }
    }
}

static void refuse_null_key(struct record_check *check, int32_t record_index) {
    note_fault(check, RECORD_SET_FAULT_NO_KEY);
    if (count_error(check)) {
        add_error(check, record_index,
                  arena_printf(check->arena,
                               "Compacted topic cannot accept message without key in topic "
                               "partition %.*s",
                               STR_ARGS(check->rules->partition)));
    }
}

static void check_record(struct record_check *check, int32_t record_index,
                         const struct record_facts *facts) {
    int64_t timestamp = record_timestamp(check, facts);
    if (check->rules->compacted && facts->key_size < 0) {
        refuse_null_key(check, record_index);
    } else {
        check_timestamp(check, record_index, facts, timestamp);
    }
    if (timestamp > check->max_timestamp) {
        check->max_timestamp = timestamp;
    }
    if (facts->offset_delta != record_index) {
        check->disordered = true;
    }
}

static err_t scan_records(struct record_check *check, struct record_scan *scan) {
    int32_t count = record_batch_record_count(check->batch);
    for (int32_t i = 0; i < count; i++) {
        struct record_facts facts;
        err_t err = record_scan_next(scan, &facts);
        if (err != ERR_OK) {
            return err;
        }
        check_record(check, i, &facts);
    }
    return record_scan_end(scan);
}

static err_t scan_compressed(struct record_check *check) {
    struct decompressor decompressor;
    err_t err = decompressor_open(&decompressor, check->compression, check->source,
                                  record_check_source(check), check->rules->decompressed_size_max);
    if (err != ERR_OK) {
        return err;
    }
    uint8_t window[RECORD_SCAN_WINDOW_SIZE];
    struct record_scan scan;
    record_scan_init_compressed(&scan, &decompressor, window);
    err = scan_records(check, &scan);
    decompressor_close(&decompressor);
    return err;
}

static err_t scan_batch(struct record_check *check) {
    struct record_scan scan;
    if (check->source == COMPRESSION_NONE) {
        record_scan_init(&scan, record_check_source(check));
        return scan_records(check, &scan);
    }
    if (check->source == check->target) {
        return scan_compressed(check);
    }
    err_t err = record_check_decompress(check);
    if (err != ERR_OK) {
        return err;
    }
    record_scan_init(&scan, buffer_bytes(&check->plain));
    return scan_records(check, &scan);
}

/* Turns collected errors into the one that the partition's answer has. */
static err_t conclude_errors(struct record_check *check) {
    struct record_set_refusal *refusal = &check->refusal;
    if (check->error_total == 0) {
        return ERR_OK;
    }
    if (check->timestamp_error) {
        refusal->message = STR("One or more records have been rejected due to invalid timestamp");
        return ERR_INVALID_TIMESTAMP;
    }
    struct buffer text = {0};
    buffer_printf(&text,
                  "One or more records have been rejected due to %" PRId32
                  " record errors in total, and only showing the first three errors at most: [",
                  check->error_total);
    for (int32_t i = 0; i < refusal->error_count && i < 3; i++) {
        buffer_printf(&text, "%sRecordError(batchIndex=%" PRId32 ", message='%.*s')",
                      i == 0 ? "" : ", ", refusal->errors[i].record_index,
                      STR_ARGS(refusal->errors[i].message));
    }
    buffer_printf(&text, "]");
    refusal->message = arena_str(check->arena, bytes_str(buffer_bytes(&text)));
    buffer_done(&text);
    return ERR_INVALID_RECORD;
}

static err_t check_records(struct record_check *check) {
    err_t err = scan_batch(check);
    if (err == ERR_LIMIT) {
        return ERR_MESSAGE_TOO_LARGE; /* a producer then splits the batch */
    }
    if (err != ERR_OK) {
        check->refusal = (struct record_set_refusal){0};
        return ERR_INVALID_RECORD;
    }
    err = conclude_errors(check);
    if (err == ERR_OK && check->disordered && check->rules->origin == RECORD_SET_CLIENT) {
        err = ERR_INVALID_RECORD;
    }
    return err;
}

/* --- all of it --- */

/* The first batch; a client sends no other. */
static err_t take_batch(const struct record_set_rules *rules, uint8_t *records, size_t size,
                        struct record_batch *ret_batch) {
    size_t position = 0;
    struct record_batch batch, second;
    struct bytes run = {.data = records, .size = size};
    err_t err = record_batch_next(run, &position, &batch);
    if (err == ERR_OK && batch.magic == 2) {
        err = rules->origin == RECORD_SET_CLIENT ? record_batch_next(run, &position, &second)
                                                 : ERR_NOT_FOUND;
        if (err == ERR_NOT_FOUND || err == ERR_LIMIT) {
            *ret_batch = batch;
            return ERR_OK;
        }
    }
    return err == ERR_CORRUPT ? ERR_CORRUPT_MESSAGE : ERR_INVALID_RECORD;
}

static err_t run_checks(struct record_check *check, struct buffer *out,
                        struct record_set_result *result) {
    err_t err = check_size_and_crc(check);
    if (err == ERR_OK) {
        err = check_header(check);
    }
    if (err != ERR_OK) {
        return err;
    }
    check->source = (enum compression_type)record_batch_compression(check->batch);
    check->target = target_of(check->rules, check->batch);
    err = check_records(check);
    if (err != ERR_OK) {
        return err;
    }
    *result = (struct record_set_result){
        .record_count = record_batch_record_count(check->batch),
        .max_timestamp = check->rules->log_append_time ? check->now_ms : check->max_timestamp,
        .log_append_time_ms = check->rules->log_append_time ? check->now_ms : RECORD_NO_TIMESTAMP,
        .source_compression = check->source,
    };
    return record_check_store(check, out, result);
}

/* Adds what became of one more batch: all stay where they are, or all go to `out`. */
static err_t add_result(struct record_set_result *all, const struct record_set_result *one) {
    if (all->records == NULL) {
        *all = *one;
        return ERR_OK;
    }
    if (all->recompressed != one->recompressed) {
        return ERR_INVALID_RECORD;
    }
    all->size += one->size;
    all->record_count += one->record_count;
    all->max_timestamp =
        one->max_timestamp > all->max_timestamp ? one->max_timestamp : all->max_timestamp;
    return ERR_OK;
}

err_t record_set_validate(const struct record_set_rules *rules, uint8_t *records, size_t size,
                          int64_t now_ms, struct compression *compression, struct buffer *out,
                          struct arena *arena, struct record_set_result *ret_result,
                          struct record_set_refusal *ret_refusal) {
    *ret_refusal = (struct record_set_refusal){0};
    size_t out_before = out->size;
    struct record_set_result all = {0};
    struct record_batch batch;
    size_t position = 0;
    err_t err;
    do {
        err = take_batch(rules, records + position, size - position, &batch);
        if (err != ERR_OK) {
            break;
        }
        struct record_check check = {
            .rules = rules,
            .now_ms = now_ms,
            .compression = compression,
            .arena = arena,
            .batch = records + position,
            .size = batch.size,
            .max_timestamp = RECORD_NO_TIMESTAMP,
        };
        struct record_set_result one;
        err = run_checks(&check, out, &one);
        buffer_done(&check.plain);
        *ret_refusal = err == ERR_OK ? *ret_refusal : check.refusal;
        if (err == ERR_OK) {
            err = add_result(&all, &one);
        }
        position += batch.size;
    } while (err == ERR_OK && rules->origin != RECORD_SET_CLIENT && position < size);
    if (err != ERR_OK) {
        out->size = out_before;
        return err;
    }
    if (all.recompressed) {
        all.records = out->data + out_before;
    }
    *ret_result = all;
    return ERR_OK;
}
