/*
 * Heartbeats: whether a broker is fenced, and how it may shut down.
 *
 *   is                    asks for              and                        becomes
 *   -------------------   -------------------   ------------------------   -------------------
 *   fenced                shutdown              -                          shut down now
 *   fenced                no fence              has read its own           unfenced
 *                                               registration
 *   fenced                anything else         -                          fenced
 *   unfenced              fence and shutdown    -                          shut down now
 *   unfenced              fence                 -                          fenced
 *   unfenced              shutdown              leads partitions           controlled shutdown
 *   unfenced              shutdown              leads none                 shut down now
 *   unfenced              nothing               -                          unfenced
 *   controlled shutdown   anything              leads partitions           controlled shutdown
 *   controlled shutdown   anything              all active brokers have    shut down now
 *                                               read that it leads none
 *   controlled shutdown   anything              else                       controlled shutdown
 *
 * Who is in touch is soft state: it is in no record and begins anew with every activation. A broker
 * whose session ends is fenced by the session check, which sleeps until the next session can end.
 * A check that comes late says that this very process stood still (a paused machine, an overloaded
 * one): heartbeats may lie unread in its sockets. Every session begins anew then, as after
 * an activation. A node on its own would else fence itself, and tell its clients that there are no
 * brokers.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "controller/controller_int.h"

enum state { FENCED, UNFENCED, CONTROLLED_SHUTDOWN, SHUTDOWN_NOW };

/* --- contacts --- */

struct broker_contact *contact_get(struct controller *controller, int32_t broker_id) {
    return map_get_u64(&controller->contacts, (uint64_t)broker_id);
}

static struct broker_contact *contact_put(struct controller *controller, int32_t broker_id) {
    struct broker_contact *contact = contact_get(controller, broker_id);
    if (contact == NULL) {
        contact = calloc(1, sizeof *contact);
        assert(contact != NULL);
        contact->epoch = -1;
        map_put_u64(&controller->contacts, (uint64_t)broker_id, contact);
    }
    return contact;
}

static void contact_begin(struct broker_contact *contact, int32_t broker_id, int64_t epoch,
                          int64_t register_offset) {
    *contact = (struct broker_contact){
        .broker_id = broker_id,
        .epoch = epoch,
        .contact_ms = -1,
        .metadata_offset = -1,
        .register_offset = register_offset,
        .controlled_shutdown_offset = -1,
    };
}

/*
 * A new active controller gives every unfenced broker the time of a session to be heard of. Not the
 * broker in this very process: its incarnation of before ended with the process, so that a node
 * which was killed need not wait until its own session has ended.
 */
void contacts_start(struct controller *controller) {
    contacts_clear(controller);
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &controller->image->brokers, broker) {
        struct broker_contact *contact = contact_put(controller, broker->id);
        contact_begin(contact, broker->id, broker->epoch, broker->epoch);
        if (!broker->fenced && broker->id != controller->options.node_id) {
            contact->contact_ms = sys_loop_now_ms(controller->options.loop);
        }
    }
}

void contacts_clear(struct controller *controller) {
    size_t cursor;
    struct broker_contact *contact;
    map_for_each (&controller->contacts, cursor, contact) {
        free(contact);
    }
    map_clear(&controller->contacts);
}

void contacts_apply(struct controller *controller, const struct meta_record *record,
                    int64_t offset) {
    if (record->type == META_RECORD_REGISTER_BROKER) {
        const struct register_broker_record *body = record->message;
        struct broker_contact *contact = contact_put(controller, body->broker_id);
        if (contact->epoch != body->broker_epoch) {
            contact_begin(contact, body->broker_id, body->broker_epoch, offset);
        }
        contact->register_offset = offset; /* an amended registration, too, is to be read first */
    } else if (record->type == META_RECORD_UNREGISTER_BROKER) {
        const struct unregister_broker_record *body = record->message;
        free(map_remove_u64(&controller->contacts, (uint64_t)body->broker_id));
    } else if (record->type == META_RECORD_BROKER_REGISTRATION_CHANGE) {
        const struct broker_registration_change_record *body = record->message;
        struct broker_contact *contact = contact_get(controller, body->broker_id);
        if (contact != NULL && body->fenced > 0) {
            contact->controlled_shutdown_offset = -1;
        }
    }
}

