/* Checks of the settings of consumer groups together, in Kafka's words. */
#include "config/listeners_int.h"

/* A value, what it must not be below, and what not above. */
struct range {
    enum config_key key;
    enum config_key min;
    enum config_key max;
};

static const struct range ranges[] = {
    {CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, CONFIG_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS, CONFIG_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
     CONFIG_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS},
    {CONFIG_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS, CONFIG_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS},
};

static void check_order(const struct config *config, struct config_report *report,
                        enum config_key more, enum config_key less, enum config_key named,
                        enum config_key other) {
    if (config_int(config, more) < config_int(config, less)) {
        config_report_error(report, "%s must be %s than or equal to %s", config_row(named)->name,
                            named == more ? "greater" : "less", config_row(other)->name);
    }
}

static void check_ranges(const struct config *config, struct config_report *report) {
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct range *range = &ranges[i];
        check_order(config, report, range->max, range->min, range->max, range->min);
        check_order(config, report, range->key, range->min, range->key, range->min);
        check_order(config, report, range->max, range->key, range->key, range->max);
    }
    if (config_int(config, CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS) >=
        config_int(config, CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS)) {
        config_report_error(report, "%s must be less than %s",
                            config_row(CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS)->name,
                            config_row(CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS)->name);
    }
}

/* The assignors that we have, and Kafka's own classes for them. */
static void check_assignors(const struct config *config, struct config_report *report) {
    static const char known[] = "uniform,range,"
                                "org.apache.kafka.coordinator.group.assignor.UniformAssignor,"
                                "org.apache.kafka.coordinator.group.assignor.RangeAssignor";
    struct str list = config_str(config, CONFIG_GROUP_CONSUMER_ASSIGNORS);
    struct str item;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (!config_list_has(str_from_c(known), item)) {
            config_report_error(report,
                                "group.consumer.assignors: Class %.*s cannot be found; there are "
                                "uniform and range",
                                STR_ARGS(item));
        }
    }
}

void config_check_groups(const struct config *config, struct config_report *report) {
    check_ranges(config, report);
    check_assignors(config, report);
    struct str protocols = config_str(config, CONFIG_GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    if (!config_list_has(protocols, STR("classic"))) {
        config_report_error(report, "Disabling the 'classic' protocol is not supported.");
    }
}
