#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "client/consumer.h"
#include "client/core.h"
#include "client/fetched.h"
#include "client/member.h"
#include "ottla/consumer.h"

/*
 * Private to the consumer: consumer*.c, positions.c, fetch*.c, offsets*.c.
 *
 *     consumer.c            life; positions come and go
 *     consumer_assign.c     what is read by hand; pause, seek, lag
 *     consumer_subscribe.c  into a group, out of it; close
 *     consumer_group.c      the member's wishes, told to the application inside poll
 *     consumer_poll.c       records to the application
 *     consumer_commit.c     commits of the application, and behind it
 *     positions.c           where a partition is read next: committed, reset, validated
 *     leader_query.c        offsets by time, ends of epochs: asked of the leaders
 *     fetch.c               who is asked for what; fetch_request.c, fetch_answer.c: the session
 *     fetched.c             records out of one partition's answer
 *     offsets_commit.c      commits, in order; offsets_committed.c: what was committed
 *     offsets.c             partitions by topic, for requests about offsets
 */

/* A topic that something is assigned of. Its name is in records that were handed out, so it goes
 * with them (consumer->retired_topics). */
struct consumer_topic {
    struct list link;     /* in retired_topics */
    struct str name;      /* zero-terminated */
    struct uuid id;       /* as metadata has it; zero: none */
    struct map positions; /* by partition */
};

/*
 *   AWAITING    the group's committed offset is to be asked for, or is on its way
 *   RESETTING   there is none, or it is out of range: the offset at reset_timestamp is looked up
 *   VALIDATING  the leader changed: did its log keep what was read? (OffsetForLeaderEpoch)
 *   READING     the offset is good; fetches go
 *   STUCK       auto.offset.reset=none, and no offset: told by poll, tried again after a rest
 */
enum position_state {
    POSITION_AWAITING,
    POSITION_RESETTING,
    POSITION_VALIDATING,
    POSITION_READING,
    POSITION_STUCK,
    POSITION_STATE_COUNT,
};

/* Where one assigned partition is read. */
struct position {
    struct list link; /* in consumer->positions */
    struct consumer_topic *topic;
    int32_t partition;
    enum position_state state;
    uint64_t turn; /* unique in the consumer, new with every change from outside: what was asked
                    * before it is void */
    bool asking;   /* AWAITING to VALIDATING: it is on its way */
    bool paused;
    bool revoking; /* about to be given away: nothing is read any more */
    bool gone;     /* the application was told so, or an event that waits tells it */
    int attempt;   /* failures in a row */
    int64_t rest_until_ms;

    int64_t offset;          /* of the next record for the application; -1: not known */
    int32_t offset_epoch;    /* of the record before it; -1: not known */
    int64_t reset_timestamp; /* RESETTING */
    int32_t leader;          /* as metadata said when it was last placed; -1: none */
    int32_t leader_epoch;
    int32_t validated_epoch; /* the leader epoch for which the offset was found good; -1: none */
    int64_t high_watermark;  /* as fetches told; -1: not yet */
    int64_t last_stable_offset;
    int64_t log_start_offset;

    /* Fetching: fetch.c */
    struct fetcher *fetcher; /* who reads it; NULL: nobody now */
    struct list fetcher_link;
    int64_t fetch_offset;   /* behind what was fetched; `offset` when nothing is queued */
    struct list fetched;    /* struct fetched: what the application has not seen */
    struct list ready_link; /* in consumer->ready while there is any */
    size_t fetched_size;
    int fruitless;     /* answers with bytes that led nowhere */
    int resets;        /* for being out of range, in a row */
    int32_t preferred; /* a follower that the leader named; -1: the leader */
    int64_t preferred_until_ms;
    bool in_session; /* the broker knows it; with: */
    bool in_flight;  /* part of the fetch that is on its way */
    int64_t sent_offset;
    int32_t sent_epoch;

    err_t error; /* to be told by the next poll; OK: none */
    struct list error_link;
    int64_t error_offset;
};

/*
 * Told to the application in the next poll. Partitions are given away in steps, so that nothing
 * waits inside: NEW -> COMMITTING (what it has seen, with enable.auto.commit) -> TOLD (commits it
 * made when told are on their way) -> away.
 */
