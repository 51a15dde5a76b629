#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * Features of the cluster and their levels: what features.tsv of the schemas says, as data. Levels
 * are finalised in the metadata log and never rise by themselves.
 */

enum {
    METADATA_VERSION_MIN = 7,     /* 3.3-IV3 */
    METADATA_VERSION_LATEST = 30, /* 4.3-IV0: what formatting writes, and the highest we support */
};

#define META_FEATURE_METADATA_VERSION "metadata.version"

/* "4.3-IV0"; NULL for a level that is none. */
const char *metadata_version_name(int16_t level);

/* The level of "4.3-IV0", of "4.3" or "4.3.1" (the latest of that release), or of "30". NOT_FOUND.
 */
err_t metadata_version_parse(struct str text, int16_t *ret_level);

/* What a level can do. */
bool metadata_version_bumps_epoch_on_isr_shrink(int16_t level);
bool metadata_version_has_scram(int16_t level);
bool metadata_version_has_transactions(int16_t level);
bool metadata_version_has_delegation_tokens(int16_t level);
bool metadata_version_has_controller_registration(int16_t level);
bool metadata_version_has_directories(int16_t level);
bool metadata_version_has_elr(int16_t level);
bool metadata_version_has_cordoned_log_dirs(int16_t level);

/* Whether what one of the levels writes is not understood at the other: going down then loses
 * metadata. */
bool metadata_version_format_differs(int16_t a, int16_t b);

/* A feature beside metadata.version. */
enum { META_FEATURE_LEVELS_MAX = 3 };

struct meta_feature_info {
    const char *name;
    int16_t min;
    int16_t max; /* the newest level that this release supports */
    /* [level]: metadata.version from which it is the default, and the one it needs (0: any). */
    int16_t default_from[META_FEATURE_LEVELS_MAX];
    int16_t needs_metadata_version[META_FEATURE_LEVELS_MAX];
};

/* All of them in the order of their names, kraft.version among them. */
const struct meta_feature_info *meta_features(size_t *ret_count);
const struct meta_feature_info *meta_feature_find(struct str name); /* NULL: unknown */

/* The level of a feature that formatting at this metadata.version writes. */
int16_t meta_feature_default(const struct meta_feature_info *feature, int16_t metadata_version);
