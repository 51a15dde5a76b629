/*
 * Transactions of a producer, and a coordinator that does as each test tells it, in a simulated
 * world: answers and requests get lost, it moves, fences, refuses.
 */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "client/fake_transactions_test_int.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"

enum {
    PARTITIONS = FAKE_TRANSACTIONS_PARTITIONS,
    NUMBERS_MAX = FAKE_TRANSACTIONS_VALUES_MAX,
    WAIT_MS = 200 * 1000,
};

static struct fake_cluster *cluster;
static struct fake_transactions fake;
static struct ottla_client *client;
static struct ottla_producer *producer;

/* --- a test's begin and end --- */

static int told[NUMBERS_MAX], told_codes[NUMBERS_MAX];

#define begin_with(version_2, ...)                                                                 \
    do {                                                                                           \
        make_cluster(version_2);                                                                   \
        client = fake_cluster_client(cluster, "transactional.id", "mover", "request.timeout.ms",   \
                                     "1000", "linger.ms", "5", ##__VA_ARGS__, NULL);               \
        assert_int_equal(ottla_producer_new(client, &producer, NULL), OTTLA_OK);                   \
    } while (0)

static void make_cluster(bool version_2) {
    cluster = fake_cluster_new(5, 3);
    fake_transactions_init(&fake, cluster, version_2);
    memset(told, 0, sizeof told);
}

static void end(void) {
    ottla_producer_free(producer);
    fake_cluster_free(cluster);
    fake_transactions_done(&fake);
}

static void add_fault(int16_t api_key, enum fake_fault kind, int count, err_t err) {
    fake_transactions_fault(&fake, api_key, kind, count, err);
}

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    size_t number = (size_t)arg;
    told[number]++;
    told_codes[number] = delivery->code;
}

static int try_produce(int32_t partition, uint64_t number) {
    uint8_t value[8];
    put_be64(value, number);
    struct ottla_record record = {
        .topic = "orders", .partition = partition, .value = {value, sizeof value}};
    return ottla_produce(producer, &record, delivered, (void *)number, NULL);
}

static void produce(int32_t partition, uint64_t number) {
    assert_int_equal(try_produce(partition, number), OTTLA_OK);
}

static void check(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fail_msg("%s: %s", ottla_code_name(code), error->text);
    }
}

static void init(void) {
    struct ottla_error error = {0};
    check(ottla_transactions_init(producer, WAIT_MS, &error), &error);
}

static void begin(void) {
    struct ottla_error error = {0};
    check(ottla_transaction_begin(producer, &error), &error);
}

static void commit(void) {
    struct ottla_error error = {0};
    check(ottla_transaction_commit(producer, WAIT_MS, &error), &error);
}

static void abort_it(void) {
    struct ottla_error error = {0};
    check(ottla_transaction_abort(producer, WAIT_MS, &error), &error);
}

static const struct ottla_membership member = {
    .group_id = "readers", .member_id = "m", .generation = 4};

static int send_offset(int64_t offset, int64_t timeout_ms, struct ottla_error *ret_error) {
    struct ottla_position position = {.topic = "from", .partition = 1, .offset = offset};
    return ottla_transaction_send_offsets(producer, &position, 1, &member, timeout_ms, ret_error);
}

static void check_state(enum ottla_transaction_state state) {
    assert_int_equal(ottla_transaction_state(producer), state);
}

static void check_committed(int partition, uint64_t first, size_t count) {
    assert_int_equal(fake.committed_count[partition], count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fake.committed[partition][i], first + i);
    }
}

static bool version_2_of(void **state) {
    return *state != NULL;
}

/* --- what should be --- */

