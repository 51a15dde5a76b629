/*
 * Runs a transcript over a controller whose log is in memory: each command is carried out, and the
 * records and answers that it prints must be the indented lines that follow it.
 *
 *   config NAME VALUE         a setting of the node; before start
 *   start [OFFSET]            node 1 becomes the active controller; its log begins there, empty
 *   open-transaction          an earlier controller left one open; before start or activate
 *   resign, activate          it loses leadership; it leads again, with what was committed
 *   Api VERSION {json}        calls an operation with a request of that version
 *   register ID {json}        BrokerRegistration of a broker that can do what this release can:
 *                             incarnation, directories and the rest may be given
 *   heartbeat ID {json}       BrokerHeartbeat with the broker's epoch and the end of the log
 *   wait MS                   time passes
 *   pause MS                  time passes while the process stands still
 *   hold                      what is appended is not committed, until
 *   commit                    all of it is
 *   deadline MS               of the next operation, from now
 *   fail ERROR                the next append fails
 *
 * Records are printed as "offset TYPE version {json}" when they are appended, an answer as "answer
 * {json}" or "error NAME message" when it is given. Of the configs in an answer to CreateTopics
 * those that are set are printed, and how many there are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "controller/controller_int.h"
#include "sys/sim.h"
#include "wire/json.h"

enum { SETTINGS_MAX = 16 };

struct test {
    FILE *out;
    struct sim_world *world;
    struct sim_host *host;
    struct sys_loop *loop;
    struct config *config;
    struct controller *controller;
    struct meta_image *committed_image;
    int64_t end_offset;
    bool hold;
    bool open_transaction;
    err_t fail;
    int64_t deadline_ms;
    struct arena arena;
    struct config_pair settings[SETTINGS_MAX];
    size_t setting_count;
    struct sys_task command_task;
    struct sys_task commit_task;
    const char *command;
};

/* --- printing --- */

static void print_json(struct test *test, json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    fprintf(test->out, "%s\n", text);
    free(text);
    json_decref(json);
}

static void keep_set_configs(json_t *response) {
    size_t i, k;
    json_t *topic, *config;
    json_array_foreach(json_object_get(response, "topics"), i, topic) {
        json_t *configs = json_object_get(topic, "configs");
        json_t *kept = json_array();
        json_array_foreach(configs, k, config) {
            if (json_integer_value(json_object_get(config, "configSource")) !=
                CONFIG_SOURCE_DEFAULT) {
                json_array_append(kept, config);
            }
        }
        if (json_array_size(configs) > 0) {
            json_array_append_new(kept, json_integer((json_int_t)json_array_size(configs)));
        }
        json_object_set_new(topic, "configs", kept);
    }
}

/* --- the log --- */

static int64_t log_next_offset(void *arg) {
    struct test *test = arg;
    return test->end_offset;
}

static err_t log_append(void *arg, void *const *records, int32_t record_count, bool splittable,
                        int64_t *ret_last_offset) {
    struct test *test = arg;
    if (test->fail != ERR_OK) {
        err_t err = test->fail;
        test->fail = ERR_OK;
        return err;
    }
    if (record_count > 1 && splittable) {
        fprintf(test->out, "  splittable:\n");
    }
    for (int32_t i = 0; i < record_count; i++) {
        const struct meta_record *record = records[i];
        fprintf(test->out, "  %" PRId64 " %s %d ", test->end_offset, meta_record_name(record->type),
                record->version);
        print_json(test, wire_to_json(meta_record_wire_type(record->type), record->version,
                                      record->message));
        test->end_offset++;
    }
    *ret_last_offset = test->end_offset - 1;
    if (!test->hold) {
        sys_loop_post(test->loop, &test->commit_task);
        test->hold = true; /* until the task has run */
    }
    return ERR_OK;
}

static void commit(struct sys_task *task) {
    struct test *test = container_of(task, struct test, commit_task);
    test->hold = false;
    meta_image_unref(test->committed_image);
    test->committed_image = meta_image_ref((struct meta_image *)controller_image(test->controller));
    controller_committed(test->controller, test->end_offset - 1);
}

/* --- calls --- */

struct api {
    const char *name;
    const struct wire_type *request_type;
    const struct wire_type *response_type;
};

