/*
 * From nothing to serving, each step begun by the end of the one before, on reactor 0:
 *
 *   storage      directories formatted (or not: the end), locked, matching    node_open_storage
 *   listeners    addresses bound, so that a taken port ends the start early   node_listen
 *   quorum       metadata log loaded, we lead, the controller is active       quorum_start
 *   broker       registered with a new epoch                                  broker_register
 *   replicas     every log open, recovered where needed                       replicas_load
 *   unfenced     leaders elected, image applied                               broker_unfence
 *   serving      listeners accept
 *
 * Images that come while logs are being opened are caught up with afterwards, all at once.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "replica/topic_config.h"
#include "server/assignments.h"
#include "server/broker.h"
#include "server/dispatch.h"
#include "server/node_int.h"
#include "server/node_metrics.h"
#include "server/txn_hanging.h"

/* --- images --- */

static bool has_broker_config(const struct meta_changes *changes) {
    for (int32_t i = 0; i < changes->config_count; i++) {
        if (changes->configs[i].type == META_RESOURCE_BROKER) {
            return true;
        }
    }
    return false;
}

/* The node's settings with what the image says over the file's. */
static void refresh_config(struct node *node) {
    struct config_layers layers;
    topic_config_layers(node->image, META_RESOURCE_BROKER, STR_NULL, node->node_id,
                        node->settings.config, &layers);
    struct config *before = node->config;
    node->config = config_with_dynamic(&layers);
    config_unref(before);
    if (node->replicas != NULL) {
        replicas_configure(node->replicas, node->config);
    }
    node_apply_limits(node);
}

void node_apply_image(struct node *node, struct meta_image *image,
                      const struct meta_changes *changes) {
    sys_lock_take(&node->image_lock);
    struct meta_image *before = node->image;
    node->image = meta_image_ref(image);
    sys_lock_give(&node->image_lock);
    meta_image_unref(before);
    topic_metrics_forget(node, changes);
    if (has_broker_config(changes)) {
        refresh_config(node);
    }
    if (node->replicas_loaded) {
        replicas_apply(node->replicas, image, changes);
        coord_update(node->coord, image, node->config, changes);
        coord_update(node->transactions, image, node->config, changes);
    } else {
        node->image_pending = true;
    }
    for (int i = 0; i < node->reactor_count; i++) {
        reactor_post_image(&node->reactors[i], image, node->config);
    }
}

struct reactor *node_reactor(struct node *node, const struct sys_loop *loop) {
    int index = 0;
    while (node->reactors[index].loop != loop) {
        index++;
        assert(index < node->reactor_count);
    }
    return &node->reactors[index];
}

struct meta_image *node_image_ref(struct node *node) {
    sys_lock_take(&node->image_lock);
    struct meta_image *image = meta_image_ref(node->image);
    sys_lock_give(&node->image_lock);
    return image;
}

static void on_image(struct quorum_listener *listener, struct meta_image *image,
                     const struct meta_changes *changes) {
    node_apply_image(container_of(listener, struct node, image_listener), image, changes);
}

static void on_quorum_failed(struct quorum_listener *listener, err_t err, const char *text) {
    struct node *node = container_of(listener, struct node, image_listener);
    text_log_error(node->text_log, "controller",
                   "The metadata log failed (%s): %s; the node cannot go on", err_name(err), text);
    if (node->settings.failed != NULL) {
        node->settings.failed(node->settings.arg, text);
    }
}

/* --- the steps --- */

static bool stopping(const struct node *node) {
    return atomic_load(&node->state) == NODE_STOPPING;
}

static void serve(struct node *node) {
    if (stopping(node)) {
        return;
    }
    txn_hanging_start(node->txn_hanging);
    net_server_start(node->net);
    node->net_started = true;
    int expected = NODE_STARTING;
    if (!atomic_compare_exchange_strong(&node->state, &expected, NODE_SERVING)) {
        return;
    }
    text_log_info(node->text_log, "server",
                  "Node %d of cluster %s is serving, %lld ms after its start, with %zu partitions",
                  (int)node->node_id, node->cluster_id,
                  (long long)(sys_mono_ms(node->sys) - node->started_ms),
                  replicas_count(node->replicas));
    node->settings.started(node->settings.arg, ERR_OK, NULL);
}

enum { PROGRESS_MS = 5000 };

/* Recovery may take long: people want to see it move. */
static void tell_progress(struct sys_timer *timer) {
    struct node *node = container_of(timer, struct node, progress_timer);
    struct replicas_progress progress;
    replicas_progress(node->replicas, &progress);
    text_log_info(node->text_log, "log",
                  "Opening logs: %zu of %zu, of which %llu of %llu MiB had to be read again",
                  progress.logs_open, progress.logs_total,
                  (unsigned long long)(progress.bytes_recovered >> 20),
                  (unsigned long long)(progress.bytes_to_recover >> 20));
    sys_timer_set(node->loops[0], timer, sys_mono_ms(node->sys) + PROGRESS_MS);
}

static void tell_recovery(const struct node *node) {
    struct replicas_progress progress;
    replicas_progress(node->replicas, &progress);
    if (progress.bytes_recovered > 0) {
        text_log_info(node->text_log, "log",
                      "The last stop was not clean: %.1f MiB of the logs were read again",
                      (double)progress.bytes_recovered / (1 << 20));
    }
}

static void logs_open(void *arg, err_t err, const char *text) {
    struct node *node = arg;
    sys_timer_clear(node->loops[0], &node->progress_timer);
    atomic_store(&node->recovering, false);
    if (err != ERR_OK) {
        node_fail_start(node, err, "The logs could not be opened: %s (%s)", text, err_text(err));
        return;
    }
    tell_recovery(node);
    node->replicas_loaded = true;
    if (node->image_pending) {
        node->image_pending = false;
        replicas_catch_up(node->replicas, node->image);
    }
    txn_hanging_watch(node->txn_hanging);
    coord_update(node->coord, node->image, node->config, NULL);
    coord_update(node->transactions, node->image, node->config, NULL);
    if (!stopping(node)) {
        broker_unfence(node->broker, serve);
    }
}

