/*
 * Runs a transcript over the assignors: each command is carried out, and what it prints must be the
 * indented lines that follow it. Without a transcript: random groups, and what must hold for each.
 *
 *   topic NAME PARTITIONS      makes a topic, or gives it more partitions; 0 deletes it
 *   member ID[/INSTANCE] TOPIC...   joins, or subscribes to other topics
 *   leave ID                   ... and its partitions are nobody's
 *   assign NAME                runs the assignor over the last assignment
 *   reset                      begins anew
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/transcript.h"
#include "coord/assignor.h"

enum { TOPICS_MAX = 64, MEMBERS_MAX = 64, PARTITIONS_MAX = 128 };

struct test_member {
    char id[16];
    char instance_id[16]; /* "": none */
    bool subscribed[TOPICS_MAX];
    bool there;
};

struct test_topic {
    char name[16];
    int32_t partition_count;
    int32_t owners[PARTITIONS_MAX]; /* of test members */
};

struct test {
    FILE *out;
    struct test_topic topics[TOPICS_MAX];
    struct test_member members[MEMBERS_MAX];
};

/* --- from the test's state to the assignor's, and back --- */

struct run {
    struct arena arena;
    struct assignor_group group;
    int32_t topics[TOPICS_MAX];   /* of the assignor: those of the test */
    int32_t members[MEMBERS_MAX]; /* likewise */
};

static bool is_read(const struct test *test, int32_t t) {
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        if (test->members[m].there && test->members[m].subscribed[t]) {
            return test->topics[t].partition_count > 0;
        }
    }
    return false;
}

static void run_topics(const struct test *test, struct run *run, const int32_t *places) {
    struct assignor_group *group = &run->group;
    group->topics = ARENA_ARRAY(&run->arena, struct assignor_topic, TOPICS_MAX);
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        if (!is_read(test, t)) {
            continue;
        }
        const struct test_topic *from = &test->topics[t];
        struct assignor_topic *topic = &group->topics[group->topic_count];
        topic->partition_count = from->partition_count;
        topic->owners = ARENA_ARRAY(&run->arena, int32_t, PARTITIONS_MAX);
        for (int32_t p = 0; p < from->partition_count; p++) {
            int32_t owner = from->owners[p];
            topic->owners[p] = owner == ASSIGNOR_NOBODY ? ASSIGNOR_NOBODY : places[owner];
        }
        run->topics[group->topic_count++] = t;
    }
}

static void run_init(const struct test *test, struct run *run) {
    *run = (struct run){0};
    arena_init(&run->arena, SIZE_MAX);
    int32_t places[MEMBERS_MAX];
    struct assignor_group *group = &run->group;
    struct assignor_member *members = ARENA_ARRAY(&run->arena, struct assignor_member, MEMBERS_MAX);
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        places[m] = ASSIGNOR_NOBODY;
        if (test->members[m].there) {
            places[m] = group->member_count;
            run->members[group->member_count++] = m;
        }
    }
    run_topics(test, run, places);
    for (int32_t i = 0; i < group->member_count; i++) {
        const struct test_member *from = &test->members[run->members[i]];
        int32_t *topics = ARENA_ARRAY(&run->arena, int32_t, TOPICS_MAX);
        members[i] = (struct assignor_member){.id = str_from_c(from->id), .topics = topics};
        if (from->instance_id[0] != '\0') {
            members[i].instance_id = str_from_c(from->instance_id);
        }
        for (int32_t t = 0; t < group->topic_count; t++) {
            if (from->subscribed[run->topics[t]]) {
                topics[members[i].topic_count++] = t;
            }
        }
    }
    group->members = members;
}

static void run_finish(struct test *test, struct run *run) {
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; p < test->topics[t].partition_count; p++) {
            test->topics[t].owners[p] = ASSIGNOR_NOBODY; /* also where nobody reads any more */
        }
    }
    for (int32_t t = 0; t < run->group.topic_count; t++) {
        struct test_topic *topic = &test->topics[run->topics[t]];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            topic->owners[p] = run->members[run->group.topics[t].owners[p]];
        }
    }
    arena_done(&run->arena);
}

/* --- the transcript --- */

