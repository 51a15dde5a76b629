/* The simulated disk keeps to sys/file.h: what crashes and power cuts leave, and every fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/file.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"

enum { SEEDS = 200 };

struct fixture {
    struct sim_world *world;
    struct sim_host *host;
    struct sys *sys;
};

static struct fixture begin(uint64_t seed) {
    struct fixture f;
    f.world = sim_world_new(seed);
    f.host = sim_host_new(f.world, "a", "10.0.0.1");
    f.sys = sim_host_sys(f.host);
    return f;
}

static void write_at(struct fixture *f, const char *path, uint64_t position, char fill, size_t size,
                     bool sync) {
    struct sys_file *file;
    char *bytes = malloc(size);
    memset(bytes, fill, size);
    assert_int_equal(sys_file_open(f->sys, path, SYS_FILE_CREATE, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, position, bytes, size), ERR_OK);
    if (sync) {
        assert_int_equal(sys_file_sync(file), ERR_OK);
    }
    sys_file_close(file);
    free(bytes);
}

static char *read_all(struct fixture *f, const char *path, size_t *ret_size) {
    char *data;
    assert_int_equal(sys_file_read_all(f->sys, path, 1 << 20, &data, ret_size), ERR_OK);
    return data;
}

static bool is_there(struct fixture *f, const char *path) {
    struct sys_stat stat;
    return sys_path_stat(f->sys, path, &stat) == ERR_OK;
}

static void a_crash_loses_nothing(void **state) {
    (void)state;
    struct fixture f = begin(1);
    assert_int_equal(sys_dir_make_all(f.sys, "/data/t-0"), ERR_OK);
    write_at(&f, "/data/t-0/log", 0, 'x', 10000, false);
    assert_int_equal(sys_path_rename(f.sys, "/data/t-0/log", "/data/t-0/log2"), ERR_OK);
    sim_host_crash(f.host);
    sim_host_restart(f.host);
    size_t size;
    char *data = read_all(&f, "/data/t-0/log2", &size);
    assert_int_equal(size, 10000);
    assert_int_equal(data[9999], 'x');
    assert_false(is_there(&f, "/data/t-0/log"));
    free(data);
    sim_world_free(f.world);
}

/* 8 sectors 'a' synced; then 4 of them overwritten and 4 more appended, not synced. */
static void a_power_cut_tears_by_sectors_what_was_not_synced(void **state) {
    (void)state;
    int lost = 0;
    int kept = 0;
    int torn = 0;
    int middle = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f = begin(seed);
        write_at(&f, "/f", 0, 'a', 8 * 512, true);
        assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
        write_at(&f, "/f", 4 * 512, 'b', 8 * 512, false);
        sim_host_power_cut(f.host);
        sim_host_restart(f.host);
        size_t size;
        char *data = read_all(&f, "/f", &size);
        assert_in_range(size, 8 * 512, 12 * 512);
        middle += size % 512 != 0;
        int new_count = 0;
        for (size_t i = 0; i < size; i++) {
            char expected = i < 8 * 512 ? 'a' : '\0';
            if (i < 4 * 512) {
                assert_int_equal(data[i], 'a');
            } else {
                assert_true(data[i] == expected || data[i] == 'b');
                assert_int_equal(data[i], data[i / 512 * 512]); /* a sector is whole */
                new_count += i % 512 == 0 && data[i] == 'b';
            }
        }
        lost += new_count == 0;
        kept += new_count == 8;
        torn += new_count > 0 && new_count < 8;
        free(data);
        sim_world_free(f.world);
    }
    assert_true(lost > 10);
    assert_true(kept > 10);
    assert_true(torn > 10);
    assert_true(middle > 0);
}

