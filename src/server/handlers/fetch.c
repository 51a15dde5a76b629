/*
 * Fetch: records out of partitions.
 *
 *   1  session       the partitions to read, in their order
 *   2  read          all of them; in the end the aborted transactions, too
 *                      cold bytes            a worker warms them (warming.c), back to 2
 *                      enough, an error, or
 *                      no time to wait       4
 *                      else                  3
 *   3  wait          parked, on all partitions; an append or the deadline leads back to 2
 *   4  answer        the session notes what is told; net sends the runs of files (fetch_answer.c)
 *
 * Limits, as Kafka: the answer stops at max_bytes (and the broker's fetch.max.bytes), a partition
 * at its own; but the first batch found is given whatever its size, so that a reader cannot hang on
 * a large one. Record bytes are not touched: the answer names runs of files, which net sends with
 * sendfile. A slice keeps its segment open until it is sent.
 *
 * A reactor must not wait for a disk. What was written lately is in the page cache; anything else
 * is asked about (sys_file_cached), and what is not there is read by a worker of the volume first
 * (warming.c): records, and for read_committed the indexes of aborted transactions. After one
 * warming round the fetch reads without asking, so it always ends.
 */
#include "server/handlers/fetch.h"

#include <stdlib.h>

#include "base/limits.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

/* --- reading --- */

/* By id: its name is learnt once, and what happens later is told of that name. */
static err_t find_topic(struct fetch *fetch, struct fetch_item *item,
                        const struct meta_topic **ret_topic) {
    struct request *request = fetch->request;
    if (fetch->context.by_id && item->topic.size == 0) {
        err_t err = topic_find_by_id(request, item->topic_id, ret_topic);
        if (err == ERR_OK) {
            fetch_context_name(&fetch->context, item, (*ret_topic)->name);
        }
        return err;
    }
    return topic_find(request, item->topic, ret_topic);
}

