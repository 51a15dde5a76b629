/* The bytes that members say to each other, against those that Apache Kafka's ConsumerProtocol and
 * its assignors write. */
#include "client/member_protocol.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/test.h"

static const struct client_assignor *assignor(const char *name) {
    return client_assignor_by_name(str_from_c(name));
}

/* a-1, b-0 and a-0. */
static void three(struct member_set *set) {
    member_set_init(set);
    member_set_add(set, STR("a"), UUID_ZERO, 1);
    member_set_add(set, STR("b"), UUID_ZERO, 0);
    member_set_add(set, STR("a"), UUID_ZERO, 0);
    member_set_finish(set);
}

static void assert_hex(const struct buffer *bytes, const char *hex) {
    char *text = calloc(1, bytes->size * 2 + 1);
    for (size_t i = 0; i < bytes->size; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes->data[i]);
    }
    assert_string_equal(text, hex);
    free(text);
}

static struct bytes from_hex(const char *hex, uint8_t *out) {
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return (struct bytes){out, size};
}

#define RANGE                                                                                      \
    "000300000002000161000162ffffffff0000000200016100000002000000000000000100016200000001000000"   \
    "000000000700027231"
#define STICKY                                                                                     \
    "00030000000200016100016200000022000000020001610000000200000000000000010001620000000100000000" \
    "000000070000000000000007ffff"
#define COOPERATIVE                                                                                \
    "000300000002000161000162000000040000000700000002000161000000020000000000000001000162000000"   \
    "010000000000000007ffff"
#define ASSIGNMENT "0003000000020001610000000200000000000000010001620000000100000000ffffffff"

static void subscriptions_are_kafkas(void **state) {
    (void)state;
    struct member_set owned;
    three(&owned);
    struct member_set none;
    member_set_init(&none);
    const struct str topics[] = {STR("a"), STR("b")};
    struct member_subscription subscription = {.topics = topics,
                                               .topic_count = 2,
                                               .owned = &owned,
                                               .generation = 7,
                                               .rack = STR("r1"),
                                               .last = &owned,
                                               .last_generation = 7};
    struct buffer out = {0};
    member_subscription_write(&subscription, assignor("range"), &out);
    assert_hex(&out, RANGE);
    buffer_clear(&out);
    subscription.rack = STR_NULL;
    member_subscription_write(&subscription, assignor("cooperative-sticky"), &out);
    assert_hex(&out, COOPERATIVE);
    buffer_clear(&out);
    subscription.owned = &none;
    member_subscription_write(&subscription, assignor("sticky"), &out);
    assert_hex(&out, STICKY);
    buffer_clear(&out);
    struct member_subscription first = {.topics = topics,
                                        .topic_count = 1,
                                        .owned = &none,
                                        .generation = -1,
                                        .last_generation = -1};
    member_subscription_write(&first, assignor("sticky"), &out);
    assert_hex(&out, "000300000001000161ffffffff00000000ffffffffffff");
    buffer_done(&out);
    member_set_done(&owned);
    member_set_done(&none);
}

static void assert_claim(const char *hex, const char *name, size_t owned, int32_t generation,
                         struct str rack) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    uint8_t bytes[256];
    struct member_claim claim;
    assert_int_equal(member_subscription_read(from_hex(hex, bytes), assignor(name), &arena, &claim),
                     ERR_OK);
    assert_int_equal(claim.topic_count, 2);
    assert_int_equal(claim.owned_count, owned);
    assert_int_equal(claim.generation, generation);
    assert_true(str_equal(claim.rack, rack));
    if (owned == 3) {
        assert_true(str_equal(claim.owned[1].topic, STR("a")));
        assert_int_equal(claim.owned[1].partition, 1);
    }
    arena_done(&arena);
}

static void subscriptions_of_all_versions_are_read(void **state) {
    (void)state;
    assert_claim(RANGE, "range", 3, 7, STR("r1"));
    assert_claim(COOPERATIVE, "cooperative-sticky", 3, 7, STR_NULL);
    assert_claim(STICKY, "sticky", 3, 7, STR_NULL);
    assert_claim("000000000002000161000162ffffffff", "range", 0, -1, STR_NULL);
    assert_claim("000000000002000161000162ffffffff", "sticky", 0, -1, STR_NULL);
    assert_claim("000100000002000161000162ffffffff0000000200016100000002000000000000000100016200000"
                 "00100000000",
                 "range", 3, -1, STR_NULL);
    /* cooperative-sticky of a version before 2: the generation is in the user data */
    assert_claim(
        "0001000000020001610001620000000400000009000000020001610000000200000000000000010001"
        "620000000100000000",
        "cooperative-sticky", 3, 9, STR_NULL);
    /* sticky's user data before it had a generation, and some that is nonsense */
    assert_claim("0001000000020001610001620000001e0000000200016100000002000000000000000100016200000"
                 "0010000000000000000",
                 "sticky", 3, -1, STR_NULL);
    assert_claim("000000000002000161000162000000067fffffff0000", "sticky", 0, -1, STR_NULL);
    /* a version that does not exist yet */
    assert_claim("000900000002000161000162ffffffff0000000000000003ffff010203", "range", 0, 3,
                 STR_NULL);
}

static void assignments_are_kafkas(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct member_set set;
    three(&set);
    struct buffer out = {0};
    member_assignment_write(set.items, set.count, &arena, &out);
    assert_hex(&out, ASSIGNMENT);
    struct member_set back;
    member_set_init(&back);
    assert_int_equal(member_assignment_read(buffer_bytes(&out), &back), ERR_OK);
    assert_true(member_set_equal(&set, &back));
    buffer_clear(&out);
    member_assignment_write(NULL, 0, &arena, &out);
    assert_hex(&out, "000300000000ffffffff");
    assert_int_equal(member_assignment_read(buffer_bytes(&out), &back), ERR_OK);
    assert_int_equal(back.count, 0);
    assert_int_equal(member_assignment_read((struct bytes){0}, &back), ERR_OK);
    buffer_done(&out);
    member_set_done(&set);
    member_set_done(&back);
    arena_done(&arena);
}

/* Cut off anywhere, and changed at random: an error, or something with bounds. */
static void broken_bytes_do_no_harm(void **state) {
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct member_set set;
    member_set_init(&set);
    const char *const samples[] = {RANGE, STICKY, COOPERATIVE, ASSIGNMENT};
    const char *const names[] = {"range", "sticky", "cooperative-sticky", "range"};
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[256];
        struct bytes sample = from_hex(samples[round % 4], bytes);
        uint8_t *copy = malloc(sample.size); /* so that reading past it is seen */
        memcpy(copy, sample.data, sample.size);
        struct bytes broken = {copy, rng_below(&rng, sample.size + 1)};
        for (uint64_t i = rng_below(&rng, 4); i > 0 && broken.size > 0; i--) {
            copy[rng_below(&rng, broken.size)] = (uint8_t)rng_next(&rng);
        }
        struct member_claim claim;
        (void)member_subscription_read(broken, assignor(names[round % 4]), &arena, &claim);
        (void)member_assignment_read(broken, &set);
        assert_true(set.count <= sizeof bytes);
        arena_reset(&arena);
        free(copy);
    }
    member_set_done(&set);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscriptions_are_kafkas),
        cmocka_unit_test(subscriptions_of_all_versions_are_read),
        cmocka_unit_test(assignments_are_kafkas),
        cmocka_unit_test(broken_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
