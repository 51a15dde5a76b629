/* What a member is: values, compared and copied. */
#include <stdlib.h>
#include <string.h>

#include "coord/consumer_int.h"
#include "coord/piece.h"

struct consumer_profile consumer_profile_none(void) {
    return (struct consumer_profile){
        .client_id = STR(""),
        .client_host = STR(""),
        .regex = STR(""),
        .rebalance_timeout_ms = -1,
    };
}

struct consumer_ownership consumer_ownership_none(void) {
    return (struct consumer_ownership){.previous_epoch = -1};
}

bool consumer_topics_equal(const struct consumer_profile *a, const struct consumer_profile *b) {
    if (a->topic_count != b->topic_count) {
        return false;
    }
    for (int32_t i = 0; i < a->topic_count; i++) {
        if (!str_equal(a->topics[i], b->topics[i])) {
            return false;
        }
    }
    return true;
}

static bool protocols_equal(const struct consumer_profile *a, const struct consumer_profile *b) {
    if (a->is_classic != b->is_classic || a->session_timeout_ms != b->session_timeout_ms ||
        a->protocol_count != b->protocol_count) {
        return false;
    }
    for (int32_t i = 0; i < a->protocol_count; i++) {
        if (!str_equal(a->protocols[i].name, b->protocols[i].name) ||
            !str_equal(bytes_str(a->protocols[i].metadata), bytes_str(b->protocols[i].metadata))) {
            return false;
        }
    }
    return true;
}

bool consumer_profile_equal(const struct consumer_profile *a, const struct consumer_profile *b) {
    return str_equal(a->instance_id, b->instance_id) && str_equal(a->rack_id, b->rack_id) &&
           str_equal(a->client_id, b->client_id) && str_equal(a->client_host, b->client_host) &&
           consumer_topics_equal(a, b) && str_equal(a->regex, b->regex) &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           str_equal(a->assignor, b->assignor) && protocols_equal(a, b);
}

bool consumer_ownership_equal(const struct consumer_ownership *a,
                              const struct consumer_ownership *b) {
    return a->epoch == b->epoch && a->previous_epoch == b->previous_epoch && a->state == b->state &&
           partition_set_equal(&a->assigned, &b->assigned) &&
           partition_set_equal(&a->revoking, &b->revoking);
}

/* --- names --- */

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

const struct str *consumer_sort_names(struct arena *arena, const struct str *names, int32_t count,
                                      int32_t *ret_count) {
    struct str *sorted = ARENA_ARRAY(arena, struct str, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        sorted[i] = names[i];
    }
    qsort(sorted, (size_t)count, sizeof sorted[0], compare_names);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (kept == 0 || !str_equal(sorted[kept - 1], sorted[i])) {
            sorted[kept++] = sorted[i];
        }
    }
    *ret_count = kept;
    return sorted;
}

/* --- in one piece of memory --- */

struct packer {
    uint8_t *at; /* NULL: only reckons */
    size_t size;
};

static void *pack(struct packer *packer, const void *data, size_t size) {
    packer->size += size;
    if (packer->at == NULL) {
        return NULL;
    }
    void *copy = packer->at;
    if (size > 0) {
        memcpy(copy, data, size);
    }
    packer->at += size;
    return copy;
}

static struct str pack_str(struct packer *packer, struct str s) {
    const char *data = pack(packer, s.data, s.size);
    return (struct str){.data = s.data == NULL ? NULL : data, .size = s.size};
}

/* Arrays first, for they want to be aligned. */
static struct consumer_profile pack_profile(struct packer *packer,
                                            const struct consumer_profile *profile) {
    struct consumer_profile copy = *profile;
    struct str *topics =
        pack(packer, profile->topics, (size_t)profile->topic_count * sizeof topics[0]);
    struct join_group_request_protocol *protocols =
        pack(packer, profile->protocols, (size_t)profile->protocol_count * sizeof protocols[0]);
    for (int32_t i = 0; i < profile->topic_count; i++) {
        struct str topic = pack_str(packer, profile->topics[i]);
        if (topics != NULL) {
            topics[i] = topic;
        }
    }
    for (int32_t i = 0; i < profile->protocol_count; i++) {
        struct str name = pack_str(packer, profile->protocols[i].name);
        struct str metadata = pack_str(packer, bytes_str(profile->protocols[i].metadata));
        if (protocols != NULL) {
            protocols[i].name = name;
            protocols[i].metadata = str_bytes(metadata);
        }
    }
    copy.topics = topics;
    copy.protocols = protocols;
    copy.instance_id = pack_str(packer, profile->instance_id);
    copy.rack_id = pack_str(packer, profile->rack_id);
    copy.client_id = pack_str(packer, profile->client_id);
    copy.client_host = pack_str(packer, profile->client_host);
    copy.regex = pack_str(packer, profile->regex);
    copy.assignor = pack_str(packer, profile->assignor);
    return copy;
}

void *consumer_profile_copy(const struct consumer_profile *profile,
                            struct consumer_profile *ret_copy) {
    struct packer packer = {0};
    (void)pack_profile(&packer, profile);
    uint8_t *memory = piece_new(packer.size);
    packer.at = memory;
    *ret_copy = pack_profile(&packer, profile);
    return memory;
}

struct consumer_profile consumer_profile_keep(const struct consumer_profile *profile,
                                              struct arena *arena) {
    struct packer packer = {0};
    (void)pack_profile(&packer, profile);
    packer.at = arena_alloc(arena, packer.size + 1);
    return pack_profile(&packer, profile);
}
