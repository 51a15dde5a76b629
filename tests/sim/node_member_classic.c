/*
 * JoinGroup, SyncGroup, Heartbeat and LeaveGroup. The leader deals the partitions out, in another
 * way each time; the assignment says whose it is and of which generation, so that the member knows
 * one that was meant for another.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_member.h"
#include "wire/api.h"

enum {
    OTHERS_MAX = 64,
    JOIN_VERSION_MIN = 2,
    JOIN_VERSION_MAX = 9,
    JOIN_VERSION_STATIC = 5,
    SYNC_VERSION = 3,
    SYNC_VERSION_PROTOCOL = 5, /* from here on it says the protocol, too */
    HEARTBEAT_VERSION = 3,
    LEAVE_VERSION_MANY = 3,
    DEAF_ONE_IN = 12,
    ANSWER_MS = 1, /* that an answer is under way */
};

static const struct str PROTOCOL_TYPE = {.data = "consumer", .size = 8};
static const struct str PROTOCOL_NAME = {.data = "dealt", .size = 5};

static struct str instance_of(const struct member *member) {
    return member->instance[0] == '\0' ? STR_NULL : str_from_c(member->instance);
}

/* --- subscriptions and assignments --- */

static void encode(struct buffer *out, const struct wire_type *type, const void *message) {
    static const uint8_t version[2] = {0, 0};
    buffer_clear(out);
    buffer_add(out, version, sizeof version);
    err_t err = wire_encode(type, 0, message, out);
    assert(err == ERR_OK);
    (void)err;
}

static void encode_subscription(struct member *member, struct buffer *out) {
    struct node_sim *sim = member->client.sim;
    struct str topics[SIM_TOPICS_MAX];
    struct consumer_protocol_subscription subscription;
    wire_init(&consumer_protocol_subscription_type, &subscription);
    for (int i = 0; i < sim->topic_count; i++) {
        topics[i] = str_from_c(sim->topics[i].name);
    }
    subscription.topics = topics;
    subscription.topics_count = sim->topic_count;
    encode(out, &consumer_protocol_subscription_type, &subscription);
}

static struct bytes tag(const char *id, int32_t generation, char *text, size_t size) {
    int length = snprintf(text, size, "%s of %" PRId32, id, generation);
    return (struct bytes){.data = (const uint8_t *)text, .size = (size_t)length};
}

/* Every count-th partition, from the first-th on. */
static void encode_share(struct member *member, int first, int count, const char *id,
                         struct buffer *out) {
    struct node_sim *sim = member->client.sim;
    struct consumer_protocol_assignment_topic_partition topics[SIM_TOPICS_MAX];
    int32_t partitions[AUDIT_PLACES_MAX];
    int at = 0;
    struct consumer_protocol_assignment assignment;
    wire_init(&consumer_protocol_assignment_type, &assignment);
    assignment.assigned_partitions = topics;
    for (int t = 0; t < sim->topic_count; t++) {
        if (!topic_is_usable(&sim->topics[t])) {
            continue;
        }
        int32_t *begin = partitions + t * SIM_PARTITIONS_MAX;
        int32_t share = 0;
        for (int32_t p = 0; p < sim->topics[t].partition_count; p++) {
            if (at++ % count == first) {
                begin[share++] = p;
            }
        }
        topics[assignment.assigned_partitions_count++] =
            (struct consumer_protocol_assignment_topic_partition){
                .topic = str_from_c(sim->topics[t].name),
                .partitions = begin,
                .partitions_count = share,
            };
    }
    char text[AUDIT_MEMBER_SIZE_MAX + 20];
    if (!member->group->mixed) { /* a group with such data cannot change its protocol */
        assignment.user_data = tag(id, member->generation, text, sizeof text);
    }
    encode(out, &consumer_protocol_assignment_type, &assignment);
}

static void take_share(struct member *member, const struct consumer_protocol_assignment *share) {
    struct node_sim *sim = member->client.sim;
    char text[AUDIT_MEMBER_SIZE_MAX + 20];
    struct bytes mine = tag(member->id, member->generation, text, sizeof text);
    bool is_tagged = member->instance[0] == '\0' && !member->group->mixed;
    if (is_tagged && !str_equal(bytes_str(mine), bytes_str(share->user_data))) {
        node_fail(sim, "group %s: %.*s gets the assignment of %.*s", member->group->name,
                  STR_ARGS(bytes_str(mine)), STR_ARGS(bytes_str(share->user_data)));
        return;
    }
    for (int32_t t = 0; t < share->assigned_partitions_count; t++) {
        struct node_topic *topic = topic_by_name(sim, share->assigned_partitions[t].topic);
        assert(topic != NULL);
        for (int32_t p = 0; p < share->assigned_partitions[t].partitions_count; p++) {
            int place = member_place_of(member, topic, share->assigned_partitions[t].partitions[p]);
            member_take_place(member, place);
        }
    }
}

