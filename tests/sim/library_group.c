/* What the consumers of a group were told, and what the auditor makes of it. */
#include "library_group.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWNS_MS = 4000 }; /* less than a session, and than max.poll.interval.ms */

struct library_group {
    struct library_group *next;
    char name[32];
    struct audit_group *audit;
    struct library_holder *holders;
    int member_count;
    int life_count;
    bool mixed;
    bool classic;                   /* unless it is mixed */
    const char *assignor;           /* of who speaks the classic protocol, when it is mixed */
    const struct node_topic *topic; /* NULL: all */
    int64_t active_ms;              /* when it was last seen to do something */
    bool settled;
    struct {
        bool *offsets; /* handed out */
        int64_t size;
    } handed[AUDIT_PLACES_MAX];
    int64_t committed[AUDIT_PLACES_MAX]; /* the largest offset that was answered */
};

/* --- life --- */

static const char *draw_assignor(struct node_sim *sim, bool classic) {
    static const char *const of_client[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};
    static const char *const of_broker[] = {"uniform", "range"};
    return classic ? LIBRARY_PICK(sim, of_client) : LIBRARY_PICK(sim, of_broker);
}

static struct library_group *group_new(struct node_sim *sim, const char *name, const char *protocol,
                                       bool synced) {
    struct library_group *group = calloc(1, sizeof *group);
    assert(group != NULL);
    snprintf(group->name, sizeof group->name, "%s", name);
    group->audit = audit_group_new(sim->run->audit, name, synced);
    group->mixed = strcmp(protocol, "mixed") == 0;
    group->classic =
        strcmp(protocol, "drawn") == 0 ? node_below(sim, 2) == 0 : strcmp(protocol, "classic") == 0;
    group->assignor = draw_assignor(sim, group->classic || group->mixed);
    group->next = sim->library_groups;
    sim->library_groups = group;
    return group;
}

struct library_group *library_group_join(struct node_sim *sim, const char *name,
                                         const char *protocol, bool synced,
                                         const struct node_topic *topic) {
    struct library_group *group = sim->library_groups;
    while (group != NULL && strcmp(group->name, name) != 0) {
        group = group->next;
    }
    if (group == NULL) {
        group = group_new(sim, name, protocol, synced);
        group->topic = topic;
    }
    group->member_count++;
    return group;
}

void library_group_leave(struct node_sim *sim, struct library_group *group) {
    if (--group->member_count > 0) {
        return;
    }
    struct library_group **at = &sim->library_groups;
    while (*at != group) {
        at = &(*at)->next;
    }
    *at = group->next;
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        free(group->handed[i].offsets);
    }
    audit_group_free(group->audit);
    free(group);
}

const char *library_group_name(const struct library_group *group) {
    return group->name;
}

/* A group of both goes on as a consumer group, for the first consumer stays in it: see
 * draw_protocol in node_member.c for why it must not change to and fro. */
static void draw_protocol(struct library_holder *holder) {
    struct node_sim *sim = holder->sim;
    const struct library_group *group = holder->group;
    holder->classic = group->classic;
    holder->assignor = group->assignor;
    if (group->mixed) {
        holder->classic = !holder->steady && node_below(sim, 2) == 0;
        holder->assignor = holder->classic ? group->assignor : draw_assignor(sim, false);
    }
}

static bool is_by_generation(const struct library_group *group) {
    return group->classic && !group->mixed;
}

void library_holder_begin(struct library_holder *holder) {
    struct library_group *group = holder->group;
    holder->steady = group->mixed && group->life_count == 0;
    snprintf(holder->name, sizeof holder->name, "%s-%d", group->name, ++group->life_count);
    draw_protocol(holder);
    memset(holder->places, 0, sizeof holder->places);
    holder->polled_ms = sys_mono_ms(holder->sim->sys);
    holder->next = group->holders;
    group->holders = holder;
}

void library_holder_end(struct library_holder *holder) {
    struct library_holder **at = &holder->group->holders;
    while (*at != holder) {
        at = &(*at)->next;
    }
    *at = holder->next;
}

/* --- owners --- */

int library_place_of(struct library_holder *holder, const char *name, int32_t partition) {
    struct node_sim *sim = holder->sim;
    struct node_topic *topic = topic_by_name(sim, str_from_c(name));
    if (topic == NULL || partition < 0 || partition >= SIM_PARTITIONS_MAX) {
        node_fail(sim, "%s is told of %s-%d, which is not there", holder->name, name, partition);
        return -1;
    }
    return (int)(topic - sim->topics) * SIM_PARTITIONS_MAX + (int)partition;
}

