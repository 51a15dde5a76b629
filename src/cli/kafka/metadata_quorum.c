/* kafka-metadata-quorum: the controllers' quorum, its voters and those who follow it. */
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tools.h"
#include "client/core.h"
#include "sys/sys.h"

enum { COLUMN_COUNT = 7, CELL_SIZE = 48 };

static const char zero_id[] = "AAAAAAAAAAAAAAAAAAAAAA";

static int fail(struct tool *tool, const struct ottla_error *error) {
    return tool_fail(tool, "%s: %s", tool_exception(tool, error->code), tool_unlabelled(error));
}

static const struct ottla_quorum_replica *leader_of(const struct ottla_quorum *quorum) {
    for (size_t i = 0; i < quorum->voter_count; i++) {
        if (quorum->voters[i].id == quorum->leader_id) {
            return &quorum->voters[i];
        }
    }
    return NULL;
}

/* --- status --- */

static void print_endpoints(const struct ottla_quorum *quorum, int32_t id) {
    for (size_t i = 0; i < quorum->node_count; i++) {
        const struct ottla_quorum_node *node = &quorum->nodes[i];
        for (size_t j = 0; node->id == id && j < node->listener_count; j++) {
            const struct ottla_listener *listener = &node->listeners[j];
            printf("%s\"%s://%s:%d\"", j == 0 ? ", \"endpoints\": [" : ", ", listener->name,
                   listener->host, (int)listener->port);
        }
        if (node->id == id && node->listener_count > 0) {
            putchar(']');
        }
    }
}

static void print_replicas(const char *title, const struct ottla_quorum *quorum,
                           const struct ottla_quorum_replica *replicas, size_t count) {
    printf("%s[", title);
    for (size_t i = 0; i < count; i++) {
        const char *directory = replicas[i].directory_id;
        bool known = directory != NULL && strcmp(directory, zero_id) != 0;
        printf("%s{\"id\": %d, \"directoryId\": %s%s%s", i == 0 ? "" : ", ", (int)replicas[i].id,
               known ? "\"" : "", known ? directory : "null", known ? "\"" : "");
        print_endpoints(quorum, replicas[i].id);
        putchar('}');
    }
    puts("]");
}

static int print_status(struct tool *tool, struct ottla_client *client,
                        const struct ottla_quorum *quorum) {
    struct ottla_admin_options options = {.controllers = tool_has(tool, "bootstrap-controller")};
    struct ottla_call *call = ottla_cluster_describe(client, &options);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return fail(tool, &error);
    }
    const struct ottla_quorum_replica *leader = leader_of(quorum);
    const struct ottla_quorum_replica *last = leader;
    for (size_t i = 0; i < quorum->voter_count; i++) {
        last = quorum->voters[i].log_end_offset < last->log_end_offset ? &quorum->voters[i] : last;
    }
    int64_t behind_ms = last == leader ? 0
                        : leader->last_caught_up_ms >= 0 && last->last_caught_up_ms >= 0
                            ? leader->last_caught_up_ms - last->last_caught_up_ms
                            : -1;
    printf("ClusterId:              %s\n", ottla_call_cluster(call)->cluster_id);
    printf("LeaderId:               %d\n", (int)quorum->leader_id);
    printf("LeaderEpoch:            %d\n", (int)quorum->leader_epoch);
    printf("HighWatermark:          %lld\n", (long long)quorum->high_watermark);
    printf("MaxFollowerLag:         %lld\n",
           (long long)(leader->log_end_offset - last->log_end_offset));
    printf("MaxFollowerLagTimeMs:   %lld\n", (long long)behind_ms);
    print_replicas("CurrentVoters:          ", quorum, quorum->voters, quorum->voter_count);
    print_replicas("CurrentObservers:       ", quorum, quorum->observers, quorum->observer_count);
    return TOOL_DONE;
}

/* --- replication --- */

struct table {
    char (*rows)[COLUMN_COUNT][CELL_SIZE];
    size_t count;
};

static void time_text(const struct tool *tool, int64_t then_ms, int64_t now_ms,
                      char text[CELL_SIZE]) {
    if (then_ms < 0) {
        (void)snprintf(text, CELL_SIZE, "-1");
    } else if (tool_has(tool, "human-readable")) {
        (void)snprintf(text, CELL_SIZE, "%lld ms ago",
                       (long long)(now_ms > then_ms ? now_ms - then_ms : 0));
    } else {
        (void)snprintf(text, CELL_SIZE, "%lld", (long long)then_ms);
    }
}

