/*
 * Runs a transcript over one shard of groups, or of transactional ids, whose log is in memory: each
 * command is carried out, and the records and answers that it prints must be the indented lines
 * that follow it.
 *
 *   config NAME VALUE               a setting of the node; before start
 *   transactions                    the shard is one of transactional ids; before start
 *   feature NAME LEVEL              a feature of the cluster
 *   topic NAME PARTITIONS [RACK…]   the topic is made, its replicas on brokers of these racks; or
 *                                   it gets more partitions
 *   delete-topic NAME               it is gone
 *   group-config GROUP NAME VALUE   a setting of a group
 *   start                           an empty log, and we lead
 *   [WHO:] Api VERSION {json}       a request. What is answered to WHO has its name before it; a
 *                                   memberId in it is from then on $WHO, in requests and in what
 *                                   is printed
 *   client ID                       the client id of the requests that follow
 *   room BYTES                      of the answers to the requests that follow; -1: no bound
 *   gone WHO                        the client of a request that waits is gone
 *   wait MS                         time passes; says when the shard was never at rest
 *   hold                            what is appended is not committed, until
 *   commit                          all of it is
 *   fail ERROR                      the next append fails
 *   unload                          leadership is lost; the log keeps what was committed
 *   loading                         we lead again, and the log is being read
 *   load                            it is read, or all of it is again; sessions begin anew
 *   log NAME VERSION {key} {value} [PRODUCER]
 *                                   a record that some other coordinator left in the log; while
 *                                   unloaded. VERSION -1: a tombstone, {value} is {}
 *   end-transaction PRODUCER commit|abort
 *   rewrite                         the state is said anew, and the log before that is dropped
 *   busy                            the only worker is; jobs wait, until
 *   idle                            it is not any more
 *   groups                          prints the groups
 *   counts                          prints what was counted: offsets committed, expired and
 *                                   deleted, rebalances of classic and consumer groups
 *   plan-inline-max N               after start: larger consumer groups go to a worker
 *   ids …, markers …, fate …        see txn_world_test.h
 *
 * A record is printed when it is appended, "offset NAME vVERSION {key} {value}", an answer when it
 * is given. Times are told since the start.
 */
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord/groups_int.h"
#include "coord/image_world_test.h"
#include "coord/offsets_int.h"
#include "coord/txn_world_test.h"
#include "sys/file.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "wire/api.h"
#include "wire/api_keys.h"
#include "wire/json.h"

enum { SETTINGS_MAX = 32, LINE_MAX_SIZE = 64 * 1024, CALLS_MAX = 4096, NAMES_MAX = 256 };

struct kept_record { /* as bytes */
    struct buffer key;
    struct buffer value;
    bool tombstone;
    int64_t producer_id;
    int16_t end_type; /* of a transaction; 0: an ordinary record */
};

struct name { /* $WHO */
    char *who;
    char *value;
};

struct test;

struct test_call {
    struct coord_call call;
    _Atomic int64_t room;
    struct test *test;
    char *who;
    bool done;
};

struct test {
    const struct coord_kind *kind;
    struct txn_world_test world_of_transactions;
    FILE *out;
    struct sim_world *world;
    struct sys_loop *loop;
    struct sys_pool *pool;
    struct config *config;
    struct groups *groups;
    struct image_world_test cluster;
    struct config_pair settings[SETTINGS_MAX];
    size_t setting_count;
    struct kept_record *log;
    size_t log_start;
    size_t log_count; /* appended */
    size_t committed_count;
    bool hold;
    err_t fail;
    char client_id[64];
    int64_t room; /* -1: no bound */
    struct test_call *calls[CALLS_MAX];
    size_t call_count;
    struct name names[NAMES_MAX];
    size_t name_count;
    struct arena arena;
    struct sys_task command_task;
    struct sys_task commit_task;
    const char *command;
    struct sim_host *host;
    struct sys_job busy;
    int busy_fault;
    int64_t steps;
};

/* --- printing --- */