static err_t find_item(struct fetch *fetch, struct fetch_item *item, struct fetch_part *part) {
    struct request *request = fetch->request;
    const struct meta_topic *topic = NULL;
    err_t err = find_topic(fetch, item, &topic);
    if (err == ERR_OK && meta_topic_partition(topic, item->index) == NULL) {
        err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    part->unknown = err != ERR_OK;
    if (err != ERR_OK) {
        return err;
    }
    if (fetch->context.by_id && !uuid_equal(topic->id, item->topic_id)) {
        return ERR_INCONSISTENT_TOPIC_ID;
    }
    part->topic_id = topic->id;
    if (part->partition == NULL) {
        err = topic_partition_find(request, topic, item->index, &part->partition);
        /* The image may move on before the answer: a name that stays. */
        part->topic = err == ERR_OK ? partition_topic(part->partition)
                                    : arena_str(&request->arena, topic->name);
    }
    return err;
}

/* There are no other replicas: whoever asks as one is told so, once its epoch is right. */
static err_t refuse_follower(const struct fetch_part *part) {
    struct partition_offsets offsets;
    err_t err = partition_offsets(part->partition, part->item->leader_epoch, &offsets);
    return err == ERR_OK ? ERR_NOT_LEADER_OR_FOLLOWER : err;
}

static err_t read_found(struct fetch *fetch, struct fetch_part *part) {
    if (fetch->size_wrong || part->item->size_max < 0) {
        return ERR_INVALID_FETCH_SIZE;
    }
    return fetch->follower ? refuse_follower(part) : partition_read(part->partition, &part->read);
}

static bool is_cold(struct fetch *fetch, const struct log_slice *slice) {
    return !fetch->warmed && slice->size > 0 &&
           !sys_file_cached(slice->file, slice->position,
                            slice->size < FETCH_PROBE_BYTES_MAX ? slice->size
                                                                : FETCH_PROBE_BYTES_MAX);
}

static void read_part(struct fetch *fetch, struct fetch_part *part) {
    struct fetch_item *item = part->item;
    size_t left = fetch->size_max - (fetch->size < fetch->size_max ? fetch->size : fetch->size_max);
    size_t wanted = item->size_max < 0 ? 0 : (size_t)item->size_max;
    part->read = (struct partition_read){
        .offset = item->fetch_offset,
        .size_max = wanted < left ? wanted : left,
        .min_one = fetch->size == 0,
        .committed_only = fetch->committed_only,
        .no_wait = !fetch->warmed,
        .leader_epoch = item->leader_epoch,
        .fetched_epoch = item->fetched_epoch,
    };
    part->err = fetch->refused == ERR_OK ? find_item(fetch, item, part) : fetch->refused;
    if (part->err == ERR_OK) {
        part->err = read_found(fetch, part);
    }
    if (part->err == ERR_WOULD_BLOCK) {
        fetch->cold = true;
    } else if (part->err == ERR_OK) {
        fetch->cold = fetch->cold || is_cold(fetch, &part->read.slice);
        fetch->size += part->read.slice.size;
        fetch->news = fetch->news || part->read.diverging;
    } else {
        fetch->news = true;
    }
}

static void release_slices(struct fetch *fetch) {
    for (int32_t i = 0; i < fetch->part_count; i++) {
        log_slice_release(&fetch->parts[i].read.slice);
    }
    fetch->size = 0;
}

/* Where a log starts now, when the session's client has heard otherwise: that ends its wait, too.
 */
static bool log_start_moved(const struct fetch *fetch) {
    if (fetch->context.full) {
        return false;
    }
    for (int32_t i = 0; i < fetch->part_count; i++) {
        const struct fetch_part *part = &fetch->parts[i];
        if (part->read.log_start_offset != part->item->told_log_start_offset &&
            part->item->told_log_start_offset >= 0) {
            return true;
        }
    }
    return false;
}

static void read_all(struct fetch *fetch) {
    fetch->size = 0;
    fetch->cold = false;
    fetch->news = false;
    for (int32_t i = 0; i < fetch->part_count; i++) {
        read_part(fetch, &fetch->parts[i]);
    }
    fetch->news = fetch->news || log_start_moved(fetch);
}

/* --- waiting --- */

static void stop_waiting(struct fetch *fetch) {
    if (!fetch->waiting) {
        return;
    }
    fetch->waiting = false;
    atomic_fetch_sub(&fetch->request->node->fetches_waiting, 1);
    sys_timer_clear(fetch->request->reactor->loop, &fetch->timer);
    list_remove(&fetch->link);
    for (int32_t i = 0; i < fetch->part_count; i++) {
        partition_unwait(fetch->parts[i].partition, &fetch->parts[i].waiter);
    }
}

/* Answers, unless a task of this fetch is still in the loop's queue: then that task does. */
static void finish(struct fetch *fetch) {
    stop_waiting(fetch);
    if (atomic_load(&fetch->posted)) {
        fetch->finished = true;
        return;
    }
    fetch_respond(fetch);
}

static bool complete(const struct fetch *fetch) {
    return fetch->news || fetch->size >= fetch->size_min || fetch->part_count == 0 ||
           sys_mono_ms(fetch->request->node->sys) >= fetch->deadline_ms ||
           net_request_cancelled(fetch->request->net) || fetch->request->node->draining;
}

static void advance(struct fetch *fetch);

static void woken(struct sys_task *task) {
    struct fetch *fetch = container_of(task, struct fetch, wake);
    atomic_store(&fetch->posted, false);
    if (fetch->finished) {
        fetch_respond(fetch);
    } else if (fetch->waiting) {
        advance(fetch);
    }
}

static void timed_out(struct sys_timer *timer) {
    struct fetch *fetch = container_of(timer, struct fetch, timer);
    advance(fetch);
}

/* Frames are held in a budget of the node's: one that waits must not keep out the records that it
 * waits for. Only names of topics are still of use, and those of a session are its own. */
static void give_frame_back(struct fetch *fetch) {
    struct request *request = fetch->request;
    for (int32_t i = 0; fetch->context.session == NULL && i < fetch->part_count; i++) {
        struct fetch_item *item = fetch->parts[i].item;
        item->topic = arena_str(&request->arena, item->topic);
    }
    request->message = NULL;
    request->client_id = STR_NULL;
    net_request_drop_frame(request->net);
}

static void park(struct fetch *fetch) {
    if (fetch->parked) {
        return;
    }
    fetch->parked = true;
    net_request_park(fetch->request->net);
    if (net_request_size(fetch->request->net) > FETCH_WAITING_FRAME_MAX) {
        give_frame_back(fetch);
    }
}

/* Waits on every partition. A record that came between reading and waiting is seen here. */
static void wait(struct fetch *fetch) {
    struct request *request = fetch->request;
    bool moved = false;
    release_slices(fetch);
    fetch->waiting = true;
    atomic_fetch_add(&request->node->fetches_waiting, 1);
    fetch->wake.run = woken;
    fetch->timer.fire = timed_out;
    list_add_last(&request->reactor->waiting, &fetch->link);
    park(fetch);
    for (int32_t i = 0; i < fetch->part_count; i++) {
        struct fetch_part *part = &fetch->parts[i];
        part->waiter = (struct partition_waiter){
            .loop = request->reactor->loop, .task = &fetch->wake, .posted = &fetch->posted};
        moved =
            partition_wait(part->partition, &part->waiter) != part->read.high_watermark || moved;
    }
    sys_timer_set(request->reactor->loop, &fetch->timer, fetch->deadline_ms);
    if (moved && !atomic_exchange(&fetch->posted, true)) {
        sys_loop_post(request->reactor->loop, &fetch->wake);
    }
}

static void warmed(struct fetch *fetch) {
    fetch->warmed = true;
    advance(fetch);
}

/* Reads, and goes where that leads. While it waits the waiters stay: only what is read anew
 * changes. */
static void advance(struct fetch *fetch) {
    release_slices(fetch);
    read_all(fetch);
    bool over = complete(fetch);
    if (over && !fetch->cold) {
        fetch_find_aborted(fetch);
    }
    if (fetch->cold && !net_request_cancelled(fetch->request->net)) {
        stop_waiting(fetch);
        release_slices(fetch);
        park(fetch);
        fetch_warm(fetch, warmed);
    } else if (over) {
        finish(fetch);
    } else if (!fetch->waiting) {
        wait(fetch);
    } else {
        release_slices(fetch);
    }
}

static void cancelled(struct request *request) {
    struct fetch *fetch = request->context;
    if (fetch->waiting) {
        release_slices(fetch);
        finish(fetch);
    }
}

void fetch_drain(struct reactor *reactor) {
    struct list *link;
    while ((link = list_first(&reactor->waiting)) != NULL) {
        advance(container_of(link, struct fetch, link));
    }
}

/* --- beginning --- */

static void respond_error(struct request *request, err_t err) {
    struct fetch_response response;
    wire_init(&fetch_response_type, &response);
    response.error_code = err_kafka_code(err);
    request_respond(request, &response);
}

static size_t non_negative(int32_t size) {
    return size < 0 ? 0 : (size_t)size;
}

void handle_fetch(struct request *request) {
    if (request_on_controller(request)) {
        handle_controller_fetch(request);
        return;
    }
    const struct fetch_request *message = request->message;
    struct fetch *fetch = ARENA_NEW(&request->arena, struct fetch);
    int32_t node_size_max = config_int(request->reactor->config, CONFIG_FETCH_MAX_BYTES);
    fetch->request = request;
    fetch->size_max =
        non_negative(message->max_bytes < node_size_max ? message->max_bytes : node_size_max);
    fetch->size_wrong = message->max_bytes < 0;
    fetch->size_min = non_negative(message->min_bytes);
    if (fetch->size_min > fetch->size_max) {
        fetch->size_min = fetch->size_max;
    }
    fetch->follower = message->replica_id >= 0 || message->replica_state.replica_id >= 0;
    request->follower_fetch = fetch->follower;
    fetch->committed_only = message->isolation_level == 1;
    if (message->isolation_level < 0 || message->isolation_level > 1) {
        fetch->refused = ERR_INVALID_REQUEST;
    }
    fetch->deadline_ms =
        sys_mono_ms(request->node->sys) + (message->max_wait_ms < 0 ? 0 : message->max_wait_ms);

    err_t err = fetch_sessions_begin(request->node->fetch_sessions, message, request->version,
                                     &request->arena, &fetch->context);
    if (err != ERR_OK) {
        respond_error(request, err);
        return;
    }
    bool told_once = fetch->refused != ERR_OK && fetch->context.by_id; /* to newer clients */
    fetch->part_count = told_once ? 0 : fetch->context.item_count;
    fetch->parts = ARENA_ARRAY(&request->arena, struct fetch_part, fetch->part_count + 1);
    for (int32_t i = 0; i < fetch->part_count; i++) {
        fetch->parts[i].item = fetch->context.items[i];
    }
    request->context = fetch;
    request->cancel = cancelled;
    advance(fetch);
}
