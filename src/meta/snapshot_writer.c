/*
 * Writes a snapshot. Every step does one thing to the disk; a failed step leaves the .part file,
 * which meta_snapshot_writer_free removes.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/object_int.h"
#include "meta/snapshot.h"
#include "wire/batch_builder.h"
#include "wire/codec.h"

enum {
    /* A batch ends when it has this much: one write per step, far below Kafka's 8 MiB. */
    BATCH_SIZE = 512 * 1024,
    PATH_SIZE = 4096,
};

enum stage {
    STAGE_CLEAR, /* of a .part file that a crash left */
    STAGE_OPEN,
    STAGE_HEADER,
    STAGE_DATA,
    STAGE_FOOTER,
    STAGE_SYNC,
    STAGE_RENAME,
    STAGE_SYNC_DIR,
    STAGE_DONE,
};

struct meta_snapshot_writer {
    struct sys *sys;
    char dir[PATH_SIZE];
    char path[PATH_SIZE];
    char part_path[PATH_SIZE];
    struct meta_image_walk *walk; /* NULL: no data batches */
    struct meta_snapshot_head head;
    struct arena arena; /* of the voters */
    struct voters_record voters;
    enum stage stage;
    struct sys_file *file;
    uint64_t size;       /* written */
    int64_t next_offset; /* in the file */
    int64_t now_ms;      /* timestamp of all records */
    struct buffer out;
    struct buffer value;
};

struct meta_snapshot_writer *meta_snapshot_writer_new(struct sys *sys, const char *dir,
                                                      const char *name, struct meta_image *image,
                                                      const struct meta_snapshot_head *head) {
    struct meta_snapshot_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        abort();
    }
    writer->sys = sys;
    snprintf(writer->dir, sizeof writer->dir, "%s", dir);
    snprintf(writer->path, sizeof writer->path, "%s/%s", dir, name);
    snprintf(writer->part_path, sizeof writer->part_path, "%s/%s.part", dir, name);
    writer->head = *head;
    arena_init(&writer->arena, SIZE_MAX);
    if (head->kraft_version > 0) {
        assert(head->voters != NULL);
        (void)wire_copy(&voters_record_type, head->voters, &writer->arena, &writer->voters);
    }
    writer->walk = image == NULL ? NULL : meta_image_walk_new(image);
    writer->now_ms = sys_wall_ms(sys);
    return writer;
}

void meta_snapshot_writer_free(struct meta_snapshot_writer *writer) {
    if (writer == NULL) {
        return;
    }
    sys_file_close(writer->file);
    if (writer->stage > STAGE_OPEN && writer->stage <= STAGE_RENAME) {
        (void)sys_path_remove(writer->sys, writer->part_path);
    }
    meta_image_walk_free(writer->walk);
    arena_done(&writer->arena);
    buffer_done(&writer->out);
    buffer_done(&writer->value);
    free(writer);
}

uint64_t meta_snapshot_writer_size(const struct meta_snapshot_writer *writer) {
    return writer->size;
}

static void begin_batch(struct meta_snapshot_writer *writer, struct batch_builder *builder,
                        uint16_t attributes) {
    buffer_clear(&writer->out);
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.base_offset = writer->next_offset;
    options.leader_epoch = writer->head.epoch;
    options.attributes = attributes;
    batch_builder_init(builder, &writer->out, &options);
}

static err_t write_batch(struct meta_snapshot_writer *writer, struct batch_builder *builder) {
    writer->next_offset += builder->record_count;
    batch_builder_finish(builder, NULL);
    err_t err = sys_file_write(writer->file, writer->size, writer->out.data, writer->out.size);
    if (err == ERR_OK) {
        writer->size += writer->out.size;
    }
    return err;
}

static void add_control(struct meta_snapshot_writer *writer, struct batch_builder *builder,
                        enum control_record_type type, const struct wire_type *wire,
                        const void *message) {
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    control_record_key_write(key, type);
    buffer_clear(&writer->value);
    err_t err = wire_encode(wire, 0, message, &writer->value);
    assert(err == ERR_OK);
    batch_builder_add(builder, writer->now_ms, (struct bytes){.data = key, .size = sizeof key},
                      buffer_bytes(&writer->value), NULL, 0);
}