static void commits_and_aborts(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error;
    init();
    for (uint64_t t = 0; t < 10; t++) {
        begin();
        for (uint64_t i = 0; i < 5; i++) {
            produce((int32_t)(i % 2), t * 100 + i);
        }
        check(send_offset((int64_t)t, WAIT_MS, &error), &error);
        t % 2 == 0 ? commit() : abort_it();
        check_state(OTTLA_TRANSACTION_READY);
    }
    assert_int_equal(fake.commits, 5);
    assert_int_equal(fake.aborts, 5);
    assert_int_equal(fake.offset, 8);
    assert_int_equal(fake.committed_count[0], 15);
    assert_int_equal(fake.committed_count[1], 10);
    assert_int_equal(fake.strays, 0);
    assert_int_equal(fake.calls[API_INIT_PRODUCER_ID], 1);
    assert_int_equal(fake.calls[API_ADD_PARTITIONS_TO_TXN] > 0, !fake.implicit);
    end();
}

static void a_commit_does_not_linger(void **state) {
    begin_with(version_2_of(state), "linger.ms", "60000");
    init();
    int64_t begun_ms = sim_world_now_ms(cluster->world);
    begin();
    produce(0, 1);
    commit();
    assert_in_range(sim_world_now_ms(cluster->world) - begun_ms, 0, 1000);
    check_committed(0, 1, 1);
    end();
}

/* A transaction of which the cluster has not heard ends without asking it. */
static void nothing_is_asked_for_nothing(void **state) {
    begin_with(version_2_of(state));
    init();
    begin();
    commit();
    begin();
    abort_it();
    assert_int_equal(fake.calls[API_END_TXN], 0);
    end();
}

/* --- in the wrong place --- */

static void what_is_called_in_the_wrong_place_is_told(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error = {0};
    assert_int_equal(ottla_transaction_begin(producer, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "ottla_transactions_init comes first"));
    assert_int_equal(try_produce(0, 1), OTTLA_INVALID);
    init();
    assert_int_equal(ottla_transactions_init(producer, WAIT_MS, &error), OTTLA_INVALID);
    assert_int_equal(try_produce(0, 1), OTTLA_INVALID);
    assert_int_equal(ottla_transaction_commit(producer, WAIT_MS, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "no transaction is open"));
    assert_int_equal(ottla_transaction_abort(producer, WAIT_MS, &error), OTTLA_INVALID);
    assert_int_equal(send_offset(1, WAIT_MS, &error), OTTLA_INVALID);
    begin();
    assert_int_equal(ottla_transaction_begin(producer, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "a transaction is open"));
    assert_int_equal(send_offset(-1, WAIT_MS, &error), OTTLA_INVALID);
    assert_int_equal(ottla_transaction_send_offsets(producer, NULL, 0, NULL, 0, &error),
                     OTTLA_INVALID);
    assert_int_equal(ottla_transaction_send_offsets(producer, NULL, 0, &member, WAIT_MS, &error),
                     OTTLA_OK);
    assert_int_equal(ottla_transaction_commit_async(producer, NULL, NULL, &error), OTTLA_OK);
    assert_int_equal(ottla_transaction_abort(producer, WAIT_MS, &error), OTTLA_BUSY);
    assert_int_equal(try_produce(0, 1), OTTLA_INVALID);
    fake_cluster_run(cluster, 100);
    check_state(OTTLA_TRANSACTION_READY);
    end();
}

static void without_an_id_there_are_none(void **state) {
    (void)state;
    struct ottla_error error;
    begin_with(false, "transactional.id", NULL);
    assert_int_equal(ottla_transactions_init(producer, WAIT_MS, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "transactional.id"));
    end();
}

/* --- lost and moved --- */

static const int16_t apis[] = {API_INIT_PRODUCER_ID,   API_ADD_PARTITIONS_TO_TXN, API_PRODUCE,
                               API_ADD_OFFSETS_TO_TXN, API_TXN_OFFSET_COMMIT,     API_END_TXN};
enum { APIS = sizeof apis / sizeof apis[0] };

static void run_one_transaction(uint64_t number, int64_t offset) {
    struct ottla_error error = {0};
    begin();
    produce(0, number);
    produce(1, number);
    check(send_offset(offset, WAIT_MS, &error), &error);
    commit();
}

