#pragma once

#include <stdint.h>

#include "base/err.h"
#include "sys/sim.h"

/*
 * The disks of a simulated host, and what can go wrong with them.
 *
 * A host starts with one disk at "/", 8 GiB large; more can be mounted. Data are kept in 512-byte
 * sectors, each with what is read now (the page cache) and what is stored (the platters):
 *
 *   write        changes the cache; the first part at the begin of the call, the rest at its end.
 *                Now and then some dirty sectors are stored early, in any order.
 *   sync         at its end all that was dirty at its begin is stored.
 *   crash        the cache stays. A write that was going on has written any first part of it.
 *   power cut    per dirty sector the seed chooses what is stored or what was cached; an unsynced
 *                size becomes any between the least and the largest since the sync; changes of
 *                names since their directory's sync are undone, either all after some moment or
 *                any of them (a rename stays whole). Then the cache is empty.
 *   failed sync  by the seed the dirty sectors stay dirty, or count as clean without being stored
 *                (as on Linux), or are dropped at once.
 */

/* Classes of calls, for faults and latencies; also the `what` of SIM_EVENT_CALL. */
enum {
    SIM_CALL_OPEN = 1,
    SIM_CALL_READ = 2,  /* not of cached bytes, for latencies */
    SIM_CALL_WRITE = 4, /* truncate and preallocate too */
    SIM_CALL_SYNC = 8,  /* of files */
    SIM_CALL_NAME = 16, /* rename, remove, make, and directory sync */
    SIM_CALL_LOOK = 32, /* stat, list, space */
    SIM_CALL_ALL = 63,
};

enum sim_fault_kind {
    SIM_FAULT_ERROR,       /* the call fails with err and has done nothing */
    SIM_FAULT_SHORT_WRITE, /* a write fails with err after any part of it */
    SIM_FAULT_FLIP_READ,   /* a read returns one bit wrong; the disk is well */
    SIM_FAULT_FLIP_STORED, /* a read finds one bit turned for good */
    SIM_FAULT_DELAY,       /* the call takes delay_ms longer */
    SIM_FAULT_HANG,        /* the call does not return until the fault is removed */
};

struct sim_fault {
    enum sim_fault_kind kind;
    unsigned calls;     /* classes it concerns; 0: all */
    const char *path;   /* a pattern of fnmatch over the whole path, '*' matches '/'; NULL: all */
    uint64_t one_in;    /* strikes one call in so many; 0 or 1: every */
    uint64_t count_max; /* ends after so many strikes; 0: never */
    err_t err;          /* 0: ERR_IO */
    int64_t delay_ms;
};

/* Returns a number to remove it by. Faults stay through crashes and restarts. */
int sim_disk_add_fault(struct sim_host *host, const struct sim_fault *fault);
void sim_disk_remove_fault(struct sim_host *host, int fault); /* fine when it ended */
void sim_disk_remove_all_faults(struct sim_host *host);

/* A directory (made when missing) becomes the root of a disk of its own. */
void sim_disk_mount(struct sim_host *host, const char *path, uint64_t capacity_bytes);

/* The capacity of the disk that holds a path; less than is used means no write that needs space. */
void sim_disk_set_capacity(struct sim_host *host, const char *path, uint64_t capacity_bytes);
uint64_t sim_disk_used(struct sim_host *host, const char *path);

/* How long calls of these classes take. */
void sim_disk_set_latency(struct sim_host *host, unsigned calls, int64_t min_ns, int64_t max_ns);

/* Turns a bit of a file for good, in cache and store. NOT_FOUND, or INVALID past its end. */
err_t sim_disk_flip(struct sim_host *host, const char *path, uint64_t position, unsigned bit);

/* Empties the cache of clean bytes, so that reads wait for the disk. */
void sim_disk_drop_cache(struct sim_host *host);

/* Bytes of a file that are cached only; what a power cut may take. */
uint64_t sim_disk_dirty_bytes(struct sim_host *host, const char *path);
