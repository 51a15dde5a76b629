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
 */
#include "base/map.h"
#include "coord/regex_int.h"

struct parser {
    struct regex_reader in;
    struct regex_writer out;
    bool fold;             /* (?i) */
    bool after_quantifier; /* what was just read may not be quantified again */
    struct map names;
};

static const char bad_name[] = "invalid named capture";
static const char bad_paren[] = "missing closing )";
static const char bad_perl[] = "invalid or unsupported Perl syntax";
static const char bad_quantifier[] = "invalid nested repetition operator";
static const char bad_repeat[] = "invalid repeat count";

/* --- quantifiers --- */

enum { COUNT_NONE = REGEX_NO_END, COUNT_HUGE = -2 };

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

static void quantify(struct parser *parser, bool was_quantifier, int32_t min, int32_t max) {
    (void)regex_take(&parser->in, '?'); /* greedy or not is all the same */
    if (was_quantifier) {
        regex_fail(&parser->in, bad_quantifier);
    }
    if (parser->in.reason == NULL) {
        regex_write_quantifier(&parser->out, min, max);
    }
}

/* --- groups --- */

static void open_group(struct parser *parser) {
    regex_write_open(&parser->out, parser->fold);
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
        regex_write_literal(&parser->out, regex_pop(&parser->in), parser->fold);
    }
    parser->in.position += closed ? 2 : 0;
}

static void read_backslash(struct parser *parser) {
    struct str left = regex_rest(&parser->in);
    char c = left.size < 2 ? '\0' : left.data[1];
    struct regex_set set;
    if (c == 'A' || c == 'b' || c == 'B' || c == 'z') {
        parser->in.position += 2;
        regex_write_assertion(&parser->out, c);
    } else if (c == 'Q') {
        parser->in.position += 2;
        read_quoted(parser);
    } else if (regex_read_unicode_class(&parser->in, parser->fold, &set) ||
               regex_read_perl_class(&parser->in, parser->fold, &set)) {
        if (parser->in.reason == NULL) {
            regex_write_set(&parser->out, &set);
        }
    } else {
        uint32_t literal = regex_read_escape(&parser->in);
        regex_write_literal(&parser->out, literal, parser->fold);
    }
}

static void read_bracket(struct parser *parser) {
    struct regex_set set;
    regex_read_set(&parser->in, parser->fold, &set);
    regex_write_set(&parser->out, &set);
}

static void read_brace(struct parser *parser, bool was_quantifier) {
    int32_t min, max;
    if (!read_repeat(parser, &min, &max)) {
        regex_write_literal(&parser->out, regex_pop(&parser->in), parser->fold);
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
        parser->fold = regex_write_close(&parser->out);
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
        regex_write_alternative(&parser->out);
        break;
    case '^':
    case '$':
        parser->in.position++;
        regex_write_assertion(&parser->out, c == '^' ? 'A' : 'z');
        break;
    case '.':
        parser->in.position++;
        regex_write_any(&parser->out);
        break;
    default:
        regex_write_literal(&parser->out, regex_pop(&parser->in), parser->fold);
    }
}

err_t regex_translate(struct str expression, struct buffer *out, const char **ret_reason) {
    struct parser parser = {.in = {.text = expression}};
    regex_writer_init(&parser.out, &parser.in, out);
    map_init(&parser.names);
    while (regex_more(&parser.in) && parser.in.reason == NULL) {
        read_one(&parser);
    }
    if (regex_writer_is_open(&parser.out)) {
        regex_fail(&parser.in, bad_paren);
    }
    map_done(&parser.names);
    regex_writer_done(&parser.out);
    if (parser.in.reason != NULL) {
        *ret_reason = parser.in.reason;
        return ERR_INVALID_REGULAR_EXPRESSION;
    }
    return ERR_OK;
}
