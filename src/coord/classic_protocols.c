/* What members can speak: each member's list, and how many members have each protocol. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/classic_int.h"

/* --- one member's list --- */

static char *put(char *at, const void *data, size_t size) {
    if (size > 0) {
        memcpy(at, data, size);
    }
    return at + size;
}

struct classic_protocols *classic_protocols_new(const struct join_group_request_protocol *protocols,
                                                int32_t count) {
    size_t size = sizeof(struct classic_protocols);
    for (int32_t i = 0; i < count; i++) {
        size +=
            sizeof(struct classic_protocol) + protocols[i].name.size + protocols[i].metadata.size;
    }
    struct classic_protocols *copy = malloc(size);
    assert(copy != NULL);
    copy->count = count;
    char *at = (char *)&copy->list[count];
    for (int32_t i = 0; i < count; i++) {
        struct classic_protocol *protocol = &copy->list[i];
        protocol->name = (struct str){.data = at, .size = protocols[i].name.size};
        at = put(at, protocols[i].name.data, protocols[i].name.size);
        protocol->metadata =
            (struct bytes){.data = (const uint8_t *)at, .size = protocols[i].metadata.size};
        at = put(at, protocols[i].metadata.data, protocols[i].metadata.size);
    }
    return copy;
}

bool classic_protocols_equal(const struct classic_protocols *protocols,
                             const struct join_group_request *request) {
    if (protocols->count != request->protocols_count) {
        return false;
    }
    for (int32_t i = 0; i < protocols->count; i++) {
        const struct classic_protocol *ours = &protocols->list[i];
        const struct join_group_request_protocol *theirs = &request->protocols[i];
        if (!str_equal(ours->name, theirs->name) ||
            !str_equal(bytes_str(ours->metadata), bytes_str(theirs->metadata))) {
            return false;
        }
    }
    return true;
}

struct bytes classic_protocols_metadata(const struct classic_protocols *protocols,
                                        struct str name) {
    for (int32_t i = 0; i < protocols->count; i++) {
        if (str_equal(protocols->list[i].name, name)) {
            return protocols->list[i].metadata;
        }
    }
    return (struct bytes){.data = (const uint8_t *)"", .size = 0};
}

/* --- how many members have each --- */

/* A name that a member has twice counts once: `pass` is the last list that counted. */
struct classic_count {
    uint32_t pass;
    uint32_t members;
    uint32_t votes;
    struct str name; /* behind the struct */
};

static struct classic_count *count_find(const struct classic_tally *tally, struct str name) {
    return map_get(&tally->by_name, str_bytes(name));
}

static struct classic_count *count_new(struct classic_tally *tally, struct str name) {
    struct classic_count *count = calloc(1, sizeof *count + name.size);
    assert(count != NULL);
    char *text = (char *)(count + 1);
    memcpy(text, name.data, name.size);
    count->name = (struct str){.data = text, .size = name.size};
    map_put(&tally->by_name, str_bytes(count->name), count);
    return count;
}

void classic_tally_add(struct classic_tally *tally, const struct classic_protocols *protocols) {
    tally->pass++;
    for (int32_t i = 0; i < protocols->count; i++) {
        struct classic_count *count = count_find(tally, protocols->list[i].name);
        if (count == NULL) {
            count = count_new(tally, protocols->list[i].name);
        }
        if (count->pass != tally->pass) {
            count->pass = tally->pass;
            count->members++;
        }
    }
}

void classic_tally_remove(struct classic_tally *tally, const struct classic_protocols *protocols) {
    tally->pass++;
    for (int32_t i = 0; i < protocols->count; i++) {
        struct classic_count *count = count_find(tally, protocols->list[i].name);
        if (count == NULL || count->pass == tally->pass) {
            continue; /* a name that came twice */
        }
        count->pass = tally->pass;
        assert(count->members > 0);
        if (--count->members == 0) {
            map_remove(&tally->by_name, str_bytes(count->name));
            free(count);
        }
    }
}

void classic_tally_done(struct classic_tally *tally) {
    struct classic_count *count;
    size_t cursor;
    map_for_each (&tally->by_name, cursor, count) {
        free(count);
    }
    map_done(&tally->by_name);
}

bool classic_tally_is_common(const struct classic_tally *tally, struct str name, size_t members) {
    const struct classic_count *count = count_find(tally, name);
    return (count == NULL ? 0 : count->members) == members;
}

/* --- the vote --- */

void classic_tally_begin_vote(struct classic_tally *tally) {
    struct classic_count *count;
    size_t cursor;
    map_for_each (&tally->by_name, cursor, count) {
        count->votes = 0;
    }
}

void classic_tally_vote(struct classic_tally *tally, const struct classic_protocols *protocols,
                        size_t members) {
    for (int32_t i = 0; i < protocols->count; i++) {
        struct classic_count *count = count_find(tally, protocols->list[i].name);
        if (count->members == members) {
            count->votes++;
            return;
        }
    }
}

struct str classic_tally_winner(const struct classic_tally *tally) {
    const struct classic_count *winner = NULL;
    struct classic_count *count;
    size_t cursor;
    map_for_each (&tally->by_name, cursor, count) {
        if (count->votes > (winner == NULL ? 0 : winner->votes)) {
            winner = count;
        }
    }
    return winner == NULL ? STR_NULL : winner->name;
}
