#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "meta/delta.h"
#include "replica/replicas.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"

/*
 * The replicas of node 1 over simulated disks, for unit tests: log directories /d0, /d1, …, an
 * image that the test changes step by step, and what is told to people in `lines`.
 *
 * What the test calls takes no time and meets no fault; what workers do goes on while `wait` runs.
 */
enum { FIXTURE_VOLUMES_MAX = 3, FIXTURE_PLACES_MAX = 64 };

/* What the controller is to be told: the replica lies in this volume. */
struct place {
    struct uuid topic_id;
    int32_t index;
    struct uuid directory;
};

struct fixture {
    struct sim_world *world;
    struct sim_host *host;
    struct sys *sys;
    struct sys_loop *loop;
    struct text_log text_log;
    struct buffer lines;
    struct log_cache *cache;
    struct volume *volumes[FIXTURE_VOLUMES_MAX];
    int volume_count;
    bool volumes_missing; /* of the next start */
    int metadata_volumes; /* the last of them take no partitions */
    struct config *config;
    struct meta_image *image;
    struct meta_delta *delta; /* changes not yet committed */
    struct replicas *replicas;
    bool loaded;
    err_t load_err;
    bool stopped;
    int ids_given;
    struct place places[FIXTURE_PLACES_MAX]; /* told since the start; the first ones */
    int place_count;
    struct compression *compression;
    bool (*until)(struct fixture *f);
};

void fixture_init(struct fixture *f, int volume_count);
void fixture_done(struct fixture *f); /* stops what runs */

/* A line of the properties file, before fixture_start: "log.retention.ms", "1000". */
void fixture_set(struct fixture *f, const char *name, const char *value);

/* Changes such a line while it runs. */
void fixture_change(struct fixture *f, const char *name, const char *value);

/* Opens directories and loads; `begin` does not wait for the end of it. */
void fixture_begin(struct fixture *f);
void fixture_start(struct fixture *f);

/* A clean stop; what is left is the disk. */
void fixture_stop(struct fixture *f);

/* As a process crash or power cut; nothing may be going on. */
void fixture_crash(struct fixture *f, bool power);

/* --- the image --- */

/* Topic with partitions 0 to count - 1, all led by node 1 with epoch 0. Its id. */
struct uuid fixture_topic(struct fixture *f, const char *name, int partitions);
void fixture_delete(struct fixture *f, struct uuid id);
void fixture_leader(struct fixture *f, struct uuid id, int32_t partition, int32_t leader);
/* Node 1 and others that are not in sync, so many in all. */
void fixture_replicas(struct fixture *f, struct uuid id, int32_t partition, int count);
/* The metadata learns in which directory node 1 keeps its replica. */
void fixture_directory(struct fixture *f, struct uuid id, int32_t partition, struct uuid directory);
/* type: enum meta_resource. value NULL: removed. */
void fixture_config(struct fixture *f, int8_t type, const char *resource, const char *name,
                    const char *value);
/* The above become the next image, which the replicas follow if they are loaded. */
void fixture_commit(struct fixture *f);

/* --- waiting --- */

void fixture_run_for(struct fixture *f, int64_t duration_ms);
/* Until it holds; fails the test when it does not within a minute. */
void fixture_wait(struct fixture *f, bool (*until)(struct fixture *f));
/* Until no job is queued or runs. */
void fixture_settle(struct fixture *f);

/* --- records --- */

struct batch {
    int records;         /* 1 when 0 */
    size_t value_size;   /* 10 when 0 */
    int64_t producer_id; /* none when 0 */
    int32_t sequence;
    int compression;
    const char *key; /* of all records; none when NULL */
};

/* An append on its way. */
struct appending {
    struct partition_append append;
    struct buffer bytes;
    struct arena arena;
    bool pending;
    bool done;
    int order; /* of completion, from 1 */
};

/* Submits; appending_end is due when it is done. */
void append_begin(struct fixture *f, struct partition *partition, const struct batch *batch,
                  struct appending *ret_appending);
void append_end(struct appending *appending);

/* Submits and waits; its outcome. */
err_t append_try(struct fixture *f, struct partition *partition, const struct batch *batch);
/* The offset of the first record. */
int64_t append(struct fixture *f, struct partition *partition, const struct batch *batch);

/* The partition, or a failed test. A reference. */
struct partition *find(struct fixture *f, struct uuid id, int32_t index);

/* Reads all, checks that offsets follow on, and returns how many records there are. */
int64_t count_records(struct partition *partition, int64_t offset);

/* DeleteRecords on partition 0, on its way. */
struct cut {
    struct partition_write write;
    struct log_start_wait wait; /* its err is the outcome, when it is done */
    struct fixture *fixture;
    struct volume *volume;
    int64_t offset;
    bool done;
};

void cut_begin(struct fixture *f, struct uuid id, int64_t offset, struct cut *ret_cut);

/* Of partition 0. Appends so many records, and returns its end; reads; DeleteRecords. */
int64_t fill(struct fixture *f, struct uuid id, int records);
int64_t records_of(struct fixture *f, struct uuid id, int64_t offset);
struct partition_offsets offsets_of(struct fixture *f, struct uuid id);
void cut_below(struct fixture *f, struct uuid id, int64_t offset);

/* Whether something was told that has this in it; forgets all that was told. */
bool told(struct fixture *f, const char *text);
bool exists(struct fixture *f, const char *path);
/* Names in a directory that begin like this. */
int count_names(struct fixture *f, const char *directory, const char *start);
