/* ottla storage: formats log directories, says what is in them, makes ids; as kafka-storage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "config/listeners.h"
#include "log/directory.h"
#include "meta/format.h"
#include "meta/record.h"
#include "sys/file.h"
#include "sys/linux.h"
#include "sys/sys.h"

static const char help[] =
    "usage: ottla storage random-uuid\n"
    "       ottla storage format -c FILE -t CLUSTER_ID [--standalone] [--ignore-formatted]\n"
    "                     [--release-version VERSION] [--feature NAME=LEVEL]...\n"
    "       ottla storage info -c FILE\n"
    "\n"
    "Makes the log directories of a server ready for their first start, or says what is in them.\n"
    "\n"
    "  -c, --config FILE          the server's properties file\n"
    "  -t, --cluster-id ID        the id of the cluster, the same on all its nodes\n"
    "  -s, --standalone           begin a dynamic quorum with this controller as its only voter\n"
    "  -g, --ignore-formatted     leave directories that are formatted as they are\n"
    "  -r, --release-version V    the metadata version to begin with, 4.3 or 4.3-IV0\n"
    "  -f, --feature NAME=LEVEL   a feature level that differs from that version's default\n"
    "\n"
    "  ottla storage format --standalone -t $(ottla storage random-uuid) -c server.properties\n";

enum { DIRS_MAX = 64, FEATURES_MAX = 32 };

struct storage {
    struct sys *sys;
    struct config *config;
    const char *file;
    const char *cluster_id;
    bool standalone;
    bool ignore_formatted;
    int16_t metadata_version;
    struct meta_feature_level features[FEATURES_MAX];
    size_t feature_count;
    char dirs[DIRS_MAX][4096];
    const char *dir_list[DIRS_MAX];
    size_t dir_count;
    const char *metadata_dir;
    size_t formatted_count;
};

static int random_uuid(struct sys *sys) {
    uint8_t random[16];
    struct uuid id;
    char text[UUID_TEXT_SIZE + 1];
    do {
        sys_random(sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    uuid_format(id, text);
    puts(text);
    return 0;
}

/* --- arguments --- */

static bool is(const char *arg, const char *longer, const char *shorter) {
    return strcmp(arg, longer) == 0 || strcmp(arg, shorter) == 0;
}

static bool parse_feature(struct storage *storage, const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || storage->feature_count == FEATURES_MAX) {
        fprintf(stderr, "--feature %s: write it as name=level\n", text);
        return false;
    }
    storage->features[storage->feature_count++] = (struct meta_feature_level){
        .name = {.data = text, .size = (size_t)(equals - text)},
        .level = (int16_t)strtol(equals + 1, NULL, 10),
    };
    return true;
}

static bool parse_release(struct storage *storage, const char *text) {
    if (metadata_version_parse(str_from_c(text), &storage->metadata_version) != ERR_OK) {
        fprintf(stderr, "--release-version %s: no such version; the latest is %s\n", text,
                metadata_version_name(METADATA_VERSION_LATEST));
        return false;
    }
    return true;
}

static bool parse_option(struct storage *storage, int argc, char **argv, int *i) {
    const char *arg = argv[*i];
    const char *value = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (is(arg, "--standalone", "-s")) {
        storage->standalone = true;
        return true;
    }
    if (is(arg, "--ignore-formatted", "-g")) {
        storage->ignore_formatted = true;
        return true;
    }
    if (value == NULL) {
        fprintf(stderr, "%s: unknown, or its value is missing\n%s", arg, help);
        return false;
    }
    ++*i;
    if (is(arg, "--config", "-c")) {
        storage->file = value;
        return true;
    }
    if (is(arg, "--cluster-id", "-t")) {
        storage->cluster_id = value;
        return true;
    }
    if (is(arg, "--feature", "-f")) {
        return parse_feature(storage, value);
    }
    if (is(arg, "--release-version", "-r")) {
        return parse_release(storage, value);
    }
    fprintf(stderr, "%s: unknown option\n%s", arg, help);
    return false;
}

/* --- directories --- */

static const char *add_dir(struct storage *storage, struct str path) {
    for (size_t i = 0; i < storage->dir_count; i++) {
        if (str_equal(str_from_c(storage->dirs[i]), path)) {
            return storage->dirs[i];
        }
    }
    if (storage->dir_count == DIRS_MAX || path.size >= sizeof storage->dirs[0]) {
        return NULL;
    }
    char *dir = storage->dirs[storage->dir_count];
    memcpy(dir, path.data, path.size);
    dir[path.size] = '\0';
    storage->dir_list[storage->dir_count++] = dir;
    return dir;
}

static int load(struct storage *storage) {
    if (storage->file == NULL) {
        fprintf(stderr, "Say which server with -c FILE\n%s", help);
        return 2;
    }
    int code = cli_config_load(storage->sys, storage->file, NULL, 0, NULL, &storage->config);
    if (code != 0) {
        return code;
    }
    struct str list = config_log_dirs(storage->config);
    struct str path;
    size_t position = 0;
    while (config_list_next(list, &position, &path)) {
        if (add_dir(storage, path) == NULL) {
            fprintf(stderr, "log.dirs names more than %d directories\n", DIRS_MAX);
            return 2;
        }
    }
    storage->metadata_dir = add_dir(storage, config_metadata_log_dir(storage->config));
    return storage->metadata_dir == NULL ? 2 : 0;
}

/* --- format --- */

