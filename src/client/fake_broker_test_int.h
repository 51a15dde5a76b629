#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "client/core.h"
#include "sys/sim.h"
#include "sys/sim_net.h"
#include "wire/api.h"
#include "wire/messages.h"

/*
 * Brokers that do as a test tells them, in a simulated world, and a client of them.
 *
 * A broker reads frames, decodes them, fills the response with what a sound broker of the cluster
 * would say (ApiVersions, Metadata, FindCoordinator; of the others the defaults), and asks the
 * test's hook, which may change it, or lie in ways that no struct can say.
 *
 * The client's loop is run a turn at a time, so a test calls what waits as a program would: time
 * passes in there, in the same way for the same seed.
 */
enum { FAKE_BROKERS_MAX = 5, FAKE_TOPICS_MAX = 16, FAKE_PARTITIONS_MAX = 64, FAKE_PORT = 9092 };

enum fake_do {
    FAKE_ANSWER,  /* call->response */
    FAKE_BYTES,   /* call->raw, as it stands: with the length in front, if the test thinks so */
    FAKE_SILENCE, /* no answer, the connection stays */
    FAKE_CLOSE,
};

struct fake_call {
    struct fake_broker *broker;
    int32_t broker_id;
    int16_t api_key;
    int16_t version;
    int32_t correlation_id;
    int number;          /* of the calls of this API to this broker, from 1 */
    const void *request; /* structs of wire/messages.h */
    void *response;
    struct arena *arena; /* for what the hook adds */
    struct buffer raw;
};
typedef enum fake_do (*fake_hook_fn)(void *arg, struct fake_call *call);

struct fake_topic {
    char name[64];
    struct uuid id;
    int32_t partition_count;
    int32_t leaders[FAKE_PARTITIONS_MAX]; /* -1: none */
    int32_t leader_epochs[FAKE_PARTITIONS_MAX];
};

struct fake_cluster {
    struct sim_world *world;
    struct fake_broker *brokers[FAKE_BROKERS_MAX]; /* ids from 1 */
    int broker_count;
    struct fake_topic topics[FAKE_TOPICS_MAX];
    int topic_count;
    int32_t controller_id;
    int32_t coordinator_id;
    bool hidden[FAKE_BROKERS_MAX]; /* from Metadata */
    fake_hook_fn hook;             /* NULL: none */
    void *arg;

    struct sim_host *client_host;
    struct sys_loop *client_loop;
    struct ottla_client *client; /* NULL until fake_cluster_client */
};

struct fake_cluster *fake_cluster_new(uint64_t seed, int broker_count);
void fake_cluster_free(struct fake_cluster *cluster); /* its client too */

/* Partitions are led by the brokers in turn. */
struct fake_topic *fake_cluster_topic(struct fake_cluster *cluster, const char *name,
                                      int32_t partition_count);

/* A client of the first broker; pairs of names and values, ended by NULL, are settings. */
struct ottla_client *fake_cluster_client(struct fake_cluster *cluster, ...);

/* The process ends; connections are closed, and nobody listens. And comes back. */
void fake_broker_stop(struct fake_cluster *cluster, int32_t id);
void fake_broker_start(struct fake_cluster *cluster, int32_t id);

/* How often a broker was asked, by API; and how many connections were made to it. */
int fake_broker_calls(const struct fake_cluster *cluster, int32_t id, int16_t api_key);
int fake_broker_connections(const struct fake_cluster *cluster, int32_t id);
struct sim_host *fake_broker_host(const struct fake_cluster *cluster, int32_t id);

/* Lets the client run for a time. */
void fake_cluster_run(struct fake_cluster *cluster, int64_t duration_ms);
