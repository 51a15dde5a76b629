#pragma once

#include "ottla/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Topics, settings, groups, transactions, offsets, logs, the quorum.
 *
 * Each operation starts a call and returns its handle; what it was given is copied. The call goes
 * on while the client's loop runs. A call is about items (topics, partitions, groups …): each
 * is asked where it belongs (controller, coordinator, leader, broker), repeated as long as its
 * error is one that passes, and ends with a code of its own. Results are arrays in the order in
 * which the items were given, each with its code and text, and live until the call is freed.
 *
 *     struct ottla_call *call = ottla_topics_create(client, topics, 2, NULL);
 *     struct ottla_error error;
 *     if (ottla_call_wait(call, -1, &error) != OTTLA_OK) {
 *         puts(error.text);
 *     }
 *     ottla_call_free(call);
 *
 * Ids of topics and directories are texts of 22 characters, NULL where there is none. Lists in
 * results have their count behind them. `authorized_operations` has a bit for each of Kafka's
 * numbers of operations, and is INT32_MIN when it was not asked for. An API that the broker does
 * not have is OTTLA_UNSUPPORTED; the text names the API and the broker.
 */

/* --- calls --- */

struct ottla_call;

/* Waits up to timeout_ms (-1: until it is done). OTTLA_OK: done, and all items are well; else the
 * code of the first that is not, its text in *ret_error. While ottla_call_is_done says no it goes
 * on and may be waited for again: OTTLA_TIMED_OUT, OTTLA_CLOSED (ottla_client_interrupt),
 * OTTLA_BUSY (inside a function that the library called). */
int ottla_call_wait(struct ottla_call *call, int64_t timeout_ms, struct ottla_error *ret_error);

/* Called once when it is done, from the loop; in the next turn when it is done already. May free
 * the call, if nobody waits for it. */
typedef void (*ottla_call_fn)(void *arg, struct ottla_call *call);
void ottla_call_on_done(struct ottla_call *call, ottla_call_fn fn, void *arg);

bool ottla_call_is_done(const struct ottla_call *call);

/* What ottla_call_wait says when it is done; OTTLA_PENDING before. */
int ottla_call_code(const struct ottla_call *call, struct ottla_error *ret_error);

/* Every item that failed; of lists that many brokers give, which brokers did not. */
struct ottla_failure {
    int code;
    const char *text;  /* names the item */
    int32_t broker_id; /* that was asked, or -1 */
};
const struct ottla_failure *ottla_call_failures(const struct ottla_call *call, size_t *ret_count);

/* Ends it when it is not done; a broker may still act on what it was sent. Accepts NULL. */
void ottla_call_free(struct ottla_call *call);

/* Zero-initialised, or NULL, is what Kafka's tools do. */
struct ottla_admin_options {
    int64_t timeout_ms; /* for all of the call; 0: default.api.timeout.ms */

    /* The brokers check and change nothing: topics and partitions create, configs alter and
     * replace, features update. The protocol has no such thing for what else changes something:
     * OTTLA_UNSUPPORTED, and nobody is asked. */
    bool validate_only;

    bool authorized_operations; /* topics, groups, cluster describe */
    bool internal;              /* topics list: with internal ones */
    bool synonyms;              /* configs describe */
    bool documentation;         /* configs describe */
    bool read_committed;        /* offsets list: the end is the last stable offset */
    bool stable;                /* group offsets list: not before open transactions ended */
    bool fenced;                /* cluster describe: brokers that are fenced, too */
    bool controllers;           /* cluster describe: controllers, as with bootstrap.controllers */
    bool keep_replica_count;    /* reassignments alter: another count of replicas is an error */

    const char *reason; /* members remove: for the coordinator's log; may be NULL */
    /* groups list: "Stable", "Empty" …; transactions list: "Ongoing", "PrepareAbort" …; count 0:
     * all */
    const char *const *states;
    size_t state_count;
    const char *const *types; /* groups list: "Classic", "Consumer" …; count 0: all */
    size_t type_count;

    const int64_t *producer_ids; /* transactions list: only these; count 0: all */
    size_t producer_id_count;
    /* transactions list: only those that began longer ago; brokers count what never began as old.
     * NULL: all. Brokers from 3.8 on */
    const int64_t *older_than_ms;
    const char *id_pattern; /* transactions list: ids that match this regular expression as a whole,
                             * in the syntax of the broker; NULL: all. Brokers from 4.1 on */
    const int32_t *broker_id; /* producers describe: as this replica sees it; NULL: the leaders */
};