static void names_last_once_their_directory_was_synced(void **state) {
    (void)state;
    int undone[4] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f = begin(seed);
        assert_int_equal(sys_dir_make(f.sys, "/d"), ERR_OK);
        write_at(&f, "/d/kept", 0, 'k', 100, true);
        write_at(&f, "/d/old", 0, 'o', 100, true);
        write_at(&f, "/d/removed", 0, 'r', 100, true);
        assert_int_equal(sys_dir_sync(f.sys, "/d"), ERR_OK);
        assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
        write_at(&f, "/d/new", 0, 'n', 100, true);
        assert_int_equal(sys_path_rename(f.sys, "/d/old", "/d/renamed"), ERR_OK);
        assert_int_equal(sys_path_remove(f.sys, "/d/removed"), ERR_OK);
        assert_int_equal(sys_dir_make(f.sys, "/e"), ERR_OK);
        sim_host_power_cut(f.host);
        sim_host_restart(f.host);
        assert_true(is_there(&f, "/d/kept"));
        assert_true(is_there(&f, "/d/old") != is_there(&f, "/d/renamed"));
        undone[0] += !is_there(&f, "/d/new");
        undone[1] += is_there(&f, "/d/old");
        undone[2] += is_there(&f, "/d/removed");
        undone[3] += !is_there(&f, "/e");
        if (is_there(&f, "/d/new")) {
            size_t size;
            free(read_all(&f, "/d/new", &size));
            assert_int_equal(size, 100);
        }
        sim_world_free(f.world);
    }
    for (int i = 0; i < 4; i++) {
        assert_in_range(undone[i], SEEDS / 10, SEEDS * 9 / 10);
    }
}

struct replacer {
    struct sys *sys;
    bool begun;
    bool done;
};

static void replace(void *arg) {
    struct replacer *replacer = arg;
    replacer->begun = true;
    assert_int_equal(sys_file_replace(replacer->sys, "/d/f", "new", 3), ERR_OK);
    replacer->done = true;
}

static void a_replaced_file_is_old_or_new_at_every_moment(void **state) {
    (void)state;
    int olds = 0;
    int news = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f = begin(seed);
        assert_int_equal(sys_dir_make(f.sys, "/d"), ERR_OK);
        assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
        assert_int_equal(sys_file_replace(f.sys, "/d/f", "old", 3), ERR_OK);
        sim_disk_set_latency(f.host, SIM_CALL_ALL, 0, 3000000);
        struct replacer replacer = {.sys = f.sys};
        sim_host_spawn(f.host, "r", replace, &replacer);
        sim_world_run_for(f.world, (int64_t)sim_world_random(f.world, 12));
        sim_host_power_cut(f.host);
        sim_host_restart(f.host);
        size_t size;
        char *data = read_all(&f, "/d/f", &size);
        assert_int_equal(size, 3);
        bool is_new = strcmp(data, "new") == 0;
        assert_true(is_new || strcmp(data, "old") == 0);
        assert_true(is_new || !replacer.done);
        news += is_new;
        olds += !is_new;
        free(data);
        sim_world_free(f.world);
    }
    assert_true(olds > 10);
    assert_true(news > 10);
}

static void a_full_disk_refuses_and_heals(void **state) {
    (void)state;
    struct fixture f = begin(3);
    sim_disk_mount(f.host, "/data", 64 * 1024);
    write_at(&f, "/data/a", 0, 'a', 40 * 1024, false);
    assert_int_equal(sim_disk_used(f.host, "/data"), 40 * 1024);
    assert_int_equal(sim_disk_used(f.host, "/"), 0);
    struct sys_file *file;
    char bytes[40 * 1024];
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(sys_file_open(f.sys, "/data/b", SYS_FILE_CREATE, &file), ERR_OK);
    assert_int_equal(sys_file_preallocate(file, sizeof bytes), ERR_NO_SPACE);
    assert_int_equal(sys_file_write(file, 0, bytes, sizeof bytes), ERR_NO_SPACE);
    struct sys_space space;
    assert_int_equal(sys_dir_space(f.sys, "/data", &space), ERR_OK);
    assert_int_equal(space.total_bytes, 64 * 1024);
    assert_int_equal(space.free_bytes, 0);
    assert_int_equal(sys_path_remove(f.sys, "/data/a"), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, bytes, sizeof bytes), ERR_OK);
    assert_int_equal(sys_file_truncate(file, 0), ERR_OK);
    assert_int_equal(sim_disk_used(f.host, "/data"), 0);
    assert_int_equal(sys_file_preallocate(file, 8192), ERR_OK);
    assert_int_equal(sim_disk_used(f.host, "/data"), 8192);
    sim_disk_set_capacity(f.host, "/data", 4096);
    assert_int_equal(sys_file_write(file, 0, bytes, 8192), ERR_OK); /* reserved */
    assert_int_equal(sys_file_write(file, 8192, bytes, 1), ERR_NO_SPACE);
    sys_file_close(file);
    sim_world_free(f.world);
}

/* --- faults: only actors meet them --- */

