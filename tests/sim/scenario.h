#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/*
 * A scenario: a small text file that says what is done (clients) and what goes wrong (faults).
 *
 *   # producers and readers while the process is killed now and then
 *   seconds 60
 *   config  log.segment.bytes=65536
 *   topic   orders partitions=3
 *   client  produce count=3 idempotent=yes wait=1ms-40ms
 *   fault   crash every=4s-12s down=100ms-2s
 *   must    crash_while_rolling
 *
 * A line is a kind, a name where its kind has one, and settings. Numbers may be ranges "a-b", from
 * which a run draws by its seed, and have units: us, ms, s; KiB, MiB. Each reader of a line asks
 * for the settings it knows; one that nobody asked for is a mistake (scenario_unknown).
 */
enum { SCENARIO_SETTINGS_MAX = 24 };

enum scenario_kind {
    SCENARIO_CONFIG,
    SCENARIO_TOPIC,
    SCENARIO_CLIENT,
    SCENARIO_FAULT,
    SCENARIO_MUST,
    SCENARIO_RUN, /* seconds, hosts, acks_min ...: their names are the settings */
};

struct scenario_setting {
    const char *key;
    const char *value;
    bool asked;
};

struct scenario_line {
    enum scenario_kind kind;
    const char *name; /* "" where the kind has none */
    int number;       /* in the file, from 1 */
    struct scenario_setting settings[SCENARIO_SETTINGS_MAX];
    int setting_count;
};

struct scenario {
    char *name; /* the file's, without folder and suffix */
    char *text; /* holds all strings */
    struct scenario_line *lines;
    int line_count;
};

/* Times in microseconds, sizes in bytes, or plain numbers. */
struct scenario_range {
    int64_t least;
    int64_t most;
};

enum { SCENARIO_ERROR_MAX = 256 };

/* NULL when the file cannot be read or has a mistake; error says which. */
struct scenario *scenario_read(const char *path, char error[SCENARIO_ERROR_MAX]);
struct scenario *scenario_parse(const char *name, const char *text, char error[SCENARIO_ERROR_MAX]);
void scenario_free(struct scenario *scenario); /* accepts NULL */

/* The next line of a kind (and of a name, unless NULL) after `line`, or the first; NULL: no more.*/
struct scenario_line *scenario_next(struct scenario *scenario, enum scenario_kind kind,
                                    const char *name, struct scenario_line *line);

/* The settings of a line, or what is given when it does not say. Bad numbers end the process: a
 * scenario is ours. */
const char *scenario_text(struct scenario_line *line, const char *key, const char *otherwise);
bool scenario_flag(struct scenario_line *line, const char *key, bool otherwise); /* yes, no */
struct scenario_range scenario_range(struct scenario_line *line, const char *key,
                                     const char *otherwise);
int64_t scenario_number(struct scenario_line *line, const char *key, const char *otherwise);

/* Of the whole run: the first "KEY VALUE" line. */
int64_t scenario_run_number(struct scenario *scenario, const char *key, const char *otherwise);

int64_t scenario_draw(struct scenario_range range, struct rng *rng);

/* The first setting that nobody asked for, as text; false: there is none. */
bool scenario_unknown(const struct scenario *scenario, char error[SCENARIO_ERROR_MAX]);
