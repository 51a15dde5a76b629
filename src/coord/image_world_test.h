#pragma once

#include <stdio.h>

#include "coord/groups_int.h"

/* The cluster of transcripts: the metadata image that a shard looks at, and what changes it. */
struct image_world_test {
    FILE *out; /* for what is wrong with a change */
    struct meta_image *image;
    struct groups *groups; /* that are told; NULL: none yet */
    struct config *config;
    int next_broker;
};

/* A topic whose partitions have replicas on new brokers of these racks ("-": of none); when it is
 * there already it gets more partitions. */
void image_world_test_topic(struct image_world_test *test, const char *name, int partitions,
                            const char *racks);
void image_world_test_delete(struct image_world_test *test, const char *name);
void image_world_test_feature(struct image_world_test *test, const char *name, int level);
void image_world_test_group_config(struct image_world_test *test, const char *group,
                                   const char *name, const char *value);
