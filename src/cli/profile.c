/* ottla profile: the clusters that commands know by name. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/profiles.h"
#include "ottla/types.h"

static bool is_dry(const struct cli *cli) {
    return cli_has(cli, "dry-run");
}

static const struct cli_option change_options[] = {
    {"dry-run", 0, CLI_FLAG, NULL, "say what would change, change nothing"},
    {NULL},
};

/* The profile that commands take: as the environment says, else the file. */
static const char *in_use(const struct profiles *profiles) {
    const char *name = getenv("OTTLA_PROFILE");
    return name != NULL ? name : profiles_used(profiles);
}

static int not_there(struct cli *cli, const struct profiles *profiles, const char *name) {
    return cli_fail(cli, CLI_NOT_FOUND, "`ottla profile list` prints those there are.",
                    "there is no profile [%s] in %s", name, profiles->path);
}

static bool is_there(const struct profiles *profiles, const char *name) {
    size_t end;
    return profiles_find(profiles, name, &end) != SIZE_MAX;
}

/* What was done, or would be; writes the file in the first case. */
static int finish(const struct profiles *profiles, const char *name, const char *what) {
    if (is_dry(profiles->cli)) {
        cli_note(profiles->cli, "%s would be %s in %s", name, what, profiles->path);
        return CLI_DONE;
    }
    int code = profiles_write(profiles);
    if (code == CLI_DONE) {
        cli_note(profiles->cli, "%s is %s in %s", name, what, profiles->path);
    }
    return code;
}

/* --- list, show --- */

static const struct cli_column list_columns[] = {
    {"PROFILE", "profile"}, {"USED", "used"}, {"BOOTSTRAP SERVERS", "bootstrapServers"}, {NULL}};

static int profile_list(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *used = in_use(&profiles);
    json_t *rows = json_array();
    for (size_t i = 0; i < profiles.count; i++) {
        const char *name = profiles.lines[i].section;
        if (name != NULL) {
            json_array_append_new(
                rows, json_pack("{s:s, s:b, s:s?}", "profile", name, "used",
                                used != NULL && strcmp(used, name) == 0, "bootstrapServers",
                                profiles_get(&profiles, name, "bootstrap.servers")));
        }
    }
    return cli_print_rows(cli, list_columns, rows);
}

static const struct cli_command list_command = {
    .name = "list",
    .summary = "the profiles there are, and which is used",
    .examples = "  ottla profile list\n",
    .local = true,
    .run = profile_list,
};

static int profile_show(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = cli_argument(cli, 0) != NULL ? cli_argument(cli, 0) : in_use(&profiles);
    size_t end;
    if (name == NULL) {
        return cli_fail(cli, CLI_NOT_FOUND, "`ottla profile use NAME` chooses one.",
                        "no profile is used");
    }
    size_t start = profiles_find(&profiles, name, &end);
    if (start == SIZE_MAX) {
        return not_there(cli, &profiles, name);
    }
    json_t *settings = json_object();
    for (size_t i = start + 1; i < end; i++) {
        const struct profiles_line *line = &profiles.lines[i];
        if (line->key != NULL) {
            json_object_set_new(settings, line->key, json_string(line->value));
        }
    }
    if (cli_wants_json(cli)) {
        return cli_print_json(json_pack("{s:s, s:s, s:o}", "profile", name, "file", profiles.path,
                                        "settings", settings));
    }
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value) {
        printf("%s = %s\n", key, json_string_value(value));
    }
    json_decref(settings);
    return CLI_DONE;
}

static const struct cli_command show_command = {
    .name = "show",
    .arguments = "[PROFILE]",
    .summary = "the settings of a profile; without a name, of the one that is used",
    .examples = "  ottla profile show\n"
                "  ottla profile show production -o json\n",
    .arguments_max = 1,
    .complete = CLI_COMPLETE_PROFILE,
    .local = true,
    .run = profile_show,
};

/* --- use --- */

static int profile_use(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = cli_argument(cli, 0);
    if (!is_there(&profiles, name)) {
        return not_there(cli, &profiles, name);
    }
    profiles_use(&profiles, name);
    return finish(&profiles, name, "used from now on");
}

