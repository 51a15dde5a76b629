/*
 * From RE2's syntax to PCRE2's, in one pass from left to right. What comes out are only these:
 *
 *   \xHH          one character; with letter case as one where (?i) stands before it
 *   [\xHH-\xHH…]  a set of ASCII characters; all other sets become one
 *   .             any
 *   (?:…)  |      groups (nobody asks what they captured), alternatives
 *   *  +  ?  {n,m}   quantifiers, always greedy: whether the whole matches is the only question
 *   (?:\A) (?:\z) (?:\b) (?:\B)    assertions, as groups because RE2 allows quantifiers there
 *
 * A topic name has no line breaks, so ^ and \A are the same, and `.` needs no flag.
 *
 * RE2/J's reading is followed in its corners, too: a { that begins no quantifier is a character,
 * but none may be quantified after it; flags between a quantifier and the next make both count.
 *
 * PCRE2 has 64 KiB for a compiled expression, and repeats groups by copying them. The size is
 * reckoned up here, a little too high, so that what passes is never refused by PCRE2.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "coord/regex_int.h"

/* Compiled sizes, in bytes. */
enum { SIZE_CHARACTER = 2, SIZE_SET = 33, SIZE_GROUP = 8, SIZE_QUANTIFIER = 8, SIZE_BRANCH = 3 };

struct frame {
    bool fold;            /* (?i), as of the group's begin */
    bool written_fold;    /* likewise, as PCRE2 sees it */
    size_t start;         /* of the group, in out */
    bool has_atom;        /* something that a quantifier could belong to */
    bool atom_quantified; /* it has one already */
    size_t atom_start;
    uint64_t atom_size;
    uint64_t size; /* of the group so far */
};

struct parser {
    struct str in;
    size_t position;
    struct buffer *out;
    bool fold;
    bool written_fold;
    bool after_quantifier; /* what was just read may not be quantified again */
    struct frame *frames;  /* the innermost last; the first is no group */
    int32_t frame_count;
    int32_t wrap_count;
    struct arena arena;
    struct map names;
    const char *reason; /* NULL: all is well */
};

static const char bad_bracket[] = "missing closing ]";
static const char bad_escape[] = "invalid escape sequence";
static const char bad_name[] = "invalid named capture";
static const char bad_paren[] = "missing closing )";
static const char bad_perl[] = "invalid or unsupported Perl syntax";
static const char bad_quantified[] = "missing argument to repetition operator";
static const char bad_quantifier[] = "invalid nested repetition operator";
static const char bad_range[] = "invalid character class range";
static const char bad_repeat[] = "invalid repeat count";
static const char too_deep[] = "expression nests too deeply";
static const char too_large[] = "expression too large";

/* --- reading --- */

static bool more(const struct parser *parser) {
    return parser->position < parser->in.size;
}

static struct str rest(const struct parser *parser) {
    return (struct str){parser->in.data + parser->position, parser->in.size - parser->position};
}

static bool looking_at(const struct parser *parser, struct str text) {
    struct str left = rest(parser);
    return left.size >= text.size && memcmp(left.data, text.data, text.size) == 0;
}

/* The next code point, or U+FFFD for bytes that are none; nothing is read at the end: 0. */
static uint32_t peek(const struct parser *parser, size_t *ret_size) {
    struct str left = rest(parser);
    const uint8_t *p = (const uint8_t *)left.data;
    *ret_size = left.size == 0 ? 0 : 1;
    if (left.size == 0 || p[0] < 0x80) {
        return left.size == 0 ? 0 : p[0];
    }
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size > left.size) {
        return 0xfffd;
    }
    uint32_t c = p[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *ret_size = size;
    return c;
}

static uint32_t pop(struct parser *parser) {
    size_t size;
    uint32_t c = peek(parser, &size);
    parser->position += size;
    return c;
}

static bool take(struct parser *parser, char c) {
    if (!more(parser) || parser->in.data[parser->position] != c) {
        return false;
    }
    parser->position++;
    return true;
}

/* Where `text` begins in the rest; its size when it is not there. */
static size_t find(const struct parser *parser, struct str text) {
    struct str left = rest(parser);
    const char *at = memmem(left.data, left.size, text.data, text.size);
    return at == NULL ? left.size : (size_t)(at - left.data);
}

