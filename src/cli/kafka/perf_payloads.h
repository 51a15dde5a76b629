#pragma once

#include "base/rng.h"
#include "cli/kafka/tool.h"
#include "ottla/types.h"
#include "sys/sys.h"

/*
 * What kafka-producer-perf-test sends: letters at random, anew for each record (--record-size); one
 * of the records of a file (--payload-file); or the record's number (--payload-monotonic).
 */
struct perf_payloads {
    struct rng rng;
    size_t size;               /* of letters; 0: not these */
    struct ottla_bytes *items; /* of the file; NULL: not these */
    size_t count;
    char *file;
    char *one; /* room for letters or a number */
};

/* Zeroed before. Mistakes are printed: TOOL_FAILED. */
int perf_payloads_init(struct perf_payloads *payloads, struct tool *tool, struct sys *sys,
                       size_t size);
void perf_payloads_done(struct perf_payloads *payloads); /* accepts a zeroed one */

/* Good until the next one is asked for. */
struct ottla_bytes perf_payload(struct perf_payloads *payloads, int64_t number);
