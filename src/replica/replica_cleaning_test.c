/* Compacted topics, and what happens to them while they are cleaned. */
#include <stdio.h>

#include "log/cleaner.h"
#include "replica/replica_fixture_test.h"

static int set_up(void **state) {
    static struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_set(&fixture, "log.cleaner.backoff.ms", "2000");
    *state = &fixture;
    return 0;
}

static int set_up_two(void **state) {
    static struct fixture fixture;
    fixture_init(&fixture, 2);
    fixture_set(&fixture, "log.cleaner.backoff.ms", "2000");
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_done(*state);
    return 0;
}

static struct uuid compacted_topic(struct fixture *f, const char *name) {
    struct uuid id = fixture_topic(f, name, 1);
    fixture_config(f, META_RESOURCE_TOPIC, name, "cleanup.policy", "compact");
    fixture_config(f, META_RESOURCE_TOPIC, name, "segment.bytes", "1048576");
    fixture_commit(f);
    return id;
}

/* Appends records of some keys, each filling most of a segment. */
static void fill_keys(struct fixture *f, struct uuid id, const char *keys) {
    struct partition *partition = find(f, id, 0);
    for (; *keys != '\0'; keys++) {
        char key[2] = {*keys, '\0'};
        append(f, partition, &(struct batch){.value_size = 900 * 1000, .key = key});
    }
    partition_unref(partition);
}

static uint64_t size_of(struct fixture *f, struct uuid id) {
    struct partition *partition = find(f, id, 0);
    uint64_t size = log_size(partition_log(partition));
    partition_unref(partition);
    return size;
}

static int64_t cleaned_of(struct fixture *f, const char *topic) {
    int64_t offset = -1;
    (void)log_directory_checkpoint_get(f->volumes[0]->directory, LOG_CHECKPOINT_CLEANER,
                                       str_from_c(topic), 0, &offset);
    return offset;
}

static struct replicas_cleaner_stats stats_of(struct fixture *f) {
    struct replicas_cleaner_stats stats;
    replicas_cleaner_stats(f->replicas, &stats);
    return stats;
}

static void a_compacted_topic_gets_smaller(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    struct uuid other = fixture_topic(f, "o", 1);
    fixture_commit(f);
    fill(f, other, 10);
    fill_keys(f, id, "aababa");
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 3); /* a, b and the active segment */
    assert_int_equal(cleaned_of(f, "t"), 5);
    assert_true(told(f, "t-0 is compacted up to offset 5"));
    assert_int_equal(offsets_of(f, id).log_start_offset, 0);
    struct replicas_cleaner_stats stats = stats_of(f);
    assert_true(stats.recopy_ratio > 0 && stats.recopy_ratio < 1);
    assert_true(stats.io_bytes > 8 * 900000);
    fixture_stop(f);
    fixture_start(f);
    assert_int_equal(size_of(f, id) / 900000, 3);
    assert_int_equal(cleaned_of(f, "t"), 5);
    assert_int_equal(records_of(f, other, 0), 10);
    fill_keys(f, id, "abab");
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 3);
    assert_int_equal(cleaned_of(f, "t"), 9);
}

/* Also where no topic is compacted: else alerts on it would be of no use. */
static void each_look_is_told(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    (void)compacted_topic(f, "t");
    fixture_run_for(f, 10 * 1000);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fixture_run_for(f, 60 * 1000);
    assert_in_range(stats_of(f).since_look_ms, 0, 3000);
}

/* The largest share of all directories, and none when there are no such topics any more. */
static void the_dirtiest_log_is_told(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid ids[4];
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        ids[i] = compacted_topic(f, names[i]);
        fixture_config(f, META_RESOURCE_TOPIC, names[i], "min.cleanable.dirty.ratio", "1");
    }
    fixture_commit(f);
    fill_keys(f, ids[2], "abc");
    fixture_run_for(f, 30 * 1000);
    assert_true(stats_of(f).dirtiest_ratio == 1);
    fixture_config(f, META_RESOURCE_TOPIC, "c", "max.compaction.lag.ms", "1");
    fixture_commit(f);
    fixture_run_for(f, 30 * 1000);
    assert_true(stats_of(f).dirtiest_ratio == 0);
    assert_in_range((uintmax_t)stats_of(f).delay_seconds, 20, 60);
    for (int i = 0; i < 4; i++) {
        fixture_config(f, META_RESOURCE_TOPIC, names[i], "cleanup.policy", "delete");
    }
    fixture_commit(f);
    fill_keys(f, ids[2], "abc");
    fixture_run_for(f, 30 * 1000);
    assert_true(stats_of(f).dirtiest_ratio == 0);
    assert_in_range((uintmax_t)stats_of(f).delay_seconds, 20, 60);
}

