#pragma once

#include "audit_groups.h"
#include "library.h"
#include "ottla/consumer.h"

/*
 * A group of libottla's consumers, and what is held against what they were told.
 *
 *   owners    as audit_groups.h says: by generation where all are of the classic protocol, else by
 *             time, for less than a session from when a consumer was told, for only the library
 *             knows when it was heard last
 *   told      a partition is given to who does not have it, and lost by who does, once
 *   start     a consumer begins at the last commit, or at the begin of the log
 *   order     and hands out each record from there on, once, until it loses the partition; of
 *             transactions as audit_txn.h says, when it reads what is committed only
 *   commits   one that is answered without an error stands, and none goes back
 *   end       each record that there is was handed out to somebody of the group, and each partition
 *             is one consumer's
 *
 * For topics that lose no record, not to the power either.
 */
struct library_group;

/* protocol: classic, consumer; drawn: one of them for all; mixed: drawn for each life. topic: the
 * only one that it reads; NULL: all. */
struct library_group *library_group_join(struct node_sim *sim, const char *name,
                                         const char *protocol, bool synced,
                                         const struct node_topic *topic);
void library_group_leave(struct node_sim *sim, struct library_group *group);

const char *library_group_name(const struct library_group *group);
struct audit_group *library_group_audit(const struct library_group *group);
void library_group_note_handed(struct library_group *group, int place, int64_t offset);

/* A partition of one consumer. */
struct library_place {
    bool owned;
    bool is_new;       /* in this poll */
    bool given_up;     /* it unsubscribed, and a poll will tell it so: no more commits */
    int64_t next;      /* the offset of the next record; -1: not known yet */
    int64_t committed; /* of `next`, when it was last committed */
    int64_t floor;     /* what commit must be found at least */
    uint32_t cut;      /* run->power_cut_count when it was taken */
};

struct library_holder { /* a consumer in one life */
    struct node_sim *sim;
    struct library_group *group;
    struct library_holder *next;
    char name[AUDIT_MEMBER_SIZE_MAX];
    bool steady; /* the first of a group of both protocols: it keeps to its own, and stays */
    bool classic;
    bool committed; /* isolation.level=read_committed */
    const char *assignor;
    int64_t polled_ms;
    struct library_place places[AUDIT_PLACES_MAX];
};

void library_holder_begin(struct library_holder *holder); /* a new life, with a new name */
void library_holder_end(struct library_holder *holder);

/* -1 when there is no such partition, which is a violation. */
int library_place_of(struct library_holder *holder, const char *topic, int32_t partition);
struct node_topic *library_topic_of(const struct library_holder *holder, int place);

void library_own(struct library_holder *holder, int place);
/* It says that it gives the place up, or has lost it. */
void library_release(struct library_holder *holder, int place);
/* It is about to leave: all that it has may be others', though it was not told yet. */
void library_released_all(struct library_holder *holder);
/* What its poll told it is through. told: its assignment, at the end, in this generation. */
void library_polled(struct library_holder *holder, bool told, int32_t generation);

/* What the consumer's functions are told. */
void library_assigned(struct library_holder *holder, const struct ottla_partition *partitions,
                      size_t count);
void library_released(struct library_holder *holder, const struct ottla_partition *partitions,
                      size_t count);

/* What is told from now on is said by the node as it is now. */
void library_news_of_now(const struct library_holder *holder);

/* Before and after each poll: where it has begun meanwhile. */
void library_note_starts(struct library_holder *holder, const struct ottla_consumer *consumer);
void library_handed_out(struct library_holder *holder, const struct ottla_record *record);

/* Places of a commit that is under way. */
struct library_commit {
    int32_t generation;
    int32_t newest;
    uint32_t cut;
    int count;
    struct {
        int place;
        int64_t offset;
        int64_t least; /* that was committed before */
        uint32_t ticket;
        bool others; /* somebody else owned it */
    } entries[AUDIT_PLACES_MAX];
};
void library_commit_begin(struct library_holder *holder, struct library_commit *commit,
                          int32_t generation);
void library_commit_add(struct library_holder *holder, struct library_commit *commit, int place);
void library_committed(struct library_holder *holder, const struct library_commit *commit,
                       int place);

/* It is known not to stand: its transaction was aborted. */
void library_commit_failed(struct library_holder *holder, const struct library_commit *commit);

/* It does something; and whether it has done nothing for so long, with each partition one
 * consumer's. Once it is settled it stays so. Of a group of one topic. */
void library_group_touch(struct library_holder *holder);
bool library_group_is_settled(struct library_holder *holder, int64_t since_ms, int64_t quiet_ms);

/* Nothing is missing. Else *ret_what (for people) says what, until the next call. */
bool library_group_is_through(struct library_holder *holder, char *what, size_t size);
