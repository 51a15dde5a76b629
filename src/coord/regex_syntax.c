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
#include <string.h>

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
    struct regex_reader in;
    struct buffer *out;
    bool fold;
    bool written_fold;
    bool after_quantifier; /* what was just read may not be quantified again */
    struct frame *frames;  /* the innermost last; the first is no group */
    int32_t frame_count;
    int32_t wrap_count;
    struct arena arena;
    struct map names;
};

static const char bad_name[] = "invalid named capture";
static const char bad_paren[] = "missing closing )";
static const char bad_perl[] = "invalid or unsupported Perl syntax";
static const char bad_quantified[] = "missing argument to repetition operator";
static const char bad_quantifier[] = "invalid nested repetition operator";
static const char bad_repeat[] = "invalid repeat count";
static const char too_deep[] = "expression nests too deeply";
static const char too_large[] = "expression too large";

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
        regex_fail(&parser->in, too_large);
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
    bool letter = regex_is_alnum(c) && c > '9';
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
    size_t start = parser->in.position;
    while (regex_more(&parser->in) && parser->in.text.data[parser->in.position] >= '0' &&
           parser->in.text.data[parser->in.position] <= '9') {
        parser->in.position++;
    }
    size_t size = parser->in.position - start;
    const char *digits = parser->in.text.data + start;
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
    size_t start = parser->in.position;
    parser->in.position++;
    int32_t min = read_count(parser);
    int32_t max = min;
    bool open = false;
    if (min != COUNT_NONE && regex_take(&parser->in, ',')) {
        open = regex_looking_at(&parser->in, STR("}"));
        max = open ? COUNT_NONE : read_count(parser);
    }
    if (min == COUNT_NONE || (max == COUNT_NONE && !open) || !regex_take(&parser->in, '}')) {
        parser->in.position = start;
        return false;
    }
    if (min < 0 || min > 1000 || max == COUNT_HUGE || max > 1000 || (!open && min > max)) {
        regex_fail(&parser->in, bad_repeat);
    }
    *ret_min = min;
    *ret_max = open ? COUNT_NONE : max;
    return true;
}

