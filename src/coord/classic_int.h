#pragma once

#include "base/buffer.h"
#include "coord/classic.h"

/*
 * The state of a classic group, and what the files of its state machine share:
 *
 *   classic_requests.c   which group a request is for; answers that refuse
 *   classic_join.c       JoinGroup
 *   classic_static.c     JoinGroup of a static member that comes back under a new id
 *   classic_sync.c       SyncGroup, Heartbeat
 *   classic_leave.c      LeaveGroup
 *   classic_rebalance.c  from state to state: the table is there
 *   classic_records.c    GroupMetadata: made, and taken in
 *   classic_ops.c        what all kinds of groups are asked; DescribeGroups
 *   classic_convert.c    from a consumer group
 *   classic_group.c      members, and who leads them
 *   classic_protocols.c  what members can speak
 *   classic_topics.c     which topics they read
 *
 * Hard and soft: the log has the last generation that became stable or empty. What follows upon it
 * is soft: who joined since, the generation that they wait for. A coordinator that dies meanwhile
 * falls back to the record, its members' requests have a generation that it does not know, and
 * they join anew.
 */
enum classic_state {
    CLASSIC_EMPTY,
    CLASSIC_PREPARING_REBALANCE,
    CLASSIC_COMPLETING_REBALANCE,
    CLASSIC_STABLE,
};

/* --- protocols --- */

struct classic_protocol {
    struct str name;
    struct bytes metadata;
};

/* What one member can speak, the best first. One piece of memory; free() it. */
struct classic_protocols {
    int32_t count;
    struct classic_protocol list[];
};

struct classic_protocols *classic_protocols_new(const struct join_group_request_protocol *protocols,
                                                int32_t count);
bool classic_protocols_equal(const struct classic_protocols *protocols,
                             const struct join_group_request *request);
/* Empty when the member does not have it. */
struct bytes classic_protocols_metadata(const struct classic_protocols *protocols, struct str name);

/* How many members have each protocol, by name. */
struct classic_tally {
    struct map by_name; /* struct classic_count */
    uint32_t pass;
};

void classic_tally_add(struct classic_tally *tally, const struct classic_protocols *protocols);
void classic_tally_remove(struct classic_tally *tally, const struct classic_protocols *protocols);
void classic_tally_done(struct classic_tally *tally);
/* Whether this is a protocol that `members` members have, that is all of them. */
bool classic_tally_is_common(const struct classic_tally *tally, struct str name, size_t members);

/* Each member votes for the first of its protocols that all members have. Where two have as many
 * votes, the one that came into the tally first wins; null when nobody could vote. */
void classic_tally_begin_vote(struct classic_tally *tally);
void classic_tally_vote(struct classic_tally *tally, const struct classic_protocols *protocols,
                        size_t members);
struct str classic_tally_winner(const struct classic_tally *tally);

/* --- members --- */

struct classic_group;

struct classic_member {
    struct classic_group *classic;
    struct list link; /* of the group's order */
    struct str id;
    struct str instance_id; /* null: a dynamic member */
    struct str client_id;
    struct str client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    struct classic_protocols *protocols;
    struct bytes assignment;
    struct group_wait join; /* for the others to join */
    struct group_wait sync; /* for the leader's word */
    struct group_timer session;
    int32_t place;  /* in the record that is being made */
    bool is_new;    /* has not heard of its id yet, so it cannot be in touch */
    bool must_sync; /* of this generation, and has not asked */
};

/* An id that was given out and not come back yet (KIP-394). */
struct classic_pending {
    struct classic_group *classic;
    struct group_timer session;
    struct str id; /* behind the struct */
};

struct classic_group {
    struct group *group;
    enum classic_state state;
    int64_t state_since_ms; /* wall clock; -1: not known */
    int32_t generation;
    struct str protocol_type; /* null: nobody ever joined */
    struct str protocol_name; /* null: none was chosen */
    struct classic_member *leader;
    struct list order;      /* struct classic_member, as they came */
    struct map members;     /* the same by id */
    struct map instances;   /* the static ones, by instance id */
    struct map pending;     /* struct classic_pending by id */
    int32_t joined_count;   /* of the members that wait in `join` */
    int32_t unsynced_count; /* of those that must_sync */
    struct classic_tally tally;

    /* The first rebalance of an empty group waits for more members. */
    bool first_rebalance;
    bool member_came;          /* since the timer was set */
    int32_t first_delay_ms;    /* of the timer that is set */
    int32_t first_left_ms;     /* that it may still be put off */
    struct group_timer rejoin; /* PREPARING_REBALANCE: the last moment to join */
    struct group_timer resync; /* the last moment to sync */

    struct buffer logged; /* the record that the log has, when the state is another; else empty */
    bool taking_in;       /* a record is being applied */
    bool rejoin_due;      /* as the record says: all are to join, but none was told so far */

    /* What members read, as the chosen protocol's metadata say; made when it is asked for. */
    struct map topics; /* keys point into the members' metadata; a value says nothing */
    bool topics_known;
    bool topics_stale;
};

/* --- classic_group.c --- */

struct classic_group *classic_new(struct group *group);
void classic_free(struct classic_group *classic);

/* The part of a group that is GROUP_CLASSIC. */
struct classic_group *classic_of(const struct group *group);

/* What a member is when it comes. Everything is copied. */
struct classic_member *classic_member_add(struct classic_group *classic,
                                          const struct classic_newcomer *newcomer);