static void the_rate_is_bounded(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "100000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaaaa");
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 6);
    fixture_run_for(f, 200 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 2);
}

/* While a cleaning goes on, and of one that came to nothing; each byte once. */
static void what_it_uses_of_the_disk_is_told_as_it_goes(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "100000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "abcdef");
    fixture_run_for(f, 30 * 1000);
    uint64_t early = stats_of(f).io_bytes;
    assert_in_range(early, 1000 * 1000, 4000 * 1000);
    fixture_run_for(f, 10 * 1000);
    uint64_t later = stats_of(f).io_bytes;
    assert_in_range(later - early, 500 * 1000, 2000 * 1000);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(cleaned_of(f, "t"), -1);
    assert_in_range(stats_of(f).io_bytes - later, 0, 1000 * 1000);
    uint64_t before = stats_of(f).io_bytes;
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "compact");
    fixture_commit(f);
    fixture_run_for(f, 200 * 1000);
    assert_int_equal(cleaned_of(f, "t"), 5);
    /* five are read twice and written; what does not fit into the buffer is read anew */
    assert_in_range(stats_of(f).io_bytes - before, 15 * 900 * 1000, 20 * 900 * 1000);
}

static void a_new_rate_holds_at_once(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "10");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaaaa");
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 6);
    fixture_change(f, "log.cleaner.io.max.bytes.per.second", "100000000");
    fixture_run_for(f, 5000);
    assert_int_equal(size_of(f, id) / 900000, 2);
}

static void a_new_interval_holds_at_once(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    fixture_change(f, "log.cleaner.backoff.ms", "9223372036854775807");
    struct uuid id = compacted_topic(f, "t");
    fixture_run_for(f, 10 * 1000); /* it was looked at */
    fill_keys(f, id, "aaaaaa");
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 6);
    fixture_change(f, "log.cleaner.backoff.ms", "1000");
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 2);
}

/* Logs of one directory that are always due do not keep those of another waiting. */
static void directories_take_turns(void **state) {
    struct fixture *f = *state;
    enum { TOPICS = 6 };
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "500000");
    fixture_start(f);
    char names[TOPICS][4];
    int there[2] = {0}, cleaned[2] = {0};
    for (int i = 0; i < TOPICS; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%d", i);
        struct uuid id = compacted_topic(f, names[i]);
        fill_keys(f, id, "aaaa");
    }
    fixture_run_for(f, 40 * 1000); /* for two or three of them */
    for (int i = 0; i < TOPICS; i++) {
        for (int volume = 0; volume < 2; volume++) {
            char path[32];
            int64_t offset;
            (void)snprintf(path, sizeof path, "/d%d/%s-0", volume, names[i]);
            there[volume] += exists(f, path);
            cleaned[volume] +=
                log_directory_checkpoint_get(f->volumes[volume]->directory, LOG_CHECKPOINT_CLEANER,
                                             str_from_c(names[i]), 0, &offset);
        }
    }
    assert_int_equal(there[0], TOPICS / 2);
    assert_int_equal(there[1], TOPICS / 2);
    assert_true(cleaned[0] > 0);
    assert_true(cleaned[1] > 0);
    assert_true(cleaned[0] + cleaned[1] < TOPICS);
}

static void both_policies_hold(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid both = compacted_topic(f, "both");
    struct uuid compacted = compacted_topic(f, "compacted");
    fixture_config(f, META_RESOURCE_TOPIC, "both", "cleanup.policy", "compact,delete");
    fixture_config(f, META_RESOURCE_TOPIC, "both", "retention.ms", "300000");
    fixture_config(f, META_RESOURCE_TOPIC, "compacted", "retention.ms", "300000");
    fixture_config(f, META_RESOURCE_TOPIC, "both", "min.cleanable.dirty.ratio", "0.1");
    fixture_config(f, META_RESOURCE_TOPIC, "compacted", "min.cleanable.dirty.ratio", "0.1");
    fixture_commit(f);
    fill_keys(f, both, "aababa");
    fill_keys(f, compacted, "aababa");
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(size_of(f, both) / 900000, 3);
    assert_int_equal(size_of(f, compacted) / 900000, 3);
    fixture_run_for(f, 900 * 1000);
    assert_int_equal(size_of(f, both), 0);
    assert_int_equal(offsets_of(f, both).log_start_offset, 6);
    assert_int_equal(size_of(f, compacted) / 900000, 3);
    assert_int_equal(offsets_of(f, compacted).log_start_offset, 0);
}

