/*
 * Tools with subcommands: options of the tool, the subcommand, its own options.
 *
 *   --name value   --name=value   -x value   -xvalue
 *
 * A long name may be cut short while one option alone begins so. Options of the tool stand before
 * the subcommand. -h prints help; the exit code is the tool's own. Help and the version come before
 * any mistake behind them.
 */
#include <string.h>

#include "cli/kafka/tool_int.h"

static const struct tool_option help_option = {.name = "help", .letter = 'h'};
static const char version_option[] = "version"; /* of tools that have it */

struct words {
    struct tool *tool;
    const struct tool_syntax *level; /* of the tool, or of the subcommand */
    char **all;
    int at;
    bool help;
    bool version;
    const char *wrong; /* a sentence; NULL: nothing yet */
};

#define WRONG(words, ...)                                                                          \
    ((words)->wrong = arena_printf(&(words)->tool->arena, __VA_ARGS__).data, (void)0)

/* "--controller-id/-i" */
static const char *shown(const struct words *words, const struct tool_option *option) {
    return option->letter == '\0'
               ? arena_printf(&words->tool->arena, "--%s", option->name).data
               : arena_printf(&words->tool->arena, "--%s/-%c", option->name, option->letter).data;
}

static const struct tool_option *find_long(struct words *words, struct str name) {
    const struct tool_option *found = NULL;
    struct str others = STR_NULL;
    for (size_t i = 0; i < words->level->option_count; i++) {
        const struct tool_option *option = &words->level->options[i];
        if (str_equal(str_from_c(option->name), name)) {
            return option;
        }
        if (name.size > 0 && strncmp(option->name, name.data, name.size) == 0) {
            found = option;
            others = arena_list(&words->tool->arena, others, ", ",
                                arena_printf(&words->tool->arena, "--%s", option->name));
        }
    }
    if (memchr(others.data == NULL ? "" : others.data, ',', others.size) != NULL) {
        WRONG(words, "ambiguous option: --%.*s could match %.*s", STR_ARGS(name), STR_ARGS(others));
    }
    return found;
}

static const struct tool_option *find_letter(const struct words *words, char letter) {
    for (size_t i = 0; i < words->level->option_count; i++) {
        if (words->level->options[i].letter == letter) {
            return &words->level->options[i];
        }
    }
    return NULL;
}

/* Of options of which only one may be given. */
static void check_alone(struct words *words, const struct tool_option *option) {
    if (option->need != TOOL_ONE_OF && option->need != TOOL_EITHER) {
        return;
    }
    for (const struct tool_given *given = words->tool->given; given != NULL; given = given->next) {
        if (given->option->need == option->need && given->option != option) {
            WRONG(words, "argument %s: not allowed with argument %s", shown(words, option),
                  shown(words, given->option));
        }
    }
}

static void take(struct words *words, const struct tool_option *option, const char *attached) {
    check_alone(words, option);
    if (words->wrong != NULL) {
        return;
    }
    const char *next = words->all[words->at];
    bool there = next != NULL && (next[0] != '-' || next[1] == '\0' ||
                                  strspn(next + 1, "0123456789") == strlen(next + 1));
    if (strcmp(option->name, help_option.name) == 0) {
        words->help = true;
    } else if (strcmp(option->name, version_option) == 0) {
        words->version = true;
    } else if (option->argument == TOOL_NONE && attached == NULL) {
        tool_give(words->tool, option, NULL);
    } else if (option->argument != TOOL_NONE && attached != NULL) {
        tool_give(words->tool, option, attached);
    } else if (option->argument == TOOL_NONE) {
        WRONG(words, "argument %s: ignored explicit argument '%s'", shown(words, option), attached);
    } else if (!there) {
        WRONG(words, "argument %s: expected %s", shown(words, option),
              option->argument == TOOL_LIST ? "at least one argument" : "one argument");
    } else {
        do {
            tool_give(words->tool, option, words->all[words->at++]);
            next = words->all[words->at];
        } while (option->argument == TOOL_LIST && next != NULL && next[0] != '-');
    }
}

