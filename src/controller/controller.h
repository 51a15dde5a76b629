#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text_log.h"
#include "strand/strand.h"
#include "sys/loop.h"
#include "wire/messages.h"

/*
 * The controller: decides the cluster's metadata while its node leads the metadata quorum.
 *
 * It is a state machine on a strand over the metadata log: every decision is a batch of metadata
 * records, and the broker half of any node learns of it from the committed image, never from here.
 * The state is the image at the last record appended, so that an operation sees the ones before it
 * even while they wait for their commit.
 *
 * An operation is a call: a struct that the caller owns, next to the decoded request and room for
 * the response. Request, response and arena belong to the controller from the call until `done`,
 * and must not be touched meanwhile. Whether the caller may do what it asks was settled before.
 *
 * Operations may be called on any thread. All else belongs to the controller's loop.
 */
struct config;
struct controller;
struct meta_image;
struct meta_record;
struct quorum;

struct controller_options {
    struct sys_loop *loop;
    struct text_log *text_log;
    const struct config *config; /* of this node; outlives the controller */
    int32_t node_id;
    struct str cluster_id; /* usually, not always, the text of a uuid; borrowed */
    /* Of bootstrap.checkpoint (meta_bootstrap_read); written to the metadata log when that is found
     * empty. Borrowed. None: this release's feature levels are written. */
    const struct meta_record *bootstrap_records;
    int32_t bootstrap_record_count;
    struct str bootstrap_source; /* where they are from, for the text log; borrowed */
};

void controller_new(const struct controller_options *options, struct controller **ret_controller);

/* It was stopped, and nothing is pending. Accepts NULL. */
void controller_free(struct controller *controller);

/* Follows the quorum's metadata log: replays what is committed, becomes active when this node
 * leads, and resigns when it no longer does. Before the quorum is started. */
void controller_attach(struct controller *controller, struct quorum *quorum);

/* Fails what waits with NOT_CONTROLLER and refuses what comes. */
void controller_stop(struct controller *controller);

/* Operations not yet answered; any thread. */
int32_t controller_pending(const struct controller *controller);

bool controller_is_active(const struct controller *controller);

/* The image at the last record appended; good until the loop's next turn. Empty while the
 * controller is not active. */
const struct meta_image *controller_image(const struct controller *controller);

/* --- operations --- */

struct controller_call {
    struct arena *arena;   /* for what the response points at */
    int64_t deadline_ms;   /* sys_mono_ms; when it is reached earlier, REQUEST_TIMED_OUT */
    struct str principal;  /* "User:ANONYMOUS" */
    struct sys_loop *loop; /* where done is called; NULL: on the controller's */
    bool direct;           /* came in on a controller's listener: no broker has checked it */

    /*
     * ERR_OK: the response is complete, and what it says is committed. Otherwise the response says
     * nothing: the request failed as a whole with err, NOT_CONTROLLER among others, and
     * error_message, when it is not null, says more.
     */
    void (*done)(struct controller_call *call, err_t err);
    struct str error_message;

    /* The controller's. Zero-initialise. */
    struct strand_op op;
    struct sys_task reply;
    struct controller *controller;
    err_t (*run)(struct controller_call *call, const struct strand_input *input,
                 struct strand_output *output);
    const void *request;
    void *response;
    const bool *describable;
    err_t outcome;
    int16_t version;
};

/*
 * Brokers. The response of a registration holds the broker epoch: the offset of its record.
 * A heartbeat yields whether the broker is fenced, has caught up, and may shut down.
 */
void controller_register_broker(struct controller *controller, struct controller_call *call,
                                const struct broker_registration_request *request,
                                struct broker_registration_response *response);
void controller_heartbeat(struct controller *controller, struct controller_call *call,
                          const struct broker_heartbeat_request *request,
                          struct broker_heartbeat_response *response);
void controller_unregister_broker(struct controller *controller, struct controller_call *call,
                                  const struct unregister_broker_request *request,
                                  struct unregister_broker_response *response);
void controller_register_controller(struct controller *controller, struct controller_call *call,
                                    const struct controller_registration_request *request,
                                    struct controller_registration_response *response);

/* In which of its directories a broker keeps its replicas (KIP-858). */
void controller_assign_replicas(struct controller *controller, struct controller_call *call,
                                const struct assign_replicas_to_dirs_request *request,
                                struct assign_replicas_to_dirs_response *response);

/*
 * Topics. describable: per topic of the request, whether the caller may see its configuration in
 * the response; NULL for all.
 */
void controller_create_topics(struct controller *controller, struct controller_call *call,
                              const struct create_topics_request *request, const bool *describable,
                              struct create_topics_response *response);
void controller_delete_topics(struct controller *controller, struct controller_call *call,
                              const struct delete_topics_request *request, int16_t version,
                              struct delete_topics_response *response);
void controller_create_partitions(struct controller *controller, struct controller_call *call,
                                  const struct create_partitions_request *request,
                                  struct create_partitions_response *response);

/*
 * Configurations of topics, brokers (also "", the default of all), groups and client metrics, with
 * all checks that Kafka's broker and controller make. Settings of loggers are not for here. The
 * answers come in the order of the request.
 */
void controller_incremental_alter_configs(struct controller *controller,
                                          struct controller_call *call,
                                          const struct incremental_alter_configs_request *request,
                                          struct incremental_alter_configs_response *response);
void controller_alter_configs(struct controller *controller, struct controller_call *call,
                              const struct alter_configs_request *request,
                              struct alter_configs_response *response);

void controller_update_features(struct controller *controller, struct controller_call *call,
                                const struct update_features_request *request, int16_t version,
                                struct update_features_response *response);

/* A block of producer ids that no other broker gets. */
void controller_allocate_producer_ids(struct controller *controller, struct controller_call *call,
                                      const struct allocate_producer_ids_request *request,
                                      struct allocate_producer_ids_response *response);
