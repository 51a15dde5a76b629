#pragma once

#include "base/map.h"
#include "base/rng.h"
#include "client/connection.h"
#include "client/core.h"
#include "wire/api.h"

/*
 * Private to the core: the client, its nodes, what it knows of the cluster, and its asks.
 *
 * Everything belongs to the loop's thread. The client's task (client.c) is the turn in which asks
 * that are ready are routed and watchers are told, so that no function of a user is called from
 * inside a call of a user.
 */

/* --- nodes: pool.c --- */

struct client_node;

/* A connection to a node. */
struct client_line {
    struct client_node *node;
    enum client_lane lane;
    struct client_connection *connection; /* NULL: none */
    struct list waiting;                  /* asks, until it is up */
    struct sys_timer idle_timer;
    int64_t used_ms;      /* when something was asked last */
    int64_t throttled_ms; /* nothing is asked before: the broker said so (throttle_time_ms) */
};

/* A broker, or a server of bootstrap.servers (ids -1, -2 … as in Kafka's clients). */
struct client_node {
    struct list link; /* in client->nodes */
    struct ottla_client *client;
    struct client_broker broker; /* its texts are the node's own */
    bool listed;                 /* by the metadata of now */
    bool asked;                  /* an ask points here; only inside client_nodes_sweep */
    int failures;                /* in a row, of connecting or of a connection */
    int64_t retry_ms;            /* no new connection before (reconnect.backoff.ms) */
    bool versions_known;
    struct wire_versions versions[API_KEYS_MAX]; /* that both sides speak; high < low: none */
    struct client_line lines[CLIENT_LANE_COUNT];
};

/* --- asks: ask.c, ask_route.c --- */

enum ask_state {
    ASK_READY,      /* in client->ready: the next turn routes it */
    ASK_UNKNOWN,    /* in client->unknown: its broker or controller is not known yet */
    ASK_UNKNOWN_CO, /* in coordinator->waiting */
    ASK_CONNECTING, /* in line->waiting */
    ASK_SENT,       /* in no list: the connection has it */
    ASK_PAUSED,     /* in no list: its timer brings it back */
};

enum { ASK_TEXT_SIZE = 256 };

struct client_asked {
    struct list all;  /* in client->asks */
    struct list link; /* of its state */
    struct ottla_client *client;
    struct client_ask ask;
    char *key; /* ask.key points here */
    enum ask_state state;
    bool over; /* done was called, or will not be; the connection still has it */
    int tries;
    bool looked; /* metadata was asked for on its behalf */
    int64_t deadline_ms;
    int64_t resume_ms;      /* of ASK_PAUSED */
    struct sys_timer timer; /* the earlier of both */
    struct client_node *node;
    struct client_coordinator *coordinator; /* it was routed by */
    char text[ASK_TEXT_SIZE];               /* how the last try ended */
};

/* --- coordinators.c --- */

struct client_coordinator {
    enum client_role role;
    struct str key;      /* of the map: a character for the role, then the id */
    int32_t broker_id;   /* -1: not known */
    struct list waiting; /* asks */
    struct client_asked *lookup;
    struct ottla_client *client;
    int32_t asked_count; /* asks that point here */
};

/* --- the cluster: metadata.c, metadata_ask.c --- */

struct client_topic_entry {
    struct client_topic topic; /* texts and arrays are the entry's own */
    int wanted;
    bool create;
    bool heard; /* of it, at least once */
    bool fresh; /* in the answer at hand */
};

struct client_metadata {
    struct map topics; /* by name */
    struct map ids;    /* by topic id */
    int want_all;
    const struct client_topic **heard; /* for client_topic_at */
    size_t heard_count;
    struct client_node **brokers; /* those listed */
    size_t broker_count;
    int32_t controller_id;
    char *cluster_id;
    int64_t time_ms; /* -1: no answer yet */

    bool needed;
    bool created_last; /* the last request might create topics */
    bool asked_all;    /* the request under way is for all topics */
    struct client_asked *asked;
    int failures;       /* answers in a row that were none, or left something open */
    bool unreached;     /* the last request got to nobody */
    int64_t begun_ms;   /* of the last request */
    int64_t failing_ms; /* since when there is no answer; -1: there is */
    struct sys_timer timer;
};

