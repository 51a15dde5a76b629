#pragma once

#include "config/config.h"

/* Generated. */
extern const int16_t config_scope_starts[];
extern const struct config_row config_rows[CONFIG_KEY_COUNT];

struct config {
    struct arena arena;  /* texts of values that are not its base's */
    struct config *base; /* held: the file's settings under dynamic ones; may be NULL */
    int refs;            /* atomic */
    enum config_scope scope;
    struct config_value *values; /* of the scope's keys */
    bool *set;                   /* in the file */
};

struct config *config_alloc(enum config_scope scope);
struct config_value *config_slot(struct config *config, enum config_key key);
const struct config_value *config_value_of(const struct config *config, enum config_key key);

/* What a value that is not set anywhere is; null when there is no default. */
struct config_value config_value_default(enum config_key key, struct arena *arena);

/* A number's value in a key's type; `text` is made from it. */
struct config_value config_value_from_number(int64_t number, struct arena *arena);

/* Java's text of a double: "0.5", "1.0E10". */
enum { CONFIG_DOUBLE_TEXT_MAX = 32 };
void config_double_format(double value, char text[CONFIG_DOUBLE_TEXT_MAX]);

struct str config_trim(struct str text); /* as Java's String.trim */

void config_report_error(struct config_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void config_report_warning(struct config_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What Kafka checks of settings that each are fine, and what we refuse to advertise. */
void config_check_broker(const struct config *config, struct config_report *report);
void config_check_groups(const struct config *config, struct config_report *report);

/* The part of it that a change of a setting may break. */
void config_check_changeable(const struct config *config, struct config_report *report);

/* The value of a key that a resource falls back to: dynamic for this broker, for all, the file's.
 */
struct str config_layers_broker_text(const struct config_layers *layers, enum config_key key);

/* The chain of broker keys of which a key is the first (see config_effective_long), or NULL. */
const struct config_row *config_chain_of(enum config_key key);
