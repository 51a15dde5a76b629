#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "coord/regex.h"

/*
 *   regex_syntax.c    RE2's syntax to PCRE2's
 *   regex_class.c     classes of characters
 *   regex.c           compiling and matching
 *
 * Topic names are ASCII, so of every class of characters only the ASCII part counts: a class is a
 * set of 128 bits, whatever its name, and PCRE2 sees nothing but such sets.
 */
struct regex_set {
    uint64_t bits[2];
};

static inline bool regex_set_has(const struct regex_set *set, uint32_t c) {
    return c < 128 && (set->bits[c / 64] >> c % 64 & 1) != 0;
}

void regex_set_add(struct regex_set *set, uint32_t first, uint32_t last);
void regex_set_add_set(struct regex_set *set, struct regex_set other);
void regex_set_negate(struct regex_set *set);

/* Adds the other cases of what is between first and last, which need not be ASCII: KELVIN SIGN is a
 * case of k. */
void regex_set_add_folded(struct regex_set *set, uint32_t first, uint32_t last);

/* `name` is what follows the backslash in \d, \S …, stands in [:^alpha:], or in \p{Greek}; `fold`:
 * with upper and lower case as one. False: there is no such class. */
bool regex_class_perl(char name, bool fold, struct regex_set *ret_set);
bool regex_class_posix(struct str name, bool fold, struct regex_set *ret_set);
bool regex_class_unicode(struct str name, bool fold, struct regex_set *ret_set);

/* The same expression for PCRE2, appended to `out`; it does not have to match from one end of a
 * name to the other yet. */
err_t regex_translate(struct str expression, struct buffer *out, const char **ret_reason);
