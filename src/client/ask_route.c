/* Which node an ask goes to, and what it waits for while that is not known. */
#include <stdio.h>

#include "client/core_int.h"

/* Waits for metadata. An ask without a judge has one look: then it has failed. Others look again
 * after a pause. */
static void wait_for_metadata(struct client_asked *asked, const char *what) {
    struct ottla_client *client = asked->client;
    (void)snprintf(asked->text, sizeof asked->text, "%s", what);
    if (asked->looked && asked->ask.judge == NULL) {
        client_ask_failed(asked, ERR_BROKER_NOT_AVAILABLE, NULL);
        return;
    }
    if (asked->looked) {
        asked->looked = false;
        client_ask_pause(asked,
                         sys_mono_ms(client->sys) + client_backoff_ms(client, ++asked->tries));
        return;
    }
    asked->looked = true;
    client_ask_wait(asked, ASK_UNKNOWN, &client->unknown);
    client_metadata_refresh(client);
}

static struct client_node *find_listed(struct client_asked *asked, int32_t id) {
    struct client_node *node = id < 0 ? NULL : client_node_find(asked->client, id);
    if (node == NULL) {
        char text[ASK_TEXT_SIZE];
        (void)snprintf(text, sizeof text, "The cluster's metadata names no broker %d", (int)id);
        wait_for_metadata(asked, text);
    }
    return node;
}

static struct client_node *find_controller(struct client_asked *asked) {
    int32_t id = asked->client->metadata.controller_id;
    struct client_node *node = id < 0 ? NULL : client_node_find(asked->client, id);
    if (node == NULL) {
        wait_for_metadata(asked, "The cluster's metadata names no controller");
    }
    return node;
}

static struct client_node *find_coordinator(struct client_asked *asked) {
    if (asked->coordinator == NULL) {
        asked->coordinator = client_coordinator_of(asked->client, asked->ask.role, asked->ask.key);
        asked->coordinator->asked_count++;
    }
    struct client_coordinator *coordinator = asked->coordinator;
    struct client_node *node =
        coordinator->broker_id < 0 ? NULL : client_node_find(asked->client, coordinator->broker_id);
    if (node == NULL) {
        client_ask_wait(asked, ASK_UNKNOWN_CO, &coordinator->waiting);
        client_coordinator_look(coordinator);
    }
    return node;
}

/* When every broker is in back-off there may be better ones behind bootstrap.servers. */
static struct client_node *find_any(struct client_asked *asked, bool bootstrap) {
    struct ottla_client *client = asked->client;
    int64_t retry_ms = INT64_MAX;
    struct client_node *node = client_node_any(client, bootstrap, &retry_ms);
    if (node == NULL && !bootstrap &&
        client_rebootstrap(client, "none of the brokers can be reached")) {
        node = client_node_any(client, bootstrap, &retry_ms);
    }
    if (node == NULL) {
        client_ask_pause(asked, retry_ms);
    }
    return node;
}

static struct client_node *find(struct client_asked *asked) {
    switch (asked->ask.role) {
    case CLIENT_ANY_BROKER:
        return find_any(asked, false);
    case CLIENT_BOOTSTRAP:
        return find_any(asked, true);
    case CLIENT_BROKER:
        return find_listed(asked, asked->ask.broker_id);
    case CLIENT_CONTROLLER:
        return find_controller(asked);
    case CLIENT_GROUP:
    case CLIENT_TRANSACTION:
        return find_coordinator(asked);
    }
    return NULL;
}

void client_ask_route(struct client_asked *asked) {
    struct ottla_client *client = asked->client;
    asked->node = NULL;
    struct client_node *node = find(asked);
    if (node == NULL) {
        return; /* it waits; or was told, and is gone */
    }
    asked->node = node;
    struct client_line *line = &asked->node->lines[asked->ask.lane];
    if (line->connection == NULL && asked->node->retry_ms > sys_mono_ms(client->sys)) {
        client_ask_pause(asked, asked->node->retry_ms);
        return;
    }
    if (line->throttled_ms > sys_mono_ms(client->sys)) {
        client_ask_pause(asked, line->throttled_ms);
        return;
    }
    err_t err = client_line_open(line);
    if (err == ERR_OK) {
        client_ask_transmit(asked);
    } else if (err == ERR_PENDING) {
        client_ask_wait(asked, ASK_CONNECTING, &line->waiting);
    } else {
        client_ask_failed(asked, err, asked->node);
    }
}
