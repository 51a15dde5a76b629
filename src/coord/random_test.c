/*
 * A shard under requests and records that nobody would send: every API with values at random, over
 * a few groups, members and topics so that they meet; appends that fail, clients that go away, time
 * that passes, leadership that comes and goes; and logs full of records at random.
 *
 *   coord_random_test [FIRST_SEED [COUNT]]
 *
 * Nothing may break (run it with the sanitizers), nobody may wait for ever, and after each change
 * of leadership what the groups say of themselves has to be what they said before: a replay gives
 * the state that was in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coord/groups_int.h"
#include "coord/offsets_int.h"
#include "coord/random_requests.h"
#include "sys/sim.h"
#include "wire/random.h"

enum { CALLS_MAX = 4096, STEPS = 1500 };

static uint64_t first_seed = 1, seed_count = 12;

struct kept {
    struct buffer key;
    struct buffer value;
    bool tombstone;
    int64_t producer_id; /* of a transaction; -1: none */
    int16_t end_type;    /* of one; 0: an ordinary record */
};

struct shard_test {
    struct sim_world *world;
    struct sys_loop *loop;
    struct sys_pool *pool;
    struct groups *groups;
    struct meta_image *image;
    struct config *config;
    struct rng rng;
    struct kept *log;
    size_t log_count;
    bool fail_next;
    int64_t steps;
    struct random_client client;
    struct random_request *sent[CALLS_MAX];
    size_t sent_count;
    struct buffer said; /* what the groups say of themselves */
    size_t said_count;  /* of the log when they said it */
    bool listening;
    struct sys_task task;
    void (*action)(struct shard_test *test);
};

/* --- the log --- */

static int64_t next_offset(void *arg) {
    return (int64_t)((struct shard_test *)arg)->log_count;
}

static void keep(struct shard_test *test, const struct coord_record *record) {
    test->log = realloc(test->log, (test->log_count + 1) * sizeof *test->log);
    struct kept *kept = &test->log[test->log_count++];
    *kept = (struct kept){.tombstone = record->value == NULL, .producer_id = record->producer_id};
    if (record->type == GROUP_RECORD_TRANSACTION_COMMIT ||
        record->type == GROUP_RECORD_TRANSACTION_ABORT) {
        kept->end_type = record->type;
        return;
    }
    assert_int_equal(coord_record_encode(&coord_groups_kind, record, &kept->key, &kept->value),
                     ERR_OK);
}

static err_t append(void *arg, void *const *records, int32_t count, bool splittable,
                    int64_t *ret_last_offset) {
    (void)splittable;
    struct shard_test *test = arg;
    if (test->fail_next) {
        test->fail_next = false;
        return ERR_NOT_ENOUGH_REPLICAS;
    }
    for (int32_t i = 0; i < count; i++) {
        keep(test, records[i]);
    }
    *ret_last_offset = (int64_t)test->log_count - 1;
    strand_committed(groups_strand(test->groups), *ret_last_offset);
    return ERR_OK;
}

