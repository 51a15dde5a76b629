/*
 *   ready      in the order in which they came; the last word about a partition counts
 *   call       one at a time, with up to so many of the ready ones that the image does not have yet
 *   refused    ready again, and tried again later: what has become pointless is dropped then
 *
 * One turn of the loop goes by before a call, so that the partitions of one image go together.
 */
#include "server/assignments.h"

#include <stdlib.h>

#include "base/map.h"
#include "meta/feature_levels.h"
#include "server/broker.h"
#include "server/node_int.h"

typedef struct assign_replicas_to_dirs_request_directory_data directory_request;
typedef struct assign_replicas_to_dirs_request_topic_data topic_request;
typedef struct assign_replicas_to_dirs_request_partition_data partition_request;

/* As Apache Kafka's brokers send them. */
enum { CALL_PARTITIONS_MAX = 2250, RETRY_MS_MIN = 100, RETRY_MS_MAX = 10 * 1000 };
enum { CALL_MS = 30 * 1000, KEY_SIZE = 20 };

struct assignment {
    struct list link;
    uint8_t key[KEY_SIZE]; /* topic id and number */
    struct uuid topic_id;
    int32_t index;
    struct uuid directory;
};

struct assignments {
    struct node *node;
    struct list ready;
    struct map by_key; /* struct assignment: the ready ones */
    struct sys_task task;
    struct sys_timer retry_timer;
    int64_t retry_ms;
    bool posted;
    bool calling;
    bool stopped;

    struct arena arena; /* of the call */
    struct controller_call call;
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
    struct assignment **sent;
    int32_t sent_count;
};

static void run(struct sys_task *task);
static void retry(struct sys_timer *timer);

struct assignments *assignments_new(struct node *node) {
    struct assignments *assignments = calloc(1, sizeof *assignments);
    assignments->node = node;
    assignments->task.run = run;
    assignments->retry_timer.fire = retry;
    assignments->retry_ms = RETRY_MS_MIN;
    list_init(&assignments->ready);
    map_init(&assignments->by_key);
    arena_init(&assignments->arena, SIZE_MAX);
    return assignments;
}

void assignments_free(struct assignments *assignments) {
    if (assignments == NULL) {
        return;
    }
    struct list *link;
    while ((link = list_take_first(&assignments->ready)) != NULL) {
        free(container_of(link, struct assignment, link));
    }
    map_done(&assignments->by_key);
    arena_done(&assignments->arena);
    free(assignments);
}

/* --- the ready ones --- */

static struct bytes key_of(struct assignment *assignment) {
    return (struct bytes){assignment->key, KEY_SIZE};
}

static void put_ready(struct assignments *assignments, struct assignment *assignment) {
    (void)map_put(&assignments->by_key, key_of(assignment), assignment);
    list_add_last(&assignments->ready, &assignment->link);
}

static struct assignment *take_ready(struct assignments *assignments) {
    struct list *link = list_take_first(&assignments->ready);
    if (link == NULL) {
        return NULL;
    }
    struct assignment *assignment = container_of(link, struct assignment, link);
    (void)map_remove(&assignments->by_key, key_of(assignment));
    return assignment;
}

/* Not told; something newer may have come meanwhile. */
static void put_back(struct assignments *assignments, struct assignment *assignment) {
    if (map_get(&assignments->by_key, key_of(assignment)) != NULL) {
        free(assignment);
    } else {
        put_ready(assignments, assignment);
    }
}

static bool worth_telling(const struct node *node, const struct assignment *assignment) {
    const struct meta_topic *topic = meta_image_topic_by_id(node->image, assignment->topic_id);
    const struct meta_partition *state =
        topic == NULL ? NULL : meta_topic_partition(topic, assignment->index);
    return state != NULL && meta_partition_has_replica(state, node->node_id) &&
           !uuid_equal(meta_partition_directory(state, node->node_id), assignment->directory) &&
           metadata_version_has_directories(meta_image_metadata_version(node->image));
}

/* --- the call --- */

static void run_soon(struct assignments *assignments) {
    if (!assignments->posted && !assignments->calling && !assignments->stopped &&
        !sys_timer_is_set(&assignments->retry_timer) && !list_empty(&assignments->ready)) {
        assignments->posted = true;
        sys_loop_post(assignments->node->loops[0], &assignments->task);
    }
}

static void retry(struct sys_timer *timer) {
    run_soon(container_of(timer, struct assignments, retry_timer));
}

static void retry_later(struct assignments *assignments) {
    struct node *node = assignments->node;
    if (!assignments->stopped) {
        sys_timer_set(node->loops[0], &assignments->retry_timer,
                      sys_mono_ms(node->sys) + assignments->retry_ms);
        assignments->retry_ms *= 2;
        if (assignments->retry_ms > RETRY_MS_MAX) {
            assignments->retry_ms = RETRY_MS_MAX;
        }
    }
}

