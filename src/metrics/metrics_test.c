#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"
#include "metrics/name.h"

/* --- names --- */

/* What the JMX exporter makes of Kafka's MBeans. */
static const struct {
    enum metrics_name_kind kind;
    const char *group, *type, *name;
    const char *exported;
} known_names[] = {
    {METRICS_NAME_TOTAL, "kafka.server", "BrokerTopicMetrics", "MessagesInPerSec",
     "kafka_server_brokertopicmetrics_messagesin_total"},
    {METRICS_NAME_TOTAL, "kafka.network", "RequestMetrics", "RequestsPerSec",
     "kafka_network_requestmetrics_requests_total"},
    {METRICS_NAME_TOTAL, "kafka.controller", "ControllerStats", "UncleanLeaderElectionsPerSec",
     "kafka_controller_controllerstats_uncleanleaderelections_total"},
    {METRICS_NAME_VALUE, "kafka.server", "ReplicaManager", "UnderReplicatedPartitions",
     "kafka_server_replicamanager_underreplicatedpartitions"},
    {METRICS_NAME_VALUE, "kafka.controller", "KafkaController", "ActiveControllerCount",
     "kafka_controller_kafkacontroller_activecontrollercount"},
    {METRICS_NAME_VALUE, "kafka.network", "SocketServer", "NetworkProcessorAvgIdlePercent",
     "kafka_network_socketserver_networkprocessoravgidlepercent"},
    {METRICS_NAME_PERCENT, "kafka.server", "KafkaRequestHandlerPool",
     "RequestHandlerAvgIdlePercent",
     "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent"},
    {METRICS_NAME_VALUE, "kafka.network", "RequestMetrics", "TotalTimeMs",
     "kafka_network_requestmetrics_totaltimems"},
    {METRICS_NAME_COUNT, "kafka.network", "RequestMetrics", "TotalTimeMs",
     "kafka_network_requestmetrics_totaltimems_count"},
    {METRICS_NAME_COUNT, "kafka.log", "LogFlushStats", "LogFlushRateAndTimeMs",
     "kafka_log_logflushstats_logflushrateandtimems_count"},
    {METRICS_NAME_VALUE, "kafka.server", "raft-metrics", "current-epoch",
     "kafka_server_raft_metrics_current_epoch"},
    {METRICS_NAME_TOTAL, "kafka.server", "socket-server-metrics", "connection-creation-total",
     "kafka_server_socket_server_metrics_connection_creation_total"},
    {METRICS_NAME_TOTAL, "kafka.server", "group-coordinator-metrics", "offset-commit-count",
     "kafka_server_group_coordinator_metrics_offset_commit_count"},
    {METRICS_NAME_VALUE, "kafka.log", "LogCleaner", "cleaner-recopy-percent",
     "kafka_log_logcleaner_cleaner_recopy_percent"},
    {METRICS_NAME_VALUE, "kafka.coordinator.group", "GroupMetadataManager", "NumGroups",
     "kafka_coordinator_group_groupmetadatamanager_numgroups"},
    {METRICS_NAME_VALUE, NULL, NULL, "kafka_topic_partitions", "kafka_topic_partitions"},
};

static void names_are_those_of_the_exporter(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++) {
        struct metrics_id id = {
            known_names[i].group, known_names[i].type, known_names[i].name, {{0}}};
        struct buffer out = {0};
        metrics_name_add(&out, known_names[i].kind, &id);
        assert_string_equal((const char *)out.data, known_names[i].exported);
        buffer_done(&out);
    }
}

/* --- the page --- */

static char *render(struct metrics *metrics, int64_t now_ms) {
    struct buffer out = {0};
    metrics_render(metrics, now_ms, &out);
    buffer_add(&out, "", 1);
    return (char *)buffer_steal(&out, &(size_t){0});
}

static void collect_brokers(void *arg, struct metrics_page *page) {
    struct metrics_id brokers = {.name = "kafka_brokers"};
    metrics_emit(page, METRICS_GAUGE, &brokers, *(int *)arg);
    for (int i = 0; i < 2; i++) {
        char partition[8];
        snprintf(partition, sizeof partition, "%d", i);
        struct metrics_id id = {.name = "kafka_topic_partition_current_offset",
                                .labels = {{"topic", "a"}, {"partition", partition}}};
        metrics_emit(page, METRICS_GAUGE, &id, 10.5 * i);
    }
    struct metrics_id idle = {
        "kafka.server", "KafkaRequestHandlerPool", "RequestHandlerAvgIdlePercent", {{0}}};
    metrics_emit(page, METRICS_PERCENT, &idle, 0.25);
}