static int64_t session_ms(const struct controller *controller) {
    return config_int(controller->options.config, CONFIG_BROKER_SESSION_TIMEOUT_MS);
}

bool contact_in_session(const struct controller *controller, const struct broker_contact *contact,
                        int64_t now_ms) {
    return contact->contact_ms >= 0 && contact->contact_ms + session_ms(controller) >= now_ms;
}

/* --- what a heartbeat leads to --- */

static enum state current_state(const struct meta_broker *broker,
                                const struct broker_contact *contact) {
    if (contact->controlled_shutdown_offset >= 0) {
        return CONTROLLED_SHUTDOWN;
    }
    return broker->fenced ? FENCED : UNFENCED;
}

/* Up to where every active broker has read the metadata. */
static int64_t lowest_active_offset(struct controller *controller) {
    int64_t lowest = INT64_MAX;
    size_t cursor;
    const struct broker_contact *contact;
    map_for_each (&controller->contacts, cursor, contact) {
        const struct meta_broker *broker = meta_image_broker(controller->image, contact->broker_id);
        if (broker != NULL && current_state(broker, contact) == UNFENCED &&
            contact->metadata_offset < lowest) {
            lowest = contact->metadata_offset;
        }
    }
    return lowest;
}

static enum state next_state(struct controller *controller, enum state current,
                             const struct broker_contact *contact,
                             const struct broker_heartbeat_request *request) {
    switch (current) {
    case FENCED:
        if (request->want_shut_down) {
            return SHUTDOWN_NOW;
        }
        return !request->want_fence && request->current_metadata_offset >= contact->register_offset
                   ? UNFENCED
                   : FENCED;
    case UNFENCED:
        if (request->want_fence) {
            return request->want_shut_down ? SHUTDOWN_NOW : FENCED;
        }
        if (!request->want_shut_down) {
            return UNFENCED;
        }
        return leaders_has_any(controller->image, request->broker_id) ? CONTROLLED_SHUTDOWN
                                                                      : SHUTDOWN_NOW;
    case CONTROLLED_SHUTDOWN:
        if (leaders_has_any(controller->image, request->broker_id) ||
            contact->controlled_shutdown_offset > lowest_active_offset(controller)) {
            return CONTROLLED_SHUTDOWN;
        }
        return SHUTDOWN_NOW;
    case SHUTDOWN_NOW:
        break;
    }
    return SHUTDOWN_NOW;
}

static struct broker_registration_change_record *
add_change(struct strand_output *output, const struct meta_broker *broker, int16_t version) {
    struct broker_registration_change_record *record =
        record_add_version(output, META_RECORD_BROKER_REGISTRATION_CHANGE, version);
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
    return record;
}

/* The record's versions say what it can change: 0 fencing, 1 controlled shutdown, 2 directories,
 * 3 cordoned directories. */
static void fence(struct controller *controller, const struct meta_broker *broker,
                  struct strand_output *output) {
    struct leaders_change change = {.of = LEADERS_IN_ISR,
                                    .broker_id = broker->id,
                                    .remove = broker->id,
                                    .add = -1,
                                    .unclean = -1};
    leaders_update(controller, &change, output);
    add_change(output, broker, 0)->fenced = 1;
}

static void unfence(struct controller *controller, const struct meta_broker *broker,
                    struct strand_output *output) {
    add_change(output, broker, 0)->fenced = -1;
    struct leaders_change change = {
        .of = LEADERS_NONE, .remove = -1, .add = broker->id, .unclean = -1};
    leaders_update(controller, &change, output);
}

static void begin_shutdown(struct controller *controller, const struct meta_broker *broker,
                           struct strand_output *output) {
    if (!broker->in_controlled_shutdown) {
        add_change(output, broker, 1)->in_controlled_shutdown = 1;
    }
    struct leaders_change change = {.of = LEADERS_IN_ISR,
                                    .broker_id = broker->id,
                                    .remove = broker->id,
                                    .add = -1,
                                    .unclean = -1};
    leaders_update(controller, &change, output);
}

