/*
 * The faults of a scenario.
 *
 *   fault crash      every= down= | at= path= one_in= down=     the process is killed
 *   fault power_cut  as crash                                   and the machine loses its power
 *   fault stop       every= down= power=                        an orderly stop, and start; power=
 *                                                               yes: it loses its power meanwhile
 *   fault full       every= for= path= room=                    so many bytes are left on a disk
 *   fault error, short_write, flip_read, flip_stored, delay, hang
 *                    every= for= calls= path= one_in= err= delay=   as in sys/sim_disk.h
 *   fault cold       every=                                     the cache is emptied
 *   fault reset, lose  every=                                   all connections of a node
 *   fault isolate    every= for=                                a node's network, both ways
 *   fault pause      every= for=                                a node stands still
 *   fault clock      every= jump=                               a node's wall clock jumps
 *
 * `every` is the time from one strike to the next, `for` how long it lasts, `at` the call at whose
 * begin it strikes (patterns of fnmatch over SIM_EVENT_CALL's what and path). The node is drawn.
 * Any fault may have `from` and `until`: it strikes only between these times of the run.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "sys/sim_disk.h"
#include "sys/sim_net.h"

struct fault {
    struct run *run;
    struct scenario_line *line;
    void (*strike)(struct fault *fault, struct run_node *node);
    void (*end)(struct fault *fault, struct run_node *node); /* NULL: it does not last */
    struct scenario_range every;
    struct scenario_range lasts;
    struct scenario_range down;
    int64_t from_ms;
    int64_t until_ms;
    bool power;                   /* of a stop */
    struct scenario_range amount; /* room, jump, delay */
    const char *path;
    struct sim_fault disk;
    int disk_fault; /* while it lasts */
    int node;       /* that it lasts on, or -1 */
    uint64_t round;
};

struct run_faults {
    struct run *run;
    struct fault *faults;
    int count;
};

#define DISK_BYTES (UINT64_C(8) << 30)

static int index_of(const struct run *run, const struct sim_host *host) {
    for (int i = 0; i < run->node_count; i++) {
        if (run->nodes[i].host == host) {
            return i;
        }
    }
    return -1;
}

static void note(struct fault *fault, const struct run_node *node) {
    char point[64];
    snprintf(point, sizeof point, "fault_%s", fault->line->name);
    points_add(fault->run->points, point, 1);
    fault->run->fault_count++;
    run_say(fault->run, "%s: fault %s", sim_host_name(node->host), fault->line->name);
}

/* --- what they do --- */

static void go_down(struct fault *fault, struct run_node *node) {
    struct run *run = fault->run;
    bool power = strcmp(fault->line->name, "power_cut") == 0;
    run_node_down(run, index_of(run, node->host), power, scenario_draw(fault->down, &run->rng));
}

static void stop(struct fault *fault, struct run_node *node) {
    struct run *run = fault->run;
    node->power_cut_when_down = fault->power;
    node->down_us = scenario_draw(fault->down, &run->rng);
    run->driver->stop_node(run->driver_state, index_of(run, node->host));
}

static void fill_disk(struct fault *fault, struct run_node *node) {
    run_disk_fault(fault->run, index_of(fault->run, node->host), true);
    uint64_t room = (uint64_t)scenario_draw(fault->amount, &fault->run->rng);
    sim_disk_set_capacity(node->host, fault->path, sim_disk_used(node->host, fault->path) + room);
}

static void empty_disk(struct fault *fault, struct run_node *node) {
    run_disk_fault(fault->run, index_of(fault->run, node->host), false);
    sim_disk_set_capacity(node->host, fault->path, DISK_BYTES);
}

static void harm_disk(struct fault *fault, struct run_node *node) {
    run_disk_fault(fault->run, index_of(fault->run, node->host), true);
    fault->disk.delay_ms = scenario_draw(fault->amount, &fault->run->rng) / 1000;
    fault->disk_fault = sim_disk_add_fault(node->host, &fault->disk);
}

static void spare_disk(struct fault *fault, struct run_node *node) {
    run_disk_fault(fault->run, index_of(fault->run, node->host), false);
    sim_disk_remove_fault(node->host, fault->disk_fault);
}

static void cool(struct fault *fault, struct run_node *node) {
    (void)fault;
    sim_disk_drop_cache(node->host);
}