struct ottla_client {
    struct sys *sys;
    struct sys_loop *loop;
    bool own_world;   /* sys and loop are freed with it */
    bool interrupted; /* atomic */
    struct ottla_config *config;
    struct client_settings settings;
    struct rng rng;
    ottla_log_fn log;
    void *log_arg;

    struct sys_task task;
    bool task_posted;
    bool closing;
    bool changed; /* watchers are to be told */
    struct list watchers;

    char trouble[OTTLA_ERROR_TEXT_SIZE / 2]; /* see client_trouble */
    struct list nodes;
    struct map nodes_by_id;
    int join_lanes[CLIENT_LANE_COUNT - CLIENT_LANE_JOIN]; /* members that have it */
    bool to_controllers; /* bootstrap.controllers: nodes are controllers, there are no topics */
    bool bootstrapping;  /* any broker: those of bootstrap.servers */
    struct list asks;
    struct list ready;
    struct list unknown;
    struct map coordinators;
    int64_t features_epoch; /* of what is known of the cluster's features; -1: nothing */
    int16_t transaction_version;
    struct client_metadata metadata;
};

/* client.c */
void client_post_task(struct ottla_client *client);
void client_changed(struct ottla_client *client);

/* nodes.c */
err_t client_pool_init(struct ottla_client *client, struct ottla_error *ret_error);
void client_pool_done(struct ottla_client *client);
struct client_node *client_node_find(const struct ottla_client *client, int32_t id);
/* As metadata or a coordinator's answer names it; a node whose address changed is connected anew.
 */
struct client_node *client_node_learn(struct ottla_client *client,
                                      const struct client_broker *broker);
/* Those neither listed nor in use are forgotten. */
void client_nodes_sweep(struct ottla_client *client);
/* "broker 1 (host:9092)" */
enum { NODE_TEXT_SIZE = 160 };
const char *client_node_text(const struct client_node *node, char text[NODE_TEXT_SIZE]);

/* error.c: what an error of a connection means to the user. */
const char *client_connection_text(err_t err);

/* pool.c */
void client_line_init(struct client_line *line, struct client_node *node, enum client_lane lane);
void client_line_close(struct client_line *line);
/* The node for a request that any may answer, or any of bootstrap.servers; NULL when all are in
 * back-off, until *ret_retry_ms. */
struct client_node *client_node_any(struct ottla_client *client, bool bootstrap,
                                    int64_t *ret_retry_ms);
/* Connects if need be: OK when it is up, PENDING, or why it cannot be before node->retry_ms. */
err_t client_line_open(struct client_line *line);
void client_line_used(struct client_line *line);

/* Honours the throttle of a response, and returns it. */
int64_t client_line_throttle(struct client_line *line, int16_t api_key, const void *message);
bool client_rebootstrap(struct ottla_client *client, const char *why);

/* ask.c */
void client_ask_ready(struct client_asked *asked);
void client_ask_wait(struct client_asked *asked, enum ask_state state, struct list *list);
void client_ask_pause(struct client_asked *asked, int64_t resume_ms);
void client_ask_transmit(struct client_asked *asked);
/* A try is over without an answer. */
void client_ask_failed(struct client_asked *asked, err_t err, const struct client_node *node);
/* Whom to ask could not be found out. */
void client_ask_unroutable(struct client_asked *asked, err_t err, const char *why);
void client_ask_finish(struct client_asked *asked, const struct client_answer *answer);
void client_asks_done(struct ottla_client *client);
void client_asks_all_ready(struct list *list);

/* ask_route.c */
void client_ask_route(struct client_asked *asked);

/* coordinators.c */
struct client_coordinator *client_coordinator_of(struct ottla_client *client, enum client_role role,
                                                 struct str key);
void client_coordinator_look(struct client_coordinator *coordinator);
void client_coordinator_forget(struct client_coordinator *coordinator, int32_t broker_id);
void client_coordinators_done(struct ottla_client *client);

/* metadata.c */
void client_metadata_init(struct ottla_client *client);
void client_metadata_done(struct ottla_client *client);
struct metadata_response;
/* Whether a topic is wanted, to be created or not, that is not known to exist. */
bool client_metadata_lacks(const struct ottla_client *client, bool create);
/* Whether all is known now that is wanted. */
bool client_metadata_take(struct ottla_client *client, const struct metadata_response *response);

/* metadata_ask.c */
void client_metadata_need(struct ottla_client *client);
void client_metadata_schedule(struct ottla_client *client);
void client_metadata_late(struct sys_timer *timer);
