#include "base/err.h"

#include <string.h>

#include "base/test.h"

static void test_rows(void **state) {
    (void)state;
    for (int code = -1; code <= ERR_SHARE_SESSION_LIMIT_REACHED; code++) {
        err_t err = err_from_kafka_code((int16_t)code);
        assert_int_equal(err, code);
        assert_int_equal(err_kafka_code(err), code);
        assert_true(strlen(err_name(err)) > 3);
        assert_true(strlen(err_text(err)) > 3);
    }
    for (int number = ERR_OWN_FIRST + 1; number < ERR_OWN_LAST; number++) {
        err_t err = (err_t)number;
        assert_true(strlen(err_name(err)) > 1);
        int16_t code = err_kafka_code(err);
        assert_int_not_equal(code, 0);
        assert_true(code <= ERR_SHARE_SESSION_LIMIT_REACHED);
    }
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(err_name(ERR_OK), "NONE");
    assert_string_equal(err_name(ERR_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(err_name(ERR_TRANSACTION_ABORTABLE), "TRANSACTION_ABORTABLE");
    assert_string_equal(err_name(ERR_NO_SPACE), "NO_SPACE");
    assert_string_equal(err_name((err_t)500), "?");
    assert_string_equal(err_name(ERR_OWN_FIRST), "?");
}

static void test_mapping(void **state) {
    (void)state;
    assert_int_equal(err_kafka_code(ERR_NO_SPACE), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(err_kafka_code(ERR_MALFORMED), ERR_INVALID_REQUEST);
    assert_int_equal(err_kafka_code((err_t)500), ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(err_from_kafka_code(9999), ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(err_from_kafka_code(-2), ERR_UNKNOWN_SERVER_ERROR);
    assert_true(err_retriable(ERR_NOT_LEADER_OR_FOLLOWER));
    assert_true(err_retriable(ERR_SHUTTING_DOWN));
    assert_false(err_retriable(ERR_OK));
    assert_false(err_retriable(ERR_INVALID_RECORD));
}

/* How many errors Kafka's clients retry: a slip in the table would change it. */
static void test_retriable_count(void **state) {
    (void)state;
    int count = 0;
    for (int code = -1; code <= ERR_SHARE_SESSION_LIMIT_REACHED; code++) {
        count += err_retriable((err_t)code);
    }
    assert_int_equal(count, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_retriable_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
