/* kafka-console-producer: lines of standard input as records. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/kafka/console.h"
#include "cli/kafka/tools.h"
#include "ottla/producer.h"

enum { LINE_SIZE_MAX = 1 << 30, HEADERS_MAX = 1000 };

static const char default_reader[] = "org.apache.kafka.tools.LineMessageReader";

/* How a line is read. */
struct reader {
    bool parse_key;
    bool parse_headers;
    bool ignore_error;
    const char *key_separator;
    const char *headers_delimiter;
    const char *headers_separator;
    const char *headers_key_separator;
    const char *null_marker; /* NULL: there is none */
    int64_t line;
};

struct producing {
    struct tool *tool;
    struct ottla_producer *producer;
    struct reader reader;
    struct ottla_header headers[HEADERS_MAX];
};

/* --- options --- */

/* Options stand over properties when they are given, else below them. */
static const struct {
    const char *option;
    const char *setting;
} numbers[] = {
    {"batch-size", "batch.size"},
    {"max-block-ms", "max.block.ms"},
    {"max-memory-bytes", "buffer.memory"},
    {"message-send-max-retries", "retries"},
    {"metadata-expiry-ms", "metadata.max.age.ms"},
    {"request-required-acks", "acks"},
    {"request-timeout-ms", "request.timeout.ms"},
    {"retry-backoff-ms", "retry.backoff.ms"},
    {"socket-buffer-size", "send.buffer.bytes"},
    {"timeout", "linger.ms"},
};

static void add_options(struct tool *tool, struct console_properties *settings, bool given) {
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (tool_has(tool, numbers[i].option) == given) {
            console_properties_set(tool, settings, numbers[i].setting,
                                   tool_text(tool, numbers[i].option));
        }
    }
}

static int read_settings(struct tool *tool, struct console_properties *settings) {
    const char *old_file = tool_text(tool, "producer.config");
    const char *file = tool_text(tool, "command-config");
    int code = TOOL_DONE;
    console_properties_set(tool, settings, "client.id", "console-producer");
    console_properties_set(tool, settings, "compression.type", "none");
    add_options(tool, settings, false);
    file = file == NULL ? old_file : file;
    if (file != NULL) {
        code = console_properties_read(tool, settings, file);
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "producer-property");
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "command-property");
    }
    add_options(tool, settings, true);
    if (tool_has(tool, "max-partition-memory-bytes") && !tool_has(tool, "batch-size")) {
        console_properties_set(tool, settings, "batch.size",
                               tool_text(tool, "max-partition-memory-bytes"));
    }
    if (tool_has(tool, "compression-codec")) {
        const char *codec = tool_text(tool, "compression-codec");
        console_properties_set(tool, settings, "compression.type",
                               codec == NULL || codec[0] == '\0' ? "gzip" : codec);
    }
    return code;
}

/* NULL, or the two names of properties that must differ. */
static const char *clash(const struct reader *reader) {
    static const char *const names[] = {"headers.delimiter", "headers.separator",
                                        "headers.key.separator", "key.separator"};
    const char *values[] = {reader->headers_delimiter, reader->headers_separator,
                            reader->headers_key_separator, reader->key_separator};
    if (strcmp(values[0], values[1]) == 0) {
        return "headers.delimiter and headers.separator may not be equal";
    }
    if (strcmp(values[0], values[2]) == 0) {
        return "headers.delimiter and headers.key.separator may not be equal";
    }
    if (strcmp(values[1], values[2]) == 0) {
        return "headers.separator and headers.key.separator may not be equal";
    }
    for (int i = 3; i >= 0 && reader->null_marker != NULL; i--) {
        if (strcmp(reader->null_marker, values[i]) == 0) {
            return names[i];
        }
    }
    return NULL;
}

