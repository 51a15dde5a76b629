#include "scenario.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    enum scenario_kind kind;
    bool named;
} kinds[] = {
    {"config", SCENARIO_CONFIG, false}, {"topic", SCENARIO_TOPIC, true},
    {"client", SCENARIO_CLIENT, true},  {"fault", SCENARIO_FAULT, true},
    {"must", SCENARIO_MUST, true},
};

/* --- reading --- */

static bool fail(char error[SCENARIO_ERROR_MAX], const char *name, int number, const char *what,
                 const char *word) {
    snprintf(error, SCENARIO_ERROR_MAX, "%s:%d: %s '%s'", name, number, what, word);
    return false;
}

static bool add_setting(struct scenario_line *line, const char *key, const char *value) {
    if (line->setting_count == SCENARIO_SETTINGS_MAX) {
        return false;
    }
    line->settings[line->setting_count++] = (struct scenario_setting){.key = key, .value = value};
    return true;
}

/* The words after the kind; `rest` is changed. */
static bool parse_settings(struct scenario_line *line, char *rest, const char *name,
                           char error[SCENARIO_ERROR_MAX]) {
    char *save;
    for (char *word = strtok_r(rest, " \t", &save); word != NULL;
         word = strtok_r(NULL, " \t", &save)) {
        char *equals = strchr(word, '=');
        if (equals == NULL || equals == word) {
            return fail(error, name, line->number, "not a setting (key=value):", word);
        }
        *equals = '\0';
        if (!add_setting(line, word, equals + 1)) {
            return fail(error, name, line->number, "too many settings at", word);
        }
    }
    return true;
}

static bool parse_line(struct scenario_line *line, char *text, const char *name,
                       char error[SCENARIO_ERROR_MAX]) {
    char *rest = text;
    char *word = strsep(&rest, " \t");
    rest = rest == NULL ? text + strlen(text) : rest + strspn(rest, " \t");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(word, kinds[i].word) != 0) {
            continue;
        }
        line->kind = kinds[i].kind;
        line->name = "";
        if (kinds[i].named) {
            line->name = strsep(&rest, " \t");
            if (line->name[0] == '\0') {
                return fail(error, name, line->number, "no name after", word);
            }
        }
        return rest == NULL || parse_settings(line, rest, name, error);
    }
    line->kind = SCENARIO_RUN;
    line->name = word;
    rest[strcspn(rest, " \t")] = '\0';
    if (rest[0] == '\0') {
        return fail(error, name, line->number, "no value after", word);
    }
    return add_setting(line, word, rest);
}

static bool parse(struct scenario *scenario, char error[SCENARIO_ERROR_MAX]) {
    char *rest = scenario->text;
    for (int number = 1; rest != NULL; number++) {
        char *text = strsep(&rest, "\n");
        text[strcspn(text, "#")] = '\0';
        text += strspn(text, " \t");
        if (text[0] == '\0') {
            continue;
        }
        scenario->lines = realloc(scenario->lines, (size_t)(scenario->line_count + 1) *
                                                       sizeof(struct scenario_line));
        assert(scenario->lines != NULL);
        struct scenario_line *line = &scenario->lines[scenario->line_count++];
        *line = (struct scenario_line){.number = number};
        if (!parse_line(line, text, scenario->name, error)) {
            return false;
        }
    }
    return true;
}

struct scenario *scenario_parse(const char *name, const char *text,
                                char error[SCENARIO_ERROR_MAX]) {
    struct scenario *scenario = calloc(1, sizeof *scenario);
    assert(scenario != NULL);
    scenario->name = strdup(name);
    scenario->text = strdup(text);
    if (!parse(scenario, error)) {
        scenario_free(scenario);
        return NULL;
    }
    return scenario;
}

struct scenario *scenario_read(const char *path, char error[SCENARIO_ERROR_MAX]) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        snprintf(error, SCENARIO_ERROR_MAX, "cannot read %s", path);
        return NULL;
    }
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    const char *slash = strrchr(path, '/');
    char *name = strdup(slash == NULL ? path : slash + 1);
    name[strcspn(name, ".")] = '\0';
    struct scenario *scenario = scenario_parse(name, text, error);
    free(name);
    free(text);
    return scenario;
}