static void reset(struct fault *fault, struct run_node *node) {
    (void)fault;
    sim_net_reset_connections(node->host);
}

static void lose(struct fault *fault, struct run_node *node) {
    (void)fault;
    sim_net_lose_connections(node->host);
}

static void isolate(struct fault *fault, struct run_node *node) {
    (void)fault;
    sim_net_isolate(node->host);
}

static void heal(struct fault *fault, struct run_node *node) {
    (void)node;
    sim_net_heal_all(fault->run->world);
}

static void pause_node(struct fault *fault, struct run_node *node) {
    sim_host_pause(node->host, scenario_draw(fault->lasts, &fault->run->rng) / 1000);
}

static void jump_clock(struct fault *fault, struct run_node *node) {
    sim_host_set_wall_offset(node->host, scenario_draw(fault->amount, &fault->run->rng) / 1000);
}

static const struct {
    const char *name;
    void (*strike)(struct fault *fault, struct run_node *node);
    void (*end)(struct fault *fault, struct run_node *node);
    const char *amount; /* the setting that says how much, or NULL */
    int disk_kind;      /* enum sim_fault_kind, or -1 */
} kinds[] = {
    {"crash", go_down, NULL, NULL, -1},
    {"power_cut", go_down, NULL, NULL, -1},
    {"stop", stop, NULL, NULL, -1},
    {"full", fill_disk, empty_disk, "room", -1},
    {"error", harm_disk, spare_disk, NULL, SIM_FAULT_ERROR},
    {"short_write", harm_disk, spare_disk, NULL, SIM_FAULT_SHORT_WRITE},
    {"flip_read", harm_disk, spare_disk, NULL, SIM_FAULT_FLIP_READ},
    {"flip_stored", harm_disk, spare_disk, NULL, SIM_FAULT_FLIP_STORED},
    {"delay", harm_disk, spare_disk, "delay", SIM_FAULT_DELAY},
    {"hang", harm_disk, spare_disk, NULL, SIM_FAULT_HANG},
    {"cold", cool, NULL, NULL, -1},
    {"reset", reset, NULL, NULL, -1},
    {"lose", lose, NULL, NULL, -1},
    {"isolate", isolate, heal, NULL, -1},
    {"pause", pause_node, NULL, NULL, -1},
    {"clock", jump_clock, NULL, "jump", -1},
};

/* --- when --- */

static void arm(struct fault *fault);

static void end_now(struct fault *fault) {
    if (fault->node >= 0) {
        fault->end(fault, &fault->run->nodes[fault->node]);
        fault->node = -1;
    }
}

struct later {
    struct fault *fault;
    uint64_t round;
};

static void end_later(void *arg) {
    struct later *later = arg;
    if (later->round == later->fault->round) {
        end_now(later->fault);
    }
    free(later);
}

static void strike(struct fault *fault, int number) {
    struct run *run = fault->run;
    struct run_node *node = &run->nodes[number];
    int64_t now_ms = sim_world_now_ms(run->world);
    if (run->quiet || !node->running || fault->node >= 0 || now_ms < fault->from_ms ||
        now_ms > fault->until_ms) {
        return;
    }
    note(fault, node);
    fault->strike(fault, node);
    if (fault->end != NULL) {
        struct later *later = malloc(sizeof *later);
        assert(later != NULL);
        fault->node = number;
        *later = (struct later){.fault = fault, .round = ++fault->round};
        sim_world_call_in(run->world, scenario_draw(fault->lasts, &run->rng) / 1000, end_later,
                          later);
    }
}

static void strike_again(void *arg) {
    struct fault *fault = arg;
    struct run *run = fault->run;
    if (!run->quiet) {
        strike(fault, (int)rng_below(&run->rng, (uint64_t)run->node_count));
        arm(fault);
    }
}

static void arm(struct fault *fault) {
    struct run *run = fault->run;
    sim_world_call_in(run->world, scenario_draw(fault->every, &run->rng) / 1000, strike_again,
                      fault);
}

struct triggered {
    struct fault *fault;
    int node;
};

static void strike_triggered(void *arg) {
    struct triggered *triggered = arg;
    strike(triggered->fault, triggered->node);
    free(triggered);
}

