#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The auditor: what clients were promised, and whether it was kept.
 *
 * A workload tells it what it sends, which answers it gets, and what readers see; the run tells it
 * of crashes and power cuts. Every record has a value id, unique in the run, from which its bytes
 * are made, so that a record that is read names itself. The auditor holds:
 *
 *   1. nothing is invented      what is read was sent, to this partition, and was not refused
 *   2. one value per offset     whoever reads it, before and after every crash
 *   3. no hole                  offsets in a log are consecutive from its start to its end
 *   4. nothing promised is lost an acknowledged record is at its offset: after a process crash
 *                               always; after a power cut when it was promised as synced, else it
 *                               may be gone together with all that followed it
 *   5. order                    of an ordered producer the sequences rise with the offsets
 *   6. no duplicates            a value of an idempotent producer is at one offset only
 *      In a compacted log records may be missing (3, 4): which ones, audit_compaction.h tells; and
 *      what was under way there in a power cut may be written in another order, and again (5, 6).
 *   7. nothing goes back        the end of a log falls only by a power cut; its start never falls
 *                               below what was promised, and while the node lives not at all
 *
 * Plain memory, no clock; the first violation is kept as a sentence.
 */
struct audit;
struct audit_partition;
struct audit_producer;

struct audit *audit_new(void);
void audit_free(struct audit *audit);

/* The first violation, or NULL. */
const char *audit_failure(const struct audit *audit);

/* A violation that somebody else found: a reader whose record has wrong bytes, ... */
void audit_fail(struct audit *audit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* topic: copied. */
struct audit_partition *audit_partition(struct audit *audit, const char *topic, int32_t partition);

struct audit_producer *audit_producer(struct audit *audit, bool ordered, bool idempotent);

/* From now on its order (5) is not held: a log that has forgotten a producer takes any sequence. */
void audit_producer_unordered(struct audit_producer *producer);

/* --- sending --- */

/* A record is about to be sent; its value id, from 1. */
uint64_t audit_send(struct audit_producer *producer, struct audit_partition *partition);

enum audit_promise {
    AUDIT_WRITTEN, /* survives the process */
    AUDIT_SYNCED,  /* survives the power */
};

/* Acknowledged at an offset. */
void audit_ack(struct audit *audit, uint64_t value, int64_t offset, enum audit_promise promise);

/* Refused for good: it was not and will not be written. Without an answer nothing is told. */
void audit_refuse(struct audit *audit, uint64_t value);

/* All below this offset is promised to survive the power. */
void audit_sync(struct audit_partition *partition, int64_t end_offset);

/* Records below this offset may be gone: retention, DeleteRecords. */
void audit_delete(struct audit_partition *partition, int64_t start_offset);

/* They are gone for good: DeleteRecords was acknowledged. */
void audit_deleted(struct audit_partition *partition, int64_t start_offset);

/* The log is compacted from now on. */
void audit_compacted(struct audit_partition *partition);

/* --- reading --- */

/* A reader saw the record at this offset. */
void audit_read(struct audit_partition *partition, int64_t offset, uint64_t value);

/* A reader saw the end of a transaction at this offset. */
void audit_read_marker(struct audit_partition *partition, int64_t offset);

/* The log that a value was sent to; NULL: nobody sent it. */
const struct audit_partition *audit_value_log(const struct audit *audit, uint64_t value);

/* The value that is at this offset as far as anybody saw, or 0. */
uint64_t audit_value_at(const struct audit_partition *partition, int64_t offset);

/* A walk over a whole log: its start is asked for; begin, with the answer; a call per record in the
 * order of offsets; end, which was asked for after the begin. In one walk the log may grow behind
 * it, but nothing may crash. */
void audit_walk_ask(struct audit_partition *partition);
void audit_walk_begin(struct audit_partition *partition, int64_t start_offset);
void audit_walk_record(struct audit_partition *partition, int64_t offset, uint64_t value);
void audit_walk_marker(struct audit_partition *partition, int64_t offset);
void audit_walk_end(struct audit_partition *partition, int64_t end_offset);

/* It was the last walk: nothing was written beside it, and nothing will be. */
void audit_walk_last(struct audit_partition *partition);

/* Each value that is known to be in a compacted log, from its end down, and whether the last walk
 * met it; but not what the power may have taken. Logs that had no last walk are left out. */
typedef void (*audit_compacted_fn)(void *arg, const struct audit_partition *partition,
                                   int64_t offset, uint64_t value, bool met);
void audit_compacted_each(struct audit *audit, audit_compacted_fn each, void *arg);

/* For people. */
const char *audit_partition_topic(const struct audit_partition *partition);
int32_t audit_partition_number(const struct audit_partition *partition);

/* --- faults --- */

/* The node that keeps all these logs ended: what only its memory knew is gone. */
void audit_down(struct audit *audit);

/* The power of the host that keeps all these logs was cut. */
void audit_power_cut(struct audit *audit);

/* What is told from now on was said by the node when the power had been cut so many times: an
 * answer may be on its way while the power fails. */
void audit_said_after_cuts(struct audit *audit, uint32_t cut_count);

/* --- figures --- */

struct audit_figures {
    uint64_t sent;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t read;
    uint64_t walked;
    uint64_t lost_to_power; /* acknowledged without promise of a sync, and gone */
};
void audit_figures_get(const struct audit *audit, struct audit_figures *ret_figures);

/* --- values as bytes --- */

enum { AUDIT_VALUE_SIZE_MIN = 24 };

/* Fills a record's value: the id, and bytes that follow from it. size >= AUDIT_VALUE_SIZE_MIN. */
void audit_value_fill(uint64_t value, uint8_t *bytes, uint32_t size);

/* The id, or 0 when a byte is wrong. */
uint64_t audit_value_check(const uint8_t *bytes, uint32_t size);
