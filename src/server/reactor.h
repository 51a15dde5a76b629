#pragma once

#include <stdint.h>

#include "base/list.h"
#include "config/config.h"
#include "meta/image.h"
#include "sys/loop.h"
#include "wire/compression.h"

/*
 * What one reactor of a node has for itself: its loop, its pinned image, and memory that it uses
 * again and again. Belongs to the loop's thread; only `post` of images comes from outside.
 */
struct node;

struct reactor {
    struct node *node;
    int index;
    struct sys_loop *loop;
    struct meta_image *image; /* what requests on this reactor see */
    struct config *config;    /* the settings in force, with dynamic ones */
    struct compression *compression;
    struct list free_requests;
    int free_request_count;
    struct list waiting; /* parked fetches, of handlers/fetch.c */
};

void reactor_init(struct reactor *reactor, struct node *node, int index, struct sys_loop *loop,
                  struct config *config);
void reactor_done(struct reactor *reactor);

/* Any thread: the reactor goes on with this image and settings, after what was posted before. */
void reactor_post_image(struct reactor *reactor, struct meta_image *image, struct config *config);