static void lost_requests_and_answers_do_no_harm(void **state) {
    for (int i = 0; i < APIS * 3; i++) {
        begin_with(version_2_of(state));
        add_fault(apis[i / 3], (enum fake_fault)(i % 3), 2, ERR_OK); /* REFUSE has its own tests */
        init();
        run_one_transaction(0, 5);
        run_one_transaction(1, 6);
        check_committed(0, 0, 2);
        check_committed(1, 0, 2);
        assert_int_equal(fake.commits, 2);
        assert_int_equal(fake.aborts, 0);
        assert_int_equal(fake.offset, 6);
        end();
    }
}

static void errors_that_pass_are_waited_for(void **state) {
    static const err_t errors[] = {ERR_CONCURRENT_TRANSACTIONS, ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                   ERR_COORDINATOR_NOT_AVAILABLE, ERR_NOT_COORDINATOR};
    for (int i = 0; i < APIS * 4; i++) {
        if (apis[i / 4] == API_PRODUCE && i % 4 != 0) {
            continue; /* says nothing about coordinators */
        }
        begin_with(version_2_of(state));
        add_fault(apis[i / 4], REFUSE, 3, errors[i % 4]);
        init();
        run_one_transaction(0, 5);
        check_committed(0, 0, 1);
        assert_int_equal(fake.offset, 5);
        end();
    }
}

static void the_coordinator_moves(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error;
    init();
    for (uint64_t t = 0; t < 6; t++) {
        begin();
        produce(0, t);
        cluster->coordinator_id = 1 + (int32_t)t % 3;
        check(send_offset((int64_t)t, WAIT_MS, &error), &error);
        cluster->coordinator_id = 1 + (int32_t)(t + 1) % 3;
        commit();
    }
    check_committed(0, 0, 6);
    assert_int_equal(fake.offset, 5);
    end();
}

static void the_coordinator_is_gone_for_a_while(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error = {0};
    init();
    begin();
    produce(0, 0);
    assert_int_equal(ottla_producer_flush(producer, WAIT_MS), OTTLA_OK);
    fake_broker_stop(cluster, 3);
    assert_int_equal(ottla_transaction_commit(producer, 3000, &error), OTTLA_TIMED_OUT);
    assert_non_null(strstr(error.text, "call it again"));
    assert_non_null(strstr(error.text, "broker 3"));
    check_state(OTTLA_TRANSACTION_COMMITTING);
    assert_int_equal(ottla_transaction_abort(producer, 3000, &error), OTTLA_INVALID);
    fake_broker_start(cluster, 3);
    commit();
    check_committed(0, 0, 1);
    end();
}

/* The outcome of a commit that nobody waited for is kept for the next call. */
static void a_commit_that_ended_meanwhile_is_told(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error = {0};
    init();
    begin();
    produce(0, 0);
    assert_int_equal(ottla_transaction_commit(producer, 0, &error), OTTLA_TIMED_OUT);
    fake_cluster_run(cluster, 2000);
    check_state(OTTLA_TRANSACTION_READY);
    assert_int_equal(ottla_transaction_begin(producer, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "ottla_transaction_commit was not waited for"));
    commit();
    run_one_transaction(1, 3);
    check_committed(0, 0, 2);
    end();
}

/* --- aborts --- */

static void an_abort_waits_for_what_is_in_flight(void **state) {
    begin_with(version_2_of(state), "batch.size", "100");
    init();
    run_one_transaction(0, 1);
    begin();
    for (uint64_t i = 1; i < 60; i++) {
        produce(0, 100 + i);
    }
    add_fault(API_PRODUCE, HOLD, 100, ERR_OK);
    fake_cluster_run(cluster, 200);
    fake.faults[0].count = 0;
    abort_it(); /* after request.timeout.ms what was held is sent again */
    run_one_transaction(1, 2);
    check_committed(0, 0, 2);
    assert_int_equal(fake.strays, 0);
    int dropped = 0;
    for (uint64_t i = 101; i < 160; i++) {
        assert_int_equal(told[i], 1);
        assert_true(told_codes[i] == OTTLA_OK || told_codes[i] == ERR_TRANSACTION_ABORTABLE);
        dropped += told_codes[i] != OTTLA_OK;
    }
    assert_true(dropped > 0);
    end();
}

