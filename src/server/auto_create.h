#pragma once

#include "server/request.h"

/*
 * Topics that a client asked for and that are to be made: ordinary ones with num.partitions and
 * default.replication.factor, internal ones as their coordinators will want them.
 *
 * Those of one request go to the controller as one call. Nobody waits for it: the client asks
 * again. Why a topic could not be made is logged.
 */
struct auto_create;

/* *create is NULL at first. Returns what the client is told: UNKNOWN_TOPIC_OR_PARTITION (it is
 * being made) or INVALID_TOPIC_EXCEPTION. count_max: how many names may come. */
err_t auto_create_add(struct auto_create **create, struct request *request, struct str name,
                      int32_t count_max);

void auto_create_send(struct auto_create *create); /* accepts NULL: none was added */
