/*
 * kafka-console-consumer: records on standard output.
 *
 * As in Kafka a group that was not named is a new one that commits nothing. One that was named
 * commits what was printed, batch by batch.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/console_format.h"
#include "cli/kafka/tools.h"
#include "client/core.h"
#include "ottla/consumer.h"
#include "sys/linux.h"

enum { INTERRUPTED = 130, CLOSE_MS = 30000 };

struct consuming {
    struct tool *tool;
    struct ottla_client *client;
    struct ottla_consumer *consumer;
    struct console_format *format;
    bool commits;
    int64_t left; /* -1: no bound */
    int64_t count;
};

/* --- options --- */

static bool read_offset(struct tool *tool, int64_t *ret_offset) {
    const char *text = tool_text(tool, "offset");
    char *end;
    if (tool_has(tool, "from-beginning") || strcmp(text, "earliest") == 0) {
        *ret_offset = OTTLA_OFFSET_EARLIEST;
        return true;
    }
    if (strcmp(text, "latest") == 0) {
        *ret_offset = OTTLA_OFFSET_LATEST;
        return true;
    }
    *ret_offset = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0' && *ret_offset >= 0;
}

static int check(struct tool *tool) {
    int64_t offset;
    if (tool_has(tool, "topic") == tool_has(tool, "include")) {
        return tool_usage(tool,
                          "Exactly one of the following arguments is required: [topic], [include]");
    }
    if (tool_has(tool, "partition")) {
        if (!tool_has(tool, "topic")) {
            return tool_usage(tool, "The topic is required when partition is specified.");
        }
        if (tool_has(tool, "from-beginning") && tool_has(tool, "offset")) {
            return tool_usage(tool,
                              "Options from-beginning and offset cannot be specified together.");
        }
    } else if (tool_has(tool, "offset")) {
        return tool_usage(tool, "The partition is required when offset is specified.");
    }
    if (!read_offset(tool, &offset)) {
        return tool_usage(tool,
                          "The provided offset value '%s' is incorrect. Valid values are "
                          "'earliest', 'latest', or a non-negative long.",
                          tool_text(tool, "offset"));
    }
    return TOOL_DONE;
}

static int read_settings(struct tool *tool, struct console_properties *settings) {
    const char *file = tool_text(tool, "command-config");
    int code = TOOL_DONE;
    file = file == NULL ? tool_text(tool, "consumer.config") : file;
    if (file != NULL) {
        code = console_properties_read(tool, settings, file);
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "consumer-property");
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "command-property");
    }
    console_properties_set(tool, settings, "isolation.level", tool_text(tool, "isolation-level"));
    if (console_property(settings, "client.id", NULL) == NULL) {
        console_properties_set(tool, settings, "client.id", "console-consumer");
    }
    if (tool_has(tool, "from-beginning")) {
        const char *reset = console_property(settings, "auto.offset.reset", "earliest");
        if (strcmp(reset, "earliest") != 0) {
            return tool_fail(tool,
                             "Can't simultaneously specify --from-beginning and "
                             "'auto.offset.reset=%s', please remove one option",
                             reset);
        }
        console_properties_set(tool, settings, "auto.offset.reset", "earliest");
    }
    return code;
}

/* Which group, and whether it commits; in both cases by us, and only what was printed. */
static int choose_group(struct consuming *consuming, struct console_properties *settings) {
    struct tool *tool = consuming->tool;
    const char *group = tool_text(tool, "group");
    const char *given = console_property(settings, "group.id", NULL);
    if (group != NULL && given != NULL && strcmp(group, given) != 0) {
        return tool_usage(tool, "The group ids provided in different places (directly using "
                                "'--group', via '--command-property', or via '--command-config') "
                                "do not match.");
    }
    group = group == NULL ? given : group;
    if (group != NULL && tool_has(tool, "partition")) {
        return tool_usage(tool, "Options group and partition cannot be specified together.");
    }
    consuming->commits =
        group != NULL && console_property_is_true(settings, "enable.auto.commit", true);
    console_properties_set(tool, settings, "enable.auto.commit", "false");
    if (group == NULL && !tool_has(tool, "partition")) {
        group = console_random_name(tool, "console-consumer");
    }
    if (group != NULL) {
        console_properties_set(tool, settings, "group.id", group);
    }
    return TOOL_DONE;
}

/* --- what to read --- */

static int assign(struct consuming *consuming, struct ottla_error *error) {
    struct ottla_position position = {.topic = tool_text(consuming->tool, "topic"),
                                      .partition =
                                          (int32_t)tool_number(consuming->tool, "partition"),
                                      .leader_epoch = -1};
    (void)read_offset(consuming->tool, &position.offset);
    return ottla_consumer_assign(consuming->consumer, &position, 1, error);
}

/* A comma is an "or". */
static char *pattern_of(struct tool *tool, const char *text) {
    size_t size = strlen(text);
    char *pattern = arena_c_str(tool_arena(tool), str_from_c(text));
    for (size_t i = 0; i < size; i++) {
        pattern[i] = pattern[i] == ',' ? '|' : pattern[i];
    }
    return pattern;
}

