#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"

enum { LINE_SIZE_MAX = 4096, TIMEOUT_S = 30 };

/* --- the profiles file --- */

static FILE *open_profiles(struct arena *arena, const char **ret_path) {
    const char *given = getenv("OTTLA_PROFILES");
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (given != NULL) {
        *ret_path = given;
    } else if (xdg != NULL && xdg[0] != '\0') {
        *ret_path = arena_printf(arena, "%s/ottla/profiles", xdg).data;
    } else {
        *ret_path = arena_printf(arena, "%s/.config/ottla/profiles", home == NULL ? "" : home).data;
    }
    return fopen(*ret_path, "re");
}

static char *trim(char *text) {
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) {
        text[--size] = '\0';
    }
    return text;
}

/* One line: a section, `key = value`, or neither (blank, comment). */
struct line {
    const char *section;
    const char *key;
    const char *value;
};

static bool parse_line(char *text, struct line *ret_line) {
    *ret_line = (struct line){0};
    text = trim(text);
    size_t size = strlen(text);
    if (size == 0 || text[0] == '#' || text[0] == ';') {
        return true;
    }
    if (text[0] == '[' && text[size - 1] == ']') {
        text[size - 1] = '\0';
        ret_line->section = trim(text + 1);
        return true;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        return false;
    }
    *equals = '\0';
    ret_line->key = trim(text);
    ret_line->value = trim(equals + 1);
    return true;
}

size_t cli_profile_names(struct cli *cli, const char **names, size_t size) {
    const char *path;
    FILE *file = open_profiles(cli_arena(cli), &path);
    char text[LINE_SIZE_MAX];
    struct line line;
    size_t count = 0;
    while (file != NULL && count < size && fgets(text, sizeof text, file) != NULL) {
        if (parse_line(text, &line) && line.section != NULL) {
            names[count++] = arena_c_str(cli_arena(cli), str_from_c(line.section));
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

/* The profile's name as flags and environment give it, or NULL. */
static const char *chosen_profile(const struct cli *cli) {
    const char *name = cli_text(cli, "profile", NULL);
    return name != NULL ? name : getenv("OTTLA_PROFILE");
}

static int read_profile(struct cli *cli, FILE *file, const char *path,
                        struct ottla_config *config) {
    const char *wanted = chosen_profile(cli);
    char text[LINE_SIZE_MAX];
    struct line line;
    bool any_section = false;
    bool inside = false;
    bool found = false;
    for (int number = 1; fgets(text, sizeof text, file) != NULL; number++) {
        if (!parse_line(text, &line)) {
            return cli_fail(cli, CLI_USAGE, NULL, "%s:%d: write it as key = value", path, number);
        }
        if (line.section != NULL) {
            any_section = true;
            inside = wanted != NULL && strcmp(line.section, wanted) == 0;
            found = found || inside;
        } else if (line.key != NULL && !any_section) {
            if (strcmp(line.key, "use") != 0) {
                return cli_fail(cli, CLI_USAGE, NULL,
                                "%s:%d: before the first [profile] only `use = NAME` can stand",
                                path, number);
            }
            if (wanted == NULL) {
                wanted = arena_c_str(cli_arena(cli), str_from_c(line.value));
            }
        } else if (line.key != NULL && inside) {
            struct ottla_error error;
            if (ottla_config_set(config, line.key, line.value, &error) != OTTLA_OK) {
                return cli_fail(cli, CLI_USAGE, NULL, "%s:%d: %s", path, number, error.text);
            }
        }
    }
    if (wanted != NULL && !found) {
        return cli_fail(cli, CLI_USAGE, NULL, "there is no profile [%s] in %s", wanted, path);
    }
    return CLI_DONE;
}

static int apply_profile(struct cli *cli, struct ottla_config *config) {
    const char *path;
    FILE *file = open_profiles(cli_arena(cli), &path);
    if (file == NULL) {
        return chosen_profile(cli) == NULL
                   ? CLI_DONE
                   : cli_fail(cli, CLI_USAGE, NULL,
                              "profile %s: the profiles file %s cannot be read",
                              chosen_profile(cli), path);
    }
    int code = read_profile(cli, file, path, config);
    fclose(file);
    return code;
}

/* --- flags --- */

static int set(struct cli *cli, struct ottla_config *config, const char *name, const char *value) {
    struct ottla_error error;
    if (ottla_config_set(config, name, value, &error) != OTTLA_OK) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    return CLI_DONE;
}

static int apply_flags(struct cli *cli, struct ottla_config *config) {
    const char *servers = cli_text(cli, "bootstrap-server", getenv("OTTLA_BOOTSTRAP_SERVERS"));
    int code = servers == NULL ? CLI_DONE : set(cli, config, "bootstrap.servers", servers);
    const char *const *settings;
    size_t count = cli_texts(cli, "set", &settings);
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        const char *equals = strchr(settings[i], '=');
        if (equals == NULL) {
            return cli_fail(cli, CLI_USAGE, NULL, "-X %s: write it as key=value", settings[i]);
        }
        struct str name = {.data = settings[i], .size = (size_t)(equals - settings[i])};
        code = set(cli, config, arena_c_str(cli_arena(cli), name), equals + 1);
    }
    return code;
}

int cli_config(struct cli *cli, struct ottla_config **ret_config) {
    struct ottla_config *config = ottla_config_new();
    int code = set(cli, config, "bootstrap.servers", "localhost:9092");
    if (code == CLI_DONE) {
        code = set(cli, config, "client.id", "ottla");
    }
    if (code == CLI_DONE) { /* looking at a topic must not make it */
        code = set(cli, config, "allow.auto.create.topics", "false");
    }
    if (code == CLI_DONE) {
        code = apply_profile(cli, config);
    }
    if (code == CLI_DONE) {
        code = apply_flags(cli, config);
    }
    if (code != CLI_DONE) {
        ottla_config_free(config);
        return code;
    }
    *ret_config = config;
    return CLI_DONE;
}

/* --- the client --- */

static void log_to_stderr(void *arg, enum ottla_log_level level, const char *text) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)arg;
    fprintf(stderr, "%s: %s\n", names[level], text);
}

