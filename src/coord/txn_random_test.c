/*
 * The transaction coordinator under requests in any order: doubled, late, of clients of every
 * transaction.version; over a log whose end may be lost, beside partitions that do not take their
 * markers at once, and producer ids that may not be had.
 *
 *   coord_txn_random_test [FIRST_SEED [COUNT]]
 *
 * What is checked with every record, marker and answer:
 *
 *   1. Each record may follow the one before it; epochs do not go back.
 *   2. A marker says what a committed Prepare says, for a partition that is in it.
 *   3. Complete follows when each of its partitions has taken its marker.
 *   4. What was answered is committed: that a partition is in the transaction, how it ended.
 *   5. Nobody waits for ever; all that is prepared is completed; a replay gives what was in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coord/txn_audit_test.h"
#include "sys/sim.h"
#include "wire/api_keys.h"

enum { CALLS_MAX = 1024, STEPS = 1500, IDS = 3, PARTITIONS = 4 };

static uint64_t first_seed = 1, seed_count = 24;

static const struct str names[IDS] = {STR("a"), STR("b"), STR("c")};

struct written {
    struct coord_markers *markers;
    size_t prepare;
};

struct random_test;

struct sent {
    struct coord_call call;
    struct random_test *test;
    struct arena arena;
    bool done;
};

struct random_test {
    struct sim_world *world;
    struct sys_loop *loop;
    struct sys_pool *pool;
    struct groups *groups;
    struct meta_image *image;
    struct config *config;
    struct rng rng;
    struct txn_audit audit; /* of the log */
    bool hold;
    bool fail_next;

    struct coord_world world_of_transactions;
    int64_t next_id;
    struct coord_id_wait *id_waits[CALLS_MAX];
    size_t id_wait_count;
    struct written written[CALLS_MAX];
    size_t written_count;

    /* What producers were told last. */
    int64_t producer_ids[IDS];
    int16_t epochs[IDS];
    struct sent *sent[CALLS_MAX];
    size_t sent_count;

    struct buffer said; /* what the state says of itself */
    size_t said_count;  /* of the log then; SIZE_MAX: not all of it was committed */
    bool heard;
    struct sys_task task;
    void (*action)(struct random_test *test);
};

/* --- the log --- */

static int64_t next_offset(void *arg) {
    return (int64_t)((struct random_test *)arg)->audit.count;
}

static void commit(struct random_test *test) {
    test->hold = false;
    test->audit.committed = test->audit.count;
    strand_committed(groups_strand(test->groups), (int64_t)test->audit.count - 1);
}

static err_t append(void *arg, void *const *records, int32_t count, bool splittable,
                    int64_t *ret_last_offset) {
    (void)splittable;
    struct random_test *test = arg;
    if (test->fail_next) {
        test->fail_next = false;
        return ERR_NOT_ENOUGH_REPLICAS;
    }
    for (int32_t i = 0; i < count; i++) {
        txn_audit_keep(&test->audit, records[i]);
    }
    *ret_last_offset = (int64_t)test->audit.count - 1;
    if (!test->hold) {
        commit(test);
    }
    return ERR_OK;
}

/* --- the world --- */

static void next_producer_id(void *arg, struct coord_id_wait *wait) {
    struct random_test *test = arg;
    assert_true(test->id_wait_count < CALLS_MAX);
    test->id_waits[test->id_wait_count++] = wait;
}

static void give_ids(struct random_test *test) {
    while (test->id_wait_count > 0) {
        struct coord_id_wait *wait = test->id_waits[--test->id_wait_count];
        if (rng_one_in(&test->rng, 5)) {
            wait->done(wait, ERR_COORDINATOR_LOAD_IN_PROGRESS, -1);
        } else {
            wait->done(wait, ERR_OK, test->next_id++);
        }
    }
}

static void write_markers(void *arg, struct coord_markers *markers) {
    struct random_test *test = arg;
    assert_true(test->written_count < CALLS_MAX);
    test->written[test->written_count++] =
        (struct written){markers, txn_audit_markers(&test->audit, markers)};
}