/* Member ids that are known get their names back. */
static void print_named(struct test *test, const char *text) {
    while (*text != '\0') {
        const struct name *found = NULL;
        for (size_t i = 0; i < test->name_count && found == NULL; i++) {
            const struct name *name = &test->names[i];
            found = strncmp(text, name->value, strlen(name->value)) == 0 ? name : NULL;
        }
        if (found != NULL) {
            fprintf(test->out, "$%s", found->who);
            text += strlen(found->value);
        } else {
            fputc(*text++, test->out);
        }
    }
}

/* Times become what has passed since the start. */
static void relate_times(json_t *json) {
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        if (json_is_integer(value) && json_integer_value(value) >= SIM_START_WALL_MS) {
            json_integer_set(value, json_integer_value(value) - SIM_START_WALL_MS);
        }
    }
}

static void print_json(struct test *test, json_t *json) {
    relate_times(json);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    print_named(test, text);
    free(text);
    json_decref(json);
}

/* --- the log --- */

static int64_t next_record_offset(void *arg) {
    const struct test *test = arg;
    return (int64_t)test->log_count;
}

static struct kept_record *log_add(struct test *test) {
    test->log = realloc(test->log, (test->log_count + 1) * sizeof *test->log);
    struct kept_record *kept = &test->log[test->log_count++];
    *kept = (struct kept_record){.producer_id = -1};
    return kept;
}

static bool is_transaction_end(const struct coord_record *record) {
    return record->type == GROUP_RECORD_TRANSACTION_COMMIT ||
           record->type == GROUP_RECORD_TRANSACTION_ABORT;
}

static void log_record(struct test *test, const struct coord_record *record) {
    struct kept_record *kept = log_add(test);
    kept->tombstone = record->value == NULL;
    kept->producer_id = record->producer_id;
    if (is_transaction_end(record)) {
        kept->end_type = record->type;
        return;
    }
    err_t err = coord_record_encode(test->kind, record, &kept->key, &kept->value);
    if (err != ERR_OK) {
        fprintf(test->out, "  cannot be encoded: %s\n", err_name(err));
    }
}

static void print_record(struct test *test, int64_t offset, const struct coord_record *record) {
    const struct coord_record_kind *kind = test->kind->record(record->type);
    fprintf(test->out, "  %" PRId64 " %s ", offset, kind->name);
    if (record->txn != NULL) {
        fprintf(test->out, "[producer %" PRId64 " epoch %d] ", record->producer_id,
                record->txn->producer_epoch);
    }
    if (is_transaction_end(record)) {
        fprintf(test->out, "coordinator epoch %" PRId32 ", version %d\n",
                record->txn->coordinator_epoch, record->txn->check.version);
        return;
    }
    if (record->value != NULL) {
        fprintf(test->out, "v%d ", record->value_version);
    }
    print_json(test, wire_to_json(kind->key_type, 0, record->key));
    if (record->value != NULL) {
        fprintf(test->out, " ");
        print_json(test, wire_to_json(kind->value_type, record->value_version, record->value));
    } else {
        fprintf(test->out, " tombstone");
    }
    fprintf(test->out, "\n");
}

static err_t append_records(void *arg, void *const *records, int32_t record_count, bool splittable,
                            int64_t *ret_last_offset) {
    struct test *test = arg;
    if (test->fail != ERR_OK) {
        err_t err = test->fail;
        test->fail = ERR_OK;
        fprintf(test->out, "  append fails\n");
        return err;
    }
    if (record_count > 1 && splittable) {
        fprintf(test->out, "  splittable:\n");
    }
    for (int32_t i = 0; i < record_count; i++) {
        print_record(test, (int64_t)test->log_count, records[i]);
        log_record(test, records[i]);
    }
    *ret_last_offset = (int64_t)test->log_count - 1;
    if (!test->hold && !list_linked(&test->commit_task.link)) {
        sys_loop_post(test->loop, &test->commit_task);
    }
    return ERR_OK;
}

static void commit(struct sys_task *task) {
    struct test *test = container_of(task, struct test, commit_task);
    if (!test->hold) {
        test->committed_count = test->log_count;
        strand_committed(groups_strand(test->groups), (int64_t)test->log_count - 1);
    }
}

