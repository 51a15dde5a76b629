/*
 * ottla cluster doctor: looks at what most often is wrong between a client and a cluster, from the
 * client's side, in the order in which a client meets it: names, sockets, the protocol, what the
 * brokers tell clients to connect to, the quorum, partitions, transactions, disks. Every finding
 * says what to try.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/cluster_int.h"
#include "cli/hanging.h"
#include "cli/items.h"
#include "cli/output.h"
#include "client/connection.h"
#include "client/core.h"
#include "config/config.h"
#include "sys/sys.h"
#include "wire/api.h"
#include "wire/messages.h"

enum { ADDRESS_MAX = 8, CONNECT_MS = 3000, QUORUM_STALE_MS = 10 * 1000, DISK_LOW_PERCENT = 10 };

enum verdict { FINE, WARNING, PROBLEM };

struct doctor {
    struct items items;
    json_t *findings;
    int counts[PROBLEM + 1];
    bool bootstrap_is_loopback; /* then advertised loopback addresses are no surprise */
};

static const struct cli_column columns[] = {
    {"", "verdict"}, {"CHECK", "check"}, {"FINDING", "finding"}, {"TRY", "advice"}, {NULL}};

static void find(struct doctor *doctor, enum verdict verdict, const char *check, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void find(struct doctor *doctor, enum verdict verdict, const char *check, const char *advice,
                 const char *format, ...) {
    static const char *const words[] = {"ok", "warning", "problem"};
    char finding[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding, sizeof finding, format, args);
    va_end(args);
    doctor->counts[verdict]++;
    json_array_append_new(doctor->findings,
                          json_pack("{s:s, s:s, s:s, s:s}", "verdict", words[verdict], "check",
                                    check, "finding", finding, "advice", advice));
}

/* --- one address: name, socket, protocol --- */

static struct sys_address *resolve(struct doctor *doctor, const char *check, const char *host,
                                   uint16_t port, struct sys_address addresses[ADDRESS_MAX],
                                   size_t *ret_count) {
    struct sys *sys = client_sys(doctor->items.client);
    err_t err = sys_resolve(sys, host, port, addresses, ADDRESS_MAX, ret_count);
    if (err != ERR_OK || *ret_count == 0) {
        find(doctor, PROBLEM, check, "an entry in DNS or /etc/hosts, or another name",
             "%s cannot be resolved", host);
        return NULL;
    }
    return addresses;
}

static void greet(struct doctor *doctor, const char *check, const char *host, uint16_t port) {
    struct sys_address addresses[ADDRESS_MAX];
    size_t count;
    if (resolve(doctor, check, host, port, addresses, &count) == NULL) {
        return;
    }
    struct sys *sys = client_sys(doctor->items.client);
    struct client_connection_settings settings = {.sys = sys,
                                                  .loop = client_loop(doctor->items.client),
                                                  .addresses = addresses,
                                                  .address_count = count,
                                                  .client_id = "ottla",
                                                  .connect_timeout_ms = CONNECT_MS,
                                                  .request_timeout_ms = CONNECT_MS};
    struct client_connection *connection = client_connection_new(&settings);
    struct api_versions_request request;
    wire_init(&api_versions_request_type, &request);
    request.client_software_name = STR("ottla");
    request.client_software_version = STR("1");
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    void *answer;
    int64_t start_ns = sys_mono_ns(sys);
    err_t err = client_call_blocking(connection, API_API_VERSIONS, 0, &request, &arena, &answer);
    double took_ms = (double)(sys_mono_ns(sys) - start_ns) / 1e6;
    if (err == ERR_OK) {
        find(doctor, FINE, check, "", "%s:%d answers in %.1f ms", host, (int)port, took_ms);
    } else if (err == ERR_MALFORMED || err == ERR_CLOSED) {
        find(doctor, PROBLEM, check, "the port of a PLAINTEXT listener of a broker",
             "%s:%d takes connections but does not speak Kafka's protocol there (%s)", host,
             (int)port, err_text(err));
    } else {
        find(doctor, PROBLEM, check, "is the node up, and does a firewall let this port through?",
             "%s:%d: %s", host, (int)port, err_text(err));
    }
    client_connection_free(connection);
    arena_done(&arena);
}

/* --- bootstrap servers --- */

static bool is_loopback(struct doctor *doctor, const char *host, uint16_t port) {
    struct sys *sys = client_sys(doctor->items.client);
    struct sys_address address;
    size_t count;
    return sys_resolve(sys, host, port, &address, 1, &count) == ERR_OK && count == 1 &&
           sys_address_is_loopback(&address);
}

static void look_at_bootstrap(struct doctor *doctor) {
    struct str list = str_from_c(client_settings(doctor->items.client)->bootstrap_servers);
    struct str item;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        struct str name;
        uint16_t port;
        if (client_server_parse(item, &name, &port)) { /* else the client was refused already */
            const char *host = arena_c_str(cli_arena(doctor->items.cli), name);
            doctor->bootstrap_is_loopback |= is_loopback(doctor, host, port);
            greet(doctor, "bootstrap", host, port);
        }
    }
}