struct node_topic *library_topic_of(const struct library_holder *holder, int place) {
    return &holder->sim->topics[place / SIM_PARTITIONS_MAX];
}

void library_news_of_now(const struct library_holder *holder) {
    uint32_t cuts = holder->sim->run->power_cut_count;
    audit_group_cuts(holder->group->audit, cuts, cuts);
}

void library_own(struct library_holder *holder, int place) {
    struct library_group *group = holder->group;
    struct library_place *it = &holder->places[place];
    if (it->owned) {
        node_fail(holder->sim, "%s is given partition %d, which it has", holder->name, place);
    }
    *it = (struct library_place){.owned = true,
                                 .next = -1,
                                 .committed = -1,
                                 .floor = audit_group_fetch(group->audit, place),
                                 .cut = holder->sim->run->power_cut_count,
                                 .is_new = true};
    library_group_touch(holder);
}

void library_release(struct library_holder *holder, int place) {
    library_group_touch(holder);
    if (!holder->places[place].owned) {
        node_fail(holder->sim, "%s loses partition %d, which it does not have", holder->name,
                  place);
    }
    holder->places[place].owned = false;
    if (!is_by_generation(holder->group)) {
        audit_group_release(holder->group->audit, place, holder->name);
    }
}

void library_released_all(struct library_holder *holder) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        holder->places[i].given_up = true;
    }
    audit_group_release_all(holder->group->audit, holder->name);
}

static void own_for_a_generation(struct library_holder *holder, int32_t generation) {
    bool places[AUDIT_PLACES_MAX];
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        places[i] = holder->places[i].owned;
    }
    if (generation > 0) { /* else it is out again already */
        audit_group_synced(holder->group->audit, generation, holder->name, places);
    }
}

/* The group has said it since the poll before. */
static void own_for_a_time(struct library_holder *holder) {
    int64_t now_ms = sys_mono_ms(holder->sim->sys);
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (holder->places[i].owned && holder->places[i].is_new) {
            audit_group_own(holder->group->audit, i, holder->name, now_ms,
                            holder->polled_ms + OWNS_MS);
        }
        holder->places[i].is_new = false;
    }
}

static bool owns_something(const struct library_holder *holder) {
    bool owns = false;
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        owns |= holder->places[i].owned;
    }
    return owns;
}

static void note_mixture(const struct library_holder *holder) {
    for (const struct library_holder *other = holder->group->holders; other != NULL;
         other = other->next) {
        if (other->classic != holder->classic && owns_something(other) && owns_something(holder)) {
            library_point(holder->sim, holder->name, "library_protocols_mixed");
            return;
        }
    }
}

void library_polled(struct library_holder *holder, bool told, int32_t generation) {
    library_news_of_now(holder);
    if (told) {
        note_mixture(holder);
    }
    if (!is_by_generation(holder->group)) {
        own_for_a_time(holder);
    } else if (told) {
        own_for_a_generation(holder, generation);
    }
    holder->polled_ms = sys_mono_ms(holder->sim->sys);
}

/* --- records --- */

void library_group_note_handed(struct library_group *group, int place, int64_t offset) {
    if (offset >= group->handed[place].size) {
        int64_t size = 2 * offset + 1024;
        bool *offsets = calloc((size_t)size, sizeof *offsets);
        assert(offsets != NULL);
        if (group->handed[place].size > 0) {
            memcpy(offsets, group->handed[place].offsets, (size_t)group->handed[place].size);
        }
        free(group->handed[place].offsets);
        group->handed[place].offsets = offsets;
        group->handed[place].size = size;
    }
    group->handed[place].offsets[offset] = true;
}

/* --- commits --- */

void library_commit_begin(struct library_holder *holder, struct library_commit *commit,
                          int32_t generation) {
    commit->generation = generation;
    commit->newest = audit_group_generation(holder->group->audit);
    commit->cut = holder->sim->run->power_cut_count;
    commit->count = 0;
}

void library_commit_add(struct library_holder *holder, struct library_commit *commit, int place) {
    struct library_place *it = &holder->places[place];
    struct audit_group *audit = holder->group->audit;
    int64_t now_ms = sys_mono_ms(holder->sim->sys);
    int at = commit->count++;
    commit->entries[at].place = place;
    commit->entries[at].offset = it->next;
    commit->entries[at].least = holder->group->committed[place];
    commit->entries[at].ticket = audit_group_commit(audit, place, it->next);
    commit->entries[at].others = !is_by_generation(holder->group) &&
                                 audit_group_is_others(audit, place, holder->name, now_ms);
    it->committed = it->next;
}

