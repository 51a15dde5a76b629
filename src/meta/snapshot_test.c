#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "meta/bootstrap.h"
#include "meta/snapshot.h"
#include "meta/test_records.h"
#include "sys/sim.h"
#include "wire/codec.h"
#include "wire/record_batch.h"

#define DIR  "/data"
#define NAME "00000000000000000100-0000000003.checkpoint"
#define PATH DIR "/" NAME

struct fixture {
    struct sim_world *world;
    struct sys *sys;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->world = sim_world_new(1);
    f->sys = sim_host_sys(sim_host_new(f->world, "a", "10.0.0.1"));
    assert_int_equal(sys_dir_make(f->sys, DIR), ERR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sim_world_free(f->world);
    free(f);
    return 0;
}

static int write_snapshot(struct fixture *f, struct meta_image *image, bool dynamic) {
    struct voters_record_endpoint endpoint = {
        .name = STR("CONTROLLER"), .host = STR("localhost"), .port = 9093};
    struct voters_record_voter voter = {
        .voter_id = 1,
        .voter_directory_id = test_id(10),
        .endpoints = &endpoint,
        .endpoints_count = 1,
        .kraft_version_feature = {.max_supported_version = 1},
    };
    struct voters_record voters = {.voters = &voter, .voters_count = 1};
    struct meta_snapshot_head head = {
        .epoch = 3,
        .last_contained_timestamp_ms = 1234,
        .kraft_version = dynamic ? 1 : 0,
        .voters = &voters,
    };
    struct meta_snapshot_writer *writer = meta_snapshot_writer_new(f->sys, DIR, NAME, image, &head);
    voter = (struct voters_record_voter){0}; /* it was copied */
    bool done = false;
    int steps = 0;
    while (!done) {
        assert_int_equal(meta_snapshot_writer_step(writer, &done), ERR_OK);
        steps++;
    }
    meta_snapshot_writer_free(writer);
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(f->sys, PATH ".part", &stat), ERR_NOT_FOUND);
    return steps;
}

/* Reads the file; on success *ret_image is the caller's, on failure the reader's words. */
static err_t read_snapshot(struct fixture *f, struct meta_image **ret_image, char error[512],
                           struct arena *arena, struct voters_record *voters) {
    struct meta_snapshot_reader *reader;
    assert_int_equal(meta_snapshot_reader_open(f->sys, PATH, &reader), ERR_OK);
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    bool done = false;
    err_t err = ERR_OK;
    while (err == ERR_OK && !done) {
        err = meta_snapshot_reader_step(reader, delta, &done);
    }
    snprintf(error, 512, "%s", meta_snapshot_reader_error(reader));
    if (err == ERR_OK) {
        assert_int_equal(meta_snapshot_reader_timestamp_ms(reader), 1234);
        if (voters != NULL && meta_snapshot_reader_voters(reader) != NULL) {
            (void)wire_copy(&voters_record_type, meta_snapshot_reader_voters(reader), arena,
                            voters);
        }
        *ret_image = meta_delta_finish(delta, &empty->provenance, NULL);
    } else {
        meta_delta_free(delta);
    }
    meta_image_unref(empty);
    meta_snapshot_reader_free(reader);
    return err;
}

static void what_was_written_is_read(void **state) {
    struct fixture *f = *state;
    struct meta_image *image = test_history_image();
    (void)write_snapshot(f, image, true);
    struct meta_image *again;
    char error[512];
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct voters_record voters;
    assert_int_equal(read_snapshot(f, &again, error, &arena, &voters), ERR_OK);
    assert_true(meta_image_equal(image, again));
    assert_int_equal(voters.voters_count, 1);
    assert_true(uuid_equal(voters.voters[0].voter_directory_id, test_id(10)));
    assert_int_equal(voters.voters[0].endpoints[0].port, 9093);
    assert_int_equal(voters.voters[0].kraft_version_feature.max_supported_version, 1);
    arena_done(&arena);
    meta_image_unref(again);
    meta_image_unref(image);
}

static void large_images_take_many_small_steps(void **state) {
    struct fixture *f = *state;
    struct meta_image *base = test_history_image();
    struct meta_delta *delta = meta_delta_new(base);
    meta_image_unref(base);
    for (int i = 0; i < 30000; i++) {
        char name[32];
        snprintf(name, sizeof name, "topic-%d", i);
        struct topic_record topic = {.name = str_from_c(name), .topic_id = test_id(1000 + i)};
        test_apply(delta, META_RECORD_TOPIC, &topic);
    }
    const struct meta_provenance somewhere = {.offset = 99, .epoch = 3};
    struct meta_image *image = meta_delta_finish(delta, &somewhere, NULL);
    assert_in_range(write_snapshot(f, image, false), 9, 20);
    struct meta_image *again;
    char error[512];
    assert_int_equal(read_snapshot(f, &again, error, NULL, NULL), ERR_OK);
    assert_true(meta_image_equal(image, again));
    meta_image_unref(again);
    meta_image_unref(image);
}

