#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"
#include "config/config_keys.h" /* generated: enum config_key */

/*
 * Settings: one table of every key that a broker, topic, group or client-metrics resource of Kafka
 * has, and our own (`ottla.…`), generated from schemas/configs; and the values in force.
 *
 * A `struct config` is immutable once built and may be read on any thread. A change makes a new
 * one. Keys of all scopes share one numbering: CONFIG_NUM_IO_THREADS, TOPIC_CONFIG_RETENTION_MS,
 * GROUP_CONFIG_…, CLIENT_METRICS_CONFIG_….
 */

/* --- the table --- */

enum config_scope {
    CONFIG_BROKER,
    CONFIG_TOPIC,
    CONFIG_GROUP,
    CONFIG_CLIENT_METRICS,
    CONFIG_CLIENT, /* of a producer, consumer or administrator; not a node's affair */
};

enum config_type {
    CONFIG_TYPE_BOOLEAN,
    CONFIG_TYPE_SHORT,
    CONFIG_TYPE_INT,
    CONFIG_TYPE_LONG,
    CONFIG_TYPE_DOUBLE,
    CONFIG_TYPE_LIST,
    CONFIG_TYPE_STRING,
    CONFIG_TYPE_CLASS,
    CONFIG_TYPE_PASSWORD,
};

enum config_class {
    CONFIG_LIVE,       /* does what Kafka's does */
    CONFIG_INERT,      /* known, without effect: one warning names those that are set */
    CONFIG_PROTECTIVE, /* would protect, and is not enforced: setting it ends the start */
};

enum config_update_mode { CONFIG_READ_ONLY, CONFIG_PER_BROKER, CONFIG_CLUSTER_WIDE };

enum config_check {
    CONFIG_CHECK_NONE,
    CONFIG_CHECK_RANGE,
    CONFIG_CHECK_ONE_OF, /* of choices; of a list: every item */
    CONFIG_CHECK_ONE_OF_ANY_CASE,
    CONFIG_CHECK_NOT_EMPTY,
    CONFIG_CHECK_NOT_NULL,
    CONFIG_CHECK_OFFSET_RESET, /* latest, earliest, by_duration:P..., and none where it is a choice
                                */
};

/* What a list may hold. */
enum config_list {
    CONFIG_LIST_ANY,
    CONFIG_LIST_DISTINCT,
    CONFIG_LIST_DISTINCT_SOME, /* at least one */
    CONFIG_LIST_VOTERS,        /* id@host:port */
    CONFIG_LIST_SERVERS,       /* host:port */
    CONFIG_LIST_REPLICAS,      /* partition:broker, or "*" */
};

/* A broker key that a topic or group key falls back to, and what its unit is worth. */
struct config_fallback {
    int16_t key;
    int64_t factor;
};
enum { CONFIG_FALLBACK_MAX = 3 };

struct config_row {
    const char *name;
    const char *default_text; /* NULL: null, or required */
    const char *valid;        /* as Kafka's documentation states it; NULL: anything */
    const char *choices;      /* "a, b, c" */
    const char *doc;          /* one line in our words; NULL when there is none */
    double min;               /* of CONFIG_CHECK_RANGE */
    double max;
    int64_t extra; /* a value that is fine outside the range; INT64_MIN: none */
    struct config_fallback fallbacks[CONFIG_FALLBACK_MAX]; /* nearest first; factor 0 ends */
    enum config_scope scope;
    enum config_type type;
    enum config_class class;
    enum config_update_mode update_mode;
    enum config_check check;
    enum config_list list;
    bool required;
    bool internal;     /* not shown by DescribeConfigs unless set */
    bool ours;         /* ottla.… */
    bool dynamic_only; /* not taken from a file */
};

const struct config_row *config_row(enum config_key key);

/* The keys of a scope are first .. end - 1. */
enum config_key config_scope_first(enum config_scope scope);
enum config_key config_scope_end(enum config_scope scope);

/* NOT_FOUND. */
err_t config_find(enum config_scope scope, struct str name, enum config_key *ret_key);

/* The known key that looks most like a name, or NULL when none is near. */
const char *config_nearest(enum config_scope scope, struct str name);

/* How a key of some plug-in or listener may look that is fine without being in the table:
 * listener.name.<name>.…, <prefix>.… of plug-ins, sasl_plaintext.…. */
bool config_name_is_foreign(struct str name);

const char *config_type_name(enum config_type type);               /* "int" */
int8_t config_type_code(enum config_type type);                    /* DescribeConfigs' ConfigType */
const char *config_class_name(enum config_class class);            /* "live" */
const char *config_update_mode_name(enum config_update_mode mode); /* "read-only" */

/* --- values --- */

struct config_value {
    union {
        bool boolean;
        int64_t number; /* short, int, long */
        double real;
    };
    struct str text; /* canonical; null when the value is null */
};

/*
 * Parses and checks one value. INVALID, with Kafka's words in *ret_message (in the arena):
 *   "Invalid value abc for configuration num.io.threads: Not a number of type INT"
 *   "Invalid value 0 for configuration num.io.threads: Value must be at least 1"
 */
err_t config_value_parse(enum config_key key, struct str text, struct arena *arena,
                         struct config_value *ret_value, struct str *ret_message);

/* --- a node's settings --- */

struct config;

struct config_pair {
    struct str name;
    struct str value; /* null: not set */
};

