#pragma once

#include "cli/command.h"

/* `ottla __complete WORD…`: prints what the last word may become; argv[0] is not a word. */
int cli_complete(const struct cli_command *root, int argc, char **argv);
