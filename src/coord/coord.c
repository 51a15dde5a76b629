/*
 * The shards of a node.
 *
 * Reactor 0 follows the image: which partitions of the kind's topic there are, and which of them
 * this node leads. What that means is told to the loops by messages, in order: the image first,
 * then who leads and who resigns. A shard's state belongs to its loop alone.
 *
 * There are as many shards as the topic has partitions; before it is there, as many as the settings
 * say it will have.
 */
#include "coord/coord.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "coord/coord_int.h"
#include "meta/delta.h"
#include "sys/sys.h"

enum { STOP_POLL_MS = 5 };

static struct shard_table *current_table(const struct coord *coord) {
    return atomic_load_explicit(&((struct coord *)coord)->table, memory_order_acquire);
}

/* --- the table --- */

int32_t coord_partition_count(const struct coord *coord) {
    return current_table(coord)->partition_count;
}

/* --- messages to loops --- */

struct message {
    struct sys_task task;
    struct coord_loop *to;
    struct shard *shard;
    struct partition *partition; /* NULL: resign */
    int32_t leader_epoch;
    struct meta_image *image;
    struct config *config;
    struct coord_image_change change;
    struct arena arena;
};

static struct message *message_new(struct coord_loop *to, void (*run)(struct sys_task *task)) {
    struct message *message = calloc(1, sizeof *message);
    assert(message != NULL);
    message->to = to;
    message->task.run = run;
    arena_init(&message->arena, SIZE_MAX);
    return message;
}

static void message_post(struct message *message) {
    sys_loop_post(message->to->loop, &message->task);
}

static void message_free(struct message *message) {
    arena_done(&message->arena);
    free(message);
}

static void take_leadership(struct sys_task *task) {
    struct message *message = container_of(task, struct message, task);
    if (message->partition != NULL) {
        shard_lead(message->shard, message->partition, message->leader_epoch);
    } else {
        shard_resign(message->shard);
    }
    message_free(message);
}

static void take_view(struct sys_task *task) {
    struct message *message = container_of(task, struct message, task);
    struct coord_loop *home = message->to;
    meta_image_unref(home->image);
    config_unref(home->config);
    home->image = message->image;
    home->config = message->config;
    struct list *link;
    list_for_each (link, &home->shards) {
        struct shard *shard = container_of(link, struct shard, link);
        shard_log_read_config(shard);
        groups_set_view(shard->groups, home->image, home->config, &message->change);
    }
    message_free(message);
}

/* Copies what the loops need to know of the changes. */
static void copy_change(struct message *message, const struct meta_changes *changes) {
    struct coord_image_change *change = &message->change;
    if (changes == NULL) {
        change->brokers = change->configs = true;
        return;
    }
    struct coord_topic_change *topics =
        ARENA_ARRAY(&message->arena, struct coord_topic_change, changes->topic_count);
    for (int32_t i = 0; i < changes->topic_count; i++) {
        const struct meta_topic_change *topic = &changes->topics[i];
        topics[i] = (struct coord_topic_change){
            .name = arena_str(&message->arena, topic->name),
            .id = topic->id,
            .change = topic->change,
        };
    }
    change->topics = topics;
    change->topic_count = changes->topic_count;
    change->brokers = changes->broker_count > 0;
    change->configs = changes->config_count > 0;
}

static void take_shard(struct sys_task *task) {
    struct message *message = container_of(task, struct message, task);
    struct coord_loop *home = message->to;
    struct shard *shard = message->shard;
    list_add_last(&home->shards, &shard->link);
    shard_log_read_config(shard);
    groups_set_view(shard->groups, home->image, home->config, &message->change);
    message_free(message);
}

static struct shard *add_shard(struct coord *coord, int32_t index) {
    struct shard *shard = shard_new(coord, index);
    struct message *message = message_new(shard->home, take_shard);
    message->shard = shard;
    message_post(message);
    return shard;
}

/* A table for that many partitions, with the shards of the one before, and new ones. */
static void set_table(struct coord *coord, int32_t partition_count) {
    struct shard_table *before = current_table(coord);
    int32_t known = before == NULL ? 0 : before->shard_count;
    int32_t shard_count = partition_count > known ? partition_count : known;
    struct shard_table *table =
        calloc(1, sizeof *table + (size_t)shard_count * sizeof table->shards[0]);
    assert(table != NULL);
    table->partition_count = partition_count;
    table->shard_count = shard_count;
    for (int32_t i = 0; i < shard_count; i++) {
        table->shards[i] = i < known ? before->shards[i] : add_shard(coord, i);
    }
    list_add_last(&coord->tables, &table->link);
    atomic_store_explicit(&coord->table, table, memory_order_release);
}

/* --- following the image --- */

static void tell(struct shard *shard, struct partition *partition, int32_t leader_epoch) {
    struct message *message = message_new(shard->home, take_leadership);
    message->shard = shard;
    message->partition = partition;
    message->leader_epoch = leader_epoch;
    shard->led = partition != NULL;
    shard->led_epoch = leader_epoch;
    message_post(message);
}

static void follow_shard(struct coord *coord, struct shard *shard, const struct meta_topic *topic) {
    const struct meta_partition *state =
        topic == NULL ? NULL : meta_topic_partition(topic, shard->index);
    bool leads = state != NULL && state->leader == coord->settings.node_id;
    if (shard->led && (!leads || state->leader_epoch != shard->led_epoch)) {
        tell(shard, NULL, -1);
    }
    if (leads && !shard->led) {
        struct partition *partition =
            replicas_find(coord->settings.replicas, topic->id, shard->index);
        if (partition != NULL) {
            tell(shard, partition, state->leader_epoch);
        }
    }
}

