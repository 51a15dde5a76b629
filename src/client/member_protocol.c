#include "client/member_protocol.h"

#include <assert.h>
#include <string.h>

#include "wire/codec.h"
#include "wire/messages.h"

enum { PROTOCOL_VERSION = 3 };

typedef struct consumer_protocol_subscription_topic_partition topic_partitions;

/* Partitions in runs of one topic. */
static topic_partitions *runs_make(const struct member_partition *partitions, size_t count,
                                   struct arena *arena, int32_t *ret_count) {
    topic_partitions *runs = ARENA_ARRAY(arena, topic_partitions, count);
    int32_t *numbers = ARENA_ARRAY(arena, int32_t, count);
    int32_t run_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (run_count == 0 || !str_equal(runs[run_count - 1].topic, partitions[i].topic)) {
            runs[run_count++] =
                (topic_partitions){.topic = partitions[i].topic, .partitions = &numbers[i]};
        }
        numbers[i] = partitions[i].partition;
        runs[run_count - 1].partitions_count++;
    }
    *ret_count = run_count;
    return runs;
}

static void add_be32(struct buffer *out, int32_t value) {
    put_be32(buffer_extend(out, 4), (uint32_t)value);
}

static void add_version(struct buffer *out) {
    put_be16(buffer_extend(out, 2), PROTOCOL_VERSION);
}

/* --- user data --- */

static void sticky_data_write(const struct member_set *last, int32_t generation,
                              struct arena *arena, struct buffer *out) {
    int32_t count;
    const topic_partitions *runs = runs_make(last->items, last->count, arena, &count);
    add_be32(out, count);
    for (int32_t i = 0; i < count; i++) {
        put_be16(buffer_extend(out, 2), (uint16_t)runs[i].topic.size);
        buffer_add_str(out, runs[i].topic);
        add_be32(out, runs[i].partitions_count);
        for (int32_t j = 0; j < runs[i].partitions_count; j++) {
            add_be32(out, runs[i].partitions[j]);
        }
    }
    add_be32(out, generation);
}

/* Takes `size` bytes off the front; NULL when there are fewer. */
static const uint8_t *take(struct bytes *rest, size_t size) {
    if (rest->size < size) {
        return NULL;
    }
    const uint8_t *at = rest->data;
    rest->data += size;
    rest->size -= size;
    return at;
}

static bool take_be32(struct bytes *rest, int32_t *ret_value) {
    const uint8_t *at = take(rest, 4);
    if (at != NULL) {
        *ret_value = (int32_t)get_be32(at);
    }
    return at != NULL;
}

/* One topic with its partitions; false: the bytes end too early, or lie about a count. */
static bool take_topic(struct bytes *rest, struct member_claim *claim) {
    const uint8_t *size = take(rest, 2);
    const uint8_t *name = size == NULL ? NULL : take(rest, get_be16(size));
    int32_t count;
    if (name == NULL || !take_be32(rest, &count) || count < 0 || (size_t)count > rest->size / 4) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        struct member_partition *owned = &claim->owned[claim->owned_count++];
        *owned = (struct member_partition){
            .topic = {.data = (const char *)name, .size = get_be16(size)}};
        bool taken = take_be32(rest, &owned->partition);
        assert(taken);
    }
    return true;
}

/* Version 1, or version 0, which has no generation. What cannot be read says nothing, as in Kafka.
 */
static void sticky_data_read(struct bytes rest, struct arena *arena, struct member_claim *claim) {
    claim->owned = ARENA_ARRAY(arena, struct member_partition, rest.size / 4);
    claim->owned_count = 0;
    claim->generation = -1;
    int32_t topics;
    bool good = take_be32(&rest, &topics);
    for (int32_t i = 0; good && i < topics; i++) {
        good = take_topic(&rest, claim);
    }
    if (!good) {
        claim->owned_count = 0;
    } else {
        (void)take_be32(&rest, &claim->generation);
    }
}

/* --- subscriptions --- */

void member_subscription_write(const struct member_subscription *subscription,
                               const struct client_assignor *assignor, struct buffer *out) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct buffer data = {0};
    if (assignor->sticky && assignor->cooperative) {
        add_be32(&data, subscription->last_generation);
    } else if (assignor->sticky && subscription->last != NULL) {
        sticky_data_write(subscription->last, subscription->last_generation, &arena, &data);
    }
    struct consumer_protocol_subscription message;
    wire_init(&consumer_protocol_subscription_type, &message);
    message.topics = (struct str *)(uintptr_t)subscription->topics; /* only read */
    message.topics_count = (int32_t)subscription->topic_count;
    message.user_data = data.size > 0 ? buffer_bytes(&data) : (struct bytes){0};
    message.owned_partitions = runs_make(subscription->owned->items, subscription->owned->count,
                                         &arena, &message.owned_partitions_count);
    message.generation_id = subscription->generation;
    message.rack_id = subscription->rack;
    add_version(out);
    err_t err = wire_encode(&consumer_protocol_subscription_type, PROTOCOL_VERSION, &message, out);
    assert(err == ERR_OK);
    buffer_done(&data);
    arena_done(&arena);
}

