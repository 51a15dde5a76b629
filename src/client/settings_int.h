#pragma once

#include "client/settings.h"
#include "config/config.h"

/* Private to the module: the set of settings behind ottla_config. */
struct ottla_config {
    char **texts; /* by key, as parsed and checked; NULL: the default */
};

size_t client_keys_count(void);

/* Whether the user gave a value. */
bool client_config_is_set(const struct ottla_config *config, enum config_key key);

/* The value in force; null text where there is none. Texts live with the config. */
struct config_value client_config_value(const struct ottla_config *config, enum config_key key);
