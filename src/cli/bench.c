/* ottla bench: what a cluster does under load, told by records that can be checked. */
#include "cli/bench_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/when.h"

enum { NS_OF_MS = 1000000, PARTITIONS = 4 };

int bench_duration(struct cli *cli, const char *option, const char *otherwise, int64_t *ret_ns) {
    const char *text = cli_text(cli, option, otherwise);
    int64_t ms;
    if (!when_duration_parse(text, &ms) || ms > INT64_MAX / NS_OF_MS / 4) {
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: write it as 500ms, 90s, 15m", option, text);
    }
    *ret_ns = ms * NS_OF_MS;
    return CLI_DONE;
}

/* Over the profile's, which are for other work; what -X says goes over them. */
static int apply_defaults(struct cli *cli, const char *const *defaults,
                          struct ottla_config *config) {
    const char *const *given;
    size_t count = cli_texts(cli, "set", &given);
    for (; *defaults != NULL; defaults += 2) {
        size_t size = strlen(defaults[0]);
        bool said = false;
        for (size_t i = 0; i < count && !said; i++) {
            said = strncmp(given[i], defaults[0], size) == 0 && given[i][size] == '=';
        }
        struct ottla_error error;
        if (!said && ottla_config_set(config, defaults[0], defaults[1], &error) != OTTLA_OK) {
            return cli_fail_with(cli, &error);
        }
    }
    return CLI_DONE;
}

int bench_connect(struct cli *cli, const char *const *defaults, struct items *ret_items) {
    *ret_items = (struct items){.cli = cli};
    struct ottla_config *config;
    int code = cli_config(cli, &config);
    if (code != CLI_DONE) {
        return code;
    }
    code = apply_defaults(cli, defaults, config);
    if (code == CLI_DONE) {
        code = cli_connect_with(cli, config, &ret_items->client);
    }
    ottla_config_free(config);
    return code;
}

int bench_topic(const struct items *items, int32_t *ret_partitions) {
    struct cli *cli = items->cli;
    struct items making = *items;
    making.fine = ERR_TOPIC_ALREADY_EXISTS;
    struct ottla_new_topic model = {
        .name = cli_argument(cli, 0),
        .partitions = (int32_t)cli_number(cli, "partitions", PARTITIONS),
        .replication_factor = -1,
    };
    struct ottla_call *call = ottla_topics_create(items->client, &model, 1, NULL);
    int code = items_wait(&making, call);
    bool made = code == CLI_DONE && ottla_call_code(call, NULL) == OTTLA_OK;
    ottla_call_free(call);
    if (made) {
        *ret_partitions = model.partitions;
    }
    if (made || code != CLI_DONE) {
        return code;
    }
    struct ottla_error error;
    code = ottla_client_partition_count(items->client, model.name, cli_timeout_ms(cli),
                                        ret_partitions, &error);
    return code == OTTLA_OK ? CLI_DONE : cli_fail_with(cli, &error);
}

static const struct cli_command *const commands[] = {&bench_produce_command, &bench_consume_command,
                                                     &bench_end_to_end_command, NULL};
const struct cli_command cli_bench_command = {
    .name = "bench",
    .summary = "put load on a cluster, and measure it",
    .commands = commands,
};