/* --- calls --- */

static void learn_name(struct test *test, const char *who, const json_t *answer) {
    const char *value = json_string_value(json_object_get(answer, "memberId"));
    if (who == NULL || value == NULL || value[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < test->name_count; i++) {
        if (strcmp(test->names[i].who, who) == 0) {
            free(test->names[i].value);
            test->names[i].value = strdup(value);
            return;
        }
    }
    assert(test->name_count < NAMES_MAX);
    test->names[test->name_count++] = (struct name){strdup(who), strdup(value)};
}

/* Coordinators are asked to add partitions in the form of version 4 by clients of before, too. */
static int16_t form_of(const struct coord_call *call) {
    return call->api_key == API_ADD_PARTITIONS_TO_TXN && call->version < 4 ? 4 : call->version;
}

static void call_done(struct coord_call *base) {
    struct test_call *call = container_of(base, struct test_call, call);
    struct test *test = call->test;
    json_t *json = wire_to_json(base->api->response_type, form_of(base), base->response);
    learn_name(test, call->who, json);
    fprintf(test->out, "  %s%s", call->who == NULL ? "" : call->who, call->who == NULL ? "" : ": ");
    print_json(test, json);
    fprintf(test->out, "\n");
    call->done = true;
}

/* json: taken over. */
static void call_api(struct test *test, const char *who, const char *name, int16_t version,
                     json_t *json) {
    const struct wire_api *wire = wire_api_by_name(str_from_c(name));
    const struct coord_api *api = wire == NULL ? NULL : test->kind->api(wire->key);
    if (api == NULL || json == NULL) {
        fprintf(test->out, "  unknown command, or no JSON\n");
        json_decref(json);
        return;
    }
    struct test_call *call = calloc(1, sizeof *call);
    struct arena *arena = calloc(1, sizeof *arena);
    arena_init(arena, SIZE_MAX);
    call->test = test;
    call->who = who == NULL ? NULL : strdup(who);
    assert(test->call_count < CALLS_MAX);
    test->calls[test->call_count++] = call;
    void *request = arena_alloc(arena, wire_struct_size(api->request_type));
    call->call = (struct coord_call){
        .api_key = api->key,
        .version = version,
        .client_id = arena_str(arena, str_from_c(test->client_id)),
        .client_host = STR("/127.0.0.1"),
        .arena = arena,
        .request = request,
        .loop = test->loop,
        .done = call_done,
    };
    atomic_init(&call->room, test->room);
    call->call.room = test->room < 0 ? NULL : &call->room;
    struct buffer error = {0};
    err_t err =
        wire_from_json(api->request_type, form_of(&call->call), json, arena, request, &error);
    if (err != ERR_OK) {
        fprintf(test->out, "  no such request: %.*s\n", (int)error.size, (char *)error.data);
        call->done = true;
    } else {
        groups_call(test->groups, &call->call, api);
    }
    buffer_done(&error);
    json_decref(json);
}

static void free_done_calls(struct test *test) {
    size_t kept = 0;
    for (size_t i = 0; i < test->call_count; i++) {
        struct test_call *call = test->calls[i];
        if (!call->done) {
            test->calls[kept++] = call;
            continue;
        }
        arena_done(call->call.arena);
        free(call->call.arena);
        free(call->who);
        free(call);
    }
    test->call_count = kept;
}

static void client_gone(struct test *test, const char *who) {
    for (size_t i = 0; i < test->call_count; i++) {
        struct test_call *call = test->calls[i];
        if (call->who != NULL && strcmp(call->who, who) == 0 && !call->done) {
            coord_cancel(&call->call);
        }
    }
}

/* --- life --- */

static void print_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    fprintf(stderr, "%.*s", size, line);
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static void count_step(void *arg) {
    ((struct test *)arg)->steps++;
}

static void start(struct test *test) {
    struct config_report report;
    config_report_init(&report);
    if (config_new(test->settings, test->setting_count, &report, &test->config) != ERR_OK) {
        for (size_t i = 0; i < report.error_count; i++) {
            printf("%.*s\n", STR_ARGS(report.errors[i]));
        }
        exit(2);
    }
    config_report_done(&report);
    static struct text_log errors_only = {
        .sink = print_line, .now_ms = no_time, .level = TEXT_LOG_ERROR};
    struct groups_options options = {
        .kind = test->kind,
        .world = &test->world_of_transactions.world,
        .loop = test->loop,
        .pool = test->pool,
        .text_log = &errors_only,
        .log = {.arg = test, .next_offset = next_record_offset, .append = append_records},
        .mailbox_max = 1000,
        .image = test->cluster.image,
        .config = test->config,
        .stepped = count_step,
        .stepped_arg = test,
    };
    test->groups = groups_new(&options, ERR_NOT_COORDINATOR);
    test->cluster.groups = test->groups;
    test->cluster.config = test->config;
    test->groups->leader_epoch = 7;
    groups_activate(test->groups);
}

static void unload(struct test *test) {
    for (size_t i = test->committed_count; i < test->log_count; i++) {
        buffer_done(&test->log[i].key);
        buffer_done(&test->log[i].value);
    }
    test->log_count = test->committed_count;
    test->hold = false;
    groups_unload(test->groups, ERR_NOT_COORDINATOR);
}

static void load(struct test *test) {
    groups_unload(test->groups, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    for (size_t i = test->log_start; i < test->log_count; i++) {
        const struct kept_record *kept = &test->log[i];
        struct coord_record record = {.type = kept->end_type};
        struct bytes value = buffer_bytes(&kept->value);
        err_t err = kept->end_type != 0
                        ? ERR_OK
                        : coord_record_decode(test->kind, buffer_bytes(&kept->key),
                                              kept->tombstone ? (struct bytes){NULL, 0} : value,
                                              &test->arena, &record);
        if (err != ERR_OK) {
            fprintf(test->out, "  record %zu: %s\n", i, err_name(err));
            continue;
        }
        record.producer_id = kept->producer_id;
        groups_replay(test->groups, (void *[]){&record}, 1, (int64_t)i);
    }
    test->committed_count = test->log_count;
    groups_activate(test->groups);
}

/* A record from elsewhere. */
static void keep_record(struct test *test, const char *name, int16_t version, const char *text) {
    json_error_t where;
    json_t *key = json_loads(text, JSON_DISABLE_EOF_CHECK, &where);
    json_t *value =
        key == NULL ? NULL : json_loads(text + where.position, JSON_DISABLE_EOF_CHECK, &where);
    const struct coord_record_kind *kind = NULL;
    for (int16_t type = 0; type < GROUP_RECORD_TYPES; type++) {
        const struct coord_record_kind *row = test->kind->record(type);
        kind = row != NULL && strcmp(row->name, name) == 0 ? row : kind;
    }
    if (key == NULL || value == NULL || kind == NULL) {
        fprintf(test->out, "  no such record\n");
        return;
    }
    struct buffer error = {0};
    struct coord_record record = {.type = kind->type, .value_version = version, .producer_id = -1};
    void *key_made = arena_alloc(&test->arena, wire_struct_size(kind->key_type));
    void *value_made = arena_alloc(&test->arena, wire_struct_size(kind->value_type));
    err_t err = wire_from_json(kind->key_type, 0, key, &test->arena, key_made, &error);
    if (err == ERR_OK && version >= 0) {
        err = wire_from_json(kind->value_type, version, value, &test->arena, value_made, &error);
        record.value = value_made;
    }
    record.key = key_made;
    const char *rest = strrchr(text, '}');
    (void)sscanf(rest + 1, " %" SCNd64, &record.producer_id);
    if (err != ERR_OK) {
        fprintf(test->out, "  no such record: %.*s\n", (int)error.size, (char *)error.data);
    } else {
        log_record(test, &record);
        test->committed_count = test->log_count;
    }
    buffer_done(&error);
    json_decref(key);
    json_decref(value);
}

static void end_transaction(struct test *test, int64_t producer_id, const char *how) {
    struct kept_record *kept = log_add(test);
    kept->producer_id = producer_id;
    kept->end_type = strcmp(how, "commit") == 0 ? GROUP_RECORD_TRANSACTION_COMMIT
                                                : GROUP_RECORD_TRANSACTION_ABORT;
    test->committed_count = test->log_count;
}

static err_t say_anew(struct group_step *step, void *context) {
    struct test *test = context;
    size_t count;
    const struct str *ids = test->kind->ids(step->groups, step->arena, &count);
    int64_t keep_offset = (int64_t)test->log_start;
    for (size_t i = 0; i < count; i++) {
        if (!test->kind->say_anew(step, ids[i], &keep_offset)) {
            fprintf(test->out, "  %.*s: not now\n", STR_ARGS(ids[i]));
        }
    }
    if (keep_offset < (int64_t)test->log_start) {
        fprintf(test->out, "  the log stays from %" PRId64 " on\n", keep_offset);
        test->log_start = (size_t)keep_offset;
    }
    return ERR_OK;
}

static void rewrite(struct test *test) {
    test->log_start = test->log_count;
    groups_run(test->groups, say_anew, NULL, test);
}

static void print_offsets(struct test *test, const struct offsets *offsets) {
    int pending = 0;
    const struct offset_topic *topic;
    const struct offset_slot *slot;
    const struct list *link;
    size_t topics, slots;
    map_for_each (&offsets->topics, topics, topic) {
        map_for_each (&topic->partitions, slots, slot) {
            list_for_each (link, &slot->pending) {
                pending++;
            }
        }
    }
    fprintf(test->out, ", %d offsets", (int)offsets->slot_count);
    if (pending > 0) {
        fprintf(test->out, ", %d pending", pending);
    }
}

static void print_groups(struct test *test) {
    static const struct offsets none = {0};
    const struct group *group;
    size_t cursor;
    map_for_each (&test->groups->by_id, cursor, group) {
        fprintf(test->out, "  %.*s %s %s \"%.*s\"", STR_ARGS(group->id), group_type_name(group),
                group_state_name(group), STR_ARGS(group_protocol_type(group)));
        print_offsets(test, group->offsets == NULL ? &none : group->offsets);
        fprintf(test->out, "\n");
    }
}

static void print_counts(struct test *test) {
    fprintf(test->out, " ");
    for (int i = 0; i < GROUP_COUNT_TXNS_COMMITTED; i++) {
        fprintf(test->out, " %" PRIu64, atomic_load(&test->groups->counts[i]));
    }
    fprintf(test->out, "\n");
}

/* --- commands --- */

static void add_setting(struct test *test, const char *name, const char *value) {
    test->settings[test->setting_count++] = (struct config_pair){
        arena_str(&test->arena, str_from_c(name)), arena_str(&test->arena, str_from_c(value))};
}

/* --- a busy worker --- */

static enum sys_job_result be_busy(struct sys_job *job) {
    struct test *test = container_of(job, struct test, busy);
    (void)sys_dir_make(sim_host_sys(test->host), "/busy");
    return SYS_JOB_DONE;
}

static void make_busy(struct test *test) {
    const struct sim_fault hang = {.kind = SIM_FAULT_HANG, .path = "/busy"};
    test->busy_fault = sim_disk_add_fault(test->host, &hang);
    test->busy = (struct sys_job){.run = be_busy};
    sys_pool_submit(test->pool, &test->busy);
}

static bool run_life(struct test *test, const char *line) {
    char name[128], value[256], third[256];
    int64_t number;
    int count, used = 0;
    if (sscanf(line, "config %127s %255s", name, value) == 2) {
        add_setting(test, name, value);
    } else if (sscanf(line, "topic %127s %d%n", name, &count, &used) == 2) {
        image_world_test_topic(&test->cluster, name, count, line + used);
    } else if (sscanf(line, "delete-topic %127s", name) == 1) {
        image_world_test_delete(&test->cluster, name);
    } else if (sscanf(line, "group-config %127s %255s %255s", name, value, third) == 3) {
        image_world_test_group_config(&test->cluster, name, value, third);
    } else if (sscanf(line, "feature %127s %d", name, &count) == 2) {
        image_world_test_feature(&test->cluster, name, count);
    } else if (strncmp(line, "transactions", 12) == 0) {
        test->kind = &coord_transactions_kind;
    } else if (strncmp(line, "start", 5) == 0) {
        start(test);
    } else if (strncmp(line, "unload", 6) == 0) {
        unload(test);
    } else if (strncmp(line, "loading", 7) == 0) {
        groups_unload(test->groups, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    } else if (strncmp(line, "load", 4) == 0) {
        load(test);
    } else if (strncmp(line, "rewrite", 7) == 0) {
        rewrite(test);
    } else if (sscanf(line, "log %127s %d%n", name, &count, &used) == 2) {
        keep_record(test, name, (int16_t)count, line + used);
    } else if (strncmp(line, "busy", 4) == 0) {
        make_busy(test);
    } else if (strncmp(line, "idle", 4) == 0) {
        sim_disk_remove_fault(test->host, test->busy_fault);
    } else if (sscanf(line, "plan-inline-max %d", &count) == 1) {
        test->groups->plan_inline_max = count;
    } else if (sscanf(line, "end-transaction %" SCNd64 " %255s", &number, value) == 2) {
        end_transaction(test, number, value);
    } else {
        return false;
    }
    return true;
}

static void run(struct sys_task *task) {
    struct test *test = container_of(task, struct test, command_task);
    const char *line = test->command;
    char who[64], name[64];
    int version, used = 0;
    if (run_life(test, line) ||
        txn_world_test_run(&test->world_of_transactions, test->groups, line)) {
        return;
    }
    if (strncmp(line, "groups", 6) == 0) {
        print_groups(test);
    } else if (strncmp(line, "counts", 6) == 0) {
        print_counts(test);
    } else if (strncmp(line, "hold", 4) == 0) {
        test->hold = true;
    } else if (strncmp(line, "commit", 6) == 0) {
        test->hold = false;
        commit(&test->commit_task);
    } else if (sscanf(line, "fail %63s", name) == 1) {
        test->fail = txn_world_test_error(name);
    } else if (sscanf(line, "client %63s", name) == 1) {
        memcpy(test->client_id, name, sizeof name);
    } else if (sscanf(line, "room %" SCNd64, &test->room) == 1) {
        return;
    } else if (sscanf(line, "gone %63s", name) == 1) {
        client_gone(test, name);
    } else if (sscanf(line, "%63[^: ]: %63s %d%n", who, name, &version, &used) == 3) {
        call_api(test, who, name, (int16_t)version, json_loads(line + used, 0, NULL));
    } else if (sscanf(line, "%63s %d%n", name, &version, &used) == 2) {
        call_api(test, NULL, name, (int16_t)version, json_loads(line + used, 0, NULL));
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

/* $WHO becomes the member id. */
static char *with_names(const struct test *test, const char *line) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    while (*line != '\0') {
        const struct name *found = NULL;
        for (size_t i = 0; *line == '$' && i < test->name_count; i++) {
            size_t length = strlen(test->names[i].who);
            bool same = strncmp(line + 1, test->names[i].who, length) == 0;
            if (same && (found == NULL || length > strlen(found->who))) {
                found = &test->names[i];
            }
        }
        if (found != NULL) {
            fputs(found->value, out);
            line += 1 + strlen(found->who);
        } else {
            fputc(*line++, out);
        }
    }
    fclose(out);
    return text;
}

static void pass_time(struct test *test, int64_t ms) {
    int64_t steps_before = test->steps;
    sim_world_run_for(test->world, ms);
    if (test->steps - steps_before > 100 + ms / 10) {
        fprintf(test->out, "  it is busy all the time\n");
    }
}

static void run_line(struct test *test, const char *line) {
    int64_t ms;
    if (sscanf(line, "wait %" SCNd64, &ms) == 1) {
        pass_time(test, ms);
    } else {
        char *named = with_names(test, line);
        test->command = named;
        test->command_task = (struct sys_task){.run = run};
        sys_loop_post(test->loop, &test->command_task);
        do {
            sim_world_run_for(test->world, 1); /* a moment; longer when the loop is at work */
        } while (list_linked(&test->command_task.link));
        free(named);
    }
    free_done_calls(test);
}

/* --- the transcript --- */

static char *read_all(const char *path) {
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        perror(path);
        exit(2);
    }
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', in) < 0) {
        text = strdup("");
    }
    fclose(in);
    return text;
}

static void run_all(struct test *test, char *transcript) {
    static char line[LINE_MAX_SIZE];
    FILE *in = fmemopen(transcript, strlen(transcript), "r");
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "  ", 2) == 0) {
            continue; /* an outcome of before */
        }
        fputs(line, test->out);
        if (line[0] != '#' && line[0] != '\n') {
            run_line(test, line);
        }
    }
    fclose(in);
}