/* --- topics --- */

struct ottla_replicas {
    const int32_t *brokers; /* the first is preferred as the leader */
    size_t count;
};

struct ottla_setting {
    const char *name;
    const char *value;
};

struct ottla_new_topic {
    const char *name;
    int32_t partitions;                       /* 0 or -1: the brokers' default */
    int16_t replication_factor;               /* 0 or -1: the brokers' default */
    const struct ottla_replicas *assignments; /* by partition, instead of the two above */
    size_t assignment_count;
    const struct ottla_setting *configs;
    size_t config_count;
};

/* One of the two. */
struct ottla_topic_ref {
    const char *name;
    const char *id;
};

struct ottla_new_partitions {
    const char *topic;
    int32_t count;                            /* there will be */
    const struct ottla_replicas *assignments; /* of the new ones, in order; or NULL */
    size_t assignment_count;
};

struct ottla_call *ottla_topics_create(struct ottla_client *client,
                                       const struct ottla_new_topic *topics, size_t count,
                                       const struct ottla_admin_options *options);
struct ottla_call *ottla_topics_delete(struct ottla_client *client,
                                       const struct ottla_topic_ref *topics, size_t count,
                                       const struct ottla_admin_options *options);
struct ottla_call *ottla_partitions_create(struct ottla_client *client,
                                           const struct ottla_new_partitions *topics, size_t count,
                                           const struct ottla_admin_options *options);

struct ottla_config_entry;

/* Of the three above. */
struct ottla_topic_result {
    int code;
    const char *text;
    const char *name;
    const char *id;
    int32_t partitions; /* of created topics; -1: not told */
    int16_t replication_factor;
    const struct ottla_config_entry *configs; /* of created topics */
    size_t config_count;
};
const struct ottla_topic_result *ottla_call_topics(const struct ottla_call *call,
                                                   size_t *ret_count);

/* By name with DescribeTopicPartitions (pages are followed), by id, and with brokers that do not
 * have it, with Metadata. */
struct ottla_call *ottla_topics_describe(struct ottla_client *client,
                                         const struct ottla_topic_ref *topics, size_t count,
                                         const struct ottla_admin_options *options);
/* All topics, sorted by name, described with Metadata: without eligible leader replicas. */
struct ottla_call *ottla_topics_list(struct ottla_client *client,
                                     const struct ottla_admin_options *options);

struct ottla_partition_description {
    int code; /* LEADER_NOT_AVAILABLE …; the rest holds all the same */
    int32_t partition;
    int32_t leader;       /* -1: none */
    int32_t leader_epoch; /* -1: not told */
    struct ottla_replicas replicas;
    struct ottla_replicas isr;
    struct ottla_replicas offline;
    struct ottla_replicas eligible; /* brokers NULL: not told */
    struct ottla_replicas last_known_eligible;
};

/* Of describe and list. */
struct ottla_topic_description {
    int code;
    const char *text;
    const char *name;
    const char *id;
    bool internal;
    int32_t authorized_operations;
    const struct ottla_partition_description *partitions; /* by number */
    size_t partition_count;
};
const struct ottla_topic_description *ottla_call_topic_descriptions(const struct ottla_call *call,
                                                                    size_t *ret_count);

/* --- settings --- */

enum ottla_resource_type {
    OTTLA_RESOURCE_TOPIC = 2,
    OTTLA_RESOURCE_BROKER = 4,        /* name: its id, or "": the default of all brokers */
    OTTLA_RESOURCE_BROKER_LOGGER = 8, /* name: the broker's id */
    OTTLA_RESOURCE_CLIENT_METRICS = 16,
    OTTLA_RESOURCE_GROUP = 32,
};

struct ottla_resource {
    enum ottla_resource_type type;
    const char *name;
    const char *const *keys; /* describe: only these; count 0: all */
    size_t key_count;
};
struct ottla_call *ottla_configs_describe(struct ottla_client *client,
                                          const struct ottla_resource *resources, size_t count,
                                          const struct ottla_admin_options *options);

