/*
 * A connection to a broker, its socket and its queues.
 *
 *   state         socket        calls are                   left by
 *   -----------   -----------   -------------------------   -----------------------------------
 *   CONNECTING    on its way    waiting                     connected ─► NEGOTIATING or UP
 *   NEGOTIATING   connected     waiting (but ApiVersions)   versions known ─► UP
 *   UP            connected     written, then sent
 *   DEAD          none          none, all were told
 *
 * Any error leads to DEAD. Since no function of the user is called from inside a call of the user,
 * an error that is found there (encoding for a broker that turns out too old, a socket that broke)
 * is kept in `broken` and carried out by a task; writing is done by that task, too, which gathers
 * the requests of one turn.
 */
#include "client/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/connection_int.h"

static void run_task(struct sys_task *task);
static void connect_late(struct sys_timer *timer);
static void call_late(struct sys_timer *timer);
static void start_connecting(struct client_connection *connection);

void client_post(struct client_connection *connection) {
    if (!connection->task_posted) {
        connection->task_posted = true;
        sys_loop_post(connection->loop, &connection->task);
    }
}

/* --- life --- */

static int64_t or_default(int64_t value, int64_t otherwise) {
    return value == 0 ? otherwise : value;
}

struct client_connection *client_connection_new(const struct client_connection_settings *settings) {
    assert(settings->address_count > 0);
    struct client_connection *connection = calloc(1, sizeof *connection);
    connection->features_epoch = -1;
    connection->sys = settings->sys;
    connection->loop = settings->loop;
    size_t addresses_size = settings->address_count * sizeof *settings->addresses;
    connection->addresses = malloc(addresses_size);
    memcpy(connection->addresses, settings->addresses, addresses_size);
    connection->address_count = settings->address_count;
    connection->client_id = settings->client_id == NULL ? NULL : strdup(settings->client_id);
    connection->connect_timeout_ms =
        or_default(settings->connect_timeout_ms, CLIENT_CONNECT_TIMEOUT_MS);
    connection->request_timeout_ms =
        or_default(settings->request_timeout_ms, CLIENT_REQUEST_TIMEOUT_MS);
    connection->response_size_max =
        settings->response_size_max == 0 ? CLIENT_RESPONSE_SIZE_MAX : settings->response_size_max;
    connection->send_buffer_bytes = settings->send_buffer_bytes;
    connection->receive_buffer_bytes = settings->receive_buffer_bytes;
    connection->negotiate = settings->negotiate;
    connection->on_state = settings->on_state;
    connection->arg = settings->arg;
    connection->task.run = run_task;
    connection->connect_timer.fire = connect_late;
    connection->call_timer.fire = call_late;
    list_init(&connection->waiting);
    list_init(&connection->sent);
    list_init(&connection->leaving);
    start_connecting(connection);
    return connection;
}

static void enter(struct client_connection *connection) {
    connection->depth++;
}

static void leave(struct client_connection *connection) {
    assert(connection->depth > 0);
    if (--connection->depth > 0 || !connection->freed || connection->task_posted) {
        return;
    }
    assert(connection->state == CLIENT_DEAD);
    assert(connection->call_count == 0);
    buffer_done(&connection->in);
    buffer_done(&connection->out);
    free(connection->addresses);
    free(connection->client_id);
    free(connection);
}

static struct client_call *take_call(struct client_connection *connection) {
    struct list *link = list_take_first(&connection->sent);
    link = link != NULL ? link : list_take_first(&connection->leaving);
    link = link != NULL ? link : list_take_first(&connection->waiting);
    return link == NULL ? NULL : container_of(link, struct client_call, link);
}

void client_die(struct client_connection *connection, err_t err) {
    assert(err != ERR_OK);
    if (connection->state == CLIENT_DEAD) {
        return;
    }
    enter(connection);
    connection->state = CLIENT_DEAD;
    connection->error = err;
    sys_socket_close(connection->socket);
    connection->socket = NULL;
    sys_timer_clear(connection->loop, &connection->connect_timer);
    sys_timer_clear(connection->loop, &connection->call_timer);
    struct client_call *call;
    while ((call = take_call(connection)) != NULL) {
        client_call_end(connection, call, err);
    }
    if (connection->on_state != NULL && !connection->freed) {
        connection->on_state(connection->arg, connection, err);
    }
    leave(connection);
}

