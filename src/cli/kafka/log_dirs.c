/* kafka-log-dirs: the log directories of brokers, and how much of which partition is in them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tools.h"

/* --- which brokers --- */

static bool is_there(const struct ottla_cluster *cluster, int32_t broker) {
    for (size_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].id == broker) {
            return true;
        }
    }
    return false;
}

struct brokers {
    int32_t *ids;
    size_t count;
};

static void brokers_add(struct brokers *brokers, int32_t id) {
    for (size_t i = 0; i < brokers->count; i++) {
        if (brokers->ids[i] == id) {
            return;
        }
    }
    brokers->ids[brokers->count++] = id;
}

static struct str list_of(struct tool *tool, const struct brokers *brokers, const char *separator) {
    struct str list = STR_NULL;
    for (size_t i = 0; i < brokers->count; i++) {
        list = arena_list(tool_arena(tool), list, separator,
                          arena_printf(tool_arena(tool), "%d", (int)brokers->ids[i]));
    }
    return list;
}

static int parse_brokers(struct tool *tool, const char *text, struct brokers *brokers) {
    char *copy = arena_c_str(tool_arena(tool), str_from_c(text));
    char *rest = NULL;
    for (char *id = strtok_r(copy, ",", &rest); id != NULL; id = strtok_r(NULL, ",", &rest)) {
        char *end;
        long number = strtol(id, &end, 10);
        if (end == id || *end != '\0' || number < INT32_MIN || number > INT32_MAX) {
            return tool_fail(tool, "For input string: \"%s\"", id);
        }
        brokers_add(brokers, (int32_t)number);
    }
    return TOOL_DONE;
}

/* Those of --broker-list, or all. */
static int choose_brokers(struct tool *tool, const struct ottla_cluster *cluster,
                          struct brokers *ret_brokers) {
    struct arena *arena = tool_arena(tool);
    const char *text = tool_text(tool, "broker-list");
    size_t size = cluster->node_count + (text == NULL ? 0 : strlen(text)) + 1;
    struct brokers there = {.ids = ARENA_ARRAY(arena, int32_t, size)};
    struct brokers missing = {.ids = ARENA_ARRAY(arena, int32_t, size)};
    *ret_brokers = (struct brokers){.ids = ARENA_ARRAY(arena, int32_t, size)};
    for (size_t i = 0; i < cluster->node_count; i++) {
        brokers_add(&there, cluster->nodes[i].id);
    }
    if (text == NULL || text[0] == '\0') {
        *ret_brokers = there;
        return TOOL_DONE;
    }
    int code = parse_brokers(tool, text, ret_brokers);
    for (size_t i = 0; i < ret_brokers->count; i++) {
        if (!is_there(cluster, ret_brokers->ids[i])) {
            brokers_add(&missing, ret_brokers->ids[i]);
        }
    }
    if (code == TOOL_DONE && missing.count > 0) {
        struct str bad = list_of(tool, &missing, ",");
        struct str good = list_of(tool, &there, ",");
        return tool_fail(tool,
                         "ERROR: The given brokers do not exist from --broker-list: %.*s. Current "
                         "existent brokers: %.*s",
                         STR_ARGS(bad), STR_ARGS(good));
    }
    return code;
}

/* --- output --- */

/* Whether a topic is in "a,b"; an empty list has all. */
static bool is_listed(const char *list, const char *topic) {
    size_t size = strlen(topic);
    bool found = list == NULL || list[0] == '\0';
    for (const char *at = list; !found && at != NULL && *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at, ",");
        found = length == size && memcmp(at, topic, size) == 0;
        at += length;
    }
    return found;
}

static json_t *dir_json(struct tool *tool, const struct ottla_log_dir *dir) {
    json_t *partitions = json_array();
    for (size_t i = 0; i < dir->replica_count; i++) {
        const struct ottla_log_dir_replica *replica = &dir->replicas[i];
        if (is_listed(tool_text(tool, "topic-list"), replica->topic)) {
            json_array_append_new(
                partitions,
                json_pack("{s:o, s:I, s:I, s:b}", "partition",
                          json_sprintf("%s-%d", replica->topic, (int)replica->partition), "size",
                          (json_int_t)replica->size, "offsetLag", (json_int_t)replica->offset_lag,
                          "isFuture", replica->future));
        }
    }
    return json_pack("{s:o, s:s?, s:s?}", "partitions", partitions, "error",
                     dir->code == OTTLA_OK ? NULL : tool_exception(tool, dir->code), "logDir",
                     dir->path);
}

static void print(struct tool *tool, const struct brokers *brokers,
                  const struct ottla_log_dir *dirs, size_t count) {
    json_t *list = json_array();
    for (size_t b = 0; b < brokers->count; b++) {
        json_t *of_broker = json_array();
        for (size_t i = 0; i < count; i++) {
            if (dirs[i].broker_id == brokers->ids[b]) {
                json_array_append_new(of_broker, dir_json(tool, &dirs[i]));
            }
        }
        json_array_append_new(
            list, json_pack("{s:i, s:o}", "broker", brokers->ids[b], "logDirs", of_broker));
    }
    json_t *all = json_pack("{s:o, s:i}", "brokers", list, "version", 1);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

int kafka_log_dirs(struct tool *tool) {
    static const char *const needed[] = {"bootstrap-server", "describe", NULL};
    struct ottla_client *client;
    if (!tool_require(tool, needed) || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    struct ottla_call *call = ottla_cluster_describe(client, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return tool_fail(tool, "%s", error.text);
    }
    struct brokers brokers;
    if (choose_brokers(tool, ottla_call_cluster(call), &brokers) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    puts("Querying brokers for log directories information");
    call = ottla_log_dirs_describe(client, brokers.ids, brokers.count, NULL);
    (void)tool_wait(tool, call, &error);
    size_t count;
    const struct ottla_log_dir *dirs = ottla_call_log_dirs(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (dirs[i].path == NULL) {
            return tool_fail(tool, "%s", dirs[i].text);
        }
    }
    struct str list = list_of(tool, &brokers, ",");
    printf("Received log directory information from brokers %.*s\n", STR_ARGS(list));
    print(tool, &brokers, dirs, count);
    return TOOL_DONE;
}
