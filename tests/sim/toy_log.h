#pragma once

#include <stdint.h>

#include "base/err.h"
#include "sys/sys.h"

/*
 * The log of the toy node: segment files under /data, each record with size, checksum, producer and
 * sequence. It exists so that the simulator, the faults and the auditor can be tried before and
 * apart from the real thing, and it can be told to make a mistake.
 */
enum toy_bug {
    TOY_NO_BUG,
    TOY_ACK_BEFORE_WRITE, /* answers, and writes later */
    TOY_NO_SYNC,          /* promises a sync that it does not do */
    TOY_NO_NAME_SYNC,     /* forgets the directory of a new segment */
    TOY_NO_ROLL_SYNC,     /* leaves the end of a full segment unsynced */
    TOY_NO_CUT,           /* appends behind a torn record */
    TOY_NO_DUPLICATES,    /* does not know what a retry is */
    TOY_SKIP_TO_ZEROS,    /* takes zeros at the end for records */
};

struct toy_log;

enum { TOY_VALUE_MAX = 4096 };

/* Recovers what is there. Blocks. */
err_t toy_log_open(struct sys *sys, enum toy_bug bug, struct toy_log **ret_log);

/* The value's offset, also when a producer sends it again. */
err_t toy_log_append(struct toy_log *log, uint32_t producer, uint32_t sequence,
                     const uint8_t *value, uint32_t size, int64_t *ret_offset);
int64_t toy_log_end(const struct toy_log *log);
err_t toy_log_read(struct toy_log *log, int64_t offset, uint8_t value[TOY_VALUE_MAX],
                   uint32_t *ret_size);
