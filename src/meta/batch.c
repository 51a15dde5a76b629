#include "meta/batch.h"

err_t meta_batch_check(const struct record_batch *batch) {
    if (batch->magic != 2) {
        return ERR_UNSUPPORTED;
    }
    if (!record_batch_crc_matches(batch->data, batch->size)) {
        return ERR_CORRUPT;
    }
    if (record_batch_compression(batch->data) != COMPRESSION_NONE) {
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

err_t meta_batch_walk_init(struct meta_batch_walk *walk, const struct record_batch *batch,
                           struct arena *arena) {
    walk->arena = arena;
    return record_iter_init(&walk->iter, batch->data, batch->size, NULL, NULL, batch->size);
}

err_t meta_batch_next(struct meta_batch_walk *walk, struct meta_record *ret_record,
                      int64_t *ret_offset) {
    struct record record;
    err_t err = record_iter_next(&walk->iter, &record);
    if (err != ERR_OK) {
        return err;
    }
    if (record.value.data == NULL) {
        return ERR_MALFORMED;
    }
    arena_reset(walk->arena);
    err = meta_record_decode(record.value, walk->arena, ret_record);
    if (err == ERR_OK) {
        *ret_offset = record.offset;
    }
    return err;
}

err_t meta_batch_next_control(struct meta_batch_walk *walk, int16_t *ret_type,
                              struct bytes *ret_value) {
    struct record record;
    err_t err = record_iter_next(&walk->iter, &record);
    if (err != ERR_OK) {
        return err;
    }
    if (record.value.data == NULL) {
        return ERR_MALFORMED;
    }
    err = control_record_key_read(record.key, ret_type);
    if (err == ERR_OK) {
        *ret_value = record.value;
    }
    return err;
}