static int subscribe(struct consuming *consuming) {
    struct tool *tool = consuming->tool;
    const char *topic = tool_text(tool, "topic");
    struct ottla_error error;
    int code = tool_has(tool, "partition") ? assign(consuming, &error)
               : topic != NULL
                   ? ottla_consumer_subscribe(consuming->consumer, &topic, 1, NULL, &error)
                   : ottla_consumer_subscribe_pattern(consuming->consumer,
                                                      pattern_of(tool, tool_text(tool, "include")),
                                                      NULL, &error);
    return code == OTTLA_OK ? TOOL_DONE : tool_fail(tool, "%s", error.text);
}

/* --- reading --- */

static void commit(const struct consuming *consuming, const struct ottla_record *records,
                   size_t count) {
    struct ottla_position *positions = calloc(count + 1, sizeof *positions);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < used && (positions[at].partition != records[i].partition ||
                             strcmp(positions[at].topic, records[i].topic) != 0)) {
            at++;
        }
        used += at == used;
        positions[at] = (struct ottla_position){.topic = records[i].topic,
                                                .partition = records[i].partition,
                                                .offset = records[i].offset + 1,
                                                .leader_epoch = records[i].leader_epoch};
    }
    if (consuming->commits && used > 0) {
        (void)ottla_consumer_commit(consuming->consumer, positions, used, CLOSE_MS, NULL);
    }
    free(positions);
}

/* False: a record that cannot be printed ends it. */
static bool print(struct consuming *consuming, const struct ottla_record *records, size_t count,
                  size_t *ret_taken) {
    bool skips = tool_has(consuming->tool, "skip-message-on-error");
    bool good = true;
    size_t taken = 0;
    while (good && taken < count && consuming->left != 0) {
        const char *error;
        good = console_format_print(consuming->format, &records[taken], &error) || skips;
        if (!good) {
            (void)tool_fail(consuming->tool, "%s", error);
        }
        taken++;
        consuming->count++;
        consuming->left -= consuming->left > 0;
    }
    *ret_taken = taken;
    return good;
}

static int read_records(struct consuming *consuming) {
    struct tool *tool = consuming->tool;
    int64_t timeout_ms = tool_has(tool, "timeout-ms") ? tool_number(tool, "timeout-ms") : -1;
    int code = TOOL_DONE;
    while (code == TOOL_DONE && consuming->left != 0) {
        const struct ottla_record *records = NULL;
        size_t count = 0;
        size_t taken;
        struct ottla_error error;
        int err = ottla_consumer_poll(consuming->consumer, timeout_ms, &records, &count, &error);
        if (err == OTTLA_CLOSED) {
            return INTERRUPTED;
        }
        if (err != OTTLA_OK) {
            fprintf(stderr, "Error processing message, terminating consumer process: \n%s: %s\n",
                    tool_exception(tool, err), error.text);
            return ottla_code_retriable(err) ? TOOL_DONE : TOOL_FAILED;
        }
        if (count == 0 && timeout_ms >= 0) {
            fputs("Error processing message, terminating consumer process: \n"
                  "org.apache.kafka.common.errors.TimeoutException\n",
                  stderr);
            return TOOL_DONE;
        }
        code = print(consuming, records, count, &taken) ? TOOL_DONE : TOOL_FAILED;
        if (fflush(stdout) != 0) {
            return TOOL_FAILED; /* nobody reads us any more */
        }
        commit(consuming, records, taken);
    }
    return code;
}

static void on_signal(void *arg, int signal) {
    (void)signal;
    ottla_client_interrupt(arg);
}

static int run(struct consuming *consuming) {
    int code = subscribe(consuming);
    if (code == TOOL_DONE) {
        (void)sys_linux_on_signals(client_sys(consuming->client), client_loop(consuming->client),
                                   on_signal, consuming->client);
        code = read_records(consuming);
        fflush(stdout);
        fprintf(stderr, "Processed a total of %" PRId64 " messages\n", consuming->count);
    }
    (void)ottla_consumer_close(consuming->consumer, CLOSE_MS);
    if (tool_has(consuming->tool, "enable-systest-events")) {
        puts("shutdown_complete");
    }
    return code;
}

int kafka_console_consumer(struct tool *tool) {
    struct consuming consuming = {.tool = tool, .left = -1};
    struct console_properties settings = {0};
    struct ottla_error error;
    int code = check(tool);
    if (code == TOOL_DONE) {
        code = console_replaced(tool, CONSOLE_CONSUMER, "property", "formatter-property");
    }
    if (code == TOOL_DONE) {
        code = console_replaced(tool, CONSOLE_CONSUMER, "consumer-property", "command-property");
    }
    if (code == TOOL_DONE) {
        code = console_replaced(tool, CONSOLE_CONSUMER, "consumer.config", "command-config");
    }
    if (code == TOOL_DONE) {
        code = console_format_new(tool, &consuming.format);
    }
    if (code == TOOL_DONE) {
        code = read_settings(tool, &settings);
    }
    if (code == TOOL_DONE) {
        code = choose_group(&consuming, &settings);
    }
    if (code == TOOL_DONE) {
        code = console_connect(tool, &settings, &consuming.client);
    }
    if (code == TOOL_DONE &&
        ottla_consumer_new(consuming.client, &consuming.consumer, &error) != OTTLA_OK) {
        code = tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
    }
    if (code == TOOL_DONE) {
        if (tool_has(tool, "max-messages") && tool_number(tool, "max-messages") >= 0) {
            consuming.left = tool_number(tool, "max-messages");
        }
        code = run(&consuming);
    }
    ottla_consumer_free(consuming.consumer);
    return code;
}
