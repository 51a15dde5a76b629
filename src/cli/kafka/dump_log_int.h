#pragma once

#include "base/buffer.h"
#include "cli/kafka/tool.h"
#include "cli/state_record.h"
#include "log/batch_header.h"
#include "sys/file.h"
#include "sys/sys.h"
#include "wire/record_batch.h"

/* Private to kafka-dump-log. */

/* What is wrong in the files: said behind everything else, on stderr. */
enum dump_finding {
    FINDING_INDEX,       /* an entry's offset, and that of the batch at its position */
    FINDING_TIMESTAMP,   /* an entry's timestamp, and the largest of its batch */
    FINDING_TIME_ORDER,  /* an entry's timestamp, and that before it */
    FINDING_TIME_OFFSET, /* an entry's offset, and the next batch's; -1: none */
    FINDING_GAP,         /* a record's offset, and the next one's */
    FINDING_KINDS,
};

struct dump_found {
    int64_t a;
    int64_t b;
    const char *path; /* whole; the same pointer for all of a file */
    size_t number;    /* in which order they were found */
    enum dump_finding kind;
};

/* Kafka's own decoders for keys and values. Its fourth one prints where the bytes are in memory. */
enum dump_as { DUMP_AS_TEXT, DUMP_AS_INT, DUMP_AS_LONG };

struct dump {
    struct tool *tool;
    struct sys *sys;
    enum state_topic decoder; /* STATE_NONE: as the next two say */
    enum dump_as key_as;
    enum dump_as value_as;
    bool contents;          /* print keys and values */
    bool deep;              /* look at records */
    const char *path;       /* of the file that it is about, as it was given */
    const char *name;       /* behind the folders */
    const char *whole_path; /* from the root; NULL while nobody has asked */
    int64_t base_offset;    /* as the file's name says */
    struct compression *compression;
    struct buffer scratch;
    struct buffer bytes; /* of one batch */
    struct arena arena;  /* of one record */
    struct dump_found *found;
    size_t found_count;
};

/* One file each. Mistakes are printed: TOOL_FAILED. */
int dump_log_batches(struct dump *dump);   /* .log, .checkpoint */
int dump_log_offsets(struct dump *dump);   /* .index */
int dump_log_times(struct dump *dump);     /* .timeindex */
int dump_log_aborted(struct dump *dump);   /* .txnindex */
int dump_log_producers(struct dump *dump); /* .snapshot */

/* The records of the batch in dump->bytes. *last_offset is that of the record before. */
int dump_log_records(struct dump *dump, const struct batch_header *header, int64_t *last_offset);

const char *dump_log_yes(bool is);                                 /* "true" */
const char *dump_log_time_name(const struct batch_header *header); /* "CreateTime" */

/* A record's key and value, behind what is in the line. TOOL_FAILED: the decoder needs a key, or
 * more bytes. */
int dump_log_print_contents(struct dump *dump, const struct record *record, const char *prefix);

/* The whole batch at a position of a file into dump->bytes. */
bool dump_log_load(struct dump *dump, struct sys_file *file, uint64_t position, uint32_t size);

/* From the root: the file's path, and that of the one beside it with another ending. */
const char *dump_log_whole_path(struct dump *dump);
const char *dump_log_beside(struct dump *dump, const char *ending);

/* "java.nio.file.NoSuchFileException: path" or its like. */
int dump_log_fail(const struct dump *dump, const char *path, err_t err);

void dump_log_found(struct dump *dump, enum dump_finding kind, int64_t a, int64_t b);
void dump_log_print_found(struct dump *dump);
