/*
 * The administrator: one operation at a time, each tried again until its outcome is known. What was
 * acknowledged must hold from then on, whatever happens to the process or the power.
 *
 *   create      TOPIC_ABSENT  ──► CREATING ──► PRESENT      exists already: only after a try
 *   delete      TOPIC_PRESENT ──► DELETING ──► ABSENT       unknown: only after a try
 *   partitions  partitions_asked, then partition_count      without an answer
 *   setting     setting_asked, then setting
 *   records     the auditor is told before it is asked for, and when it is acknowledged
 *   look        Metadata of all topics, and their settings: after each start, now and then, and at
 *               the end; compared with all that is known
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_int.h"
#include "wire/api.h"

enum { SETTING_DEFAULT = 86400000, RESOURCE_TOPIC = 2, LOOK_ONE_IN = 4, TEXT_MAX = 24 };

#define SETTING_NAME "delete.retention.ms"

struct admin {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct scenario_range wait;
    bool busy;
    struct node_topic *topic; /* of the operation */
    bool tried;               /* it may have been done, nobody knows */
    int64_t offset;           /* of DeleteRecords */
    uint32_t looked_down;     /* sim->down_count at the last look */
    uint32_t asked_down;      /* and of the one that is under way */
    bool looked_at_end;
    bool asked_at_end;
    char cluster_id[64];
};

static void again(struct admin *admin, int64_t delay_ms) {
    node_timer_in(admin->client.sim, &admin->timer, delay_ms);
}

static void ask(struct admin *admin, int16_t api_key, int16_t version, const void *request,
                client_done_fn done) {
    admin->busy = true;
    if (node_link_send(&admin->link, api_key, version, request, done, admin) != ERR_OK) {
        admin->busy = false;
    }
}

/* Ends an operation. True: the code is the outcome; else it is to be tried again. */
static bool take_code(struct admin *admin, const struct client_response *response, int16_t code,
                      const char *what) {
    admin->busy = false;
    again(admin, node_draw(admin->client.sim, admin->wait) / 1000);
    if (response->err != ERR_OK) {
        admin->tried = true;
        return false;
    }
    bool passes = node_error_passes(code) && code != ERR_UNKNOWN_TOPIC_OR_PARTITION &&
                  code != ERR_UNKNOWN_TOPIC_ID;
    passes |= code == ERR_INVALID_REPLICATION_FACTOR; /* the only broker is shutting down */
    if (passes) {
        admin->tried = true;
        return false;
    }
    run_say(admin->client.sim->run, "%s of %s: %s", what, admin->topic->name, err_name(code));
    return true;
}

static void refused(struct admin *admin, const char *what, int16_t code) {
    node_fail(admin->client.sim, "%s of topic %s is answered with %s", what, admin->topic->name,
              err_name(code));
}

/* --- create --- */

static int64_t setting_default(const struct node_topic *topic) {
    return topic->tombstones_ms < 0 ? SETTING_DEFAULT : topic->tombstones_ms;
}

static void created(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    const struct create_topics_response *message = response->message;
    int16_t code = response->err == ERR_OK ? message->topics[0].error_code : 0;
    if (!take_code(admin, response, code, "creation")) {
        return;
    }
    struct node_topic *topic = admin->topic;
    if (code == ERR_OK) {
        topic->state = TOPIC_PRESENT;
        topic_note_id(topic, message->topics[0].topic_id);
    } else if (code == ERR_TOPIC_ALREADY_EXISTS && admin->tried) {
        topic->state = TOPIC_PRESENT; /* a look tells its id */
        admin->looked_down--;
    } else {
        refused(admin, "Creation", code);
    }
    admin->tried = false;
}