static void wrap_atom(struct parser *parser) {
    struct frame *frame = innermost(parser);
    if (++parser->wrap_count > REGEX_DEPTH_MAX) {
        regex_fail(&parser->in, too_deep);
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
    (void)regex_take(&parser->in, '?'); /* greedy or not is all the same */
    struct frame *frame = innermost(parser);
    if (was_quantifier) {
        regex_fail(&parser->in, bad_quantifier);
    } else if (!frame->has_atom) {
        regex_fail(&parser->in, bad_quantified);
    }
    if (parser->in.reason != NULL) {
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

/* --- groups --- */

static void open_group(struct parser *parser) {
    if (parser->frame_count > REGEX_DEPTH_MAX) {
        regex_fail(&parser->in, too_deep);
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
        regex_fail(&parser->in, "regexp/syntax: internal error"); /* as RE2/J says it */
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
    struct str name = {regex_rest(&parser->in).data, regex_find(&parser->in, STR(">"))};
    bool good = name.size > 0 && name.size < regex_rest(&parser->in).size;
    for (size_t i = 0; good && i < name.size; i++) {
        good = regex_is_alnum((uint8_t)name.data[i]) || name.data[i] == '_';
    }
    if (!good) {
        regex_fail(&parser->in, bad_name);
        return;
    }
    if (map_put(&parser->names, str_bytes(name), parser) != NULL) {
        regex_fail(&parser->in, "duplicate capture group name");
        return;
    }
    parser->in.position += name.size + 1;
    open_group(parser);
}

/* (?i), (?i-s:…), behind the ?. */
static void read_flags(struct parser *parser) {
    bool fold = parser->fold;
    bool negative = false;
    bool some = false; /* flags behind the minus */
    while (regex_more(&parser->in)) {
        uint32_t c = regex_pop(&parser->in);
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
    regex_fail(&parser->in, bad_perl);
}

static void read_paren(struct parser *parser) {
    static const struct str named[] = {{"(?P<", 4}, {"(?<", 3}};
    for (int i = 0; i < 2; i++) {
        if (regex_looking_at(&parser->in, named[i])) {
            parser->in.position += named[i].size;
            open_named_group(parser);
            return;
        }
    }
    if (regex_looking_at(&parser->in, STR("(?"))) {
        parser->in.position += 2;
        read_flags(parser);
    } else {
        parser->in.position++;
        open_group(parser);
    }
}

/* --- the expression --- */

static void read_quoted(struct parser *parser) {
    size_t size = regex_find(&parser->in, STR("\\E"));
    size_t end = parser->in.position + size;
    bool closed = size < regex_rest(&parser->in).size;
    while (parser->in.position < end && parser->in.reason == NULL) {
        write_literal(parser, regex_pop(&parser->in));
    }
    parser->in.position += closed ? 2 : 0;
}

static void read_backslash(struct parser *parser) {
    struct str left = regex_rest(&parser->in);
    char c = left.size < 2 ? '\0' : left.data[1];
    struct regex_set set;
    if (c == 'A' || c == 'b' || c == 'B' || c == 'z') {
        parser->in.position += 2;
        write_assertion(parser, c);
    } else if (c == 'Q') {
        parser->in.position += 2;
        read_quoted(parser);
    } else if (regex_read_unicode_class(&parser->in, parser->fold, &set) ||
               regex_read_perl_class(&parser->in, parser->fold, &set)) {
        if (parser->in.reason == NULL) {
            write_set(parser, &set);
        }
    } else {
        uint32_t literal = regex_read_escape(&parser->in);
        write_literal(parser, literal);
    }
}

static void read_bracket(struct parser *parser) {
    struct regex_set set;
    regex_read_set(&parser->in, parser->fold, &set);
    write_set(parser, &set);
}

static void read_brace(struct parser *parser, bool was_quantifier) {
    int32_t min, max;
    if (!read_repeat(parser, &min, &max)) {
        write_literal(parser, regex_pop(&parser->in));
    } else if (parser->in.reason == NULL) {
        quantify(parser, was_quantifier, min, max);
    }
    parser->after_quantifier = true;
}

static void read_one(struct parser *parser) {
    bool was_quantifier = parser->after_quantifier;
    parser->after_quantifier = false;
    char c = parser->in.text.data[parser->in.position];
    switch (c) {
    case '(':
        read_paren(parser);
        break;
    case ')':
        parser->in.position++;
        close_group(parser);
        break;
    case '[':
        read_bracket(parser);
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
        parser->in.position++;
        quantify(parser, was_quantifier, c == '+' ? 1 : 0, c == '?' ? 1 : COUNT_NONE);
        parser->after_quantifier = true;
        break;
    case '|':
        parser->in.position++;
        buffer_add_str(parser->out, STR("|"));
        innermost(parser)->has_atom = false;
        grow(parser, SIZE_BRANCH);
        break;
    case '^':
    case '$':
        parser->in.position++;
        write_assertion(parser, c == '^' ? 'A' : 'z');
        break;
    case '.':
        parser->in.position++;
        buffer_add_str(parser->out, STR("."));
        atom(parser, parser->out->size - 1, SIZE_CHARACTER);
        break;
    default:
        write_literal(parser, regex_pop(&parser->in));
    }
}

err_t regex_translate(struct str expression, struct buffer *out, const char **ret_reason) {
    struct parser parser = {.in = {.text = expression}, .out = out, .frame_count = 1};
    arena_init(&parser.arena, SIZE_MAX);
    map_init(&parser.names);
    parser.frames = ARENA_NEW(&parser.arena, struct frame);
    while (regex_more(&parser.in) && parser.in.reason == NULL) {
        read_one(&parser);
    }
    if (parser.frame_count > 1) {
        regex_fail(&parser.in, bad_paren);
    }
    map_done(&parser.names);
    arena_done(&parser.arena);
    if (parser.in.reason != NULL) {
        *ret_reason = parser.in.reason;
        return ERR_INVALID_REGULAR_EXPRESSION;
    }
    return ERR_OK;
}
