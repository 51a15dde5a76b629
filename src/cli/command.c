/*
 * Parsing an invocation against the tables of its command.
 *
 * Options stand anywhere behind the command's words, as --name value, --name=value, -n value,
 * -nvalue, or flags run together (-qv). `--` ends them. Everything else is an argument. Numbers are
 * parsed here, so that a command sees only good ones.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_int.h"

const struct cli_option cli_common_options[] = {
    {"output", 'o', CLI_TEXT, "FORMAT", "table for people, json for scripts", "table|json",
     CLI_COMPLETE_CHOICE},
    {"quiet", 'q', CLI_FLAG, NULL, "no notes and no progress on stderr"},
    {"help", 'h', CLI_FLAG, NULL, "this text"},
    {NULL},
};

const struct cli_option cli_cluster_options[] = {
    {"bootstrap-server", 'b', CLI_TEXT, "SERVERS",
     "HOST:PORT,… to begin with; else the profile's, else localhost:9092"},
    {"profile", 0, CLI_TEXT, "NAME", "a cluster of ~/.config/ottla/profiles", NULL,
     CLI_COMPLETE_PROFILE},
    {"set", 'X', CLI_TEXTS, "KEY=VALUE", "a setting of Kafka's clients, over the profile's"},
    {"timeout", 0, CLI_NUMBER, "SECONDS", "how long to wait for the cluster (30)", .least = 1,
     .most = 1000000},
    {"dry-run", 0, CLI_FLAG, NULL, "say what would change, change nothing"},
    {"verbose", 'v', CLI_FLAG, NULL, "tell what happens with the connections"},
    {NULL},
};

static const struct cli_option *tables_of(const struct cli_command *command, int index) {
    static const struct cli_option none[] = {{NULL}};
    switch (index) {
    case 0:
        return command->options == NULL ? none : command->options;
    case 1:
        return command->local ? none : cli_cluster_options;
    case 2:
        return cli_common_options;
    default:
        return NULL;
    }
}

const struct cli_option *cli_option_find(const struct cli_command *command, const char *name,
                                         size_t name_size) {
    const struct cli_option *table;
    for (int i = 0; (table = tables_of(command, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            if (strlen(table->name) == name_size && memcmp(table->name, name, name_size) == 0) {
                return table;
            }
        }
    }
    return NULL;
}

const struct cli_option *cli_option_letter(const struct cli_command *command, char letter) {
    const struct cli_option *table;
    for (int i = 0; (table = tables_of(command, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            if (table->letter == letter && letter != '\0') {
                return table;
            }
        }
    }
    return NULL;
}

/* --- values --- */

static bool is_choice(const char *choices, const char *text) {
    size_t size = strlen(text);
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, text, size) == 0) {
            return true;
        }
        at += length + (at[length] == '|');
    }
    return false;
}

static bool parse_factor(const char *unit, int64_t *ret_factor) {
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},           {"k", 1000},  {"K", 1000},     {"M", 1000000},
                 {"G", 1000000000}, {"Ki", 1024}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            *ret_factor = units[i].factor;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct cli_option *option, const char *text, int64_t *ret_number) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    int64_t factor = 1;
    bool sized = strcmp(option->value, "SIZE") == 0 || strcmp(option->value, "RECORDS") == 0;
    if (end == text || errno != 0 || (sized ? !parse_factor(end, &factor) : *end != '\0') ||
        number > INT64_MAX / factor || number < INT64_MIN / factor) {
        return false;
    }
    *ret_number = (int64_t)number * factor;
    return true;
}

static int take_number(const struct cli *cli, const struct cli_option *option, const char *text,
                       int64_t *ret_number) {
    if (!parse_number(option, text, ret_number)) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: this is not a number", option->name, text);
    }
    if (*ret_number < option->least) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: %" PRId64 " is the least that can be",
                        option->name, text, option->least);
    }
    if (option->most > 0 && *ret_number > option->most) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: %" PRId64 " is the most that can be",
                        option->name, text, option->most);
    }
    return CLI_DONE;
}

static int take_value(struct cli *cli, const struct cli_option *option, const char *text) {
    if (option->choices != NULL && !is_choice(option->choices, text)) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: choose one of %s", option->name, text,
                        option->choices);
    }
    int64_t number = 0;
    if (option->kind == CLI_NUMBER) {
        int code = take_number(cli, option, text, &number);
        if (code != CLI_DONE) {
            return code;
        }
    }
    struct cli_given *given = ARENA_NEW(&cli->arena, struct cli_given);
    *given = (struct cli_given){.option = option, .text = text, .number = number};
    struct cli_given **last = &cli->given;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = given;
    return CLI_DONE;
}