enum rebalance_kind { REBALANCE_REVOKED, REBALANCE_ASSIGNED, REBALANCE_LOST };
enum rebalance_step { REBALANCE_NEW, REBALANCE_COMMITTING, REBALANCE_TOLD };

struct rebalance_event {
    struct list link;
    enum rebalance_kind kind;
    enum rebalance_step step;
    struct ottla_partition *partitions; /* to tell */
    size_t count;
    struct ottla_partition *all; /* ASSIGNED: what is assigned now */
    size_t all_count;
    bool past;          /* REVOKED: by an unsubscribe, or lost meanwhile: only to be told */
    bool telling;       /* the application looks at it */
    uint64_t losses;    /* LOST: consumer->losses of it */
    struct arena arena; /* of all */
};

struct ottla_consumer {
    struct ottla_client *client;
    const struct client_settings *settings;
    bool closing;
    bool closed;
    bool woken;      /* poll has something to look at */
    int64_t turn_ms; /* when poll last ran the loop */
    void (*ready_fn)(void *arg);
    void *ready_arg;

    /* what is read */
    struct map topics; /* by name */
    struct list positions;
    size_t position_count;
    uint64_t last_turn;
    struct list retired_topics;
    struct client_watcher watcher;
    struct sys_timer timer; /* of the next step */
    bool place_wanted;      /* positions were added */

    /* the group: consumer_group.c */
    struct client_member *member; /* NULL: never subscribed */
    bool subscribed;
    bool leaving;      /* the member is on its way out: what is subscribed meanwhile waits */
    bool leave_wanted; /* it will leave when commits are through */
    int64_t leave_timeout_ms;
    struct arena subscription;
    struct str *topic_names; /* in `subscription` */
    size_t topic_name_count;
    struct str pattern; /* null: names */
    struct ottla_rebalance rebalance;
    struct list events;    /* struct rebalance_event */
    uint64_t losses;       /* how often the member lost what it had */
    uint64_t losses_known; /* to the application */
    bool in_callback;
    bool release_owed; /* the member waits for client_member_released */
    err_t failed;      /* of the membership; OK: none */
    char failed_text[OTTLA_ERROR_TEXT_SIZE];
    struct arena identity; /* texts of ottla_consumer_membership */
    char *known_member_id; /* of the membership that the last poll left it with; NULL: none */
    int32_t known_generation;

    /* offsets */
    struct list commits; /* struct commit, oldest first; the first is on its way */
    size_t commit_count;
    int64_t auto_commit_ms; /* when the next is due */
    bool auto_committing;
    struct list lookups;          /* struct committed_lookup */
    struct list queries;          /* struct leader_query of positions */
    struct arena committed_texts; /* of ottla_consumer_committed */

    /* fetches */
    struct map fetchers; /* by broker id */
    struct list ready;   /* positions with records */
    struct list errors;  /* positions with an error to tell */
    size_t fetched_size; /* of all */
    struct fetched_pool pool;
    struct ottla_record *records;
    size_t record_max; /* of one poll */
    struct arena headers;
};

/* --- consumer.c --- */

struct position *consumer_position(const struct ottla_consumer *consumer, struct str topic,
                                   int32_t partition);
struct position *consumer_position_add(struct ottla_consumer *consumer, struct str topic,
                                       int32_t partition);
void consumer_position_remove(struct ottla_consumer *consumer, struct position *position);

/* CLOSED; BUSY inside a rebalance callback. */
int consumer_check(const struct ottla_consumer *consumer, struct ottla_error *ret_error);

void consumer_positions_clear(struct ottla_consumer *consumer);
/* The application looks at no record any more. */
void consumer_let_go(struct ottla_consumer *consumer);

/* What was found out so far is void: offset, questions, fetched records. */
void position_begin(struct ottla_consumer *consumer, struct position *position);
/* From this offset on (an own one: -1 for the epoch), validated when it has an epoch. */
void position_set(struct ottla_consumer *consumer, struct position *position, int64_t offset,
                  int32_t epoch);
/* Looks for an offset: by timestamp (OTTLA_OFFSET_EARLIEST, …). */
void position_reset(struct ottla_consumer *consumer, struct position *position, int64_t timestamp);
/* As auto.offset.reset says. */
void position_reset_by_policy(struct ottla_consumer *consumer, struct position *position,
                              err_t why);

