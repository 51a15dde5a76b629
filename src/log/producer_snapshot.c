/*
 * A producer has an entry for each batch in its window, the oldest first: after a restart any of
 * them may be repeated, not only the last (bug T2). What belongs to the producer as a whole is in
 * the last one. Apache Kafka, which writes only that one, takes the last it finds.
 */
#include "log/producer_snapshot.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/limits.h"

enum { SNAPSHOT_VERSION = 1, CRC_POSITION = 2, CRC_FROM = 6 };

/* One entry of a producer, for a batch of its window, or NULL when that is empty. */
static void entry_encode(const struct producer *producer, const struct sequence_batch *batch,
                         bool is_last, uint8_t *p) {
    put_be64(p, (uint64_t)producer->id);
    put_be16(p + 8, (uint16_t)producer->window.epoch);
    put_be32(p + 10, (uint32_t)(batch == NULL ? -1 : batch->last_sequence));
    put_be64(p + 14, (uint64_t)(batch == NULL ? -1 : batch->last_offset));
    put_be32(p + 22, (uint32_t)(batch == NULL ? 0 : batch->offset_delta));
    put_be64(p + 26, (uint64_t)(is_last ? producer->last_timestamp_ms : batch->timestamp_ms));
    put_be32(p + 34, (uint32_t)producer->coordinator_epoch);
    put_be64(p + 38, (uint64_t)(is_last ? producer->current_txn_offset : -1));
}

static size_t entry_count(const struct producer *producer) {
    return producer->window.count == 0 ? 1 : producer->window.count;
}

static uint8_t *entries_encode(const struct producer *producer, uint8_t *p) {
    size_t count = entry_count(producer);
    for (size_t i = 0; i < count; i++) {
        const struct sequence_batch *batch =
            producer->window.count == 0 ? NULL : &producer->window.batches[i];
        entry_encode(producer, batch, i + 1 == count, p);
        p += PRODUCER_SNAPSHOT_ENTRY_SIZE;
    }
    return p;
}

void producer_snapshot_encode(const struct producer_state *state, struct buffer *out) {
    size_t count = 0;
    size_t cursor;
    const struct producer *producer;
    map_for_each (&state->producers, cursor, producer) {
        count += entry_count(producer);
    }
    size_t start = out->size;
    size_t size = PRODUCER_SNAPSHOT_HEADER_SIZE + count * PRODUCER_SNAPSHOT_ENTRY_SIZE;
    uint8_t *p = buffer_extend(out, size);
    put_be16(p, SNAPSHOT_VERSION);
    put_be32(p + CRC_FROM, (uint32_t)count);
    uint8_t *at = p + PRODUCER_SNAPSHOT_HEADER_SIZE;
    map_for_each (&state->producers, cursor, producer) {
        at = entries_encode(producer, at);
    }
    put_be32(p + CRC_POSITION, crc32c(0, p + CRC_FROM, out->size - start - CRC_FROM));
}

/* The sequence before `sequence` by `delta`, which wraps below 0. */
static int32_t sequence_before(int32_t sequence, int32_t delta) {
    int64_t first = (int64_t)sequence - delta;
    return (int32_t)(first < 0 ? first + INT32_MAX + 1 : first);
}

static struct producer entry_decode(const uint8_t *p) {
    struct producer producer = {
        .id = (int64_t)get_be64(p),
        .last_timestamp_ms = (int64_t)get_be64(p + 26),
        .coordinator_epoch = (int32_t)get_be32(p + 34),
        .current_txn_offset = (int64_t)get_be64(p + 38),
        .txn_since_ms = -1,
        .last_marker_offset = -1,
    };
    sequence_window_init(&producer.window);
    int16_t epoch = (int16_t)get_be16(p + 8);
    int32_t last_sequence = (int32_t)get_be32(p + 10);
    int64_t last_offset = (int64_t)get_be64(p + 14);
    int32_t offset_delta = (int32_t)get_be32(p + 22);
    if (epoch >= 0 && last_offset >= 0) {
        struct sequence_batch batch = {
            .first_sequence = last_sequence < 0 ? -1 : sequence_before(last_sequence, offset_delta),
            .last_sequence = last_sequence,
            .last_offset = last_offset,
            .offset_delta = offset_delta,
            .timestamp_ms = producer.last_timestamp_ms,
        };
        sequence_window_add(&producer.window, epoch, &batch);
    } else if (epoch >= 0) {
        sequence_window_set_epoch(&producer.window, epoch);
    }
    return producer;
}

/* Puts the batches of the producer's earlier entries in front. */
static void earlier_add(const struct producer_state *state, struct producer *producer) {
    const struct producer *earlier = producer_state_get(state, producer->id);
    if (earlier == NULL || earlier->window.epoch != producer->window.epoch ||
        producer->window.count == 0) {
        return;
    }
    struct sequence_batch last = producer->window.batches[0];
    producer->window = earlier->window;
    sequence_window_add(&producer->window, producer->window.epoch, &last);
}

const char *producer_snapshot_decode(const uint8_t *data, size_t size, int64_t end_offset,
                                     int64_t now_ms, int64_t expiration_ms,
                                     struct producer_state *state) {
    if (size < PRODUCER_SNAPSHOT_HEADER_SIZE) {
        return "shorter than its header";
    }
    if (get_be16(data) != SNAPSHOT_VERSION) {
        return "unknown version";
    }
    if (get_be32(data + CRC_POSITION) != crc32c(0, data + CRC_FROM, size - CRC_FROM)) {
        return "checksum does not match";
    }
    uint32_t count = get_be32(data + CRC_FROM);
    if (size - PRODUCER_SNAPSHOT_HEADER_SIZE != (uint64_t)count * PRODUCER_SNAPSHOT_ENTRY_SIZE) {
        return "size does not match the number of entries";
    }
    for (uint32_t i = 0; i < count; i++) {
        struct producer producer = entry_decode(data + PRODUCER_SNAPSHOT_HEADER_SIZE +
                                                (size_t)i * PRODUCER_SNAPSHOT_ENTRY_SIZE);
        if (!producer_expired(&producer, now_ms, expiration_ms)) {
            earlier_add(state, &producer);
            producer_state_load(state, &producer);
        }
    }
    state->end_offset = end_offset;
    return NULL;
}

err_t producer_snapshot_write(struct sys *sys, const char *path, const struct buffer *data) {
    struct sys_file *file;
    err_t err = sys_file_open(sys, path, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &file);
    if (err == ERR_OK) {
        err = sys_file_write(file, 0, data->data, data->size);
        sys_file_close(file);
    }
    return err;
}

err_t producer_snapshot_read(struct sys *sys, const char *path, int64_t end_offset, int64_t now_ms,
                             int64_t expiration_ms, struct producer_state *state,
                             const char **ret_wrong) {
    char *data;
    size_t size;
    err_t err = sys_file_read_all(sys, path, LOG_PRODUCER_SNAPSHOT_SIZE_MAX, &data, &size);
    if (err != ERR_OK) {
        return err;
    }
    const char *wrong = producer_snapshot_decode((const uint8_t *)data, size, end_offset, now_ms,
                                                 expiration_ms, state);
    free(data);
    if (wrong != NULL && ret_wrong != NULL) {
        *ret_wrong = wrong;
    }
    return wrong == NULL ? ERR_OK : ERR_CORRUPT;
}
