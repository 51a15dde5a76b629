/*
 * Plays a transcript over a member of a consumer group. Time stands still but for `after`.
 *
 *   new [static]                    a member; max.poll.interval 60 s
 *   name TOPIC…                     metadata knows these from now on
 *   subscribe
 *   answer EPOCH [INTERVAL [TOPIC-P…]]   `answer 3 5000 none` assigns nothing
 *   again                           no answer came: the heartbeat is tried again
 *   refused ERR
 *   resolved                        the names that were asked for came, or did not
 *   released, polled, left, leave MS, commit EPOCH ERR
 *   after MS                        time passes; what is due by itself happens
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "client/member_consumer.h"

struct test {
    struct member_consumer member;
    bool made;
    int64_t now_ms;
    char names[8][2]; /* topics have one letter; so have their ids */
    int name_count;
    FILE *out;
};

static int64_t backoff_ms(void *arg, int attempt) {
    (void)arg;
    return attempt >= 4 ? 1000 : 100 << (attempt - 1);
}

static struct str topic_name(void *arg, const struct uuid *id) {
    struct test *test = arg;
    for (int i = 0; i < test->name_count; i++) {
        if ((uint8_t)test->names[i][0] == id->bytes[15]) {
            return str_from_c(test->names[i]);
        }
    }
    return STR_NULL;
}

static void print_set(FILE *out, const struct member_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        fprintf(out, " %c-%d", set->items[i].topic_id.bytes[15], set->items[i].partition);
    }
    fprintf(out, "\n");
}

static void say_heartbeat(struct test *test) {
    struct member_consumer *member = &test->member;
    member_consumer_say(member);
    fprintf(test->out, "  heartbeat of epoch %d at %" PRId64, member->epoch, test->now_ms);
    if (member->sent_subscription) {
        fprintf(test->out, ", subscription");
    }
    if (member->sent_owned) {
        fprintf(test->out, ", has");
        print_set(test->out, &member->owned);
    } else {
        fprintf(test->out, "\n");
    }
}

static void act(struct test *test, enum member_action action) {
    struct member_consumer *member = &test->member;
    FILE *out = test->out;
    switch (action) {
    case MEMBER_CANCEL:
        fprintf(out, "  cancel\n");
        break;
    case MEMBER_HEARTBEAT:
        say_heartbeat(test);
        break;
    case MEMBER_LEAVE:
        fprintf(out, "  leave, epoch %d\n", member->leave_epoch);
        break;
    case MEMBER_RESOLVE:
        fprintf(out, "  ask for names\n");
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
    while ((action = member_consumer_next(&test->member, test->now_ms)) != MEMBER_NOTHING) {
        act(test, action);
    }
}

static void print_phase(struct test *test) {
    static const char *const names[] = {"OUT",           "JOINING", "STABLE",  "RECONCILING",
                                        "ACKNOWLEDGING", "STALE",   "LEAVING", "FAILED"};
    int64_t deadline_ms = member_consumer_deadline_ms(&test->member);
    fprintf(test->out, "  %s", names[test->member.phase]);
    if (deadline_ms != INT64_MAX) {
        fprintf(test->out, ", until %" PRId64, deadline_ms);
    }
    fprintf(test->out, "\n");
}

static void pass(struct test *test, int64_t duration_ms) {
    int64_t end_ms = test->now_ms + duration_ms;
    while (member_consumer_deadline_ms(&test->member) <= end_ms) {
        int64_t deadline_ms = member_consumer_deadline_ms(&test->member);
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
        member_consumer_done(&test->member);
    }
    struct member_settings settings = {.is_static = strstr(line, "static") != NULL,
                                       .max_poll_interval_ms = 60000,
                                       .backoff_ms = backoff_ms,
                                       .topic_name = topic_name,
                                       .arg = test};
    member_consumer_init(&test->member, &settings, (struct uuid){{1}});
    test->made = true;
    test->now_ms = 0;
    test->name_count = 0;
}

static void command_name(struct test *test, char *rest) {
    for (char *topic; (topic = strsep(&rest, " ")) != NULL;) {
        test->names[test->name_count++][0] = topic[0];
    }
    member_consumer_names_changed(&test->member);
}

static void command_answer(struct test *test, char *rest) {
    struct member_set assigned;
    member_set_init(&assigned);
    struct consumer_heartbeat heartbeat = {.epoch = atoi(strsep(&rest, " ")), .interval_ms = 5000};
    if (rest != NULL) {
        heartbeat.interval_ms = atoi(strsep(&rest, " "));
    }
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        heartbeat.assignment = &assigned;
        if (word[1] == '-') {
            struct uuid id = UUID_ZERO;
            id.bytes[15] = (uint8_t)word[0];
            member_set_add(&assigned, STR_NULL, id, atoi(word + 2));
        }
    }
    member_set_finish(&assigned);
    member_consumer_answered(&test->member, &heartbeat, test->now_ms);
    member_set_done(&assigned);
}

static void command(struct test *test, const char *word, char *rest) {
    struct member_consumer *member = &test->member;
    if (strcmp(word, "answer") == 0) {
        command_answer(test, rest);
    } else if (strcmp(word, "again") == 0) {
        say_heartbeat(test);
    } else if (strcmp(word, "refused") == 0) {
        struct consumer_heartbeat heartbeat = {.err = err_named(rest)};
        member_consumer_answered(member, &heartbeat, test->now_ms);
    } else if (strcmp(word, "commit") == 0) {
        int32_t epoch = atoi(strsep(&rest, " "));
        member_consumer_commit_answered(member, epoch, err_named(rest), test->now_ms);
    } else if (strcmp(word, "name") == 0) {
        command_name(test, rest);
    } else if (strcmp(word, "resolved") == 0) {
        member_consumer_resolved(member, test->now_ms);
    } else if (strcmp(word, "left") == 0) {
        member_consumer_left(member);
    } else if (strcmp(word, "subscribe") == 0) {
        member_consumer_subscribe(member, test->now_ms);
    } else if (strcmp(word, "released") == 0) {
        member_consumer_released(member);
    } else if (strcmp(word, "polled") == 0) {
        member_consumer_polled(member, test->now_ms);
    } else if (strcmp(word, "leave") == 0) {
        member_consumer_leave(member, test->now_ms, test->now_ms + atoi(rest));
    } else if (strcmp(word, "after") == 0) {
        pass(test, atoi(rest));
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

static void run(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
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
    command(test, word, rest);
    act_all(test);
    print_phase(test);
}

static void stop(void *arg) {
    struct test *test = arg;
    if (test->made) {
        member_consumer_done(&test->member);
    }
}

int main(int argc, char **argv) {
    struct test test = {0};
    struct transcript_player player = {.run = run, .stop = stop, .arg = &test};
    return transcript_main(argc, argv, &player);
}
