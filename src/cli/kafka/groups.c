/* kafka-groups: lists groups of all types. */
#include <string.h>
#include <strings.h>

#include "cli/kafka/tools.h"

/* --- which --- */

struct choice {
    const char *type;     /* NULL: any */
    const char *protocol; /* NULL: any */
    bool consumer;        /* of consumers, whatever they speak; and those that only commit */
};

static bool check(struct tool *tool) {
    static const char *const kinds[] = {"consumer", "share", "streams"};
    if (!tool_has(tool, "list")) {
        (void)tool_usage(tool, "Command must include exactly one action: --list.");
        return false;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t j = i + 1; j < sizeof kinds / sizeof kinds[0]; j++) {
            const char *const other[] = {kinds[j], NULL};
            if (!tool_exclude(tool, kinds[i], other)) {
                return false;
            }
        }
        const char *const others[] = {"group-type", "protocol", NULL};
        if (!tool_exclude(tool, kinds[i], others)) {
            return false;
        }
    }
    return true;
}

static bool choose(struct tool *tool, struct choice *ret_choice) {
    static const char *const types[] = {"Consumer", "Classic", "Share", "Streams"};
    const char *type = tool_text(tool, "group-type");
    *ret_choice = (struct choice){.protocol = tool_text(tool, "protocol"),
                                  .consumer = tool_has(tool, "consumer"),
                                  .type = tool_has(tool, "share")     ? "Share"
                                          : tool_has(tool, "streams") ? "Streams"
                                                                      : NULL};
    for (size_t i = 0; type != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(type, types[i]) == 0) {
            ret_choice->type = types[i];
        }
    }
    if (type != NULL && ret_choice->type == NULL) {
        (void)tool_fail(tool, "--group-type must be a valid group type.");
        return false;
    }
    return true;
}

static bool is_chosen(const struct choice *choice, const struct ottla_group_listing *group) {
    if (choice->consumer) {
        return strcasecmp(group->type, "Consumer") == 0 || group->protocol_type[0] == '\0' ||
               strcmp(group->protocol_type, "consumer") == 0;
    }
    return (choice->type == NULL || strcasecmp(choice->type, group->type) == 0) &&
           (choice->protocol == NULL || strcmp(choice->protocol, group->protocol_type) == 0);
}

/* --- output --- */

static void print(struct tool *tool, const struct choice *choice,
                  const struct ottla_group_listing *groups, size_t count) {
    int width = 20;
    for (size_t i = 0; i < count; i++) {
        int size = (int)strlen(groups[i].group);
        width = is_chosen(choice, &groups[i]) && size > width ? size : width;
    }
    printf("%-*s %-*s %-*s\n", width, "GROUP", width, "TYPE", width, "PROTOCOL");
    for (size_t i = 0; i < count; i++) {
        if (is_chosen(choice, &groups[i])) {
            printf("%-*s %-*s %-*s \n", width, groups[i].group, width,
                   tool_capital(tool, groups[i].type), width, groups[i].protocol_type);
        }
    }
}

int kafka_groups(struct tool *tool) {
    struct choice choice;
    struct ottla_client *client;
    if (!check(tool) || !choose(tool, &choice) || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    struct ottla_call *call = ottla_groups_list(client, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return tool_fail(tool, "%s", error.text);
    }
    size_t count;
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    print(tool, &choice, groups, count);
    return TOOL_DONE;
}
