#include "watch.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A point is hit by an event of this kind whose `what` and path fit. SIM_EVENT_CALL stands for a
 * call that was going on when a process crashed or the power was cut.
 */
static const struct {
    const char *point;
    enum sim_event_kind kind;
    const char *what;
    const char *path;
} table[] = {
    {"crash_while_rolling", SIM_EVENT_CALL, "create", "*/*.log"},
    {"crash_while_making_index", SIM_EVENT_CALL, "create", "*/*index"},
    {"crash_while_writing", SIM_EVENT_CALL, "write", "*/*.log"},
    {"crash_while_writing_index", SIM_EVENT_CALL, "write", "*/*index"},
    {"crash_while_syncing", SIM_EVENT_CALL, "sync", "*/*.log"},
    {"crash_while_truncating", SIM_EVENT_CALL, "truncate", "*"},
    {"crash_while_reading", SIM_EVENT_CALL, "read", "*/*.log"},
    {"crash_while_deleting", SIM_EVENT_CALL, "rename", "*.deleted"},
    {"crash_while_removing", SIM_EVENT_CALL, "remove", "*"},
    {"crash_while_cleaning", SIM_EVENT_CALL, "write", "*.cleaned"},
    {"crash_while_swapping", SIM_EVENT_CALL, "rename", "*.swap"},
    {"crash_while_swapping_offsets", SIM_EVENT_CALL, "rename", "*__consumer_offsets-*.swap"},
    {"crash_while_swapping_transactions", SIM_EVENT_CALL, "rename", "*__transaction_state-*.swap"},
    {"crash_while_making_partition", SIM_EVENT_CALL, "make", "*-[0-9]*"},
    {"crash_while_writing_snapshot", SIM_EVENT_CALL, "*", "*/*.snapshot*"},
    {"crash_while_writing_checkpoint", SIM_EVENT_CALL, "*", "*-checkpoint*"},
    {"crash_while_writing_metadata", SIM_EVENT_CALL, "write", "*__cluster_metadata-0/*.log"},
    {"crash_while_syncing_metadata", SIM_EVENT_CALL, "sync", "*__cluster_metadata-0/*.log"},
    {"crash_while_writing_metadata_snapshot", SIM_EVENT_CALL, "*",
     "*__cluster_metadata-0/*.checkpoint*"},
    {"torn_log", SIM_EVENT_LOST, "*", "*/*.log"},
    {"torn_index", SIM_EVENT_LOST, "*", "*/*[0-9].index"},
    {"torn_time_index", SIM_EVENT_LOST, "*", "*/*.timeindex"},
    {"torn_snapshot", SIM_EVENT_LOST, "*", "*/*.snapshot*"},
    {"torn_checkpoint", SIM_EVENT_LOST, "*", "*-checkpoint*"},
    {"torn_metadata", SIM_EVENT_LOST, "*", "*__cluster_metadata-0/*.log"},
    {"undone_segment", SIM_EVENT_UNDONE, "*", "*/*.log"},
    {"undone_index", SIM_EVENT_UNDONE, "*", "*index"},
    {"undone_snapshot", SIM_EVENT_UNDONE, "*", "*/*.snapshot*"},
    {"undone_checkpoint", SIM_EVENT_UNDONE, "*", "*-checkpoint"},
    {"undone_partition", SIM_EVENT_UNDONE, "*", "*-[0-9]"},
    {"failed_call", SIM_EVENT_FAULT, "error", "*"},
    {"failed_log_call", SIM_EVENT_FAULT, "error", "*/*.log"},
    {"short_write", SIM_EVENT_FAULT, "short-write", "*"},
    {"flipped_read", SIM_EVENT_FAULT, "flip-read", "*"},
    {"hung_call", SIM_EVENT_FAULT, "hang", "*"},
};

struct trigger {
    const char *what;
    const char *path;
    uint64_t one_in;
    void (*pull)(void *arg, struct sim_host *host);
    void *arg;
};

struct watch {
    struct sim_world *world;
    struct points *points;
    struct trigger *triggers;
    size_t trigger_count;
};

static void count(struct watch *watch, enum sim_event_kind kind, const struct sim_event *event) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].kind == kind && fnmatch(table[i].what, event->what, 0) == 0 &&
            fnmatch(table[i].path, event->path, 0) == 0) {
            points_add(watch->points, table[i].point, 1);
        }
    }
}

static void count_call(void *arg, const struct sim_event *call) {
    count(arg, SIM_EVENT_CALL, call);
}

static void try_triggers(struct watch *watch, const struct sim_event *event) {
    for (size_t i = 0; i < watch->trigger_count; i++) {
        const struct trigger *trigger = &watch->triggers[i];
        if (fnmatch(trigger->what, event->what, 0) == 0 &&
            fnmatch(trigger->path, event->path, 0) == 0 &&
            sim_world_random(watch->world, trigger->one_in) == 0) {
            trigger->pull(trigger->arg, event->host);
        }
    }
}

static void observe(void *arg, const struct sim_event *event) {
    struct watch *watch = arg;
    switch (event->kind) {
    case SIM_EVENT_CRASH:
    case SIM_EVENT_POWER_CUT:
        sim_host_each_call(event->host, count_call, watch);
        break;
    case SIM_EVENT_LOST:
    case SIM_EVENT_UNDONE:
    case SIM_EVENT_FAULT:
        count(watch, event->kind, event);
        break;
    case SIM_EVENT_RETURN:
        if (event->err == ERR_NO_SPACE) {
            points_add(watch->points, "full_disk", 1);
        }
        break;
    case SIM_EVENT_CALL:
        try_triggers(watch, event);
        break;
    default:
        break;
    }
}

struct watch *watch_new(struct sim_world *world, struct points *points) {
    struct watch *watch = calloc(1, sizeof *watch);
    assert(watch != NULL);
    watch->world = world;
    watch->points = points;
    sim_world_observe(world, observe, watch);
    return watch;
}

void watch_free(struct watch *watch) {
    sim_world_observe(watch->world, NULL, NULL);
    free(watch->triggers);
    free(watch);
}

void watch_add_trigger(struct watch *watch, const char *what, const char *path, uint64_t one_in,
                       void (*pull)(void *arg, struct sim_host *host), void *arg) {
    watch->triggers =
        realloc(watch->triggers, (watch->trigger_count + 1) * sizeof *watch->triggers);
    assert(watch->triggers != NULL);
    watch->triggers[watch->trigger_count++] = (struct trigger){
        .what = what, .path = path, .one_in = one_in > 0 ? one_in : 1, .pull = pull, .arg = arg};
}
