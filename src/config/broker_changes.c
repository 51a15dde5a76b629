/*
 * Settings of a broker that may change while it runs, each fine by itself: what Kafka refuses of
 * them together, at the start and later; and what only a change is refused for. The words are
 * Kafka's.
 */
#include <inttypes.h>
#include <string.h>

#include "config/config_int.h"

/* --- at any time --- */

static void check_times(const struct config *config, struct config_report *report) {
    if (config_effective_long(config, CONFIG_LOG_ROLL_MS) < 1) {
        config_report_error(report, "log.roll.ms must be greater than or equal to 1");
    }
    if (config_effective_long(config, CONFIG_LOG_ROLL_JITTER_MS) < 0) {
        config_report_error(report, "log.roll.jitter.ms must be greater than or equal to 0");
    }
    if (config_effective_long(config, CONFIG_LOG_RETENTION_MS) == 0) {
        config_report_error(report, "log.retention.ms must be unlimited (-1) or, greater than or "
                                    "equal to 1");
    }
}

/* A map of keys has 24 bytes for each. */
enum { KEY_BYTES = 24, THREAD_BYTES_MIN = 1024 * 1024 };

static void check_cleaner(const struct config *config, struct config_report *report) {
    int32_t threads = config_int(config, CONFIG_LOG_CLEANER_THREADS);
    if (threads < 1) {
        config_report_error(report, "Log cleaner threads should be at least 1");
        return;
    }
    int64_t bytes = config_long(config, CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE) / threads;
    double load = config_double(config, CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR);
    if (bytes <= THREAD_BYTES_MIN) {
        config_report_error(report, "log.cleaner.dedupe.buffer.size must be at least 1MB per "
                                    "cleaner thread.");
    } else if ((double)(bytes / KEY_BYTES) * load <= 1) {
        config_report_error(report, "offset map is too small to fit in even a single message, so "
                                    "log cleaning will never make progress. You can increase "
                                    "log.cleaner.io.buffer.load.factor");
    }
}

/* host:count,host:count */
static bool overrides_are_readable(struct str list) {
    struct str item;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        const char *colon = memrchr(item.data, ':', item.size);
        size_t digits = colon == NULL ? 0 : (size_t)(item.data + item.size - colon - 1);
        if (digits == 0 || digits > 9 || colon == item.data ||
            strspn(colon + 1, "0123456789") < digits) {
            return false;
        }
    }
    return true;
}

static void check_connections(const struct config *config, struct config_report *report) {
    struct str overrides = config_str(config, CONFIG_MAX_CONNECTIONS_PER_IP_OVERRIDES);
    if (config_int(config, CONFIG_MAX_CONNECTIONS_PER_IP) == 0 && overrides.size == 0) {
        config_report_error(report, "max.connections.per.ip can be set to zero only if "
                                    "max.connections.per.ip.overrides property is set.");
    }
    if (!overrides_are_readable(overrides)) {
        config_report_error(report,
                            "Invalid value %.*s for configuration "
                            "max.connections.per.ip.overrides: it should read host:count,...",
                            STR_ARGS(overrides));
    }
}

void config_check_changeable(const struct config *config, struct config_report *report) {
    check_times(config, report);
    check_cleaner(config, report);
    check_connections(config, report);
}

/* --- of a change --- */

static err_t check_cleaner_threads(int32_t now, int32_t next, struct arena *arena,
                                   struct str *ret_message) {
    if (next < now / 2) {
        *ret_message = arena_printf(arena,
                                    "Log cleaner threads cannot be reduced to less than half the "
                                    "current value %" PRId32,
                                    now);
        return ERR_INVALID_CONFIG;
    }
    if (next > 2 * (int64_t)now) {
        *ret_message = arena_printf(arena,
                                    "Log cleaner threads cannot be increased to more than double "
                                    "the current value %" PRId32,
                                    now);
        return ERR_INVALID_CONFIG;
    }
    return ERR_OK;
}

/* A slip of the finger does not take all threads away, nor start thousands. */
static err_t check_threads(const struct config *now, const struct config *next, enum config_key key,
                           struct arena *arena, struct str *ret_message) {
    int32_t before = config_int(now, key), after = config_int(next, key);
    const char *why = NULL;
    if (after < before / 2) {
        why = "value should be at least half the current value";
    } else if (after > 2 * (int64_t)before) {
        why = "value should not be greater than double the current value";
    }
    if (why == NULL) {
        return ERR_OK;
    }
    *ret_message = arena_printf(
        arena, "Dynamic thread count update validation failed for %s=%" PRId32 ", %s %" PRId32,
        config_row(key)->name, after, why, before);
    return ERR_INVALID_CONFIG;
}

err_t config_validate_broker_change(const struct config *now, const struct config *next,
                                    struct arena *arena, struct str *ret_message) {
    static const enum config_key pools[] = {
        CONFIG_NUM_IO_THREADS,       CONFIG_NUM_NETWORK_THREADS,
        CONFIG_NUM_REPLICA_FETCHERS, CONFIG_NUM_RECOVERY_THREADS_PER_DATA_DIR,
        CONFIG_BACKGROUND_THREADS,
    };
    struct config_report report;
    config_report_init(&report);
    config_check_changeable(next, &report);
    err_t err = report.error_count > 0 ? ERR_INVALID_CONFIG : ERR_OK;
    if (err != ERR_OK) {
        *ret_message = arena_str(arena, report.errors[0]);
    }
    config_report_done(&report);
    if (err == ERR_OK) {
        err =
            check_cleaner_threads(config_int(now, CONFIG_LOG_CLEANER_THREADS),
                                  config_int(next, CONFIG_LOG_CLEANER_THREADS), arena, ret_message);
    }
    for (size_t i = 0; i < sizeof pools / sizeof pools[0] && err == ERR_OK; i++) {
        err = check_threads(now, next, pools[i], arena, ret_message);
    }
    return err;
}
