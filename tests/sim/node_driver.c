#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_compaction.h"
#include "node_int.h"
#include "sys/sim_disk.h"

enum { DISK_CAPACITY = 1 << 30 };

/* --- small things that all use --- */

int64_t node_draw(struct node_sim *sim, struct scenario_range range) {
    return scenario_draw(range, &sim->run->rng);
}

uint64_t node_below(struct node_sim *sim, uint64_t bound) {
    return rng_below(&sim->run->rng, bound);
}

void node_timer_in(struct node_sim *sim, struct sys_timer *timer, int64_t delay_ms) {
    sys_timer_set(sim->loop, timer, sys_mono_ms(sim->sys) + delay_ms);
}

bool node_error_passes(int16_t code) {
    switch (code) {
    case ERR_UNKNOWN_TOPIC_OR_PARTITION: /* a partition that is not open yet */
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_LEADER_NOT_AVAILABLE:
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_REQUEST_TIMED_OUT:
    case ERR_BROKER_NOT_AVAILABLE:
    case ERR_REPLICA_NOT_AVAILABLE:
    case ERR_NOT_ENOUGH_REPLICAS:
    case ERR_KAFKA_STORAGE_ERROR:
    case ERR_NOT_CONTROLLER:
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case ERR_OFFSET_NOT_AVAILABLE:
        return true;
    default:
        return false;
    }
}

void node_note_producer_id(struct node_sim *sim, int64_t id) {
    for (size_t i = 0; i < sim->producer_id_count; i++) {
        if (sim->producer_ids[i] == id) {
            node_fail(sim, "producer id %lld is given out twice", (long long)id);
        }
    }
    sim->producer_ids =
        realloc(sim->producer_ids, (sim->producer_id_count + 1) * sizeof *sim->producer_ids);
    assert(sim->producer_ids != NULL);
    sim->producer_ids[sim->producer_id_count++] = id;
}

void node_client_add(struct node_sim *sim, struct node_client *client, const char *name) {
    client->sim = sim;
    client->name = name;
    struct node_client **last = &sim->clients;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = client;
}

/* --- the process --- */

static void write_line(void *arg, enum text_log_level level, const char *line, int size) {
    struct node_process *process = arg;
    if (level == TEXT_LOG_ERROR) {
        snprintf(process->last_error, sizeof process->last_error, "%.*s", size - 1, line);
    }
    run_say(process->sim->run, "  | %.*s", size - 1, line);
}

static int64_t wall_ms(void *arg) {
    struct node_process *process = arg;
    return sys_wall_ms(sim_host_sys(process->sim->run->nodes[process->number].host));
}

static void node_started(void *arg, err_t err, const char *text) {
    struct node_process *process = arg;
    struct run *run = process->sim->run;
    process->serving = err == ERR_OK;
    if (err != ERR_OK) {
        run_say(run, "the start failed: %s", text);
        if (!run_disk_is_harmed(run, process->number)) {
            node_fail(process->sim, "the node cannot start: %s", text);
        }
        process->stopping = true;
        node_stop(process->node);
    }
}

static void node_stopped(void *arg) {
    struct node_process *process = arg;
    node_end_loops(process->node);
    run_node_exited(process->sim->run, process->number);
}

static void node_failed(void *arg, const char *text) {
    struct node_process *process = arg;
    struct run *run = process->sim->run;
    if (!run_disk_is_harmed(run, process->number)) {
        node_fail(process->sim, "the node gives up: %s", text);
    }
    process->stopping = true;
    node_stop(process->node);
}

