/*
 * What the network shows of itself: Kafka's socket-server metrics by listener and reactor (a
 * reactor is what Kafka calls a network processor), and our own of the reactors.
 *
 * Read when the page is made, from the reactors' statistics; nothing here is counted twice.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/net_int.h"

static void emit(struct metrics_page *page, enum metrics_kind kind, const char *type,
                 const char *name, double value) {
    struct metrics_id id = {.group = "kafka.network", .type = type, .name = name};
    metrics_emit(page, kind, &id, value);
}

static void emit_own(struct metrics_page *page, enum metrics_kind kind, const char *name,
                     double value) {
    struct metrics_id id = {.name = name};
    metrics_emit(page, kind, &id, value);
}

static void emit_traffic(struct metrics_page *page, const struct net_listener *listener,
                         const struct net_reactor *reactor, const char *reactor_text) {
    const struct net_traffic *traffic = &reactor->traffic[listener->index];
    const struct {
        enum metrics_kind kind;
        const char *name;
        int64_t value;
    } rows[] = {
        {METRICS_GAUGE, "connection-count",
         net_stat_read(&traffic->opened) - net_stat_read(&traffic->closed)},
        {METRICS_COUNTER, "connection-creation-total", net_stat_read(&traffic->opened)},
        {METRICS_COUNTER, "connection-close-total", net_stat_read(&traffic->closed)},
        {METRICS_GAUGE, "expired-connections-killed-count", net_stat_read(&traffic->expired)},
        {METRICS_COUNTER, "incoming-byte-total", net_stat_read(&traffic->bytes_in)},
        {METRICS_COUNTER, "outgoing-byte-total", net_stat_read(&traffic->bytes_out)},
        {METRICS_COUNTER, "request-total", net_stat_read(&traffic->requests)},
        {METRICS_COUNTER, "response-total", net_stat_read(&traffic->answers)},
    };
    struct metrics_id id = {
        .group = "kafka.server",
        .type = "socket-server-metrics",
        .labels = {{"listener", listener->name}, {"networkProcessor", reactor_text}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        id.name = rows[i].name;
        metrics_emit(page, rows[i].kind, &id, (double)rows[i].value);
    }
}

/* The share of time since the last page in which the loop had nothing to do. */
static double idle_share(struct net_server *server, int index, int64_t busy_ns, int64_t span_ns) {
    int64_t before_ns = atomic_exchange(&server->busy_ns_read[index], busy_ns);
    if (span_ns <= 0) {
        return 1;
    }
    double share = 1 - (double)(busy_ns - before_ns) / (double)span_ns;
    return share < 0 ? 0 : share;
}

static double emit_reactor(struct metrics_page *page, struct net_reactor *reactor,
                           int64_t span_ns) {
    struct net_server *server = reactor->server;
    char text[16];
    snprintf(text, sizeof text, "%d", reactor->index);
    for (int i = 0; i < server->listener_count; i++) {
        emit_traffic(page, &server->listeners[i], reactor, text);
    }

    struct sys_loop_stats stats;
    sys_loop_stats_take(reactor->loop, &stats);
    double idle = idle_share(server, reactor->index, stats.busy_ns, span_ns);
    struct metrics_id id = {.group = "kafka.network",
                            .type = "Processor",
                            .name = "IdlePercent",
                            .labels = {{"networkProcessor", text}}};
    metrics_emit(page, METRICS_GAUGE, &id, idle);
    id = (struct metrics_id){.name = "ottla_reactor_stall_max_seconds",
                             .labels = {{"reactor", text}}};
    metrics_emit(page, METRICS_GAUGE, &id, (double)stats.stall_max_ns / 1e9);
    id.name = "ottla_reactor_busy_seconds_total";
    metrics_emit(page, METRICS_COUNTER, &id, (double)stats.busy_ns / 1e9);
    id.name = "ottla_reactor_turns_total";
    metrics_emit(page, METRICS_COUNTER, &id, (double)stats.turns);
    return idle;
}

static void collect(void *arg, struct metrics_page *page) {
    struct net_server *server = arg;
    int64_t now_ns = sys_mono_ns(server->sys);
    int64_t span_ns = now_ns - atomic_exchange(&server->read_at_ns, now_ns);
    double idle_sum = 0;
    for (int i = 0; i < server->reactor_count; i++) {
        idle_sum += emit_reactor(page, &server->reactors[i], span_ns);
    }
    double idle = idle_sum / server->reactor_count;

    struct net_stats stats;
    net_server_stats(server, &stats);
    emit(page, METRICS_GAUGE, "SocketServer", "NetworkProcessorAvgIdlePercent", idle);
    emit(page, METRICS_GAUGE, "SocketServer", "ExpiredConnectionsKilledCount",
         (double)stats.connections_expired);
    emit(page, METRICS_GAUGE, "SocketServer", "MemoryPoolUsed", (double)stats.request_bytes);
    emit(page, METRICS_GAUGE, "SocketServer", "MemoryPoolAvailable",
         (double)(stats.request_bytes_max - stats.request_bytes));
    emit(page, METRICS_GAUGE, "RequestChannel", "RequestQueueSize", (double)stats.requests_queued);

    /* Requests are handled on the reactors. */
    struct metrics_id handlers = {.group = "kafka.server",
                                  .type = "KafkaRequestHandlerPool",
                                  .name = "RequestHandlerAvgIdlePercent"};
    metrics_emit(page, METRICS_PERCENT, &handlers, idle);

    emit_own(page, METRICS_COUNTER, "ottla_connections_refused_total",
             (double)stats.connections_refused);
    emit_own(page, METRICS_COUNTER, "ottla_accept_pauses_total", (double)stats.accept_pauses);
    emit_own(page, METRICS_COUNTER, "ottla_frames_refused_total", (double)stats.frames_refused);
    emit_own(page, METRICS_COUNTER, "ottla_read_stalls_total", (double)stats.read_stalls);
}

void net_metrics_add(struct net_server *server) {
    if (server->metrics == NULL) {
        return;
    }
    server->busy_ns_read = calloc((size_t)server->reactor_count, sizeof *server->busy_ns_read);
    atomic_store(&server->read_at_ns, sys_mono_ns(server->sys));
    server->collector = metrics_collector_add(server->metrics, collect, server);
}
