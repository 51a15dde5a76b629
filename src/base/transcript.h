#pragma once

#include <stdio.h>

/*
 * For tests of state machines. A transcript is a text of commands; below each stands its outcome,
 * in lines that begin with two spaces. A line that begins with # is for the reader. Played again,
 * everything must come out as it stands there; with REWRITE in the environment the file is written
 * anew instead, and its diff is to be read.
 */
struct transcript_player {
    void (*start)(void *arg, FILE *out);                 /* may be NULL */
    void (*run)(void *arg, const char *line, FILE *out); /* a command, with its line's end */
    void (*stop)(void *arg);                             /* may be NULL; may still print */
    void *arg;
};

/* The whole program: argv[1] is the transcript. Returns the exit code. */
int transcript_main(int argc, char **argv, const struct transcript_player *player);
