/* The life of a shard's state, and its groups. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "coord/groups_int.h"
#include "coord/offsets_int.h"

/* --- groups --- */

struct group *groups_find(const struct groups *groups, struct str id) {
    return map_get(&groups->by_id, str_bytes(id));
}

struct group *groups_add(struct groups *groups, struct str id) {
    assert(groups_find(groups, id) == NULL);
    struct group *group = calloc(1, sizeof *group + id.size);
    assert(group != NULL);
    char *text = (char *)(group + 1);
    memcpy(text, id.data, id.size);
    *group = (struct group){
        .groups = groups,
        .id = {.data = text, .size = id.size},
        .type = GROUP_SIMPLE,
    };
    map_put(&groups->by_id, str_bytes(group->id), group);
    return group;
}

static void free_part(struct group *group) {
    if (group->ops != NULL) {
        group->ops->free_part(group);
    }
    group->type = GROUP_SIMPLE;
    group->ops = NULL;
    group->part = NULL;
}

void group_set_part(struct group *group, enum group_type type, const struct group_ops *ops,
                    void *part) {
    assert(type != GROUP_SIMPLE);
    assert(ops != NULL);
    free_part(group);
    group->type = type;
    group->ops = ops;
    group->part = part;
}

/* --- a part that may come back --- */

struct group_aside {
    enum group_type type;
    const struct group_ops *ops;
    void *part;
};

static void put_back(struct group *group) {
    struct group_aside *aside = group->aside;
    group->aside = NULL;
    group->type = aside->type;
    group->ops = aside->ops;
    group->part = aside->part;
    free(aside);
}

void group_set_aside(struct group *group) {
    assert(group->aside == NULL);
    assert(group->ops != NULL);
    group->aside = malloc(sizeof *group->aside);
    assert(group->aside != NULL);
    *group->aside =
        (struct group_aside){.type = group->type, .ops = group->ops, .part = group->part};
    group->type = GROUP_SIMPLE;
    group->ops = NULL;
    group->part = NULL;
}

void group_forget_aside(struct group *group) {
    if (group->aside == NULL) {
        return;
    }
    struct group_aside now = {.type = group->type, .ops = group->ops, .part = group->part};
    put_back(group);
    free_part(group);
    group->type = now.type;
    group->ops = now.ops;
    group->part = now.part;
}

void group_take_back(struct group *group) {
    free_part(group);
    put_back(group);
}

static void group_free(struct group *group) {
    group_forget_aside(group);
    free_part(group);
    offsets_free(group->offsets);
    free(group);
}

void group_drop_part(struct group *group) {
    free_part(group);
    if (group->offsets == NULL) {
        map_remove(&group->groups->by_id, str_bytes(group->id));
        group_free(group);
    }
}

int32_t group_config_int(const struct groups *groups, struct str group_id, enum config_key key) {
    const struct config_row *row = config_row(key);
    struct str text =
        meta_image_config(groups->image, META_RESOURCE_GROUP, group_id, str_from_c(row->name));
    int32_t number = config_int(groups->config, (enum config_key)row->fallbacks[0].key);
    if (text.data != NULL) {
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct config_value value;
        struct str message;
        if (config_value_parse(key, text, &arena, &value, &message) == ERR_OK) {
            number = (int32_t)value.number;
        }
        arena_done(&arena);
    }
    return number;
}

/* --- what is asked of groups of every type --- */

err_t group_check_no_members(const struct group_caller *caller) {
    return caller->generation_or_epoch < 0 ? ERR_OK : ERR_UNKNOWN_MEMBER_ID;
}

const char *group_state_name(const struct group *group) {
    return group->ops == NULL ? "Empty" : group->ops->state_name(group);
}

const char *group_type_name(const struct group *group) {
    return group->ops == NULL ? "classic" : group->ops->type_name;
}

struct str group_protocol_type(const struct group *group) {
    return group->ops == NULL ? STR("") : group->ops->protocol_type(group);
}

int32_t group_member_count(const struct group *group) {
    return group->ops == NULL ? 0 : group->ops->member_count(group);
}

bool group_is_empty(const struct group *group) {
    return group->ops == NULL || group->ops->is_empty(group);
}

void group_add_tombstones(struct group_step *step, struct group *group) {
    if (group->ops != NULL) {
        group->ops->add_tombstones(step, group);
    } else {
        struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, NULL);
        key->group = group->id;
    }
}

/* --- a shard of groups --- */

static void reset_groups(struct groups *groups) {
    struct group *group;
    size_t cursor;
    map_for_each (&groups->by_id, cursor, group) {
        group_free(group);
    }
    map_clear(&groups->by_id);
    offsets_reset(groups);
}

static void begin_groups(struct group_step *step) {
    struct group *group;
    size_t cursor;
    map_for_each (&step->groups->by_id, cursor, group) {
        if (group->ops != NULL) {
            group->ops->loaded(step, group);
        }
    }
    offsets_begin(step);
}

static size_t count_groups(const struct groups *groups) {
    return map_count(&groups->by_id);
}

static void groups_image_changed(struct groups *groups, const struct coord_image_change *change) {
    size_t count;
    const coord_image_fn *fns = coord_image_fns(&count);
    for (size_t i = 0; i < count; i++) {
        fns[i](groups, change);
    }
}

static struct str *group_ids(const struct groups *groups, struct arena *arena, size_t *ret_count) {
    struct str *ids = ARENA_ARRAY(arena, struct str, map_count(&groups->by_id) + 1);
    const struct group *group;
    size_t cursor;
    *ret_count = 0;
    map_for_each (&groups->by_id, cursor, group) {
        ids[(*ret_count)++] = arena_str(arena, group->id);
    }
    return ids;
}

