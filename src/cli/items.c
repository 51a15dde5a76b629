#include "cli/items.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "client/core.h"
#include "sys/sys.h"

enum { REACH_MS = 5000, NEW_TOPIC_MS = 1000, ASK_AGAIN_MS = 100, METADATA_MS = 1000 };

int items_start(struct cli *cli, struct items *ret_items) {
    *ret_items = (struct items){.cli = cli};
    return cli_connect(cli, &ret_items->client);
}

void items_end(struct items *items) {
    ottla_client_free(items->client);
}

/* Every failure that counts is printed; the first decides the exit code. */
static size_t print_failures(const struct items *items, const struct ottla_call *call,
                             enum cli_exit *ret_first) {
    size_t count;
    const struct ottla_failure *failures = ottla_call_failures(call, &count);
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        if (items->fine != OTTLA_OK && failures[i].code == items->fine) {
            continue;
        }
        struct ottla_error error = {.code = failures[i].code};
        (void)snprintf(error.text, sizeof error.text, "%s", failures[i].text);
        int code = cli_fail_with(items->cli, &error);
        if (bad++ == 0) {
            *ret_first = (enum cli_exit)code;
        }
    }
    return bad;
}

/* How long is waited for a first answer of any server. */
static int64_t reach_ms(const struct items *items) {
    int64_t timeout_ms = cli_timeout_ms(items->cli);
    return timeout_ms < REACH_MS ? timeout_ms : REACH_MS;
}

/* What waits for a coordinator has not asked for metadata: it is asked for now. */
static bool anybody_answered(const struct items *items) {
    struct sys *sys = client_sys(items->client);
    int64_t deadline_ms = sys_mono_ms(sys) + METADATA_MS;
    client_metadata_refresh(items->client);
    while (client_metadata_time_ms(items->client) < 0 && sys_mono_ms(sys) < deadline_ms) {
        ottla_client_run(items->client, ASK_AGAIN_MS);
    }
    return client_metadata_time_ms(items->client) >= 0;
}

static int fail_unreachable(const struct items *items) {
    const char *why = client_trouble(items->client);
    struct ottla_error error = {.code = OTTLA_REFUSED};
    (void)snprintf(error.text, sizeof error.text, "none of %s answered within %d s%s%s",
                   client_settings(items->client)->bootstrap_servers, (int)(reach_ms(items) / 1000),
                   why[0] == 0 ? "" : ": ", why);
    return cli_fail_with(items->cli, &error);
}

/* A cluster of which no server answers at all is told of sooner than one that is slow. */
static int wait_for_call(const struct items *items, struct ottla_call *call,
                         struct ottla_error *error) {
    int64_t rest_ms = cli_timeout_ms(items->cli) - reach_ms(items) + 2 * CLI_CALL_EXTRA_MS;
    int code = ottla_call_wait(call, reach_ms(items), error);
    bool late = code == OTTLA_TIMED_OUT && !ottla_call_is_done(call);
    return late && anybody_answered(items) ? ottla_call_wait(call, rest_ms, error) : code;
}

/* A topic that was made just now may not be known to all brokers yet: asked again for a moment. */
static int ask_partition_count(const struct items *items, const char *topic, int64_t timeout_ms,
                               int32_t *ret_count, struct ottla_error *error) {
    struct sys *sys = client_sys(items->client);
    int64_t deadline_ms = sys_mono_ms(sys) + NEW_TOPIC_MS;
    int code;
    while ((code = ottla_client_partition_count(items->client, topic, timeout_ms, ret_count,
                                                error)) == ERR_UNKNOWN_TOPIC_OR_PARTITION &&
           sys_mono_ms(sys) < deadline_ms) {
        ottla_client_run(items->client, ASK_AGAIN_MS);
    }
    return code;
}

int items_partition_count(const struct items *items, const char *topic, int32_t *ret_count) {
    int64_t rest_ms = cli_timeout_ms(items->cli) - reach_ms(items);
    struct ottla_error error;
    int code = ask_partition_count(items, topic, reach_ms(items), ret_count, &error);
    if (code == OTTLA_TIMED_OUT && !anybody_answered(items)) {
        return fail_unreachable(items);
    }
    if (code == OTTLA_TIMED_OUT) {
        code = ask_partition_count(items, topic, rest_ms, ret_count, &error);
    }
    return code == OTTLA_OK ? CLI_DONE : cli_fail_with(items->cli, &error);
}

int items_wait(const struct items *items, struct ottla_call *call) {
    struct ottla_error error;
    int code = wait_for_call(items, call, &error);
    if (code == OTTLA_OK) {
        return CLI_DONE;
    }
    if (client_connection_lost((err_t)code) && !anybody_answered(items)) {
        return fail_unreachable(items);
    }
    enum cli_exit first = CLI_DONE;
    size_t bad = print_failures(items, call, &first);
    size_t all;
    (void)ottla_call_failures(call, &all);
    if (bad == 0) {
        return all > 0 ? CLI_DONE : cli_fail_with(items->cli, &error);
    }
    return items->count > bad ? CLI_PARTLY : (int)first;
}

