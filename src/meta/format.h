#pragma once

#include "base/uuid.h"
#include "meta/image.h"
#include "sys/sys.h"

/*
 * Makes log directories ready for their first start, as `kafka-storage format` does: the file
 * meta.properties in each, and in the metadata directory bootstrap.checkpoint with the feature
 * levels and, for a dynamic quorum, the snapshot 0-0 with the voters. The metadata directory is the
 * last one: as long as it is not formatted, formatting was cut short. Blocks on the disk.
 */
struct meta_feature_level {
    struct str name;
    int16_t level;
};

struct meta_format_options {
    const char *const *dirs; /* log.dirs and metadata.log.dir, each once */
    size_t dir_count;
    const char *metadata_dir; /* one of them */
    struct str cluster_id;
    int32_t node_id;
    int16_t metadata_version;                  /* 0: the latest */
    const struct meta_feature_level *features; /* that differ from the defaults of that level */
    size_t feature_count;
    bool standalone; /* dynamic quorum with this node as its voter; else static */
    const struct meta_endpoint *endpoints; /* of the controller listeners, for standalone */
    int32_t endpoint_count;
    bool ignore_formatted; /* leave directories that are formatted as they are */
    /* May be NULL: each directory that was formatted now, with its new id. */
    void (*formatted)(void *arg, const char *dir, struct uuid directory_id);
    void *arg;
};

enum { META_FORMAT_ERROR_MAX = 512 };

/*
 * ERR_EXISTS:  a directory is formatted already (and not ignore_formatted), or for another cluster.
 * ERR_INVALID: an unknown feature, a level out of range or without what it depends on.
 * `error` (may be NULL) gets a sentence for the operator.
 */
err_t meta_format(struct sys *sys, const struct meta_format_options *options,
                  char error[META_FORMAT_ERROR_MAX]);
