#include "log/meta_properties.h"

#include <inttypes.h>
#include <string.h>

#include "log/checkpoint.h"

/* --- Java properties, as far as these files need them --- */

struct property {
    struct str key;
    char value[LOG_CLUSTER_ID_MAX + 1];
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

static struct str line_take(struct str *rest) {
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    struct str line = {.data = rest->data, .size = size};
    size_t used = end == NULL ? size : size + 1;
    rest->data += used;
    rest->size -= used;
    while (line.size > 0 && is_space(line.data[0])) {
        line.data++;
        line.size--;
    }
    while (line.size > 0 && is_space(line.data[line.size - 1])) {
        line.size--;
    }
    return line;
}

/* Copies a value, taking backslashes before characters out. False when it is too long. */
static bool value_copy(struct str text, char value[LOG_CLUSTER_ID_MAX + 1]) {
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\\' && i + 1 < text.size) {
            i++;
        }
        if (used == LOG_CLUSTER_ID_MAX) {
            return false;
        }
        value[used++] = text.data[i];
    }
    value[used] = '\0';
    return true;
}

static const char *property_parse(struct str line, struct property *ret_property) {
    size_t key_size = 0;
    while (key_size < line.size && line.data[key_size] != '=' && line.data[key_size] != ':' &&
           !is_space(line.data[key_size])) {
        key_size++;
    }
    size_t at = key_size;
    while (at < line.size && is_space(line.data[at])) {
        at++;
    }
    if (at < line.size && (line.data[at] == '=' || line.data[at] == ':')) {
        at++;
    }
    while (at < line.size && is_space(line.data[at])) {
        at++;
    }
    ret_property->key = (struct str){.data = line.data, .size = key_size};
    struct str value = {.data = line.data + at, .size = line.size - at};
    return value_copy(value, ret_property->value) ? NULL : "a value is too long";
}

static const char *meta_set(struct log_meta *meta, const struct property *property) {
    struct str value = str_from_c(property->value);
    int64_t number;
    if (str_equal(property->key, STR("version"))) {
        if (!decimal_parse(value, INT32_MAX, &number) || number > 1) {
            return "unknown version";
        }
        meta->version = (int)number;
    } else if (str_equal(property->key, STR("cluster.id"))) {
        memcpy(meta->cluster_id, property->value, sizeof meta->cluster_id);
    } else if (str_equal(property->key, STR("node.id")) ||
               str_equal(property->key, STR("broker.id"))) {
        if (!decimal_parse(value, INT32_MAX, &number)) {
            return "node.id is no number from 0 to 2147483647";
        }
        meta->node_id = (int32_t)number;
    } else if (str_equal(property->key, STR("directory.id"))) {
        if (uuid_parse(value, &meta->directory_id) != ERR_OK) {
            return "directory.id is no id of 22 base64url characters";
        }
        meta->has_directory_id = true;
    }
    return NULL;
}

const char *meta_properties_parse(const char *data, size_t size, struct log_meta *ret_meta) {
    struct log_meta meta = {.version = -1, .node_id = -1};
    struct str rest = {.data = data, .size = size};
    while (rest.size > 0) {
        struct str line = line_take(&rest);
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!') {
            continue;
        }
        struct property property = {0};
        const char *wrong = property_parse(line, &property);
        if (wrong == NULL) {
            wrong = meta_set(&meta, &property);
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    if (meta.version < 0) {
        return "version is missing";
    }
    if (meta.version == 1 && meta.cluster_id[0] == '\0') {
        return "cluster.id is missing";
    }
    if (meta.version == 1 && meta.node_id < 0) {
        return "node.id is missing";
    }
    *ret_meta = meta;
    return NULL;
}

void meta_properties_format(const struct log_meta *meta, struct buffer *out) {
    buffer_printf(out, "#\n");
    buffer_printf(out, "cluster.id=%s\n", meta->cluster_id);
    if (meta->has_directory_id) {
        char id[UUID_TEXT_SIZE + 1];
        uuid_format(meta->directory_id, id);
        buffer_printf(out, "directory.id=%s\n", id);
    }
    buffer_printf(out, "node.id=%" PRId32 "\nversion=1\n", meta->node_id);
}

/* --- partition.metadata --- */

const char *partition_metadata_parse(const char *data, size_t size, struct uuid *ret_topic_id) {
    struct str rest = {.data = data, .size = size};
    struct str line = line_take(&rest);
    if (!str_equal(line, STR("version: 0"))) {
        return "the first line is not \"version: 0\"";
    }
    line = line_take(&rest);
    struct str name = STR("topic_id: ");
    if (line.size < name.size || memcmp(line.data, name.data, name.size) != 0) {
        return "the second line is not \"topic_id: ...\"";
    }
    struct str text = {.data = line.data + name.size, .size = line.size - name.size};
    struct uuid id;
    if (uuid_parse(text, &id) != ERR_OK || uuid_is_zero(id)) {
        return "topic_id is no id of 22 base64url characters";
    }
    *ret_topic_id = id;
    return NULL;
}

void partition_metadata_format(struct uuid topic_id, struct buffer *out) {
    char id[UUID_TEXT_SIZE + 1];
    uuid_format(topic_id, id);
    buffer_printf(out, "version: 0\ntopic_id: %s", id);
}

/* --- .kafka_cleanshutdown --- */

int64_t clean_shutdown_parse(const char *data, size_t size) {
    const char name[] = "\"brokerEpoch\"";
    const char *found = memmem(data, size, name, sizeof name - 1);
    if (found == NULL) {
        return -1;
    }
    found += sizeof name - 1;
    const char *end = data + size;
    while (found < end && (is_space(*found) || *found == ':')) {
        found++;
    }
    size_t digits = 0;
    while (found + digits < end && found[digits] >= '0' && found[digits] <= '9') {
        digits++;
    }
    int64_t epoch;
    struct str number = {.data = found, .size = digits};
    return decimal_parse(number, INT64_MAX, &epoch) ? epoch : -1;
}

void clean_shutdown_format(int64_t broker_epoch, struct buffer *out) {
    buffer_printf(out, "{\"version\":0,\"brokerEpoch\":%" PRId64 "}", broker_epoch);
}