struct attempt {
    struct sys *sys;
    err_t (*call)(struct attempt *attempt);
    struct sys_file *file;
    char bytes[2048];
    size_t size;
    err_t err;
    bool done;
};

static void run_attempt(void *arg) {
    struct attempt *attempt = arg;
    attempt->err = attempt->call(attempt);
    attempt->done = true;
}

static err_t try_in_actor(struct fixture *f, struct attempt *attempt,
                          err_t (*call)(struct attempt *attempt)) {
    attempt->sys = f->sys;
    attempt->call = call;
    attempt->done = false;
    sim_host_spawn(f->host, "attempt", run_attempt, attempt);
    sim_world_run_for(f->world, 100);
    return attempt->done ? attempt->err : ERR_TIMED_OUT;
}

static err_t call_open(struct attempt *attempt) {
    return sys_file_open(attempt->sys, "/f", SYS_FILE_CREATE, &attempt->file);
}

static err_t call_write(struct attempt *attempt) {
    memset(attempt->bytes, 'w', sizeof attempt->bytes);
    return sys_file_write(attempt->file, 0, attempt->bytes, sizeof attempt->bytes);
}

static err_t call_read(struct attempt *attempt) {
    return sys_file_read(attempt->file, 0, attempt->bytes, sizeof attempt->bytes, &attempt->size);
}

static err_t call_sync(struct attempt *attempt) {
    return sys_file_sync(attempt->file);
}

static int wrong_bits(const struct attempt *attempt) {
    int count = 0;
    for (size_t i = 0; i < attempt->size; i++) {
        count += __builtin_popcount((uint8_t)(attempt->bytes[i] ^ 'w'));
    }
    return count;
}

static void calls_fail_as_told(void **state) {
    (void)state;
    struct fixture f = begin(4);
    struct attempt attempt = {0};
    struct sim_fault denied = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_OPEN, .err = ERR_ACCESS};
    int fault = sim_disk_add_fault(f.host, &denied);
    assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_ACCESS);
    assert_false(is_there(&f, "/f"));
    sim_disk_remove_fault(f.host, fault);
    assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);

    struct sim_fault once = {.kind = SIM_FAULT_ERROR, .path = "*/f", .count_max = 1};
    (void)sim_disk_add_fault(f.host, &once);
    assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_IO);
    assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_OK);
    struct sim_fault other = {.kind = SIM_FAULT_ERROR, .path = "*.log"};
    (void)sim_disk_add_fault(f.host, &other);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_int_equal(attempt.size, sizeof attempt.bytes);
    sys_file_close(attempt.file);
    sim_world_free(f.world);
}

static void a_short_write_leaves_any_part(void **state) {
    (void)state;
    bool partly = false;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture f = begin(seed);
        struct attempt attempt = {0};
        assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);
        struct sim_fault fault = {.kind = SIM_FAULT_SHORT_WRITE, .err = ERR_NO_SPACE};
        (void)sim_disk_add_fault(f.host, &fault);
        assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_NO_SPACE);
        uint64_t size;
        assert_int_equal(sys_file_size(attempt.file, &size), ERR_OK);
        assert_in_range(size, 0, sizeof attempt.bytes);
        partly = partly || (size > 0 && size < sizeof attempt.bytes);
        sys_file_close(attempt.file);
        sim_world_free(f.world);
    }
    assert_true(partly);
}

static void bits_flip_once_or_for_good(void **state) {
    (void)state;
    struct fixture f = begin(5);
    struct attempt attempt = {0};
    assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);
    assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_OK);
    struct sim_fault fault = {.kind = SIM_FAULT_FLIP_READ, .count_max = 1};
    (void)sim_disk_add_fault(f.host, &fault);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_int_equal(wrong_bits(&attempt), 1);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_int_equal(wrong_bits(&attempt), 0);
    fault.kind = SIM_FAULT_FLIP_STORED;
    (void)sim_disk_add_fault(f.host, &fault);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_int_equal(wrong_bits(&attempt), 1);
    assert_int_equal(sim_disk_flip(f.host, "/f", 3, 2), ERR_OK);
    assert_int_equal(sim_disk_flip(f.host, "/f", 1 << 20, 2), ERR_INVALID);
    assert_int_equal(sim_disk_flip(f.host, "/g", 0, 0), ERR_NOT_FOUND);
    assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
    assert_true(wrong_bits(&attempt) == 2 || wrong_bits(&attempt) == 0);
    sys_file_close(attempt.file);
    sim_world_free(f.world);
}

