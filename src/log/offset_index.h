#pragma once

#include "log/index_file.h"

/*
 * The offset index of a segment (docs/formats/offset-index.md): from the last offset of a batch to
 * where that batch begins. Threads as in log/index_file.h.
 */
enum { OFFSET_INDEX_ENTRY_SIZE = 8 };

/* [writer] There is room. relative_offset: of the batch's last record, to the segment's base. */
void offset_index_add(struct index_file *index, int32_t relative_offset, uint32_t position);

/* Where to start scanning for an offset: the position of the last indexed batch that ends at or
 * before it, or 0. */
err_t offset_index_floor(struct index_file *index, int32_t relative_offset, bool no_wait,
                         uint32_t *ret_position);

/* The greatest indexed position that is at or before `position`, or 0. */
err_t offset_index_position_floor(struct index_file *index, uint32_t position, bool no_wait,
                                  uint32_t *ret_position);

/* [writer] Drops the entries of batches at or above a position. */
err_t offset_index_cut(struct index_file *index, uint32_t position);
