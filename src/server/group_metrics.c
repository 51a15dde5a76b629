/*
 * Groups: how far each has come and how far it is behind, by the names that kafka_exporter made
 * known, and Kafka's own counts of groups and of what they did.
 */
#include <stdio.h>
#include <string.h>

#include "coord/standing.h"
#include "server/node_int.h"
#include "server/node_metrics_int.h"

/* Kafka's counts of classic groups are by these states. */
static const char *const classic_states[] = {"PreparingRebalance", "CompletingRebalance", "Stable",
                                             "Dead", "Empty"};
static const char *const consumer_states[] = {"Assigning", "Reconciling", "Stable", "Dead",
                                              "Empty"};
enum { STATES = 5 };

struct collecting {
    struct metrics_page *page;
    int64_t offset_count;
    int64_t classic_count;
    int64_t consumer_count;
    int64_t classic_by_state[STATES];
    int64_t consumer_by_state[STATES];
    char topic[LOG_TOPIC_NAME_MAX + 1]; /* of the sums below; "" before the first */
    double offset_sum;
    double lag_sum;
    int32_t offsets_left; /* of the group that is being walked */
};

static void count_state(const char *const *names, int64_t *counts, const char *state) {
    for (int i = 0; i < STATES; i++) {
        counts[i] += strcmp(names[i], state) == 0;
    }
}

static void on_group(void *arg, const struct group_standing *group) {
    struct collecting *collecting = arg;
    bool consumer = strcmp(group->type, "consumer") == 0;
    collecting->classic_count += !consumer;
    collecting->consumer_count += consumer;
    collecting->offset_count += group->offset_count;
    collecting->offsets_left = group->offset_count;
    collecting->topic[0] = '\0';
    count_state(consumer ? consumer_states : classic_states,
                consumer ? collecting->consumer_by_state : collecting->classic_by_state,
                group->state);
    emit_labelled(collecting->page, METRICS_GAUGE, NULL, NULL, "kafka_consumergroup_members",
                  (struct metrics_label){"consumergroup", group->id},
                  (struct metrics_label){NULL, NULL}, (double)group->member_count);
}

static void emit_sums(const struct collecting *collecting, const char *group) {
    struct metrics_label labels[] = {{"consumergroup", group}, {"topic", collecting->topic}};
    emit_labelled(collecting->page, METRICS_GAUGE, NULL, NULL,
                  "kafka_consumergroup_current_offset_sum", labels[0], labels[1],
                  collecting->offset_sum);
    emit_labelled(collecting->page, METRICS_GAUGE, NULL, NULL, "kafka_consumergroup_lag_sum",
                  labels[0], labels[1], collecting->lag_sum);
}

static void emit(struct metrics_page *page, const char *name, const char *group,
                 const struct offset_standing *offset, double value) {
    char partition[16];
    (void)snprintf(partition, sizeof partition, "%d", (int)offset->partition);
    struct metrics_id id = {
        .name = name,
        .labels = {{"consumergroup", group}, {"topic", offset->topic}, {"partition", partition}}};
    metrics_emit(page, METRICS_GAUGE, &id, value);
}

static void on_offset(void *arg, const struct group_standing *group,
                      const struct offset_standing *offset) {
    struct collecting *collecting = arg;
    struct metrics_page *page = collecting->page;
    if (strcmp(collecting->topic, offset->topic) != 0) {
        if (collecting->topic[0] != '\0') {
            emit_sums(collecting, group->id);
        }
        (void)snprintf(collecting->topic, sizeof collecting->topic, "%s", offset->topic);
        collecting->offset_sum = collecting->lag_sum = 0;
    }
    emit(page, "kafka_consumergroup_current_offset", group->id, offset, (double)offset->offset);
    collecting->offset_sum += (double)offset->offset;
    if (offset->lag_known) {
        emit(page, "kafka_consumergroup_lag", group->id, offset, (double)offset->lag);
        collecting->lag_sum += (double)offset->lag;
    }
    if (offset->lag_ms_known) {
        emit(page, "kafka_consumergroup_lag_seconds", group->id, offset,
             (double)offset->lag_ms / 1e3);
    }
    collecting->offsets_left--;
    if (collecting->offsets_left == 0) {
        emit_sums(collecting, group->id);
    }
}

static void emit_counts(const struct collecting *collecting) {
    struct metrics_page *page = collecting->page;
    const char *manager = "GroupMetadataManager", *domain = "kafka.coordinator.group";
    const struct metrics_label none = {NULL, NULL};
    emit_value(page, METRICS_GAUGE, domain, manager, "NumGroups",
               (double)collecting->classic_count);
    emit_value(page, METRICS_GAUGE, domain, manager, "NumOffsets",
               (double)collecting->offset_count);
    for (int i = 0; i < STATES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "NumGroups%s", classic_states[i]);
        emit_value(page, METRICS_GAUGE, domain, manager, name,
                   (double)collecting->classic_by_state[i]);
        emit_labelled(page, METRICS_GAUGE, "kafka.server", "group-coordinator-metrics",
                      "consumer-group-count", (struct metrics_label){"state", consumer_states[i]},
                      none, (double)collecting->consumer_by_state[i]);
    }
    emit_labelled(page, METRICS_GAUGE, "kafka.server", "group-coordinator-metrics", "group-count",
                  (struct metrics_label){"protocol", "classic"}, none,
                  (double)collecting->classic_count);
    emit_labelled(page, METRICS_GAUGE, "kafka.server", "group-coordinator-metrics", "group-count",
                  (struct metrics_label){"protocol", "consumer"}, none,
                  (double)collecting->consumer_count);
}

static void emit_totals(struct coord *coord, struct metrics_page *page) {
    static const char *const names[GROUP_COUNTS] = {
        [GROUP_COUNT_OFFSETS_COMMITTED] = "offset-commit-count",
        [GROUP_COUNT_OFFSETS_EXPIRED] = "offset-expiration-count",
        [GROUP_COUNT_OFFSETS_DELETED] = "offset-deletion-count",
        [GROUP_COUNT_CLASSIC_REBALANCES] = "group-completed-rebalance-count",
        [GROUP_COUNT_CONSUMER_REBALANCES] = "consumer-group-rebalance-count",
    };
    uint64_t counts[GROUP_COUNTS];
    coord_counts(coord, counts);
    for (int i = 0; i < GROUP_COUNTS; i++) {
        if (names[i] != NULL) { /* the others are of transactions */
            emit_value(page, METRICS_COUNTER, "kafka.server", "group-coordinator-metrics", names[i],
                       (double)counts[i]);
        }
    }
}

void collect_groups(struct node *node, struct metrics_page *page) {
    struct collecting collecting = {.page = page};
    coord_standing(node->coord, &(struct standing_visitor){
                                    .group = on_group, .offset = on_offset, .arg = &collecting});
    emit_counts(&collecting);
    emit_totals(node->coord, page);
}
