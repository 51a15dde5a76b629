#pragma once

#include "base/map.h"
#include "config/config.h"
#include "controller/controller.h"
#include "meta/delta.h"
#include "meta/feature_levels.h"
#include "meta/image.h"
#include "meta/record.h"

/*
 * Inside the controller: its state, and what the record families share. All on its loop.
 *
 * A family is a file: topics.c, partitions.c, leaders.c, brokers.c, heartbeats.c, configs.c,
 * features.c, producer_ids.c. A step reads controller->image, adds records to the output and fills
 * in the response; the image changes only in controller.c, when the strand applies the records.
 */
struct broker_contact;

struct controller {
    struct controller_options options;
    struct strand *strand;
    struct strand_log log;    /* as attached */
    struct meta_image *image; /* at the last record appended; empty while not active */
    int32_t epoch;            /* of our leadership; -1 while not active */
    int16_t kraft_version;
    bool in_transaction; /* at activation: an earlier controller left a transaction open */
    bool stopped;
    struct map contacts; /* struct broker_contact by broker id; see heartbeats.c */
    struct strand_op activation;
    struct strand_op session_check;
    int64_t session_check_ms; /* when it is to run */
    struct quorum_link *link; /* NULL: the log is not a quorum (tests) */
};

/* --- life, by quorum_link.c and by tests --- */

void controller_attach_log(struct controller *controller, const struct strand_log *log);
void quorum_link_free(struct quorum_link *link);

/* We lead with this epoch, and the image holds all that was committed before. */
void controller_activate(struct controller *controller, struct meta_image *image, int32_t epoch);
void controller_committed(struct controller *controller, int64_t offset);
void controller_resign(struct controller *controller);

/* --- calls --- */

struct controller *controller_of(const struct controller_call *call);

/* Puts the call into the mailbox; `run` is its step. */
void controller_call_start(struct controller *controller, struct controller_call *call,
                           err_t (*run)(struct controller_call *call,
                                        const struct strand_input *input,
                                        struct strand_output *output),
                           const void *request, void *response);

/* --- errors that stand in a response: a code and, perhaps, a sentence of its own --- */

struct api_error {
    err_t err;
    struct str message; /* null: none */
};

#define API_OK ((struct api_error){.err = ERR_OK})

