#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/sys.h"

/*
 * What all logs of a node share so that their cost is bounded whatever their number: open segment
 * files, and pages of index files held in memory. One per node; outlives every log, directory and
 * slice. Any thread.
 */
struct log_cache;

struct log_cache_stats {
    uint64_t files_open;
    uint64_t files_opened; /* since the start */
    uint64_t page_bytes;
    uint64_t page_hits;
    uint64_t page_misses;
};

/* files_max: files open at a time; more only while that many are in use at once (a slice keeps its
 * file open). page_bytes_max: bytes of index pages. */
struct log_cache *log_cache_new(struct sys *sys, size_t files_max, size_t page_bytes_max);
void log_cache_free(struct log_cache *cache); /* accepts NULL */
void log_cache_stats(struct log_cache *cache, struct log_cache_stats *ret_stats);