/* Who owns the partition began at the last commit, so his are behind it. */
static void note_committed(struct library_holder *holder, int place, int64_t offset,
                           int64_t least) {
    struct library_group *group = holder->group;
    if (offset < least) {
        node_fail(holder->sim,
                  "group %s: the commit of partition %d goes back from %" PRId64 " to %" PRId64
                  ", by %s",
                  group->name, place, least, offset, holder->name);
    }
    if (offset > group->committed[place]) {
        group->committed[place] = offset;
    }
}

void library_commit_failed(struct library_holder *holder, const struct library_commit *commit) {
    for (int i = 0; i < commit->count; i++) {
        audit_group_refused(holder->group->audit, commit->entries[i].place,
                            commit->entries[i].ticket);
    }
}

struct audit_group *library_group_audit(const struct library_group *group) {
    return group->audit;
}

void library_committed(struct library_holder *holder, const struct library_commit *commit,
                       int place) {
    struct audit_group *audit = holder->group->audit;
    audit_group_cuts(audit, commit->cut, holder->sim->run->power_cut_count);
    for (int i = 0; i < commit->count; i++) {
        if (commit->entries[i].place != place) {
            continue;
        }
        audit_group_committed(audit, place, commit->entries[i].ticket);
        note_committed(holder, place, commit->entries[i].offset, commit->entries[i].least);
        if (is_by_generation(holder->group)) {
            audit_group_heard(audit, "commit", holder->name, commit->generation, commit->newest);
        } else if (commit->entries[i].others) {
            node_fail(holder->sim, "group %s: %s commits partition %d, which another owns",
                      holder->group->name, holder->name, place);
        }
    }
    library_news_of_now(holder);
}

/* --- in the end --- */

/* Or passed over, as the ends of transactions are and what was aborted. */
static bool all_handed(const struct node_sim *sim, const struct library_group *group, int place,
                       int64_t end) {
    const struct audit_partition *audit =
        sim->topics[place / SIM_PARTITIONS_MAX].partitions[place % SIM_PARTITIONS_MAX].audit;
    for (int64_t offset = 0; offset < end; offset++) {
        bool handed = offset < group->handed[place].size && group->handed[place].offsets[offset];
        uint64_t value = handed ? 0 : audit_value_at(audit, offset);
        if (!handed && value != 0 && audit_txns_fate(sim->txns, value) != AUDIT_HIDDEN) {
            return false;
        }
    }
    return true;
}

static int count_owners(const struct library_group *group, int place) {
    int count = 0;
    for (const struct library_holder *holder = group->holders; holder != NULL;
         holder = holder->next) {
        count += holder->places[place].owned;
    }
    return count;
}

static bool reads(const struct library_group *group, const struct node_topic *topic) {
    return group->topic == NULL || group->topic == topic;
}

void library_group_touch(struct library_holder *holder) {
    holder->group->active_ms = sys_mono_ms(holder->sim->sys);
}

bool library_group_is_settled(struct library_holder *holder, int64_t since_ms, int64_t quiet_ms) {
    struct library_group *group = holder->group;
    int64_t begin_ms = group->active_ms > since_ms ? group->active_ms : since_ms;
    bool settled = sys_mono_ms(holder->sim->sys) - begin_ms >= quiet_ms;
    const struct node_topic *topic = group->topic;
    for (int32_t p = 0; settled && p < topic->partition_count; p++) {
        int place = (int)(topic - holder->sim->topics) * SIM_PARTITIONS_MAX + (int)p;
        settled = count_owners(group, place) == 1;
    }
    group->settled = group->settled || settled;
    return group->settled;
}

bool library_group_is_through(struct library_holder *holder, char *what, size_t size) {
    struct node_sim *sim = holder->sim;
    struct library_group *group = holder->group;
    for (int t = 0; t < sim->topic_count; t++) {
        const struct node_topic *topic = &sim->topics[t];
        for (int32_t p = 0; reads(group, topic) && p < topic->partition_count; p++) {
            int place = t * SIM_PARTITIONS_MAX + (int)p;
            int owners = count_owners(group, place);
            bool all = all_handed(sim, group, place, topic->partitions[p].final_end);
            if (owners != 1 || !all) {
                snprintf(what, size, "group %s: %s-%d has %d owners%s", group->name, topic->name, p,
                         owners, all ? "" : ", and not all of its records were handed out");
                return false;
            }
        }
    }
    return true;
}
