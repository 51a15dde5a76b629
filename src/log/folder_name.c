/*
 * Names of partition folders (docs/formats/directory.md):
 *
 *     <topic>-<partition>
 *     <topic>-<partition>.<32 hex digits>-delete    also -future, -stray
 *
 * The last '-' before the '.' parts topic and partition; topics may contain both characters.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log/checkpoint.h"
#include "log/directory.h"

static const char *const kind_suffixes[] = {
    [LOG_FOLDER_CURRENT] = "",
    [LOG_FOLDER_FUTURE] = "-future",
    [LOG_FOLDER_DELETED] = "-delete",
    [LOG_FOLDER_STRAY] = "-stray",
};

enum { ID_DIGITS = 32 };

static bool topic_valid(struct str topic) {
    if (topic.size == 0 || topic.size > LOG_TOPIC_NAME_MAX || str_equal(topic, STR(".")) ||
        str_equal(topic, STR(".."))) {
        return false;
    }
    for (size_t i = 0; i < topic.size; i++) {
        char c = topic.data[i];
        bool valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_' || c == '-';
        if (!valid) {
            return false;
        }
    }
    return true;
}

static bool ends_with(struct str text, struct str end) {
    return text.size >= end.size &&
           memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

static bool hex_digits(struct str text) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* Takes ".<id>-<kind>" off the end of the name. */
static enum log_folder_kind suffix_take(struct str *name) {
    for (int kind = LOG_FOLDER_FUTURE; kind <= LOG_FOLDER_STRAY; kind++) {
        struct str suffix = str_from_c(kind_suffixes[kind]);
        if (!ends_with(*name, suffix) || name->size < suffix.size + ID_DIGITS + 1) {
            continue;
        }
        size_t dot = name->size - suffix.size - ID_DIGITS - 1;
        struct str id = {.data = name->data + dot + 1, .size = ID_DIGITS};
        if (name->data[dot] == '.' && hex_digits(id)) {
            name->size = dot;
            return (enum log_folder_kind)kind;
        }
    }
    return LOG_FOLDER_CURRENT;
}

err_t log_folder_parse(const char *name, struct log_folder *ret_folder) {
    if (strlen(name) > LOG_FOLDER_NAME_MAX) {
        return ERR_MALFORMED;
    }
    struct str rest = str_from_c(name);
    enum log_folder_kind kind = suffix_take(&rest);
    size_t dash = rest.size;
    while (dash > 0 && rest.data[dash - 1] != '-') {
        dash--;
    }
    if (dash < 2) {
        return ERR_MALFORMED;
    }
    struct str topic = {.data = rest.data, .size = dash - 1};
    struct str number = {.data = rest.data + dash, .size = rest.size - dash};
    int64_t partition;
    if (!topic_valid(topic) || !decimal_parse(number, INT32_MAX, &partition)) {
        return ERR_MALFORMED;
    }
    memset(ret_folder, 0, sizeof *ret_folder);
    memcpy(ret_folder->name, name, strlen(name));
    ret_folder->topic = (struct str){.data = ret_folder->name, .size = topic.size};
    ret_folder->partition = (int32_t)partition;
    ret_folder->kind = kind;
    return ERR_OK;
}

void log_folder_format(struct str topic, int32_t partition, enum log_folder_kind kind,
                       struct uuid id, char name[LOG_FOLDER_NAME_MAX + 1]) {
    char end[64] = "";
    int end_size = snprintf(end, sizeof end, "-%" PRId32, partition);
    if (kind != LOG_FOLDER_CURRENT) {
        end_size += snprintf(end + end_size, sizeof end - (size_t)end_size, ".");
        for (size_t i = 0; i < sizeof id.bytes; i++) {
            end_size +=
                snprintf(end + end_size, sizeof end - (size_t)end_size, "%02x", id.bytes[i]);
        }
        end_size +=
            snprintf(end + end_size, sizeof end - (size_t)end_size, "%s", kind_suffixes[kind]);
    }
    size_t room = LOG_FOLDER_NAME_MAX - (size_t)end_size;
    size_t topic_size = topic.size < room ? topic.size : room;
    memcpy(name, topic.data, topic_size);
    memcpy(name + topic_size, end, (size_t)end_size + 1);
}
