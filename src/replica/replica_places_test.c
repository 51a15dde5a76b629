/* In which directory a replica lies, and who knows it. */
#include <string.h>

#include "log/directory.h"
#include "replica/replica_fixture_test.h"
#include "sys/file.h"

enum { PARTITIONS = 4 };

/* What was told last of the partition; zero: nothing. */
static struct uuid told_place(const struct fixture *f, struct uuid id, int32_t index) {
    struct uuid directory = UUID_ZERO;
    for (int i = 0; i < f->place_count; i++) {
        if (uuid_equal(f->places[i].topic_id, id) && f->places[i].index == index) {
            directory = f->places[i].directory;
        }
    }
    return directory;
}

/* The controller takes what it was told. */
static void learn(struct fixture *f) {
    for (int i = 0; i < f->place_count; i++) {
        fixture_directory(f, f->places[i].topic_id, f->places[i].index, f->places[i].directory);
    }
    f->place_count = 0;
    fixture_commit(f);
}

static int volume_of(struct fixture *f, struct uuid id, int32_t index) {
    struct partition *partition = find(f, id, index);
    struct volume *volume = partition_volume(partition);
    partition_unref(partition);
    for (int i = 0; i < f->volume_count; i++) {
        if (f->volumes[i] == volume) {
            return i;
        }
    }
    return -1;
}

static void places_are_told_until_the_metadata_has_them(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 2);
    fixture_start(&f);
    struct uuid id = fixture_topic(&f, "t", PARTITIONS);
    fixture_commit(&f);
    fixture_settle(&f);
    assert_int_equal(f.place_count, PARTITIONS);
    int in_second = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        int volume = volume_of(&f, id, i);
        assert_true(uuid_equal(told_place(&f, id, i), f.volumes[volume]->id));
        in_second += volume;
    }
    assert_int_equal(in_second, PARTITIONS / 2);

    f.place_count =
        0; /* it was not heard: with the next change of the partition it is told again */
    fixture_leader(&f, id, 0, 1);
    fixture_commit(&f);
    assert_int_equal(f.place_count, 1);

    fixture_stop(&f);
    fixture_start(&f); /* and at the next start */
    assert_int_equal(f.place_count, PARTITIONS);
    learn(&f);
    assert_int_equal(f.place_count, 0);
    fixture_stop(&f);
    fixture_start(&f);
    assert_int_equal(f.place_count, 0);

    fixture_directory(&f, id, 0, f.volumes[1 - volume_of(&f, id, 0)]->id);
    fixture_commit(&f); /* who says so is wrong */
    assert_int_equal(f.place_count, 1);
    assert_true(uuid_equal(told_place(&f, id, 0), f.volumes[volume_of(&f, id, 0)]->id));
    fixture_done(&f);
}

/* Somebody moved a folder while the node was down. */
static void a_folder_that_was_moved_is_told(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 2);
    fixture_start(&f);
    struct uuid id = fixture_topic(&f, "t", 1);
    fixture_commit(&f);
    fixture_settle(&f);
    learn(&f);
    assert_int_equal(volume_of(&f, id, 0), 0);
    assert_int_equal(fill(&f, id, 5), 5);
    fixture_stop(&f);
    assert_int_equal(sys_path_rename(f.sys, "/d0/t-0", "/d1/t-0"), ERR_OK);
    fixture_start(&f);
    assert_int_equal(f.place_count, 1);
    assert_true(uuid_equal(told_place(&f, id, 0), f.volumes[1]->id));
    assert_int_equal(records_of(&f, id, 0), 5);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_told_until_the_metadata_has_them),
        cmocka_unit_test(a_folder_that_was_moved_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