/* The call has just begun, on its actor. It is still going on when the world comes to this. */
static void pull(void *arg, struct sim_host *host) {
    struct fault *fault = arg;
    int node = index_of(fault->run, host);
    if (node < 0 || fault->run->quiet) {
        return;
    }
    struct triggered *triggered = malloc(sizeof *triggered);
    assert(triggered != NULL);
    *triggered = (struct triggered){.fault = fault, .node = node};
    sim_world_call_in(fault->run->world, 0, strike_triggered, triggered);
}

/* --- reading --- */

static unsigned calls_of(const char *text) {
    static const struct {
        const char *name;
        unsigned calls;
    } names[] = {{"open", SIM_CALL_OPEN}, {"read", SIM_CALL_READ}, {"write", SIM_CALL_WRITE},
                 {"sync", SIM_CALL_SYNC}, {"name", SIM_CALL_NAME}, {"look", SIM_CALL_LOOK}};
    unsigned calls = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        calls |= strstr(text, names[i].name) != NULL ? names[i].calls : 0;
    }
    return calls;
}

static void read_disk(struct fault *fault, int kind) {
    struct scenario_line *line = fault->line;
    fault->disk = (struct sim_fault){
        .kind = (enum sim_fault_kind)kind,
        .calls = calls_of(scenario_text(line, "calls", "")),
        .path = scenario_text(line, "path", NULL),
        .one_in = (uint64_t)scenario_number(line, "one_in", "1"),
        .count_max = (uint64_t)scenario_number(line, "count_max", "0"),
        .err = strcmp(scenario_text(line, "err", "IO"), "NO_SPACE") == 0 ? ERR_NO_SPACE : ERR_IO,
    };
}

static void read_line(struct fault *fault, struct watch *watch) {
    struct scenario_line *line = fault->line;
    size_t kind = 0;
    size_t kind_count = sizeof kinds / sizeof kinds[0];
    while (kind < kind_count && strcmp(kinds[kind].name, line->name) != 0) {
        kind++;
    }
    if (kind == kind_count) {
        fprintf(stderr, "line %d of the scenario: no such fault: %s\n", line->number, line->name);
        exit(2);
    }
    fault->strike = kinds[kind].strike;
    fault->end = kinds[kind].end;
    fault->node = -1;
    fault->every = scenario_range(line, "every", "0");
    fault->lasts = scenario_range(line, "for", "1s-5s");
    fault->from_ms = scenario_range(line, "from", "0").least / 1000;
    fault->until_ms = scenario_range(line, "until", "1000000s").least / 1000;
    if (fault->strike == stop) {
        fault->power = scenario_flag(line, "power", false);
    }
    if (fault->strike == go_down || fault->strike == stop) {
        fault->down = scenario_range(line, "down", "100ms-3s");
    }
    if (kinds[kind].amount != NULL) {
        fault->amount = scenario_range(line, kinds[kind].amount, "0");
    }
    if (fault->strike == fill_disk) {
        fault->path = scenario_text(line, "path", "/");
    }
    if (kinds[kind].disk_kind >= 0) {
        read_disk(fault, kinds[kind].disk_kind);
    }
    const char *at = scenario_text(line, "at", NULL);
    if (at != NULL) {
        watch_add_trigger(watch, at, scenario_text(line, "path", "*"),
                          (uint64_t)scenario_number(line, "one_in", "10"), pull, fault);
    } else if (fault->every.most > 0) {
        arm(fault);
    } else {
        fprintf(stderr, "line %d of the scenario: neither every= nor at=\n", line->number);
        exit(2);
    }
}

struct run_faults *run_faults_new(struct run *run) {
    struct run_faults *faults = calloc(1, sizeof *faults);
    assert(faults != NULL);
    faults->run = run;
    faults->faults = calloc((size_t)run->scenario->line_count + 1, sizeof(struct fault));
    assert(faults->faults != NULL);
    struct scenario_line *line = NULL;
    while ((line = scenario_next(run->scenario, SCENARIO_FAULT, NULL, line)) != NULL) {
        struct fault *fault = &faults->faults[faults->count++];
        fault->run = run;
        fault->line = line;
        read_line(fault, run->watch);
    }
    return faults;
}

void run_faults_end(struct run_faults *faults) {
    for (int i = 0; i < faults->count; i++) {
        end_now(&faults->faults[i]);
    }
    sim_net_heal_all(faults->run->world);
}

void run_faults_free(struct run_faults *faults) {
    free(faults->faults);
    free(faults);
}
