#include "audit_groups.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum commit_state { COMMIT_OPEN, COMMIT_DONE, COMMIT_REFUSED };

struct commit {
    int64_t offset;
    enum commit_state state;
};

struct place {
    char owner[AUDIT_MEMBER_SIZE_MAX]; /* "": nobody */
    int64_t until_ms;                  /* only where members own for a time */
    struct commit *commits;            /* in the order in which they were sent */
    uint32_t commit_count;
    uint32_t commit_capacity;
    uint32_t begin;     /* those before are of a topic that is gone */
    int64_t known;      /* index of the commit that stands; -1: none */
    uint32_t known_cut; /* how often the power had been cut when that was said */
};

struct audit_group {
    struct audit *audit;
    char name[32];
    bool synced;
    bool committed; /* something: the group is not taken away when it is empty */
    uint32_t said_cut;
    uint32_t cut;
    int32_t generation;
    uint32_t generation_cut;
    struct place places[AUDIT_PLACES_MAX];
};

struct audit_group *audit_group_new(struct audit *audit, const char *name, bool synced) {
    struct audit_group *group = calloc(1, sizeof *group);
    assert(group != NULL);
    group->audit = audit;
    group->synced = synced;
    snprintf(group->name, sizeof group->name, "%s", name);
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        group->places[i].known = -1;
    }
    return group;
}

void audit_group_free(struct audit_group *group) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        free(group->places[i].commits);
    }
    free(group);
}

void audit_group_cuts(struct audit_group *group, uint32_t said, uint32_t now) {
    group->said_cut = said;
    group->cut = now;
}

/* --- generations --- */

int32_t audit_group_generation(const struct audit_group *group) {
    return group->generation;
}

static void forget_owners(struct audit_group *group) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        group->places[i].owner[0] = '\0';
    }
}

/* What was said before the power went says nothing about a group that may have lost its members.
 * The first that is said afterwards begins anew. */
static bool is_news(struct audit_group *group) {
    if (group->synced || group->said_cut == group->generation_cut) {
        return true;
    }
    if (group->said_cut < group->generation_cut) {
        return false;
    }
    group->generation_cut = group->said_cut;
    group->generation = 0;
    group->committed = false;
    forget_owners(group);
    return true;
}

void audit_group_synced(struct audit_group *group, int32_t generation, const char *member,
                        const bool places[AUDIT_PLACES_MAX]) {
    if (!is_news(group)) {
        return;
    }
    if (generation > group->generation || (generation != group->generation && !group->committed)) {
        group->generation = generation;
        forget_owners(group);
    }
    if (generation < group->generation) {
        return; /* an answer that came late */
    }
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        struct place *place = &group->places[i];
        if (group->committed && places[i] && place->owner[0] != '\0' &&
            strcmp(place->owner, member) != 0) {
            audit_fail(group->audit,
                       "group %s: in generation %" PRId32 " both %s and %s own partition %d",
                       group->name, generation, place->owner, member, i);
        }
        if (places[i]) {
            snprintf(place->owner, sizeof place->owner, "%s", member);
        }
    }
}

void audit_group_heard(struct audit_group *group, const char *what, const char *member,
                       int32_t generation, int32_t newest) {
    if (is_news(group) && generation < newest && newest <= group->generation && group->committed) {
        audit_fail(group->audit,
                   "group %s: the %s of %s in generation %" PRId32 " is taken in %" PRId32,
                   group->name, what, member, generation, newest);
    }
}

/* --- owners at a time --- */

bool audit_group_is_others(const struct audit_group *group, int place, const char *member,
                           int64_t now_ms) {
    const struct place *it = &group->places[place];
    return it->owner[0] != '\0' && strcmp(it->owner, member) != 0 && now_ms < it->until_ms;
}

void audit_group_own(struct audit_group *group, int place, const char *member, int64_t now_ms,
                     int64_t until_ms) {
    if (!is_news(group)) {
        return;
    }
    struct place *it = &group->places[place];
    if (audit_group_is_others(group, place, member, now_ms)) {
        audit_fail(group->audit, "group %s: %s is given partition %d, which %s still owns",
                   group->name, member, place, it->owner);
    }
    snprintf(it->owner, sizeof it->owner, "%s", member);
    it->until_ms = until_ms;
}

