#pragma once

#include "base/map.h"
#include "client/core.h"
#include "client/member.h"
#include "client/member_classic.h"
#include "client/member_consumer.h"
#include "client/member_leader.h"
#include "client/member_pattern.h"

/*
 * Private to what drives a member:
 *
 *     member.c                 the public functions, the actions of the state machines
 *     member_topics.c          which topics it subscribes to, and their names
 *     member_classic_ask.c     requests and answers of the classic protocol, leading
 *     member_consumer_ask.c    those of the consumer protocol
 */
enum { MEMBER_ASSIGNORS_MAX = 8 };

struct client_member {
    struct ottla_client *client;
    const struct client_settings *settings;
    struct member_owner owner;
    bool classic; /* which of the two machines it is */
    struct member_classic machine;
    struct member_consumer consumer;
    bool driving; /* inside client_member_drive */
    enum client_lane join_lane;
    struct sys_timer timer;
    struct client_watcher watcher;
    void (*left)(void *arg);
    void *left_arg;

    /* The subscription. */
    bool subscribed;
    struct str *names; /* rising, each once: as the user gave them, or as the pattern matches */
    size_t name_count;
    struct arena names_arena;
    struct str expression;          /* of a pattern; null: names */
    struct member_pattern *pattern; /* classic: it is matched here */
    bool matched;                   /* the pattern, with all topics there are */
    int64_t matching_since_ms;
    struct str *wanted; /* of metadata: names and, for a leader, the others' topics */
    size_t wanted_count;
    struct arena wanted_arena;
    bool wants_all;
    struct map topic_names; /* struct member_topic_name by id: those that metadata lacks */

    /* Classic. */
    const struct client_assignor *assignors[MEMBER_ASSIGNORS_MAX];
    size_t assignor_count;
    struct member_leader leader;
    struct arena leader_arena; /* of the assignments */
    struct sync_group_request_assignment *assignments;
    int32_t assignment_count;
    bool leading;
    bool skip_assignment;
    int64_t lead_by_ms;
    uint64_t led_snapshot; /* what the assignment was made from */

    /* On their way. */
    struct client_asked *request; /* JoinGroup or SyncGroup */
    struct client_asked *heartbeat;
    struct client_asked *leave;
    struct client_asked *resolve;
};

struct member_topic_name {
    struct uuid id;
    size_t size;
    char text[];
};

/* Takes all actions that are due. From a turn of the loop. */
void client_member_drive(struct client_member *member);
int64_t client_member_now_ms(const struct client_member *member);

/* What every request to the group's coordinator has in common. */
struct client_ask client_member_ask(const struct client_member *member, int16_t api_key);

/* --- member_topics.c --- */

void client_member_topics_init(struct client_member *member);
void client_member_topics_done(struct client_member *member);

/* Returns the text of what is wrong with it; "" when nothing is. */
err_t client_member_topics_set(struct client_member *member, const struct str *topics, size_t count,
                               struct str pattern, char *ret_text, size_t text_size);
void client_member_topics_clear(struct client_member *member);

/* Metadata changed: whether the pattern matches other topics now. */
bool client_member_topics_match(struct client_member *member);
bool client_member_topics_has(const struct client_member *member, struct str topic);

/* Keeps what has to be watched among what metadata is asked for. */
void client_member_topics_want(struct client_member *member);

struct str client_member_topic_name(struct client_member *member, const struct uuid *id);

/* Asks for the names of topics that are assigned and not known. */
void client_member_topics_resolve(struct client_member *member);

/* --- member_classic_ask.c --- */

/* Reads partition.assignment.strategy. */
err_t client_member_assignors_init(struct client_member *member, char *ret_text, size_t text_size);
bool client_member_all_cooperative(const struct client_member *member);

void client_member_send_join(struct client_member *member);
void client_member_send_sync(struct client_member *member);
void client_member_send_classic_heartbeat(struct client_member *member);
void client_member_send_leave(struct client_member *member);

void client_member_lead(struct client_member *member);
void client_member_lead_go_on(struct client_member *member); /* metadata or time went on */

/* Rejoins when the leader's assignment was made from other metadata. */
void client_member_watch_snapshot(struct client_member *member);

/* --- member_consumer_ask.c --- */

void client_member_send_consumer_heartbeat(struct client_member *member);
void client_member_send_consumer_leave(struct client_member *member);
