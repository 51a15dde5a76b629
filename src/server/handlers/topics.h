#pragma once

#include "replica/partition.h"
#include "server/request.h"

/* What many handlers ask of the image: topics, partitions, and where brokers are. */

/* A topic by name: UNKNOWN_TOPIC_OR_PARTITION. By id: UNKNOWN_TOPIC_ID. */
err_t topic_find(const struct request *request, struct str name, const struct meta_topic **ret);
err_t topic_find_by_id(const struct request *request, struct uuid id,
                       const struct meta_topic **ret);

/* The replica on this node, for which partition_unref is due. UNKNOWN_TOPIC_OR_PARTITION: no such
 * partition. NOT_LEADER_OR_FOLLOWER: it is not kept here. */
err_t topic_partition_find(const struct request *request, const struct meta_topic *topic,
                           int32_t index, struct partition **ret_partition);

struct topic_endpoint {
    struct str host;
    int32_t port;
    struct str rack; /* null: none */
};

/* Where a client of this request's listener reaches a broker. False: it is fenced or unknown, or
 * has no such listener. */
bool topic_endpoint_find(const struct request *request, int32_t broker_id,
                         struct topic_endpoint *ret_endpoint);

bool topic_is_internal(struct str name);

/* What a reader is told of an error: as err_kafka_code, but CORRUPT_MESSAGE for a damaged file. */
err_t topic_read_code(err_t err);

/* One append, for the metrics of the broker and of the topic (null: unknown topic). */
void topic_metrics_produced(struct request *request, struct str topic, err_t err,
                            int32_t record_count, size_t appended_size, size_t offered_size);
/* And what was wrong with its records, for those of the broker. */
void topic_metrics_refused(struct request *request, const struct record_set_refusal *refusal);
void topic_metrics_fetched(struct request *request, struct str topic, err_t err, size_t size);
