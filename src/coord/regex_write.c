/*
 * PCRE2's text of an expression, as it is put together.
 *
 * PCRE2 has 64 KiB for a compiled expression, and repeats groups by copying them. The size is
 * reckoned up here, a little too high, so that what passes is never refused by PCRE2.
 */
#include <string.h>

#include "base/limits.h"
#include "coord/regex_int.h"

/* Compiled sizes, in bytes. */
enum { SIZE_CHARACTER = 2, SIZE_SET = 33, SIZE_GROUP = 8, SIZE_QUANTIFIER = 8, SIZE_BRANCH = 3 };

struct regex_frame {
    bool fold;            /* the reader's, as of the group's begin */
    bool written_fold;    /* likewise, as PCRE2 sees it */
    size_t start;         /* of the group, in out */
    bool has_atom;        /* something that a quantifier could belong to */
    bool atom_quantified; /* it has one already */
    size_t atom_start;
    uint64_t atom_size;
    uint64_t size; /* of the group so far */
};

static const char bad_quantified[] = "missing argument to repetition operator";
static const char too_deep[] = "expression nests too deeply";
static const char too_large[] = "expression too large";

void regex_writer_init(struct regex_writer *writer, struct regex_reader *in, struct buffer *out) {
    *writer = (struct regex_writer){.in = in, .out = out, .frame_count = 1};
    arena_init(&writer->arena, SIZE_MAX);
    writer->frames = ARENA_NEW(&writer->arena, struct regex_frame);
}

void regex_writer_done(struct regex_writer *writer) {
    arena_done(&writer->arena);
}

static struct regex_frame *innermost(struct regex_writer *writer) {
    return &writer->frames[writer->frame_count - 1];
}

static void write_fold(struct regex_writer *writer, bool fold) {
    if (writer->written_fold != fold) {
        buffer_add_str(writer->out, fold ? STR("(?i)") : STR("(?-i)"));
        writer->written_fold = fold;
    }
}

static void grow(struct regex_writer *writer, uint64_t size) {
    struct regex_frame *frame = innermost(writer);
    frame->size += size;
    if (frame->size > REGEX_COMPILED_SIZE_MAX) {
        regex_fail(writer->in, too_large);
    }
}

/* Something begins that a quantifier may belong to. */
static void atom(struct regex_writer *writer, size_t start, uint64_t size) {
    struct regex_frame *frame = innermost(writer);
    frame->has_atom = true;
    frame->atom_quantified = false;
    frame->atom_start = start;
    frame->atom_size = size;
    grow(writer, size);
}

void regex_write_set(struct regex_writer *writer, const struct regex_set *set) {
    write_fold(writer, false);
    size_t start = writer->out->size;
    buffer_add_str(writer->out, STR("["));
    bool empty = true;
    for (uint32_t c = 0; c < 128; c++) {
        if (!regex_set_has(set, c)) {
            continue;
        }
        uint32_t last = c;
        while (regex_set_has(set, last + 1)) {
            last++;
        }
        buffer_printf(writer->out, "\\x%02x-\\x%02x", c, last);
        c = last;
        empty = false;
    }
    buffer_add_str(writer->out, empty ? STR("^\\x00-\\xff]") : STR("]"));
    atom(writer, start, SIZE_SET);
}

void regex_write_literal(struct regex_writer *writer, uint32_t c, bool fold) {
    if (fold && (c == 0x212a || c == 0x17f)) {
        c = c == 0x212a ? 'k' : 's';
    }
    if (c >= 128) {
        regex_write_set(writer, &(struct regex_set){0}); /* no topic has it */
        return;
    }
    bool letter = regex_is_alnum(c) && c > '9';
    if (letter) {
        write_fold(writer, fold);
    }
    size_t start = writer->out->size;
    buffer_printf(writer->out, "\\x%02x", c);
    atom(writer, start, SIZE_CHARACTER);
}

void regex_write_assertion(struct regex_writer *writer, char name) {
    size_t start = writer->out->size;
    buffer_printf(writer->out, "(?:\\%c)", name);
    atom(writer, start, SIZE_GROUP + SIZE_CHARACTER);
}

void regex_write_any(struct regex_writer *writer) {
    buffer_add_str(writer->out, STR("."));
    atom(writer, writer->out->size - 1, SIZE_CHARACTER);
}

void regex_write_alternative(struct regex_writer *writer) {
    buffer_add_str(writer->out, STR("|"));
    innermost(writer)->has_atom = false;
    grow(writer, SIZE_BRANCH);
}

/* --- quantifiers --- */

static void wrap_atom(struct regex_writer *writer) {
    struct regex_frame *frame = innermost(writer);
    if (++writer->wrap_count > REGEX_DEPTH_MAX) {
        regex_fail(writer->in, too_deep);
        return;
    }
    static const char open[] = "(?:";
    size_t size = sizeof open - 1;
    uint8_t *end = buffer_extend(writer->out, size + 1);
    uint8_t *start = writer->out->data + frame->atom_start;
    memmove(start + size, start, (size_t)(end - start));
    memcpy(start, open, size);
    end[size] = ')';
    frame->size += SIZE_GROUP;
    frame->atom_size += SIZE_GROUP;
}

void regex_write_quantifier(struct regex_writer *writer, int32_t min, int32_t max) {
    struct regex_frame *frame = innermost(writer);
    if (!frame->has_atom) {
        regex_fail(writer->in, bad_quantified);
        return;
    }
    if (frame->atom_quantified) {
        wrap_atom(writer);
    }
    if (max == REGEX_NO_END && min <= 1) {
        buffer_add_str(writer->out, min == 0 ? STR("*") : STR("+"));
    } else if (min == 0 && max == 1) {
        buffer_add_str(writer->out, STR("?"));
    } else if (max == REGEX_NO_END) {
        buffer_printf(writer->out, "{%d,}", min);
    } else {
        buffer_printf(writer->out, "{%d,%d}", min, max);
    }
    frame->atom_quantified = true;
    int32_t copies = max > min ? max : min;
    uint64_t size = SIZE_QUANTIFIER;
    if (copies > 1 && frame->atom_size > SIZE_SET) {
        size += (uint64_t)(copies - 1) * (frame->atom_size + SIZE_GROUP);
    }
    frame->atom_size += size;
    grow(writer, size);
}

/* --- groups --- */

void regex_write_open(struct regex_writer *writer, bool fold) {
    if (writer->frame_count > REGEX_DEPTH_MAX) {
        regex_fail(writer->in, too_deep);
        return;
    }
    size_t size = sizeof writer->frames[0];
    writer->frames = arena_grow(&writer->arena, writer->frames, (size_t)writer->frame_count * size,
                                (size_t)(writer->frame_count + 1) * size);
    writer->frame_count++;
    *innermost(writer) = (struct regex_frame){
        .fold = fold, .written_fold = writer->written_fold, .start = writer->out->size};
    buffer_add_str(writer->out, STR("(?:"));
}

bool regex_write_close(struct regex_writer *writer) {
    if (writer->frame_count == 1) {
        regex_fail(writer->in, "regexp/syntax: internal error"); /* as RE2/J says it */
        return false;
    }
    struct regex_frame frame = *innermost(writer);
    writer->frame_count--;
    buffer_add_str(writer->out, STR(")"));
    writer->written_fold = frame.written_fold;
    atom(writer, frame.start, frame.size + SIZE_GROUP);
    return frame.fold;
}

bool regex_writer_is_open(const struct regex_writer *writer) {
    return writer->frame_count > 1;
}
