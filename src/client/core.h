#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/uuid.h"
#include "client/connection.h"
#include "client/settings.h"
#include "ottla/types.h"
#include "sys/loop.h"

/*
 * The part of libottla on which producers, consumers and administrators stand: the brokers it
 * knows, connections to them, metadata, and requests that find their way and are repeated.
 *
 *     producer  consumer ── member     admin
 *         └────────┴──────────┴──────────┘
 *                 core.h: client_ask (route, version, repeat)
 *          metadata.c: topics, brokers     pool.c: a connection per broker and lane
 *                 connection.h: frames on a socket
 *
 * One thread: that of the loop. No function of the caller is called from inside a call of this
 * header, but from a later turn of the loop (client_free excepted).
 *
 * The public functions of ottla/types.h that wait run the loop; those of this header never do, so
 * the core works on a loop of the simulator just as well.
 */
struct ottla_client;

/* On a loop that somebody else runs; ottla_client_new makes a Linux world and loop of its own.
 * Settings are copied. INVALID with *ret_error (may be NULL). */
err_t client_new(const struct ottla_config *config, struct sys *sys, struct sys_loop *loop,
                 struct ottla_client **ret_client, struct ottla_error *ret_error);

struct sys *client_sys(struct ottla_client *client);
struct sys_loop *client_loop(struct ottla_client *client);
const struct client_settings *client_settings(const struct ottla_client *client);