/* With the cleaner's looks, not with those for retention (five minutes). */
static void what_expired_of_a_compacted_topic_goes_soon(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid both = compacted_topic(f, "both");
    struct uuid cut = compacted_topic(f, "cut");
    fixture_config(f, META_RESOURCE_TOPIC, "both", "cleanup.policy", "compact,delete");
    fixture_config(f, META_RESOURCE_TOPIC, "both", "retention.ms", "60000");
    fixture_commit(f);
    fixture_run_for(f, 10 * 1000);
    fill_keys(f, both, "abcdef");
    fill_keys(f, cut, "abcdef");
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(size_of(f, both) / 900000, 6);
    struct partition *partition = find(f, cut, 0);
    assert_int_equal(log_delete_records(partition_log(partition), 3), ERR_OK);
    partition_unref(partition);
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(size_of(f, cut) / 900000, 3);
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(size_of(f, both), 0);
    assert_int_equal(offsets_of(f, both).log_start_offset, 6);
}

static bool is_being_cleaned(struct fixture *f) {
    return exists(f, "/d0/t-0/00000000000000000000.log.cleaned");
}

static void a_topic_is_deleted_while_it_is_cleaned(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "300000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaa");
    fixture_wait(f, is_being_cleaned);
    fixture_delete(f, id);
    fixture_commit(f);
    id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fixture_run_for(f, 3000);
    assert_false(is_being_cleaned(f));
    assert_int_equal(fill(f, id, 3), 3);
    fixture_run_for(f, 90 * 1000);
    assert_int_equal(count_names(f, "/d0", "t-0"), 1);
    assert_int_equal(records_of(f, id, 0), 3);
}

static void a_stop_does_not_wait_for_a_cleaning(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "30000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "abab");
    fixture_run_for(f, 100 * 1000);
    fixture_stop(f);
    assert_int_equal(count_names(f, "/d0/t-0", "00000000000000000000.log"), 1);
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 4);
}

static void the_policy_changes_while_it_is_cleaned(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "300000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaa");
    fixture_wait(f, is_being_cleaned);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fixture_run_for(f, 60 * 1000);
    assert_false(is_being_cleaned(f));
    assert_int_equal(records_of(f, id, 0), 4);
}

static void what_cannot_be_cleaned_is_left_alone(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid bad = compacted_topic(f, "bad");
    struct uuid good = compacted_topic(f, "good");
    fill_keys(f, bad, "aaa");
    fill_keys(f, good, "aaa");
    assert_int_equal(sim_disk_flip(f->host, "/d0/bad-0/00000000000000000001.log", 500, 1), ERR_OK);
    fixture_run_for(f, 40 * 1000);
    assert_true(told(f,
                     "bad-0 cannot be compacted and is left alone until the next start, or until "
                     "its cleanup.policy was without compact for a moment "
                     "(/d0/bad-0/00000000000000000001.log at position 0)"));
    assert_int_equal(size_of(f, good) / 900000, 2);
    struct partition *partition = find(f, bad, 0);
    uint64_t bytes;
    assert_true(partition_uncleanable(partition, &bytes));
    assert_int_equal(bytes / 900000, 2);
    assert_int_equal(sim_disk_flip(f->host, "/d0/bad-0/00000000000000000001.log", 500, 1), ERR_OK);
    fixture_run_for(f, 40 * 1000);
    assert_int_equal(size_of(f, bad) / 900000, 3);
    fixture_config(f, META_RESOURCE_TOPIC, "bad", "cleanup.policy", "");
    fixture_commit(f);
    assert_false(partition_uncleanable(partition, &bytes));
    fixture_config(f, META_RESOURCE_TOPIC, "bad", "cleanup.policy", "compact");
    fixture_commit(f);
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(size_of(f, bad) / 900000, 2);
    partition_unref(partition);
}

/* Where how long a record has waited cannot be read, for its segment begins with nonsense. */
static void what_cannot_be_looked_at_is_told(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaa");
    fixture_stop(f);
    assert_int_equal(sim_disk_flip(f->host, "/d0/t-0/00000000000000000001.log", 16, 0), ERR_OK);
    fixture_start(f);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "max.compaction.lag.ms", "3600000");
    fixture_commit(f);
    fixture_run_for(f, 10 * 1000);
    assert_true(told(f, "t-0 cannot be compacted and is left alone until the next start, or until "
                        "its cleanup.policy was without compact for a moment (/d0/t-0)"));
    struct partition *partition = find(f, id, 0);
    uint64_t bytes;
    assert_true(partition_uncleanable(partition, &bytes));
    partition_unref(partition);
}