static int read_reader(struct tool *tool, struct reader *ret_reader) {
    struct console_properties given = {0};
    const char *file = tool_text(tool, "reader-config");
    int code = file == NULL ? TOOL_DONE : console_properties_read(tool, &given, file);
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, &given, "property");
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, &given, "reader-property");
    }
    if (code == TOOL_DONE && strcmp(tool_text(tool, "line-reader"), default_reader) != 0) {
        code =
            tool_fail(tool, "java.lang.ClassNotFoundException: %s", tool_text(tool, "line-reader"));
    }
    *ret_reader = (struct reader){
        .parse_key = console_property_is_true(&given, "parse.key", false),
        .parse_headers = console_property_is_true(&given, "parse.headers", false),
        .ignore_error = console_property_is_true(&given, "ignore.error", false),
        .key_separator = console_property(&given, "key.separator", "\t"),
        .headers_delimiter = console_property(&given, "headers.delimiter", "\t"),
        .headers_separator = console_property(&given, "headers.separator", ","),
        .headers_key_separator = console_property(&given, "headers.key.separator", ":"),
        .null_marker = console_property(&given, "null.marker", NULL),
    };
    const char *same = code == TOOL_DONE ? clash(ret_reader) : NULL;
    if (same == NULL) {
        return code;
    }
    return strchr(same, ' ') != NULL
               ? tool_fail(tool, "org.apache.kafka.common.KafkaException: %s", same)
               : tool_fail(tool,
                           "org.apache.kafka.common.KafkaException: null.marker and %s may not be "
                           "equal",
                           same);
}

/* --- a line --- */

static bool is_null(const struct reader *reader, struct ottla_bytes text) {
    return reader->null_marker != NULL && strlen(reader->null_marker) == text.size &&
           memcmp(reader->null_marker, text.data, text.size) == 0;
}

static struct ottla_bytes or_null(const struct reader *reader, struct ottla_bytes text) {
    return is_null(reader, text) ? (struct ottla_bytes){0} : text;
}

/* Takes what stands before a separator from the rest of a line. False: there is none. */
static bool take_before(struct ottla_bytes *rest, const char *separator, struct ottla_bytes *ret) {
    size_t size = strlen(separator);
    const char *at = memmem(rest->data, rest->size, separator, size);
    if (at == NULL) {
        return false;
    }
    *ret = (struct ottla_bytes){rest->data, (size_t)(at - (const char *)rest->data)};
    *rest = (struct ottla_bytes){at + size, rest->size - ret->size - size};
    return true;
}

static int no_separator(const struct producing *producing, const char *what,
                        struct ottla_bytes line) {
    return tool_fail(producing->tool,
                     "org.apache.kafka.common.KafkaException: No %s found on line number %" PRId64
                     ": '%.*s'",
                     what, producing->reader.line, (int)line.size, (const char *)line.data);
}

static int parse_header(const struct producing *producing, struct ottla_bytes pair,
                        struct ottla_header *ret_header) {
    const struct reader *reader = &producing->reader;
    struct ottla_bytes whole = pair;
    struct ottla_bytes key;
    if (!take_before(&pair, reader->headers_key_separator, &key)) {
        if (!reader->ignore_error) {
            return tool_fail(
                producing->tool,
                "org.apache.kafka.common.KafkaException: No header key separator found "
                "in pair '%.*s' on line number %" PRId64,
                (int)whole.size, (const char *)whole.data, reader->line);
        }
        *ret_header = (struct ottla_header){.key = whole.data, .key_size = whole.size};
        return TOOL_DONE;
    }
    if (is_null(reader, key)) {
        return tool_fail(producing->tool,
                         "org.apache.kafka.common.KafkaException: Header keys should not be equal "
                         "to the null marker '%s' as they can't be null",
                         reader->null_marker);
    }
    *ret_header = (struct ottla_header){
        .key = key.data, .key_size = key.size, .value = or_null(reader, pair)};
    return TOOL_DONE;
}

static int parse_headers(struct producing *producing, struct ottla_bytes text,
                         struct ottla_record *record) {
    int code = TOOL_DONE;
    if (is_null(&producing->reader, text)) {
        return TOOL_DONE;
    }
    record->headers = producing->headers;
    for (bool more = true; more && code == TOOL_DONE && record->header_count < HEADERS_MAX;) {
        struct ottla_bytes pair = text;
        more = take_before(&text, producing->reader.headers_separator, &pair);
        code = parse_header(producing, pair, &producing->headers[record->header_count++]);
    }
    return code;
}

