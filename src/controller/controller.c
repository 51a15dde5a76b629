/*
 * The life of the controller, and of a call.
 *
 *   event                         what happens
 *   ---------------------------   ------------------------------------------------------------
 *   this node leads the quorum    the committed image becomes the state; the strand is active;
 *                                 first of all, an empty log gets its bootstrap records
 *   records were committed        the calls that wait for them are answered
 *   this node leads no more, or   everything that waits fails with NOT_CONTROLLER, the state is
 *   the quorum stopped            dropped
 *
 * Invariants
 *   1. While active, image is the committed image plus all records appended since.
 *   2. Responses hold no pointer into an image: images go away while a call waits for its commit.
 *   3. A record of ours that the image refuses is a mistake of ours, and ends the process.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "controller/controller_int.h"
#include "sys/sys.h"

/* --- the state machine --- */

static void apply(void *state, void *const *records, int32_t record_count, int64_t first_offset) {
    struct controller *controller = state;
    struct meta_delta *delta = meta_delta_new(controller->image);
    for (int32_t i = 0; i < record_count; i++) {
        const struct meta_record *record = records[i];
        err_t err = meta_delta_apply(delta, record);
        if (err != ERR_OK) {
            text_log_error(controller->options.text_log, "controller",
                           "%s at offset %lld does not fit the metadata: %s",
                           meta_record_name(record->type), (long long)(first_offset + i),
                           meta_delta_error(delta));
        }
        assert(err == ERR_OK);
    }
    struct meta_provenance provenance = {
        .offset = first_offset + record_count - 1,
        .epoch = controller->epoch,
        .timestamp_ms = sys_wall_ms(sys_loop_sys(controller->options.loop)),
    };
    struct meta_image *image = meta_delta_finish(delta, &provenance, NULL);
    meta_image_unref(controller->image);
    controller->image = image;
    for (int32_t i = 0; i < record_count; i++) {
        contacts_apply(controller, records[i], first_offset + i);
    }
}

static void reset(void *state) {
    struct controller *controller = state;
    meta_image_unref(controller->image);
    controller->image = meta_image_new();
    contacts_clear(controller);
    controller->epoch = -1;
}

static const struct strand_machine machine = {.apply = apply, .reset = reset};

static int64_t next_offset(void *arg) {
    struct controller *controller = arg;
    return controller->log.next_offset(controller->log.arg);
}

static err_t append(void *arg, void *const *records, int32_t record_count, bool splittable,
                    int64_t *ret_last_offset) {
    struct controller *controller = arg;
    return controller->log.append(controller->log.arg, records, record_count, splittable,
                                  ret_last_offset);
}

/* --- life --- */

void controller_new(const struct controller_options *options, struct controller **ret_controller) {
    struct controller *controller = calloc(1, sizeof *controller);
    assert(controller != NULL);
    controller->options = *options;
    controller->epoch = -1;
    controller->image = meta_image_new();
    map_init(&controller->contacts);
    struct strand_options strand_options = {
        .loop = options->loop,
        .machine = &machine,
        .state = controller,
        .log = {.arg = controller, .next_offset = next_offset, .append = append},
        .mailbox_max = CONTROLLER_MAILBOX_MAX,
    };
    strand_new(&strand_options, ERR_NOT_CONTROLLER, &controller->strand);
    *ret_controller = controller;
}

void controller_free(struct controller *controller) {
    if (controller == NULL) {
        return;
    }
    assert(!strand_is_active(controller->strand));
    quorum_link_free(controller->link);
    strand_free(controller->strand);
    contacts_clear(controller);
    map_done(&controller->contacts);
    meta_image_unref(controller->image);
    free(controller);
}

void controller_attach_log(struct controller *controller, const struct strand_log *log) {
    controller->log = *log;
}

void controller_stop(struct controller *controller) {
    controller->stopped = true;
    controller_resign(controller);
}

void controller_committed(struct controller *controller, int64_t offset) {
    strand_committed(controller->strand, offset);
}