enum ottla_config_source {
    OTTLA_SOURCE_UNKNOWN = 0,
    OTTLA_SOURCE_TOPIC = 1,
    OTTLA_SOURCE_BROKER = 2,         /* changed while it runs, of one broker */
    OTTLA_SOURCE_BROKER_DEFAULT = 3, /* changed while it runs, of all brokers */
    OTTLA_SOURCE_STATIC = 4,         /* server.properties */
    OTTLA_SOURCE_DEFAULT = 5,
    OTTLA_SOURCE_BROKER_LOGGER = 6,
    OTTLA_SOURCE_CLIENT_METRICS = 7,
    OTTLA_SOURCE_GROUP = 8,
};

enum ottla_config_type {
    OTTLA_TYPE_UNKNOWN = 0,
    OTTLA_TYPE_BOOLEAN,
    OTTLA_TYPE_STRING,
    OTTLA_TYPE_INT,
    OTTLA_TYPE_SHORT,
    OTTLA_TYPE_LONG,
    OTTLA_TYPE_DOUBLE,
    OTTLA_TYPE_LIST,
    OTTLA_TYPE_CLASS,
    OTTLA_TYPE_PASSWORD,
};

struct ottla_config_synonym {
    const char *name;
    const char *value;
    int source; /* enum ottla_config_source, or one that is newer than this library */
};

struct ottla_config_entry {
    const char *name;
    const char *value; /* NULL: null, or sensitive */
    int source;        /* enum ottla_config_source */
    int type;          /* enum ottla_config_type */
    bool read_only;
    bool sensitive;
    const char *documentation;                   /* NULL: not asked, or none */
    const struct ottla_config_synonym *synonyms; /* what is in force first */
    size_t synonym_count;
};

struct ottla_resource_configs {
    int code;
    const char *text;
    enum ottla_resource_type type;
    const char *name;
    const struct ottla_config_entry *entries;
    size_t entry_count;
};
const struct ottla_resource_configs *ottla_call_configs(const struct ottla_call *call,
                                                        size_t *ret_count);

enum ottla_config_op {
    OTTLA_CONFIG_SET = 0,
    OTTLA_CONFIG_DELETE = 1, /* back to the default */
    OTTLA_CONFIG_APPEND = 2, /* to a list */
    OTTLA_CONFIG_SUBTRACT = 3,
};

struct ottla_config_change {
    enum ottla_config_op op;
    const char *name;
    const char *value;
};

struct ottla_resource_change {
    enum ottla_resource_type type;
    const char *name;
    const struct ottla_config_change *changes;
    size_t change_count;
};

/* IncrementalAlterConfigs. Each resource changes as a whole or not at all. */
struct ottla_call *ottla_configs_alter(struct ottla_client *client,
                                       const struct ottla_resource_change *resources, size_t count,
                                       const struct ottla_admin_options *options);
/* AlterConfigs, which sets all that is named and resets everything else; OTTLA_CONFIG_SET only. */
struct ottla_call *ottla_configs_replace(struct ottla_client *client,
                                         const struct ottla_resource_change *resources,
                                         size_t count, const struct ottla_admin_options *options);
/* What has settings at all; types NULL: of every type. */
struct ottla_call *ottla_resources_list(struct ottla_client *client,
                                        const enum ottla_resource_type *types, size_t count,
                                        const struct ottla_admin_options *options);

/* Of the three above. */
struct ottla_resource_result {
    int code;
    const char *text;
    enum ottla_resource_type type;
    const char *name;
};
const struct ottla_resource_result *ottla_call_resources(const struct ottla_call *call,
                                                         size_t *ret_count);

/* --- records and offsets of partitions --- */

/* Beside OTTLA_OFFSET_EARLIEST and _LATEST, what ottla_offsets_list can be asked for. */
enum {
    OTTLA_OFFSET_MAX_TIMESTAMP = -3,
    OTTLA_OFFSET_EARLIEST_LOCAL = -4, /* the first that is not only in tiered storage */
    OTTLA_OFFSET_LATEST_TIERED = -5,
    OTTLA_OFFSET_EARLIEST_PENDING_UPLOAD = -6,
};

/* positions[].offset: one of those, or a time in ms: the first record at or after it. */
struct ottla_call *ottla_offsets_list(struct ottla_client *client,
                                      const struct ottla_position *positions, size_t count,
                                      const struct ottla_admin_options *options);

