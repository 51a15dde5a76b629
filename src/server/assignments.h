#pragma once

#include <stdint.h>

#include "base/uuid.h"

/*
 * Tells the controller in which of the node's log directories a replica lies, where the metadata
 * says otherwise (KIP-858), so that a failed directory takes away the leadership of what lies in it
 * and of nothing else. Reactor 0 only.
 */
struct assignments;
struct node;

struct assignments *assignments_new(struct node *node);
void assignments_free(struct assignments *assignments); /* no call is open. Accepts NULL */

/* The replica lies there. It is told soon, together with others, and until the controller agrees;
 * never when the metadata has moved on meanwhile. The broker is registered. */
void assignments_add(struct assignments *assignments, struct uuid topic_id, int32_t index,
                     struct uuid directory);

/* Nothing is told any more. */
void assignments_stop(struct assignments *assignments);
