/* The brokers of fake_broker_test_int.h. */
#include "client/fake_broker_test_int.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/loop.h"
#include "sys/socket.h"

struct fake_broker {
    struct fake_cluster *cluster;
    int32_t id;
    char ip[16];
    struct sim_host *host;
    struct sys_loop *loop; /* gone with the host's process */
    struct sys_socket *listener;
    struct list connections;
    int calls[API_KEYS_MAX];
    int connection_count;
};

struct fake_connection {
    struct list link;
    struct fake_broker *broker;
    struct sys_socket *socket;
    struct buffer in;
    struct buffer out;
    size_t out_sent;
};

static void connection_free(struct fake_connection *connection, bool close) {
    if (close) {
        sys_socket_close(connection->socket);
    }
    list_remove(&connection->link);
    buffer_done(&connection->in);
    buffer_done(&connection->out);
    free(connection);
}

/* --- sound answers --- */

static void answer_versions(struct fake_call *call) {
    struct api_versions_response *response = call->response;
    response->api_keys =
        ARENA_ARRAY(call->arena, struct api_versions_response_api_version, API_KEYS_MAX);
    response->api_keys_count = 0;
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        const struct wire_api *api = wire_api(key);
        if (api == NULL || api->broker_advertised.high < api->broker_advertised.low) {
            continue;
        }
        struct api_versions_response_api_version *row =
            &response->api_keys[response->api_keys_count++];
        row->api_key = key;
        row->min_version = api->broker_advertised.low;
        row->max_version = api->broker_advertised.high;
    }
}

static void describe_topic(struct fake_call *call, const struct fake_topic *topic,
                           struct metadata_response_topic *row) {
    row->name = str_from_c(topic->name);
    row->topic_id = topic->id;
    row->partitions = ARENA_ARRAY(call->arena, struct metadata_response_partition,
                                  (size_t)topic->partition_count + 1);
    row->partitions_count = topic->partition_count;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct metadata_response_partition *partition = &row->partitions[i];
        partition->partition_index = i;
        partition->leader_id = topic->leaders[i];
        partition->leader_epoch = topic->leader_epochs[i];
        partition->error_code = topic->leaders[i] < 0 ? ERR_LEADER_NOT_AVAILABLE : ERR_OK;
        partition->replica_nodes = ARENA_ARRAY(call->arena, int32_t, 1);
        partition->replica_nodes[0] = topic->leaders[i];
        partition->replica_nodes_count = 1;
        partition->isr_nodes = partition->replica_nodes;
        partition->isr_nodes_count = 1;
    }
}

static const struct fake_topic *find_topic(const struct fake_cluster *cluster, struct str name) {
    for (int i = 0; i < cluster->topic_count; i++) {
        if (str_equal(str_from_c(cluster->topics[i].name), name)) {
            return &cluster->topics[i];
        }
    }
    return NULL;
}