static void create(struct admin *admin, struct node_topic *topic) {
    typedef struct create_topics_request_creatable_topic_config setting;
    if (topic->state == TOPIC_ABSENT) {
        topic_begin(topic);
        admin->tried = false;
    }
    admin->topic = topic;
    char segment_bytes[TEXT_MAX];
    char retention_bytes[TEXT_MAX];
    char tombstones_ms[TEXT_MAX];
    snprintf(tombstones_ms, sizeof tombstones_ms, "%" PRId64, setting_default(topic));
    snprintf(segment_bytes, sizeof segment_bytes, "%" PRId64, topic->segment_bytes);
    snprintf(retention_bytes, sizeof retention_bytes, "%" PRId64, topic->retention_bytes);
    setting settings[6] = {
        {STR("internal.segment.bytes"), str_from_c(segment_bytes)},
        {STR("index.interval.bytes"), STR("300")},
        {STR("retention.bytes"), str_from_c(retention_bytes)},
        {STR("cleanup.policy"), topic->compacted ? STR("compact") : STR("delete")},
    };
    int32_t setting_count = 4;
    if (topic->synced) {
        settings[setting_count++] = (setting){STR("flush.messages"), STR("1")};
    }
    if (topic->tombstones_ms >= 0) {
        settings[setting_count++] = (setting){STR(SETTING_NAME), str_from_c(tombstones_ms)};
    }
    struct create_topics_request_creatable_topic creatable = {
        .name = str_from_c(topic->name),
        .num_partitions = topic->first_partition_count,
        .replication_factor = 1,
        .configs = settings,
        .configs_count = setting_count,
    };
    struct create_topics_request request;
    wire_init(&create_topics_request_type, &request);
    request.topics = &creatable;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    ask(admin, API_CREATE_TOPICS, 7, &request, created);
}

/* --- delete --- */

static void deleted(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    struct node_sim *sim = admin->client.sim;
    const struct delete_topics_response *message = response->message;
    int16_t code = response->err == ERR_OK ? message->responses[0].error_code : 0;
    if (!take_code(admin, response, code, "deletion")) {
        return;
    }
    bool unknown = code == ERR_UNKNOWN_TOPIC_OR_PARTITION || code == ERR_UNKNOWN_TOPIC_ID;
    if (code == ERR_OK || (unknown && admin->tried)) {
        admin->topic->state = TOPIC_ABSENT;
    } else {
        refused(admin, "Deletion", code);
    }
    admin->tried = false;
    if (admin->topic->state == TOPIC_ABSENT && !sim->finishing && node_below(sim, 2) == 0) {
        create(admin, admin->topic); /* while the folders of its name are leaving */
    }
}

static void delete (struct admin *admin, struct node_topic *topic) {
    if (topic->state == TOPIC_PRESENT) {
        topic->state = TOPIC_DELETING;
        admin->tried = false;
    }
    admin->topic = topic;
    bool by_id = topic->id_known && node_below(admin->client.sim, 2) == 0;
    struct delete_topics_request_delete_topic_state state = {
        .name = by_id ? STR_NULL : str_from_c(topic->name),
        .topic_id = by_id ? topic->id : UUID_ZERO,
    };
    struct delete_topics_request request;
    wire_init(&delete_topics_request_type, &request);
    request.topics = &state;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    ask(admin, API_DELETE_TOPICS, 6, &request, deleted);
}

/* --- partitions --- */

static void grown(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    const struct create_partitions_response *message = response->message;
    int16_t code = response->err == ERR_OK ? message->results[0].error_code : 0;
    if (!take_code(admin, response, code, "more partitions")) {
        return;
    }
    if (code == ERR_OK || (code == ERR_INVALID_PARTITIONS && admin->tried)) {
        topic_set_partition_count(admin->topic, admin->topic->partitions_asked);
    } else {
        refused(admin, "More partitions", code);
    }
    admin->tried = false;
}

static void add_partition(struct admin *admin, struct node_topic *topic) {
    if (topic->partitions_asked == topic->partition_count) {
        topic->partitions_asked++;
        admin->tried = false;
    }
    admin->topic = topic;
    struct create_partitions_request_create_partitions_topic more = {
        .name = str_from_c(topic->name), .count = topic->partitions_asked, .assignments_count = -1};
    struct create_partitions_request request;
    wire_init(&create_partitions_request_type, &request);
    request.topics = &more;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    ask(admin, API_CREATE_PARTITIONS, 3, &request, grown);
}

