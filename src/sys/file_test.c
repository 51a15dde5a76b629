/* Files and directories of the real world. */
#include "sys/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/test.h"
#include "sys/linux.h"

struct fixture {
    struct sys *sys;
    char dir[64];
};

static const char *path_in(const struct fixture *fixture, const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    return path;
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_int_equal(sys_linux_new(&fixture->sys), ERR_OK);
    strcpy(fixture->dir, "/tmp/ottla-sys-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(fixture->sys, fixture->dir, &list), ERR_OK);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(sys_path_remove(fixture->sys, path_in(fixture, list.names[i])), ERR_OK);
    }
    sys_dir_list_free(&list);
    assert_int_equal(sys_path_remove(fixture->sys, fixture->dir), ERR_OK);
    sys_linux_free(fixture->sys);
    free(fixture);
    return 0;
}

static struct sys_file *open_file(const struct fixture *fixture, const char *name, int flags) {
    struct sys_file *file;
    assert_int_equal(sys_file_open(fixture->sys, path_in(fixture, name), flags, &file), ERR_OK);
    return file;
}

static void test_open(void **state) {
    const struct fixture *fixture = *state;
    struct sys_file *file = NULL;
    const char *path = path_in(fixture, "a");
    assert_int_equal(sys_file_open(fixture->sys, path, 0, &file), ERR_NOT_FOUND);
    assert_null(file);
    assert_int_equal(sys_file_open(fixture->sys, path, SYS_FILE_CREATE, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, "hello", 5), ERR_OK);
    sys_file_close(file);
    assert_int_equal(sys_file_open(fixture->sys, path, SYS_FILE_CREATE | SYS_FILE_EXCLUSIVE, &file),
                     ERR_EXISTS);
    assert_int_equal(sys_file_open(fixture->sys, path, SYS_FILE_READ, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, "x", 1), ERR_IO); /* opened for reading only */
    sys_file_close(file);
    file = open_file(fixture, "a", SYS_FILE_TRUNCATE);
    uint64_t size;
    assert_int_equal(sys_file_size(file, &size), ERR_OK);
    assert_int_equal(size, 0);
    sys_file_close(file);
    sys_file_close(NULL);
}

static void test_read_write(void **state) {
    const struct fixture *fixture = *state;
    struct sys_file *file = open_file(fixture, "a", SYS_FILE_CREATE);
    struct iovec parts[3] = {{"abc", 3}, {NULL, 0}, {"defg", 4}};
    assert_int_equal(sys_file_write_vector(file, 10, parts, 3), ERR_OK);
    char data[32];
    size_t size;
    assert_int_equal(sys_file_read(file, 8, data, sizeof data, &size), ERR_OK);
    assert_int_equal(size, 9);
    assert_memory_equal(data, "\0\0abcdefg", 9);
    assert_int_equal(sys_file_read(file, 17, data, sizeof data, &size), ERR_OK);
    assert_int_equal(size, 0);
    assert_int_equal(sys_file_sync(file), ERR_OK);
    assert_int_equal(sys_file_truncate(file, 12), ERR_OK);
    assert_int_equal(sys_file_truncate(file, 14), ERR_OK);
    assert_int_equal(sys_file_read(file, 10, data, sizeof data, &size), ERR_OK);
    assert_int_equal(size, 4);
    assert_memory_equal(data, "ab\0\0", 4);
    sys_file_close(file);
}

static void test_many_parts(void **state) {
    const struct fixture *fixture = *state;
    enum { COUNT = LIMIT_IO_PARTS * 2 + 7 };
    static uint32_t numbers[COUNT];
    static struct iovec parts[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        numbers[i] = i;
        parts[i] = (struct iovec){&numbers[i], sizeof numbers[i]};
    }
    struct sys_file *file = open_file(fixture, "a", SYS_FILE_CREATE);
    assert_int_equal(sys_file_write_vector(file, 0, parts, COUNT), ERR_OK);
    static uint32_t back[COUNT + 1];
    size_t size;
    assert_int_equal(sys_file_read(file, 0, back, sizeof back, &size), ERR_OK);
    assert_int_equal(size, sizeof numbers);
    assert_memory_equal(back, numbers, sizeof numbers);
    sys_file_close(file);
}

static void test_preallocate(void **state) {
    const struct fixture *fixture = *state;
    struct sys_file *file = open_file(fixture, "a", SYS_FILE_CREATE);
    err_t err = sys_file_preallocate(file, 1 << 20);
    assert_true(err == ERR_OK || err == ERR_UNSUPPORTED);
    uint64_t size;
    assert_int_equal(sys_file_size(file, &size), ERR_OK);
    assert_int_equal(size, 0);
    sys_file_start_writeback(file, 0, 4096);
    sys_file_start_writeback(file, 0, 0);
    sys_file_close(file);
}

