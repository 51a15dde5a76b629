#pragma once

#include "meta/delta.h"
#include "sys/file.h"

/*
 * Snapshots: an image as a file, `<offset>-<epoch>.checkpoint`, byte layout as Kafka's.
 *
 *   control batch   SNAPSHOT_HEADER, and with kraft.version 1 KRAFT_VERSION and KRAFT_VOTERS
 *   data batches    the image's records
 *   control batch   SNAPSHOT_FOOTER
 *
 * A file without its footer, or with a batch whose checksum is wrong, is damaged. `offset` is
 * exclusive: that of the first record which is not contained.
 *
 * Writer and reader work in steps of about one blocking call each, for workers.
 */
struct meta_snapshot_id {
    int64_t offset;
    int32_t epoch;
};

enum { META_SNAPSHOT_NAME_MAX = 64 };
void meta_snapshot_name(struct meta_snapshot_id id, char name[META_SNAPSHOT_NAME_MAX]);
bool meta_snapshot_parse_name(const char *name, struct meta_snapshot_id *ret_id);

/* --- writing --- */

struct meta_snapshot_writer;
struct voters_record; /* wire/messages.h */

struct meta_snapshot_head {
    int32_t epoch; /* of the snapshot's id: stands in all batches */
    int64_t last_contained_timestamp_ms;
    int16_t kraft_version;              /* 0: neither KRAFT_VERSION nor KRAFT_VOTERS is written */
    const struct voters_record *voters; /* with kraft_version 1; copied */
    bool writable;                      /* mode 0644 instead of 0400, as bootstrap.checkpoint has */
};

/* Writes `dir`/`name`.part, then renames it to `dir`/`name`. Holds a reference to the image, which
 * may be NULL for a snapshot without data batches. */
struct meta_snapshot_writer *meta_snapshot_writer_new(struct sys *sys, const char *dir,
                                                      const char *name, struct meta_image *image,
                                                      const struct meta_snapshot_head *head);
/* Goes on; after *ret_done the file is complete and synced. */
err_t meta_snapshot_writer_step(struct meta_snapshot_writer *writer, bool *ret_done);
uint64_t meta_snapshot_writer_size(const struct meta_snapshot_writer *writer); /* bytes so far */
/* Removes an unfinished file. Accepts NULL. */
void meta_snapshot_writer_free(struct meta_snapshot_writer *writer);

/* --- reading --- */

struct meta_snapshot_reader;

err_t meta_snapshot_reader_open(struct sys *sys, const char *path,
                                struct meta_snapshot_reader **ret_reader);
/*
 * Reads the next batch or so and applies its records to the delta.
 *
 * ERR_CORRUPT: the file is damaged; meta_snapshot_reader_error says where and how. The delta is
 * then of no use.
 */
err_t meta_snapshot_reader_step(struct meta_snapshot_reader *reader, struct meta_delta *delta,
                                bool *ret_done);
const char *meta_snapshot_reader_error(const struct meta_snapshot_reader *reader);
void meta_snapshot_reader_progress(const struct meta_snapshot_reader *reader, uint64_t *ret_read,
                                   uint64_t *ret_size);
/* After done: what the header said. voters is NULL with kraft.version 0. */
int64_t meta_snapshot_reader_timestamp_ms(const struct meta_snapshot_reader *reader);
int16_t meta_snapshot_reader_kraft_version(const struct meta_snapshot_reader *reader);
const struct voters_record *meta_snapshot_reader_voters(const struct meta_snapshot_reader *reader);
void meta_snapshot_reader_free(struct meta_snapshot_reader *reader); /* accepts NULL */

/* --- records of an image, for writers and tests --- */

struct meta_image_walk;

/* Yields the records that make this image out of an empty one, in Kafka's order, in the versions
 * of its metadata.version. Holds a reference to the image. */
struct meta_image_walk *meta_image_walk_new(struct meta_image *image);
/* False at the end. The record is good until the next call. */
bool meta_image_walk_next(struct meta_image_walk *walk, struct meta_record *ret_record);
void meta_image_walk_free(struct meta_image_walk *walk);