static const struct api apis[] = {
    {"BrokerRegistration", &broker_registration_request_type, &broker_registration_response_type},
    {"BrokerHeartbeat", &broker_heartbeat_request_type, &broker_heartbeat_response_type},
    {"UnregisterBroker", &unregister_broker_request_type, &unregister_broker_response_type},
    {"ControllerRegistration", &controller_registration_request_type,
     &controller_registration_response_type},
    {"AssignReplicasToDirs", &assign_replicas_to_dirs_request_type,
     &assign_replicas_to_dirs_response_type},
    {"CreateTopics", &create_topics_request_type, &create_topics_response_type},
    {"DeleteTopics", &delete_topics_request_type, &delete_topics_response_type},
    {"CreatePartitions", &create_partitions_request_type, &create_partitions_response_type},
    {"IncrementalAlterConfigs", &incremental_alter_configs_request_type,
     &incremental_alter_configs_response_type},
    {"AlterConfigs", &alter_configs_request_type, &alter_configs_response_type},
    {"UpdateFeatures", &update_features_request_type, &update_features_response_type},
    {"AllocateProducerIds", &allocate_producer_ids_request_type,
     &allocate_producer_ids_response_type},
};

struct test_call {
    struct controller_call call;
    struct test *test;
    const struct api *api;
    int16_t version;
    void *request;
    void *response;
};

static void call_done(struct controller_call *base, err_t err) {
    struct test_call *call = container_of(base, struct test_call, call);
    struct test *test = call->test;
    if (err != ERR_OK) {
        fprintf(test->out, "  error %s %.*s\n", err_name(err), STR_ARGS(base->error_message));
        return;
    }
    json_t *json = wire_to_json(call->api->response_type, call->version, call->response);
    if (call->api->request_type == &create_topics_request_type) {
        keep_set_configs(json);
    }
    fprintf(test->out, "  answer ");
    print_json(test, json);
}

static void call_start(struct test *test, struct test_call *call) {
    struct controller *c = test->controller;
    struct controller_call *base = &call->call;
    const char *name = call->api->name;
    if (strcmp(name, "BrokerRegistration") == 0) {
        controller_register_broker(c, base, call->request, call->response);
    } else if (strcmp(name, "BrokerHeartbeat") == 0) {
        controller_heartbeat(c, base, call->request, call->response);
    } else if (strcmp(name, "UnregisterBroker") == 0) {
        controller_unregister_broker(c, base, call->request, call->response);
    } else if (strcmp(name, "ControllerRegistration") == 0) {
        controller_register_controller(c, base, call->request, call->response);
    } else if (strcmp(name, "AssignReplicasToDirs") == 0) {
        controller_assign_replicas(c, base, call->request, call->response);
    } else if (strcmp(name, "CreateTopics") == 0) {
        controller_create_topics(c, base, call->request, NULL, call->response);
    } else if (strcmp(name, "DeleteTopics") == 0) {
        controller_delete_topics(c, base, call->request, call->version, call->response);
    } else if (strcmp(name, "CreatePartitions") == 0) {
        controller_create_partitions(c, base, call->request, call->response);
    } else if (strcmp(name, "IncrementalAlterConfigs") == 0) {
        controller_incremental_alter_configs(c, base, call->request, call->response);
    } else if (strcmp(name, "AlterConfigs") == 0) {
        controller_alter_configs(c, base, call->request, call->response);
    } else if (strcmp(name, "UpdateFeatures") == 0) {
        controller_update_features(c, base, call->request, call->version, call->response);
    } else {
        controller_allocate_producer_ids(c, base, call->request, call->response);
    }
    (void)test;
}

/* json: taken over. */
static void call_api(struct test *test, const char *name, int16_t version, json_t *json) {
    const struct api *api = NULL;
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++) {
        api = strcmp(apis[i].name, name) == 0 ? &apis[i] : api;
    }
    if (api == NULL || json == NULL) {
        fprintf(test->out, "  unknown command, or no JSON\n");
        json_decref(json);
        return;
    }
    struct test_call *call = ARENA_NEW(&test->arena, struct test_call);
    *call = (struct test_call){.test = test, .api = api, .version = version};
    call->request = arena_alloc_zero(&test->arena, wire_struct_size(api->request_type));
    call->response = arena_alloc_zero(&test->arena, wire_struct_size(api->response_type));
    call->call.arena = &test->arena;
    call->call.done = call_done;
    call->call.deadline_ms = test->deadline_ms;
    test->deadline_ms = 0;
    struct buffer error = {0};
    if (wire_from_json(api->request_type, version, json, &test->arena, call->request, &error) !=
        ERR_OK) {
        fprintf(test->out, "  no such request: %.*s\n", (int)error.size, (char *)error.data);
    } else {
        call_start(test, call);
    }
    buffer_done(&error);
    json_decref(json);
}