static void mark_some(struct random_test *test) {
    size_t count = test->written_count;
    struct written written[CALLS_MAX];
    memcpy(written, test->written, count * sizeof *written);
    test->written_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct coord_markers *markers = written[i].markers;
        for (int32_t k = 0; k < markers->partition_count; k++) {
            bool fails = rng_one_in(&test->rng, 3);
            markers->errors[k] = fails ? ERR_NOT_ENOUGH_REPLICAS : ERR_OK;
            if (!fails) {
                txn_audit_mark(&test->audit, written[i].prepare, markers->partitions[k].partition);
            }
        }
        markers->done(markers);
    }
}

/* --- answers --- */

static void check_added(const struct sent *sent) {
    const struct add_partitions_to_txn_request *request = sent->call.request;
    const struct add_partitions_to_txn_response *response = sent->call.response;
    const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *asked =
        &request->transactions[0];
    int32_t partition = asked->topics[0].partitions[0];
    if (response->results_by_transaction[0]
            .topic_results[0]
            .results_by_partition[0]
            .partition_error_code == 0) {
        assert_true(txn_audit_says(&sent->test->audit, asked->transactional_id, asked->producer_id,
                                   asked->producer_epoch, TXN_ONGOING, partition));
    }
}

static void check_ended(const struct sent *sent) {
    const struct end_txn_request *request = sent->call.request;
    const struct end_txn_response *response = sent->call.response;
    if (response->error_code != 0) {
        return;
    }
    int16_t epoch = (int16_t)(request->producer_epoch + (sent->call.version >= 5));
    int8_t prepared = request->committed ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
    int8_t complete = request->committed ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    /* Old clients are told of the end also when a new producer id came with it. */
    assert_true(txn_audit_says(&sent->test->audit, request->transactional_id, request->producer_id,
                               epoch, prepared, -1) ||
                txn_audit_says(&sent->test->audit, request->transactional_id, request->producer_id,
                               epoch, complete, -1));
}

static int index_of(struct str id) {
    return id.data[0] - 'a';
}

static void learn(struct random_test *test, struct str id, int64_t producer_id, int16_t epoch) {
    test->producer_ids[index_of(id)] = producer_id;
    test->epochs[index_of(id)] = epoch;
}

static void call_done(struct coord_call *call) {
    struct sent *sent = container_of(call, struct sent, call);
    sent->done = true;
    if (call->api_key == API_INIT_PRODUCER_ID) {
        const struct init_producer_id_request *request = call->request;
        const struct init_producer_id_response *response = call->response;
        if (response->error_code == 0) {
            assert_true(txn_audit_says(&sent->test->audit, request->transactional_id,
                                       response->producer_id, response->producer_epoch, TXN_EMPTY,
                                       -1));
            learn(sent->test, request->transactional_id, response->producer_id,
                  response->producer_epoch);
        }
    } else if (call->api_key == API_ADD_PARTITIONS_TO_TXN) {
        check_added(sent);
    } else if (call->api_key == API_END_TXN) {
        check_ended(sent);
        const struct end_txn_request *request = call->request;
        const struct end_txn_response *response = call->response;
        if (response->error_code == 0 && call->version >= 5) {
            learn(sent->test, request->transactional_id, response->producer_id,
                  response->producer_epoch);
        }
    }
}

/* --- requests --- */

static int16_t near_epoch(struct random_test *test, int index) {
    int32_t epoch = test->epochs[index];
    epoch += rng_one_in(&test->rng, 6) ? (int32_t)rng_below(&test->rng, 3) - 1 : 0;
    return (int16_t)(epoch > INT16_MAX ? INT16_MAX : epoch);
}

static int64_t near_id(struct random_test *test, int index) {
    bool another = rng_one_in(&test->rng, 20);
    return test->producer_ids[another ? (int)rng_below(&test->rng, IDS) : index];
}

static const void *make_init(struct random_test *test, struct arena *arena, int index) {
    struct init_producer_id_request *request = ARENA_NEW(arena, struct init_producer_id_request);
    wire_init(&init_producer_id_request_type, request);
    request->transactional_id = names[index];
    request->transaction_timeout_ms = 1 + (int32_t)rng_below(&test->rng, 5000);
    if (rng_one_in(&test->rng, 2)) {
        request->producer_id = near_id(test, index);
        request->producer_epoch = near_epoch(test, index);
    }
    return request;
}

