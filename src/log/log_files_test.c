/* The small files as texts and bytes: what is read, and how what cannot be read is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "log/checkpoint.h"
#include "log/leader_epochs.h"
#include "log/meta_properties.h"
#include "log/producer_snapshot.h"

/* What is wrong with a checkpoint of three fields; "" when nothing is. */
static const char *checkpoint_wrong(const char *text) {
    static struct checkpoint_reader reader;
    err_t err = checkpoint_read_begin(&reader, text, strlen(text), 3);
    while (err == ERR_OK) {
        struct str fields[CHECKPOINT_FIELDS_MAX];
        int64_t number;
        err = checkpoint_read_entry(&reader, fields);
        if (err == ERR_OK) {
            err = checkpoint_number(&reader, fields[2], INT64_MAX, &number);
        }
    }
    return err == ERR_NOT_FOUND ? "" : reader.message;
}

static void checkpoints(void **state) {
    (void)state;
    assert_string_equal(checkpoint_wrong(""), "");
    assert_string_equal(checkpoint_wrong("0\n0\n"), "");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 5\n"), "");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 5"), "");
    assert_string_equal(checkpoint_wrong("x\n"), "line 1: a version was expected");
    assert_string_equal(checkpoint_wrong("1\n0\n"), "line 1: unknown version 1");
    assert_string_equal(checkpoint_wrong("0\n"), "line 2: the number of entries was expected");
    assert_string_equal(checkpoint_wrong("0\n-1\n"), "line 2: the number of entries was expected");
    assert_string_equal(checkpoint_wrong("0\n2\nt 0 5\n"), "line 4: 1 more entries were announced");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 5\nt 1 5\n"),
                        "line 4: more lines than entries were announced");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0\n"), "line 3: 3 fields were expected");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 5 6\n"), "line 3: 3 fields were expected");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 99999999999999999999\n"),
                        "line 3: \"99999999999999999999\" is no number in range");
    assert_string_equal(checkpoint_wrong("0\n1\nt 0 -5\n"), "line 3: \"-5\" is no number in range");
}

static void epochs_are(const struct leader_epochs *epochs, const char *text) {
    struct buffer out = {0};
    leader_epochs_format(epochs, &out);
    buffer_add(&out, "", 1);
    assert_string_equal((char *)out.data, text);
    buffer_done(&out);
}

static void leader_epochs(void **state) {
    (void)state;
    struct leader_epochs epochs = {0};
    int32_t epoch;
    int64_t end_offset;
    leader_epochs_end(&epochs, 3, 100, &epoch, &end_offset);
    assert_int_equal(epoch, -1);
    assert_true(leader_epochs_assign(&epochs, 2, 0));
    assert_false(leader_epochs_assign(&epochs, 2, 10));
    assert_true(leader_epochs_assign(&epochs, 4, 10));
    assert_true(leader_epochs_assign(&epochs, 5, 20));
    epochs_are(&epochs, "0\n3\n2 0\n4 10\n5 20\n");
    static const struct {
        int32_t asked, epoch;
        int64_t end_offset;
    } ends[] = {{5, 5, 100}, {4, 4, 20},  {3, 2, 10},  {2, 2, 10},
                {1, 1, 0},   {6, -1, -1}, {-1, -1, -1}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        leader_epochs_end(&epochs, ends[i].asked, 100, &epoch, &end_offset);
        assert_int_equal(epoch, ends[i].epoch);
        assert_int_equal(end_offset, ends[i].end_offset);
    }
    assert_int_equal(leader_epochs_of(&epochs, 15), 4);
    assert_true(leader_epochs_truncate_start(&epochs, 12));
    assert_false(leader_epochs_truncate_start(&epochs, 12));
    epochs_are(&epochs, "0\n2\n4 12\n5 20\n");
    assert_true(leader_epochs_truncate_end(&epochs, 20));
    assert_false(leader_epochs_truncate_end(&epochs, 20));
    epochs_are(&epochs, "0\n1\n4 12\n");
    assert_true(leader_epochs_assign(&epochs, 7, 5)); /* contradicts what was known */
    epochs_are(&epochs, "0\n1\n7 5\n");
    leader_epochs_done(&epochs);
}

static const char *meta_wrong(const char *text, struct log_meta *meta) {
    const char *wrong = meta_properties_parse(text, strlen(text), meta);
    return wrong == NULL ? "" : wrong;
}