/* They come as they joined; NULL at the end. */
struct classic_member *classic_member_first(const struct classic_group *classic);
struct classic_member *classic_member_next(const struct classic_member *member);

/* Clears its timer. It waits nowhere. If it led, another one does: the one that came first. */
void classic_member_remove(struct classic_member *member);
void classic_member_rename(struct classic_member *member, struct str id);
void classic_member_set_protocols(struct classic_member *member,
                                  struct classic_protocols *protocols); /* takes them */
void classic_member_set_assignment(struct classic_member *member, struct bytes assignment);

struct classic_member *classic_member_find(const struct classic_group *classic, struct str id);
struct classic_member *classic_instance_find(const struct classic_group *classic, struct str id);

/* The member that a request names. UNKNOWN_MEMBER_ID; FENCED_INSTANCE_ID: the instance is another
 * member now. */
err_t classic_member_check(const struct classic_group *classic, struct str member_id,
                           struct str instance_id, struct classic_member **ret_member);

struct classic_pending *classic_pending_add(struct classic_group *classic, struct str id);
void classic_pending_remove(struct classic_pending *pending);
struct classic_pending *classic_pending_find(const struct classic_group *classic, struct str id);

/* Whether a member with these protocols could be in the group. */
bool classic_supports(const struct classic_group *classic,
                      const struct join_group_request *request);
/* The protocol of the next generation; there are members. */
struct str classic_select_protocol(struct classic_group *classic);
void classic_set_protocol_name(struct classic_group *classic, struct str name); /* null: none */
void classic_set_protocol_type(struct classic_group *classic, struct str type);

bool classic_is_consumer(const struct classic_group *classic); /* protocol type "consumer" */
int32_t classic_rebalance_timeout_ms(const struct classic_group *classic);
bool classic_all_joined(const struct classic_group *classic); /* also those with pending ids */

/* Who has to ask for its assignment of this generation. */
void classic_member_set_must_sync(struct classic_member *member, bool must_sync);

/* Makes sure that a member leads who has joined. False: nobody has. */
bool classic_elect_joined(struct classic_group *classic);

/* --- classic_topics.c --- */

/* Whether it is known which topics consumers read; and whether they read this one. */
bool classic_topics_known(struct classic_group *classic);
bool classic_reads_topic(struct classic_group *classic, struct str topic);

/* --- classic_rebalance.c --- */

void classic_set_state(struct classic_group *classic, const struct group_step *step,
                       enum classic_state state);
const char *classic_state_name(enum classic_state state);
int32_t classic_next_generation(const struct classic_group *classic);

/* The member waits for the others; an older request of it is told to try again. */
void classic_park_join(struct group_step *step, struct classic_member *member);
void classic_park_sync(struct group_step *step, struct classic_member *member);

/* A member is in touch. */
void classic_session_begin(struct group_step *step, struct classic_member *member,
                           int32_t timeout_ms);
void classic_session_renew(struct group_step *step, struct classic_member *member);

/* Members must join again. `reason` goes to the text log. */
void classic_prepare_rebalance(struct group_step *step, struct classic_group *classic,
                               const char *reason, ...) __attribute__((format(printf, 3, 4)));

/* The same, when the record of a group that became classic says that it is due. */
void classic_begin_due_rebalance(struct group_step *step, struct classic_group *classic);

/* All who were waited for may be there now. */
void classic_maybe_complete_join(struct group_step *step, struct classic_group *classic);
void classic_complete_join(struct group_step *step, struct classic_group *classic);

/* The member is none any more; if it waits, it gets the error. What follows from it is the
 * caller's business. */
void classic_expel(struct group_step *step, struct classic_member *member, err_t err);

/* The member's instance is somebody else from now on: it is told so if it waits. */
void classic_fence(struct group_step *step, struct classic_member *member);

/* group_timer.fire */
err_t classic_pending_expired(struct group_step *step, struct group_timer *timer);

/* Where a member that has joined stands. */
void classic_answer_join(const struct classic_member *member, struct arena *arena,
                         struct join_group_response *response);

/* --- classic_records.c --- */

/* Adds the record of the state as it is, and gives it back to be changed: value->members[] are by
 * `place` of the members. */
struct group_metadata_value *classic_add_record(struct group_step *step,
                                                struct classic_group *classic);

/* Before a soft change: keeps what the log says. */
void classic_keep_logged(struct classic_group *classic);

/* --- classic_join.c --- */

/* Takes what the step's JoinGroup says of a member that is there. */
void classic_update_member(struct group_step *step, struct classic_member *member);

/* The client's reason, for the text log. */
char *classic_join_reason(const struct group_step *step);

/* JoinGroup where no group is (NULL), or a GROUP_SIMPLE. */
err_t classic_join_first(struct group_step *step, struct group *group);

/* --- classic_static.c --- */

/* JoinGroup without an id of an instance that is known: a new process has taken its place. */
void classic_replace_static(struct group_step *step, struct classic_member *member, struct str id);

/* --- as group_ops --- */

bool classic_add_state(struct group_step *step, const struct group *group);

err_t classic_join(struct group_step *step, struct group *group);
err_t classic_sync(struct group_step *step, struct group *group);
err_t classic_heartbeat(struct group_step *step, struct group *group);
err_t classic_leave(struct group_step *step, struct group *group);