static const void *make_add(struct random_test *test, struct arena *arena, int index) {
    struct add_partitions_to_txn_request *request =
        ARENA_NEW(arena, struct add_partitions_to_txn_request);
    request->transactions_count = 1;
    request->transactions = arena_alloc_zero(arena, sizeof *request->transactions);
    request->transactions[0].transactional_id = names[index];
    request->transactions[0].producer_id = near_id(test, index);
    request->transactions[0].producer_epoch = near_epoch(test, index);
    request->transactions[0].topics_count = 1;
    request->transactions[0].topics =
        arena_alloc_zero(arena, sizeof *request->transactions[0].topics);
    request->transactions[0].topics[0].name = STR("t");
    request->transactions[0].topics[0].partitions_count = 1;
    request->transactions[0].topics[0].partitions = ARENA_NEW(arena, int32_t);
    request->transactions[0].topics[0].partitions[0] = (int32_t)rng_below(&test->rng, PARTITIONS);
    return request;
}

static const void *make_end(struct random_test *test, struct arena *arena, int index) {
    struct end_txn_request *request = ARENA_NEW(arena, struct end_txn_request);
    request->transactional_id = names[index];
    request->producer_id = near_id(test, index);
    request->producer_epoch = near_epoch(test, index);
    request->committed = rng_one_in(&test->rng, 2);
    return request;
}

static const void *make_list(struct random_test *test, struct arena *arena) {
    struct list_transactions_request *request = ARENA_NEW(arena, struct list_transactions_request);
    wire_init(&list_transactions_request_type, request);
    request->transactional_id_pattern = rng_one_in(&test->rng, 2) ? STR("[ab]") : STR_NULL;
    return request;
}

static void send_any(struct random_test *test) {
    struct sent *sent = calloc(1, sizeof *sent);
    int index = (int)rng_below(&test->rng, IDS);
    bool new_client = rng_one_in(&test->rng, 2);
    sent->test = test;
    arena_init(&sent->arena, SIZE_MAX);
    sent->call = (struct coord_call){.client_id = STR(""),
                                     .client_host = STR(""),
                                     .arena = &sent->arena,
                                     .loop = test->loop,
                                     .done = call_done};
    switch (rng_below(&test->rng, 9)) {
    case 0:
        sent->call.api_key = API_INIT_PRODUCER_ID;
        sent->call.version = 5;
        sent->call.request = make_init(test, &sent->arena, index);
        break;
    case 1:
        sent->call.api_key = API_LIST_TRANSACTIONS;
        sent->call.version = 2;
        sent->call.request = make_list(test, &sent->arena);
        break;
    case 2:
    case 3:
    case 4:
        sent->call.api_key = API_END_TXN;
        sent->call.version = new_client ? 5 : 4;
        sent->call.request = make_end(test, &sent->arena, index);
        break;
    default:
        sent->call.api_key = API_ADD_PARTITIONS_TO_TXN;
        sent->call.version = new_client ? 5 : 3;
        sent->call.request = make_add(test, &sent->arena, index);
    }
    assert_true(test->sent_count < CALLS_MAX);
    test->sent[test->sent_count++] = sent;
    groups_call(test->groups, &sent->call, txn_api_find(sent->call.api_key));
}

static void cancel_any(struct random_test *test) {
    if (test->sent_count > 0) {
        coord_cancel(&test->sent[rng_below(&test->rng, test->sent_count)]->call);
    }
}

static size_t forget_answered(struct random_test *test) {
    size_t kept = 0;
    for (size_t i = 0; i < test->sent_count; i++) {
        struct sent *sent = test->sent[i];
        if (!sent->done || sent->call.cancelling) {
            test->sent[kept++] = sent;
            continue;
        }
        arena_done(&sent->arena);
        free(sent);
    }
    test->sent_count = kept;
    return kept;
}

/* --- leadership --- */

static void lose(struct random_test *test) {
    groups_unload(test->groups, ERR_NOT_COORDINATOR);
    txn_audit_truncate(&test->audit);
    test->hold = false;
}

