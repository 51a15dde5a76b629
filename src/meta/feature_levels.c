#include "meta/feature_levels.h"

#include <assert.h>
#include <stdlib.h>

/* One row per level; `changed`: the level writes what the one before does not understand. */
static const struct {
    int16_t level;
    bool changed;
    const char *name;
} levels[] = {
    {7, true, "3.3-IV3"},   {8, true, "3.4-IV0"},   {9, false, "3.5-IV0"},  {10, false, "3.5-IV1"},
    {11, true, "3.5-IV2"},  {12, false, "3.6-IV0"}, {13, true, "3.6-IV1"},  {14, true, "3.6-IV2"},
    {15, true, "3.7-IV0"},  {16, false, "3.7-IV1"}, {17, true, "3.7-IV2"},  {18, false, "3.7-IV3"},
    {19, false, "3.7-IV4"}, {20, false, "3.8-IV0"}, {21, false, "3.9-IV0"}, {22, false, "4.0-IV0"},
    {23, true, "4.0-IV1"},  {24, false, "4.0-IV2"}, {25, false, "4.0-IV3"}, {26, false, "4.1-IV0"},
    {27, false, "4.1-IV1"}, {28, false, "4.2-IV0"}, {29, false, "4.2-IV1"}, {30, true, "4.3-IV0"},
};

enum { LEVEL_COUNT = sizeof levels / sizeof levels[0] };
static_assert(LEVEL_COUNT == METADATA_VERSION_LATEST - METADATA_VERSION_MIN + 1,
              "one row per level");

static const struct meta_feature_info features[] = {
    {"eligible.leader.replicas.version", 0, 1, {7, 26}, {0, 23}},
    {"group.version", 0, 1, {7, 22}, {0}},
    {"kraft.version", 0, 1, {7, 21}, {0}},
    {"share.version", 0, 1, {7, 28}, {0}},
    {"streams.version", 0, 1, {7, 29}, {0}},
    {"transaction.version", 0, 2, {7, 24, 24}, {0}},
};

enum { FEATURE_COUNT = sizeof features / sizeof features[0] };

const char *metadata_version_name(int16_t level) {
    if (level < METADATA_VERSION_MIN || level > METADATA_VERSION_LATEST) {
        return NULL;
    }
    size_t row = (size_t)(level - METADATA_VERSION_MIN);
    assert(levels[row].level == level);
    return levels[row].name;
}

/* Whether `name` ("4.3-IV0") belongs to the release `text` ("4.3", "4.3.1"). */
static bool of_release(const char *name, struct str text) {
    size_t size = (size_t)(strchr(name, '-') - name);
    if (text.size < size || memcmp(text.data, name, size) != 0) {
        return false;
    }
    return text.size == size || text.data[size] == '.';
}

err_t metadata_version_parse(struct str text, int16_t *ret_level) {
    for (size_t i = LEVEL_COUNT; i-- > 0;) { /* the latest of a release first */
        if (str_equal(text, str_from_c(levels[i].name)) || of_release(levels[i].name, text)) {
            *ret_level = levels[i].level;
            return ERR_OK;
        }
    }
    int level = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || level > METADATA_VERSION_LATEST) {
            return ERR_NOT_FOUND;
        }
        level = level * 10 + (text.data[i] - '0');
    }
    if (metadata_version_name((int16_t)level) == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_level = (int16_t)level;
    return ERR_OK;
}

bool metadata_version_bumps_epoch_on_isr_shrink(int16_t level) {
    return level < 12;
}

bool metadata_version_has_scram(int16_t level) {
    return level >= 11;
}

bool metadata_version_has_transactions(int16_t level) {
    return level >= 13;
}

bool metadata_version_has_delegation_tokens(int16_t level) {
    return level >= 14;
}

bool metadata_version_has_controller_registration(int16_t level) {
    return level >= 15;
}

bool metadata_version_has_directories(int16_t level) {
    return level >= 17;
}

bool metadata_version_has_elr(int16_t level) {
    return level >= 23;
}

bool metadata_version_has_cordoned_log_dirs(int16_t level) {
    return level >= 30;
}

bool metadata_version_format_differs(int16_t a, int16_t b) {
    int16_t low = a < b ? a : b;
    int16_t high = a < b ? b : a;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (levels[i].level > low && levels[i].level <= high && levels[i].changed) {
            return true;
        }
    }
    return false;
}

const struct meta_feature_info *meta_features(size_t *ret_count) {
    *ret_count = FEATURE_COUNT;
    return features;
}

const struct meta_feature_info *meta_feature_find(struct str name) {
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        if (str_equal(name, str_from_c(features[i].name))) {
            return &features[i];
        }
    }
    return NULL;
}

int16_t meta_feature_default(const struct meta_feature_info *feature, int16_t metadata_version) {
    for (int16_t level = feature->max; level > 0; level--) {
        if (feature->default_from[level] <= metadata_version) {
            return level;
        }
    }
    return 0;
}
