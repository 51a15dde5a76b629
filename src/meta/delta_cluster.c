/* Brokers, controllers and features: how records change them. */
#include <stdlib.h>

#include "meta/delta_int.h"

static void note_broker(struct meta_delta *delta, int32_t id, enum meta_change change) {
    struct broker_work *work = map_get_u64(&delta->brokers, id_key(id));
    if (work == NULL) {
        work = delta_calloc(sizeof *work);
        work->id = id;
        work->change = change;
        list_add_last(&delta->broker_list, &work->link);
        (void)map_put_u64(&delta->brokers, id_key(id), work);
    } else if (work->change == META_CREATED && change == META_DELETED) {
        list_remove(&work->link);
        (void)map_remove_u64(&delta->brokers, id_key(id));
        free(work);
    } else if (work->change == META_DELETED && change == META_CREATED) {
        work->change = META_CHANGED;
    } else if (work->change == META_CHANGED && change == META_DELETED) {
        work->change = META_DELETED;
    }
}

static void put_broker(struct meta_delta *delta, const struct meta_broker *from) {
    bool known = meta_image_broker(delta->image, from->id) != NULL;
    struct meta_broker *broker = meta_broker_copy(from);
    pmap_put_u64(&delta->image->brokers, id_key(broker->id), &broker->shared);
    note_broker(delta, broker->id, known ? META_CHANGED : META_CREATED);
}

/* The registrations of brokers and controllers have endpoints and features of one shape each. */
#define COPY_ENDPOINTS(to, from, count)                                                            \
    for (int32_t i = 0; i < (count); i++) {                                                        \
        (to)[i] = (struct meta_endpoint){.name = (from)[i].name,                                   \
                                         .host = (from)[i].host,                                   \
                                         .port = (from)[i].port,                                   \
                                         .security_protocol = (from)[i].security_protocol};        \
    }
#define COPY_FEATURES(to, from, count)                                                             \
    for (int32_t i = 0; i < (count); i++) {                                                        \
        (to)[i] = (struct meta_feature_range){.name = (from)[i].name,                              \
                                              .min = (from)[i].min_supported_version,              \
                                              .max = (from)[i].max_supported_version};             \
    }

err_t delta_register_broker(struct meta_delta *delta, const struct register_broker_record *record) {
    struct meta_endpoint *endpoints =
        delta_calloc((size_t)(record->end_points_count + 1) * sizeof *endpoints);
    struct meta_feature_range *features =
        delta_calloc((size_t)(record->features_count + 1) * sizeof *features);
    COPY_ENDPOINTS(endpoints, record->end_points, record->end_points_count)
    COPY_FEATURES(features, record->features, record->features_count)
    struct meta_broker broker = {
        .id = record->broker_id,
        .epoch = record->broker_epoch,
        .incarnation_id = record->incarnation_id,
        .rack = record->rack,
        .fenced = record->fenced,
        .in_controlled_shutdown = record->in_controlled_shutdown,
        .migrating_zk_broker = record->is_migrating_zk_broker,
        .endpoint_count = record->end_points_count,
        .feature_count = record->features_count,
        .log_dir_count = record->log_dirs_count,
        .cordoned_log_dir_count = record->cordoned_log_dirs_count,
        .endpoints = endpoints,
        .features = features,
        .log_dirs = record->log_dirs,
        .cordoned_log_dirs = record->cordoned_log_dirs,
    };
    put_broker(delta, &broker);
    free(endpoints);
    free(features);
    return ERR_OK;
}

/* The broker that a record speaks of; NULL, with the reason noted, when it is not this one. */
static const struct meta_broker *registered(struct meta_delta *delta, const char *record,
                                            int32_t id, int64_t epoch) {
    const struct meta_broker *broker = meta_image_broker(delta->image, id);
    if (broker == NULL) {
        (void)delta_refuse(delta, "%s: broker %d is not registered", record, id);
        return NULL;
    }
    if (broker->epoch != epoch) {
        (void)delta_refuse(delta, "%s: broker %d has epoch %lld, not %lld", record, id,
                           (long long)broker->epoch, (long long)epoch);
        return NULL;
    }
    return broker;
}

err_t delta_unregister_broker(struct meta_delta *delta,
                              const struct unregister_broker_record *record) {
    if (registered(delta, "UnregisterBrokerRecord", record->broker_id, record->broker_epoch) ==
        NULL) {
        return ERR_INVALID;
    }
    pmap_remove_u64(&delta->image->brokers, id_key(record->broker_id));
    note_broker(delta, record->broker_id, META_DELETED);
    return ERR_OK;
}

