#include "log/leader_epochs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/checkpoint.h"

void leader_epochs_done(struct leader_epochs *epochs) {
    free(epochs->entries);
    *epochs = (struct leader_epochs){0};
}

static const struct leader_epoch *last(const struct leader_epochs *epochs) {
    return epochs->count == 0 ? NULL : &epochs->entries[epochs->count - 1];
}

bool leader_epochs_assign(struct leader_epochs *epochs, int32_t epoch, int64_t start_offset) {
    const struct leader_epoch *latest = last(epochs);
    if (latest != NULL && latest->epoch == epoch && latest->start_offset <= start_offset) {
        return false;
    }
    while (epochs->count > 0 &&
           (last(epochs)->epoch >= epoch || last(epochs)->start_offset >= start_offset)) {
        epochs->count--;
    }
    if (epochs->count == epochs->capacity) {
        epochs->capacity = epochs->capacity == 0 ? 4 : epochs->capacity * 2;
        epochs->entries = realloc(epochs->entries, epochs->capacity * sizeof *epochs->entries);
    }
    epochs->entries[epochs->count++] =
        (struct leader_epoch){.epoch = epoch, .start_offset = start_offset};
    return true;
}

bool leader_epochs_truncate_end(struct leader_epochs *epochs, int64_t end_offset) {
    size_t before = epochs->count;
    while (epochs->count > 0 && last(epochs)->start_offset >= end_offset) {
        epochs->count--;
    }
    return epochs->count != before;
}

bool leader_epochs_truncate_start(struct leader_epochs *epochs, int64_t start_offset) {
    size_t below = 0;
    while (below < epochs->count && epochs->entries[below].start_offset <= start_offset) {
        below++;
    }
    if (below == 0 || (below == 1 && epochs->entries[0].start_offset == start_offset)) {
        return false;
    }
    size_t dropped = below - 1;
    epochs->count -= dropped;
    memmove(epochs->entries, epochs->entries + dropped, epochs->count * sizeof *epochs->entries);
    epochs->entries[0].start_offset = start_offset;
    return true;
}

int32_t leader_epochs_latest(const struct leader_epochs *epochs) {
    return epochs->count == 0 ? -1 : last(epochs)->epoch;
}

int32_t leader_epochs_of(const struct leader_epochs *epochs, int64_t offset) {
    int32_t epoch = -1;
    for (size_t i = 0; i < epochs->count && epochs->entries[i].start_offset <= offset; i++) {
        epoch = epochs->entries[i].epoch;
    }
    return epoch;
}

void leader_epochs_end(const struct leader_epochs *epochs, int32_t epoch, int64_t log_end_offset,
                       int32_t *ret_epoch, int64_t *ret_end_offset) {
    *ret_epoch = -1;
    *ret_end_offset = -1;
    if (epoch == -1 || epochs->count == 0) {
        return;
    }
    if (last(epochs)->epoch == epoch) {
        *ret_epoch = epoch;
        *ret_end_offset = log_end_offset;
        return;
    }
    size_t higher = 0;
    while (higher < epochs->count && epochs->entries[higher].epoch <= epoch) {
        higher++;
    }
    if (higher == epochs->count) {
        return; /* newer than all we know */
    }
    *ret_epoch = higher == 0 ? epoch : epochs->entries[higher - 1].epoch;
    *ret_end_offset = epochs->entries[higher].start_offset;
}

void leader_epochs_format(const struct leader_epochs *epochs, struct buffer *out) {
    checkpoint_write_begin(out, epochs->count);
    for (size_t i = 0; i < epochs->count; i++) {
        buffer_printf(out, "%" PRId32 " %" PRId64 "\n", epochs->entries[i].epoch,
                      epochs->entries[i].start_offset);
    }
}

err_t leader_epochs_parse(struct leader_epochs *epochs, const char *data, size_t size,
                          char *message, size_t message_size) {
    struct checkpoint_reader reader;
    err_t err = checkpoint_read_begin(&reader, data, size, 2);
    while (err == ERR_OK) {
        struct str fields[CHECKPOINT_FIELDS_MAX];
        int64_t epoch, start_offset;
        err = checkpoint_read_entry(&reader, fields);
        if (err == ERR_OK) {
            err = checkpoint_number(&reader, fields[0], INT32_MAX, &epoch);
        }
        if (err == ERR_OK) {
            err = checkpoint_number(&reader, fields[1], INT64_MAX, &start_offset);
        }
        if (err == ERR_OK) {
            (void)leader_epochs_assign(epochs, (int32_t)epoch, start_offset);
        }
    }
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    leader_epochs_done(epochs);
    snprintf(message, message_size, "%s", reader.message);
    return err;
}