static void meta_properties(void **state) {
    (void)state;
    struct log_meta meta;
    assert_string_equal(meta_wrong("#\n# Sat Nov 21\nversion=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n"
                                   "node.id=7\ndirectory.id=d-3nJoR_QkWNhZs_oBG3hw\n",
                                   &meta),
                        "");
    assert_int_equal(meta.version, 1);
    assert_int_equal(meta.node_id, 7);
    assert_string_equal(meta.cluster_id, "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_true(meta.has_directory_id);
    struct buffer out = {0};
    meta_properties_format(&meta, &out);
    struct log_meta again;
    assert_null(meta_properties_parse((char *)out.data, out.size, &again));
    assert_memory_equal(&again, &meta, sizeof meta);
    buffer_done(&out);
    assert_string_equal(meta_wrong("version: 0\nbroker.id = 3\n", &meta), "");
    assert_int_equal(meta.node_id, 3);
    assert_int_equal(meta.version, 0);
    assert_string_equal(meta_wrong("version=1\ncluster.id=a\\=b\\:c\nnode.id=1", &meta), "");
    assert_string_equal(meta.cluster_id, "a=b:c");
    assert_string_equal(meta_wrong("", &meta), "version is missing");
    assert_string_equal(meta_wrong("version=2\n", &meta), "unknown version");
    assert_string_equal(meta_wrong("version=1\nnode.id=1\n", &meta), "cluster.id is missing");
    assert_string_equal(meta_wrong("version=1\ncluster.id=x\n", &meta), "node.id is missing");
    assert_string_equal(meta_wrong("version=1\nnode.id=-1\n", &meta),
                        "node.id is no number from 0 to 2147483647");
    assert_string_equal(meta_wrong("directory.id=x\n", &meta),
                        "directory.id is no id of 22 base64url characters");
}

static void partition_metadata_and_marker(void **state) {
    (void)state;
    struct buffer out = {0};
    partition_metadata_format(UUID_ONE, &out);
    assert_int_equal(out.size, 43);
    struct uuid id;
    assert_null(partition_metadata_parse((char *)out.data, out.size, &id));
    assert_true(uuid_equal(id, UUID_ONE));
    assert_non_null(partition_metadata_parse((char *)out.data, 42, &id));
    assert_non_null(partition_metadata_parse("version: 1\n", 11, &id));
    buffer_clear(&out);
    clean_shutdown_format(123, &out);
    assert_int_equal(clean_shutdown_parse((char *)out.data, out.size), 123);
    assert_int_equal(clean_shutdown_parse("", 0), -1);
    assert_int_equal(clean_shutdown_parse("{\"brokerEpoch\" : 5}", 18), 5);
    buffer_done(&out);
}

static void folder_is(const char *name, const char *topic, int32_t partition,
                      enum log_folder_kind kind) {
    struct log_folder folder;
    assert_int_equal(log_folder_parse(name, &folder), ERR_OK);
    assert_true(str_equal(folder.topic, str_from_c(topic)));
    assert_int_equal(folder.partition, partition);
    assert_int_equal(folder.kind, kind);
}

static void folder_names(void **state) {
    (void)state;
    folder_is("t-0", "t", 0, LOG_FOLDER_CURRENT);
    folder_is("a-b.c_d-12", "a-b.c_d", 12, LOG_FOLDER_CURRENT);
    folder_is("__cluster_metadata-0", "__cluster_metadata", 0, LOG_FOLDER_CURRENT);
    folder_is("t-1.0123456789abcdef0123456789abcdef-delete", "t", 1, LOG_FOLDER_DELETED);
    folder_is("t-1.0123456789abcdef0123456789abcdef-future", "t", 1, LOG_FOLDER_FUTURE);
    folder_is("t.x-1.0123456789abcdef0123456789abcdef-stray", "t.x", 1, LOG_FOLDER_STRAY);
    static const char *const none[] = {
        "",      "t",   "t-",         "-0",
        "t-x",   "t--", "lost+found", "t-99999999999",
        "a b-0", ".-0", "..-1",       "t-1.0123456789abcdef0123456789abcde-delete"};
    struct log_folder folder;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(log_folder_parse(none[i], &folder), ERR_MALFORMED);
    }
    char topic[249], name[LOG_FOLDER_NAME_MAX + 1];
    memset(topic, 'x', sizeof topic);
    struct str longest = {.data = topic, .size = sizeof topic};
    log_folder_format(longest, 1234, LOG_FOLDER_CURRENT, UUID_ZERO, name);
    assert_int_equal(strlen(name), 254);
    assert_int_equal(log_folder_parse(name, &folder), ERR_OK);
    log_folder_format(longest, 1234, LOG_FOLDER_DELETED, UUID_ONE, name);
    assert_int_equal(strlen(name), 255);
    assert_int_equal(log_folder_parse(name, &folder), ERR_OK);
    assert_int_equal(folder.partition, 1234);
    log_folder_format(STR("t"), 7, LOG_FOLDER_STRAY, UUID_ONE, name);
    assert_string_equal(name, "t-7.00000000000000000000000000000001-stray");
}

