/* Injected faults and latencies of disk calls. */
#include "sys/sim_fault.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { CLASS_COUNT = 6, CACHED_READ_NS_MIN = 1000, CACHED_READ_NS_MAX = 5000 };

struct rule {
    struct list link;
    int number;
    struct sim_fault fault; /* path is a copy, or NULL */
    uint64_t strike_count;
};

static int class_index(unsigned class) {
    assert(__builtin_popcount(class) == 1);
    return __builtin_ctz(class);
}

void sim_disk_set_latency(struct sim_host *host, unsigned calls, int64_t min_ns, int64_t max_ns) {
    for (int i = 0; i < CLASS_COUNT; i++) {
        if ((calls >> i & 1) != 0) {
            host->latency_ns[i][0] = min_ns;
            host->latency_ns[i][1] = max_ns;
        }
    }
}

/* A good SSD. */
void sim_faults_init(struct sim_host *host) {
    list_init(&host->faults);
    sim_disk_set_latency(host, SIM_CALL_OPEN | SIM_CALL_LOOK, 5000, 50000);
    sim_disk_set_latency(host, SIM_CALL_NAME, 10000, 200000);
    sim_disk_set_latency(host, SIM_CALL_READ, 80000, 400000);
    sim_disk_set_latency(host, SIM_CALL_WRITE, 2000, 30000);
    sim_disk_set_latency(host, SIM_CALL_SYNC, 200000, 5000000);
}

/* --- rules --- */

int sim_disk_add_fault(struct sim_host *host, const struct sim_fault *fault) {
    struct rule *rule = calloc(1, sizeof *rule);
    assert(rule != NULL);
    rule->number = ++host->fault_last;
    rule->fault = *fault;
    rule->fault.path = fault->path == NULL ? NULL : strdup(fault->path);
    list_add_last(&host->faults, &rule->link);
    return rule->number;
}

static void release_hung(struct sim_host *host, int number) {
    struct sim_world *world = host->world;
    for (size_t i = 0; i < world->actor_count; i++) {
        struct sim_actor *actor = world->actors[i];
        if (actor->host == host && actor->hung_by == number) {
            actor->hung_by = 0;
            actor->ready_ns = world->now_ns;
        }
    }
}

static void rule_free(struct sim_host *host, struct rule *rule) {
    release_hung(host, rule->number);
    list_remove(&rule->link);
    free((char *)rule->fault.path);
    free(rule);
}

void sim_disk_remove_fault(struct sim_host *host, int number) {
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &host->faults) {
        struct rule *rule = container_of(link, struct rule, link);
        if (rule->number == number) {
            rule_free(host, rule);
        }
    }
}

void sim_disk_remove_all_faults(struct sim_host *host) {
    struct list *link;
    while ((link = list_first(&host->faults)) != NULL) {
        rule_free(host, container_of(link, struct rule, link));
    }
}

void sim_faults_done(struct sim_host *host) {
    sim_disk_remove_all_faults(host);
}

static bool ended(const struct rule *rule) {
    return rule->fault.count_max > 0 && rule->strike_count >= rule->fault.count_max;
}

static bool strikes(struct sim_host *host, struct rule *rule, unsigned class, const char *path) {
    const struct sim_fault *fault = &rule->fault;
    if (ended(rule) || (fault->calls != 0 && (fault->calls & class) == 0)) {
        return false;
    }
    if (fault->kind == SIM_FAULT_SHORT_WRITE && class != SIM_CALL_WRITE) {
        return false;
    }
    if ((fault->kind == SIM_FAULT_FLIP_READ || fault->kind == SIM_FAULT_FLIP_STORED) &&
        class != SIM_CALL_READ) {
        return false;
    }
    if (fault->path != NULL && fnmatch(fault->path, path, 0) != 0) {
        return false;
    }
    return fault->one_in <= 1 || rng_one_in(&host->world->disk, fault->one_in);
}