/* --- options --- */

static int fail_unknown(struct cli *cli, const char *typed) {
    const char *names[64];
    size_t count = 0;
    const struct cli_option *table;
    for (int i = 0; (table = tables_of(cli->command, i)) != NULL; i++) {
        for (; table->name != NULL && count < sizeof names / sizeof names[0]; table++) {
            names[count++] = table->name;
        }
    }
    size_t size = strcspn(typed, "=");
    const char *name = arena_c_str(&cli->arena, (struct str){.data = typed, .size = size});
    const char *nearest = cli_nearest(name + strspn(name, "-"), names, count);
    if (nearest != NULL) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s: no such option; did you mean --%s?", name,
                        nearest);
    }
    return cli_fail(cli, CLI_USAGE, NULL, "%s: no such option; %s --help lists them", name,
                    cli->path);
}

/* --name, --name=value, --name value */
static int take_long(struct cli *cli, int argc, char **argv, int *index) {
    const char *name = argv[*index] + 2;
    size_t size = strcspn(name, "=");
    const struct cli_option *option = cli_option_find(cli->command, name, size);
    if (option == NULL) {
        return fail_unknown(cli, argv[*index]);
    }
    if (option->kind == CLI_FLAG) {
        return name[size] != '='
                   ? take_value(cli, option, "")
                   : cli_fail(cli, CLI_USAGE, NULL, "--%s takes no value", option->name);
    }
    if (name[size] == '=') {
        return take_value(cli, option, name + size + 1);
    }
    if (*index + 1 >= argc) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s wants a value: %s", option->name,
                        option->value);
    }
    return take_value(cli, option, argv[++*index]);
}

/* -a, -abc for flags, -n value, -nvalue */
static int take_letters(struct cli *cli, int argc, char **argv, int *index) {
    for (const char *letter = argv[*index] + 1; *letter != '\0'; letter++) {
        const struct cli_option *option = cli_option_letter(cli->command, *letter);
        if (option == NULL) {
            return fail_unknown(cli, argv[*index]);
        }
        if (option->kind == CLI_FLAG) {
            int code = take_value(cli, option, "");
            if (code != CLI_DONE) {
                return code;
            }
            continue;
        }
        if (letter[1] != '\0') {
            return take_value(cli, option, letter + 1);
        }
        if (*index + 1 >= argc) {
            return cli_fail(cli, CLI_USAGE, NULL, "-%c wants a value: %s", *letter, option->value);
        }
        return take_value(cli, option, argv[++*index]);
    }
    return CLI_DONE;
}

/* "-1" and "-" are arguments. */
static bool is_option(const char *text) {
    return text[0] == '-' && text[1] != '\0' && strspn(text + 1, "0123456789") != strlen(text + 1);
}

static int parse(struct cli *cli, int argc, char **argv) {
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        int code = CLI_DONE;
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (ended || !is_option(argv[i])) {
            cli->arguments[cli->argument_count++] = argv[i];
        } else if (argv[i][1] == '-') {
            code = take_long(cli, argc, argv, &i);
        } else {
            code = take_letters(cli, argc, argv, &i);
        }
        if (code != CLI_DONE) {
            return code;
        }
    }
    return CLI_DONE;
}

static int check_arguments(const struct cli *cli) {
    const struct cli_command *command = cli->command;
    int count = (int)cli->argument_count;
    if (count >= command->arguments_min &&
        (count <= command->arguments_max || command->arguments_max < 0)) {
        return CLI_DONE;
    }
    if (count > command->arguments_max && command->arguments_max >= 0) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s: one argument too many; usage: %s %s",
                        cli->arguments[command->arguments_max], cli->path,
                        command->arguments == NULL ? "[OPTIONS]" : command->arguments);
    }
    return cli_fail(cli, CLI_USAGE, NULL, "an argument is missing; usage: %s %s", cli->path,
                    command->arguments);
}

/* --- finding the command --- */

static const struct cli_command *below(const struct cli_command *command, const char *word) {
    const struct cli_command *const *at = command->commands;
    while (*at != NULL && strcmp((*at)->name, word) != 0) {
        at++;
    }
    return *at;
}

/* The name of what was meant with a word; NULL when that cannot be told. */
static const char *meant(const struct cli_command *command, const char *word) {
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; command->commands[i] != NULL && count < 64; i++) {
        const struct cli_command *one = command->commands[i];
        if (one->others != NULL && is_choice(one->others, word)) {
            return one->name;
        }
        names[count++] = one->name;
    }
    return cli_nearest(word, names, count);
}

