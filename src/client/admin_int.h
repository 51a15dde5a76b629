#pragma once

#include "base/list.h"
#include "client/core.h"
#include "ottla/admin.h"
#include "wire/messages.h"

/*
 * Private to admin*.c: what an operation is made of. How a call goes on is told in admin_call.c.
 *
 * An operation is a row (struct admin_op) with stages; a stage is one request: where it goes, how
 * it is built for some items, and what its answer means for them. `take` ends each item of its
 * part, sends it to a stage, or adds items; what it leaves open counts as left out by the broker.
 */
struct ottla_call;
struct admin_part;
struct admin_item;

enum admin_route {
    ADMIN_ANY,
    ADMIN_CONTROLLER,
    ADMIN_BOOTSTRAP,
    ADMIN_BROKER,      /* item->broker_id; items of one broker share a request */
    ADMIN_GROUP,       /* the coordinator of group item->group */
    ADMIN_TRANSACTION, /* that of transactional id item->group */
};

/* Errors of an item after which it is asked again. That the controller or coordinator moved is seen
 * to by the core, see judge in admin_part.c. */
enum admin_passing {
    ADMIN_PASS_QUOTA = 1,       /* THROTTLING_QUOTA_EXCEEDED */
    ADMIN_PASS_LEADER = 2,      /* the partition's leader moved, or is not there yet */
    ADMIN_PASS_GROUP = 4,       /* the group rebalances */
    ADMIN_PASS_TRANSACTION = 8, /* the transaction before it still ends */
};

struct admin_stage {
    int16_t api_key;
    enum admin_route route;
    bool each;           /* one item per request */
    bool once;           /* no second try there when the broker fails: all items go to `again` */
    unsigned passing;    /* enum admin_passing, ored */
    int again;           /* the stage to which an item goes that is asked again */
    int fallback;        /* and one whose broker does not have the API; 0: it ends */
    int16_t version_max; /* 0: none but ours */
    err_t (*build)(struct admin_part *part, int16_t version, struct arena *arena,
                   const void **ret_request);
    void (*take)(struct admin_part *part, const void *response, int16_t version);
};

/* What the results are: a row of admin_result.c. */
enum admin_kind {
    ADMIN_NOTHING,
    ADMIN_TOPICS,
    ADMIN_TOPIC_DESCRIPTIONS,
    ADMIN_CONFIGS,
    ADMIN_RESOURCES,
    ADMIN_OFFSETS,
    ADMIN_PARTITIONS,
    ADMIN_PRODUCERS,
    ADMIN_GROUP_LISTINGS,
    ADMIN_GROUP_DESCRIPTIONS,
    ADMIN_GROUPS,
    ADMIN_MEMBERS,
    ADMIN_GROUP_OFFSETS,
    ADMIN_CLUSTER,
    ADMIN_VERSIONS,
    ADMIN_FEATURES,
    ADMIN_FEATURE_RESULTS,
    ADMIN_LOG_DIRS,
    ADMIN_REASSIGNMENTS,
    ADMIN_QUORUM,
    ADMIN_TRANSACTION_LISTINGS,
    ADMIN_TRANSACTION_DESCRIPTIONS,
    ADMIN_FENCED_PRODUCERS,
    ADMIN_KIND_COUNT,
};

enum admin_effect {
    ADMIN_READS,     /* validate_only means nothing */
    ADMIN_CHANGES,   /* and Kafka's protocol has no validate_only for it */
    ADMIN_VALIDATES, /* it has */
};

struct admin_op {
    const char *name; /* "create topics" */
    enum admin_kind kind;
    enum admin_effect effect;
    const struct admin_stage *stages;
    void (*failed)(struct admin_item *item); /* a result for an item that has none; may be NULL */
    int (*order)(const void *a, const void *b); /* of results, when they come as brokers answer */
};

/* The key (name, number) finds the item in an answer. */
struct admin_item {
    struct list link; /* in call->waiting or call->resting; in neither while asked, or ended */
    struct ottla_call *call;
    struct admin_part *part; /* while asked */
    int stage;
    struct str name;   /* topic, group, resource … */
    int32_t number;    /* partition, type …; 0 where there is none */
    struct str group;  /* of ADMIN_GROUP; of ADMIN_TRANSACTION the transactional id */
    int32_t broker_id; /* of ADMIN_BROKER; then the one that answered; -1: none yet */
    void *input;       /* the operation's, in the call's arena */
    void *result;      /* its element of the results, or NULL */
    size_t index;      /* as it was given */
    bool ended;
    int tries; /* that ended in an error that passes */
    int64_t not_before_ms;
    int code;          /* of the end, or of the last try */
    const char *text;  /* lives with the call, or is constant */
    const char *label; /* "topic orders" */
};

