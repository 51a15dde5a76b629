#pragma once

#include <stdatomic.h>

#include "controller/controller.h"
#include "coord/coord.h"
#include "coord/transactions.h"
#include "log/cache.h"
#include "net/net.h"
#include "quorum/quorum.h"
#include "replica/replicas.h"
#include "server/fetch_session.h"
#include "server/listener.h"
#include "server/node.h"
#include "server/reactor.h"

struct assignments;
struct broker;
struct producer_ids;
struct request_metrics;
struct topic_metrics;
struct txn_hanging;
struct txn_metrics;

enum { NODE_REACTORS_MAX = 64, NODE_LISTENERS_MAX = 32, NODE_VOLUMES_MAX = 64 };

enum node_state {
    NODE_NEW,
    NODE_STARTING,
    NODE_SERVING,
    NODE_STOPPING,
    NODE_STOPPED,
};

/* A log directory that could not be opened at the start. */
struct lost_dir {
    char *path;
    int index; /* in log.dirs */
};

struct node {
    struct node_settings settings;
    struct sys *sys;
    struct text_log *text_log;
    int32_t node_id;
    char host_name[256];
    char cluster_id[LOG_CLUSTER_ID_MAX + 1];
    int64_t started_ms;

    struct sys_loop *loops[NODE_REACTORS_MAX];
    struct reactor reactors[NODE_REACTORS_MAX];
    int reactor_count;

    /* Reactor 0's. */
    struct config *config;      /* with dynamic settings over the file's */
    struct meta_image *image;   /* committed last; other threads: node_image_ref */
    struct sys_lock image_lock; /* held to change or to share `image` */
    bool image_pending;         /* moved while the logs were being opened */
    struct quorum_listener image_listener;
    _Atomic int state;             /* enum node_state */
    _Atomic int16_t kraft_version; /* finalised in the metadata log itself, not in the image */
    _Atomic bool fenced;           /* as the controller said last */
    _Atomic bool alone;            /* the quorum has one voter, this node */
    _Atomic bool recovering;       /* logs are being opened */
    _Atomic int32_t fetches_waiting;
    _Atomic int32_t produces_pending;
    _Atomic bool draining; /* waiting requests are to be answered now */
    _Atomic bool made;     /* `net` and `replicas` are there, for other threads to see */
    struct sys_task start_task;
    struct sys_task stop_task;
    struct sys_timer progress_timer; /* of opening logs */
    char error[512];

    struct log_cache *log_cache;
    struct volume *volumes[NODE_VOLUMES_MAX];
    int volume_count;
    int data_volume_count;          /* the first of them: log.dirs */
    struct volume *metadata_volume; /* one of them */
    struct lost_dir lost_dirs[NODE_VOLUMES_MAX];
    int lost_dir_count;
    struct quorum *quorum;
    struct controller *controller;
    struct arena bootstrap_arena; /* of the records of bootstrap.checkpoint */
    struct replicas *replicas;
    struct broker *broker;
    struct assignments *assignments;
    bool replicas_loaded;
    struct sys_task failure_task; /* a log directory failed */
    _Atomic bool failure_posted;
    struct sys_pool *group_pool; /* for long work of groups */
    struct coord *coord;         /* of groups */
    struct coord *transactions;
    struct coord_world transactions_world; /* see transactions.c */
    struct txn_hanging *txn_hanging;

    struct listener listeners[NODE_LISTENERS_MAX];
    int listener_count;
    struct net_server *net;
    bool net_started;

    struct metrics *metrics;
    struct metrics_guard guard;
    struct sys_lock metrics_lock;
    struct metrics_collector *collector;
    struct request_metrics *request_metrics;
    struct topic_metrics *topic_metrics;
    struct txn_metrics *txn_metrics;
    struct fetch_sessions *fetch_sessions;
    struct producer_ids *producer_ids;
    _Atomic int8_t logger_levels[1 + TEXT_LOG_COMPONENT_MAX]; /* see handlers/loggers.h */
};

/* Formats a message into node->error and says in the log that the start failed. */
void node_fail_start(struct node *node, err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- start.c: the steps from node_start to serving, on reactor 0 --- */
void node_start_steps(struct node *node);

/* The reactor of one of the node's loops. */
struct reactor *node_reactor(struct node *node, const struct sys_loop *loop);

/* The committed image, for threads that are no reactor; meta_image_unref is due. */
struct meta_image *node_image_ref(struct node *node);
void node_apply_image(struct node *node, struct meta_image *image,
                      const struct meta_changes *changes);

/* --- transactions.c: what the transaction coordinators need of the node --- */
void node_make_transactions_world(struct node *node);

/* --- stop.c --- */
void node_stop_steps(struct node *node);

/* --- storage.c: log directories: formatting, opening, checking that they belong together --- */
err_t node_open_storage(struct node *node);
void node_close_storage(struct node *node);
size_t node_files_for_logs(const struct node *node); /* segment files open at a time */

/* --- serving.c: listeners --- */
err_t node_make_listeners(struct node *node);
err_t node_listen(struct node *node);
void node_apply_limits(struct node *node); /* of connections, from the settings in force */
err_t node_make_controller(struct node *node);
