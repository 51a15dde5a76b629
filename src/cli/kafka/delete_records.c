/* kafka-delete-records: records before offsets that a JSON file names. */
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tools.h"

struct wanted {
    struct ottla_position *positions;
    size_t count;
};

static bool is_integer(const struct tool *tool, const json_t *value) {
    if (json_is_integer(value)) {
        return true;
    }
    char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    (void)tool_fail(tool, "Expected `Integer` value, received %s", text == NULL ? "null" : text);
    free(text);
    return false;
}

static bool add(struct tool *tool, const json_t *item, struct wanted *wanted) {
    const json_t *topic = json_object_get(item, "topic");
    const json_t *partition = json_object_get(item, "partition");
    const json_t *offset = json_object_get(item, "offset");
    if (!json_is_string(topic)) {
        (void)tool_fail(tool, "No such field exists: `topic`");
        return false;
    }
    if (!is_integer(tool, partition) || !is_integer(tool, offset)) {
        return false;
    }
    wanted->positions[wanted->count++] = (struct ottla_position){
        .topic = arena_c_str(tool_arena(tool), str_from_c(json_string_value(topic))),
        .partition = (int32_t)json_integer_value(partition),
        .offset = json_integer_value(offset)};
    return true;
}

static bool has_duplicates(struct tool *tool, const struct wanted *wanted) {
    struct str twice = STR_NULL;
    for (size_t i = 0; i < wanted->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (wanted->positions[i].partition == wanted->positions[j].partition &&
                strcmp(wanted->positions[i].topic, wanted->positions[j].topic) == 0) {
                twice =
                    arena_list(tool_arena(tool), twice, ",",
                               arena_printf(tool_arena(tool), "%s-%d", wanted->positions[i].topic,
                                            (int)wanted->positions[i].partition));
                break;
            }
        }
    }
    if (twice.data != NULL) {
        (void)tool_fail(tool, "Offset json file contains duplicate topic partitions: %.*s",
                        STR_ARGS(twice));
    }
    return twice.data != NULL;
}

static bool parse(struct tool *tool, const json_t *root, struct wanted *ret_wanted) {
    const json_t *version = json_object_get(root, "version");
    const json_t *partitions = json_object_get(root, "partitions");
    if (root == NULL) {
        (void)tool_fail(tool, "The input string is not a valid JSON");
        return false;
    }
    if (version != NULL && (!json_is_integer(version) || json_integer_value(version) != 1)) {
        (void)tool_fail(tool, "Not supported version field value %lld",
                        (long long)json_integer_value(version));
        return false;
    }
    if (partitions == NULL) {
        (void)tool_fail(tool, "Missing partitions field");
        return false;
    }
    *ret_wanted = (struct wanted){.positions = ARENA_ARRAY(tool_arena(tool), struct ottla_position,
                                                           json_array_size(partitions) + 1)};
    for (size_t i = 0; i < json_array_size(partitions); i++) {
        if (!add(tool, json_array_get(partitions, i), ret_wanted)) {
            return false;
        }
    }
    return !has_duplicates(tool, ret_wanted);
}

static bool read_wanted(struct tool *tool, struct wanted *ret_wanted) {
    const char *path = tool_text(tool, "offset-json-file");
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)tool_fail(tool, "Unable to read file %s", path);
        return false;
    }
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
    fclose(file);
    bool good = parse(tool, root, ret_wanted);
    json_decref(root);
    return good;
}

int kafka_delete_records(struct tool *tool) {
    static const char *const needed[] = {"bootstrap-server", "offset-json-file", NULL};
    struct ottla_client *client;
    struct wanted wanted;
    if (!tool_require(tool, needed) || tool_connect(tool, &client) != TOOL_DONE ||
        !read_wanted(tool, &wanted)) {
        return TOOL_FAILED;
    }
    puts("Executing records delete operation");
    size_t count = 0;
    const struct ottla_partition_result *results = NULL;
    if (wanted.count > 0) {
        struct ottla_call *call =
            ottla_records_delete(client, wanted.positions, wanted.count, NULL);
        struct ottla_error error;
        (void)tool_wait(tool, call, &error);
        results = ottla_call_partitions(call, &count);
    }
    puts("Records delete operation completed:");
    for (size_t i = 0; i < count; i++) {
        printf("partition: %s-%d\t", results[i].topic, (int)results[i].partition);
        if (results[i].code == OTTLA_OK) {
            printf("low_watermark: %lld\n", (long long)results[i].offset);
        } else {
            printf("error: %s: %s\n", tool_exception(tool, results[i].code),
                   tool_error_text(results[i].code, results[i].text));
        }
    }
    return TOOL_DONE;
}