void client_connection_free(struct client_connection *connection) {
    if (connection == NULL) {
        return;
    }
    assert(!connection->freed);
    enter(connection);
    connection->freed = true;
    client_die(connection, ERR_CLOSED);
    struct client_call *call; /* freed by a function that die called: the rest of the calls */
    while ((call = take_call(connection)) != NULL) {
        client_call_end(connection, call, ERR_CLOSED);
    }
    leave(connection);
}

bool client_connection_is_up(const struct client_connection *connection) {
    return connection->state == CLIENT_UP;
}

err_t client_connection_error(const struct client_connection *connection) {
    return connection->state == CLIENT_DEAD ? connection->error : connection->broken;
}

size_t client_connection_pending(const struct client_connection *connection) {
    return connection->call_count;
}

/* --- calls' deadlines ---
 *
 * The timer is never later than the earliest deadline. It may be earlier, when that call has been
 * answered meanwhile; then it looks for the next one.
 */

void client_watch_call(struct client_connection *connection, const struct client_call *call) {
    const struct sys_timer *timer = &connection->call_timer;
    if (!sys_timer_is_set(timer) || timer->deadline_ms > call->deadline_ms) {
        sys_timer_set(connection->loop, &connection->call_timer, call->deadline_ms);
    }
}

static int64_t earliest_deadline_ms(const struct list *calls, int64_t earliest_ms) {
    const struct list *link;
    list_for_each (link, calls) {
        const struct client_call *call = container_of(link, struct client_call, link);
        earliest_ms = call->deadline_ms < earliest_ms ? call->deadline_ms : earliest_ms;
    }
    return earliest_ms;
}

static void call_late(struct sys_timer *timer) {
    struct client_connection *connection =
        container_of(timer, struct client_connection, call_timer);
    int64_t next_ms = earliest_deadline_ms(&connection->sent, INT64_MAX);
    next_ms = earliest_deadline_ms(&connection->leaving, next_ms);
    next_ms = earliest_deadline_ms(&connection->waiting, next_ms);
    if (next_ms <= sys_loop_now_ms(connection->loop)) {
        client_die(connection, ERR_TIMED_OUT);
    } else if (next_ms != INT64_MAX) {
        sys_timer_set(connection->loop, &connection->call_timer, next_ms);
    }
}

/* --- connecting --- */

static void ready(void *arg, int events);

static void want(struct client_connection *connection, int events) {
    if (events != connection->want) {
        connection->want = events;
        sys_socket_want(connection->socket, events);
    }
}

/* Tries the addresses that are left. Never calls the user. */
static void start_connecting(struct client_connection *connection) {
    err_t err = connection->broken;
    while (connection->address_next < connection->address_count) {
        const struct sys_address *address = &connection->addresses[connection->address_next++];
        err = sys_socket_connect(connection->sys, address, &connection->socket);
        if (err == ERR_OK) {
            connection->broken = ERR_OK;
            connection->want = 0;
            sys_socket_set_buffers(connection->socket, connection->send_buffer_bytes,
                                   connection->receive_buffer_bytes);
            sys_socket_attach(connection->socket, connection->loop, ready, connection);
            want(connection, SYS_SOCKET_WRITABLE);
            sys_timer_set(connection->loop, &connection->connect_timer,
                          sys_mono_ms(connection->sys) + connection->connect_timeout_ms);
            return;
        }
    }
    connection->broken = err;
    client_post(connection);
}

static void connect_failed(struct client_connection *connection, err_t err) {
    sys_timer_clear(connection->loop, &connection->connect_timer);
    sys_socket_close(connection->socket);
    connection->socket = NULL;
    connection->broken = err;
    start_connecting(connection);
}

static void connect_late(struct sys_timer *timer) {
    struct client_connection *connection =
        container_of(timer, struct client_connection, connect_timer);
    if (connection->state == CLIENT_CONNECTING) {
        connect_failed(connection, ERR_TIMED_OUT);
    } else {
        client_die(connection, ERR_TIMED_OUT); /* the broker does not answer ApiVersions */
    }
}

/* A call that waited has its frame, or its version is known only now. */
static err_t put_out(struct client_connection *connection, struct client_call *call) {
    if (call->frame.size > 0) {
        buffer_add(&connection->out, call->frame.data, call->frame.size);
        buffer_done(&call->frame);
        return ERR_OK;
    }
    err_t err = client_connection_version(connection, call->api_key, &call->version);
    return err != ERR_OK ? err
                         : client_call_encode(connection, call, call->request, (struct bytes){0},
                                              &connection->out);
}