/* --- SyncGroup --- */

static void own_for_a_time(struct member *member) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (member->owned[i]) {
            audit_group_own(member->group->audit, i, member->name,
                            sys_mono_ms(member->client.sim->sys), member_owns_until(member));
        }
    }
}

/* Whether the group was one of both protocols, and is of the classic one again. */
static void note_mixture(struct member *member) {
    struct node_group *group = member->group;
    bool mixed = false;
    for (struct member *other = group->members; other != NULL; other = other->next) {
        mixed |= other->state == MEMBER_IN && other->protocol == &member_consumer;
    }
    if (mixed) {
        member_point(member, "protocols_mixed");
    } else if (group->was_mixed) {
        member_point(member, "group_downgraded");
    }
    group->was_mixed = mixed;
}

static void synced(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (!member_answered(member, response)) {
        return;
    }
    const struct sync_group_response *message = response->message;
    member_take_error(member, "SyncGroup", message->error_code);
    if (message->error_code != ERR_OK) {
        return;
    }
    struct consumer_protocol_assignment share;
    size_t used;
    if (message->assignment.size < 2 ||
        wire_decode(&consumer_protocol_assignment_type, 0,
                    (struct bytes){.data = message->assignment.data + 2,
                                   .size = message->assignment.size - 2},
                    response->arena, &share, &used) != ERR_OK) {
        node_fail(member->client.sim, "group %s: %s gets no assignment in generation %" PRId32,
                  member->group->name, member->name, member->generation);
        return;
    }
    if (member_is_timed(member) &&
        sys_mono_ms(member->client.sim->sys) >= member_owns_until(member)) {
        member_rejoin(member); /* the answer was long under way: somebody else may have it */
        return;
    }
    member_point(member, "member_synced");
    member_is_in(member, member->generation);
    member->beat_ms = sys_mono_ms(member->client.sim->sys);
    take_share(member, &share);
    if (member_is_timed(member)) {
        note_mixture(member);
        own_for_a_time(member);
    } else {
        audit_group_synced(member->group->audit, member->generation, member->name, member->owned);
    }
}

