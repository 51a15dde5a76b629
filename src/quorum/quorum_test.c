/* A quorum of one on a simulated host: start, append, restart, crashes, power cuts, damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quorum/quorum_fixture_test.h"
#include "sys/file.h"
#include "sys/sim_disk.h"
#include "wire/codec.h"
#include "wire/messages.h"

static void a_first_start_leads_and_appends(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    assert_int_equal(f->node->leader_epoch, 1);
    assert_int_equal(f->node->image_count, 1);
    assert_int_equal(f->node->image->provenance.offset, 2); /* LeaderChange, version, voters */
    assert_int_equal(append_and_wait(f), ERR_OK);
    assert_int_equal(f->node->image_count, 2);

    struct quorum_description description;
    quorum_describe(f->node->quorum, &description);
    assert_int_equal(description.leader_id, 1);
    assert_int_equal(description.leader_epoch, 1);
    assert_int_equal(description.high_watermark, 4);
    assert_int_equal(description.kraft_version, 1);
    assert_int_equal(description.voter.log_end_offset, 4);
    assert_false(uuid_is_zero(description.voter.directory_id));
    assert_int_equal(description.voters->voters[0].endpoints[0].port, 9093);
    node_stop(f);

    char *data;
    size_t size;
    assert_int_equal(sys_file_read_all(f->sys, FOLDER "/quorum-state", 4096, &data, &size), ERR_OK);
    assert_string_equal(data,
                        "{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":"
                        "\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}");
    free(data);
}

static void restarts_keep_everything_and_raise_the_epoch(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    for (int32_t epoch = 1; epoch <= 5; epoch++) {
        assert_int_equal(node_start(f), ERR_OK);
        assert_int_equal(f->node->leader_epoch, epoch);
        expect_acknowledged(f);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(append_and_wait(f), ERR_OK);
        }
        if (epoch % 2 == 1) {
            node_stop(f);
        } else {
            sim_host_crash(f->host);
            sim_host_restart(f->host);
        }
    }
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    assert_int_equal(f->node->image->topics.count, 50);
    assert_string_equal(f->said, "");
    node_stop(f);
}

static void a_static_quorum_works_too(void **state) {
    struct fixture *f = *state;
    format_dir(f, false);
    f->options.static_voters = STR("1@localhost:9093");
    for (int32_t epoch = 1; epoch <= 2; epoch++) {
        assert_int_equal(node_start(f), ERR_OK);
        assert_int_equal(f->node->leader_epoch, epoch);
        expect_acknowledged(f);
        assert_int_equal(append_and_wait(f), ERR_OK);
        node_stop(f);
    }
    char *data;
    size_t size;
    assert_int_equal(sys_file_read_all(f->sys, FOLDER "/quorum-state", 4096, &data, &size), ERR_OK);
    assert_string_equal(data, "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":2,\"votedId\":-1,"
                              "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":1}],"
                              "\"data_version\":0}");
    free(data);
}

static void appends_that_wait_share_a_sync(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    int before = f->sync_count;
    struct topic_append *last = NULL;
    for (int i = 0; i < 200; i++) {
        last = append_topic(f);
    }
    assert_true(sim_world_run_until(f->world, append_is_done, last, 60 * 1000));
    assert_int_equal(f->acknowledged_count, 200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(f->acknowledged[i], i); /* in the order of the calls */
    }
    print_message("200 appends took %d syncs\n", f->sync_count - before);
    assert_true(f->sync_count - before <= 20);
    node_stop(f);
}

static void quorums_we_do_not_run_are_refused(void **state) {
    struct fixture *f = *state;
    format_dir(f, false);
    f->options.static_voters = STR("1@a:9093,2@b:9093,3@c:9093");
    assert_int_equal(node_start(f), ERR_UNSUPPORTED);
    assert_non_null(strstr(f->text, "clusters of several controllers are not supported yet"));
    node_stop(f);
    f->options.static_voters = STR_NULL;
    assert_int_equal(node_start(f), ERR_UNSUPPORTED);
    assert_non_null(strstr(f->text, "set controller.quorum.voters"));
    f->options.static_voters = STR("1@localhost");
    struct quorum *quorum;
    assert_int_equal(quorum_new(&f->options, &quorum), ERR_INVALID);
    node_stop(f);
}

static void an_unformatted_directory_is_refused(void **state) {
    struct fixture *f = *state;
    assert_int_equal(node_start(f), ERR_NOT_FOUND);
    assert_non_null(strstr(f->text, "ottla storage format"));
    node_stop(f);
}

/* --- snapshots --- */

static int snapshot_count(struct fixture *f, const char *end, char first[TEXT_MAX]) {
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(f->sys, FOLDER, &list), ERR_OK);
    int count = 0;
    for (size_t i = 0; i < list.count; i++) {
        size_t size = strlen(list.names[i]);
        if (size > strlen(end) && strcmp(list.names[i] + size - strlen(end), end) == 0) {
            if (count++ == 0) {
                snprintf(first, TEXT_MAX, FOLDER "/%s", list.names[i]);
            }
        }
    }
    sys_dir_list_free(&list);
    return count;
}

