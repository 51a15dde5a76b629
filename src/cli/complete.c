/*
 * ottla completion: scripts for shells, which call `ottla __complete WORD…` for each tab.
 *
 * The last word is the one to be completed. The words before it are walked along the commands'
 * tables; what may stand there is printed, one candidate per line. Names of topics, groups,
 * transactions and brokers are asked of the cluster that the words (or profile, or environment)
 * say, for at most two seconds and without a word of complaint.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/items.h"

enum { NAMES_MAX = 1000, WORDS_MAX = 64 };

/* What the words so far mean. */
struct walk {
    const struct cli_command *command;
    const struct cli_option *open;  /* wants the word at hand as its value */
    bool ended;                     /* by "--" */
    const char *cluster[WORDS_MAX]; /* the options among them that say which cluster */
    int cluster_count;
};

/* --- candidates --- */

static void offer(const char *prefix, const char *candidate) {
    if (strncmp(candidate, prefix, strlen(prefix)) == 0) {
        puts(candidate);
    }
}

static void offer_choices(const char *prefix, const char *choices) {
    while (choices != NULL && *choices != '\0') {
        int size = (int)strcspn(choices, "|");
        char choice[64];
        (void)snprintf(choice, sizeof choice, "%.*s", size, choices);
        offer(prefix, choice);
        choices += size + (choices[size] == '|');
    }
}

static void offer_options(const char *prefix, const struct cli_option *options) {
    char name[64];
    for (; options != NULL && options->name != NULL; options++) {
        (void)snprintf(name, sizeof name, "--%s", options->name);
        offer(prefix, name);
    }
}

static void offer_words(const struct cli_command *command, const char *prefix) {
    for (size_t i = 0; command->commands != NULL && command->commands[i] != NULL; i++) {
        offer(prefix, command->commands[i]->name);
    }
}

/* --- names that the cluster knows --- */

static int offer_topics(struct cli *cli) {
    struct items items;
    if (items_start(cli, &items) == CLI_DONE) {
        struct ottla_call *call = ottla_topics_list(items.client, NULL);
        (void)items_wait(&items, call);
        size_t count;
        const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
        for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
            offer(cli_argument(cli, 0), topics[i].name);
        }
        ottla_call_free(call);
        items_end(&items);
    }
    return CLI_DONE;
}

static int offer_groups(struct cli *cli) {
    struct items items;
    if (items_start(cli, &items) == CLI_DONE) {
        struct ottla_call *call = ottla_groups_list(items.client, NULL);
        (void)items_wait(&items, call);
        size_t count;
        const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
        for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
            offer(cli_argument(cli, 0), groups[i].group);
        }
        ottla_call_free(call);
        items_end(&items);
    }
    return CLI_DONE;
}

static int offer_transactions(struct cli *cli) {
    struct items items;
    if (items_start(cli, &items) == CLI_DONE) {
        struct ottla_call *call = ottla_transactions_list(items.client, NULL);
        (void)items_wait(&items, call);
        size_t count;
        const struct ottla_transaction_listing *rows =
            ottla_call_transaction_listings(call, &count);
        for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
            offer(cli_argument(cli, 0), rows[i].transactional_id);
        }
        ottla_call_free(call);
        items_end(&items);
    }
    return CLI_DONE;
}

static int offer_brokers(struct cli *cli) {
    struct items items;
    if (items_start(cli, &items) == CLI_DONE) {
        struct ottla_call *call = ottla_cluster_describe(items.client, NULL);
        (void)items_wait(&items, call);
        const struct ottla_cluster *cluster = ottla_call_cluster(call);
        for (size_t i = 0; cluster != NULL && i < cluster->node_count; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "%d", (int)cluster->nodes[i].id);
            offer(cli_argument(cli, 0), id);
        }
        ottla_call_free(call);
        items_end(&items);
    }
    return CLI_DONE;
}

static int offer_profiles(struct cli *cli) {
    const char *names[NAMES_MAX];
    size_t count = cli_profile_names(cli, names, NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        offer(cli_argument(cli, 0), names[i]);
    }
    return CLI_DONE;
}

/* Runs one of the above as a command, so that the cluster is found as by any command. */
static void offer_names(const struct walk *walk, const char *prefix, int (*run)(struct cli *cli)) {
    const struct cli_command command = {
        .name = "names", .arguments_min = 1, .arguments_max = 1, .run = run};
    char *argv[WORDS_MAX + 8] = {(char *)"names", (char *)"--timeout", (char *)"2", (char *)"-q"};
    int argc = 4;
    for (int i = 0; i < walk->cluster_count; i++) {
        argv[argc++] = (char *)(uintptr_t)walk->cluster[i];
    }
    argv[argc++] = (char *)"--";
    argv[argc++] = (char *)(uintptr_t)prefix;
    (void)cli_run(&command, "ottla", argc, argv);
}

static void offer_values(const struct walk *walk, enum cli_complete complete, const char *choices,
                         const char *prefix) {
    switch (complete) {
    case CLI_COMPLETE_CHOICE:
        offer_choices(prefix, choices);
        break;
    case CLI_COMPLETE_TOPIC:
        offer_names(walk, prefix, offer_topics);
        break;
    case CLI_COMPLETE_GROUP:
        offer_names(walk, prefix, offer_groups);
        break;
    case CLI_COMPLETE_TRANSACTION:
        offer_names(walk, prefix, offer_transactions);
        break;
    case CLI_COMPLETE_BROKER:
        offer_names(walk, prefix, offer_brokers);
        break;
    case CLI_COMPLETE_PROFILE:
        offer_names(walk, prefix, offer_profiles);
        break;
    case CLI_COMPLETE_FILE: /* the shell knows files better */
    case CLI_COMPLETE_NONE:
        break;
    }
}

