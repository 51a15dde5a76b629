/* The simulated world: its clock, actors, interleavings, hosts, and that a seed replays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/file.h"
#include "sys/lock.h"
#include "sys/loop.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "sys/worker.h"

/* --- loops --- */

struct note {
    struct sys_task task;
    char name;
    char *text;
};

static void add_note(struct sys_task *task) {
    struct note *note = container_of(task, struct note, task);
    size_t size = strlen(note->text);
    note->text[size] = note->name;
    note->text[size + 1] = '\0';
}

static void tasks_run_in_the_order_of_posting(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(1);
    struct sys *sys = sim_host_sys(sim_host_new(world, "a", "10.0.0.1"));
    struct sys_loop *loop;
    assert_int_equal(sys_loop_new(sys, "loop", &loop), ERR_OK);
    char text[8] = "";
    struct note notes[3] = {
        {.name = '1', .text = text}, {.name = '2', .text = text}, {.name = '3', .text = text}};
    for (int i = 0; i < 3; i++) {
        notes[i].task.run = add_note;
        sys_loop_post(loop, &notes[i].task);
    }
    sim_world_run_for(world, 10);
    assert_string_equal(text, ""); /* not started */
    assert_int_equal(sys_loop_start(loop), ERR_OK);
    sim_world_run_for(world, 10);
    assert_string_equal(text, "123");
    sys_loop_stop(loop);
    sys_loop_join(loop);
    sys_loop_free(loop);
    sim_world_free(world);
}

struct clock_timer {
    struct sys_timer timer;
    struct sys_loop *loop;
    int64_t fired_ms;
    int fire_count;
    int again_count;
};

static void clock_fires(struct sys_timer *timer) {
    struct clock_timer *clock = container_of(timer, struct clock_timer, timer);
    assert_true(sys_loop_is_current(clock->loop));
    clock->fired_ms = sys_mono_ms(sys_loop_sys(clock->loop));
    clock->fire_count++;
    if (clock->again_count > 0) {
        clock->again_count--;
        sys_timer_set(clock->loop, timer, clock->fired_ms + 100);
    }
}

static void timers_fire_at_their_time_and_not_before(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(2);
    struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
    struct sys *sys = sim_host_sys(host);
    struct sys_loop *loop;
    assert_int_equal(sys_loop_new(sys, "loop", &loop), ERR_OK);
    struct clock_timer once = {.timer.fire = clock_fires, .loop = loop};
    struct clock_timer often = {.timer.fire = clock_fires, .loop = loop, .again_count = 9};
    struct clock_timer never = {.timer.fire = clock_fires, .loop = loop};
    sys_timer_set(loop, &once.timer, 5000);
    sys_timer_set(loop, &often.timer, 100);
    sys_timer_set(loop, &never.timer, 3000);
    assert_int_equal(sys_loop_start(loop), ERR_OK);

    sim_world_run_for(world, 2000);
    assert_int_equal(often.fire_count, 10);
    assert_in_range(often.fired_ms, 1000, 1100);
    assert_int_equal(once.fire_count, 0);
    sys_timer_clear(loop, &never.timer);
    int64_t wall_ms = sys_wall_ms(sys);
    sim_host_set_wall_offset(host, -5000);
    assert_int_equal(sys_wall_ms(sys), wall_ms - 5000);
    sim_world_run_for(world, 4000);
    assert_in_range(once.fired_ms, 5000, 5010);
    assert_int_equal(never.fire_count, 0);
    assert_int_equal(sim_world_now_ms(world), 6000);
    sys_loop_stop(loop);
    sys_loop_free(loop);
    sim_world_free(world);
}

/* --- workers --- */

struct slices {
    struct sys_job job;
    int left;
    char name;
    char *text;
    bool done;
    struct sys_loop *done_on;
};

