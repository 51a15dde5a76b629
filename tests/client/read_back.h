#pragma once

#include "client/core.h"
#include "wire/record_batch.h"

/* What a suite needs of a broker beside the part of the library that it plays: topics as it wants
 * them, and what stands in a partition, by plain requests. */

/* Pairs of names and values of settings, ended by NULL. Fails the test when it cannot be made. */
void topic_create(struct ottla_client *client, const char *topic, int32_t partition_count, ...);
void topic_grow(struct ottla_client *client, const char *topic, int32_t partition_count);

struct read_back {
    struct arena arena;
    struct record *records; /* in order of their offsets */
    size_t count;
    enum compression_type *codecs; /* of each record's batch */
    size_t capacity;
};

/* All of a partition. */
void read_back(struct ottla_client *client, const char *topic, int32_t partition,
               struct read_back *ret_read);
void read_back_done(struct read_back *read);
