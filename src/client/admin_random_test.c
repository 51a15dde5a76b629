/* Every operation of the administrator against brokers whose answers are well-formed messages with
 * anything in them. Nothing may happen but that the call ends. Run under sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "client/fake_broker_test_int.h"
#include "ottla/admin.h"
#include "wire/random.h"

enum { ROUNDS = 400 };

static struct ottla_client *client;
static struct rng rng;

/* Makes a random message one that concerns us: names that were asked for, small numbers, and now
 * and then no error. */
static void bring_near(const struct wire_struct *shape, int16_t version, uint8_t *message) {
    static const char *const names[] = {"orders", "a", "b", "g", "h", "m", "i", "", "other"};
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        uint8_t *at = message + field->offset;
        size_t count = field->array ? (size_t)wire_count_at(message, field->count_offset) : 1;
        if ((field->array && wire_count_at(message, field->count_offset) <= 0) ||
            !wire_versions_have(field->versions, version)) {
            continue;
        }
        at = field->array ? *(uint8_t **)at : at;
        for (size_t k = 0; k < count; k++) {
            if (field->kind == WIRE_STRUCT) {
                bring_near(field->shape, version, at + k * field->shape->size);
            } else if (field->kind == WIRE_POINTER && ((void **)at)[k] != NULL) {
                bring_near(field->shape, version, ((void **)at)[k]);
            } else if (field->kind == WIRE_STRING && ((struct str *)at)[k].data != NULL &&
                       !rng_one_in(&rng, 8)) {
                ((struct str *)at)[k] =
                    str_from_c(names[rng_below(&rng, sizeof names / sizeof *names)]);
            } else if (field->kind == WIRE_INT32 && !rng_one_in(&rng, 8)) {
                ((int32_t *)at)[k] = (int32_t)rng_below(&rng, 4);
            } else if (field->kind == WIRE_INT16 && !rng_one_in(&rng, 3)) {
                ((int16_t *)at)[k] = 0;
            }
        }
    }
}

/* What the client stands on is sound, at times; everything else is anything, or what was asked for
 * with something wrong in it. */
static enum fake_do anything_hook(void *arg, struct fake_call *call) {
    (void)arg;
    bool base = call->api_key == API_API_VERSIONS || call->api_key == API_METADATA ||
                call->api_key == API_FIND_COORDINATOR;
    if (base && !(call->api_key == API_METADATA && rng_one_in(&rng, 8))) {
        return FAKE_ANSWER;
    }
    const struct wire_type *type = wire_api(call->api_key)->response;
    wire_random(type, call->version, &rng, call->arena, call->response);
    if (!rng_one_in(&rng, 4)) {
        bring_near(type->shape, call->version, call->response);
    }
    return FAKE_ANSWER;
}

typedef struct ottla_call *(*start_fn)(const struct ottla_admin_options *options);

static const struct ottla_partition partitions[] = {{"orders", 0}, {"orders", 5}, {"", 1}};
static const struct ottla_position positions[] = {{.topic = "orders", .partition = 2, .offset = 3},
                                                  {.topic = "orders", .partition = 0}};
static const char *const groups[] = {"g", "", "h"};
static const int32_t brokers[] = {1, 2, 9};

static struct ottla_call *topics_create(const struct ottla_admin_options *options) {
    static const struct ottla_new_topic topics[] = {{.name = "a"}, {.name = ""}};
    return ottla_topics_create(client, topics, 2, options);
}
static const struct ottla_topic_ref refs[] = {
    {.name = "orders"}, {.name = ""}, {.id = "AAAAAAAAAAAAAAAAAAAAAg"}};
static struct ottla_call *topics_delete(const struct ottla_admin_options *options) {
    return ottla_topics_delete(client, refs, 3, options);
}
static struct ottla_call *topics_describe(const struct ottla_admin_options *options) {
    return ottla_topics_describe(client, refs, 3, options);
}
static struct ottla_call *topics_list(const struct ottla_admin_options *options) {
    return ottla_topics_list(client, options);
}
static struct ottla_call *partitions_create(const struct ottla_admin_options *options) {
    static const struct ottla_new_partitions topics[] = {{.topic = "", .count = 2}};
    return ottla_partitions_create(client, topics, 1, options);
}
static struct ottla_call *configs_describe(const struct ottla_admin_options *options) {
    static const struct ottla_resource resources[] = {{.type = OTTLA_RESOURCE_TOPIC, .name = ""},
                                                      {.type = OTTLA_RESOURCE_BROKER, .name = "1"}};
    return ottla_configs_describe(client, resources, 2, options);
}
static const struct ottla_resource_change changes[] = {
    {.type = OTTLA_RESOURCE_TOPIC, .name = ""}, {.type = OTTLA_RESOURCE_BROKER, .name = "2"}};
