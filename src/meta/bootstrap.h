#pragma once

#include "base/arena.h"
#include "meta/image.h"
#include "sys/file.h"

/*
 * The file bootstrap.checkpoint in the metadata directory: the records, chiefly feature levels,
 * that the first active controller writes into an empty metadata log. Calls block on the disk.
 */
#define META_BOOTSTRAP_NAME "bootstrap.checkpoint"

/* Writes `dir`/bootstrap.checkpoint with what the image holds. */
err_t meta_bootstrap_write(struct sys *sys, const char *dir, struct meta_image *image);

/*
 * Reads it: the records, in the order of the file, in the arena. Without the file there are none,
 * and no error.
 *
 * ERR_CORRUPT, ERR_UNSUPPORTED: `error`, of at least 512 bytes, says what is wrong.
 */
err_t meta_bootstrap_read(struct sys *sys, const char *dir, struct arena *arena,
                          struct meta_record **ret_records, int32_t *ret_count, char *error,
                          size_t error_size);
