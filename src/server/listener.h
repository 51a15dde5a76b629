#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* A listener as the node knows it: its name and what it tells clients to connect to. Texts belong
 * to the node or its settings. */
struct listener {
    struct str name;
    struct str advertised_host;
    uint16_t advertised_port; /* the bound one when the settings say 0 */
    bool controller;          /* for the controller's requests */
    bool advertised;          /* to clients */
};
