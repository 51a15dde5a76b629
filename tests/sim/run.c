#include "run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_MS_MAX = 180 * 1000, EXITED_AGAIN_US = 500 * 1000 };

void run_say(const struct run *run, const char *format, ...) {
    if (run->verbose != NULL) {
        va_list args;
        va_start(args, format);
        fprintf(run->verbose, "%9.3f  ", (double)sim_world_now_ms(run->world) / 1000);
        vfprintf(run->verbose, format, args);
        fputc('\n', run->verbose);
        va_end(args);
    }
}

/* --- nodes --- */

struct restart {
    struct run *run;
    int node;
};

static void start_node(struct run *run, int node) {
    struct run_node *it = &run->nodes[node];
    assert(!it->running);
    it->running = true;
    it->start_count++;
    it->power_cut_when_down = false;
    it->down_us = 0;
    it->disk_harmed = run->disk_faults_now > 0;
    run_say(run, "%s starts", sim_host_name(it->host));
    run->driver->start_node(run->driver_state, node);
}

static void restart_now(void *arg) {
    struct restart *restart = arg;
    struct run *run = restart->run;
    struct sim_host *host = run->nodes[restart->node].host;
    if (!sim_host_is_up(host)) {
        sim_host_restart(host);
        start_node(run, restart->node);
    }
    free(restart);
}

static void restart_in(struct run *run, int node, int64_t delay_us) {
    struct restart *restart = malloc(sizeof *restart);
    assert(restart != NULL);
    *restart = (struct restart){.run = run, .node = node};
    sim_world_call_in(run->world, delay_us / 1000, restart_now, restart);
}

static void gone(struct run *run, int node) {
    run->nodes[node].running = false;
    audit_down(run->audit);
    run->driver->node_gone(run->driver_state, node);
}

void run_power_cut(struct run *run) {
    run->power_cut_count++;
    audit_power_cut(run->audit);
}

void run_disk_fault(struct run *run, int node, bool begins) {
    run->disk_faults_now += begins ? 1 : -1;
    run->nodes[node].disk_harmed = true;
}

bool run_disk_is_harmed(const struct run *run, int node) {
    return run->nodes[node].disk_harmed;
}

void run_node_down(struct run *run, int node, bool power, int64_t down_us) {
    struct run_node *it = &run->nodes[node];
    if (!it->running) {
        return;
    }
    run_say(run, "%s %s", sim_host_name(it->host), power ? "loses its power" : "is killed");
    if (power) {
        sim_host_power_cut(it->host);
        run_power_cut(run);
    } else {
        sim_host_crash(it->host);
    }
    gone(run, node);
    restart_in(run, node, down_us);
}

struct exited {
    struct run *run;
    int node;
    uint32_t start;
};

static void exited_now(void *arg) {
    struct exited *exited = arg;
    struct run *run = exited->run;
    struct run_node *it = &run->nodes[exited->node];
    if (it->running && it->start_count == exited->start) {
        run_say(run, "%s has ended%s", sim_host_name(it->host),
                it->power_cut_when_down ? ", and its machine loses its power" : "");
        if (it->power_cut_when_down) {
            sim_host_power_cut(it->host);
            run_power_cut(run);
        } else {
            sim_host_crash(it->host); /* what the process left is closed by its system */
        }
        gone(run, exited->node);
        restart_in(run, exited->node, it->down_us > 0 ? it->down_us : EXITED_AGAIN_US);
    }
    free(exited);
}

/* The node's own code may be on the stack: the rest waits until it is not. */
void run_node_exited(struct run *run, int node) {
    struct exited *exited = malloc(sizeof *exited);
    assert(exited != NULL);
    *exited = (struct exited){.run = run, .node = node, .start = run->nodes[node].start_count};
    sim_world_call_in(run->world, 0, exited_now, exited);
}

/* --- the run --- */

static void make_nodes(struct run *run) {
    run->node_count = (int)scenario_run_number(run->scenario, "nodes", "1");
    assert(run->node_count <= RUN_NODES_MAX);
    for (int i = 0; i < run->node_count; i++) {
        char name[16];
        char ip[16];
        snprintf(name, sizeof name, "node%d", i + 1);
        snprintf(ip, sizeof ip, "10.0.0.%d", i + 1);
        run->nodes[i].host = sim_host_new(run->world, name, ip);
    }
}

