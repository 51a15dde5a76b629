/*
 * A tour of a cluster: makes a topic, changes one of its settings, tells what is there, and deletes
 * the topic again. Shows both ways to use a call: waited for, and with a function that is called
 * when it is done.
 *
 *     admin localhost:9092 [topic]
 */
#include <ottla/client.h>

#include <stdio.h>

/* Waits for a call and tells what went wrong; each item that failed has its own text. */
static bool succeed(struct ottla_call *call, const char *what) {
    struct ottla_error error;
    if (ottla_call_wait(call, -1, &error) == OTTLA_OK) {
        return true;
    }
    size_t count;
    const struct ottla_failure *failures = ottla_call_failures(call, &count);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s: %s (%s)\n", what, failures[i].text, ottla_code_name(failures[i].code));
    }
    return false;
}

static bool make_topic(struct ottla_client *client, const char *name) {
    struct ottla_setting retention = {"retention.ms", "3600000"};
    struct ottla_new_topic topic = {
        .name = name, .partitions = 3, .configs = &retention, .config_count = 1};
    struct ottla_call *call = ottla_topics_create(client, &topic, 1, NULL);
    bool made = succeed(call, "create");
    if (made) {
        size_t count;
        const struct ottla_topic_result *result = ottla_call_topics(call, &count);
        printf("made %s, id %s, %d partitions\n", result->name, result->id,
               (int)result->partitions);
    }
    ottla_call_free(call);
    return made;
}

static bool keep_for_a_day(struct ottla_client *client, const char *name) {
    struct ottla_config_change change = {OTTLA_CONFIG_SET, "retention.ms", "86400000"};
    struct ottla_resource_change resource = {OTTLA_RESOURCE_TOPIC, name, &change, 1};
    struct ottla_call *call = ottla_configs_alter(client, &resource, 1, NULL);
    bool changed = succeed(call, "alter");
    ottla_call_free(call);
    return changed;
}

/* Called from the loop, in ottla_client_run. */
static void told(void *arg, struct ottla_call *call) {
    int *open = arg;
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    for (size_t i = 0; i < count; i++) {
        printf("topic %s, %zu partitions\n", topics[i].name, topics[i].partition_count);
    }
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    for (size_t i = 0; cluster != NULL && i < cluster->node_count; i++) {
        printf("broker %d at %s:%u\n", (int)cluster->nodes[i].id, cluster->nodes[i].host,
               cluster->nodes[i].port);
    }
    ottla_call_free(call);
    *open -= 1;
}

/* Two questions at once, without waiting for either. */
static void tell_what_is_there(struct ottla_client *client) {
    int open = 2;
    ottla_call_on_done(ottla_topics_list(client, NULL), told, &open);
    ottla_call_on_done(ottla_cluster_describe(client, NULL), told, &open);
    while (open > 0) {
        ottla_client_run(client, -1);
    }
}

static bool delete_topic(struct ottla_client *client, const char *name) {
    struct ottla_topic_ref topic = {.name = name};
    struct ottla_call *call = ottla_topics_delete(client, &topic, 1, NULL);
    bool deleted = succeed(call, "delete");
    ottla_call_free(call);
    return deleted;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: admin HOST:PORT [TOPIC]\n");
        return 2;
    }
    const char *name = argc > 2 ? argv[2] : "a-tour";
    struct ottla_error error;
    struct ottla_config *config = ottla_config_new();
    struct ottla_client *client = NULL;
    if (ottla_config_set(config, "bootstrap.servers", argv[1], &error) != OTTLA_OK ||
        ottla_client_new(config, &client, &error) != OTTLA_OK) {
        fprintf(stderr, "%s\n", error.text);
        ottla_config_free(config);
        return 1;
    }
    ottla_config_free(config);
    bool well = make_topic(client, name);
    if (well) {
        well = keep_for_a_day(client, name);
        tell_what_is_there(client);
        well = delete_topic(client, name) && well;
    }
    ottla_client_free(client);
    return well ? 0 : 1;
}
