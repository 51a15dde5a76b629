#pragma once

#include "net/net.h"
#include "server/request.h"

/* Counts and times of requests per API: kafka.network:type=RequestMetrics. */
struct request_metrics;

struct request_metrics *request_metrics_new(struct metrics *metrics);
void request_metrics_free(struct request_metrics *metrics); /* accepts NULL */

/* On the request's reactor: what it is answered, for the errors in it. */
void request_metrics_answered(struct request_metrics *metrics, const struct request *request,
                              const void *response);

/* A request's answer was sent. On its reactor. */
void request_metrics_done(struct request_metrics *metrics, struct request *request,
                          struct net_request *net);