static int32_t wanted_partition_count(const struct coord *coord, const struct meta_topic *topic,
                                      const struct config *config) {
    return topic != NULL && topic->partitions.count > 0
               ? (int32_t)topic->partitions.count
               : config_int(config, coord->settings.kind->partitions);
}

void coord_update(struct coord *coord, struct meta_image *image, struct config *config,
                  const struct meta_changes *changes) {
    if (coord->stopping) {
        return;
    }
    for (int i = 0; i < coord->settings.loop_count; i++) {
        struct message *message = message_new(&coord->loops[i], take_view);
        message->image = meta_image_ref(image);
        message->config = config;
        config_ref(config);
        copy_change(message, changes);
        message_post(message);
    }
    const struct meta_topic *topic = meta_image_topic(image, coord->settings.kind->topic);
    int32_t count = wanted_partition_count(coord, topic, config);
    if (count != coord_partition_count(coord)) {
        set_table(coord, count);
    }
    const struct shard_table *table = current_table(coord);
    for (int32_t i = 0; i < table->shard_count; i++) {
        follow_shard(coord, table->shards[i], topic);
    }
}

/* --- requests --- */

void coord_submit_to(struct coord *coord, struct coord_call *call, int32_t partition) {
    const struct coord_api *api = coord->settings.kind->api(call->api_key);
    const struct shard_table *table = current_table(coord);
    assert(api != NULL);
    if (partition >= table->shard_count) {
        groups_call_refuse(call, api, ERR_NOT_COORDINATOR);
        return;
    }
    groups_call(table->shards[partition]->groups, call, api);
}

void coord_submit(struct coord *coord, struct coord_call *call) {
    const struct coord_api *api = coord->settings.kind->api(call->api_key);
    assert(api != NULL);
    coord_submit_to(coord, call, coord_partition(coord, api->group_id(call->request)));
}

/* --- life --- */

struct coord *coord_new(const struct coord_settings *settings) {
    struct coord *coord = calloc(1, sizeof *coord);
    assert(coord != NULL);
    coord->settings = *settings;
    list_init(&coord->tables);
    sys_lock_init(&coord->standing_lock, SYS_RANK_METRICS);
    coord->loops = calloc((size_t)settings->loop_count, sizeof *coord->loops);
    assert(coord->loops != NULL);
    for (int i = 0; i < settings->loop_count; i++) {
        struct coord_loop *home = &coord->loops[i];
        *home = (struct coord_loop){
            .coord = coord,
            .loop = settings->loops[i],
            .compression = compression_new(),
            .image = meta_image_ref(settings->image),
            .config = settings->config,
        };
        config_ref(settings->config);
        list_init(&home->shards);
    }
    const struct meta_topic *topic = meta_image_topic(settings->image, settings->kind->topic);
    set_table(coord, wanted_partition_count(coord, topic, settings->config));
    return coord;
}

void coord_free(struct coord *coord) {
    if (coord == NULL) {
        return;
    }
    const struct shard_table *table = current_table(coord);
    for (int32_t i = 0; i < table->shard_count; i++) {
        shard_free(table->shards[i]);
    }
    struct list *link;
    while ((link = list_take_first(&coord->tables)) != NULL) {
        free(container_of(link, struct shard_table, link));
    }
    for (int i = 0; i < coord->settings.loop_count; i++) {
        compression_free(coord->loops[i].compression);
        meta_image_unref(coord->loops[i].image);
        config_unref(coord->loops[i].config);
    }
    free(coord->loops);
    free(coord);
}

static void loop_stopped(struct sys_task *task) {
    struct message *message = container_of(task, struct message, task);
    struct coord *coord = message->to->coord;
    message_free(message);
    coord->loops_stopping--;
    if (coord->loops_stopping == 0) {
        coord->stopped(coord->stopped_arg);
    }
}

static void poll_stop(struct sys_timer *timer) {
    struct coord_loop *home = container_of(timer, struct coord_loop, stop_timer);
    struct list *link;
    list_for_each (link, &home->shards) {
        if (!shard_is_quiet(container_of(link, struct shard, link))) {
            sys_timer_set(home->loop, timer, sys_loop_now_ms(home->loop) + STOP_POLL_MS);
            return;
        }
    }
    struct message *message = message_new(home, loop_stopped);
    sys_loop_post(home->coord->settings.loops[0], &message->task);
}

static void stop_loop(struct sys_task *task) {
    struct message *message = container_of(task, struct message, task);
    struct coord_loop *home = message->to;
    message_free(message);
    struct list *link;
    list_for_each (link, &home->shards) {
        shard_resign(container_of(link, struct shard, link));
    }
    home->stop_timer.fire = poll_stop;
    poll_stop(&home->stop_timer);
}

void coord_stop(struct coord *coord, void (*stopped)(void *arg), void *arg) {
    assert(!coord->stopping);
    coord->stopping = true;
    coord->stopped = stopped;
    coord->stopped_arg = arg;
    coord->loops_stopping = coord->settings.loop_count;
    for (int i = 0; i < coord->settings.loop_count; i++) {
        message_post(message_new(&coord->loops[i], stop_loop));
    }
}