static err_t write_header(struct meta_snapshot_writer *writer) {
    struct batch_builder builder;
    begin_batch(writer, &builder, RECORD_BATCH_CONTROL);
    struct snapshot_header_record header;
    wire_init(&snapshot_header_record_type, &header);
    header.last_contained_log_timestamp = writer->head.last_contained_timestamp_ms;
    add_control(writer, &builder, CONTROL_RECORD_SNAPSHOT_HEADER, &snapshot_header_record_type,
                &header);
    if (writer->head.kraft_version > 0) {
        struct kraft_version_record version;
        wire_init(&kraft_version_record_type, &version);
        version.kraft_version = writer->head.kraft_version;
        add_control(writer, &builder, CONTROL_RECORD_KRAFT_VERSION, &kraft_version_record_type,
                    &version);
        add_control(writer, &builder, CONTROL_RECORD_KRAFT_VOTERS, &voters_record_type,
                    &writer->voters);
    }
    return write_batch(writer, &builder);
}

static err_t write_footer(struct meta_snapshot_writer *writer) {
    struct batch_builder builder;
    begin_batch(writer, &builder, RECORD_BATCH_CONTROL);
    struct snapshot_footer_record footer;
    wire_init(&snapshot_footer_record_type, &footer);
    add_control(writer, &builder, CONTROL_RECORD_SNAPSHOT_FOOTER, &snapshot_footer_record_type,
                &footer);
    return write_batch(writer, &builder);
}

/* *ret_more false: the image is through, and nothing was written. */
static err_t write_data(struct meta_snapshot_writer *writer, bool *ret_more) {
    struct batch_builder builder;
    begin_batch(writer, &builder, 0);
    struct meta_record record;
    while (writer->walk != NULL && batch_builder_size(&builder) < BATCH_SIZE &&
           meta_image_walk_next(writer->walk, &record)) {
        buffer_clear(&writer->value);
        err_t err = meta_record_encode(&record, &writer->value);
        if (err != ERR_OK) {
            return err;
        }
        batch_builder_add(&builder, writer->now_ms, (struct bytes){NULL, 0},
                          buffer_bytes(&writer->value), NULL, 0);
    }
    *ret_more = builder.record_count > 0;
    return *ret_more ? write_batch(writer, &builder) : ERR_OK;
}

static err_t clear_part(struct meta_snapshot_writer *writer) {
    err_t err = sys_path_remove(writer->sys, writer->part_path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t open_part(struct meta_snapshot_writer *writer) {
    int flags = SYS_FILE_CREATE | SYS_FILE_EXCLUSIVE;
    if (!writer->head.writable) {
        flags |= SYS_FILE_READ_ONLY_MODE;
    }
    return sys_file_open(writer->sys, writer->part_path, flags, &writer->file);
}

static err_t run_stage(struct meta_snapshot_writer *writer, bool *ret_again) {
    switch (writer->stage) {
    case STAGE_CLEAR:
        return clear_part(writer);
    case STAGE_OPEN:
        return open_part(writer);
    case STAGE_HEADER:
        return write_header(writer);
    case STAGE_DATA:
        return write_data(writer, ret_again);
    case STAGE_FOOTER:
        return write_footer(writer);
    case STAGE_SYNC:
        return sys_file_sync(writer->file);
    case STAGE_RENAME:
        return sys_path_rename(writer->sys, writer->part_path, writer->path);
    case STAGE_SYNC_DIR:
        return sys_dir_sync(writer->sys, writer->dir);
    case STAGE_DONE:
        break;
    }
    return ERR_OK;
}

err_t meta_snapshot_writer_step(struct meta_snapshot_writer *writer, bool *ret_done) {
    assert(writer->stage != STAGE_DONE);
    bool again = false;
    err_t err = run_stage(writer, &again);
    if (err != ERR_OK) {
        return err;
    }
    if (!again) {
        writer->stage++;
    }
    *ret_done = writer->stage == STAGE_DONE;
    return ERR_OK;
}