static void replay(struct shard_test *test) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < test->log_count; i++) {
        struct coord_record record = {.type = test->log[i].end_type};
        struct bytes value = buffer_bytes(&test->log[i].value);
        err_t err =
            record.type != 0
                ? ERR_OK
                : coord_record_decode(&coord_groups_kind, buffer_bytes(&test->log[i].key),
                                      test->log[i].tombstone ? (struct bytes){NULL, 0} : value,
                                      &arena, &record);
        assert_int_equal(err, ERR_OK);
        record.producer_id = test->log[i].producer_id;
        groups_replay(test->groups, (void *[]){&record}, 1, (int64_t)i);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* --- what groups say --- */

static int compare_lines(const void *a, const void *b) {
    const struct buffer *left = a, *right = b;
    size_t size = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->data, right->data, size);
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

/* A classic group that began on top of simple commits: the log may have no word of it yet. */
static bool says_nothing(const struct coord_record *record) {
    const struct group_metadata_value *value = record->value;
    return record->type == GROUP_RECORD_GROUP_METADATA && value->generation == 0 &&
           value->members_count == 0;
}

/* All records that would be written anew, as sorted bytes; none is written. */
static err_t listen(struct group_step *step, void *context) {
    struct shard_test *test = context;
    const struct group *group;
    size_t cursor;
    int64_t keep_offset = INT64_MAX;
    map_for_each (&step->groups->by_id, cursor, group) {
        assert_true(group->ops == NULL || group->ops->add_state(step, group));
        offsets_add_state(step, group, &keep_offset);
    }
    int32_t count = 0;
    struct buffer *lines = calloc((size_t)step->output->record_count + 1, sizeof *lines);
    for (int32_t i = 0; i < step->output->record_count; i++) {
        const struct coord_record *record = step->output->records[i];
        if (!says_nothing(record)) {
            assert_int_equal(
                coord_record_encode(&coord_groups_kind, record, &lines[count], &lines[count]),
                ERR_OK);
            count++;
        }
    }
    qsort(lines, (size_t)count, sizeof *lines, compare_lines);
    buffer_clear(&test->said);
    for (int32_t i = 0; i < count; i++) {
        buffer_add(&test->said, lines[i].data, lines[i].size);
        buffer_done(&lines[i]);
    }
    free(lines);
    buffer_add(&test->said, &keep_offset, sizeof keep_offset); /* where the oldest pending one is */
    step->output->record_count = 0;
    test->said_count = test->log_count;
    test->listening = false;
    return ERR_OK;
}

static void begin_listening(struct shard_test *test) {
    test->listening = true;
    groups_run(test->groups, listen, NULL, test);
}

static bool listened(void *arg) {
    return !((struct shard_test *)arg)->listening;
}

/* --- on the loop --- */

static void run_action(struct sys_task *task) {
    struct shard_test *test = container_of(task, struct shard_test, task);
    void (*action)(struct shard_test *) = test->action;
    test->action = NULL;
    action(test);
}

static bool action_was_run(void *arg) {
    return ((struct shard_test *)arg)->action == NULL;
}

static void act(struct shard_test *test, void (*action)(struct shard_test *test)) {
    test->action = action;
    test->task = (struct sys_task){.run = run_action};
    sys_loop_post(test->loop, &test->task);
    assert_true(sim_world_run_until(test->world, action_was_run, test, 10000));
    sim_world_run_for(test->world, 1);
}

static void count_step(void *arg) {
    ((struct shard_test *)arg)->steps++;
}

/* Nobody keeps the shard busy by being there. */
static void pass_time(struct shard_test *test, int64_t ms) {
    int64_t steps_before = test->steps;
    sim_world_run_for(test->world, ms);
    assert_true(test->steps - steps_before < 200 + ms / 10);
}

static void lose(struct shard_test *test) {
    groups_unload(test->groups, ERR_NOT_COORDINATOR);
}

static void lead(struct shard_test *test) {
    groups_unload(test->groups, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    replay(test);
    groups_activate(test->groups);
}

/* --- requests --- */

static void send_any(struct shard_test *test) {
    struct random_request *sent = random_request_new(&test->client);
    sent->call.loop = test->loop;
    assert_true(test->sent_count < CALLS_MAX);
    test->sent[test->sent_count++] = sent;
    groups_call(test->groups, &sent->call, coord_api_find(sent->call.api_key));
}

static void cancel_any(struct shard_test *test) {
    if (test->sent_count > 0) {
        coord_cancel(&test->sent[rng_below(&test->rng, test->sent_count)]->call);
    }
}

static size_t forget_answered(struct shard_test *test) {
    size_t kept = 0;
    for (size_t i = 0; i < test->sent_count; i++) {
        struct random_request *sent = test->sent[i];
        if (!sent->done || sent->call.cancelling) {
            test->sent[kept++] = sent;
            continue;
        }
        random_request_free(sent);
    }
    test->sent_count = kept;
    return kept;
}

/* --- the world --- */

static void add_topics(struct shard_test *test) {
    struct meta_delta *delta = meta_delta_new(test->image);
    for (int t = 0; t < RANDOM_TOPICS; t++) {
        struct uuid id = {{(uint8_t)(t + 1)}};
        char name[3] = {'t', (char)('0' + t), '\0'};
        struct topic_record topic = {.name = str_from_c(name), .topic_id = id};
        struct meta_record record = {.type = META_RECORD_TOPIC, .message = &topic};
        assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
        for (int32_t p = 0; p < 3 + t; p++) {
            int32_t replica = 1;
            struct uuid directory = UUID_ZERO;
            struct partition_record partition;
            wire_init(&partition_record_type, &partition);
            partition.partition_id = p;
            partition.topic_id = id;
            partition.replicas = partition.isr = &replica;
            partition.replicas_count = partition.isr_count = 1;
            partition.directories = &directory;
            partition.directories_count = 1;
            partition.leader = 1;
            record = (struct meta_record){
                .type = META_RECORD_PARTITION, .version = 1, .message = &partition};
            assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
        }
    }
    struct meta_provenance provenance = {.offset = 1, .epoch = 1};
    struct meta_image *image = meta_delta_finish(delta, &provenance, NULL);
    meta_image_unref(test->image);
    test->image = image;
}

static void test_begin(struct shard_test *test, uint64_t seed) {
    *test = (struct shard_test){.world = sim_world_new(seed)};
    struct sim_host *host = sim_host_new(test->world, "node", "10.0.0.1");
    rng_init(&test->rng, seed);
    test->client.rng = &test->rng;
    assert_int_equal(sys_loop_new(sim_host_sys(host), "shard", &test->loop), ERR_OK);
    assert_int_equal(sys_pool_new(sim_host_sys(host), "jobs", 1, &test->pool), ERR_OK);
    assert_int_equal(sys_loop_start(test->loop), ERR_OK);
    const struct config_pair settings[] = {
        {STR("process.roles"), STR("broker,controller")},
        {STR("node.id"), STR("1")},
        {STR("listeners"), STR("PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093")},
        {STR("controller.listener.names"), STR("CONTROLLER")},
        {STR("controller.quorum.voters"), STR("1@127.0.0.1:9093")},
        {STR("group.initial.rebalance.delay.ms"), STR("500")},
        {STR("offsets.retention.minutes"), STR("1")},
        {STR("offsets.retention.check.interval.ms"), STR("20000")},
    };
    struct config_report report;
    config_report_init(&report);
    assert_int_equal(
        config_new(settings, sizeof settings / sizeof settings[0], &report, &test->config), ERR_OK);
    config_report_done(&report);
    test->image = meta_image_new();
    add_topics(test);
    struct groups_options options = {
        .kind = &coord_groups_kind,
        .loop = test->loop,
        .pool = test->pool,
        .log = {.arg = test, .next_offset = next_offset, .append = append},
        .mailbox_max = 1000,
        .image = test->image,
        .config = test->config,
        .stepped = count_step,
        .stepped_arg = test,
    };
    test->groups = groups_new(&options, ERR_NOT_COORDINATOR);
}

static void test_end(struct shard_test *test) {
    act(test, lose);
    sim_world_run_for(test->world, 1000);
    assert_int_equal(forget_answered(test), 0); /* everybody was answered */
    groups_free(test->groups);
    meta_image_unref(test->image);
    config_unref(test->config);
    sys_pool_free(test->pool);
    sys_loop_stop(test->loop);
    sim_world_run_for(test->world, 1);
    sys_loop_free(test->loop);
    sim_world_free(test->world);
    for (size_t i = 0; i < test->log_count; i++) {
        buffer_done(&test->log[i].key);
        buffer_done(&test->log[i].value);
    }
    free(test->log);
    random_client_done(&test->client);
    buffer_done(&test->said);
}

static void hear(struct shard_test *test) {
    act(test, begin_listening);
    assert_true(sim_world_run_until(test->world, listened, test, 1000));
}

static void change_leader(struct shard_test *test) {
    hear(test);
    size_t size, count = test->said_count;
    uint8_t *before = buffer_steal(&test->said, &size);
    act(test, lose);
    act(test, lead);
    hear(test);
    if (test->said_count == count) { /* no timer came in between */
        assert_int_equal(test->said.size, size);
        assert_true(size == 0 || memcmp(test->said.data, before, size) == 0);
    }
    free(before);
}

static void requests_at_random(void **state) {
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct shard_test test;
        test_begin(&test, seed);
        act(&test, lead);
        for (int i = 0; i < STEPS; i++) {
            test.fail_next = rng_one_in(&test.rng, 40);
            act(&test, send_any);
            if (rng_one_in(&test.rng, 30)) {
                act(&test, cancel_any);
            }
            if (rng_one_in(&test.rng, 10)) {
                pass_time(&test, (int64_t)rng_below(&test.rng, 9000));
            }
            test.fail_next = false;
            if (rng_one_in(&test.rng, 100)) {
                change_leader(&test);
            }
            (void)forget_answered(&test);
        }
        test_end(&test);
    }
}

static void keep_any_end(struct shard_test *test) {
    struct coord_record record = {
        .type = rng_one_in(&test->rng, 2) ? GROUP_RECORD_TRANSACTION_COMMIT
                                          : GROUP_RECORD_TRANSACTION_ABORT,
        .value_version = -1,
        .producer_id = (int64_t)rng_below(&test->rng, 3),
    };
    keep(test, &record);
}

/* A record at random, of a group that others are of, too. */
static void keep_any_record(struct shard_test *test) {
    static const int16_t types[] = {0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 16};
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    int16_t type = types[rng_below(&test->rng, sizeof types / sizeof types[0])];
    const struct coord_record_kind *kind = coord_record_kind(type);
    struct coord_record record = {.type = type, .value_version = -1, .producer_id = -1};
    if (rng_one_in(&test->rng, 4)) {
        record.producer_id = (int64_t)rng_below(&test->rng, 3);
    }
    void *key = arena_alloc(&arena, wire_struct_size(kind->key_type));
    void *value = arena_alloc(&arena, wire_struct_size(kind->value_type));
    wire_random(kind->key_type, 0, &test->rng, &arena, key);
    *(struct str *)key = random_group(&test->client); /* the first field of every key */
    if (kind->key_type == &consumer_group_member_metadata_key_type ||
        kind->key_type == &consumer_group_current_member_assignment_key_type ||
        kind->key_type == &consumer_group_target_assignment_member_key_type) {
        ((struct str *)key)[1] = rng_one_in(&test->rng, 2) ? STR("a") : STR("b");
    }
    record.key = key;
    if (!rng_one_in(&test->rng, 4)) {
        int16_t max = wire_version_max(kind->value_type);
        record.value_version = (int16_t)rng_below(&test->rng, (uint64_t)max + 1);
        wire_random(kind->value_type, record.value_version, &test->rng, &arena, value);
        record.value = value;
    }
    keep(test, &record);
    arena_done(&arena);
}

static void records_at_random(void **state) {
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct shard_test test;
        test_begin(&test, seed);
        for (int i = 0; i < 300; i++) {
            keep_any_record(&test);
            if (rng_one_in(&test.rng, 10)) {
                keep_any_end(&test);
            }
        }
        act(&test, lead);
        for (int i = 0; i < 200; i++) {
            act(&test, send_any);
            if (rng_one_in(&test.rng, 10)) {
                pass_time(&test, (int64_t)rng_below(&test.rng, 9000));
            }
            (void)forget_answered(&test);
        }
        pass_time(&test, 120 * 1000);
        test_end(&test);
    }
}

int main(int argc, char **argv) {
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : first_seed;
    seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : seed_count;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_at_random),
        cmocka_unit_test(records_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
