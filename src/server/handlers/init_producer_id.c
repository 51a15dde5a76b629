/*
 * InitProducerId for idempotent producers: a fresh id with epoch 0, whatever id the producer had
 * before, as Kafka. With a transactional id the coordinator would answer; there is none yet.
 */
#include "server/handlers/handlers.h"
#include "server/node_int.h"
#include "server/producer_ids.h"

static void respond(struct request *request, err_t err, int64_t producer_id) {
    struct init_producer_id_response response;
    wire_init(&init_producer_id_response_type, &response);
    response.error_code = err_kafka_code(err);
    response.producer_id = err == ERR_OK ? producer_id : -1;
    response.producer_epoch = err == ERR_OK ? 0 : -1;
    request_respond(request, &response);
}

void handle_init_producer_id(struct request *request) {
    const struct init_producer_id_request *message = request->message;
    if (message->transactional_id.data != NULL) {
        bool empty = message->transactional_id.size == 0;
        respond(request, empty ? ERR_INVALID_REQUEST : ERR_COORDINATOR_NOT_AVAILABLE, -1);
        return;
    }
    bool id_alone = message->producer_id != -1 && message->producer_epoch == -1;
    bool epoch_alone = message->producer_id == -1 && message->producer_epoch != -1;
    if (id_alone || epoch_alone) {
        respond(request, ERR_INVALID_REQUEST, -1);
        return;
    }
    producer_ids_next(request->node->producer_ids, request, respond);
}