static void page_groups_families_and_escapes_labels(void **state) {
    (void)state;
    struct metrics *metrics = metrics_new(NULL, 2);
    struct metrics_id id = {"kafka.server", "BrokerTopicMetrics", "BytesInPerSec", {{0}}};
    struct metrics_counter *all = metrics_counter_get(metrics, &id, METRICS_SHARDED);
    metrics_count_at(all, 0, 5);
    metrics_count_at(all, 1, 7);
    id.labels[0] = (struct metrics_label){"topic", "we\"ird\\\n"};
    struct metrics_counter *topic = metrics_counter_get(metrics, &id, 0);
    metrics_count(topic, 3);
    struct metrics_id leader = {"kafka.server", "ReplicaManager", "LeaderCount", {{0}}};
    metrics_gauge_set(metrics_gauge_get(metrics, &leader), -2);
    int brokers = 1;
    struct metrics_collector *collector = metrics_collector_add(metrics, collect_brokers, &brokers);

    char *page = render(metrics, 0);
    assert_string_equal(
        page, "# TYPE kafka_brokers gauge\n"
              "kafka_brokers 1\n"
              "# TYPE kafka_server_brokertopicmetrics_bytesin_total counter\n"
              "kafka_server_brokertopicmetrics_bytesin_total 12\n"
              "kafka_server_brokertopicmetrics_bytesin_total{topic=\"we\\\"ird\\\\\\n\"} 3\n"
              "# TYPE kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent gauge\n"
              "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent 0.25\n"
              "# TYPE kafka_server_replicamanager_leadercount gauge\n"
              "kafka_server_replicamanager_leadercount -2\n"
              "# TYPE kafka_topic_partition_current_offset gauge\n"
              "kafka_topic_partition_current_offset{topic=\"a\",partition=\"0\"} 0\n"
              "kafka_topic_partition_current_offset{topic=\"a\",partition=\"1\"} 10.5\n");
    free(page);

    metrics_collector_remove(metrics, collector);
    metrics_counter_put(metrics, topic);
    page = render(metrics, 0);
    assert_null(strstr(page, "topic="));
    assert_null(strstr(page, "kafka_brokers"));
    free(page);
    metrics_free(metrics);
}

static void same_id_is_the_same_metric_until_all_gave_it_back(void **state) {
    (void)state;
    struct metrics *metrics = metrics_new(NULL, 1);
    struct metrics_id id = {.name = "things_total"};
    struct metrics_counter *a = metrics_counter_get(metrics, &id, 0);
    struct metrics_counter *b = metrics_counter_get(metrics, &id, 0);
    assert_ptr_equal(a, b);
    metrics_count(a, 1);
    metrics_counter_put(metrics, a);
    char *page = render(metrics, 0);
    assert_string_equal(page, "# TYPE things_total counter\nthings_total 1\n");
    free(page);
    metrics_counter_put(metrics, b);
    page = render(metrics, 0);
    assert_string_equal(page, "");
    free(page);
    assert_int_equal(metrics_counter_value(metrics_counter_get(metrics, &id, 0)), 0);
    metrics_free(metrics);
}

/* --- histograms --- */

static void assert_near(double actual, double expected, double tolerance) {
    if (fabs(actual - expected) > tolerance) {
        fail_msg("%g is not within %g of %g", actual, tolerance, expected);
    }
}

