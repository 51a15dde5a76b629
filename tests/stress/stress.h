#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit.h"
#include "base/rng.h"
#include "base/uuid.h"
#include "client/connection.h"
#include "wire/messages.h"
#include "wire/record_batch.h"

/* A stress of one node: see README.md. */
struct stress;

/* --- topics: the table that all threads share --- */

enum topic_kind {
    TOPIC_STEADY,   /* keeps all it got */
    TOPIC_RETAINED, /* loses old segments to retention */
    TOPIC_TRIMMED,  /* loses records to DeleteRecords */
    TOPIC_PACKED,   /* the node compresses anew */
    TOPIC_FLUSHED,  /* every few records are synced */
    TOPIC_KINDS,    /* those above live as long as the run */
    TOPIC_CHURNED = TOPIC_KINDS,
};

enum {
    TOPIC_PARTITIONS_MAX = 8,
    TOPIC_CHURN_COUNT = 6,
    TOPIC_COUNT = TOPIC_KINDS + TOPIC_CHURN_COUNT
};

/* A topic as it was when somebody looked; `id` tells apart topics that had the same name. */
struct topic {
    enum topic_kind kind;
    char name[24];
    struct uuid id;
    int32_t partition_count;
    bool alive;
};

struct topic topic_get(struct stress *stress, int slot);
void topic_set(struct stress *stress, int slot, const struct topic *topic);

/* Whether the topic that was seen in this slot is still the one that lives there. */
bool topic_is_same(struct stress *stress, int slot, const struct topic *topic);

/* --- the auditor, under its mutex --- */

struct audit *stress_audit_take(struct stress *stress);
void stress_audit_give(struct stress *stress);
struct audit_partition *stress_partition(struct stress *stress, const struct topic *topic,
                                         int32_t partition); /* with the mutex held */
void stress_fail(struct stress *stress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- the node --- */

struct node_process {
    const char *ottla;
    char folder[200];
    uint16_t port;
    uint16_t controller_port;
    uint16_t http_port;
    pid_t pid;
};

bool node_process_prepare(struct node_process *node, const char *ottla, const char *folder);
bool node_process_start(struct node_process *node);

/* Whether it has not ended by itself. */
bool node_process_runs(const struct node_process *node);

/* Sends the signal and waits for the end. Whether it ended as it should: killed, or with code 0. */
bool node_process_end(struct node_process *node, int signal);

/* Prints what the sanitizer wrote; how many reports there are. */
int node_process_reports(const struct node_process *node);

struct stress {
    struct node_process node;
    int64_t deadline_ms;
    _Atomic bool ending;

    pthread_mutex_t topic_mutex;
    struct topic topics[TOPIC_COUNT];

    pthread_mutex_t audit_mutex;
    struct audit *audit;

    /* What was done, for the verdict: a run that did nothing proves nothing. */
    _Atomic uint64_t topics_created;
    _Atomic uint64_t topics_deleted;
    _Atomic uint64_t settings_changed;
    _Atomic uint64_t records_deleted;
    _Atomic uint64_t segments_lost; /* a reader found its offset gone */
    _Atomic uint64_t sessions;
    _Atomic uint64_t reconnects;
    _Atomic uint64_t resent;
    _Atomic uint64_t attacks;
    _Atomic uint64_t scrapes;
};

static inline bool stress_is_ending(struct stress *stress) {
    return atomic_load(&stress->ending);
}

/* --- a client: a loop of its own, one connection that is made again when it breaks --- */

struct client {
    struct stress *stress;
    struct rng rng;
    struct sys *sys;
    struct sys_loop *loop;
    struct client_connection *connection;
    struct arena arena; /* of the last call's answer */
    struct sys_timer pause;
    bool patient; /* connects although the run ends, while the node's process is there */
};

void client_open(struct client *client, struct stress *stress, uint64_t seed);
void client_close(struct client *client);

/* Connected, however long the node takes to come back; false: the run ends. */
bool client_connect(struct client *client);
void client_disconnect(struct client *client);

/* Runs the loop until something of it calls sys_loop_stop, or the time is over. */
void client_wait(struct client *client, int64_t ms);

/* One request and its answer, on the connection there is. The answer lives until the next call. */
err_t client_call(struct client *client, int16_t api_key, const void *request, void **ret_response);

/* The same with the request as JSON. */
err_t client_call_json(struct client *client, const char *api, void **ret_response,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The earliest (-2) or the latest (-1) offset; negative: not to be had. */
int64_t client_offset(struct client *client, const char *topic, int32_t partition, int timestamp);

/* --- threads; arg is a struct thread --- */

struct thread {
    struct stress *stress;
    uint64_t seed;
    int number;
    pthread_t id;
};

void *producer_run(void *arg);
void *reader_run(void *arg);
void *admin_run(void *arg);
void *vandal_run(void *arg);

/* Creates the topics that live as long as the run. */
bool admin_create_topics(struct client *client);

/* Reads whole logs and gives them to the auditor's walk. How many were walked. */
int reader_walk_all(struct client *client);
