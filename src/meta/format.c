#include "meta/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/directory.h"
#include "meta/bootstrap.h"
#include "meta/snapshot.h"
#include "wire/codec.h"
#include "wire/messages.h"

#define METADATA_FOLDER "__cluster_metadata-0"

enum { PATH_SIZE = 4096, KRAFT_VERSION_MAX = 1 };

struct format {
    struct sys *sys;
    const struct meta_format_options *options;
    struct meta_image *image; /* the feature levels */
    char *error;
};

static err_t fail(const struct format *format, err_t err, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

static err_t fail(const struct format *format, err_t err, const char *text, ...) {
    if (format->error != NULL) {
        va_list args;
        va_start(args, text);
        vsnprintf(format->error, META_FORMAT_ERROR_MAX, text, args);
        va_end(args);
    }
    return err;
}

/* --- feature levels --- */

static void set_level(struct meta_delta *delta, struct str name, int16_t level) {
    struct feature_level_record message;
    wire_init(&feature_level_record_type, &message);
    message.name = name;
    message.feature_level = level;
    struct meta_record record = {.type = META_RECORD_FEATURE_LEVEL, .message = &message};
    (void)meta_delta_apply(delta, &record);
}

static err_t check_level(const struct format *format, const struct meta_feature_level *level,
                         int16_t metadata_version) {
    const struct meta_feature_info *feature = meta_feature_find(level->name);
    if (feature == NULL) {
        return fail(format, ERR_INVALID, "there is no feature %.*s", STR_ARGS(level->name));
    }
    if (level->level < feature->min || level->level > feature->max) {
        return fail(format, ERR_INVALID, "%s %d is none of %d to %d", feature->name, level->level,
                    feature->min, feature->max);
    }
    if (feature->needs_metadata_version[level->level] > metadata_version) {
        return fail(format, ERR_INVALID, "%s %d needs metadata.version %s", feature->name,
                    level->level,
                    metadata_version_name(feature->needs_metadata_version[level->level]));
    }
    return ERR_OK;
}

static bool level_given(const struct meta_format_options *options, const char *name,
                        int16_t *ret_level) {
    for (size_t i = 0; i < options->feature_count; i++) {
        if (str_equal(options->features[i].name, str_from_c(name))) {
            *ret_level = options->features[i].level;
            return true;
        }
    }
    return false;
}

static err_t make_image(struct format *format) {
    const struct meta_format_options *options = format->options;
    int16_t metadata_version =
        options->metadata_version == 0 ? METADATA_VERSION_LATEST : options->metadata_version;
    if (metadata_version_name(metadata_version) == NULL) {
        return fail(format, ERR_INVALID, "metadata.version %d is none of %d to %d",
                    metadata_version, METADATA_VERSION_MIN, METADATA_VERSION_LATEST);
    }
    for (size_t i = 0; i < options->feature_count; i++) {
        err_t err = check_level(format, &options->features[i], metadata_version);
        if (err != ERR_OK) {
            return err;
        }
    }
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    set_level(delta, STR(META_FEATURE_METADATA_VERSION), metadata_version);
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    for (size_t i = 0; i < count; i++) {
        int16_t level = meta_feature_default(&features[i], metadata_version);
        (void)level_given(options, features[i].name, &level);
        set_level(delta, str_from_c(features[i].name), level); /* kraft.version: the quorum's */
    }
    format->image = meta_delta_finish(delta, &empty->provenance, NULL);
    meta_image_unref(empty);
    return ERR_OK;
}

static int16_t kraft_version(const struct meta_format_options *options) {
    return options->standalone ? 1 : 0;
}

static err_t check_kraft_version(const struct format *format) {
    int16_t level;
    if (level_given(format->options, "kraft.version", &level) &&
        level != kraft_version(format->options)) {
        return fail(format, ERR_INVALID,
                    level == 0
                        ? "a standalone quorum is dynamic and needs kraft.version 1"
                        : "kraft.version 1 needs a dynamic quorum: format with --standalone");
    }
    return ERR_OK;
}

/* --- directories --- */

static err_t check_dir(const struct format *format, const char *dir, bool *ret_formatted) {
    struct log_meta meta;
    char reason[256] = "";
    err_t err = log_meta_read(format->sys, dir, &meta, reason, sizeof reason);
    if (err == ERR_NOT_FOUND) {
        *ret_formatted = false;
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return fail(format, err, "%s/meta.properties cannot be read: %s", dir,
                    reason[0] != '\0' ? reason : err_text(err));
    }
    if (!str_equal(str_from_c(meta.cluster_id), format->options->cluster_id)) {
        return fail(format, ERR_EXISTS,
                    "%s is formatted already, and belongs to cluster %s. Give that id with "
                    "--ignore-formatted, or set other log.dirs",
                    dir, meta.cluster_id);
    }
    if (meta.node_id != format->options->node_id) {
        return fail(format, ERR_EXISTS,
                    "%s is formatted already, and belongs to node %d: set node.id=%d, or other "
                    "log.dirs",
                    dir, meta.node_id, meta.node_id);
    }
    if (!format->options->ignore_formatted) {
        return fail(format, ERR_EXISTS,
                    "%s is formatted already; --ignore-formatted leaves it as it is", dir);
    }
    *ret_formatted = true;
    return ERR_OK;
}

static struct uuid random_id(struct sys *sys) {
    struct uuid id;
    uint8_t random[16];
    do {
        sys_random(sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    return id;
}

/* Makes a directory, and those above it, so that a power cut does not take them back. One that is
 * there may have been made a moment before somebody was killed. */
static err_t make_durably(struct sys *sys, const char *dir) {
    err_t err = sys_dir_make(sys, dir);
    bool existed = err == ERR_EXISTS;
    char parent[PATH_SIZE];
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        snprintf(parent, sizeof parent, ".");
    } else {
        slash[slash == parent ? 1 : 0] = '\0'; /* the root keeps its own */
    }
    if (err == ERR_NOT_FOUND && slash != NULL && slash != parent) {
        err = make_durably(sys, parent);
        if (err == ERR_OK) {
            err = sys_dir_make(sys, dir);
        }
    }
    if (err == ERR_OK || existed) {
        err = sys_dir_sync(sys, parent);
    }
    return existed && err == ERR_ACCESS ? ERR_OK : err;
}

/* The voter set of a standalone node: itself, in this directory. */
static void only_voter(const struct meta_format_options *options, struct uuid directory_id,
                       struct arena *arena, struct voters_record *ret_voters) {
    struct voters_record_voter *voter = ARENA_NEW(arena, struct voters_record_voter);
    voter->voter_id = options->node_id;
    voter->voter_directory_id = directory_id;
    voter->kraft_version_feature.max_supported_version = KRAFT_VERSION_MAX;
    voter->endpoints =
        ARENA_ARRAY(arena, struct voters_record_endpoint, (size_t)options->endpoint_count + 1);
    voter->endpoints_count = options->endpoint_count;
    for (int32_t i = 0; i < options->endpoint_count; i++) {
        voter->endpoints[i] = (struct voters_record_endpoint){
            .name = options->endpoints[i].name,
            .host = options->endpoints[i].host,
            .port = options->endpoints[i].port,
        };
    }
    wire_init(&voters_record_type, ret_voters);
    ret_voters->voters = voter;
    ret_voters->voters_count = 1;
}

/* What only the metadata directory has. It comes before meta.properties, which makes the directory
 * a formatted one. */
static err_t write_metadata(const struct format *format, const char *dir, struct uuid id) {
    err_t err = meta_bootstrap_write(format->sys, dir, format->image);
    if (err != ERR_OK || !format->options->standalone) {
        return err;
    }
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/" METADATA_FOLDER, dir);
    err = make_durably(format->sys, folder);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct voters_record voters;
    only_voter(format->options, id, &arena, &voters);
    struct meta_snapshot_head head = {
        .last_contained_timestamp_ms = sys_wall_ms(format->sys),
        .kraft_version = kraft_version(format->options),
        .voters = &voters,
    };
    char name[META_SNAPSHOT_NAME_MAX];
    meta_snapshot_name((struct meta_snapshot_id){0}, name);
    struct meta_snapshot_writer *writer =
        meta_snapshot_writer_new(format->sys, folder, name, NULL, &head);
    bool done = false;
    while (err == ERR_OK && !done) {
        err = meta_snapshot_writer_step(writer, &done);
    }
    meta_snapshot_writer_free(writer);
    arena_done(&arena);
    return err;
}

static err_t write_properties(const struct format *format, const char *dir, struct uuid id) {
    struct log_directory *directory;
    struct log_cache *cache = log_cache_new(format->sys, 1, 0);
    err_t err = log_directory_open(format->sys, NULL, cache, dir, &directory);
    if (err == ERR_OK) {
        struct log_meta meta = {
            .version = 1,
            .node_id = format->options->node_id,
            .has_directory_id = true,
            .directory_id = id,
        };
        snprintf(meta.cluster_id, sizeof meta.cluster_id, "%.*s",
                 STR_ARGS(format->options->cluster_id));
        err = log_directory_format(directory, &meta);
        log_directory_close(directory);
    }
    log_cache_free(cache);
    return err;
}

static err_t format_dir(const struct format *format, const char *dir) {
    const struct meta_format_options *options = format->options;
    struct uuid id = random_id(format->sys);
    err_t err = make_durably(format->sys, dir);
    if (err == ERR_OK && strcmp(dir, options->metadata_dir) == 0) {
        err = write_metadata(format, dir, id);
    }
    if (err == ERR_OK) {
        err = write_properties(format, dir, id);
    }
    if (err != ERR_OK) {
        return fail(format, err, "%s cannot be formatted: %s", dir, err_text(err));
    }
    if (options->formatted != NULL) {
        options->formatted(options->arg, dir, id);
    }
    return ERR_OK;
}

/* Those that are not formatted, and of them the metadata directory or all others. */
static err_t format_dirs(const struct format *format, const bool *formatted, bool metadata) {
    const struct meta_format_options *options = format->options;
    err_t err = ERR_OK;
    for (size_t i = 0; i < options->dir_count && err == ERR_OK; i++) {
        bool is_metadata = strcmp(options->dirs[i], options->metadata_dir) == 0;
        if (!formatted[i] && is_metadata == metadata) {
            err = format_dir(format, options->dirs[i]);
        }
    }
    return err;
}

err_t meta_format(struct sys *sys, const struct meta_format_options *options,
                  char error[META_FORMAT_ERROR_MAX]) {
    struct format format = {.sys = sys, .options = options, .error = error};
    if (options->cluster_id.size == 0 || options->cluster_id.size > LOG_CLUSTER_ID_MAX) {
        return fail(&format, ERR_INVALID, "a cluster id of 1 to %d characters is needed",
                    LOG_CLUSTER_ID_MAX);
    }
    bool *formatted = calloc(options->dir_count + 1, sizeof *formatted);
    if (formatted == NULL) {
        abort();
    }
    err_t err = make_image(&format);
    if (err == ERR_OK) {
        err = check_kraft_version(&format);
    }
    for (size_t i = 0; i < options->dir_count && err == ERR_OK; i++) {
        err = check_dir(&format, options->dirs[i], &formatted[i]);
    }
    if (err == ERR_OK) {
        err = format_dirs(&format, formatted, false);
    }
    if (err == ERR_OK) {
        err = format_dirs(&format, formatted, true);
    }
    free(formatted);
    meta_image_unref(format.image);
    return err;
}
