#pragma once

#include "audit_groups.h"
#include "node_int.h"

/*
 * Members of consumer groups.
 *
 *   node_member            a member's life: it comes, goes, stalls, vanishes, dies and is reset
 *   node_member_topics     what there is to read, and whether all of it has an owner in the end
 *   node_member_offsets    what members commit and fetch
 *   node_member_late       requests of before: of a generation, an epoch or a process that is over
 *   node_member_classic    JoinGroup, SyncGroup, Heartbeat, LeaveGroup
 *   node_member_consumer   ConsumerGroupHeartbeat
 *
 *   client  member group=readers protocol=classic count=3 static=no session=3s-6s wait=50ms-500ms
 *
 *   protocol=mixed   each life of a member has one protocol or the other, and the group changes its
 * own regex=yes        members read what an expression says, in one half of what they say
 *   rivals=yes       two processes each want to be the same static member
 *   dies=70s-80s     half of the members are gone for good from then on
 *
 * A member has one request under way at a time. Members read nothing: a position is a number that
 * grows, from what is fetched when a partition is taken over. Of each topic, partition 0 is
 * committed once and then only looked at: its commit is older than the retention before long.
 *
 * Members of transactional producers (node_txn.h) commit no offsets themselves.
 *
 * Who owns what is told to the auditor by generation where all members are of the classic protocol,
 * else by time: a member owns up to its session after what it last said, and was heard of.
 */
struct member;
struct txn_inputs;

struct node_group {
    struct node_group *next;
    char name[32];
    struct audit_group *audit;
    struct member *members;
    int member_count;
    bool mixed;
    bool was_mixed;            /* members of both protocols were in it at a time */
    int64_t upgrade_from_ms;   /* until then nobody new speaks the consumer protocol */
    bool settled;              /* after `finishing`: every partition was owned */
    int64_t finish_begin_ms;   /* 0: not yet */
    uint32_t loaded_down;      /* sim->down_count when it was known to be loaded */
    struct txn_inputs *inputs; /* of its transactional producers; NULL: there are none */
};

enum member_state {
    MEMBER_OUT,
    MEMBER_JOINING, /* the next request is to get in */
    MEMBER_SYNCING,
    MEMBER_IN,
    MEMBER_LEAVING,
};

struct member_protocol {
    const char *name;
    void (*come)(struct member *member); /* in MEMBER_JOINING and MEMBER_SYNCING */
    void (*beat)(struct member *member);
    void (*leave)(struct member *member);
};

struct member {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct node_group *group;
    struct member *next;                    /* of the group */
    const struct member_protocol *protocol; /* of this life */
    bool reads_regex;
    struct scenario_range wait;
    int64_t session_ms;
    int64_t rebalance_ms;
    char instance[32]; /* "": not static */
    char id[AUDIT_MEMBER_SIZE_MAX];
    char name[AUDIT_MEMBER_SIZE_MAX]; /* for the auditor: of the instance, or of its life */
    int number;
    int life;

    enum member_state state;
    bool busy;
    bool found; /* the coordinator, since the last trouble */
    bool stalled;
    int64_t out_until_ms;
    int64_t dies_ms;    /* INT64_MAX: never */
    int64_t beat_ms;    /* when the last heartbeat was sent */
    int32_t generation; /* or the member's epoch */
    int32_t newest;     /* the auditor's generation when the request was sent */
    uint32_t sent_down; /* and sim->down_count */
    bool sent_loaded;   /* and whether the coordinator was known to have the group */
    bool transacts;     /* a producer commits its offsets */
    bool owned[AUDIT_PLACES_MAX];
    uint32_t given[AUDIT_PLACES_MAX];    /* so often */
    int64_t positions[AUDIT_PLACES_MAX]; /* -1: not fetched yet */
    int64_t sent_ms; /* when the last request was sent that its session may begin with */
    int64_t kept_ms; /* and the last that it was heard with */

