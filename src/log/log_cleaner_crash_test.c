/* Cleanings that are struck at each of their calls to the disk; see log_cleaner_life_test.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_cleaner_life_test.h"

/* Processes that crash leave their memory behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

/* One that is struck at a call, and again at one of the next start; 0: not again. False: the start
 * has no such call. */
static bool crash_once(const struct reference *reference, enum strike strike, uint64_t call,
                       uint64_t call_again, uint64_t seed) {
    struct life life = {.strike = strike, .strike_at = call};
    life_begin(&life, seed);
    life_spawn(&life, life_run);
    life_die(&life, strike == STRIKE_POWER);
    bool struck = true;
    if (call_again > 0) {
        life.strike_at = call_again;
        life_spawn(&life, life_open);
        struck = life.struck;
        life_die(&life, strike == STRIKE_POWER);
    }
    fixture_open(&life.f);
    life_audit(&life, reference);
    life_goes_on(&life);
    fixture_done(&life.f);
    return struck;
}

static void crashes_leave_old_or_new(void **state) {
    const struct reference *reference = *state;
    enum { SEEDS = 6 };
    for (uint64_t call = 1; call <= reference->seen_count; call++) {
        (void)crash_once(reference, STRIKE_CRASH, call, 0, 1);
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            (void)crash_once(reference, STRIKE_POWER, call, 0, seed);
        }
    }
}

/* The start after it is struck at each of its calls, too; every third call of a life, which one
 * depends on the start's. */
static void crashes_of_a_start_leave_old_or_new(void **state) {
    const struct reference *reference = *state;
    uint64_t starts = 0;
    for (uint64_t call = 1; call <= reference->seen_count; call++) {
        for (uint64_t again = 1 + call % 3; crash_once(reference, STRIKE_CRASH, call, again, 1);
             again += 3) {
            (void)crash_once(reference, STRIKE_POWER, call, again, call * 100 + again);
            starts++;
        }
    }
    assert_true(starts > 1000);
}

/* --- faults --- */

/* Whether the directory went offline. */
static bool fault_once(const struct reference *reference, enum strike strike, uint64_t call) {
    struct life life = {.strike = strike, .strike_at = call};
    life_begin(&life, 1);
    life_spawn(&life, life_run);
    bool failed = log_directory_state(life.f.directory) != ERR_OK;
    char *text = life_text(&life.f); /* reading goes on */
    if (!failed) {
        char *wanted = records_of(reference->texts[reference->count - 1], false);
        char *found = records_of(text, false);
        assert_string_equal(found, wanted);
        free(wanted);
        free(found);
    }
    free(text);
    sim_disk_remove_all_faults(life.f.host);
    life_die(&life, false);
    fixture_open(&life.f);
    life_goes_on(&life);
    fixture_done(&life.f);
    return failed;
}

static void errors_do_no_harm(void **state) {
    const struct reference *reference = *state;
    size_t offline = 0;
    for (uint64_t call = 1; call <= reference->seen_count; call++) {
        offline += fault_once(reference, STRIKE_ERROR, call);
    }
    assert_true(offline > reference->seen_count / 4); /* writes, syncs, renames */
    assert_true(offline < reference->seen_count);     /* reads */
}

static void a_full_disk_does_no_harm(void **state) {
    const struct reference *reference = *state;
    for (uint64_t call = 1; call <= reference->seen_count; call++) {
        assert_false(fault_once(reference, STRIKE_FULL, call));
    }
}

/* --- what was struck --- */

static bool was_seen(const struct reference *reference, const char *what, const char *end) {
    for (size_t i = 0; i < reference->seen_count; i++) {
        if (begins(reference->seen[i], what) && name_ends(reference->seen[i], end)) {
            return true;
        }
    }
    fprintf(stderr, "never seen: %s of %s\n", what, end);
    return false;
}

static void every_kind_of_call_was_struck(void **state) {
    const struct reference *reference = *state;
    static const char *const files[] = {".log", ".index", ".timeindex", ".txnindex"};
    static const struct {
        const char *what;
        const char *suffix;
    } calls[] = {{"create", ".cleaned"}, {"write", ".cleaned"},  {"sync", ".cleaned"},
                 {"rename", ".swap"},    {"rename", ".deleted"}, {"rename", ""},
                 {"remove", ".deleted"}};
    for (size_t file = 0; file < sizeof files / sizeof files[0]; file++) {
        for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++) {
            char end[32];
            (void)snprintf(end, sizeof end, "%s%s", files[file], calls[call].suffix);
            assert_true(was_seen(reference, calls[call].what, end));
        }
    }
    assert_true(was_seen(reference, "read", ".log"));
    assert_true(was_seen(reference, "set-modified", ".log.cleaned"));
    assert_true(was_seen(reference, "rename", ".snapshot.deleted"));
    assert_true(was_seen(reference, "remove", ".snapshot.deleted"));
    assert_true(was_seen(reference, "sync-names", " t-0"));
    assert_true(was_seen(reference, "create", "cleaner-offset-checkpoint.tmp"));
    assert_true(was_seen(reference, "write", "cleaner-offset-checkpoint.tmp"));
    assert_true(was_seen(reference, "sync", "cleaner-offset-checkpoint.tmp"));
    assert_true(was_seen(reference, "rename", "cleaner-offset-checkpoint"));
}

static int setup(void **state) {
    static struct reference reference;
    reference_make(&reference);
    *state = &reference;
    return 0;
}

static int teardown(void **state) {
    reference_done(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_call_was_struck),
        cmocka_unit_test(crashes_leave_old_or_new),
        cmocka_unit_test(crashes_of_a_start_leave_old_or_new),
        cmocka_unit_test(errors_do_no_harm),
        cmocka_unit_test(a_full_disk_does_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
