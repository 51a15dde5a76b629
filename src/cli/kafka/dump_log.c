/*
 * kafka-dump-log: the files of a partition, read with the node's own readers.
 *
 *     .log .checkpoint     batches        dump_log_batches.c
 *                          records        dump_log_records.c, dump_log_contents.c
 *     .index .timeindex    entries        dump_log_index.c
 *     .txnindex .snapshot  transactions   dump_log_producers.c
 *
 * What does not fit together is told at the end (dump_log_found.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/dump_log_int.h"
#include "cli/kafka/tools.h"
#include "sys/linux.h"

/* --- shared --- */

const char *dump_log_whole_path(struct dump *dump) {
    if (dump->path[0] == '/') {
        return dump->path;
    }
    if (dump->whole_path == NULL) {
        char *folder = realpath(".", NULL);
        dump->whole_path =
            arena_printf(tool_arena(dump->tool), "%s/%s", folder == NULL ? "." : folder, dump->path)
                .data;
        free(folder);
    }
    return dump->whole_path;
}

const char *dump_log_beside(struct dump *dump, const char *ending) {
    const char *path = dump_log_whole_path(dump);
    int size = (int)(strrchr(path, '.') - path);
    return arena_printf(tool_arena(dump->tool), "%.*s%s", size, path, ending).data;
}

int dump_log_fail(const struct dump *dump, const char *path, err_t err) {
    return err == ERR_NOT_FOUND
               ? tool_fail(dump->tool, "java.nio.file.NoSuchFileException: %s", path)
               : tool_fail(dump->tool, "java.io.IOException: %s: %s", path, err_text(err));
}

/* --- files --- */

static const struct kind {
    const char *ending;
    bool numbered; /* the name is the base offset */
    int (*dump)(struct dump *dump);
} kinds[] = {
    {".log", true, dump_log_batches},         {".checkpoint", false, dump_log_batches},
    {".index", true, dump_log_offsets},       {".timeindex", true, dump_log_times},
    {".snapshot", false, dump_log_producers}, {".txnindex", true, dump_log_aborted},
};

static const struct kind *kind_of(const char *name) {
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(ending, kinds[i].ending) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static int dump_file(struct dump *dump, const char *path) {
    const char *slash = strrchr(path, '/');
    dump->path = path;
    dump->name = slash == NULL ? path : slash + 1;
    dump->whole_path = NULL;
    const struct kind *kind = kind_of(dump->name);
    char *end;
    printf("Dumping %s\n", path);
    if (kind == NULL) {
        (void)tool_fail(dump->tool, "Ignoring unknown file %s", path);
        return TOOL_DONE;
    }
    dump->base_offset = strtoll(dump->name, &end, 10);
    if (kind->numbered && (end == dump->name || *end != '.')) {
        return tool_fail(dump->tool, "java.lang.NumberFormatException: For input string: \"%.*s\"",
                         (int)strcspn(dump->name, "."), dump->name);
    }
    return kind->dump(dump);
}

/* --- options --- */

/* By the class's name, given or not. */
static int decoder_of(struct tool *tool, const char *option, enum dump_as *ret_as) {
    static const char prefix[] = "org.apache.kafka.tools.api.";
    static const char *const names[] = {[DUMP_AS_TEXT] = "StringDecoder",
                                        [DUMP_AS_INT] = "IntegerDecoder",
                                        [DUMP_AS_LONG] = "LongDecoder"};
    const char *name = tool_text(tool, option);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(name + sizeof prefix - 1, names[i]) == 0) {
            *ret_as = (enum dump_as)i;
            return TOOL_DONE;
        }
    }
    return tool_fail(tool, "java.lang.RuntimeException: Failed to load decoder class: %s", name);
}

static int check(struct dump *dump) {
    static const char *const files[] = {"files", NULL};
    struct tool *tool = dump->tool;
    if (!tool_require(tool, files)) {
        return TOOL_FAILED;
    }
    if (tool_has(tool, "remote-log-metadata-decoder")) {
        return tool_unsupported(tool, "remote-log-metadata-decoder");
    }
    int code = decoder_of(tool, "key-decoder-class", &dump->key_as);
    return code == TOOL_DONE ? decoder_of(tool, "value-decoder-class", &dump->value_as) : code;
}

/* What is asked for prints contents, and contents are found by looking at records. */
static void choose(struct dump *dump) {
    static const struct {
        const char *option;
        enum state_topic decoder;
    } decoders[] = {
        {"offsets-decoder", STATE_GROUPS},
        {"transaction-log-decoder", STATE_TRANSACTIONS},
        {"cluster-metadata-decoder", STATE_METADATA},
        {"share-group-state-decoder", STATE_SHARES},
    };
    const struct tool *tool = dump->tool;
    for (size_t i = 0; dump->decoder == STATE_NONE && i < sizeof decoders / sizeof decoders[0];
         i++) {
        dump->decoder = tool_has(tool, decoders[i].option) ? decoders[i].decoder : STATE_NONE;
    }
    dump->contents = dump->decoder != STATE_NONE || tool_has(tool, "print-data-log") ||
                     tool_has(tool, "key-decoder-class") || tool_has(tool, "value-decoder-class");
    dump->deep = dump->contents || tool_has(tool, "deep-iteration");
}

int kafka_dump_log(struct tool *tool) {
    struct dump dump = {.tool = tool};
    if (check(&dump) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    if (sys_linux_new(&dump.sys) != ERR_OK) {
        return tool_fail(tool, "no memory");
    }
    choose(&dump);
    dump.compression = compression_new();
    arena_init(&dump.arena, SIZE_MAX);
    int code = TOOL_DONE;
    char *rest = NULL;
    char *list = arena_c_str(tool_arena(tool), str_from_c(tool_text(tool, "files")));
    for (char *path = strtok_r(list, ",", &rest); code == TOOL_DONE && path != NULL;
         path = strtok_r(NULL, ",", &rest)) {
        code = dump_file(&dump, path);
    }
    if (code == TOOL_DONE) {
        dump_log_print_found(&dump);
    }
    buffer_done(&dump.scratch);
    buffer_done(&dump.bytes);
    arena_done(&dump.arena);
    compression_free(dump.compression);
    sys_linux_free(dump.sys);
    return code;
}
