#pragma once

#include "ottla/admin.h"
#include "suite.h"

/* Calls of the administrator, waited for. */

/* Its code, once it is done; an error is printed. The call stays the caller's. */
int calls_code_of(struct ottla_call *call);

/* Asserts on the code, and frees the call. */
void calls_finish(struct ottla_call *call, int code);

/* A broker hears of a new topic after its controller. */
void calls_wait_for_topic(struct ottla_client *client, const char *name);
void calls_make_topic(struct ottla_client *client, const char *name, int32_t partitions);
void calls_delete_topic(struct ottla_client *client, const char *name);

/* Whether the broker is Apache Kafka, as test_client.py says. */
bool calls_is_apache_kafka(void);
