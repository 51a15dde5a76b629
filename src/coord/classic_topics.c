/*
 * Which topics the members of a group of consumers read: what the metadata of the chosen protocol
 * begin with in all of its versions (ConsumerProtocolSubscription). Read when somebody asks, and
 * again when the members changed; in one pass over their metadata.
 */
#include "base/arena.h"
#include "coord/classic_int.h"
#include "wire/codec.h"

/* False: not what consumers send. */
static bool add_topics(struct map *topics, struct bytes metadata, struct arena *arena) {
    struct consumer_protocol_subscription subscription;
    size_t used;
    if (metadata.size < sizeof(int16_t)) {
        return false;
    }
    struct bytes body = {.data =
                             metadata.data + sizeof(int16_t), /* a version; each begins with 0 */
                         .size = metadata.size - sizeof(int16_t)};
    if (wire_decode(&consumer_protocol_subscription_type, 0, body, arena, &subscription, &used) !=
        ERR_OK) {
        return false;
    }
    for (int32_t i = 0; i < subscription.topics_count; i++) {
        map_put(topics, str_bytes(subscription.topics[i]), topics);
    }
    return true;
}

static bool read_topics(struct classic_group *classic) {
    if (map_count(&classic->members) > 0 && classic->protocol_name.data == NULL) {
        return false;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    bool known = true;
    const struct classic_member *member = classic_member_first(classic);
    for (; known && member != NULL; member = classic_member_next(member)) {
        struct bytes metadata =
            classic_protocols_metadata(member->protocols, classic->protocol_name);
        known = add_topics(&classic->topics, metadata, &arena);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return known;
}

bool classic_topics_known(struct classic_group *classic) {
    if (classic->topics_stale) {
        map_clear(&classic->topics);
        classic->topics_known = read_topics(classic);
        classic->topics_stale = false;
    }
    return classic->topics_known;
}

bool classic_reads_topic(struct classic_group *classic, struct str topic) {
    return classic_topics_known(classic) && map_get(&classic->topics, str_bytes(topic)) != NULL;
}