void controller_resign(struct controller *controller) {
    if (strand_is_active(controller->strand)) {
        text_log_info(controller->options.text_log, "controller",
                      "node %d is not the active controller any more",
                      (int)controller->options.node_id);
    }
    strand_unload(controller->strand, ERR_NOT_CONTROLLER);
}

int32_t controller_pending(const struct controller *controller) {
    return strand_pending(controller->strand);
}

bool controller_is_active(const struct controller *controller) {
    return strand_is_active(controller->strand);
}

const struct meta_image *controller_image(const struct controller *controller) {
    return controller->image;
}

/* --- calls --- */

struct controller *controller_of(const struct controller_call *call) {
    return call->controller;
}

static err_t call_step(struct strand_op *op, void *state, const struct strand_input *input,
                       struct strand_output *output) {
    (void)state;
    struct controller_call *call = container_of(op, struct controller_call, op);
    if (call->deadline_ms != 0 && input->mono_ms >= call->deadline_ms) {
        return ERR_REQUEST_TIMED_OUT;
    }
    call->outcome = call->run(call, input, output);
    if (call->outcome == ERR_OK && output->record_count > CONTROLLER_RECORDS_MAX &&
        !output->splittable) {
        call->error_message = str_from_c(controller_records_max_text);
        call->outcome = ERR_POLICY_VIOLATION;
    }
    return call->outcome;
}

static void call_reply(struct sys_task *task) {
    struct controller_call *call = container_of(task, struct controller_call, reply);
    call->done(call, call->outcome);
}

static void call_reply_later(struct controller_call *call, err_t err) {
    call->outcome = err;
    call->reply.run = call_reply;
    sys_loop_post(call->loop != NULL ? call->loop : call->controller->options.loop, &call->reply);
}

static void call_done(struct strand_op *op, err_t err) {
    struct controller_call *call = container_of(op, struct controller_call, op);
    if (err != call->outcome) {
        call->error_message = STR_NULL; /* what the step said of its own outcome */
    }
    if (call->loop == NULL || call->loop == call->controller->options.loop) {
        call->done(call, err);
    } else {
        call_reply_later(call, err);
    }
}

void controller_call_start(struct controller *controller, struct controller_call *call,
                           err_t (*run)(struct controller_call *call,
                                        const struct strand_input *input,
                                        struct strand_output *output),
                           const void *request, void *response) {
    call->controller = controller;
    call->run = run;
    call->request = request;
    call->response = response;
    call->error_message = STR_NULL;
    call->outcome = ERR_OK;
    call->op.step = call_step;
    call->op.done = call_done;
    if (strand_submit(controller->strand, &call->op) != ERR_OK) {
        call_reply_later(call, ERR_REQUEST_TIMED_OUT);
    }
}

/* --- errors in responses --- */

struct api_error api_error(struct arena *arena, err_t err, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return (struct api_error){.err = err, .message = {.data = text, .size = (size_t)size}};
}

struct api_error api_error_plain(err_t err) {
    return (struct api_error){.err = err};
}

/* --- records --- */

const char controller_records_max_text[] = "Unable to perform excessively large batch operation.";

void *record_add_version(struct strand_output *output, int16_t type, int16_t version) {
    const struct wire_type *wire_type = meta_record_wire_type(type);
    assert(wire_type != NULL);
    assert(version >= 0);
    void *body = arena_alloc(output->arena, wire_struct_size(wire_type));
    wire_init(wire_type, body);
    struct meta_record *record = ARENA_NEW(output->arena, struct meta_record);
    *record = (struct meta_record){.type = type, .version = version, .message = body};
    strand_output_add(output, record);
    return body;
}

void *record_add(struct controller *controller, struct strand_output *output, int16_t type) {
    int16_t level = meta_image_metadata_version(controller->image);
    return record_add_version(output, type, meta_record_version(type, level));
}

struct config_record *record_add_config(struct controller *controller, struct strand_output *output,
                                        int8_t resource_type, struct str resource_name,
                                        struct str name, struct str value) {
    struct config_record *record = record_add(controller, output, META_RECORD_CONFIG);
    record->resource_type = resource_type;
    record->resource_name = resource_name;
    record->name = name;
    record->value = value;
    return record;
}