static enum sys_job_result run_slice(struct sys_job *job) {
    struct slices *slices = container_of(job, struct slices, job);
    size_t size = strlen(slices->text);
    slices->text[size] = slices->name;
    slices->text[size + 1] = '\0';
    return --slices->left > 0 ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static void slices_done(struct sys_job *job) {
    struct slices *slices = container_of(job, struct slices, job);
    assert_true(slices->done_on == NULL || sys_loop_is_current(slices->done_on));
    slices->done = true;
}

/* Two jobs of three slices on a pool of two threads and one on a pool of its own. */
static void run_jobs(uint64_t seed, char text[32]) {
    struct sim_world *world = sim_world_new(seed);
    struct sys *sys = sim_host_sys(sim_host_new(world, "a", "10.0.0.1"));
    struct sys_loop *loop;
    struct sys_pool *two;
    struct sys_pool *one;
    assert_int_equal(sys_loop_new(sys, "loop", &loop), ERR_OK);
    assert_int_equal(sys_loop_start(loop), ERR_OK);
    assert_int_equal(sys_pool_new(sys, "two", 2, &two), ERR_OK);
    assert_int_equal(sys_pool_new(sys, "one", 1, &one), ERR_OK);
    struct slices jobs[3];
    memset(jobs, 0, sizeof jobs);
    text[0] = '\0';
    for (int i = 0; i < 3; i++) {
        jobs[i].job.run = run_slice;
        jobs[i].job.done = slices_done;
        jobs[i].job.loop = i == 0 ? NULL : loop;
        jobs[i].done_on = jobs[i].job.loop;
        jobs[i].left = 3;
        jobs[i].name = (char)('a' + i);
        jobs[i].text = text;
        sys_pool_submit(i < 2 ? two : one, &jobs[i].job);
    }
    assert_int_equal(sys_pool_depth(two), 2);
    sim_world_run_for(world, 100);
    assert_int_equal(sys_pool_depth(two), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(jobs[i].done);
    }
    sys_pool_free(one);
    sys_pool_free(two);
    sys_loop_stop(loop);
    sys_loop_free(loop);
    sim_world_free(world);
}

static void seeds_interleave_slices_differently(void **state) {
    (void)state;
    char first[32];
    run_jobs(1, first);
    assert_int_equal(strlen(first), 9);
    char again[32];
    run_jobs(1, again);
    assert_string_equal(first, again);
    int different = 0;
    for (uint64_t seed = 2; seed < 22; seed++) {
        run_jobs(seed, again);
        different += strcmp(first, again) != 0;
    }
    assert_true(different > 10);
}

/* --- calls that stop in the middle --- */

struct writer {
    struct sys *sys;
    const char *path;
    int done_count;
    int count;
};

static void write_often(void *arg) {
    struct writer *writer = arg;
    struct sys_file *file;
    assert_int_equal(sys_file_open(writer->sys, writer->path, SYS_FILE_CREATE, &file), ERR_OK);
    while (writer->done_count < writer->count) {
        uint64_t position = (uint64_t)writer->done_count * 4;
        assert_int_equal(sys_file_write(file, position, "abcd", 4), ERR_OK);
        writer->done_count++;
    }
    sys_file_close(file);
}

static void a_crash_comes_between_two_calls(void **state) {
    (void)state;
    int seen[4] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct sim_world *world = sim_world_new(seed);
        struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
        struct writer writer = {.sys = sim_host_sys(host), .path = "/f", .count = 1000000};
        sim_host_spawn(host, "writer", write_often, &writer);
        sim_world_run_for(world, 5);
        sim_host_crash(host);
        assert_false(sim_host_is_up(host));
        int done_count = writer.done_count;
        assert_in_range(done_count, 50, 4000);
        sim_host_restart(host);
        sim_world_run_for(world, 5);
        assert_int_equal(writer.done_count, done_count); /* it runs no more */
        struct sys_stat stat;
        assert_int_equal(sys_path_stat(writer.sys, "/f", &stat), ERR_OK);
        assert_in_range(stat.size, 4 * done_count, 4 * done_count + 4);
        seen[stat.size % 4]++;
        sim_world_free(world);
    }
    assert_true(seen[0] > 0);
    assert_true(seen[1] + seen[2] + seen[3] > 0); /* a write was cut short */
}

static void others_run_while_one_waits_for_its_disk(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(3);
    struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
    sim_disk_set_latency(host, SIM_CALL_WRITE, 10000000, 10000000);
    struct sys *sys = sim_host_sys(host);
    struct writer writers[2] = {{.sys = sys, .path = "/slow", .count = 20},
                                {.sys = sys, .path = "/slow2", .count = 20}};
    sim_host_spawn(host, "w1", write_often, &writers[0]);
    sim_host_spawn(host, "w2", write_often, &writers[1]);
    sim_world_run_for(world, 250);
    assert_int_equal(writers[0].done_count, 20); /* 200 ms each, both at the same time */
    assert_int_equal(writers[1].done_count, 20);
    sim_world_free(world);
}

struct asker {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_task task;
    uint64_t random;
    bool crash;
    struct sim_host *host;
    bool after;
};

static void crash_from_inside(struct sys_task *task) {
    struct asker *asker = container_of(task, struct asker, task);
    sim_host_crash(asker->host);
    struct sys_stat stat;
    (void)sys_path_stat(asker->sys, "/", &stat);
    asker->after = true;
}

static void a_crash_from_inside_takes_effect_at_the_next_call(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(4);
    struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
    struct asker asker = {.sys = sim_host_sys(host), .host = host};
    assert_int_equal(sys_loop_new(asker.sys, "loop", &asker.loop), ERR_OK);
    assert_int_equal(sys_loop_start(asker.loop), ERR_OK);
    asker.task.run = crash_from_inside;
    sys_loop_post(asker.loop, &asker.task);
    sim_world_run_for(world, 10);
    assert_false(sim_host_is_up(host));
    assert_false(asker.after);
    sim_host_power_cut(host); /* and then the power, too */
    sim_host_restart(host);
    assert_true(sim_host_is_up(host));
    sim_world_free(world);
}