/* One request. */
struct admin_part {
    struct list link; /* call->parts */
    struct ottla_call *call;
    const struct admin_stage *stage;
    int32_t broker_id; /* asked; then the one that answered */
    struct client_asked *asked;
    struct admin_item **items; /* sorted by key */
    size_t item_count;
    size_t item_capacity;
    int64_t throttle_ms;
    int rest_tries; /* for which rest_ms was drawn; 0: none yet */
    int64_t rest_ms;
};

struct ottla_call {
    struct ottla_client *client;
    const struct admin_op *op;
    struct ottla_admin_options options; /* texts in the arena */
    struct arena arena;                 /* inputs, results */
    int64_t deadline_ms;
    struct admin_item **items;
    size_t item_count;
    size_t item_capacity;
    size_t open_count; /* not ended */
    struct list waiting;
    struct list resting;
    struct list parts;
    size_t part_count;
    struct sys_timer timer; /* the end of the next rest; when it is done: to tell the caller */

    void **found; /* results as they came */
    size_t found_count;
    size_t found_capacity;
    void *input; /* the operation's */

    bool done;
    const void *results;
    size_t result_count;
    struct ottla_failure *failures;
    size_t failure_count;
    ottla_call_fn fn;
    void *fn_arg;
};

/* Whether the client was given controllers (bootstrap.controllers) instead of brokers. */
bool admin_to_controllers(const struct ottla_client *client);

/* --- how it goes on: admin_call.c, admin_item.c, admin_part.c; operations use none of these --- */

/* Sends what waits and wakes what has rested; ends the call when nothing is open. */
void admin_call_go(struct ottla_call *call);
int64_t admin_now_ms(const struct ottla_call *call);

/* Rests, and goes to the `again` of its part's stage; ends it when `retries` are used up. text as
 * in admin_item_end. */
void admin_item_again(struct admin_item *item, int code, const char *text);
int admin_item_compare(const void *a, const void *b); /* by key; pointers to pointers */

/* A part that is not sent yet, and fits the item; NULL: there are too many. */
struct admin_part *admin_part_for(struct ottla_call *call, const struct admin_item *item);
void admin_part_add(struct admin_part *part, struct admin_item *item);
void admin_part_send(struct admin_part *part);
void admin_part_free(struct admin_part *part);

/* --- making a call --- */

/* options may be NULL. When they cannot be it is done, and what follows adds nothing. */
struct ottla_call *admin_call_new(struct ottla_client *client, const struct admin_op *op,
                                  const struct ottla_admin_options *options);

/* An item at stage 0; label as printf. A second one of a key ends with INVALID, and so do all those
 * of which admin_item_end says so before the start. */
struct admin_item *admin_item_add(struct ottla_call *call, struct str name, int32_t number,
                                  const char *label, ...) __attribute__((format(printf, 4, 5)));

/* Sends what there is. Returns the call. */
struct ottla_call *admin_start(struct ottla_call *call);

/* For operations on the whole: one item without a key or a result. */
struct admin_item *admin_item_whole(struct ottla_call *call);

/* --- building a request --- */

/* A message with its defaults, in the arena. */
#define ADMIN_REQUEST(arena, name) ((struct name *)admin_request((arena), &name##_type))
void *admin_request(struct arena *arena, const struct wire_type *type);

/* Milliseconds that a broker may take over it. */
int32_t admin_timeout_ms(const struct ottla_call *call);

/* Behind the last item that has the name of items[start]: items of a topic follow each other. */
size_t admin_run_end(const struct admin_part *part, size_t start);
size_t admin_run_count(const struct admin_part *part);

/* The numbers of the items. */
int32_t *admin_numbers(const struct admin_part *part, struct arena *arena);

/* Puts the part's partitions into a request that has them by topic: request->list gets an element
 * for each topic, with its name, and its run of `rows`, which are in the order of part->items. */