/* Calls that waited go on the wire. */
static void up(struct client_connection *connection) {
    connection->state = CLIENT_UP;
    sys_timer_clear(connection->loop, &connection->connect_timer);
    enter(connection);
    struct list waiting;
    list_init(&waiting);
    list_splice_last(&waiting, &connection->waiting);
    struct list failed;
    list_init(&failed);
    struct list *link;
    while ((link = list_take_first(&waiting)) != NULL) {
        struct client_call *call = container_of(link, struct client_call, link);
        err_t err = put_out(connection, call);
        if (err == ERR_OK) {
            client_enqueue(connection, call);
        } else {
            call->err = err;
            list_add_last(&failed, link);
        }
    }
    if (connection->on_state != NULL) {
        connection->on_state(connection->arg, connection, ERR_OK);
    }
    while ((link = list_take_first(&failed)) != NULL) {
        struct client_call *call = container_of(link, struct client_call, link);
        client_call_end(connection, call, call->err);
    }
    leave(connection);
}

void client_negotiated(struct client_connection *connection, err_t err) {
    if (err != ERR_OK) {
        client_die(connection, err);
    } else if (connection->state == CLIENT_NEGOTIATING) {
        up(connection);
    }
}

static void connected(struct client_connection *connection) {
    err_t err = sys_socket_connect_result(connection->socket);
    if (err == ERR_WOULD_BLOCK) {
        return;
    }
    if (err != ERR_OK) {
        connect_failed(connection, err);
        return;
    }
    want(connection, SYS_SOCKET_READABLE);
    if (!connection->negotiate) {
        up(connection);
        return;
    }
    connection->state = CLIENT_NEGOTIATING;
    const struct wire_api *api = wire_api(API_API_VERSIONS);
    err = client_negotiate(connection, api->stable_versions.high);
    if (err != ERR_OK) {
        client_die(connection, err);
    }
}

/* --- writing --- */

static void finish_leaving(struct client_connection *connection) {
    struct list *link;
    while ((link = list_first(&connection->leaving)) != NULL) {
        struct client_call *call = container_of(link, struct client_call, link);
        if (call->written_end > connection->written) {
            return;
        }
        list_remove(link);
        client_call_end(connection, call, ERR_OK);
    }
}

/* Writes what the socket takes. */
static void write_out(struct client_connection *connection) {
    struct buffer *out = &connection->out;
    err_t err = ERR_OK;
    while (err == ERR_OK && connection->out_sent < out->size) {
        struct iovec part = {
            .iov_base = out->data + connection->out_sent,
            .iov_len = out->size - connection->out_sent,
        };
        size_t size;
        err = sys_socket_write(connection->socket, &part, 1, &size);
        if (err == ERR_OK) {
            connection->out_sent += size;
            connection->written += size;
        }
    }
    if (err != ERR_OK && err != ERR_WOULD_BLOCK) {
        client_die(connection, err);
        return;
    }
    if (err == ERR_OK) {
        buffer_clear(out); /* kept for the next request, until no call is open */
        connection->out_sent = 0;
    }
    want(connection, SYS_SOCKET_READABLE | (err == ERR_OK ? 0 : (int)SYS_SOCKET_WRITABLE));
    finish_leaving(connection);
    if (connection->call_count == 0) {
        buffer_done(out);
    }
}

static void run_task(struct sys_task *task) {
    struct client_connection *connection = container_of(task, struct client_connection, task);
    enter(connection);
    connection->task_posted = false;
    if (connection->broken != ERR_OK) {
        client_die(connection, connection->broken);
    } else if (connection->state == CLIENT_UP || connection->state == CLIENT_NEGOTIATING) {
        write_out(connection);
    }
    leave(connection);
}

/* --- events --- */

static void ready(void *arg, int events) {
    struct client_connection *connection = arg;
    enter(connection);
    if (connection->state == CLIENT_CONNECTING) {
        connected(connection);
    } else {
        if ((events & SYS_SOCKET_READABLE) != 0) {
            client_read_in(connection);
        }
        if ((events & SYS_SOCKET_WRITABLE) != 0 && connection->state != CLIENT_DEAD) {
            write_out(connection);
        }
    }
    leave(connection);
}
