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
 *
 *   client  library-produce count=1-2 records=1-10 wait=20ms-200ms idempotent=yes
 *   client  library-consume group=library count=2-3 protocol=drawn wait=20ms-200ms synced=no
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

/* One of `count`. */
const char *library_pick(struct node_sim *sim, const char *const *texts, size_t count);
#define LIBRARY_PICK(sim, texts) library_pick(sim, texts, sizeof(texts) / sizeof *(texts))

/* Counts a point of the scenario, and says so. */
void library_point(struct node_sim *sim, const char *who, const char *point);
