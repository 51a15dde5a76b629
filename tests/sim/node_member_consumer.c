/*
 * ConsumerGroupHeartbeat: what is given is owned from the answer on; what is not given any more is
 * given up at once, which the next heartbeat says, or after a while, or never: then the member is
 * thrown out. A static member that leaves may come back; what it had is kept for its instance.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_member.h"
#include "wire/api.h"

enum {
    VERSION = 1,
    EPOCH_JOINS = 0,
    EPOCH_LEAVES = -1,
    EPOCH_LEAVES_FOR_A_WHILE = -2,
    SAY_ALL_ONE_IN = 3,
    CHANGE_ONE_IN = 30, /* heartbeats: another expression, or names */
};

static const struct scenario_range slow_ms = {.least = 200, .most = 4000};

/* Each stands for all topics but internal ones. */
static const char *const expressions[] = {"[^_].*", "[a-z]+",
                                          "(?:orders|ledger|passing|fleeting).*"};
enum { EXPRESSION_COUNT = sizeof expressions / sizeof expressions[0] };

static int64_t now_ms(const struct member *member) {
    return sys_mono_ms(member->client.sim->sys);
}

static bool is_static(const struct member *member) {
    return member->instance[0] != '\0';
}

/* --- what it is given --- */

/* Topics that nobody has heard of yet, or that are gone, are asked for again. */
static void read_assignment(struct member *member,
                            const struct consumer_group_heartbeat_response_assignment *assignment,
                            bool given[AUDIT_PLACES_MAX]) {
    for (int32_t t = 0; t < assignment->topic_partitions_count; t++) {
        const struct consumer_group_heartbeat_response_topic_partitions *it =
            &assignment->topic_partitions[t];
        struct node_topic *topic = topic_by_id(member->client.sim, it->topic_id);
        member->full |= topic == NULL;
        for (int32_t p = 0; topic != NULL && p < it->partitions_count; p++) {
            given[member_place_of(member, topic, it->partitions[p])] = true;
        }
    }
}

static void take_place(struct member *member, int place) {
    member_take_place(member, place);
    member->lost_epochs[place] = 0;
    member->full = true;
    audit_group_own(member->group->audit, place, member->name, now_ms(member),
                    member_owns_until(member));
}

/* The auditor is told when the broker is. */
static void give_up(struct member *member, int place) {
    member->owned[place] = false;
    member->gives_up_ms[place] = 0;
    member->lost_epochs[place] = member->generation;
    member->full = true;
}

/* The broker may count from the first answer that was lost, so nobody counts on more than that. */
static void begin_to_give_up(struct member *member, int place) {
    struct node_sim *sim = member->client.sim;
    member_point(member, "partition_revoked");
    if (member->gives_up_by_ms == INT64_MAX) {
        member->gives_up_by_ms = member->kept_ms + member->rebalance_ms;
    }
    uint64_t drawn = node_below(sim, 12);
    if (drawn == 0 && member->number > 0) {
        member_point(member, "partition_kept");
        member->gives_up_ms[place] = INT64_MAX;
    } else if (drawn < 4) {
        member->gives_up_ms[place] = now_ms(member) + node_draw(sim, slow_ms);
    } else {
        give_up(member, place);
    }
}

static void take_assignment(struct member *member,
                            const struct consumer_group_heartbeat_response_assignment *assignment) {
    bool given[AUDIT_PLACES_MAX] = {false};
    read_assignment(member, assignment, given);
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (given[i] && !member->owned[i]) {
            take_place(member, i);
        } else if (!given[i] && member->owned[i] && member->gives_up_ms[i] == 0) {
            begin_to_give_up(member, i);
        }
    }
}

static bool gives_something_up(const struct member *member) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (member->gives_up_ms[i] != 0) {
            return true;
        }
    }
    return false;
}

static void note_static_return(struct member *member) {
    char instance[AUDIT_MEMBER_SIZE_MAX];
    member_instance_name(member, instance);
    audit_group_release_all(member->group->audit, instance);
    member_point(member, "static_member_in");
}

static void take_answer(struct member *member,
                        const struct consumer_group_heartbeat_response *message) {
    if (now_ms(member) >= member->sent_ms + member->session_ms) {
        member_rejoin_as_new(member); /* the broker may have given it up meanwhile */
        return;
    }
    if (is_static(member) && member->state != MEMBER_IN) {
        note_static_return(member);
    }
    member_is_in(member, message->member_epoch);
    if (member->said_all && !gives_something_up(member)) {
        member->gives_up_by_ms = INT64_MAX;
    }
    if (message->assignment != NULL) {
        take_assignment(member, message->assignment);
    }
    audit_group_keep(member->group->audit, member->name, member_owns_until(member));
    member->kept_ms = member->sent_ms;
}

static void answered(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (!member_answered(member, response)) {
        member->full = true;
        return;
    }
    const struct consumer_group_heartbeat_response *message = response->message;
    if (message->error_code != ERR_OK) {
        member->full = true;
        member_take_error(member, "ConsumerGroupHeartbeat", message->error_code);
    } else if (member->state == MEMBER_LEAVING) {
        member_rejoin_as_new(member);
    } else {
        take_answer(member, message);
    }
}

/* --- heartbeats --- */

