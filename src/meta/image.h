#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "meta/persistent_map.h"
#include "meta/record.h"

/*
 * All of the cluster's metadata at one offset of the metadata log.
 *
 * An image never changes. The next one is made from it with a delta and shares with it all that
 * stayed the same, so many may be alive at a time: each reactor keeps the one it works with pinned.
 * Reading needs no lock; what a lookup returns is borrowed and lives as long as the image is held.
 *
 * Kinds of metadata that the server does not act upon (ACLs, SCRAM, quotas, delegation tokens)
 * are kept as they came, so that they survive in snapshots.
 */

enum {
    META_LEADER_NONE = -1,
    META_RECOVERY_NONE = 0,      /* leader recovery state: nothing to do */
    META_RECOVERY_RECOVERING = 1 /* elected uncleanly, not through with it */
};

/* Kafka's numbers of config resources. */
enum meta_resource {
    META_RESOURCE_TOPIC = 2,
    META_RESOURCE_BROKER = 4, /* name: the node id as decimal; "" is the default of all brokers */
    META_RESOURCE_BROKER_LOGGER = 8,
    META_RESOURCE_CLIENT_METRICS = 16,
    META_RESOURCE_GROUP = 32,
};

/* Which part of the metadata log an image contains. */
struct meta_provenance {
    int64_t offset;       /* of the last record in it; -1: none */
    int32_t epoch;        /* of that record */
    int64_t timestamp_ms; /* of the batch of that record */
};

struct meta_endpoint {
    struct str name; /* of the listener */
    struct str host;
    uint16_t port;
    int16_t security_protocol; /* 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL */
};

struct meta_feature_range {
    struct str name;
    int16_t min;
    int16_t max;
};

struct meta_broker {
    struct shared shared;
    int32_t id;
    int64_t epoch;
    struct uuid incarnation_id;
    struct str rack; /* null: none */
    bool fenced;
    bool in_controlled_shutdown;
    bool migrating_zk_broker;
    int32_t endpoint_count;
    int32_t feature_count;
    int32_t log_dir_count;
    int32_t cordoned_log_dir_count; /* -1: null, the broker did not say */
    const struct meta_endpoint *endpoints;
    const struct meta_feature_range *features;
    const struct uuid *log_dirs;
    const struct uuid *cordoned_log_dirs;
};

struct meta_controller {
    struct shared shared;
    int32_t id;
    struct uuid incarnation_id;
    bool zk_migration_ready;
    int32_t endpoint_count;
    int32_t feature_count;
    const struct meta_endpoint *endpoints;
    const struct meta_feature_range *features;
};

struct meta_partition {
    struct shared shared;
    int32_t id;     /* the partition's number in its topic */
    int32_t leader; /* META_LEADER_NONE */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t leader_recovery_state;
    int32_t replica_count;
    int32_t isr_count;
    int32_t removing_count;
    int32_t adding_count;
    int32_t elr_count;
    int32_t last_known_elr_count;
    const int32_t *replicas;
    const struct uuid *directories; /* as many as replicas: where each keeps it */
    const int32_t *isr;
    const int32_t *removing;
    const int32_t *adding;
    const int32_t *elr; /* eligible leader replicas */
    const int32_t *last_known_elr;
};

struct meta_topic {
    struct shared shared;
    struct uuid id;
    struct str name;
    struct pmap partitions; /* of struct meta_partition, by number */
};

struct meta_feature {
    struct shared shared;
    struct str name;
    int16_t level;
};

struct meta_config {
    struct shared shared;
    struct str name;
    struct str value;
};

struct meta_config_resource {
    struct shared shared;
    int8_t type; /* enum meta_resource */
    struct str name;
    struct pmap configs; /* of struct meta_config, by name; never empty */
};

/* Kinds that are kept and not acted upon are held as the record that made them (see kept.c). */
struct meta_kept {
    struct shared shared;
    struct bytes key;
    int16_t type;      /* enum meta_record_type */
    struct bytes body; /* of the record, in the newest version of its type */
};

struct meta_image {
    struct shared shared;
    struct meta_provenance provenance;
    struct pmap features;          /* struct meta_feature by name, metadata.version among them */
    struct pmap brokers;           /* struct meta_broker by id, fenced ones too */
    struct pmap controllers;       /* struct meta_controller by id */
    struct pmap topics;            /* struct meta_topic by name */
    struct pmap topics_by_id;      /* the same, by id */
    struct pmap configs;           /* struct meta_config_resource by type and name */
    struct pmap quotas;            /* struct meta_kept of client_quota_record */
    struct pmap acls;              /* struct meta_kept of access_control_entry_record, by id */
    struct pmap scrams;            /* struct meta_kept of user_scram_credential_record */
    struct pmap tokens;            /* struct meta_kept of delegation_token_record */
    int64_t partition_count;       /* of all topics */
    int64_t next_producer_id;      /* -1: no block was given out yet */
    int8_t zk_migration_state;     /* 0 none; kept for the sake of old clusters */
    bool zk_migration_state_known; /* a record said so */
};

/* The image of an empty log. */
struct meta_image *meta_image_new(void);
struct meta_image *meta_image_ref(struct meta_image *image); /* any thread; returns it */
void meta_image_unref(struct meta_image *image);             /* any thread; accepts NULL */

/* Whether both hold the same metadata; where they come from does not count. */
bool meta_image_equal(const struct meta_image *a, const struct meta_image *b);

/* Lookups: NULL (or the value named) when there is none. */
const struct meta_topic *meta_image_topic(const struct meta_image *image, struct str name);
const struct meta_topic *meta_image_topic_by_id(const struct meta_image *image, struct uuid id);
const struct meta_partition *meta_topic_partition(const struct meta_topic *topic, int32_t id);
const struct meta_broker *meta_image_broker(const struct meta_image *image, int32_t id);
const struct meta_controller *meta_image_controller(const struct meta_image *image, int32_t id);
const struct meta_config_resource *meta_image_config_resource(const struct meta_image *image,
                                                              int8_t type, struct str name);
/* The value set on this very resource, without defaults; STR_NULL when it is not set. */
struct str meta_image_config(const struct meta_image *image, int8_t type, struct str resource_name,
                             struct str config_name);

/* The finalised level of a feature; 0 when it is not set. kraft.version is not among them: that
 * one belongs to the quorum. */
int16_t meta_image_feature(const struct meta_image *image, struct str name);
int16_t meta_image_metadata_version(const struct meta_image *image);

/* Whether a replica in this directory of the broker can be used: the directory has not failed, as
 * far as is known. broker may be NULL. */
bool meta_broker_has_online_dir(const struct meta_broker *broker, struct uuid dir);

/* Where the broker keeps its replica; zero when it has none. */
struct uuid meta_partition_directory(const struct meta_partition *partition, int32_t broker_id);

bool meta_partition_has_replica(const struct meta_partition *partition, int32_t broker_id);
bool meta_partition_in_isr(const struct meta_partition *partition, int32_t broker_id);
