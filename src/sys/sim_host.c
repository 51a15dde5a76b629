/*
 * Hosts: sys/sys.h, the table of operations, and how they end and begin again.
 *
 *                 actors   sockets              files, locks   disk       network
 *   crash         vanish   closed by the system closed         as it was  answers: refused
 *   power cut     vanish   forgotten            closed         cut        dark: no answer
 *   restart       none     none                 none           as it is   answers
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sim_fault.h"
#include "sys/sim_file.h"
#include "sys/sim_net_int.h"
#include "sys/sim_tree.h"

enum { FILES_MAX_DEFAULT = 65536, PROCESSORS_DEFAULT = 2 };
#define DISK_BYTES_DEFAULT (UINT64_C(8) << 30)

/* --- sys.h --- */

static int64_t mono_ns(struct sys *sys) {
    return sim_host_of(sys)->world->now_ns;
}

static int64_t wall_ms(struct sys *sys) {
    const struct sim_host *host = sim_host_of(sys);
    return SIM_START_WALL_MS + host->wall_offset_ms + host->world->now_ns / 1000000;
}

static void random_bytes(struct sys *sys, void *data, size_t size) {
    rng_bytes(&sim_host_of(sys)->random, data, size);
}

static void usage_read(struct sys *sys, struct sys_usage *ret_usage) {
    (void)sys;
    *ret_usage = (struct sys_usage){0};
}

static uint64_t raise_file_limit(struct sys *sys) {
    return sim_host_of(sys)->files_max;
}

static void host_name(struct sys *sys, char *name, size_t size) {
    snprintf(name, size, "%s", sim_host_of(sys)->name);
}

static int processor_count(struct sys *sys) {
    return sim_host_of(sys)->processor_count;
}

const struct sys_ops sim_ops = {
    .wall_ms = wall_ms,
    .mono_ns = mono_ns,
    .random = random_bytes,
    .usage_read = usage_read,
    .raise_file_limit = raise_file_limit,
    .host_name = host_name,
    .processor_count = processor_count,
    .file_open = sim_file_open,
    .file_close = sim_file_close,
    .file_read = sim_file_read,
    .file_write_vector = sim_file_write_vector,
    .file_sync = sim_file_sync,
    .file_truncate = sim_file_truncate,
    .file_size = sim_file_size,
    .file_preallocate = sim_file_preallocate,
    .file_start_writeback = sim_file_start_writeback,
    .file_cached = sim_file_cached,
    .file_lock = sim_file_lock,
    .path_stat = sim_path_stat,
    .path_set_modified = sim_path_set_modified,
    .path_rename = sim_path_rename,
    .path_remove = sim_path_remove,
    .dir_make = sim_dir_make,
    .dir_sync = sim_dir_sync,
    .dir_list = sim_dir_list,
    .dir_space = sim_dir_space,
    .working_dir = sim_working_dir,
    .loop_new = sim_loop_new,
    .loop_free = sim_loop_free,
    .loop_start = sim_loop_start,
    .loop_join = sim_loop_join,
    .loop_run = sim_loop_run,
    .loop_stop = sim_loop_stop,
    .loop_turn = sim_loop_turn,
    .loop_deadline_ms = sim_loop_deadline_ms,
    .loop_wake = sim_loop_wake,
    .loop_is_current = sim_loop_is_current,
    .loop_stats_take = sim_loop_stats_take,
    .loop_post = sim_loop_post,
    .loop_timers_changed = NULL,
    .resolve = sim_resolve,
    .socket_listen = sim_socket_listen,
    .socket_accept = sim_socket_accept,
    .socket_connect = sim_socket_connect,
    .socket_connect_result = sim_socket_connect_result,
    .socket_attach = sim_socket_attach,
    .socket_want = sim_socket_want,
    .socket_close = sim_socket_close,
    .socket_read = sim_socket_read,
    .socket_write = sim_socket_write,
    .socket_send_file = sim_socket_send_file,
    .socket_set_buffers = sim_socket_set_buffers,
    .port_holder = sim_port_holder,
    .pool_new = sim_pool_new,
    .pool_free = sim_pool_free,
    .pool_submit = sim_pool_submit,
    .pool_depth = sim_pool_depth,
};

/* --- life --- */

struct sim_host *sim_host_new(struct sim_world *world, const char *name, const char *ip) {
    struct sim_host *host = calloc(1, sizeof *host);
    assert(host != NULL);
    host->sys.ops = &sim_ops;
    host->world = world;
    host->name = strdup(name);
    host->number = ++world->host_count;
    int parsed = inet_pton(AF_INET, ip, host->ip);
    assert(parsed == 1);
    (void)parsed;
    host->up = true;
    host->files_max = FILES_MAX_DEFAULT;
    host->processor_count = PROCESSORS_DEFAULT;
    rng_init(&host->random, rng_next(&world->schedule));
    list_init(&host->loops);
    list_init(&host->pools);
    list_init(&host->files);
    list_init(&host->sockets);
    host->tree = sim_tree_new(DISK_BYTES_DEFAULT);
    sim_faults_init(host);
    list_add_last(&world->hosts, &host->link);
    return host;
}