static struct ottla_call *configs_alter(const struct ottla_admin_options *options) {
    return ottla_configs_alter(client, changes, 2, options);
}
static struct ottla_call *configs_replace(const struct ottla_admin_options *options) {
    return ottla_configs_replace(client, changes, 2, options);
}
static struct ottla_call *resources_list(const struct ottla_admin_options *options) {
    return ottla_resources_list(client, NULL, 0, options);
}
static struct ottla_call *offsets_list(const struct ottla_admin_options *options) {
    return ottla_offsets_list(client, positions, 2, options);
}
static struct ottla_call *records_delete(const struct ottla_admin_options *options) {
    return ottla_records_delete(client, positions, 2, options);
}
static struct ottla_call *producers_describe(const struct ottla_admin_options *options) {
    return ottla_producers_describe(client, partitions, 3, options);
}
static struct ottla_call *groups_list(const struct ottla_admin_options *options) {
    return ottla_groups_list(client, options);
}
static struct ottla_call *groups_describe(const struct ottla_admin_options *options) {
    return ottla_groups_describe(client, groups, 3, options);
}
static struct ottla_call *groups_delete(const struct ottla_admin_options *options) {
    return ottla_groups_delete(client, groups, 3, options);
}
static struct ottla_call *members_remove(const struct ottla_admin_options *options) {
    static const struct ottla_member_ref members[] = {{.member_id = "m"}, {.instance_id = "i"}};
    return ottla_members_remove(client, "g", members, 2, options);
}
static struct ottla_call *members_remove_all(const struct ottla_admin_options *options) {
    return ottla_members_remove(client, "", NULL, 0, options);
}
static struct ottla_call *group_offsets_list(const struct ottla_admin_options *options) {
    static const struct ottla_group_partitions asked[] = {{"g", partitions, 3}, {"", NULL, 0}};
    return ottla_group_offsets_list(client, asked, 2, options);
}
static struct ottla_call *group_offsets_all(const struct ottla_admin_options *options) {
    return ottla_group_offsets_list(client, NULL, 0, options);
}
static struct ottla_call *group_offsets_alter(const struct ottla_admin_options *options) {
    return ottla_group_offsets_alter(client, "g", positions, 2, options);
}
static struct ottla_call *group_offsets_delete(const struct ottla_admin_options *options) {
    return ottla_group_offsets_delete(client, "g", partitions, 3, options);
}
static struct ottla_call *cluster_describe(const struct ottla_admin_options *options) {
    return ottla_cluster_describe(client, options);
}
static struct ottla_call *versions_describe(const struct ottla_admin_options *options) {
    return ottla_versions_describe(client, NULL, 0, options);
}
static struct ottla_call *features_describe(const struct ottla_admin_options *options) {
    return ottla_features_describe(client, options);
}
static struct ottla_call *features_update(const struct ottla_admin_options *options) {
    static const struct ottla_feature_update update = {"", 1, OTTLA_UPGRADE};
    return ottla_features_update(client, &update, 1, options);
}
static struct ottla_call *log_dirs_describe(const struct ottla_admin_options *options) {
    return ottla_log_dirs_describe(client, brokers, 3, options);
}
static struct ottla_call *replicas_move(const struct ottla_admin_options *options) {
    static const struct ottla_replica_move moves[] = {
        {"a", 0, 1, "/x"}, {"b", 0, 1, "/y"}, {"a", 1, 1, "/y"}, {"a", 0, 2, "/x"}};
    return ottla_replicas_move(client, moves, 4, options);
}
static struct ottla_call *leaders_elect(const struct ottla_admin_options *options) {
    return ottla_leaders_elect(client, OTTLA_ELECTION_UNCLEAN, partitions, 2, options);
}
static struct ottla_call *leaders_elect_all(const struct ottla_admin_options *options) {
    return ottla_leaders_elect(client, OTTLA_ELECTION_PREFERRED, NULL, 0, options);
}
static struct ottla_call *reassignments_alter(const struct ottla_admin_options *options) {
    static const struct ottla_reassignment all[] = {{"orders", 0, {brokers, 2}},
                                                    {"orders", 1, {NULL, 0}}};
    return ottla_reassignments_alter(client, all, 2, options);
}
static struct ottla_call *reassignments_list(const struct ottla_admin_options *options) {
    return ottla_reassignments_list(client, NULL, 0, options);
}
static struct ottla_call *quorum_describe(const struct ottla_admin_options *options) {
    return ottla_quorum_describe(client, options);
}
static struct ottla_call *voter_add(const struct ottla_admin_options *options) {
    static const struct ottla_listener listener = {"L", "h", 1};
    return ottla_voter_add(client, 1, "AAAAAAAAAAAAAAAAAAAAAg", &listener, 1, options);
}
static struct ottla_call *voter_remove(const struct ottla_admin_options *options) {
    return ottla_voter_remove(client, 1, "AAAAAAAAAAAAAAAAAAAAAg", options);
}
static struct ottla_call *broker_unregister(const struct ottla_admin_options *options) {
    return ottla_broker_unregister(client, 1, options);
}

