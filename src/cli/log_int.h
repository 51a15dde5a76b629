#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "cli/output.h"
#include "log/batch_header.h"
#include "sys/file.h"

/* What the files of `ottla log` share: finding files of a partition's folder, and reading them. */

enum { LOG_DECOMPRESSED_SIZE_MAX = 1 << 30 }; /* of a batch */

extern const struct cli_command log_batches_command;
extern const struct cli_command log_records_command;

/* The files that an argument means: itself, or, of a folder, those in it with this ending, in
 * order. Mistakes are printed. */
struct log_files {
    const char **paths;
    size_t count;
};
int log_files_find(struct cli *cli, struct sys *sys, const char *path, const char *ending,
                   struct log_files *ret_files);

/* "orders-0" as topic and partition, of the folder that a file is in; "?" and -1 otherwise. */
const char *log_topic_of(struct arena *arena, const char *path, int32_t *ret_partition);

/* The offset in a file's name; -1. */
int64_t log_base_offset_of(const char *path);

/* Every batch of a segment in order, until `fn` returns false. What does not look like a batch is
 * said on stderr with its position: CLI_FAILED. */
typedef bool (*log_batch_fn)(void *arg, struct sys_file *file, uint64_t position,
                             const struct batch_header *header);
int log_batches_walk(struct cli *cli, struct sys *sys, const char *path, log_batch_fn fn,
                     void *arg);

/* A whole batch in the place of what is in `bytes`. Of a size that a walk has found in the file. */
bool log_batch_read(struct sys_file *file, uint64_t position, uint32_t size, struct buffer *bytes);

/* Runs `fn` for each file of each argument. */
typedef int (*log_file_fn)(struct cli *cli, struct sys *sys, const char *path, void *arg);
int log_files_each(struct cli *cli, const char *ending, log_file_fn fn, void *arg);
