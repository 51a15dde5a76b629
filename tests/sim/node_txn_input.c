/*
 * What transactions consume: offsets that are numbers, of one partition in a transaction.
 *
 *   alone        partition 0 of the first topic, in a group without members
 *   in a group   a partition that the producer's member owns, from the group's offset on; as with
 *                sendOffsetsToTransaction, the commit says which member of which generation or
 * epoch took the records. When the partition is gone before that, the commit is refused or was in
 * time, and whoever has it then gets the offset only when that is decided
 *
 * A zombie goes on with the partition and the membership that it had.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_member.h"
#include "node_txn.h"

enum { STEP_MAX = 20, NAME_SIZE_MAX = 112 };

/* Of a group, by place. */
struct txn_inputs {
    int64_t begun[AUDIT_PLACES_MAX]; /* some transaction consumes up to there */
    char names[AUDIT_PLACES_MAX][NAME_SIZE_MAX];
};

void txn_input_new(struct txn_client *client, struct scenario_line *line) {
    struct node_sim *sim = client->client.sim;
    const char *group = scenario_text(line, "group", NULL);
    client->offsets = group != NULL || scenario_flag(line, "offsets", false);
    if (group == NULL) {
        return;
    }
    client->member = member_new(sim, line);
    client->member->transacts = true;
    snprintf(client->group, sizeof client->group, "%s", group);
    struct node_group *of = client->member->group;
    if (of->inputs == NULL) {
        of->inputs = calloc(1, sizeof *of->inputs);
        assert(of->inputs != NULL);
    }
}

/* --- places --- */

/* The auditor's name of a part of the input, on which transactions follow one another. */
static const char *name_of(const struct txn_client *client, int place) {
    struct txn_inputs *inputs = client->member->group->inputs;
    const struct node_topic *topic = member_topic_of(client->member, place);
    snprintf(inputs->names[place], NAME_SIZE_MAX, "%s of %s-%d", client->group, topic->name,
             place % SIM_PARTITIONS_MAX);
    return inputs->names[place];
}

static void set_place(struct txn_session *session, int place) {
    const struct txn_client *client = session->client;
    struct txn_input *input = &session->input;
    *input = (struct txn_input){
        .place = place,
        .topic = &client->client.sim->topics[place / SIM_PARTITIONS_MAX],
        .partition = place % SIM_PARTITIONS_MAX,
        .name = client->member != NULL ? name_of(client, place) : client->group,
        .who = {.generation = -1},
    };
}

static void take_membership(const struct member *member, struct txn_membership *who) {
    *who = (struct txn_membership){
        .generation = member->generation,
        .fetches = member->protocol == &member_consumer,
    };
    snprintf(who->id, sizeof who->id, "%s", member->id);
    snprintf(who->instance, sizeof who->instance, "%s", member->instance);
}

static bool is_zombie(const struct txn_session *session) {
    return session != session->client->current;
}

/* Whether the member has owned the partition all the time since it was chosen. */
static bool is_owned_still(const struct txn_session *session) {
    const struct member *member = session->client->member;
    int place = session->input.place;
    return !is_zombie(session) && member->state == MEMBER_IN && member->owned[place] &&
           member->given[place] == session->input.given;
}

static int draw_place(const struct member *member) {
    int count = 0;
    int drawn = -1;
    for (int i = 0; i < AUDIT_PLACES_MAX && member->state == MEMBER_IN; i++) {
        if (member->owned[i] && member->gives_up_ms[i] == 0 &&
            node_below(member->client.sim, (uint64_t)++count) == 0) {
            drawn = i;
        }
    }
    return drawn;
}

static bool choose_owned(struct txn_session *session) {
    struct member *member = session->client->member;
    int place = draw_place(member);
    if (place < 0) {
        return false;
    }
    set_place(session, place);
    struct txn_input *input = &session->input;
    input->given = member->given[place];
    input->offset = member->positions[place];
    input->knows_offset = input->offset >= 0;
    input->chosen = true;
    take_membership(member, &input->who);
    return true;
}

bool txn_input_choose(struct txn_session *session) {
    struct txn_input *input = &session->input;
    if (session->client->member == NULL) {
        if (!input->chosen) {
            set_place(session, 0);
        }
        input->chosen = true;
        return true;
    }
    if (is_zombie(session) || (input->chosen && is_owned_still(session))) {
        return input->chosen;
    }
    return choose_owned(session);
}

/* --- a transaction --- */

void txn_input_begin(struct txn_session *session) {
    struct txn_client *client = session->client;
    struct txn_input *input = &session->input;
    int64_t *begun = client->member == NULL ? &client->begun
                                            : &client->member->group->inputs->begun[input->place];
    int64_t from = *begun > input->offset ? *begun : input->offset;
    *begun = from + 1 + (int64_t)node_below(client->client.sim, STEP_MAX);
    input->to = *begun;
    audit_txn_offsets(session->txn, input->name, input->offset, input->to);
}

/* While the partition is its own a member says what it is now, or what it was. */
const struct txn_membership *txn_input_who(struct txn_session *session) {
    struct node_sim *sim = session->client->client.sim;
    if (session->client->member != NULL && is_owned_still(session) && node_below(sim, 2) == 0) {
        take_membership(session->client->member, &session->input.who);
    }
    return &session->input.who;
}

void txn_input_fetched(struct txn_session *session, int64_t offset) {
    struct txn_input *input = &session->input;
    input->offset = offset < 0 ? 0 : offset;
    input->knows_offset = true;
    if (session->client->member != NULL && is_owned_still(session)) {
        session->client->member->positions[input->place] = input->offset;
    }
}

void txn_input_ended(struct txn_session *session, bool commit) {
    struct txn_input *input = &session->input;
    struct member *member = session->client->member;
    if (commit) {
        input->offset = input->to;
    }
    if (member == NULL || is_zombie(session)) {
        return;
    }
    if (is_owned_still(session)) {
        member->positions[input->place] = input->offset;
    } else {
        points_add(session->client->client.sim->run->points,
                   commit ? "txn_committed_in_time" : "txn_partition_lost", 1);
    }
    input->chosen = false; /* another one next time */
}

void txn_input_refused(struct txn_session *session) {
    session->input.chosen = session->input.knows_offset = false;
}

/* What the process knew is gone with it. */
void txn_input_forget(struct txn_session *session) {
    struct member *member = session->client->member;
    session->input = (struct txn_input){.who = {.generation = -1}};
    for (int i = 0; member != NULL && i < AUDIT_PLACES_MAX; i++) {
        member->positions[i] = -1;
        member->given[i]++; /* for what is under way */
    }
}

/* --- in the end --- */

bool txn_input_look(struct txn_session *session) {
    struct node_sim *sim = session->client->client.sim;
    int count = session->client->member == NULL ? 1 : sim->topic_count * SIM_PARTITIONS_MAX;
    while (session->looked < count) {
        const struct node_topic *topic = &sim->topics[session->looked / SIM_PARTITIONS_MAX];
        int32_t partition = session->looked % SIM_PARTITIONS_MAX;
        if (topic_is_usable(topic) && partition < topic->partition_count) {
            set_place(session, session->looked);
            return true;
        }
        session->looked++;
    }
    return false;
}