static void newest_snapshot(struct fixture *f, char path[TEXT_MAX]) {
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(f->sys, FOLDER, &list), ERR_OK);
    for (size_t i = 0; i < list.count; i++) { /* sorted: the last one stays */
        if (strstr(list.names[i], ".checkpoint") != NULL) {
            snprintf(path, TEXT_MAX, FOLDER "/%s", list.names[i]);
        }
    }
    sys_dir_list_free(&list);
}

static void snapshots_come_with_bytes_and_old_ones_go(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    f->options.snapshot_bytes = 5000;
    f->options.segment_bytes = 16 * 1024; /* less than a setting allows */
    f->options.retention_bytes = 60 * 1000;
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(append_and_wait(f), ERR_OK);
    }
    sim_world_run_for(f->world, 1000);
    char first[TEXT_MAX];
    int count = snapshot_count(f, ".checkpoint", first);
    assert_in_range(count, 1, 6);
    assert_null(strstr(first, "00000000000000000000-")); /* the log begins later now */
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(f->sys, FOLDER "/00000000000000000000.log", &stat),
                     ERR_NOT_FOUND);
    node_stop(f);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    assert_int_equal(f->node->image->topics.count, 600);
    assert_string_equal(f->said, "");
    node_stop(f);
}

/* Cleaning runs beside the writing of the next snapshot, and must not take its unfinished file. */
static void cleaning_leaves_the_next_snapshot_alone(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    f->options.snapshot_bytes = 600;
    f->options.retention_bytes = 5000;
    sim_disk_set_latency(f->host, SIM_CALL_ALL, 1000000, 20000000);
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 300; i++) {
        (void)append_topic(f);
        sim_world_run_for(f->world, 30);
    }
    sim_world_run_for(f->world, 10 * 1000);
    assert_int_equal(f->acknowledged_count, 300);
    assert_string_equal(f->said, "");
    node_stop(f);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    node_stop(f);
}

/* A stop may come at any moment of the start. */
static void stopping_while_loading(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        void *fixture;
        setup_seed(&fixture, seed);
        struct fixture *f = fixture;
        format_dir(f, true);
        f->options.snapshot_bytes = 1000;
        assert_int_equal(node_start(f), ERR_OK);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(append_and_wait(f), ERR_OK);
        }
        if (seed % 2 == 0) {
            node_stop(f);
        } else {
            sim_host_crash(f->host);
            sim_host_restart(f->host);
        }
        sim_disk_set_latency(f->host, SIM_CALL_ALL, 100000, 3000000);
        node_launch(f);
        sim_world_run_for(f->world, (int64_t)sim_world_random(f->world, 60));
        node_stop(f);
        assert_int_equal(node_start(f), ERR_OK);
        expect_acknowledged(f);
        node_stop(f);
        teardown(&fixture);
    }
}

static void snapshots_come_with_time(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    f->options.snapshot_interval_ms = 10 * 1000;
    assert_int_equal(node_start(f), ERR_OK);
    char first[TEXT_MAX];
    sim_world_run_for(f->world, 15 * 1000);
    assert_int_equal(snapshot_count(f, ".checkpoint", first), 2); /* LeaderChange was new */
    sim_world_run_for(f->world, 60 * 1000);
    assert_int_equal(snapshot_count(f, ".checkpoint", first), 2); /* nothing new, nothing written */
    assert_int_equal(append_and_wait(f), ERR_OK);
    sim_world_run_for(f->world, 15 * 1000);
    assert_int_equal(snapshot_count(f, ".checkpoint", first), 3);
    node_stop(f);
}

static void write_some_with_snapshots(struct fixture *f) {
    format_dir(f, true);
    f->options.snapshot_bytes = 3000;
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(append_and_wait(f), ERR_OK);
    }
    sim_world_run_for(f->world, 1000);
    node_stop(f);
}

/* Bug T29: a damaged snapshot made a node delete the stream. */
static void t29_a_damaged_snapshot_is_set_aside(void **state) {
    struct fixture *f = *state;
    write_some_with_snapshots(f);
    char path[TEXT_MAX], aside[TEXT_MAX + 16];
    newest_snapshot(f, path);
    assert_int_equal(sim_disk_flip(f->host, path, 300, 3), ERR_OK);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    assert_int_equal(f->node->image->topics.count, 100);
    snprintf(aside, sizeof aside, "%s.damaged", path);
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(f->sys, aside, &stat), ERR_OK);
    assert_non_null(strstr(f->said, "is damaged at byte"));
    assert_non_null(strstr(f->said, aside));
    node_stop(f);
}

