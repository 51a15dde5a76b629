#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * Regular expressions over topic names: RE2's syntax, as Apache Kafka's RE2/J reads it, carried out
 * by PCRE2. An expression matches a name as a whole.
 *
 * What RE2 does not know is refused (backreferences, lookaround, possessive quantifiers …), with
 * RE2/J's words. Steps per name are bounded (REGEX_STEPS_MAX); RE2 needs no such bound.
 */
struct regex;

/* ERR_INVALID_REGULAR_EXPRESSION: it is none; *ret_reason says why, in words that stay. Linear in
 * the length of the expression: fit for a reactor. */
err_t regex_check(struct str expression, const char **ret_reason);

/* As regex_check, and compiles it: for workers. */
err_t regex_new(struct str expression, struct regex **ret_regex, const char **ret_reason);
void regex_free(struct regex *regex); /* accepts NULL */

/* ERR_LIMIT: this name would take too many steps. One thread at a time. */
err_t regex_match(struct regex *regex, struct str topic_name, bool *ret_matches);