void scenario_free(struct scenario *scenario) {
    if (scenario != NULL) {
        free(scenario->lines);
        free(scenario->text);
        free(scenario->name);
        free(scenario);
    }
}

/* --- asking --- */

struct scenario_line *scenario_next(struct scenario *scenario, enum scenario_kind kind,
                                    const char *name, struct scenario_line *line) {
    struct scenario_line *end = scenario->lines + scenario->line_count;
    for (line = line == NULL ? scenario->lines : line + 1; line < end; line++) {
        if (line->kind == kind && (name == NULL || strcmp(line->name, name) == 0)) {
            return line;
        }
    }
    return NULL;
}

const char *scenario_text(struct scenario_line *line, const char *key, const char *otherwise) {
    for (int i = 0; i < line->setting_count; i++) {
        if (strcmp(line->settings[i].key, key) == 0) {
            line->settings[i].asked = true;
            return line->settings[i].value;
        }
    }
    return otherwise;
}

static void bad(const struct scenario_line *line, const char *key, const char *value) {
    fprintf(stderr, "line %d of the scenario: %s=%s cannot be understood\n", line->number, key,
            value);
    exit(2);
}

bool scenario_flag(struct scenario_line *line, const char *key, bool otherwise) {
    const char *value = scenario_text(line, key, otherwise ? "yes" : "no");
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        bad(line, key, value);
    }
    return strcmp(value, "yes") == 0;
}

/* A number with its unit; *rest is what follows. False when there is none. */
static bool parse_number(const char *text, int64_t *ret_number, const char **ret_rest) {
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"KiB", 1024}, {"MiB", 1048576}};
    char *rest;
    int64_t number = strtoll(text, &rest, 10);
    if (rest == text) {
        return false;
    }
    size_t unit_size = strcspn(rest, "-");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].unit) == unit_size && memcmp(rest, units[i].unit, unit_size) == 0) {
            *ret_number = number * units[i].factor;
            *ret_rest = rest + unit_size;
            return true;
        }
    }
    *ret_number = number;
    *ret_rest = rest;
    return unit_size == 0;
}

static bool parse_range(const char *text, struct scenario_range *ret_range) {
    struct scenario_range range;
    if (!parse_number(text, &range.least, &text)) {
        return false;
    }
    range.most = range.least;
    if (text[0] == '-' && !parse_number(text + 1, &range.most, &text)) {
        return false;
    }
    *ret_range = range;
    return text[0] == '\0' && range.least <= range.most;
}

struct scenario_range scenario_range(struct scenario_line *line, const char *key,
                                     const char *otherwise) {
    const char *value = scenario_text(line, key, otherwise);
    struct scenario_range range = {0, 0};
    if (!parse_range(value, &range)) {
        bad(line, key, value);
    }
    return range;
}

int64_t scenario_number(struct scenario_line *line, const char *key, const char *otherwise) {
    return scenario_range(line, key, otherwise).least;
}

int64_t scenario_run_number(struct scenario *scenario, const char *key, const char *otherwise) {
    struct scenario_line *line = scenario_next(scenario, SCENARIO_RUN, key, NULL);
    struct scenario_line none = {.name = key};
    return scenario_number(line == NULL ? &none : line, key, otherwise);
}

int64_t scenario_draw(struct scenario_range range, struct rng *rng) {
    return range.least + (int64_t)rng_below(rng, (uint64_t)(range.most - range.least) + 1);
}

bool scenario_unknown(const struct scenario *scenario, char error[SCENARIO_ERROR_MAX]) {
    for (int i = 0; i < scenario->line_count; i++) {
        const struct scenario_line *line = &scenario->lines[i];
        for (int k = 0; k < line->setting_count; k++) {
            if (!line->settings[k].asked) {
                fail(error, scenario->name, line->number, "nobody knows the setting",
                     line->settings[k].key);
                return true;
            }
        }
    }
    return false;
}