static const char *snapshot_wrong(const struct buffer *data, size_t size,
                                  struct producer_state *state) {
    producer_state_clear(state, 0);
    const char *wrong = producer_snapshot_decode(data->data, size, 50, 1000, 10000, state);
    return wrong == NULL ? "" : wrong;
}

static void snapshots_keep_the_whole_window(void **test_state) {
    (void)test_state;
    struct producer_state state;
    producer_state_init(&state, 0);
    struct producer producer = {
        .id = 9, .coordinator_epoch = -1, .last_timestamp_ms = 900, .current_txn_offset = 40};
    sequence_window_init(&producer.window);
    for (int i = 0; i < 7; i++) {
        struct sequence_batch batch = {.first_sequence = 2 * i,
                                       .last_sequence = 2 * i + 1,
                                       .last_offset = 10 * i,
                                       .offset_delta = 1,
                                       .timestamp_ms = 894 + i};
        sequence_window_add(&producer.window, 3, &batch);
    }
    producer_state_load(&state, &producer);
    struct buffer data = {0};
    producer_snapshot_encode(&state, &data);
    assert_int_equal(data.size, 10 + 5 * 46);
    assert_string_equal(snapshot_wrong(&data, data.size, &state), "");
    const struct producer *found = producer_state_get(&state, 9);
    assert_int_equal(found->window.count, SEQUENCE_WINDOW_BATCHES_MAX);
    for (int i = 0; i < SEQUENCE_WINDOW_BATCHES_MAX; i++) {
        assert_int_equal(found->window.batches[i].first_sequence, 2 * (i + 2));
        assert_int_equal(found->window.batches[i].last_sequence, 2 * (i + 2) + 1);
        assert_int_equal(found->window.batches[i].last_offset, 10 * (i + 2));
        assert_int_equal(found->window.batches[i].timestamp_ms, 896 + i);
    }
    assert_int_equal(found->current_txn_offset, 40);
    assert_int_equal(state.open.count, 1);
    buffer_done(&data);
    producer_state_done(&state);
}

static void snapshots(void **test_state) {
    (void)test_state;
    struct producer_state state;
    producer_state_init(&state, 0);
    struct buffer data = {0};
    producer_snapshot_encode(&state, &data);
    assert_int_equal(data.size, 10);
    assert_string_equal(snapshot_wrong(&data, data.size, &state), "");
    struct producer producer = {
        .id = 9, .coordinator_epoch = 4, .last_timestamp_ms = 900, .current_txn_offset = 33};
    sequence_window_init(&producer.window);
    struct sequence_batch batch = {.first_sequence = INT32_MAX - 1,
                                   .last_sequence = 2,
                                   .last_offset = 44,
                                   .offset_delta = 4,
                                   .timestamp_ms = 900};
    sequence_window_add(&producer.window, 3, &batch);
    producer_state_load(&state, &producer);
    producer.id = 10;
    producer.current_txn_offset = -1;
    sequence_window_init(&producer.window);
    sequence_window_set_epoch(&producer.window, 6); /* an epoch of a marker, no batch */
    producer_state_load(&state, &producer);
    producer.id = 11;
    producer.last_timestamp_ms = INT64_MIN; /* has expired when it is read */
    producer_state_load(&state, &producer);
    buffer_clear(&data);
    producer_snapshot_encode(&state, &data);
    assert_int_equal(data.size, 10 + 3 * 46);
    assert_string_equal(snapshot_wrong(&data, data.size, &state), "");
    assert_int_equal(state.end_offset, 50);
    assert_int_equal(map_count(&state.producers), 2);
    const struct producer *found = producer_state_get(&state, 9);
    assert_int_equal(found->window.epoch, 3);
    assert_int_equal(found->window.batches[0].first_sequence, batch.first_sequence);
    assert_int_equal(found->window.batches[0].last_sequence, batch.last_sequence);
    assert_int_equal(found->window.batches[0].last_offset, batch.last_offset);
    assert_int_equal(found->window.batches[0].timestamp_ms, 900);
    assert_int_equal(found->coordinator_epoch, 4);
    assert_int_equal(producer_state_first_unstable(&state), 33);
    found = producer_state_get(&state, 10);
    assert_int_equal(found->window.epoch, 6);
    assert_int_equal(found->window.count, 0);
    assert_string_equal(snapshot_wrong(&data, 5, &state), "shorter than its header");
    assert_string_equal(snapshot_wrong(&data, data.size - 1, &state), "checksum does not match");
    data.data[1] = 2;
    assert_string_equal(snapshot_wrong(&data, data.size, &state), "unknown version");
    buffer_done(&data);
    producer_state_done(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(leader_epochs),
        cmocka_unit_test(meta_properties),
        cmocka_unit_test(partition_metadata_and_marker),
        cmocka_unit_test(folder_names),
        cmocka_unit_test(snapshots),
        cmocka_unit_test(snapshots_keep_the_whole_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