/* --- the words before --- */

static const struct cli_option *option_of(const struct cli_command *command, const char *word) {
    if (strncmp(word, "--", 2) == 0) {
        return cli_option_find(command, word + 2, strcspn(word + 2, "="));
    }
    return word[0] == '-' && word[1] != '\0' ? cli_option_letter(command, word[1]) : NULL;
}

static bool says_cluster(const struct cli_option *option) {
    return strcmp(option->name, "bootstrap-server") == 0 || strcmp(option->name, "profile") == 0 ||
           strcmp(option->name, "set") == 0;
}

static void keep(struct walk *walk, const char *word) {
    if (walk->cluster_count < WORDS_MAX) {
        walk->cluster[walk->cluster_count++] = word;
    }
}

static void step(struct walk *walk, const char *word) {
    if (walk->open != NULL) {
        if (says_cluster(walk->open)) {
            keep(walk, word);
        }
        walk->open = NULL;
        return;
    }
    if (walk->command->commands != NULL) {
        for (size_t i = 0; walk->command->commands[i] != NULL; i++) {
            if (strcmp(walk->command->commands[i]->name, word) == 0) {
                walk->command = walk->command->commands[i];
                return;
            }
        }
        return;
    }
    walk->ended = walk->ended || strcmp(word, "--") == 0;
    const struct cli_option *option = walk->ended ? NULL : option_of(walk->command, word);
    if (option == NULL || option->kind == CLI_FLAG) {
        return;
    }
    if (says_cluster(option)) {
        keep(walk, word);
    }
    bool with_value = word[1] == '-' ? strchr(word, '=') != NULL : word[2] != '\0';
    walk->open = with_value ? NULL : option;
}

int cli_complete(const struct cli_command *root, int argc, char **argv) {
    struct walk walk = {.command = root};
    for (int i = 1; i + 1 < argc && i < WORDS_MAX; i++) {
        step(&walk, argv[i]);
    }
    const char *prefix = argc > 1 ? argv[argc - 1] : "";
    const char *equals = strncmp(prefix, "--", 2) == 0 ? strchr(prefix, '=') : NULL;
    if (equals != NULL && walk.open == NULL && !walk.ended) { /* values alone, for --name= */
        walk.open = option_of(walk.command, prefix);
        prefix = equals + 1;
    }
    if (freopen("/dev/null", "we", stderr) == NULL) {
        return CLI_FAILED;
    }
    if (walk.open != NULL) {
        offer_values(&walk, walk.open->complete, walk.open->choices, prefix);
    } else if (walk.command->commands != NULL) {
        offer_words(walk.command, prefix);
    } else if (prefix[0] == '-' && !walk.ended) {
        offer_options(prefix, walk.command->options);
        offer_options(prefix, walk.command->local ? NULL : cli_cluster_options);
        offer_options(prefix, cli_common_options);
    } else {
        offer_values(&walk, walk.command->complete, NULL, prefix);
    }
    return CLI_DONE;
}

/* --- scripts --- */

static const char bash_script[] =
    "# ottla completion for bash: source <(ottla completion bash)\n"
    "_ottla() {\n"
    "    # COMP_WORDS is cut at = and :, too; only what stands behind the last one is replaced\n"
    "    local line=${COMP_LINE:0:COMP_POINT} words word IFS=$' \\t\\n'\n"
    "    read -ra words <<< \"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    word=${words[-1]}\n"
    "    mapfile -t COMPREPLY < <(\"${1/#\\~/$HOME}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
    "    word=${word%\"${word##*[=:]}\"}\n"
    "    COMPREPLY=(\"${COMPREPLY[@]#\"$word\"}\")\n"
    "}\n"
    "complete -o default -o nosort -F _ottla ottla\n";

static const char zsh_script[] =
    "#compdef ottla\n"
    "# ottla completion for zsh: source <(ottla completion zsh)\n"
    "_ottla() {\n"
    "    local -a candidates\n"
    "    candidates=(${(f)\"$(ottla __complete \"${(@)words[2,CURRENT]}\")\"})\n"
    "    if (( ${#candidates} )); then compadd -Q -- $candidates; else _files; fi\n"
    "}\n"
    "compdef _ottla ottla\n";

static const char fish_script[] =
    "# ottla completion for fish: ottla completion fish | source\n"
    "complete -c ottla -f -a '(ottla __complete (commandline -opc)[2..] (commandline -ct))'\n";

static int print_script(struct cli *cli) {
    const char *shell = cli_argument(cli, 0);
    const char *script = strcmp(shell, "bash") == 0   ? bash_script
                         : strcmp(shell, "zsh") == 0  ? zsh_script
                         : strcmp(shell, "fish") == 0 ? fish_script
                                                      : NULL;
    if (script == NULL) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s: there are scripts for bash, zsh and fish",
                        shell);
    }
    fputs(script, stdout);
    return CLI_DONE;
}

const struct cli_command cli_completion_command = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "a script that lets the shell complete commands, topics, groups",
    .text = "Names are asked of the cluster that the line, the profile or the environment says.\n"
            "In zsh and fish ottla must be found in PATH.\n",
    .examples = "  source <(ottla completion bash)\n"
                "  ottla completion fish > ~/.config/fish/completions/ottla.fish\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .local = true,
    .run = print_script,
};