/* --- brokers --- */

static json_t *features_json(void) {
    json_t *features = json_array();
    json_array_append_new(features, json_pack("{s:s, s:i, s:i}", "name", "metadata.version",
                                              "minSupportedVersion", METADATA_VERSION_MIN,
                                              "maxSupportedVersion", METADATA_VERSION_LATEST));
    size_t count;
    const struct meta_feature_info *all = meta_features(&count);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(features, json_pack("{s:s, s:i, s:i}", "name", all[i].name,
                                                  "minSupportedVersion", all[i].min,
                                                  "maxSupportedVersion", all[i].max));
    }
    return features;
}

/* Ids that tell what they are for: broker 1 is AQAA…, its directory AQEA…. */
static json_t *id_json(int broker_id, int what) {
    struct uuid id = {{(uint8_t)broker_id, (uint8_t)what, 0, 1}};
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(id, text);
    return json_string(text);
}

static void register_broker(struct test *test, int id, json_t *given) {
    json_t *json = json_pack("{s:i, s:s, s:o, s:[{s:s, s:s, s:i, s:i}], s:o, s:n, s:[o], s:i}",
                             "brokerId", id, "clusterId", "AAAAAAAAAAAAAAAAAAAAAQ", "incarnationId",
                             id_json(id, 0), "listeners", "name", "PLAINTEXT", "host", "127.0.0.1",
                             "port", 9090 + id, "securityProtocol", 0, "features", features_json(),
                             "rack", "logDirs", id_json(id, 1), "previousBrokerEpoch", -1);
    json_object_update(json, given);
    json_decref(given);
    call_api(test, "BrokerRegistration", 4, json);
}

static void heartbeat(struct test *test, int id, json_t *given) {
    const struct meta_broker *broker = meta_image_broker(controller_image(test->controller), id);
    json_t *json = json_pack("{s:i, s:I, s:I, s:b, s:b, s:[]}", "brokerId", id, "brokerEpoch",
                             (json_int_t)(broker == NULL ? -1 : broker->epoch),
                             "currentMetadataOffset", (json_int_t)(test->end_offset - 1),
                             "wantFence", 0, "wantShutDown", 0, "cordonedLogDirs");
    json_object_update(json, given);
    json_decref(given);
    call_api(test, "BrokerHeartbeat", 2, json);
}

/* --- commands --- */

static json_t *json_given(const char *text) {
    while (*text == ' ') {
        text++;
    }
    json_t *json = *text == '\n' || *text == '\0' ? json_object() : json_loads(text, 0, NULL);
    return json == NULL ? json_object() : json;
}

static void print_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    fprintf(stderr, "%.*s\n", size, line);
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static void activate(struct test *test, int32_t epoch) {
    test->controller->in_transaction = test->open_transaction;
    test->open_transaction = false;
    controller_activate(test->controller, test->committed_image, epoch);
}

static void start(struct test *test, int64_t offset) {
    struct config_report report;
    config_report_init(&report);
    if (config_new(test->settings, test->setting_count, &report, &test->config) != ERR_OK) {
        for (size_t i = 0; i < report.error_count; i++) {
            fprintf(test->out, "  %.*s\n", STR_ARGS(report.errors[i]));
        }
        exit(2);
    }
    config_report_done(&report);
    static struct text_log errors_only = {
        .sink = print_line, .now_ms = no_time, .level = TEXT_LOG_ERROR};
    struct controller_options options = {
        .loop = test->loop,
        .text_log = &errors_only,
        .config = test->config,
        .node_id = 1,
        .cluster_id = STR("AAAAAAAAAAAAAAAAAAAAAQ"),
    };
    controller_new(&options, &test->controller);
    struct strand_log log = {.arg = test, .next_offset = log_next_offset, .append = log_append};
    controller_attach_log(test->controller, &log);
    test->end_offset = offset;
    test->committed_image = meta_image_new();
    activate(test, 1);
}

