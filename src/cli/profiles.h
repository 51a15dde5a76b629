#pragma once

#include "cli/command.h"

/*
 * The file of profiles (cluster.h says what is in it), as lines: who changes one leaves the others,
 * and the comments, as they are. Everything lives in the invocation's arena.
 */
struct profiles_line {
    const char *text;    /* as it stands there, without the end of the line */
    const char *section; /* "[name]": name; else NULL */
    const char *key;     /* "key = value"; else NULL */
    const char *value;
    bool odd; /* neither of these, nor blank or a comment */
};

struct profiles {
    struct cli *cli;
    const char *path;
    bool there; /* the file is */
    struct profiles_line *lines;
    size_t count;
    size_t capacity;
};

/* A file that is not there has no lines. */
void profiles_read(struct cli *cli, struct profiles *ret_profiles);

/* Replaces the file, and makes its folder. CLI_FAILED, printed. */
int profiles_write(const struct profiles *profiles);

/* The name behind `use` at the head of the file; NULL. */
const char *profiles_used(const struct profiles *profiles);

/* The index of a section's line, SIZE_MAX when there is none; behind its last setting in
 * *ret_end. */
size_t profiles_find(const struct profiles *profiles, const char *name, size_t *ret_end);

/* The value of a setting; NULL. */
const char *profiles_get(const struct profiles *profiles, const char *name, const char *key);

/* Changes in memory. A profile that is not there is made; `key` NULL: only that. */
void profiles_use(struct profiles *profiles, const char *name);
void profiles_set(struct profiles *profiles, const char *name, const char *key, const char *value);
bool profiles_unset(struct profiles *profiles, const char *name, const char *key);
bool profiles_delete(struct profiles *profiles, const char *name);