    /* classic */
    int16_t join_version;
    bool leads;
    int64_t joined_ms;    /* when JoinGroup was answered */
    bool deaf;            /* to the group's wish that it joins */
    uint64_t dealt;       /* the topics that it last dealt out; see member_topics_stamp */
    struct buffer others; /* ids of the members to assign to, each with its zero */
    int other_count;

    /* consumer */
    bool full;              /* the next heartbeat says all */
    bool said_all;          /* and the last one did */
    int64_t gives_up_by_ms; /* else it is thrown out; INT64_MAX: nothing to give up */
    int expression;         /* of those that it can subscribe with; -1: by names */
    int64_t gives_up_ms[AUDIT_PLACES_MAX]; /* what it was told to give up; 0: nothing */
    int32_t lost_epochs[AUDIT_PLACES_MAX]; /* its epoch when it gave the place up; 0: never did */
    bool leaves_for_a_while;

    /* of the commit or fetch that is under way */
    int place;
    uint32_t ticket;
    int64_t floor;
    uint32_t incarnation; /* of the topic */

    /* what was true before; see node_member_late.c */
    int32_t told_generation; /* of this life, with an assignment; 0: none */
    int32_t past_generation; /* the one before; 0: none */
    char past_id[AUDIT_MEMBER_SIZE_MAX];
    uint32_t past_cut; /* run->power_cut_count when it was over */
    int32_t late_generation;
};

extern const struct member_protocol member_classic;
extern const struct member_protocol member_consumer;

/* An answer that a coordinator gives only when it has loaded the group. */
void member_note_loaded(struct member *member);

struct member *member_new(struct node_sim *sim, struct scenario_line *line);

/* Its process dies; another one comes later. Not from inside an answer to it. */
void member_vanish(struct member *member);

/* It was given the place: from now on it is its own, from what is committed on. */
void member_take_place(struct member *member, int place);

/* Counts a point of the scenario, and says so. */
void member_point(struct member *member, const char *point);

/* Sends; `done` clears busy by member_answered. */
void member_ask(struct member *member, int16_t api_key, int16_t version, const void *request,
                client_done_fn done);

/* The first thing an answer's function does. False: there is no answer. */
bool member_answered(struct member *member, const struct client_response *response);

/* What the error of an answer means for the member's life; a violation when it can mean nothing. */
void member_take_error(struct member *member, const char *what, int16_t code);

/* It owns nothing any more, and comes in again; with the id it has, or as somebody new. */
void member_rejoin(struct member *member);
void member_rejoin_as_new(struct member *member);
void member_disown(struct member *member);

/* Whether it owns up to a time, not for a generation; and that time, when it was heard with a
 * request that was sent at sent_ms. */
bool member_is_timed(const struct member *member);
int64_t member_owns_until(const struct member *member);

/* Whether it may come with the consumer protocol to a group of both. */
bool member_may_upgrade(const struct member *member);

/* The name of a static member's instance, for the auditor: who has what a process left behind. */
void member_instance_name(const struct member *member, char name[AUDIT_MEMBER_SIZE_MAX]);

/* It is in: what was before is over. */
void member_is_in(struct member *member, int32_t generation);

/* --- topics --- */

struct node_topic *member_topic_of(const struct member *member, int place);
int member_place_of(const struct member *member, const struct node_topic *topic, int32_t partition);

/* Another number when topics come, go or grow. */
uint64_t member_topics_stamp(const struct node_sim *sim);

/* A partition that is not owned by exactly one of the members that are in; NULL: there is none. */
struct node_topic *member_find_lonely(const struct node_group *group, struct node_sim *sim,
                                      int32_t *ret_partition);

/* --- offsets --- */

/* Commits or fetches for one of the places it owns; false: there is nothing to do. */
bool member_offsets_turn(struct member *member);

/* One partition's, of who has this id in this generation or epoch. */
void member_ask_commit(struct member *member, int place, int64_t offset, const char *id,
                       int32_t generation, client_done_fn done);

/* Says something that is over; false: there is nothing. */
bool member_late_turn(struct member *member);
