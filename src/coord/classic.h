#pragma once

#include "coord/group_int.h"

/*
 * Groups of the classic protocol: members join, a leader among them shares out the work, all sync,
 * then heartbeats. This is what the tables of this module, and consumer groups with classic
 * members, need of it; the state machine is in classic_int.h.
 *
 * All on the shard's loop.
 */
extern const struct group_ops classic_ops;

/* --- rows of records.c --- */

/* GroupMetadata: a generation that became stable or empty, or a tombstone. */
void classic_apply(struct groups *groups, const struct coord_record *record);

/* --- rows of apis.c: requests that classic groups and others share --- */

/* Ids that are missing, times that are not allowed. */
bool classic_check_join(const struct coord_call *call, const struct groups *groups, void *response);
bool classic_check_sync(const struct coord_call *call, const struct groups *groups, void *response);
bool classic_check_heartbeat(const struct coord_call *call, const struct groups *groups,
                             void *response);
bool classic_check_leave(const struct coord_call *call, const struct groups *groups,
                         void *response);

/* Each finds the group, and passes the request on to its ops. Where there is no group yet, or only
 * a GROUP_SIMPLE, a member begins a classic group. */
err_t classic_step_join(struct group_step *step);
err_t classic_step_sync(struct group_step *step);
err_t classic_step_heartbeat(struct group_step *step);
err_t classic_step_leave(struct group_step *step);

void classic_fail_join(const struct coord_call *call, int16_t code, void *response);
void classic_fail_sync(const struct coord_call *call, int16_t code, void *response);
void classic_fail_heartbeat(const struct coord_call *call, int16_t code, void *response);
void classic_fail_leave(const struct coord_call *call, int16_t code, void *response);

/* --- for consumer groups: classic members, and groups that change their protocol --- */

/* A new member id, as Kafka makes it: "<instance id, else client id>-<random uuid>". */
struct str classic_make_member_id(struct group_step *step, struct str instance_id);

/* Fills in an answer that refuses a JoinGroup of that version. */
void classic_refuse_join(struct join_group_response *response, int16_t version, err_t err,
                         struct str member_id);

/* JoinGroup for a consumer group without members: its tombstones, then a classic group begins. The
 * request is the step's. The part of before is freed at once, so the tombstones must not point into
 * it. */
err_t classic_join_instead(struct group_step *step, struct group *group);

/* From classic: everybody who waits is told to join again (classic_int.h has the members). Before
 * the step that makes it a consumer group. */
void classic_release_all(struct group_step *step, struct group *group);

/* What a member of a consumer group brings along when the group becomes a classic one. */
struct classic_newcomer {
    struct str member_id;
    struct str instance_id; /* null: none */
    struct str client_id;
    struct str client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    const struct join_group_request_protocol *protocols; /* in the member's order */
    int32_t protocols_count;
    struct bytes assignment; /* in the format of the protocol that classic_choose_protocol says */
};

/* What most of them vote for among the protocols that all have; null when there is none. */
struct str classic_choose_protocol(const struct classic_newcomer *members, int32_t count);

/*
 * To classic: adds the record of a stable group with protocol type "consumer", behind the caller's
 * tombstones. Its apply replaces the part of before. Sets step->settled: there sessions begin, and
 * with `rebalance` the members have to join again.
 */
void classic_convert(struct group_step *step, struct group *group, int32_t generation,
                     const struct classic_newcomer *members, int32_t count, bool rebalance);