static bool is_alnum(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void fail(struct parser *parser, const char *reason) {
    if (parser->reason == NULL) {
        parser->reason = reason;
    }
}

/* --- writing --- */

static struct frame *innermost(struct parser *parser) {
    return &parser->frames[parser->frame_count - 1];
}

static void write_fold(struct parser *parser, bool fold) {
    if (parser->written_fold != fold) {
        buffer_add_str(parser->out, fold ? STR("(?i)") : STR("(?-i)"));
        parser->written_fold = fold;
    }
}

static void grow(struct parser *parser, uint64_t size) {
    struct frame *frame = innermost(parser);
    frame->size += size;
    if (frame->size > REGEX_COMPILED_SIZE_MAX) {
        fail(parser, too_large);
    }
}

/* Something begins that a quantifier may belong to. */
static void atom(struct parser *parser, size_t start, uint64_t size) {
    struct frame *frame = innermost(parser);
    frame->has_atom = true;
    frame->atom_quantified = false;
    frame->atom_start = start;
    frame->atom_size = size;
    grow(parser, size);
}

static void write_set(struct parser *parser, const struct regex_set *set) {
    write_fold(parser, false);
    size_t start = parser->out->size;
    buffer_add_str(parser->out, STR("["));
    bool empty = true;
    for (uint32_t c = 0; c < 128; c++) {
        if (!regex_set_has(set, c)) {
            continue;
        }
        uint32_t last = c;
        while (regex_set_has(set, last + 1)) {
            last++;
        }
        buffer_printf(parser->out, "\\x%02x-\\x%02x", c, last);
        c = last;
        empty = false;
    }
    buffer_add_str(parser->out, empty ? STR("^\\x00-\\xff]") : STR("]"));
    atom(parser, start, SIZE_SET);
}

static void write_literal(struct parser *parser, uint32_t c) {
    if (parser->fold && (c == 0x212a || c == 0x17f)) {
        c = c == 0x212a ? 'k' : 's';
    }
    if (c >= 128) {
        write_set(parser, &(struct regex_set){0}); /* no topic has it */
        return;
    }
    bool letter = is_alnum(c) && c > '9';
    if (letter) {
        write_fold(parser, parser->fold);
    }
    size_t start = parser->out->size;
    buffer_printf(parser->out, "\\x%02x", c);
    atom(parser, start, SIZE_CHARACTER);
}

static void write_assertion(struct parser *parser, char name) {
    size_t start = parser->out->size;
    buffer_printf(parser->out, "(?:\\%c)", name);
    atom(parser, start, SIZE_GROUP + SIZE_CHARACTER);
}

/* --- quantifiers --- */

enum { COUNT_NONE = -1, COUNT_HUGE = -2 };

static int32_t read_count(struct parser *parser) {
    size_t start = parser->position;
    while (more(parser) && parser->in.data[parser->position] >= '0' &&
           parser->in.data[parser->position] <= '9') {
        parser->position++;
    }
    size_t size = parser->position - start;
    const char *digits = parser->in.data + start;
    if (size == 0 || (size > 1 && digits[0] == '0')) {
        return COUNT_NONE;
    }
    int32_t count = 0;
    for (size_t i = 0; i < size && size <= 8; i++) {
        count = count * 10 + (digits[i] - '0');
    }
    return size > 8 ? COUNT_HUGE : count;
}

/* {n}, {n,} or {n,m}. False: it is none, and nothing was read. *ret_max COUNT_NONE: no end. */
static bool read_repeat(struct parser *parser, int32_t *ret_min, int32_t *ret_max) {
    size_t start = parser->position;
    parser->position++;
    int32_t min = read_count(parser);
    int32_t max = min;
    bool open = false;
    if (min != COUNT_NONE && take(parser, ',')) {
        open = looking_at(parser, STR("}"));
        max = open ? COUNT_NONE : read_count(parser);
    }
    if (min == COUNT_NONE || (max == COUNT_NONE && !open) || !take(parser, '}')) {
        parser->position = start;
        return false;
    }
    if (min < 0 || min > 1000 || max == COUNT_HUGE || max > 1000 || (!open && min > max)) {
        fail(parser, bad_repeat);
    }
    *ret_min = min;
    *ret_max = open ? COUNT_NONE : max;
    return true;
}

static void wrap_atom(struct parser *parser) {
    struct frame *frame = innermost(parser);
    if (++parser->wrap_count > REGEX_DEPTH_MAX) {
        fail(parser, too_deep);
        return;
    }
    static const char open[] = "(?:";
    size_t size = sizeof open - 1;
    uint8_t *end = buffer_extend(parser->out, size + 1);
    uint8_t *start = parser->out->data + frame->atom_start;
    memmove(start + size, start, (size_t)(end - start));
    memcpy(start, open, size);
    end[size] = ')';
    frame->size += SIZE_GROUP;
    frame->atom_size += SIZE_GROUP;
}

static void quantify(struct parser *parser, bool was_quantifier, int32_t min, int32_t max) {
    (void)take(parser, '?'); /* greedy or not is all the same */
    struct frame *frame = innermost(parser);
    if (was_quantifier) {
        fail(parser, bad_quantifier);
    } else if (!frame->has_atom) {
        fail(parser, bad_quantified);
    }
    if (parser->reason != NULL) {
        return;
    }
    if (frame->atom_quantified) {
        wrap_atom(parser);
    }
    if (max == COUNT_NONE && min <= 1) {
        buffer_add_str(parser->out, min == 0 ? STR("*") : STR("+"));
    } else if (min == 0 && max == 1) {
        buffer_add_str(parser->out, STR("?"));
    } else if (max == COUNT_NONE) {
        buffer_printf(parser->out, "{%d,}", min);
    } else {
        buffer_printf(parser->out, "{%d,%d}", min, max);
    }
    frame->atom_quantified = true;
    int32_t copies = max > min ? max : min;
    uint64_t size = SIZE_QUANTIFIER;
    if (copies > 1 && frame->atom_size > SIZE_SET) {
        size += (uint64_t)(copies - 1) * (frame->atom_size + SIZE_GROUP);
    }
    frame->atom_size += size;
    grow(parser, size);
}

/* --- escapes --- */

static int unhex(uint32_t c) {
    if (c >= '0' && c <= '9') {
        return (int)c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

/* \x{10FFFF}, behind the brace. */
static bool read_hex(struct parser *parser, uint32_t *ret_c) {
    uint32_t value = 0;
    bool some = false;
    while (more(parser)) {
        uint32_t c = pop(parser);
        if (c == '}') {
            *ret_c = value;
            return some;
        }
        int digit = c < 128 ? unhex(c) : -1;
        if (digit < 0) {
            return false;
        }
        value = value * 16 + (uint32_t)digit;
        if (value > 0x10ffff) {
            return false;
        }
        some = true;
    }
    return false;
}

static bool read_hex_escape(struct parser *parser, uint32_t *ret_c) {
    if (take(parser, '{')) {
        return read_hex(parser, ret_c);
    }
    int high = more(parser) ? unhex(pop(parser)) : -1;
    int low = more(parser) ? unhex(pop(parser)) : -1;
    *ret_c = (uint32_t)(high * 16 + low);
    return high >= 0 && low >= 0;
}

static bool next_is_octal(const struct parser *parser) {
    return more(parser) && parser->in.data[parser->position] >= '0' &&
           parser->in.data[parser->position] <= '7';
}

static bool read_octal(struct parser *parser, uint32_t first, uint32_t *ret_c) {
    if (first != '0' && !next_is_octal(parser)) {
        return false; /* a backreference */
    }
    uint32_t value = first - '0';
    for (int i = 0; i < 2 && next_is_octal(parser); i++) {
        value = value * 8 + (pop(parser) - '0');
    }
    *ret_c = value;
    return true;
}

/* A backslash and what belongs to it, where that is one character. */
static uint32_t read_escape(struct parser *parser) {
    parser->position++;
    if (!more(parser)) {
        fail(parser, "trailing backslash at end of expression");
        return 0;
    }
    uint32_t c = pop(parser);
    static const char letters[] = "afnrtv";
    static const char controls[] = "\a\f\n\r\t\v";
    const char *letter = c != 0 && c < 128 ? strchr(letters, (int)c) : NULL;
    bool good = true;
    if (c >= '0' && c <= '7') {
        good = read_octal(parser, c, &c);
    } else if (c == 'x') {
        good = read_hex_escape(parser, &c);
    } else if (letter != NULL) {
        c = (uint8_t)controls[letter - letters];
    } else {
        good = !is_alnum(c);
    }
    if (!good) {
        fail(parser, bad_escape);
    }
    return c;
}

/* \pN, \p{Greek}, \P{^Lu}. False: it is none, and nothing was read. */
static bool read_unicode_class(struct parser *parser, struct regex_set *ret_set) {
    bool negate = looking_at(parser, STR("\\P"));
    if (!negate && !looking_at(parser, STR("\\p"))) {
        return false;
    }
    parser->position += 2;
    struct str name = rest(parser);
    if (take(parser, '{')) {
        name.data++;
        name.size = find(parser, STR("}"));
        parser->position += name.size;
        if (!take(parser, '}')) {
            fail(parser, bad_range);
            return true;
        }
    } else {
        size_t start = parser->position;
        (void)pop(parser);
        name.size = parser->position - start;
    }
    if (!regex_class_unicode(name, parser->fold, ret_set)) {
        fail(parser, bad_range);
    } else if (negate) {
        regex_set_negate(ret_set);
    }
    return true;
}

/* \d and the like. False: it is none, and nothing was read. */
static bool read_perl_class(struct parser *parser, struct regex_set *ret_set) {
    struct str left = rest(parser);
    if (left.size < 2 || left.data[0] != '\\' ||
        !regex_class_perl(left.data[1], parser->fold, ret_set)) {
        return false;
    }
    parser->position += 2;
    return true;
}

/* [:alpha:]. False: it is none, and nothing was read. */
static bool read_posix_class(struct parser *parser, struct regex_set *ret_set) {
    if (!looking_at(parser, STR("[:"))) {
        return false;
    }
    size_t size = find(parser, STR(":]"));
    struct str left = rest(parser);
    if (size == left.size) {
        return false;
    }
    parser->position += size + 2;
    struct str name = {.data = left.data + 2, .size = size < 2 ? 0 : size - 2};
    if (size < 2 || !regex_class_posix(name, parser->fold, ret_set)) {
        fail(parser, bad_range);
    }
    return true;
}

/* --- sets --- */

static uint32_t read_set_character(struct parser *parser) {
    if (!more(parser)) {
        fail(parser, bad_bracket);
        return 0;
    }
    return looking_at(parser, STR("\\")) ? read_escape(parser) : pop(parser);
}

static void read_range(struct parser *parser, struct regex_set *set) {
    uint32_t first = read_set_character(parser);
    uint32_t last = first;
    if (looking_at(parser, STR("-")) && !looking_at(parser, STR("-]"))) {
        parser->position++;
        last = read_set_character(parser);
        if (last < first) {
            fail(parser, bad_range);
        }
    }
    if (parser->fold) {
        regex_set_add_folded(set, first, last);
    } else {
        regex_set_add(set, first, last);
    }
}

static void read_set(struct parser *parser) {
    parser->position++;
    bool negate = take(parser, '^');
    struct regex_set set = {0};
    bool first = true;
    while (parser->reason == NULL && (first || !looking_at(parser, STR("]")))) {
        first = false;
        struct regex_set named;
        if (read_posix_class(parser, &named) || read_unicode_class(parser, &named) ||
            read_perl_class(parser, &named)) {
            regex_set_add_set(&set, named);
        } else {
            read_range(parser, &set);
        }
    }
    if (parser->reason != NULL) {
        return;
    }
    parser->position++;
    if (negate) {
        regex_set_negate(&set);
    }
    write_set(parser, &set);
}

/* --- groups --- */

static void open_group(struct parser *parser) {
    if (parser->frame_count > REGEX_DEPTH_MAX) {
        fail(parser, too_deep);
        return;
    }
    size_t size = sizeof parser->frames[0];
    parser->frames = arena_grow(&parser->arena, parser->frames, (size_t)parser->frame_count * size,
                                (size_t)(parser->frame_count + 1) * size);
    parser->frame_count++;
    *innermost(parser) = (struct frame){
        .fold = parser->fold, .written_fold = parser->written_fold, .start = parser->out->size};
    buffer_add_str(parser->out, STR("(?:"));
}

static void close_group(struct parser *parser) {
    if (parser->frame_count == 1) {
        fail(parser, "regexp/syntax: internal error"); /* as RE2/J says it */
        return;
    }
    struct frame frame = *innermost(parser);
    parser->frame_count--;
    buffer_add_str(parser->out, STR(")"));
    parser->fold = frame.fold;
    parser->written_fold = frame.written_fold;
    atom(parser, frame.start, frame.size + SIZE_GROUP);
}

/* (?P<name>…) or (?<name>…), behind the <. */
static void open_named_group(struct parser *parser) {
    struct str name = {rest(parser).data, find(parser, STR(">"))};
    bool good = name.size > 0 && name.size < rest(parser).size;
    for (size_t i = 0; good && i < name.size; i++) {
        good = is_alnum((uint8_t)name.data[i]) || name.data[i] == '_';
    }
    if (!good) {
        fail(parser, bad_name);
        return;
    }
    if (map_put(&parser->names, str_bytes(name), parser) != NULL) {
        fail(parser, "duplicate capture group name");
        return;
    }
    parser->position += name.size + 1;
    open_group(parser);
}

/* (?i), (?i-s:…), behind the ?. */
static void read_flags(struct parser *parser) {
    bool fold = parser->fold;
    bool negative = false;
    bool some = false; /* flags behind the minus */
    while (more(parser)) {
        uint32_t c = pop(parser);
        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            fold = c == 'i' ? !negative : fold;
            some = true;
        } else if (c == '-' && !negative) {
            negative = true;
            some = false;
        } else if ((c == ')' || c == ':') && (some || !negative)) {
            if (c == ':') {
                open_group(parser);
            }
            parser->fold = fold;
            return;
        } else {
            break;
        }
    }
    fail(parser, bad_perl);
}

static void read_paren(struct parser *parser) {
    static const struct str named[] = {{"(?P<", 4}, {"(?<", 3}};
    for (int i = 0; i < 2; i++) {
        if (looking_at(parser, named[i])) {
            parser->position += named[i].size;
            open_named_group(parser);
            return;
        }
    }
    if (looking_at(parser, STR("(?"))) {
        parser->position += 2;
        read_flags(parser);
    } else {
        parser->position++;
        open_group(parser);
    }
}

/* --- the expression --- */

static void read_quoted(struct parser *parser) {
    size_t size = find(parser, STR("\\E"));
    size_t end = parser->position + size;
    bool closed = size < rest(parser).size;
    while (parser->position < end && parser->reason == NULL) {
        write_literal(parser, pop(parser));
    }
    parser->position += closed ? 2 : 0;
}

static void read_backslash(struct parser *parser) {
    struct str left = rest(parser);
    char c = left.size < 2 ? '\0' : left.data[1];
    struct regex_set set;
    if (c == 'A' || c == 'b' || c == 'B' || c == 'z') {
        parser->position += 2;
        write_assertion(parser, c);
    } else if (c == 'Q') {
        parser->position += 2;
        read_quoted(parser);
    } else if (read_unicode_class(parser, &set) || read_perl_class(parser, &set)) {
        if (parser->reason == NULL) {
            write_set(parser, &set);
        }
    } else {
        uint32_t literal = read_escape(parser);
        write_literal(parser, literal);
    }
}

static void read_brace(struct parser *parser, bool was_quantifier) {
    int32_t min, max;
    if (!read_repeat(parser, &min, &max)) {
        write_literal(parser, pop(parser));
    } else if (parser->reason == NULL) {
        quantify(parser, was_quantifier, min, max);
    }
    parser->after_quantifier = true;
}

static void read_one(struct parser *parser) {
    bool was_quantifier = parser->after_quantifier;
    parser->after_quantifier = false;
    char c = parser->in.data[parser->position];
    switch (c) {
    case '(':
        read_paren(parser);
        break;
    case ')':
        parser->position++;
        close_group(parser);
        break;
    case '[':
        read_set(parser);
        break;
    case '\\':
        read_backslash(parser);
        break;
    case '{':
        read_brace(parser, was_quantifier);
        break;
    case '*':
    case '+':
    case '?':
        parser->position++;
        quantify(parser, was_quantifier, c == '+' ? 1 : 0, c == '?' ? 1 : COUNT_NONE);
        parser->after_quantifier = true;
        break;
    case '|':
        parser->position++;
        buffer_add_str(parser->out, STR("|"));
        innermost(parser)->has_atom = false;
        grow(parser, SIZE_BRANCH);
        break;
    case '^':
    case '$':
        parser->position++;
        write_assertion(parser, c == '^' ? 'A' : 'z');
        break;
    case '.':
        parser->position++;
        buffer_add_str(parser->out, STR("."));
        atom(parser, parser->out->size - 1, SIZE_CHARACTER);
        break;
    default:
        write_literal(parser, pop(parser));
    }
}

err_t regex_translate(struct str expression, struct buffer *out, const char **ret_reason) {
    struct parser parser = {.in = expression, .out = out, .frame_count = 1};
    arena_init(&parser.arena, SIZE_MAX);
    map_init(&parser.names);
    parser.frames = ARENA_NEW(&parser.arena, struct frame);
    while (more(&parser) && parser.reason == NULL) {
        read_one(&parser);
    }
    if (parser.frame_count > 1) {
        fail(&parser, bad_paren);
    }
    map_done(&parser.names);
    arena_done(&parser.arena);
    if (parser.reason != NULL) {
        *ret_reason = parser.reason;
        return ERR_INVALID_REGULAR_EXPRESSION;
    }
    return ERR_OK;
}