static err_t set_fenced(struct meta_delta *delta, const char *record, int32_t id, int64_t epoch,
                        bool fenced) {
    const struct meta_broker *broker = registered(delta, record, id, epoch);
    if (broker == NULL) {
        return ERR_INVALID;
    }
    struct meta_broker changed = *broker;
    changed.fenced = fenced;
    put_broker(delta, &changed);
    return ERR_OK;
}

err_t delta_fence_broker(struct meta_delta *delta, const struct fence_broker_record *record) {
    return set_fenced(delta, "FenceBrokerRecord", record->id, record->epoch, true);
}

err_t delta_unfence_broker(struct meta_delta *delta, const struct unfence_broker_record *record) {
    return set_fenced(delta, "UnfenceBrokerRecord", record->id, record->epoch, false);
}

err_t delta_change_broker(struct meta_delta *delta,
                          const struct broker_registration_change_record *record) {
    const struct meta_broker *broker = registered(delta, "BrokerRegistrationChangeRecord",
                                                  record->broker_id, record->broker_epoch);
    if (broker == NULL) {
        return ERR_INVALID;
    }
    if (record->fenced < -1 || record->fenced > 1 || record->in_controlled_shutdown < 0 ||
        record->in_controlled_shutdown > 1) {
        return delta_refuse(delta, "BrokerRegistrationChangeRecord: fenced %d, in shutdown %d",
                            record->fenced, record->in_controlled_shutdown);
    }
    struct meta_broker changed = *broker;
    if (record->fenced != 0) {
        changed.fenced = record->fenced == 1;
    }
    if (record->in_controlled_shutdown == 1) {
        changed.in_controlled_shutdown = true;
    }
    if (record->log_dirs_count > 0) {
        changed.log_dirs = record->log_dirs;
        changed.log_dir_count = record->log_dirs_count;
    }
    if (record->cordoned_log_dirs_count >= 0) {
        changed.cordoned_log_dirs = record->cordoned_log_dirs;
        changed.cordoned_log_dir_count = record->cordoned_log_dirs_count;
    }
    put_broker(delta, &changed);
    return ERR_OK;
}

err_t delta_register_controller(struct meta_delta *delta,
                                const struct register_controller_record *record) {
    struct meta_endpoint *endpoints =
        delta_calloc((size_t)(record->end_points_count + 1) * sizeof *endpoints);
    struct meta_feature_range *features =
        delta_calloc((size_t)(record->features_count + 1) * sizeof *features);
    COPY_ENDPOINTS(endpoints, record->end_points, record->end_points_count)
    COPY_FEATURES(features, record->features, record->features_count)
    struct meta_controller from = {
        .id = record->controller_id,
        .incarnation_id = record->incarnation_id,
        .zk_migration_ready = record->zk_migration_ready,
        .endpoint_count = record->end_points_count,
        .feature_count = record->features_count,
        .endpoints = endpoints,
        .features = features,
    };
    struct meta_controller *controller = meta_controller_copy(&from);
    pmap_put_u64(&delta->image->controllers, id_key(controller->id), &controller->shared);
    delta->flags.controllers = true;
    free(endpoints);
    free(features);
    return ERR_OK;
}

/* kraft.version is the quorum's own; level 0 is the same as not there. */
err_t delta_feature(struct meta_delta *delta, const struct feature_level_record *record) {
    if (str_equal(record->name, STR("kraft.version"))) {
        return ERR_OK;
    }
    bool metadata_version = str_equal(record->name, STR(META_FEATURE_METADATA_VERSION));
    if (metadata_version && metadata_version_name(record->feature_level) == NULL) {
        (void)delta_refuse(delta,
                           "FeatureLevelRecord: metadata.version %d is none of %d to %d that this "
                           "release knows",
                           record->feature_level, METADATA_VERSION_MIN, METADATA_VERSION_LATEST);
        return ERR_UNSUPPORTED;
    }
    if (record->feature_level == 0) {
        pmap_remove(&delta->image->features, str_bytes(record->name));
    } else {
        struct meta_feature *feature = meta_feature_make(record->name, record->feature_level);
        pmap_put(&delta->image->features, str_bytes(feature->name), &feature->shared);
    }
    delta->flags.features = true;
    return ERR_OK;
}

void delta_brokers_done(struct meta_delta *delta) {
    struct list *link;
    while ((link = list_take_first(&delta->broker_list)) != NULL) {
        free(container_of(link, struct broker_work, link));
    }
    map_done(&delta->brokers);
}

void delta_brokers_finish(struct meta_delta *delta, struct meta_changes *changes) {
    changes->brokers = delta_calloc((map_count(&delta->brokers) + 1) * sizeof *changes->brokers);
    struct list *link;
    list_for_each (link, &delta->broker_list) {
        const struct broker_work *work = container_of(link, struct broker_work, link);
        changes->brokers[changes->broker_count++] =
            (struct meta_broker_change){.change = work->change, .id = work->id};
    }
}
