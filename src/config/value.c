/*
 * One value: its type, then the check of its key, in the words of Kafka's ConfigDef. That they are
 * the same words is tested against its own output (tests/fixtures/configs/values.tsv).
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/value_int.h"

struct str config_trim(struct str text) {
    while (text.size > 0 && (unsigned char)text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (unsigned char)text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

/* "Invalid value X for configuration KEY: why" */
err_t value_refuse(struct value_parse *p, struct str shown, const char *why) {
    p->message = arena_printf(p->arena, "Invalid value %.*s for configuration %s: %s",
                              STR_ARGS(shown), p->row->name, why);
    return ERR_INVALID;
}

/* --- numbers --- */

static err_t check_range(struct value_parse *p, double value, struct str shown) {
    const struct config_row *row = p->row;
    if (row->extra != INT64_MIN) {
        if (value == (double)row->extra || (value >= row->min && value <= row->max)) {
            return ERR_OK;
        }
        return value_refuse(p, shown,
                            arena_printf(p->arena,
                                         "Value must be between %g and %g or equal to %" PRId64,
                                         row->min, row->max, row->extra)
                                .data);
    }
    const char *format = NULL;
    double bound = 0;
    if (value < row->min) {
        format = "Value must be at least %.*f";
        bound = row->min;
    } else if (value > row->max) {
        format = "Value must be no more than %.*f";
        bound = row->max;
    }
    if (format == NULL) {
        return ERR_OK;
    }
    char why[64];
    (void)snprintf(why, sizeof why, format, bound == floor(bound) ? 0 : 1, bound);
    return value_refuse(p, shown, why);
}

/* Decimal digits with an optional sign, as Java's parseLong takes them. */
static bool parse_number(struct str text, int64_t min, int64_t max, int64_t *ret_number) {
    char copy[24];
    struct str digits = text;
    if (digits.size > 0 && (digits.data[0] == '-' || digits.data[0] == '+')) {
        digits.data++;
        digits.size--;
    }
    if (!text_is_digits(digits)) {
        return false;
    }
    while (digits.size > 1 && digits.data[0] == '0') {
        digits.data++;
        digits.size--;
    }
    if (digits.size > 19) {
        return false;
    }
    (void)snprintf(copy, sizeof copy, "%s%.*s", text.data[0] == '-' ? "-" : "", STR_ARGS(digits));
    errno = 0;
    long long number = strtoll(copy, NULL, 10);
    if (errno != 0 || number < min || number > max) {
        return false;
    }
    *ret_number = number;
    return true;
}

struct config_value config_value_from_number(int64_t number, struct arena *arena) {
    struct config_value value = {.number = number};
    value.text = arena_printf(arena, "%" PRId64, number);
    return value;
}

static err_t parse_integer(struct value_parse *p) {
    static const struct {
        int64_t min, max;
        const char *why;
    } kinds[] = {
        [CONFIG_TYPE_SHORT] = {INT16_MIN, INT16_MAX, "Not a number of type SHORT"},
        [CONFIG_TYPE_INT] = {INT32_MIN, INT32_MAX, "Not a number of type INT"},
        [CONFIG_TYPE_LONG] = {INT64_MIN, INT64_MAX, "Not a number of type LONG"},
    };
    int64_t number;
    if (!parse_number(config_trim(p->text), kinds[p->row->type].min, kinds[p->row->type].max,
                      &number)) {
        return value_refuse(p, p->text, kinds[p->row->type].why);
    }
    p->value = config_value_from_number(number, p->arena);
    return p->row->check == CONFIG_CHECK_RANGE ? check_range(p, (double)number, p->value.text)
                                               : ERR_OK;
}

static err_t parse_double(struct value_parse *p) {
    struct str trimmed = config_trim(p->text);
    char copy[64];
    char *end = copy;
    double number = 0;
    if (trimmed.size > 0 && trimmed.size < sizeof copy &&
        memchr(trimmed.data, 'x', trimmed.size) == NULL &&
        memchr(trimmed.data, 'X', trimmed.size) == NULL) {
        (void)snprintf(copy, sizeof copy, "%.*s", STR_ARGS(trimmed));
        number = strtod(copy, &end);
    }
    if (end == copy || *end != 0 || isnan(number)) {
        return value_refuse(p, p->text, "Not a number of type DOUBLE");
    }
    char text[CONFIG_DOUBLE_TEXT_MAX];
    config_double_format(number, text);
    p->value.real = number;
    p->value.text = arena_str(p->arena, str_from_c(text));
    return p->row->check == CONFIG_CHECK_RANGE ? check_range(p, number, p->value.text) : ERR_OK;
}

