/* The auditor of groups finds each kind of violation, and nothing where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit_groups.h"

static struct audit *audit;
static struct audit_group *group;

static int set_up(void **state) {
    (void)state;
    audit = audit_new();
    group = audit_group_new(audit, "g", false);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    audit_group_free(group);
    audit_free(audit);
    return 0;
}

static void tells(const char *sentence) {
    assert_non_null(audit_failure(audit));
    assert_string_equal(audit_failure(audit), sentence);
}

static void commit(int place, int64_t offset) {
    audit_group_committed(group, place, audit_group_commit(group, place, offset));
}

static void fetch(int place, int64_t offset) {
    audit_group_fetched(group, place, audit_group_fetch(group, place), offset);
}

static void sync(int32_t generation, const char *member, int place) {
    bool places[AUDIT_PLACES_MAX] = {false};
    places[place] = true;
    audit_group_synced(group, generation, member, places);
}

/* --- generations --- */

static void one_owner_in_a_generation(void **state) {
    (void)state;
    commit(0, 1); /* from now on the group is not taken away */
    sync(1, "a", 0);
    sync(1, "b", 1);
    sync(1, "a", 0);
    sync(2, "b", 0);
    sync(1, "a", 1); /* late */
    assert_null(audit_failure(audit));
    sync(2, "a", 0);
    tells("group g: in generation 2 both b and a own partition 0");
}

static void an_old_generation_is_not_heard(void **state) {
    (void)state;
    commit(0, 1);
    sync(1, "a", 0);
    audit_group_heard(group, "commit", "a", 1, 1);
    sync(2, "b", 0);
    audit_group_heard(group, "commit", "a", 1, 1); /* asked before */
    assert_null(audit_failure(audit));
    audit_group_heard(group, "commit", "a", 1, 2);
    tells("group g: the commit of a in generation 1 is taken in 2");
}

static void generations_begin_anew_after_a_power_cut(void **state) {
    (void)state;
    commit(0, 1);
    sync(5, "a", 0);
    audit_group_cuts(group, 1, 1);
    sync(2, "b", 0);
    audit_group_cuts(group, 0, 1);
    sync(5, "a", 0); /* was said before the cut */
    assert_null(audit_failure(audit));
    audit_group_cuts(group, 1, 1);
    assert_int_equal(audit_group_generation(group), 2);
}

/* --- owners at a time --- */

static void one_owner_at_a_time(void **state) {
    (void)state;
    audit_group_own(group, 0, "a", 100, 200);
    audit_group_keep(group, "a", 300);
    audit_group_own(group, 0, "b", 300, 400); /* a was silent */
    audit_group_release(group, 0, "a");
    assert_true(audit_group_is_others(group, 0, "a", 399));
    audit_group_release(group, 0, "b");
    audit_group_own(group, 0, "a", 310, 400);
    assert_null(audit_failure(audit));
    audit_group_own(group, 0, "b", 320, 400);
    tells("group g: b is given partition 0, which a still owns");
}

static void what_a_process_left_is_kept_for_its_instance(void **state) {
    (void)state;
    audit_group_own(group, 0, "a.1", 100, 200);
    audit_group_own(group, 1, "b.1", 100, 200);
    audit_group_hand_over(group, 0, "a.1", "a");
    audit_group_hand_over(group, 1, "a.1", "a"); /* was not its own */
    audit_group_release_all(group, "a.1");
    audit_group_release_all(group, "b.1");
    audit_group_own(group, 1, "c.1", 110, 200);
    assert_null(audit_failure(audit));
    audit_group_own(group, 0, "c.1", 110, 200);
    tells("group g: c.1 is given partition 0, which a still owns");
}

/* --- commits --- */

static void commits_stay(void **state) {
    (void)state;
    fetch(0, -1);
    commit(0, 10);
    fetch(0, 10);
    commit(0, 20);
    fetch(0, 20);
    assert_null(audit_failure(audit));
    fetch(0, 10);
    tells("group g: offset 10 of partition 0 is fetched, but 20 was committed");
}

static void commits_do_not_expire(void **state) {
    (void)state;
    commit(0, 10);
    fetch(0, -1);
    tells("group g: offset -1 of partition 0 is fetched, but 10 was committed");
}

static void a_commit_without_an_outcome_may_stand(void **state) {
    (void)state;
    commit(0, 10);
    (void)audit_group_commit(group, 0, 20);
    fetch(0, 10);
    fetch(0, 20);
    assert_null(audit_failure(audit));
    audit_group_refused(group, 0, audit_group_commit(group, 0, 30));
    fetch(0, 30);
    tells("group g: offset 30 of partition 0 is fetched, but 20 was committed");
}

static void nothing_is_invented(void **state) {
    (void)state;
    fetch(0, 7);
    tells("group g: offset 7 of partition 0 is fetched, but -1 was committed");
}

static void a_power_cut_may_take_commits(void **state) {
    (void)state;
    commit(0, 10);
    commit(0, 20);
    audit_group_cuts(group, 0, 1);
    fetch(0, 20); /* was said before */
    audit_group_cuts(group, 1, 1);
    fetch(0, 10);
    assert_null(audit_failure(audit));
    fetch(0, 20); /* what was gone does not come back */
    fetch(0, -1);
    assert_non_null(audit_failure(audit));
}

static void a_power_cut_takes_nothing_synced(void **state) {
    (void)state;
    struct audit_group *synced = audit_group_new(audit, "s", true);
    audit_group_committed(synced, 0, audit_group_commit(synced, 0, 10));
    audit_group_cuts(synced, 1, 1);
    audit_group_fetched(synced, 0, audit_group_fetch(synced, 0), -1);
    tells("group s: offset -1 of partition 0 is fetched, but 10 was committed");
    audit_group_free(synced);
}

static void a_topic_begins_without_commits(void **state) {
    (void)state;
    commit(0, 10);
    uint32_t late = audit_group_commit(group, 0, 20);
    audit_group_own(group, 0, "a", 100, 200);
    audit_group_begin(group, 0);
    audit_group_own(group, 0, "b", 100, 200);
    fetch(0, -1);
    audit_group_committed(group, 0, late);
    fetch(0, -1);
    fetch(0, 20); /* of which topic it was nobody knows */
    commit(0, 30);
    fetch(0, 30);
    assert_null(audit_failure(audit));
    fetch(0, 10);
    tells("group g: offset 10 of partition 0 is fetched, but 30 was committed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_owner_in_a_generation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_generation_is_not_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(generations_begin_anew_after_a_power_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_owner_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_process_left_is_kept_for_its_instance, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(commits_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(commits_do_not_expire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_without_an_outcome_may_stand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_invented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_power_cut_may_take_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_power_cut_takes_nothing_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_topic_begins_without_commits, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sim/audit_groups", tests, NULL, NULL);
}
