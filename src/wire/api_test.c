#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/api.h"
#include "wire/messages.h"

static void test_rows_agree_with_the_schemas(void **state) {
    (void)state;
    int count = 0;
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        const struct wire_api *api = wire_api(key);
        assert_non_null(api);
        assert_int_equal(api->key, key);
        if (api->request == NULL) {
            assert_int_equal(wire_request_header_version(key, 0), -1);
            continue;
        }
        count++;
        assert_int_equal(api->request->key, key);
        assert_int_equal(api->response->key, key);
        assert_int_equal(api->request->versions.low, api->response->versions.low);
        assert_int_equal(api->request->versions.high, api->response->versions.high);
        assert_true(wire_version_valid(api->request, api->versions.low));
        assert_true(wire_version_valid(api->request, api->versions.high));
        assert_true(api->on_broker || api->on_controller);
    }
    assert_int_equal(count, 89);
    assert_null(wire_api(-1));
    assert_null(wire_api(API_KEYS_MAX));
}

static void test_what_a_node_advertises(void **state) {
    (void)state;
    /* Produce 0 to 2 are advertised, for old clients, and not in the schemas. */
    const struct wire_api *produce = wire_api(API_PRODUCE);
    assert_int_equal(produce->versions.low, 3);
    assert_int_equal(produce->broker_advertised.low, 0);
    assert_int_equal(produce->broker_advertised.high, 13);
    assert_true(produce->controller_advertised.high < produce->controller_advertised.low);
    const struct wire_api *init = wire_api(API_INIT_PRODUCER_ID);
    assert_int_equal(init->versions.high, 6);
    assert_int_equal(init->stable_versions.high, 5);
    assert_true(wire_api(API_WRITE_TXN_MARKERS)->cluster_action);
    assert_true(wire_api(API_CREATE_TOPICS)->forwardable);
}

static void test_header_versions(void **state) {
    (void)state;
    assert_int_equal(wire_request_header_version(API_PRODUCE, 8), 1);
    assert_int_equal(wire_request_header_version(API_PRODUCE, 9), 2);
    assert_int_equal(wire_response_header_version(API_PRODUCE, 8), 0);
    assert_int_equal(wire_response_header_version(API_PRODUCE, 9), 1);
    assert_int_equal(wire_request_header_version(API_API_VERSIONS, 3), 2);
    assert_int_equal(wire_response_header_version(API_API_VERSIONS, 3), 0);
    /* A version of the future still has a header that can be read. */
    assert_int_equal(wire_request_header_version(API_API_VERSIONS, 99), 2);
    assert_int_equal(wire_request_header_version(99, 0), -1);
    assert_int_equal(wire_request_header_version(API_LEADER_AND_ISR, 0), -1);
}

static void test_lookups(void **state) {
    (void)state;
    assert_ptr_equal(wire_api_by_name(STR("describeTopicPartitions")),
                     wire_api(API_DESCRIBE_TOPIC_PARTITIONS));
    assert_null(wire_api_by_name(STR("Produc")));
    assert_ptr_equal(wire_metadata_record(2), &topic_record_type);
    assert_null(wire_metadata_record(6));
    assert_null(wire_metadata_record(-1));
    assert_null(wire_metadata_record(1000));
    assert_ptr_equal(wire_coordinator_value("group", 2), &group_metadata_value_type);
    assert_ptr_equal(wire_coordinator_key("group", 2), &group_metadata_key_type);
    assert_ptr_equal(wire_coordinator_key("transaction", 0), &transaction_log_key_type);
    assert_ptr_equal(wire_coordinator_value("share", 1), &share_update_value_type);
    assert_null(wire_coordinator_key("nothing", 0));
    assert_ptr_equal(wire_type_by_name("ProduceRequest"), &produce_request_type);
    assert_null(wire_type_by_name("produceRequest"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_agree_with_the_schemas),
        cmocka_unit_test(test_what_a_node_advertises),
        cmocka_unit_test(test_header_versions),
        cmocka_unit_test(test_lookups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
