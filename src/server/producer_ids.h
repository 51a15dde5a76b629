#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Producer ids: the controller gives this node blocks of them, and each is given out once. Any
 * reactor may ask.
 */
struct coord_id_wait;
struct node;
struct producer_ids;

struct producer_ids *producer_ids_new(struct node *node);
void producer_ids_free(struct producer_ids *ids); /* nobody waits. Accepts NULL */

/* True, and one: the block has one left. */
bool producer_ids_take(struct producer_ids *ids, int64_t *ret_producer_id);

/* Otherwise: calls wait->done on its loop, later. COORDINATOR_LOAD_IN_PROGRESS: the controller did
 * not give a block. */
void producer_ids_await(struct producer_ids *ids, struct coord_id_wait *wait);
