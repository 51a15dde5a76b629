/*
 * ConsumerGroupHeartbeat: what is given is owned from the answer on; what is not given any more is
 * given up at once, which the next heartbeat says.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_member.h"
#include "wire/api.h"

enum { VERSION = 1, EPOCH_LEAVES = -1, SAY_ALL_ONE_IN = 3 };

static int64_t now_ms(const struct member *member) {
    return sys_mono_ms(member->client.sim->sys);
}

/* --- what it is given --- */

static void take_assignment(struct member *member,
                            const struct consumer_group_heartbeat_response_assignment *assignment) {
    bool given[AUDIT_PLACES_MAX] = {false};
    for (int32_t t = 0; t < assignment->topic_partitions_count; t++) {
        const struct consumer_group_heartbeat_response_topic_partitions *it =
            &assignment->topic_partitions[t];
        struct node_topic *topic = topic_by_id(member->client.sim, it->topic_id);
        assert(topic != NULL);
        for (int32_t p = 0; p < it->partitions_count; p++) {
            given[member_place_of(member, topic, it->partitions[p])] = true;
        }
    }
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        member->full |= given[i] != member->owned[i];
        if (given[i] && !member->owned[i]) {
            member->owned[i] = true;
            member->positions[i] = -1;
            audit_group_own(member->group->audit, i, member->name, now_ms(member),
                            member->sent_ms + member->session_ms);
        } else if (!given[i] && member->owned[i]) {
            member_point(member, "partition_revoked");
            member->owned[i] = false; /* the auditor is told when the broker is */
        }
    }
}

static void take_answer(struct member *member,
                        const struct consumer_group_heartbeat_response *message) {
    if (now_ms(member) >= member->sent_ms + member->session_ms) {
        member_rejoin_as_new(member); /* the broker may have given it up meanwhile */
        return;
    }
    member->state = MEMBER_IN;
    member->generation = message->member_epoch;
    audit_group_keep(member->group->audit, member->name, member->sent_ms + member->session_ms);
    if (message->assignment != NULL) {
        take_assignment(member, message->assignment);
    }
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

static void send(struct member *member, int32_t epoch) {
    struct node_sim *sim = member->client.sim;
    struct consumer_group_heartbeat_request_topic_partitions owned[SIM_TOPICS_MAX];
    int32_t partitions[AUDIT_PLACES_MAX];
    struct str topics[SIM_TOPICS_MAX];
    struct consumer_group_heartbeat_request request;
    wire_init(&consumer_group_heartbeat_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    request.member_id = str_from_c(member->id);
    request.member_epoch = epoch;
    request.topic_partitions_count = -1;
    request.subscribed_topic_names_count = -1;
    if (member->full || epoch == 0 || node_below(sim, SAY_ALL_ONE_IN) == 0) {
        request.rebalance_timeout_ms = (int32_t)member->rebalance_ms;
        request.subscribed_topic_names = topics;
        request.subscribed_topic_names_count = sim->topic_count;
        request.topic_partitions = owned;
        request.topic_partitions_count = 0;
        for (int t = 0; t < sim->topic_count; t++) {
            topics[t] = str_from_c(sim->topics[t].name);
            int32_t *begin = partitions + t * SIM_PARTITIONS_MAX;
            int32_t count = 0;
            for (int32_t p = 0; p < sim->topics[t].partition_count; p++) {
                int place = member_place_of(member, &sim->topics[t], p);
                if (member->owned[place]) {
                    begin[count++] = p;
                } else {
                    audit_group_release(member->group->audit, place, member->name);
                }
            }
            if (count > 0) {
                owned[request.topic_partitions_count++] =
                    (struct consumer_group_heartbeat_request_topic_partitions){
                        .topic_id = sim->topics[t].id,
                        .partitions = begin,
                        .partitions_count = count,
                    };
            }
        }
        member->full = false;
    }
    member->sent_ms = now_ms(member);
    member_ask(member, API_CONSUMER_GROUP_HEARTBEAT, VERSION, &request, answered);
}

static void come(struct member *member) {
    if (member->id[0] == '\0') {
        make_id(member);
    }
    member->beat_ms = now_ms(member);
    send(member, 0);
}

static void beat(struct member *member) {
    send(member, member->generation);
}

static void leave(struct member *member) {
    member_disown(member);
    send(member, EPOCH_LEAVES);
}

const struct member_protocol member_consumer = {
    .name = "consumer",
    .come = come,
    .beat = beat,
    .leave = leave,
};
