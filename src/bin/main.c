/* The one binary: finds the command. */
#include <stdio.h>
#include <string.h>

#include "bin/server.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/kafka/names.h"

/* Commands that read their arguments themselves; the others are below cli_root. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"server", run_server, "run a node: broker and controller in one process"},
    {"storage", cli_storage, "format log directories, say what is in them, make ids"},
    {"rpc", cli_rpc, "send one request of Kafka's protocol, print the answer as JSON"},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out) {
    fputs("usage: ottla COMMAND [ARGUMENTS]\n\n"
          "An event streaming platform that speaks Apache Kafka's protocol.\n\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-11s  %s\n", commands[i].name, commands[i].summary);
    }
    for (size_t i = 0; cli_root.commands[i] != NULL; i++) {
        fprintf(out, "  %-11s  %s\n", cli_root.commands[i]->name, cli_root.commands[i]->summary);
    }
    fputs(
        "\n  ottla COMMAND --help teaches a command.\n"
        "  ottla server          starts a single node on 127.0.0.1:9092, data under ./data\n"
        "  ottla --help-config   every setting: type, range, default, and what it does here\n"
        "  ottla --version\n"
        "  ottla kafka-topics    and the other tools of Apache Kafka, with their own flags; a\n"
        "                        link of such a name to this program works as well\n"
        "\nExit codes: 0 done; 1 refused, the text says what to try; 2 wrong arguments, nothing "
        "was\n"
        "done; 3 the topic, group … is not there; 4 no broker answered in time; 5 some of several\n"
        "things were done; 130 interrupted. server, storage and rpc end with 0, 1 or 2, Apache\n"
        "Kafka's tools as those do.\n",
        out);
}

/* The words of this file among what completion offers first. */
static void offer_commands(const char *prefix) {
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strncmp(commands[i].name, prefix, strlen(prefix)) == 0) {
            puts(commands[i].name);
        }
    }
}

int main(int argc, char **argv) {
    const struct tool_kind *kind = tool_kind_find(argc > 0 ? argv[0] : "");
    if (kind != NULL) {
        return tool_run(kind, argc, argv);
    }
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    kind = tool_kind_find(argv[1]);
    if (kind != NULL) {
        return tool_run(kind, argc - 1, argv + 1);
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "--help-config") == 0) {
        return run_server(argc, argv);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("ottla " OTTLA_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "__complete") == 0) {
        if (argc == 3) {
            offer_commands(argv[2]);
        }
        return cli_complete(&cli_root, argc - 1, argv + 1);
    }
    return cli_run(&cli_root, "ottla", argc, argv);
}
