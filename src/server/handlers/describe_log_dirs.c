/*
 * DescribeLogDirs: what is in each log directory, and how full its disk is.
 *
 * Asking a file system for its size may hang with the disk, so each directory is asked by a worker
 * of its own; the rest is known in memory and is put together when the last one has answered.
 *
 *   partitions asked for ──► replicas, sorted by directory, topic, number ──► runs of the answer
 */
#include <stdlib.h>

#include "replica/partition.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct describe_log_dirs_request_describable_log_dir_topic topic_request;
typedef struct describe_log_dirs_response_describe_log_dirs_result directory_answer;
typedef struct describe_log_dirs_response_describe_log_dirs_topic topic_answer;
typedef struct describe_log_dirs_response_describe_log_dirs_partition partition_answer;

enum { DIRECTORY_PATH_MAX = 4096 };

struct description;

/* One directory. */
struct directory {
    struct sys_job job;
    struct description *description;
    struct volume *volume;
    err_t err;
    uint64_t total_bytes;
    uint64_t free_bytes;
};

/* One partition that is kept here. */
struct replica {
    struct partition *partition;
    struct volume *volume;
};

struct description {
    struct request *request;
    struct describe_log_dirs_response response;
    struct directory *directories;
    int32_t directory_count;
    int32_t pending;
    struct replica *replicas;
    size_t replica_count;
};

/* --- which partitions --- */

static void add_replica(struct description *description, struct partition *partition) {
    struct replica *replica = &description->replicas[description->replica_count++];
    *replica = (struct replica){.partition = partition, .volume = partition_volume(partition)};
}

static void list_all(struct description *description) {
    size_t count = 0;
    struct partition **partitions = replicas_list(description->request->node->replicas, &count);
    description->replicas = ARENA_ARRAY(&description->request->arena, struct replica, count);
    for (size_t i = 0; i < count; i++) {
        add_replica(description, partitions[i]);
    }
    free(partitions);
}

static void list_topic(struct description *description, const topic_request *asked) {
    struct request *request = description->request;
    const struct meta_topic *topic = meta_image_topic(request_image(request), asked->topic);
    for (int32_t i = 0; topic != NULL && i < asked->partitions_count; i++) {
        struct partition *partition =
            replicas_find(request->node->replicas, topic->id, asked->partitions[i]);
        if (partition != NULL) {
            add_replica(description, partition);
        }
    }
}

static void list_asked(struct description *description) {
    const struct describe_log_dirs_request *message = description->request->message;
    size_t room = 0;
    for (int32_t i = 0; i < message->topics_count; i++) {
        room += (size_t)message->topics[i].partitions_count;
    }
    description->replicas = ARENA_ARRAY(&description->request->arena, struct replica, room);
    for (int32_t i = 0; i < message->topics_count; i++) {
        list_topic(description, &message->topics[i]);
    }
}

static int compare_replicas(const void *a, const void *b) {
    const struct replica *left = a;
    const struct replica *right = b;
    if (left->volume != right->volume) {
        return (uintptr_t)left->volume < (uintptr_t)right->volume ? -1 : 1;
    }
    int order = str_compare(partition_topic(left->partition), partition_topic(right->partition));
    int32_t l = partition_index(left->partition);
    int32_t r = partition_index(right->partition);
    return order != 0 ? order : (l > r) - (l < r);
}

/* --- the answer --- */

static partition_answer describe_partition(struct partition *partition) {
    const struct log *log = partition_log(partition);
    partition_answer answer = {.partition_index = partition_index(partition), .offset_lag = -1};
    if (log != NULL) {
        int64_t lag = log_high_watermark(log) - log_end_offset(log);
        answer.partition_size = (int64_t)log_size(log);
        answer.offset_lag = lag > 0 ? lag : 0;
    }
    return answer;
}

/* The replicas of one directory, each once, as topics with partitions. */
static void fill_topics(struct description *description, const struct replica *replicas,
                        size_t count, directory_answer *answer) {
    struct arena *arena = &description->request->arena;
    answer->topics = ARENA_ARRAY(arena, topic_answer, count);
    partition_answer *partitions = ARENA_ARRAY(arena, partition_answer, count);
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = replicas[i].partition;
        struct str name = partition_topic(partition);
        topic_answer *topic =
            answer->topics_count == 0 ? NULL : &answer->topics[answer->topics_count - 1];
        if (i > 0 && partition == replicas[i - 1].partition) {
            continue;
        }
        if (topic == NULL || !str_equal(topic->name, name)) {
            topic = &answer->topics[answer->topics_count++];
            *topic = (topic_answer){.name = arena_str(arena, name), .partitions = partitions};
        }
        topic->partitions[topic->partitions_count++] = describe_partition(partition);
        partitions++;
    }
}

