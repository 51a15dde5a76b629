#pragma once

#include "meta/image.h"

/*
 * The way from one image to the next: records are applied one by one, then finish yields the new
 * image and says what changed, so that nobody has to compare images. Belongs to one thread.
 *
 * Records of a metadata transaction are applied like others; who reads a log decides with
 * meta_loader (loader.h) when a delta is finished or thrown away.
 */
struct meta_delta;

/* The base may be given back afterwards: what is shared is counted. */
struct meta_delta *meta_delta_new(struct meta_image *base);
void meta_delta_free(struct meta_delta *delta); /* throws it away; accepts NULL */

/*
 * Applies a record whose strings may go away afterwards.
 *
 * ERR_INVALID:     it does not fit what is there (an unknown topic, a stale epoch); nothing was
 *                  changed and meta_delta_error says what.
 * ERR_UNSUPPORTED: not a record type of ours.
 */
err_t meta_delta_apply(struct meta_delta *delta, const struct meta_record *record);
const char *meta_delta_error(const struct meta_delta *delta);

/* The image as of what was applied so far, borrowed until the next call on the delta. Its
 * provenance is that of the base. */
const struct meta_image *meta_delta_image(const struct meta_delta *delta);

enum meta_change { META_CREATED, META_CHANGED, META_DELETED };

struct meta_topic_change {
    enum meta_change change;
    struct uuid id;
    struct str name;
    int32_t *partitions; /* numbers of those made or changed, rising; all when CREATED */
    int32_t partition_count;
};

struct meta_broker_change {
    enum meta_change change;
    int32_t id;
};

struct meta_config_change {
    int8_t type; /* enum meta_resource */
    struct str name;
};

struct meta_changes {
    struct meta_topic_change *topics; /* a topic deleted and made again is there twice */
    int32_t topic_count;
    struct meta_broker_change *brokers;
    int32_t broker_count;
    struct meta_config_change *configs; /* resources of which any config was set or removed */
    int32_t config_count;
    bool features;
    bool controllers;
    bool producer_ids;
    bool quotas;
    bool acls;
    bool scrams;
    bool tokens;
};

void meta_changes_free(struct meta_changes *changes); /* accepts NULL */

/* Makes the next image, for which meta_image_unref is due, and frees the delta. ret_changes may be
 * NULL. */
struct meta_image *meta_delta_finish(struct meta_delta *delta,
                                     const struct meta_provenance *provenance,
                                     struct meta_changes **ret_changes);
