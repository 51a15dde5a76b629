/* kafka-cluster: the cluster's id, its nodes, and forgetting a broker. */
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tools.h"

/* What the broker said, behind the name of its error. */
static int fail(struct tool *tool, const struct ottla_error *error) {
    return tool_fail(tool, "%s: %s", tool_exception(tool, error->code), tool_unlabelled(error));
}

static int cluster_id(struct tool *tool, struct ottla_client *client) {
    struct ottla_call *call = ottla_cluster_describe(client, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return fail(tool, &error);
    }
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    if (cluster->cluster_id == NULL) {
        puts("No cluster ID found. The Kafka version is probably too old.");
    } else {
        printf("Cluster ID: %s\n", cluster->cluster_id);
    }
    return TOOL_DONE;
}

static int unregister(struct tool *tool, struct ottla_client *client) {
    int32_t id = (int32_t)tool_number(tool, "id");
    struct ottla_call *call = ottla_broker_unregister(client, id, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    if (code == OTTLA_UNSUPPORTED || code == ERR_UNSUPPORTED_VERSION) {
        puts("The target cluster does not support the broker unregistration API.");
        return TOOL_DONE;
    }
    if (code != OTTLA_OK) {
        return fail(tool, &error);
    }
    printf("Broker %d is no longer registered.\n", (int)id);
    return TOOL_DONE;
}

static int list_endpoints(struct tool *tool, struct ottla_client *client) {
    bool controllers = tool_has(tool, "bootstrap-controller");
    struct ottla_admin_options options = {.fenced = tool_has(tool, "include-fenced-brokers"),
                                          .controllers = controllers};
    if (controllers && options.fenced) {
        return tool_fail(tool, "The option --include-fenced-brokers is only supported with "
                               "--bootstrap-server option");
    }
    struct ottla_call *call = ottla_cluster_describe(client, &options);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return fail(tool, &error);
    }
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    int host = 4;
    int rack = 10;
    for (size_t i = 0; i < cluster->node_count; i++) {
        const struct ottla_node *node = &cluster->nodes[i];
        int host_size = (int)strlen(node->host);
        int rack_size = node->rack == NULL ? 0 : (int)strlen(node->rack);
        host = host_size > host ? host_size : host;
        rack = rack_size > rack ? rack_size : rack;
    }
    printf("%-10s %-*s %-10s %-*s ", "ID", host, "HOST", "PORT", rack, "RACK");
    printf(controllers ? "%-15s\n" : "%-10s %-15s\n", controllers ? "ENDPOINT_TYPE" : "STATE",
           "ENDPOINT_TYPE");
    for (size_t i = 0; i < cluster->node_count; i++) {
        const struct ottla_node *node = &cluster->nodes[i];
        printf("%-10d %-*s %-10d %-*s ", (int)node->id, host, node->host, (int)node->port, rack,
               node->rack == NULL ? "null" : node->rack);
        if (!controllers) {
            printf("%-10s ", node->fenced ? "fenced" : "unfenced");
        }
        printf("%-15s\n", controllers ? "controller" : "broker");
    }
    return TOOL_DONE;
}

int kafka_cluster(struct tool *tool) {
    struct ottla_client *client;
    if (tool_has(tool, "config") && tool_has(tool, "command-config")) {
        return tool_fail(tool, "--config and --command-config cannot be specified together.");
    }
    if (tool_has(tool, "config")) {
        puts("Option --config has been deprecated and will be removed in a future version. Use "
             "--command-config instead.");
    }
    if (tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    const char *command = tool_subcommand(tool);
    return strcmp(command, "cluster-id") == 0   ? cluster_id(tool, client)
           : strcmp(command, "unregister") == 0 ? unregister(tool, client)
                                                : list_endpoints(tool, client);
}
