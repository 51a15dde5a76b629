#include "suite.h"

#include <time.h>
#include <unistd.h>

const char *suite_bootstrap(void) {
    const char *bootstrap = getenv("OTTLA_TEST_BOOTSTRAP");
    if (bootstrap == NULL) {
        fprintf(stderr, "set OTTLA_TEST_BOOTSTRAP to host:port of a broker\n");
        exit(2);
    }
    return bootstrap;
}

struct ottla_config *suite_config(void) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error;
    if (ottla_config_set(config, "bootstrap.servers", suite_bootstrap(), &error) != OTTLA_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(2);
    }
    return config;
}

void suite_topic_name(const char *what, char name[64]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(name, 64, "%s-%llx-%x", what,
                   (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec,
                   (unsigned)getpid());
}

static void print(void *arg, enum ottla_log_level level, const char *text) {
    (void)arg;
    fprintf(stderr, "%c %s\n", "EWID"[level], text);
}

int suite_client_new(void **state) {
    struct ottla_config *config = suite_config();
    struct ottla_client *client;
    struct ottla_error error;
    int code = ottla_client_new(config, &client, &error);
    ottla_config_free(config);
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    ottla_client_on_log(client, print, NULL);
    *state = client;
    return 0;
}

int suite_client_free(void **state) {
    ottla_client_free(*state);
    return 0;
}
