#pragma once

#include "coord/consumer.h"
#include "coord/consumer_partitions.h"
#include "coord/subscription.h"

/*
 * The state of a consumer group, and what the files of its state machine share:
 *
 *   consumer_heartbeat.c   ConsumerGroupHeartbeat: checks, joining, what follows from a heartbeat
 *   consumer_seat.c        whose heartbeat it is
 *   consumer_turn.c        the way from what a member says to its new ownership
 *   consumer_target.c      what each member shall own: when an assignor runs, and where
 *   consumer_plan.c        … and how
 *   consumer_reconcile.c   what a member may own now, on the way to that
 *   consumer_leave.c       members that leave or are fenced; sessions and other timeouts
 *   consumer_regex.c       regular expressions: resolved on workers
 *   consumer_classic.c     JoinGroup, SyncGroup … of members of the classic protocol
 *   consumer_protocol.c    … and what they send each other
 *   consumer_convert.c     classic groups become consumer groups, and the other way round
 *   consumer_records.c     records that a step adds
 *   consumer_apply.c       records taken in
 *   consumer_group.c       members, who owns what, counts
 *   consumer_profile.c     what a member is: compared, copied
 *   consumer_ops.c         what all kinds of groups are asked; ConsumerGroupDescribe
 *
 * Three epochs: the group's, which rises whenever its members, their subscriptions or the topics
 * change; the target's, which is the group's epoch that the assignor last ran for; and each
 * member's, which is the target's that its ownership comes from. After the last number all members
 * are fenced, and the group begins anew with those that come back (consumer_begin_anew).
 */

/* The numbers of records. */
enum consumer_state {
    CONSUMER_STABLE = 0,
    CONSUMER_UNREVOKED = 1,  /* owns partitions that it shall not own any more */
    CONSUMER_UNRELEASED = 2, /* shall own partitions that others did not give back yet */
    CONSUMER_UNKNOWN = 127,
};

enum {
    EPOCH_JOIN = 0,
    EPOCH_LEAVE = -1,
    EPOCH_LEAVE_STATIC = -2, /* gone for a while; also the epoch of such a member */
    EPOCH_FIRST = 1,         /* of a group */
    EPOCH_LAST = INT32_MAX,
};

/* --- members --- */

/* What a member says of itself: ConsumerGroupMemberMetadata. */
struct consumer_profile {
    struct str instance_id; /* null: a dynamic member */
    struct str rack_id;     /* null: not said */
    struct str client_id;
    struct str client_host;
    const struct str *topics; /* names, sorted, each once */
    int32_t topic_count;
    struct str regex; /* null or empty: none */
    int32_t rebalance_timeout_ms;
    struct str assignor; /* null: as the others want it */
    bool is_classic;     /* speaks the classic protocol: */
    int32_t session_timeout_ms;
    const struct join_group_request_protocol *protocols;
    int32_t protocol_count;
};

/* What it was given: ConsumerGroupCurrentMemberAssignment. */
struct consumer_ownership {
    int32_t epoch;
    int32_t previous_epoch;
    enum consumer_state state;
    struct partition_set assigned; /* epochs: when each was assigned */
    struct partition_set revoking; /* still owned, to be given up */
};

/* The values of both before anything was said. */
struct consumer_profile consumer_profile_none(void);
struct consumer_ownership consumer_ownership_none(void);

bool consumer_profile_equal(const struct consumer_profile *a, const struct consumer_profile *b);
bool consumer_ownership_equal(const struct consumer_ownership *a,
                              const struct consumer_ownership *b);
bool consumer_topics_equal(const struct consumer_profile *a, const struct consumer_profile *b);

/* Sorted, each once; in the arena, with the same texts. */
const struct str *consumer_sort_names(struct arena *arena, const struct str *names, int32_t count,
                                      int32_t *ret_count);

