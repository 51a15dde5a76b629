#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/directory.h"
#include "meta/bootstrap.h"
#include "meta/format.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "wire/messages.h"

#define SNAPSHOT "/a/b/meta/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"

struct fixture {
    struct sim_world *world;
    struct sim_host *host;
    struct sys *sys;
    struct meta_format_options options;
    struct meta_endpoint endpoint;
    char error[META_FORMAT_ERROR_MAX];
    int formatted;
};

static const char *const dirs[] = {"/a/b/meta", "/a/b/data"};

static void count_formatted(void *arg, const char *dir, struct uuid directory_id) {
    struct fixture *f = arg;
    assert_string_equal(dir, dirs[1 - f->formatted % 2]); /* the metadata directory last */
    assert_false(uuid_is_zero(directory_id));
    f->formatted++;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->world = sim_world_new(1);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->endpoint =
        (struct meta_endpoint){.name = STR("CONTROLLER"), .host = STR("localhost"), .port = 9093};
    f->options = (struct meta_format_options){
        .dirs = dirs,
        .dir_count = 2,
        .metadata_dir = dirs[0],
        .cluster_id = STR("cluster"),
        .node_id = 7,
        .standalone = true,
        .endpoints = &f->endpoint,
        .endpoint_count = 1,
        .formatted = count_formatted,
        .arg = f,
    };
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sim_world_free(f->world);
    free(f);
    return 0;
}

static bool exists(struct fixture *f, const char *path) {
    struct sys_stat stat;
    return sys_path_stat(f->sys, path, &stat) == ERR_OK;
}

static int16_t level_of(struct fixture *f, const char *name) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct meta_record *records;
    int32_t count;
    assert_int_equal(
        meta_bootstrap_read(f->sys, dirs[0], &arena, &records, &count, f->error, sizeof f->error),
        ERR_OK);
    int16_t level = -1;
    for (int32_t i = 0; i < count; i++) {
        const struct feature_level_record *feature = records[i].message;
        assert_int_equal(records[i].type, META_RECORD_FEATURE_LEVEL);
        if (str_equal(feature->name, str_from_c(name))) {
            level = feature->feature_level;
        }
    }
    arena_done(&arena);
    return level;
}

struct formatting {
    struct fixture *f;
    err_t err;
};

static void run_format(void *arg) {
    struct formatting *formatting = arg;
    struct fixture *f = formatting->f;
    formatting->err = meta_format(f->sys, &f->options, f->error);
}

/* Faults meet only actors. */
static void format_on_an_actor(struct fixture *f, err_t expected) {
    struct formatting formatting = {.f = f};
    sim_host_spawn(f->host, "format", run_format, &formatting);
    sim_world_run_for(f->world, 60000);
    assert_int_equal(formatting.err, expected);
}

static void a_formatted_directory_survives_a_power_cut(void **state) {
    struct fixture *f = *state;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_OK);
    assert_int_equal(f->formatted, 2);
    sim_host_power_cut(f->host);
    sim_host_restart(f->host);
    struct log_meta meta[2];
    for (int i = 0; i < 2; i++) {
        char reason[256];
        assert_int_equal(log_meta_read(f->sys, dirs[i], &meta[i], reason, sizeof reason), ERR_OK);
        assert_string_equal(meta[i].cluster_id, "cluster");
        assert_int_equal(meta[i].node_id, 7);
        assert_int_equal(meta[i].version, 1);
    }
    assert_false(uuid_equal(meta[0].directory_id, meta[1].directory_id));
    assert_true(exists(f, SNAPSHOT));
    assert_false(exists(f, "/a/b/data/bootstrap.checkpoint"));
    assert_int_equal(level_of(f, "metadata.version"), METADATA_VERSION_LATEST);
    assert_int_equal(level_of(f, "transaction.version"), 2);
    assert_int_equal(level_of(f, "kraft.version"), -1);
}

/* As long as the metadata directory, which comes first in log.dirs, is not formatted, formatting
 * was cut short; so it is the last. */
static void the_metadata_directory_is_the_last(void **state) {
    struct fixture *f = *state;
    struct sim_fault full = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_ALL, .path = "/a/b/data*", .err = ERR_NO_SPACE};
    sim_disk_add_fault(f->host, &full);
    format_on_an_actor(f, ERR_NO_SPACE);
    assert_false(exists(f, "/a/b/meta/meta.properties"));
    sim_disk_remove_all_faults(f->host);
    f->options.ignore_formatted = true;
    format_on_an_actor(f, ERR_OK);
    assert_true(exists(f, "/a/b/meta/meta.properties"));
}

static void levels_are_as_asked(void **state) {
    struct fixture *f = *state;
    const struct meta_feature_level features[] = {{STR("group.version"), 0},
                                                  {STR("transaction.version"), 1}};
    f->options.metadata_version = 22;
    f->options.features = features;
    f->options.feature_count = 2;
    f->options.standalone = false;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_OK);
    assert_int_equal(level_of(f, "metadata.version"), 22);
    assert_int_equal(level_of(f, "group.version"), -1); /* 0 is the same as not there */
    assert_int_equal(level_of(f, "transaction.version"), 1);
    assert_int_equal(level_of(f, "share.version"), -1);
    assert_false(exists(f, SNAPSHOT));
}

static void refuse(struct fixture *f, const char *name, int16_t level, const char *text) {
    struct meta_feature_level feature = {str_from_c(name), level};
    f->options.features = &feature;
    f->options.feature_count = 1;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_INVALID);
    assert_string_equal(f->error, text);
    assert_false(exists(f, dirs[0]));
}

static void wrong_levels_are_refused_before_anything_is_written(void **state) {
    struct fixture *f = *state;
    refuse(f, "groups", 1, "there is no feature groups");
    refuse(f, "group.version", 2, "group.version 2 is none of 0 to 1");
    refuse(f, "kraft.version", 0, "a standalone quorum is dynamic and needs kraft.version 1");
    f->options.metadata_version = 20;
    refuse(f, "eligible.leader.replicas.version", 1,
           "eligible.leader.replicas.version 1 needs metadata.version 4.0-IV1");
    f->options.metadata_version = 31;
    refuse(f, "group.version", 1, "metadata.version 31 is none of 7 to 30");
}

static void formatted_directories_are_left_alone(void **state) {
    struct fixture *f = *state;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_OK);
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_EXISTS);
    assert_string_equal(f->error,
                        "/a/b/meta is formatted already; --ignore-formatted leaves it as it is");
    f->options.ignore_formatted = true;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_OK);
    assert_int_equal(f->formatted, 2);
    f->options.cluster_id = STR("another");
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_EXISTS);
    assert_non_null(strstr(f->error, "belongs to cluster cluster. Give that id"));
    f->options.cluster_id = STR("cluster");
    f->options.node_id = 8;
    assert_int_equal(meta_format(f->sys, &f->options, f->error), ERR_EXISTS);
    assert_non_null(strstr(f->error, "belongs to node 7: set node.id=7"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_formatted_directory_survives_a_power_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_metadata_directory_is_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(levels_are_as_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_levels_are_refused_before_anything_is_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(formatted_directories_are_left_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