static struct ottla_call *transactions_list(const struct ottla_admin_options *options) {
    return ottla_transactions_list(client, options);
}
static struct ottla_call *transactions_describe(const struct ottla_admin_options *options) {
    return ottla_transactions_describe(client, groups, 3, options);
}
static struct ottla_call *producers_fence(const struct ottla_admin_options *options) {
    return ottla_producers_fence(client, groups, 3, options);
}
static struct ottla_call *transactions_abort(const struct ottla_admin_options *options) {
    static const struct ottla_transaction_abort aborts[] = {{"orders", 0, 1, 2, 3},
                                                            {"orders", 1, 1, 2, -1}};
    return ottla_transactions_abort(client, aborts, 2, options);
}

static const start_fn starts[] = {
    topics_create,      topics_delete,         topics_describe,    topics_list,
    partitions_create,  configs_describe,      configs_alter,      configs_replace,
    resources_list,     offsets_list,          records_delete,     producers_describe,
    groups_list,        groups_describe,       groups_delete,      members_remove,
    members_remove_all, group_offsets_list,    group_offsets_all,  group_offsets_alter,
    cluster_describe,   group_offsets_delete,  versions_describe,  features_describe,
    features_update,    log_dirs_describe,     replicas_move,      leaders_elect,
    leaders_elect_all,  reassignments_alter,   reassignments_list, quorum_describe,
    voter_add,          voter_remove,          broker_unregister,  transactions_list,
    producers_fence,    transactions_describe, transactions_abort,
};

/* All at once, so that they get into each other's way, too. */
static void anything_ends(void **state) {
    (void)state;
    enum { STARTS = sizeof starts / sizeof *starts };
    int well = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        rng_init(&rng, seed);
        struct fake_cluster *cluster = fake_cluster_new(seed, 3);
        fake_cluster_topic(cluster, "orders", 6);
        client = fake_cluster_client(cluster, NULL);
        cluster->hook = anything_hook;
        struct ottla_admin_options options = {.timeout_ms = 3000,
                                              .authorized_operations = true,
                                              .synonyms = true,
                                              .documentation = true,
                                              .stable = seed % 2 == 0,
                                              .internal = true};
        struct ottla_call *calls[STARTS];
        for (size_t i = 0; i < STARTS; i++) {
            calls[i] = starts[i](&options);
        }
        int64_t start_ms = sim_world_now_ms(cluster->world);
        for (size_t i = 0; i < STARTS; i++) {
            struct ottla_error error;
            int code = ottla_call_wait(calls[i], -1, &error);
            assert_true(ottla_call_is_done(calls[i]));
            assert_int_equal(code != OTTLA_OK, strlen(error.text) > 0);
            ottla_call_free(calls[i]);
            well += code == OTTLA_OK;
        }
        assert_true(sim_world_now_ms(cluster->world) - start_ms < 5000);
        fake_cluster_free(cluster);
    }
    assert_true(well > ROUNDS * STARTS / 20); /* else it looked at nothing but errors */
    print_message("%d of %d calls found nothing wrong\n", well, ROUNDS * STARTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(anything_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
