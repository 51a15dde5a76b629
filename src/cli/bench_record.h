#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records that say what they are, so that who reads them can tell whether each came once, in order
 * and unharmed. A value of any size from BENCH_RECORD_MIN on is filler and, at its end, big-endian:
 *
 *     "OtBn"      magic
 *     u32         run: random, of one run of a producer
 *     u64         sequence: of the run and partition, from 0
 *     u64         due: nanoseconds of the producer's monotonic clock
 *     u32         CRC-32C of all before
 *
 * The filler comes first and does not change, so its checksum is made once. There are many fillers,
 * so that a batch does not repeat itself to a codec.
 */
enum { BENCH_RECORD_MIN = 28 };

enum bench_filler {
    BENCH_RANDOM, /* does not compress */
    BENCH_TEXT,   /* words: to about a third */
};

/* --- writing --- */

struct bench_writer;

struct bench_writer *bench_writer_new(uint32_t run, size_t size, int32_t partitions,
                                      enum bench_filler filler);
void bench_writer_free(struct bench_writer *writer); /* accepts NULL */

/* The next record of a partition; good until as many more were made as there are fillers (at least
 * one). Returns its checksum. */
uint32_t bench_writer_next(struct bench_writer *writer, int32_t partition, int64_t due_ns,
                           const void **ret_value);

/* The last one of the partition was not sent: its sequence is given again. */
void bench_writer_undo(struct bench_writer *writer, int32_t partition);

/* --- reading --- */

struct bench_checker;

/* Counts. A record that comes again, or before one that came, is `doubled`; those that are missing
 * before one that came are `lost`. `checksum` is the sum of all checksums, in any order. */
struct bench_checks {
    uint64_t records;
    uint64_t bytes; /* of values */
    uint64_t damaged;
    uint64_t lost;
    uint64_t doubled;
    uint64_t checksum;
};

/* A run that begins with another sequence than 0 has lost what was before, unless `anywhere`. */
struct bench_checker *bench_checker_new(int32_t partitions, bool anywhere);
void bench_checker_free(struct bench_checker *checker); /* accepts NULL */

/* False: damaged. The run and the time it was due are told when it is not. */
struct bench_seen {
    uint32_t run;
    int64_t due_ns;
};
bool bench_checker_see(struct bench_checker *checker, int32_t partition, const void *value,
                       size_t size, struct bench_seen *ret_seen);
const struct bench_checks *bench_checker_result(const struct bench_checker *checker);
