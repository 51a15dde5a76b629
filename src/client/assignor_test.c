/*
 * Runs a transcript over the client-side assignors. Those of testdata were written by Apache
 * Kafka's own classes (tests/compat/assignors). Without a transcript: random groups, and what must
 * hold for each.
 *
 *   topic NAME COUNT | RACK[,RACK…]…   a topic, by its partitions or the racks of each one's
 * replicas member ID[/INSTANCE][@RACK] TOPIC… joins, or subscribes to other topics owns ID
 * GENERATION TOPIC-P…        what it says it had leave ID assign NAME                        and
 * all own what they got, in the next generation reset
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/test.h"
#include "base/transcript.h"
#include "client/assignor.h"

enum { TOPICS_MAX = 12, MEMBERS_MAX = 16, PARTITIONS_MAX = 64, RACKS_MAX = 8 };

struct test_topic {
    char name[16];
    int32_t partition_count;
    bool racked;
    bool racks[PARTITIONS_MAX][RACKS_MAX];
};

struct test_member {
    char id[16];
    char instance_id[16];
    int32_t rack;
    bool subscribed[TOPICS_MAX];
    bool owned[TOPICS_MAX][PARTITIONS_MAX];
    int32_t generation;
};

struct test {
    FILE *out;
    struct test_topic topics[TOPICS_MAX];
    int32_t topic_count;
    struct test_member members[MEMBERS_MAX];
    int32_t member_count;
    char racks[RACKS_MAX][16];
    int32_t rack_count;
    int32_t generation;
    struct arena arena; /* of the last assignment */
    struct client_assign_group group;
    int32_t group_topics[TOPICS_MAX]; /* those of the test */
};

/* --- from the test's state to the group --- */

static bool is_read(const struct test *test, int32_t t) {
    for (int32_t m = 0; m < test->member_count; m++) {
        if (test->members[m].subscribed[t]) {
            return true;
        }
    }
    return false;
}

static struct client_assign_racks *topic_racks(struct test *test, const struct test_topic *topic) {
    struct client_assign_racks *racks =
        ARENA_ARRAY(&test->arena, struct client_assign_racks, PARTITIONS_MAX);
    for (int32_t p = 0; p < topic->partition_count; p++) {
        int32_t *ids = ARENA_ARRAY(&test->arena, int32_t, RACKS_MAX);
        racks[p].ids = ids;
        for (int32_t r = 0; r < RACKS_MAX; r++) {
            if (topic->racks[p][r]) {
                ids[racks[p].count++] = r;
            }
        }
    }
    return racks;
}

static void group_member(struct test *test, const struct test_member *from,
                         struct client_assign_member *member) {
    int32_t *topics = ARENA_ARRAY(&test->arena, int32_t, TOPICS_MAX);
    struct client_assign_partition *owned =
        ARENA_ARRAY(&test->arena, struct client_assign_partition, TOPICS_MAX * PARTITIONS_MAX);
    *member = (struct client_assign_member){.id = str_from_c(from->id),
                                            .rack = from->rack,
                                            .topics = topics,
                                            .owned = owned,
                                            .generation = from->generation};
    if (from->instance_id[0] != '\0') {
        member->instance_id = str_from_c(from->instance_id);
    }
    for (int32_t i = 0; i < test->group.topic_count; i++) {
        int32_t t = test->group_topics[i];
        if (from->subscribed[t]) {
            topics[member->topic_count++] = i;
        }
        for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
            if (from->owned[t][p]) {
                owned[member->owned_count++] = (struct client_assign_partition){i, p};
            }
        }
    }
}

