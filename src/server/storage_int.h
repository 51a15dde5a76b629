#pragma once

#include "server/node_int.h"

/* Between finding out what the log directories are and using them. */
struct directories {
    char paths[NODE_VOLUMES_MAX][4096];
    const char *list[NODE_VOLUMES_MAX];
    const char *reasons[NODE_VOLUMES_MAX]; /* why it cannot be used; NULL: it can, so far */
    size_t count;
    size_t data_count; /* the first of them: log.dirs */
    size_t metadata;   /* index */
};

/* storage_open.c: opens those that can be used. An error, with a sentence in node->error: the node
 * cannot start without what is missing. */
err_t storage_open(struct node *node, struct directories *dirs);
