/* What a group has committed: OffsetFetch, for positions and for the application. */
#include <assert.h>
#include <stdlib.h>

#include "client/consumer_int.h"
#include "client/offsets.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

enum { LOOKUP_VERSION_STABLE = 7, LOOKUP_VERSION_GROUPS = 8, LOOKUP_VERSION_IDS = 10 };

struct committed_lookup {
    struct list link;
    struct ottla_consumer *consumer;
    struct arena arena;
    struct committed_item *items;
    size_t count;
    struct offsets_list list;
    struct client_asked *asked;
    committed_fn done;
    void *arg;
};

static void lookup_free(struct committed_lookup *lookup) {
    if (lookup->asked != NULL) {
        client_ask_cancel(lookup->asked);
    }
    list_remove(&lookup->link);
    arena_done(&lookup->arena);
    free(lookup);
}

/* --- the request --- */

static int32_t *indexes_of(const struct committed_lookup *lookup, const struct offsets_topic *topic,
                           struct arena *arena) {
    int32_t *indexes = ARENA_ARRAY(arena, int32_t, topic->count);
    for (size_t i = 0; i < topic->count; i++) {
        indexes[i] = lookup->list.entries[topic->first + i].partition;
    }
    return indexes;
}

static void fill_old(const struct committed_lookup *lookup, struct offset_fetch_request *request,
                     struct arena *arena) {
    size_t count = lookup->list.topic_count;
    request->group_id = str_from_c(lookup->consumer->settings->group_id);
    request->topics = ARENA_ARRAY(arena, struct offset_fetch_request_topic, count + 1);
    request->topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct offsets_topic *topic = &lookup->list.topics[i];
        request->topics[i] = (struct offset_fetch_request_topic){
            .name = topic->name,
            .partition_indexes = indexes_of(lookup, topic, arena),
            .partition_indexes_count = (int32_t)topic->count};
    }
}

static void fill_group(const struct committed_lookup *lookup, struct offset_fetch_request *request,
                       struct arena *arena) {
    const struct ottla_consumer *consumer = lookup->consumer;
    size_t count = lookup->list.topic_count;
    struct offset_fetch_request_group *group = ARENA_NEW(arena, struct offset_fetch_request_group);
    *group = (struct offset_fetch_request_group){
        .group_id = str_from_c(consumer->settings->group_id),
        .member_id = STR_NULL,
        .member_epoch = -1,
        .topics = ARENA_ARRAY(arena, struct offset_fetch_request_topics, count + 1),
        .topics_count = (int32_t)count,
    };
    struct member_identity identity;
    if (consumer->subscribed && consumer->settings->group_protocol == CLIENT_GROUP_CONSUMER) {
        client_member_identity(consumer->member, &identity);
        group->member_id = arena_str(arena, identity.member_id);
        group->member_epoch = identity.generation;
    }
    for (size_t i = 0; i < count; i++) {
        const struct offsets_topic *topic = &lookup->list.topics[i];
        group->topics[i] = (struct offset_fetch_request_topics){
            .name = topic->name,
            .topic_id = topic->id,
            .partition_indexes = indexes_of(lookup, topic, arena),
            .partition_indexes_count = (int32_t)topic->count};
    }
    request->groups = group;
    request->groups_count = 1;
}

static err_t build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                   const void **ret_request) {
    struct committed_lookup *lookup = arg;
    (void)broker_id;
    struct offset_fetch_request *request = ARENA_NEW(arena, struct offset_fetch_request);
    wire_init(&offset_fetch_request_type, request);
    request->require_stable = version >= LOOKUP_VERSION_STABLE;
    if (version >= LOOKUP_VERSION_GROUPS) {
        fill_group(lookup, request, arena);
    } else {
        fill_old(lookup, request, arena);
    }
    *ret_request = request;
    return ERR_OK;
}

/* --- the answer --- */