static struct config *make_config(struct node_sim *sim) {
    struct config_pair pairs[64];
    size_t count;
    const struct config_pair *defaults = config_pairs_default(&count);
    memcpy(pairs, defaults, count * sizeof *defaults);
    pairs[count++] = (struct config_pair){
        STR("listeners"), STR("PLAINTEXT://10.0.0.1:9092,CONTROLLER://10.0.0.1:9093")};
    pairs[count++] =
        (struct config_pair){STR("advertised.listeners"), STR("PLAINTEXT://10.0.0.1:9092")};
    pairs[count++] =
        (struct config_pair){STR("controller.quorum.bootstrap.servers"), STR("10.0.0.1:9093")};
    char dirs[128] = "";
    for (int i = 0; i < sim->dir_count; i++) {
        snprintf(dirs + strlen(dirs), sizeof dirs - strlen(dirs), "%s/disk%d/data",
                 i == 0 ? "" : ",", i + 1);
    }
    pairs[count++] = (struct config_pair){STR("log.dirs"), str_from_c(dirs)};
    struct scenario_line *line = NULL;
    while ((line = scenario_next(sim->run->scenario, SCENARIO_CONFIG, NULL, line)) != NULL) {
        for (int i = 0; i < line->setting_count; i++) {
            struct scenario_setting *setting = &line->settings[i];
            if (strncmp(setting->key, "sim.", 4) != 0) {
                assert(count < sizeof pairs / sizeof pairs[0]);
                setting->asked = true;
                pairs[count++] =
                    (struct config_pair){str_from_c(setting->key), str_from_c(setting->value)};
            }
        }
    }
    struct config_report report;
    config_report_init(&report);
    struct config *config;
    if (config_new(pairs, count, &report, &config) != ERR_OK) {
        for (size_t i = 0; i < report.error_count; i++) {
            fprintf(stderr, "%.*s\n", STR_ARGS(report.errors[i]));
        }
        exit(2);
    }
    config_report_done(&report);
    return config;
}

static void start_node(void *state, int number) {
    struct node_sim *sim = state;
    struct node_process *process = &sim->processes[number];
    *process = (struct node_process){.sim = sim, .number = number, .config = make_config(sim)};
    process->text_log = (struct text_log){
        .sink = write_line,
        .now_ms = wall_ms,
        .arg = process,
        .level = sim->run->verbose != NULL ? TEXT_LOG_INFO : TEXT_LOG_ERROR,
    };
    struct node_settings settings = {
        .sys = sim_host_sys(sim->run->nodes[number].host),
        .text_log = &process->text_log,
        .config = process->config,
        .auto_format = true,
        .started = node_started,
        .stopped = node_stopped,
        .failed = node_failed,
        .arg = process,
    };
    err_t err = node_new(&settings, &process->node);
    assert(err == ERR_OK);
    err = node_start(process->node);
    assert(err == ERR_OK);
    (void)err;
}

static void stop_node(void *state, int number) {
    struct node_sim *sim = state;
    struct node_process *process = &sim->processes[number];
    if (!process->stopping) {
        process->stopping = true;
        node_stop(process->node);
    }
}

static void node_gone(void *state, int number) {
    struct node_sim *sim = state;
    struct node_process *process = &sim->processes[number];
    process->serving = false;
    process->node = NULL; /* with all that it had: it is abandoned, as by a real crash */
    config_unref(process->config);
    sim->down_count++;
    if (sim->unsynced && sim->shaken_count != sim->run->power_cut_count) {
        sim->shaken_count = sim->run->power_cut_count;
        audit_txns_shake(sim->txns);
    }
}

/* --- the run --- */

static void make_disks(struct node_sim *sim) {
    struct scenario_line *line = NULL;
    struct scenario_range dirs = {.least = 1, .most = 1};
    while ((line = scenario_next(sim->run->scenario, SCENARIO_CONFIG, NULL, line)) != NULL) {
        if (scenario_text(line, "sim.dirs", NULL) != NULL) {
            dirs = scenario_range(line, "sim.dirs", "1");
        }
        sim->unsynced |= scenario_flag(line, "sim.unsynced", false);
    }
    sim->dir_count = (int)node_draw(sim, dirs);
    assert(sim->dir_count <= SIM_DIRS_MAX);
    for (int i = 0; i < sim->dir_count; i++) {
        char path[16];
        snprintf(path, sizeof path, "/disk%d", i + 1);
        sim_disk_mount(sim->run->nodes[0].host, path, DISK_CAPACITY);
    }
}

