#pragma once

#include "cli/command.h"

/* Private to command.c and help.c. */

struct cli_given {
    const struct cli_option *option;
    const char *text;
    int64_t number;
    struct cli_given *next; /* in the order of the command line */
};

struct cli {
    const struct cli_command *command;
    const char *path;
    struct arena arena;
    struct cli_given *given;
    const char **arguments;
    size_t argument_count;
};
