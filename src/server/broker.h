#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The broker half of a node towards the controller: registration with a new epoch at each start,
 * heartbeats, controlled shutdown (KIP-500, KIP-631). The controller is in the same process, so the
 * messages go as structs. Reactor 0 only.
 */
struct broker;
struct node;

struct broker *broker_new(struct node *node);
void broker_free(struct broker *broker); /* accepts NULL; no call is open */

/* Registers the controller half of this node under the same incarnation (KIP-919), then the broker;
 * then `registered`. Heartbeats begin, asking to stay fenced. */
void broker_register(struct broker *broker,
                     void (*registered)(struct node *node, err_t err, const char *text));

/* From now on heartbeats ask to be unfenced; `unfenced` when the controller agreed. */
void broker_unfence(struct broker *broker, void (*unfenced)(struct node *node));

/* Asks to shut down; `released` when the controller agreed, or after a while without it. */
void broker_shut_down(struct broker *broker, void (*released)(struct node *node));

/* A log directory failed: the next heartbeat, which says so, goes out at once. */
void broker_tell_failure(struct broker *broker);

int64_t broker_epoch(const struct broker *broker); /* -1: not registered */