static void no_files_left_only_delay_it(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fill_keys(f, id, "aaaa");
    fixture_run_for(f, 20 * 1000);
    sim_host_set_file_limit(f->host, 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "compact");
    fixture_commit(f);
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 4);
    assert_false(told(f, "t-0 cannot be compacted"));
    sim_host_set_file_limit(f->host, 1000);
    fixture_run_for(f, 40 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 2);
}

static bool is_being_renamed(struct fixture *f) {
    return exists(f, "/d0/t-0/00000000000000000000.log.swap");
}

/* The base offset of the first batch. */
static int64_t first_offset_read(struct fixture *f, struct uuid id) {
    struct partition *partition = find(f, id, 0);
    struct partition_read read = {.size_max = 1,
                                  .min_one = true,
                                  .leader_epoch = PARTITION_ANY_EPOCH,
                                  .fetched_epoch = PARTITION_ANY_EPOCH};
    assert_int_equal(partition_read(partition, &read), ERR_OK);
    int64_t offset = read.slice.start_offset;
    log_slice_release(&read.slice);
    partition_unref(partition);
    return offset;
}

/* A log whose files have other names than it thinks must not be left alone. */
static void renaming_goes_on_when_no_files_are_left(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fill_keys(f, id, "baaa");
    fixture_run_for(f, 20 * 1000);
    sim_disk_set_latency(f->host, SIM_CALL_NAME, 1000000000, 1000000000);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "compact");
    fixture_commit(f);
    fixture_wait(f, is_being_renamed);
    int fault = sim_disk_add_fault(f->host, &(struct sim_fault){.kind = SIM_FAULT_ERROR,
                                                                .calls = SIM_CALL_NAME,
                                                                .path = "/d0/t-0",
                                                                .err = ERR_NO_FILES});
    fixture_run_for(f, 1000);
    sim_host_set_file_limit(f->host, 1); /* what nobody uses is closed */
    fixture_run_for(f, 30 * 1000);
    sim_host_set_file_limit(f->host, 1000);
    assert_true(is_being_renamed(f));
    assert_int_equal(first_offset_read(f, id), 0);
    sim_disk_remove_fault(f->host, fault);
    fixture_run_for(f, 30 * 1000);
    assert_false(is_being_renamed(f));
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(first_offset_read(f, id), 0);
    assert_int_equal(size_of(f, id) / 900000, 3);
    assert_int_equal(cleaned_of(f, "t"), 3);
}

static void what_cannot_be_read_is_left_alone(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid bad = compacted_topic(f, "bad");
    struct uuid good = compacted_topic(f, "good");
    fill_keys(f, bad, "aaa");
    fill_keys(f, good, "aaa");
    (void)sim_disk_add_fault(f->host, &(struct sim_fault){.kind = SIM_FAULT_ERROR,
                                                          .calls = SIM_CALL_READ,
                                                          .path = "/d0/bad-0/*1.log"});
    fixture_run_for(f, 40 * 1000);
    assert_true(told(f,
                     "bad-0 cannot be compacted and is left alone until the next start, or until "
                     "its cleanup.policy was without compact for a moment "
                     "(/d0/bad-0/00000000000000000001.log at position 0)"));
    sim_disk_remove_all_faults(f->host);
    assert_int_equal(size_of(f, good) / 900000, 2);
    assert_int_equal(size_of(f, bad) / 900000, 3);
    fill_keys(f, bad, "b"); /* and nothing else is wrong with it */
    assert_int_equal(records_of(f, bad, 0), 4);
    fixture_stop(f);
    fixture_start(f);
    fixture_run_for(f, 40 * 1000);
    assert_int_equal(size_of(f, bad) / 900000, 2);
}

static void a_full_disk_only_delays_it(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "delete");
    fixture_commit(f);
    fill_keys(f, id, "baaa");
    fixture_run_for(f, 20 * 1000);
    sim_disk_set_capacity(f->host, "/", sim_disk_used(f->host, "/") + 10000);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "cleanup.policy", "compact");
    fixture_commit(f);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(records_of(f, id, 0), 4);
    sim_disk_set_capacity(f->host, "/", 1 << 30);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(size_of(f, id) / 900000, 3);
}