/* --- a setting --- */

static void set(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    const struct incremental_alter_configs_response *message = response->message;
    int16_t code = response->err == ERR_OK ? message->responses[0].error_code : 0;
    if (!take_code(admin, response, code, "a setting")) {
        return;
    }
    if (code == ERR_OK) {
        admin->topic->setting = admin->topic->setting_asked;
        if (admin->topic->changes_policy) {
            points_add(admin->client.sim->run->points, "policy_changed", 1);
        }
    } else {
        refused(admin, "A setting", code);
    }
    admin->tried = false;
}

static void change_setting(struct admin *admin, struct node_topic *topic) {
    if (topic->setting == topic->setting_asked) {
        topic->setting_asked = 1000 + (int64_t)node_below(admin->client.sim, 1000000);
    }
    admin->topic = topic;
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%" PRId64, topic->setting_asked);
    struct incremental_alter_configs_request_alterable_config configs[] = {
        {.name = STR(SETTING_NAME), .value = str_from_c(text)},
        {.name = STR("cleanup.policy"),
         .value = topic->setting_asked % 2 == 0 ? STR("compact") : STR("delete")},
    };
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = RESOURCE_TOPIC,
        .resource_name = str_from_c(topic->name),
        .configs = configs,
        .configs_count = topic->changes_policy ? 2 : 1,
    };
    struct incremental_alter_configs_request request;
    wire_init(&incremental_alter_configs_request_type, &request);
    request.resources = &resource;
    request.resources_count = 1;
    ask(admin, API_INCREMENTAL_ALTER_CONFIGS, 1, &request, set);
}

/* --- records --- */

static void note_deleted(struct admin *admin,
                         const struct delete_records_response_delete_records_partition_result *it) {
    struct node_topic *topic = admin->topic;
    if (it->low_watermark < admin->offset) {
        node_fail(topic->sim, "%s-%d: DeleteRecords up to %" PRId64 " leaves those from %" PRId64,
                  topic->name, it->partition_index, admin->offset, it->low_watermark);
    }
    audit_deleted(topic->partitions[it->partition_index].audit, admin->offset);
    points_add(topic->sim->run->points, "records_deleted", 1);
}

static void records_deleted(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    const struct delete_records_response *message = response->message;
    int16_t code = response->err == ERR_OK ? message->topics[0].partitions[0].error_code : 0;
    /* Out of range: the power took what was above. */
    if (take_code(admin, response, code, "DeleteRecords") && code != ERR_OK &&
        code != ERR_OFFSET_OUT_OF_RANGE && code != ERR_UNKNOWN_TOPIC_OR_PARTITION) {
        refused(admin, "DeleteRecords", code);
    }
    if (response->err == ERR_OK && code == ERR_OK) {
        note_deleted(admin, &message->topics[0].partitions[0]);
    }
    admin->tried = false;
}

static bool delete_records(struct admin *admin, struct node_topic *topic) {
    struct node_sim *sim = admin->client.sim;
    int32_t partition = (int32_t)node_below(sim, (uint64_t)topic->partition_count);
    struct topic_partition *it = &topic->partitions[partition];
    if (it->high_watermark == 0) {
        return false;
    }
    admin->topic = topic;
    int64_t offset = (int64_t)node_below(sim, (uint64_t)it->high_watermark + 1);
    admin->offset = offset;
    audit_delete(it->audit, offset);
    struct delete_records_request_delete_records_partition part = {.partition_index = partition,
                                                                   .offset = offset};
    struct delete_records_request_delete_records_topic of = {
        .name = str_from_c(topic->name), .partitions = &part, .partitions_count = 1};
    struct delete_records_request request;
    wire_init(&delete_records_request_type, &request);
    request.topics = &of;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    ask(admin, API_DELETE_RECORDS, 2, &request, records_deleted);
    return true;
}

