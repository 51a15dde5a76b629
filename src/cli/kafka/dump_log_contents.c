/* kafka-dump-log: what is in a record, by one of the decoders. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/kafka/dump_log_int.h"

/* False, printed: there are too few bytes for a number. */
static bool print_bytes(const struct dump *dump, const char *prefix, const char *name,
                        enum dump_as as, struct bytes data) {
    static const size_t sizes[] = {[DUMP_AS_TEXT] = 0, [DUMP_AS_INT] = 4, [DUMP_AS_LONG] = 8};
    if (data.size < sizes[as]) {
        (void)tool_fail(dump->tool, "java.nio.BufferUnderflowException");
        return false;
    }
    printf("%s%s: ", prefix, name);
    if (as == DUMP_AS_INT) {
        printf("%" PRId32, (int32_t)get_be32(data.data));
    } else if (as == DUMP_AS_LONG) {
        printf("%" PRId64, (int64_t)get_be64(data.data));
    } else {
        fwrite(data.data, 1, data.size, stdout);
    }
    return true;
}

/* {"type" or "version": …, "data": …}. Of a coordinator's records both are texts. */
static void print_json(const char *prefix, const char *name, json_t *object) {
    printf("%s%s: ", prefix, name);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
}

static json_t *number_text(int64_t number) {
    return json_sprintf("%" PRId64, number);
}

static int print_plain(const struct dump *dump, const struct record *record, const char *prefix) {
    bool good = true;
    if (record->key.data != NULL) {
        good = print_bytes(dump, prefix, "key", dump->key_as, record->key);
        prefix = " ";
    }
    if (good && record->value.data != NULL) {
        good = print_bytes(dump, prefix, "payload", dump->value_as, record->value);
    }
    return good ? TOOL_DONE : TOOL_FAILED;
}

static void print_metadata(const struct record *record, const struct state_record *state,
                           const char *wrong, const char *prefix) {
    if (wrong != NULL) {
        printf("%spayload: Error at %" PRId64 ", skipping. %s", prefix, record->offset, wrong);
        return;
    }
    print_json(prefix, "payload",
               json_pack("{s:s, s:i, s:O}", "type", state->name, "version", (int)state->version,
                         "data", state->value));
}

static void print_coordinator(const struct record *record, const struct state_record *state,
                              err_t err, const char *wrong, const char *prefix) {
    if (err == ERR_UNSUPPORTED) {
        printf("%skey: Unknown record type %d at offset %" PRId64 ", skipping.", prefix,
               (int)state->type, record->offset);
        return;
    }
    if (err != ERR_OK) {
        printf("%skey: Error at offset %" PRId64 ", skipping. %s", prefix, record->offset, wrong);
        return;
    }
    print_json(prefix, "key",
               json_pack("{s:o, s:O}", "type", number_text(state->type), "data", state->key));
    if (state->value == NULL) {
        fputs(" payload: <DELETE>", stdout);
        return;
    }
    print_json(
        " ", "payload",
        json_pack("{s:o, s:O}", "version", number_text(state->version), "data", state->value));
}

int dump_log_print_contents(struct dump *dump, const struct record *record, const char *prefix) {
    struct state_record state;
    const char *wrong;
    if (dump->decoder == STATE_NONE) {
        return print_plain(dump, record, prefix);
    }
    if (dump->decoder != STATE_METADATA && record->key.data == NULL) {
        return tool_fail(dump->tool,
                         "java.lang.RuntimeException: Failed to decode message at offset %" PRId64
                         " using the specified decoder (message had a missing key)",
                         record->offset);
    }
    err_t err =
        state_record_read(dump->decoder, record->key, record->value, &dump->arena, &state, &wrong);
    state_record_take_apart(&state, &dump->arena);
    if (dump->decoder == STATE_METADATA) {
        print_metadata(record, &state, wrong, prefix);
    } else {
        print_coordinator(record, &state, err, wrong, prefix);
    }
    state_record_done(&state);
    return TOOL_DONE;
}
