#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * The loggers of this node as config resources of the kind BROKER_LOGGER: "root" and the components
 * of the text log, which follow root unless they have a level of their own.
 *
 * Kafka's six levels are kept as they were set; FATAL logs what ERROR does, TRACE what DEBUG does.
 * Any thread. Nothing is kept over a restart, as in Kafka.
 */
struct node;

enum { LOGGER_NONE = -1 };

/* The logger number `index`; a null name at the end. */
struct str logger_name(int index);

/* LOGGER_NONE: no such logger. */
int logger_find(struct str name);

/* "INFO": the level in force. */
struct str logger_level(struct node *node, int index);

/* False: no such level. */
bool logger_level_valid(struct str level);
void logger_level_set(struct node *node, int index, struct str level);
void logger_level_clear(struct node *node,
                        int index); /* root has none to fall back to: not for it */
