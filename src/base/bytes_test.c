#include "base/bytes.h"
#include "base/list.h"
#include "base/test.h"

static void test_numbers(void **state) {
    (void)state;
    uint8_t p[9];
    put_be16(p + 1, 0x1234);
    assert_int_equal(p[1], 0x12);
    assert_int_equal(get_be16(p + 1), 0x1234);
    put_be32(p + 1, 0x12345678);
    assert_int_equal(p[4], 0x78);
    assert_int_equal(get_be32(p + 1), 0x12345678);
    put_be64(p + 1, 0x123456789abcdef0);
    assert_int_equal(p[1], 0x12);
    assert_true(get_be64(p + 1) == 0x123456789abcdef0);
}

static void test_compare(void **state) {
    (void)state;
    assert_true(str_equal(STR("a"), str_from_c("a")));
    assert_false(str_equal(STR(""), STR_NULL));
    assert_true(str_equal(STR_NULL, str_from_c(NULL)));
    assert_true(str_compare(STR_NULL, STR("")) < 0);
    assert_true(str_compare(STR(""), STR("a")) < 0);
    assert_true(str_compare(STR("ab"), STR("a")) > 0);
    assert_true(str_compare(STR("ab"), STR("b")) < 0);
    assert_int_equal(str_compare(STR("ab"), STR("ab")), 0);
    assert_int_equal(str_compare(STR_NULL, STR_NULL), 0);
}

struct member {
    int number;
    struct list link;
};

static void test_list(void **state) {
    (void)state;
    struct list head;
    struct list other;
    struct member members[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    list_init(&other);
    assert_null(list_first(&head));
    list_add_last(&head, &members[1].link);
    list_add_first(&head, &members[0].link);
    list_add_last(&other, &members[2].link);
    list_add_last(&other, &members[3].link);
    list_splice_last(&head, &other);
    assert_true(list_empty(&other));
    int expected = 0;
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &head) {
        assert_int_equal(container_of(link, struct member, link)->number, expected++);
        list_remove(link);
        assert_false(list_linked(link));
    }
    assert_int_equal(expected, 4);
    assert_null(list_take_first(&head));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