/* --- looking --- */

static void check_setting(struct node_topic *topic, struct str value) {
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%.*s", STR_ARGS(value));
    int64_t found = strtoll(text, NULL, 10);
    int64_t known = topic->setting < 0 ? setting_default(topic) : topic->setting;
    if (found != known &&
        (topic->setting == topic->setting_asked || found != topic->setting_asked)) {
        node_fail(topic->sim, "topic %s: " SETTING_NAME " was set to %" PRId64 ", and is %s",
                  topic->name, known, text);
    }
}

static void settings_told(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    struct node_sim *sim = admin->client.sim;
    admin->busy = false;
    again(admin, node_draw(sim, admin->wait) / 1000);
    const struct describe_configs_response *message = response->message;
    if (response->err != ERR_OK) {
        return;
    }
    for (int32_t i = 0; i < message->results_count; i++) {
        struct node_topic *topic = topic_by_name(sim, message->results[i].resource_name);
        assert(topic != NULL);
        if (message->results[i].error_code != ERR_OK || message->results[i].configs_count != 1) {
            if (!node_error_passes(message->results[i].error_code)) {
                node_fail(sim, "DescribeConfigs of topic %s is answered with %s", topic->name,
                          err_name(message->results[i].error_code));
            }
            return;
        }
        check_setting(topic, message->results[i].configs[0].value);
    }
    admin->looked_down = admin->asked_down;
    admin->looked_at_end = admin->asked_at_end;
}

static void ask_settings(struct admin *admin) {
    struct node_sim *sim = admin->client.sim;
    struct describe_configs_request_describe_configs_resource resources[SIM_TOPICS_MAX];
    struct str name = STR(SETTING_NAME);
    struct describe_configs_request request;
    wire_init(&describe_configs_request_type, &request);
    request.resources = resources;
    for (int i = 0; i < sim->topic_count; i++) {
        if (sim->topics[i].state == TOPIC_PRESENT) {
            resources[request.resources_count++] =
                (struct describe_configs_request_describe_configs_resource){
                    .resource_type = RESOURCE_TOPIC,
                    .resource_name = str_from_c(sim->topics[i].name),
                    .configuration_keys = &name,
                    .configuration_keys_count = 1,
                };
        }
    }
    ask(admin, API_DESCRIBE_CONFIGS, 4, &request, settings_told);
}

static void check_topic(struct node_sim *sim, const struct metadata_response_topic *told) {
    if (told->is_internal) {
        return;
    }
    struct node_topic *topic = topic_by_name(sim, told->name);
    if (topic == NULL || topic->state == TOPIC_ABSENT) {
        node_fail(sim, "topic %.*s is there, but %s", STR_ARGS(told->name),
                  topic == NULL ? "nobody created it" : "its deletion was acknowledged");
        return;
    }
    topic_note_id(topic, told->topic_id);
    if (topic->state == TOPIC_CREATING) {
        topic->state = TOPIC_PRESENT;
    }
    if (told->partitions_count < topic->partition_count ||
        told->partitions_count > topic->partitions_asked) {
        node_fail(sim, "topic %s has %d partitions, of %d", topic->name, told->partitions_count,
                  topic->partition_count);
    }
}

static void topics_told(void *arg, const struct client_response *response) {
    struct admin *admin = arg;
    struct node_sim *sim = admin->client.sim;
    admin->busy = false;
    const struct metadata_response *message = response->message;
    if (response->err != ERR_OK) {
        again(admin, node_draw(sim, admin->wait) / 1000);
        return;
    }
    if (admin->cluster_id[0] == '\0') {
        snprintf(admin->cluster_id, sizeof admin->cluster_id, "%.*s",
                 STR_ARGS(message->cluster_id));
    } else if (!str_equal(str_from_c(admin->cluster_id), message->cluster_id)) {
        node_fail(sim, "the cluster's id was %s, and now is %.*s", admin->cluster_id,
                  STR_ARGS(message->cluster_id));
    }
    bool told[SIM_TOPICS_MAX] = {false};
    for (int32_t i = 0; i < message->topics_count; i++) {
        check_topic(sim, &message->topics[i]);
        struct node_topic *topic = topic_by_name(sim, message->topics[i].name);
        if (topic != NULL) {
            told[topic - sim->topics] = true;
        }
    }
    for (int i = 0; i < sim->topic_count; i++) {
        if (sim->topics[i].state == TOPIC_PRESENT && !told[i]) {
            node_fail(sim, "topic %s was created, and is gone", sim->topics[i].name);
        }
    }
    ask_settings(admin);
    if (!admin->busy) {
        again(admin, node_draw(sim, admin->wait) / 1000);
    }
}