/* A copy in one piece of memory that may be shared (see piece.h); or in an arena. */
void *consumer_profile_copy(const struct consumer_profile *profile,
                            struct consumer_profile *ret_copy);
struct consumer_profile consumer_profile_keep(const struct consumer_profile *profile,
                                              struct arena *arena);

static inline bool consumer_has_regex(const struct consumer_profile *profile) {
    return profile->regex.size > 0;
}
static inline bool consumer_is_reconciled(const struct consumer_ownership *ownership,
                                          int32_t target_epoch) {
    return ownership->state == CONSUMER_STABLE && ownership->epoch == target_epoch;
}

struct consumer_group;

struct consumer_member {
    struct consumer_group *consumer;
    struct str id; /* behind the struct */
    bool exists;   /* else there is only a target of that id */
    struct consumer_profile profile;
    void *profile_memory;
    struct consumer_ownership ownership;
    bool has_target;
    struct partition_set target;

    struct group_timer session;
    struct group_timer revocation; /* UNREVOKED must end until then … */
    int32_t revocation_epoch;      /* … if the member still is at this epoch */
    struct group_timer join;       /* classic members: must join again, or sync */
    struct group_timer sync;
};

/* --- groups --- */

/* How many members want each of some names. */
struct consumer_tally {
    struct map by_name; /* struct consumer_count */
};
struct consumer_count {
    struct str name; /* behind the struct */
    int32_t count;
};
void consumer_tally_add(struct consumer_tally *tally, struct str name, int32_t by);
int32_t consumer_tally_count(const struct consumer_tally *tally, struct str name);
void consumer_tally_done(struct consumer_tally *tally);

struct consumer_group {
    struct group *group; /* NULL: only for the length of a step */
    struct groups *groups;
    struct str id; /* the group's */

    int32_t epoch;
    int64_t metadata_hash;
    int32_t target_epoch;
    int64_t target_timestamp_ms;  /* wall clock; 0: never */
    struct map members;           /* struct consumer_member by id, in the order of coming */
    int32_t member_count;         /* of those that exist */
    int32_t classic_member_count; /* of these, those of the classic protocol */
    struct map instances;         /* the static ones, by instance id */
    struct subscription subscription;
    struct consumer_tally assignors;
    struct consumer_tally protocols; /* of classic members */
    struct map owned;                /* struct consumer_owned by topic id */
    bool has_topics_record;          /* of releases before 4.1 */

    /* Soft. */
    bool metadata_fresh;    /* the hash is that of the image */
    int64_t topics_version; /* of the image in which a topic last came up; -1: not since the load */
    struct consumer_resolution *resolution; /* that is under way; NULL: none */
    struct consumer_planning *planning;     /* likewise */
};

/* The epochs of the members that own a topic's partitions; -1: nobody. */
struct consumer_owned {
    struct uuid topic_id;
    int32_t *epochs;
    int32_t capacity;
    int32_t count; /* of those that somebody owns */
};

/* group NULL: for the length of a step. */
struct consumer_group *consumer_new(struct groups *groups, struct group *group, struct str id);
void consumer_free(struct consumer_group *consumer); /* accepts NULL */

/* The part of a group that is GROUP_CONSUMER. */
struct consumer_group *consumer_of(const struct group *group);
/* By id; NULL: there is no such consumer group. */
struct consumer_group *consumer_find(const struct groups *groups, struct str group_id);

/* Members that exist; NULL: none. */
struct consumer_member *consumer_member_find(const struct consumer_group *consumer, struct str id);
struct consumer_member *consumer_instance_find(const struct consumer_group *consumer,
                                               struct str instance_id); /* null: none */
struct consumer_member *consumer_member_next(const struct consumer_group *consumer,
                                             size_t *cursor); /* as map_next */

/* Epoch of the member that owns a partition, or -1. */
int32_t consumer_partition_epoch(const struct consumer_group *consumer, struct uuid topic_id,
                                 int32_t partition);

const char *consumer_state_name(const struct consumer_group *consumer);

