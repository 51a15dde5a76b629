/* ottla log: finding the files of a partition, and walking the batches in one. */
#include <stdlib.h>
#include <string.h>

#include "cli/log_int.h"
#include "sys/linux.h"

static bool ends_with(const char *text, const char *ending) {
    size_t size = strlen(text);
    size_t ending_size = strlen(ending);
    return size >= ending_size && strcmp(text + size - ending_size, ending) == 0;
}

int log_files_find(struct cli *cli, struct sys *sys, const char *path, const char *ending,
                   struct log_files *ret_files) {
    struct arena *arena = cli_arena(cli);
    struct sys_stat stat;
    struct sys_dir_list list;
    err_t err = sys_path_stat(sys, path, &stat);
    if (err == ERR_OK && !stat.directory) {
        ret_files->paths = ARENA_ARRAY(arena, const char *, 1);
        ret_files->paths[0] = path;
        ret_files->count = 1;
        return CLI_DONE;
    }
    if (err != ERR_OK || (err = sys_dir_list(sys, path, &list)) != ERR_OK) {
        return cli_fail(cli, err == ERR_NOT_FOUND ? CLI_NOT_FOUND : CLI_FAILED, NULL, "%s: %s",
                        path, err_text(err));
    }
    *ret_files = (struct log_files){.paths = ARENA_ARRAY(arena, const char *, list.count + 1)};
    for (size_t i = 0; i < list.count; i++) {
        if (ends_with(list.names[i], ending) && list.names[i][0] >= '0' &&
            list.names[i][0] <= '9') {
            ret_files->paths[ret_files->count++] =
                arena_printf(arena, "%s/%s", path, list.names[i]).data;
        }
    }
    sys_dir_list_free(&list);
    return ret_files->count > 0
               ? CLI_DONE
               : cli_fail(cli, CLI_NOT_FOUND, "Name the folder of a partition, as data/orders-0.",
                          "%s has no file that ends with %s", path, ending);
}

bool log_batch_read(struct sys_file *file, uint64_t position, uint32_t size, struct buffer *bytes) {
    size_t got = 0;
    buffer_clear(bytes);
    uint8_t *data = buffer_extend(bytes, size);
    return sys_file_read(file, position, data, size, &got) == ERR_OK && got == size;
}

int log_files_each(struct cli *cli, const char *ending, log_file_fn fn, void *arg) {
    struct sys *sys;
    int code = CLI_DONE;
    if (sys_linux_new(&sys) != ERR_OK) {
        return cli_fail(cli, CLI_FAILED, NULL, "no memory");
    }
    for (size_t i = 0; i < cli_argument_count(cli); i++) {
        struct log_files files;
        int found = log_files_find(cli, sys, cli_argument(cli, i), ending, &files);
        code = found != CLI_DONE ? found : code;
        for (size_t f = 0; found == CLI_DONE && f < files.count; f++) {
            int one = fn(cli, sys, files.paths[f], arg);
            code = one != CLI_DONE ? one : code;
        }
    }
    sys_linux_free(sys);
    return code;
}

const char *log_topic_of(struct arena *arena, const char *path, int32_t *ret_partition) {
    const char *end = strrchr(path, '/');
    const char *start = end;
    *ret_partition = -1;
    while (start != NULL && start > path && start[-1] != '/') {
        start--;
    }
    if (end == NULL) {
        return "?";
    }
    struct str name = {.data = start, .size = (size_t)(end - start)};
    char *topic = arena_c_str(arena, name);
    char *dash = strrchr(topic, '-');
    if (dash == NULL || dash == topic || dash[1] < '0' || dash[1] > '9') {
        return "?";
    }
    *dash = '\0';
    *ret_partition = (int32_t)strtol(dash + 1, NULL, 10);
    return topic;
}

int64_t log_base_offset_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *end;
    long long offset = strtoll(name, &end, 10);
    return end == name || offset < 0 ? -1 : offset;
}

int log_batches_walk(struct cli *cli, struct sys *sys, const char *path, log_batch_fn fn,
                     void *arg) {
    struct sys_file *file = NULL;
    uint64_t size = 0;
    struct batch_walk walk;
    struct batch_header header;
    err_t err = sys_file_open(sys, path, SYS_FILE_READ, &file);
    if (err == ERR_OK) {
        err = sys_file_size(file, &size);
    }
    batch_walk_init(&walk, file, 0, size, false);
    while (err == ERR_OK) {
        uint64_t position = walk.position;
        err = batch_walk_next(&walk, &header);
        if (err == ERR_OK && !fn(arg, file, position, &header)) {
            err = ERR_NOT_FOUND;
        }
    }
    uint64_t position = walk.position;
    sys_file_close(file);
    if (err == ERR_NOT_FOUND && file != NULL) {
        return CLI_DONE;
    }
    return err == ERR_CORRUPT
               ? cli_fail(cli, CLI_FAILED, NULL, "%s: no batch at position %llu of %llu", path,
                          (unsigned long long)position, (unsigned long long)size)
               : cli_fail(cli, CLI_FAILED, NULL, "%s: %s", path, err_text(err));
}