static void take_offline_dirs(struct controller *controller, const struct meta_broker *broker,
                              const struct broker_heartbeat_request *request,
                              struct strand_output *output) {
    struct uuid *online = ARENA_ARRAY(output->arena, struct uuid, (size_t)broker->log_dir_count);
    int32_t online_count = 0;
    for (int32_t i = 0; i < broker->log_dir_count; i++) {
        struct uuid dir = broker->log_dirs[i];
        bool offline = false;
        for (int32_t k = 0; k < request->offline_log_dirs_count; k++) {
            offline |= uuid_equal(request->offline_log_dirs[k], dir);
        }
        if (!offline) {
            online[online_count++] = dir;
            continue;
        }
        struct leaders_change change = {.of = LEADERS_IN_DIRECTORY,
                                        .broker_id = broker->id,
                                        .directory = dir,
                                        .remove = broker->id,
                                        .add = -1,
                                        .unclean = -1};
        leaders_update(controller, &change, output);
        text_log_warn(controller->options.text_log, "controller",
                      "a log directory of broker %" PRId32 " is offline", broker->id);
    }
    if (online_count < broker->log_dir_count) {
        struct broker_registration_change_record *record = add_change(output, broker, 2);
        record->log_dirs = online;
        record->log_dirs_count = online_count;
    }
}

static bool same_dirs(const struct uuid *a, int32_t a_count, const struct uuid *b,
                      int32_t b_count) {
    for (int32_t i = 0; i < a_count; i++) {
        bool found = false;
        for (int32_t k = 0; k < b_count; k++) {
            found |= uuid_equal(a[i], b[k]);
        }
        if (!found) {
            return false;
        }
    }
    return a_count == b_count;
}

static void take_cordoned_dirs(const struct meta_broker *broker,
                               const struct broker_heartbeat_request *request,
                               struct strand_output *output) {
    if (request->cordoned_log_dirs_count < 0 ||
        same_dirs(request->cordoned_log_dirs, request->cordoned_log_dirs_count,
                  broker->cordoned_log_dirs, broker->cordoned_log_dir_count)) {
        return;
    }
    struct broker_registration_change_record *record = add_change(output, broker, 3);
    record->cordoned_log_dirs = request->cordoned_log_dirs;
    record->cordoned_log_dirs_count = request->cordoned_log_dirs_count;
}

static void enter(struct controller *controller, const struct meta_broker *broker, enum state next,
                  struct strand_output *output) {
    switch (next) {
    case FENCED:
    case SHUTDOWN_NOW:
        text_log_info(controller->options.text_log, "controller",
                      next == FENCED ? "fencing broker %" PRId32 ", as it asked"
                                     : "broker %" PRId32 " may shut down",
                      broker->id);
        fence(controller, broker, output);
        return;
    case UNFENCED:
        text_log_info(controller->options.text_log, "controller", "unfencing broker %" PRId32,
                      broker->id);
        unfence(controller, broker, output);
        return;
    case CONTROLLED_SHUTDOWN:
        text_log_info(controller->options.text_log, "controller",
                      "broker %" PRId32 " begins a controlled shutdown", broker->id);
        begin_shutdown(controller, broker, output);
        return;
    }
}

static err_t heartbeat_step(struct controller_call *call, const struct strand_input *input,
                            struct strand_output *output) {
    struct controller *controller = call->controller;
    const struct broker_heartbeat_request *request = call->request;
    struct broker_heartbeat_response *response = call->response;
    err_t err = broker_check_epoch(call, request->broker_id, request->broker_epoch);
    if (err != ERR_OK) {
        return err;
    }
    const struct meta_broker *broker = meta_image_broker(controller->image, request->broker_id);
    struct broker_contact *contact = contact_get(controller, broker->id);
    assert(contact != NULL);
    contact->contact_ms = input->mono_ms;
    contact->metadata_offset = request->current_metadata_offset;

    enum state current = current_state(broker, contact);
    enum state next = next_state(controller, current, contact, request);
    if (current != next) {
        enter(controller, broker, next, output);
    }
    int16_t level = meta_image_metadata_version(controller->image);
    if (metadata_version_has_directories(level)) {
        take_offline_dirs(controller, broker, request, output);
    }
    if (metadata_version_has_cordoned_log_dirs(level)) {
        take_cordoned_dirs(broker, request, output);
    }
    if (next == CONTROLLED_SHUTDOWN && contact->controlled_shutdown_offset < 0) {
        contact->controlled_shutdown_offset = input->next_offset + output->record_count - 1;
    }
    output->splittable = true;
    response->is_caught_up = request->current_metadata_offset >= contact->register_offset;
    response->is_fenced = next == FENCED || next == SHUTDOWN_NOW;
    response->should_shut_down = next == SHUTDOWN_NOW;
    session_check_schedule(controller, input->mono_ms);
    return ERR_OK;
}