/* It may have been written: that is found out first, so that it does not come behind the marker. */
static void what_was_sent_is_known_before_an_abort(void **state) {
    begin_with(version_2_of(state), "retry.backoff.ms", "500");
    init();
    run_one_transaction(0, 1);
    begin();
    add_fault(API_PRODUCE, LOSE_ANSWER, 1, ERR_OK);
    produce(0, 1);
    fake_cluster_run(cluster, 100);
    produce(0, 2);
    abort_it();
    assert_int_equal(told_codes[1], OTTLA_OK);
    assert_int_equal(told_codes[2], ERR_TRANSACTION_ABORTABLE);
    assert_int_equal(fake.logs[0].duplicates, 1);
    run_one_transaction(1, 2);
    check_committed(0, 0, 2);
    end();
}

/* The coordinator has begun a transaction of which the producer has not heard: a new epoch ends it.
 */
static void an_abort_of_what_may_have_begun(void **state) {
    (void)state;
    begin_with(false, "default.api.timeout.ms", "1500");
    init();
    run_one_transaction(0, 1);
    begin();
    add_fault(API_ADD_PARTITIONS_TO_TXN, LOSE_ANSWER, 1000, ERR_OK);
    produce(0, 1);
    fake_cluster_run(cluster, 2000);
    assert_true(fake.ongoing);
    struct ottla_error error;
    assert_int_equal(ottla_transaction_abort(producer, 0, &error), OTTLA_TIMED_OUT);
    fake_cluster_run(cluster, 3000);
    fake.faults[0].count = 0;
    abort_it();
    assert_int_equal(fake.calls[API_INIT_PRODUCER_ID], 2);
    assert_false(fake.ongoing);
    run_one_transaction(1, 2);
    check_committed(0, 0, 2);
    end();
}

static void records_for_a_topic_that_is_not_there_are_dropped(void **state) {
    begin_with(version_2_of(state));
    init();
    begin();
    struct ottla_record record = {.topic = "nowhere", .partition = 0};
    assert_int_equal(ottla_produce(producer, &record, delivered, (void *)7, NULL), OTTLA_OK);
    abort_it();
    assert_int_equal(told[7], 1);
    assert_int_equal(told_codes[7], ERR_TRANSACTION_ABORTABLE);
    run_one_transaction(0, 1);
    end();
}

/* A record that is refused: the transaction can only be aborted, the next one is as any. Without
 * transaction.version 2 its epoch is a new one. */
static void a_record_that_fails(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error;
    init();
    run_one_transaction(0, 1);
    int asked = fake.calls[API_INIT_PRODUCER_ID];
    int16_t epoch = fake.epoch;
    add_fault(API_PRODUCE, REFUSE, 1, ERR_MESSAGE_TOO_LARGE);
    begin();
    produce(0, 9);
    produce(2, 9);
    assert_int_equal(ottla_transaction_commit(producer, WAIT_MS, &error), ERR_MESSAGE_TOO_LARGE);
    check_state(OTTLA_TRANSACTION_ABORTABLE);
    assert_int_equal(try_produce(0, 10), ERR_MESSAGE_TOO_LARGE);
    assert_int_equal(ottla_transaction_commit(producer, WAIT_MS, &error), ERR_MESSAGE_TOO_LARGE);
    assert_non_null(strstr(error.text, "has to be aborted"));
    abort_it();
    assert_int_equal(fake.calls[API_INIT_PRODUCER_ID] - asked, fake.implicit ? 0 : 1);
    assert_int_equal(fake.epoch, epoch + 1);
    run_one_transaction(1, 2);
    check_committed(0, 0, 2);
    assert_int_equal(fake.commits, 2);
    end();
}