static void group_make(struct test *test) {
    arena_reset(&test->arena);
    struct client_assign_group *group = &test->group;
    *group = (struct client_assign_group){.member_count = test->member_count,
                                          .rack_count = test->rack_count};
    group->topics = ARENA_ARRAY(&test->arena, struct client_assign_topic, TOPICS_MAX);
    for (int32_t t = 0; t < test->topic_count; t++) {
        const struct test_topic *from = &test->topics[t];
        if (from->partition_count > 0 && is_read(test, t)) {
            test->group_topics[group->topic_count] = t;
            group->topics[group->topic_count++] = (struct client_assign_topic){
                .name = str_from_c(from->name),
                .partition_count = from->partition_count,
                .racks = from->racked ? topic_racks(test, from) : NULL,
            };
        }
    }
    struct client_assign_member *members =
        ARENA_ARRAY(&test->arena, struct client_assign_member, MEMBERS_MAX);
    for (int32_t m = 0; m < test->member_count; m++) {
        group_member(test, &test->members[m], &members[m]);
    }
    group->members = members;
}

static void take_assigned(struct test *test) {
    test->generation++;
    for (int32_t m = 0; m < test->member_count; m++) {
        memset(test->members[m].owned, 0, sizeof test->members[m].owned);
        test->members[m].generation = test->generation;
    }
    for (int32_t i = 0; i < test->group.topic_count; i++) {
        for (int32_t p = 0; p < test->group.topics[i].partition_count; p++) {
            int32_t owner = test->group.topics[i].owners[p];
            if (owner != CLIENT_ASSIGN_NOBODY) {
                test->members[owner].owned[test->group_topics[i]][p] = true;
            }
        }
    }
}

/* --- commands; names come in rising order, or are put there --- */

static int32_t topic_at(struct test *test, const char *name) {
    int32_t t = 0;
    while (t < test->topic_count && strcmp(test->topics[t].name, name) != 0) {
        t++;
    }
    if (t == test->topic_count) {
        assert_true(t < TOPICS_MAX && (t == 0 || strcmp(test->topics[t - 1].name, name) < 0));
        test->topics[test->topic_count++] = (struct test_topic){0};
        snprintf(test->topics[t].name, sizeof test->topics[t].name, "%s", name);
    }
    return t;
}

static int32_t rack_at(struct test *test, const char *name) {
    for (int32_t r = 0; r < test->rack_count; r++) {
        if (strcmp(test->racks[r], name) == 0) {
            return r;
        }
    }
    assert_true(test->rack_count < RACKS_MAX);
    snprintf(test->racks[test->rack_count], sizeof test->racks[0], "%s", name);
    return test->rack_count++;
}

static struct test_member *member_at(struct test *test, const char *id) {
    int32_t m = 0;
    while (m < test->member_count && strcmp(test->members[m].id, id) < 0) {
        m++;
    }
    if (m == test->member_count || strcmp(test->members[m].id, id) != 0) {
        assert_true(test->member_count < MEMBERS_MAX);
        memmove(&test->members[m + 1], &test->members[m],
                sizeof test->members[0] * (size_t)(test->member_count - m));
        test->member_count++;
        test->members[m] = (struct test_member){.rack = CLIENT_ASSIGN_RACK_NONE, .generation = -1};
        snprintf(test->members[m].id, sizeof test->members[m].id, "%s", id);
    }
    return &test->members[m];
}

static void command_topic(struct test *test, char **words, int count) {
    struct test_topic *topic = &test->topics[topic_at(test, words[1])];
    topic->racked = count > 2 && strspn(words[2], "0123456789") != strlen(words[2]);
    memset(topic->racks, 0, sizeof topic->racks);
    topic->partition_count = topic->racked ? count - 2 : atoi(words[2]);
    for (int32_t p = 0; topic->racked && p < topic->partition_count; p++) {
        char *rest = words[p + 2];
        for (char *rack; (rack = strsep(&rest, ",")) != NULL;) {
            if (strcmp(rack, "-") != 0) {
                topic->racks[p][rack_at(test, rack)] = true;
            }
        }
    }
}

static void command_member(struct test *test, char **words, int count) {
    char *rack = words[1];
    char *instance = strsep(&rack, "@");
    char *id = strsep(&instance, "/");
    struct test_member *member = member_at(test, id);
    if (instance != NULL) {
        snprintf(member->instance_id, sizeof member->instance_id, "%s", instance);
    }
    member->rack = rack == NULL ? CLIENT_ASSIGN_RACK_NONE : rack_at(test, rack);
    memset(member->subscribed, 0, sizeof member->subscribed);
    for (int i = 2; i < count; i++) {
        member->subscribed[topic_at(test, words[i])] = true;
    }
}

