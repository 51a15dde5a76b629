#pragma once

#include "sys/sim_int.h"

/* The operations of sys/file.h on the simulated disk: sim_file.c for open files, sim_path.c for
 * names. */
err_t sim_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file);
void sim_file_close(struct sys_file *file);
err_t sim_file_read(struct sys_file *file, uint64_t position, void *data, size_t size,
                    size_t *ret_size);
err_t sim_file_write_vector(struct sys_file *file, uint64_t position, const struct iovec *parts,
                            int part_count);
err_t sim_file_sync(struct sys_file *file);
err_t sim_file_truncate(struct sys_file *file, uint64_t size);
err_t sim_file_size(struct sys_file *file, uint64_t *ret_size);
err_t sim_file_preallocate(struct sys_file *file, uint64_t size);
void sim_file_start_writeback(struct sys_file *file, uint64_t position, uint64_t size);
bool sim_file_cached(struct sys_file *file, uint64_t position, size_t size);
err_t sim_file_lock(struct sys_file *file);
void sim_files_drop(struct sim_host *host); /* at a crash */

err_t sim_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat);
err_t sim_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms);
err_t sim_path_rename(struct sys *sys, const char *from, const char *to);
err_t sim_path_remove(struct sys *sys, const char *path);
err_t sim_dir_make(struct sys *sys, const char *path);
err_t sim_dir_sync(struct sys *sys, const char *path);
err_t sim_dir_list(struct sys *sys, const char *path, struct sys_dir_list *list);
void sim_working_dir(struct sys *sys, char *path, size_t size);
err_t sim_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space);
