/*
 * transaction.version of the cluster: drawn when the disks are formatted, and changed by an
 * operator while clients are at work, up and down. A level that was acknowledged holds from then
 * on; that it does is looked at in ApiVersions, at the end at the latest. Others learn of it there,
 * too, when they connect anew.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/feature_levels.h"
#include "meta/format.h"
#include "node_int.h"
#include "wire/api.h"

#define FEATURE "transaction.version"

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2, NEWEST = 2, NODE_ID = 1, CONTROLLER_PORT = 9093 };

/* --- formatting --- */

/* Every other one is the newest. */
static int16_t draw_level(struct node_sim *sim, struct scenario_range levels) {
    return (int16_t)(node_below(sim, 2) == 0 ? levels.most : node_draw(sim, levels));
}

static void make_cluster_id(struct node_sim *sim, char text[UUID_TEXT_SIZE + 1]) {
    uint8_t random[16];
    struct uuid id;
    do {
        rng_bytes(&sim->run->rng, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    uuid_format(id, text);
}

void node_features_format(struct node_sim *sim) {
    struct scenario_line *line =
        scenario_next(sim->run->scenario, SCENARIO_RUN, "transaction_version", NULL);
    sim->transaction_version = -1;
    if (line == NULL) {
        return;
    }
    sim->transaction_version = draw_level(sim, scenario_range(line, "transaction_version", "2"));
    char paths[SIM_DIRS_MAX][32];
    const char *dirs[SIM_DIRS_MAX];
    for (int i = 0; i < sim->dir_count; i++) {
        snprintf(paths[i], sizeof paths[i], "/disk%d/data", i + 1);
        dirs[i] = paths[i];
    }
    char cluster_id[UUID_TEXT_SIZE + 1];
    make_cluster_id(sim, cluster_id);
    struct meta_feature_level level = {.name = STR(FEATURE), .level = sim->transaction_version};
    struct meta_endpoint endpoint = {
        .name = STR("CONTROLLER"), .host = STR("10.0.0.1"), .port = CONTROLLER_PORT};
    struct meta_format_options options = {
        .dirs = dirs,
        .dir_count = (size_t)sim->dir_count,
        .metadata_dir = dirs[0],
        .cluster_id = str_from_c(cluster_id),
        .node_id = NODE_ID,
        .features = &level,
        .feature_count = 1,
        .standalone = true,
        .endpoints = &endpoint,
        .endpoint_count = 1,
    };
    char error[META_FORMAT_ERROR_MAX];
    err_t err = meta_format(sim_host_sys(sim->run->nodes[0].host), &options, error);
    assert(err == ERR_OK);
    (void)err;
    run_say(sim->run, "%s is %d", FEATURE, sim->transaction_version);
}

/* --- somebody who changes it --- */

struct changer {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct scenario_range wait;
    struct scenario_range levels;
    bool busy;
    bool changes; /* a change is asked for, and its outcome is not known */
    bool seen;    /* that the level is what was acknowledged, since the last change */
    int16_t level;
    int16_t asked;
};

static void again(struct changer *changer, int64_t delay_ms) {
    node_timer_in(changer->client.sim, &changer->timer, delay_ms);
}

static void changed(void *arg, const struct client_response *response) {
    struct changer *changer = arg;
    struct node_sim *sim = changer->client.sim;
    const struct update_features_response *message = response->message;
    changer->busy = false;
    again(changer, node_draw(sim, changer->wait) / 1000);
    if (response->err != ERR_OK || node_error_passes(message->error_code)) {
        return; /* it is asked for again */
    }
    if (message->error_code != ERR_OK) {
        node_fail(sim, "the change of " FEATURE " from %d to %d is answered with %s",
                  changer->level, changer->asked, err_name(message->error_code));
        return;
    }
    bool up = changer->asked > changer->level;
    run_say(sim->run, FEATURE " goes from %d to %d", changer->level, changer->asked);
    points_add(sim->run->points, up ? "txn_version_up" : "txn_version_down", 1);
    changer->level = changer->asked;
    changer->changes = changer->seen = false;
}

static void change(struct changer *changer) {
    struct update_features_request_feature_update_key update;
    struct update_features_request request;
    wire_init(&update_features_request_type, &request);
    update = (struct update_features_request_feature_update_key){
        .feature = STR(FEATURE),
        .max_version_level = changer->asked,
        .upgrade_type = changer->asked > changer->level ? UPGRADE : SAFE_DOWNGRADE,
    };
    request.timeout_ms = 5000;
    request.feature_updates = &update;
    request.feature_updates_count = 1;
    changer->busy = node_link_send(&changer->link, API_UPDATE_FEATURES, 1, &request, changed,
                                   changer) == ERR_OK;
}

/* --- whether it holds --- */

/* A broker applies a change a little after its controller has answered. */
static void looked(void *arg, const struct client_response *response) {
    struct changer *changer = arg;
    struct node_sim *sim = changer->client.sim;
    const struct api_versions_response *message = response->message;
    changer->busy = false;
    again(changer, node_draw(sim, changer->wait) / 1000);
    if (response->err != ERR_OK || message->error_code != ERR_OK) {
        return;
    }
    int16_t level = 0; /* which is not listed */
    for (int32_t i = 0; i < message->finalized_features_count; i++) {
        if (str_equal(message->finalized_features[i].name, STR(FEATURE))) {
            level = message->finalized_features[i].max_version_level;
        }
    }
    if (changer->seen && level != changer->level) {
        node_fail(sim, FEATURE " is %d, and %d was acknowledged", level, changer->level);
    }
    changer->seen = level == changer->level;
}

static void look(struct changer *changer) {
    struct api_versions_request request;
    wire_init(&api_versions_request_type, &request);
    request.client_software_name = STR("sim");
    request.client_software_version = STR("1");
    changer->busy =
        node_link_send(&changer->link, API_API_VERSIONS, 4, &request, looked, changer) == ERR_OK;
}

/* --- turns --- */

static void act(struct changer *changer) {
    struct node_sim *sim = changer->client.sim;
    if (!changer->changes && !sim->finishing && changer->seen) {
        changer->asked = draw_level(sim, changer->levels);
        changer->changes = changer->asked != changer->level;
    }
    if (changer->changes) {
        change(changer);
    } else {
        look(changer);
    }
}

static void turn(struct sys_timer *timer) {
    struct changer *changer = container_of(timer, struct changer, timer);
    struct node_sim *sim = changer->client.sim;
    changer->client.over = sim->finishing && !changer->changes && changer->seen;
    if (changer->client.over) {
        return;
    }
    if (!changer->busy && changer->link.is_up) {
        act(changer);
    }
    if (!changer->busy) {
        again(changer, 100);
    }
}

static void changer_free(struct node_client *client) {
    free(container_of(client, struct changer, client));
}

void node_features_new(struct node_sim *sim, struct scenario_line *line) {
    struct changer *changer = calloc(1, sizeof *changer);
    assert(changer != NULL);
    node_client_add(sim, &changer->client, "features");
    changer->client.free = changer_free;
    changer->wait = scenario_range(line, "wait", "2s-15s");
    changer->levels = scenario_range(line, "levels", "0-2");
    changer->level = sim->transaction_version < 0 ? NEWEST : sim->transaction_version;
    changer->seen = true;
    changer->timer.fire = turn;
    node_link_begin(&changer->link, sim);
    again(changer, node_draw(sim, changer->wait) / 1000);
}
