#pragma once

#include "server/request.h"

/*
 * Makes a topic that a client asked for, with num.partitions and default.replication.factor.
 * Returns at once with what the client is told: UNKNOWN_TOPIC_OR_PARTITION (it is being made; ask
 * again) or INVALID_TOPIC_EXCEPTION. Why it could not be made is logged.
 */
err_t auto_create_topic(struct request *request, struct str name);
