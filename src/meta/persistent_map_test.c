#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "meta/persistent_map.h"

enum { KEYS = 1000, ROUNDS = 20000 };

static int alive;

struct thing {
    struct shared shared;
    uint64_t key;
    char name[24];
};

static void thing_free(struct shared *shared) {
    alive--;
    free(shared);
}

static struct thing *thing_new(uint64_t key) {
    struct thing *thing = calloc(1, sizeof *thing);
    shared_init(&thing->shared, thing_free);
    thing->key = key;
    snprintf(thing->name, sizeof thing->name, "%06llu", (unsigned long long)key);
    alive++;
    return thing;
}

/* Every copy must go on holding what it held, whatever happens to the others. */
static void assert_holds(const struct pmap *map, const bool *expected) {
    size_t count = 0;
    struct pmap_walk walk;
    pmap_walk_start(&walk, map);
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct thing *found = pmap_get_u64(map, key);
        assert_int_equal(found != NULL, expected[key]);
        if (expected[key]) {
            assert_int_equal(found->key, key);
            assert_ptr_equal(pmap_walk_next(&walk), found);
            count++;
        }
    }
    assert_null(pmap_walk_next(&walk));
    assert_int_equal(map->count, count);
}

static void copies_are_independent(void **state) {
    (void)state;
    enum { COPIES = 8 };
    static bool expected[COPIES][KEYS];
    struct pmap maps[COPIES] = {0};
    struct rng rng;
    rng_init(&rng, 7);
    for (int round = 0; round < ROUNDS; round++) {
        int which = (int)rng_below(&rng, COPIES);
        uint64_t key = rng_below(&rng, KEYS);
        if (rng_one_in(&rng, 50)) {
            int from = (int)rng_below(&rng, COPIES);
            struct pmap copy = pmap_copy(&maps[from]);
            pmap_done(&maps[which]);
            maps[which] = copy;
            memmove(expected[which], expected[from], sizeof expected[which]);
        } else if (rng_one_in(&rng, 3)) {
            pmap_remove_u64(&maps[which], key);
            expected[which][key] = false;
        } else {
            pmap_put_u64(&maps[which], key, &thing_new(key)->shared);
            expected[which][key] = true;
        }
        if (round % 500 == 0) {
            for (int i = 0; i < COPIES; i++) {
                assert_holds(&maps[i], expected[i]);
            }
        }
    }
    for (int i = 0; i < COPIES; i++) {
        pmap_done(&maps[i]);
    }
    assert_int_equal(alive, 0);
}

static void walks_from_a_key(void **state) {
    (void)state;
    struct pmap map = {0};
    for (uint64_t key = 0; key < 100; key += 2) {
        struct thing *thing = thing_new(key);
        pmap_put(&map, str_bytes(str_from_c(thing->name)), &thing->shared);
    }
    struct pmap_walk walk;
    pmap_walk_from(&walk, &map, str_bytes(STR("000031")));
    for (uint64_t key = 32; key < 100; key += 2) {
        const struct thing *thing = pmap_walk_next(&walk);
        assert_int_equal(thing->key, key);
    }
    assert_null(pmap_walk_next(&walk));
    pmap_walk_from(&walk, &map, str_bytes(STR("000098")));
    assert_int_equal(((const struct thing *)pmap_walk_next(&walk))->key, 98);
    pmap_walk_from(&walk, &map, str_bytes(STR("1")));
    assert_null(pmap_walk_next(&walk));
    pmap_done(&map);
    assert_int_equal(alive, 0);
}

static void a_put_replaces(void **state) {
    (void)state;
    struct pmap map = {0};
    pmap_put_u64(&map, 3, &thing_new(3)->shared);
    struct thing *second = thing_new(3);
    pmap_put_u64(&map, 3, &second->shared);
    assert_int_equal(map.count, 1);
    assert_int_equal(alive, 1);
    assert_ptr_equal(pmap_get_u64(&map, 3), second);
    pmap_remove_u64(&map, 4);
    assert_int_equal(map.count, 1);
    pmap_done(&map);
    assert_int_equal(alive, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(walks_from_a_key),
        cmocka_unit_test(a_put_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