static int fail_word(const struct cli_command *command, const char *path, const char *word) {
    const char *nearest = meant(command, word);
    fprintf(stderr, "%s %s: no such command", path, word);
    if (nearest != NULL) {
        fprintf(stderr, "; did you mean %s %s?\n", path, nearest);
    } else {
        fprintf(stderr, "; %s --help lists them\n", path);
    }
    return CLI_USAGE;
}

static int run_command(struct cli *cli, int argc, char **argv) {
    cli->arguments = ARENA_ARRAY(&cli->arena, const char *, (size_t)argc + 1);
    int code = parse(cli, argc, argv);
    if (cli_has(cli, "help")) {
        cli_help_print(stdout, cli->command, cli->path);
        return CLI_DONE;
    }
    if (code == CLI_DONE) {
        code = check_arguments(cli);
    }
    return code == CLI_DONE ? cli->command->run(cli) : code;
}

int cli_run(const struct cli_command *root, const char *path, int argc, char **argv) {
    struct cli cli = {.command = root};
    arena_init(&cli.arena, SIZE_MAX);
    cli.path = arena_c_str(&cli.arena, str_from_c(path));
    int code = -1;
    while (code < 0 && cli.command->commands != NULL) {
        const char *word = argc > 1 ? argv[1] : NULL;
        bool help = word != NULL && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
                                     strcmp(word, "help") == 0);
        if (word == NULL || help) {
            cli_help_print(help ? stdout : stderr, cli.command, cli.path);
            code = help ? CLI_DONE : CLI_USAGE;
            break;
        }
        const struct cli_command *next = below(cli.command, word);
        if (next == NULL) {
            code = fail_word(cli.command, cli.path, word);
            break;
        }
        cli.path = arena_printf(&cli.arena, "%s %s", cli.path, word).data;
        cli.command = next;
        argc--;
        argv++;
    }
    if (code < 0) {
        code = run_command(&cli, argc, argv);
    }
    arena_done(&cli.arena);
    return code;
}

/* --- what was given --- */

const struct cli_command *cli_command(const struct cli *cli) {
    return cli->command;
}

const char *cli_path(const struct cli *cli) {
    return cli->path;
}

struct arena *cli_arena(struct cli *cli) {
    return &cli->arena;
}

size_t cli_argument_count(const struct cli *cli) {
    return cli->argument_count;
}

const char *cli_argument(const struct cli *cli, size_t index) {
    return index < cli->argument_count ? cli->arguments[index] : NULL;
}

const char *const *cli_arguments(const struct cli *cli) {
    return cli->arguments;
}

/* The last one counts, as with most programs. */
static const struct cli_given *given(const struct cli *cli, const char *name) {
    const struct cli_option *option = cli_option_find(cli->command, name, strlen(name));
    assert(option != NULL);
    const struct cli_given *found = NULL;
    for (const struct cli_given *at = cli->given; at != NULL; at = at->next) {
        found = at->option == option ? at : found;
    }
    return found;
}

bool cli_has(const struct cli *cli, const char *name) {
    return given(cli, name) != NULL;
}

const char *cli_text(const struct cli *cli, const char *name, const char *otherwise) {
    const struct cli_given *found = given(cli, name);
    return found == NULL ? otherwise : found->text;
}

int64_t cli_number(const struct cli *cli, const char *name, int64_t otherwise) {
    const struct cli_given *found = given(cli, name);
    return found == NULL ? otherwise : found->number;
}

size_t cli_texts(const struct cli *cli, const char *name, const char *const **ret_texts) {
    const struct cli_option *option = cli_option_find(cli->command, name, strlen(name));
    assert(option != NULL);
    size_t count = 0;
    for (const struct cli_given *at = cli->given; at != NULL; at = at->next) {
        count += at->option == option;
    }
    struct cli *owner = (struct cli *)(uintptr_t)cli; /* its arena is not part of what is const */
    const char **texts = ARENA_ARRAY(&owner->arena, const char *, count + 1);
    count = 0;
    for (const struct cli_given *at = cli->given; at != NULL; at = at->next) {
        if (at->option == option) {
            texts[count++] = at->text;
        }
    }
    *ret_texts = texts;
    return count;
}

/* --- to people --- */

int cli_fail(const struct cli *cli, enum cli_exit code, const char *hint, const char *format, ...) {
    va_list args;
    fprintf(stderr, "%s: ", cli->path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (hint != NULL) {
        fprintf(stderr, "  %s\n", hint);
    }
    return (int)code;
}

void cli_note(const struct cli *cli, const char *format, ...) {
    if (cli_has(cli, "quiet")) {
        return;
    }
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

bool cli_is_dry(const struct cli *cli) {
    return !cli->command->local && cli_has(cli, "dry-run");
}
