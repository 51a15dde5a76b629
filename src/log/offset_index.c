#include "log/offset_index.h"

#include "base/bytes.h"

static int64_t key_offset(const uint8_t *entry) {
    return (int32_t)get_be32(entry);
}

static int64_t key_position(const uint8_t *entry) {
    return get_be32(entry + 4);
}

void offset_index_add(struct index_file *index, int32_t relative_offset, uint32_t position) {
    uint8_t entry[OFFSET_INDEX_ENTRY_SIZE];
    put_be32(entry, (uint32_t)relative_offset);
    put_be32(entry + 4, position);
    index_file_add(index, entry);
}

static err_t floor_position(struct index_file *index, index_key_fn key, int64_t target,
                            bool no_wait, uint32_t *ret_position) {
    uint8_t entry[OFFSET_INDEX_ENTRY_SIZE];
    err_t err = index_file_floor(index, key, target, no_wait, entry, NULL);
    if (err == ERR_OK) {
        *ret_position = get_be32(entry + 4);
    } else if (err == ERR_NOT_FOUND) {
        *ret_position = 0;
        err = ERR_OK;
    }
    return err;
}

err_t offset_index_floor(struct index_file *index, int32_t relative_offset, bool no_wait,
                         uint32_t *ret_position) {
    return floor_position(index, key_offset, relative_offset, no_wait, ret_position);
}

err_t offset_index_position_floor(struct index_file *index, uint32_t position, bool no_wait,
                                  uint32_t *ret_position) {
    return floor_position(index, key_position, position, no_wait, ret_position);
}

err_t offset_index_cut(struct index_file *index, uint32_t position) {
    uint8_t entry[OFFSET_INDEX_ENTRY_SIZE];
    uint32_t number;
    err_t err = position == 0 ? ERR_NOT_FOUND
                              : index_file_floor(index, key_position, (int64_t)position - 1, false,
                                                 entry, &number);
    if (err == ERR_NOT_FOUND) {
        return index_file_cut(index, 0);
    }
    return err == ERR_OK ? index_file_cut(index, number + 1) : err;
}
