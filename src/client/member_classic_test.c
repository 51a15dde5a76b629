/*
 * Plays a transcript over a member of a classic group. Time stands still but for `after`.
 *
 *   new [cooperative] [static]     a member; heartbeats each 3 s, max.poll.interval 10 s
 *   subscribe TOPIC…               and what may be assigned
 *   joined ERR | joined leader|follower GENERATION ID [PROTOCOL]
 *   led                            the leader's assignment is made
 *   synced ERR | synced [TOPIC-P…]
 *   heartbeat ERR, commit GENERATION ERR, left
 *   released, polled, rejoin REASON, leave MS
 *   after MS                       time passes; what is due by itself happens
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "client/member_classic.h"

struct test {
    struct member_classic member;
    bool made;
    int64_t now_ms;
    char topics[8][32];
    int topic_count;
    FILE *out;
};

static int64_t backoff_ms(void *arg, int attempt) {
    (void)arg;
    return attempt >= 4 ? 1000 : 100 << (attempt - 1);
}

static bool subscribed(void *arg, struct str topic) {
    const struct test *test = arg;
    for (int i = 0; i < test->topic_count; i++) {
        if (str_equal(topic, str_from_c(test->topics[i]))) {
            return true;
        }
    }
    return false;
}

static void print_set(FILE *out, const struct member_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        fprintf(out, " %.*s-%d", STR_ARGS(set->items[i].topic), set->items[i].partition);
    }
    fprintf(out, "\n");
}

static void print_join(struct test *test) {
    const struct member_classic *member = &test->member;
    fprintf(test->out, "  JoinGroup as '%s' of generation %d", member->member_id,
            member->generation);
    if (member->reason[0] != '\0') {
        fprintf(test->out, " because %s", member->reason);
    }
    fprintf(test->out, ", with");
    print_set(test->out, &member->owned);
}

static void act(struct test *test, enum member_action action) {
    struct member_classic *member = &test->member;
    FILE *out = test->out;
    switch (action) {
    case MEMBER_CANCEL:
        fprintf(out, "  cancel\n");
        break;
    case MEMBER_JOIN:
        print_join(test);
        break;
    case MEMBER_LEAD:
        fprintf(out, "  lead by %s\n", member->protocol);
        break;
    case MEMBER_SYNC:
        fprintf(out, "  SyncGroup of generation %d\n", member->generation);
        break;
    case MEMBER_HEARTBEAT:
        fprintf(out, "  Heartbeat of generation %d at %" PRId64 "\n", member->generation,
                test->now_ms);
        break;
    case MEMBER_LEAVE:
        fprintf(out, "  LeaveGroup of '%s' because %s\n", member->leave_id, member->leave_reason);
        break;
    case MEMBER_LOST:
        fprintf(out, "  lost");
        print_set(out, &member->lost);
        break;
    case MEMBER_ASSIGNED:
        fprintf(out, "  assigned");
        print_set(out, &member->owned);
        fprintf(out, "  ... added");
        print_set(out, &member->added);
        break;
    case MEMBER_REVOKING:
        fprintf(out, "  revoking");
        print_set(out, &member->revoking);
        break;
    case MEMBER_FAILED:
        fprintf(out, "  failed: %s\n", member->failure_text);
        break;
    case MEMBER_LEFT:
        fprintf(out, "  left\n");
        break;
    default:
        fprintf(out, "  action %d\n", action);
    }
}

static void act_all(struct test *test) {
    enum member_action action;
    while ((action = member_classic_next(&test->member, test->now_ms)) != MEMBER_NOTHING) {
        act(test, action);
    }
}

static void print_phase(struct test *test) {
    static const char *const names[] = {"OUT",      "RELEASING", "JOINING", "LEADING", "SYNCING",
                                        "TRIMMING", "STABLE",    "STALE",   "LEAVING", "FAILED"};
    int64_t deadline_ms = member_classic_deadline_ms(&test->member);
    fprintf(test->out, "  %s", names[test->member.phase]);
    if (deadline_ms != INT64_MAX) {
        fprintf(test->out, ", until %" PRId64, deadline_ms);
    }
    fprintf(test->out, "\n");
}

static void pass(struct test *test, int64_t duration_ms) {
    int64_t end_ms = test->now_ms + duration_ms;
    while (member_classic_deadline_ms(&test->member) <= end_ms) {
        int64_t deadline_ms = member_classic_deadline_ms(&test->member);
        test->now_ms = deadline_ms > test->now_ms ? deadline_ms : test->now_ms;
        act_all(test);
    }
    test->now_ms = end_ms;
}

/* --- commands --- */