static void a_leftover_of_a_crash_is_replaced(void **state) {
    struct fixture *f = *state;
    struct sys_file *file;
    assert_int_equal(
        sys_file_open(f->sys, PATH ".part", SYS_FILE_CREATE | SYS_FILE_READ_ONLY_MODE, &file),
        ERR_OK);
    assert_int_equal(sys_file_write(file, 0, "garbage", 7), ERR_OK);
    sys_file_close(file);
    struct meta_image *image = test_history_image();
    (void)write_snapshot(f, image, true);
    struct meta_image *again;
    char error[512];
    assert_int_equal(read_snapshot(f, &again, error, NULL, NULL), ERR_OK);
    meta_image_unref(again);
    meta_image_unref(image);
}

/* --- damage --- */

static char *load(struct fixture *f, size_t *ret_size) {
    char *data;
    assert_int_equal(sys_file_read_all(f->sys, PATH, 1 << 20, &data, ret_size), ERR_OK);
    return data;
}

static void store(struct fixture *f, const char *data, size_t size) {
    struct sys_file *file;
    assert_int_equal(sys_file_open(f->sys, PATH, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &file),
                     ERR_OK);
    if (size > 0) {
        assert_int_equal(sys_file_write(file, 0, data, size), ERR_OK);
    }
    sys_file_close(file);
}

static void a_file_cut_anywhere_is_damaged(void **state) {
    struct fixture *f = *state;
    struct meta_image *image = test_history_image();
    (void)write_snapshot(f, image, true);
    size_t size;
    char *data = load(f, &size);
    for (size_t cut = 0; cut < size; cut++) {
        store(f, data, cut);
        struct meta_image *again;
        char error[512];
        assert_int_equal(read_snapshot(f, &again, error, NULL, NULL), ERR_CORRUPT);
        assert_non_null(strstr(error, "the file ends with"));
    }
    free(data);
    meta_image_unref(image);
}

/* Whether the byte is a batch's leader epoch, which no checksum covers and nobody here reads. */
static bool is_leader_epoch(const char *data, size_t size, size_t at) {
    struct bytes run = {.data = (const uint8_t *)data, .size = size};
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        size_t start = (size_t)(batch.data - run.data);
        if (at >= start && at < position) {
            return at - start >= RECORD_BATCH_LEADER_EPOCH && at - start < RECORD_BATCH_MAGIC;
        }
    }
    return false;
}

static void every_flipped_bit_is_seen(void **state) {
    struct fixture *f = *state;
    struct meta_image *image = test_history_image();
    (void)write_snapshot(f, image, true);
    size_t size;
    char *data = load(f, &size);
    for (size_t at = 0; at < size; at++) {
        if (is_leader_epoch(data, size, at)) {
            continue;
        }
        char before = data[at];
        data[at] = (char)(data[at] ^ (1 << (at % 8)));
        store(f, data, size);
        data[at] = before;
        struct meta_image *again;
        char error[512];
        assert_int_equal(read_snapshot(f, &again, error, NULL, NULL), ERR_CORRUPT);
        assert_true(strncmp(error, "at byte ", 8) == 0);
    }
    free(data);
    meta_image_unref(image);
}

static void trailing_bytes_are_damage(void **state) {
    struct fixture *f = *state;
    struct meta_image *image = test_history_image();
    (void)write_snapshot(f, image, true);
    size_t size;
    char *data = load(f, &size);
    char *twice = malloc(2 * size);
    memcpy(twice, data, size);
    memcpy(twice + size, data, size);
    store(f, twice, 2 * size);
    struct meta_image *again;
    char error[512];
    assert_int_equal(read_snapshot(f, &again, error, NULL, NULL), ERR_CORRUPT);
    free(twice);
    free(data);
    meta_image_unref(image);
}

/* --- names, bootstrap --- */

static void names(void **state) {
    (void)state;
    char name[META_SNAPSHOT_NAME_MAX];
    meta_snapshot_name((struct meta_snapshot_id){.offset = 100, .epoch = 3}, name);
    assert_string_equal(name, NAME);
    struct meta_snapshot_id id;
    assert_true(meta_snapshot_parse_name(NAME, &id));
    assert_int_equal(id.offset, 100);
    assert_int_equal(id.epoch, 3);
    assert_false(meta_snapshot_parse_name(NAME ".part", &id));
    assert_false(meta_snapshot_parse_name("bootstrap.checkpoint", &id));
    assert_false(meta_snapshot_parse_name("00000000000000000100.log", &id));
    assert_false(meta_snapshot_parse_name("99999999999999999999-0000000003.checkpoint", &id));
    assert_false(meta_snapshot_parse_name("00000000000000000100-9999999999.checkpoint", &id));
}

static void bootstrap_records_come_back(void **state) {
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct meta_record *records;
    int32_t count;
    char error[512];
    assert_int_equal(
        meta_bootstrap_read(f->sys, DIR, &arena, &records, &count, error, sizeof error), ERR_OK);
    assert_int_equal(count, 0);
    struct meta_image *image = test_history_image();
    assert_int_equal(meta_bootstrap_write(f->sys, DIR, image), ERR_OK);
    assert_int_equal(
        meta_bootstrap_read(f->sys, DIR, &arena, &records, &count, error, sizeof error), ERR_OK);
    assert_true(count > 20);
    const struct feature_level_record *first = records[0].message;
    assert_int_equal(records[0].type, META_RECORD_FEATURE_LEVEL);
    assert_true(str_equal(first->name, STR("metadata.version")));
    meta_image_unref(image);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(large_images_take_many_small_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leftover_of_a_crash_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_cut_anywhere_is_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(trailing_bytes_are_damage, setup, teardown),
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(bootstrap_records_come_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