/* --- what brokers tell clients to connect to --- */

static void look_at_brokers(struct doctor *doctor) {
    struct ottla_admin_options options = {.fenced = true, .timeout_ms = 3 * CONNECT_MS};
    struct ottla_call *call = ottla_cluster_describe(doctor->items.client, &options);
    struct ottla_error error;
    if (ottla_call_wait(call, -1, &error) != OTTLA_OK || ottla_call_cluster(call) == NULL) {
        find(doctor, PROBLEM, "metadata", "the log of the node", "%s", error.text);
        ottla_call_free(call);
        return;
    }
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    find(doctor, FINE, "metadata", "", "cluster %s, %zu brokers", cluster->cluster_id,
         cluster->node_count);
    for (size_t i = 0; i < cluster->node_count; i++) {
        const struct ottla_node *node = &cluster->nodes[i];
        char check[32];
        (void)snprintf(check, sizeof check, "broker %d", (int)node->id);
        if (node->fenced) {
            find(doctor, WARNING, check, "is it down, or starting? its log tells", "it is fenced");
            continue;
        }
        if (!doctor->bootstrap_is_loopback && is_loopback(doctor, node->host, node->port)) {
            find(doctor, PROBLEM, check, "advertised.listeners with a name that clients can reach",
                 "it tells clients to connect to %s:%d, which is this machine", node->host,
                 (int)node->port);
            continue;
        }
        greet(doctor, check, node->host, node->port);
    }
    ottla_call_free(call);
}

/* --- the quorum --- */

static void look_at_quorum(struct doctor *doctor) {
    struct ottla_admin_options options = {.timeout_ms = 3 * CONNECT_MS};
    struct ottla_call *call = ottla_quorum_describe(doctor->items.client, &options);
    struct ottla_error error;
    const struct ottla_quorum *quorum =
        ottla_call_wait(call, -1, &error) == OTTLA_OK ? ottla_call_quorum(call) : NULL;
    if (quorum == NULL) {
        find(doctor, WARNING, "quorum", "are most controllers up?", "%s", error.text);
        ottla_call_free(call);
        return;
    }
    int behind = 0;
    int64_t now_ms = sys_wall_ms(client_sys(doctor->items.client));
    for (size_t i = 0; i < quorum->voter_count; i++) {
        const struct ottla_quorum_replica *voter = &quorum->voters[i];
        if (voter->id != quorum->leader_id && voter->last_caught_up_ms >= 0 &&
            now_ms - voter->last_caught_up_ms > QUORUM_STALE_MS) {
            behind++;
            find(doctor, WARNING, "quorum", "is that controller up?",
                 "controller %d has not caught up for %" PRId64 " s", (int)voter->id,
                 (now_ms - voter->last_caught_up_ms) / 1000);
        }
    }
    if (behind == 0) {
        find(doctor, FINE, "quorum", "", "controller %d leads, %zu voters", (int)quorum->leader_id,
             quorum->voter_count);
    }
    ottla_call_free(call);
}

/* --- partitions --- */

/* Partitions that cannot be asked are counted; without every coordinator's word nothing is said. */
static bool wait_for_producers(struct hanging_search *search, enum hanging_step step, size_t count,
                               struct ottla_call *call) {
    size_t *unasked = search->arg;
    (void)count;
    bool fine = ottla_call_wait(call, -1, NULL) == OTTLA_OK;
    size_t failed;
    const struct ottla_failure *failures = ottla_call_failures(call, &failed);
    if (step == HANGING_PRODUCERS) {
        *unasked += failed;
        return true;
    }
    size_t known = 0; /* that a transactional id is not there is an answer */
    while (known < failed && failures[known].code == ERR_TRANSACTIONAL_ID_NOT_FOUND) {
        known++;
    }
    return fine || (step == HANGING_DESCRIBE && failed > 0 && known == failed);
}

static void look_at_transactions(struct doctor *doctor, const struct ottla_partition *partitions,
                                 size_t partition_count) {
    size_t unasked = 0;
    struct hanging_search search = {.client = doctor->items.client,
                                    .arena = cli_arena(doctor->items.cli),
                                    .idle_ms = HANGING_IDLE_MS,
                                    .now_ms = sys_wall_ms(client_sys(doctor->items.client)),
                                    .wait = wait_for_producers,
                                    .arg = &unasked};
    struct hanging *hanging;
    size_t count = 0;
    bool known = hanging_find(&search, partitions, partition_count, &hanging, &count);
    if (count > 0) {
        find(doctor, PROBLEM, "transactions", "ottla transaction find-hanging, then abort",
             "%zu hang, the first in %s:%d: read_committed gets no further there", count,
             hanging[0].topic, (int)hanging[0].partition);
    } else if (!known || unasked > 0) {
        find(doctor, WARNING, "transactions", "ottla transaction find-hanging",
             "not every partition and coordinator said what is open");
    } else {
        find(doctor, FINE, "transactions", "", "none hangs");
    }
}

