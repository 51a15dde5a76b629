#include "node_member.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/api.h"

enum {
    BEAT_MS_MAX = 800,
    SETTLE_MS_MAX = 60 * 1000, /* sessions and rebalances of all who are gone, and some more */
    TURNS_PER_TROUBLE = 60,
    TURNS_PER_HASTE = 20,
    TURNS_PER_LATE = 12,
    DOWNGRADE_MS_MAX = 15 * 1000, /* a session and a rebalance */
};

static const struct scenario_range out_ms = {.least = 100, .most = 5000};
static const struct scenario_range stall_ms = {.least = 500, .most = 12000};
static const struct scenario_range haste_ms = {.least = 5, .most = 1500};

void member_point(struct member *member, const char *point) {
    struct run *run = member->client.sim->run;
    points_add(run->points, point, 1);
    run_say(run, "%s: %s", member->name, point);
}

static void again(struct member *member, int64_t delay_ms) {
    node_timer_in(member->client.sim, &member->timer, delay_ms);
}

/* --- answers --- */

void member_ask(struct member *member, int16_t api_key, int16_t version, const void *request,
                client_done_fn done) {
    member->newest = audit_group_generation(member->group->audit);
    member->sent_down = member->client.sim->down_count;
    member->sent_loaded = member->group->loaded_down == member->sent_down;
    member->sent_ms = sys_mono_ms(member->client.sim->sys);
    member->busy = node_link_send(&member->link, api_key, version, request, done, member) == ERR_OK;
}

bool member_answered(struct member *member, const struct client_response *response) {
    struct node_sim *sim = member->client.sim;
    member->busy = false;
    audit_group_cuts(member->group->audit, sim->said_cut, sim->run->power_cut_count);
    again(member, node_draw(sim, member->wait) / 1000);
    if (response->err != ERR_OK) {
        member->found = false;
    }
    return response->err == ERR_OK;
}

void member_note_loaded(struct member *member) {
    if (member->sent_down == member->client.sim->down_count) {
        member->group->loaded_down = member->sent_down;
    }
}

bool member_is_timed(const struct member *member) {
    return member->protocol == &member_consumer || member->group->mixed;
}

/* One of the classic protocol that does not join again in time is out, too, and one of the other
 * that does not give up what it shall. */
int64_t member_owns_until(const struct member *member) {
    bool joins = member->protocol == &member_classic && member->rebalance_ms < member->session_ms;
    int64_t until_ms = member->sent_ms + (joins ? member->rebalance_ms : member->session_ms);
    return until_ms < member->gives_up_by_ms ? until_ms : member->gives_up_by_ms;
}

void member_disown(struct member *member) {
    if (member_is_timed(member)) {
        audit_group_release_all(member->group->audit, member->name);
    }
    memset(member->owned, 0, sizeof member->owned);
    memset(member->gives_up_ms, 0, sizeof member->gives_up_ms);
    member->gives_up_by_ms = INT64_MAX;
}

void member_is_in(struct member *member, int32_t generation) {
    if (generation != member->told_generation) {
        member->past_generation = member->told_generation;
    }
    if (member->state != MEMBER_IN || generation != member->told_generation) {
        member->past_cut = member->client.sim->said_cut;
    }
    member->state = MEMBER_IN;
    member->generation = member->told_generation = generation;
}

void member_take_place(struct member *member, int place) {
    member->owned[place] = true;
    member->given[place]++;
    member->positions[place] = -1;
}

void member_rejoin(struct member *member) {
    member_disown(member);
    member->deaf = false;
    member->state = MEMBER_JOINING;
}

void member_instance_name(const struct member *member, char name[AUDIT_MEMBER_SIZE_MAX]) {
    snprintf(name, AUDIT_MEMBER_SIZE_MAX, "%s-%s", member->group->name, member->instance);
}

static void name_it(struct member *member) {
    bool by_life = member->instance[0] == '\0' || member_is_timed(member);
    snprintf(member->name, sizeof member->name, by_life ? "%s-%d.%d" : "%s-%d", member->group->name,
             member->number, member->life);
}