struct ottla_offset_result {
    int code;
    const char *text;
    const char *topic;
    int32_t partition;
    int64_t offset;       /* -1: there is none, as of a time behind the last record */
    int64_t timestamp_ms; /* of that record; -1: not told */
    int32_t leader_epoch; /* -1: not told */
};
const struct ottla_offset_result *ottla_call_offsets(const struct ottla_call *call,
                                                     size_t *ret_count);

/* Of operations on partitions that change something. */
struct ottla_partition_result {
    int code;
    const char *text;
    const char *topic;
    int32_t partition;
    int32_t broker_id; /* replicas move: the one that was asked; else -1 */
    int64_t offset;    /* records delete: where the log begins now; group offsets alter: the one
                        * committed; else -1 */
};
const struct ottla_partition_result *ottla_call_partitions(const struct ottla_call *call,
                                                           size_t *ret_count);

/* Records before positions[].offset; OTTLA_OFFSET_LATEST: all that are committed. Results:
 * ottla_call_partitions. */
struct ottla_call *ottla_records_delete(struct ottla_client *client,
                                        const struct ottla_position *positions, size_t count,
                                        const struct ottla_admin_options *options);

/* Who writes to these partitions, as their leaders see it, or the replica on options->broker_id. */
struct ottla_call *ottla_producers_describe(struct ottla_client *client,
                                            const struct ottla_partition *partitions, size_t count,
                                            const struct ottla_admin_options *options);

struct ottla_producer_state {
    int64_t producer_id;
    int32_t producer_epoch;
    int32_t last_sequence;
    int64_t last_timestamp_ms;
    int32_t coordinator_epoch;
    int64_t transaction_start_offset; /* -1: none is open */
};
struct ottla_partition_producers {
    int code;
    const char *text;
    const char *topic;
    int32_t partition;
    const struct ottla_producer_state *producers;
    size_t producer_count;
};
const struct ottla_partition_producers *ottla_call_producers(const struct ottla_call *call,
                                                             size_t *ret_count);

/* --- groups --- */

/* All brokers are asked, what each coordinates. */
struct ottla_call *ottla_groups_list(struct ottla_client *client,
                                     const struct ottla_admin_options *options);

struct ottla_group_listing {
    const char *group;
    const char *protocol_type; /* "consumer"; "" of groups that only commit */
    const char *state;         /* "Stable"; "" from brokers before 2.6 */
    const char *type;          /* "Classic", "Consumer" …; "" from brokers before 3.8 */
    int32_t broker_id;         /* its coordinator */
};
/* Sorted by group. */
const struct ottla_group_listing *ottla_call_group_listings(const struct ottla_call *call,
                                                            size_t *ret_count);

/* Groups of the classic and of the consumer protocol alike. GROUP_ID_NOT_FOUND, where Kafka 4.0
 * and later say so; older ones describe a group in state "Dead". */
struct ottla_call *ottla_groups_describe(struct ottla_client *client, const char *const *groups,
                                         size_t count, const struct ottla_admin_options *options);

struct ottla_group_member {
    const char *member_id;
    const char *instance_id; /* NULL: dynamic */
    const char *client_id;
    const char *host;
    const char *rack;          /* NULL: none, or classic */
    int32_t epoch;             /* -1: classic group */
    bool upgraded;             /* speaks the consumer protocol; always false in classic groups */
    const char *const *topics; /* subscribed to; empty where nobody tells */
    size_t topic_count;
    const char *topic_regex; /* NULL: none */
    const struct ottla_partition *assignment;
    size_t assignment_count;
    const struct ottla_partition *target; /* consumer groups: what it will have */
    size_t target_count;
    struct ottla_bytes metadata; /* classic groups: as the member gave them */
    struct ottla_bytes assignment_bytes;
};
struct ottla_group_description {
    int code;
    const char *text;
    const char *group;
    const char *type; /* "Classic", "Consumer" */
    const char *state;
    const char *protocol_type;
    const char *assignor; /* classic: the protocol in use */
    int32_t epoch;        /* -1: classic */
    int32_t assignment_epoch;
    int32_t broker_id; /* the coordinator; -1: nobody answered */
    int32_t authorized_operations;
    const struct ottla_group_member *members;
    size_t member_count;
};
const struct ottla_group_description *ottla_call_group_descriptions(const struct ottla_call *call,
                                                                    size_t *ret_count);