static void command_owns(struct test *test, char **words, int count) {
    struct test_member *member = member_at(test, words[1]);
    member->generation = atoi(words[2]);
    test->generation =
        test->generation > member->generation ? test->generation : member->generation;
    memset(member->owned, 0, sizeof member->owned);
    for (int i = 3; i < count; i++) {
        char *partition = words[i];
        char *topic = strsep(&partition, "-");
        member->owned[topic_at(test, topic)][atoi(partition)] = true;
    }
}

static void command_leave(struct test *test, const char *id) {
    struct test_member *member = member_at(test, id);
    test->member_count--;
    memmove(member, member + 1,
            sizeof *member * (size_t)(&test->members[test->member_count] - member));
}

static void command_assign(struct test *test, const char *name) {
    const struct client_assignor *assignor = client_assignor_by_name(str_from_c(name));
    assert_non_null(assignor);
    group_make(test);
    assignor->assign(&test->group, &test->arena);
    take_assigned(test);
    for (int32_t m = 0; m < test->member_count; m++) {
        fprintf(test->out, "  %s:", test->members[m].id);
        for (int32_t t = 0; t < test->topic_count; t++) {
            for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
                if (test->members[m].owned[t][p]) {
                    fprintf(test->out, " %s-%d", test->topics[t].name, p);
                }
            }
        }
        fprintf(test->out, "\n");
    }
}

static void transcript_run(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    test->out = out;
    char text[1024];
    snprintf(text, sizeof text, "%s", line);
    text[strcspn(text, "\n")] = '\0';
    char *words[128];
    int count = 0;
    char *rest = text;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < 128;) {
        words[count++] = word;
    }
    if (strcmp(words[0], "topic") == 0) {
        command_topic(test, words, count);
    } else if (strcmp(words[0], "member") == 0) {
        command_member(test, words, count);
    } else if (strcmp(words[0], "owns") == 0) {
        command_owns(test, words, count);
    } else if (strcmp(words[0], "leave") == 0) {
        command_leave(test, words[1]);
    } else if (strcmp(words[0], "assign") == 0) {
        command_assign(test, words[1]);
    } else if (strcmp(words[0], "reset") == 0) {
        struct arena arena = test->arena;
        *test = (struct test){.arena = arena};
    } else {
        fprintf(out, "  unknown command\n");
    }
}

/* --- what must hold for any group --- */

struct before {
    int32_t owners[TOPICS_MAX][PARTITIONS_MAX]; /* members by index, while none comes or goes */
};

static void loads_of(const struct test *test, int32_t *loads) {
    memset(loads, 0, sizeof loads[0] * MEMBERS_MAX);
    for (int32_t i = 0; i < test->group.topic_count; i++) {
        for (int32_t p = 0; p < test->group.topics[i].partition_count; p++) {
            int32_t owner = test->group.topics[i].owners[p];
            assert_true(owner >= 0 && owner < test->member_count);
            assert_true(client_assign_subscribes(&test->group.members[owner], i));
            loads[owner]++;
        }
    }
}

/* Nobody could take a partition of one who has two more. */
static void assert_balanced(const struct test *test) {
    int32_t loads[MEMBERS_MAX];
    loads_of(test, loads);
    for (int32_t i = 0; i < test->group.topic_count; i++) {
        for (int32_t p = 0; p < test->group.topics[i].partition_count; p++) {
            int32_t owner = test->group.topics[i].owners[p];
            for (int32_t m = 0; m < test->member_count; m++) {
                assert_true(!client_assign_subscribes(&test->group.members[m], i) ||
                            loads[owner] <= loads[m] + 1);
            }
        }
    }
}

static int32_t count_owned(const struct test *test) {
    int32_t count = 0;
    for (int32_t m = 0; m < test->member_count; m++) {
        for (int32_t t = 0; t < TOPICS_MAX; t++) {
            for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
                count += test->members[m].owned[t][p];
            }
        }
    }
    return count;
}

