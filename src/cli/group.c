/* ottla group: what groups there are, who is in them, how far they are, and moving them. */
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/group_int.h"
#include "cli/items.h"
#include "cli/output.h"

/* --- list --- */

static const struct cli_column list_columns[] = {
    {"GROUP", "group"},
    {"STATE", "state"},
    {"TYPE", "type"},
    {"PROTOCOL", "protocol"},
    {"COORDINATOR", "coordinator", true},
    {NULL},
};

static int group_list(struct cli *cli) {
    const char *const *states;
    const char *const *types;
    struct ottla_admin_options options = {0};
    options.state_count = cli_texts(cli, "state", &states);
    options.type_count = cli_texts(cli, "type", &types);
    options.states = states;
    options.types = types;
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_groups_list(items.client, &options);
    code = items_wait(&items, call);
    size_t count;
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        if (items_match(cli, groups[i].group)) {
            json_array_append_new(
                rows, json_pack("{s:s, s:s, s:s, s:s, s:i}", "group", groups[i].group, "state",
                                groups[i].state, "type", groups[i].type, "protocol",
                                groups[i].protocol_type, "coordinator", groups[i].broker_id));
        }
    }
    if (code == CLI_DONE || count > 0) {
        cli_print_rows(cli, list_columns, rows);
    } else {
        json_decref(rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option list_options[] = {
    {"state", 0, CLI_TEXTS, "STATE", "only groups in this state: Stable, Empty, Assigning …"},
    {"type", 0, CLI_TEXTS, "TYPE", "only groups of this type: Classic, Consumer, Share, Streams"},
    {NULL},
};
static const struct cli_command list_command = {
    .name = "list",
    .arguments = "[PATTERN…]",
    .summary = "the groups of the cluster",
    .text = "A pattern is a name in which * and ? stand for anything, as in a shell.\n",
    .examples = "  ottla group list\n"
                "  ottla group list --state Empty\n",
    .options = list_options,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_list,
};

/* --- members --- */

static const struct cli_column member_columns[] = {
    {"GROUP", "group"}, {"MEMBER", "member"},     {"INSTANCE", "instance"}, {"CLIENT", "client"},
    {"HOST", "host"},   {"EPOCH", "epoch", true}, {"ASSIGNED", "assigned"}, {NULL},
};

json_t *group_partitions_json(const struct ottla_partition *partitions, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            list, json_sprintf("%s:%d", partitions[i].topic, (int)partitions[i].partition));
    }
    return list;
}

static void add_members(json_t *rows, const struct ottla_group_description *group) {
    for (size_t i = 0; i < group->member_count; i++) {
        const struct ottla_group_member *member = &group->members[i];
        json_t *topics = json_array();
        for (size_t t = 0; t < member->topic_count; t++) {
            json_array_append_new(topics, json_string(member->topics[t]));
        }
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s?, s:o, s:o, s:s?, s:o, s:o}", "group",
                      group->group, "member", member->member_id, "instance", member->instance_id,
                      "client", member->client_id, "host", member->host, "rack", member->rack,
                      "epoch", member->epoch < 0 ? json_null() : json_integer(member->epoch),
                      "topics", topics, "pattern", member->topic_regex, "assigned",
                      group_partitions_json(member->assignment, member->assignment_count), "target",
                      group_partitions_json(member->target, member->target_count)));
    }
}