static void a_failed_sync_promises_nothing(void **state) {
    (void)state;
    int lost_quietly = 0;
    int kept = 0;
    int dropped_at_once = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f = begin(seed);
        struct attempt attempt = {0};
        assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);
        assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
        assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_OK);
        struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_SYNC, .count_max = 1};
        (void)sim_disk_add_fault(f.host, &fault);
        assert_int_equal(try_in_actor(&f, &attempt, call_sync), ERR_IO);
        assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
        bool dropped = wrong_bits(&attempt) != 0;
        dropped_at_once += dropped;
        assert_int_equal(try_in_actor(&f, &attempt, call_sync), ERR_OK); /* as if all were well */
        sim_host_power_cut(f.host);
        sim_host_restart(f.host);
        assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);
        assert_int_equal(try_in_actor(&f, &attempt, call_read), ERR_OK);
        bool lost = attempt.size < sizeof attempt.bytes || wrong_bits(&attempt) > 0;
        kept += !lost;
        lost_quietly += lost && !dropped;
        sys_file_close(attempt.file);
        sim_world_free(f.world);
    }
    assert_true(kept > 10);
    assert_true(lost_quietly > 10);
    assert_true(dropped_at_once > 10);
}

static void a_hung_disk_holds_its_callers_until_it_is_released(void **state) {
    (void)state;
    struct fixture f = begin(6);
    struct attempt attempt = {0};
    struct attempt other = {0};
    assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_OK);
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .path = "/f"};
    int number = sim_disk_add_fault(f.host, &fault);
    assert_int_equal(try_in_actor(&f, &attempt, call_write), ERR_TIMED_OUT);
    other.file = attempt.file;
    assert_int_equal(try_in_actor(&f, &other, call_read), ERR_TIMED_OUT);
    sim_world_run_for(f.world, 60000);
    assert_false(attempt.done);
    sim_disk_remove_fault(f.host, number);
    sim_world_run_for(f.world, 100);
    assert_true(attempt.done);
    assert_true(other.done);
    assert_int_equal(attempt.err, ERR_OK);
    sys_file_close(attempt.file);
    (void)sim_disk_add_fault(f.host, &fault);
    assert_int_equal(try_in_actor(&f, &attempt, call_open), ERR_TIMED_OUT);
    sim_host_crash(f.host); /* in the middle of the hung call */
    sim_world_free(f.world);
}

/* --- files and names as sys/file.h has them --- */

static void the_cache_is_cold_after_a_power_cut(void **state) {
    (void)state;
    struct fixture f = begin(7);
    write_at(&f, "/f", 0, 'x', 10000, true);
    assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
    struct sys_file *file;
    assert_int_equal(sys_file_open(f.sys, "/f", SYS_FILE_READ, &file), ERR_OK);
    assert_true(sys_file_cached(file, 0, 10000));
    sys_file_close(file);
    sim_host_power_cut(f.host);
    sim_host_restart(f.host);
    assert_int_equal(sys_file_open(f.sys, "/f", SYS_FILE_READ, &file), ERR_OK);
    assert_false(sys_file_cached(file, 0, 100));
    char byte;
    size_t size;
    assert_int_equal(sys_file_read(file, 5000, &byte, 1, &size), ERR_OK);
    assert_true(sys_file_cached(file, 5000, 100));
    assert_false(sys_file_cached(file, 0, 10000));
    sim_disk_drop_cache(f.host);
    assert_false(sys_file_cached(file, 5000, 100));
    sys_file_close(file);
    sim_world_free(f.world);
}