static err_t err_named(const char *name) {
    for (int code = -1; code < ERR_OWN_LAST; code++) {
        if (strcmp(err_name((err_t)code), name) == 0) {
            return (err_t)code;
        }
    }
    return ERR_OK;
}

static void command_new(struct test *test, const char *line) {
    if (test->made) {
        member_classic_done(&test->member);
    }
    struct member_settings settings = {.is_static = strstr(line, "static") != NULL,
                                       .cooperative = strstr(line, "cooperative") != NULL,
                                       .heartbeat_interval_ms = 3000,
                                       .max_poll_interval_ms = 10000,
                                       .backoff_ms = backoff_ms,
                                       .subscribed = subscribed,
                                       .arg = test};
    member_classic_init(&test->member, &settings);
    test->made = true;
    test->now_ms = 0;
    test->topic_count = 0;
}

static void command_subscribe(struct test *test, char *rest) {
    test->topic_count = 0;
    for (char *topic; (topic = strsep(&rest, " ")) != NULL;) {
        snprintf(test->topics[test->topic_count++], sizeof test->topics[0], "%s", topic);
    }
    member_classic_subscribe(&test->member, test->now_ms);
}

static void command_joined(struct test *test, const char *rest) {
    char role[32];
    char id[32] = "";
    char protocol[32] = "range";
    int generation = -1;
    sscanf(rest, "%31s %d %31s %31s", role, &generation, id, protocol);
    bool leader = strcmp(role, "leader") == 0;
    struct classic_joined joined = {.leader = leader, .generation = generation};
    if (!leader && strcmp(role, "follower") != 0) {
        sscanf(rest, "%*s %31s", id);
        joined.err = err_named(role);
    }
    joined.protocol = str_from_c(protocol);
    joined.protocol_type = STR("consumer");
    joined.member_id = str_from_c(id);
    joined.known_protocol = strcmp(protocol, "range") == 0;
    member_classic_joined(&test->member, &joined, test->now_ms);
}

static void command_synced(struct test *test, char *rest) {
    struct member_set assigned;
    member_set_init(&assigned);
    struct classic_synced synced = {.assigned = &assigned};
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *partition = strchr(word, '-');
        if (partition == NULL) {
            synced.err = err_named(word);
        } else {
            *partition = '\0';
            member_set_add(&assigned, str_from_c(word), UUID_ZERO, atoi(partition + 1));
        }
    }
    member_set_finish(&assigned);
    member_classic_synced(&test->member, &synced, test->now_ms);
    member_set_done(&assigned);
}

static void command_answer(struct test *test, const char *word, char *rest) {
    struct member_classic *member = &test->member;
    if (strcmp(word, "heartbeat") == 0) {
        member_classic_heartbeat_answered(member, err_named(rest), test->now_ms);
    } else if (strcmp(word, "commit") == 0) {
        int generation = atoi(strsep(&rest, " "));
        member_classic_commit_answered(member, generation, err_named(rest), test->now_ms);
    } else if (strcmp(word, "joined") == 0) {
        command_joined(test, rest);
    } else if (strcmp(word, "synced") == 0) {
        command_synced(test, rest);
    } else if (strcmp(word, "led") == 0) {
        member_classic_led(member);
    } else if (strcmp(word, "left") == 0) {
        member_classic_left(member);
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

static void run(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    struct member_classic *member = &test->member;
    test->out = out;
    char text[256];
    snprintf(text, sizeof text, "%s", line);
    text[strcspn(text, "\n")] = '\0';
    char *rest = text;
    char *word = strsep(&rest, " ");
    if (strcmp(word, "new") == 0) {
        command_new(test, line);
        return;
    }
    if (strcmp(word, "subscribe") == 0) {
        command_subscribe(test, rest);
    } else if (strcmp(word, "released") == 0) {
        member_classic_released(member, test->now_ms);
    } else if (strcmp(word, "polled") == 0) {
        member_classic_polled(member, test->now_ms);
    } else if (strcmp(word, "rejoin") == 0) {
        member_classic_rejoin(member, rest, test->now_ms);
    } else if (strcmp(word, "leave") == 0) {
        member_classic_leave(member, test->now_ms, test->now_ms + atoi(rest));
    } else if (strcmp(word, "after") == 0) {
        pass(test, atoi(rest));
    } else {
        command_answer(test, word, rest);
    }
    act_all(test);
    print_phase(test);
}

static void stop(void *arg) {
    struct test *test = arg;
    if (test->made) {
        member_classic_done(&test->member);
    }
}

int main(int argc, char **argv) {
    struct test test = {0};
    struct transcript_player player = {.run = run, .stop = stop, .arg = &test};
    return transcript_main(argc, argv, &player);
}
