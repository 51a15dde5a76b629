/*
 * Nodes that end without a word, and three of them side by side. What a node allocated is lost with
 * it, as by a real crash, so leaks are not looked for here.
 */
#include "server/node_fixture_test.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static void a_crash_loses_nothing_acknowledged(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    struct machine *machine = &f.machines[0];
    struct peer peer;
    int64_t end = 0;
    for (int round = 0; round < 10; round++) {
        machine_start(machine);
        peer_open(&peer, machine);
        if (round == 0) {
            assert_int_equal(create_topic(&peer, "t", 1), 0);
        }
        assert_int_equal(end_of(&peer, "t", 0), end);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(produce(&peer, "t", 0, 1 + i % 3), end);
            end += 1 + i % 3;
        }
        peer_close(&peer);
        machine_crash(machine, false);
    }
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(end_of(&peer, "t", 0), end);
    peer_close(&peer);
    fixture_done(&f);
}

/* Deleted and made again, then the plug: the new topic is not cut where the old one was. */
static void a_name_used_again_before_a_crash(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    struct machine *machine = &f.machines[0];
    struct peer peer;
    for (int round = 0; round < 20; round++) {
        machine_start(machine);
        peer_open(&peer, machine);
        (void)delete_topic(&peer, "t");
        assert_int_equal(create_topic(&peer, "t", 1), 0);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(produce(&peer, "t", 0, 1), i);
        }
        if (round % 3 == 0) {
            fixture_run_for(&f, 40 * 1000);
        }
        (void)delete_topic(&peer, "t");
        assert_int_equal(create_topic(&peer, "t", 1), 0);
        assert_int_equal(produce(&peer, "t", 0, 2), 0);
        peer_close(&peer);
        machine_crash(machine, false);
        machine_start(machine);
        peer_open(&peer, machine);
        assert_int_equal(end_of(&peer, "t", 0), 2);
        peer_close(&peer);
        machine_crash(machine, round % 2 == 0);
    }
    fixture_done(&f);
}

/* A crash at any moment of the first start: the next one serves. */
static void a_crash_at_any_moment_of_the_first_start(void **state) {
    (void)state;
    bool was_served = false;
    for (int ms = 0; ms < 200 && !was_served; ms++) {
        struct fixture f;
        fixture_init(&f, 1);
        struct machine *machine = &f.machines[0];
        sim_disk_set_latency(machine->host, SIM_CALL_ALL, 200 * 1000, 400 * 1000);
        machine_launch(machine);
        fixture_run_for(&f, ms);
        was_served = machine->started;
        machine_crash(machine, ms % 2 == 0);
        machine_start(machine);
        fixture_done(&f);
    }
    assert_true(was_served);
}

/* Three nodes in one process know nothing of each other. */
static void three_independent_nodes(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 3);
    struct peer peers[3];
    for (int i = 0; i < 3; i++) {
        machine_launch(&f.machines[i]);
    }
    fixture_run_for(&f, 1000);
    for (int i = 0; i < 3; i++) {
        assert_true(node_is_ready(f.machines[i].node));
        peer_open(&peers[i], &f.machines[i]);
        assert_int_equal(create_topic(&peers[i], "t", 1 + i), 0);
    }
    int64_t ends[3] = {0};
    for (int round = 0; round < 50; round++) {
        int i = (int)sim_world_random(f.world, 3);
        int records = 1 + (int)sim_world_random(f.world, 5);
        assert_int_equal(produce(&peers[i], "t", 0, records), ends[i]);
        ends[i] += records;
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(end_of(&peers[i], "t", 0), ends[i]);
        peer_close(&peers[i]);
    }

    /* One crashes, one stops; the third goes on. */
    machine_crash(&f.machines[0], true);
    machine_stop(&f.machines[1]);
    peer_open(&peers[2], &f.machines[2]);
    assert_int_equal(produce(&peers[2], "t", 0, 1), ends[2]);
    peer_close(&peers[2]);
    machine_start(&f.machines[1]);
    peer_open(&peers[1], &f.machines[1]);
    assert_int_equal(end_of(&peers[1], "t", 0), ends[1]);
    peer_close(&peers[1]);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_loses_nothing_acknowledged),
        cmocka_unit_test(a_name_used_again_before_a_crash),
        cmocka_unit_test(a_crash_at_any_moment_of_the_first_start),
        cmocka_unit_test(three_independent_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