/* What was sent may have been written or not: the commit must not be asked for. */
static void a_record_whose_time_is_over(void **state) {
    begin_with(version_2_of(state), "delivery.timeout.ms", "3000");
    struct ottla_error error;
    init();
    begin();
    add_fault(API_PRODUCE, HOLD, 100, ERR_OK);
    produce(0, 9);
    int code = ottla_transaction_commit(producer, WAIT_MS, &error);
    assert_int_equal(code, ERR_TRANSACTION_ABORTABLE);
    assert_non_null(strstr(error.text, "delivery.timeout.ms"));
    assert_int_equal(fake.calls[API_END_TXN], 0);
    fake.faults[0].count = 0;
    abort_it();
    run_one_transaction(0, 1);
    check_committed(0, 0, 1);
    end();
}

/* --- errors --- */

static void check_error(bool version_2, int16_t api_key, err_t err, bool abortable) {
    begin_with(version_2);
    struct ottla_error error = {0};
    init();
    begin();
    if (api_key != API_END_TXN) {
        add_fault(api_key, REFUSE, 1, err);
    }
    produce(0, 1);
    (void)ottla_producer_flush(producer, WAIT_MS);
    int code = send_offset(3, WAIT_MS, &error);
    if (api_key == API_END_TXN) {
        check(code, &error);
        add_fault(api_key, REFUSE, 1, err);
        code = ottla_transaction_commit(producer, WAIT_MS, &error);
    }
    assert_int_not_equal(code, OTTLA_OK);
    assert_true(strlen(error.text) > 10);
    check_state(abortable ? OTTLA_TRANSACTION_ABORTABLE : OTTLA_TRANSACTION_FATAL);
    if (abortable) {
        int16_t epoch = fake.epoch;
        abort_it();
        assert_true(fake.epoch > epoch || (fake.implicit && fake.aborts == 0));
        run_one_transaction(5, 6);
        check_committed(0, 5, 1);
        assert_int_equal(fake.offset, 6);
    } else {
        assert_int_not_equal(ottla_transaction_abort(producer, WAIT_MS, &error), OTTLA_OK);
        assert_int_not_equal(ottla_transaction_begin(producer, &error), OTTLA_OK);
        assert_int_not_equal(try_produce(0, 2), OTTLA_OK);
    }
    assert_int_equal(fake.commits, abortable ? 1 : 0);
    end();
}

