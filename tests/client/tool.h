#pragma once

#include "ottla/client.h"

/* What the small programs of the tests share. */

/* A client of OTTLA_TEST_BOOTSTRAP with "setting=value" texts, up to NULL; logs to stderr. Ends the
 * program when that cannot be. */
struct ottla_client *tool_client(char **settings);

/* Prints the error and ends the program with 2. */
_Noreturn void tool_fail(const struct ottla_error *error);
