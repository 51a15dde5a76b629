#pragma once

#include "base/rng.h"
#include "client/fake_broker_test_int.h"
#include "client/member.h"

/*
 * A member of a group in a simulated world of two brokers: a coordinator that does as a test tells
 * it, and an owner that asserts that it is told what it may be told.
 */
enum { OWNED_MAX = 64, ASSIGNED_MAX = 16 };

struct coordinator {
    err_t error;      /* of heartbeats, or of joins while join_error says so */
    err_t join_error; /* OK: none */
    err_t sync_error;
    int32_t generation;
    bool second_member; /* there is another one, that reads the same */
    bool foreign_bytes; /* and whose subscription is no subscription */
    bool bad_assignment;
    bool moved; /* to broker 1 */
    int members_named;
    char topics[256]; /* that the last join subscribed to */
    char reason[256];
    int32_t left_epoch;
    bool left;

    bool assign;      /* consumer protocol: says the assignment with the next answer */
    bool lose_answer; /* the next one, and the connection with it */
    struct uuid assigned_topic;
    int32_t assigned[ASSIGNED_MAX];
    int32_t assigned_count;
    int32_t epoch;
    int32_t told_owned; /* partitions that the last heartbeat named; -1: nothing new */
    char expression[64];
    bool names_hidden; /* Metadata knows no topic by its id */

    struct rng *rng; /* not NULL: answers at random */
};

struct owner {
    struct member_partition owned[OWNED_MAX];
    char topics[OWNED_MAX][32];
    size_t owned_count;
    int revoking[OWNED_MAX]; /* places in owned */
    size_t revoking_count;   /* not 0: to be released */
    bool hold;               /* release only when the test says so */
    int assigned_calls, revoking_calls, lost_calls, left_calls;
    err_t failed;
    char text[512];
};
extern struct fake_cluster *cluster;
extern struct ottla_client *client;
extern struct client_member *member;
extern struct coordinator coordinator;
extern struct owner owner;

/* Topics orders (6 partitions) and orders-late (2). Setup and teardown of a test. */
int set_up(void **state);
int tear_down(void **state);

/* A client and a member of it. assignors: of classic; instance_id: NULL for none. */
void start(const char *protocol, const char *assignors, const char *instance_id);
void subscribe(const char *topic);

/* The owner gives back what it was told to (owner.hold: only then). */
void release(void);

void run(int64_t duration_ms);
int calls(int16_t api_key); /* of both brokers */
