#pragma once

/*
 * The command line: `ottla <command> …`. A command is a function that gets its own arguments
 * (argv[0] is its name) and returns the exit code: 0 done, 1 it failed, 2 the arguments are wrong.
 * Output for scripts goes to stdout, everything else to stderr.
 *
 * `server` is not here: it stands on the server's modules, and bin/ has it.
 */
int cli_rpc(int argc, char **argv);
int cli_storage(int argc, char **argv);

/* Reads a properties file and `--override k=v`s into checked settings, printing what is wrong.
 * file NULL: the settings of a single node. Warnings are printed, too, unless `warnings` takes
 * them, an initialised report. */
struct config;
struct config_report;
struct sys;
int cli_config_load(struct sys *sys, const char *file, char *const *overrides, int override_count,
                    struct config_report *warnings, struct config **ret_config);
