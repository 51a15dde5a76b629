/*
 * Opening the log directories.
 *
 *   what is wrong with a directory                         what becomes of it
 *   ----------------------------------------------------   ------------------------------------
 *   it cannot be read or written, is no directory, or      lost: the node starts without it, and
 *   its disk is full                                       what it holds is offline
 *   the same of the one with the metadata log, or of all   the end
 *   of log.dirs
 *   another process has it; it is of another cluster or    the end: that is no failed disk
 *   node; its meta.properties cannot be understood
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "server/broker.h"
#include "server/storage_int.h"

/* --- a directory that fails later --- */

static void tell_failure(struct sys_task *task) {
    struct node *node = container_of(task, struct node, failure_task);
    atomic_store(&node->failure_posted, false);
    broker_tell_failure(node->broker);
}

/* Any thread. */
static void directory_failed(void *arg) {
    struct node *node = arg;
    if (!atomic_exchange(&node->failure_posted, true)) {
        node->failure_task.run = tell_failure;
        sys_loop_post(node->loops[0], &node->failure_task);
    }
}

/* --- opening --- */

static err_t open_volume(struct node *node, const char *path, int threads,
                         struct volume **ret_volume) {
    struct volume_settings settings = {
        .sys = node->sys,
        .text_log = node->text_log,
        .cache = node->log_cache,
        .path = path,
        .upkeep_threads = threads,
        .failed = directory_failed,
        .failed_arg = node,
    };
    err_t err = volume_open(&settings, ret_volume);
    if (err != ERR_OK) {
        (void)snprintf(node->error, sizeof node->error,
                       err == ERR_IN_USE
                           ? "The log directory %.300s cannot be used: another process holds its "
                             ".lock. Stop the server that runs on it, or set other log.dirs"
                           : "The log directory %.300s cannot be used: %s",
                       path, err_text(err));
    }
    return err;
}

static err_t check_identity(struct node *node, struct volume *volume) {
    const char *path = log_directory_path(volume->directory);
    struct log_meta meta;
    if (!log_directory_meta(volume->directory, &meta)) {
        (void)snprintf(node->error, sizeof node->error, "%.300s is not formatted", path);
        return ERR_NOT_FOUND;
    }
    if (node->cluster_id[0] == '\0') {
        memcpy(node->cluster_id, meta.cluster_id, sizeof node->cluster_id);
    }
    if (strcmp(node->cluster_id, meta.cluster_id) != 0) {
        (void)snprintf(node->error, sizeof node->error,
                       "%.200s belongs to cluster %.60s, other log directories to cluster %.60s: "
                       "take the one out of log.dirs that is not this node's",
                       path, meta.cluster_id, node->cluster_id);
        return ERR_INCONSISTENT_CLUSTER_ID;
    }
    if (meta.node_id != node->node_id) {
        (void)snprintf(node->error, sizeof node->error,
                       "%.200s belongs to node %d, but node.id is %d: set node.id=%d, or other "
                       "log.dirs",
                       path, (int)meta.node_id, (int)node->node_id, (int)meta.node_id);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* --- which can be used --- */

/* The disk's fault, and of this one only. */
static bool is_loss(err_t err) {
    return err == ERR_IO || err == ERR_ACCESS || err == ERR_NO_SPACE || err == ERR_NOT_FOUND ||
           err == ERR_INVALID;
}

static void lose(struct node *node, struct directories *dirs, size_t index) {
    text_log_error(node->text_log, "log",
                   "The log directory %s cannot be used: %s. The node starts without it: what it "
                   "holds is offline until the disk is mended and the node started again",
                   dirs->list[index], dirs->reasons[index]);
    node->lost_dirs[node->lost_dir_count++] =
        (struct lost_dir){.path = strdup(dirs->list[index]), .index = (int)index};
}

/* The node does not start without the metadata, nor without any place for records. */
static err_t check_losses(struct node *node, const struct directories *dirs) {
    size_t lost = 0;
    for (size_t i = 0; i < dirs->data_count; i++) {
        lost += dirs->reasons[i] != NULL;
    }
    size_t needed = dirs->reasons[dirs->metadata] != NULL ? dirs->metadata : 0;
    if (dirs->reasons[dirs->metadata] == NULL && lost < dirs->data_count) {
        return ERR_OK;
    }
    (void)snprintf(node->error, sizeof node->error, "The log directory %.300s%s cannot be used: %s",
                   dirs->list[needed],
                   dirs->reasons[dirs->metadata] != NULL ? ", which holds the metadata log,"
                                                         : ", and with it all of log.dirs,",
                   dirs->reasons[needed]);
    return ERR_IO;
}

size_t node_files_for_logs(const struct node *node) {
    uint64_t files = sys_raise_file_limit(node->sys) / 4;
    return files < LOG_FILES_OPEN_MAX ? (size_t)files : LOG_FILES_OPEN_MAX;
}

static err_t open_one(struct node *node, struct directories *dirs, size_t index, int threads) {
    struct volume *volume;
    err_t err = open_volume(node, dirs->list[index], threads, &volume);
    if (is_loss(err)) {
        dirs->reasons[index] = err_text(err);
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return err;
    }
    node->volumes[node->volume_count++] = volume;
    node->data_volume_count += index < dirs->data_count;
    if (index == dirs->metadata) {
        node->metadata_volume = volume;
    }
    return check_identity(node, volume);
}

err_t storage_open(struct node *node, struct directories *dirs) {
    int threads = config_int(node->config, CONFIG_NUM_RECOVERY_THREADS_PER_DATA_DIR);
    node->log_cache = log_cache_new(node->sys, node_files_for_logs(node), LOG_INDEX_PAGE_BYTES_MAX);
    err_t err = check_losses(node, dirs);
    for (size_t i = 0; i < dirs->count && err == ERR_OK; i++) {
        if (dirs->reasons[i] == NULL) {
            err = open_one(node, dirs, i, threads);
        }
    }
    if (err == ERR_OK) {
        err = check_losses(node, dirs);
    }
    for (size_t i = 0; i < dirs->count && err == ERR_OK; i++) {
        if (dirs->reasons[i] != NULL) {
            lose(node, dirs, i);
        }
    }
    return err;
}

void node_close_storage(struct node *node) {
    for (int i = 0; i < node->volume_count; i++) {
        volume_close(node->volumes[i]);
    }
    node->volume_count = 0;
    for (int i = 0; i < node->lost_dir_count; i++) {
        free(node->lost_dirs[i].path);
    }
    node->lost_dir_count = 0;
    log_cache_free(node->log_cache);
    node->log_cache = NULL;
}