struct ottla_call *ottla_groups_delete(struct ottla_client *client, const char *const *groups,
                                       size_t count, const struct ottla_admin_options *options);

struct ottla_group_result {
    int code;
    const char *text;
    const char *group;
};
const struct ottla_group_result *ottla_call_groups(const struct ottla_call *call,
                                                   size_t *ret_count);

/* By instance id, or by member id when that is NULL. */
struct ottla_member_ref {
    const char *member_id;
    const char *instance_id;
};
/* members NULL: all that are in the group. */
struct ottla_call *ottla_members_remove(struct ottla_client *client, const char *group,
                                        const struct ottla_member_ref *members, size_t count,
                                        const struct ottla_admin_options *options);

struct ottla_member_result {
    int code;
    const char *text;
    const char *member_id;   /* "" when named by its instance id */
    const char *instance_id; /* NULL: none */
};
const struct ottla_member_result *ottla_call_members(const struct ottla_call *call,
                                                     size_t *ret_count);

/* partitions NULL: all that have a commit. */
struct ottla_group_partitions {
    const char *group;
    const struct ottla_partition *partitions;
    size_t partition_count;
};
/* groups NULL: every group of the cluster, sorted, with all it committed. */
struct ottla_call *ottla_group_offsets_list(struct ottla_client *client,
                                            const struct ottla_group_partitions *groups,
                                            size_t count,
                                            const struct ottla_admin_options *options);

struct ottla_group_offsets {
    int code;
    const char *text;
    const char *group;
    /* offset OTTLA_OFFSET_NONE: nothing is committed; code: of the partition. In the order asked
     * for, else by topic and number. */
    const struct ottla_position *positions;
    size_t position_count;
};
const struct ottla_group_offsets *ottla_call_group_offsets(const struct ottla_call *call,
                                                           size_t *ret_count);

/* For groups without members. Results: ottla_call_partitions. */
struct ottla_call *ottla_group_offsets_alter(struct ottla_client *client, const char *group,
                                             const struct ottla_position *positions, size_t count,
                                             const struct ottla_admin_options *options);
/* Of topics that the group does not subscribe to. Results: ottla_call_partitions. */
struct ottla_call *ottla_group_offsets_delete(struct ottla_client *client, const char *group,
                                              const struct ottla_partition *partitions,
                                              size_t count,
                                              const struct ottla_admin_options *options);

/* --- transactions --- */

/* All brokers are asked, what each coordinates. A state that no broker knows is OTTLA_INVALID. */
struct ottla_call *ottla_transactions_list(struct ottla_client *client,
                                           const struct ottla_admin_options *options);

struct ottla_transaction_listing {
    const char *transactional_id;
    int64_t producer_id;
    const char *state; /* "Empty", "Ongoing", "PrepareCommit", "CompleteAbort" … */
    int32_t broker_id; /* its coordinator */
};
/* Sorted by transactional id. */
const struct ottla_transaction_listing *
ottla_call_transaction_listings(const struct ottla_call *call, size_t *ret_count);

/* TRANSACTIONAL_ID_NOT_FOUND: the coordinator does not know it, or has forgotten it. */
struct ottla_call *ottla_transactions_describe(struct ottla_client *client,
                                               const char *const *transactional_ids, size_t count,
                                               const struct ottla_admin_options *options);

struct ottla_transaction_description {
    int code;
    const char *text;
    const char *transactional_id;
    const char *state;
    int64_t producer_id;
    int32_t producer_epoch;
    int32_t timeout_ms; /* after which the coordinator aborts it */
    int64_t start_ms;   /* of the epoch; of the last one when none is open; -1: there was none */
    int32_t broker_id;  /* the coordinator; -1: nobody answered */
    /* That are in the open transaction, or still lack the marker of one that ends. By topic and
     * number. */
    const struct ottla_partition *partitions;
    size_t partition_count;
};
const struct ottla_transaction_description *
ottla_call_transaction_descriptions(const struct ottla_call *call, size_t *ret_count);

/* Aborts what these transactional ids have open, and locks out the producers that use them now:
 * their next request fails. A producer that starts later takes the id over as ever. An id that was
 * never used is known from then on. */
struct ottla_call *ottla_producers_fence(struct ottla_client *client,
                                         const char *const *transactional_ids, size_t count,
                                         const struct ottla_admin_options *options);