static int32_t count_moved(const struct test *test) {
    int32_t moved = 0;
    for (int32_t m = 0; m < test->group.member_count; m++) {
        const struct client_assign_member *member = &test->group.members[m];
        for (int32_t i = 0; i < member->owned_count; i++) {
            const struct client_assign_partition *owned = &member->owned[i];
            const struct client_assign_topic *topic = &test->group.topics[owned->topic];
            moved +=
                owned->partition < topic->partition_count && topic->owners[owned->partition] != m;
        }
    }
    return moved;
}

static void random_group(struct test *test, struct rng *rng, bool same) {
    struct arena arena = test->arena;
    *test = (struct test){.arena = arena};
    int32_t topics = 1 + (int32_t)rng_below(rng, 6);
    for (int32_t t = 0; t < topics; t++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", t);
        test->topics[topic_at(test, name)].partition_count = 1 + (int32_t)rng_below(rng, 20);
    }
    int32_t members = 1 + (int32_t)rng_below(rng, 8);
    for (int32_t m = 0; m < members; m++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", m);
        struct test_member *member = member_at(test, id);
        for (int32_t t = 0; t < topics; t++) {
            member->subscribed[t] = same || rng_one_in(rng, 2) != 0;
        }
    }
}

static void assign_sticky(struct test *test) {
    group_make(test);
    client_assign_sticky(&test->group, &test->arena);
}

/* Balanced; nothing moves where nothing changed; and where all read the same, a member that comes
 * or goes moves no more than it must. */
static void sticky_is_balanced_and_sticky(struct test *test, struct rng *rng, bool same) {
    random_group(test, rng, same);
    assign_sticky(test);
    assert_balanced(test);
    take_assigned(test);
    assign_sticky(test);
    assert_int_equal(count_moved(test), 0);
    take_assigned(test);

    int32_t total = count_owned(test);
    struct test_member *comes = member_at(test, "m4x");
    for (int32_t t = 0; t < test->topic_count; t++) {
        comes->subscribed[t] = true;
    }
    assign_sticky(test);
    assert_balanced(test);
    if (same) {
        assert_true(count_moved(test) <= total / test->member_count + 1);
    }
    take_assigned(test);
    command_leave(test, "m4x");
    assign_sticky(test);
    assert_balanced(test);
    if (same) {
        assert_int_equal(count_moved(test), 0);
    }
}

/* Nobody gets what another has; the second round gives all, and is balanced. */
static void cooperative_comes_to_rest(struct test *test, struct rng *rng, bool same) {
    random_group(test, rng, same);
    for (int round = 0; round < 6; round++) {
        if (round == 3) {
            struct test_member *comes = member_at(test, "m4x");
            for (int32_t t = 0; t < test->topic_count; t++) {
                comes->subscribed[t] = true;
            }
        }
        group_make(test);
        client_assign_cooperative_sticky(&test->group, &test->arena);
        for (int32_t m = 0; m < test->group.member_count; m++) {
            const struct client_assign_member *member = &test->group.members[m];
            for (int32_t i = 0; i < member->owned_count; i++) {
                const struct client_assign_partition *owned = &member->owned[i];
                int32_t owner = test->group.topics[owned->topic].owners[owned->partition];
                assert_true(owner == m || owner == CLIENT_ASSIGN_NOBODY);
            }
        }
        if (round == 2 || round == 5) {
            assert_balanced(test);
            assert_int_equal(count_moved(test), 0);
        }
        take_assigned(test);
    }
}

static int random_main(void) {
    struct test *test = calloc(1, sizeof *test);
    arena_init(&test->arena, SIZE_MAX);
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        sticky_is_balanced_and_sticky(test, &rng, seed % 2 == 0);
        cooperative_comes_to_rest(test, &rng, seed % 2 == 0);
    }
    arena_done(&test->arena);
    free(test);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 1) {
        return random_main();
    }
    struct test *test = calloc(1, sizeof *test);
    arena_init(&test->arena, SIZE_MAX);
    struct transcript_player player = {.run = transcript_run, .arg = test};
    int code = transcript_main(argc, argv, &player);
    arena_done(&test->arena);
    free(test);
    return code;
}
