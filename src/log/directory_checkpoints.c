/* The four checkpoints of a log directory, in memory and as files (docs/formats/checkpoints.md). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/checkpoint.h"
#include "log/directory_int.h"

static const char *const file_names[LOG_CHECKPOINT_COUNT] = {
    [LOG_CHECKPOINT_RECOVERY_POINT] = "recovery-point-offset-checkpoint",
    [LOG_CHECKPOINT_HIGH_WATERMARK] = "replication-offset-checkpoint",
    [LOG_CHECKPOINT_LOG_START] = "log-start-offset-checkpoint",
    [LOG_CHECKPOINT_CLEANER] = "cleaner-offset-checkpoint",
};

/* An entry of the maps; the key is "topic partition". */
struct checkpoint_offset {
    int64_t offset;
    size_t key_size;
    char key[];
};

enum { KEY_MAX = LOG_TOPIC_NAME_MAX + 16 };

/* 0 when the topic's name is too long for any. */
static size_t key_format(struct str topic, int64_t partition, char key[KEY_MAX]) {
    if (topic.size > LOG_TOPIC_NAME_MAX) {
        return 0;
    }
    return (size_t)snprintf(key, KEY_MAX, "%.*s %" PRId64, STR_ARGS(topic), partition);
}

static struct bytes key_bytes(const char *key, size_t size) {
    return (struct bytes){.data = (const uint8_t *)key, .size = size};
}

static void offset_put(struct map *map, struct str topic, int64_t partition, int64_t offset) {
    char key[KEY_MAX];
    size_t size = key_format(topic, partition, key);
    if (size == 0) {
        return;
    }
    struct checkpoint_offset *entry = malloc(sizeof *entry + size);
    entry->offset = offset;
    entry->key_size = size;
    memcpy(entry->key, key, size);
    free(map_put(map, key_bytes(entry->key, size), entry));
}

static void offsets_free(struct map *map) {
    size_t cursor;
    struct checkpoint_offset *entry;
    map_for_each (map, cursor, entry) {
        free(entry);
    }
    map_done(map);
}

static err_t parse(const char *data, size_t size, struct map *map,
                   struct checkpoint_reader *reader) {
    err_t err = checkpoint_read_begin(reader, data, size, 3);
    while (err == ERR_OK) {
        struct str fields[CHECKPOINT_FIELDS_MAX];
        int64_t partition, offset;
        err = checkpoint_read_entry(reader, fields);
        if (err == ERR_OK) {
            err = checkpoint_number(reader, fields[1], INT32_MAX, &partition);
        }
        if (err == ERR_OK) {
            err = checkpoint_number(reader, fields[2], INT64_MAX, &offset);
        }
        if (err == ERR_OK) {
            offset_put(map, fields[0], partition, offset);
        }
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t load(struct log_directory *directory, enum log_checkpoint kind) {
    char *data;
    size_t size;
    err_t err =
        directory_read_file(directory, file_names[kind], LOG_CHECKPOINT_SIZE_MAX, &data, &size);
    if (err != ERR_OK) {
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    struct checkpoint_reader reader;
    err = parse(data, size, &directory->checkpoints[kind], &reader);
    free(data);
    if (err != ERR_OK) {
        offsets_free(&directory->checkpoints[kind]);
        map_init(&directory->checkpoints[kind]);
        directory->clean = false;
        if (directory->text_log != NULL) {
            text_log_error(directory->text_log, "log",
                           "%s/%s cannot be used and counts as absent: %s", directory->path,
                           file_names[kind], reader.message);
        }
    }
    return ERR_OK;
}

err_t directory_checkpoints_load(struct log_directory *directory) {
    err_t err = ERR_OK;
    for (int kind = 0; kind < LOG_CHECKPOINT_COUNT && err == ERR_OK; kind++) {
        err = load(directory, (enum log_checkpoint)kind);
    }
    return err;
}

void directory_checkpoints_done(struct log_directory *directory) {
    for (int kind = 0; kind < LOG_CHECKPOINT_COUNT; kind++) {
        offsets_free(&directory->checkpoints[kind]);
    }
}

bool log_directory_checkpoint_get(const struct log_directory *directory, enum log_checkpoint kind,
                                  struct str topic, int32_t partition, int64_t *ret_offset) {
    char key[KEY_MAX];
    size_t size = key_format(topic, partition, key);
    struct sys_lock *lock = (struct sys_lock *)&directory->lock;
    sys_lock_take(lock);
    const struct checkpoint_offset *entry =
        size == 0 ? NULL : map_get(&directory->checkpoints[kind], key_bytes(key, size));
    if (entry != NULL) {
        *ret_offset = entry->offset;
    }
    sys_lock_give(lock);
    return entry != NULL;
}

err_t log_directory_checkpoint_write(struct log_directory *directory, enum log_checkpoint kind,
                                     const struct log_checkpoint_entry *entries, size_t count) {
    struct buffer text = {0};
    struct map map;
    map_init(&map);
    checkpoint_write_begin(&text, count);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, "%.*s %" PRId32 " %" PRId64 "\n", STR_ARGS(entries[i].topic),
                      entries[i].partition, entries[i].offset);
        offset_put(&map, entries[i].topic, entries[i].partition, entries[i].offset);
    }
    err_t err = directory_replace_file(directory, file_names[kind], &text);
    buffer_done(&text);
    if (err == ERR_OK) {
        sys_lock_take(&directory->lock);
        struct map before = directory->checkpoints[kind];
        directory->checkpoints[kind] = map;
        sys_lock_give(&directory->lock);
        map = before;
    }
    offsets_free(&map);
    return err;
}