struct ottla_fenced_producer {
    int code;
    const char *text;
    const char *transactional_id;
    int64_t producer_id; /* that the id has now; -1: not told */
    int32_t producer_epoch;
};
const struct ottla_fenced_producer *ottla_call_fenced_producers(const struct ottla_call *call,
                                                                size_t *ret_count);

/* What is known of a transaction that hangs: ottla_producers_describe tells it. */
struct ottla_transaction_abort {
    const char *topic;
    int32_t partition;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t
        coordinator_epoch; /* -1, where the partition has not heard of a coordinator: 0 is sent */
};
/* Writes abort markers past the coordinator, which is for transactions that hang: the coordinator
 * has nothing of them in the partition. Any other one is torn apart by it: what it wrote to other
 * partitions may still be committed; ottla_producers_fence aborts those. One per partition.
 * Results: ottla_call_partitions. */
struct ottla_call *ottla_transactions_abort(struct ottla_client *client,
                                            const struct ottla_transaction_abort *aborts,
                                            size_t count,
                                            const struct ottla_admin_options *options);

/* --- the cluster --- */

struct ottla_call *ottla_cluster_describe(struct ottla_client *client,
                                          const struct ottla_admin_options *options);

struct ottla_node {
    int32_t id;
    const char *host;
    uint16_t port;
    const char *rack; /* NULL: none */
    bool fenced;
};
struct ottla_cluster {
    const char *cluster_id;
    int32_t controller_id; /* -1: none now. From a broker: the one that takes requests for it */
    int32_t authorized_operations;
    const struct ottla_node *nodes; /* brokers, or controllers when asked; by id */
    size_t node_count;
};
/* NULL when it failed. */
const struct ottla_cluster *ottla_call_cluster(const struct ottla_call *call);

/* Brokers' ids; NULL: all that are there. Every broker answers for itself. */
struct ottla_call *ottla_versions_describe(struct ottla_client *client, const int32_t *brokers,
                                           size_t count, const struct ottla_admin_options *options);

struct ottla_api_versions {
    int16_t key;
    const char *name; /* "Produce"; "UNKNOWN" for one that is newer than this library */
    int16_t min;
    int16_t max;
    int16_t usable; /* the one this library would use; -1: none */
};
struct ottla_broker_versions {
    int code;
    const char *text;
    struct ottla_node node;
    const struct ottla_api_versions *apis; /* by key */
    size_t api_count;
};
/* By broker. */
const struct ottla_broker_versions *ottla_call_versions(const struct ottla_call *call,
                                                        size_t *ret_count);

struct ottla_call *ottla_features_describe(struct ottla_client *client,
                                           const struct ottla_admin_options *options);

struct ottla_feature {
    const char *name;
    int16_t supported_min; /* of the broker that answered; -1: does not know it */
    int16_t supported_max;
    int16_t finalized; /* the level in force; 0: none is */
};
struct ottla_features {
    int64_t epoch;                        /* -1: not told */
    const struct ottla_feature *features; /* by name */
    size_t feature_count;
};
/* NULL when it failed. */
const struct ottla_features *ottla_call_features(const struct ottla_call *call);

enum ottla_upgrade_type {
    OTTLA_UPGRADE = 1,
    OTTLA_SAFE_DOWNGRADE = 2,
    OTTLA_UNSAFE_DOWNGRADE = 3,
};
struct ottla_feature_update {
    const char *name;
    int16_t level; /* 0: switches the feature off */
    enum ottla_upgrade_type type;
};
/* All or none. */
struct ottla_call *ottla_features_update(struct ottla_client *client,
                                         const struct ottla_feature_update *updates, size_t count,
                                         const struct ottla_admin_options *options);

struct ottla_feature_result {
    int code;
    const char *text;
    const char *name;
};
const struct ottla_feature_result *ottla_call_feature_results(const struct ottla_call *call,
                                                              size_t *ret_count);

/* Brokers' ids; NULL: all that are there. */
struct ottla_call *ottla_log_dirs_describe(struct ottla_client *client, const int32_t *brokers,
                                           size_t count, const struct ottla_admin_options *options);

