#include "server/handlers/topics.h"

#include "server/node_int.h"

err_t topic_find(const struct request *request, struct str name, const struct meta_topic **ret) {
    const struct meta_topic *topic = meta_image_topic(request_image(request), name);
    if (topic == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    *ret = topic;
    return ERR_OK;
}

err_t topic_find_by_id(const struct request *request, struct uuid id,
                       const struct meta_topic **ret) {
    const struct meta_topic *topic = meta_image_topic_by_id(request_image(request), id);
    if (topic == NULL) {
        return ERR_UNKNOWN_TOPIC_ID;
    }
    *ret = topic;
    return ERR_OK;
}

err_t topic_partition_find(const struct request *request, const struct meta_topic *topic,
                           int32_t index, struct partition **ret_partition) {
    if (meta_topic_partition(topic, index) == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    struct partition *partition = replicas_find(request->node->replicas, topic->id, index);
    if (partition == NULL) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    *ret_partition = partition;
    return ERR_OK;
}

bool topic_endpoint_find(const struct request *request, int32_t broker_id,
                         struct topic_endpoint *ret_endpoint) {
    const struct meta_broker *broker = meta_image_broker(request_image(request), broker_id);
    if (broker == NULL || broker->fenced) {
        return false;
    }
    struct str listener = request_listener(request);
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        const struct meta_endpoint *endpoint = &broker->endpoints[i];
        if (str_equal(endpoint->name, listener)) {
            *ret_endpoint = (struct topic_endpoint){
                .host = endpoint->host, .port = endpoint->port, .rack = broker->rack};
            return true;
        }
    }
    return false;
}

bool topic_is_internal(struct str name) {
    return str_equal(name, STR("__consumer_offsets")) ||
           str_equal(name, STR("__transaction_state")) ||
           str_equal(name, STR("__share_group_state"));
}

err_t topic_read_code(err_t err) {
    return err == ERR_CORRUPT ? ERR_CORRUPT_MESSAGE : err_kafka_code(err);
}
