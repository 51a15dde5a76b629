#pragma once

#include "audit_groups.h"
#include "node_int.h"

/*
 * Members of consumer groups.
 *
 *   node_member           a member's life: it comes, goes, stalls, vanishes and is reset; and
 * whether a group is whole node_member_offsets   what members commit and fetch node_member_classic
 * JoinGroup, SyncGroup, Heartbeat, LeaveGroup node_member_consumer  ConsumerGroupHeartbeat
 *
 *   client  member group=readers protocol=classic count=3 static=no session=3s-6s wait=50ms-500ms
 *
 * A member has one request under way at a time. Members read nothing: a position is a number that
 * grows, from what is fetched when a partition is taken over. Of each topic, partition 0 is
 * committed once and then only looked at: its commit is older than the retention before long.
 */
struct member;

struct node_group {
    struct node_group *next;
    char name[32];
    struct audit_group *audit;
    struct member *members;
    int member_count;
    bool settled;            /* after `finishing`: every partition was owned */
    int64_t finish_begin_ms; /* 0: not yet */
    uint32_t loaded_down;    /* sim->down_count when it was known to be loaded */
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
    struct member *next; /* of the group */
    const struct member_protocol *protocol;
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
    int64_t beat_ms;    /* when the last heartbeat was sent */
    int32_t generation; /* or the member's epoch */
    int32_t newest;     /* the auditor's generation when the request was sent */
    uint32_t sent_down; /* and sim->down_count */
    bool sent_loaded;   /* and whether the coordinator was known to have the group */
    bool owned[AUDIT_PLACES_MAX];
    int64_t positions[AUDIT_PLACES_MAX]; /* -1: not fetched yet */

    /* classic */
    int16_t join_version;
    bool leads;
    struct buffer others; /* ids of the members to assign to, each with its zero */
    int other_count;

    /* consumer */
    int64_t sent_ms;
    bool full; /* the next heartbeat says all */

    /* of the commit or fetch that is under way */
    int place;
    uint32_t ticket;
    int64_t floor;
};

extern const struct member_protocol member_classic;
extern const struct member_protocol member_consumer;

/* An answer that a coordinator gives only when it has loaded the group. */
void member_note_loaded(struct member *member);

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

struct node_topic *member_topic_of(struct member *member, int place);
int member_place_of(struct member *member, struct node_topic *topic, int32_t partition);

/* Commits or fetches for one of the places it owns; false: there is nothing to do. */
bool member_offsets_turn(struct member *member);