/* --- the other types --- */

static err_t parse_boolean(struct value_parse *p) {
    struct str trimmed = config_trim(p->text);
    bool yes = trimmed.size == 4 && strncasecmp(trimmed.data, "true", 4) == 0;
    if (!yes && !(trimmed.size == 5 && strncasecmp(trimmed.data, "false", 5) == 0)) {
        return value_refuse(p, p->text, "Expected value to be either true or false");
    }
    p->value.boolean = yes;
    p->value.text = yes ? STR("true") : STR("false");
    return ERR_OK;
}

static bool is_offset_reset(struct str text) {
    if (str_equal(text, STR("latest")) || str_equal(text, STR("earliest"))) {
        return true;
    }
    struct str prefix = STR("by_duration:");
    if (text.size < prefix.size + 3 || memcmp(text.data, prefix.data, prefix.size) != 0) {
        return false;
    }
    struct str rest = {text.data + prefix.size, text.size - prefix.size};
    if ((rest.data[0] | 0x20) != 'p') {
        return false;
    }
    for (size_t i = 1; i < rest.size; i++) { /* ISO 8601, with digits, a point and unit letters */
        if (strchr("0123456789.dDtThHmMsS", rest.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static err_t check_offset_reset(struct value_parse *p) {
    bool none_too = strstr(p->row->choices, "none") != NULL; /* of a consumer */
    if (is_offset_reset(p->text) || (none_too && str_equal(p->text, STR("none")))) {
        return ERR_OK;
    }
    struct str why = arena_printf(p->arena,
                                  "Invalid value `%.*s` for configuration %s. The value must be "
                                  "either 'earliest', 'latest'%s or of the format "
                                  "'by_duration:<PnDTnHnMn.nS>'.",
                                  STR_ARGS(p->text), p->row->name, none_too ? ", 'none'" : "");
    return value_refuse(p, p->text, why.data);
}

static err_t parse_text(struct value_parse *p) {
    p->text = config_trim(p->text);
    p->value.text = arena_str(p->arena, p->text);
    switch (p->row->check) {
    case CONFIG_CHECK_ONE_OF:
        return value_check_choice(p, p->text, false);
    case CONFIG_CHECK_ONE_OF_ANY_CASE:
        return value_check_choice(p, p->text, true);
    case CONFIG_CHECK_NOT_EMPTY:
        return p->text.size > 0 ? ERR_OK : value_refuse(p, p->text, "String must be non-empty");
    case CONFIG_CHECK_OFFSET_RESET:
        return check_offset_reset(p);
    case CONFIG_CHECK_NONE:
    case CONFIG_CHECK_RANGE:
    case CONFIG_CHECK_NOT_NULL:
        break;
    }
    return ERR_OK;
}

static err_t parse_typed(struct value_parse *p) {
    switch (p->row->type) {
    case CONFIG_TYPE_BOOLEAN:
        return parse_boolean(p);
    case CONFIG_TYPE_SHORT:
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_LONG:
        return parse_integer(p);
    case CONFIG_TYPE_DOUBLE:
        return parse_double(p);
    case CONFIG_TYPE_LIST:
        return value_parse_list(p);
    case CONFIG_TYPE_PASSWORD:
    case CONFIG_TYPE_CLASS:
    case CONFIG_TYPE_STRING:
        return parse_text(p);
    }
    return ERR_INVALID;
}

err_t config_value_parse(enum config_key key, struct str text, struct arena *arena,
                         struct config_value *ret_value, struct str *ret_message) {
    assert(text.data != NULL);
    struct value_parse p = {.row = config_row(key), .text = text, .arena = arena};
    err_t err = parse_typed(&p);
    if (err == ERR_OK) {
        *ret_value = p.value;
    } else {
        *ret_message = p.message;
    }
    return err;
}

struct config_value config_value_default(enum config_key key, struct arena *arena) {
    const char *text = config_row(key)->default_text;
    struct config_value value = {.text = STR_NULL};
    if (text != NULL) {
        struct str message;
        err_t err = config_value_parse(key, str_from_c(text), arena, &value, &message);
        assert(err == ERR_OK);
    }
    return value;
}