static void look_at_topics(struct doctor *doctor) {
    struct ottla_admin_options options = {.internal = true, .timeout_ms = 3 * CONNECT_MS};
    struct ottla_call *call = ottla_topics_list(doctor->items.client, &options);
    struct ottla_error error;
    if (ottla_call_wait(call, -1, &error) != OTTLA_OK) {
        find(doctor, PROBLEM, "topics", "", "%s", error.text);
    }
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    size_t partitions = 0;
    size_t leaderless = 0;
    size_t under_replicated = 0;
    size_t led_count = 0;
    for (size_t t = 0; t < count; t++) {
        partitions += topics[t].partition_count;
    }
    struct ottla_partition *led =
        ARENA_ARRAY(cli_arena(doctor->items.cli), struct ottla_partition, partitions);
    for (size_t t = 0; t < count; t++) {
        for (size_t p = 0; p < topics[t].partition_count; p++) {
            const struct ottla_partition_description *partition = &topics[t].partitions[p];
            if (partition->leader < 0) {
                leaderless++;
            } else {
                led[led_count++] = (struct ottla_partition){topics[t].name, partition->partition};
            }
            under_replicated += partition->isr.count < partition->replicas.count;
        }
    }
    if (leaderless > 0) {
        find(doctor, PROBLEM, "topics", "ottla topic list; are the brokers up, their disks online?",
             "%zu of %zu partitions have no leader", leaderless, partitions);
    }
    if (under_replicated > 0) {
        find(doctor, WARNING, "topics", "ottla topic list; are all brokers up?",
             "%zu of %zu partitions miss a replica in sync", under_replicated, partitions);
    }
    if (leaderless + under_replicated == 0) {
        find(doctor, FINE, "topics", "", "%zu topics with %zu partitions, all led and in sync",
             count, partitions);
    }
    look_at_transactions(doctor, led, led_count);
    ottla_call_free(call);
}

/* --- disks --- */

static void look_at_disks(struct doctor *doctor) {
    struct ottla_admin_options options = {.timeout_ms = 3 * CONNECT_MS};
    struct ottla_call *call = ottla_log_dirs_describe(doctor->items.client, NULL, 0, &options);
    struct ottla_error error;
    (void)ottla_call_wait(call, -1, &error);
    size_t count;
    const struct ottla_log_dir *dirs = ottla_call_log_dirs(call, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_log_dir *dir = &dirs[i];
        char check[32];
        (void)snprintf(check, sizeof check, "disk of %d", (int)dir->broker_id);
        int64_t percent = dir->total_size > 0 ? dir->usable_size * 100 / dir->total_size : 100;
        if (dir->code != OTTLA_OK) {
            find(doctor, PROBLEM, check, "the broker's log says why; mend it and restart", "%s: %s",
                 dir->path == NULL ? "not told" : dir->path, dir->text);
        } else if (percent < DISK_LOW_PERCENT) {
            find(doctor, WARNING, check, "retention, or a larger disk",
                 "%s: only %" PRId64 " %% are free", dir->path, percent);
        } else {
            find(doctor, FINE, check, "", "%s: %zu partitions, %" PRId64 " %% free", dir->path,
                 dir->replica_count, percent);
        }
    }
    ottla_call_free(call);
}

static int cluster_doctor(struct cli *cli) {
    struct doctor doctor = {.findings = json_array()};
    int code = items_start(cli, &doctor.items);
    if (code != CLI_DONE) {
        json_decref(doctor.findings);
        return code;
    }
    look_at_bootstrap(&doctor);
    bool reached = doctor.counts[FINE] > 0;
    if (reached) {
        look_at_brokers(&doctor);
        look_at_quorum(&doctor);
        look_at_topics(&doctor);
        look_at_disks(&doctor);
    }
    int problems = doctor.counts[PROBLEM];
    int warnings = doctor.counts[WARNING];
    cli_print_rows(cli, columns, doctor.findings);
    items_end(&doctor.items);
    cli_note(cli, "%d problems, %d warnings", problems, warnings);
    return !reached ? CLI_UNREACHABLE : problems > 0 ? CLI_FAILED : CLI_DONE;
}

const struct cli_command cluster_doctor_command = {
    .name = "doctor",
    .summary = "looks for what may be wrong: listeners, quorum, partitions, transactions, disks",
    .text = "The exit code is 1 when there are problems, 4 when no server of the list answers.\n",
    .examples = "  ottla cluster doctor\n"
                "  ottla cluster doctor -b kafka1:9092 -o json\n",
    .run = cluster_doctor,
};