#define ADMIN_PUT_TOPICS(part, arena, request, list, topic_name, run, rows)                        \
    do {                                                                                           \
        (request)->list =                                                                          \
            arena_alloc_zero((arena), sizeof *(request)->list * admin_run_count(part));            \
        (request)->list##_count = 0;                                                               \
        for (size_t start_ = 0, end_; start_ < (part)->item_count; start_ = end_) {                \
            end_ = admin_run_end((part), start_);                                                  \
            __typeof__((request)->list) topic_ = &(request)->list[(request)->list##_count++];      \
            topic_->topic_name = (part)->items[start_]->name;                                      \
            topic_->run = &(rows)[start_];                                                         \
            topic_->run##_count = (int32_t)(end_ - start_);                                        \
        }                                                                                          \
    } while (0)

/* --- taking an answer --- */

/* The item with this key among those asked and not ended or sent on; NULL. */
struct admin_item *admin_find(const struct admin_part *part, struct str name, int32_t number);

/* The items of that name, from *ret_start to the end returned; both 0 when there is none. */
size_t admin_find_run(const struct admin_part *part, struct str name, size_t *ret_start);

bool admin_is_asked(const struct admin_part *part, const struct admin_item *item);

/* Ends it. text NULL: that of the code. It must live as long as the call. */
void admin_item_end(struct admin_item *item, int code, const char *text);

/* By what a broker says of it: ends it, or asks it again. message may be null, and is copied.
 * Returns whether the item is well. */
bool admin_item_answer(struct admin_item *item, int16_t code, struct str message);

/* The same for all items of the part that are open; returns whether code is OK (and then nothing
 * happens to them). */
bool admin_part_answer(struct admin_part *part, int16_t code, struct str message);

/* To a stage, as soon as the broker's throttle allows. */
void admin_item_go(struct admin_item *item, int stage);

/* Zeroed, in the order in which they will stand unless the row has another. */
void *admin_result_add(struct ottla_call *call);

/* --- results: admin_result.c --- */

/* Closes a call whose items have all ended. */
void admin_finish(struct ottla_call *call);

/* A text into the call's arena; null: NULL. */
const char *admin_text(struct ottla_call *call, struct str s);
const char *admin_id_text(struct ottla_call *call, const struct uuid *id); /* zero: NULL */
struct ottla_replicas admin_replicas(struct ottla_call *call, const int32_t *brokers,
                                     int32_t count); /* count -1: brokers NULL */

/* --- what several operations have in common: admin_common.c --- */

/* Stages: finds the brokers, adds an item for each at the stage behind it, and ends; finds the
 * leader of each item (a partition), which goes to the stage behind it. */
#define ADMIN_FIND_BROKERS                                                                         \
    {                                                                                              \
        .api_key = API_METADATA, .route = ADMIN_ANY, .build = admin_brokers_build,                 \
        .take = admin_brokers_take,                                                                \
    }
#define ADMIN_FIND_LEADERS                                                                         \
    {                                                                                              \
        .api_key = API_METADATA, .route = ADMIN_ANY, .passing = ADMIN_PASS_LEADER,                 \
        .build = admin_leaders_build, .take = admin_leaders_take,                                  \
    }
err_t admin_brokers_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request);
void admin_brokers_take(struct admin_part *part, const void *response, int16_t version);
err_t admin_leaders_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request);
void admin_leaders_take(struct admin_part *part, const void *response, int16_t version);

/* An item for broker `id`, to be asked itself. */
struct admin_item *admin_broker_add(struct ottla_call *call, int32_t id, int stage);

/* An item for a topic by name or by id (number says which); INVALID at once unless it is one. */
enum { ADMIN_BY_NAME = 0, ADMIN_BY_ID = 1 };
struct admin_item *admin_topic_add(struct ottla_call *call, const struct ottla_topic_ref *topic);

/* An item for a partition; INVALID at once where the topic has no name. */
struct admin_item *admin_partition_add(struct ottla_call *call, const char *topic,
                                       int32_t partition);

/* The item's result, of kind ADMIN_PARTITIONS. */
struct ottla_partition_result *admin_partition_result(struct ottla_call *call,
                                                      struct admin_item *item);

/* By topic, then by number: for lists whose order brokers do not promise. */
int admin_partition_order(const void *a, const void *b);

/* An item for a group; and the requests that several operations send for one, or for a broker. */
struct admin_item *admin_group_add(struct ottla_call *call, struct str group);
err_t admin_list_groups_build(struct admin_part *part, int16_t version, struct arena *arena,
                              const void **ret_request);
err_t admin_consumer_group_build(struct admin_part *part, int16_t version, struct arena *arena,
                                 const void **ret_request);
err_t admin_classic_group_build(struct admin_part *part, int16_t version, struct arena *arena,
                                const void **ret_request);
err_t admin_versions_build(struct admin_part *part, int16_t version, struct arena *arena,
                           const void **ret_request);

/* The last version of OffsetFetch and OffsetCommit that names topics: later ones have ids, and a
 * commit may outlive its topic. */
enum { ADMIN_OFFSETS_VERSION_MAX = 9 };