static void percentiles_are_close(void **state) {
    (void)state;
    struct metrics *metrics = metrics_new(NULL, 2);
    struct metrics_id id = {
        "kafka.network", "RequestMetrics", "TotalTimeMs", {{"request", "Produce"}}};
    struct metrics_histogram *histogram =
        metrics_histogram_get(metrics, &id, 0.001, METRICS_SHARDED);
    for (int64_t v = 1; v <= 100000; v++) {
        metrics_observe_at(histogram, (int)(v % 2), v);
    }
    struct metrics_summary summary;
    metrics_histogram_read(histogram, 1000, &summary);
    assert_int_equal(summary.count, 100000);
    assert_near(summary.mean, 50.0005, 0.001);
    assert_near(summary.max, 100, 0.001);
    static const double expected[] = {50, 75, 95, 98, 99, 99.9};
    for (int q = 0; q < METRICS_QUANTILES; q++) {
        assert_near(summary.quantiles[q], expected[q], expected[q] / 16);
    }
    char *page = render(metrics, 1000);
    assert_non_null(strstr(page,
                           "kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile="
                           "\"0.999\"} "));
    assert_non_null(strstr(
        page, "kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"} 100000\n"));
    free(page);
    metrics_free(metrics);
}

static void percentiles_forget_count_does_not(void **state) {
    (void)state;
    enum { MINUTE = 60 * 1000 };
    struct metrics *metrics = metrics_new(NULL, 1);
    struct metrics_id id = {.name = "waits"};
    struct metrics_histogram *histogram = metrics_histogram_get(metrics, &id, 1, 0);
    struct metrics_summary summary;
    metrics_histogram_read(histogram, 0, &summary);
    metrics_observe(histogram, 1000);
    metrics_histogram_read(histogram, 6 * MINUTE, &summary);
    assert_near(summary.quantiles[0], 1000, 1000.0 / 16);
    metrics_observe(histogram, 2);
    metrics_histogram_read(histogram, 12 * MINUTE, &summary);
    assert_near(summary.quantiles[5], 2, 0.01);
    assert_int_equal(summary.count, 2);
    assert_near(summary.max, 1000, 0.01);
    metrics_histogram_read(histogram, 18 * MINUTE, &summary);
    assert_near(summary.quantiles[5], 0, 0.01);
    metrics_free(metrics);
}

static void any_value_has_a_bucket(void **state) {
    (void)state;
    struct metrics *metrics = metrics_new(NULL, 1);
    struct metrics_id id = {.name = "extremes"};
    struct metrics_histogram *histogram = metrics_histogram_get(metrics, &id, 1, 0);
    metrics_observe(histogram, INT64_MAX);
    metrics_observe(histogram, -5);
    for (int bit = 0; bit < 63; bit++) {
        metrics_observe(histogram, (int64_t)1 << bit);
        metrics_observe(histogram, ((int64_t)1 << bit) - 1);
    }
    struct metrics_summary summary;
    metrics_histogram_read(histogram, 0, &summary);
    assert_int_equal(summary.count, 128);
    metrics_free(metrics);
}

/* --- threads --- */

static void take(void *arg) {
    pthread_mutex_lock(arg);
}

static void give(void *arg) {
    pthread_mutex_unlock(arg);
}

enum { ROUNDS = 300 };

static void *come_and_go(void *arg) {
    struct metrics *metrics = arg;
    struct metrics_id id = {.name = "busy_total", .labels = {{"topic", "t"}}};
    struct metrics_id times = {.name = "busy_times"};
    for (int i = 0; i < ROUNDS; i++) {
        struct metrics_counter *counter = metrics_counter_get(metrics, &id, 0);
        struct metrics_histogram *histogram = metrics_histogram_get(metrics, &times, 1, 0);
        metrics_count(counter, 1);
        metrics_observe(histogram, i);
        metrics_histogram_put(metrics, histogram);
        metrics_counter_put(metrics, counter);
    }
    return NULL;
}

static void series_may_go_while_the_page_is_made(void **state) {
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct metrics_guard guard = {take, give, &mutex};
    struct metrics *metrics = metrics_new(&guard, 1);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, metrics), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        free(render(metrics, i));
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    char *page = render(metrics, 0);
    assert_string_equal(page, "");
    free(page);
    metrics_free(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_exporter),
        cmocka_unit_test(page_groups_families_and_escapes_labels),
        cmocka_unit_test(same_id_is_the_same_metric_until_all_gave_it_back),
        cmocka_unit_test(percentiles_are_close),
        cmocka_unit_test(percentiles_forget_count_does_not),
        cmocka_unit_test(any_value_has_a_bucket),
        cmocka_unit_test(series_may_go_while_the_page_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