static int parse_line(struct producing *producing, struct ottla_bytes line,
                      struct ottla_record *record) {
    const struct reader *reader = &producing->reader;
    struct ottla_bytes rest = line;
    struct ottla_bytes text;
    int code = TOOL_DONE;
    if (reader->parse_headers) {
        if (take_before(&rest, reader->headers_delimiter, &text)) {
            code = parse_headers(producing, text, record);
        } else if (!reader->ignore_error) {
            return no_separator(producing, "headers delimiter", line);
        }
    }
    if (code == TOOL_DONE && reader->parse_key) {
        if (take_before(&rest, reader->key_separator, &text)) {
            record->key = or_null(reader, text);
        } else if (!reader->ignore_error) {
            return no_separator(producing, "key separator", line);
        }
    }
    record->value = or_null(reader, rest);
    return code;
}

/* --- sending --- */

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    if (delivery->code != OTTLA_OK) {
        struct producing *producing = arg;
        fprintf(stderr, "Error when sending message to topic %s: %s: %s\n", delivery->topic,
                tool_exception(producing->tool, delivery->code), delivery->text);
    }
}

static int send(struct producing *producing, struct ottla_bytes line) {
    struct ottla_record record = {.topic = tool_text(producing->tool, "topic"),
                                  .partition = OTTLA_PARTITION_ANY,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW};
    producing->reader.line++;
    if (line.size > 0 && ((const char *)line.data)[line.size - 1] == '\r') {
        line.size--;
    }
    int code = parse_line(producing, line, &record);
    struct ottla_error error;
    if (code == TOOL_DONE) {
        int sent = ottla_produce_wait(producing->producer, &record, on_delivery, producing, &error);
        if (sent != OTTLA_OK) {
            fprintf(stderr, "Error when sending message to topic %s: %s\n", record.topic,
                    error.text);
        } else if (tool_has(producing->tool, "sync")) {
            (void)ottla_producer_flush(producing->producer, -1);
        }
    }
    return code;
}

static int send_lines(struct producing *producing, struct ottla_client *client) {
    struct input input;
    struct ottla_bytes line;
    err_t err = ERR_OK;
    int code = TOOL_DONE;
    input_init(&input, client, fileno(stdin));
    while (code == TOOL_DONE && (err = input_next(&input, (struct ottla_bytes){"\n", 1},
                                                  LINE_SIZE_MAX, &line)) == ERR_OK) {
        code = send(producing, line);
        ottla_client_run(client, 0);
    }
    input_done(&input);
    (void)ottla_producer_flush(producing->producer, -1);
    return code != TOOL_DONE || err == ERR_NOT_FOUND
               ? code
               : tool_fail(producing->tool, "java.io.IOException: %s", err_text(err));
}

int kafka_console_producer(struct tool *tool) {
    struct console_properties settings = {0};
    struct producing producing = {.tool = tool};
    struct ottla_client *client;
    struct ottla_error error;
    int code = console_replaced(tool, CONSOLE_PRODUCER, "property", "reader-property");
    if (code == TOOL_DONE) {
        code = console_replaced(tool, CONSOLE_PRODUCER, "producer-property", "command-property");
    }
    if (code == TOOL_DONE) {
        code = console_replaced(tool, CONSOLE_PRODUCER, "producer.config", "command-config");
    }
    if (code == TOOL_DONE && tool_has(tool, "max-partition-memory-bytes")) {
        puts("Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache "
             "Kafka 5.0. Use --batch-size instead.");
    }
    if (code == TOOL_DONE) {
        code = read_reader(tool, &producing.reader);
    }
    if (code == TOOL_DONE) {
        code = read_settings(tool, &settings);
    }
    if (code == TOOL_DONE) {
        code = console_connect(tool, &settings, &client);
    }
    if (code == TOOL_DONE && ottla_producer_new(client, &producing.producer, &error) != OTTLA_OK) {
        code = tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
    }
    if (code == TOOL_DONE) {
        code = send_lines(&producing, client);
    }
    ottla_producer_free(producing.producer);
    return code;
}