/* When the last consumer member goes, the others are told to join as a classic group, whatever they
 * own. As with Apache Kafka, one that becomes a consumer group again before they did may give what
 * they still have to others: so nobody tries, for a while. */
static void draw_protocol(struct member *member) {
    struct node_sim *sim = member->client.sim;
    struct node_group *group = member->group;
    if (!group->mixed) {
        return;
    }
    int64_t now_ms = sys_mono_ms(sim->sys);
    if (member->protocol == &member_consumer && member->life > 0) {
        group->upgrade_from_ms = now_ms + DOWNGRADE_MS_MAX;
    }
    member->protocol = node_below(sim, 2) == 0 ? &member_classic : &member_consumer;
}

bool member_may_upgrade(const struct member *member) {
    return sys_mono_ms(member->client.sim->sys) >= member->group->upgrade_from_ms;
}

void member_rejoin_as_new(struct member *member) {
    member_rejoin(member);
    if (member->instance[0] != '\0' && member->generation > 0) {
        memcpy(member->past_id, member->id, sizeof member->past_id);
    }
    member->past_generation = member->told_generation = 0;
    memset(member->lost_epochs, 0, sizeof member->lost_epochs);
    member->life++;
    draw_protocol(member);
    name_it(member);
    member->id[0] = '\0';
    member->generation = 0;
    member->full = true;
    member->leads = false;
}

void member_take_error(struct member *member, const char *what, int16_t code) {
    switch (code) {
    case ERR_OK:
        return;
    case ERR_COORDINATOR_NOT_AVAILABLE:
    case ERR_NOT_COORDINATOR:
        member->found = false;
        return;
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_FENCED_INSTANCE_ID: /* what it sent when it came as somebody new, without an answer */
    case ERR_FENCED_MEMBER_EPOCH:
    case ERR_GROUP_ID_NOT_FOUND: /* it is of the classic protocol, or nobody was left */
        member_point(member, "member_fenced");
        member_rejoin_as_new(member);
        return;
    case ERR_ILLEGAL_GENERATION:
    case ERR_REBALANCE_IN_PROGRESS:
        member_rejoin(member);
        return;
    case ERR_UNRELEASED_INSTANCE_ID: /* the process before it did not say that it leaves */
        member_point(member, "member_unreleased");
        return;
    default:
        if (!node_error_passes(code)) {
            node_fail(member->client.sim, "group %s: %s is answered with %s", member->group->name,
                      what, err_name(code));
        }
    }
}

/* --- finding the coordinator, which also makes the topic --- */

static void coordinator_found(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (member_answered(member, response)) {
        const struct find_coordinator_response *message = response->message;
        member_take_error(member, "FindCoordinator", message->error_code);
        member->found = message->error_code == ERR_OK;
    }
}

static void find_coordinator(struct member *member) {
    struct find_coordinator_request request;
    wire_init(&find_coordinator_request_type, &request);
    request.key = str_from_c(member->group->name);
    member_ask(member, API_FIND_COORDINATOR, 3, &request, coordinator_found);
}

/* --- the group in the end --- */

static void settle(struct member *member) {
    struct node_sim *sim = member->client.sim;
    struct node_group *group = member->group;
    int64_t now_ms = sys_mono_ms(sim->sys);
    if (group->finish_begin_ms == 0) {
        group->finish_begin_ms = now_ms;
    }
    int32_t partition;
    struct node_topic *lonely = group->settled ? NULL : member_find_lonely(group, sim, &partition);
    if (lonely == NULL) {
        group->settled = true;
        member->client.over = true;
    } else if (now_ms - group->finish_begin_ms > SETTLE_MS_MAX) {
        node_fail(sim, "group %s: in %d s without faults %s-%d has not come to one owner",
                  group->name, SETTLE_MS_MAX / 1000, lonely->name, partition);
    }
}

static void describe(struct node_client *client, char *text, size_t size) {
    struct member *member = container_of(client, struct member, client);
    snprintf(text, size, "member %s of group %s, state %d", member->name, member->group->name,
             member->state);
}

/* --- turns --- */