static void each_error_has_its_consequence(void **state) {
    static const struct {
        int16_t api_key;
        err_t err;
        bool abortable;
    } cases[] = {
        {API_PRODUCE, ERR_INVALID_TXN_STATE, true},
        {API_PRODUCE, ERR_INVALID_PRODUCER_EPOCH, true},
        {API_PRODUCE, ERR_UNKNOWN_PRODUCER_ID, true},
        {API_PRODUCE, ERR_TRANSACTION_ABORTABLE, true},
        {API_PRODUCE, ERR_UNKNOWN_SERVER_ERROR, true},
        {API_PRODUCE, ERR_PRODUCER_FENCED, false},
        {API_PRODUCE, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false},
        {API_PRODUCE, ERR_INVALID_PRODUCER_ID_MAPPING, false},
        {API_ADD_PARTITIONS_TO_TXN, ERR_TOPIC_AUTHORIZATION_FAILED, true},
        {API_ADD_PARTITIONS_TO_TXN, ERR_UNKNOWN_PRODUCER_ID, true},
        {API_ADD_PARTITIONS_TO_TXN, ERR_TRANSACTION_ABORTABLE, true},
        {API_ADD_PARTITIONS_TO_TXN, ERR_INVALID_PRODUCER_EPOCH, false},
        {API_ADD_PARTITIONS_TO_TXN, ERR_INVALID_TXN_STATE, false},
        {API_ADD_OFFSETS_TO_TXN, ERR_GROUP_AUTHORIZATION_FAILED, true},
        {API_ADD_OFFSETS_TO_TXN, ERR_PRODUCER_FENCED, false},
        {API_TXN_OFFSET_COMMIT, ERR_ILLEGAL_GENERATION, true},
        {API_TXN_OFFSET_COMMIT, ERR_UNKNOWN_MEMBER_ID, true},
        {API_TXN_OFFSET_COMMIT, ERR_FENCED_INSTANCE_ID, true},
        {API_TXN_OFFSET_COMMIT, ERR_TRANSACTION_ABORTABLE, true},
        {API_TXN_OFFSET_COMMIT, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false},
        {API_END_TXN, ERR_TRANSACTION_ABORTABLE, true},
        {API_END_TXN, ERR_UNKNOWN_PRODUCER_ID, true},
        {API_END_TXN, ERR_INVALID_TXN_STATE, false},
        {API_END_TXN, ERR_PRODUCER_FENCED, false},
        {API_END_TXN, ERR_INVALID_PRODUCER_EPOCH, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool explicit_only = cases[i].api_key == API_ADD_PARTITIONS_TO_TXN ||
                             cases[i].api_key == API_ADD_OFFSETS_TO_TXN;
        if (!explicit_only || !version_2_of(state)) {
            check_error(version_2_of(state), cases[i].api_key, cases[i].err, cases[i].abortable);
        }
    }
}

static void without_the_right_to_the_id_it_does_not_begin(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error = {0};
    add_fault(API_INIT_PRODUCER_ID, REFUSE, 1, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(ottla_transactions_init(producer, WAIT_MS, &error),
                     ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_non_null(strstr(error.text, "mover"));
    check_state(OTTLA_TRANSACTION_FATAL);
    end();
}

/* A newer one of its id: nothing of the older is committed any more. */
static void the_older_of_two_is_fenced(void **state) {
    begin_with(version_2_of(state));
    struct ottla_error error = {0};
    init();
    begin();
    produce(0, 1);
    assert_int_equal(ottla_producer_flush(producer, WAIT_MS), OTTLA_OK);
    fake_transactions_end(&fake, false);
    fake.epoch++;
    produce(0, 2);
    int code = ottla_transaction_commit(producer, WAIT_MS, &error);
    assert_true(code == ERR_INVALID_PRODUCER_EPOCH || code == ERR_PRODUCER_FENCED);
    if (ottla_transaction_state(producer) == OTTLA_TRANSACTION_ABORTABLE) {
        assert_int_equal(ottla_transaction_abort(producer, WAIT_MS, &error), ERR_PRODUCER_FENCED);
    }
    check_state(OTTLA_TRANSACTION_FATAL);
    check_committed(0, 0, 0);
    end();
}

/* --- the cluster goes over to transaction.version 2 --- */

static void a_cluster_that_is_upgraded(void **state) {
    (void)state;
    begin_with(false);
    init();
    run_one_transaction(0, 1);
    int16_t epoch = fake.epoch;
    begin();
    produce(0, 1);
    assert_int_equal(ottla_producer_flush(producer, WAIT_MS), OTTLA_OK);
    fake.told_version = 2; /* to who is connected anew */
    fake_broker_stop(cluster, 3);
    fake_broker_start(cluster, 3);
    commit(); /* as it began */
    fake.implicit = true;
    assert_int_equal(fake.calls[API_INIT_PRODUCER_ID], 2);
    assert_int_equal(fake.epoch, epoch + 1);
    run_one_transaction(2, 2);
    check_committed(0, 0, 3);
    end();
}

/* --- calls that do not wait --- */

static struct {
    int count;
    int code;
} ended;

static void on_end(void *arg, int code, const char *text) {
    (void)arg;
    assert_non_null(text);
    ended.count++;
    ended.code = code;
}

static void begin_next(void *arg, int code, const char *text) {
    on_end(arg, code, text);
    struct ottla_error error;
    assert_int_equal(ottla_transaction_commit(producer, 10, &error), OTTLA_BUSY);
    begin();
    produce(0, 1);
}

static void forms_that_do_not_wait(void **state) {
    begin_with(version_2_of(state));
    memset(&ended, 0, sizeof ended);
    struct ottla_error error;
    check(ottla_transactions_init_async(producer, begin_next, NULL, &error), &error);
    assert_int_equal(ended.count, 0);
    fake_cluster_run(cluster, 1000);
    assert_int_equal(ended.count, 1);
    check(ottla_transaction_commit_async(producer, on_end, NULL, &error), &error);
    fake_cluster_run(cluster, 1000);
    assert_int_equal(ended.count, 2);
    assert_int_equal(ended.code, OTTLA_OK);
    check_committed(0, 1, 1);
    begin();
    produce(0, 2);
    check(ottla_transaction_abort_async(producer, on_end, NULL, &error), &error);
    end(); /* it is told that it was freed */
    assert_int_equal(ended.count, 3);
    assert_int_equal(ended.code, OTTLA_CLOSED);
}

/* --- chance --- */

/* What the producer says was committed. */
static struct {
    uint64_t values[PARTITIONS][NUMBERS_MAX];
    size_t counts[PARTITIONS];
    int64_t offset;
} expected;

static void run_by_chance(struct rng *rng, uint64_t *number, int64_t offset) {
    bool keep = rng_below(rng, 2) == 0;
    struct ottla_error error;
    begin();
    for (uint64_t end = *number + rng_below(rng, 40); *number < end; (*number)++) {
        int32_t p = (int32_t)rng_below(rng, PARTITIONS);
        produce(p, *number);
        if (keep) {
            expected.values[p][expected.counts[p]++] = *number;
        }
    }
    if (rng_below(rng, 2) == 0) {
        check(send_offset(offset, WAIT_MS, &error), &error);
        expected.offset = keep ? offset : expected.offset;
    }
    cluster->coordinator_id = 1 + (int32_t)rng_below(rng, 3);
    keep ? commit() : abort_it();
}

/* Requests and answers get lost all the time: what the producer says was committed is there, once,
 * in order, and nothing else is. */
static void nothing_is_lost_doubled_or_half_done(void **state) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        begin_with(version_2_of(state), "batch.size", "150", "delivery.timeout.ms", "100000",
                   "retry.backoff.ms", "10");
        memset(&expected, 0, sizeof expected);
        expected.offset = -1;
        rng_init(&fake.rng, seed);
        init();
        fake.chance = 6;
        uint64_t number = 0;
        for (int64_t t = 0; t < 40; t++) {
            run_by_chance(&fake.rng, &number, t);
        }
        for (int p = 0; p < PARTITIONS; p++) {
            assert_int_equal(fake.committed_count[p], expected.counts[p]);
            assert_memory_equal(fake.committed[p], expected.values[p],
                                expected.counts[p] * sizeof(uint64_t));
        }
        assert_int_equal(fake.offset, expected.offset);
        end();
    }
}

#define both(test)                                                                                 \
    {#test, test, NULL, NULL, NULL}, {                                                             \
#test "_version_2", test, NULL, NULL, (void *)"2"                                          \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        both(commits_and_aborts),
        both(a_commit_does_not_linger),
        both(nothing_is_asked_for_nothing),
        both(what_is_called_in_the_wrong_place_is_told),
        cmocka_unit_test(without_an_id_there_are_none),
        both(lost_requests_and_answers_do_no_harm),
        both(errors_that_pass_are_waited_for),
        both(the_coordinator_moves),
        both(the_coordinator_is_gone_for_a_while),
        both(a_commit_that_ended_meanwhile_is_told),
        both(an_abort_waits_for_what_is_in_flight),
        both(what_was_sent_is_known_before_an_abort),
        cmocka_unit_test(an_abort_of_what_may_have_begun),
        both(records_for_a_topic_that_is_not_there_are_dropped),
        both(a_record_that_fails),
        both(a_record_whose_time_is_over),
        both(each_error_has_its_consequence),
        both(without_the_right_to_the_id_it_does_not_begin),
        both(the_older_of_two_is_fenced),
        cmocka_unit_test(a_cluster_that_is_upgraded),
        both(forms_that_do_not_wait),
        both(nothing_is_lost_doubled_or_half_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