static void make_clients(struct node_sim *sim) {
    node_walker_new(sim);
    struct scenario_line *line = NULL;
    while ((line = scenario_next(sim->run->scenario, SCENARIO_CLIENT, NULL, line)) != NULL) {
        int64_t count = node_draw(sim, scenario_range(line, "count", "1"));
        for (int64_t i = 0; i < count; i++) {
            if (strcmp(line->name, "produce") == 0) {
                node_producer_new(sim, line);
            } else if (strcmp(line->name, "read") == 0) {
                node_reader_new(sim, line);
            } else if (strcmp(line->name, "member") == 0) {
                node_member_new(sim, line);
            } else if (strcmp(line->name, "transact") == 0) {
                node_txn_new(sim, line);
            } else if (strcmp(line->name, "read-committed") == 0) {
                node_txn_reader_new(sim, line);
            } else if (strcmp(line->name, "internal") == 0) {
                node_internal_new(sim, line);
            } else if (strcmp(line->name, "features") == 0) {
                node_features_new(sim, line);
            } else if (strcmp(line->name, "library-produce") == 0) {
                library_producer_new(sim, line);
            } else if (strcmp(line->name, "library-consume") == 0) {
                library_consumer_new(sim, line);
            } else if (strcmp(line->name, "library-transact") == 0) {
                library_transact_new(sim, line);
            } else if (strcmp(line->name, "library-transform") == 0) {
                library_transform_new(sim, line);
            } else {
                assert(strcmp(line->name, "admin") == 0);
                node_admin_new(sim, line);
            }
        }
    }
}

static void *begin(struct run *run) {
    struct node_sim *sim = calloc(1, sizeof *sim);
    assert(sim != NULL);
    sim->run = run;
    sim->host = sim_host_new(run->world, "client", "10.0.1.1");
    sim->sys = sim_host_sys(sim->host);
    sim->address = (struct sys_address){.ip = {10, 0, 0, 1}, .port = SIM_PORT};
    err_t err = sys_loop_new(sim->sys, "clients", &sim->loop);
    assert(err == ERR_OK);
    err = sys_loop_start(sim->loop);
    assert(err == ERR_OK);
    (void)err;
    sim->txns = audit_txns_new(run->audit);
    sim->effects = audit_effects_new(run->audit);
    sim->inputs_over_ms = -1;
    make_disks(sim);
    node_features_format(sim);
    topics_read(sim);
    make_clients(sim);
    return sim;
}

static void finish(void *state) {
    struct node_sim *sim = state;
    sim->finishing = true;
}

static bool all_over(struct node_sim *sim, const char *name) {
    for (struct node_client *client = sim->clients; client != NULL; client = client->next) {
        if (strcmp(client->name, name) == 0 && !client->over) {
            snprintf(sim->waits_for, sizeof sim->waits_for, "%s", name);
            if (client->describe != NULL) {
                client->describe(client, sim->waits_for, sizeof sim->waits_for);
            }
            return false;
        }
    }
    return true;
}

static void check_compaction(struct node_sim *sim) {
    struct points *points = sim->run->points;
    struct audit_compaction gone =
        audit_compaction_check(sim->run->audit, sim->txns, sys_mono_ms(sim->sys));
    if (gone.written_again > 0) {
        points_add(points, "compacted", gone.written_again);
        points_add(points, "compacted_aborted", gone.aborted);
        points_add(points, "compacted_tombstone", gone.tombstones);
    }
}

static bool is_finished(void *state) {
    struct node_sim *sim = state;
    if (!all_over(sim, "producer") || !all_over(sim, "admin") || !all_over(sim, "member") ||
        !all_over(sim, "transactional") || !all_over(sim, "features")) {
        return false;
    }
    if (sim->inputs_over_ms < 0) {
        sim->inputs_over_ms = sys_mono_ms(sim->sys);
    }
    if (!all_over(sim, "transformer")) {
        return false;
    }
    sim->final_walk = true;
    if (!all_over(sim, "walker") || !all_over(sim, "reader") ||
        !all_over(sim, "committed-reader") || !all_over(sim, "library-consumer")) {
        return false;
    }
    check_compaction(sim);
    audit_txns_check(sim->txns);
    audit_effects_check(sim->effects);
    return true;
}

static const char *waits_for(void *state) {
    struct node_sim *sim = state;
    struct node_process *process = &sim->processes[0];
    if (!process->serving) {
        snprintf(sim->waits_for, sizeof sim->waits_for, "the node: %.100s", process->last_error);
    }
    return sim->waits_for;
}

static void end(void *state) {
    struct node_sim *sim = state;
    while (sim->clients != NULL) {
        struct node_client *client = sim->clients;
        sim->clients = client->next;
        client->free(client);
    }
    audit_txns_free(sim->txns);
    audit_effects_free(sim->effects);
    free(sim->producer_ids);
    free(sim);
}

const struct driver node_driver = {
    .name = "node",
    .begin = begin,
    .start_node = start_node,
    .stop_node = stop_node,
    .node_gone = node_gone,
    .finish = finish,
    .is_finished = is_finished,
    .waits_for = waits_for,
    .end = end,
};