static err_t version_take(struct bytes *rest, int16_t *ret_version) {
    const uint8_t *at = take(rest, 2);
    int16_t version = at == NULL ? -1 : (int16_t)get_be16(at);
    if (version < 0) {
        return ERR_MALFORMED;
    }
    *ret_version = version > PROTOCOL_VERSION ? PROTOCOL_VERSION : version;
    return ERR_OK;
}

static void owned_fields(const struct consumer_protocol_subscription *message, struct arena *arena,
                         struct member_claim *claim) {
    size_t count = 0;
    for (int32_t i = 0; i < message->owned_partitions_count; i++) {
        count += (size_t)message->owned_partitions[i].partitions_count;
    }
    claim->owned = ARENA_ARRAY(arena, struct member_partition, count);
    for (int32_t i = 0; i < message->owned_partitions_count; i++) {
        const topic_partitions *run = &message->owned_partitions[i];
        for (int32_t j = 0; j < run->partitions_count; j++) {
            claim->owned[claim->owned_count++] =
                (struct member_partition){.topic = run->topic, .partition = run->partitions[j]};
        }
    }
}

err_t member_subscription_read(struct bytes bytes, const struct client_assignor *assignor,
                               struct arena *arena, struct member_claim *ret_claim) {
    int16_t version;
    err_t err = version_take(&bytes, &version);
    if (err != ERR_OK) {
        return err;
    }
    struct consumer_protocol_subscription message;
    size_t used;
    err = wire_decode(&consumer_protocol_subscription_type, version, bytes, arena, &message, &used);
    if (err != ERR_OK) {
        return err;
    }
    struct member_claim claim = {
        .topics = message.topics,
        .topic_count = message.topics_count,
        .rack = message.rack_id.size == 0 ? STR_NULL : message.rack_id,
        .generation = message.generation_id,
    };
    if (assignor->sticky && !assignor->cooperative) {
        sticky_data_read(message.user_data, arena, &claim);
    } else {
        owned_fields(&message, arena, &claim);
        struct bytes data = message.user_data;
        if (assignor->sticky && claim.generation < 0 && !take_be32(&data, &claim.generation)) {
            claim.generation = -1;
        }
    }
    *ret_claim = claim;
    return ERR_OK;
}

/* --- assignments --- */

void member_assignment_write(const struct member_partition *partitions, size_t count,
                             struct arena *arena, struct buffer *out) {
    struct consumer_protocol_assignment message;
    wire_init(&consumer_protocol_assignment_type, &message);
    int32_t run_count;
    const topic_partitions *runs = runs_make(partitions, count, arena, &run_count);
    message.assigned_partitions =
        ARENA_ARRAY(arena, struct consumer_protocol_assignment_topic_partition, (size_t)run_count);
    message.assigned_partitions_count = run_count;
    for (int32_t i = 0; i < run_count; i++) {
        message.assigned_partitions[i] = (struct consumer_protocol_assignment_topic_partition){
            runs[i].topic, runs[i].partitions, runs[i].partitions_count};
    }
    add_version(out);
    err_t err = wire_encode(&consumer_protocol_assignment_type, PROTOCOL_VERSION, &message, out);
    assert(err == ERR_OK);
}

static err_t assignment_decode(struct bytes bytes, struct arena *arena, struct member_set *set) {
    int16_t version;
    err_t err = version_take(&bytes, &version);
    struct consumer_protocol_assignment message;
    size_t used;
    if (err == ERR_OK) {
        err =
            wire_decode(&consumer_protocol_assignment_type, version, bytes, arena, &message, &used);
    }
    for (int32_t i = 0; err == ERR_OK && i < message.assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_topic_partition *run =
            &message.assigned_partitions[i];
        for (int32_t j = 0; err == ERR_OK && j < run->partitions_count; j++) {
            err = run->partitions[j] < 0 ? ERR_MALFORMED : ERR_OK;
            member_set_add(set, run->topic, UUID_ZERO, run->partitions[j]);
        }
    }
    return err;
}

err_t member_assignment_read(struct bytes bytes, struct member_set *set) {
    member_set_clear(set);
    if (bytes.size == 0) {
        return ERR_OK;
    }
    struct arena arena;
    arena_init(&arena, wire_decode_bound(bytes.size));
    err_t err = assignment_decode(bytes, &arena, set);
    arena_done(&arena);
    if (err != ERR_OK) {
        member_set_clear(set);
        return ERR_MALFORMED;
    }
    member_set_finish(set);
    return ERR_OK;
}
