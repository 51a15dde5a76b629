/*
 * The hash of a group's topics, as Kafka computes it (XXH3 with 64 bits, numbers little-endian):
 *
 *   topic   0 int8, id's two halves int64, name, number of partitions int32,
 *           and of each partition: its number int32, then of each rack of its replicas, sorted:
 *           length int32, rack
 *   group   the hashes of its topics that exist, by name; 0 when there are none
 *
 * A text is its UTF-16 code units, and behind them their number as int32.
 */
#include <stdlib.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "coord/subscription.h"

/* --- one topic --- */

static void add_int(struct buffer *buffer, uint64_t value, size_t size) {
    uint8_t *p = buffer_extend(buffer, size);
    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(value >> 8 * i);
    }
}

/* How many bytes the next code point takes, and what it is. */
static size_t decode(const uint8_t *p, size_t size, uint32_t *ret_c) {
    size_t length = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0x80 || length == 1 || length > size) {
        *ret_c = p[0] < 0x80 ? p[0] : 0xfffd;
        return 1;
    }
    uint32_t c = p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        c = c << 6 | (p[i] & 0x3f);
    }
    *ret_c = c;
    return length;
}

/* Returns the number of code units. */
static uint32_t add_text(struct buffer *buffer, struct str text) {
    size_t start = buffer->size;
    const uint8_t *p = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        i += decode(p + i, text.size - i, &c);
        if (c >= 0x10000) {
            add_int(buffer, 0xd800 + ((c - 0x10000) >> 10), 2);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        add_int(buffer, c, 2);
    }
    uint32_t units = (uint32_t)(buffer->size - start) / 2;
    add_int(buffer, units, 4);
    return units;
}

static void add_rack(struct buffer *buffer, struct str rack) {
    struct buffer text;
    buffer_init(&text);
    add_int(buffer, add_text(&text, rack), 4);
    buffer_add(buffer, text.data, text.size);
    buffer_done(&text);
}

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void add_partition(struct buffer *buffer, const struct meta_partition *partition,
                          const struct meta_image *image, struct arena *arena) {
    add_int(buffer, (uint32_t)partition->id, 4);
    struct str *racks = ARENA_ARRAY(arena, struct str, (size_t)partition->replica_count);
    size_t rack_count = 0;
    for (int32_t i = 0; i < partition->replica_count; i++) {
        const struct meta_broker *broker = meta_image_broker(image, partition->replicas[i]);
        if (broker != NULL && broker->rack.data != NULL) {
            racks[rack_count++] = broker->rack;
        }
    }
    qsort(racks, rack_count, sizeof racks[0], compare_names);
    for (size_t i = 0; i < rack_count; i++) {
        add_rack(buffer, racks[i]);
    }
}

static int64_t topic_hash(const struct meta_topic *topic, const struct meta_image *image,
                          struct arena *arena) {
    struct buffer buffer;
    buffer_init(&buffer);
    add_int(&buffer, 0, 1);
    add_int(&buffer, get_be64(topic->id.bytes), 8);
    add_int(&buffer, get_be64(topic->id.bytes + 8), 8);
    (void)add_text(&buffer, topic->name);
    int32_t count = (int32_t)topic->partitions.count;
    add_int(&buffer, (uint32_t)count, 4);
    for (int32_t i = 0; i < count; i++) {
        const struct meta_partition *partition = meta_topic_partition(topic, i);
        if (partition != NULL) {
            add_partition(&buffer, partition, image, arena);
        }
    }
    int64_t hash = (int64_t)XXH3_64bits(buffer.data, buffer.size);
    buffer_done(&buffer);
    return hash;
}

/* --- the group --- */

/* A name whose count the change makes another. */
struct delta {
    struct str name;
    int32_t by;
};

static void deltas_add(struct map *deltas, const struct str *names, int32_t count, int32_t by,
                       struct arena *arena) {
    for (int32_t i = 0; i < count; i++) {
        struct delta *delta = map_get(deltas, str_bytes(names[i]));
        if (delta == NULL) {
            delta = ARENA_NEW(arena, struct delta);
            delta->name = names[i];
            map_put(deltas, str_bytes(delta->name), delta);
        }
        delta->by += by;
    }
}

/* The topics that would be subscribed to, in any order. */
static struct str *list_topics(const struct subscription *subscription, const struct map *deltas,
                               struct arena *arena, size_t *ret_count) {
    size_t count_max = map_count(&subscription->topics) + map_count(deltas);
    struct str *names = ARENA_ARRAY(arena, struct str, count_max);
    size_t count = 0;
    size_t cursor;
    const struct subscribed_topic *topic;
    map_for_each (&subscription->topics, cursor, topic) {
        const struct delta *delta = map_get(deltas, str_bytes(topic->name));
        if (delta == NULL || topic->count + delta->by > 0) {
            names[count++] = topic->name;
        }
    }
    const struct delta *delta;
    map_for_each (deltas, cursor, delta) {
        if (delta->by > 0 && !subscription_has_topic(subscription, delta->name)) {
            names[count++] = delta->name;
        }
    }
    *ret_count = count;
    return names;
}

static int64_t fingerprint(struct subscription *subscription, const struct meta_topic *topic,
                           const struct meta_image *image, struct arena *arena) {
    struct subscribed_topic *subscribed = map_get(&subscription->topics, str_bytes(topic->name));
    if (subscribed != NULL && subscribed->fingerprinted) {
        return subscribed->fingerprint;
    }
    int64_t hash = topic_hash(topic, image, arena);
    if (subscribed != NULL) {
        subscribed->fingerprint = hash;
        subscribed->fingerprinted = true;
    }
    return hash;
}

int64_t subscription_hash(struct subscription *subscription,
                          const struct subscription_change *change, const struct meta_image *image,
                          struct arena *arena) {
    struct map deltas;
    map_init(&deltas);
    if (change != NULL) {
        deltas_add(&deltas, change->added, change->added_count, 1, arena);
        deltas_add(&deltas, change->removed, change->removed_count, -1, arena);
    }
    size_t count;
    struct str *names = list_topics(subscription, &deltas, arena, &count);
    map_done(&deltas);
    qsort(names, count, sizeof names[0], compare_names);

    struct buffer hashes;
    buffer_init(&hashes);
    for (size_t i = 0; i < count; i++) {
        const struct meta_topic *topic = meta_image_topic(image, names[i]);
        if (topic != NULL) {
            add_int(&hashes, (uint64_t)fingerprint(subscription, topic, image, arena), 8);
        }
    }
    int64_t hash = hashes.size == 0 ? 0 : (int64_t)XXH3_64bits(hashes.data, hashes.size);
    buffer_done(&hashes);
    return hash;
}
