#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sys/sys_int.h"

/* What the files of the Linux implementation share. */

struct linux_sys {
    struct sys sys;
    int64_t start_wall_ms;
    struct linux_signals *signals; /* NULL until sys_linux_on_signals */
};

struct linux_file {
    struct sys_file file;
    int fd;
};

/* A descriptor that a loop watches: a socket, or the descriptor that signals come through. */
struct linux_socket {
    struct sys_socket socket;
    int fd;
    int wanted;              /* SYS_SOCKET_READABLE, _WRITABLE */
    bool internal;           /* not a socket of the loop's users */
    err_t connect_err;       /* sticks once connecting has failed */
    struct linux_loop *loop; /* NULL: not attached */
    sys_socket_ready_fn ready;
    void *arg;
};

extern const struct sys_ops linux_ops;

/* The error of an errno of files and of making sockets. */
err_t linux_err(int number);

int64_t linux_mono_ns(void);

/* --- linux_file.c, linux_path.c --- */
err_t linux_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file);
void linux_file_close(struct sys_file *base);
err_t linux_file_read(struct sys_file *base, uint64_t position, void *data, size_t size,
                      size_t *ret_size);
err_t linux_file_write_vector(struct sys_file *base, uint64_t position, const struct iovec *parts,
                              int part_count);
err_t linux_file_sync(struct sys_file *base);
err_t linux_file_truncate(struct sys_file *base, uint64_t size);
err_t linux_file_size(struct sys_file *base, uint64_t *ret_size);
err_t linux_file_preallocate(struct sys_file *base, uint64_t size);
void linux_file_start_writeback(struct sys_file *base, uint64_t position, uint64_t size);
bool linux_file_cached(struct sys_file *base, uint64_t position, size_t size);
err_t linux_file_lock(struct sys_file *base);

err_t linux_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat);
err_t linux_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms);
err_t linux_path_rename(struct sys *sys, const char *from, const char *to);
err_t linux_path_remove(struct sys *sys, const char *path);
err_t linux_dir_make(struct sys *sys, const char *path);
err_t linux_dir_sync(struct sys *sys, const char *path);
err_t linux_dir_list(struct sys *sys, const char *path, struct sys_dir_list *list);
void linux_working_dir(struct sys *sys, char *path, size_t size);
err_t linux_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space);

/* --- linux_loop.c --- */
err_t linux_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop);
void linux_loop_free(struct sys_loop *base);
err_t linux_loop_start(struct sys_loop *base);
void linux_loop_join(struct sys_loop *base);
void linux_loop_run(struct sys_loop *base);
void linux_loop_stop(struct sys_loop *base);
void linux_loop_turn(struct sys_loop *base, int64_t timeout_ms);
int linux_loop_fd(const struct sys_loop *base);
int64_t linux_loop_deadline_ms(const struct sys_loop *base);
void linux_loop_wake(struct sys_loop *base);
bool linux_loop_is_current(const struct sys_loop *base);
void linux_loop_stats_take(struct sys_loop *base, struct sys_loop_stats *ret_stats);
void linux_loop_post(struct sys_loop *base, struct sys_task *task);
void linux_loop_timers_changed(struct sys_loop *base);

/* Registers, changes or forgets what is wanted of a socket that is attached. */
void linux_loop_watch(struct linux_loop *loop, struct linux_socket *socket, int wanted);

/* The socket is about to be closed: it gets no more events, not even of the batch at hand. */
void linux_loop_forget(struct linux_loop *loop, struct linux_socket *socket);

/* --- linux_socket.c, linux_names.c --- */
err_t linux_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                          struct sys_socket **ret_socket, struct sys_address *ret_bound);
err_t linux_socket_accept(struct sys_socket *base, struct sys_socket **ret_socket,
                          struct sys_address *ret_peer);
err_t linux_socket_connect(struct sys *sys, const struct sys_address *address,
                           struct sys_socket **ret_socket);
err_t linux_socket_connect_result(struct sys_socket *base);
void linux_socket_attach(struct sys_socket *base, struct sys_loop *loop, sys_socket_ready_fn ready,
                         void *arg);
void linux_socket_want(struct sys_socket *base, int events);
void linux_socket_close(struct sys_socket *base, bool reset);
err_t linux_socket_read(struct sys_socket *base, void *data, size_t size, size_t *ret_size);
err_t linux_socket_write(struct sys_socket *base, const struct iovec *parts, int part_count,
                         size_t *ret_size);
err_t linux_socket_send_file(struct sys_socket *base, struct sys_file *file, uint64_t position,
                             size_t size, size_t *ret_size);
void linux_socket_set_buffers(struct sys_socket *base, int send_bytes, int receive_bytes);

/* Takes a descriptor over. */
struct linux_socket *linux_socket_from_fd(int fd);

err_t linux_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                    size_t address_max, size_t *ret_count);
err_t linux_port_holder(struct sys *sys, uint16_t port, char *text, size_t size);

/* --- linux_signals.c --- */
void linux_signals_free(struct linux_signals *signals);

/* --- linux_pool.c --- */
err_t linux_pool_new(struct sys *sys, const char *name, int thread_count,
                     struct sys_pool **ret_pool);
void linux_pool_free(struct sys_pool *base);
void linux_pool_submit(struct sys_pool *base, struct sys_job *job);
int64_t linux_pool_depth(struct sys_pool *base);
