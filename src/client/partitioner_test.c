/* Partitioners against what Apache Kafka's and librdkafka's answer. */
#include <string.h>

#include "base/test.h"
#include "client/partitioner.h"
#include "ottla/producer.h"

static struct bytes text(const char *key) {
    return str_bytes(str_from_c(key));
}

static const struct bytes none = {0};

/* From Utils.murmur2 and BuiltInPartitioner.partitionForKey of Apache Kafka 4.3.1. */
static void murmur2_is_kafkas(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint32_t hash;
        int32_t of_7;
        int32_t of_1000;
    } cases[] = {
        {"", 0x106e08d9, 2, 681},
        {"a", 0xa2d0b27c, 5, 524},
        {"ab", 0x12d8262a, 0, 434},
        {"abc", 0x1c94221b, 4, 107},
        {"abcd", 0xb11ab5f4, 5, 100},
        {"21", 0xc5f2f8ec, 3, 340},
        {"foobar", 0xd0e47bbe, 0, 166},
        {"a-little-bit-long-string", 0xc53b1da0, 1, 112},
        {"a-little-bit-longer-string", 0xa768c9c3, 0, 819},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 0xfc7d49cd, 3, 677},
        {"kafka", 0xd067cf64, 3, 580},
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac", 0x2190622f, 4, 447},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ottla_bytes key = {cases[i].key, strlen(cases[i].key)};
        assert_int_equal(ottla_murmur2(key), cases[i].hash);
        struct bytes bytes = text(cases[i].key);
        assert_int_equal(partitioner_by_key(PARTITIONER_DEFAULT, false, bytes, 7), cases[i].of_7);
        assert_int_equal(partitioner_by_key(PARTITIONER_MURMUR2, false, bytes, 1000),
                         cases[i].of_1000);
    }
    uint8_t all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    assert_int_equal(ottla_murmur2((struct ottla_bytes){all, sizeof all}), 0x8bde9476);
}

static void librdkafkas_hashes(void **state) {
    (void)state;
    assert_int_equal(partitioner_fnv1a(text("a")), 468965076);
    assert_int_equal(partitioner_fnv1a(text("foobar")), 1080231576);
    assert_int_equal(partitioner_fnv1a(text("kafka")), 221496545);
    assert_int_equal(partitioner_by_key(PARTITIONER_FNV1A, false, text("kafka"), 7), 4);
    assert_int_equal(partitioner_by_key(PARTITIONER_CONSISTENT, false, text("a"), 7), 4);
    assert_int_equal(partitioner_by_key(PARTITIONER_CONSISTENT, false, text("foobar"), 7), 6);
    assert_int_equal(partitioner_by_key(PARTITIONER_CONSISTENT, false, none, 7), 0);
}

static void without_a_key(void **state) {
    (void)state;
    static const enum partitioner_kind sticky[] = {
        PARTITIONER_DEFAULT, PARTITIONER_CONSISTENT_RANDOM, PARTITIONER_MURMUR2_RANDOM,
        PARTITIONER_FNV1A_RANDOM};
    for (size_t i = 0; i < sizeof sticky / sizeof *sticky; i++) {
        assert_int_equal(partitioner_by_key(sticky[i], false, none, 7), -1);
        assert_true(partitioner_by_key(sticky[i], false, text("k"), 7) >= 0);
    }
    assert_int_equal(partitioner_by_key(PARTITIONER_DEFAULT, true, text("k"), 7), -1);
    assert_int_equal(partitioner_by_key(PARTITIONER_CONSISTENT_RANDOM, false, text(""), 7), -1);
    assert_true(partitioner_by_key(PARTITIONER_MURMUR2_RANDOM, false, text(""), 7) >= 0);
    assert_int_equal(partitioner_by_key(PARTITIONER_MURMUR2, false, none, 7),
                     partitioner_by_key(PARTITIONER_MURMUR2, false, text(""), 7));
}

static void names(void **state) {
    (void)state;
    enum partitioner_kind kind;
    assert_int_equal(partitioner_parse(NULL, &kind), ERR_OK);
    assert_int_equal(kind, PARTITIONER_DEFAULT);
    assert_int_equal(
        partitioner_parse("org.apache.kafka.clients.producer.RoundRobinPartitioner", &kind),
        ERR_OK);
    assert_int_equal(kind, PARTITIONER_ROUND_ROBIN);
    assert_int_equal(partitioner_parse("fnv1a_random", &kind), ERR_OK);
    assert_int_equal(kind, PARTITIONER_FNV1A_RANDOM);
    assert_int_equal(partitioner_parse("com.example.Mine", &kind), ERR_INVALID);
}

/* Queues of 0, 3 and 1 are drawn 4 : 1 : 3. */
static void short_queues_are_drawn_more(void **state) {
    (void)state;
    static const struct partitioner_candidate candidates[] = {{10, 0}, {11, 3}, {12, 1}};
    struct rng rng;
    rng_init(&rng, 1);
    int adaptive[3] = {0}, even[3] = {0};
    for (int i = 0; i < 80000; i++) {
        adaptive[partitioner_draw(candidates, 3, true, &rng) - 10]++;
        even[partitioner_draw(candidates, 3, false, &rng) - 10]++;
    }
    assert_in_range(adaptive[0], 39000, 41000);
    assert_in_range(adaptive[1], 9500, 10500);
    assert_in_range(adaptive[2], 29000, 31000);
    for (int i = 0; i < 3; i++) {
        assert_in_range(even[i], 26000, 27500);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_kafkas),
        cmocka_unit_test(librdkafkas_hashes),
        cmocka_unit_test(without_a_key),
        cmocka_unit_test(names),
        cmocka_unit_test(short_queues_are_drawn_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
