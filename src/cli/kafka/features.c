/* kafka-features: levels of features, those in force and those of releases. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/features_int.h"
#include "cli/kafka/tools.h"
#include "meta/feature_levels.h"

static bool is_metadata(const char *feature) {
    return strcmp(feature, META_FEATURE_METADATA_VERSION) == 0;
}

/* "4.3-IV0" of metadata.version, else the number. */
static const char *level_text(struct tool *tool, const char *feature, int16_t level) {
    const char *name = is_metadata(feature) ? metadata_version_name(level) : NULL;
    return name != NULL           ? name
           : is_metadata(feature) ? arena_printf(tool_arena(tool), "UNKNOWN [%d]", (int)level).data
                                  : arena_printf(tool_arena(tool), "%d", (int)level).data;
}

/* --- describe --- */

static int describe(struct tool *tool, struct ottla_client *client) {
    struct ottla_call *call = ottla_features_describe(client, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return tool_fail(tool, "%s: %s", tool_exception(tool, error.code), error.text);
    }
    const struct ottla_features *features = ottla_call_features(call);
    for (size_t i = 0; i < features->feature_count; i++) {
        const struct ottla_feature *feature = &features->features[i];
        if (feature->supported_max < 0) {
            continue;
        }
        printf("Feature: %-40s  SupportedMinVersion: %-15s  SupportedMaxVersion: %-15s  "
               "FinalizedVersionLevel: %-15s  Epoch: ",
               feature->name, level_text(tool, feature->name, feature->supported_min),
               level_text(tool, feature->name, feature->supported_max),
               level_text(tool, feature->name, feature->finalized));
        if (features->epoch < 0) {
            puts("-");
        } else {
            printf("%lld\n", (long long)features->epoch);
        }
    }
    return TOOL_DONE;
}

/* --- what shall change --- */

struct updates {
    struct ottla_feature_update *items;
    size_t count;
};

static bool add(struct tool *tool, struct updates *updates, const char *name, int16_t level,
                enum ottla_upgrade_type type) {
    for (size_t i = 0; i < updates->count; i++) {
        if (strcmp(updates->items[i].name, name) == 0) {
            (void)tool_fail(tool, "Feature %s was specified more than once.", name);
            return false;
        }
    }
    updates->items[updates->count++] = (struct ottla_feature_update){name, level, type};
    return true;
}

static int fail_release(struct tool *tool, const char *text) {
    struct str list = STR_NULL;
    for (int16_t level = METADATA_VERSION_MIN; level <= METADATA_VERSION_LATEST; level++) {
        list = arena_list(tool_arena(tool), list, ", ", str_from_c(metadata_version_name(level)));
    }
    return tool_fail(tool, "Unknown metadata.version '%s'. Supported metadata.version are: %.*s",
                     text, STR_ARGS(list));
}

/* A release has a name with a dot: a bare level is none. */
static bool parse_release(const char *text, int16_t *ret_level) {
    return strchr(text, '.') != NULL &&
           metadata_version_parse(str_from_c(text), ret_level) == ERR_OK;
}

/* "group.version=1" */
static bool parse_level(struct tool *tool, const char *text, const char **ret_name,
                        int16_t *ret_level) {
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        (void)tool_fail(tool, "Can't parse feature=level string %s: equals sign not found.", text);
        return false;
    }
    char *end;
    long level = strtol(equals + 1, &end, 10);
    if (end == equals + 1 || *end != '\0' || level < INT16_MIN || level > INT16_MAX) {
        (void)tool_fail(tool, "Can't parse feature=level string %s: unable to parse %s as a short.",
                        text, equals + 1);
        return false;
    }
    struct str name = {.data = text, .size = (size_t)(equals - text)};
    *ret_name = arena_c_str(tool_arena(tool), name);
    *ret_level = (int16_t)level;
    return true;
}

/* Every feature at what is its default in a release. */
static bool add_release(struct tool *tool, struct updates *updates, const char *release,
                        enum ottla_upgrade_type type) {
    int16_t version;
    if (!parse_release(release, &version)) {
        (void)fail_release(tool, release);
        return false;
    }
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    bool good = add(tool, updates, META_FEATURE_METADATA_VERSION, version, type);
    for (size_t i = 0; i < count && good; i++) {
        int16_t level = meta_feature_default(&features[i], version);
        good = (type == OTTLA_UPGRADE && level == 0) ||
               add(tool, updates, features[i].name, level, type);
    }
    return good;
}

static bool add_named(struct tool *tool, struct updates *updates, bool disable,
                      enum ottla_upgrade_type type) {
    const char *metadata = tool_text_of(tool, "metadata");
    int16_t level = 0;
    if (metadata != NULL) {
        puts(" `metadata` flag is deprecated and may be removed in a future release.");
        if (!parse_release(metadata, &level)) {
            (void)fail_release(tool, metadata);
            return false;
        }
        (void)add(tool, updates, META_FEATURE_METADATA_VERSION, level, type);
    }
    const char *const *texts;
    size_t count = tool_texts(tool, "feature", &texts);
    for (size_t i = 0; i < count; i++) {
        const char *name = texts[i];
        level = 0;
        if ((!disable && !parse_level(tool, texts[i], &name, &level)) ||
            !add(tool, updates, name, level, type)) {
            return false;
        }
    }
    return true;
}

static int order_updates(const void *a, const void *b) {
    const struct ottla_feature_update *left = a;
    const struct ottla_feature_update *right = b;
    return strcmp(left->name, right->name);
}

/* --- changing --- */

