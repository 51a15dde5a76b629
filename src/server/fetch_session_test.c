/* Fetch sessions: every row of the table in fetch_session.h, evictions, and the order of turns. */
#include "server/fetch_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/sim.h"

typedef struct fetch_request_fetch_topic topic_type;
typedef struct fetch_request_fetch_partition partition_type;
typedef struct fetch_request_forgotten_topic forgotten_type;

enum { SLOTS = 3, EVICT_AFTER_MS = 1000, VERSION_NAMES = 12, VERSION_IDS = 17 };

struct fixture {
    struct sim_world *world;
    struct fetch_sessions *sessions;
    struct arena arena;
    struct fetch_context context;
    int version;
};

static int set_up(void **state) {
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){.version = VERSION_IDS};
    f->world = sim_world_new(1);
    struct sim_host *host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sessions = fetch_sessions_new(sim_host_sys(host), SLOTS, EVICT_AFTER_MS);
    arena_init(&f->arena, SIZE_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    fetch_sessions_free(f->sessions);
    arena_done(&f->arena);
    sim_world_free(f->world);
    return 0;
}

static struct uuid topic_id(char name) {
    struct uuid id = {{1}};
    id.bytes[15] = (uint8_t)name;
    return id;
}

/* Topics of one letter, partitions of one digit: "a0 a1 b0". Repeats and order are kept. */
static void parse(struct fixture *f, const char *text, topic_type **ret, int32_t *ret_count) {
    *ret = ARENA_ARRAY(&f->arena, topic_type, strlen(text) + 1);
    *ret_count = 0;
    for (const char *at = text; *at != '\0'; at += at[2] == ' ' ? 3 : 2) {
        partition_type *partition = ARENA_NEW(&f->arena, partition_type);
        *partition = (partition_type){.partition = at[1] - '0',
                                      .fetch_offset = at - text,
                                      .partition_max_bytes = 1000,
                                      .current_leader_epoch = -1,
                                      .last_fetched_epoch = -1};
        (*ret)[(*ret_count)++] = (topic_type){
            .topic = arena_str(&f->arena, (struct str){at, 1}),
            .topic_id = topic_id(*at),
            .partitions = partition,
            .partitions_count = 1,
        };
    }
}

static err_t begin(struct fixture *f, int32_t id, int32_t epoch, const char *partitions,
                   const char *forgotten) {
    struct fetch_request message;
    wire_init(&fetch_request_type, &message);
    message.session_id = id;
    message.session_epoch = epoch;
    parse(f, partitions, &message.topics, &message.topics_count);
    topic_type *topics;
    parse(f, forgotten, &topics, &message.forgotten_topics_data_count);
    message.forgotten_topics_data =
        ARENA_ARRAY(&f->arena, forgotten_type, message.forgotten_topics_data_count + 1);
    for (int32_t i = 0; i < message.forgotten_topics_data_count; i++) {
        message.forgotten_topics_data[i] =
            (forgotten_type){.topic = topics[i].topic,
                             .topic_id = topics[i].topic_id,
                             .partitions = &topics[i].partitions[0].partition,
                             .partitions_count = 1};
    }
    return fetch_sessions_begin(f->sessions, &message, (int16_t)f->version, &f->arena, &f->context);
}

/* What is fetched, in order, as parse reads it. */
static const char *listed(struct fixture *f) {
    char *text = arena_alloc_zero(&f->arena, (size_t)f->context.item_count * 3 + 1);
    for (int32_t i = 0; i < f->context.item_count; i++) {
        const struct fetch_item *item = f->context.items[i];
        text[3 * i] = f->version >= 13 ? (char)item->topic_id.bytes[15] : item->topic.data[0];
        text[3 * i + 1] = (char)('0' + item->index);
        text[3 * i + 2] = i + 1 < f->context.item_count ? ' ' : '\0';
    }
    return text;
}

static void end(struct fixture *f) {
    fetch_context_end(f->sessions, &f->context, false);
}