static const struct cli_command use_command = {
    .name = "use",
    .arguments = "PROFILE",
    .summary = "the profile that commands take when none is named",
    .examples = "  ottla profile use test\n",
    .options = change_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_PROFILE,
    .local = true,
    .run = profile_use,
};

/* --- set, unset, delete --- */

static int set_all(struct cli *cli, struct profiles *profiles, struct ottla_config *checked) {
    for (size_t i = 1; i < cli_argument_count(cli); i++) {
        const char *text = cli_argument(cli, i);
        const char *equals = strchr(text, '=');
        struct ottla_error error;
        if (equals == NULL || equals == text || strpbrk(text, "\r\n") != NULL) {
            return cli_fail(cli, CLI_USAGE, NULL, "%s: write it as key=value", text);
        }
        struct str key = {.data = text, .size = (size_t)(equals - text)};
        const char *name = arena_c_str(cli_arena(cli), key);
        if (ottla_config_set(checked, name, equals + 1, &error) != OTTLA_OK) {
            return cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
        }
        profiles_set(profiles, cli_argument(cli, 0), name, equals + 1);
    }
    return CLI_DONE;
}

static int profile_set(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = cli_argument(cli, 0);
    if (name[0] == '\0' || strpbrk(name, "[]=# \t\r\n") != NULL) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s: a profile's name is one word", name);
    }
    profiles_set(&profiles, name, NULL, NULL);
    struct ottla_config *checked = ottla_config_new();
    int code = set_all(cli, &profiles, checked);
    ottla_config_free(checked);
    return code == CLI_DONE ? finish(&profiles, name, "written") : code;
}

static const struct cli_command set_command = {
    .name = "set",
    .arguments = "PROFILE KEY=VALUE…",
    .summary = "change settings of a profile, which is made when it is not there",
    .text = "Settings are those of Kafka's clients, as with -X; `man ottla-client` lists them.\n",
    .examples = "  ottla profile set production bootstrap.servers=kafka1:9092,kafka2:9092\n"
                "  ottla profile set production client.id=ops acks=all\n",
    .options = change_options,
    .arguments_min = 2,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_PROFILE,
    .local = true,
    .run = profile_set,
};

static int profile_unset(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = cli_argument(cli, 0);
    if (!is_there(&profiles, name)) {
        return not_there(cli, &profiles, name);
    }
    for (size_t i = 1; i < cli_argument_count(cli); i++) {
        if (!profiles_unset(&profiles, name, cli_argument(cli, i))) {
            return cli_fail(cli, CLI_NOT_FOUND, NULL, "[%s] does not set %s", name,
                            cli_argument(cli, i));
        }
    }
    return finish(&profiles, name, "written");
}

static const struct cli_command unset_command = {
    .name = "unset",
    .arguments = "PROFILE KEY…",
    .summary = "take settings out of a profile",
    .examples = "  ottla profile unset production acks\n",
    .options = change_options,
    .arguments_min = 2,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_PROFILE,
    .local = true,
    .run = profile_unset,
};

static int profile_delete(struct cli *cli) {
    struct profiles profiles;
    profiles_read(cli, &profiles);
    const char *name = cli_argument(cli, 0);
    return profiles_delete(&profiles, name) ? finish(&profiles, name, "deleted")
                                            : not_there(cli, &profiles, name);
}

static const struct cli_command delete_command = {
    .name = "delete",
    .arguments = "PROFILE",
    .summary = "delete a profile",
    .examples = "  ottla profile delete test\n",
    .options = change_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_PROFILE,
    .local = true,
    .run = profile_delete,
};

static const struct cli_command *const commands[] = {&list_command, &show_command,  &use_command,
                                                     &set_command,  &unset_command, &delete_command,
                                                     NULL};
const struct cli_command cli_profile_command = {
    .name = "profile",
    .summary = "clusters by name: which there are, which is used",
    .text = "They are in ~/.config/ottla/profiles, or where $OTTLA_PROFILES says: a [name] each,\n"
            "below it settings of Kafka's clients. --profile or $OTTLA_PROFILE chooses one for a\n"
            "command or a shell; $OTTLA_BOOTSTRAP_SERVERS and -b stand over its servers.\n",
    .commands = commands,
};
