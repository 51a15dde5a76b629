#include "server/handlers/forward.h"

#include "server/node_int.h"

static void answered(struct controller_call *call, err_t err) {
    struct forward *forward = container_of(call, struct forward, call);
    if (err != ERR_OK) {
        wire_init(forward->request->api->response, forward->response);
        forward->fail(forward, err, call->error_message);
    }
    if (forward->finish != NULL) {
        forward->finish(forward);
    } else {
        request_respond(forward->request, forward->response);
    }
}

/* 0 would mean none to the controller. What has no time at all is over whatever its clock says,
 * which is that of the turn's beginning. */
static int64_t deadline(const struct request *request, int64_t timeout_ms) {
    if (timeout_ms == FORWARD_NO_TIMEOUT) {
        return 0;
    }
    return timeout_ms <= 0 ? 1 : sys_mono_ms(request->node->sys) + timeout_ms;
}

struct forward *forward_new(struct request *request, int64_t timeout_ms, void *response,
                            void (*fail)(struct forward *forward, err_t err, struct str message)) {
    struct forward *forward = ARENA_NEW(&request->arena, struct forward);
    *forward = (struct forward){
        .call =
            {
                .arena = &request->arena,
                .deadline_ms = deadline(request, timeout_ms),
                .principal = STR("User:ANONYMOUS"),
                .loop = request->reactor->loop,
                .direct = request_on_controller(request),
                .done = answered,
            },
        .request = request,
        .response = response,
        .fail = fail,
    };
    net_request_park(request->net);
    return forward;
}
