/*
 * Members of a classic group, who leads them, and what they have in common.
 *
 * Invariants
 *   1. `leader` is one of the members; NULL exactly when there are none.
 *   2. `instances` are the members with an instance id; no two have the same.
 *   3. `joined_count` is the number of members whose `join` waits.
 *   4. `tally` counts the protocols of the members, and of nobody else.
 *   5. `unsynced_count` is the number of members with must_sync.
 *   6. What changes members, protocol type or protocol name keeps the logged record first.
 *   7. A topic in `topics` points into the metadata of a member, unless topics_stale.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/classic_int.h"

static struct str str_own(struct str s) {
    if (s.data == NULL) {
        return STR_NULL;
    }
    char *copy = malloc(s.size + 1);
    assert(copy != NULL);
    memcpy(copy, s.data, s.size);
    return (struct str){.data = copy, .size = s.size};
}

static void str_disown(struct str s) {
    free((char *)s.data);
}

/* --- life --- */

struct classic_group *classic_new(struct group *group) {
    struct classic_group *classic = calloc(1, sizeof *classic);
    assert(classic != NULL);
    classic->group = group;
    classic->state_since_ms = -1;
    list_init(&classic->order);
    classic->topics_stale = true;
    group_set_part(group, GROUP_CLASSIC, &classic_ops, classic);
    return classic;
}

struct classic_group *classic_of(const struct group *group) {
    assert(group->type == GROUP_CLASSIC);
    return group->part;
}

static void member_free(struct classic_member *member) {
    group_timer_clear(member->classic->group->groups, &member->session);
    str_disown(member->id);
    str_disown(member->instance_id);
    str_disown(member->client_id);
    str_disown(member->client_host);
    free(member->protocols);
    free((uint8_t *)member->assignment.data);
    free(member);
}

static void pending_free(struct classic_pending *pending) {
    group_timer_clear(pending->classic->group->groups, &pending->session);
    free(pending);
}

void classic_free(struct classic_group *classic) {
    struct groups *groups = classic->group->groups;
    struct list *link;
    while ((link = list_take_first(&classic->order)) != NULL) {
        member_free(container_of(link, struct classic_member, link));
    }
    struct classic_pending *pending;
    size_t cursor;
    map_for_each (&classic->pending, cursor, pending) {
        pending_free(pending);
    }
    map_done(&classic->members);
    map_done(&classic->instances);
    map_done(&classic->pending);
    map_done(&classic->topics);
    classic_tally_done(&classic->tally);
    group_timer_clear(groups, &classic->rejoin);
    group_timer_clear(groups, &classic->resync);
    str_disown(classic->protocol_type);
    str_disown(classic->protocol_name);
    buffer_done(&classic->logged);
    free(classic);
}

/* --- members --- */

struct classic_member *classic_member_find(const struct classic_group *classic, struct str id) {
    return map_get(&classic->members, str_bytes(id));
}

struct classic_member *classic_instance_find(const struct classic_group *classic, struct str id) {
    return map_get(&classic->instances, str_bytes(id));
}

static struct classic_member *member_at(const struct classic_group *classic, struct list *link) {
    return link == &classic->order ? NULL : container_of(link, struct classic_member, link);
}

struct classic_member *classic_member_first(const struct classic_group *classic) {
    return member_at(classic, classic->order.next);
}

struct classic_member *classic_member_next(const struct classic_member *member) {
    return member_at(member->classic, member->link.next);
}

err_t classic_member_check(const struct classic_group *classic, struct str member_id,
                           struct str instance_id, struct classic_member **ret_member) {
    struct classic_member *member = classic_member_find(classic, member_id);
    if (instance_id.data != NULL) {
        const struct classic_member *holder = classic_instance_find(classic, instance_id);
        if (holder == NULL) {
            return ERR_UNKNOWN_MEMBER_ID;
        }
        if (holder != member) {
            return ERR_FENCED_INSTANCE_ID;
        }
    }
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    *ret_member = member;
    return ERR_OK;
}

struct classic_member *classic_member_add(struct classic_group *classic,
                                          const struct classic_newcomer *newcomer) {
    assert(classic_member_find(classic, newcomer->member_id) == NULL);
    classic_keep_logged(classic);
    struct classic_member *member = calloc(1, sizeof *member);
    assert(member != NULL);
    *member = (struct classic_member){
        .classic = classic,
        .id = str_own(newcomer->member_id),
        .instance_id = str_own(newcomer->instance_id),
        .client_id = str_own(newcomer->client_id),
        .client_host = str_own(newcomer->client_host),
        .rebalance_timeout_ms = newcomer->rebalance_timeout_ms,
        .session_timeout_ms = newcomer->session_timeout_ms,
        .protocols = classic_protocols_new(newcomer->protocols, newcomer->protocols_count),
    };
    classic_member_set_assignment(member, newcomer->assignment);
    list_add_last(&classic->order, &member->link);
    map_put(&classic->members, str_bytes(member->id), member);
    if (member->instance_id.data != NULL) {
        void *before = map_put(&classic->instances, str_bytes(member->instance_id), member);
        assert(before == NULL);
    }
    classic_tally_add(&classic->tally, member->protocols);
    if (classic->leader == NULL) {
        classic->leader = member;
    }
    classic->topics_stale = true;
    return member;
}