static void test_cached(void **state) {
    const struct fixture *fixture = *state;
    enum { SIZE = 1 << 20 };
    static uint8_t data[SIZE];
    struct sys_file *file = open_file(fixture, "a", SYS_FILE_CREATE);
    assert_true(sys_file_cached(file, 0, SIZE)); /* nothing there to wait for */
    assert_int_equal(sys_file_write(file, 0, data, SIZE), ERR_OK);
    assert_true(sys_file_cached(file, 5000, SIZE));
    assert_true(sys_file_cached(file, SIZE, 100));
    assert_int_equal(sys_file_sync(file), ERR_OK);
    int fd = open(path_in(fixture, "a"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    bool dropped = !sys_file_cached(file, 0, SIZE);
    if (dropped) { /* a file system in memory drops nothing */
        char byte;
        assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1);
        assert_true(sys_file_cached(file, SIZE - 1, 100));
        assert_false(sys_file_cached(file, 0, SIZE));
    }
    (void)close(fd);
    sys_file_close(file);
}

static void test_lock(void **state) {
    const struct fixture *fixture = *state;
    struct sys_file *first = open_file(fixture, "lock", SYS_FILE_CREATE);
    struct sys_file *second = open_file(fixture, "lock", SYS_FILE_CREATE);
    assert_int_equal(sys_file_lock(first), ERR_OK);
    assert_int_equal(sys_file_lock(first), ERR_OK);
    assert_int_equal(sys_file_lock(second), ERR_IN_USE);
    pid_t child = fork();
    if (child == 0) {
        struct sys_file *third;
        err_t err = sys_file_open(fixture->sys, path_in(fixture, "lock"), 0, &third);
        _exit(err == ERR_OK && sys_file_lock(third) == ERR_IN_USE ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sys_file_close(first);
    assert_int_equal(sys_file_lock(second), ERR_OK);
    sys_file_close(second);
}

static void test_paths(void **state) {
    const struct fixture *fixture = *state;
    struct sys *sys = fixture->sys;
    char from[256];
    strcpy(from, path_in(fixture, "from"));
    sys_file_close(open_file(fixture, "from", SYS_FILE_CREATE | SYS_FILE_READ_ONLY_MODE));
    assert_int_equal(sys_path_set_modified(sys, from, 1234567), ERR_OK);
    struct sys_stat stat;
    assert_int_equal(sys_path_rename(sys, from, path_in(fixture, "to")), ERR_OK);
    assert_int_equal(sys_path_stat(sys, from, &stat), ERR_NOT_FOUND);
    assert_int_equal(sys_path_stat(sys, path_in(fixture, "to"), &stat), ERR_OK);
    assert_int_equal(stat.modified_ms, 1234567);
    assert_false(stat.directory);
    assert_int_equal(sys_path_remove(sys, from), ERR_NOT_FOUND);

    struct sys_space space;
    char absolute[4096];
    sys_path_absolute(sys, fixture->dir, absolute, sizeof absolute);
    assert_string_equal(absolute, fixture->dir);
    sys_path_absolute(sys, "./x", absolute, sizeof absolute);
    assert_int_equal(absolute[0], '/');
    assert_string_equal(absolute + strlen(absolute) - 4, "/./x");
    assert_int_equal(sys_dir_space(sys, fixture->dir, &space), ERR_OK);
    assert_true(space.total_bytes > 0);
    assert_true(space.free_bytes <= space.total_bytes);
    assert_int_equal(sys_dir_space(sys, from, &space), ERR_NOT_FOUND);
}

static void test_directories(void **state) {
    const struct fixture *fixture = *state;
    struct sys *sys = fixture->sys;
    assert_int_equal(sys_dir_make(sys, path_in(fixture, "d")), ERR_OK);
    assert_int_equal(sys_dir_make(sys, path_in(fixture, "d")), ERR_EXISTS);
    assert_int_equal(sys_dir_make(sys, path_in(fixture, "x/y")), ERR_NOT_FOUND);
    assert_int_equal(sys_dir_make_all(sys, path_in(fixture, "d/e//f/")), ERR_OK);
    assert_int_equal(sys_dir_make_all(sys, path_in(fixture, "d/e/f")), ERR_OK);
    assert_int_equal(sys_dir_make_all(sys, ""), ERR_INVALID);
    assert_int_equal(sys_path_remove(sys, path_in(fixture, "d")), ERR_EXISTS);
    sys_file_close(open_file(fixture, "d/file", SYS_FILE_CREATE));
    assert_int_equal(sys_dir_make_all(sys, path_in(fixture, "d/file")), ERR_EXISTS);
    assert_int_equal(sys_dir_sync(sys, path_in(fixture, "d")), ERR_OK);

    static const char *const names[] = {"c", "a", "b", "z", "y"};
    for (size_t i = 0; i < 5; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "d/e/%s", names[i]);
        sys_file_close(open_file(fixture, path, SYS_FILE_CREATE));
    }
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(sys, path_in(fixture, "d/e"), &list), ERR_OK);
    assert_int_equal(list.count, 6);
    char all[64] = "";
    for (size_t i = 0; i < list.count; i++) {
        strcat(all, list.names[i]);
        char path[64];
        (void)snprintf(path, sizeof path, "d/e/%s", list.names[i]);
        assert_int_equal(sys_path_remove(sys, path_in(fixture, path)), ERR_OK);
    }
    assert_string_equal(all, "abcfyz");
    sys_dir_list_free(&list);
    assert_int_equal(sys_dir_list(sys, path_in(fixture, "d/e"), &list), ERR_OK);
    assert_int_equal(list.count, 0);
    sys_dir_list_free(&list);
    assert_int_equal(sys_dir_list(sys, path_in(fixture, "none"), &list), ERR_NOT_FOUND);
    assert_int_equal(sys_path_remove(sys, path_in(fixture, "d/e")), ERR_OK);
    assert_int_equal(sys_path_remove(sys, path_in(fixture, "d/file")), ERR_OK);
}

static void test_whole_files(void **state) {
    const struct fixture *fixture = *state;
    struct sys *sys = fixture->sys;
    const char *path = path_in(fixture, "whole");
    char *data;
    size_t size;
    assert_int_equal(sys_file_read_all(sys, path, 100, &data, &size), ERR_NOT_FOUND);
    assert_int_equal(sys_file_replace(sys, path, "one", 3), ERR_OK);
    assert_int_equal(sys_file_replace(sys, path, "three", 5), ERR_OK);
    assert_int_equal(sys_file_read_all(sys, path, 5, &data, &size), ERR_OK);
    assert_int_equal(size, 5);
    assert_string_equal(data, "three");
    free(data);
    assert_int_equal(sys_file_read_all(sys, path, 4, &data, &size), ERR_LIMIT);
    assert_int_equal(sys_file_replace(sys, path, NULL, 0), ERR_OK);
    assert_int_equal(sys_file_read_all(sys, path, 0, &data, &size), ERR_OK);
    assert_string_equal(data, "");
    free(data);
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(sys, path_in(fixture, "whole.tmp"), &stat), ERR_NOT_FOUND);
}

