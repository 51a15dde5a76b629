/* Messages of magic 0 and 1, as they lie in old logs. Their CRCs are made right first, those of
 * inner messages only where they are not compressed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "wire/message_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_LIMIT = 1 << 20 };

static void read_records(const struct record_batch *message, struct compression *compression) {
    struct buffer scratch = {0};
    struct message_iter iter;
    struct record record;
    if (message_iter_init(&iter, message, compression, &scratch, SIZE_LIMIT) == ERR_OK) {
        err_t err;
        while ((err = message_iter_next(&iter, &record)) == ERR_OK) {
            assert(record.size <= message->size + scratch.size);
        }
        assert(err == ERR_NOT_FOUND);
    }
    assert(scratch.size <= SIZE_LIMIT);
    buffer_done(&scratch);
}

static void check_message(struct record_batch *message, struct compression *compression) {
    struct buffer scratch = {0};
    struct batch_summary summary;
    if (batch_summarise(message, compression, &scratch, SIZE_LIMIT, &summary) == ERR_OK &&
        message->magic < 2) {
        assert(summary.last_offset == message_last_offset(message));
        assert(message_check(message) == ERR_OK);
        (void)message_has_log_append_time(message);
    }
    buffer_done(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    struct compression *compression = compression_new();
    struct bytes run = {.data = copy, .size = size};
    struct record_batch message;
    size_t position = 0;
    while (record_batch_next(run, &position, &message) == ERR_OK) {
        if (message.magic < 2) {
            put_be32(copy + (message.data - copy) + MESSAGE_CRC,
                     crc32_ieee(0, message.data + RECORD_BATCH_MAGIC,
                                message.size - RECORD_BATCH_MAGIC));
            read_records(&message, compression);
        }
        check_message(&message, compression);
    }
    compression_free(compression);
    free(copy);
    return 0;
}