static void sync_group(struct member *member) {
    struct sync_group_request_assignment shares[OTHERS_MAX];
    struct buffer bytes[OTHERS_MAX];
    int count = member->leads ? member->other_count : 0;
    member->dealt = member_topics_stamp(member->client.sim);
    int turned = (int)node_below(member->client.sim, OTHERS_MAX);
    const char *id = (const char *)member->others.data;
    for (int i = 0; i < count; i++) {
        buffer_init(&bytes[i]);
        encode_share(member, (i + turned) % count, count, id, &bytes[i]);
        shares[i] = (struct sync_group_request_assignment){.member_id = str_from_c(id),
                                                           .assignment = buffer_bytes(&bytes[i])};
        id += strlen(id) + 1;
    }
    bool new_version = member->join_version >= JOIN_VERSION_STATIC + 2;
    struct sync_group_request request;
    wire_init(&sync_group_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    request.generation_id = member->generation;
    request.member_id = str_from_c(member->id);
    request.group_instance_id = instance_of(member);
    request.assignments = shares;
    request.assignments_count = count;
    if (new_version) {
        request.protocol_type = PROTOCOL_TYPE;
        request.protocol_name = PROTOCOL_NAME;
    }
    member_ask(member, API_SYNC_GROUP, new_version ? SYNC_VERSION_PROTOCOL : SYNC_VERSION, &request,
               synced);
    member->sent_ms = member->joined_ms; /* SyncGroup does not begin the session anew */
    for (int i = 0; i < count; i++) {
        buffer_done(&bytes[i]);
    }
}

/* --- JoinGroup --- */

static void take_id(struct member *member, struct str id) {
    snprintf(member->id, sizeof member->id, "%.*s", STR_ARGS(id));
}

static void joined(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (!member_answered(member, response)) {
        return;
    }
    const struct join_group_response *message = response->message;
    if (message->error_code == ERR_MEMBER_ID_REQUIRED) {
        take_id(member, message->member_id);
        return;
    }
    member_take_error(member, "JoinGroup", message->error_code);
    if (message->error_code != ERR_OK) {
        return;
    }
    take_id(member, message->member_id);
    member->joined_ms = sys_mono_ms(member->client.sim->sys) - ANSWER_MS;
    member->generation = message->generation_id;
    member->leads = str_equal(message->leader, message->member_id) && !message->skip_assignment;
    buffer_clear(&member->others);
    member->other_count = message->members_count;
    bool is_among = !member->leads;
    for (int32_t i = 0; i < message->members_count; i++) {
        is_among |= str_equal(message->members[i].member_id, message->member_id);
        buffer_add_str(&member->others, message->members[i].member_id);
        buffer_add(&member->others, "", 1);
    }
    assert(member->other_count <= OTHERS_MAX);
    if (!is_among) {
        node_fail(member->client.sim, "group %s: %s leads generation %" PRId32 " and is not in it",
                  member->group->name, member->name, member->generation);
    }
    member->state = MEMBER_SYNCING;
}

static void join_group(struct member *member) {
    struct node_sim *sim = member->client.sim;
    struct buffer metadata;
    buffer_init(&metadata);
    encode_subscription(member, &metadata);
    struct join_group_request_protocol protocol = {.name = PROTOCOL_NAME,
                                                   .metadata = buffer_bytes(&metadata)};
    int16_t min = member->instance[0] == '\0' ? JOIN_VERSION_MIN : JOIN_VERSION_STATIC;
    member->join_version =
        (int16_t)(min + (int16_t)node_below(sim, (uint64_t)(JOIN_VERSION_MAX - min + 1)));
    struct join_group_request request;
    wire_init(&join_group_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    request.session_timeout_ms = (int32_t)member->session_ms;
    request.rebalance_timeout_ms = (int32_t)member->rebalance_ms;
    request.member_id = str_from_c(member->id);
    request.group_instance_id = instance_of(member);
    request.protocol_type = PROTOCOL_TYPE;
    request.protocols = &protocol;
    request.protocols_count = 1;
    member_ask(member, API_JOIN_GROUP, member->join_version, &request, joined);
    buffer_done(&metadata);
}

static void come(struct member *member) {
    if (member->state == MEMBER_SYNCING) {
        sync_group(member);
    } else {
        join_group(member);
    }
}

/* --- Heartbeat and LeaveGroup --- */

/* One that is busy with records goes on with heartbeats, and does not join: until it is out. */
static bool is_deaf(struct member *member) {
    if (!member->deaf && member->number > 0 && node_below(member->client.sim, DEAF_ONE_IN) == 0) {
        member_point(member, "member_deaf");
        member->deaf = true;
    }
    return member->deaf;
}

/* While the group is loaded every heartbeat is agreed to, as by Apache Kafka: only answers of a
 * coordinator that is known to have it tell something. */
static void beaten(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (member_answered(member, response)) {
        const struct heartbeat_response *message = response->message;
        bool heard = message->error_code == ERR_OK && member->sent_loaded;
        if (heard && member_is_timed(member)) {
            audit_group_keep(member->group->audit, member->name, member_owns_until(member));
        } else if (heard) {
            audit_group_heard(member->group->audit, "heartbeat", member->name, member->generation,
                              member->newest);
        }
        if (message->error_code != ERR_REBALANCE_IN_PROGRESS || !is_deaf(member)) {
            member_take_error(member, "Heartbeat", message->error_code);
        }
    }
}

/* As leaders do, whose assignment is another one then. */
static bool notices_topics(struct member *member) {
    return member->leads && member->dealt != member_topics_stamp(member->client.sim);
}

static void beat(struct member *member) {
    if (notices_topics(member)) {
        member_point(member, "leader_noticed_topics");
        member_rejoin(member);
        join_group(member);
        return;
    }
    struct heartbeat_request request;
    wire_init(&heartbeat_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    request.generation_id = member->generation;
    request.member_id = str_from_c(member->id);
    request.group_instance_id = instance_of(member);
    member_ask(member, API_HEARTBEAT, HEARTBEAT_VERSION, &request, beaten);
}

static void left(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (!member_answered(member, response)) {
        return;
    }
    const struct leave_group_response *message = response->message;
    int16_t code = message->error_code;
    if (code == ERR_OK && message->members_count > 0) {
        code = message->members[0].error_code;
    }
    if (code == ERR_OK || code == ERR_UNKNOWN_MEMBER_ID || code == ERR_FENCED_INSTANCE_ID) {
        member_rejoin_as_new(member);
    } else {
        member_take_error(member, "LeaveGroup", code);
    }
}

static void leave(struct member *member) {
    member_disown(member);
    struct leave_group_request_member_identity identity = {
        .member_id = str_from_c(member->id), .group_instance_id = instance_of(member)};
    bool many = member->instance[0] != '\0' || member->join_version >= JOIN_VERSION_STATIC;
    struct leave_group_request request;
    wire_init(&leave_group_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    if (many) {
        request.members = &identity;
        request.members_count = 1;
    } else {
        request.member_id = str_from_c(member->id);
    }
    member_ask(member, API_LEAVE_GROUP, many ? LEAVE_VERSION_MANY : LEAVE_VERSION_MANY - 1,
               &request, left);
}

const struct member_protocol member_classic = {
    .name = "classic",
    .come = come,
    .beat = beat,
    .leave = leave,
};