static void drop_all(struct sim_host *host, bool dark) {
    struct sim_world *world = host->world;
    sim_sockets_drop(host, dark);
    sim_loops_drop(host);
    sim_pools_drop(host);
    for (size_t i = world->actor_count; i > 0; i--) {
        if (world->actors[i - 1]->host == host) {
            sim_actor_free(world->actors[i - 1]);
        }
    }
    sim_files_drop(host);
    assert(host->files_open == 0);
}

void sim_host_free(struct sim_host *host) {
    drop_all(host, true);
    sim_faults_done(host);
    sim_tree_free(host->tree);
    list_remove(&host->link);
    free(host->name);
    free(host);
}

struct sys *sim_host_sys(struct sim_host *host) {
    return &host->sys;
}

const char *sim_host_name(const struct sim_host *host) {
    return host->name;
}

/* --- threads --- */

struct thread {
    void (*run)(void *arg);
    void *arg;
};

static int64_t thread_due_ns(struct sim_actor *actor) {
    (void)actor;
    return INT64_MIN;
}

static void thread_work(struct sim_actor *actor) {
    struct thread thread = *(struct thread *)actor->owner;
    free(actor->owner);
    actor->owner = NULL;
    sim_record_work(actor, SIM_EVENT_THREAD);
    thread.run(thread.arg);
    actor->ended = true;
}

void sim_host_spawn(struct sim_host *host, const char *name, void (*run)(void *arg), void *arg) {
    assert(host->up);
    struct thread *thread = malloc(sizeof *thread);
    assert(thread != NULL);
    *thread = (struct thread){.run = run, .arg = arg};
    (void)sim_actor_new(host, name, thread, thread_due_ns, thread_work);
}

/* --- the end, and after --- */

static void report_undone(void *arg, const char *path) {
    struct sim_host *host = arg;
    sim_record(host->world,
               &(struct sim_event){.kind = SIM_EVENT_UNDONE, .host = host, .path = path});
}

static void report_lost(void *arg, const char *path, uint64_t sectors, uint64_t size) {
    struct sim_host *host = arg;
    sim_record(host->world,
               &(struct sim_event){
                   .kind = SIM_EVENT_LOST, .host = host, .path = path, .a = sectors, .b = size});
}

static void end_now(struct sim_host *host, enum sim_host_end end) {
    struct sim_world *world = host->world;
    bool dark = end == SIM_END_POWER_CUT;
    host->end_wanted = SIM_END_NONE;
    sim_record(world, &(struct sim_event){.kind = dark ? SIM_EVENT_POWER_CUT : SIM_EVENT_CRASH,
                                          .host = host});
    host->up = false;
    drop_all(host, dark);
    if (dark) {
        struct sim_cut_report report = {.undone = report_undone, .lost = report_lost, .arg = host};
        sim_tree_cut(host->tree, &world->disk, &report);
        host->dark = true;
    }
}

static void end_host(struct sim_host *host, enum sim_host_end end) {
    if (!host->up && !(end == SIM_END_POWER_CUT && !host->dark)) {
        return; /* a crashed host can still lose its power */
    }
    if (host->world->current == NULL) {
        end_now(host, end);
    } else {
        host->end_wanted = end > host->end_wanted ? end : host->end_wanted;
        host->world->crash_wanted = true;
    }
}

void sim_host_crash(struct sim_host *host) {
    end_host(host, SIM_END_CRASH);
}

void sim_host_power_cut(struct sim_host *host) {
    end_host(host, SIM_END_POWER_CUT);
}

void sim_hosts_end_wanted(struct sim_world *world) {
    assert(world->current == NULL);
    world->crash_wanted = false;
    struct list *link;
    list_for_each (link, &world->hosts) {
        struct sim_host *host = container_of(link, struct sim_host, link);
        if (host->end_wanted != SIM_END_NONE) {
            end_now(host, host->end_wanted);
        }
    }
}

void sim_host_restart(struct sim_host *host) {
    assert(!host->up);
    host->up = true;
    host->dark = false;
    host->paused_until_ns = 0;
    sim_record(host->world, &(struct sim_event){.kind = SIM_EVENT_RESTART, .host = host});
}

void sim_host_pause(struct sim_host *host, int64_t duration_ms) {
    host->paused_until_ns = host->world->now_ns + duration_ms * 1000000;
}

bool sim_host_is_up(const struct sim_host *host) {
    return host->up;
}

/* --- settings --- */

void sim_host_set_wall_offset(struct sim_host *host, int64_t offset_ms) {
    host->wall_offset_ms = offset_ms;
}

void sim_host_set_file_limit(struct sim_host *host, uint64_t files_max) {
    host->files_max = files_max;
}

void sim_host_set_processor_count(struct sim_host *host, int count) {
    host->processor_count = count;
}

err_t sim_host_take_file(struct sim_host *host) {
    if (host->files_open >= host->files_max) {
        return ERR_NO_FILES;
    }
    host->files_open++;
    return ERR_OK;
}

void sim_host_give_file(struct sim_host *host) {
    assert(host->files_open > 0);
    host->files_open--;
}