void audit_group_keep(struct audit_group *group, const char *member, int64_t until_ms) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (strcmp(group->places[i].owner, member) == 0) {
            group->places[i].until_ms = until_ms;
        }
    }
}

void audit_group_hand_over(struct audit_group *group, int place, const char *from, const char *to) {
    struct place *it = &group->places[place];
    if (strcmp(it->owner, from) == 0) {
        snprintf(it->owner, sizeof it->owner, "%s", to);
    }
}

void audit_group_release(struct audit_group *group, int place, const char *member) {
    if (strcmp(group->places[place].owner, member) == 0) {
        group->places[place].owner[0] = '\0';
    }
}

void audit_group_release_all(struct audit_group *group, const char *member) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        audit_group_release(group, i, member);
    }
}

/* --- commits --- */

uint32_t audit_group_commit(struct audit_group *group, int place, int64_t offset) {
    struct place *it = &group->places[place];
    if (it->commit_count == it->commit_capacity) {
        it->commit_capacity = it->commit_capacity == 0 ? 64 : 2 * it->commit_capacity;
        it->commits = realloc(it->commits, it->commit_capacity * sizeof *it->commits);
        assert(it->commits != NULL);
    }
    it->commits[it->commit_count] = (struct commit){.offset = offset, .state = COMMIT_OPEN};
    return it->commit_count++;
}

void audit_group_committed(struct audit_group *group, int place, uint32_t ticket) {
    struct place *it = &group->places[place];
    assert(it->commits[ticket].state == COMMIT_OPEN);
    group->committed = true;
    if (ticket < it->begin) {
        return; /* nobody knows of which topic */
    }
    it->commits[ticket].state = COMMIT_DONE;
    if ((int64_t)ticket < it->known && it->known_cut >= group->said_cut) {
        return; /* the answer was long under way; others have seen this commit, and gone on */
    }
    it->known = ticket;
    it->known_cut = group->said_cut;
}

void audit_group_refused(struct audit_group *group, int place, uint32_t ticket) {
    group->places[place].commits[ticket].state = COMMIT_REFUSED;
}

void audit_group_begin(struct audit_group *group, int place) {
    struct place *it = &group->places[place];
    it->owner[0] = '\0';
    for (uint32_t i = it->begin; i < it->commit_count; i++) {
        if (it->commits[i].state == COMMIT_DONE) {
            it->commits[i].state = COMMIT_REFUSED;
        }
    }
    it->begin = it->commit_count;
    it->known = -1;
}

int64_t audit_group_fetch(const struct audit_group *group, int place) {
    return group->places[place].known;
}

/* The youngest commit of that offset that may stand; floor: the oldest acknowledged that may. */
static int64_t find_commit(const struct place *place, int64_t floor, int64_t offset) {
    for (int64_t i = (int64_t)place->commit_count - 1; i >= 0; i--) {
        const struct commit *commit = &place->commits[i];
        if (commit->offset == offset &&
            (commit->state == COMMIT_OPEN || (commit->state == COMMIT_DONE && i >= floor))) {
            return i;
        }
    }
    return -1;
}

static bool may_be_lost(const struct audit_group *group, int place) {
    return !group->synced && group->places[place].known_cut < group->said_cut;
}

bool audit_group_may_fetch(const struct audit_group *group, int place, int64_t floor,
                           int64_t offset) {
    floor = may_be_lost(group, place) ? -1 : floor;
    return find_commit(&group->places[place], floor, offset) >= 0 || (offset < 0 && floor < 0);
}

void audit_group_fetched(struct audit_group *group, int place, int64_t floor, int64_t offset) {
    struct place *it = &group->places[place];
    if (group->said_cut != group->cut) {
        return;
    }
    int64_t found = find_commit(it, may_be_lost(group, place) ? -1 : floor, offset);
    if (!audit_group_may_fetch(group, place, floor, offset)) {
        audit_fail(group->audit,
                   "group %s: offset %" PRId64 " of partition %d is fetched, but %" PRId64
                   " was committed",
                   group->name, offset, place, floor < 0 ? -1 : it->commits[floor].offset);
        return;
    }
    it->known = found;
    it->known_cut = group->said_cut;
}