static bool say_group_anew(struct group_step *step, struct str id, int64_t *keep_offset) {
    const struct group *group = groups_find(step->groups, id);
    if (group == NULL) {
        return true; /* its end is in the log */
    }
    if (group->ops != NULL && !group->ops->add_state(step, group)) {
        return false;
    }
    offsets_add_state(step, group, keep_offset);
    return true;
}

const struct coord_kind coord_groups_kind = {
    .topic = STR("__consumer_offsets"),
    .things = "groups",
    .partitions = CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS,
    .answer_ms_max = CONFIG_OFFSETS_COMMIT_TIMEOUT_MS,
    .compression = CONFIG_OFFSETS_TOPIC_COMPRESSION_CODEC,
    .api = coord_api_find,
    .record = coord_record_kind,
    .standing = true,
    .reset = reset_groups,
    .begin = begin_groups,
    .count = count_groups,
    .image_changed = groups_image_changed,
    .ids = group_ids,
    .say_anew = say_group_anew,
};

/* --- the state machine --- */

static void reset(void *state) {
    struct groups *groups = state;
    struct groups_runtime *runtime = groups->runtime;
    groups_fail_waits(groups, runtime->unload_err);
    struct list *link;
    list_for_each (link, &runtime->jobs) {
        container_of(link, struct group_job, link)->cancelled = true;
    }
    groups->kind->reset(groups);
    groups_forget_foreign(groups);
    struct heap_node *node;
    while ((node = heap_top(&runtime->timers)) != NULL) {
        heap_remove(&runtime->timers, node);
    }
    sys_timer_clear(runtime->loop, &runtime->overdue);
    groups->loading = true;
}

static const struct strand_machine machine = {.apply = groups_take_records, .reset = reset};

static bool timer_before(const struct heap_node *a, const struct heap_node *b) {
    const struct group_timer *left = container_of(a, struct group_timer, node);
    const struct group_timer *right = container_of(b, struct group_timer, node);
    return left->deadline_ms != right->deadline_ms ? left->deadline_ms < right->deadline_ms
                                                   : left->order < right->order;
}

struct groups *groups_new(const struct groups_options *options, err_t unloaded_err) {
    struct groups *groups = calloc(1, sizeof *groups);
    struct groups_runtime *runtime = calloc(1, sizeof *runtime);
    assert(groups != NULL);
    assert(runtime != NULL);
    groups->kind = options->kind;
    groups->loop = options->loop;
    groups->text_log = options->text_log;
    groups->partition = options->partition;
    groups->image = meta_image_ref(options->image);
    groups->config = options->config;
    config_ref(options->config);
    groups->loading = true;
    groups->plan_inline_max = PLAN_INLINE_MAX;
    groups->runtime = runtime;
    map_init(&groups->by_id);
    map_init(&groups->transactions);
    map_init(&groups->foreign);
    runtime->world = options->world;
    runtime->loop = options->loop;
    runtime->pool = options->pool;
    runtime->stepped = options->stepped;
    runtime->stepped_arg = options->stepped_arg;
    runtime->unload_err = unloaded_err;
    list_init(&runtime->waits);
    list_init(&runtime->unsaid);
    list_init(&runtime->jobs);
    heap_init(&runtime->timers, timer_before);
    struct strand_options strand_options = {
        .loop = options->loop,
        .machine = &machine,
        .state = groups,
        .log = options->log,
        .mailbox_max = options->mailbox_max,
    };
    strand_new(&strand_options, unloaded_err, &runtime->strand);
    if (groups->kind->init != NULL) {
        groups->kind->init(groups);
    }
    return groups;
}

void groups_free(struct groups *groups) {
    if (groups == NULL) {
        return;
    }
    assert(!strand_is_active(groups->runtime->strand));
    reset(groups);
    if (groups->kind->done != NULL) {
        groups->kind->done(groups);
    }
    strand_free(groups->runtime->strand);
    heap_done(&groups->runtime->timers);
    map_done(&groups->by_id);
    map_done(&groups->transactions);
    map_done(&groups->foreign);
    meta_image_unref(groups->image);
    config_unref(groups->config);
    free(groups->runtime);
    free(groups);
}

int32_t groups_pending(const struct groups *groups) {
    return strand_pending(groups->runtime->strand) + (list_empty(&groups->runtime->jobs) ? 0 : 1);
}

struct strand *groups_strand(const struct groups *groups) {
    return groups->runtime->strand;
}

/* --- life --- */

void groups_replay(struct groups *groups, void *const *records, int32_t count,
                   int64_t first_offset) {
    strand_replay(groups->runtime->strand, records, count, first_offset);
}

/* The first step after a replay: what the log does not say begins anew. */
static err_t begin(struct group_step *step, void *context) {
    (void)context;
    step->groups->loading = false;
    step->groups->kind->begin(step);
    return ERR_OK;
}

void groups_activate(struct groups *groups) {
    struct group_op *op = group_op_new(groups, OP_INNER);
    op->inner = begin;
    strand_activate(groups->runtime->strand, &op->op);
}

void groups_unload(struct groups *groups, err_t err) {
    groups->runtime->unload_err = err;
    bool active = strand_is_active(groups->runtime->strand);
    strand_unload(groups->runtime->strand, err);
    if (!active) {
        reset(groups); /* what was replayed so far */
    }
}

void groups_set_view(struct groups *groups, struct meta_image *image, struct config *config,
                     const struct coord_image_change *change) {
    meta_image_unref(groups->image);
    config_unref(groups->config);
    groups->image = meta_image_ref(image);
    config_ref(config);
    groups->config = config;
    if (!strand_is_active(groups->runtime->strand) || groups->loading) {
        return;
    }
    if (groups->kind->image_changed != NULL) {
        groups->kind->image_changed(groups, change);
    }
}
