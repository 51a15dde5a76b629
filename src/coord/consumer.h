#pragma once

#include "coord/group_int.h"

/*
 * Consumer groups (KIP-848): members say by heartbeats what they subscribe to and what they own,
 * the coordinator says what they shall own. This is what the tables of this module need of it; the
 * state machine is in consumer_int.h.
 *
 * All on the shard's loop.
 */
extern const struct group_ops consumer_ops;

/* --- rows of records.c --- */

void consumer_apply_epoch(struct groups *groups, const struct coord_record *record);
void consumer_apply_topics(struct groups *groups, const struct coord_record *record);
void consumer_apply_member(struct groups *groups, const struct coord_record *record);
void consumer_apply_target_epoch(struct groups *groups, const struct coord_record *record);
void consumer_apply_target(struct groups *groups, const struct coord_record *record);
void consumer_apply_ownership(struct groups *groups, const struct coord_record *record);
void consumer_apply_regex(struct groups *groups, const struct coord_record *record);

/* --- rows of apis.c --- */

/* ConsumerGroupHeartbeat. */
bool consumer_check_heartbeat(const struct coord_call *call, const struct groups *groups,
                              void *response);
err_t consumer_step_heartbeat(struct group_step *step);
void consumer_fail_heartbeat(const struct coord_call *call, int16_t code, void *response);

/* ConsumerGroupDescribe, of groups of one shard. */
err_t consumer_step_describe(struct group_step *step);
void consumer_fail_describe(const struct coord_call *call, int16_t code, void *response);

/* coord_image_fn. */
void consumer_image_changed(struct groups *groups, const struct coord_image_change *change);
