#pragma once

#include "base/err.h"
#include "base/heap.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/socket.h"
#include "sys/sys.h"
#include "sys/worker.h"

/*
 * What an implementation of the outside world provides, Linux or simulated. Only files of this
 * folder include this header.
 *
 * Each object begins with the struct of its kind below, filled in by the implementation when it
 * makes the object; the public functions (sys.c, file.c, loop.c, socket.c, worker.c) find the
 * table through it. An operation keeps the contract of the public function of its name. What can be
 * built from other operations is not in the table and is written once: the milliseconds of
 * sys_mono_ms, sys_file_write, sys_file_read_all, sys_file_replace, sys_dir_make_all, the order of
 * a directory's names, addresses as text, timers, and locks.
 *
 * The public functions deal with NULL given to a _free or _close, so no operation sees one.
 */
struct sys_ops {
    /* sys.h */
    int64_t (*wall_ms)(struct sys *sys);
    int64_t (*mono_ns)(struct sys *sys);
    void (*random)(struct sys *sys, void *data, size_t size);
    void (*usage_read)(struct sys *sys, struct sys_usage *ret_usage);
    uint64_t (*raise_file_limit)(struct sys *sys);
    void (*host_name)(struct sys *sys, char *name, size_t size);
    int (*processor_count)(struct sys *sys);

    /* file.h */
    err_t (*file_open)(struct sys *sys, const char *path, int flags, struct sys_file **ret_file);
    void (*file_close)(struct sys_file *file);
    err_t (*file_read)(struct sys_file *file, uint64_t position, void *data, size_t size,
                       size_t *ret_size);
    err_t (*file_write_vector)(struct sys_file *file, uint64_t position, const struct iovec *parts,
                               int part_count);
    err_t (*file_sync)(struct sys_file *file);
    err_t (*file_truncate)(struct sys_file *file, uint64_t size);
    err_t (*file_size)(struct sys_file *file, uint64_t *ret_size);
    err_t (*file_preallocate)(struct sys_file *file, uint64_t size);
    void (*file_start_writeback)(struct sys_file *file, uint64_t position, uint64_t size);
    bool (*file_cached)(struct sys_file *file, uint64_t position, size_t size);
    err_t (*file_lock)(struct sys_file *file);
    void (*working_dir)(struct sys *sys, char *path, size_t size); /* cut to size */
    err_t (*path_stat)(struct sys *sys, const char *path, struct sys_stat *ret_stat);
    err_t (*path_set_modified)(struct sys *sys, const char *path, int64_t modified_ms);
    err_t (*path_rename)(struct sys *sys, const char *from, const char *to);
    err_t (*path_remove)(struct sys *sys, const char *path);
    err_t (*dir_make)(struct sys *sys, const char *path);
    err_t (*dir_sync)(struct sys *sys, const char *path);
    /* In any order; add the names with sys_dir_list_add. */
    err_t (*dir_list)(struct sys *sys, const char *path, struct sys_dir_list *list);
    err_t (*dir_space)(struct sys *sys, const char *path, struct sys_space *ret_space);

    /* loop.h */
    err_t (*loop_new)(struct sys *sys, const char *name, struct sys_loop **ret_loop);
    void (*loop_free)(struct sys_loop *loop);
    err_t (*loop_start)(struct sys_loop *loop);
    void (*loop_join)(struct sys_loop *loop);
    void (*loop_run)(struct sys_loop *loop);
    void (*loop_stop)(struct sys_loop *loop);
    /* NULL in a world whose loops cannot be run a turn at a time. */
    void (*loop_turn)(struct sys_loop *loop, int64_t timeout_ms);
    int (*loop_fd)(const struct sys_loop *loop);
    int64_t (*loop_deadline_ms)(const struct sys_loop *loop);
    void (*loop_wake)(struct sys_loop *loop);
    bool (*loop_is_current)(const struct sys_loop *loop);
    void (*loop_stats_take)(struct sys_loop *loop, struct sys_loop_stats *ret_stats);
    void (*loop_post)(struct sys_loop *loop, struct sys_task *task);
    /* The earliest deadline of the loop's timers may have changed; may be NULL. */
    void (*loop_timers_changed)(struct sys_loop *loop);

    /* socket.h */
    err_t (*resolve)(struct sys *sys, const char *host, uint16_t port,
                     struct sys_address *addresses, size_t address_max, size_t *ret_count);
    /* ret_bound is never NULL here. */
    err_t (*socket_listen)(struct sys *sys, const struct sys_address *address, int backlog,
                           struct sys_socket **ret_socket, struct sys_address *ret_bound);
    /* ret_peer is never NULL here. */
    err_t (*socket_accept)(struct sys_socket *listener, struct sys_socket **ret_socket,
                           struct sys_address *ret_peer);
    err_t (*socket_connect)(struct sys *sys, const struct sys_address *address,
                            struct sys_socket **ret_socket);
    err_t (*socket_connect_result)(struct sys_socket *socket);
    void (*socket_attach)(struct sys_socket *socket, struct sys_loop *loop,
                          sys_socket_ready_fn ready, void *arg);
    void (*socket_want)(struct sys_socket *socket, int events);
    void (*socket_close)(struct sys_socket *socket, bool reset);
    err_t (*socket_read)(struct sys_socket *socket, void *data, size_t size, size_t *ret_size);
    err_t (*socket_write)(struct sys_socket *socket, const struct iovec *parts, int part_count,
                          size_t *ret_size);
    err_t (*socket_send_file)(struct sys_socket *socket, struct sys_file *file, uint64_t position,
                              size_t size, size_t *ret_size);
    void (*socket_set_buffers)(struct sys_socket *socket, int send_bytes, int receive_bytes);
    err_t (*port_holder)(struct sys *sys, uint16_t port, char *text, size_t size);

    /* worker.h */
    err_t (*pool_new)(struct sys *sys, const char *name, int thread_count,
                      struct sys_pool **ret_pool);
    void (*pool_free)(struct sys_pool *pool);
    void (*pool_submit)(struct sys_pool *pool, struct sys_job *job);
    int64_t (*pool_depth)(struct sys_pool *pool);
};

/* The first member of every implementation's own struct. */
struct sys {
    const struct sys_ops *ops;
};

struct sys_file {
    const struct sys_ops *ops;
};

struct sys_socket {
    const struct sys_ops *ops;
};

struct sys_pool {
    const struct sys_ops *ops;
};

struct sys_loop {
    const struct sys_ops *ops;
    struct sys *sys;
    int64_t now_ms; /* as of the start of the turn; the implementation keeps it */
    struct heap timers;
    uint64_t timer_order; /* of the next timer set: equal deadlines fire in the order of setting */
};

/* loop.c: the part that all loops share. Sets now_ms from the clock of `sys`. */
void sys_loop_init(struct sys_loop *loop, const struct sys_ops *ops, struct sys *sys);
void sys_loop_done(struct sys_loop *loop);

/* The deadline of the next timer, or INT64_MAX. */
int64_t sys_loop_next_deadline_ms(const struct sys_loop *loop);

/* Takes the next timer out whose deadline is not after loop->now_ms and that was set before
 * `order_limit` (a value of loop->timer_order, so that a timer that sets itself again for now waits
 * for the next turn; UINT64_MAX: no limit). NULL when there is none. The caller calls its fire. */
struct sys_timer *sys_loop_take_due_timer(struct sys_loop *loop, uint64_t order_limit);

/* file.c: adds a copy of a name. */
void sys_dir_list_add(struct sys_dir_list *list, const char *name);
