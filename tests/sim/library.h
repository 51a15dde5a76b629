#pragma once

#include "node_int.h"
#include "ottla/types.h"

/*
 * Clients that are made of libottla as a program would make them: they use its public headers only,
 * and never wait, for they live on the loop of all clients.
 *
 *   library_client     its settings, and what it says
 *   library_producer   ottla_produce, and what deliveries must keep
 *   library_consumer   a consumer of a group: it polls from a timer, commits, leaves, dies, stalls
 *   library_group      what the consumers of a group are held to
 *   library_records    of what they read
 *   library_txn        a transactional producer, and what it is held to
 *   library_program    crashes, zombies and successors of programs that have transactions
 *   library_transact   such a program that writes
 *   library_transform  and one that consumes, transforms and produces
 *
 *   client  library-produce count=1-2 records=1-10 wait=20ms-200ms idempotent=yes
 *   client  library-consume group=library count=2-3 protocol=drawn wait=20ms-200ms synced=no
 *                           committed=no         yes: reads no more than that; no: drawn
 *   client  library-transact count=2 records=1-5 wait=5ms-60ms timeout=2s-6s dies_one_in=150
 *   client  library-transform from=orders to=ledger count=2-3 protocol=drawn wait=5ms-60ms ...
 *
 * All other settings are drawn from the seed for each life of a client.
 */

/* Where the node is, and timeouts that fit into a run. */
struct ottla_config *library_config_new(struct node_sim *sim);

/* printf-like. A value that the library does not take is a violation. */
void library_set(struct node_sim *sim, struct ottla_config *config, const char *name,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Takes the config. */
struct ottla_client *library_client_new(struct node_sim *sim, struct ottla_config *config);

/* What it does with what the library says, until another function is set. */
void library_say(void *sim, enum ottla_log_level level, const char *text);

/* One of `count`. */
const char *library_pick(struct node_sim *sim, const char *const *texts, size_t count);
#define LIBRARY_PICK(sim, texts) library_pick(sim, texts, sizeof(texts) / sizeof *(texts))

/* What is sent to a partition, and what was told last of that in one life of a producer. */
struct library_sent {
    struct node_topic *topic;
    int32_t partition;
    uint64_t value;
    uint32_t cut; /* run->power_cut_count when it was produced */
};
struct library_lane {
    uint64_t last_value;
    int64_t last_offset; /* -1: none, or it may be gone */
    uint32_t last_cut;
};

/* Whether what is heard now was said after the last power cut. */
bool library_is_fresh(const struct node_sim *sim, const struct library_sent *sent);

/* Deliveries come in the order of ottla_produce, and so do offsets; offset < 0: there is none.
 * repeats: the same may be written again, behind others. */
void library_check_order(struct node_sim *sim, const char *who, const struct library_sent *sent,
                         struct library_lane *lane, int64_t offset, bool repeats);

/* Tells the auditor that it was delivered. Not what was produced before a power cut and is not
 * synced: it is not known when the answer was given. */
void library_acknowledge(struct node_sim *sim, const struct library_sent *sent, int64_t offset);

/* Counts a point of the scenario, and says so. */
void library_point(struct node_sim *sim, const char *who, const char *point);