static void add_row(const struct tool *tool, struct table *table,
                    const struct ottla_quorum_replica *replica, int64_t leader_end, int64_t now_ms,
                    const char *status) {
    char(*row)[CELL_SIZE] = table->rows[table->count++];
    (void)snprintf(row[0], CELL_SIZE, "%d", (int)replica->id);
    (void)snprintf(row[1], CELL_SIZE, "%s",
                   replica->directory_id == NULL ? zero_id : replica->directory_id);
    (void)snprintf(row[2], CELL_SIZE, "%lld", (long long)replica->log_end_offset);
    (void)snprintf(row[3], CELL_SIZE, "%lld", (long long)(leader_end - replica->log_end_offset));
    time_text(tool, replica->last_fetch_ms, now_ms, row[4]);
    time_text(tool, replica->last_caught_up_ms, now_ms, row[5]);
    (void)snprintf(row[6], CELL_SIZE, "%s", status);
}

static void print_table(const struct table *table) {
    static const char *const titles[COLUMN_COUNT] = {
        "NodeId", "DirectoryId",        "LogEndOffset",
        "Lag",    "LastFetchTimestamp", "LastCaughtUpTimestamp",
        "Status"};
    int widths[COLUMN_COUNT];
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        widths[c] = (int)strlen(titles[c]);
        for (size_t i = 0; i < table->count; i++) {
            int size = (int)strlen(table->rows[i][c]);
            widths[c] = size > widths[c] ? size : widths[c];
        }
        printf("%-*s\t", widths[c], titles[c]);
    }
    putchar('\n');
    for (size_t i = 0; i < table->count; i++) {
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            printf("%-*s\t", widths[c], table->rows[i][c]);
        }
        putchar('\n');
    }
}

static int print_replication(struct tool *tool, struct ottla_client *client,
                             const struct ottla_quorum *quorum) {
    const struct ottla_quorum_replica *leader = leader_of(quorum);
    struct table table = {
        .rows = arena_alloc(tool_arena(tool),
                            (quorum->voter_count + quorum->observer_count) * sizeof *table.rows)};
    int64_t end = leader->log_end_offset;
    int64_t now_ms = sys_wall_ms(client_sys(client));
    add_row(tool, &table, leader, end, now_ms, "Leader");
    for (size_t i = 0; i < quorum->voter_count; i++) {
        if (&quorum->voters[i] != leader) {
            add_row(tool, &table, &quorum->voters[i], end, now_ms, "Follower");
        }
    }
    for (size_t i = 0; i < quorum->observer_count; i++) {
        add_row(tool, &table, &quorum->observers[i], end, now_ms, "Observer");
    }
    print_table(&table);
    return TOOL_DONE;
}

/* --- the tool --- */

static int describe(struct tool *tool, struct ottla_client *client) {
    bool status = tool_has(tool, "status");
    bool replication = tool_has(tool, "replication");
    if (status && replication) {
        return tool_fail(tool, "Only one of --status or --replication should be specified with "
                               "describe sub-command");
    }
    if (status && tool_has(tool, "human-readable")) {
        return tool_fail(tool,
                         "The option --human-readable is only supported along with --replication");
    }
    if (!status && !replication) {
        return tool_fail(tool, "One of --status or --replication must be specified with describe "
                               "sub-command");
    }
    struct ottla_call *call = ottla_quorum_describe(client, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return fail(tool, &error);
    }
    const struct ottla_quorum *quorum = ottla_call_quorum(call);
    if (leader_of(quorum) == NULL) {
        return tool_fail(tool, "the quorum has no leader now");
    }
    return status ? print_status(tool, client, quorum) : print_replication(tool, client, quorum);
}

static int remove_controller(struct tool *tool, struct ottla_client *client) {
    int32_t id = (int32_t)tool_number(tool, "controller-id");
    const char *directory = tool_text(tool, "controller-directory-id");
    if (id < 0) {
        return tool_fail(tool, "Invalid negative --controller-id: %d", (int)id);
    }
    if (!tool_has(tool, "dry-run")) {
        struct ottla_call *call = ottla_voter_remove(client, id, directory, NULL);
        struct ottla_error error;
        if (tool_wait(tool, call, &error) != OTTLA_OK) {
            return fail(tool, &error);
        }
    }
    printf("%s KRaft controller %d with directory id %s\n",
           tool_has(tool, "dry-run") ? "DRY RUN of removing " : "Removed ", (int)id, directory);
    return TOOL_DONE;
}

int kafka_metadata_quorum(struct tool *tool) {
    struct ottla_client *client;
    const char *command = tool_subcommand(tool);
    const char *config = tool_text(tool, "command-config");
    if (strcmp(command, "add-controller") == 0) {
        return config == NULL
                   ? tool_fail(tool, "You must supply the configuration file of the controller you "
                                     "are adding when using add-controller.")
                   : tool_fail(tool, "add-controller: not supported yet");
    }
    if (tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return strcmp(command, "describe") == 0 ? describe(tool, client)
                                            : remove_controller(tool, client);
}
