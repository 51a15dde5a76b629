/* EndTxn: the coordinator of the transactional id decides. */
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

/* Clients of before do not know PRODUCER_FENCED. */
static void ended(struct group_request *sent) {
    struct end_txn_response *response = sent->call.response;
    if (sent->request->version < 2 && response->error_code == ERR_PRODUCER_FENCED) {
        response->error_code = ERR_INVALID_PRODUCER_EPOCH;
    }
    request_respond(sent->request, response);
}

void handle_end_txn(struct request *request) {
    txn_request_send(request, API_END_TXN, request->message, NULL, ended);
}
