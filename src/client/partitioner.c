#include "client/partitioner.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/crc32c.h"
#include "ottla/producer.h"

err_t partitioner_parse(const char *name, enum partitioner_kind *ret_kind) {
    static const struct {
        const char *name;
        enum partitioner_kind kind;
    } names[] = {
        {"RoundRobinPartitioner", PARTITIONER_ROUND_ROBIN},
        {"roundrobin", PARTITIONER_ROUND_ROBIN},
        {"consistent", PARTITIONER_CONSISTENT},
        {"consistent_random", PARTITIONER_CONSISTENT_RANDOM},
        {"murmur2", PARTITIONER_MURMUR2},
        {"murmur2_random", PARTITIONER_MURMUR2_RANDOM},
        {"fnv1a", PARTITIONER_FNV1A},
        {"fnv1a_random", PARTITIONER_FNV1A_RANDOM},
        {"random", PARTITIONER_RANDOM},
    };
    if (name == NULL || name[0] == 0) {
        *ret_kind = PARTITIONER_DEFAULT;
        return ERR_OK;
    }
    static const char package[] = "org.apache.kafka.clients.producer.";
    if (strncmp(name, package, sizeof package - 1) == 0) {
        name += sizeof package - 1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i].name) == 0) {
            *ret_kind = names[i].kind;
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

/* --- hashes --- */

static uint32_t get_le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* MurmurHash2 by Austin Appleby, with the seed that Kafka's clients have. */
uint32_t ottla_murmur2(struct ottla_bytes key) {
    const uint32_t seed = 0x9747b28c, multiplier = 0x5bd1e995;
    const uint8_t *p = key.data;
    size_t left = key.size;
    uint32_t hash = seed ^ (uint32_t)key.size;
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t word = get_le32(p) * multiplier;
        word ^= word >> 24;
        hash = hash * multiplier ^ word * multiplier;
    }
    if (left > 0) {
        for (size_t i = 0; i < left; i++) {
            hash ^= (uint32_t)p[i] << (8 * i);
        }
        hash *= multiplier;
    }
    hash ^= hash >> 13;
    hash *= multiplier;
    return hash ^ hash >> 15;
}

/* Taken as signed, and made positive: what Sarama does, and librdkafka after it. */
uint32_t partitioner_fnv1a(struct bytes key) {
    uint32_t hash = 0x811c9dc5;
    for (size_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.data[i]) * 0x01000193;
    }
    return hash > INT32_MAX ? ~hash + 1 : hash;
}

static int32_t by_murmur2(struct bytes key, int32_t partition_count) {
    uint32_t hash = ottla_murmur2((struct ottla_bytes){.data = key.data, .size = key.size});
    return (int32_t)((hash & INT32_MAX) % (uint32_t)partition_count);
}

int32_t partitioner_by_key(enum partitioner_kind kind, bool ignore_keys, struct bytes key,
                           int32_t partition_count) {
    assert(partition_count > 0);
    uint32_t count = (uint32_t)partition_count;
    switch (kind) {
    case PARTITIONER_DEFAULT:
        return key.data == NULL || ignore_keys ? -1 : by_murmur2(key, partition_count);
    case PARTITIONER_MURMUR2_RANDOM:
        return key.data == NULL ? -1 : by_murmur2(key, partition_count);
    case PARTITIONER_MURMUR2:
        return by_murmur2(key, partition_count);
    case PARTITIONER_FNV1A_RANDOM:
        return key.data == NULL ? -1 : (int32_t)(partitioner_fnv1a(key) % count);
    case PARTITIONER_FNV1A:
        return (int32_t)(partitioner_fnv1a(key) % count);
    case PARTITIONER_CONSISTENT_RANDOM:
        return key.size == 0 ? -1 : (int32_t)(crc32_ieee(0, key.data, key.size) % count);
    case PARTITIONER_CONSISTENT:
        return (int32_t)(crc32_ieee(0, key.data, key.size) % count);
    case PARTITIONER_ROUND_ROBIN:
    case PARTITIONER_RANDOM:
        break;
    }
    assert(false);
    return -1;
}

/* --- by load --- */

/* A queue's weight is what it is shorter than the longest, and one. */
int32_t partitioner_draw(const struct partitioner_candidate *candidates, size_t count,
                         bool adaptive, struct rng *rng) {
    assert(count > 0);
    if (!adaptive) {
        return candidates[rng_below(rng, count)].index;
    }
    int32_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        longest = candidates[i].queued > longest ? candidates[i].queued : longest;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (uint64_t)(longest - candidates[i].queued) + 1;
    }
    uint64_t drawn = rng_below(rng, total);
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = (uint64_t)(longest - candidates[i].queued) + 1;
        if (drawn < weight) {
            return candidates[i].index;
        }
        drawn -= weight;
    }
    assert(false);
    return -1;
}
