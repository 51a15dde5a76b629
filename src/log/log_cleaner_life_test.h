#pragma once

#include "log/log_cleaner_fixture_test.h"

/*
 * The life of a compacted log, which may be struck at any of its calls to the disk.
 *
 * A log with all that may stand in one is compacted, its cleaner checkpoint written, what is
 * retired removed; then more is written, and it is compacted once more, segments that came from a
 * cleaning included. An undisturbed life tells what the log looks like after each step: records,
 * aborted transactions, producers. In another one a call may be struck by
 *
 *   a crash, a power cut   before it: the next start finds the log as before or after the step, and
 *                          so does one that comes after a start that was struck, too
 *   an IO error            it fails: reading goes on, and the log is compacted later, or its
 *                          directory is offline and the next start finds it as above
 *   a full disk            it fails: the log is compacted later, without a start
 */
enum { STEPS_MAX = 32, SEEN_MAX = 512 };

enum strike { STRIKE_NONE, STRIKE_CRASH, STRIKE_POWER, STRIKE_ERROR, STRIKE_FULL };

/* The log after each step of an undisturbed life, and the calls that were made in it. */
struct reference {
    char *texts[STEPS_MAX];
    int count;
    char *seen[SEEN_MAX]; /* "rename 00000000000000000000.log.cleaned" */
    size_t seen_count;
};

struct life {
    struct fixture f;
    struct reference *reference; /* of this life; NULL: it is another's */
    enum strike strike;
    uint64_t strike_at; /* the call */
    uint64_t calls;
    bool writing; /* appends: not the cleaner's, only crashes strike them */
    bool looking; /* calls of the test itself do not count */
    bool struck;
    bool ended;
    int step; /* how many have ended, in memory */
};

/* The undisturbed life, with its calls. */
void reference_make(struct reference *reference);
void reference_done(struct reference *reference);

/* --- a life: begun, run on the host (the whole of it, or a start), ended --- */

void life_begin(struct life *life, uint64_t seed);

/* Runs life_run or life_open on the host until it ends or is struck. */
void life_spawn(struct life *life, void (*body)(void *arg));
void life_run(void *arg);
void life_open(void *arg);
void life_die(struct life *life, bool power);

/* --- what must hold --- */

/* "0:a=1 …| 3@2 | 3:5": records, aborted transactions, producers with their last sequence. Freed
 * with free(), as the next one. */
char *life_text(struct fixture *f);

/* The records of such a text without those of its aborted transaction: all, or the newest of each
 * key. */
char *records_of(const char *text, bool newest);

/* After a start: the log is as after the step that was reached, or the one before or after. */
void life_audit(struct life *life, const struct reference *reference);

/* What is left can be compacted, and keeps the newest of each key. */
void life_goes_on(struct life *life);

bool begins(const char *text, const char *start);
bool name_ends(const char *name, const char *end);
