/* ottla cluster: the cluster as a whole: nodes, quorum, features, directories. */
#include <string.h>

#include "cli/cluster_int.h"
#include "cli/commands.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/when.h"
#include "client/core.h"
#include "sys/sys.h"

/* --- info --- */

static const struct cli_column node_columns[] = {
    {"NODE", "id", true}, {"HOST", "host"}, {"PORT", "port", true},
    {"RACK", "rack"},     {"ROLE", "role"}, {NULL},
};

static json_t *node_json(const struct ottla_node *node, int32_t controller_id) {
    const char *role = node->fenced                ? "fenced"
                       : node->id == controller_id ? "broker, takes requests for the controller"
                                                   : "broker";
    return json_pack("{s:i, s:s, s:i, s:s?, s:b, s:s}", "id", node->id, "host", node->host, "port",
                     (int)node->port, "rack", node->rack, "fenced", node->fenced, "role", role);
}

static int cluster_info(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_admin_options options = {.fenced = true};
    struct ottla_call *call = ottla_cluster_describe(items.client, &options);
    code = items_wait(&items, call);
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    if (code == CLI_DONE && cluster != NULL) {
        json_t *nodes = json_array();
        for (size_t i = 0; i < cluster->node_count; i++) {
            json_array_append_new(nodes, node_json(&cluster->nodes[i], cluster->controller_id));
        }
        if (cli_wants_json(cli)) {
            cli_print_json(json_pack("{s:s, s:i, s:o}", "clusterId", cluster->cluster_id,
                                     "controller", cluster->controller_id, "nodes", nodes));
        } else {
            printf("cluster %s\n\n", cluster->cluster_id);
            cli_print_table(node_columns, nodes);
        }
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command info_command = {
    .name = "info",
    .summary = "the cluster's id and its nodes",
    .examples = "  ottla cluster info\n",
    .run = cluster_info,
};

/* --- quorum --- */

static const struct cli_column replica_columns[] = {
    {"NODE", "id", true},           {"ROLE", "role"},
    {"END", "logEndOffset", true},  {"LAG", "lag", true},
    {"LAST FETCH", "lastFetchAgo"}, {"LAST CAUGHT UP", "lastCaughtUpAgo"},
    {"DIRECTORY", "directory"},     {NULL},
};

static const char *ago(int64_t then_ms, int64_t now_ms, char text[WHEN_TEXT_SIZE]) {
    when_duration_format(then_ms < 0 ? -1 : now_ms > then_ms ? now_ms - then_ms : 0, text);
    return text;
}

static void add_replicas(json_t *rows, const struct ottla_quorum *quorum,
                         const struct ottla_quorum_replica *replicas, size_t count,
                         const char *role, int64_t now_ms) {
    int64_t leader_end = quorum->high_watermark;
    for (size_t i = 0; i < quorum->voter_count; i++) {
        if (quorum->voters[i].id == quorum->leader_id) {
            leader_end = quorum->voters[i].log_end_offset;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct ottla_quorum_replica *replica = &replicas[i];
        char fetch[WHEN_TEXT_SIZE];
        char caught_up[WHEN_TEXT_SIZE];
        int64_t lag = replica->log_end_offset < 0 ? -1 : leader_end - replica->log_end_offset;
        json_array_append_new(
            rows, json_pack("{s:i, s:s, s:I, s:o, s:I, s:I, s:s, s:s, s:s?}", "id", replica->id,
                            "role", replica->id == quorum->leader_id ? "leader" : role,
                            "logEndOffset", (json_int_t)replica->log_end_offset, "lag",
                            lag < 0 ? json_null() : json_integer(lag), "lastFetchMs",
                            (json_int_t)replica->last_fetch_ms, "lastCaughtUpMs",
                            (json_int_t)replica->last_caught_up_ms, "lastFetchAgo",
                            ago(replica->last_fetch_ms, now_ms, fetch), "lastCaughtUpAgo",
                            ago(replica->last_caught_up_ms, now_ms, caught_up), "directory",
                            replica->directory_id));
    }
}

static int cluster_quorum(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_quorum_describe(items.client, NULL);
    code = items_wait(&items, call);
    const struct ottla_quorum *quorum = ottla_call_quorum(call);
    if (code == CLI_DONE && quorum != NULL) {
        int64_t now_ms = sys_wall_ms(client_sys(items.client));
        json_t *rows = json_array();
        add_replicas(rows, quorum, quorum->voters, quorum->voter_count, "voter", now_ms);
        add_replicas(rows, quorum, quorum->observers, quorum->observer_count, "observer", now_ms);
        if (cli_wants_json(cli)) {
            cli_print_json(json_pack("{s:i, s:i, s:I, s:o}", "leader", quorum->leader_id, "epoch",
                                     quorum->leader_epoch, "highWatermark",
                                     (json_int_t)quorum->high_watermark, "replicas", rows));
        } else {
            printf("leader %d, epoch %d, high watermark %lld\n\n", (int)quorum->leader_id,
                   (int)quorum->leader_epoch, (long long)quorum->high_watermark);
            cli_print_table(replica_columns, rows);
        }
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command quorum_command = {
    .name = "quorum",
    .summary = "the controllers: who leads, who follows how closely",
    .examples = "  ottla cluster quorum\n",
    .run = cluster_quorum,
};

/* --- features --- */

static const struct cli_column feature_columns[] = {
    {"FEATURE", "feature"},
    {"LEVEL", "finalized", true},
    {"SUPPORTED FROM", "min", true},
    {"TO", "max", true},
    {NULL},
};

static int cluster_features(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_features_describe(items.client, NULL);
    code = items_wait(&items, call);
    const struct ottla_features *features = ottla_call_features(call);
    if (code == CLI_DONE && features != NULL) {
        json_t *rows = json_array();
        for (size_t i = 0; i < features->feature_count; i++) {
            const struct ottla_feature *feature = &features->features[i];
            json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:i}", "feature", feature->name,
                                                  "finalized", (int)feature->finalized, "min",
                                                  (int)feature->supported_min, "max",
                                                  (int)feature->supported_max));
        }
        code = cli_print_rows(cli, feature_columns, rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command features_command = {
    .name = "features",
    .summary = "levels of features in force, and what the nodes could do",
    .examples = "  ottla cluster features\n",
    .run = cluster_features,
};

/* --- dirs --- */

static const struct cli_column dir_columns[] = {
    {"BROKER", "broker", true},
    {"DIRECTORY", "path"},
    {"PARTITIONS", "count", true},
    {"BYTES", "bytes", true},
    {"USABLE", "usableBytes", true},
    {"TOTAL", "totalBytes", true},
    {"STATE", "state"},
    {NULL},
};

static json_t *dir_json(const struct ottla_log_dir *dir) {
    int64_t bytes = 0;
    json_t *replicas = json_array();
    for (size_t i = 0; i < dir->replica_count; i++) {
        const struct ottla_log_dir_replica *replica = &dir->replicas[i];
        bytes += replica->size;
        json_array_append_new(
            replicas, json_pack("{s:s, s:i, s:I, s:I, s:b}", "topic", replica->topic, "partition",
                                replica->partition, "bytes", (json_int_t)replica->size, "offsetLag",
                                (json_int_t)replica->offset_lag, "future", replica->future));
    }
    const char *state = dir->code != OTTLA_OK ? ottla_code_name(dir->code)
                        : dir->cordoned       ? "cordoned"
                                              : "online";
    return json_pack("{s:i, s:s?, s:I, s:I, s:I, s:I, s:s, s:o}", "broker", dir->broker_id, "path",
                     dir->path, "count", (json_int_t)dir->replica_count, "bytes", (json_int_t)bytes,
                     "usableBytes", (json_int_t)dir->usable_size, "totalBytes",
                     (json_int_t)dir->total_size, "state", state, "replicas", replicas);
}

static int cluster_dirs(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_log_dirs_describe(items.client, NULL, 0, NULL);
    code = items_wait(&items, call);
    size_t count;
    const struct ottla_log_dir *dirs = ottla_call_log_dirs(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(rows, dir_json(&dirs[i]));
    }
    if (count > 0) {
        cli_print_rows(cli, dir_columns, rows);
    } else {
        json_decref(rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command dirs_command = {
    .name = "dirs",
    .summary = "the log directories of all brokers: what is in them, how full they are",
    .examples =
        "  ottla cluster dirs\n"
        "  ottla cluster dirs -o json | jq '.[].replicas[] | select(.topic == \"orders\")'\n",
    .run = cluster_dirs,
};

static const struct cli_command *const commands[] = {&info_command,           &quorum_command,
                                                     &features_command,       &dirs_command,
                                                     &cluster_doctor_command, NULL};
const struct cli_command cli_cluster_command = {
    .name = "cluster",
    .summary = "nodes, quorum, features, directories; and what may be wrong",
    .commands = commands,
};
