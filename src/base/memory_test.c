/* Arenas, buffers, heaps and the generator. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "base/test.h"

static void test_arena(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (int round = 0; round < 3; round++) {
        uint8_t *pieces[300];
        for (size_t i = 0; i < 300; i++) {
            pieces[i] = arena_alloc(&arena, i * 7);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i, i * 7);
        }
        uint8_t *large = arena_alloc_zero(&arena, 3 << 20);
        assert_int_equal(large[(3 << 20) - 1], 0);
        for (size_t i = 1; i < 300; i++) {
            assert_int_equal(pieces[i][0], (uint8_t)i);
            assert_int_equal(pieces[i][i * 7 - 1], (uint8_t)i);
        }
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
    struct str text = arena_printf(&arena, "%s-%d", "topic", 7);
    assert_true(str_equal(text, STR("topic-7")));
    assert_string_equal(arena_c_str(&arena, text), "topic-7");
    assert_true(str_equal(arena_str(&arena, STR("")), STR("")));
    assert_true(str_equal(arena_str(&arena, STR_NULL), STR_NULL));
    arena_done(&arena);
}

static void test_arena_bound(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024);
    char *piece = arena_alloc(&arena, 512);
    strcpy(piece, "kept");
    assert_null(arena_alloc(&arena, 1024));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_grow(&arena, piece, 512, 2000));
    char *grown = arena_grow(&arena, piece, 512, 1000);
    assert_ptr_equal(grown, piece);
    assert_string_equal(grown, "kept");
    assert_null(arena_str(&arena, STR("xxxxxxxxxxxxxxxxxxxxxxxxx")).data);
    arena_done(&arena);
}

static void test_arena_grow(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    size_t size = 0;
    uint8_t *piece = NULL;
    for (int i = 0; i < 2000; i++) {
        piece = arena_grow(&arena, piece, size, size + 11);
        memset(piece + size, i, 11);
        size += 11;
        if (i % 100 == 0) {
            (void)arena_alloc(&arena, 1);
        }
    }
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(piece[i * 11], (uint8_t)i);
    }
    arena_done(&arena);
}

/* Two lists that grow in turn, so that neither is ever the last piece. */
static void test_arena_extend(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    uint32_t *lists[2] = {NULL, NULL};
    for (uint32_t i = 0; i < COUNT; i++) {
        for (int k = 0; k < 2; k++) {
            lists[k] = arena_extend(&arena, lists[k], i, 1, sizeof *lists[k]);
            lists[k][i] = i + (uint32_t)k;
        }
    }
    assert_true(arena.used < (size_t)10 * COUNT * sizeof *lists[0]);
    lists[0] = arena_extend(&arena, lists[0], COUNT, 3 * (size_t)COUNT, sizeof *lists[0]);
    memset(lists[0] + COUNT, 0, 3 * COUNT * sizeof *lists[0]);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(lists[0][i], i);
        assert_int_equal(lists[1][i], i + 1);
    }
    arena_done(&arena);
    arena_init(&arena, 64);
    assert_null(arena_extend(&arena, NULL, 0, 100, 1));
    arena_done(&arena);
}

static void test_buffer(void **state) {
    (void)state;
    struct buffer buffer = {0};
    buffer_add(&buffer, NULL, 0);
    assert_int_equal(buffer.size, 0);
    for (int i = 0; i < 1000; i++) {
        buffer_add_str(&buffer, STR("abc"));
        buffer_printf(&buffer, "%03d", i);
    }
    assert_int_equal(buffer.size, 6000);
    assert_memory_equal(buffer.data + 5994, "abc999", 6);
    *buffer_extend(&buffer, 1) = 'x';
    size_t size;
    uint8_t *data = buffer_steal(&buffer, &size);
    assert_int_equal(size, 6001);
    assert_int_equal(data[6000], 'x');
    assert_null(buffer.data);
    free(data);
    assert_non_null(buffer_reserve(&buffer, 0));
    buffer_done(&buffer);
}

struct item {
    struct heap_node node;
    uint64_t key;
};

static bool item_before(const struct heap_node *a, const struct heap_node *b) {
    return container_of(a, struct item, node)->key < container_of(b, struct item, node)->key;
}

static void test_heap(void **state) {
    (void)state;
    enum { COUNT = 500 };
    static struct item items[COUNT];
    struct heap heap;
    struct rng rng;
    rng_init(&rng, 3);
    heap_init(&heap, item_before);
    assert_null(heap_top(&heap));
    for (int i = 0; i < COUNT; i++) {
        items[i].key = rng_below(&rng, 1000);
        heap_push(&heap, &items[i].node);
    }
    for (int i = 0; i < COUNT; i += 3) {
        heap_remove(&heap, &items[i].node);
        assert_false(heap_contains(&items[i].node));
        heap_remove(&heap, &items[i].node);
        items[(i + 1) % COUNT].key = rng_below(&rng, 1000);
        heap_update(&heap, &items[(i + 1) % COUNT].node);
    }
    uint64_t last = 0;
    size_t count = 0;
    for (struct heap_node *top; (top = heap_top(&heap)) != NULL; count++) {
        struct item *item = container_of(top, struct item, node);
        assert_true(item->key >= last);
        last = item->key;
        heap_remove(&heap, top);
    }
    assert_int_equal(count, COUNT - (COUNT + 2) / 3);
    heap_done(&heap);
}

static void test_rng(void **state) {
    (void)state;
    struct rng a;
    struct rng b;
    rng_init(&a, 42);
    rng_init(&b, 42);
    int hits = 0;
    for (int i = 0; i < 10000; i++) {
        assert_true(rng_next(&a) == rng_next(&b));
        assert_true(rng_below(&a, 10) < 10);
        hits += rng_one_in(&a, 10);
        b = a;
    }
    assert_in_range(hits, 850, 1150);
    assert_int_equal(rng_one_in(&a, 0), 0);
    assert_int_equal(rng_below(&a, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),      cmocka_unit_test(test_arena_bound),
        cmocka_unit_test(test_arena_grow), cmocka_unit_test(test_arena_extend),
        cmocka_unit_test(test_buffer),     cmocka_unit_test(test_heap),
        cmocka_unit_test(test_rng),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
