/* What all clients of the library share. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/core.h"
#include "library.h"

const char *library_pick(struct node_sim *sim, const char *const *texts, size_t count) {
    return texts[node_below(sim, count)];
}

void library_point(struct node_sim *sim, const char *who, const char *point) {
    points_add(sim->run->points, point, 1);
    run_say(sim->run, "%s: %s", who, point);
}

bool library_is_fresh(const struct node_sim *sim, const struct library_sent *sent) {
    return sent->cut == sim->run->power_cut_count;
}

void library_check_order(struct node_sim *sim, const char *who, const struct library_sent *sent,
                         struct library_lane *lane, int64_t offset, bool repeats) {
    if (sent->value < lane->last_value) {
        node_fail(sim, "%s, %s-%d: value %" PRIu64 " is told of after %" PRIu64, who,
                  sent->topic->name, sent->partition, sent->value, lane->last_value);
    }
    lane->last_value = sent->value;
    if (offset < 0) {
        return;
    }
    bool may_be_lost = lane->last_cut != sim->run->power_cut_count;
    if (offset <= lane->last_offset && !repeats && !may_be_lost) {
        node_fail(sim, "%s, %s-%d: offset %" PRId64 " is told of after %" PRId64, who,
                  sent->topic->name, sent->partition, offset, lane->last_offset);
    }
    lane->last_offset = library_is_fresh(sim, sent) ? offset : -1;
    lane->last_cut = sim->run->power_cut_count;
}

void library_acknowledge(struct node_sim *sim, const struct library_sent *sent, int64_t offset) {
    if (sent->topic->synced) {
        audit_ack(sim->run->audit, sent->value, offset, AUDIT_SYNCED);
    } else if (library_is_fresh(sim, sent)) {
        audit_ack(sim->run->audit, sent->value, offset, AUDIT_WRITTEN);
    }
}

void library_set(struct node_sim *sim, struct ottla_config *config, const char *name,
                 const char *format, ...) {
    char value[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args);
    va_end(args);
    struct ottla_error error;
    if (ottla_config_set(config, name, value, &error) != OTTLA_OK) {
        node_fail(sim, "libottla does not take %s=%s: %s", name, value, error.text);
    }
}

struct ottla_config *library_config_new(struct node_sim *sim) {
    static const char *const patience_ms[] = {"1000", "3000", "8000"};
    struct ottla_config *config = ottla_config_new();
    library_set(sim, config, "bootstrap.servers", "10.0.0.1:%d", SIM_PORT);
    library_set(sim, config, "request.timeout.ms", "%s", LIBRARY_PICK(sim, patience_ms));
    library_set(sim, config, "socket.connection.setup.timeout.ms", "1000");
    library_set(sim, config, "socket.connection.setup.timeout.max.ms", "3000");
    library_set(sim, config, "retry.backoff.ms", "%d", 20 + (int)node_below(sim, 80));
    library_set(sim, config, "retry.backoff.max.ms", "%d", 200 + (int)node_below(sim, 800));
    library_set(sim, config, "reconnect.backoff.max.ms", "%d", 200 + (int)node_below(sim, 800));
    return config;
}

void library_say(void *sim, enum ottla_log_level level, const char *text) {
    (void)level;
    run_say(((struct node_sim *)sim)->run, "  libottla: %s", text);
}

struct ottla_client *library_client_new(struct node_sim *sim, struct ottla_config *config) {
    struct ottla_client *client = NULL;
    struct ottla_error error;
    err_t err = client_new(config, sim->sys, sim->loop, &client, &error);
    ottla_config_free(config);
    if (err != ERR_OK) {
        node_fail(sim, "libottla makes no client: %s", error.text);
    }
    assert(client != NULL);
    ottla_client_on_log(client, library_say, sim);
    return client;
}
