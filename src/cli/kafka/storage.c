/* kafka-storage: `ottla storage` behind the names and rules of Kafka's options. */
#include <string.h>

#include "cli/cli.h"
#include "cli/kafka/features_int.h"
#include "cli/kafka/tools.h"

enum { WORDS_MAX = 256 };

struct words {
    char *items[WORDS_MAX];
    int count;
};

static bool add(struct tool *tool, struct words *words, const char *word) {
    if (words->count == WORDS_MAX - 1) {
        (void)tool_fail(tool, "more than %d words", WORDS_MAX - 1);
        return false;
    }
    words->items[words->count++] = arena_c_str(tool_arena(tool), str_from_c(word));
    return true;
}

/* Options of format that are not there yet. */
static int check(struct tool *tool) {
    static const char *const missing[] = {"add-scram", "no-initial-controllers",
                                          "initial-controllers"};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (tool_has(tool, missing[i])) {
            return tool_unsupported(tool, missing[i]);
        }
    }
    return TOOL_DONE;
}

/* As `ottla storage` takes them. */
static bool translate(struct tool *tool, struct words *words) {
    static const char *const flags[] = {"ignore-formatted", "standalone"};
    static const char *const valued[] = {"cluster-id", "release-version", "feature"};
    const char *const *texts;
    bool good = true;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (tool_has(tool, flags[i])) {
            good = good && add(tool, words, arena_printf(tool_arena(tool), "--%s", flags[i]).data);
        }
    }
    for (size_t i = 0; i < sizeof valued / sizeof valued[0]; i++) {
        size_t count = tool_texts(tool, valued[i], &texts);
        for (size_t j = 0; j < count; j++) {
            good = good &&
                   add(tool, words, arena_printf(tool_arena(tool), "--%s", valued[i]).data) &&
                   add(tool, words, texts[j]);
        }
    }
    return good;
}

int kafka_storage(struct tool *tool) {
    const char *command = tool_subcommand(tool);
    if (strcmp(command, "version-mapping") == 0) {
        return features_print_mapping(tool);
    }
    if (strcmp(command, "feature-dependencies") == 0) {
        return features_print_dependencies(tool);
    }
    struct words words = {0};
    bool format = strcmp(command, "format") == 0;
    bool good = add(tool, &words, "storage") && add(tool, &words, command);
    if (strcmp(command, "random-uuid") != 0) {
        good =
            good && add(tool, &words, "--config") && add(tool, &words, tool_text(tool, "config"));
    }
    if (!good || (format && (check(tool) != TOOL_DONE || !translate(tool, &words)))) {
        return TOOL_FAILED;
    }
    return cli_storage(words.count, words.items) == 0 ? TOOL_DONE : TOOL_FAILED;
}