static void add_setting(struct test *test, const char *name, const char *value) {
    test->settings[test->setting_count++] = (struct config_pair){
        arena_str(&test->arena, str_from_c(name)), arena_str(&test->arena, str_from_c(value))};
}

static void run(struct sys_task *task) {
    struct test *test = container_of(task, struct test, command_task);
    const char *line = test->command;
    char name[64], value[256];
    int64_t number = 1;
    int used = 0, id;
    if (sscanf(line, "config %63s %255s", name, value) == 2) {
        add_setting(test, name, value);
    } else if (strncmp(line, "start", 5) == 0) {
        (void)sscanf(line, "start %" SCNd64, &number);
        start(test, number);
    } else if (strncmp(line, "resign", 6) == 0) {
        controller_resign(test->controller);
        test->hold = false;
    } else if (strncmp(line, "activate", 8) == 0) {
        activate(test, 2);
    } else if (strncmp(line, "open-transaction", 16) == 0) {
        test->open_transaction = true;
    } else if (strncmp(line, "hold", 4) == 0) {
        test->hold = true;
    } else if (strncmp(line, "commit", 6) == 0) {
        commit(&test->commit_task);
    } else if (sscanf(line, "deadline %" SCNd64, &number) == 1) {
        test->deadline_ms = sys_loop_now_ms(test->loop) + number;
    } else if (sscanf(line, "fail %63s", name) == 1) {
        test->fail = strcmp(name, "NO_SPACE") == 0 ? ERR_NO_SPACE : ERR_IO;
    } else if (sscanf(line, "register %d%n", &id, &used) == 1) {
        register_broker(test, id, json_given(line + used));
    } else if (sscanf(line, "heartbeat %d%n", &id, &used) == 1) {
        heartbeat(test, id, json_given(line + used));
    } else if (sscanf(line, "%63s %d%n", name, &id, &used) == 2) {
        call_api(test, name, (int16_t)id, json_loads(line + used, 0, NULL));
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

static void run_line(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    (void)out;
    int64_t ms;
    if (sscanf(line, "pause %" SCNd64, &ms) == 1) {
        sim_host_pause(test->host, ms);
        sim_world_run_for(test->world, ms);
        return;
    }
    if (sscanf(line, "wait %" SCNd64, &ms) == 1) {
        sim_world_run_for(test->world, ms);
        return;
    }
    test->command = line;
    test->command_task = (struct sys_task){.run = run};
    sys_loop_post(test->loop, &test->command_task);
    sim_world_run_for(test->world, 1); /* takes a moment */
}

/* --- the transcript --- */

static void test_start(void *arg, FILE *out) {
    struct test *test = arg;
    test->out = out;
    arena_init(&test->arena, SIZE_MAX);
    test->world = sim_world_new(1);
    test->host = sim_host_new(test->world, "node", "10.0.0.1");
    if (sys_loop_new(sim_host_sys(test->host), "controller", &test->loop) != ERR_OK ||
        sys_loop_start(test->loop) != ERR_OK) {
        fprintf(stderr, "no loop\n");
        exit(2);
    }
    test->commit_task.run = commit;
    add_setting(test, "process.roles", "broker,controller");
    add_setting(test, "node.id", "1");
    add_setting(test, "listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093");
    add_setting(test, "controller.listener.names", "CONTROLLER");
    add_setting(test, "controller.quorum.voters", "1@127.0.0.1:9093");
}

static void test_stop(void *arg) {
    struct test *test = arg;
    controller_stop(test->controller);
    sim_world_run_for(test->world, 1);
    controller_free(test->controller);
    meta_image_unref(test->committed_image);
    config_unref(test->config);
    sys_loop_stop(test->loop);
    sim_world_run_for(test->world, 1);
    sys_loop_free(test->loop);
    sim_world_free(test->world);
    arena_done(&test->arena);
}

int main(int argc, char **argv) {
    static struct test test;
    const struct transcript_player player = {
        .start = test_start, .run = run_line, .stop = test_stop, .arg = &test};
    return transcript_main(argc, argv, &player);
}
