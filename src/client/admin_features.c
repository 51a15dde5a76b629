/* Features: those that a broker supports, the levels in force, and their change. */
#include <stdlib.h>
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

/* --- describe --- */

static int feature_compare(const void *a, const void *b) {
    const struct ottla_feature *left = a;
    const struct ottla_feature *right = b;
    return strcmp(left->name, right->name);
}

/* Of those that have been put there already, or a new one behind them. */
static struct ottla_feature *feature_at(struct ottla_call *call, struct ottla_feature *features,
                                        size_t *count, size_t supported_count, struct str name) {
    const char *text = admin_text(call, name);
    struct ottla_feature key = {.name = text};
    struct ottla_feature *found = supported_count == 0 ? NULL
                                                       : bsearch(&key, features, supported_count,
                                                                 sizeof key, feature_compare);
    if (found == NULL) {
        found = &features[(*count)++];
        *found = (struct ottla_feature){.name = text, .supported_min = -1, .supported_max = -1};
    }
    return found;
}

static void features_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct api_versions_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_item_answer(part->items[0], answer->error_code, STR_NULL)) {
        return;
    }
    int32_t supported = answer->supported_features_count;
    int32_t finalized = answer->finalized_features_count;
    struct ottla_feature *features = ARENA_ARRAY(&call->arena, struct ottla_feature,
                                                 (size_t)(supported > 0 ? supported : 0) +
                                                     (size_t)(finalized > 0 ? finalized : 0));
    size_t count = 0;
    for (int32_t i = 0; i < supported; i++) {
        struct ottla_feature *feature =
            feature_at(call, features, &count, 0, answer->supported_features[i].name);
        feature->supported_min = answer->supported_features[i].min_version;
        feature->supported_max = answer->supported_features[i].max_version;
    }
    size_t known = count;
    if (count > 0) {
        qsort(features, count, sizeof *features, feature_compare);
    }
    for (int32_t i = 0; i < finalized; i++) {
        feature_at(call, features, &count, known, answer->finalized_features[i].name)->finalized =
            answer->finalized_features[i].max_version_level;
    }
    if (count > 0) {
        qsort(features, count, sizeof *features, feature_compare);
    }
    struct ottla_features *result = admin_result_add(call);
    result->epoch = answer->finalized_features_epoch;
    result->features = features;
    result->feature_count = count;
}

static const struct admin_stage features_stages[] = {{
    .api_key = API_API_VERSIONS,
    .route = ADMIN_ANY,
    .build = admin_versions_build,
    .take = features_take,
}};
static const struct admin_op features_op = {
    .name = "describe features",
    .kind = ADMIN_FEATURES,
    .stages = features_stages,
};

struct ottla_call *ottla_features_describe(struct ottla_client *client,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &features_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}

/* --- update --- */

static err_t update_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    typedef struct update_features_request_feature_update_key update_key;
    struct update_features_request *request = ADMIN_REQUEST(arena, update_features_request);
    request->timeout_ms = admin_timeout_ms(part->call);
    request->validate_only = part->call->options.validate_only;
    request->feature_updates = ARENA_ARRAY(arena, update_key, part->item_count);
    request->feature_updates_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        const struct ottla_feature_update *update = part->items[i]->input;
        update_key *key = &request->feature_updates[i];
        key->feature = part->items[i]->name;
        key->max_version_level = update->level;
        key->upgrade_type = version >= 1 ? (int8_t)update->type : 1;
        key->allow_downgrade = version < 1 && update->type != OTTLA_UPGRADE;
        if (version < 1 && update->type == OTTLA_UNSAFE_DOWNGRADE) {
            return ERR_UNSUPPORTED_VERSION;
        }
    }
    *ret_request = request;
    return ERR_OK;
}

/* From version 2 on there is one code for all of them. */
static void update_take(struct admin_part *part, const void *response, int16_t version) {
    const struct update_features_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, answer->error_message)) {
        return;
    }
    for (int32_t i = 0; i < answer->results_count; i++) {
        struct admin_item *item = admin_find(part, answer->results[i].feature, 0);
        if (item != NULL) {
            (void)admin_item_answer(item, answer->results[i].error_code,
                                    answer->results[i].error_message);
        }
    }
    for (size_t i = 0; version >= 2 && i < part->item_count; i++) {
        admin_item_end(part->items[i], OTTLA_OK, NULL);
    }
}

static const struct admin_stage update_stages[] = {{
    .api_key = API_UPDATE_FEATURES,
    .route = ADMIN_CONTROLLER,
    .build = update_build,
    .take = update_take,
}};
static const struct admin_op update_op = {
    .name = "update features",
    .kind = ADMIN_FEATURE_RESULTS,
    .effect = ADMIN_VALIDATES,
    .stages = update_stages,
};

struct ottla_call *ottla_features_update(struct ottla_client *client,
                                         const struct ottla_feature_update *updates, size_t count,
                                         const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &update_op, options);
    for (size_t i = 0; i < count; i++) {
        const char *name = updates[i].name == NULL ? "" : updates[i].name;
        struct admin_item *item = admin_item_add(call, str_from_c(name), 0, "feature %s", name);
        struct ottla_feature_update *copy = ARENA_NEW(&call->arena, struct ottla_feature_update);
        *copy = updates[i];
        item->input = copy;
        struct ottla_feature_result *result = admin_result_add(call);
        result->name = admin_text(call, item->name);
        item->result = result;
    }
    return admin_start(call);
}