int items_settings(struct cli *cli, const char *option, struct ottla_setting **ret_settings,
                   size_t *ret_count) {
    const char *const *texts;
    size_t count = cli_texts(cli, option, &texts);
    struct ottla_setting *settings = ARENA_ARRAY(cli_arena(cli), struct ottla_setting, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(texts[i], '=');
        if (equals == NULL || equals == texts[i]) {
            return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: write it as key=value", option,
                            texts[i]);
        }
        struct str name = {.data = texts[i], .size = (size_t)(equals - texts[i])};
        settings[i].name = arena_c_str(cli_arena(cli), name);
        settings[i].value = equals + 1;
    }
    *ret_settings = settings;
    *ret_count = count;
    return CLI_DONE;
}

/* --- patterns --- */

/* * and ? as in a shell; linear in practice: a star that failed is tried one further on. */
static bool matches(const char *pattern, const char *name) {
    const char *star = NULL;
    const char *resume = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

bool items_match(const struct cli *cli, const char *name) {
    size_t count = cli_argument_count(cli);
    bool matched = count == 0;
    for (size_t i = 0; i < count && !matched; i++) {
        matched = matches(cli_argument(cli, i), name);
    }
    return matched;
}

/* --- partitions --- */

enum { PARTITIONS_MAX = 100000 }; /* in one selection: a slip of the fingers must not take long */

static bool add_range(struct cli *cli, struct items_partitions *list, const char *topic,
                      int64_t first, int64_t last) {
    if (first < 0 || last < first || last > INT32_MAX || last - first >= PARTITIONS_MAX ||
        list->count + (size_t)(last - first) >= PARTITIONS_MAX) {
        return false;
    }
    size_t more = (size_t)(last - first) + 1;
    size_t used = list->count * sizeof *list->partitions;
    list->partitions =
        arena_grow(cli_arena(cli), list->partitions, used, used + more * sizeof *list->partitions);
    for (int64_t partition = first; partition <= last; partition++) {
        list->partitions[list->count++] =
            (struct ottla_partition){.topic = topic, .partition = (int32_t)partition};
    }
    return true;
}

/* "0,3-5" */
static bool add_ranges(struct cli *cli, struct items_partitions *list, const char *topic,
                       const char *text) {
    for (const char *at = text;; at++) {
        char *end;
        int64_t first = strtol(at, &end, 10);
        int64_t last = first;
        if (end == at) {
            return false;
        }
        if (*end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
        }
        if (end == at || !add_range(cli, list, topic, first, last)) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
        if (*end != ',') {
            return false;
        }
        at = end;
    }
}

int items_partitions_add(const struct items *items, const char *text,
                         struct items_partitions *list) {
    struct cli *cli = items->cli;
    const char *colon = strrchr(text, ':');
    struct str name = {.data = text, .size = colon == NULL ? strlen(text) : (size_t)(colon - text)};
    const char *topic = arena_c_str(cli_arena(cli), name);
    if (colon != NULL) {
        return add_ranges(cli, list, topic, colon + 1)
                   ? CLI_DONE
                   : cli_fail(cli, CLI_USAGE, NULL, "%s: write it as TOPIC:0,3-5", text);
    }
    int32_t count;
    int code = items_partition_count(items, topic, &count);
    if (code == CLI_DONE) {
        (void)add_range(cli, list, topic, 0, (int64_t)count - 1);
    }
    return code;
}

int items_offsets(const struct items *items, const struct items_partitions *partitions,
                  int64_t what, int64_t **ret_offsets) {
    struct arena *arena = cli_arena(items->cli);
    struct ottla_position *asked = ARENA_ARRAY(arena, struct ottla_position, partitions->count + 1);
    int64_t *offsets = ARENA_ARRAY(arena, int64_t, partitions->count + 1);
    for (size_t i = 0; i < partitions->count; i++) {
        asked[i] = (struct ottla_position){.topic = partitions->partitions[i].topic,
                                           .partition = partitions->partitions[i].partition,
                                           .offset = what};
    }
    struct ottla_call *call = ottla_offsets_list(items->client, asked, partitions->count, NULL);
    int code = items_wait(items, call);
    size_t count;
    const struct ottla_offset_result *results = ottla_call_offsets(call, &count);
    for (size_t i = 0; i < count && i < partitions->count; i++) {
        offsets[i] = results[i].offset;
    }
    ottla_call_free(call);
    *ret_offsets = offsets;
    return code;
}