static int32_t topic_find(const struct test *test, const char *name) {
    int32_t t = 0;
    while (test->topics[t].name[0] != '\0' && strcmp(test->topics[t].name, name) != 0) {
        t++;
    }
    return t;
}

static int32_t member_find(const struct test *test, const char *id) {
    int32_t m = 0;
    while (test->members[m].id[0] != '\0' && strcmp(test->members[m].id, id) != 0) {
        m++;
    }
    return m;
}

static void topic_set(struct test *test, const char *name, int32_t partition_count) {
    struct test_topic *topic = &test->topics[topic_find(test, name)];
    snprintf(topic->name, sizeof topic->name, "%s", name);
    for (int32_t p = topic->partition_count; p < partition_count; p++) {
        topic->owners[p] = ASSIGNOR_NOBODY;
    }
    topic->partition_count = partition_count;
}

static void member_set(struct test *test, const char *line) {
    char words[512];
    snprintf(words, sizeof words, "%.*s", (int)strcspn(line, "\n"), line);
    char *rest;
    char *id = strtok_r(words, " ", &rest);
    char *instance_id = strchr(id, '/');
    if (instance_id != NULL) {
        *instance_id++ = '\0';
    }
    struct test_member *member = &test->members[member_find(test, id)];
    *member = (struct test_member){.there = true};
    snprintf(member->id, sizeof member->id, "%s", id);
    snprintf(member->instance_id, sizeof member->instance_id, "%s",
             instance_id == NULL ? "" : instance_id);
    char *name;
    while ((name = strtok_r(NULL, " ", &rest)) != NULL) {
        member->subscribed[topic_find(test, name)] = true;
    }
}

static void member_leave(struct test *test, int32_t member) {
    test->members[member].there = false;
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; p < test->topics[t].partition_count; p++) {
            if (test->topics[t].owners[p] == member) {
                test->topics[t].owners[p] = ASSIGNOR_NOBODY;
            }
        }
    }
}

static void print_assignment(const struct test *test) {
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        if (!test->members[m].there) {
            continue;
        }
        fprintf(test->out, "  %s:", test->members[m].id);
        for (int32_t t = 0; t < TOPICS_MAX; t++) {
            for (int32_t p = 0; p < test->topics[t].partition_count; p++) {
                if (test->topics[t].owners[p] == m) {
                    fprintf(test->out, " %s-%d", test->topics[t].name, p);
                }
            }
        }
        fprintf(test->out, "\n");
    }
}

static void assign(struct test *test, const char *name) {
    assignor_fn assignor = assignor_find(str_from_c(name));
    if (assignor == NULL) {
        fprintf(test->out, "  no such assignor\n");
        return;
    }
    struct run run;
    run_init(test, &run);
    assignor(&run.group, &run.arena);
    run_finish(test, &run);
    print_assignment(test);
}

static void run_line(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    test->out = out;
    char name[16];
    int count;
    if (sscanf(line, "topic %15s %d", name, &count) == 2) {
        topic_set(test, name, count);
    } else if (strncmp(line, "member ", 7) == 0) {
        member_set(test, line + 7);
    } else if (sscanf(line, "leave %15s", name) == 1) {
        member_leave(test, member_find(test, name));
    } else if (sscanf(line, "assign %15s", name) == 1) {
        assign(test, name);
    } else if (strcmp(line, "reset\n") == 0) {
        *test = (struct test){0};
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

/* --- random groups --- */

static void change(struct test *test, struct rng *rng, bool homogeneous) {
    int32_t t = (int32_t)rng_below(rng, 1 + rng_below(rng, TOPICS_MAX));
    int32_t m = (int32_t)rng_below(rng, 1 + rng_below(rng, MEMBERS_MAX));
    char name[16];
    switch (rng_below(rng, 4)) {
    case 0:
        snprintf(name, sizeof name, "t%d", t);
        t = topic_find(test, name);
        topic_set(test, name,
                  test->topics[t].partition_count +
                      (int32_t)rng_below(
                          rng, (uint64_t)(PARTITIONS_MAX - test->topics[t].partition_count)));
        return;
    case 1:
        if (test->members[m].there) {
            member_leave(test, m);
        }
        return;
    default:
        snprintf(test->members[m].id, sizeof test->members[m].id, "m%d", m);
        test->members[m].there = true;
        for (t = 0; t < TOPICS_MAX; t++) {
            test->members[m].subscribed[t] = homogeneous || rng_one_in(rng, 4);
        }
    }
}

static void loads_count(const struct test *test, int32_t *loads) {
    memset(loads, 0, sizeof loads[0] * MEMBERS_MAX);
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; p < test->topics[t].partition_count; p++) {
            int32_t owner = test->topics[t].owners[p];
            if (owner != ASSIGNOR_NOBODY) {
                loads[owner]++;
            }
        }
    }
}

