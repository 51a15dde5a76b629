/*
 * A replacement of segments that Apache Kafka's cleaner had begun, at each of its renames. They
 * come in another order than ours: of each segment the log first, the oldest segment first, and the
 * new log's name before those of its indexes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_cleaner_fixture_test.h"

enum { SECOND = 4, KINDS = 4, FILES = 3 * KINDS };

static const char *const kinds[KINDS] = {".log", ".index", ".timeindex", ".txnindex"};

/* A file with the suffix it has at the moment; one of no bytes is not there. */
struct file {
    int64_t base_offset;
    const char *kind;
    const char *suffix;
    struct buffer data;
};

struct swap {
    struct file files[FILES]; /* the new segment's, then those of the two that it replaces */
    struct buffer before;
    struct buffer after;
};

static const char *name_of(const struct file *file) {
    static char name[64];
    (void)snprintf(name, sizeof name, "%020lld%s%s", (long long)file->base_offset, file->kind,
                   file->suffix);
    return name;
}

static void keep_files(struct fixture *f, struct file *files, int64_t base_offset,
                       const char *suffix) {
    for (int i = 0; i < KINDS; i++) {
        files[i] = (struct file){.base_offset = base_offset, .kind = kinds[i], .suffix = ""};
        if (file_exists(f, name_of(&files[i]))) {
            files[i].data = file_read(f, name_of(&files[i]));
        }
        files[i].suffix = suffix;
    }
}

/* A log before and after a cleaning, with aborted records in the second segment. */
static void swap_make(struct fixture *f, struct swap *swap) {
    fixture_open(f);
    put(f, "abcd", "1");
    seal(f);
    put(f, "ab", "2");
    append(f, &(struct keyed){.keys = "cd", .value = "x", .producer_id = 1, .transactional = true});
    end_txn(f, 1, false);
    seal(f);
    put(f, "z", "1");
    swap->before = show(f);
    keep_files(f, &swap->files[KINDS], 0, "");
    keep_files(f, &swap->files[2 * KINDS], SECOND, "");
    clean(f);
    swap->after = show(f);
    keep_files(f, swap->files, 0, ".cleaned");
    assert_true(swap->files[3 * KINDS - 1].data.size > 0);
    assert_string_not_equal((const char *)swap->before.data, (const char *)swap->after.data);
    fixture_crash(f, false);
}

static void swap_done(struct swap *swap) {
    for (int i = 0; i < FILES; i++) {
        buffer_done(&swap->files[i].data);
    }
    buffer_done(&swap->before);
    buffer_done(&swap->after);
}

/* The folder as it was left: nothing of these segments but the files under the names they have. */
static void put_files(struct fixture *f, const struct swap *swap) {
    static const char *const suffixes[] = {"", ".cleaned", ".swap", ".deleted"};
    for (int i = 0; i < FILES; i++) {
        for (int s = 0; s < 4; s++) {
            struct file file = swap->files[i];
            file.suffix = suffixes[s];
            if (file_exists(f, name_of(&file))) {
                file_remove(f, name_of(&file));
            }
        }
    }
    for (int i = 0; i < FILES; i++) {
        const struct file *file = &swap->files[i];
        if (file->data.size > 0) {
            file_write(f, name_of(file), file->data.data, file->data.size);
        }
    }
}

static void start_has(struct fixture *f, const struct buffer *expected) {
    static const char *const suffixes[] = {".cleaned", ".swap"};
    fixture_open(f);
    shows(f, (const char *)expected->data);
    for (int i = 0; i < 2 * KINDS; i++) {
        struct file file = {.kind = kinds[i % KINDS], .suffix = suffixes[i / KINDS]};
        assert_false(file_exists(f, name_of(&file)));
    }
    put(f, "y", "1");
    fixture_crash(f, false);
}

static void each_rename_leaves_old_or_new(void **state) {
    (void)state;
    enum { RENAMES = 4 * KINDS };
    for (int done = 0; done <= RENAMES; done++) {
        struct fixture f;
        struct swap swap = {0};
        fixture_init(&f);
        f.config.cleanup_compact = true;
        f.config.cleanup_delete = false;
        swap_make(&f, &swap);
        for (int i = 0; i < done; i++) {
            int place = i < 3 * KINDS ? i : i - 3 * KINDS; /* the new one's have a second turn */
            swap.files[place].suffix = i < KINDS ? ".swap" : i < 3 * KINDS ? ".deleted" : "";
        }
        put_files(&f, &swap);
        start_has(&f, done < KINDS ? &swap.before : &swap.after);
        swap_done(&swap);
        fixture_done(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rename_leaves_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
