/* What became of a batch, and telling its records' owners. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/batches.h"

/* What Kafka's clients say of the good records in a batch that was refused for bad ones. */
static const char among_bad_ones[] =
    "another record of the same batch was refused, and with it the whole batch";

static char *copy_text(struct str text) {
    size_t size = text.size < LIMIT_ERROR_TEXT ? text.size : LIMIT_ERROR_TEXT;
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, text.data, size);
    copy[size] = 0;
    return copy;
}

void batch_set_outcome(struct batch *batch, err_t err, struct str text) {
    free(batch->text);
    batch->err = err;
    batch->text = text.size > 0 ? copy_text(text) : NULL;
}

void batch_add_complaint(struct batch *batch, int32_t index, struct str text) {
    size_t count = batch->complaint_count;
    bool in_order = count == 0 || index > batch->complaints[count - 1].index;
    if (index < 0 || index >= batch_record_count(batch) || !in_order) {
        return; /* not of ours */
    }
    if (count == batch->complaint_capacity) {
        batch->complaint_capacity = count * 2 + 4;
        batch->complaints =
            realloc(batch->complaints, batch->complaint_capacity * sizeof *batch->complaints);
        if (batch->complaints == NULL) {
            abort();
        }
    }
    batch->complaints[count] =
        (struct batch_complaint){.index = index, .text = text.size > 0 ? copy_text(text) : NULL};
    batch->complaint_count++;
}

static const char *text_of(const struct batch *batch, int32_t index, size_t *complaint) {
    const char *text = batch->text != NULL ? batch->text : err_text(batch->err);
    if (batch->complaint_count == 0) {
        return text;
    }
    if (*complaint == batch->complaint_count || batch->complaints[*complaint].index != index) {
        return among_bad_ones;
    }
    const char *own = batch->complaints[(*complaint)++].text;
    return own != NULL ? own : text;
}

void batch_deliver(const struct batch *batch, const char *topic, int32_t partition) {
    if (batch->receipts == NULL) {
        return;
    }
    bool good = batch->err == ERR_OK;
    size_t complaint = 0;
    for (int32_t i = 0; i < batch_record_count(batch); i++) {
        const struct batch_receipt *receipt = &batch->receipts[i];
        const char *text = text_of(batch, i, &complaint);
        if (receipt->delivered == NULL) {
            continue;
        }
        receipt->delivered(receipt->arg,
                           &(struct ottla_delivery){
                               .code = batch->err,
                               .text = text,
                               .topic = topic,
                               .partition = partition,
                               .offset = good && batch->offset >= 0 ? batch->offset + i : -1,
                               .timestamp_ms = good && batch->append_time_ms >= 0
                                                   ? batch->append_time_ms
                                                   : receipt->timestamp_ms,
                           });
    }
}

void batch_outcome_done(struct batch *batch) {
    free(batch->text);
    for (size_t i = 0; i < batch->complaint_count; i++) {
        free(batch->complaints[i].text);
    }
    free(batch->complaints);
}
