#include "calls.h"

#include <string.h>

int calls_code_of(struct ottla_call *call) {
    struct ottla_error error = {0};
    int code = ottla_call_wait(call, 60000, &error);
    if (code != OTTLA_OK) {
        print_message("  %s: %s\n", ottla_code_name(code), error.text);
    }
    assert_true(ottla_call_is_done(call));
    return code;
}

void calls_finish(struct ottla_call *call, int code) {
    assert_int_equal(calls_code_of(call), code);
    ottla_call_free(call);
}

bool calls_is_apache_kafka(void) {
    const char *broker = getenv("OTTLA_TEST_BROKER");
    return broker != NULL && strcmp(broker, "KafkaNode") == 0;
}

void calls_wait_for_topic(struct ottla_client *client, const char *name) {
    struct ottla_topic_ref ref = {.name = name};
    int code = OTTLA_PENDING;
    for (int i = 0; i < 1000 && code != OTTLA_OK; i++) {
        struct ottla_call *call = ottla_topics_describe(client, &ref, 1, NULL);
        code = ottla_call_wait(call, -1, NULL);
        ottla_call_free(call);
        if (code != OTTLA_OK) {
            ottla_client_run(client, 20);
        }
    }
    assert_int_equal(code, OTTLA_OK);
}

void calls_make_topic(struct ottla_client *client, const char *name, int32_t partitions) {
    struct ottla_new_topic topic = {.name = name, .partitions = partitions};
    calls_finish(ottla_topics_create(client, &topic, 1, NULL), OTTLA_OK);
    calls_wait_for_topic(client, name);
}

void calls_delete_topic(struct ottla_client *client, const char *name) {
    struct ottla_topic_ref topic = {.name = name};
    calls_finish(ottla_topics_delete(client, &topic, 1, NULL), OTTLA_OK);
}
