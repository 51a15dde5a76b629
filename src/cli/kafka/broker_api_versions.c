/* kafka-broker-api-versions: which versions of which APIs each broker has. */
#include "base/err.h"
#include "cli/kafka/tools.h"
#include "wire/api.h"
#include "wire/api_keys.h"

/* What this program could speak with the broker, as Kafka's own client would. */
static void print_usable(const struct ottla_api_versions *api) {
    const struct wire_api *known = wire_api(api->key);
    if (known == NULL) {
        return;
    }
    int16_t max = known->stable_versions.high < api->max ? known->stable_versions.high : api->max;
    if (known->stable_versions.low > api->max) {
        fputs(" [unusable: node too old]", stdout);
    } else if (max < api->min) {
        fputs(" [unusable: node too new]", stdout);
    } else {
        printf(" [usable: %d]", (int)max);
    }
}

static void print_api(const struct ottla_api_versions *api) {
    printf("\t%s(%d): %d", api->name, (int)api->key, (int)api->min);
    if (api->max != api->min) {
        printf(" to %d", (int)api->max);
    }
    print_usable(api);
}

/* Those that it has, and those that a broker could have. */
static void print_broker(const struct ottla_broker_versions *broker) {
    const char *comma = "";
    size_t next = 0;
    for (int16_t key = 0; key < API_KEYS_MAX || next < broker->api_count; key++) {
        const struct wire_api *known = key < API_KEYS_MAX ? wire_api(key) : NULL;
        bool there = next < broker->api_count && broker->apis[next].key == key;
        if (!there &&
            (known == NULL || !known->on_broker || known->versions.high < known->versions.low)) {
            continue;
        }
        printf("%s\n", comma);
        comma = ",";
        if (there) {
            print_api(&broker->apis[next++]);
        } else {
            printf("\t%s(%d): UNSUPPORTED", known->name, (int)key);
        }
    }
    fputs("\n)\n", stdout);
}

int kafka_broker_api_versions(struct tool *tool) {
    static const char *const needed[] = {"bootstrap-server", NULL};
    struct ottla_client *client;
    if (!tool_require(tool, needed) || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    struct ottla_call *call = ottla_versions_describe(client, NULL, 0, NULL);
    struct ottla_error error;
    (void)tool_wait(tool, call, &error);
    size_t count;
    const struct ottla_broker_versions *brokers = ottla_call_versions(call, &count);
    if (count == 0) {
        return tool_fail(tool, "%s", error.text);
    }
    for (size_t i = 0; i < count; i++) {
        const struct ottla_node *node = &brokers[i].node;
        printf("%s:%d (id: %d rack: %s isFenced: %s) -> ", node->host, (int)node->port,
               (int)node->id, node->rack == NULL ? "null" : node->rack,
               node->fenced ? "true" : "false");
        if (brokers[i].code == OTTLA_OK) {
            putchar('(');
            print_broker(&brokers[i]);
        } else {
            printf("ERROR: %s: %s\n", tool_exception(tool, brokers[i].code), brokers[i].text);
        }
    }
    return TOOL_DONE;
}