/* --- changes of hard state: by consumer_apply.c, and on groups made for a step --- */

void consumer_set_profile(struct consumer_group *consumer, struct str member_id,
                          const struct consumer_profile *profile); /* copied */
void consumer_set_ownership(struct consumer_group *consumer, struct str member_id,
                            const struct consumer_ownership *ownership); /* copied */
void consumer_remove_member(struct consumer_group *consumer, struct str member_id);
void consumer_set_target(struct consumer_group *consumer, struct str member_id,
                         const struct partition_set *target); /* copied */
void consumer_remove_target(struct consumer_group *consumer, struct str member_id);

/* --- consumer_records.c: what they point at is copied --- */

void consumer_record_epoch(struct group_step *step, struct str group_id, int32_t epoch,
                           int64_t metadata_hash);
void consumer_record_profile(struct group_step *step, struct str group_id, struct str member_id,
                             const struct consumer_profile *profile);
void consumer_record_ownership(struct group_step *step, struct str group_id, struct str member_id,
                               const struct consumer_ownership *ownership);
void consumer_record_target(struct group_step *step, struct str group_id, struct str member_id,
                            const struct partition_set *target);
void consumer_record_target_epoch(struct group_step *step, struct str group_id, int32_t epoch,
                                  int64_t timestamp_ms);
void consumer_record_regex(struct group_step *step, struct str group_id, struct str expression,
                           const struct str *topics, int32_t topic_count, int64_t version,
                           int64_t timestamp_ms);

/* Tombstones. */
void consumer_record_no_member(struct group_step *step, struct str group_id,
                               struct str member_id); /* all three that a member has */
void consumer_record_no_regex(struct group_step *step, struct str group_id, struct str expression);
void consumer_record_no_topics(struct group_step *step, struct str group_id);
/* Of the whole group; one member may have another id by then (NULL: none has). */
struct consumer_rename {
    struct str from;
    struct str to;
};
void consumer_record_no_group(struct group_step *step, const struct consumer_group *consumer,
                              const struct consumer_rename *rename);
/* All that the log says of the group. */
void consumer_record_all(struct group_step *step, const struct consumer_group *consumer);

/* What a client is told instead; in the step's arena, as long as it. */
struct consumer_refusal {
    err_t err; /* ERR_OK: nothing */
    struct str message;
};

/* --- consumer_turn.c --- */

/*
 * One member's turn: what it said, and what follows for its group. Lives for the length of a step,
 * in its arena, and on until the step is settled.
 */
struct consumer_turn {
    struct group_step *step;
    struct str group_id;
    struct consumer_group *consumer; /* as it is before the turn, without the turn's records */
    bool made;                       /* consumer is for the length of the step */
    bool upgrades;                   /* it comes from a classic group */
    struct str member_id;

    /* The member whose place in the group it has: itself, or the static one that it replaces. NULL:
     * it is new. */
    const struct consumer_member *place;
    bool replaces;
    struct consumer_profile profile_before; /* both as if it had its new id already */
    struct consumer_ownership ownership_before;
    struct consumer_profile profile; /* what the turn makes of them */
    struct consumer_ownership ownership;

    /* What the member says it owns; -1: it says nothing. */
    const struct consumer_group_heartbeat_request_topic_partitions *owned;
    int32_t owned_count;

    int32_t group_epoch;
    int32_t target_epoch;
    struct partition_set target; /* of the member */
    bool ownership_changed;
    bool hash_taken; /* metadata_fresh was set; to be taken back when the append fails */
    struct consumer_expressions *resolve; /* to be started; NULL: none */
    bool plan_later;                      /* likewise */
    int32_t session_timeout_ms;
    int32_t sync_timeout_ms; /* of a classic member that joined; -1: none */
};

/* A member's turn; it says nothing about what it owns. */
struct consumer_turn *consumer_turn_new(struct group_step *step, struct str group_id,
                                        struct str member_id);
