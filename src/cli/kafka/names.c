#include "cli/kafka/names.h"

#include <assert.h>
#include <string.h>

#include "cli/kafka/tool_int.h"
#include "cli/kafka/tools.h"

static const struct tool_kind kinds[] = {
    {"kafka-broker-api-versions", "Prints the versions of APIs that each broker has.",
     .run = kafka_broker_api_versions},
    {"kafka-cluster", "Prints the cluster's id and its nodes; forgets a broker.", .words = true,
     .help_code = TOOL_FAILED, .run = kafka_cluster},
    {"kafka-configs", "Describes and changes settings of topics, brokers, groups and the like.",
     .run = kafka_configs},
    {"kafka-console-consumer", "Prints records of topics.", .run = kafka_console_consumer},
    {"kafka-console-producer", "Sends lines of standard input as records.",
     .run = kafka_console_producer},
    {"kafka-consumer-perf-test", "Measures how fast records can be read.",
     .run = kafka_consumer_perf_test},
    {"kafka-producer-perf-test", "Measures how fast records can be written.", .words = true,
     .run = kafka_producer_perf_test},
    {"kafka-consumer-groups", "Lists, describes and deletes consumer groups; resets their offsets.",
     .run = kafka_consumer_groups},
    {"kafka-delete-records", "Deletes the records of partitions up to given offsets.",
     .run = kafka_delete_records},
    {"kafka-dump-log", "Prints what is in the files of a partition.", .run = kafka_dump_log},
    {"kafka-features", "Describes and changes levels of features.", .words = true, .terse = true,
     .run = kafka_features},
    {"kafka-get-offsets", "Prints offsets of partitions.", .run = kafka_get_offsets},
    {"kafka-groups", "Lists groups of all types.", .run = kafka_groups},
    {"kafka-log-dirs", "Describes the log directories of brokers.", .run = kafka_log_dirs},
    {"kafka-metadata-quorum", "Describes the quorum of the controllers.", .words = true,
     .run = kafka_metadata_quorum},
    {"kafka-storage", "Formats log directories and says what is in them.", .words = true,
     .run = kafka_storage},
    {"kafka-transactions", "Lists, describes and aborts transactions; finds those that hang.",
     .words = true, .run = kafka_transactions},
    {"kafka-topics", "Lists, describes, creates, changes and deletes topics.", .run = kafka_topics},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct tool_kind *tool_kind_find(const char *name) {
    const char *slash = strrchr(name, '/');
    name = slash == NULL ? name : slash + 1;
    size_t size = strlen(name);
    if (size > 3 && strcmp(name + size - 3, ".sh") == 0) {
        size -= 3;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strlen(kinds[i].name) == size && memcmp(kinds[i].name, name, size) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

int tool_run(const struct tool_kind *kind, int argc, char **argv) {
    struct tool tool = {
        .kind = kind, .syntax = tool_syntax_find(kind->name, NULL), .argc = argc, .argv = argv};
    assert(tool.syntax != NULL);
    tool.given_end = &tool.given;
    arena_init(&tool.arena, SIZE_MAX);
    tool.words = ARENA_ARRAY(&tool.arena, const char *, (size_t)argc + 1);
    bool over;
    int code = kind->words ? tool_parse_words(&tool, argc, argv, &over)
                           : tool_parse(&tool, argc, argv, &over);
    if (!over) {
        code = kind->run(&tool);
    }
    for (size_t i = 0; i < tool.call_count; i++) {
        ottla_call_free(tool.calls[i]);
    }
    ottla_client_free(tool.client);
    tool_filters_free(tool.filters);
    arena_done(&tool.arena);
    return code;
}
