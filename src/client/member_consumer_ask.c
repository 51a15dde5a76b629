/* ConsumerGroupHeartbeat and its answers. All go by one lane, so that a heartbeat that says goodbye
 * comes behind those before it. */
#include <assert.h>

#include "client/member_int.h"
#include "wire/api.h"
#include "wire/messages.h"

enum { REGEX_VERSION_MIN = 1, HEARTBEAT_TIMEOUT_MS_MIN = 1000, LEAVE_TIMEOUT_MS = 10000 };

typedef struct consumer_group_heartbeat_request heartbeat_request;
typedef struct consumer_group_heartbeat_request_topic_partitions request_topic;

static void say_who(const struct client_member *member, heartbeat_request *request) {
    wire_init(&consumer_group_heartbeat_request_type, request);
    request->group_id = str_from_c(member->settings->group_id);
    request->member_id = str_from_c(member->consumer.member_id);
    request->member_epoch = member->consumer.epoch;
    request->instance_id = str_from_c(member->settings->group_instance_id);
    request->subscribed_topic_names_count = -1; /* as before */
    request->topic_partitions_count = -1;
}

static err_t say_subscription(const struct client_member *member, int16_t version,
                              heartbeat_request *request) {
    bool regex = member->expression.data != NULL;
    if (regex && version < REGEX_VERSION_MIN) {
        return ERR_UNSUPPORTED_VERSION;
    }
    request->rebalance_timeout_ms = member->settings->max_poll_interval_ms;
    request->server_assignor = str_from_c(member->settings->group_remote_assignor);
    request->rack_id = str_from_c(member->settings->client_rack);
    if (request->rack_id.size == 0) {
        request->rack_id = STR_NULL;
    }
    /* An empty expression ends one of before; an empty list likewise names. */
    request->subscribed_topic_regex = regex ? member->expression : STR("");
    request->subscribed_topic_names = member->names;
    request->subscribed_topic_names_count = regex ? 0 : (int32_t)member->name_count;
    if (version < REGEX_VERSION_MIN) {
        request->subscribed_topic_regex = STR_NULL;
    }
    return ERR_OK;
}

static void say_owned(const struct client_member *member, struct arena *arena,
                      heartbeat_request *request) {
    const struct member_set *owned = &member->consumer.owned;
    int32_t *partitions = ARENA_ARRAY(arena, int32_t, owned->count);
    request->topic_partitions = ARENA_ARRAY(arena, request_topic, owned->count);
    request->topic_partitions_count = 0;
    for (size_t i = 0; i < owned->count; i++) {
        const struct member_partition *item = &owned->items[i];
        if (i == 0 || !uuid_equal(item->topic_id, item[-1].topic_id)) {
            request->topic_partitions[request->topic_partitions_count++] =
                (request_topic){.topic_id = item->topic_id, .partitions = &partitions[i]};
        }
        partitions[i] = item->partition;
        request->topic_partitions[request->topic_partitions_count - 1].partitions_count++;
    }
}

static err_t heartbeat_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                             const void **ret_request) {
    (void)broker_id;
    struct client_member *member = arg;
    heartbeat_request *request = ARENA_NEW(arena, heartbeat_request);
    member_consumer_say(&member->consumer);
    say_who(member, request);
    err_t err = ERR_OK;
    if (member->consumer.sent_subscription) {
        err = say_subscription(member, version, request);
    }
    if (member->consumer.sent_owned) {
        say_owned(member, arena, request);
    }
    *ret_request = request;
    return err;
}

/* False: a broker that lies about numbers. */
static bool read_assignment(const struct consumer_group_heartbeat_response_assignment *assignment,
                            struct member_set *set) {
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++) {
        const struct consumer_group_heartbeat_response_topic_partitions *topic =
            &assignment->topic_partitions[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            if (topic->partitions[j] < 0 || uuid_is_zero(topic->topic_id)) {
                return false;
            }
            member_set_add(set, STR_NULL, topic->topic_id, topic->partitions[j]);
        }
    }
    member_set_finish(set);
    return true;
}

static void heartbeat_done(void *arg, const struct client_answer *answer) {
    struct client_member *member = arg;
    member->heartbeat = NULL;
    struct member_set assigned;
    member_set_init(&assigned);
    struct consumer_heartbeat heartbeat = {.err = answer->err};
    if (answer->err != ERR_OK) {
        heartbeat.text = str_from_c(answer->text);
    }
    const struct consumer_group_heartbeat_response *response = answer->response;
    if (response != NULL) {
        heartbeat.err = err_from_kafka_code(response->error_code);
        heartbeat.text = response->error_message;
        heartbeat.epoch = response->member_epoch;
        heartbeat.interval_ms = response->heartbeat_interval_ms;
    }
    if (response != NULL && heartbeat.err == ERR_OK && response->assignment != NULL) {
        heartbeat.assignment = &assigned;
        heartbeat.err = read_assignment(response->assignment, &assigned) ? ERR_OK : ERR_MALFORMED;
    }
    member_consumer_answered(&member->consumer, &heartbeat, client_member_now_ms(member));
    member_set_done(&assigned);
    client_member_drive(member);
}

/* An error of the coordinator's place has to reach client_ask, which then looks for it anew. What
 * is asked again is said as the machine stands. */
static err_t heartbeat_judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    err_t err = err_from_kafka_code(
        ((const struct consumer_group_heartbeat_response *)response)->error_code);
    return err == ERR_NOT_COORDINATOR || err == ERR_COORDINATOR_NOT_AVAILABLE ||
                   err == ERR_COORDINATOR_LOAD_IN_PROGRESS
               ? err
               : ERR_OK;
}

void client_member_send_consumer_heartbeat(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_CONSUMER_GROUP_HEARTBEAT);
    ask.build = heartbeat_build;
    ask.judge = heartbeat_judge;
    ask.done = heartbeat_done;
    ask.timeout_ms = HEARTBEAT_TIMEOUT_MS_MIN + member->settings->request_timeout_ms;
    assert(member->heartbeat == NULL);
    member->heartbeat = client_ask(member->client, &ask);
}

static err_t leave_build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    (void)broker_id;
    const struct client_member *member = arg;
    heartbeat_request *request = ARENA_NEW(arena, heartbeat_request);
    say_who(member, request);
    request->member_epoch = member->consumer.leave_epoch;
    *ret_request = request;
    return ERR_OK;
}

static void leave_done(void *arg, const struct client_answer *answer) {
    (void)answer; /* it is gone, or will be when its session ends */
    struct client_member *member = arg;
    member->leave = NULL;
    member_consumer_left(&member->consumer);
    client_member_drive(member);
}

void client_member_send_consumer_leave(struct client_member *member) {
    struct client_ask ask = client_member_ask(member, API_CONSUMER_GROUP_HEARTBEAT);
    ask.build = leave_build;
    ask.judge = heartbeat_judge;
    ask.done = leave_done;
    ask.timeout_ms = LEAVE_TIMEOUT_MS;
    member->leave = client_ask(member->client, &ask);
}
