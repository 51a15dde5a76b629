/*
 * Requests of the classic protocol and their answers; and the leader's work between the two.
 *
 * JoinGroup and SyncGroup wait at the coordinator until all members are there, so each member has a
 * lane of its own for them: another one may be of the same program. Heartbeats and LeaveGroup go
 * beside them. Errors that say where the coordinator is
 * are dealt with by client_ask, which asks again; what is left comes to the machine.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/member_int.h"
#include "wire/api.h"
#include "wire/messages.h"

/* Beyond the time that the coordinator may hold a join back. */
enum { JOIN_SPARE_MS = 5000, LEAVE_TIMEOUT_MS = 10000 };

/* --- assignors --- */

/* The next word of a list; false: there is none. */
static bool next_word(struct str *rest, struct str *ret_word) {
    while (rest->size > 0 && (*rest->data == ' ' || *rest->data == ',')) {
        *rest = (struct str){rest->data + 1, rest->size - 1};
    }
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != ',') {
        size++;
    }
    *ret_word = (struct str){rest->data, size};
    *rest = (struct str){rest->data + size, rest->size - size};
    return size > 0;
}

static bool has_assignor(const struct client_member *member,
                         const struct client_assignor *assignor) {
    for (size_t i = 0; i < member->assignor_count; i++) {
        if (member->assignors[i] == assignor) {
            return true;
        }
    }
    return false;
}

err_t client_member_assignors_init(struct client_member *member, char *ret_text, size_t text_size) {
    struct str rest = str_from_c(member->settings->partition_assignment_strategy);
    struct str word;
    member->assignor_count = 0;
    while (next_word(&rest, &word)) {
        const struct client_assignor *assignor = client_assignor_by_name(word);
        if (assignor == NULL) {
            snprintf(ret_text, text_size,
                     "partition.assignment.strategy: '%.*s' is unknown; there are range, "
                     "roundrobin, sticky and cooperative-sticky",
                     (int)(word.size < 100 ? word.size : 100), word.data);
            return ERR_INVALID;
        }
        if (!has_assignor(member, assignor)) {
            member->assignors[member->assignor_count++] = assignor; /* fewer than places */
        }
    }
    if (member->assignor_count == 0) {
        snprintf(ret_text, text_size,
                 "partition.assignment.strategy is empty; range,cooperative-sticky is Kafka's "
                 "default");
        return ERR_INVALID;
    }
    return ERR_OK;
}

bool client_member_all_cooperative(const struct client_member *member) {
    for (size_t i = 0; i < member->assignor_count; i++) {
        if (!member->assignors[i]->cooperative) {
            return false;
        }
    }
    return member->assignor_count > 0;
}

static const struct client_assignor *assignor_of(const struct client_member *member,
                                                 struct str protocol) {
    const struct client_assignor *assignor = client_assignor_by_name(protocol);
    return assignor != NULL && str_equal(protocol, str_from_c(assignor->name)) &&
                   has_assignor(member, assignor)
               ? assignor
               : NULL;
}

/* Who the coordinator is may have to be asked again; all else is for the machine. */
static err_t judge_code(int16_t code) {
    err_t err = err_from_kafka_code(code);
    return err == ERR_NOT_COORDINATOR || err == ERR_COORDINATOR_NOT_AVAILABLE ||
                   err == ERR_COORDINATOR_LOAD_IN_PROGRESS
               ? err
               : ERR_OK;
}

/* --- JoinGroup --- */

static struct bytes subscription_bytes(const struct client_member *member,
                                       const struct client_assignor *assignor,
                                       struct arena *arena) {
    const struct member_classic *machine = &member->machine;
    struct member_subscription subscription = {
        .topics = member->names,
        .topic_count = member->name_count,
        .owned = &machine->owned,
        .generation = machine->generation,
        .rack = str_from_c(member->settings->client_rack),
        .last = machine->has_last ? &machine->last : NULL,
        .last_generation = machine->last_generation,
    };
    if (subscription.rack.size == 0) {
        subscription.rack = STR_NULL;
    }
    struct buffer bytes = {0};
    member_subscription_write(&subscription, assignor, &bytes);
    struct bytes copy = arena_bytes(arena, buffer_bytes(&bytes));
    buffer_done(&bytes);
    return copy;
}

static err_t join_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                        const void **ret_request) {
    (void)version;
    (void)broker_id;
    const struct client_member *member = arg;
    const struct client_settings *settings = member->settings;
    struct join_group_request *request = ARENA_NEW(arena, struct join_group_request);
    wire_init(&join_group_request_type, request);
    request->group_id = str_from_c(settings->group_id);
    request->session_timeout_ms = settings->session_timeout_ms;
    request->rebalance_timeout_ms = settings->max_poll_interval_ms;
    request->member_id = str_from_c(member->machine.member_id);
    request->group_instance_id = str_from_c(settings->group_instance_id);
    request->protocol_type = STR("consumer");
    request->reason = str_from_c(member->machine.reason);
    request->protocols_count = (int32_t)member->assignor_count;
    request->protocols =
        ARENA_ARRAY(arena, struct join_group_request_protocol, member->assignor_count);
    for (size_t i = 0; i < member->assignor_count; i++) {
        request->protocols[i] = (struct join_group_request_protocol){
            .name = str_from_c(member->assignors[i]->name),
            .metadata = subscription_bytes(member, member->assignors[i], arena),
        };
    }
    *ret_request = request;
    return ERR_OK;
}

