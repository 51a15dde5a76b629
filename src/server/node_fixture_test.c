#include "server/node_fixture_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/batch_builder.h"
#include "wire/codec.h"

enum { WAIT_MS_MAX = 60 * 1000, VERSION_PRODUCE = 9, VERSION_FETCH = 12 };

static void keep_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)level;
    buffer_add(&((struct fixture *)arg)->lines, line, (size_t)size);
}

static int64_t wall_ms(void *arg) {
    return sys_wall_ms(sim_host_sys(((struct fixture *)arg)->client_host));
}

/* --- life --- */

void fixture_init(struct fixture *f, int machine_count) {
    memset(f, 0, sizeof *f);
    f->world = sim_world_new(1);
    f->client_host = sim_host_new(f->world, "client", "10.0.1.1");
    struct sys *sys = sim_host_sys(f->client_host);
    assert_int_equal(sys_loop_new(sys, "client", &f->loop), ERR_OK);
    assert_int_equal(sys_loop_start(f->loop), ERR_OK);
    arena_init(&f->arena, SIZE_MAX);
    f->machine_count = machine_count;
    for (int i = 0; i < machine_count; i++) {
        char name[8];
        char ip[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        (void)snprintf(ip, sizeof ip, "10.0.0.%d", i + 1);
        f->machines[i] = (struct machine){.f = f, .number = i, .formats = true};
        f->machines[i].host = sim_host_new(f->world, name, ip);
        sim_host_set_processor_count(f->machines[i].host, 2);
    }
}

void fixture_done(struct fixture *f) {
    for (int i = 0; i < f->machine_count; i++) {
        if (f->machines[i].node != NULL) {
            machine_stop(&f->machines[i]);
        }
    }
    sys_loop_stop(f->loop);
    fixture_run_for(f, 1);
    sys_loop_free(f->loop);
    arena_done(&f->arena);
    buffer_done(&f->lines);
    sim_world_free(f->world);
}

void fixture_run_for(struct fixture *f, int64_t ms) {
    sim_world_run_for(f->world, ms);
}

bool fixture_run_until(struct fixture *f, bool (*until)(void *arg), void *arg) {
    return sim_world_run_until(f->world, until, arg, WAIT_MS_MAX);
}

/* --- nodes --- */

void machine_set(struct machine *machine, const char *name, const char *value) {
    assert_true(machine->more_count < 8);
    machine->more[machine->more_count++] =
        (struct config_pair){str_from_c(name), str_from_c(value)};
}

static struct config *make_config(struct machine *machine) {
    struct config_pair pairs[64];
    size_t count;
    const struct config_pair *defaults = config_pairs_default(&count);
    memcpy(pairs, defaults, count * sizeof *defaults);
    struct arena *arena = &machine->f->arena;
    int ip = machine->number + 1;
    pairs[count++] = (struct config_pair){
        STR("listeners"),
        arena_printf(arena, "PLAINTEXT://10.0.0.%d:9092,CONTROLLER://10.0.0.%d:9093", ip, ip)};
    pairs[count++] = (struct config_pair){STR("advertised.listeners"),
                                          arena_printf(arena, "PLAINTEXT://10.0.0.%d:9092", ip)};
    pairs[count++] = (struct config_pair){STR("controller.quorum.bootstrap.servers"),
                                          arena_printf(arena, "10.0.0.%d:9093", ip)};
    pairs[count++] = (struct config_pair){STR("log.dirs"), STR("/data")};
    memcpy(pairs + count, machine->more, machine->more_count * sizeof *pairs);
    count += machine->more_count;
    struct config_report report;
    config_report_init(&report);
    struct config *config = NULL;
    if (config_new(pairs, count, &report, &config) != ERR_OK) {
        fail_msg("%.*s", STR_ARGS(report.errors[0]));
    }
    config_report_done(&report);
    return config;
}

static void started(void *arg, err_t err, const char *text) {
    struct machine *machine = arg;
    assert_false(machine->started);
    machine->started = true;
    machine->start_err = err;
    (void)snprintf(machine->start_text, sizeof machine->start_text, "%s", text == NULL ? "" : text);
}

static void stopped(void *arg) {
    struct machine *machine = arg;
    assert_false(machine->stopped);
    machine->stopped = true;
    node_end_loops(machine->node);
}

static void failed(void *arg, const char *text) {
    struct machine *machine = arg;
    assert_non_null(text);
    machine->failed = true;
}

void machine_launch(struct machine *machine) {
    struct fixture *f = machine->f;
    machine->text_log =
        (struct text_log){.sink = keep_line, .now_ms = wall_ms, .arg = f, .level = TEXT_LOG_INFO};
    machine->config = make_config(machine);
    machine->started = false;
    machine->stopped = false;
    machine->failed = false;
    struct node_settings settings = {
        .sys = sim_host_sys(machine->host),
        .text_log = &machine->text_log,
        .config = machine->config,
        .auto_format = machine->formats,
        .started = started,
        .stopped = stopped,
        .failed = failed,
        .arg = machine,
    };
    assert_int_equal(node_new(&settings, &machine->node), ERR_OK);
    assert_int_equal(node_start(machine->node), ERR_OK);
}

static bool is_started(void *arg) {
    return ((struct machine *)arg)->started;
}

err_t machine_try(struct machine *machine) {
    machine_launch(machine);
    if (!fixture_run_until(machine->f, is_started, machine)) {
        fail_msg("not started; told: %.*s", (int)machine->f->lines.size,
                 (const char *)machine->f->lines.data);
    }
    if (machine->start_err != ERR_OK) {
        machine_stop(machine);
    }
    return machine->start_err;
}

void machine_start(struct machine *machine) {
    if (machine_try(machine) != ERR_OK) {
        fail_msg("%s", machine->start_text);
    }
    assert_true(node_is_ready(machine->node));
}

static bool is_stopped(void *arg) {
    return ((struct machine *)arg)->stopped;
}

void machine_stop(struct machine *machine) {
    struct fixture *f = machine->f;
    node_stop(machine->node);
    if (!fixture_run_until(f, is_stopped, machine)) {
        fail_msg("not stopped; told: %.*s", (int)f->lines.size, (const char *)f->lines.data);
    }
    fixture_run_for(f, 1);
    node_free(machine->node);
    machine->node = NULL;
    config_unref(machine->config);
}

void machine_crash(struct machine *machine, bool power) {
    if (power) {
        sim_host_power_cut(machine->host);
    } else {
        sim_host_crash(machine->host);
    }
    machine->node = NULL;
    sim_host_restart(machine->host);
}

/* --- calls --- */

static void peer_state(void *arg, struct client_connection *connection, err_t state) {
    (void)connection;
    ((struct peer *)arg)->state = state;
}

static void open_port(struct peer *peer, struct machine *machine, uint16_t port) {
    struct fixture *f = machine->f;
    struct sys_address address = {.ip = {10, 0, 0, (uint8_t)(machine->number + 1)}, .port = port};
    *peer = (struct peer){.machine = machine};
    struct client_connection_settings settings = {
        .sys = sim_host_sys(f->client_host),
        .loop = f->loop,
        .addresses = &address,
        .address_count = 1,
        .client_id = "test",
        .on_state = peer_state,
        .arg = peer,
    };
    peer->connection = client_connection_new(&settings);
}

void peer_open(struct peer *peer, struct machine *machine) {
    open_port(peer, machine, 9092);
}

void peer_open_controller(struct peer *peer, struct machine *machine) {
    open_port(peer, machine, 9093);
}

void peer_close(struct peer *peer) {
    client_connection_free(peer->connection);
    peer->connection = NULL;
}

static void called(void *arg, const struct client_response *response) {
    struct call *call = arg;
    call->err = response->err;
    if (call->err == ERR_OK) {
        struct arena *arena = &call->peer->machine->f->arena;
        const struct wire_type *type = wire_api(call->api_key)->response;
        /* The decoded message dies with the call: again, out of a copy of its bytes. */
        struct bytes body = arena_bytes(arena, response->body);
        size_t used;
        call->err = wire_decode(type, response->version, body, arena, call->response, &used);
    }
    call->done = true;
}

static void send(struct sys_task *task) {
    struct call *call = container_of(task, struct call, task);
    call->err = client_connection_send(call->peer->connection, call->api_key, call->version,
                                       call->request, called, call);
    call->done = call->err != ERR_OK;
}

void call_begin(struct call *call, struct peer *peer, int16_t api_key, int16_t version,
                const void *request, void *response) {
    *call = (struct call){.peer = peer,
                          .api_key = api_key,
                          .version = version,
                          .request = request,
                          .response = response,
                          .task = {.run = send}};
    sys_loop_post(peer->machine->f->loop, &call->task);
}

static bool is_called(void *arg) {
    return ((struct call *)arg)->done;
}

err_t call_wait(struct call *call) {
    if (!fixture_run_until(call->peer->machine->f, is_called, call)) {
        fail_msg("a call of API %d was not answered", call->api_key);
    }
    return call->err;
}

void call(struct peer *peer, int16_t api_key, int16_t version, const void *request,
          void *response) {
    struct call call;
    call_begin(&call, peer, api_key, version, request, response);
    assert_int_equal(call_wait(&call), ERR_OK);
}

/* --- APIs --- */

int16_t create_topic(struct peer *peer, const char *name, int partitions) {
    struct create_topics_request request;
    struct create_topics_response response;
    wire_init(&create_topics_request_type, &request);
    struct create_topics_request_creatable_topic topic = {
        .name = str_from_c(name), .num_partitions = partitions, .replication_factor = 1};
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 10000;
    call(peer, API_CREATE_TOPICS, 7, &request, &response);
    return response.topics[0].error_code;
}

int16_t delete_topic(struct peer *peer, const char *name) {
    struct delete_topics_request request;
    struct delete_topics_response response;
    wire_init(&delete_topics_request_type, &request);
    struct str names = str_from_c(name);
    request.topic_names = &names;
    request.topic_names_count = 1;
    request.timeout_ms = 10000;
    call(peer, API_DELETE_TOPICS, 5, &request, &response);
    return response.responses[0].error_code;
}

static void make_batch(struct fixture *f, int records, struct buffer *out) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    for (int i = 0; i < records; i++) {
        batch_builder_add(&builder, wall_ms(f), (struct bytes){0}, str_bytes(STR("value")), NULL,
                          0);
    }
    batch_builder_finish(&builder, NULL);
}

