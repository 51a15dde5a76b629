#pragma once

#include "server/request.h"

/*
 * Makes a topic that a client asked for, with num.partitions and default.replication.factor.
 * Returns at once with what the client is told: UNKNOWN_TOPIC_OR_PARTITION (it is being made; ask
 * again), INVALID_TOPIC_EXCEPTION, or INVALID_REPLICATION_FACTOR.
 */
err_t auto_create_topic(struct request *request, struct str name);
