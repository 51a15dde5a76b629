#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "coord/regex.h"

/*
 *   regex_syntax.c    RE2's syntax to PCRE2's
 *   regex_read.c      its characters, escapes and sets
 *   regex_write.c     PCRE2's text, with its size
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

/* --- reading --- */

struct regex_reader {
    struct str text;
    size_t position;
    const char *reason; /* why the expression is refused; NULL: it is not, so far */
};

/* The first reason stays. */
void regex_fail(struct regex_reader *reader, const char *reason);

bool regex_more(const struct regex_reader *reader);
struct str regex_rest(const struct regex_reader *reader);
bool regex_looking_at(const struct regex_reader *reader, struct str text);
bool regex_take(struct regex_reader *reader, char c); /* false: something else is next */

/* Where `text` begins in the rest; the size of the rest when it is not there. */
size_t regex_find(const struct regex_reader *reader, struct str text);

/* The next code point, or U+FFFD for a byte that belongs to none. At the end: 0. */
uint32_t regex_pop(struct regex_reader *reader);

bool regex_is_alnum(uint32_t c);

/* A backslash and what belongs to it, where that is one character. */
uint32_t regex_read_escape(struct regex_reader *reader);

/* \pN, \p{Greek}, \P{^Lu}; \d and the like. False: it is none, and nothing was read. */
bool regex_read_unicode_class(struct regex_reader *reader, bool fold, struct regex_set *ret_set);
bool regex_read_perl_class(struct regex_reader *reader, bool fold, struct regex_set *ret_set);

/* [a-z], from bracket to bracket. */
void regex_read_set(struct regex_reader *reader, bool fold, struct regex_set *ret_set);

/* --- writing --- */

struct regex_frame;

struct regex_writer {
    struct regex_reader *in; /* fails when what is written grows too large */
    struct buffer *out;
    bool written_fold;
    struct regex_frame *frames; /* the innermost last; the first is no group */
    int32_t frame_count;
    int32_t wrap_count;
    struct arena arena;
};

void regex_writer_init(struct regex_writer *writer, struct regex_reader *in, struct buffer *out);
void regex_writer_done(struct regex_writer *writer);

void regex_write_literal(struct regex_writer *writer, uint32_t c, bool fold);
void regex_write_set(struct regex_writer *writer, const struct regex_set *set);
void regex_write_assertion(struct regex_writer *writer, char name); /* \A, \z, \b, \B */
void regex_write_any(struct regex_writer *writer);
void regex_write_alternative(struct regex_writer *writer);

/* Of what was written last. */
enum { REGEX_NO_END = -1 };
void regex_write_quantifier(struct regex_writer *writer, int32_t min, int32_t max);

/* `fold` is given back when the group is closed. */
void regex_write_open(struct regex_writer *writer, bool fold);
bool regex_write_close(struct regex_writer *writer);
bool regex_writer_is_open(const struct regex_writer *writer); /* some group is */

/* --- all of it --- */

/* The same expression for PCRE2, appended to `out`; it does not have to match from one end of a
 * name to the other yet. */
err_t regex_translate(struct str expression, struct buffer *out, const char **ret_reason);
