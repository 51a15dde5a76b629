#include "client/aborted.h"

#include <stdlib.h>
#include <string.h>

#include "wire/messages.h"

struct aborted_entry {
    int64_t producer_id;
    int64_t first_offset;
};

static int by_first_offset(const void *a, const void *b) {
    int64_t left = ((const struct aborted_entry *)a)->first_offset;
    int64_t right = ((const struct aborted_entry *)b)->first_offset;
    return (left > right) - (left < right);
}

void aborted_init(struct aborted *aborted, const struct fetch_response_aborted_transaction *list,
                  int32_t count) {
    *aborted = (struct aborted){.count = count > 0 ? (size_t)count : 0};
    if (aborted->count == 0) {
        return;
    }
    aborted->entries = calloc(aborted->count, sizeof *aborted->entries);
    if (aborted->entries == NULL) {
        abort();
    }
    for (size_t i = 0; i < aborted->count; i++) {
        aborted->entries[i] = (struct aborted_entry){list[i].producer_id, list[i].first_offset};
    }
    qsort(aborted->entries, aborted->count, sizeof *aborted->entries, by_first_offset);
}

void aborted_done(struct aborted *aborted) {
    free(aborted->entries);
    map_done(&aborted->producers);
    *aborted = (struct aborted){0};
}

static void begin_up_to(struct aborted *aborted, int64_t offset) {
    while (aborted->next < aborted->count &&
           aborted->entries[aborted->next].first_offset <= offset) {
        struct aborted_entry *entry = &aborted->entries[aborted->next++];
        (void)map_put_u64(&aborted->producers, (uint64_t)entry->producer_id, entry);
    }
}

static bool is_abort_marker(const struct record_batch *batch) {
    struct record_iter iter;
    struct record record;
    int16_t type;
    return record_batch_compression(batch->data) == COMPRESSION_NONE &&
           record_iter_init(&iter, batch->data, batch->size, NULL, NULL, 0) == ERR_OK &&
           record_iter_next(&iter, &record) == ERR_OK &&
           control_record_key_read(record.key, &type) == ERR_OK && type == CONTROL_RECORD_ABORT;
}

bool aborted_leaves_out(struct aborted *aborted, const struct record_batch *batch) {
    int64_t producer_id = record_batch_producer_id(batch->data);
    if (aborted->count == 0 || producer_id < 0) {
        return false;
    }
    begin_up_to(aborted, record_batch_last_offset(batch->data));
    if (record_batch_is_control(batch->data)) {
        if (is_abort_marker(batch)) {
            (void)map_remove_u64(&aborted->producers, (uint64_t)producer_id);
        }
        return true;
    }
    return record_batch_is_transactional(batch->data) &&
           map_get_u64(&aborted->producers, (uint64_t)producer_id) != NULL;
}