struct ottla_log_dir_replica {
    const char *topic;
    int32_t partition;
    int64_t size;       /* bytes of its segments */
    int64_t offset_lag; /* behind the high watermark, or of a future replica behind the present */
    bool future;        /* on its way here from another directory */
};
struct ottla_log_dir {
    int code; /* KAFKA_STORAGE_ERROR: offline. Of a broker that did not answer, with path NULL */
    const char *text;
    int32_t broker_id;
    const char *path;
    int64_t total_size;  /* bytes of the volume; -1: not told */
    int64_t usable_size; /* bytes that are free there; -1: not told */
    bool cordoned;
    const struct ottla_log_dir_replica *replicas; /* by topic and number */
    size_t replica_count;
};
/* By broker, then by path. */
const struct ottla_log_dir *ottla_call_log_dirs(const struct ottla_call *call, size_t *ret_count);

struct ottla_replica_move {
    const char *topic;
    int32_t partition;
    int32_t broker_id;
    const char *path; /* of the log directory on that broker */
};
/* Results: ottla_call_partitions. */
struct ottla_call *ottla_replicas_move(struct ottla_client *client,
                                       const struct ottla_replica_move *moves, size_t count,
                                       const struct ottla_admin_options *options);

enum ottla_election_type { OTTLA_ELECTION_PREFERRED = 0, OTTLA_ELECTION_UNCLEAN = 1 };

/* partitions NULL: all; results then name only those where something was to do. Results:
 * ottla_call_partitions; ELECTION_NOT_NEEDED is a code like others. */
struct ottla_call *ottla_leaders_elect(struct ottla_client *client, enum ottla_election_type type,
                                       const struct ottla_partition *partitions, size_t count,
                                       const struct ottla_admin_options *options);

struct ottla_reassignment {
    const char *topic;
    int32_t partition;
    struct ottla_replicas replicas; /* brokers NULL: take back the one that goes on */
};
/* Results: ottla_call_partitions. */
struct ottla_call *ottla_reassignments_alter(struct ottla_client *client,
                                             const struct ottla_reassignment *reassignments,
                                             size_t count,
                                             const struct ottla_admin_options *options);
/* partitions NULL: all that go on. */
struct ottla_call *ottla_reassignments_list(struct ottla_client *client,
                                            const struct ottla_partition *partitions, size_t count,
                                            const struct ottla_admin_options *options);

struct ottla_ongoing_reassignment {
    const char *topic;
    int32_t partition;
    struct ottla_replicas replicas; /* with those that come and those that go */
    struct ottla_replicas adding;
    struct ottla_replicas removing;
};
/* By topic and number. */
const struct ottla_ongoing_reassignment *ottla_call_reassignments(const struct ottla_call *call,
                                                                  size_t *ret_count);

/* --- the quorum --- */

struct ottla_call *ottla_quorum_describe(struct ottla_client *client,
                                         const struct ottla_admin_options *options);

struct ottla_listener {
    const char *name;
    const char *host;
    uint16_t port;
};
struct ottla_quorum_replica {
    int32_t id;
    const char *directory_id; /* NULL: not told */
    int64_t log_end_offset;   /* -1: not known */
    int64_t last_fetch_ms;    /* of the epoch; -1: not known */
    int64_t last_caught_up_ms;
};
struct ottla_quorum_node {
    int32_t id;
    const struct ottla_listener *listeners;
    size_t listener_count;
};
struct ottla_quorum {
    int32_t leader_id;
    int32_t leader_epoch;
    int64_t high_watermark;
    const struct ottla_quorum_replica *voters;
    size_t voter_count;
    const struct ottla_quorum_replica *observers;
    size_t observer_count;
    const struct ottla_quorum_node *nodes;
    size_t node_count;
};
/* NULL when it failed. */
const struct ottla_quorum *ottla_call_quorum(const struct ottla_call *call);

/* These three have no results but their code. */
struct ottla_call *ottla_voter_add(struct ottla_client *client, int32_t id,
                                   const char *directory_id, const struct ottla_listener *listeners,
                                   size_t listener_count,
                                   const struct ottla_admin_options *options);
struct ottla_call *ottla_voter_remove(struct ottla_client *client, int32_t id,
                                      const char *directory_id,
                                      const struct ottla_admin_options *options);
struct ottla_call *ottla_broker_unregister(struct ottla_client *client, int32_t id,
                                           const struct ottla_admin_options *options);

#ifdef __cplusplus
}
#endif