void classic_member_remove(struct classic_member *member) {
    struct classic_group *classic = member->classic;
    assert(!member->join.waiting);
    assert(!member->sync.waiting);
    classic_keep_logged(classic);
    list_remove(&member->link);
    map_remove(&classic->members, str_bytes(member->id));
    if (member->instance_id.data != NULL) {
        map_remove(&classic->instances, str_bytes(member->instance_id));
    }
    classic_member_set_must_sync(member, false);
    classic_tally_remove(&classic->tally, member->protocols);
    if (classic->leader == member) {
        classic->leader = classic_member_first(classic);
    }
    classic->topics_stale = true;
    member_free(member);
}

void classic_member_rename(struct classic_member *member, struct str id) {
    struct classic_group *classic = member->classic;
    struct str old = member->id;
    classic_keep_logged(classic);
    map_remove(&classic->members, str_bytes(old));
    member->id = str_own(id);
    map_put(&classic->members, str_bytes(member->id), member);
    str_disown(old);
}

void classic_member_set_protocols(struct classic_member *member,
                                  struct classic_protocols *protocols) {
    struct classic_tally *tally = &member->classic->tally;
    classic_keep_logged(member->classic);
    classic_tally_remove(tally, member->protocols);
    free(member->protocols);
    member->protocols = protocols;
    classic_tally_add(tally, protocols);
    member->classic->topics_stale = true;
}

void classic_member_set_assignment(struct classic_member *member, struct bytes assignment) {
    classic_keep_logged(member->classic);
    uint8_t *copy = malloc(assignment.size + 1);
    assert(copy != NULL);
    if (assignment.size > 0) {
        memcpy(copy, assignment.data, assignment.size);
    }
    free((uint8_t *)member->assignment.data);
    member->assignment = (struct bytes){.data = copy, .size = assignment.size};
}

void classic_member_set_must_sync(struct classic_member *member, bool must_sync) {
    member->classic->unsynced_count += must_sync - member->must_sync;
    member->must_sync = must_sync;
}

/* --- ids that were given out --- */

struct classic_pending *classic_pending_find(const struct classic_group *classic, struct str id) {
    return map_get(&classic->pending, str_bytes(id));
}

struct classic_pending *classic_pending_add(struct classic_group *classic, struct str id) {
    struct classic_pending *pending = calloc(1, sizeof *pending + id.size);
    assert(pending != NULL);
    char *text = (char *)(pending + 1);
    memcpy(text, id.data, id.size);
    pending->classic = classic;
    pending->id = (struct str){.data = text, .size = id.size};
    map_put(&classic->pending, str_bytes(pending->id), pending);
    return pending;
}

void classic_pending_remove(struct classic_pending *pending) {
    map_remove(&pending->classic->pending, str_bytes(pending->id));
    pending_free(pending);
}

/* --- what the group is as a whole --- */

void classic_set_protocol_name(struct classic_group *classic, struct str name) {
    classic_keep_logged(classic);
    struct str old = classic->protocol_name;
    classic->protocol_name = str_own(name);
    classic->topics_stale = true;
    str_disown(old);
}

void classic_set_protocol_type(struct classic_group *classic, struct str type) {
    classic_keep_logged(classic);
    struct str old = classic->protocol_type;
    classic->protocol_type = str_own(type);
    classic->topics_stale = true;
    str_disown(old);
}

bool classic_is_consumer(const struct classic_group *classic) {
    return str_equal(classic->protocol_type, STR("consumer"));
}

bool classic_supports(const struct classic_group *classic,
                      const struct join_group_request *request) {
    if (classic->state == CLASSIC_EMPTY) {
        return request->protocol_type.size > 0 && request->protocols_count > 0;
    }
    if (!str_equal(classic->protocol_type, request->protocol_type)) {
        return false;
    }
    for (int32_t i = 0; i < request->protocols_count; i++) {
        if (classic_tally_is_common(&classic->tally, request->protocols[i].name,
                                    map_count(&classic->members))) {
            return true;
        }
    }
    return false;
}

struct str classic_select_protocol(struct classic_group *classic) {
    classic_tally_begin_vote(&classic->tally);
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        classic_tally_vote(&classic->tally, member->protocols, map_count(&classic->members));
    }
    return classic_tally_winner(&classic->tally);
}

int32_t classic_rebalance_timeout_ms(const struct classic_group *classic) {
    int32_t longest_ms = 0;
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        if (member->rebalance_timeout_ms > longest_ms) {
            longest_ms = member->rebalance_timeout_ms;
        }
    }
    return longest_ms;
}

bool classic_all_joined(const struct classic_group *classic) {
    return (size_t)classic->joined_count == map_count(&classic->members) &&
           map_count(&classic->pending) == 0;
}

bool classic_elect_joined(struct classic_group *classic) {
    if (classic->leader == NULL || classic->leader->join.waiting) {
        return classic->leader != NULL;
    }
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        if (member->join.waiting) {
            classic->leader = member;
            return true;
        }
    }
    return false;
}