/* Tells the log function. printf-like. */
void client_log(struct ottla_client *client, enum ottla_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Why the cluster cannot be reached, for the text of a call whose time is over; "" when the last
 * question about the cluster was answered. */
const char *client_trouble(const struct ottla_client *client);

/* code and text at once; ret_error may be NULL. Returns the code. */
int client_error_set(struct ottla_error *ret_error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For public functions that wait: makes turns of the loop until *done or the deadline (of
 * sys_mono_ms; INT64_MAX: none). TIMED_OUT; CLOSED after ottla_client_interrupt; BUSY when it is
 * called from a function that the loop called. */
err_t client_wait(struct ottla_client *client, const bool *done, int64_t deadline_ms);

/* The deadline of a call that waits: now and timeout_ms; negative: INT64_MAX. */
int64_t client_deadline_ms(struct ottla_client *client, int64_t timeout_ms);

/* Pause before attempt n (1, 2 …): retry.backoff.ms doubled up to retry.backoff.max.ms, ± 20 %. */
int64_t client_backoff_ms(struct ottla_client *client, int attempt);

/* As above, between other bounds. */
int64_t client_backoff_between(struct ottla_client *client, int attempt, int64_t min_ms,
                               int64_t max_ms);

/* Whether an error says that a connection was lost or could not be made, and not what a broker
 * thinks of the request. */
bool client_connection_lost(err_t err);

/* "host:port" or "[ipv6]:port", also with a protocol in front, as in bootstrap.servers
 * ("PLAINTEXT://host:port"). The host is a part of the text, of CLIENT_HOST_SIZE_MAX bytes at most.
 * False: it is none of these. */
enum { CLIENT_HOST_SIZE_MAX = 255 };
bool client_server_parse(struct str text, struct str *ret_host, uint16_t *ret_port);

/* --- asking: one request, to where it belongs --- */

enum client_role {
    CLIENT_ANY_BROKER,  /* the least loaded of those that are up */
    CLIENT_BROKER,      /* by id */
    CLIENT_CONTROLLER,  /* as metadata names it */
    CLIENT_GROUP,       /* the coordinator of group `key`, found by FindCoordinator and kept */
    CLIENT_TRANSACTION, /* that of transactional id `key` */
    CLIENT_BOOTSTRAP,   /* the node at bootstrap.servers itself, be it broker or controller */
};

/* A broker answers in order: what may wait long (a fetch, a join) must not stand before what is
 * urgent. Each lane has a connection of its own. */
enum client_lane {
    CLIENT_LANE_MAIN,  /* metadata, admin, offsets */
    CLIENT_LANE_WRITE, /* Produce */
    CLIENT_LANE_READ,  /* Fetch */
    CLIENT_LANE_GROUP, /* heartbeats */
    CLIENT_LANE_JOIN,  /* from here on, joins of classic groups: a member's wait for the others' */
    CLIENT_LANE_JOIN_LAST = CLIENT_LANE_JOIN + 7,
    CLIENT_LANE_COUNT,
};

/* A lane for a member's joins: the one that fewest members have. Given back at its end. */
enum client_lane client_join_lane_take(struct ottla_client *client);
void client_join_lane_give(struct ottla_client *client, enum client_lane lane);

/*
 * What the answer means for the one request: the error that decides whether it is repeated, OK when
 * the answer is to be handed over. An error that is retriable repeats it after a pause, asking
 * anew for the controller or coordinator where it says that it moved; any other hands it over, too.
 */
typedef err_t (*client_judge_fn)(void *arg, int16_t version, const void *response);

/* The request for this version (and broker), in the arena or older than it; called at each try.
 * UNSUPPORTED_VERSION when it cannot be said in this version. */
typedef err_t (*client_build_fn)(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                                 const void **ret_request);

struct client_answer {
    err_t err; /* OK: there is an answer, with whatever errors inside; else how the last try ended,
                * or TIMED_OUT */
    int32_t broker_id;
    int16_t version;
    const void *response; /* the struct of wire/messages.h; NULL on error */
    struct arena *arena;  /* where it lives; good until the function returns */
    struct bytes frame;   /* its bytes, which byte fields of the response point into */
    int64_t throttle_ms;  /* for so long the broker wants to be left alone; the lane does that */
    const char *text;     /* why there is no answer, with the broker's name; "" when there is */
    const struct client_response *from; /* for client_response_keep; NULL on error */
};
typedef void (*client_answer_fn)(void *arg, const struct client_answer *answer);

struct client_ask {
    enum client_role role;
    int32_t broker_id; /* of CLIENT_BROKER */
    struct str key;    /* of CLIENT_GROUP, CLIENT_TRANSACTION; copied */
    enum client_lane lane;
    int16_t api_key;
    int16_t version_max; /* -1: what both sides have */
    const void *request; /* lives until done; or NULL, and then */
    client_build_fn build;
    client_judge_fn judge;  /* NULL: any answer is handed over; errors of the connection end it, too
                             * (one try) */
    int64_t timeout_ms;     /* for all tries; 0: default.api.timeout.ms */
    int64_t try_timeout_ms; /* for one; 0: request.timeout.ms. A request that the broker holds back
                             * adds its own waiting time. */
    bool no_answer;         /* Produce with acks=0: done is called when it is on its way */
    client_answer_fn done;  /* exactly once, unless cancelled */
    void *arg;              /* of all three functions */
};

struct client_asked;

/* Never fails at once: errors come to `done`. The handle is good until done is called. */
struct client_asked *client_ask(struct ottla_client *client, const struct client_ask *ask);

/* done is not called any more, from now on. The broker may still act on the request. */
void client_ask_cancel(struct client_asked *asked);

/* How the last try ended that is to be repeated, or the last to find out whom to ask; "": there was
 * none. Good until the next turn. */
const char *client_ask_trouble(const struct client_asked *asked);

/* Requests without an answer on the connection to a broker; SIZE_MAX: there is no connection, and
 * reconnect.backoff.ms forbids one now. */
size_t client_broker_pending(const struct ottla_client *client, int32_t broker_id,
                             enum client_lane lane);

/* Whether broker versions are known and include this one. To choose between ways of doing things
 * before asking; false while nobody was connected. */
bool client_broker_version(const struct ottla_client *client, int32_t broker_id, int16_t api_key,
                           int16_t *ret_version);

/* The cluster's transaction.version (KIP-890), by the newest of what brokers told when they were
 * connected to; 0 while none did. */
int16_t client_transaction_version(const struct ottla_client *client);

/* --- metadata --- */

struct client_partition {
    int32_t leader; /* -1: none now */
    int32_t leader_epoch;
    int32_t *replicas;
    size_t replica_count;
    int32_t *isr;
    size_t isr_count;
    err_t err; /* of the partition in the last answer */
};

struct client_topic {
    struct str name;
    struct uuid id; /* zero: from a broker that has none */
    err_t err; /* of the topic: OK, or UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED … */
    bool internal;
    struct client_partition *partitions; /* by index */
    int32_t partition_count;
};

struct client_broker {
    int32_t id;
    struct str host;
    uint16_t port;
    struct str rack;
};

/* Told after each change of metadata, from a turn of the loop. */
struct client_watcher {
    struct list link; /* zero-initialise */
    void (*changed)(struct client_watcher *watcher);
};
void client_watch(struct ottla_client *client, struct client_watcher *watcher);
void client_unwatch(struct ottla_client *client, struct client_watcher *watcher);

/* What was last heard of a topic; NULL: nothing yet. Good until the next turn of the loop. */
const struct client_topic *client_topic(const struct ottla_client *client, struct str name);
const struct client_topic *client_topic_by_id(const struct ottla_client *client,
                                              const struct uuid *id);

/* Keeps a topic among those asked for; counted. `create`: allow.auto.create.topics. */
void client_topic_want(struct ottla_client *client, struct str name, bool create);
void client_topic_unwant(struct ottla_client *client, struct str name);

/* Asks for all topics of the cluster from now on (for patterns); counted. */
void client_topics_want_all(struct ottla_client *client, bool want);
size_t client_topic_count(const struct ottla_client *client);
const struct client_topic *client_topic_at(const struct ottla_client *client, size_t index);

/* Asks soon, at most once per retry.backoff.ms; watchers are told. */
void client_metadata_refresh(struct ottla_client *client);

/* The time (sys_mono_ms) of the last full answer; -1: none yet. */
int64_t client_metadata_time_ms(const struct ottla_client *client);

/* A leader learnt from an answer to Produce or Fetch (KIP-951), if its epoch is newer; host NULL
 * where the broker is known. Returns whether anything changed. */
bool client_leader_learnt(struct ottla_client *client, struct str topic, int32_t partition,
                          int32_t leader, int32_t leader_epoch,
                          const struct client_broker *endpoint);

size_t client_broker_count(const struct ottla_client *client);
const struct client_broker *client_broker_at(const struct ottla_client *client, size_t index);
int32_t client_controller_id(const struct ottla_client *client); /* -1: not known */
struct str client_cluster_id(const struct ottla_client *client); /* null: not known */