/* The error with a sentence made for the case. */
struct api_error api_error(struct arena *arena, err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct api_error api_error_plain(err_t err); /* without a sentence */

/* --- records --- */

/* Makes a zeroed record body in the output's arena, and adds the record in the version that the
 * cluster's metadata.version asks for. The body may still be changed until the step ends. */
void *record_add(struct controller *controller, struct strand_output *output, int16_t type);
void *record_add_version(struct strand_output *output, int16_t type, int16_t version);

struct config_record *record_add_config(struct controller *controller, struct strand_output *output,
                                        int8_t resource_type, struct str resource_name,
                                        struct str name, struct str value);

/* What a step may write at most, as in Kafka: beyond it the operation is refused. */
enum { CONTROLLER_RECORDS_MAX = 10000 };
extern const char controller_records_max_text[];

/* --- brokers.c --- */

bool broker_is_active(const struct meta_broker *broker); /* NULL is not */
/* Where a new replica goes: the only directory, or the broker is to choose. */
struct uuid broker_default_dir(const struct meta_image *image, int32_t broker_id);
/* STALE_BROKER_EPOCH, with call->error_message, unless the broker is registered with that epoch. */
err_t broker_check_epoch(struct controller_call *call, int32_t broker_id, int64_t broker_epoch);

/* --- heartbeats.c --- */

/* Soft state of a broker: who is in touch. Not replayed, begins anew with every activation. */
struct broker_contact {
    int32_t broker_id;
    int64_t epoch;                      /* the registration that it is about */
    int64_t contact_ms;                 /* of the last heartbeat; -1: none with this epoch */
    int64_t metadata_offset;            /* up to which the broker said it had read; -1: unknown */
    int64_t register_offset;            /* of the record that registered it */
    int64_t controlled_shutdown_offset; /* -1: not shutting down */
};

struct broker_contact *contact_get(struct controller *controller, int32_t broker_id); /* or NULL */
void contacts_start(struct controller *controller);
void contacts_clear(struct controller *controller);
void contacts_apply(struct controller *controller, const struct meta_record *record,
                    int64_t offset);
bool contact_in_session(const struct controller *controller, const struct broker_contact *contact,
                        int64_t now_ms);
void session_check_schedule(struct controller *controller, int64_t now_ms);

/* --- leaders.c --- */

enum leaders_of {
    LEADERS_IN_ISR,       /* partitions that have the broker in their ISR */
    LEADERS_IN_ELR,       /* ... among their eligible leader replicas */
    LEADERS_NONE,         /* partitions without a leader */
    LEADERS_IN_DIRECTORY, /* partitions that the broker keeps in the directory */
};

struct leaders_change {
    enum leaders_of of;
    int32_t broker_id;     /* for IN_ISR, IN_ELR and IN_DIRECTORY */
    struct uuid directory; /* for IN_DIRECTORY */
    int32_t remove;        /* leaves the ISR, and can lead no more; -1: none */
    int32_t add;           /* can lead, whatever the image says; -1: none */
    int32_t unclean;       /* went down without a clean shutdown; -1: none */
};

/* Adds the records that follow when a broker comes or goes. */
void leaders_update(struct controller *controller, const struct leaders_change *change,
                    struct strand_output *output);
bool leaders_has_any(const struct meta_image *image, int32_t broker_id);

/* --- partition_change.c --- */

/* The broker keeps its replica there. */
struct directory_change {
    int32_t broker_id;
    struct uuid directory;
};

struct partition_change {
    const struct meta_image *image;
    const struct leaders_change *cause;
    const struct meta_topic *topic;
    const struct meta_partition *partition;
    const struct directory_change *directory; /* NULL: as it is */
    int32_t min_isr;
    bool elr_enabled;
    bool unclean_allowed;
};

/* leaders.c: all but the partition, from the topic's settings; and adds the record, if any. */
void partition_change_init(struct partition_change *change, struct controller *controller,
                           const struct leaders_change *cause, const struct meta_topic *topic);
void partition_change_add(const struct partition_change *change, struct strand_output *output);

/* The record that makes the change, or NULL when nothing changes. */
struct partition_change_record *partition_change_build(const struct partition_change *change,
                                                       struct arena *arena);

/* --- partitions.c, placement.c --- */

struct new_partition {
    int32_t *replicas;
    int32_t replica_count;
};

/* Chooses replicas over racks and brokers in stripes. INVALID_REPLICATION_FACTOR. */
struct api_error placement_choose(struct controller *controller, struct rng *random,
                                  int32_t partition_count, int32_t replication_factor,
                                  struct arena *arena, struct new_partition *ret_partitions);

/* replication_factor -1: not known yet. */
struct api_error partition_check_manual(struct controller *controller, struct arena *arena,
                                        const struct new_partition *partition,
                                        int32_t replication_factor);

/* The replicas that can be in the first ISR. */
int32_t partition_active_replicas(const struct meta_image *image,
                                  const struct new_partition *partition, struct arena *arena,
                                  int32_t **ret_isr);
void partition_add_record(struct controller *controller, struct strand_output *output,
                          struct uuid topic_id, int32_t id, const struct new_partition *partition);

/* --- configs.c, config_view.c --- */

/* The layers under which a topic's settings are in force; topic null: of no topic. */
struct config_layers controller_config_layers(const struct controller *controller,
                                              struct str topic);
bool feature_elr_enabled(const struct meta_image *image);

/* Adds the config records of a topic that is about to be created. */
struct api_error configs_for_new_topic(struct controller *controller, struct arena *arena,
                                       const struct create_topics_request_creatable_topic *topic,
                                       struct strand_output *output);

/* min.insync.replicas of all brokers, as eligible leader replicas need it. */
void configs_add_elr_safety(struct controller *controller, struct strand_output *output);
struct str config_static_min_isr(const struct controller *controller, struct arena *arena);

/* --- topics.c --- */

struct api_error topic_check_name(struct str name, struct arena *arena);
