#include "cli/kafka/console_format.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/state_record.h"

/* How bytes become text. */
enum deserializer { AS_TEXT, AS_SHORT, AS_INT, AS_LONG };

/* A formatter of records of the cluster's own: as JSON, one behind the other. */
struct state_format {
    const char *name;
    enum state_topic topic;
    int16_t first_type; /* those of other types are passed over */
    int16_t last_type;
};

struct console_format {
    bool silent;                      /* NoOpMessageFormatter */
    const struct state_format *state; /* NULL: keys and values */
    struct arena *arena;              /* of the tool */
    bool timestamp;
    bool partition;
    bool offset;
    bool delivery;
    bool epoch;
    bool headers;
    bool key;
    bool value;
    const char *between;  /* fields */
    const char *line_end; /* behind the last */
    const char *between_headers;
    const char *null_literal;
    enum deserializer key_as;
    enum deserializer value_as;
    enum deserializer headers_as;
};

/* --- options --- */

static int deserializer_of(struct tool *tool, const char *name, enum deserializer *ret_as) {
    static const char prefix[] = "org.apache.kafka.common.serialization.";
    static const char *const names[] = {"StringDeserializer", "ShortDeserializer",
                                        "IntegerDeserializer", "LongDeserializer"};
    *ret_as = AS_TEXT;
    if (name == NULL || strcmp(name, "org.apache.kafka.common.serialization."
                                     "ByteArrayDeserializer") == 0) {
        return TOOL_DONE;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(name + sizeof prefix - 1, names[i]) == 0) {
            *ret_as = (enum deserializer)i;
            return TOOL_DONE;
        }
    }
    return tool_fail(tool, "java.lang.ClassNotFoundException: %s", name);
}

static int read_deserializers(struct tool *tool, const struct console_properties *properties,
                              struct console_format *format) {
    const char *key = tool_text(tool, "key-deserializer");
    const char *value = tool_text(tool, "value-deserializer");
    key = console_property(properties, "key.deserializer", key);
    value = console_property(properties, "value.deserializer", value);
    int code = deserializer_of(tool, key, &format->key_as);
    if (code == TOOL_DONE) {
        code = deserializer_of(tool, value, &format->value_as);
    }
    return code != TOOL_DONE
               ? code
               : deserializer_of(tool, console_property(properties, "headers.deserializer", NULL),
                                 &format->headers_as);
}

static const struct state_format *state_format_of(const char *name) {
    static const struct state_format formats[] = {
        {"TransactionLogMessageFormatter", STATE_TRANSACTIONS, 0, INT16_MAX},
        {"OffsetsMessageFormatter", STATE_GROUPS, 0, 1},
        {"GroupMetadataMessageFormatter", STATE_GROUPS, 2, 2},
        {"ShareGroupMessageFormatter", STATE_GROUPS, 10, 15},
        {"group.share.ShareGroupStateMessageFormatter", STATE_SHARES, 0, INT16_MAX},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

static int read_kind(struct tool *tool, struct console_format *format) {
    static const char prefix[] = "org.apache.kafka.tools.consumer.";
    const char *name = tool_text(tool, "formatter");
    const char *plain =
        strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : "";
    format->silent = strcmp(plain, "NoOpMessageFormatter") == 0;
    format->state = state_format_of(plain);
    if (format->silent || format->state != NULL || strcmp(plain, "DefaultMessageFormatter") == 0 ||
        strcmp(plain, "LoggingMessageFormatter") == 0) {
        return TOOL_DONE;
    }
    return plain[0] != '\0' ? tool_unsupported(tool, "formatter") : tool_usage(tool, "%s", name);
}

int console_format_new(struct tool *tool, struct console_format **ret_format) {
    struct console_format *format = ARENA_NEW(tool_arena(tool), struct console_format);
    struct console_properties given = {0};
    const char *file = tool_text(tool, "formatter-config");
    int code = read_kind(tool, format);
    if (code == TOOL_DONE && file != NULL) {
        code = console_properties_read(tool, &given, file);
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, &given, "property");
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, &given, "formatter-property");
    }
    format->arena = tool_arena(tool);
    format->timestamp = console_property_is_true(&given, "print.timestamp", false);
    format->partition = console_property_is_true(&given, "print.partition", false);
    format->offset = console_property_is_true(&given, "print.offset", false);
    format->delivery = console_property_is_true(&given, "print.delivery", false);
    format->epoch = console_property_is_true(&given, "print.epoch", false);
    format->headers = console_property_is_true(&given, "print.headers", false);
    format->key = console_property_is_true(&given, "print.key", false);
    format->value = console_property_is_true(&given, "print.value", true);
    format->between = console_property(&given, "key.separator", "\t");
    format->line_end = console_property(&given, "line.separator", "\n");
    format->between_headers = console_property(&given, "headers.separator", ",");
    format->null_literal = console_property(&given, "null.literal", "null");
    *ret_format = format;
    return code == TOOL_DONE ? read_deserializers(tool, &given, format) : code;
}

/* --- printing --- */