static void test_start(struct test *test) {
    arena_init(&test->arena, SIZE_MAX);
    test->world = sim_world_new(1);
    struct sim_host *host = test->host = sim_host_new(test->world, "node", "10.0.0.1");
    if (sys_loop_new(sim_host_sys(host), "shard", &test->loop) != ERR_OK ||
        sys_pool_new(sim_host_sys(host), "jobs", 1, &test->pool) != ERR_OK ||
        sys_loop_start(test->loop) != ERR_OK) {
        fprintf(stderr, "no loop\n");
        exit(2);
    }
    test->commit_task.run = commit;
    test->cluster = (struct image_world_test){.out = test->out, .image = meta_image_new()};
    (void)snprintf(test->client_id, sizeof test->client_id, "client");
    test->room = -1;
    add_setting(test, "process.roles", "broker,controller");
    add_setting(test, "node.id", "1");
    add_setting(test, "listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093");
    add_setting(test, "controller.listener.names", "CONTROLLER");
    add_setting(test, "controller.quorum.voters", "1@127.0.0.1:9093");
}

static void stop_shard(struct sys_task *task) {
    unload(container_of(task, struct test, command_task));
}

static void test_stop(struct test *test) {
    test->command_task = (struct sys_task){.run = stop_shard};
    if (test->groups != NULL) {
        sys_loop_post(test->loop, &test->command_task);
        sim_world_run_for(test->world, 1000);
    }
    fclose(test->out);
    free_done_calls(test);
    groups_free(test->groups);
    meta_image_unref(test->cluster.image);
    config_unref(test->config);
    sys_pool_free(test->pool);
    sys_loop_stop(test->loop);
    sim_world_run_for(test->world, 1);
    sys_loop_free(test->loop);
    sim_world_free(test->world);
    for (size_t i = 0; i < test->log_count; i++) {
        buffer_done(&test->log[i].key);
        buffer_done(&test->log[i].value);
    }
    free(test->log);
    for (size_t i = 0; i < test->name_count; i++) {
        free(test->names[i].who);
        free(test->names[i].value);
    }
    arena_done(&test->arena);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s TRANSCRIPT\n", argv[0]);
        return 2;
    }
    char *expected = read_all(argv[1]);
    char *actual = NULL;
    size_t actual_size = 0;
    static struct test test = {.kind = &coord_groups_kind};
    test.out = open_memstream(&actual, &actual_size);
    test_start(&test);
    txn_world_test_init(&test.world_of_transactions, test.out);
    run_all(&test, expected);
    test_stop(&test);

    int failed = strcmp(expected, actual) != 0;
    if (failed && getenv("REWRITE") != NULL) {
        FILE *file = fopen(argv[1], "w");
        fputs(actual, file);
        fclose(file);
        failed = 0;
    } else if (failed) {
        printf("%s differs; now it would read:\n%s", argv[1], actual);
    }
    printf("%d passed, %d failed\n", !failed, failed);
    free(expected);
    free(actual);
    return failed;
}
