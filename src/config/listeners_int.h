#pragma once

#include "config/config_int.h"
#include "config/listeners.h"

/* Whether a list of listener names has one; case does not matter. */
bool config_names_have(struct str list, struct str name);

/* The protocol of a listener name; null when the map does not know it. */
struct str config_listener_protocol(const struct config *config, struct str name);
