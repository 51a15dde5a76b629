#pragma once

#include "cli/command.h"
#include "ottla/types.h"

/*
 * Which cluster a command talks to, and how. Settings come from, the later over the earlier:
 *
 *   1. bootstrap.servers=localhost:9092
 *   2. the profile: --profile, else $OTTLA_PROFILE, else `use = NAME` at the head of the file
 *      $OTTLA_PROFILES, $XDG_CONFIG_HOME/ottla/profiles or ~/.config/ottla/profiles:
 *
 *          use = test
 *
 *          [test]
 *          bootstrap.servers = localhost:9092
 *          [production]
 *          bootstrap.servers = kafka1:9092,kafka2:9092
 *          client.id = ops
 *
 *   3. $OTTLA_BOOTSTRAP_SERVERS
 *   4. -b, --bootstrap-server; -X key=value
 */

/* Errors are printed: CLI_USAGE, CLI_FAILED. */
int cli_config(struct cli *cli, struct ottla_config **ret_config);

/* A client with these settings, which logs to stderr with --verbose. */
int cli_connect(struct cli *cli, struct ottla_client **ret_client);

/* The same for settings that the command added to. */
int cli_connect_with(struct cli *cli, const struct ottla_config *config,
                     struct ottla_client **ret_client);

/* From now on what the client warns of (a broker that is gone …) is told on stderr, the same at
 * most once a minute: for commands that go on for long and would wait in silence. Nothing with
 * --quiet; with --verbose everything is told anyway. */
void cli_tell_trouble(struct cli *cli, struct ottla_client *client);

int64_t cli_timeout_ms(const struct cli *cli);

/* Prints an error of the library with what can be done about it; returns the exit code for it. */
int cli_fail_with(const struct cli *cli, const struct ottla_error *error);

/* The exit code of an error alone. */
enum cli_exit cli_exit_of(int code);

/* The names in the profiles file, for completion and `ottla profile`; at most `size`. They live
 * in the invocation's arena. */
size_t cli_profile_names(struct cli *cli, const char **names, size_t size);
