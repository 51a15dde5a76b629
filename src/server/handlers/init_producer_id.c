/*
 * InitProducerId. Idempotent producers get a fresh id with epoch 0, whatever id they had before, as
 * from Kafka; of transactional ones their coordinator knows.
 */
#include "coord/transactions.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"
#include "server/producer_ids.h"

struct id_request {
    struct coord_id_wait wait;
    struct request *request;
};

static void respond(struct request *request, err_t err, int64_t producer_id) {
    struct init_producer_id_response response;
    wire_init(&init_producer_id_response_type, &response);
    response.error_code = err_kafka_code(err);
    response.producer_id = err == ERR_OK ? producer_id : -1;
    response.producer_epoch = err == ERR_OK ? 0 : -1;
    request_respond(request, &response);
}

static void id_given(struct coord_id_wait *wait, err_t err, int64_t producer_id) {
    respond(container_of(wait, struct id_request, wait)->request, err, producer_id);
}

static void give_id(struct request *request) {
    struct producer_ids *ids = request->node->producer_ids;
    int64_t producer_id;
    if (producer_ids_take(ids, &producer_id)) {
        respond(request, ERR_OK, producer_id);
        return;
    }
    struct id_request *waiting = ARENA_NEW(&request->arena, struct id_request);
    *waiting = (struct id_request){.wait = {.loop = request->reactor->loop, .done = id_given},
                                   .request = request};
    net_request_park(request->net);
    producer_ids_await(ids, &waiting->wait);
}

/* Clients of before do not know PRODUCER_FENCED. */
static void initialised(struct group_request *sent) {
    struct init_producer_id_response *response = sent->call.response;
    if (sent->request->version < 4 && response->error_code == ERR_PRODUCER_FENCED) {
        response->error_code = ERR_INVALID_PRODUCER_EPOCH;
    }
    request_respond(sent->request, response);
}

void handle_init_producer_id(struct request *request) {
    const struct init_producer_id_request *message = request->message;
    bool half_known = (message->producer_id == -1) != (message->producer_epoch == -1);
    if (message->transactional_id.data != NULL) {
        txn_request_send(request, API_INIT_PRODUCER_ID, message, NULL, initialised);
    } else if (half_known) {
        respond(request, ERR_INVALID_REQUEST, -1);
    } else {
        give_id(request);
    }
}
