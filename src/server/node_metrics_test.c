/* What the page of metrics shows of a node that was used. */
#include <stdio.h>
#include <string.h>

#include "server/node_fixture_test.h"

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer;
    struct buffer page;
};

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", 2), 0);
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    buffer_done(&test->page);
    peer_close(&test->peer);
    fixture_done(&test->f);
    return 0;
}

static void read_page(struct test *test) {
    fixture_run_for(&test->f, 10);
    buffer_clear(&test->page);
    metrics_render(node_metrics(test->machine->node), sim_world_now_ms(test->f.world), &test->page);
    buffer_add(&test->page, "", 1);
}

/* Whether the page has a line that begins like this. */
static bool has(struct test *test, const char *start) {
    char line[256];
    (void)snprintf(line, sizeof line, "\n%s", start);
    return strstr((const char *)test->page.data, line) != NULL;
}

#define assert_line(test, start)                                                                   \
    do {                                                                                           \
        if (!has(test, start)) {                                                                   \
            fail_msg("no line '%s'", start);                                                       \
        }                                                                                          \
    } while (0)

static void requests(void **state) {
    struct test *test = *state;
    assert_int_equal(produce(&test->peer, "t", 0, 3), 0);
    assert_int_equal(produce(&test->peer, "t", 0, 3), 3);
    assert_int_equal(produce(&test->peer, "t", 7, 1), -ERR_UNKNOWN_TOPIC_OR_PARTITION);
    (void)end_of(&test->peer, "t", 0);
    read_page(test);
#define OF(name, labels) "kafka_network_requestmetrics_" name "{request=\"" labels "} "
    assert_line(test, OF("requests_total", "Produce\",version=\"9\"") "3");
    assert_false(has(test,
                     "kafka_network_requestmetrics_requests_total{request=\"Produce\",version="
                     "\"8\""));
    assert_false(has(test, "kafka_network_requestmetrics_requests_total{request=\"DeleteRecords"));
    assert_line(test, OF("errors_total", "Produce\",error=\"NONE\"") "2");
    assert_line(test, OF("errors_total", "Produce\",error=\"UNKNOWN_TOPIC_OR_PARTITION\"") "1");
    assert_line(test, OF("totaltimems_count", "Produce\"") "3");
    assert_line(test, OF("totaltimems_count", "Fetch\"") "1");
    assert_line(test, OF("totaltimems_count", "FetchConsumer\"") "1");
#undef OF
}

static void topics_and_partitions(void **state) {
    struct test *test = *state;
    assert_int_equal(produce(&test->peer, "t", 0, 3), 0);
    (void)end_of(&test->peer, "t", 0);
    read_page(test);
    static const char *const lines[] = {
        "kafka_server_brokertopicmetrics_messagesin_total 3\n",
        "kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"} 3\n",
        "kafka_server_brokertopicmetrics_bytesout_total{topic=\"t\"} ",
        "kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"} 3\n",
        "kafka_log_log_logendoffset{topic=\"t\",partition=\"1\"} 0\n",
        "kafka_cluster_partition_replicascount{topic=\"t\",partition=\"1\"} 1\n",
        "kafka_cluster_partition_insyncreplicascount{topic=\"t\",partition=\"1\"} 1\n",
        "kafka_cluster_partition_atminisr{topic=\"t\",partition=\"1\"} 1\n",
        "kafka_cluster_partition_underminisr{topic=\"t\",partition=\"1\"} 0\n",
        "kafka_cluster_partition_laststableoffsetlag{topic=\"t\",partition=\"0\"} 0\n",
        "kafka_server_replicamanager_partitioncount 2\n",
        "kafka_server_replicamanager_leadercount 2\n",
        "kafka_server_replicamanager_atminisrpartitioncount 2\n",
        "kafka_server_replicamanager_underreplicatedpartitions 0\n",
        "kafka_log_logmanager_offlinelogdirectorycount 0\n",
        "kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/data\"} 0\n",
        "kafka_topic_partitions{topic=\"t\"} 2\n",
        "kafka_topic_partition_current_offset{topic=\"t\",partition=\"0\"} 3\n",
        "kafka_topic_partition_leader{topic=\"t\",partition=\"0\"} 1\n",
        "kafka_topic_partition_leader_is_preferred{topic=\"t\",partition=\"0\"} 1\n",
        "kafka_topic_partition_in_sync_replica{topic=\"t\",partition=\"0\"} 1\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_line(test, lines[i]);
    }
    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    read_page(test);
    assert_null(strstr((const char *)test->page.data, "topic=\"t\""));
}

static void the_node(void **state) {
    struct test *test = *state;
    read_page(test);
    static const char *const lines[] = {
        "kafka_server_kafkaserver_brokerstate 3\n",
        "kafka_controller_kafkacontroller_activecontrollercount 1\n",
        "kafka_controller_kafkacontroller_activebrokercount 1\n",
        "kafka_controller_kafkacontroller_fencedbrokercount 0\n",
        "kafka_controller_kafkacontroller_brokerregistrationstate{broker=\"1\"} 30\n",
        "kafka_controller_kafkacontroller_globaltopiccount 1\n",
        "kafka_controller_kafkacontroller_globalpartitioncount 2\n",
        "kafka_controller_kafkacontroller_offlinepartitionscount 0\n",
        "kafka_server_metadataloader_currentcontrollerid 1\n",
        "kafka_server_metadataloader_currentmetadataversion 30\n",
        "kafka_server_metadataloader_finalizedlevel{featureName=\"metadataVersion\"} 30\n",
        "kafka_server_metadataloader_finalizedlevel{featureName=\"kraftVersion\"} 1\n",
        "kafka_server_delayedoperationpurgatory_numdelayedoperations{delayedOperation=\"Fetch\"} "
        "0\n",
        "kafka_coordinator_group_groupmetadatamanager_numgroups 0\n",
        "kafka_server_group_coordinator_metrics_offset_commit_count 0\n",
        "kafka_server_group_coordinator_metrics_offset_expiration_count 0\n",
        "kafka_server_group_coordinator_metrics_offset_deletion_count 0\n",
        "kafka_server_group_coordinator_metrics_group_completed_rebalance_count 0\n",
        "kafka_server_group_coordinator_metrics_consumer_group_rebalance_count 0\n",
        "kafka_brokers 1\n",
        "kafka_server_replicamanager_produceridcount 0\n",
        "kafka_server_replicamanager_partitionswithlatetransactionscount 0\n",
        "kafka_coordinator_transaction_transactionmarkerchannelmanager_unknowndestinationqueuesize "
        "0\n",
        "kafka_coordinator_transaction_transactionmarkerchannelmanager_logappendretryqueuesize 0\n",
        "kafka_server_addpartitionstotxnmanager_verificationfailurerate_total 0\n",
        "kafka_server_addpartitionstotxnmanager_verificationtimems_count 0\n",
        "ottla_transactions_ended_total{by=\"timeout\"} 0\n",
        "ottla_transactions_hung_total{end=\"commit\"} 0\n",
        "ottla_reactor_stall_max_seconds{reactor=\"1\"} ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_line(test, lines[i]);
    }
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &test->peer, "t", 0, 100, 1, &response);
    read_page(test);
    assert_line(test, "kafka_server_delayedoperationpurgatory_numdelayedoperations{"
                      "delayedOperation=\"Fetch\"} 1\n");
    assert_int_equal(call_wait(&fetch), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests),
        TEST(topics_and_partitions),
        TEST(the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