/* A device that is always full. */
static void test_no_space(void **state) {
    const struct fixture *fixture = *state;
    struct sys_file *file;
    assert_int_equal(sys_file_open(fixture->sys, "/dev/full", 0, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, "x", 1), ERR_NO_SPACE);
    sys_file_close(file);
}

static void test_host(void **state) {
    struct sys *sys = ((const struct fixture *)*state)->sys;
    char name[256];
    sys_host_name(sys, name, sizeof name);
    assert_true(strlen(name) > 0);
    assert_true(sys_processor_count(sys) >= 1);
    assert_true(sys_raise_file_limit(sys) >= 64);
    struct sys_usage usage;
    sys_usage_read(sys, &usage);
    assert_true(usage.resident_bytes > 100000);
    assert_true(usage.cpu_ns > 0);
    assert_in_range(usage.open_files, 3, 100);
    assert_in_range(sys_wall_ms(sys) - usage.start_wall_ms, 0, 60000);

    struct sys_process process;
    assert_int_equal(sys_linux_process_read(getpid(), &process), ERR_OK);
    assert_true(process.cpu_ns >= usage.cpu_ns);
    assert_true(process.resident_bytes > 100000);
    assert_true(process.resident_max_bytes >= process.resident_bytes);
    assert_int_equal(sys_linux_process_read(INT32_MAX, &process), ERR_NOT_FOUND);
    int64_t before_ns = sys_mono_ns(sys);
    assert_true(sys_mono_ms(sys) >= before_ns / 1000000);
    uint64_t random[2] = {0};
    sys_random(sys, random, sizeof random);
    assert_true(random[0] != random[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_preallocate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_host, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