static const char *print_bytes(const struct console_format *format, enum deserializer as,
                               struct ottla_bytes bytes) {
    static const size_t sizes[] = {[AS_SHORT] = 2, [AS_INT] = 4, [AS_LONG] = 8};
    if (bytes.data == NULL) {
        fputs(format->null_literal, stdout);
        return NULL;
    }
    if (as != AS_TEXT && bytes.size != sizes[as]) {
        return "org.apache.kafka.common.errors.SerializationException: Size of data received by "
               "the "
               "deserializer is not the size of its type";
    }
    switch (as) {
    case AS_TEXT:
        (void)fwrite(bytes.data, 1, bytes.size, stdout);
        break;
    case AS_SHORT:
        printf("%d", (int)(int16_t)get_be16(bytes.data));
        break;
    case AS_INT:
        printf("%" PRId32, (int32_t)get_be32(bytes.data));
        break;
    case AS_LONG:
        printf("%" PRId64, (int64_t)get_be64(bytes.data));
        break;
    }
    return NULL;
}

static const char *print_headers(const struct console_format *format,
                                 const struct ottla_record *record) {
    const char *error = NULL;
    if (record->header_count == 0) {
        fputs("NO_HEADERS", stdout);
    }
    for (size_t i = 0; i < record->header_count && error == NULL; i++) {
        const struct ottla_header *header = &record->headers[i];
        printf("%s%.*s:", i == 0 ? "" : format->between_headers, (int)header->key_size,
               header->key);
        error = print_bytes(format, format->headers_as, header->value);
    }
    return error;
}

static void print_timestamp(const struct ottla_record *record) {
    if (record->timestamp_ms < 0) {
        fputs("NO_TIMESTAMP", stdout);
    } else {
        printf("%s:%" PRId64,
               record->timestamp_type == OTTLA_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime",
               record->timestamp_ms);
    }
}

/* Before a field: what separates it from the one before. */
static void begin(const struct console_format *format, bool *any) {
    fputs(*any ? format->between : "", stdout);
    *any = true;
}

static void print_numbers(const struct console_format *format, const struct ottla_record *record,
                          bool *any) {
    if (format->timestamp) {
        begin(format, any);
        print_timestamp(record);
    }
    if (format->partition) {
        begin(format, any);
        printf("Partition:%" PRId32, record->partition);
    }
    if (format->offset) {
        begin(format, any);
        printf("Offset:%" PRId64, record->offset);
    }
    if (format->delivery) { /* of share groups */
        begin(format, any);
        fputs("Delivery:NOT_PRESENT", stdout);
    }
    if (format->epoch) { /* the Java tool drops it before it prints */
        begin(format, any);
        fputs("Epoch:NOT_PRESENT", stdout);
    }
}

static json_t *with_number(const char *name, int number, json_t *data) {
    return json_pack("{s:i, s:O}", name, number, "data", data);
}

static void print_state_json(const struct state_record *state) {
    json_t *value =
        state->value == NULL ? json_null() : with_number("version", state->version, state->value);
    json_t *json = json_pack("{s:o, s:o}", "key", with_number("type", state->type, state->key),
                             "value", value);
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
}

/* Records without a key, and of types that nobody knows, are passed over. */
static const char *print_state(const struct console_format *format,
                               const struct ottla_record *record) {
    struct bytes key = {.data = record->key.data, .size = record->key.size};
    struct bytes value = {.data = record->value.data, .size = record->value.size};
    struct state_record state;
    struct arena arena;
    const char *wrong;
    const char *error = NULL;
    if (key.data == NULL) {
        return NULL;
    }
    arena_init(&arena, SIZE_MAX);
    err_t err = state_record_read(format->state->topic, key, value, &arena, &state, &wrong);
    if (err == ERR_OK && state.type >= format->state->first_type &&
        state.type <= format->state->last_type) {
        print_state_json(&state);
    } else if (err == ERR_MALFORMED) {
        error = arena_printf(format->arena,
                             "java.lang.RuntimeException: Could not read record at offset %" PRId64
                             " due to: %s",
                             record->offset, wrong)
                    .data;
    }
    state_record_done(&state);
    arena_done(&arena);
    return error;
}

bool console_format_print(const struct console_format *format, const struct ottla_record *record,
                          const char **ret_error) {
    bool any = false;
    const char *error = NULL;
    if (format->silent) {
        return true;
    }
    if (format->state != NULL) {
        *ret_error = print_state(format, record);
        return *ret_error == NULL;
    }
    print_numbers(format, record, &any);
    if (format->headers) {
        begin(format, &any);
        error = print_headers(format, record);
    }
    if (format->key && error == NULL) {
        begin(format, &any);
        error = print_bytes(format, format->key_as, record->key);
    }
    if (format->value && error == NULL) {
        begin(format, &any);
        error = print_bytes(format, format->value_as, record->value);
    }
    if (error != NULL) {
        *ret_error = error;
        return false;
    }
    fputs(any ? format->line_end : "", stdout);
    return true;
}