/* Every partition that somebody subscribes to has an owner that does. */
static void check_complete(const struct test *test) {
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; is_read(test, t) && p < test->topics[t].partition_count; p++) {
            int32_t owner = test->topics[t].owners[p];
            assert(owner != ASSIGNOR_NOBODY);
            assert(test->members[owner].there);
            assert(test->members[owner].subscribed[t]);
        }
    }
}

/* No single move makes the group more even. */
static void check_even(const struct test *test) {
    int32_t loads[MEMBERS_MAX];
    loads_count(test, loads);
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; is_read(test, t) && p < test->topics[t].partition_count; p++) {
            int32_t owner = test->topics[t].owners[p];
            for (int32_t m = 0; m < MEMBERS_MAX; m++) {
                if (test->members[m].there && test->members[m].subscribed[t]) {
                    assert(loads[owner] <= loads[m] + 1);
                }
            }
        }
    }
}

/* Of a homogeneous group no more moves than its quotas take. */
static void check_sticky(const struct test *before, const struct test *after) {
    int32_t loads[MEMBERS_MAX];
    loads_count(before, loads);
    int32_t total = 0;
    int32_t members = 0;
    int32_t stayed = 0;
    for (int32_t t = 0; t < TOPICS_MAX; t++) {
        for (int32_t p = 0; is_read(after, t) && p < after->topics[t].partition_count; p++) {
            total++;
            stayed += before->topics[t].owners[p] == after->topics[t].owners[p];
        }
    }
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        members += after->members[m].there;
    }
    if (members == 0) {
        return;
    }
    int32_t extra = total % members;
    int32_t may_stay = 0;
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        int32_t quota = total / members;
        if (loads[m] > quota && extra > 0) {
            quota++;
            extra--;
        }
        may_stay += after->members[m].there ? (loads[m] < quota ? loads[m] : quota) : 0;
    }
    assert(stayed == may_stay);
}

static void run_assignor(struct test *test, assignor_fn assignor) {
    struct run run;
    run_init(test, &run);
    assignor(&run.group, &run.arena);
    run_finish(test, &run);
    check_complete(test);
}

/* Assigning again what is assigned changes nothing. */
static void check_settled(struct test *test, assignor_fn assignor) {
    static struct test before;
    before = *test;
    run_assignor(test, assignor);
    assert(memcmp(&before, test, sizeof before) == 0);
}

static void random_group(uint64_t seed) {
    static struct test test;
    static struct test before;
    test = (struct test){0};
    struct rng rng;
    rng_init(&rng, seed);
    bool homogeneous = rng_one_in(&rng, 2);
    for (int round = 0; round < 20; round++) {
        for (uint64_t changes = 1 + rng_below(&rng, 10); changes > 0; changes--) {
            change(&test, &rng, homogeneous);
        }
        before = test;
        run_assignor(&test, assignor_uniform);
        check_even(&test);
        if (homogeneous) {
            check_sticky(&before, &test);
        }
        check_settled(&test, assignor_uniform);
        before = test;
        run_assignor(&test, assignor_range);
        check_settled(&test, assignor_range);
        if (!rng_one_in(&rng, 3)) {
            test = before; /* and go on from the uniform one */
        }
    }
}

int main(int argc, char **argv) {
    static struct test test;
    const struct transcript_player player = {.run = run_line, .arg = &test};
    if (argc > 1) {
        return transcript_main(argc, argv, &player);
    }
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_group(seed);
    }
    return 0;
}
