#pragma once

/*
 * The limits that are built in, each with its reason. What an operator may want to change is a
 * setting (config/) instead; what a format says is next to the format.
 */

/* An error message that a client gets, or a log line quotes: longer ones are of no use to people. */
#define LIMIT_ERROR_TEXT 1024

/* A path: Linux takes 4096 with the zero. */
#define LIMIT_PATH 4096

/* A topic's name, so that "<name>-<partition>.<id>-delete" fits into a file name of 255 bytes. */
#define LIMIT_TOPIC_NAME 249

/* Parts of one vectored read or write; Linux takes no more in one call (IOV_MAX). */
#define LIMIT_IO_PARTS 1024

/* Events that a loop takes from the kernel at once: enough to amortise the call, few enough that
 * timers are looked at in between. */
#define LIMIT_LOOP_EVENTS 256

/* Locks that one thread holds at once. Ranks rise, so it cannot be more than there are ranks. */
#define LIMIT_LOCKS_HELD 16

/* Threads of one pool of workers: more do not help a disk and each costs a stack. */
#define LIMIT_POOL_THREADS 64

/* Pages probed for one answer of sys_file_cached; past this the range counts as cold. */
#define LIMIT_CACHED_PAGES 4096

/* --- quorum --- */

/* Encoded metadata that waits for the disk. Several of the largest batches; more than this means
 * that the disk hangs or is full, and the controller refuses rather than collects. */
#define QUORUM_PENDING_BYTES_MAX (64u * 1024 * 1024)
