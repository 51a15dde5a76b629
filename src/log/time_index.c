#include "log/time_index.h"

#include "base/bytes.h"

static int64_t key_timestamp(const uint8_t *entry) {
    return (int64_t)get_be64(entry);
}

static int64_t key_offset(const uint8_t *entry) {
    return (int32_t)get_be32(entry + 8);
}

static struct time_entry entry_read(const uint8_t *data) {
    return (struct time_entry){
        .timestamp_ms = key_timestamp(data),
        .relative_offset = (int32_t)key_offset(data),
    };
}

static err_t entry_or_none(err_t err, const uint8_t *data, struct time_entry *ret_entry) {
    if (err == ERR_OK) {
        *ret_entry = entry_read(data);
    } else if (err == ERR_NOT_FOUND) {
        *ret_entry = (struct time_entry){.timestamp_ms = -1};
        err = ERR_OK;
    }
    return err;
}

err_t time_index_last(struct index_file *index, struct time_entry *ret_entry) {
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    return entry_or_none(index_file_last(index, data), data, ret_entry);
}

err_t time_index_add(struct index_file *index, struct time_entry entry) {
    struct time_entry last;
    err_t err = time_index_last(index, &last);
    if (err != ERR_OK || entry.timestamp_ms <= last.timestamp_ms) {
        return err;
    }
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    put_be64(data, (uint64_t)entry.timestamp_ms);
    put_be32(data + 8, (uint32_t)entry.relative_offset);
    index_file_add(index, data);
    return ERR_OK;
}

err_t time_index_floor(struct index_file *index, int64_t timestamp_ms,
                       struct time_entry *ret_entry) {
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    return entry_or_none(index_file_floor(index, key_timestamp, timestamp_ms, false, data, NULL),
                         data, ret_entry);
}

err_t time_index_cut(struct index_file *index, int64_t relative_offset) {
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    uint32_t number;
    err_t err = index_file_floor(index, key_offset, relative_offset - 1, false, data, &number);
    if (err == ERR_NOT_FOUND) {
        return index_file_cut(index, 0);
    }
    return err == ERR_OK ? index_file_cut(index, number + 1) : err;
}