/* Not good: all that the step did is taken back. */
void consumer_turn_end(struct consumer_turn *turn, bool good);

/* Where the turn begins: a member as it is (NULL: a new one), or one that it replaces. */
void consumer_turn_sit(struct consumer_turn *turn, const struct consumer_member *place,
                       bool replaces);

struct str consumer_make_member_id(struct group_step *step);

/* How a member's subscription changed. */
struct consumer_subscription_change {
    bool topics;         /* names */
    bool regex;          /* the expression */
    bool regex_resolved; /* … and it is known already what the new one stands for */
};

/* The turn's profile against the one before: its record. An expression is a good one already. */
struct consumer_subscription_change consumer_turn_subscribe(struct consumer_turn *turn);
/* A new epoch for the group, if `bump` or if the topics are not those of the hash. */
void consumer_turn_bump_epoch(struct consumer_turn *turn, bool bump);
/* turn->target and its epoch, from the assignor if it may run. */
void consumer_turn_take_target(struct consumer_turn *turn);
/* turn->ownership is then what the member is told. */
void consumer_turn_reconcile(struct consumer_turn *turn, bool subscription_changed);

/* Puts a member in the place of a static one: tombstones and new records. */
void consumer_turn_replace(struct consumer_turn *turn);

/* As step->settled, with the turn as context: sessions. Called also where it is not set. */
void consumer_turn_settled(struct group_step *step, err_t err);

/* --- consumer_seat.c --- */

struct consumer_refusal consumer_refuse(err_t err, struct str message);

/* Fills in turn->consumer: the group as it is, or, for one who joins, as it will be. */
struct consumer_refusal consumer_turn_find_group(struct consumer_turn *turn, bool joins);
/* Whether there is room for the member, unless it is in already. */
struct consumer_refusal consumer_turn_check_size(const struct consumer_turn *turn);
/* Seats the member; the epoch must be one that it may have. */
struct consumer_refusal consumer_turn_find_member(struct consumer_turn *turn);

/* Whether a static member is the turn's: UNKNOWN_MEMBER_ID (NULL), FENCED_INSTANCE_ID. */
struct consumer_refusal consumer_check_instance(const struct consumer_turn *turn,
                                                const struct consumer_member *member,
                                                struct str instance_id);
struct consumer_refusal consumer_unknown_member(const struct consumer_turn *turn);

/* --- consumer_target.c --- */

/* A target for group_epoch: adds its records, and turn->target is the member's part of it. For a
 * large group that is left to a worker, and turn->target stays. */
void consumer_target_update(struct consumer_turn *turn);
void consumer_planning_start(struct group_step *step, struct consumer_group *consumer);
void consumer_planning_cancel(struct consumer_planning *planning); /* accepts NULL */

/* The names of assignors that this node has, as group.consumer.assignors lists them. */
bool consumer_assignor_known(const struct groups *groups, struct str name);
struct str consumer_assignor_list(const struct groups *groups, struct arena *arena);
/* Which one the group uses; with the turn's member NULL: as it is. */
struct str consumer_assignor_preferred(const struct consumer_group *consumer,
                                       const struct consumer_turn *turn);

/* --- consumer_reconcile.c --- */

/* Whether the member says that it owns one of these partitions still; it may say nothing. */
bool consumer_reconcile_owns(const struct consumer_turn *turn, const struct partition_set *set);

/* turn->ownership on its way to turn->target. */
void consumer_reconcile(struct consumer_turn *turn, bool subscription_changed);

/* Topics that a profile names, or that its expression stands for. */
bool consumer_subscribes(const struct consumer_group *consumer,
                         const struct consumer_profile *profile, struct str topic);

/* --- consumer_leave.c --- */

/* These members (each once) are gone: tombstones, a new epoch; or the group becomes a classic one,
 * when only members of that protocol are left. */
void consumer_fence(struct group_step *step, struct consumer_group *consumer,
                    struct consumer_member *const *members, int32_t count);

