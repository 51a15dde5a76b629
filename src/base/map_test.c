#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/test.h"

static struct bytes key_of(const char *text) {
    return str_bytes(str_from_c(text));
}

static void test_bytes(void **state) {
    (void)state;
    struct map map = {0};
    int values[3];
    assert_null(map_get(&map, key_of("a")));
    assert_null(map_remove(&map, key_of("a")));
    assert_null(map_put(&map, key_of("a"), &values[0]));
    assert_null(map_put(&map, key_of(""), &values[1]));
    assert_ptr_equal(map_put(&map, key_of("a"), &values[2]), &values[0]);
    assert_int_equal(map_count(&map), 2);
    assert_ptr_equal(map_get(&map, key_of("a")), &values[2]);
    assert_ptr_equal(map_get(&map, key_of("")), &values[1]);
    assert_null(map_get(&map, key_of("b")));
    assert_ptr_equal(map_remove(&map, key_of("a")), &values[2]);
    assert_null(map_get(&map, key_of("a")));
    map_clear(&map);
    assert_null(map_get(&map, key_of("")));
    assert_null(map_put(&map, key_of(""), &values[1]));
    map_done(&map);
}

/* Against an array, with numbers that come and go. */
static void test_model(void **state) {
    (void)state;
    enum { KEY_COUNT = 700, STEP_COUNT = 100000 };
    static void *model[KEY_COUNT];
    struct rng rng;
    struct map map;
    rng_init(&rng, 7);
    map_init(&map);
    size_t count = 0;
    for (uintptr_t step = 1; step <= STEP_COUNT; step++) {
        uint64_t key = rng_below(&rng, KEY_COUNT);
        uint64_t number = key == 0 ? UINT64_MAX : key;
        void *old = model[key];
        switch (rng_below(&rng, 3)) {
        case 0:
            assert_ptr_equal(map_put_u64(&map, number, (void *)step), old);
            model[key] = (void *)step;
            count += old == NULL;
            break;
        case 1:
            assert_ptr_equal(map_remove_u64(&map, number), old);
            model[key] = NULL;
            count -= old != NULL;
            break;
        default:
            assert_ptr_equal(map_get_u64(&map, number), old);
        }
        assert_int_equal(map_count(&map), count);
    }
    map_done(&map);
}

static void test_order(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct map map;
    map_init(&map);
    for (uintptr_t i = 1; i <= COUNT; i++) {
        (void)map_put_u64(&map, i * 977, (void *)i);
    }
    size_t cursor;
    void *value;
    uintptr_t expected = 1;
    map_for_each (&map, cursor, value) {
        assert_int_equal((uintptr_t)value, expected);
        if (expected % 2 == 0) {
            assert_ptr_equal(map_remove_u64(&map, expected * 977), value);
        }
        expected++;
    }
    assert_int_equal(expected, COUNT + 1);
    assert_int_equal(map_count(&map), COUNT / 2);
    map_done(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