/* The answer has the request's order, so it is that of `sent`. */
static int32_t settle_answered(struct assignments *assignments) {
    const struct assign_replicas_to_dirs_response *response = &assignments->response;
    int32_t next = 0;
    int32_t refused = 0;
    for (int32_t d = 0; d < response->directories_count; d++) {
        for (int32_t t = 0; t < response->directories[d].topics_count; t++) {
            const struct assign_replicas_to_dirs_response_topic_data *topic =
                &response->directories[d].topics[t];
            for (int32_t p = 0; p < topic->partitions_count; p++) {
                struct assignment *assignment = assignments->sent[next++];
                if (topic->partitions[p].error_code == 0) {
                    free(assignment);
                } else {
                    put_back(assignments, assignment);
                    refused++;
                }
            }
        }
    }
    assert(next == assignments->sent_count);
    return refused;
}

static void told(struct controller_call *call, err_t err) {
    struct assignments *assignments = container_of(call, struct assignments, call);
    int32_t refused = 0;
    assignments->calling = false;
    if (err == ERR_OK) {
        refused = settle_answered(assignments);
    } else {
        for (int32_t i = 0; i < assignments->sent_count; i++) {
            put_back(assignments, assignments->sent[i]);
        }
        text_log_warn(assignments->node->text_log, "broker",
                      "The controller was not told in which log directories %d partitions are "
                      "(%s); trying again",
                      (int)assignments->sent_count, err_name(err));
    }
    if (err != ERR_OK || refused > 0) {
        retry_later(assignments);
    } else {
        assignments->retry_ms = RETRY_MS_MIN;
        run_soon(assignments);
    }
}

static int compare(const void *a, const void *b) {
    const struct assignment *x = *(struct assignment *const *)a;
    const struct assignment *y = *(struct assignment *const *)b;
    int order = memcmp(&x->directory, &y->directory, sizeof x->directory);
    return order != 0 ? order : memcmp(x->key, y->key, KEY_SIZE);
}

/* From the sorted list: a run of one directory holds runs of one topic each. */
static void fill_request(struct assignments *assignments) {
    struct assign_replicas_to_dirs_request *request = &assignments->request;
    size_t count = (size_t)assignments->sent_count;
    directory_request *directories = ARENA_ARRAY(&assignments->arena, directory_request, count);
    topic_request *topics = ARENA_ARRAY(&assignments->arena, topic_request, count);
    partition_request *partitions = ARENA_ARRAY(&assignments->arena, partition_request, count);
    request->directories = directories;
    directory_request *directory = NULL;
    topic_request *topic = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct assignment *assignment = assignments->sent[i];
        if (directory == NULL || !uuid_equal(directory->id, assignment->directory)) {
            directory = &directories[request->directories_count++];
            *directory = (directory_request){.id = assignment->directory, .topics = topics};
            topic = NULL;
        }
        if (topic == NULL || !uuid_equal(topic->topic_id, assignment->topic_id)) {
            topic = topics++;
            *topic =
                (topic_request){.topic_id = assignment->topic_id, .partitions = &partitions[i]};
            directory->topics_count++;
        }
        partitions[i] = (partition_request){.partition_index = assignment->index};
        topic->partitions_count++;
    }
}

static void take_sent(struct assignments *assignments) {
    assignments->sent = ARENA_ARRAY(&assignments->arena, struct assignment *, CALL_PARTITIONS_MAX);
    assignments->sent_count = 0;
    struct assignment *assignment;
    while (assignments->sent_count < CALL_PARTITIONS_MAX &&
           (assignment = take_ready(assignments)) != NULL) {
        if (worth_telling(assignments->node, assignment)) {
            assignments->sent[assignments->sent_count++] = assignment;
        } else {
            free(assignment);
        }
    }
    qsort(assignments->sent, (size_t)assignments->sent_count, sizeof(struct assignment *), compare);
}

static void run(struct sys_task *task) {
    struct assignments *assignments = container_of(task, struct assignments, task);
    struct node *node = assignments->node;
    assignments->posted = false;
    if (assignments->stopped) {
        return;
    }
    arena_reset(&assignments->arena);
    take_sent(assignments);
    if (assignments->sent_count == 0) {
        return;
    }
    assignments->calling = true;
    assignments->call = (struct controller_call){
        .arena = &assignments->arena,
        .deadline_ms = sys_mono_ms(node->sys) + CALL_MS,
        .principal = STR("User:ANONYMOUS"),
        .done = told,
    };
    wire_init(&assign_replicas_to_dirs_request_type, &assignments->request);
    assignments->request.broker_id = node->node_id;
    assignments->request.broker_epoch = broker_epoch(node->broker);
    fill_request(assignments);
    controller_assign_replicas(node->controller, &assignments->call, &assignments->request,
                               &assignments->response);
}

/* --- from outside --- */

void assignments_add(struct assignments *assignments, struct uuid topic_id, int32_t index,
                     struct uuid directory) {
    struct assignment *assignment = calloc(1, sizeof *assignment);
    assignment->topic_id = topic_id;
    assignment->index = index;
    assignment->directory = directory;
    memcpy(assignment->key, topic_id.bytes, sizeof topic_id.bytes);
    put_be32(assignment->key + sizeof topic_id.bytes, (uint32_t)index);
    struct assignment *before = map_get(&assignments->by_key, key_of(assignment));
    if (before != NULL) {
        before->directory = directory;
        free(assignment);
    } else {
        put_ready(assignments, assignment);
    }
    run_soon(assignments);
}

void assignments_stop(struct assignments *assignments) {
    assignments->stopped = true;
    sys_timer_clear(assignments->node->loops[0], &assignments->retry_timer);
}