static void names_and_locks_follow_the_contract(void **state) {
    (void)state;
    struct fixture f = begin(8);
    struct sys_file *file;
    struct sys_file *second;
    assert_int_equal(sys_file_open(f.sys, "/f", 0, &file), ERR_NOT_FOUND);
    assert_int_equal(sys_file_open(f.sys, "/no/f", SYS_FILE_CREATE, &file), ERR_NOT_FOUND);
    assert_int_equal(sys_dir_make_all(f.sys, "data/./x//y"), ERR_OK);
    assert_int_equal(sys_dir_make(f.sys, "/data/x"), ERR_EXISTS);
    assert_int_equal(sys_path_remove(f.sys, "/data/x"), ERR_EXISTS);
    int create = SYS_FILE_CREATE | SYS_FILE_EXCLUSIVE;
    assert_int_equal(sys_file_open(f.sys, "/data/f", create, &file), ERR_OK);
    assert_int_equal(sys_file_open(f.sys, "/data/f", create, &second), ERR_EXISTS);
    assert_int_equal(sys_file_open(f.sys, "/data/f", 0, &second), ERR_OK);
    assert_int_equal(sys_file_lock(file), ERR_OK);
    assert_int_equal(sys_file_lock(second), ERR_IN_USE);
    sys_file_close(file);
    assert_int_equal(sys_file_lock(second), ERR_OK);
    assert_int_equal(sys_path_remove(f.sys, "/data/f"), ERR_OK); /* while open */
    assert_int_equal(sys_file_write(second, 100, "abc", 3), ERR_OK);
    uint64_t size;
    assert_int_equal(sys_file_size(second, &size), ERR_OK);
    assert_int_equal(size, 103);
    char bytes[103];
    size_t read_size;
    assert_int_equal(sys_file_read(second, 0, bytes, sizeof bytes, &read_size), ERR_OK);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[102], 'c');
    sim_host_crash(f.host);
    sim_host_restart(f.host);
    assert_false(is_there(&f, "/data/f"));
    struct sys_dir_list list;
    write_at(&f, "/data/b", 0, 'b', 1, false);
    write_at(&f, "/data/a", 0, 'a', 1, false);
    assert_int_equal(sys_dir_list(f.sys, "/data", &list), ERR_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.names[0], "a");
    assert_string_equal(list.names[2], "x");
    sys_dir_list_free(&list);
    sim_host_set_file_limit(f.host, 1);
    assert_int_equal(sys_file_open(f.sys, "/data/a", 0, &file), ERR_OK);
    assert_int_equal(sys_file_open(f.sys, "/data/b", 0, &second), ERR_NO_FILES);
    sys_file_close(file);
    sim_world_free(f.world);
}

/* Random calls, then a power cut: what was synced last must be found, whatever came after. */
static void synced_bytes_outlive_whatever_comes_after(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f = begin(seed);
        uint8_t expected[16384] = {0};
        size_t synced_size = 0;
        struct sys_file *file;
        assert_int_equal(sys_file_open(f.sys, "/f", SYS_FILE_CREATE, &file), ERR_OK);
        assert_int_equal(sys_dir_sync(f.sys, "/"), ERR_OK);
        uint64_t size = 0;
        for (int round = 0; round < 30; round++) {
            size_t part = 1 + (size_t)sim_world_random(f.world, 300);
            memset(&expected[size], round + 1, part);
            assert_int_equal(sys_file_write(file, size, &expected[size], part), ERR_OK);
            size += part;
            if (sim_world_random(f.world, 3) == 0) {
                assert_int_equal(sys_file_sync(file), ERR_OK);
                synced_size = size;
            }
            if (sim_world_random(f.world, 5) == 0 && size > synced_size + 10) {
                size -= 10;
                assert_int_equal(sys_file_truncate(file, size), ERR_OK);
            }
        }
        sys_file_close(file);
        sim_host_power_cut(f.host);
        sim_host_restart(f.host);
        size_t size_after;
        char *data = read_all(&f, "/f", &size_after);
        assert_true(size_after >= synced_size);
        assert_memory_equal(data, expected, synced_size);
        free(data);
        sim_world_free(f.world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_loses_nothing),
        cmocka_unit_test(a_power_cut_tears_by_sectors_what_was_not_synced),
        cmocka_unit_test(names_last_once_their_directory_was_synced),
        cmocka_unit_test(a_replaced_file_is_old_or_new_at_every_moment),
        cmocka_unit_test(synced_bytes_outlive_whatever_comes_after),
        cmocka_unit_test(a_full_disk_refuses_and_heals),
        cmocka_unit_test(calls_fail_as_told),
        cmocka_unit_test(a_short_write_leaves_any_part),
        cmocka_unit_test(bits_flip_once_or_for_good),
        cmocka_unit_test(a_failed_sync_promises_nothing),
        cmocka_unit_test(a_hung_disk_holds_its_callers_until_it_is_released),
        cmocka_unit_test(the_cache_is_cold_after_a_power_cut),
        cmocka_unit_test(names_and_locks_follow_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