static void print_update(const struct tool *tool, const struct ottla_feature_update *update,
                         const char *word, const char *wrong) {
    bool dry = tool_has(tool, "dry-run");
    bool disable = strcmp(word, "disable") == 0;
    if (wrong != NULL) {
        printf("%s %s %s", dry ? "Can not" : "Could not", word, update->name);
    } else {
        printf("%s %s %sd", update->name, dry ? "can be" : "was", word);
    }
    if (!disable) {
        printf(" to %d", (int)update->level);
    }
    printf(".%s%s\n", wrong == NULL ? "" : " ", wrong == NULL ? "" : wrong);
}

static int update(struct tool *tool, struct ottla_client *client) {
    const char *word = tool_subcommand(tool);
    bool upgrade = strcmp(word, "upgrade") == 0;
    bool disable = strcmp(word, "disable") == 0;
    enum ottla_upgrade_type type = upgrade                    ? OTTLA_UPGRADE
                                   : tool_has(tool, "unsafe") ? OTTLA_UNSAFE_DOWNGRADE
                                                              : OTTLA_SAFE_DOWNGRADE;
    const char *release = tool_text_of(tool, "release-version");
    const char *const *texts;
    size_t named = tool_texts(tool, "feature", &texts);
    size_t known;
    (void)meta_features(&known);
    struct updates updates = {
        ARENA_ARRAY(tool_arena(tool), struct ottla_feature_update, named + known + 2), 0};
    if (release != NULL && (named > 0 || tool_text_of(tool, "metadata") != NULL)) {
        return tool_fail(tool, "Can not specify `release-version` with other feature flags.");
    }
    bool good = release != NULL ? add_release(tool, &updates, release, type)
                                : add_named(tool, &updates, disable, type);
    if (!good) {
        return TOOL_FAILED;
    }
    if (updates.count == 0) {
        return tool_fail(tool, "You must specify at least one feature to %s", word);
    }
    qsort(updates.items, updates.count, sizeof *updates.items, order_updates);
    struct ottla_admin_options options = {.validate_only = tool_has(tool, "dry-run")};
    struct ottla_call *call = ottla_features_update(client, updates.items, updates.count, &options);
    struct ottla_error error;
    (void)tool_wait(tool, call, &error);
    size_t count;
    size_t failed = 0;
    const struct ottla_feature_result *results = ottla_call_feature_results(call, &count);
    for (size_t i = 0; i < updates.count && i < count; i++) {
        bool well = results[i].code == OTTLA_OK;
        print_update(tool, &updates.items[i], word, well ? NULL : results[i].text);
        failed += !well;
    }
    return failed == 0
               ? TOOL_DONE
               : tool_fail(tool, "%zu out of %zu operation(s) failed.", failed, updates.count);
}

/* --- of releases --- */

int features_print_mapping(struct tool *tool) {
    static const char *const order[] = {"kraft.version", "transaction.version",
                                        "group.version", "eligible.leader.replicas.version",
                                        "share.version", "streams.version"};
    const char *release = tool_text(tool, "release-version");
    int16_t version = METADATA_VERSION_LATEST;
    if (release != NULL && !parse_release(release, &version)) {
        return fail_release(tool, release);
    }
    printf("metadata.version=%d (%s)\n", (int)version, metadata_version_name(version));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct meta_feature_info *feature = meta_feature_find(str_from_c(order[i]));
        printf("%s=%d\n", order[i], (int)meta_feature_default(feature, version));
    }
    return TOOL_DONE;
}

static int print_dependency(struct tool *tool, const char *name, int16_t level) {
    if (is_metadata(name)) {
        if (metadata_version_name(level) == NULL) {
            return tool_fail(tool, "Unknown metadata.version %d", (int)level);
        }
        printf("%s=%d (%s) has no dependencies.\n", name, (int)level, metadata_version_name(level));
        return TOOL_DONE;
    }
    const struct meta_feature_info *feature = meta_feature_find(str_from_c(name));
    if (feature == NULL) {
        return tool_fail(tool, "Unknown feature: %s", name);
    }
    if (level < feature->min || level > feature->max) {
        return tool_fail(tool, "No feature:%s with feature level %d", name, (int)level);
    }
    int16_t needed = feature->needs_metadata_version[level];
    if (needed == 0) {
        printf("%s=%d has no dependencies.\n", name, (int)level);
    } else {
        printf("%s=%d requires:\n    metadata.version=%d (%s)\n", name, (int)level, (int)needed,
               metadata_version_name(needed));
    }
    return TOOL_DONE;
}

int features_print_dependencies(struct tool *tool) {
    const char *const *texts;
    size_t count = tool_texts(tool, "feature", &texts);
    int code = TOOL_DONE;
    for (size_t i = 0; i < count && code == TOOL_DONE; i++) {
        const char *name;
        int16_t level;
        code = parse_level(tool, texts[i], &name, &level) ? print_dependency(tool, name, level)
                                                          : TOOL_FAILED;
    }
    return code;
}

int kafka_features(struct tool *tool) {
    const char *command = tool_subcommand(tool);
    struct ottla_client *client;
    if (strcmp(command, "version-mapping") == 0) {
        return features_print_mapping(tool);
    }
    if (strcmp(command, "feature-dependencies") == 0) {
        return features_print_dependencies(tool);
    }
    if (!tool_has(tool, "bootstrap-server") && !tool_has(tool, "bootstrap-controller")) {
        return tool_fail(tool, "Command line error: You must specify either --bootstrap-controller "
                               "or --bootstrap-server.. Type --help for help.");
    }
    bool describing = strcmp(command, "describe") == 0;
    if (describing && tool_has(tool, "node-id")) {
        return tool_unsupported(tool, "node-id");
    }
    if (tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return describing ? describe(tool, client) : update(tool, client);
}