static void lead(struct random_test *test) {
    groups_unload(test->groups, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    txn_audit_replay(&test->audit, test->groups);
    groups_activate(test->groups);
}

static bool action_was_run(void *arg) {
    return ((struct random_test *)arg)->action == NULL;
}

static void run_action(struct sys_task *task) {
    struct random_test *test = container_of(task, struct random_test, task);
    void (*action)(struct random_test * test) = test->action;
    test->action = NULL;
    action(test);
}

static void act(struct random_test *test, void (*action)(struct random_test *test)) {
    test->action = action;
    test->task = (struct sys_task){.run = run_action};
    sys_loop_post(test->loop, &test->task);
    assert_true(sim_world_run_until(test->world, action_was_run, test, 10000));
    sim_world_run_for(test->world, 1);
}

/* What the state says of itself, in the order of names; nothing of it is written. */
static err_t listen(struct group_step *step, void *context) {
    struct random_test *test = context;
    buffer_clear(&test->said);
    for (int i = 0; i < IDS; i++) {
        int64_t keep_offset = INT64_MAX;
        assert_true(coord_transactions_kind.say_anew(step, names[i], &keep_offset));
    }
    for (int32_t i = 0; i < step->output->record_count; i++) {
        assert_int_equal(coord_record_encode(&coord_transactions_kind, step->output->records[i],
                                             &test->said, &test->said),
                         ERR_OK);
    }
    step->output->record_count = 0;
    test->said_count = test->audit.committed == test->audit.count ? test->audit.count : SIZE_MAX;
    test->heard = true;
    return ERR_OK;
}

static void begin_listening(struct random_test *test) {
    test->heard = false;
    groups_run(test->groups, listen, NULL, test);
}

static bool was_heard(void *arg) {
    return ((struct random_test *)arg)->heard;
}

static void hear(struct random_test *test) {
    act(test, begin_listening);
    assert_true(sim_world_run_until(test->world, was_heard, test, 1000));
}

static void change_leader(struct random_test *test) {
    hear(test);
    size_t size, count = test->said_count;
    uint8_t *before = buffer_steal(&test->said, &size);
    act(test, lose);
    act(test, lead);
    hear(test);
    if (test->said_count == count && count != SIZE_MAX) { /* nothing came in between */
        assert_int_equal(test->said.size, size);
        assert_true(size == 0 || memcmp(test->said.data, before, size) == 0);
    }
    free(before);
}

/* --- life --- */

static struct meta_image *make_image(struct meta_image *empty, int16_t version) {
    struct meta_delta *delta = meta_delta_new(empty);
    struct feature_level_record feature = {.name = STR("transaction.version"),
                                           .feature_level = version};
    struct meta_record record = {.type = META_RECORD_FEATURE_LEVEL, .message = &feature};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
    struct topic_record topic = {.name = STR("t"), .topic_id = {{1}}};
    record = (struct meta_record){.type = META_RECORD_TOPIC, .message = &topic};
    assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int32_t replica = 1;
        struct uuid directory = UUID_ZERO;
        struct partition_record partition;
        wire_init(&partition_record_type, &partition);
        partition.partition_id = p;
        partition.topic_id = topic.topic_id;
        partition.replicas = partition.isr = &replica;
        partition.replicas_count = partition.isr_count = 1;
        partition.directories = &directory;
        partition.directories_count = 1;
        partition.leader = 1;
        record = (struct meta_record){
            .type = META_RECORD_PARTITION, .version = 1, .message = &partition};
        assert_int_equal(meta_delta_apply(delta, &record), ERR_OK);
    }
    struct meta_provenance provenance = {.offset = 1, .epoch = 1};
    return meta_delta_finish(delta, &provenance, NULL);
}

/* One whose epochs are nearly spent. */
static void keep_old_producer(struct random_test *test) {
    struct transaction_log_key key = {.transactional_id = names[1]};
    struct transaction_log_value value;
    wire_init(&transaction_log_value_type, &value);
    value.producer_id = 7;
    value.transaction_timeout_ms = 1000;
    value.transaction_partitions_count = -1;
    value.transaction_start_timestamp_ms = -1;
    value.transaction_last_update_timestamp_ms = SIM_START_WALL_MS;
    struct coord_record record = {
        .type = TXN_RECORD, .value_version = 0, .key = &key, .value = &value};
    txn_audit_keep(&test->audit, &record);
    value.producer_epoch = INT16_MAX - 6;
    txn_audit_keep(&test->audit, &record);
    test->audit.committed = test->audit.count;
    learn(test, names[1], 7, value.producer_epoch);
}

