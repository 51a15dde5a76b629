#include "meta/bootstrap.h"

#include <stdio.h>
#include <stdlib.h>

#include "meta/object_int.h"
#include "meta/snapshot.h"
#include "wire/codec.h"

enum { PATH_SIZE = 4096 };

err_t meta_bootstrap_write(struct sys *sys, const char *dir, struct meta_image *image) {
    struct meta_snapshot_head head = {.writable = true};
    struct meta_snapshot_writer *writer =
        meta_snapshot_writer_new(sys, dir, META_BOOTSTRAP_NAME, image, &head);
    bool done = false;
    err_t err = ERR_OK;
    while (err == ERR_OK && !done) {
        err = meta_snapshot_writer_step(writer, &done);
    }
    meta_snapshot_writer_free(writer);
    return err;
}

/* Reads the file into an image, which checks it on the way. */
static err_t read_image(struct meta_snapshot_reader *reader, struct meta_image **ret_image,
                        char *error, size_t error_size) {
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    meta_image_unref(empty);
    bool done = false;
    err_t err = ERR_OK;
    while (err == ERR_OK && !done) {
        err = meta_snapshot_reader_step(reader, delta, &done);
    }
    if (err != ERR_OK) {
        snprintf(error, error_size, "%s", meta_snapshot_reader_error(reader));
        meta_delta_free(delta);
        return err;
    }
    const struct meta_provenance none = {.offset = -1, .epoch = -1, .timestamp_ms = -1};
    *ret_image = meta_delta_finish(delta, &none, NULL);
    return ERR_OK;
}

static void copy_records(struct meta_image *image, struct arena *arena,
                         struct meta_record **ret_records, int32_t *ret_count) {
    struct meta_record *records = NULL;
    size_t count = 0;
    size_t capacity = 0;
    struct meta_image_walk *walk = meta_image_walk_new(image);
    struct meta_record record;
    while (meta_image_walk_next(walk, &record)) {
        if (count == capacity) {
            size_t larger = capacity * 2 + 16;
            records =
                arena_grow(arena, records, capacity * sizeof *records, larger * sizeof *records);
            capacity = larger;
        }
        const struct wire_type *type = meta_record_wire_type(record.type);
        void *message = arena_alloc(arena, wire_struct_size(type));
        (void)wire_copy(type, record.message, arena, message);
        record.message = message;
        records[count++] = record;
    }
    meta_image_walk_free(walk);
    *ret_records = records;
    *ret_count = (int32_t)count;
}

err_t meta_bootstrap_read(struct sys *sys, const char *dir, struct arena *arena,
                          struct meta_record **ret_records, int32_t *ret_count, char *error,
                          size_t error_size) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, META_BOOTSTRAP_NAME);
    struct meta_snapshot_reader *reader;
    err_t err = meta_snapshot_reader_open(sys, path, &reader);
    if (err == ERR_NOT_FOUND) {
        *ret_records = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    if (err != ERR_OK) {
        snprintf(error, error_size, "%s", err_text(err));
        return err;
    }
    struct meta_image *image;
    err = read_image(reader, &image, error, error_size);
    if (err == ERR_OK) {
        copy_records(image, arena, ret_records, ret_count);
        meta_image_unref(image);
    }
    meta_snapshot_reader_free(reader);
    return err;
}
