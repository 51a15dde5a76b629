#pragma once

#include "base/list.h"
#include "base/map.h"
#include "meta/delta.h"
#include "meta/object_int.h"

enum { DELTA_ERROR_MAX = 256 };

/* What was done to one topic so far. */
struct topic_work {
    struct list link; /* in the order of first change */
    enum meta_change change;
    struct uuid id;
    struct str name; /* owned */
    /* The topic as this delta made it: nobody else has seen it, so it may be changed in place.
     * NULL: the image still holds the base's. */
    struct meta_topic *fresh;
    int32_t *partitions; /* changed ones, unsorted, with repetitions; unused when CREATED */
    size_t partition_count;
    size_t partition_capacity;
};

struct broker_work {
    struct list link;
    enum meta_change change;
    int32_t id;
};

struct config_work {
    struct list link;
    struct meta_config_resource *fresh; /* as in topic_work */
    int8_t type;
    struct str name;  /* inside key */
    struct bytes key; /* owned */
};

struct meta_delta {
    struct meta_image *image; /* grows into the next one; nobody else holds it */
    struct map topics;        /* struct topic_work by id */
    struct map brokers;       /* struct broker_work by id */
    struct map configs;       /* struct config_work by key */
    struct list topic_list;
    struct list broker_list;
    struct list config_list;
    struct meta_changes flags; /* only the flags are used */
    char error[DELTA_ERROR_MAX];
};

/* ERR_INVALID, with a sentence in delta->error. */
err_t delta_refuse(struct meta_delta *delta, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void *delta_calloc(size_t size);
struct bytes delta_dup(struct bytes bytes); /* null stays null */

/* --- delta_topics.c --- */
err_t delta_topic(struct meta_delta *delta, const struct topic_record *record);
err_t delta_partition(struct meta_delta *delta, const struct partition_record *record);
err_t delta_partition_change(struct meta_delta *delta,
                             const struct partition_change_record *record);
err_t delta_remove_topic(struct meta_delta *delta, const struct remove_topic_record *record);
err_t delta_clear_elr(struct meta_delta *delta, const struct clear_elr_record *record);
/* All partitions of a topic as those that changed. */
void delta_list_partitions(const struct meta_topic *topic, struct meta_topic_change *change);
void delta_topics_done(struct meta_delta *delta);
void delta_topics_finish(struct meta_delta *delta, struct meta_changes *changes);

/* --- delta_cluster.c --- */
err_t delta_register_broker(struct meta_delta *delta, const struct register_broker_record *record);
err_t delta_unregister_broker(struct meta_delta *delta,
                              const struct unregister_broker_record *record);
err_t delta_fence_broker(struct meta_delta *delta, const struct fence_broker_record *record);
err_t delta_unfence_broker(struct meta_delta *delta, const struct unfence_broker_record *record);
err_t delta_change_broker(struct meta_delta *delta,
                          const struct broker_registration_change_record *record);
err_t delta_register_controller(struct meta_delta *delta,
                                const struct register_controller_record *record);
err_t delta_feature(struct meta_delta *delta, const struct feature_level_record *record);
void delta_brokers_done(struct meta_delta *delta);
void delta_brokers_finish(struct meta_delta *delta, struct meta_changes *changes);

/* --- delta_configs.c --- */
err_t delta_config(struct meta_delta *delta, const struct config_record *record);
void delta_drop_configs(struct meta_delta *delta, int8_t type, struct str name);
void delta_configs_done(struct meta_delta *delta);
void delta_configs_finish(struct meta_delta *delta, struct meta_changes *changes);

/* --- kept.c: any of the kinds that are only kept --- */
err_t delta_keep(struct meta_delta *delta, const struct meta_record *record);
