/* Producer ids: given to brokers in blocks, each id once in the life of the cluster. */
#include "controller/controller_int.h"

enum { PRODUCER_IDS_BLOCK = 1000 };

static err_t allocate_step(struct controller_call *call, const struct strand_input *input,
                           struct strand_output *output) {
    (void)input;
    struct controller *controller = call->controller;
    const struct allocate_producer_ids_request *request = call->request;
    struct allocate_producer_ids_response *response = call->response;
    err_t err = broker_check_epoch(call, request->broker_id, request->broker_epoch);
    if (err != ERR_OK) {
        return err;
    }
    int64_t first = controller->image->next_producer_id;
    if (first < 0) {
        first = 0; /* no block was given out yet */
    }
    if (first > INT64_MAX - PRODUCER_IDS_BLOCK) {
        call->error_message = STR("Exhausted all producerIds as the next block's end producerId "
                                  "has exceeded the int64 type limit");
        return ERR_UNKNOWN_SERVER_ERROR;
    }
    struct producer_ids_record *record = record_add(controller, output, META_RECORD_PRODUCER_IDS);
    record->broker_id = request->broker_id;
    record->broker_epoch = request->broker_epoch;
    record->next_producer_id = first + PRODUCER_IDS_BLOCK;
    response->producer_id_start = first;
    response->producer_id_len = PRODUCER_IDS_BLOCK;
    return ERR_OK;
}

void controller_allocate_producer_ids(struct controller *controller, struct controller_call *call,
                                      const struct allocate_producer_ids_request *request,
                                      struct allocate_producer_ids_response *response) {
    wire_init(&allocate_producer_ids_response_type, response);
    controller_call_start(controller, call, allocate_step, request, response);
}
