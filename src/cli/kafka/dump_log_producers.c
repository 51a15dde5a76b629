/* kafka-dump-log: transaction indexes, and snapshots of what a log knows of its producers. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "cli/kafka/dump_log_int.h"
#include "log/producer_snapshot.h"
#include "log/txn_index.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { FILE_SIZE_MAX = 1 << 30, VERSION_SIZE = 2, CRC_END = 6, SNAPSHOT_VERSION = 1 };

/* --- .txnindex --- */

/* Segments without aborted transactions have no such file: nothing is printed. */
int dump_log_aborted(struct dump *dump) {
    char *data = NULL;
    size_t size = 0;
    err_t err = sys_file_read_all(dump->sys, dump->path, FILE_SIZE_MAX, &data, &size);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        return dump_log_fail(dump, dump->path, err);
    }
    for (size_t i = 0; i < size / TXN_INDEX_ENTRY_SIZE; i++) {
        struct txn_index_entry entry;
        int16_t version = txn_index_entry_read((uint8_t *)data + i * TXN_INDEX_ENTRY_SIZE, &entry);
        printf("version: %d producerId: %" PRId64 " firstOffset: %" PRId64 " lastOffset: %" PRId64
               " lastStableOffset: %" PRId64 "\n",
               (int)version, entry.producer_id, entry.first_offset, entry.last_offset,
               entry.last_stable_offset);
    }
    free(data);
    return TOOL_DONE;
}

/* --- .snapshot --- */

static void print_producer(const struct producer_snapshot_producer_entry *entry) {
    printf("producerId: %" PRId64 " producerEpoch: %d coordinatorEpoch: %d "
           "currentTxnFirstOffset: ",
           entry->producer_id, (int)entry->epoch, (int)entry->coordinator_epoch);
    if (entry->current_txn_first_offset < 0) {
        fputs("OptionalLong.empty", stdout);
    } else {
        printf("OptionalLong[%" PRId64 "]", entry->current_txn_first_offset);
    }
    printf(" lastTimestamp: %" PRId64, entry->timestamp);
    if (entry->last_offset >= 0) {
        int64_t first = (int64_t)entry->last_sequence - entry->offset_delta;
        first = first < 0 ? first + INT32_MAX + 1 : first; /* sequences run over */
        printf(" firstSequence: %" PRId64 " lastSequence: %d lastOffset: %" PRId64
               " offsetDelta: %d timestamp: %" PRId64,
               first, (int)entry->last_sequence, entry->last_offset, (int)entry->offset_delta,
               entry->timestamp);
    }
    putchar('\n');
}

static void print_snapshot(struct dump *dump, const uint8_t *data, size_t size) {
    int16_t version = size < VERSION_SIZE ? -1 : (int16_t)get_be16(data);
    struct bytes body = {.data = data + VERSION_SIZE, .size = size - VERSION_SIZE};
    struct producer_snapshot snapshot;
    size_t used;
    arena_reset(&dump->arena);
    if (size >= VERSION_SIZE && version != SNAPSHOT_VERSION) {
        (void)tool_fail(dump->tool,
                        "Snapshot failed schema validation: Snapshot contained an unknown file "
                        "version %d",
                        (int)version);
        return;
    }
    err_t err = size < VERSION_SIZE ? ERR_MALFORMED
                                    : wire_decode(&producer_snapshot_type, version, body,
                                                  &dump->arena, &snapshot, &used);
    if (err != ERR_OK) {
        (void)tool_fail(dump->tool, "Snapshot failed schema validation: %s", err_text(err));
        return;
    }
    uint32_t crc = crc32c(0, data + CRC_END, size - CRC_END);
    if (crc != snapshot.crc) {
        (void)tool_fail(dump->tool,
                        "Snapshot is corrupt (CRC is no longer valid). Stored crc: %u. Computed "
                        "crc: %u",
                        (unsigned)snapshot.crc, (unsigned)crc);
        return;
    }
    for (int32_t i = 0; i < snapshot.producer_entries_count; i++) {
        print_producer(&snapshot.producer_entries[i]);
    }
}

/* One that is damaged is passed over by a node, too: what is wrong is said, and the tool goes on.
 */
int dump_log_producers(struct dump *dump) {
    char *data = NULL;
    size_t size = 0;
    err_t err = sys_file_read_all(dump->sys, dump->path, FILE_SIZE_MAX, &data, &size);
    if (err != ERR_OK) {
        return dump_log_fail(dump, dump->path, err);
    }
    print_snapshot(dump, (const uint8_t *)data, size);
    free(data);
    return TOOL_DONE;
}
