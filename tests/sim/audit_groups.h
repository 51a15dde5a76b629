#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"

/*
 * The auditor of consumer groups: what members were told, and whether it can be true together.
 *
 *   1. one owner in a generation   SyncGroup gives a partition to one member of a generation
 *   2. one owner at a time         with ConsumerGroupHeartbeat: until its owner has given it up, or
 *                                  was silent for a session
 *   3. the fenced stay out         nobody of a generation that was over is heard any more; who does
 *                                  not own a partition does not commit to it
 *   4. commits stay                what is fetched is the last commit that was acknowledged, or one
 *                                  that nobody knows the outcome of. After a power cut it may be an
 *                                  older one, unless commits are promised as synced
 *   5. nothing in use expires      a group that is never empty for long loses no commit (by 4)
 *   6. topics begin empty          no commit of a deleted topic is one of the next topic of its
 * name
 *
 * That every partition is owned in the end is for who knows the members that live.
 *
 * A place is a number below AUDIT_PLACES_MAX that stands for a partition. Static members of the
 * classic protocol go by their instance. Violations are told to the auditor of the run.
 */
enum { AUDIT_PLACES_MAX = 256, AUDIT_MEMBER_SIZE_MAX = 80 };

struct audit_group;

/* synced: commits and members survive the power. name: copied. */
struct audit_group *audit_group_new(struct audit *audit, const char *name, bool synced);
void audit_group_free(struct audit_group *group);

/* The power was cut so many times when the answers that are told from now on were given, and was
 * cut so many times up to now. */
void audit_group_cuts(struct audit_group *group, uint32_t said, uint32_t now);

/* --- generations --- */

/* The newest that a member was told; 0: none. */
int32_t audit_group_generation(const struct audit_group *group);

/* SyncGroup told the member that it owns these places. */
void audit_group_synced(struct audit_group *group, int32_t generation, const char *member,
                        const bool places[AUDIT_PLACES_MAX]);

/* The broker agreed to something that a member of `generation` asked for when `newest` was the
 * newest that anybody had been told. */
void audit_group_heard(struct audit_group *group, const char *what, const char *member,
                       int32_t generation, int32_t newest);

/* --- owners at a time --- */

/* The member was given a place, which is its own until it releases it or is silent up to until_ms;
 * or it was heard, and keeps what it has up to another time. */
void audit_group_own(struct audit_group *group, int place, const char *member, int64_t now_ms,
                     int64_t until_ms);
void audit_group_keep(struct audit_group *group, const char *member, int64_t until_ms);

/* What one owned, the other owns now: a static member that left for a while, and its instance. */
void audit_group_hand_over(struct audit_group *group, int place, const char *from, const char *to);

/* It is about to say that it gives the place up; or all, because it leaves or was fenced. */
void audit_group_release(struct audit_group *group, int place, const char *member);
void audit_group_release_all(struct audit_group *group, const char *member);

/* Whether somebody else owns it. */
bool audit_group_is_others(const struct audit_group *group, int place, const char *member,
                           int64_t now_ms);

/* --- commits --- */

/* A commit is about to be sent: a ticket for its outcome. Without one its outcome is unknown. */
uint32_t audit_group_commit(struct audit_group *group, int place, int64_t offset);
void audit_group_committed(struct audit_group *group, int place, uint32_t ticket);
void audit_group_refused(struct audit_group *group, int place, uint32_t ticket);

/* The topic is made anew from now on. Nobody owns the place, and what was committed is gone; a
 * commit that is under way may be of the new one. */
void audit_group_begin(struct audit_group *group, int place);

/* A fetch is about to be sent: what it must show; and what it showed, -1: no commit. */
int64_t audit_group_fetch(const struct audit_group *group, int place);
void audit_group_fetched(struct audit_group *group, int place, int64_t floor, int64_t offset);
bool audit_group_may_fetch(const struct audit_group *group, int place, int64_t floor,
                           int64_t offset);