static const char *const kind_names[] = {
    [SIM_FAULT_ERROR] = "error",         [SIM_FAULT_SHORT_WRITE] = "short-write",
    [SIM_FAULT_FLIP_READ] = "flip-read", [SIM_FAULT_FLIP_STORED] = "flip-stored",
    [SIM_FAULT_DELAY] = "delay",         [SIM_FAULT_HANG] = "hang",
};

static void apply(struct sim_call *call, const struct rule *rule) {
    const struct sim_fault *fault = &rule->fault;
    switch (fault->kind) {
    case SIM_FAULT_DELAY:
        call->time_ns += fault->delay_ms * 1000000;
        break;
    case SIM_FAULT_HANG:
        call->hung_by = rule->number;
        break;
    case SIM_FAULT_ERROR:
    case SIM_FAULT_SHORT_WRITE:
        call->err = fault->err == ERR_OK ? ERR_IO : fault->err;
        break;
    case SIM_FAULT_FLIP_READ:
    case SIM_FAULT_FLIP_STORED:
        break;
    }
    if (fault->kind != SIM_FAULT_DELAY && fault->kind != SIM_FAULT_HANG) {
        call->struck = true;
        call->kind = fault->kind;
    }
}

static void draw_faults(struct sim_call *call, unsigned class, const char *path) {
    struct list *link;
    list_for_each (link, &call->host->faults) {
        struct rule *rule = container_of(link, struct rule, link);
        bool waits = rule->fault.kind == SIM_FAULT_DELAY || rule->fault.kind == SIM_FAULT_HANG;
        if ((waits || !call->struck) && strikes(call->host, rule, class, path)) {
            rule->strike_count++;
            apply(call, rule);
            sim_record(call->host->world, &(struct sim_event){.kind = SIM_EVENT_FAULT,
                                                              .host = call->host,
                                                              .actor = call->actor->name,
                                                              .what = kind_names[rule->fault.kind],
                                                              .path = path});
        }
    }
}

/* --- calls --- */

void sim_call_begin(struct sim_call *call, struct sim_host *host, unsigned class, const char *what,
                    const char *path, uint64_t a, uint64_t b, bool cached) {
    struct sim_world *world = host->world;
    *call = (struct sim_call){.host = host, .actor = world->current};
    if (call->actor == NULL) {
        return;
    }
    assert(call->actor->host == host);
    call->actor->call = (struct sim_event){.kind = SIM_EVENT_CALL,
                                           .host = host,
                                           .actor = call->actor->name,
                                           .what = what,
                                           .path = strdup(path),
                                           .a = a,
                                           .b = b};
    sim_record(world, &call->actor->call);
    const int64_t *latency_ns = host->latency_ns[class_index(class)];
    call->time_ns = cached ? sim_between(&world->disk, CACHED_READ_NS_MIN, CACHED_READ_NS_MAX)
                           : sim_between(&world->disk, latency_ns[0], latency_ns[1]);
    draw_faults(call, class, path);
}

void sim_call_half(struct sim_call *call) {
    if (call->actor == NULL) {
        return;
    }
    struct sim_world *world = call->host->world;
    if (call->hung_by != 0) {
        call->actor->hung_by = call->hung_by;
        call->hung_by = 0;
        sim_wait(world, INT64_MAX);
    }
    int64_t part_ns = call->time_ns / 2;
    call->time_ns -= part_ns;
    sim_wait(world, part_ns);
}

err_t sim_call_end(struct sim_call *call, err_t err) {
    if (call->actor != NULL) {
        struct sim_event event = call->actor->call;
        event.kind = SIM_EVENT_RETURN;
        event.err = err;
        sim_record(call->host->world, &event);
        free((char *)event.path);
        call->actor->call = (struct sim_event){.what = "", .path = NULL};
    }
    return err;
}

void sim_host_each_call(struct sim_host *host,
                        void (*visit)(void *arg, const struct sim_event *call), void *arg) {
    struct sim_world *world = host->world;
    for (size_t i = 0; i < world->actor_count; i++) {
        struct sim_actor *actor = world->actors[i];
        if (actor->host == host && actor->call.what[0] != '\0') {
            visit(arg, &actor->call);
        }
    }
}