static void say_formatted(void *arg, const char *dir, struct uuid directory_id) {
    (void)directory_id;
    struct storage *storage = arg;
    storage->formatted_count++;
    int16_t version =
        storage->metadata_version != 0 ? storage->metadata_version : METADATA_VERSION_LATEST;
    const char *kind = strcmp(dir, storage->metadata_dir) != 0 ? "data directory"
                       : storage->standalone                   ? "dynamic metadata voter directory"
                                                               : "metadata directory";
    printf("Formatting %s %s with metadata.version %s.\n", kind, dir,
           metadata_version_name(version));
}

/* The controller's listeners, which the quorum's first record names. */
static int32_t list_endpoints(const struct storage *storage, struct meta_endpoint *endpoints) {
    struct config_listener listeners[CONFIG_LISTENER_MAX];
    size_t count = config_listeners(storage->config, listeners, CONFIG_LISTENER_MAX);
    int32_t endpoint_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct str host = listeners[i].advertised_host;
        if (listeners[i].controller) {
            endpoints[endpoint_count++] =
                (struct meta_endpoint){.name = listeners[i].name,
                                       .host = host.size > 0 ? host : STR("localhost"),
                                       .port = listeners[i].advertised_port};
        }
    }
    return endpoint_count;
}

static int format(struct storage *storage) {
    int code = load(storage);
    if (code != 0) {
        return code;
    }
    if (storage->cluster_id == NULL) {
        fputs("Give the cluster an id with -t; ottla storage random-uuid makes one\n", stderr);
        return 2;
    }
    bool static_quorum = config_str(storage->config, CONFIG_CONTROLLER_QUORUM_VOTERS).size > 0;
    if (!static_quorum && !storage->standalone) {
        fputs("Because controller.quorum.voters is not set, say --standalone\n", stderr);
        return 2;
    }
    if (static_quorum && storage->standalone) {
        fputs("--standalone does not go with controller.quorum.voters; remove one of them\n",
              stderr);
        return 2;
    }
    struct meta_endpoint endpoints[CONFIG_LISTENER_MAX];
    int32_t endpoint_count = list_endpoints(storage, endpoints);
    struct meta_format_options options = {
        .dirs = storage->dir_list,
        .dir_count = storage->dir_count,
        .metadata_dir = storage->metadata_dir,
        .cluster_id = str_from_c(storage->cluster_id),
        .node_id = config_int(storage->config, CONFIG_NODE_ID),
        .metadata_version = storage->metadata_version,
        .features = storage->features,
        .feature_count = storage->feature_count,
        .standalone = storage->standalone,
        .endpoints = endpoints,
        .endpoint_count = endpoint_count,
        .ignore_formatted = storage->ignore_formatted,
        .formatted = say_formatted,
        .arg = storage,
    };
    char error[META_FORMAT_ERROR_MAX] = "";
    err_t err = meta_format(storage->sys, &options, error);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", error[0] != '\0' ? error : err_text(err));
    } else if (storage->formatted_count == 0) {
        puts("All of the log directories are already formatted.");
    }
    return err == ERR_OK ? 0 : 1;
}

/* --- info --- */

static int info(struct storage *storage) {
    int code = load(storage);
    int problems = 0;
    if (code != 0) {
        return code;
    }
    for (size_t i = 0; i < storage->dir_count; i++) {
        struct log_meta meta;
        char reason[256] = "";
        err_t err = log_meta_read(storage->sys, storage->dirs[i], &meta, reason, sizeof reason);
        if (err != ERR_OK) {
            problems++;
            struct sys_stat stat;
            bool there = sys_path_stat(storage->sys, storage->dirs[i], &stat) == ERR_OK;
            printf("Found problem:\n  %s %s\n\n", storage->dirs[i],
                   !there                 ? "does not exist"
                   : err == ERR_NOT_FOUND ? "is not formatted."
                   : reason[0] != '\0'    ? reason
                                          : err_text(err));
            continue;
        }
        char id[UUID_TEXT_SIZE + 1] = "";
        if (meta.has_directory_id) {
            uuid_format(meta.directory_id, id);
        }
        printf("Found log directory:\n  %s\n\nFound metadata: {cluster.id=%s, directory.id=%s, "
               "node.id=%" PRId32 ", version=%d}\n\n",
               storage->dirs[i], meta.cluster_id, id, meta.node_id, meta.version);
    }
    return problems == 0 ? 0 : 1;
}

int cli_storage(int argc, char **argv) {
    if (argc < 2 || is(argv[1], "--help", "-h")) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    struct storage *storage = calloc(1, sizeof *storage);
    int code = sys_linux_new(&storage->sys) == ERR_OK ? 0 : 1;
    for (int i = 2; code == 0 && i < argc; i++) {
        if (is(argv[i], "--help", "-h")) {
            fputs(help, stdout);
            goto out;
        }
        code = parse_option(storage, argc, argv, &i) ? 0 : 2;
    }
    if (code != 0) {
        goto out;
    }
    if (strcmp(argv[1], "random-uuid") == 0) {
        code = random_uuid(storage->sys);
    } else if (strcmp(argv[1], "format") == 0) {
        code = format(storage);
    } else if (strcmp(argv[1], "info") == 0) {
        code = info(storage);
    } else {
        fprintf(stderr, "%s: unknown\n%s", argv[1], help);
        code = 2;
    }
out:
    config_unref(storage->config);
    sys_linux_free(storage->sys);
    free(storage);
    return code;
}