/* The work that has become possible is done in a later turn of the loop. */
void consumer_want_step(struct ottla_consumer *consumer);
/* And not later than at this time. */
void consumer_step_at(struct ottla_consumer *consumer, int64_t when_ms);
/* Poll looks again. */
void consumer_wake(struct ottla_consumer *consumer);

/* Not asked again before a pause, which grows. */
void position_rest(struct ottla_consumer *consumer, struct position *position);
/* The next poll tells it. */
void position_fail(struct ottla_consumer *consumer, struct position *position, err_t err);
int64_t consumer_now_ms(const struct ottla_consumer *consumer);

/* --- positions.c --- */

/* Takes leaders and epochs from metadata; positions whose leader changed are validated. */
void positions_place(struct ottla_consumer *consumer);
void position_validate(struct ottla_consumer *consumer, struct position *position);
/* Asks what is to be asked. */
void positions_step(struct ottla_consumer *consumer);
/* Questions of all positions end. */
void positions_done(struct ottla_consumer *consumer);

/* --- fetch.c --- */

/* Gives the position to the broker that it should be read from now. */
void fetch_place(struct ottla_consumer *consumer, struct position *position);
/* Nobody reads it. */
void fetch_leave(struct position *position);
/* What was fetched is thrown away. */
void fetch_drop(struct ottla_consumer *consumer, struct position *position);
/* The application wants no records of it for now, or again. */
void fetch_pause(struct ottla_consumer *consumer, struct position *position, bool pause);
/* Something of this position changed that a request would say. */
void fetch_touch(struct position *position);
/* Sends what can be sent. */
void fetch_step(struct ottla_consumer *consumer);
/* `count` bytes of it were handed out. */
void fetch_consumed(struct ottla_consumer *consumer, struct position *position, size_t size);
/* Brokers that hold a session are told that it is over; waits. */
void fetch_close_sessions(struct ottla_consumer *consumer, int64_t deadline_ms);
/* No position is left. */
void fetch_done(struct ottla_consumer *consumer);

/* --- consumer_group.c --- */

/* Tells the application what happened to its group, as far as it can be told now. */
void consumer_tell(struct ottla_consumer *consumer);
/* After it: keeps the membership that the application knows of. */
void consumer_note_identity(struct ottla_consumer *consumer);
/* Gives up what is subscribed or assigned. What was, is committed and told later. */
void consumer_give_up(struct ottla_consumer *consumer);
/* The member leaves when commits are through. */
void consumer_leave(struct ottla_consumer *consumer, int64_t timeout_ms);
/* Commits have been answered: who waits for that goes on. */
void consumer_commits_through(struct ottla_consumer *consumer);
struct member_owner consumer_owner(struct ottla_consumer *consumer);
/* The next poll tells that all was revoked; what was to be told before is over. */
void consumer_tell_later(struct ottla_consumer *consumer);
/* Tells at once what is not told yet, and that all is revoked. */
void consumer_tell_the_end(struct ottla_consumer *consumer);
void consumer_group_done(struct ottla_consumer *consumer);

/* --- offsets_commit.c, offsets_committed.c --- */

/* Commits behind the application's back what it has seen, when it is time; `now`: at once. */
void commit_auto(struct ottla_consumer *consumer, bool now);
/* When the next is due; INT64_MAX: never, or one is on its way. */
int64_t commit_auto_deadline(const struct ottla_consumer *consumer);
void commits_done(struct ottla_consumer *consumer);
void committed_done(struct ottla_consumer *consumer);

/* One partition's committed offset. */
struct committed_item {
    struct str topic; /* copied */
    int32_t partition;
    uint64_t tag; /* the asker's */
    err_t err;
    int64_t offset; /* -1: none */
    int32_t leader_epoch;
    struct str metadata;
};
typedef void (*committed_fn)(void *arg, err_t err, const struct committed_item *items,
                             size_t count);

/* `done` is told in a turn of the loop: what ended it, or OK with an error or an offset in each
 * item, sorted by topic and partition. The handle is good until then. */
struct committed_lookup *committed_ask(struct ottla_consumer *consumer,
                                       const struct committed_item *items, size_t count,
                                       int64_t timeout_ms, committed_fn done, void *arg);
void committed_cancel(struct committed_lookup *lookup);
