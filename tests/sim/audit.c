/*
 * What the auditor knows of a partition is one table: for each offset the value that is there as
 * far as anybody saw (acknowledged or read), 0 where nobody looked, and after how many power cuts
 * it was seen last. What was seen only before the last cut is *old*: it may be gone, with all old
 * that follows it.
 *
 *   event                table                               checks
 *   ------------------   ---------------------------------   ----------------------------------
 *   ack at o, read at o  value noted at o                    another value there: two values for
 *                                                            one offset, unless the one of before
 *                                                            is old
 *   power cut            all is old now                      -
 *   ack or read that     as above, but never in place of     it was not promised as synced, when
 *   was said before it   what is newer                       something newer is there
 *   a new value where    all that is old from o on is        o is not below synced_end
 *   an old one was       forgotten; what was acknowledged
 *                        of it is lost to the power
 *   last walk, of a      what it met is marked               audit_compaction.c
 *   compacted log
 *   walk to the end e    as above for e                      a hole; an acknowledged value that is
 *                                                            not at its offset; e below what was
 *                                                            seen when the walk began
 *
 * A value knows where it was first seen (offset), so that a second place is a duplicate. Values
 * that were forgotten may appear again elsewhere: a producer that got no answer sends them again.
 * So may those that were deleted: after a crash a producer is known by what is left of it.
 *
 * And so may those that were under way to a compacted log in a power cut. A hole that the cut left
 * there is not told from one that a cleaner made, and what follows it stays: a producer whose
 * oldest batch fell into the hole cannot know that, and writes all that it had under way again.
 */
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum { OFFSET_NONE = -1 };

struct seen {
    uint64_t value;
    uint64_t news; /* which piece of news it was, since the cut */
    uint32_t cut;  /* of audit->cut_count */
    uint32_t walk; /* the last that met it, of walk_number */
};

struct audit_partition {
    struct audit *audit;
    struct audit_partition *next;
    char *topic;
    int32_t partition;
    struct seen *seen; /* by offset, from 0 */
    int64_t end;       /* past the last offset that anybody saw */
    int64_t capacity;
    int64_t start;            /* below it records may be gone */
    int64_t deleted_end;      /* below it they are gone for good */
    int64_t start_seen;       /* of the last walk in this life of the node */
    int64_t synced_end;       /* all below survives the power */
    int64_t walk_offset;      /* the next one, or OFFSET_NONE */
    uint64_t walk_news;       /* audit->news when the walk began: what came later may lie beyond */
    int64_t walk_synced;      /* likewise synced_end */
    int64_t walk_deleted_end; /* likewise, when its start was asked for */
    int64_t walk_start;
    uint32_t walk_number;
    bool compacted;
    bool walked_last;
    int64_t walk_end; /* where the log ended when the last walk came to its end */
};

struct audit_producer {
    struct audit *audit;
    struct audit_producer *next;
    uint32_t number;
    bool ordered;
    bool idempotent;
};

struct value {
    struct audit_partition *partition;
    struct audit_producer *producer;
    int64_t offset; /* where it was seen, or OFFSET_NONE */
    uint32_t cut;   /* of audit->cut_count, when it was sent */
    bool acknowledged;
    bool refused;
};

struct audit {
    struct audit_partition *partitions;
    struct audit_producer *producers;
    uint32_t producer_count;
    uint64_t news; /* counts what was seen that was not known before */
    uint32_t cut_count;
    uint32_t said_cut;    /* what is told now was said after so many */
    struct value *values; /* by id - 1 */
    uint64_t value_count;
    uint64_t value_capacity;
    struct audit_figures figures;
    char failure[512];
};

/* --- life --- */

struct audit *audit_new(void) {
    struct audit *audit = calloc(1, sizeof *audit);
    assert(audit != NULL);
    return audit;
}

void audit_free(struct audit *audit) {
    while (audit->partitions != NULL) {
        struct audit_partition *partition = audit->partitions;
        audit->partitions = partition->next;
        free(partition->topic);
        free(partition->seen);
        free(partition);
    }
    while (audit->producers != NULL) {
        struct audit_producer *producer = audit->producers;
        audit->producers = producer->next;
        free(producer);
    }
    free(audit->values);
    free(audit);
}

const char *audit_failure(const struct audit *audit) {
    return audit->failure[0] == '\0' ? NULL : audit->failure;
}

