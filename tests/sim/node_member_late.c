/*
 * Requests that come too late: of a process that another one has taken the place of, of a
 * generation or an epoch that is over, of a partition that was given up. A thread that was stuck,
 * or a network that held them back. They must be refused, and change nothing.
 */
#include <inttypes.h>

#include "node_member.h"
#include "wire/api.h"

enum { LATE_OFFSET = 1000 * 1000 }; /* so far does no position grow */

/* --- answers --- */

/* Nobody can have forgotten that it is over, since the power was never cut. */
static void heard(struct member *member, const char *what) {
    struct node_sim *sim = member->client.sim;
    if (member->past_cut == sim->run->power_cut_count) {
        node_fail(sim, "group %s: a %s of %s is taken that is of before, in %" PRId32,
                  member->group->name, what, member->name, member->late_generation);
    }
}

static void take_code(struct member *member, int16_t code) {
    if (code == ERR_NOT_COORDINATOR || code == ERR_COORDINATOR_NOT_AVAILABLE) {
        member->found = false;
    } else if (code != ERR_OK && !node_error_passes(code)) {
        member_point(member, "late_refused");
    }
}

/* While the group is loaded every classic heartbeat is agreed to. */
static void classic_beaten(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (member_answered(member, response)) {
        const struct heartbeat_response *message = response->message;
        if (message->error_code == ERR_OK && member->sent_loaded) {
            heard(member, "heartbeat");
        }
        take_code(member, message->error_code);
    }
}

static void consumer_beaten(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (member_answered(member, response)) {
        const struct consumer_group_heartbeat_response *message = response->message;
        if (message->error_code == ERR_OK) {
            heard(member, "heartbeat");
        }
        take_code(member, message->error_code);
    }
}

/* True: it was taken. */
static bool take_commit(struct member *member, const struct client_response *response) {
    if (!member_answered(member, response)) {
        return false;
    }
    const struct offset_commit_response *message = response->message;
    int16_t code = message->topics[0].partitions[0].error_code;
    if (code == ERR_OK) {
        audit_group_committed(member->group->audit, member->place, member->ticket);
    }
    take_code(member, code);
    return code == ERR_OK;
}

static void committed(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (take_commit(member, response)) {
        heard(member, "commit");
    }
}

/* It may be taken as long as nobody else has the partition. At its own epoch a member may commit
 * whatever it likes. */
static void committed_lost(void *arg, const struct client_response *response) {
    struct member *member = arg;
    const struct node_topic *topic = member_topic_of(member, member->place);
    if (take_commit(member, response) && member->floor != 0 &&
        topic->incarnation == member->incarnation) {
        node_fail(member->client.sim, "group %s: %s commits partition %d, which another owns",
                  member->group->name, member->name, member->place);
    }
}

/* --- requests --- */

static int64_t draw_offset(struct member *member) {
    return LATE_OFFSET + (int64_t)node_below(member->client.sim, LATE_OFFSET);
}

static void beat(struct member *member, const char *id) {
    struct str instance = member->instance[0] == '\0' ? STR_NULL : str_from_c(member->instance);
    if (member->protocol == &member_classic) {
        struct heartbeat_request request;
        wire_init(&heartbeat_request_type, &request);
        request.group_id = str_from_c(member->group->name);
        request.generation_id = member->late_generation;
        request.member_id = str_from_c(id);
        request.group_instance_id = instance;
        member_ask(member, API_HEARTBEAT, 4, &request, classic_beaten);
    } else {
        struct consumer_group_heartbeat_request request;
        wire_init(&consumer_group_heartbeat_request_type, &request);
        request.group_id = str_from_c(member->group->name);
        request.member_id = str_from_c(id);
        request.instance_id = instance;
        request.member_epoch = member->late_generation;
        request.topic_partitions_count = -1;
        request.subscribed_topic_names_count = -1;
        member_ask(member, API_CONSUMER_GROUP_HEARTBEAT, 1, &request, consumer_beaten);
    }
}

static bool commit(struct member *member, const char *id) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (member->owned[i] && topic_is_usable(member_topic_of(member, i))) {
            member_ask_commit(member, i, draw_offset(member), id, member->late_generation,
                              committed);
            return true;
        }
    }
    return false;
}

/* A commit of an older epoch is fine for what the member has had since then. */
static bool say_past_generation(struct member *member) {
    if (member->past_generation <= 0 || member->group->mixed) {
        return false;
    }
    member->late_generation = member->past_generation;
    if (member->protocol == &member_classic && node_below(member->client.sim, 2) == 0) {
        return commit(member, member->id);
    }
    beat(member, member->id);
    return true;
}

static bool say_as_past_process(struct member *member) {
    if (member->past_id[0] == '\0') {
        return false;
    }
    member->late_generation = member->generation;
    if (node_below(member->client.sim, 2) == 0) {
        return commit(member, member->past_id);
    }
    beat(member, member->past_id);
    return true;
}

static bool commit_lost(struct member *member) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        bool lost = member->lost_epochs[i] > 0 && !member->owned[i] &&
                    member->lost_epochs[i] < member->generation;
        if (lost && topic_is_usable(member_topic_of(member, i)) &&
            node_below(member->client.sim, 2) == 0) {
            member_ask_commit(member, i, draw_offset(member), member->id, member->lost_epochs[i],
                              committed_lost);
            return true;
        }
    }
    return false;
}

bool member_late_turn(struct member *member) {
    switch (node_below(member->client.sim, 3)) {
    case 0:
        return say_past_generation(member);
    case 1:
        return say_as_past_process(member);
    default:
        return commit_lost(member);
    }
}
