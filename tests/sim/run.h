#pragma once

#include <stdint.h>
#include <stdio.h>

#include "audit.h"
#include "base/rng.h"
#include "driver.h"
#include "points.h"
#include "scenario.h"
#include "sys/sim.h"
#include "watch.h"

/*
 * One simulated run: a scenario under a seed.
 *
 *   begin     a world, the nodes' hosts 10.0.0.1 ..., the driver's clients
 *   faults    as the scenario says, for its `seconds`
 *   quiet     faults end, what is down comes up, the driver finishes: at most QUIET_MS_MAX
 *   verdict   the auditor's failure, too few acknowledgements or faults, or none
 */
enum { RUN_NODES_MAX = 5 };

struct run_faults;

struct run_node {
    struct sim_host *host;
    bool running; /* its process was started and is not gone */
    uint32_t start_count;
    bool power_cut_when_down; /* the machine goes dark when the process has ended */
    int64_t down_us;          /* how long it stays down after it ended by itself; 0: a moment */
    bool disk_harmed;         /* a disk fault struck since it was started, or is on */
};

struct run {
    uint64_t seed;
    struct scenario *scenario;
    const struct driver *driver;
    void *driver_state;
    struct sim_world *world;
    struct run_node nodes[RUN_NODES_MAX];
    int node_count;
    struct audit *audit;
    struct points *points;
    struct watch *watch;
    struct run_faults *faults;
    struct rng rng;
    bool quiet;
    uint64_t fault_count;
    uint32_t power_cut_count; /* and syncs that failed: what was not synced may be gone */
    int disk_faults_now;
    int64_t faults_min;
    int64_t acks_min;
    FILE *verbose; /* what happens, for people; NULL: nothing */
};

struct run_result {
    uint64_t hash;
    uint64_t event_count;
    uint64_t fault_count;
    int64_t virtual_ms;
    struct audit_figures figures;
    char failure[600]; /* "" when all is well */
};

/* points: hits are added. trace: every event, or NULL. */
void run_seed(struct scenario *scenario, uint64_t seed, struct points *points, FILE *verbose,
              FILE *trace, struct run_result *ret_result);

/* --- for drivers --- */

/* The process of a node ended by itself: it could not start, or stopped. It is started again. */
void run_node_exited(struct run *run, int node);

/* Whether a node may fail because of its disk. */
bool run_disk_is_harmed(const struct run *run, int node);

void run_say(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- for faults --- */

/* What was not synced is lost, or may be. */
void run_power_cut(struct run *run);

/* A disk of the node begins or ends to go wrong. */
void run_disk_fault(struct run *run, int node, bool begins);

void run_node_down(struct run *run, int node, bool power, int64_t down_us);

/* run_faults.c */
struct run_faults *run_faults_new(struct run *run);
void run_faults_end(struct run_faults *faults); /* all that goes wrong is put right */
void run_faults_free(struct run_faults *faults);