/* What is cleaned of a topic finds no room. */
static int no_room_for(struct fixture *f, const char *path) {
    return sim_disk_add_fault(f->host, &(struct sim_fault){.kind = SIM_FAULT_ERROR,
                                                           .calls = SIM_CALL_WRITE,
                                                           .path = path,
                                                           .err = ERR_NO_SPACE});
}

/* A cleaning needs as much room as it keeps: others may make it. */
static void a_log_that_fails_keeps_no_other_waiting(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid large = compacted_topic(f, "large");
    struct uuid small = compacted_topic(f, "small");
    struct uuid other = compacted_topic(f, "other");
    fill_keys(f, other, "abc");
    fixture_run_for(f, 20 * 1000);
    assert_int_equal(cleaned_of(f, "other"), 2);
    (void)no_room_for(f, "/d0/large-0/*.cleaned");
    int fault = no_room_for(f, "/d0/small-0/*.cleaned");
    fill_keys(f, large, "abcdef");
    fill_keys(f, small, "abcd");
    fill_keys(f, other, "abab"); /* and is less dirty than the others */
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(cleaned_of(f, "other"), 6);
    assert_int_equal(cleaned_of(f, "large"), -1);
    assert_int_equal(cleaned_of(f, "small"), -1);
    sim_disk_remove_fault(f->host, fault);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(cleaned_of(f, "small"), 3);
    assert_int_equal(cleaned_of(f, "large"), -1);
    fill_keys(f, small, "aaaaaaaaaaaa");
    fill_keys(f, other, "aaaaaaaaaaaa");
    fixture_run_for(f, 60 * 1000);
    assert_true(cleaned_of(f, "small") > 10);
    assert_true(cleaned_of(f, "other") > 10);
    sim_disk_remove_all_faults(f->host);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(cleaned_of(f, "large"), 5);
    assert_false(told(f, "cannot be compacted"));
}

/* Nor is it forgotten where others always have something to do. */
static void a_log_that_failed_is_tried_again_among_others(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.io.max.bytes.per.second", "500000");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    struct uuid others[2] = {compacted_topic(f, "a"), compacted_topic(f, "b")};
    (void)no_room_for(f, "/d0/t-0/*.cleaned");
    fill_keys(f, id, "ab");
    fixture_run_for(f, 25 * 1000);
    fill_keys(f, others[0], "aaaaaaaa");
    fill_keys(f, others[1], "aaaaaaaa");
    fixture_run_for(f, 25 * 1000);
    assert_int_equal(cleaned_of(f, "t"), -1);
    sim_disk_remove_all_faults(f->host);
    for (int i = 0; i < 20; i++) {
        fill_keys(f, others[i % 2], "aaaaaaaa");
        fixture_run_for(f, 10 * 1000);
    }
    assert_int_equal(cleaned_of(f, "t"), 1);
}

static void it_may_be_off(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.cleaner.enable", "false");
    fixture_start(f);
    struct uuid id = compacted_topic(f, "t");
    fill_keys(f, id, "aaaa");
    fixture_run_for(f, 60 * 1000);
    assert_true(told(f, "log.cleaner.enable is false"));
    assert_true(stats_of(f).since_look_ms >= 60 * 1000);
    assert_int_equal(records_of(f, id, 0), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_compacted_topic_gets_smaller),
        TEST(each_look_is_told),
        cmocka_unit_test_setup_teardown(the_dirtiest_log_is_told, set_up_two, tear_down),
        TEST(the_rate_is_bounded),
        TEST(what_it_uses_of_the_disk_is_told_as_it_goes),
        TEST(a_new_rate_holds_at_once),
        TEST(a_new_interval_holds_at_once),
        cmocka_unit_test_setup_teardown(directories_take_turns, set_up_two, tear_down),
        TEST(both_policies_hold),
        TEST(what_expired_of_a_compacted_topic_goes_soon),
        TEST(a_topic_is_deleted_while_it_is_cleaned),
        TEST(a_stop_does_not_wait_for_a_cleaning),
        TEST(the_policy_changes_while_it_is_cleaned),
        TEST(what_cannot_be_cleaned_is_left_alone),
        TEST(what_cannot_be_looked_at_is_told),
        TEST(no_files_left_only_delay_it),
        TEST(renaming_goes_on_when_no_files_are_left),
        TEST(what_cannot_be_read_is_left_alone),
        TEST(a_full_disk_only_delays_it),
        TEST(a_log_that_fails_keeps_no_other_waiting),
        TEST(a_log_that_failed_is_tried_again_among_others),
        TEST(it_may_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
