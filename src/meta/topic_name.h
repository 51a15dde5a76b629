#pragma once

#include "base/arena.h"
#include "base/bytes.h"

/* What is wrong with a topic's name, in Kafka's words (in the arena); null when nothing is: 1 to
 * 249 of [a-zA-Z0-9._-], not "." and not "..". */
struct str topic_name_fault(struct str name, struct arena *arena);
