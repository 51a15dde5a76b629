#include "server/reactor.h"

#include <stdlib.h>

#include "server/request.h"

void reactor_init(struct reactor *reactor, struct node *node, int index, struct sys_loop *loop,
                  struct config *config) {
    config_ref(config);
    *reactor = (struct reactor){
        .node = node,
        .index = index,
        .loop = loop,
        .image = meta_image_new(),
        .config = config,
        .compression = compression_new(),
    };
    list_init(&reactor->free_requests);
    list_init(&reactor->waiting);
}

void reactor_done(struct reactor *reactor) {
    if (reactor->node == NULL) {
        return;
    }
    requests_free(reactor);
    compression_free(reactor->compression);
    meta_image_unref(reactor->image);
    config_unref(reactor->config);
}

struct image_message {
    struct sys_task task;
    struct reactor *reactor;
    struct meta_image *image;
    struct config *config;
};

static void take_image(struct sys_task *task) {
    struct image_message *message = container_of(task, struct image_message, task);
    struct reactor *reactor = message->reactor;
    meta_image_unref(reactor->image);
    config_unref(reactor->config);
    reactor->image = message->image;
    reactor->config = message->config;
    free(message);
}

void reactor_post_image(struct reactor *reactor, struct meta_image *image, struct config *config) {
    struct image_message *message = calloc(1, sizeof *message);
    message->task.run = take_image;
    message->reactor = reactor;
    config_ref(config);
    message->image = meta_image_ref(image);
    message->config = config;
    sys_loop_post(reactor->loop, &message->task);
}
