#pragma once

#include "config/config_int.h"

/* The parsing of one value under way. */
struct value_parse {
    const struct config_row *row;
    struct str text; /* as given */
    struct arena *arena;
    struct config_value value;
    struct str message;
};

/* Refuses with "Invalid value SHOWN for configuration KEY: why". */
err_t value_refuse(struct value_parse *parse, struct str shown, const char *why);

/* Checks a text against the choices of the key. */
err_t value_check_choice(struct value_parse *parse, struct str text, bool any_case);

err_t value_parse_list(struct value_parse *parse);

bool text_is_digits(struct str text);