void audit_fail(struct audit *audit, const char *format, ...) {
    if (audit->failure[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(audit->failure, sizeof audit->failure, format, args);
        va_end(args);
    }
}

struct audit_partition *audit_partition(struct audit *audit, const char *topic, int32_t number) {
    struct audit_partition *partition = audit->partitions;
    while (partition != NULL &&
           (partition->partition != number || strcmp(partition->topic, topic) != 0)) {
        partition = partition->next;
    }
    if (partition == NULL) {
        partition = calloc(1, sizeof *partition);
        assert(partition != NULL);
        partition->audit = audit;
        partition->topic = strdup(topic);
        partition->partition = number;
        partition->walk_offset = OFFSET_NONE;
        partition->next = audit->partitions;
        audit->partitions = partition;
    }
    return partition;
}

struct audit_producer *audit_producer(struct audit *audit, bool ordered, bool idempotent) {
    struct audit_producer *producer = calloc(1, sizeof *producer);
    assert(producer != NULL);
    producer->audit = audit;
    producer->number = ++audit->producer_count;
    producer->ordered = ordered;
    producer->idempotent = idempotent;
    producer->next = audit->producers;
    audit->producers = producer;
    return producer;
}

void audit_producer_unordered(struct audit_producer *producer) {
    producer->ordered = false;
}

const char *audit_partition_topic(const struct audit_partition *partition) {
    return partition->topic;
}

int32_t audit_partition_number(const struct audit_partition *partition) {
    return partition->partition;
}

static struct value *value_of(struct audit *audit, uint64_t id) {
    return id >= 1 && id <= audit->value_count ? &audit->values[id - 1] : NULL;
}

uint64_t audit_send(struct audit_producer *producer, struct audit_partition *partition) {
    struct audit *audit = producer->audit;
    if (audit->value_count == audit->value_capacity) {
        audit->value_capacity = audit->value_capacity == 0 ? 1024 : 2 * audit->value_capacity;
        audit->values = realloc(audit->values, audit->value_capacity * sizeof(struct value));
        assert(audit->values != NULL);
    }
    audit->values[audit->value_count++] = (struct value){.partition = partition,
                                                         .producer = producer,
                                                         .offset = OFFSET_NONE,
                                                         .cut = audit->cut_count};
    audit->figures.sent++;
    return audit->value_count;
}

/* --- the table --- */

static uint64_t seen_at(const struct audit_partition *partition, int64_t offset) {
    return offset < partition->end ? partition->seen[offset].value : 0;
}

static bool is_old(const struct audit_partition *partition, int64_t offset) {
    return offset < partition->end && partition->seen[offset].cut < partition->audit->cut_count;
}

/* A power cut took all that is old from this offset on. */
static void forget_from(struct audit_partition *partition, int64_t offset) {
    struct audit *audit = partition->audit;
    for (int64_t at = offset; at < partition->end; at++) {
        struct value *value = value_of(audit, partition->seen[at].value);
        if (value == NULL || !is_old(partition, at)) {
            continue;
        }
        if (value->acknowledged) {
            audit->figures.lost_to_power++;
            if (at < partition->synced_end) {
                audit_fail(audit,
                           "%s-%d: value %" PRIu64 " at offset %" PRId64
                           " was promised as synced, and is gone after a power cut",
                           partition->topic, partition->partition, partition->seen[at].value, at);
            }
        }
        value->offset = OFFSET_NONE;
        value->acknowledged = false;
        partition->seen[at].value = 0;
    }
}

static void grow(struct audit_partition *partition, int64_t offset) {
    if (offset >= partition->capacity) {
        int64_t capacity = partition->capacity == 0 ? 1024 : partition->capacity;
        while (capacity <= offset) {
            capacity *= 2;
        }
        partition->seen = realloc(partition->seen, (size_t)capacity * sizeof(struct seen));
        assert(partition->seen != NULL);
        partition->capacity = capacity;
    }
    while (partition->end <= offset) {
        partition->seen[partition->end++] = (struct seen){0};
    }
}

/* What it was to follow may have fallen into a hole, and be sent again with it. */
static bool is_behind_hole(const struct audit_partition *partition, const struct value *value) {
    return partition->compacted && value->cut < partition->audit->cut_count;
}

static void check_order(struct audit_partition *partition, int64_t offset, uint64_t id) {
    enum { LOOK_BACK = 1024 };
    struct audit *audit = partition->audit;
    const struct value *value = value_of(audit, id);
    const struct audit_producer *producer = value->producer;
    if (!producer->ordered || is_behind_hole(partition, value)) {
        return;
    }
    int64_t last = offset - LOOK_BACK > partition->start ? offset - LOOK_BACK : partition->start;
    for (int64_t at = offset - 1; at >= last; at--) {
        const struct value *before = value_of(audit, partition->seen[at].value);
        if (before != NULL && before->producer == producer) {
            if (partition->seen[at].value > id) {
                audit_fail(audit,
                           "%s-%d: producer %u sent value %" PRIu64 " before %" PRIu64
                           ", but they are at offsets %" PRId64 " and %" PRId64,
                           partition->topic, partition->partition, producer->number, id,
                           partition->seen[at].value, offset, at);
            }
            return;
        }
    }
}

static void note_new(struct audit_partition *partition, int64_t offset, uint64_t id,
                     struct value *value) {
    struct audit *audit = partition->audit;
    bool twice = value->offset != OFFSET_NONE && value->producer->idempotent;
    bool was_deleted =
        value->offset < partition->start; /* a start forgets whose records are gone */
    if (twice && is_old(partition, value->offset) && was_deleted) {
        twice = false;
    } else if (twice && is_old(partition, value->offset) &&
               value->offset >= partition->synced_end) {
        forget_from(partition, value->offset); /* its place of before was lost with the power */
        twice = false;
    } else if (twice && is_behind_hole(partition, value)) {
        value->offset = OFFSET_NONE;
        twice = false;
    }
    if (twice) {
        audit_fail(audit,
                   "%s-%d: value %" PRIu64 " of an idempotent producer is at offsets %" PRId64
                   " and %" PRId64,
                   partition->topic, partition->partition, id, value->offset, offset);
        return;
    }
    grow(partition, offset);
    partition->seen[offset] =
        (struct seen){.value = id, .cut = audit->said_cut, .news = ++audit->news};
    if (value->offset == OFFSET_NONE) {
        value->offset = offset;
        check_order(partition, offset, id);
    }
}

/* Somebody saw this value at this offset. False: it is old news, and the power took it since. */
static bool note(struct audit_partition *partition, int64_t offset, uint64_t id) {
    struct audit *audit = partition->audit;
    struct value *value = value_of(audit, id);
    if (value == NULL || value->partition != partition || value->refused || offset < 0) {
        audit_fail(audit, "%s-%d: offset %" PRId64 " has value %" PRIu64 ", which %s",
                   partition->topic, partition->partition, offset, id,
                   value == NULL                   ? "nobody sent"
                   : value->partition != partition ? "was sent to another partition"
                   : value->refused                ? "was refused"
                                                   : "has no such offset");
        return false;
    }
    uint64_t before = seen_at(partition, offset);
    uint32_t before_cut = before == 0 ? 0 : partition->seen[offset].cut;
    bool is_news = audit->said_cut == audit->cut_count;
    if (before == id && before_cut >= audit->said_cut) {
        return true;
    }
    if (before == id) {
        partition->seen[offset].cut = audit->said_cut;
        partition->seen[offset].news = ++audit->news;
        return true;
    }
    if (!is_news && (before_cut > audit->said_cut || value->offset != OFFSET_NONE)) {
        return false;
    }
    if (before != 0 && before_cut < audit->said_cut) {
        forget_from(partition, offset);
    } else if (before != 0) {
        audit_fail(audit, "%s-%d: offset %" PRId64 " had value %" PRIu64 ", and now has %" PRIu64,
                   partition->topic, partition->partition, offset, before, id);
        return false;
    }
    note_new(partition, offset, id, value);
    return true;
}

/* --- compaction --- */

void audit_compacted(struct audit_partition *partition) {
    partition->compacted = true;
}

static void compacted_each(const struct audit_partition *partition, audit_compacted_fn each,
                           void *arg) {
    for (int64_t at = partition->end - 1; at >= partition->walk_start; at--) {
        const struct seen *seen = &partition->seen[at];
        bool met = seen->walk == partition->walk_number;
        bool lost = is_old(partition, at) && at >= partition->synced_end;
        if (seen->value != 0 && (met || !lost)) {
            each(arg, partition, at, seen->value, met);
        }
    }
}

void audit_compacted_each(struct audit *audit, audit_compacted_fn each, void *arg) {
    for (const struct audit_partition *partition = audit->partitions; partition != NULL;
         partition = partition->next) {
        bool all_walked = partition->walked_last && partition->end <= partition->walk_end;
        if (partition->compacted && all_walked) { /* else what came later may have taken a place */
            compacted_each(partition, each, arg);
        }
    }
}

/* --- sending and reading --- */

void audit_ack(struct audit *audit, uint64_t id, int64_t offset, enum audit_promise promise) {
    struct value *value = value_of(audit, id);
    assert(value != NULL);
    struct audit_partition *partition = value->partition;
    if (!note(partition, offset, id)) {
        audit->figures.lost_to_power++;
        if (promise == AUDIT_SYNCED) {
            audit_fail(audit,
                       "%s-%d: value %" PRIu64 " at offset %" PRId64
                       " is promised as synced, but was gone already",
                       partition->topic, partition->partition, id, offset);
        }
        return;
    }
    audit->figures.acknowledged += !value->acknowledged;
    value->acknowledged = true;
    if (promise == AUDIT_SYNCED) {
        audit_sync(partition, offset + 1);
    }
}

void audit_refuse(struct audit *audit, uint64_t id) {
    struct value *value = value_of(audit, id);
    assert(value != NULL);
    audit->figures.refused++;
    value->refused = true;
    if (value->offset != OFFSET_NONE) {
        audit_fail(audit, "%s-%d: value %" PRIu64 " was refused, but is at offset %" PRId64,
                   value->partition->topic, value->partition->partition, id, value->offset);
    }
}

void audit_sync(struct audit_partition *partition, int64_t end_offset) {
    if (end_offset > partition->synced_end) {
        partition->synced_end = end_offset;
    }
}

void audit_delete(struct audit_partition *partition, int64_t start_offset) {
    if (start_offset > partition->start) {
        partition->start = start_offset;
    }
}

void audit_deleted(struct audit_partition *partition, int64_t start_offset) {
    audit_delete(partition, start_offset);
    if (start_offset > partition->deleted_end) {
        partition->deleted_end = start_offset;
    }
}

void audit_read(struct audit_partition *partition, int64_t offset, uint64_t value) {
    partition->audit->figures.read++;
    (void)note(partition, offset, value);
}

void audit_read_marker(struct audit_partition *partition, int64_t offset) {
    struct audit *audit = partition->audit;
    uint64_t before = seen_at(partition, offset);
    if (before == 0) {
        return;
    }
    if (partition->seen[offset].cut < audit->said_cut) {
        forget_from(partition, offset);
    } else if (audit->said_cut == audit->cut_count) {
        audit_fail(audit, "%s-%d: offset %" PRId64 " had value %" PRIu64 ", and now has a marker",
                   partition->topic, partition->partition, offset, before);
    }
}

const struct audit_partition *audit_value_log(const struct audit *audit, uint64_t id) {
    return id >= 1 && id <= audit->value_count ? audit->values[id - 1].partition : NULL;
}

uint64_t audit_value_at(const struct audit_partition *partition, int64_t offset) {
    return seen_at(partition, offset);
}

/* --- walks --- */

void audit_walk_ask(struct audit_partition *partition) {
    partition->walk_deleted_end = partition->deleted_end;
}

void audit_walk_begin(struct audit_partition *partition, int64_t start_offset) {
    if (start_offset < partition->walk_deleted_end) {
        audit_fail(partition->audit,
                   "%s-%d: records below offset %" PRId64
                   " were deleted, and now the log starts at %" PRId64,
                   partition->topic, partition->partition, partition->walk_deleted_end,
                   start_offset);
    } else if (start_offset < partition->start_seen) {
        audit_fail(partition->audit,
                   "%s-%d: the log started at offset %" PRId64 ", and now at %" PRId64,
                   partition->topic, partition->partition, partition->start_seen, start_offset);
    }
    if (start_offset > partition->start) {
        audit_fail(partition->audit,
                   "%s-%d: the log starts at offset %" PRId64 ", but nothing from %" PRId64
                   " on may be gone",
                   partition->topic, partition->partition, start_offset, partition->start);
    }
    partition->start_seen = start_offset;
    partition->walk_offset = start_offset;
    partition->walk_start = start_offset;
    partition->walk_number++;
    partition->walk_news = partition->audit->news;
    partition->walk_synced = partition->synced_end;
}

static void walk_on(struct audit_partition *partition, int64_t offset) {
    assert(partition->walk_offset != OFFSET_NONE);
    bool may_skip = partition->compacted && offset > partition->walk_offset;
    if (offset != partition->walk_offset && !may_skip) {
        audit_fail(partition->audit, "%s-%d: after offset %" PRId64 " comes %" PRId64,
                   partition->topic, partition->partition, partition->walk_offset - 1, offset);
    }
    partition->audit->figures.walked++;
    partition->walk_offset = offset + 1;
}

void audit_walk_marker(struct audit_partition *partition, int64_t offset) {
    walk_on(partition, offset);
    audit_read_marker(partition, offset);
}

void audit_walk_record(struct audit_partition *partition, int64_t offset, uint64_t id) {
    walk_on(partition, offset);
    (void)note(partition, offset, id);
    if (seen_at(partition, offset) == id) {
        check_order(partition, offset, id); /* with all before it known */
        partition->seen[offset].walk = partition->walk_number;
    }
}

void audit_walk_last(struct audit_partition *partition) {
    partition->walked_last = true;
}

void audit_walk_end(struct audit_partition *partition, int64_t end_offset) {
    struct audit *audit = partition->audit;
    bool may_skip = partition->compacted && partition->walk_offset < end_offset;
    if (partition->walk_offset != end_offset && !may_skip) {
        audit_fail(audit, "%s-%d: the log ends at offset %" PRId64 ", but was read to %" PRId64,
                   partition->topic, partition->partition, end_offset, partition->walk_offset);
    }
    forget_from(partition, end_offset);
    partition->walk_end = end_offset;
    for (int64_t at = end_offset; at < partition->end; at++) {
        if (partition->seen[at].value != 0 && partition->seen[at].news <= partition->walk_news) {
            audit_fail(audit,
                       "%s-%d: value %" PRIu64 " was %s at offset %" PRId64
                       ", but the log ends at %" PRId64,
                       partition->topic, partition->partition, partition->seen[at].value,
                       value_of(audit, partition->seen[at].value)->acknowledged ? "acknowledged"
                                                                                : "read",
                       at, end_offset);
            break;
        }
    }
    if (end_offset < partition->walk_synced) {
        audit_fail(audit,
                   "%s-%d: the log ends at offset %" PRId64 ", but all below %" PRId64
                   " was promised as synced",
                   partition->topic, partition->partition, end_offset, partition->walk_synced);
    }
    partition->walk_offset = OFFSET_NONE;
}

void audit_down(struct audit *audit) {
    for (struct audit_partition *partition = audit->partitions; partition != NULL;
         partition = partition->next) {
        partition->start_seen = 0;
    }
}

void audit_said_after_cuts(struct audit *audit, uint32_t cut_count) {
    assert(cut_count <= audit->cut_count);
    audit->said_cut = cut_count;
}

void audit_power_cut(struct audit *audit) {
    audit->cut_count++;
    audit->said_cut = audit->cut_count;
    for (struct audit_partition *partition = audit->partitions; partition != NULL;
         partition = partition->next) {
        partition->walk_offset = OFFSET_NONE;
    }
}

void audit_figures_get(const struct audit *audit, struct audit_figures *ret_figures) {
    *ret_figures = audit->figures;
}

/* --- values as bytes: id, size, checksum, then bytes that follow from the id --- */

static void fill_rest(uint64_t id, uint8_t *bytes, uint32_t size) {
    uint64_t state = id * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = AUDIT_VALUE_SIZE_MIN; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(state >> 56);
    }
}

void audit_value_fill(uint64_t id, uint8_t *bytes, uint32_t size) {
    assert(size >= AUDIT_VALUE_SIZE_MIN);
    memset(bytes, 0, AUDIT_VALUE_SIZE_MIN);
    put_be64(bytes, id);
    put_be32(bytes + 8, size);
    fill_rest(id, bytes, size);
    put_be32(bytes + 16, crc32c(0, bytes, size));
}

uint64_t audit_value_check(const uint8_t *bytes, uint32_t size) {
    if (size < AUDIT_VALUE_SIZE_MIN || get_be32(bytes + 8) != size) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    assert(copy != NULL);
    audit_value_fill(get_be64(bytes), copy, size);
    bool same = memcmp(copy, bytes, size) == 0;
    free(copy);
    return same ? get_be64(bytes) : 0;
}