/* Whether the group is at the last epoch: then nothing about it can change any more. */
static inline bool consumer_is_spent(const struct consumer_group *consumer) {
    return consumer->epoch == EPOCH_LAST;
}
/* All members are gone, and the group is at its first epoch. */
void consumer_begin_anew(struct group_step *step, struct consumer_group *consumer);

/* group_timer.fire */
err_t consumer_session_expired(struct group_step *step, struct group_timer *timer);
err_t consumer_revocation_expired(struct group_step *step, struct group_timer *timer);
err_t consumer_join_expired(struct group_step *step, struct group_timer *timer);
err_t consumer_sync_expired(struct group_step *step, struct group_timer *timer);

void consumer_timer_set(struct group_step *step, struct group_timer *timer, int32_t timeout_ms,
                        err_t (*fire)(struct group_step *step, struct group_timer *timer));
void consumer_clear_timers(struct consumer_member *member);
/* A member that has to give up partitions has the time that it gave itself. */
void consumer_revocation_begin(struct group_step *step, struct consumer_member *member);

/* A setting of the group between the node's bounds. */
int32_t consumer_session_timeout_ms(const struct groups *groups, struct str group_id);
int32_t consumer_heartbeat_interval_ms(const struct groups *groups, struct str group_id);
int32_t consumer_assignment_interval_ms(const struct groups *groups, struct str group_id);

/* --- consumer_regex.c --- */

struct consumer_expressions {
    const struct str *list;
    int32_t count;
};

/* Has the group's expressions resolved where that is due; `required`: at once. */
void consumer_regex_refresh(struct consumer_turn *turn, bool required);
void consumer_regex_start(struct group_step *step, struct consumer_group *consumer,
                          const struct consumer_expressions *expressions);
void consumer_resolution_cancel(struct consumer_resolution *resolution); /* accepts NULL */

/* --- consumer_classic.c --- */

err_t consumer_classic_join(struct group_step *step, struct group *group);
err_t consumer_classic_sync(struct group_step *step, struct group *group);
err_t consumer_classic_heartbeat(struct group_step *step, struct group *group);
err_t consumer_classic_leave(struct group_step *step, struct group *group);

/* --- consumer_protocol.c --- */

/* What members of the classic protocol send. MALFORMED. */
err_t consumer_read_subscription(struct bytes bytes, struct arena *arena,
                                 struct consumer_protocol_subscription *ret);
err_t consumer_read_assignment(struct bytes bytes, struct arena *arena,
                               struct consumer_protocol_assignment *ret);

/* In the version of the member's subscription; only topics that exist. */
struct bytes consumer_write_assignment(const struct group_step *step,
                                       const struct partition_set *set, struct bytes subscription);

/* The partitions that exist. */
struct partition_set
consumer_partitions_of(const struct group_step *step,
                       const struct consumer_protocol_assignment_topic_partition *list,
                       int32_t list_count, int32_t epoch);

/* --- consumer_convert.c --- */

/* Whether members of both protocols may be in one group. */
bool consumer_may_mix(const struct groups *groups);

/* A classic group becomes a consumer group: records, and the group as it will be, for
 * consumer_free. Refused: NULL. */
struct consumer_group *consumer_upgrade(struct group_step *step, struct group *group,
                                        struct consumer_refusal *ret_refusal);

/* Whether only classic members are left without these, or once the turn's has the place of the last
 * other one; and the group may become a classic one. */
bool consumer_may_downgrade(const struct consumer_group *consumer,
                            struct consumer_member *const *without, int32_t count);
bool consumer_may_downgrade_with(const struct consumer_turn *turn);
/* turn: of the member that takes a place; or NULL. With `rebalance` all have to join again. */
void consumer_downgrade(struct group_step *step, struct consumer_group *consumer,
                        struct consumer_member *const *without, int32_t count,
                        const struct consumer_turn *turn, bool rebalance);