/* A full fetch that opens a session. Its id, or 0. */
static int32_t open(struct fixture *f, const char *partitions, bool privileged) {
    assert_int_equal(begin(f, 0, FETCH_EPOCH_INITIAL, partitions, ""), ERR_OK);
    assert_true(f->context.full);
    for (int32_t i = 0; i < f->context.item_count; i++) {
        assert_true(fetch_context_tell(&f->context, f->context.items[i], ERR_OK, 10, 0, 0, false));
    }
    fetch_context_end(f->sessions, &f->context, privileged);
    return f->context.session_id;
}

/* An incremental fetch of what the session has: whether it is still known. */
static bool touch(struct fixture *f, int32_t id, int32_t epoch) {
    err_t err = begin(f, id, epoch, "", "");
    if (err == ERR_OK) {
        end(f);
    }
    return err == ERR_OK;
}

static struct fetch_sessions_stats stats(struct fixture *f) {
    struct fetch_sessions_stats stats;
    fetch_sessions_stats(f->sessions, &stats);
    return stats;
}

static void pass(struct fixture *f, int64_t ms) {
    sim_world_run_for(f->world, ms);
}

/* --- the table --- */

static void without_a_session(void **state) {
    struct fixture *f = *state;
    assert_int_equal(begin(f, 0, FETCH_EPOCH_FINAL, "a0 a1", ""), ERR_OK);
    assert_true(f->context.full);
    assert_string_equal(listed(f), "a0 a1");
    end(f);
    assert_int_equal(f->context.session_id, 0);
    assert_int_equal(stats(f).sessions, 0);
}

static void a_full_fetch_opens_a_session(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0 a1 b0", false);
    assert_true(id > 0);
    assert_int_equal(stats(f).sessions, 1);
    assert_int_equal(stats(f).partitions, 3);
    assert_int_equal(begin(f, id, 1, "", ""), ERR_OK);
    assert_false(f->context.full);
    assert_int_equal(f->context.session_id, id);
    assert_string_equal(listed(f), "a0 a1 b0");
    end(f);
}

static void also_an_empty_one(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "", false);
    assert_true(id > 0);
    assert_int_equal(begin(f, id, 1, "a0", ""), ERR_OK);
    assert_string_equal(listed(f), "a0");
    end(f);
}

static void a_partition_named_twice_is_fetched_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(begin(f, 0, FETCH_EPOCH_FINAL, "a0 b0 a0", ""), ERR_OK);
    assert_string_equal(listed(f), "a0 b0");
    assert_int_equal(f->context.items[0]->fetch_offset, 6); /* as it was named last */
    end(f);
}

static void the_end_closes_the_session(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    assert_int_equal(begin(f, id, FETCH_EPOCH_FINAL, "a0", ""), ERR_OK);
    end(f);
    assert_int_equal(f->context.session_id, 0);
    assert_int_equal(stats(f).sessions, 0);
    assert_int_equal(begin(f, id, 1, "", ""), ERR_FETCH_SESSION_ID_NOT_FOUND);
}

static void a_new_full_fetch_closes_the_one_before(void **state) {
    struct fixture *f = *state;
    int32_t before = open(f, "a0", false);
    assert_int_equal(begin(f, before, FETCH_EPOCH_INITIAL, "b0", ""), ERR_OK);
    end(f);
    assert_true(f->context.session_id != 0);
    assert_true(f->context.session_id != before);
    assert_int_equal(stats(f).sessions, 1);
    assert_int_equal(stats(f).partitions, 1);
}