static bool is_settled(void *arg) {
    struct run *run = arg;
    return audit_failure(run->audit) != NULL || run->driver->is_finished(run->driver_state);
}

static bool has_failed(void *arg) {
    struct run *run = arg;
    return audit_failure(run->audit) != NULL;
}

static bool all_up(void *arg) {
    struct run *run = arg;
    for (int i = 0; i < run->node_count; i++) {
        if (!run->nodes[i].running) {
            return false;
        }
    }
    return true;
}

static void settle(struct run *run) {
    run->quiet = true;
    run_faults_end(run->faults);
    run_say(run, "nothing goes wrong any more");
    if (!sim_world_run_until(run->world, all_up, run, QUIET_MS_MAX)) {
        audit_fail(run->audit, "a node did not come up when nothing went wrong any more");
        return;
    }
    run->driver->finish(run->driver_state);
    if (!sim_world_run_until(run->world, is_settled, run, QUIET_MS_MAX)) {
        const struct driver *driver = run->driver;
        audit_fail(run->audit, "in %d s without faults did not come to its end: %s",
                   QUIET_MS_MAX / 1000,
                   driver->waits_for == NULL ? "a client" : driver->waits_for(run->driver_state));
    }
}

static void check_figures(struct run *run, const struct audit_figures *figures) {
    if ((int64_t)figures->acknowledged < run->acks_min) {
        audit_fail(run->audit, "only %" PRIu64 " acknowledgements, of %" PRId64,
                   figures->acknowledged, run->acks_min);
    }
    if ((int64_t)run->fault_count < run->faults_min) {
        audit_fail(run->audit, "only %" PRIu64 " faults, of %" PRId64, run->fault_count,
                   run->faults_min);
    }
}

static void fill_result(struct run *run, struct run_result *result) {
    *result = (struct run_result){
        .hash = sim_world_trace_hash(run->world),
        .event_count = sim_world_event_count(run->world),
        .fault_count = run->fault_count,
        .virtual_ms = sim_world_now_ms(run->world),
    };
    audit_figures_get(run->audit, &result->figures);
    if (audit_failure(run->audit) == NULL) {
        check_figures(run, &result->figures);
    }
    const char *failure = audit_failure(run->audit);
    snprintf(result->failure, sizeof result->failure, "%s", failure == NULL ? "" : failure);
}

static const struct driver *driver_of(struct scenario *scenario) {
    struct scenario_line *line = scenario_next(scenario, SCENARIO_RUN, "driver", NULL);
    return driver_find(line == NULL ? "node" : scenario_text(line, "driver", "node"));
}

void run_seed(struct scenario *scenario, uint64_t seed, struct points *points, FILE *verbose,
              FILE *trace, struct run_result *ret_result) {
    struct run run = {.seed = seed, .scenario = scenario, .points = points, .verbose = verbose};
    run.driver = driver_of(scenario);
    if (run.driver == NULL) {
        fprintf(stderr, "%s: no such driver\n", scenario->name);
        exit(2);
    }
    int64_t seconds = scenario_run_number(scenario, "seconds", "60");
    run.acks_min = scenario_run_number(scenario, "acks_min", "1000");
    run.faults_min = scenario_run_number(scenario, "faults_min", "3");
    rng_init(&run.rng, seed ^ UINT64_C(0x6f74746c61)); /* apart from the world's */
    run.world = sim_world_new(seed);
    sim_world_trace(run.world, trace);
    run.audit = audit_new();
    run.watch = watch_new(run.world, points);
    make_nodes(&run);
    run.driver_state = run.driver->begin(&run);
    for (int i = 0; i < run.node_count; i++) {
        start_node(&run, i);
    }
    run.faults = run_faults_new(&run);
    char error[SCENARIO_ERROR_MAX];
    if (scenario_unknown(scenario, error)) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    (void)sim_world_run_until(run.world, has_failed, &run, seconds * 1000);
    if (audit_failure(run.audit) == NULL) {
        settle(&run);
    }
    fill_result(&run, ret_result);
    run.driver->end(run.driver_state);
    run_faults_free(run.faults);
    watch_free(run.watch);
    sim_world_free(run.world);
    audit_free(run.audit);
}