int cli_connect_with(struct cli *cli, const struct ottla_config *config,
                     struct ottla_client **ret_client) {
    struct ottla_error error;
    if (ottla_client_new(config, ret_client, &error) != OTTLA_OK) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    if (cli_has(cli, "verbose")) {
        ottla_client_on_log(*ret_client, log_to_stderr, NULL);
    }
    return CLI_DONE;
}

int cli_connect(struct cli *cli, struct ottla_client **ret_client) {
    struct ottla_config *config;
    int code = cli_config(cli, &config);
    if (code == CLI_DONE) {
        code = cli_connect_with(cli, config, ret_client);
        ottla_config_free(config);
    }
    return code;
}

int64_t cli_timeout_ms(const struct cli *cli) {
    return cli_number(cli, "timeout", TIMEOUT_S) * 1000;
}

/* --- errors --- */

enum cli_exit cli_exit_of(int code) {
    switch (code) {
    case OTTLA_OK:
        return CLI_DONE;
    case OTTLA_INVALID:
        return CLI_USAGE;
    case OTTLA_NOT_FOUND:
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_GROUP_ID_NOT_FOUND:
    case ERR_RESOURCE_NOT_FOUND:
    case ERR_TRANSACTIONAL_ID_NOT_FOUND:
        return CLI_NOT_FOUND;
    case OTTLA_REFUSED:
    case OTTLA_TIMED_OUT:
    case OTTLA_CLOSED:
    case ERR_REQUEST_TIMED_OUT:
    case ERR_BROKER_NOT_AVAILABLE:
    case ERR_COORDINATOR_NOT_AVAILABLE:
        return CLI_UNREACHABLE;
    default:
        return CLI_FAILED;
    }
}

static const char *hint_of(int code) {
    switch (code) {
    case OTTLA_REFUSED:
    case OTTLA_TIMED_OUT:
        return "Is the node up, and is the address the one it advertises? `ottla cluster doctor` "
               "looks.";
    case OTTLA_MALFORMED:
        return "Does a Kafka listener answer there? Another protocol, or TLS, looks like this.";
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
        return "`ottla topic list` prints the topics there are.";
    case ERR_GROUP_ID_NOT_FOUND:
        return "`ottla group list` prints the groups there are.";
    default:
        return NULL;
    }
}

int cli_fail_with(const struct cli *cli, const struct ottla_error *error) {
    return cli_fail(cli, cli_exit_of(error->code), hint_of(error->code), "%s (%s)", error->text,
                    ottla_code_name(error->code));
}
