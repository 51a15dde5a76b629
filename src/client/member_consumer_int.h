#pragma once

#include "client/member_consumer.h"

/* Private to member_consumer.c and member_consumer_answers.c: its changes of state. */

/* In a group, or on its way into one. */
bool member_consumer_is_active(const struct member_consumer *member);

int64_t member_consumer_interval_ms(const struct member_consumer *member);

/* After another heartbeat that brought nothing. */
int64_t member_consumer_pause_ms(struct member_consumer *member);

/* It is out: what it has is lost, and it joins again; the first time at once. */
void member_consumer_fenced(struct member_consumer *member, int64_t now_ms);

/* Likewise, and it does not. */
void member_consumer_fail(struct member_consumer *member, err_t err, struct str text);

/* One step towards the target, unless the owner still gives back. */
void member_consumer_reconcile(struct member_consumer *member);

/* `resolved` is what the owner has from now on. */
void member_consumer_apply(struct member_consumer *member);

bool member_consumer_names_missing(const struct member_consumer *member);