static void test_begin(struct random_test *test, uint64_t seed) {
    *test = (struct random_test){.world = sim_world_new(seed), .next_id = 1000};
    struct sim_host *host = sim_host_new(test->world, "node", "10.0.0.1");
    rng_init(&test->rng, seed);
    assert_int_equal(sys_loop_new(sim_host_sys(host), "shard", &test->loop), ERR_OK);
    assert_int_equal(sys_pool_new(sim_host_sys(host), "jobs", 1, &test->pool), ERR_OK);
    assert_int_equal(sys_loop_start(test->loop), ERR_OK);
    const struct config_pair settings[] = {
        {STR("process.roles"), STR("broker,controller")},
        {STR("node.id"), STR("1")},
        {STR("listeners"), STR("PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093")},
        {STR("controller.listener.names"), STR("CONTROLLER")},
        {STR("controller.quorum.voters"), STR("1@127.0.0.1:9093")},
        {STR("transaction.abort.timed.out.transaction.cleanup.interval.ms"), STR("500")},
        {STR("transaction.remove.expired.transaction.cleanup.interval.ms"), STR("700")},
        {STR("transactional.id.expiration.ms"), STR("1500")},
    };
    struct config_report report;
    config_report_init(&report);
    assert_int_equal(
        config_new(settings, sizeof settings / sizeof settings[0], &report, &test->config), ERR_OK);
    config_report_done(&report);
    struct meta_image *empty = meta_image_new();
    test->image = make_image(empty, (int16_t)(seed % 3));
    meta_image_unref(empty);
    test->world_of_transactions = (struct coord_world){
        .arg = test, .write_markers = write_markers, .next_producer_id = next_producer_id};
    struct groups_options options = {
        .kind = &coord_transactions_kind,
        .world = &test->world_of_transactions,
        .loop = test->loop,
        .pool = test->pool,
        .log = {.arg = test, .next_offset = next_offset, .append = append},
        .mailbox_max = 1000,
        .image = test->image,
        .config = test->config,
    };
    static struct text_log quiet = {.level = TEXT_LOG_ERROR};
    options.text_log = &quiet;
    test->groups = groups_new(&options, ERR_NOT_COORDINATOR);
    keep_old_producer(test);
}

static void let_all_end(struct random_test *test) {
    act(test, commit);
    for (int i = 0; i < 100; i++) {
        sim_world_run_for(test->world, 200);
        act(test, give_ids);
        act(test, mark_some);
    }
}

static void test_end(struct random_test *test) {
    let_all_end(test);
    txn_audit_is_at_rest(&test->audit);
    act(test, lose);
    act(test, give_ids);
    act(test, mark_some);
    sim_world_run_for(test->world, 1000);
    assert_int_equal(forget_answered(test), 0); /* everybody was answered */
    assert_int_equal(groups_pending(test->groups), 0);
    groups_free(test->groups);
    meta_image_unref(test->image);
    config_unref(test->config);
    sys_pool_free(test->pool);
    sys_loop_stop(test->loop);
    sim_world_run_for(test->world, 1);
    sys_loop_free(test->loop);
    sim_world_free(test->world);
    txn_audit_done(&test->audit);
    buffer_done(&test->said);
}

static void transactions_at_random(void **state) {
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct random_test test;
        test_begin(&test, seed);
        act(&test, lead);
        for (int i = 0; i < STEPS; i++) {
            test.fail_next = rng_one_in(&test.rng, 30);
            test.hold = test.hold || rng_one_in(&test.rng, 40);
            act(&test, send_any);
            if (rng_one_in(&test.rng, 20)) {
                act(&test, cancel_any);
            }
            if (rng_one_in(&test.rng, 3)) {
                act(&test, mark_some);
            }
            if (rng_one_in(&test.rng, 3)) {
                act(&test, give_ids);
            }
            if (test.hold && rng_one_in(&test.rng, 5)) {
                act(&test, commit);
            }
            if (rng_one_in(&test.rng, 15)) {
                sim_world_run_for(test.world, (int64_t)rng_below(&test.rng, 1500));
            }
            test.fail_next = false;
            if (rng_one_in(&test.rng, 80)) {
                change_leader(&test);
            }
            (void)forget_answered(&test);
        }
        test_end(&test);
    }
}

int main(int argc, char **argv) {
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : first_seed;
    seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : seed_count;
    const struct CMUnitTest tests[] = {cmocka_unit_test(transactions_at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
