#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * Producer ids for idempotent producers: the controller gives this node blocks of them, and each
 * is given out once. Any reactor may ask.
 */
struct node;
struct producer_ids;
struct request;

struct producer_ids *producer_ids_new(struct node *node);
void producer_ids_free(struct producer_ids *ids); /* nobody waits. Accepts NULL */

/* Calls `done` on the request's reactor, at once when the block has one left.
 * COORDINATOR_LOAD_IN_PROGRESS: the controller did not give a block. */
void producer_ids_next(struct producer_ids *ids, struct request *request,
                       void (*done)(struct request *request, err_t err, int64_t producer_id));