static void look(struct admin *admin) {
    admin->asked_down = admin->client.sim->down_count;
    admin->asked_at_end = admin->client.sim->finishing;
    struct metadata_request request;
    wire_init(&metadata_request_type, &request);
    request.topics_count = -1;
    ask(admin, API_METADATA, 12, &request, topics_told);
}

/* --- turns --- */

/* Goes on with what has no outcome yet, or creates what must always be there. */
static bool go_on(struct admin *admin) {
    struct node_sim *sim = admin->client.sim;
    for (int i = 0; i < sim->topic_count; i++) {
        struct node_topic *topic = &sim->topics[i];
        if (topic->state == TOPIC_CREATING ||
            (topic->state == TOPIC_ABSENT && !topic->comes_and_goes)) {
            create(admin, topic);
        } else if (topic->state == TOPIC_DELETING) {
            delete (admin, topic);
        } else if (topic->partitions_asked > topic->partition_count) {
            add_partition(admin, topic);
        } else if (topic->state == TOPIC_PRESENT && topic->setting != topic->setting_asked) {
            change_setting(admin, topic);
        } else {
            continue;
        }
        return true;
    }
    return false;
}

static bool begin_something(struct admin *admin) {
    struct node_sim *sim = admin->client.sim;
    struct node_topic *topic = &sim->topics[node_below(sim, (uint64_t)sim->topic_count)];
    if (node_below(sim, LOOK_ONE_IN) == 0) {
        look(admin);
    } else if (topic->state == TOPIC_ABSENT) {
        create(admin, topic);
    } else if (topic->comes_and_goes && node_below(sim, 2) == 0) {
        delete (admin, topic);
    } else if (topic->grows && topic->partition_count < SIM_PARTITIONS_MAX &&
               node_below(sim, 4) == 0) {
        add_partition(admin, topic);
    } else if (topic->deletes_records && node_below(sim, 2) == 0) {
        return delete_records(admin, topic);
    } else if (topic->tombstones_ms < 0) {
        change_setting(admin, topic);
    } else {
        return false;
    }
    return true;
}

static void turn(struct sys_timer *timer) {
    struct admin *admin = container_of(timer, struct admin, timer);
    struct node_sim *sim = admin->client.sim;
    if (admin->busy) {
        return;
    }
    if (!admin->link.is_up) {
        again(admin, 20);
        return;
    }
    if (admin->looked_down != sim->down_count) {
        look(admin);
    } else if (go_on(admin)) {
    } else if (!sim->finishing) {
        (void)begin_something(admin);
    } else if (!admin->looked_at_end) {
        look(admin);
    } else {
        admin->client.over = true;
        return;
    }
    if (!admin->busy) {
        again(admin, 20);
    }
}

static void admin_free(struct node_client *client) {
    free(container_of(client, struct admin, client));
}

void node_admin_new(struct node_sim *sim, struct scenario_line *line) {
    struct admin *admin = calloc(1, sizeof *admin);
    assert(admin != NULL);
    node_client_add(sim, &admin->client, "admin");
    admin->client.free = admin_free;
    admin->wait = scenario_range(line, "wait", "200ms-2s");
    admin->timer.fire = turn;
    node_link_begin(&admin->link, sim);
    again(admin, 10);
}
