#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * A regular expression over names of topics, as PCRE2 has them, for the classic protocol, whose
 * members look for their topics themselves. A name matches as a whole. What matching one name may
 * cost is bounded; past that it does not match.
 */
struct member_pattern;

/* INVALID with a sentence that says where it is wrong. */
err_t member_pattern_new(struct str expression, struct member_pattern **ret_pattern, char *ret_text,
                         size_t text_size);
void member_pattern_free(struct member_pattern *pattern); /* accepts NULL */
bool member_pattern_matches(const struct member_pattern *pattern, struct str name);
