#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/test.h"

/* The check value of the catalogue of CRCs, and the examples of RFC 3720, appendix B.4. */
static void test_known(void **state) {
    (void)state;
    uint8_t data[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x62a8ab43);
}

/* Every size around the lanes, at several alignments, against the table. */
static void test_sizes(void **state) {
    (void)state;
    enum { SIZE_MAX_TESTED = 8200 };
    struct rng rng;
    rng_init(&rng, 1);
    uint8_t *data = malloc(SIZE_MAX_TESTED + 8);
    assert_non_null(data);
    rng_bytes(&rng, data, SIZE_MAX_TESTED + 8);
    for (size_t size = 0; size <= SIZE_MAX_TESTED; size += size < 900 ? 1 : 13) {
        const uint8_t *start = data + size % 8;
        uint32_t expected = crc32c_by_table(0, start, size);
        assert_int_equal(crc32c(0, start, size), expected);
        size_t cut = rng_below(&rng, size + 1);
        assert_int_equal(crc32c(crc32c(0, start, cut), start + cut, size - cut), expected);
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
