/* kafka-dump-log: what is wrong in the files. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/kafka/dump_log_int.h"
#include "cli/kafka/java.h"

enum order { AS_FOUND, RISING, FALLING };

/* The two texts of a kind. By the sorted ones an `a` is told once, with the last `b`. */
static const struct kind {
    const char *head;
    const char *line;
    const char *between;
    enum order order;
} kinds[FINDING_KINDS] = {
    [FINDING_INDEX] = {"Mismatches in :", "  Index offset: ", ", log offset: ", FALLING},
    [FINDING_TIMESTAMP] = {"Found timestamp mismatch in :", "  Index timestamp: ",
                           ", log timestamp: ", AS_FOUND},
    [FINDING_TIME_ORDER] = {"Found out of order timestamp in :", "  Index timestamp: ",
                            ", Previously indexed timestamp: ", AS_FOUND},
    [FINDING_TIME_OFFSET] = {"The following indexed offsets are not found in :", "Indexed offset: ",
                             ", found log offset: ", AS_FOUND},
    [FINDING_GAP] = {"Non-consecutive offsets in ", "  ", " is followed by ", RISING},
};

void dump_log_found(struct dump *dump, enum dump_finding kind, int64_t a, int64_t b) {
    dump->found = arena_extend(tool_arena(dump->tool), dump->found, dump->found_count, 1,
                               sizeof *dump->found);
    dump->found[dump->found_count] = (struct dump_found){.a = a,
                                                         .b = b,
                                                         .path = dump_log_whole_path(dump),
                                                         .number = dump->found_count,
                                                         .kind = kind};
    dump->found_count++;
}

static int in_order(const void *left, const void *right) {
    const struct dump_found *a = left;
    const struct dump_found *b = right;
    enum order order = kinds[a->kind].order;
    if (order != AS_FOUND && a->a != b->a) {
        return (a->a > b->a) == (order == RISING) ? 1 : -1;
    }
    return (a->number > b->number) - (a->number < b->number);
}

/* Those of a kind and file, which are side by side once they are sorted. */
static void print_file(const struct dump_found *found, size_t count) {
    const struct kind *kind = &kinds[found->kind];
    fprintf(stderr, "%s%s\n", kind->head, found->path);
    for (size_t i = 0; i < count; i++) {
        if (kind->order == AS_FOUND || i + 1 == count || found[i].a != found[i + 1].a) {
            fprintf(stderr, "%s%" PRId64 "%s%" PRId64 "\n", kind->line, found[i].a, kind->between,
                    found[i].b);
        }
    }
}

/* All of a kind. The tool of that name keeps files in a hash map, with computeIfAbsent: in a bucket
 * the last one that came is the first. */
static void print_kind(struct dump *dump, struct dump_found *found, size_t count) {
    struct arena *arena = tool_arena(dump->tool);
    const char **paths = ARENA_ARRAY(arena, const char *, count + 1);
    struct dump_found **starts = ARENA_ARRAY(arena, struct dump_found *, count + 1);
    size_t *sizes = ARENA_ARRAY(arena, size_t, count + 1);
    size_t files = 0;
    size_t end = count;
    for (size_t i = count; i-- > 0;) {
        if (i == 0 || found[i].path != found[i - 1].path) {
            paths[files] = found[i].path;
            starts[files] = found + i;
            sizes[files++] = end - i;
            end = i;
        }
    }
    const size_t *order = java_map_order(arena, paths, files);
    for (size_t i = 0; i < files; i++) {
        qsort(starts[order[i]], sizes[order[i]], sizeof *found, in_order);
        print_file(starts[order[i]], sizes[order[i]]);
    }
}

void dump_log_print_found(struct dump *dump) {
    struct dump_found *some =
        ARENA_ARRAY(tool_arena(dump->tool), struct dump_found, dump->found_count + 1);
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        size_t count = 0;
        for (size_t i = 0; i < dump->found_count; i++) {
            if (dump->found[i].kind == (enum dump_finding)kind) {
                some[count++] = dump->found[i];
            }
        }
        print_kind(dump, some, count);
    }
}