void controller_heartbeat(struct controller *controller, struct controller_call *call,
                          const struct broker_heartbeat_request *request,
                          struct broker_heartbeat_response *response) {
    wire_init(&broker_heartbeat_response_type, response);
    controller_call_start(controller, call, heartbeat_step, request, response);
}

/* --- sessions --- */

enum { CHECK_LATE_MS = 500 }; /* more than a busy loop takes for a turn */

static void sessions_begin_anew(struct controller *controller, int64_t now_ms, int64_t late_ms) {
    text_log_warn(controller->options.text_log, "controller",
                  "this process stood still for %" PRId64
                  " ms or more; the sessions of its brokers begin anew",
                  late_ms);
    size_t cursor;
    struct broker_contact *contact;
    map_for_each (&controller->contacts, cursor, contact) {
        contact->contact_ms = contact->contact_ms >= 0 ? now_ms : -1;
    }
}

static err_t session_check_step(struct strand_op *op, void *state, const struct strand_input *input,
                                struct strand_output *output) {
    (void)op;
    struct controller *controller = state;
    int64_t late_ms = input->mono_ms - controller->session_check_ms;
    if (late_ms > CHECK_LATE_MS) {
        sessions_begin_anew(controller, input->mono_ms, late_ms);
        return ERR_OK;
    }
    size_t cursor;
    struct broker_contact *contact;
    map_for_each (&controller->contacts, cursor, contact) {
        if (contact->contact_ms < 0 || contact_in_session(controller, contact, input->mono_ms)) {
            continue;
        }
        const struct meta_broker *broker = meta_image_broker(controller->image, contact->broker_id);
        if (broker == NULL || broker->epoch != contact->epoch || broker->fenced) {
            contact->contact_ms = -1;
            continue;
        }
        text_log_warn(controller->options.text_log, "controller",
                      "fencing broker %" PRId32 " with epoch %" PRId64
                      ": nothing was heard of it for %" PRId64 " ms",
                      broker->id, broker->epoch, session_ms(controller));
        fence(controller, broker, output);
        output->splittable = true;
        break; /* one at a time: what follows for the partitions depends on who is left */
    }
    return ERR_OK;
}

static void session_check_done(struct strand_op *op, err_t err) {
    struct controller *controller = container_of(op, struct controller, session_check);
    if (strand_is_active(controller->strand)) {
        if (err != ERR_OK) {
            text_log_error(controller->options.text_log, "controller",
                           "a broker could not be fenced: %s", err_text(err));
        }
        session_check_schedule(controller, sys_loop_now_ms(controller->options.loop));
    }
}

/* Sets the check to when the next session can end. A check that waits for its commit, or is set
 * already, stays as it is: it comes early and sets itself anew. */
void session_check_schedule(struct controller *controller, int64_t now_ms) {
    struct strand_op *check = &controller->session_check;
    if (check->scheduled || list_linked(&check->link)) {
        return;
    }
    int64_t next_ms = INT64_MAX;
    size_t cursor;
    const struct broker_contact *contact;
    map_for_each (&controller->contacts, cursor, contact) {
        int64_t end_ms = contact->contact_ms + session_ms(controller) + 1;
        if (contact->contact_ms >= 0 && end_ms < next_ms) {
            next_ms = end_ms;
        }
    }
    if (next_ms == INT64_MAX) {
        return;
    }
    check->step = session_check_step;
    check->done = session_check_done;
    controller->session_check_ms = next_ms > now_ms ? next_ms : now_ms + 1;
    strand_schedule(controller->strand, check, controller->session_check_ms);
}
