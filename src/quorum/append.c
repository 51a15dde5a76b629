/*
 * From records to batches on the disk.
 *
 *   quorum_append           encodes behind `pending`, gives out offsets
 *   quorum_write_start      `pending` becomes `flight` as a whole: everything that waited while the
 *                           last flight was on its way shares one sync
 *   write_step (worker)     epoch note; one log_append per step; one log_flush
 *   write_finished          SYNCED to raft, which commits (commit.c)
 *
 * A batch is at most BATCH_SIZE_MAX, Kafka's bound for the metadata log, so it fits a segment
 * (metadata.log.segment.bytes is 8 MiB at least). A full disk is no failure: nothing of that run is
 * in the log, so the flight stays and goes on where it was, a second later.
 */
#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "quorum/quorum_int.h"
#include "wire/batch_builder.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum {
    BATCH_SIZE_MAX = 8 * 1024 * 1024,
    BATCH_RECORDS_MAX = 10000, /* of appends that may be split, as Kafka splits them */
    RETRY_MS = 1000,
};

/* --- queueing --- */

static void begin_batch(struct quorum *quorum, struct batch_builder *builder, uint16_t attributes) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.base_offset = quorum->next_offset;
    options.leader_epoch = raft_epoch(quorum->raft);
    options.attributes = attributes;
    batch_builder_init(builder, &quorum->pending, &options);
}

static void end_batch(struct quorum *quorum, struct batch_builder *builder) {
    assert(builder->record_count > 0);
    batch_builder_finish(builder, NULL);
    quorum->next_offset += builder->record_count;
}

/* Encodes all records behind `pending`, in one batch or several. On an error the caller cuts off
 * what was added. */
static err_t encode(struct quorum *quorum, const struct meta_record *records, size_t count,
                    bool atomic) {
    int64_t now_ms = sys_wall_ms(quorum->options.sys);
    struct buffer value = {0};
    struct batch_builder builder;
    begin_batch(quorum, &builder, 0);
    err_t err = ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        buffer_clear(&value);
        err = meta_record_encode(&records[i], &value);
        size_t room = value.size + 64; /* a record's own fields take less */
        bool full = batch_builder_size(&builder) + room > BATCH_SIZE_MAX ||
                    (!atomic && builder.record_count == BATCH_RECORDS_MAX);
        if (err == ERR_OK && full && !atomic && builder.record_count > 0) {
            end_batch(quorum, &builder);
            begin_batch(quorum, &builder, 0);
            full = room + RECORD_BATCH_HEADER_SIZE > BATCH_SIZE_MAX;
        }
        if (err == ERR_OK && full) {
            err = ERR_RECORD_LIST_TOO_LARGE;
        }
        if (err == ERR_OK) {
            batch_builder_add(&builder, now_ms, (struct bytes){NULL, 0}, buffer_bytes(&value), NULL,
                              0);
        }
    }
    if (err == ERR_OK) {
        end_batch(quorum, &builder);
    }
    buffer_done(&value);
    return err;
}

err_t quorum_append(struct quorum *quorum, const struct meta_record *records, size_t count,
                    bool atomic, struct quorum_append *append) {
    assert(count > 0);
    assert(sys_loop_is_current(quorum->options.loop));
    if (quorum->phase != QUORUM_LEADING) {
        return ERR_NOT_CONTROLLER;
    }
    if (quorum->pending.size > QUORUM_PENDING_BYTES_MAX) {
        return ERR_BUSY;
    }
    size_t size_before = quorum->pending.size;
    int64_t first_offset = quorum->next_offset;
    err_t err = encode(quorum, records, count, atomic);
    if (err != ERR_OK) {
        quorum->pending.size = size_before;
        quorum->next_offset = first_offset;
        return err;
    }
    append->first_offset = first_offset;
    append->last_offset = quorum->next_offset - 1;
    list_add_last(&quorum->pending_appends, &append->link);
    quorum_kick(quorum);
    return ERR_OK;
}

static void add_control(struct quorum *quorum, struct batch_builder *builder,
                        enum control_record_type type, const struct wire_type *wire,
                        const void *message) {
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    control_record_key_write(key, type);
    struct buffer value = {0};
    err_t err = wire_encode(wire, 0, message, &value);
    assert(err == ERR_OK);
    batch_builder_add(builder, sys_wall_ms(quorum->options.sys),
                      (struct bytes){.data = key, .size = sizeof key}, buffer_bytes(&value), NULL,
                      0);
    buffer_done(&value);
}

/* The voters of a freshly formatted directory stand in its 0-0 snapshot only; with the first epoch
 * they come into the log. */
static void add_voters(struct quorum *quorum, struct batch_builder *builder) {
    struct kraft_version_record version;
    wire_init(&kraft_version_record_type, &version);
    version.kraft_version = quorum->kraft_version;
    add_control(quorum, builder, CONTROL_RECORD_KRAFT_VERSION, &kraft_version_record_type,
                &version);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct voters_record voters;
    raft_voters_to_record(&quorum->voters, &arena, &voters);
    add_control(quorum, builder, CONTROL_RECORD_KRAFT_VOTERS, &voters_record_type, &voters);
    arena_done(&arena);
}