static void list_topics(struct fake_call *call, const struct fake_cluster *cluster,
                        const struct metadata_request *request,
                        struct metadata_response *response) {
    bool all = request->topics_count < 0;
    size_t count = all ? (size_t)cluster->topic_count : (size_t)request->topics_count;
    response->topics = ARENA_ARRAY(call->arena, struct metadata_response_topic, count + 1);
    response->topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct metadata_response_topic *row = &response->topics[i];
        const struct fake_topic *topic =
            all ? &cluster->topics[i] : find_topic(cluster, request->topics[i].name);
        if (topic != NULL) {
            describe_topic(call, topic, row);
        } else {
            row->name = request->topics[i].name;
            row->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
}

static void answer_metadata(struct fake_call *call) {
    const struct fake_cluster *cluster = call->broker->cluster;
    struct metadata_response *response = call->response;
    response->brokers = ARENA_ARRAY(call->arena, struct metadata_response_broker, FAKE_BROKERS_MAX);
    for (int i = 0; i < cluster->broker_count; i++) {
        if (!cluster->hidden[i]) {
            response->brokers[response->brokers_count++] = (struct metadata_response_broker){
                .node_id = i + 1,
                .host = str_from_c(cluster->brokers[i]->ip),
                .port = FAKE_PORT,
            };
        }
    }
    response->controller_id = cluster->controller_id;
    response->cluster_id = STR("a-fake-cluster");
    list_topics(call, cluster, call->request, response);
}

static void answer_coordinator(struct fake_call *call) {
    const struct fake_cluster *cluster = call->broker->cluster;
    const struct find_coordinator_request *request = call->request;
    struct find_coordinator_response *response = call->response;
    response->coordinators = ARENA_ARRAY(call->arena, struct find_coordinator_response_coordinator,
                                         (size_t)request->coordinator_keys_count + 1);
    response->coordinators_count = request->coordinator_keys_count;
    for (int32_t i = 0; i < request->coordinator_keys_count; i++) {
        response->coordinators[i] = (struct find_coordinator_response_coordinator){
            .key = request->coordinator_keys[i],
            .node_id = cluster->coordinator_id,
            .host = str_from_c(cluster->brokers[cluster->coordinator_id - 1]->ip),
            .port = FAKE_PORT,
        };
    }
}

static void answer_soundly(struct fake_call *call) {
    switch (call->api_key) {
    case API_API_VERSIONS:
        answer_versions(call);
        break;
    case API_METADATA:
        answer_metadata(call);
        break;
    case API_FIND_COORDINATOR:
        answer_coordinator(call);
        break;
    default:
        break;
    }
}

/* --- a call --- */

static void put_answer(struct fake_connection *connection, const struct fake_call *call) {
    struct buffer *out = &connection->out;
    size_t start = out->size;
    (void)buffer_extend(out, 4);
    struct response_header header = {.correlation_id = call->correlation_id};
    err_t err =
        wire_encode(&response_header_type,
                    wire_response_header_version(call->api_key, call->version), &header, out);
    assert(err == ERR_OK);
    err = wire_encode(wire_api(call->api_key)->response, call->version, call->response, out);
    assert(err == ERR_OK);
    put_be32(out->data + start, (uint32_t)(out->size - start - 4));
}

/* False: the connection is to be closed. */
static bool serve(struct fake_connection *connection, struct bytes frame) {
    struct fake_broker *broker = connection->broker;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct fake_call call = {.broker = broker, .broker_id = broker->id, .arena = &arena};
    call.api_key = (int16_t)get_be16(frame.data);
    call.version = (int16_t)get_be16(frame.data + 2);
    call.number = ++broker->calls[call.api_key];
    struct request_header header;
    size_t used;
    err_t err =
        wire_decode(&request_header_type, wire_request_header_version(call.api_key, call.version),
                    frame, &arena, &header, &used);
    assert(err == ERR_OK);
    call.correlation_id = header.correlation_id;
    const struct wire_api *api = wire_api(call.api_key);
    void *request = arena_alloc_zero(&arena, wire_struct_size(api->request));
    err = wire_decode(api->request, call.version,
                      (struct bytes){.data = frame.data + used, .size = frame.size - used}, &arena,
                      request, &used);
    assert(err == ERR_OK); /* the client sends what it should */
    call.request = request;
    call.response = arena_alloc_zero(&arena, wire_struct_size(api->response));
    wire_init(api->response, call.response);
    answer_soundly(&call);
    fake_hook_fn hook = broker->cluster->hook;
    enum fake_do action = hook == NULL ? FAKE_ANSWER : hook(broker->cluster->arg, &call);
    if (action == FAKE_ANSWER) {
        put_answer(connection, &call);
    } else if (action == FAKE_BYTES) {
        buffer_add(&connection->out, call.raw.data, call.raw.size);
    }
    buffer_done(&call.raw);
    arena_done(&arena);
    return action != FAKE_CLOSE;
}

/* --- a connection --- */

static bool take_frames(struct fake_connection *connection) {
    struct buffer *in = &connection->in;
    size_t taken = 0;
    bool open = true;
    while (open && in->size - taken >= 4 && in->size - taken - 4 >= get_be32(in->data + taken)) {
        struct bytes frame = {.data = in->data + taken + 4, .size = get_be32(in->data + taken)};
        taken += 4 + frame.size;
        open = serve(connection, frame);
    }
    memmove(in->data, in->data + taken, in->size - taken);
    in->size -= taken;
    return open;
}

static bool read_in(struct fake_connection *connection) {
    for (;;) {
        enum { CHUNK = 16 * 1024 };
        size_t size;
        uint8_t *at = buffer_reserve(&connection->in, CHUNK);
        err_t err = sys_socket_read(connection->socket, at, CHUNK, &size);
        if (err != ERR_OK) {
            return err == ERR_WOULD_BLOCK;
        }
        (void)buffer_extend(&connection->in, size);
        if (!take_frames(connection)) {
            return false;
        }
    }
}

static bool write_out(struct fake_connection *connection) {
    err_t err = ERR_OK;
    while (err == ERR_OK && connection->out_sent < connection->out.size) {
        struct iovec part = {.iov_base = connection->out.data + connection->out_sent,
                             .iov_len = connection->out.size - connection->out_sent};
        size_t size = 0;
        err = sys_socket_write(connection->socket, &part, 1, &size);
        connection->out_sent += err == ERR_OK ? size : 0;
    }
    bool all = connection->out_sent == connection->out.size;
    if (all) {
        buffer_clear(&connection->out);
        connection->out_sent = 0;
    }
    sys_socket_want(connection->socket, SYS_SOCKET_READABLE | (all ? 0 : (int)SYS_SOCKET_WRITABLE));
    return err == ERR_OK || err == ERR_WOULD_BLOCK;
}

static void connection_ready(void *arg, int events) {
    (void)events;
    struct fake_connection *connection = arg;
    bool open = read_in(connection);
    open = write_out(connection) && open;
    if (!open) {
        connection_free(connection, true);
    }
}

static void accept_ready(void *arg, int events) {
    (void)events;
    struct fake_broker *broker = arg;
    struct sys_socket *socket;
    struct sys_address peer;
    while (sys_socket_accept(broker->listener, &socket, &peer) == ERR_OK) {
        struct fake_connection *connection = calloc(1, sizeof *connection);
        connection->broker = broker;
        connection->socket = socket;
        list_add_last(&broker->connections, &connection->link);
        broker->connection_count++;
        sys_socket_attach(socket, broker->loop, connection_ready, connection);
        sys_socket_want(socket, SYS_SOCKET_READABLE);
    }
}

/* --- brokers --- */

static void listen_now(struct fake_broker *broker) {
    struct sys *sys = sim_host_sys(broker->host);
    err_t err = sys_loop_new(sys, "broker", &broker->loop);
    assert(err == ERR_OK);
    struct sys_address address = {.port = FAKE_PORT};
    err = sys_socket_listen(sys, &address, 16, &broker->listener, NULL);
    assert(err == ERR_OK);
    sys_socket_attach(broker->listener, broker->loop, accept_ready, broker);
    sys_socket_want(broker->listener, SYS_SOCKET_READABLE);
    err = sys_loop_start(broker->loop);
    assert(err == ERR_OK);
}

static struct fake_broker *broker_new(struct fake_cluster *cluster, int32_t id) {
    struct fake_broker *broker = calloc(1, sizeof *broker);
    broker->cluster = cluster;
    broker->id = id;
    char name[16];
    (void)snprintf(name, sizeof name, "b%d", (int)id);
    (void)snprintf(broker->ip, sizeof broker->ip, "10.0.0.%d", (int)id);
    broker->host = sim_host_new(cluster->world, name, broker->ip);
    list_init(&broker->connections);
    listen_now(broker);
    return broker;
}

static void drop_connections(struct fake_broker *broker) {
    struct list *link;
    while ((link = list_first(&broker->connections)) != NULL) {
        connection_free(container_of(link, struct fake_connection, link), false);
    }
}

static struct fake_broker *broker_of(const struct fake_cluster *cluster, int32_t id) {
    assert(id >= 1);
    assert(id <= cluster->broker_count);
    return cluster->brokers[id - 1];
}

void fake_broker_stop(struct fake_cluster *cluster, int32_t id) {
    struct fake_broker *broker = broker_of(cluster, id);
    sim_host_crash(broker->host);
    drop_connections(broker);
}

void fake_broker_start(struct fake_cluster *cluster, int32_t id) {
    struct fake_broker *broker = broker_of(cluster, id);
    sim_host_restart(broker->host);
    listen_now(broker);
}

int fake_broker_calls(const struct fake_cluster *cluster, int32_t id, int16_t api_key) {
    return broker_of(cluster, id)->calls[api_key];
}

int fake_broker_connections(const struct fake_cluster *cluster, int32_t id) {
    return broker_of(cluster, id)->connection_count;
}

struct sim_host *fake_broker_host(const struct fake_cluster *cluster, int32_t id) {
    return broker_of(cluster, id)->host;
}

/* --- the cluster --- */

struct fake_cluster *fake_cluster_new(uint64_t seed, int broker_count) {
    assert(broker_count <= FAKE_BROKERS_MAX);
    struct fake_cluster *cluster = calloc(1, sizeof *cluster);
    cluster->world = sim_world_new(seed);
    cluster->controller_id = 1;
    cluster->coordinator_id = broker_count;
    for (int i = 0; i < broker_count; i++) {
        cluster->brokers[i] = broker_new(cluster, i + 1);
    }
    cluster->broker_count = broker_count;
    cluster->client_host = sim_host_new(cluster->world, "client", "10.0.1.1");
    return cluster;
}

void fake_cluster_free(struct fake_cluster *cluster) {
    ottla_client_free(cluster->client);
    if (cluster->client_loop != NULL) {
        while (sys_loop_deadline_ms(cluster->client_loop) <= sim_world_now_ms(cluster->world)) {
            sys_loop_turn(cluster->client_loop, 0); /* tasks of what was just closed */
        }
        sys_loop_free(cluster->client_loop);
    }
    for (int i = 0; i < cluster->broker_count; i++) {
        drop_connections(cluster->brokers[i]);
        free(cluster->brokers[i]);
    }
    sim_world_free(cluster->world);
    free(cluster);
}

struct fake_topic *fake_cluster_topic(struct fake_cluster *cluster, const char *name,
                                      int32_t partition_count) {
    assert(cluster->topic_count < FAKE_TOPICS_MAX);
    assert(partition_count <= FAKE_PARTITIONS_MAX);
    struct fake_topic *topic = &cluster->topics[cluster->topic_count++];
    (void)snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->id = (struct uuid){{7, (uint8_t)cluster->topic_count, 1}};
    topic->partition_count = partition_count;
    for (int32_t i = 0; i < partition_count; i++) {
        topic->leaders[i] = 1 + i % cluster->broker_count;
        topic->leader_epochs[i] = 1;
    }
    return topic;
}

struct ottla_client *fake_cluster_client(struct fake_cluster *cluster, ...) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error;
    int code = ottla_config_set(config, "bootstrap.servers", "10.0.0.1:9092", &error);
    va_list args;
    va_start(args, cluster);
    const char *name;
    while (code == OTTLA_OK && (name = va_arg(args, const char *)) != NULL) {
        code = ottla_config_set(config, name, va_arg(args, const char *), &error);
    }
    va_end(args);
    struct sys *sys = sim_host_sys(cluster->client_host);
    if (code == OTTLA_OK) {
        code = (int)sys_loop_new(sys, "client", &cluster->client_loop);
    }
    if (code == OTTLA_OK) {
        code = (int)client_new(config, sys, cluster->client_loop, &cluster->client, &error);
    }
    if (code != OTTLA_OK) {
        fprintf(stderr, "fake_cluster_client: %s\n", error.text);
        abort();
    }
    ottla_config_free(config);
    return cluster->client;
}

void fake_cluster_run(struct fake_cluster *cluster, int64_t duration_ms) {
    bool never = false;
    err_t err =
        client_wait(cluster->client, &never, client_deadline_ms(cluster->client, duration_ms));
    assert(err == ERR_TIMED_OUT);
}
