#pragma once

#include "cli/kafka/tool.h"

/* Private to configs.c and configs_alter.c. */

/* What has settings, as the command line calls it. */
struct configs_kind {
    const char *name;     /* "topics" */
    const char *flag;     /* "topic" */
    const char *defaults; /* "broker-defaults"; NULL: none */
    int resource;         /* enum ottla_resource_type; 0: quotas, which have no API here yet */
    int source;           /* of its own settings; 0: all that there are */
};

struct configs_entity {
    const struct configs_kind *kind;
    const char *name; /* "": the default of all; NULL: every one that there is */
};

/* "Error while executing config command with args '…'", and why. */
int configs_fail(struct tool *tool, int code, const char *text);

/* The kind's name of one: "topic". */
const char *configs_singular(struct tool *tool, const struct configs_kind *kind);

int configs_alter(struct tool *tool, struct ottla_client *client,
                  const struct configs_entity *entity);
