#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/profiles.h"
#include "client/core.h"
#include "sys/sys.h"

enum { TIMEOUT_S = 30 };

/* --- the profile --- */

size_t cli_profile_names(struct cli *cli, const char **names, size_t size) {
    struct profiles profiles;
    size_t count = 0;
    profiles_read(cli, &profiles);
    for (size_t i = 0; i < profiles.count && count < size; i++) {
        if (profiles.lines[i].section != NULL) {
            names[count++] = profiles.lines[i].section;
        }
    }
    return count;
}

/* The profile's name as flags and environment give it, or NULL. */
static const char *chosen_profile(const struct cli *cli) {
    const char *name = cli_text(cli, "profile", NULL);
    return name != NULL ? name : getenv("OTTLA_PROFILE");
}

static int apply_line(struct cli *cli, const struct profiles *profiles, size_t index, bool head,
                      bool wanted, struct ottla_config *config) {
    const struct profiles_line *line = &profiles->lines[index];
    struct ottla_error error;
    if (line->odd) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s:%zu: write it as key = value", profiles->path,
                        index + 1);
    }
    if (line->key != NULL && head && strcmp(line->key, "use") != 0) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "%s:%zu: before the first [profile] only `use = NAME` can stand",
                        profiles->path, index + 1);
    }
    if (line->key != NULL && wanted &&
        ottla_config_set(config, line->key, line->value, &error) != OTTLA_OK) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s:%zu: %s", profiles->path, index + 1, error.text);
    }
    return CLI_DONE;
}

static int apply_profile(struct cli *cli, struct ottla_config *config) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = chosen_profile(cli);
    if (name != NULL && !profiles.there) {
        return cli_fail(cli, CLI_USAGE, NULL, "profile %s: the profiles file %s cannot be read",
                        name, profiles.path);
    }
    name = name != NULL ? name : profiles_used(&profiles);
    const char *section = NULL;
    bool found = false;
    int code = CLI_DONE;
    for (size_t i = 0; i < profiles.count && code == CLI_DONE; i++) {
        section = profiles.lines[i].section != NULL ? profiles.lines[i].section : section;
        bool wanted = section != NULL && name != NULL && strcmp(section, name) == 0;
        found = found || wanted;
        code = apply_line(cli, &profiles, i, section == NULL, wanted, config);
    }
    if (code == CLI_DONE && name != NULL && !found) {
        return cli_fail(cli, CLI_USAGE, "`ottla profile list` prints those there are.",
                        "there is no profile [%s] in %s", name, profiles.path);
    }
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
        int64_t timeout_ms = cli_timeout_ms(cli) + CLI_CALL_EXTRA_MS;
        code = set(cli, config, "default.api.timeout.ms",
                   arena_printf(cli_arena(cli), "%" PRId64, timeout_ms).data);
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

/* --- trouble along the way --- */

enum { TROUBLES_KEPT = 8, TROUBLE_TEXT_SIZE = 200, TROUBLE_AGAIN_MS = 60 * 1000 };

/* What was told of late. */
struct troubles {
    struct cli *cli;
    struct sys *sys;
    struct trouble {
        char text[TROUBLE_TEXT_SIZE];
        int64_t told_ms;
    } kept[TROUBLES_KEPT];
};

static bool is_of(const struct trouble *trouble, const char *text) {
    return strncmp(trouble->text, text, sizeof trouble->text - 1) == 0;
}

static void tell_trouble(void *arg, enum ottla_log_level level, const char *text) {
    struct troubles *troubles = arg;
    if (level > OTTLA_LOG_WARNING) {
        return;
    }
    int64_t now_ms = sys_mono_ms(troubles->sys);
    struct trouble *trouble = &troubles->kept[0]; /* this one, or the oldest */
    for (size_t i = 0; i < TROUBLES_KEPT && !is_of(trouble, text); i++) {
        struct trouble *other = &troubles->kept[i];
        trouble = is_of(other, text) || other->told_ms < trouble->told_ms ? other : trouble;
    }
    if (!is_of(trouble, text) || now_ms - trouble->told_ms >= TROUBLE_AGAIN_MS) {
        (void)snprintf(trouble->text, sizeof trouble->text, "%s", text);
        trouble->told_ms = now_ms;
        cli_note(troubles->cli, "%s: %s", cli_path(troubles->cli), text);
    }
}

void cli_tell_trouble(struct cli *cli, struct ottla_client *client) {
    if (!cli_has(cli, "verbose")) {
        struct troubles *troubles = ARENA_NEW(cli_arena(cli), struct troubles);
        troubles->cli = cli;
        troubles->sys = client_sys(client);
        ottla_client_on_log(client, tell_trouble, troubles);
    }
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
    case ERR_TRANSACTIONAL_ID_NOT_FOUND:
        return "`ottla transaction list` prints the transactional ids there are.";
    case ERR_POLICY_VIOLATION:
        return "A trim needs delete in the topic's cleanup.policy; else the brokers have a policy "
               "of their own.";
    case ERR_INVALID_PRODUCER_EPOCH:
    case ERR_TRANSACTION_COORDINATOR_FENCED:
        return "It has ended, or its producer has gone on: look at it again.";
    default:
        return NULL;
    }
}

int cli_fail_with(const struct cli *cli, const struct ottla_error *error) {
    return cli_fail(cli, cli_exit_of(error->code), hint_of(error->code), "%s (%s)", error->text,
                    ottla_code_name(error->code));
}
