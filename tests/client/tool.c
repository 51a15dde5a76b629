#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void tool_fail(const struct ottla_error *error) {
    fprintf(stderr, "%s\n", error->text);
    exit(2);
}

static void print_log(void *arg, enum ottla_log_level level, const char *text) {
    (void)arg;
    fprintf(stderr, "%c %s\n", "EWID"[level], text);
}

struct ottla_client *tool_client(char **settings) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_client *client;
    struct ottla_error error = {0};
    int code =
        ottla_config_set(config, "bootstrap.servers", getenv("OTTLA_TEST_BOOTSTRAP"), &error);
    for (; code == OTTLA_OK && *settings != NULL; settings++) {
        char *value = strchr(*settings, '=');
        *value++ = 0;
        code = ottla_config_set(config, *settings, value, &error);
    }
    if (code != OTTLA_OK || ottla_client_new(config, &client, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    ottla_config_free(config);
    ottla_client_on_log(client, print_log, NULL);
    return client;
}
