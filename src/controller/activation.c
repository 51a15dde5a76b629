/*
 * What a new active controller does first: it aborts a metadata transaction that was left open, and
 * an empty metadata log gets its bootstrap records, as one batch, between BeginTransaction and
 * EndTransaction where metadata.version knows them.
 */
#include <assert.h>

#include "controller/controller_int.h"

static int16_t bootstrap_feature(const struct controller *controller, const char *name) {
    for (int32_t i = 0; i < controller->options.bootstrap_record_count; i++) {
        const struct meta_record *record = &controller->options.bootstrap_records[i];
        const struct feature_level_record *feature = record->message;
        if (record->type == META_RECORD_FEATURE_LEVEL &&
            str_equal(feature->name, str_from_c(name))) {
            return feature->feature_level;
        }
    }
    return 0;
}

static int16_t bootstrap_level(const struct controller *controller) {
    int16_t level = bootstrap_feature(controller, META_FEATURE_METADATA_VERSION);
    return level != 0 ? level : METADATA_VERSION_LATEST;
}

static void add_feature(struct strand_output *output, const char *name, int16_t level) {
    struct feature_level_record *record = record_add_version(output, META_RECORD_FEATURE_LEVEL, 0);
    record->name = str_from_c(name);
    record->feature_level = level;
}

/* Without a bootstrap file: the levels that formatting would have written. */
static void add_default_features(struct strand_output *output) {
    add_feature(output, META_FEATURE_METADATA_VERSION, METADATA_VERSION_LATEST);
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    for (size_t i = 0; i < count; i++) {
        int16_t level = meta_feature_default(&features[i], METADATA_VERSION_LATEST);
        if (level > 0 && !str_equal(str_from_c(features[i].name), STR("kraft.version"))) {
            add_feature(output, features[i].name, level);
        }
    }
}

static void add_given_records(const struct controller *controller, struct strand_output *output) {
    for (int32_t i = 0; i < controller->options.bootstrap_record_count; i++) {
        strand_output_add(output, (void *)&controller->options.bootstrap_records[i]);
    }
}

static bool needs_min_isr(const struct controller *controller, bool given) {
    return !given || bootstrap_feature(controller, "eligible.leader.replicas.version") > 0;
}

static void add_bootstrap(struct controller *controller, struct strand_output *output) {
    bool given = controller->options.bootstrap_record_count > 0;
    bool transaction = metadata_version_has_transactions(bootstrap_level(controller));
    if (transaction) {
        struct begin_transaction_record *begin =
            record_add_version(output, META_RECORD_BEGIN_TRANSACTION, 0);
        begin->name = STR("Bootstrap records");
    }
    if (given) {
        add_given_records(controller, output);
    } else {
        add_default_features(output);
    }
    if (needs_min_isr(controller, given)) {
        struct config_record *config = record_add_version(output, META_RECORD_CONFIG, 0);
        config->resource_type = META_RESOURCE_BROKER;
        config->resource_name = STR("");
        config->name = STR("min.insync.replicas");
        config->value = config_static_min_isr(controller, output->arena);
    }
    if (transaction) {
        (void)record_add_version(output, META_RECORD_END_TRANSACTION, 0);
    }
}

static err_t activation_step(struct strand_op *op, void *state, const struct strand_input *input,
                             struct strand_output *output) {
    (void)op;
    struct controller *controller = state;
    if (controller->in_transaction) {
        struct abort_transaction_record *record =
            record_add_version(output, META_RECORD_ABORT_TRANSACTION, 0);
        record->reason = STR("Controller failover");
        controller->in_transaction = false;
        text_log_info(controller->options.text_log, "controller",
                      "aborting the metadata transaction that an earlier controller left open");
    }
    if (meta_image_metadata_version(controller->image) == 0) {
        add_bootstrap(controller, output);
        text_log_info(controller->options.text_log, "controller",
                      "the metadata log is empty: appending %d bootstrap records at "
                      "metadata.version %s, from %.*s",
                      (int)output->record_count, metadata_version_name(bootstrap_level(controller)),
                      STR_ARGS(controller->options.bootstrap_source));
    }
    session_check_schedule(controller, input->mono_ms);
    return ERR_OK;
}

static void activation_done(struct strand_op *op, err_t err) {
    struct controller *controller = container_of(op, struct controller, activation);
    if (err == ERR_OK || err == ERR_NOT_CONTROLLER) {
        return;
    }
    text_log_error(controller->options.text_log, "controller",
                   "the bootstrap records cannot be appended: %s", err_text(err));
    controller_resign(controller);
}

void controller_activate(struct controller *controller, struct meta_image *image, int32_t epoch) {
    assert(epoch >= 0);
    if (controller->stopped) {
        return;
    }
    text_log_info(controller->options.text_log, "controller",
                  "node %d is the active controller, with epoch %d",
                  (int)controller->options.node_id, (int)epoch);
    meta_image_unref(controller->image);
    controller->image = meta_image_ref(image);
    controller->epoch = epoch;
    contacts_start(controller);
    controller->activation = (struct strand_op){.step = activation_step, .done = activation_done};
    strand_activate(controller->strand, &controller->activation);
}