static void parse_option(struct words *words, const char *word) {
    const struct tool_option *option;
    const char *attached = NULL;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        size_t size = equals == NULL ? strlen(word + 2) : (size_t)(equals - word) - 2;
        attached = equals == NULL ? NULL : equals + 1;
        option = find_long(words, (struct str){word + 2, size});
    } else {
        option = find_letter(words, word[1]);
        attached = word[2] == '\0' ? NULL : word + 2;
    }
    if (words->wrong != NULL) {
        return;
    }
    if (option == NULL) {
        WRONG(words, "unrecognized arguments: '%s'", word);
    } else {
        take(words, option, attached);
    }
}

/* The comma-separated names in quotes. */
static const char *choices(const struct words *words) {
    struct str list = STR_NULL;
    struct arena *arena = &words->tool->arena;
    for (const char *at = words->tool->syntax->subcommands; *at != '\0'; at += *at == ',') {
        size_t size = strcspn(at, ",");
        list = arena_list(arena, list, ", ", arena_printf(arena, "'%.*s'", (int)size, at));
        at += size;
    }
    return arena_c_str(arena, list);
}

static void parse_word(struct words *words, const char *word) {
    struct tool *tool = words->tool;
    if (tool->syntax->subcommands == NULL || tool->sub != NULL) {
        WRONG(words, "unrecognized arguments: '%s'", word);
        return;
    }
    tool->sub = tool_syntax_find(tool->syntax->tool, word);
    words->level = tool->sub;
    if (tool->sub == NULL) {
        WRONG(words, "invalid choice: '%s' (choose from %s)", word, choices(words));
    }
}

static void check_level(struct words *words, const struct tool_syntax *level) {
    struct str group = STR_NULL;
    bool any = false;
    for (size_t i = 0; words->wrong == NULL && i < level->option_count; i++) {
        const struct tool_option *option = &level->options[i];
        bool given = tool_has(words->tool, option->name);
        if (option->need == TOOL_REQUIRED && !given) {
            WRONG(words, "argument %s is required", shown(words, option));
        } else if (option->need == TOOL_ONE_OF) {
            any = any || given;
            group = arena_list(&words->tool->arena, group, " ", str_from_c(shown(words, option)));
        }
    }
    if (words->wrong == NULL && group.data != NULL && !any) {
        WRONG(words, "one of the arguments %.*s is required", STR_ARGS(group));
    }
}

static void check(struct words *words) {
    struct tool *tool = words->tool;
    if (words->wrong == NULL && tool->syntax->subcommands != NULL && tool->sub == NULL) {
        words->wrong = "too few arguments";
    }
    if (words->wrong == NULL && tool->sub != NULL) {
        check_level(words, tool->sub);
    }
    if (words->wrong == NULL) {
        check_level(words, tool->syntax);
    }
    if (words->wrong == NULL) {
        words->wrong = tool_check(tool);
    }
}

int tool_parse_words(struct tool *tool, int argc, char **argv, bool *ret_over) {
    struct words words = {.tool = tool, .level = tool->syntax, .all = argv, .at = 1};
    while (words.at < argc && words.wrong == NULL && !words.help && !words.version) {
        const char *word = argv[words.at++];
        if (word[0] == '-' && word[1] != '\0') {
            parse_option(&words, word);
        } else {
            parse_word(&words, word);
        }
    }
    *ret_over = true;
    if (words.help) {
        printf("%s\n\n", tool->kind->summary);
        tool_print_options(tool, stdout);
        return tool->kind->help_code;
    }
    if (words.version) {
        puts(TOOL_VERSION " (Commit:unknown)"); /* in the form of these tools */
        return TOOL_DONE;
    }
    check(&words);
    if (words.wrong != NULL && tool->kind->terse) {
        return tool_fail(tool, "Command line error: %s. Type --help for help.", words.wrong);
    }
    if (words.wrong != NULL) {
        tool_print_options(tool, stderr);
        return tool_fail(tool, "%s: error: %s", tool->kind->name, words.wrong);
    }
    *ret_over = false;
    return TOOL_DONE;
}
