/*
 * Log directories at the start: formatted when that is allowed, opened and locked, and checked to
 * belong together: one cluster, this node.
 *
 *   found                                    done
 *   --------------------------------------   ------------------------------------------------
 *   every directory formatted                opened
 *   none formatted, auto_format              formatted, opened
 *   none formatted, with a property file     the end, naming `ottla storage format`: it may be a
 *                                            disk that is not mounted
 *   some formatted                           the end, naming those that are not
 *   ids of two clusters, or another node's   the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "meta/format.h"
#include "server/node_int.h"

struct directories {
    char paths[NODE_VOLUMES_MAX][4096];
    const char *list[NODE_VOLUMES_MAX];
    size_t count;
    size_t metadata; /* index */
};

static err_t add_directory(struct node *node, struct directories *dirs, struct str path,
                           size_t *ret_index) {
    for (size_t i = 0; i < dirs->count; i++) {
        if (str_equal(str_from_c(dirs->paths[i]), path)) {
            *ret_index = i;
            return ERR_OK;
        }
    }
    if (dirs->count == NODE_VOLUMES_MAX || path.size >= sizeof dirs->paths[0]) {
        (void)snprintf(node->error, sizeof node->error, "log.dirs names more than %d directories",
                       NODE_VOLUMES_MAX);
        return ERR_LIMIT;
    }
    memcpy(dirs->paths[dirs->count], path.data, path.size);
    dirs->paths[dirs->count][path.size] = '\0';
    dirs->list[dirs->count] = dirs->paths[dirs->count];
    *ret_index = dirs->count++;
    return ERR_OK;
}

static err_t list_directories(struct node *node, struct directories *dirs) {
    struct str list = config_log_dirs(node->config);
    struct str path;
    size_t position = 0;
    size_t index;
    err_t err = ERR_OK;
    while (err == ERR_OK && config_list_next(list, &position, &path)) {
        err = add_directory(node, dirs, path, &index);
    }
    if (err == ERR_OK) {
        err = add_directory(node, dirs, config_metadata_log_dir(node->config), &dirs->metadata);
    }
    return err;
}

/* How many are formatted; *ret_missing is the last that is not. */
static err_t count_formatted(struct node *node, struct directories *dirs, size_t *ret_count,
                             const char **ret_missing) {
    *ret_count = 0;
    for (size_t i = 0; i < dirs->count; i++) {
        struct log_meta meta;
        char reason[256] = "";
        err_t err = log_meta_read(node->sys, dirs->list[i], &meta, reason, sizeof reason);
        if (err == ERR_OK) {
            (*ret_count)++;
        } else if (err == ERR_NOT_FOUND) {
            *ret_missing = dirs->list[i];
        } else {
            (void)snprintf(node->error, sizeof node->error,
                           "%.200s/meta.properties cannot be read: %s", dirs->list[i],
                           reason[0] != '\0' ? reason : err_text(err));
            return err;
        }
    }
    return ERR_OK;
}

static err_t format(struct node *node, struct directories *dirs) {
    struct meta_endpoint endpoints[NODE_LISTENERS_MAX];
    int32_t endpoint_count = 0;
    for (int i = 0; i < node->listener_count; i++) {
        const struct listener *listener = &node->listeners[i];
        if (listener->controller) {
            endpoints[endpoint_count++] = (struct meta_endpoint){.name = listener->name,
                                                                 .host = listener->advertised_host,
                                                                 .port = listener->advertised_port};
        }
    }
    struct uuid id;
    uint8_t random[16];
    do {
        sys_random(node->sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    char cluster_id[UUID_TEXT_SIZE + 1];
    uuid_format(id, cluster_id);

    struct meta_format_options options = {
        .dirs = dirs->list,
        .dir_count = dirs->count,
        .metadata_dir = dirs->list[dirs->metadata],
        .cluster_id = str_from_c(cluster_id),
        .node_id = node->node_id,
        .standalone = config_str(node->config, CONFIG_CONTROLLER_QUORUM_VOTERS).size == 0,
        .endpoints = endpoints,
        .endpoint_count = endpoint_count,
    };
    err_t err = meta_format(node->sys, &options, node->error);
    if (err == ERR_OK) {
        text_log_info(node->text_log, "server", "Formatted %s for the new cluster %s",
                      dirs->list[dirs->metadata], cluster_id);
    }
    return err;
}

static err_t open_volume(struct node *node, const char *path, int threads) {
    struct volume_settings settings = {
        .sys = node->sys,
        .text_log = node->text_log,
        .cache = node->log_cache,
        .path = path,
        .upkeep_threads = threads,
    };
    struct volume *volume;
    err_t err = volume_open(&settings, &volume);
    if (err != ERR_OK) {
        (void)snprintf(node->error, sizeof node->error,
                       "The log directory %.300s cannot be used: %s%s", path, err_text(err),
                       err == ERR_IN_USE ? "; is another server running on it?" : "");
        return err;
    }
    node->volumes[node->volume_count++] = volume;
    return ERR_OK;
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
                       "%.200s belongs to cluster %.60s, other log directories to cluster %.60s",
                       path, meta.cluster_id, node->cluster_id);
        return ERR_INCONSISTENT_CLUSTER_ID;
    }
    if (meta.node_id != node->node_id) {
        (void)snprintf(node->error, sizeof node->error,
                       "%.200s belongs to node %d, but node.id is %d", path, (int)meta.node_id,
                       (int)node->node_id);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static err_t open_all(struct node *node, struct directories *dirs) {
    int threads = config_int(node->config, CONFIG_NUM_RECOVERY_THREADS_PER_DATA_DIR);
    uint64_t files = sys_raise_file_limit(node->sys) / 4; /* the rest is for connections */
    node->log_cache =
        log_cache_new(node->sys, files < LOG_FILES_OPEN_MAX ? (size_t)files : LOG_FILES_OPEN_MAX,
                      LOG_INDEX_PAGE_BYTES_MAX);
    for (size_t i = 0; i < dirs->count; i++) {
        err_t err = open_volume(node, dirs->list[i], threads);
        if (err == ERR_OK) {
            err = check_identity(node, node->volumes[i]);
        }
        if (err != ERR_OK) {
            return err;
        }
    }
    node->metadata_volume = node->volumes[dirs->metadata];
    return ERR_OK;
}

err_t node_open_storage(struct node *node) {
    struct directories *dirs = calloc(1, sizeof *dirs);
    size_t formatted = 0;
    const char *missing = NULL;
    err_t err = node_make_listeners(node);
    if (err == ERR_OK) {
        err = list_directories(node, dirs);
    }
    if (err == ERR_OK) {
        err = count_formatted(node, dirs, &formatted, &missing);
    }
    if (err == ERR_OK && formatted == 0 && node->settings.auto_format) {
        err = format(node, dirs);
    } else if (err == ERR_OK && formatted < dirs->count) {
        (void)snprintf(node->error, sizeof node->error,
                       "The log directory %.200s is not formatted. If it is new and not a disk "
                       "that failed to mount, run: ottla storage format --standalone -t $(ottla "
                       "storage random-uuid) -c <server.properties>%s",
                       missing, formatted > 0 ? " --ignore-formatted" : "");
        err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK) {
        err = open_all(node, dirs);
    }
    free(dirs);
    return err;
}

void node_close_storage(struct node *node) {
    for (int i = 0; i < node->volume_count; i++) {
        volume_close(node->volumes[i]);
    }
    node->volume_count = 0;
    log_cache_free(node->log_cache);
    node->log_cache = NULL;
}