static void a_paused_host_stands_still(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(5);
    struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
    struct sys_loop *loop;
    assert_int_equal(sys_loop_new(sim_host_sys(host), "loop", &loop), ERR_OK);
    assert_int_equal(sys_loop_start(loop), ERR_OK);
    struct clock_timer clock = {.timer.fire = clock_fires, .loop = loop};
    sys_timer_set(loop, &clock.timer, 100);
    sim_host_pause(host, 2000);
    sim_world_run_for(world, 1999);
    assert_int_equal(clock.fire_count, 0);
    sim_world_run_for(world, 100);
    assert_int_equal(clock.fire_count, 1);
    sys_loop_stop(loop);
    sys_loop_free(loop);
    sim_world_free(world);
}

/* --- replay --- */

static uint64_t hash_of(uint64_t seed, uint64_t *ret_random) {
    struct sim_world *world = sim_world_new(seed);
    struct sim_host *hosts[3];
    struct writer writers[3];
    for (int i = 0; i < 3; i++) {
        char ip[] = "10.0.0.1";
        ip[7] = (char)('1' + i);
        hosts[i] = sim_host_new(world, ip, ip);
        writers[i] = (struct writer){.sys = sim_host_sys(hosts[i]), .path = "/f", .count = 200};
        sim_host_spawn(hosts[i], "writer", write_often, &writers[i]);
    }
    sim_world_run_for(world, 2);
    sim_host_power_cut(hosts[1]);
    sim_world_run_for(world, 100);
    sim_host_restart(hosts[1]);
    sys_random(sim_host_sys(hosts[2]), ret_random, sizeof *ret_random);
    uint64_t hash = sim_world_trace_hash(world);
    sim_world_free(world);
    return hash;
}

static void a_seed_replays_to_the_last_byte(void **state) {
    (void)state;
    uint64_t random[3];
    uint64_t hash = hash_of(7, &random[0]);
    assert_int_equal(hash, hash_of(7, &random[1]));
    assert_int_equal(random[0], random[1]);
    assert_int_not_equal(hash, hash_of(8, &random[2]));
    assert_int_not_equal(random[0], random[2]);
}

static void count_call(void *arg, const struct sim_event *event) {
    (*(int *)arg)++;
    assert_string_equal(event->path, "/f");
}

static void count_kinds(void *arg, const struct sim_event *event) {
    ((int *)arg)[event->kind]++;
}

static void events_are_seen_and_traced(void **state) {
    (void)state;
    struct sim_world *world = sim_world_new(9);
    struct sim_host *host = sim_host_new(world, "a", "10.0.0.1");
    int kinds[SIM_EVENT_NOTE + 1] = {0};
    sim_world_observe(world, count_kinds, kinds);
    char *trace = NULL;
    size_t trace_size = 0;
    FILE *file = open_memstream(&trace, &trace_size);
    sim_world_trace(world, file);
    struct sim_fault hang = {.kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE, .path = "*f"};
    int fault = sim_disk_add_fault(host, &hang);
    struct writer writer = {.sys = sim_host_sys(host), .path = "/f", .count = 5};
    sim_host_spawn(host, "writer", write_often, &writer);
    sim_world_run_for(world, 1000);
    int calls = 0;
    sim_host_each_call(host, count_call, &calls);
    assert_int_equal(calls, 1);
    assert_int_equal(writer.done_count, 0);
    sim_disk_remove_fault(host, fault);
    sim_world_run_for(world, 1000);
    assert_int_equal(writer.done_count, 5);
    assert_int_equal(kinds[SIM_EVENT_CALL], 6);
    assert_int_equal(kinds[SIM_EVENT_RETURN], 6);
    assert_int_equal(kinds[SIM_EVENT_FAULT], 1);
    sim_world_note(world, "the end");
    sim_world_trace(world, NULL);
    fclose(file);
    assert_non_null(strstr(trace, "a/writer call create /f"));
    assert_non_null(strstr(trace, "fault hang /f"));
    assert_non_null(strstr(trace, "note the end"));
    free(trace);
    sim_world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_in_the_order_of_posting),
        cmocka_unit_test(timers_fire_at_their_time_and_not_before),
        cmocka_unit_test(seeds_interleave_slices_differently),
        cmocka_unit_test(a_crash_comes_between_two_calls),
        cmocka_unit_test(others_run_while_one_waits_for_its_disk),
        cmocka_unit_test(a_crash_from_inside_takes_effect_at_the_next_call),
        cmocka_unit_test(a_paused_host_stands_still),
        cmocka_unit_test(a_seed_replays_to_the_last_byte),
        cmocka_unit_test(events_are_seen_and_traced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
