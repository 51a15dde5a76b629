#pragma once

#include "log/index_file.h"

/*
 * The time index of a segment (docs/formats/time-index.md): from the largest timestamp so far to
 * the last offset of the batch that has it. Threads as in log/index_file.h.
 */
enum { TIME_INDEX_ENTRY_SIZE = 12 };

struct time_entry {
    int64_t timestamp_ms;
    int32_t relative_offset;
};

/* [writer] There is room. Adds the entry unless its time is not after the last one's. */
err_t time_index_add(struct index_file *index, struct time_entry entry);

/* The last entry; timestamp -1 and offset 0 when there is none. */
err_t time_index_last(struct index_file *index, struct time_entry *ret_entry);

/* The last entry not after a time; timestamp -1 and offset 0 when there is none. */
err_t time_index_floor(struct index_file *index, int64_t timestamp_ms,
                       struct time_entry *ret_entry);

/* [writer] Drops entries of batches that end at or above an offset. */
err_t time_index_cut(struct index_file *index, int64_t relative_offset);