static int group_members(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    items.count = cli_argument_count(cli);
    struct ottla_call *call = group_describe_start(&items);
    code = items_wait(&items, call);
    size_t count;
    const struct ottla_group_description *groups = ottla_call_group_descriptions(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        add_members(rows, &groups[i]);
    }
    if (code == CLI_DONE || code == CLI_PARTLY) {
        if (json_array_size(rows) == 0) {
            cli_note(cli, "Nobody is in the group now.");
        }
        cli_print_rows(cli, member_columns, rows);
    } else {
        json_decref(rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

struct ottla_call *group_describe_start(const struct items *items) {
    return ottla_groups_describe(items->client, cli_arguments(items->cli),
                                 cli_argument_count(items->cli), NULL);
}

static const struct cli_command members_command = {
    .name = "members",
    .arguments = "GROUP…",
    .summary = "who is in groups, and what each has",
    .examples = "  ottla group members billing\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_members,
};

/* --- delete, forget --- */

static const struct cli_column deleted_columns[] = {
    {"GROUP", "group"}, {"RESULT", "result"}, {NULL}};

static int group_delete(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    if (cli_is_dry(cli)) {
        struct ottla_call *call = group_describe_start(&items);
        code = items_wait(&items, call);
        size_t count;
        const struct ottla_group_description *groups = ottla_call_group_descriptions(call, &count);
        for (size_t i = 0; i < count && code == CLI_DONE; i++) {
            cli_note(cli, "%s %s", groups[i].group,
                     groups[i].member_count == 0 ? "would be deleted"
                                                 : "has members and would stay");
        }
        ottla_call_free(call);
        items_end(&items);
        return code;
    }
    size_t count = cli_argument_count(cli);
    items.count = count;
    struct ottla_call *call = ottla_groups_delete(items.client, cli_arguments(cli), count, NULL);
    code = items_wait(&items, call);
    const struct ottla_group_result *groups = ottla_call_groups(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s}", "group", groups[i].group, "result",
                      groups[i].code == OTTLA_OK ? "deleted" : ottla_code_name(groups[i].code)));
    }
    cli_print_rows(cli, deleted_columns, rows);
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command delete_command = {
    .name = "delete",
    .arguments = "GROUP…",
    .summary = "delete groups without members, with their commits",
    .examples = "  ottla group delete billing\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_delete,
};

static const struct cli_column forgotten_columns[] = {
    {"TOPIC", "topic"}, {"PARTITION", "partition", true}, {"RESULT", "result"}, {NULL}};

int group_print_partitions(const struct cli *cli, const struct ottla_call *call, const char *done) {
    size_t count;
    const struct ottla_partition_result *results = ottla_call_partitions(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            rows, json_pack("{s:s, s:i, s:s}", "topic", results[i].topic, "partition",
                            results[i].partition, "result",
                            results[i].code == OTTLA_OK ? done : ottla_code_name(results[i].code)));
    }
    return cli_print_rows(cli, forgotten_columns, rows);
}

static int group_forget(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    struct items_partitions list = {0};
    for (size_t i = 1; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(&items, cli_argument(cli, i), &list);
    }
    if (code == CLI_DONE && cli_is_dry(cli)) {
        cli_note(cli, "%zu commits of %s would be deleted", list.count, cli_argument(cli, 0));
    } else if (code == CLI_DONE) {
        items.count = list.count;
        struct ottla_call *call = ottla_group_offsets_delete(items.client, cli_argument(cli, 0),
                                                             list.partitions, list.count, NULL);
        code = items_wait(&items, call);
        group_print_partitions(cli, call, "forgotten");
        ottla_call_free(call);
    }
    items_end(&items);
    return code;
}

static const struct cli_command forget_command = {
    .name = "forget",
    .arguments = "GROUP TOPIC[:PARTITIONS]…",
    .summary = "delete a group's commits of topics it does not read now",
    .examples = "  ottla group forget billing orders\n"
                "  ottla group forget billing orders:0,3-5\n",
    .arguments_min = 2,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_forget,
};

static const struct cli_command *const commands[] = {&list_command,
                                                     &group_describe_command,
                                                     &members_command,
                                                     &group_reset_command,
                                                     &delete_command,
                                                     &forget_command,
                                                     NULL};
const struct cli_command cli_group_command = {
    .name = "group",
    .summary = "consumer groups: members, lag, moving, deleting",
    .commands = commands,
};
