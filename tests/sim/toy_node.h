#pragma once

#include <stdint.h>

#include "sys/sys.h"
#include "toy_log.h"

/*
 * The toy node: one loop that serves a toy_log on port 9092.
 *
 *   request   size 4 | 'P' | producer 4 | sequence 4 | value     append
 *             size 4 | 'R' | offset 8                            read
 *   answer    size 4 | offset 8 | end offset 8 | value           offset -1: refused
 *
 * size counts what follows it. Requests of a connection are answered in order.
 */
enum { TOY_PORT = 9092, TOY_FRAME_MAX = 8192 };

/* exited: the node could not start or go on. Its memory goes with its process. */
void toy_node_start(struct sys *sys, enum toy_bug bug, void (*exited)(void *arg), void *arg);
