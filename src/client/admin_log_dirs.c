/* Log directories, and replicas moved between those of one broker: each broker is asked itself. */
#include <stdlib.h>
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

/* --- describe --- */

enum { STAGE_BROKERS, STAGE_DIRS };

typedef struct describe_log_dirs_response_describe_log_dirs_result dir_answer;
typedef struct describe_log_dirs_response_describe_log_dirs_partition replica_answer;

static err_t dirs_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    (void)part;
    (void)version;
    struct describe_log_dirs_request *request = ADMIN_REQUEST(arena, describe_log_dirs_request);
    request->topics_count = -1;
    *ret_request = request;
    return ERR_OK;
}

static int replica_compare(const void *a, const void *b) {
    const struct ottla_log_dir_replica *left = a;
    const struct ottla_log_dir_replica *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static void set_replicas(struct ottla_call *call, struct ottla_log_dir *result,
                         const dir_answer *dir) {
    size_t count = 0;
    for (int32_t t = 0; t < dir->topics_count; t++) {
        count += dir->topics[t].partitions_count > 0 ? (size_t)dir->topics[t].partitions_count : 0;
    }
    struct ottla_log_dir_replica *replicas =
        ARENA_ARRAY(&call->arena, struct ottla_log_dir_replica, count);
    size_t at = 0;
    for (int32_t t = 0; t < dir->topics_count; t++) {
        const char *topic = admin_text(call, dir->topics[t].name);
        for (int32_t p = 0; p < dir->topics[t].partitions_count; p++) {
            const replica_answer *from = &dir->topics[t].partitions[p];
            replicas[at++] = (struct ottla_log_dir_replica){
                .topic = topic,
                .partition = from->partition_index,
                .size = from->partition_size,
                .offset_lag = from->offset_lag,
                .future = from->is_future_key,
            };
        }
    }
    if (count > 0) {
        qsort(replicas, count, sizeof *replicas, replica_compare);
    }
    result->replicas = replicas;
    result->replica_count = count;
}

static void dirs_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_log_dirs_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->results_count; i++) {
        const dir_answer *dir = &answer->results[i];
        struct ottla_log_dir *result = admin_result_add(call);
        result->code = dir->error_code;
        result->text = ottla_code_text(dir->error_code);
        result->broker_id = part->broker_id;
        result->path = admin_text(call, dir->log_dir);
        result->total_size = dir->total_bytes;
        result->usable_size = dir->usable_bytes;
        result->cordoned = dir->is_cordoned;
        set_replicas(call, result, dir);
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static void dirs_failed(struct admin_item *item) {
    struct ottla_log_dir *result = admin_result_add(item->call);
    result->code = item->code;
    result->text = item->text;
    result->broker_id = item->number;
    result->total_size = -1;
    result->usable_size = -1;
}

static int by_broker(const void *a, const void *b) {
    const struct ottla_log_dir *left = a;
    const struct ottla_log_dir *right = b;
    int order = (left->broker_id > right->broker_id) - (left->broker_id < right->broker_id);
    return order != 0 ? order
                      : strcmp(left->path == NULL ? "" : left->path,
                               right->path == NULL ? "" : right->path);
}

static const struct admin_stage dirs_stages[] = {
    [STAGE_BROKERS] = ADMIN_FIND_BROKERS,
    [STAGE_DIRS] = {.api_key = API_DESCRIBE_LOG_DIRS,
                    .route = ADMIN_BROKER,
                    .each = true,
                    .again = STAGE_DIRS,
                    .build = dirs_build,
                    .take = dirs_take},
};
static const struct admin_op dirs_op = {
    .name = "describe log directories",
    .kind = ADMIN_LOG_DIRS,
    .stages = dirs_stages,
    .order = by_broker,
    .failed = dirs_failed,
};

struct ottla_call *ottla_log_dirs_describe(struct ottla_client *client, const int32_t *brokers,
                                           size_t count,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &dirs_op, options);
    if (brokers == NULL) {
        (void)admin_item_add(call, STR(""), -1, "%s", "");
    }
    for (size_t i = 0; brokers != NULL && i < count; i++) {
        (void)admin_broker_add(call, brokers[i], STAGE_DIRS);
    }
    return admin_start(call);
}

/* --- move --- */

typedef struct alter_replica_log_dirs_request_alter_replica_log_dir move_dir;
typedef struct alter_replica_log_dirs_request_alter_replica_log_dir_topic move_topic;

/* The items of one path; done[i] says that items[i] has been put in. */
static void fill_dir(const struct admin_part *part, struct arena *arena, size_t first, bool *done,
                     move_dir *dir) {
    const char *path = part->items[first]->input;
    size_t left = part->item_count - first;
    dir->path = str_from_c(path);
    dir->topics = ARENA_ARRAY(arena, move_topic, left);
    int32_t *numbers = ARENA_ARRAY(arena, int32_t, left);
    move_topic *topic = NULL;
    for (size_t i = first; i < part->item_count; i++) {
        if (done[i] || strcmp(part->items[i]->input, path) != 0) {
            continue;
        }
        done[i] = true;
        if (topic == NULL || !str_equal(topic->name, part->items[i]->name)) {
            topic = &dir->topics[dir->topics_count++];
            topic->name = part->items[i]->name;
            topic->partitions = numbers;
        }
        *numbers++ = part->items[i]->number;
        topic->partitions_count++;
    }
}

static err_t move_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    (void)version;
    struct alter_replica_log_dirs_request *request =
        ADMIN_REQUEST(arena, alter_replica_log_dirs_request);
    bool *done = ARENA_ARRAY(arena, bool, part->item_count);
    size_t dir_count = 0;
    for (size_t i = 0; i < part->item_count; i++) {
        dir_count += i == 0 || strcmp(part->items[i]->input, part->items[i - 1]->input) != 0;
    }
    request->dirs = ARENA_ARRAY(arena, move_dir, dir_count); /* at most */
    request->dirs_count = 0;
    for (size_t i = 0; i < part->item_count; i++) {
        if (!done[i]) {
            fill_dir(part, arena, i, done, &request->dirs[request->dirs_count++]);
        }
    }
    *ret_request = request;
    return ERR_OK;
}

static void move_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct alter_replica_log_dirs_response *answer = response;
    for (int32_t t = 0; t < answer->results_count; t++) {
        const struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *topic =
            &answer->results[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct admin_item *item =
                admin_find(part, topic->topic_name, topic->partitions[p].partition_index);
            if (item != NULL) {
                (void)admin_item_answer(item, topic->partitions[p].error_code, STR_NULL);
            }
        }
    }
}

static const struct admin_stage move_stages[] = {{
    .api_key = API_ALTER_REPLICA_LOG_DIRS,
    .route = ADMIN_BROKER,
    .build = move_build,
    .take = move_take,
}};
static const struct admin_op move_op = {
    .name = "move replicas",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = move_stages,
};

struct ottla_call *ottla_replicas_move(struct ottla_client *client,
                                       const struct ottla_replica_move *moves, size_t count,
                                       const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &move_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_partition_add(call, moves[i].topic, moves[i].partition);
        item->broker_id = moves[i].broker_id;
        item->input =
            (void *)admin_text(call, str_from_c(moves[i].path == NULL ? "" : moves[i].path));
        admin_partition_result(call, item)->broker_id = moves[i].broker_id;
    }
    return admin_start(call);
}
