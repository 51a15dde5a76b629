#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "log/directory.h"
#include "log/log.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"

/*
 * A log on a simulated disk, for unit tests: /data/t-0. What it tells people is kept in `lines`.
 */
struct fixture {
    struct sim_world *world;
    struct sim_host *host;
    struct sys *sys;
    struct log_cache *cache;
    struct text_log text_log;
    struct buffer lines;
    struct log_config config;
    struct log_directory *directory;
    struct log *log;
    int64_t now_ms;
};

void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f); /* closes what is open, uncleanly */

/* Opens directory and log (made when it is not there), and recovers it. */
void fixture_open(struct fixture *f);
err_t fixture_try_open(struct fixture *f);

/* As a node does it at a clean end: logs, checkpoints, marker. */
void fixture_close(struct fixture *f);

/* Everything is dropped as by a SIGKILL; with `power`, the disk loses what was not synced. */
void fixture_crash(struct fixture *f, bool power);

/* Writes the recovery point of the log to its checkpoint, as a node does now and then. */
void fixture_checkpoint(struct fixture *f);

/* A checkpoint that says this. */
void fixture_checkpoint_at(struct fixture *f, enum log_checkpoint kind, int64_t offset);

/* --- appending --- */

struct batch_spec {
    int records;         /* 1 when 0 */
    int value_size;      /* 10 when 0 */
    int64_t timestamp;   /* f->now_ms when 0; that of record i is + i */
    int64_t producer_id; /* none when 0 */
    int16_t producer_epoch;
    int32_t sequence;
    bool transactional;
    int32_t leader_epoch;
    int compression;
};

/* Adds a batch's bytes with base offset 0 to `out`. */
void batch_make(struct fixture *f, const struct batch_spec *spec, struct buffer *out);
err_t fixture_try_append(struct fixture *f, const struct batch_spec *spec,
                         struct log_append_result *ret_result);
/* The offset of the first record. */
int64_t fixture_append(struct fixture *f, const struct batch_spec *spec);
void fixture_append_many(struct fixture *f, int batches, int value_size);

/* A transaction marker. */
err_t fixture_marker(struct fixture *f, int64_t producer_id, int16_t epoch, bool commit,
                     int32_t coordinator_epoch);
err_t fixture_marker_of(struct fixture *f, int64_t producer_id, int16_t epoch, bool commit,
                        int32_t coordinator_epoch, int16_t transaction_version);

/* Counts the records of a slice; `*offset` moves to its end. */
int64_t fixture_walk(const struct log_slice *slice, int64_t *offset);

/* Reads all batches from an offset to the end and checks that offsets follow on. Returns how many
 * records there are. */
int64_t fixture_read_all(struct fixture *f, int64_t offset);

/* --- files of the log --- */

/* "/data/t-0/<name>", in a buffer that the next call reuses. */
const char *fixture_path(const char *name);
uint64_t file_size(struct fixture *f, const char *name);
bool file_exists(struct fixture *f, const char *name);
struct buffer file_read(struct fixture *f, const char *name);
void file_write(struct fixture *f, const char *name, const void *data, size_t size);
void file_truncate(struct fixture *f, const char *name, uint64_t size);
void file_flip(struct fixture *f, const char *name, uint64_t position);
void file_remove(struct fixture *f, const char *name);

/* Whether something was told that has this in it; forgets all that was told. */
bool told(struct fixture *f, const char *text);
void told_nothing(struct fixture *f);