static err_t join_judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    return judge_code(((const struct join_group_response *)response)->error_code);
}

static void join_done(void *arg, const struct client_answer *answer) {
    struct client_member *member = arg;
    member->request = NULL;
    struct classic_joined joined = {.err = answer->err};
    const struct join_group_response *response = answer->response;
    if (response != NULL) {
        const struct client_assignor *assignor = assignor_of(member, response->protocol_name);
        joined = (struct classic_joined){
            .err = err_from_kafka_code(response->error_code),
            .generation = response->generation_id,
            .protocol_type = response->protocol_type,
            .protocol = response->protocol_name,
            .member_id = response->member_id,
            .leader = str_equal(response->leader, response->member_id),
            .known_protocol = assignor != NULL,
        };
        member->skip_assignment = response->skip_assignment;
        if (joined.err == ERR_OK && joined.leader && assignor != NULL) {
            member_leader_read(&member->leader, assignor, response);
        }
    }
    member_classic_joined(&member->machine, &joined, client_member_now_ms(member));
    client_member_topics_want(member); /* who leads no more does not watch the others' topics */
    client_member_drive(member);
}

void client_member_send_join(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_JOIN_GROUP);
    ask.lane = member->join_lane;
    ask.build = join_build;
    ask.judge = join_judge;
    ask.done = join_done;
    ask.try_timeout_ms = member->settings->request_timeout_ms +
                         member->settings->max_poll_interval_ms + JOIN_SPARE_MS;
    ask.timeout_ms = ask.try_timeout_ms;
    assert(member->request == NULL);
    member->request = client_ask(member->client, &ask);
}

/* --- leading --- */

static const struct client_topic *view_topic(void *arg, struct str name) {
    const struct client_member *member = arg;
    return client_topic(member->client, name);
}

static struct str view_rack(void *arg, int32_t broker_id) {
    const struct client_member *member = arg;
    for (size_t i = 0; i < client_broker_count(member->client); i++) {
        const struct client_broker *broker = client_broker_at(member->client, i);
        if (broker->id == broker_id) {
            return broker->rack;
        }
    }
    return STR_NULL;
}

static struct member_view view_of(struct client_member *member) {
    return (struct member_view){.topic = view_topic, .rack = view_rack, .arg = member};
}

static uint64_t snapshot(struct client_member *member) {
    struct member_view view = view_of(member);
    const char *rack = member->settings->client_rack;
    return member_leader_snapshot(&member->leader, &view, rack != NULL && rack[0] != '\0');
}

void client_member_lead(struct client_member *member) {
    if (member->leader.unreadable_count > 0) {
        client_log(member->client, OTTLA_LOG_WARNING,
                   "group %s: the subscriptions of %d members cannot be read; they get nothing",
                   member->settings->group_id, member->leader.unreadable_count);
    }
    member->leading = true;
    member->lead_by_ms = client_member_now_ms(member) + member->settings->max_poll_interval_ms / 2;
    client_member_topics_want(member);
    client_member_lead_go_on(member);
}

void client_member_lead_go_on(struct client_member *member) {
    struct member_view view = view_of(member);
    if (!member->leading || (!member_leader_ready(&member->leader, &view) &&
                             client_member_now_ms(member) < member->lead_by_ms)) {
        return;
    }
    member->leading = false;
    arena_reset(&member->leader_arena);
    member->assignment_count = 0;
    if (!member->skip_assignment) {
        member_leader_assign(&member->leader, &view, &member->leader_arena, &member->assignments,
                             &member->assignment_count);
    }
    member->led_snapshot = snapshot(member);
    member_classic_led(&member->machine);
}

void client_member_watch_snapshot(struct client_member *member) {
    if (member->machine.leader && member->machine.phase == CLASSIC_STABLE &&
        snapshot(member) != member->led_snapshot) {
        member_classic_rejoin(&member->machine, "cached metadata has changed",
                              client_member_now_ms(member));
    }
}

/* --- SyncGroup --- */

