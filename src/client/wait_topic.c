/* A call that waits until a topic is known. */
#include "client/core_int.h"

struct wait {
    struct client_watcher watcher;
    struct ottla_client *client;
    struct str name;
    bool done;
};

static void look(struct client_watcher *watcher) {
    struct wait *wait = container_of(watcher, struct wait, watcher);
    const struct client_topic *topic = client_topic(wait->client, wait->name);
    bool creating = topic != NULL && topic->err != ERR_OK && err_retriable(topic->err) &&
                    client_settings(wait->client)->allow_auto_create_topics;
    wait->done = topic != NULL && !creating;
}

static int result(const struct wait *wait, err_t waited, int32_t *ret_count,
                  struct ottla_error *ret_error) {
    const struct client_topic *topic = client_topic(wait->client, wait->name);
    if (topic == NULL) {
        const char *trouble = client_trouble(wait->client);
        return client_error_set(ret_error, (int)waited, "Nothing was heard of topic %.*s: %s",
                                STR_ARGS(wait->name), trouble[0] != 0 ? trouble : err_text(waited));
    }
    if (topic->err != ERR_OK) {
        return client_error_set(ret_error, (int)topic->err, "Topic %.*s: %s", STR_ARGS(wait->name),
                                err_text(topic->err));
    }
    *ret_count = topic->partition_count;
    return OTTLA_OK;
}

int ottla_client_partition_count(struct ottla_client *client, const char *topic, int64_t timeout_ms,
                                 int32_t *ret_count, struct ottla_error *ret_error) {
    struct wait wait = {.watcher.changed = look, .client = client, .name = str_from_c(topic)};
    client_topic_want(client, wait.name, client_settings(client)->allow_auto_create_topics);
    client_watch(client, &wait.watcher);
    look(&wait.watcher);
    err_t err = client_wait(client, &wait.done, client_deadline_ms(client, timeout_ms));
    int code = result(&wait, err, ret_count, ret_error);
    client_unwatch(client, &wait.watcher);
    client_topic_unwant(client, wait.name);
    return code;
}