static bool is_cordoned(const struct description *description, const struct volume *volume) {
    const struct node *node = description->request->node;
    const struct meta_broker *broker =
        meta_image_broker(request_image(description->request), node->node_id);
    for (int32_t i = 0; broker != NULL && i < broker->cordoned_log_dir_count; i++) {
        if (uuid_equal(broker->cordoned_log_dirs[i], volume->id)) {
            return true;
        }
    }
    return false;
}

static void begin_answer(struct description *description, const char *path, err_t err,
                         directory_answer *answer) {
    char absolute[DIRECTORY_PATH_MAX];
    sys_path_absolute(description->request->node->sys, path, absolute, sizeof absolute);
    *answer = (directory_answer){
        .error_code = err_kafka_code(err),
        .log_dir = arena_str(&description->request->arena, str_from_c(absolute)),
        .total_bytes = -1,
        .usable_bytes = -1,
    };
}

static void fill_directory(struct description *description, const struct directory *directory,
                           directory_answer *answer) {
    begin_answer(description, log_directory_path(directory->volume->directory), directory->err,
                 answer);
    if (directory->err != ERR_OK) {
        return;
    }
    answer->total_bytes = (int64_t)directory->total_bytes;
    answer->usable_bytes = (int64_t)directory->free_bytes;
    answer->is_cordoned = is_cordoned(description, directory->volume);
    size_t first = 0;
    while (first < description->replica_count &&
           description->replicas[first].volume != directory->volume) {
        first++;
    }
    size_t end = first;
    while (end < description->replica_count &&
           description->replicas[end].volume == directory->volume) {
        end++;
    }
    fill_topics(description, description->replicas + first, end - first, answer);
}

/* In the order of log.dirs, with those that could not be opened. */
static void fill_results(struct description *description,
                         struct describe_log_dirs_response *response) {
    const struct node *node = description->request->node;
    int32_t count = description->directory_count + node->lost_dir_count;
    response->results = ARENA_ARRAY(&description->request->arena, directory_answer, count);
    response->results_count = count;
    int lost = 0;
    for (int32_t i = 0; i < count; i++) {
        directory_answer *answer = &response->results[i];
        if (lost < node->lost_dir_count && node->lost_dirs[lost].index == i) {
            begin_answer(description, node->lost_dirs[lost++].path, ERR_KAFKA_STORAGE_ERROR,
                         answer);
        } else {
            fill_directory(description, &description->directories[i - lost], answer);
        }
    }
}

static void respond(struct description *description) {
    struct request *request = description->request;
    struct describe_log_dirs_response *response = &description->response;
    qsort(description->replicas, description->replica_count, sizeof description->replicas[0],
          compare_replicas);
    fill_results(description, response);
    for (size_t i = 0; i < description->replica_count; i++) {
        partition_unref(description->replicas[i].partition);
    }
    request_respond(request, response);
}

/* --- the disks --- */

static enum sys_job_result ask_disk(struct sys_job *job) {
    struct directory *directory = container_of(job, struct directory, job);
    struct log_directory *log_directory = directory->volume->directory;
    directory->err = log_directory_state(log_directory);
    if (directory->err == ERR_OK) {
        directory->err =
            log_directory_space(log_directory, &directory->total_bytes, &directory->free_bytes);
    }
    return SYS_JOB_DONE;
}

static void disk_answered(struct sys_job *job) {
    struct directory *directory = container_of(job, struct directory, job);
    struct description *description = directory->description;
    description->pending--;
    if (description->pending == 0) {
        respond(description);
    }
}

void handle_describe_log_dirs(struct request *request) {
    const struct describe_log_dirs_request *message = request->message;
    struct replicas *replicas = request->node->replicas;
    struct description *description = ARENA_NEW(&request->arena, struct description);
    description->request = request;
    wire_init(&describe_log_dirs_response_type, &description->response);
    description->directory_count = replicas_data_volume_count(replicas);
    description->directories =
        ARENA_ARRAY(&request->arena, struct directory, description->directory_count);
    if (message->topics_count < 0) {
        list_all(description);
    } else {
        list_asked(description);
    }
    net_request_park(request->net);
    description->pending = description->directory_count;
    for (int32_t i = 0; i < description->directory_count; i++) {
        struct directory *directory = &description->directories[i];
        directory->description = description;
        directory->volume = replicas_volume(replicas, i);
        directory->job = (struct sys_job){
            .run = ask_disk, .done = disk_answered, .loop = request->reactor->loop};
        sys_pool_submit(directory->volume->upkeep, &directory->job);
    }
}