/* What is wrong with settings, for people. Texts live until config_report_done. */
struct config_report {
    struct arena arena;
    struct str *errors; /* any ends the start */
    size_t error_count;
    struct str *warnings;
    size_t warning_count;
};
void config_report_init(struct config_report *report);
void config_report_done(struct config_report *report);

/*
 * Reads a Java properties file's text: pairs in the order of their first appearance, the last value
 * of a key wins. MALFORMED with a bad \u escape.
 */
err_t config_properties_parse(struct str text, struct arena *arena, struct config_pair **ret_pairs,
                              size_t *ret_count);

/*
 * Builds a broker's settings from pairs (of a file, then of `--override k=v`: a later pair wins),
 * with every check that Kafka makes at its start and our own. Without a property file the defaults
 * of a single node come first: config_pairs_default.
 *
 * INVALID with errors in the report; warnings are reported in both cases.
 */
err_t config_new(const struct config_pair *pairs, size_t pair_count, struct config_report *report,
                 struct config **ret_config);
void config_ref(struct config *config);
void config_unref(struct config *config); /* accepts NULL */

/* process.roles, node.id, listeners … of a node that was started without a file. */
const struct config_pair *config_pairs_default(size_t *ret_count);

/* Key and type must fit. A null text reads as STR_NULL; a number that is null must be asked about
 * first (config_is_null). */
bool config_bool(const struct config *config, enum config_key key);
int32_t config_int(const struct config *config, enum config_key key); /* also short */
int64_t config_long(const struct config *config, enum config_key key);
double config_double(const struct config *config, enum config_key key);
struct str config_str(const struct config *config, enum config_key key);
bool config_is_null(const struct config *config, enum config_key key);
bool config_is_set(const struct config *config, enum config_key key); /* in the file */

/* Walks a list value: start with *position 0; false at the end. */
bool config_list_next(struct str list, size_t *position, struct str *ret_item);
bool config_list_has(struct str list, struct str item);

/* The value of a key that falls back as Kafka's getters do: log.dirs to log.dir, log.retention.ms
 * to minutes and hours, log.roll.ms, log.flush.interval.ms, metadata.log.dir to the first of
 * log.dirs, and so on. */
struct str config_log_dirs(const struct config *config);
struct str config_metadata_log_dir(const struct config *config);
int64_t config_effective_long(const struct config *config, enum config_key key);

/* --- dynamic settings: who says what --- */

/* The numbers are DescribeConfigs' ConfigSource. */
enum config_source {
    CONFIG_SOURCE_UNKNOWN = 0,
    CONFIG_SOURCE_DYNAMIC_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_DYNAMIC_BROKER_LOGGER = 6,
    CONFIG_SOURCE_CLIENT_METRICS = 7,
    CONFIG_SOURCE_GROUP = 8,
};

/* A set of names and values that lives elsewhere (the cluster image). get: false when not set. */
struct config_lookup {
    bool (*get)(const void *arg, struct str name, struct str *ret_value);
    const void *arg;
};

/* The layers, nearest first; a lookup without get is empty. */
struct config_layers {
    struct config_lookup resource; /* of the topic, group or client-metrics subscription */
    struct config_lookup broker;   /* of this broker */
    struct config_lookup cluster;  /* broker resource with the empty name */
    const struct config *file;     /* what the node was started with */
};

/* A node's settings with dynamic ones over them; values that do not parse are left out. */
struct config *config_with_dynamic(const struct config_layers *layers);

/* Settings of one topic (or group …), complete; read with the getters above. */
struct config *config_resolve(enum config_scope scope, const struct config_layers *layers);

struct config_synonym {
    struct str name;
    struct str value;
    enum config_source source;
};

/* One row of a DescribeConfigs answer. value is null for passwords. */
struct config_entry {
    enum config_key key;
    struct str name;
    struct str value;
    enum config_source source;
    bool read_only;
    bool sensitive;
    struct config_synonym *synonyms; /* nearest first, itself included */
    int32_t synonym_count;
};

/* Describes a key of a resource as Kafka does. All in the arena. */
void config_describe(const struct config_layers *layers, enum config_key key, struct arena *arena,
                     struct config_entry *ret_entry);

/*
 * Checks the complete new set of a topic's (group's …) own settings, for CreateTopics, AlterConfigs
 * and IncrementalAlterConfigs. INVALID_CONFIG, with Kafka's words. What it does not say itself it
 * has from the layers below it.
 */
err_t config_validate(enum config_scope scope, const struct config_pair *pairs, size_t pair_count,
                      const struct config_layers *below, struct arena *arena,
                      struct str *ret_message);

/*
 * The same for a broker's dynamic settings: unknown keys are carried as in Kafka, keys that cannot
 * change are refused. per_broker: for one broker, not for all. INVALID_REQUEST, INVALID_CONFIG.
 */
err_t config_validate_broker(const struct config_pair *pairs, size_t pair_count, bool per_broker,
                             const struct config *file, struct arena *arena,
                             struct str *ret_message);

/*
 * Whether a broker may go on with these settings (see config_with_dynamic) instead of those it has:
 * what does not go together, and numbers of threads that are not changed step by step.
 * INVALID_CONFIG.
 */
err_t config_validate_broker_change(const struct config *now, const struct config *next,
                                    struct arena *arena, struct str *ret_message);

/* --- the table for people: what a node knows --- */

void config_help_text(struct buffer *out);
void config_help_json(struct buffer *out);