int64_t produce(struct peer *peer, const char *topic, int32_t partition, int records) {
    struct buffer batch = {0};
    make_batch(peer->machine->f, records, &batch);
    struct produce_request request;
    struct produce_response response;
    wire_init(&produce_request_type, &request);
    struct produce_request_partition_produce_data data = {.index = partition,
                                                          .records = buffer_bytes(&batch)};
    struct produce_request_topic_produce_data topics = {
        .name = str_from_c(topic), .partition_data = &data, .partition_data_count = 1};
    request.acks = -1;
    request.timeout_ms = 10000;
    request.topic_data = &topics;
    request.topic_data_count = 1;
    call(peer, API_PRODUCE, VERSION_PRODUCE, &request, &response);
    buffer_done(&batch);
    const struct produce_response_partition_produce_response *answer =
        &response.responses[0].partition_responses[0];
    return answer->error_code == 0 ? answer->base_offset : -(int64_t)answer->error_code;
}

void fetch_begin(struct call *call, struct peer *peer, const char *topic, int64_t offset,
                 int32_t wait_ms, int32_t bytes_min, struct fetch_response *response) {
    struct arena *arena = &peer->machine->f->arena;
    struct fetch_request *request = ARENA_NEW(arena, struct fetch_request);
    struct fetch_request_fetch_topic *topics = ARENA_NEW(arena, struct fetch_request_fetch_topic);
    struct fetch_request_fetch_partition *partition =
        ARENA_NEW(arena, struct fetch_request_fetch_partition);
    wire_init(&fetch_request_type, request);
    *partition = (struct fetch_request_fetch_partition){.fetch_offset = offset,
                                                        .partition_max_bytes = 1024 * 1024,
                                                        .current_leader_epoch = -1,
                                                        .last_fetched_epoch = -1,
                                                        .log_start_offset = -1};
    *topics = (struct fetch_request_fetch_topic){
        .topic = str_from_c(topic), .partitions = partition, .partitions_count = 1};
    request->max_wait_ms = wait_ms;
    request->min_bytes = bytes_min;
    request->session_epoch = -1;
    request->topics = topics;
    request->topics_count = 1;
    call_begin(call, peer, API_FETCH, VERSION_FETCH, request, response);
}

int64_t end_of(struct peer *peer, const char *topic, int32_t partition) {
    assert_int_equal(partition, 0);
    struct call call;
    struct fetch_response response;
    fetch_begin(&call, peer, topic, 0, 0, 0, &response);
    assert_int_equal(call_wait(&call), ERR_OK);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions[0].error_code, 0);
    return response.responses[0].partitions[0].high_watermark;
}

bool told(struct fixture *f, const char *text) {
    buffer_add(&f->lines, "", 1);
    bool found = strstr((const char *)f->lines.data, text) != NULL;
    buffer_done(&f->lines);
    return found;
}