static void t29_without_any_snapshot_the_start_fails_and_deletes_nothing(void **state) {
    struct fixture *f = *state;
    f->options.segment_bytes = 8 * 1024;
    f->options.retention_bytes = 10 * 1000;
    write_some_with_snapshots(f);
    char path[TEXT_MAX];
    int count = snapshot_count(f, ".checkpoint", path);
    for (int i = 0; i < count; i++) {
        (void)snapshot_count(f, ".checkpoint", path);
        assert_int_equal(sys_path_rename(f->sys, path, "/data/moved"), ERR_OK);
    }
    assert_int_equal(node_start(f), ERR_CORRUPT);
    assert_non_null(strstr(f->text, "there is no undamaged snapshot"));
    node_stop(f);
    /* What the operator puts back is taken. */
    assert_int_equal(sys_path_rename(f->sys, "/data/moved", path), ERR_OK);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    node_stop(f);
}

/* --- the disk --- */

static void a_full_disk_makes_appends_wait(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    assert_int_equal(append_and_wait(f), ERR_OK);
    sim_disk_set_capacity(f->host, DIR, 1);
    struct topic_append *topic = NULL;
    for (int i = 0; i < 200; i++) { /* more than the last block has room for */
        topic = append_topic(f);
    }
    sim_world_run_for(f->world, 10 * 1000);
    assert_false(topic->done);
    assert_non_null(strstr(f->said, "is full"));
    assert_false(f->node->failed);
    sim_disk_set_capacity(f->host, DIR, 1 << 30);
    assert_true(sim_world_run_until(f->world, append_is_done, topic, 5 * 1000));
    assert_int_equal(topic->err, ERR_OK);
    assert_non_null(strstr(f->said, "is full"));
    node_stop(f);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    assert_int_equal(f->node->image->topics.count, 201);
    node_stop(f);
}

static void a_failed_sync_ends_the_quorum(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    assert_int_equal(append_and_wait(f), ERR_OK);
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_SYNC, .path = "*.log"};
    int id = sim_disk_add_fault(f->host, &fault);
    assert_int_equal(append_and_wait(f), ERR_NOT_CONTROLLER);
    assert_true(f->node->failed);
    assert_int_equal(f->node->leader_epoch, -1);
    assert_non_null(strstr(f->text, "cannot be written"));
    sim_disk_remove_fault(f->host, id);
    assert_int_equal(append_and_wait(f), ERR_NOT_CONTROLLER);
    node_stop(f);
    assert_int_equal(node_start(f), ERR_OK);
    expect_acknowledged(f);
    node_stop(f);
}

/* What was acknowledged is there after any power cut, and the log has no hole: topics are appended
 * in order, so those that come back are the first so many. */
static void power_cuts(void **state) {
    (void)state;
    int lost_unacknowledged = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        void *fixture;
        setup_seed(&fixture, seed);
        struct fixture *f = fixture;
        format_dir(f, true);
        f->options.snapshot_bytes = 2000;
        f->options.segment_bytes = 8 * 1024;
        f->options.retention_bytes = 20 * 1000;
        for (int round = 0; round < 6; round++) {
            node_launch(f);
            (void)sim_world_run_until(f->world, is_started, f->node,
                                      round % 3 == 2 ? (int64_t)sim_world_random(f->world, 40)
                                                     : 60 * 1000);
            if (f->node->started) {
                assert_string_equal(f->text, "");
                assert_int_equal(f->node->started_err, ERR_OK);
                expect_acknowledged(f);
                f->next_number = (int)f->node->image->topics.count;
                for (int i = 0; i < f->next_number; i++) {
                    char name[32];
                    topic_name(i, name);
                    assert_non_null(meta_image_topic(f->node->image, str_from_c(name)));
                }
                f->acknowledged_count = 0;
                for (int i = 0; i < f->next_number; i++) {
                    f->acknowledged[f->acknowledged_count++] = i;
                }
                for (int i = 0; i < 60; i++) {
                    (void)append_topic(f);
                    sim_world_run_for(f->world, (int64_t)sim_world_random(f->world, 5));
                }
                lost_unacknowledged += f->next_number - f->acknowledged_count;
            }
            sim_host_power_cut(f->host);
            sim_host_restart(f->host);
        }
        assert_int_equal(node_start(f), ERR_OK);
        expect_acknowledged(f);
        node_stop(f);
        teardown(&fixture);
    }
    print_message("%d appends were under way at a power cut\n", lost_unacknowledged);
    assert_true(lost_unacknowledged > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_start_leads_and_appends, setup, teardown),
        cmocka_unit_test_setup_teardown(restarts_keep_everything_and_raise_the_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_static_quorum_works_too, setup, teardown),
        cmocka_unit_test_setup_teardown(appends_that_wait_share_a_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(quorums_we_do_not_run_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unformatted_directory_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshots_come_with_bytes_and_old_ones_go, setup, teardown),
        cmocka_unit_test_setup_teardown(cleaning_leaves_the_next_snapshot_alone, setup, teardown),
        cmocka_unit_test(stopping_while_loading),
        cmocka_unit_test_setup_teardown(snapshots_come_with_time, setup, teardown),
        cmocka_unit_test_setup_teardown(t29_a_damaged_snapshot_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(
            t29_without_any_snapshot_the_start_fails_and_deletes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_makes_appends_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_ends_the_quorum, setup, teardown),
        cmocka_unit_test(power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
