/*
 * Gives the topics of the coordinators segments that are full within a run, for only what is behind
 * the active segment is compacted. No setting of the broker allows segments that small; that of a
 * topic, which is there for tests, does.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node_int.h"
#include "wire/api.h"

enum { RESOURCE_TOPIC = 2, AGAIN_MS = 200 };

static const char *const topics[] = {"__consumer_offsets", "__transaction_state"};

enum { TOPICS = sizeof topics / sizeof topics[0] };

struct internal {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    char segment_bytes[24];
    int topic; /* the next */
    bool busy;
};

static void again(struct internal *internal) {
    node_timer_in(internal->client.sim, &internal->timer, AGAIN_MS);
}

/* Until a group or a transaction needs its topic there is none. */
static void answered(void *arg, const struct client_response *response) {
    struct internal *internal = arg;
    const struct incremental_alter_configs_response *message = response->message;
    internal->busy = false;
    int16_t code =
        response->err == ERR_OK ? message->responses[0].error_code : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (code == ERR_OK) {
        internal->topic++;
    } else if (!node_error_passes(code)) {
        node_fail(internal->client.sim, "A setting of topic %s is answered with %s",
                  topics[internal->topic], err_name(code));
    }
    again(internal);
}

static void ask(struct internal *internal) {
    struct incremental_alter_configs_request_alterable_config config = {
        .name = STR("internal.segment.bytes"), .value = str_from_c(internal->segment_bytes)};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = RESOURCE_TOPIC,
        .resource_name = str_from_c(topics[internal->topic]),
        .configs = &config,
        .configs_count = 1,
    };
    struct incremental_alter_configs_request request;
    wire_init(&incremental_alter_configs_request_type, &request);
    request.resources = &resource;
    request.resources_count = 1;
    internal->busy = node_link_send(&internal->link, API_INCREMENTAL_ALTER_CONFIGS, 1, &request,
                                    answered, internal) == ERR_OK;
}

static void turn(struct sys_timer *timer) {
    struct internal *internal = container_of(timer, struct internal, timer);
    if (internal->topic == TOPICS || internal->client.sim->finishing) {
        internal->client.over = true;
        return;
    }
    if (internal->link.is_up) {
        ask(internal);
    }
    if (!internal->busy) {
        again(internal);
    }
}

static void internal_free(struct node_client *client) {
    free(container_of(client, struct internal, client));
}

void node_internal_new(struct node_sim *sim, struct scenario_line *line) {
    struct internal *internal = calloc(1, sizeof *internal);
    assert(internal != NULL);
    node_client_add(sim, &internal->client, "internal");
    internal->client.free = internal_free;
    snprintf(internal->segment_bytes, sizeof internal->segment_bytes, "%" PRId64,
             node_draw(sim, scenario_range(line, "segment", "8KiB")));
    internal->timer.fire = turn;
    node_link_begin(&internal->link, sim);
    again(internal);
}