void quorum_start_epoch(struct quorum *quorum) {
    assert(quorum->pending.size == 0);
    struct leader_change_message_voter self = {.voter_id = quorum->meta.node_id};
    struct leader_change_message message;
    wire_init(&leader_change_message_type, &message);
    message.leader_id = quorum->meta.node_id;
    message.voters = &self;
    message.voters_count = 1;
    message.granting_voters = &self;
    message.granting_voters_count = 1;
    struct batch_builder builder;
    begin_batch(quorum, &builder, RECORD_BATCH_CONTROL);
    add_control(quorum, &builder, CONTROL_RECORD_LEADER_CHANGE, &leader_change_message_type,
                &message);
    if (quorum->kraft_version > 0 && !quorum->voters_in_log) {
        add_voters(quorum, &builder);
        quorum->voters_in_log = true;
    }
    end_batch(quorum, &builder);
    quorum->epoch_due = true;
}

void quorum_fail_appends(struct quorum *quorum) {
    struct list failed;
    list_init(&failed);
    if (!quorum->work.busy) { /* else the worker reads the flight: write_finished fails it */
        list_splice_last(&failed, &quorum->flight_appends);
    }
    list_splice_last(&failed, &quorum->pending_appends);
    struct list *link;
    while ((link = list_take_first(&failed)) != NULL) {
        struct quorum_append *append = container_of(link, struct quorum_append, link);
        append->done(append, ERR_NOT_CONTROLLER);
    }
}

/* --- writing --- */

bool quorum_write_due(const struct quorum *quorum) {
    bool flight = quorum->flight.size > 0;
    return (flight || quorum->pending.size > 0) && !sys_timer_is_set(&quorum->retry_timer);
}

/* Whole batches from `start` on that fit one append. */
static size_t run_size(const struct quorum *quorum, size_t start) {
    size_t size_max = (size_t)quorum->options.segment_bytes;
    if (size_max > BATCH_SIZE_MAX) {
        size_max = BATCH_SIZE_MAX;
    }
    struct bytes run = buffer_bytes(&quorum->flight);
    size_t end = start;
    size_t position = start;
    struct record_batch batch;
    while (record_batch_next(run, &position, &batch) == ERR_OK &&
           (end == start || position - start <= size_max)) {
        end = position;
    }
    return end - start;
}

static err_t append_run(struct quorum *quorum) {
    uint8_t *data = quorum->flight.data + quorum->flight_written;
    struct log_append append = {
        .data = data,
        .size = run_size(quorum, quorum->flight_written),
        .leader_epoch = record_batch_leader_epoch(data),
        .now_ms = sys_wall_ms(quorum->options.sys),
    };
    int64_t expected_offset = record_batch_base_offset(data);
    struct log_append_result result;
    err_t err = log_append(quorum->log, &append, &result);
    if (err == ERR_OK) {
        assert(result.first_offset == expected_offset);
        quorum->flight_written += append.size;
    }
    return err;
}

static err_t write_step(struct quorum *quorum, bool *ret_done) {
    if (quorum->epoch_due) {
        err_t err = log_epoch_start(quorum->log, record_batch_leader_epoch(quorum->flight.data));
        quorum->epoch_due = err != ERR_OK;
        return err;
    }
    if (quorum->flight_written < quorum->flight.size) {
        return append_run(quorum);
    }
    err_t err = log_flush(quorum->log, quorum->flight_end_offset);
    *ret_done = err == ERR_OK;
    if (err == ERR_NO_SPACE) {
        return ERR_IO; /* written and then refused by the sync: what is there is not known */
    }
    return err;
}

static void wait_for_space(struct quorum *quorum) {
    if (!quorum->disk_full) {
        text_log_error(quorum->options.text_log, "quorum",
                       "the disk of %s is full: changes of metadata wait until there is room",
                       quorum->folder);
        quorum->disk_full = true;
    }
    int64_t now_ms = sys_mono_ms(quorum->options.sys);
    sys_timer_set(quorum->options.loop, &quorum->retry_timer, now_ms + RETRY_MS);
}

static void write_finished(struct quorum *quorum, err_t err) {
    if (quorum->phase == QUORUM_STOPPING || quorum->phase == QUORUM_FAILED) {
        quorum_fail_appends(quorum);
        return;
    }
    if (err == ERR_NO_SPACE) {
        wait_for_space(quorum);
        return;
    }
    if (err != ERR_OK) {
        quorum_fail(quorum, err,
                    "the metadata log %s cannot be written: %s; nothing that was not acknowledged "
                    "is lost, start again when the disk is well",
                    quorum->folder, err_text(err));
        return;
    }
    if (quorum->disk_full) {
        text_log_info(quorum->options.text_log, "quorum", "the disk of %s has room again",
                      quorum->folder);
        quorum->disk_full = false;
    }
    quorum_raft_step(quorum, RAFT_APPENDED, quorum->flight_end_offset);
    quorum_raft_step(quorum, RAFT_SYNCED, quorum->flight_end_offset);
}

void quorum_write_start(struct quorum *quorum) {
    if (quorum->flight.size == 0) {
        struct buffer empty = quorum->flight;
        quorum->flight = quorum->pending;
        quorum->pending = empty;
        quorum->flight_written = 0;
        quorum->flight_end_offset = quorum->next_offset;
        list_splice_last(&quorum->flight_appends, &quorum->pending_appends);
    }
    quorum_work_run(&quorum->work, write_step, write_finished);
}