void member_vanish(struct member *member) {
    member_point(member, "member_vanished");
    node_link_break(&member->link);
    member_rejoin_as_new(member);
    member->state = MEMBER_OUT;
    member->out_until_ms =
        sys_mono_ms(member->client.sim->sys) + node_draw(member->client.sim, out_ms);
}

/* The commits of a group of KIP-848 count their age even while it was in use, and go as soon as it
 * is empty: with one steady member it is not. */
static bool is_steady(const struct member *member) {
    bool has_steady_place = member->number == 0 || strcmp(member->instance, "static-0") == 0;
    return member_is_timed(member) && has_steady_place;
}

/* Who must not lose its session asks anew on another connection in time: a machine that lost its
 * power does not say that it knows nothing of the request. Who joins may wait for others. */
static bool is_in_a_hurry(const struct member *member) {
    return is_steady(member) && member->protocol == &member_consumer && member->state == MEMBER_IN;
}

/* For good; others must get what it had, without its coming back to help. */
static bool is_dead(struct member *member) {
    if (sim_world_now_ms(member->client.sim->run->world) < member->dies_ms) {
        return false;
    }
    if (member->state == MEMBER_IN && node_below(member->client.sim, 2) == 0) {
        member->state = MEMBER_LEAVING;
    }
    if (member->state == MEMBER_LEAVING && member->link.is_up) {
        return false;
    }
    if (member->state != MEMBER_OUT) {
        member_vanish(member);
        member_point(member, "member_died");
    }
    return true;
}

/* Something that members do; true: that was its turn. */
static bool be_trouble(struct member *member) {
    struct node_sim *sim = member->client.sim;
    if (sim->finishing || member->state != MEMBER_IN || is_steady(member)) {
        return false;
    }
    switch (node_below(sim, TURNS_PER_TROUBLE * 5)) {
    case 0:
    case 1:
        member_point(member, "member_left");
        member->state = MEMBER_LEAVING;
        return false;
    case 2:
        member_point(member, "member_stalled");
        member->stalled = true;
        again(member, node_draw(sim, stall_ms));
        return true;
    case 3:
        member_vanish(member);
        return true;
    case 4:
        member_point(member, "member_reset");
        node_link_break(&member->link);
        return true;
    default:
        return false;
    }
}

static void work(struct member *member) {
    struct node_sim *sim = member->client.sim;
    int64_t now_ms = sys_mono_ms(sim->sys);
    bool beat_due = now_ms - member->beat_ms >= BEAT_MS_MAX;
    if (member->stalled) {
        member->stalled = false;
        beat_due = node_below(sim, 2) == 0; /* or it commits as if nothing had been */
    }
    if (!member->transacts && node_below(sim, TURNS_PER_LATE) == 0 && member_late_turn(member)) {
        return;
    }
    if (!member->transacts && !beat_due && member_offsets_turn(member)) {
        return;
    }
    if (beat_due || (!member->transacts && node_below(sim, 2) == 0)) {
        member->beat_ms = now_ms;
        member->protocol->beat(member);
    }
}

static void act(struct member *member) {
    struct node_sim *sim = member->client.sim;
    if (!member->found) {
        find_coordinator(member);
        return;
    }
    switch (member->state) {
    case MEMBER_OUT:
        if (sys_mono_ms(sim->sys) >= member->out_until_ms) {
            member->state = MEMBER_JOINING;
        }
        break;
    case MEMBER_JOINING:
    case MEMBER_SYNCING:
        member->protocol->come(member);
        break;
    case MEMBER_IN:
        work(member);
        break;
    case MEMBER_LEAVING:
        member->protocol->leave(member);
        break;
    }
}

static bool topics_are_there(const struct node_sim *sim) {
    for (int i = 0; i < sim->topic_count; i++) {
        if (!topic_is_usable(&sim->topics[i]) && !sim->topics[i].comes_and_goes) {
            return false;
        }
    }
    return true;
}

