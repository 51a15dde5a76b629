/*
 * Log directories at the start: formatted when that is allowed, opened and locked, and checked to
 * belong together: one cluster, this node.
 *
 *   found                                    done
 *   --------------------------------------   ------------------------------------------------
 *   every directory formatted                opened
 *   none formatted and no log in any of      formatted, opened
 *   them, auto_format
 *   none formatted, with a property file     the end, naming `ottla storage format`: it may be a
 *                                            disk that is not mounted
 *   some formatted, but not the metadata     formatting was cut short: with auto_format the rest is
 *   directory, and no log in any of them     formatted too, else as below
 *   some formatted                           the end, naming those that are not
 *   some that cannot be read                 nothing is formatted; see storage_open.c
 *   ids of two clusters, or another node's   the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "meta/format.h"
#include "server/storage_int.h"

#define METADATA_FOLDER "__cluster_metadata-0"

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
    dirs->data_count = dirs->count;
    if (err == ERR_OK) {
        err = add_directory(node, dirs, config_metadata_log_dir(node->config), &dirs->metadata);
    }
    return err;
}

struct formatted {
    size_t count;
    size_t lost;         /* so many cannot be read */
    bool metadata;       /* the metadata directory is one of the formatted */
    const char *missing; /* the last that is not formatted */
    char cluster_id[LOG_CLUSTER_ID_MAX + 1];
};

static bool is_no_directory(struct sys *sys, const char *path) {
    struct sys_stat stat;
    return sys_path_stat(sys, path, &stat) == ERR_OK && !stat.directory;
}

static err_t find_formatted(struct node *node, struct directories *dirs,
                            struct formatted *ret_formatted) {
    struct formatted found = {0};
    for (size_t i = 0; i < dirs->count; i++) {
        struct log_meta meta;
        char reason[256] = "";
        err_t err = log_meta_read(node->sys, dirs->list[i], &meta, reason, sizeof reason);
        if (err == ERR_OK) {
            found.count++;
            found.metadata |= i == dirs->metadata;
            memcpy(found.cluster_id, meta.cluster_id, sizeof found.cluster_id);
        } else if (err == ERR_NOT_FOUND && is_no_directory(node->sys, dirs->list[i])) {
            dirs->reasons[i] = "it is no directory";
            found.lost++;
        } else if (err == ERR_NOT_FOUND) {
            found.missing = dirs->list[i];
        } else if (err == ERR_IO || err == ERR_ACCESS) {
            dirs->reasons[i] = err_text(err);
            found.lost++;
        } else {
            (void)snprintf(node->error, sizeof node->error,
                           "%.200s/meta.properties cannot be read: %s", dirs->list[i],
                           reason[0] != '\0' ? reason : err_text(err));
            return err;
        }
    }
    *ret_formatted = found;
    return ERR_OK;
}

static bool has_segments(struct sys *sys, const char *folder) {
    struct sys_dir_list list;
    bool found = false;
    if (sys_dir_list(sys, folder, &list) == ERR_OK) {
        for (size_t i = 0; i < list.count; i++) {
            const char *dot = strrchr(list.names[i], '.');
            found |= dot != NULL && strcmp(dot, ".log") == 0;
        }
        sys_dir_list_free(&list);
    }
    return found;
}

/* Whether a directory holds a log, if only that of the metadata. What cannot be read may. */
static bool has_logs(struct sys *sys, const char *dir) {
    struct sys_dir_list list;
    err_t err = sys_dir_list(sys, dir, &list);
    if (err != ERR_OK) {
        return err != ERR_NOT_FOUND;
    }
    bool found = false;
    for (size_t i = 0; i < list.count && !found; i++) {
        struct log_folder folder;
        if (log_folder_parse(list.names[i], &folder) == ERR_OK) {
            char path[LIMIT_PATH];
            (void)snprintf(path, sizeof path, "%s/%s", dir, list.names[i]);
            found = strcmp(list.names[i], METADATA_FOLDER) != 0 || has_segments(sys, path);
        }
    }
    sys_dir_list_free(&list);
    return found;
}

/* The metadata directory is formatted last, and logs come after that. */
static bool formatting_was_cut_short(struct node *node, const struct directories *dirs,
                                     const struct formatted *formatted) {
    bool logs = false;
    for (size_t i = 0; i < dirs->count; i++) {
        logs |= has_logs(node->sys, dirs->list[i]);
    }
    return !formatted->metadata && !logs;
}

/* cluster_id: of the directories that are formatted already, or "". */
static err_t format(struct node *node, struct directories *dirs, const char *known_cluster_id) {
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
    char cluster_id[LOG_CLUSTER_ID_MAX + 1];
    uuid_format(id, cluster_id);
    if (known_cluster_id[0] != '\0') {
        memcpy(cluster_id, known_cluster_id, sizeof cluster_id);
    }

    struct meta_format_options options = {
        .dirs = dirs->list,
        .dir_count = dirs->count,
        .metadata_dir = dirs->list[dirs->metadata],
        .cluster_id = str_from_c(cluster_id),
        .node_id = node->node_id,
        .standalone = config_str(node->config, CONFIG_CONTROLLER_QUORUM_VOTERS).size == 0,
        .endpoints = endpoints,
        .endpoint_count = endpoint_count,
        .ignore_formatted = known_cluster_id[0] != '\0',
    };
    err_t err = meta_format(node->sys, &options, node->error);
    if (err == ERR_OK) {
        text_log_info(node->text_log, "server", "Formatted %s for the new cluster %s%s",
                      dirs->list[dirs->metadata], cluster_id,
                      known_cluster_id[0] != '\0' ? ", which was begun before" : "");
    }
    return err;
}

err_t node_open_storage(struct node *node) {
    struct directories *dirs = calloc(1, sizeof *dirs);
    struct formatted formatted = {0};
    err_t err = node_make_listeners(node);
    if (err == ERR_OK) {
        err = list_directories(node, dirs);
    }
    if (err == ERR_OK) {
        err = find_formatted(node, dirs, &formatted);
    }
    bool unformatted = formatted.missing != NULL;
    if (err == ERR_OK && node->settings.auto_format && unformatted && formatted.lost == 0 &&
        formatting_was_cut_short(node, dirs, &formatted)) {
        err = format(node, dirs, formatted.cluster_id);
    } else if (err == ERR_OK && unformatted) {
        (void)snprintf(node->error, sizeof node->error,
                       "The log directory %.200s is not formatted. If it is new and not a disk "
                       "that failed to mount, run: ottla storage format --standalone -t $(ottla "
                       "storage random-uuid) -c <server.properties>%s",
                       formatted.missing, formatted.count > 0 ? " --ignore-formatted" : "");
        err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK) {
        err = storage_open(node, dirs);
    }
    free(dirs);
    return err;
}