static void make_id(struct member *member) {
    uint8_t random[16];
    struct uuid id;
    do {
        rng_bytes(&member->client.sim->run->rng, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    snprintf(member->id, sizeof member->id, "%s", text);
}

/* What a heartbeat points at. */
struct said {
    struct consumer_group_heartbeat_request request;
    struct consumer_group_heartbeat_request_topic_partitions owned[SIM_TOPICS_MAX];
    int32_t partitions[AUDIT_PLACES_MAX];
    struct str topics[SIM_TOPICS_MAX];
};

/* One member of the group never changes what it says: while an expression is not resolved yet it
 * stands for no topics, and what nobody reads may expire. */
static void say_subscription(struct member *member, struct said *said) {
    struct node_sim *sim = member->client.sim;
    bool changes =
        member->state != MEMBER_IN || (!sim->finishing && node_below(sim, CHANGE_ONE_IN) == 0);
    if (member->reads_regex && member->number > 0 && changes) {
        member->expression = (int)node_below(sim, 2 * EXPRESSION_COUNT) - EXPRESSION_COUNT;
        member_point(member, member->expression >= 0 ? "regex_subscribed" : "names_subscribed");
    }
    bool by_names = member->expression < 0;
    said->request.subscribed_topic_names = said->topics;
    said->request.subscribed_topic_names_count = by_names ? sim->topic_count : 0;
    for (int t = 0; t < sim->topic_count; t++) {
        said->topics[t] = str_from_c(sim->topics[t].name);
    }
    if (member->reads_regex) {
        said->request.subscribed_topic_regex =
            by_names ? STR("") : str_from_c(expressions[member->expression]);
    }
}

static void say_owned(struct member *member, struct said *said) {
    struct node_sim *sim = member->client.sim;
    said->request.topic_partitions = said->owned;
    said->request.topic_partitions_count = 0;
    for (int t = 0; t < sim->topic_count; t++) {
        int32_t *begin = said->partitions + t * SIM_PARTITIONS_MAX;
        int32_t count = 0;
        for (int32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
            int place = member_place_of(member, &sim->topics[t], p);
            if (member->owned[place]) {
                begin[count++] = p;
            } else {
                audit_group_release(member->group->audit, place, member->name);
            }
        }
        if (count > 0) {
            said->owned[said->request.topic_partitions_count++] =
                (struct consumer_group_heartbeat_request_topic_partitions){
                    .topic_id = sim->topics[t].id,
                    .partitions = begin,
                    .partitions_count = count,
                };
        }
    }
}

static void send(struct member *member, int32_t epoch, client_done_fn done) {
    struct said said;
    struct consumer_group_heartbeat_request *request = &said.request;
    wire_init(&consumer_group_heartbeat_request_type, request);
    request->group_id = str_from_c(member->group->name);
    request->member_id = str_from_c(member->id);
    request->member_epoch = epoch;
    request->topic_partitions_count = -1;
    request->subscribed_topic_names_count = -1;
    if (is_static(member)) {
        request->instance_id = str_from_c(member->instance);
    }
    member->said_all =
        epoch >= EPOCH_JOINS && (member->full || epoch == EPOCH_JOINS ||
                                 node_below(member->client.sim, SAY_ALL_ONE_IN) == 0);
    if (member->said_all) {
        request->rebalance_timeout_ms = (int32_t)member->rebalance_ms;
        say_subscription(member, &said);
        say_owned(member, &said);
        member->full = false;
    }
    member_ask(member, API_CONSUMER_GROUP_HEARTBEAT, VERSION, request, done);
}

static void come(struct member *member) {
    if (member->id[0] == '\0' && !member_may_upgrade(member)) {
        member->protocol = &member_classic;
        member->protocol->come(member);
        return;
    }
    if (member->id[0] == '\0') {
        make_id(member);
    }
    member->beat_ms = now_ms(member);
    member->leaves_for_a_while = false;
    send(member, EPOCH_JOINS, answered);
}

static void beat(struct member *member) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (member->gives_up_ms[i] != 0 && now_ms(member) >= member->gives_up_ms[i]) {
            member_point(member, "partition_given_up_late");
            give_up(member, i);
        }
    }
    send(member, member->generation, answered);
}

/* --- leaving --- */

/* What the broker knows it has is its instance's from now on: a rival may be in before the answer
 * is here. When the member does not know what the broker knows, nobody counts on anything. */
static void keep_for_instance(struct member *member) {
    char instance[AUDIT_MEMBER_SIZE_MAX];
    member_instance_name(member, instance);
    bool known = !member->full && !gives_something_up(member);
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (known && member->owned[i]) {
            audit_group_hand_over(member->group->audit, i, member->name, instance);
        }
    }
    audit_group_release_all(member->group->audit, member->name);
}

static void left_for_a_while(void *arg, const struct client_response *response) {
    struct member *member = arg;
    const struct consumer_group_heartbeat_response *message = response->message;
    if (response->err == ERR_OK && message->error_code == ERR_OK) {
        member_point(member, "static_member_out");
    }
    answered(member, response);
}

static void leave(struct member *member) {
    struct node_sim *sim = member->client.sim;
    if (is_static(member) && !member->leaves_for_a_while && node_below(sim, 3) != 0) {
        member->leaves_for_a_while = true;
    }
    if (member->leaves_for_a_while) {
        keep_for_instance(member);
        send(member, EPOCH_LEAVES_FOR_A_WHILE, left_for_a_while);
    } else {
        member_disown(member);
        send(member, EPOCH_LEAVES, answered);
    }
}

const struct member_protocol member_consumer = {
    .name = "consumer",
    .come = come,
    .beat = beat,
    .leave = leave,
};