static void unknown_sessions_and_epochs(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    assert_int_equal(begin(f, id + 1, 1, "", ""), ERR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(begin(f, id + 1, -5, "", ""), ERR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(begin(f, id, 2, "", ""), ERR_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(begin(f, id, -5, "", ""), ERR_INVALID_FETCH_SESSION_EPOCH);
    assert_true(touch(f, id, 1));
    assert_int_equal(begin(f, id, 1, "", ""), ERR_INVALID_FETCH_SESSION_EPOCH);
    assert_true(touch(f, id, 2));
}

static void while_a_request_uses_it(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    assert_int_equal(begin(f, id, 1, "", ""), ERR_OK);
    struct fetch_context first = f->context;
    assert_int_equal(begin(f, id, 2, "", ""), ERR_INVALID_FETCH_SESSION_EPOCH);
    /* Closed by a client that came back: the first request goes on with it. */
    assert_int_equal(begin(f, id, FETCH_EPOCH_FINAL, "", ""), ERR_OK);
    end(f);
    assert_int_equal(stats(f).sessions, 0);
    assert_true(fetch_context_tell(&first, first.items[0], ERR_OK, 11, 0, 5, false));
    fetch_context_end(f->sessions, &first, false);
    assert_int_equal(begin(f, id, 2, "", ""), ERR_FETCH_SESSION_ID_NOT_FOUND);
}

static void names_and_ids_do_not_mix(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    f->version = VERSION_NAMES;
    assert_int_equal(begin(f, id, 1, "a0", ""), ERR_FETCH_SESSION_TOPIC_ID_ERROR);
    id = open(f, "a0 b0", false);
    assert_int_equal(begin(f, id, 1, "c0", "a0"), ERR_OK);
    assert_string_equal(listed(f), "b0 c0");
    end(f);
    f->version = VERSION_IDS;
    assert_int_equal(begin(f, id, 2, "", ""), ERR_FETCH_SESSION_TOPIC_ID_ERROR);
}

static void the_list_changes(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0 a1 b0", false);
    assert_int_equal(begin(f, id, 1, "c0 a1", "b0 x9"), ERR_OK);
    assert_string_equal(listed(f), "a0 a1 c0");
    assert_int_equal(f->context.items[1]->fetch_offset, 3); /* the new one */
    end(f);
    assert_int_equal(stats(f).partitions, 3);

    /* Nothing left: closed, and the answer says so. */
    assert_int_equal(begin(f, id, 2, "", "a0 a1 c0"), ERR_OK);
    assert_int_equal(f->context.item_count, 0);
    end(f);
    assert_int_equal(f->context.session_id, 0);
    assert_int_equal(stats(f).sessions, 0);
    assert_int_equal(stats(f).partitions, 0);
}

static void epochs_go_on_behind_the_last(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    for (int32_t epoch = 1; epoch < 50; epoch++) {
        assert_true(touch(f, id, epoch));
    }
}

/* --- what an incremental answer names --- */

static void only_what_is_new(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false); /* told: high watermark 10, log start 0 */
    int32_t epoch = 1;
    static const struct {
        err_t err;
        int64_t high_watermark;
        int64_t log_start_offset;
        size_t size;
        bool diverging;
        bool told;
    } rows[] = {
        {ERR_OK, 10, 0, 0, false, false},
        {ERR_OK, 11, 0, 0, false, true},
        {ERR_OK, 11, 0, 0, false, false},
        {ERR_OK, 11, 3, 0, false, true},
        {ERR_OK, 11, 3, 100, false, true},
        {ERR_OK, 11, 3, 100, false, true},
        {ERR_OK, 11, 3, 0, true, true},
        {ERR_UNKNOWN_TOPIC_ID, -1, -1, 0, false, true},
        {ERR_UNKNOWN_TOPIC_ID, -1, -1, 0, false, true}, /* an error again and again */
        {ERR_OK, 11, 3, 0, false, true},                /* and when it is over */
        {ERR_OK, 11, 3, 0, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(begin(f, id, epoch++, "", ""), ERR_OK);
        assert_int_equal(fetch_context_tell(&f->context, f->context.items[0], rows[i].err,
                                            rows[i].high_watermark, rows[i].log_start_offset,
                                            rows[i].size, rows[i].diverging),
                         rows[i].told);
        end(f);
    }
}

static void everybody_gets_a_turn(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0 a1 b0 b1", false);
    assert_int_equal(begin(f, id, 1, "", ""), ERR_OK);
    (void)fetch_context_tell(&f->context, f->context.items[0], ERR_OK, 10, 0, 100, false);
    (void)fetch_context_tell(&f->context, f->context.items[1], ERR_OK, 12, 0, 0, false);
    (void)fetch_context_tell(&f->context, f->context.items[2], ERR_OK, 10, 0, 100, false);
    end(f);
    assert_int_equal(begin(f, id, 2, "", ""), ERR_OK);
    assert_string_equal(listed(f), "a1 b1 a0 b0");
    end(f);
}

/* --- slots --- */

static void a_new_session_takes_the_slot_of_a_stale_one(void **state) {
    struct fixture *f = *state;
    int32_t ids[SLOTS];
    for (int i = 0; i < SLOTS; i++) {
        ids[i] = open(f, "a0 a1 a2", false);
        pass(f, 10);
    }
    assert_int_equal(open(f, "a0 a1 a2 a3", false), 0); /* none is old enough */
    assert_true(touch(f, ids[0], 1));
    pass(f, EVICT_AFTER_MS);
    assert_true(open(f, "a0", false) > 0);
    assert_int_equal(stats(f).evictions, 1);
    assert_int_equal(stats(f).sessions, SLOTS);
    assert_true(touch(f, ids[0], 2));
    assert_false(touch(f, ids[1], 1)); /* the one used longest ago */
    assert_true(touch(f, ids[2], 1));
}

static void more_partitions_are_worth_more(void **state) {
    struct fixture *f = *state;
    int32_t small = open(f, "a0 a1", false);
    int32_t middle = open(f, "a0 a1 a2", false);
    int32_t large = open(f, "a0 a1 a2 a3", false);
    for (int epoch = 1; epoch < 5; epoch++) { /* all in use, and grown old */
        pass(f, EVICT_AFTER_MS / 3);
        assert_true(touch(f, small, epoch));
        assert_true(touch(f, middle, epoch));
        assert_true(touch(f, large, epoch));
    }
    assert_int_equal(open(f, "b0", false), 0);
    assert_int_equal(open(f, "b0 b1", false), 0); /* not worth more, as much */
    assert_true(open(f, "b0 b1 b2", false) > 0);
    assert_false(touch(f, small, 5));
    assert_true(touch(f, middle, 5));
    assert_true(touch(f, large, 5));
}

static void followers_come_first(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < SLOTS; i++) {
        assert_true(open(f, "a0 a1 a2", false) > 0);
    }
    assert_true(open(f, "a0", true) > 0); /* young ones of consumers give way, too */
    assert_true(open(f, "a0", true) > 0);
    assert_true(open(f, "a0", true) > 0);
    assert_int_equal(open(f, "a0 a1", true), 0);
    assert_int_equal(open(f, "a0 a1", false), 0);
    pass(f, EVICT_AFTER_MS + 1);
    assert_true(open(f, "a0 a1", false) > 0); /* a stale one goes whoever it is of */
}

static void one_in_use_is_not_freed(void **state) {
    struct fixture *f = *state;
    int32_t id = open(f, "a0", false);
    assert_int_equal(begin(f, id, 1, "", ""), ERR_OK);
    struct fetch_context waiting = f->context;
    pass(f, EVICT_AFTER_MS * 3);
    for (int i = 0; i < SLOTS; i++) {
        assert_true(open(f, "b0", false) > 0);
    }
    assert_int_equal(waiting.items[0]->index, 0);
    (void)fetch_context_tell(&waiting, waiting.items[0], ERR_OK, 1, 0, 1, false);
    fetch_context_end(f->sessions, &waiting, false);
    assert_false(touch(f, id, 2));
}

static void no_slots_no_sessions(void **state) {
    struct fixture *f = *state;
    fetch_sessions_free(f->sessions);
    struct sim_host *host = sim_host_new(f->world, "b", "10.0.0.2");
    f->sessions = fetch_sessions_new(sim_host_sys(host), 0, EVICT_AFTER_MS);
    assert_int_equal(open(f, "a0", false), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_a_session),
        TEST(a_full_fetch_opens_a_session),
        TEST(also_an_empty_one),
        TEST(a_partition_named_twice_is_fetched_once),
        TEST(the_end_closes_the_session),
        TEST(a_new_full_fetch_closes_the_one_before),
        TEST(unknown_sessions_and_epochs),
        TEST(while_a_request_uses_it),
        TEST(names_and_ids_do_not_mix),
        TEST(the_list_changes),
        TEST(epochs_go_on_behind_the_last),
        TEST(only_what_is_new),
        TEST(everybody_gets_a_turn),
        TEST(a_new_session_takes_the_slot_of_a_stale_one),
        TEST(more_partitions_are_worth_more),
        TEST(followers_come_first),
        TEST(one_in_use_is_not_freed),
        TEST(no_slots_no_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