static err_t sync_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                        const void **ret_request) {
    (void)version;
    (void)broker_id;
    struct client_member *member = arg;
    struct sync_group_request *request = ARENA_NEW(arena, struct sync_group_request);
    wire_init(&sync_group_request_type, request);
    request->group_id = str_from_c(member->settings->group_id);
    request->generation_id = member->machine.generation;
    request->member_id = str_from_c(member->machine.member_id);
    request->group_instance_id = str_from_c(member->settings->group_instance_id);
    request->protocol_type = STR("consumer");
    request->protocol_name = str_from_c(member->machine.protocol);
    if (member->machine.leader) {
        request->assignments = member->assignments;
        request->assignments_count = member->assignment_count;
    }
    *ret_request = request;
    return ERR_OK;
}

static err_t sync_judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    return judge_code(((const struct sync_group_response *)response)->error_code);
}

static void sync_done(void *arg, const struct client_answer *answer) {
    struct client_member *member = arg;
    member->request = NULL;
    struct member_set assigned;
    member_set_init(&assigned);
    struct classic_synced synced = {.err = answer->err, .assigned = &assigned};
    const struct sync_group_response *response = answer->response;
    if (response != NULL) {
        synced.err = err_from_kafka_code(response->error_code);
        synced.protocol_type = response->protocol_type;
        synced.protocol = response->protocol_name;
        if (synced.err == ERR_OK) {
            synced.err = member_assignment_read(response->assignment, &assigned);
        }
    }
    member_classic_synced(&member->machine, &synced, client_member_now_ms(member));
    member_set_done(&assigned);
    client_member_watch_snapshot(member); /* metadata may have changed while it waited */
    client_member_drive(member);
}

void client_member_send_sync(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_SYNC_GROUP);
    ask.lane = member->join_lane;
    ask.build = sync_build;
    ask.judge = sync_judge;
    ask.done = sync_done;
    ask.try_timeout_ms =
        member->settings->request_timeout_ms + member->settings->max_poll_interval_ms;
    ask.timeout_ms = ask.try_timeout_ms;
    assert(member->request == NULL);
    member->request = client_ask(member->client, &ask);
}

/* --- Heartbeat --- */

static err_t heartbeat_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                             const void **ret_request) {
    (void)version;
    (void)broker_id;
    const struct client_member *member = arg;
    struct heartbeat_request *request = ARENA_NEW(arena, struct heartbeat_request);
    wire_init(&heartbeat_request_type, request);
    request->group_id = str_from_c(member->settings->group_id);
    request->generation_id = member->machine.generation;
    request->member_id = str_from_c(member->machine.member_id);
    request->group_instance_id = str_from_c(member->settings->group_instance_id);
    *ret_request = request;
    return ERR_OK;
}

static err_t heartbeat_judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    return judge_code(((const struct heartbeat_response *)response)->error_code);
}

static void heartbeat_done(void *arg, const struct client_answer *answer) {
    struct client_member *member = arg;
    member->heartbeat = NULL;
    const struct heartbeat_response *response = answer->response;
    err_t err = response == NULL ? answer->err : err_from_kafka_code(response->error_code);
    member_classic_heartbeat_answered(&member->machine, err, client_member_now_ms(member));
    client_member_drive(member);
}

void client_member_send_classic_heartbeat(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_HEARTBEAT);
    const struct client_settings *settings = member->settings;
    ask.build = heartbeat_build;
    ask.judge = heartbeat_judge;
    ask.done = heartbeat_done;
    ask.timeout_ms = settings->session_timeout_ms;
    ask.try_timeout_ms = settings->request_timeout_ms < settings->session_timeout_ms
                             ? settings->request_timeout_ms
                             : settings->session_timeout_ms;
    assert(member->heartbeat == NULL);
    member->heartbeat = client_ask(member->client, &ask);
}

/* --- LeaveGroup --- */

static err_t leave_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                         const void **ret_request) {
    (void)broker_id;
    const struct client_member *member = arg;
    struct leave_group_request *request = ARENA_NEW(arena, struct leave_group_request);
    wire_init(&leave_group_request_type, request);
    request->group_id = str_from_c(member->settings->group_id);
    if (version < 3) {
        request->member_id = str_from_c(member->machine.leave_id);
    } else {
        request->members = ARENA_NEW(arena, struct leave_group_request_member_identity);
        request->members_count = 1;
        request->members[0].member_id = str_from_c(member->machine.leave_id);
        request->members[0].group_instance_id = STR_NULL;
        request->members[0].reason = str_from_c(member->machine.leave_reason);
    }
    *ret_request = request;
    return ERR_OK;
}

static err_t leave_judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    return judge_code(((const struct leave_group_response *)response)->error_code);
}

static void leave_done(void *arg, const struct client_answer *answer) {
    (void)answer; /* it is gone, or will be when its session ends */
    struct client_member *member = arg;
    member->leave = NULL;
    member_classic_left(&member->machine);
    client_member_drive(member);
}

void client_member_send_leave(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_LEAVE_GROUP);
    ask.build = leave_build;
    ask.judge = leave_judge;
    ask.done = leave_done;
    ask.timeout_ms = LEAVE_TIMEOUT_MS;
    member->leave = client_ask(member->client, &ask);
}