static void open_logs(struct node *node) {
    node->image_pending = false;
    atomic_store(&node->recovering, true);
    node->progress_timer.fire = tell_progress;
    sys_timer_set(node->loops[0], &node->progress_timer, sys_mono_ms(node->sys) + PROGRESS_MS);
    replicas_load(node->replicas, node->image, logs_open, node);
}

static void registered(struct node *node, err_t err, const char *text) {
    if (err != ERR_OK) {
        node_fail_start(node, err, "Registering the broker failed: %s (%s)", text, err_name(err));
        return;
    }
    if (stopping(node)) {
        return;
    }
    open_logs(node);
}

static void quorum_started(void *arg, err_t err, const char *text) {
    struct node *node = arg;
    if (err != ERR_OK) {
        node_fail_start(node, err, "The metadata log could not be opened: %s (%s)", text,
                        err_name(err));
        return;
    }
    struct quorum_description quorum;
    quorum_describe(node->quorum, &quorum);
    atomic_store(&node->kraft_version, quorum.kraft_version);
    atomic_store(&node->alone,
                 quorum.voters->voter_count == 1 && quorum.voters->voters[0].id == node->node_id);
    if (!stopping(node)) {
        broker_register(node->broker, registered);
    }
}

static err_t make_quorum(struct node *node) {
    const struct config *config = node->config;
    struct quorum_options options;
    quorum_options_init(&options);
    options.sys = node->sys;
    options.loop = node->loops[0];
    options.pool = node->metadata_volume->upkeep;
    options.text_log = node->text_log;
    options.directory = node->metadata_volume->directory;
    options.static_voters = config_str(config, CONFIG_CONTROLLER_QUORUM_VOTERS);
    options.election_timeout_ms = config_int(config, CONFIG_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS);
    options.snapshot_bytes =
        config_long(config, CONFIG_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS);
    options.snapshot_interval_ms =
        config_long(config, CONFIG_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS);
    options.segment_bytes =
        config_int(config, config_is_null(config, CONFIG_INTERNAL_METADATA_LOG_SEGMENT_BYTES)
                               ? CONFIG_METADATA_LOG_SEGMENT_BYTES
                               : CONFIG_INTERNAL_METADATA_LOG_SEGMENT_BYTES);
    options.segment_ms = config_long(config, CONFIG_METADATA_LOG_SEGMENT_MS);
    options.retention_bytes = config_long(config, CONFIG_METADATA_MAX_RETENTION_BYTES);
    options.retention_ms = config_long(config, CONFIG_METADATA_MAX_RETENTION_MS);
    return quorum_new(&options, &node->quorum);
}

static void replica_misplaced(void *arg, struct uuid topic_id, int32_t index,
                              struct uuid directory) {
    struct node *node = arg;
    assignments_add(node->assignments, topic_id, index, directory);
}

static void make_replicas(struct node *node) {
    struct replicas_settings settings = {
        .sys = node->sys,
        .loop = node->loops[0],
        .text_log = node->text_log,
        .node_id = node->node_id,
        .volumes = node->volumes,
        .volume_count = node->volume_count,
        .data_volume_count = node->data_volume_count,
        .volumes_missing = node->lost_dir_count > 0,
        .config = node->config,
        .misplaced = replica_misplaced,
        .arg = node,
    };
    node->replicas = replicas_new(&settings);
}

static err_t make_coordinators(struct node *node) {
    int threads = config_int(node->config, CONFIG_GROUP_COORDINATOR_BACKGROUND_THREADS);
    err_t err = sys_pool_new(node->sys, "groups",
                             threads < LIMIT_POOL_THREADS ? threads : LIMIT_POOL_THREADS,
                             &node->group_pool);
    if (err != ERR_OK) {
        return err;
    }
    struct coord_settings settings = {
        .kind = &coord_groups_kind,
        .sys = node->sys,
        .loops = node->loops,
        .loop_count = node->reactor_count,
        .pool = node->group_pool,
        .text_log = node->text_log,
        .node_id = node->node_id,
        .replicas = node->replicas,
        .config = node->config,
        .image = node->image,
    };
    node->coord = coord_new(&settings);
    node_make_transactions_world(node);
    settings.kind = &coord_transactions_kind;
    settings.world = &node->transactions_world;
    node->transactions = coord_new(&settings);
    node->txn_hanging = txn_hanging_new(node);
    return ERR_OK;
}

void node_start_steps(struct node *node) {
    if (stopping(node)) {
        return;
    }
    err_t err = node_open_storage(node);
    if (err == ERR_OK) {
        err = node_listen(node);
    }
    if (err == ERR_OK) {
        err = make_quorum(node);
    }
    if (err == ERR_OK) {
        err = node_make_controller(node);
    }
    if (err != ERR_OK) {
        node_fail_start(node, err, "%s", node->error[0] != '\0' ? node->error : err_text(err));
        return;
    }
    make_replicas(node);
    err = make_coordinators(node);
    if (err != ERR_OK) {
        node_fail_start(node, err, "The threads for groups could not be made: %s", err_text(err));
        return;
    }
    atomic_store(&node->made, true);
    node->image_listener.image = on_image;
    node->image_listener.failed = on_quorum_failed;
    quorum_add_listener(node->quorum, &node->image_listener);
    controller_attach(node->controller, node->quorum);
    quorum_start(node->quorum, quorum_started, node);
}