/* Offsets in a transaction that is not over are waited for. */
static err_t judge(void *arg, int16_t version, const void *message) {
    (void)arg;
    const struct offset_fetch_response *response = message;
    if (version < LOOKUP_VERSION_GROUPS) {
        for (int32_t t = 0; t < response->topics_count; t++) {
            for (int32_t p = 0; p < response->topics[t].partitions_count; p++) {
                if (response->topics[t].partitions[p].error_code == ERR_UNSTABLE_OFFSET_COMMIT) {
                    return ERR_UNSTABLE_OFFSET_COMMIT;
                }
            }
        }
        return err_from_kafka_code(response->error_code);
    }
    if (response->groups_count != 1) {
        return ERR_MALFORMED;
    }
    const struct offset_fetch_response_group *group = &response->groups[0];
    for (int32_t t = 0; t < group->topics_count; t++) {
        for (int32_t p = 0; p < group->topics[t].partitions_count; p++) {
            if (group->topics[t].partitions[p].error_code == ERR_UNSTABLE_OFFSET_COMMIT) {
                return ERR_UNSTABLE_OFFSET_COMMIT;
            }
        }
    }
    return err_from_kafka_code(group->error_code);
}

static void take_offset(struct committed_lookup *lookup, const struct offsets_topic *topic,
                        int32_t partition, int16_t code, int64_t offset, int32_t leader_epoch,
                        struct str metadata) {
    const struct offsets_entry *entry = offsets_entry_find(&lookup->list, topic, partition);
    if (entry == NULL) {
        return;
    }
    struct committed_item *item = &lookup->items[entry->index];
    item->err = err_from_kafka_code(code);
    if (item->err == ERR_OK) {
        item->offset = offset >= 0 ? offset : -1;
        item->leader_epoch = leader_epoch;
        item->metadata = metadata;
    }
}

static void read_old(struct committed_lookup *lookup,
                     const struct offset_fetch_response *response) {
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct offset_fetch_response_topic *from = &response->topics[t];
        const struct offsets_topic *topic =
            offsets_topic_find(&lookup->list, from->name, NULL, false);
        for (int32_t p = 0; topic != NULL && p < from->partitions_count; p++) {
            const struct offset_fetch_response_partition *partition = &from->partitions[p];
            take_offset(lookup, topic, partition->partition_index, partition->error_code,
                        partition->committed_offset, partition->committed_leader_epoch,
                        partition->metadata);
        }
    }
}

static void read_group(struct committed_lookup *lookup,
                       const struct offset_fetch_response_group *group, bool by_id) {
    for (int32_t t = 0; t < group->topics_count; t++) {
        const struct offset_fetch_response_topics *from = &group->topics[t];
        const struct offsets_topic *topic =
            offsets_topic_find(&lookup->list, from->name, &from->topic_id, by_id);
        for (int32_t p = 0; topic != NULL && p < from->partitions_count; p++) {
            const struct offset_fetch_response_partitions *partition = &from->partitions[p];
            take_offset(lookup, topic, partition->partition_index, partition->error_code,
                        partition->committed_offset, partition->committed_leader_epoch,
                        partition->metadata);
        }
    }
}

static err_t read_answer(struct committed_lookup *lookup, const struct client_answer *answer) {
    err_t err =
        answer->err == ERR_OK ? judge(NULL, answer->version, answer->response) : answer->err;
    if (err != ERR_OK) {
        return err;
    }
    const struct offset_fetch_response *response = answer->response;
    for (size_t i = 0; i < lookup->count; i++) {
        lookup->items[i].err = ERR_MALFORMED; /* unless the answer has it */
    }
    if (answer->version < LOOKUP_VERSION_GROUPS) {
        read_old(lookup, response);
    } else {
        read_group(lookup, &response->groups[0], answer->version >= LOOKUP_VERSION_IDS);
    }
    return ERR_OK;
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct committed_lookup *lookup = arg;
    lookup->asked = NULL;
    err_t err = read_answer(lookup, answer);
    lookup->done(lookup->arg, err, lookup->items, lookup->count);
    lookup_free(lookup);
}

/* --- asking --- */

