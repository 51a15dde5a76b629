/*
 * Flat tools.
 *
 *   --name value   --name=value   -name value    an option that the table has
 *   --flag=text                                  the text is not looked at
 *   -abc                                         three options of one letter (no tool has any)
 *   word                                         belongs to nobody, and is no mistake
 *
 * A value may look like an option. --help and --version waive what is required.
 */
#include <string.h>

#include "cli/kafka/tool_int.h"

static const struct tool_option *find(const struct tool *tool, struct str name) {
    for (const struct tool_option *option = tool->syntax->options; option->name != NULL; option++) {
        if (str_equal(str_from_c(option->name), name)) {
            return option;
        }
    }
    return NULL;
}

/* An argument that may be left out is taken when it is no option, and of the type. */
static bool is_taken(const struct tool_option *option, const char *word) {
    const char *digits = word[0] == '-' ? word + 1 : word;
    bool number = *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
    return option->type == TOOL_TEXT ? word[0] != '-' : number;
}

/* What an option takes of the words behind it: none, or one. */
static const char *take(struct tool *tool, const struct tool_option *option, const char *attached,
                        char **words, int *at) {
    const char *next = words[*at];
    if (option->argument == TOOL_NONE || attached != NULL) {
        tool_give(tool, option, attached);
    } else if (option->argument == TOOL_MAYBE) {
        bool taken = next != NULL && is_taken(option, next);
        tool_give(tool, option, taken ? next : NULL);
        *at += taken;
    } else if (next == NULL) {
        return arena_printf(&tool->arena, "Option %s requires an argument", option->name).data;
    } else {
        tool_give(tool, option, next);
        *at += 1;
    }
    return NULL;
}

/* One word of the command line, and what it takes. NULL, or the sentence about what is wrong. */
static const char *parse_word(struct tool *tool, char **words, int *at) {
    const char *word = words[(*at)++];
    size_t dashes = strncmp(word, "--", 2) == 0 ? 2 : word[0] == '-' && word[1] != '\0' ? 1 : 0;
    if (dashes == 0) {
        tool->words[tool->word_count++] = word;
        return NULL;
    }
    const char *name = word + dashes;
    const char *equals = strchr(name, '=');
    size_t size = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct tool_option *option = find(tool, (struct str){name, size});
    if (option == NULL) {
        int shown = dashes == 1 ? 1 : (int)size; /* of a cluster of letters the first is unknown */
        return arena_printf(&tool->arena, "%.*s is not a recognized option", shown, name).data;
    }
    return take(tool, option, equals == NULL ? NULL : equals + 1, words, at);
}

static const char *missing(struct tool *tool) {
    struct str list = STR_NULL;
    for (const struct tool_option *option = tool->syntax->options; option->name != NULL; option++) {
        if (option->need == TOOL_REQUIRED && !tool_has(tool, option->name)) {
            list = arena_list(&tool->arena, list, ", ", str_from_c(option->name));
        }
    }
    return list.data == NULL
               ? NULL
               : arena_printf(&tool->arena, "Missing required option(s) [%.*s]", STR_ARGS(list))
                     .data;
}

static const char *parse_all(struct tool *tool, int argc, char **argv) {
    const char *wrong = NULL;
    for (int at = 1; at < argc && wrong == NULL;) {
        if (strcmp(argv[at], "--") == 0) {
            while (++at < argc) {
                tool->words[tool->word_count++] = argv[at];
            }
        } else {
            wrong = parse_word(tool, argv, &at);
        }
    }
    bool help = tool_has(tool, "help") || tool_has(tool, "version");
    return wrong == NULL && !help ? missing(tool) : wrong;
}

int tool_parse(struct tool *tool, int argc, char **argv, bool *ret_over) {
    const char *wrong = parse_all(tool, argc, argv);
    *ret_over = true;
    if (wrong != NULL) {
        return tool_usage(tool, "%s", wrong);
    }
    if (argc == 1 || tool_has(tool, "help")) {
        return tool_usage(tool, "%s", tool->kind->summary);
    }
    if (tool_has(tool, "version")) {
        puts(TOOL_VERSION);
        return TOOL_DONE;
    }
    wrong = tool_check(tool);
    if (wrong != NULL) {
        return tool_fail(tool, "%s", wrong);
    }
    *ret_over = false;
    return TOOL_DONE;
}
