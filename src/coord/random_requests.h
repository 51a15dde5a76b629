#pragma once

#include "base/rng.h"
#include "coord/group_int.h"

/*
 * Requests at random to a shard, for random_test.c: every API in every version, over a few groups,
 * members and topics so that they meet. What is answered is learned, so that some of what comes
 * later fits; asserts that it can be sent.
 */
enum { RANDOM_TOPICS = 3, RANDOM_MEMBERS_MAX = 24 };

struct random_member {
    char id[80];
    uint64_t group;
    int32_t epoch; /* or generation */
    struct arena arena;
    struct consumer_group_heartbeat_response_assignment *assigned; /* NULL: nothing */
};

struct random_client {
    struct rng *rng;
    struct random_member members[RANDOM_MEMBERS_MAX]; /* that it knows */
    int member_count;
};

void random_client_done(struct random_client *client);

struct random_request {
    struct coord_call call; /* all but its loop */
    uint64_t group;         /* that it is about */
    struct str id;          /* likewise */
    struct random_client *client;
    struct arena arena;
    bool done; /* answered */
};

struct random_request *random_request_new(struct random_client *client);
void random_request_free(struct random_request *request);

struct str random_group(struct random_client *client);