static void turn(struct sys_timer *timer) {
    struct member *member = container_of(timer, struct member, timer);
    struct node_sim *sim = member->client.sim;
    if (sim->finishing) {
        settle(member);
    }
    if (is_dead(member)) {
    } else if (member->busy) { /* in haste: who waits for an answer dies, or loses its connection */
        if (!is_steady(member) && node_below(sim, 2) == 0) {
            member_vanish(member);
        } else {
            node_link_break(&member->link);
        }
    } else if (member->link.is_up && topics_are_there(sim) && !be_trouble(member)) {
        act(member);
    }
    if (member->busy && !sim->finishing && node_below(sim, TURNS_PER_HASTE * 3) == 0) {
        again(member, node_draw(sim, haste_ms));
    } else if (member->busy && is_in_a_hurry(member)) {
        again(member, member->session_ms / 3);
    } else if (!member->busy && !sys_timer_is_set(timer)) {
        again(member, node_draw(sim, member->wait) / 1000);
    }
}

/* --- life --- */

static struct node_group *group_of(struct node_sim *sim, const char *name, bool synced) {
    struct node_group *group = sim->groups;
    while (group != NULL && strcmp(group->name, name) != 0) {
        group = group->next;
    }
    if (group == NULL) {
        group = calloc(1, sizeof *group);
        assert(group != NULL);
        snprintf(group->name, sizeof group->name, "%s", name);
        group->audit = audit_group_new(sim->run->audit, name, synced);
        group->loaded_down = UINT32_MAX;
        group->next = sim->groups;
        sim->groups = group;
    }
    return group;
}

static void member_free(struct node_client *client) {
    struct member *member = container_of(client, struct member, client);
    struct node_sim *sim = client->sim;
    struct node_group *group = member->group;
    if (--group->member_count == 0) {
        struct node_group **at = &sim->groups;
        while (*at != group) {
            at = &(*at)->next;
        }
        *at = group->next;
        audit_group_free(group->audit);
        free(group->inputs);
        free(group);
    }
    buffer_done(&member->others);
    free(member);
}

struct member *member_new(struct node_sim *sim, struct scenario_line *line) {
    struct member *member = calloc(1, sizeof *member);
    assert(member != NULL);
    node_client_add(sim, &member->client, "member");
    member->client.free = member_free;
    member->client.describe = describe;
    const char *protocol = scenario_text(line, "protocol", "classic");
    bool mixed = strcmp(protocol, "mixed") == 0;
    member->protocol =
        strcmp(protocol, member_classic.name) == 0 ? &member_classic : &member_consumer;
    assert(mixed || strcmp(protocol, member->protocol->name) == 0);
    member->wait = scenario_range(line, "wait", "20ms-400ms");
    member->session_ms = node_draw(sim, scenario_range(line, "session", "3s-6s")) / 1000;
    member->rebalance_ms = node_draw(sim, scenario_range(line, "rebalance", "3s-6s")) / 1000;
    member->group = group_of(sim, scenario_text(line, "group", "readers"),
                             scenario_flag(line, "synced", false));
    member->group->mixed = mixed;
    member->number = member->group->member_count++;
    member->next = member->group->members;
    member->group->members = member;
    bool rivals = scenario_flag(line, "rivals", false);
    if (scenario_flag(line, "static", false)) {
        int number = rivals ? member->number / 2 : member->number;
        snprintf(member->instance, sizeof member->instance, "static-%d", number);
    }
    member->reads_regex = scenario_flag(line, "regex", false);
    int64_t dies_ms = node_draw(sim, scenario_range(line, "dies", "0")) / 1000;
    member->dies_ms =
        dies_ms > 0 && member->number > rivals && node_below(sim, 2) == 0 ? dies_ms : INT64_MAX;
    member->expression = member->reads_regex && member->number == 0 ? 0 : -1;
    member->gives_up_by_ms = INT64_MAX;
    draw_protocol(member);
    name_it(member);
    buffer_init(&member->others);
    member->full = true;
    member->timer.fire = turn;
    node_link_begin(&member->link, sim);
    again(member, 10 + node_draw(sim, member->wait) / 1000);
    return member;
}

void node_member_new(struct node_sim *sim, struct scenario_line *line) {
    (void)member_new(sim, line);
}