struct committed_lookup *committed_ask(struct ottla_consumer *consumer,
                                       const struct committed_item *items, size_t count,
                                       int64_t timeout_ms, committed_fn done, void *arg) {
    struct committed_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        abort();
    }
    lookup->consumer = consumer;
    lookup->done = done;
    lookup->arg = arg;
    lookup->count = count;
    arena_init(&lookup->arena, SIZE_MAX);
    lookup->items = ARENA_ARRAY(&lookup->arena, struct committed_item, count + 1);
    struct offsets_entry *entries = ARENA_ARRAY(&lookup->arena, struct offsets_entry, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct str topic = arena_str(&lookup->arena, items[i].topic);
        lookup->items[i] = (struct committed_item){.topic = topic,
                                                   .partition = items[i].partition,
                                                   .tag = items[i].tag,
                                                   .offset = -1,
                                                   .leader_epoch = -1};
        entries[i] =
            (struct offsets_entry){.topic = topic, .partition = items[i].partition, .index = i};
    }
    offsets_list_init(&lookup->list, entries, count, &lookup->arena);
    offsets_list_identify(&lookup->list, consumer->client);
    list_add_last(&consumer->lookups, &lookup->link);
    struct client_ask ask = {
        .role = CLIENT_GROUP,
        .key = str_from_c(consumer->settings->group_id),
        .lane = CLIENT_LANE_MAIN,
        .api_key = API_OFFSET_FETCH,
        .version_max = lookup->list.ids ? -1 : LOOKUP_VERSION_IDS - 1,
        .build = build,
        .judge = judge,
        .timeout_ms = timeout_ms,
        .done = on_answer,
        .arg = lookup,
    };
    lookup->asked = client_ask(consumer->client, &ask);
    return lookup;
}

void committed_cancel(struct committed_lookup *lookup) {
    lookup_free(lookup);
}

void committed_done(struct ottla_consumer *consumer) {
    struct list *link;
    while ((link = list_first(&consumer->lookups)) != NULL) {
        lookup_free(container_of(link, struct committed_lookup, link));
    }
}

/* --- for the application --- */

struct waiting {
    struct ottla_consumer *consumer;
    struct ottla_position *positions;
    bool done;
    err_t err;
};

static void on_waited(void *arg, err_t err, const struct committed_item *items, size_t count) {
    struct waiting *waiting = arg;
    waiting->done = true;
    waiting->err = err;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct ottla_position *position = &waiting->positions[items[i].tag];
        position->code = (int)items[i].err;
        position->offset = items[i].offset >= 0 ? items[i].offset : OTTLA_OFFSET_NONE;
        position->leader_epoch = items[i].leader_epoch;
        position->metadata = arena_c_str(&waiting->consumer->committed_texts, items[i].metadata);
    }
}

int ottla_consumer_committed(struct ottla_consumer *consumer, struct ottla_position *positions,
                             size_t count, int64_t timeout_ms, struct ottla_error *ret_error) {
    const char *group = consumer->settings->group_id;
    if (consumer->closed || group == NULL) {
        return consumer->closed
                   ? client_error_set(ret_error, OTTLA_CLOSED, "the consumer was closed")
                   : client_error_set(ret_error, OTTLA_INVALID,
                                      "offsets are committed by a group: set group.id");
    }
    arena_reset(&consumer->committed_texts);
    struct committed_item *items = calloc(count + 1, sizeof *items);
    if (items == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct committed_item){
            .topic = str_from_c(positions[i].topic), .partition = positions[i].partition, .tag = i};
    }
    struct waiting waiting = {.consumer = consumer, .positions = positions};
    int64_t timeout = timeout_ms < 0 ? consumer->settings->default_api_timeout_ms : timeout_ms;
    struct committed_lookup *lookup =
        committed_ask(consumer, items, count, timeout, on_waited, &waiting);
    free(items);
    err_t err = client_wait(consumer->client, &waiting.done, consumer_now_ms(consumer) + timeout);
    if (!waiting.done) {
        committed_cancel(lookup);
        waiting.err = err;
    }
    return waiting.err == ERR_OK
               ? OTTLA_OK
               : client_error_set(ret_error, (int)waiting.err, "offsets of group %s: %s", group,
                                  err_text(waiting.err));
}
