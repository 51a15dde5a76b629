/* Events of the simulated world: the hash over them, the trace, the observer. */
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "sys/sim_int.h"

static const char *const names[] = {
    [SIM_EVENT_TASK] = "task",           [SIM_EVENT_TIMER] = "timer",
    [SIM_EVENT_SOCKET] = "socket",       [SIM_EVENT_SLICE] = "slice",
    [SIM_EVENT_THREAD] = "thread",       [SIM_EVENT_CALL] = "call",
    [SIM_EVENT_RETURN] = "return",       [SIM_EVENT_FAULT] = "fault",
    [SIM_EVENT_CONNECT] = "connect",     [SIM_EVENT_DELIVER] = "deliver",
    [SIM_EVENT_RESET] = "reset",         [SIM_EVENT_CRASH] = "crash",
    [SIM_EVENT_POWER_CUT] = "power-cut", [SIM_EVENT_LOST] = "lost",
    [SIM_EVENT_UNDONE] = "undone",       [SIM_EVENT_RESTART] = "restart",
    [SIM_EVENT_NOTE] = "note",
};

const char *sim_event_name(enum sim_event_kind kind) {
    return names[kind];
}

void sim_hash_number(struct sim_world *world, uint64_t number) {
    uint64_t mixed = (world->hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    world->hash = mixed ^ (mixed >> 29);
}

void sim_hash_bytes(struct sim_world *world, const void *data, size_t size) {
    sim_hash_number(world, (uint64_t)size << 32 | crc32c(0, data, size));
}

static void hash_text(struct sim_world *world, const char *text) {
    sim_hash_bytes(world, text, strlen(text));
}

static void print(struct sim_world *world, const struct sim_event *event) {
    fprintf(world->trace, "%6" PRId64 ".%06" PRId64 " %s/%s %s", world->now_ns / 1000000000,
            world->now_ns / 1000 % 1000000, event->host == NULL ? "-" : event->host->name,
            event->actor, names[event->kind]);
    if (event->what[0] != '\0') {
        fprintf(world->trace, " %s", event->what);
    }
    if (event->path[0] != '\0') {
        fprintf(world->trace, " %s", event->path);
    }
    if (event->a != 0 || event->b != 0) {
        fprintf(world->trace, " %" PRIu64 " %" PRIu64, event->a, event->b);
    }
    if (event->err != ERR_OK) {
        fprintf(world->trace, " %s", err_name(event->err));
    }
    fputc('\n', world->trace);
}

void sim_record(struct sim_world *world, const struct sim_event *given) {
    struct sim_event event = *given;
    event.actor = event.actor == NULL ? "" : event.actor;
    event.what = event.what == NULL ? "" : event.what;
    event.path = event.path == NULL ? "" : event.path;

    world->event_count++;
    sim_hash_number(world, (uint64_t)world->now_ns);
    sim_hash_number(world, (uint64_t)event.kind << 32 | (uint32_t)event.err);
    sim_hash_number(world, event.host == NULL ? 0 : event.host->number);
    sim_hash_number(world, event.a);
    sim_hash_number(world, event.b);
    hash_text(world, event.actor);
    hash_text(world, event.what);
    hash_text(world, event.path);
    if (world->trace != NULL) {
        print(world, &event);
    }
    if (world->observe != NULL) {
        world->observe(world->observe_arg, &event);
    }
}

void sim_world_observe(struct sim_world *world,
                       void (*observe)(void *arg, const struct sim_event *event), void *arg) {
    world->observe = observe;
    world->observe_arg = arg;
}

void sim_world_trace(struct sim_world *world, FILE *file) {
    world->trace = file;
}

void sim_world_note(struct sim_world *world, const char *what) {
    sim_record(world, &(struct sim_event){.kind = SIM_EVENT_NOTE, .what = what});
}

uint64_t sim_world_trace_hash(const struct sim_world *world) {
    return world->hash;
}

uint64_t sim_world_event_count(const struct sim_world *world) {
    return world->event_count;
}
