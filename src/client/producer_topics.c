/*
 * Topics and partitions as metadata tells of them.
 *
 * A topic is asked for with its first record, and is created by the broker where that may be. When
 * nobody has used it for metadata.max.idle.ms, it is no longer asked for. Partitions are never
 * forgotten: their sequences go on where they were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/producer_int.h"

/* --- topics --- */

static void want(struct producer_topic *topic) {
    if (!topic->wanted) {
        topic->wanted = true;
        client_topic_want(topic->producer->client, topic->name_str, true);
    }
}

static void learn(struct producer_topic *topic);

static struct producer_topic *new_topic(struct ottla_producer *producer, const char *name) {
    struct producer_topic *topic = calloc(1, sizeof *topic);
    if (topic == NULL || (topic->name = strdup(name)) == NULL) {
        abort();
    }
    topic->name_str = str_from_c(topic->name);
    topic->producer = producer;
    topic->sticky = -1;
    topic->timer.fire = producer_waited;
    topic->used_ms = sys_mono_ms(producer->sys);
    list_init(&topic->waiting);
    list_add_last(&producer->topics, &topic->link);
    (void)map_put(&producer->topic_map, str_bytes(topic->name_str), topic);
    return topic;
}

struct producer_topic *producer_topic_get(struct ottla_producer *producer, const char *name) {
    struct producer_topic *topic = producer->last_topic;
    if (topic == NULL || strcmp(topic->name, name) != 0) {
        topic = map_get(&producer->topic_map, str_bytes(str_from_c(name)));
        if (topic == NULL) {
            topic = new_topic(producer, name);
            learn(topic);
        }
        producer->last_topic = topic;
    }
    want(topic);
    return topic;
}

void producer_topics_idle(struct sys_timer *timer) {
    struct ottla_producer *producer = container_of(timer, struct ottla_producer, idle_timer);
    int64_t now_ms = sys_mono_ms(producer->sys);
    int64_t idle_ms = producer->settings.metadata_max_idle_ms;
    struct list *link;
    list_for_each (link, &producer->topics) {
        struct producer_topic *topic = container_of(link, struct producer_topic, link);
        bool used = !list_empty(&topic->waiting) || topic->used_ms + idle_ms > now_ms;
        for (int32_t i = 0; i < topic->partitions_made && !used; i++) {
            used = topic->partitions[i]->batch_count > 0;
        }
        if (topic->wanted && !used) {
            topic->wanted = false;
            client_topic_unwant(producer->client, topic->name_str);
        }
    }
    sys_timer_set(producer->loop, timer, now_ms + idle_ms);
}

static void make_partitions(struct producer_topic *topic, int32_t count) {
    if (count <= topic->partitions_made) {
        return;
    }
    size_t size = (size_t)count;
    topic->partitions = realloc(topic->partitions, size * sizeof *topic->partitions);
    topic->candidates = realloc(topic->candidates, size * sizeof *topic->candidates);
    if (topic->partitions == NULL || topic->candidates == NULL) {
        abort();
    }
    while (topic->partitions_made < count) {
        topic->partitions[topic->partitions_made] =
            producer_partition_new(topic, topic->partitions_made);
        topic->partitions_made++;
    }
}

/* --- metadata --- */

static void set_leader(struct producer_partition *partition, int32_t leader, int32_t epoch) {
    if (partition->leader == leader && partition->leader_epoch == epoch) {
        return;
    }
    partition->leader = leader < 0 ? -1 : leader;
    partition->leader_epoch = epoch;
    partition->retry_ms = 0; /* somebody else, or elected anew: worth a try at once */
    list_remove(&partition->ready);
    producer_partition_ready(partition);
}

/* What the client knows of it now. */
static void learn(struct producer_topic *topic) {
    const struct client_topic *known = client_topic(topic->producer->client, topic->name_str);
    if (known == NULL) {
        return;
    }
    int32_t count = known->err == ERR_OK ? known->partition_count : 0;
    topic->id = known->id;
    make_partitions(topic, count);
    topic->partition_count = count;
    for (int32_t i = 0; i < topic->partitions_made; i++) {
        if (i < count) {
            set_leader(topic->partitions[i], known->partitions[i].leader,
                       known->partitions[i].leader_epoch);
        } else {
            set_leader(topic->partitions[i], -1, -1);
        }
    }
}

void producer_topics_changed(struct client_watcher *watcher) {
    struct ottla_producer *producer = container_of(watcher, struct ottla_producer, watcher);
    struct list *link;
    list_for_each (link, &producer->topics) {
        struct producer_topic *topic = container_of(link, struct producer_topic, link);
        learn(topic);
        producer_move_waiting(topic);
        const struct client_topic *known = client_topic(producer->client, topic->name_str);
        if (known != NULL && known->err != ERR_OK && !err_retriable(known->err)) {
            char text[OTTLA_ERROR_TEXT_SIZE];
            (void)snprintf(text, sizeof text, "topic %s: %s", topic->name, err_text(known->err));
            producer_fail_waiting(topic, known->err, text);
        }
    }
    producer_brokers_sweep(producer);
}

void producer_topics_fail(struct ottla_producer *producer, err_t err, const char *text) {
    struct list *link;
    list_for_each (link, &producer->topics) {
        struct producer_topic *topic = container_of(link, struct producer_topic, link);
        producer_fail_waiting(topic, err, text);
        for (int32_t i = 0; i < topic->partitions_made; i++) {
            producer_partition_fail(topic->partitions[i], err, str_from_c(text));
        }
    }
}

void producer_topics_free(struct ottla_producer *producer) {
    struct list *link;
    while ((link = list_first(&producer->topics)) != NULL) {
        struct producer_topic *topic = container_of(link, struct producer_topic, link);
        for (int32_t i = 0; i < topic->partitions_made; i++) {
            producer_partition_free(topic->partitions[i]);
        }
        producer_fail_waiting(topic, ERR_CLOSED, "the producer was freed");
        if (topic->wanted) {
            client_topic_unwant(producer->client, topic->name_str);
        }
        sys_timer_clear(producer->loop, &topic->timer);
        list_remove(link);
        free(topic->partitions);
        free(topic->candidates);
        free(topic->name);
        free(topic);
    }
    map_done(&producer->topic_map);
}
