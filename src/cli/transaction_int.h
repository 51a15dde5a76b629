#pragma once

#include "cli/command.h"

/* Private to the files of `ottla transaction`. */

extern const struct cli_command transaction_find_hanging_command; /* transaction_hanging.c */
extern const struct cli_command transaction_abort_command;        /* transaction_end.c */
extern const struct cli_command transaction_fence_command;

/* --OPTION as a duration in ms; `otherwise` when it is not given. CLI_USAGE, printed. */
int transaction_duration(struct cli *cli, const char *option, int64_t otherwise, int64_t *ret_ms);
