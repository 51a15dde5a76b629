#pragma once

#include "log/cleaner.h"
#include "log/log_fixture_test.h"

/* A compacted log on a simulated disk, for the cleaner's tests. */

/* A batch; each record a millisecond after the one before. */
struct keyed {
    const char *keys;  /* one record per character; '-' without a key */
    const char *value; /* NULL: tombstones */
    int64_t producer_id;
    int32_t sequence;
    bool transactional;
    int compression;
};

int64_t append(struct fixture *f, const struct keyed *keyed); /* the first offset */
void put(struct fixture *f, const char *keys, const char *value);

/* Ends a transaction; markers are committed at once, too. */
void end_txn(struct fixture *f, int64_t producer_id, bool commit);

/* Seals what was written, so that it may be cleaned. */
void seal(struct fixture *f);

struct log_cleaning_settings settings_of(const struct fixture *f);

/* The rest of a cleaning; one of what there is to clean. */
err_t run(struct log_cleaning *cleaning);
err_t try_clean(struct fixture *f, const struct log_cleaning_settings *settings);
void clean(struct fixture *f);

/* The log's batches: "0:a=x 2:b=x " with each record's offset; "!" before a tombstone's key, "C"
 * and "A" for markers, "E" for an empty batch, "H" before one with a delete horizon. */
struct buffer show(struct fixture *f);
void shows(struct fixture *f, const char *expected);
