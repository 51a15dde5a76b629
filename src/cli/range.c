#include "cli/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/when.h"

/* --- parsing --- */

static bool parse_integer(const char *text, int64_t *ret_number) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *ret_number = number;
    return errno == 0 && end != text && *end == '\0' && number > INT64_MIN;
}

bool bound_parse(const char *text, int64_t now_ms, struct bound *ret_bound) {
    int64_t number = 0;
    enum bound_kind kind;
    if (strcmp(text, "earliest") == 0 || strcmp(text, "beginning") == 0) {
        kind = BOUND_EARLIEST;
    } else if (strcmp(text, "latest") == 0 || strcmp(text, "end") == 0) {
        kind = BOUND_LATEST;
    } else if (parse_integer(text, &number)) {
        kind = text[0] == '+'   ? BOUND_AFTER_FIRST
               : text[0] == '-' ? BOUND_BEFORE_END
                                : BOUND_OFFSET;
        number = number < 0 ? -number : number;
    } else if (when_parse(text + (text[0] == '@'), now_ms, &number)) {
        kind = BOUND_TIME;
    } else {
        return false;
    }
    *ret_bound = (struct bound){kind, number};
    return true;
}

/* One side of a colon; nothing there is `otherwise`. */
static bool parse_side(const char *text, size_t size, bool times, enum bound_kind otherwise,
                       int64_t now_ms, struct bound *ret_bound) {
    char side[64];
    if (size == 0) {
        *ret_bound = (struct bound){.kind = otherwise};
        return true;
    }
    if (size >= sizeof side) {
        return false;
    }
    memcpy(side, text, size);
    side[size] = '\0';
    if (times) {
        ret_bound->kind = BOUND_TIME;
        return when_parse(side, now_ms, &ret_bound->number);
    }
    return bound_parse(side, now_ms, ret_bound) && ret_bound->kind == BOUND_OFFSET;
}

/* The colon between two bounds is one at which both sides make sense: times have colons, too. */
bool range_text_parse(const char *text, int64_t now_ms, struct range *ret_range) {
    *ret_range = (struct range){.from.kind = BOUND_EARLIEST};
    bool times = text[0] == '@';
    if (!times && strchr(text, ':') == NULL) {
        if (!bound_parse(text, now_ms, &ret_range->from)) {
            return false;
        }
        if (ret_range->from.kind == BOUND_AFTER_FIRST) { /* "+10": the first ten */
            ret_range->to = ret_range->from;
            ret_range->from = (struct bound){.kind = BOUND_EARLIEST};
        }
        return true;
    }
    text += times;
    for (const char *colon = strchr(text, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        const char *after = colon + 1;
        if (parse_side(text, (size_t)(colon - text), times, BOUND_EARLIEST, now_ms,
                       &ret_range->from) &&
            parse_side(after, strlen(after), times, BOUND_NONE, now_ms, &ret_range->to)) {
            return true;
        }
    }
    return times && parse_side(text, strlen(text), true, BOUND_NONE, now_ms, &ret_range->from);
}

int range_parse(struct cli *cli, int64_t now_ms, struct range *ret_range) {
    const char *whole = cli_text(cli, "range", NULL);
    const char *from = cli_text(cli, "from", NULL);
    const char *to = cli_text(cli, "to", NULL);
    *ret_range = (struct range){.from.kind = BOUND_EARLIEST};
    if (whole != NULL && (from != NULL || to != NULL)) {
        return cli_fail(cli, CLI_USAGE, NULL, "--range says both ends: leave --from and --to out");
    }
    if (whole != NULL && !range_text_parse(whole, now_ms, ret_range)) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "--range %s: write it as 10:20, +10, -10, @1h-ago:now or "
                        "@2026-11-21T10:00:",
                        whole);
    }
    static const char forms[] =
        "earliest, latest, OFFSET, +N, -N, 1h-ago, 2026-11-21T10:00 are understood";
    if (from != NULL && !bound_parse(from, now_ms, &ret_range->from)) {
        return cli_fail(cli, CLI_USAGE, forms, "--from %s: this is no place in a topic", from);
    }
    if (to != NULL && !bound_parse(to, now_ms, &ret_range->to)) {
        return cli_fail(cli, CLI_USAGE, forms, "--to %s: this is no place in a topic", to);
    }
    return CLI_DONE;
}

/* --- asking --- */

struct ends {
    int64_t *first;
    int64_t *end;
};

static int resolve(const struct items *items, const struct items_partitions *partitions,
                   const struct ends *known, struct bound bound, int64_t none,
                   int64_t **ret_offsets) {
    int64_t *offsets = ARENA_ARRAY(cli_arena(items->cli), int64_t, partitions->count + 1);
    int64_t *at_time = NULL;
    if (bound.kind == BOUND_TIME) {
        int code = items_offsets(items, partitions, bound.number, &at_time);
        if (code != CLI_DONE) {
            return code;
        }
    }
    for (size_t i = 0; i < partitions->count; i++) {
        int64_t first = known->first[i];
        int64_t end = known->end[i];
        switch (bound.kind) {
        case BOUND_NONE:
            offsets[i] = none;
            break;
        case BOUND_EARLIEST:
            offsets[i] = first;
            break;
        case BOUND_LATEST:
            offsets[i] = end;
            break;
        case BOUND_OFFSET:
            offsets[i] = bound.number < first ? first : bound.number;
            break;
        case BOUND_AFTER_FIRST:
            offsets[i] = bound.number < INT64_MAX - first ? first + bound.number : INT64_MAX;
            break;
        case BOUND_BEFORE_END:
            offsets[i] = end - first > bound.number ? end - bound.number : first;
            break;
        case BOUND_TIME:
            offsets[i] = at_time[i] < 0 ? end : at_time[i];
            break;
        }
    }
    *ret_offsets = offsets;
    return CLI_DONE;
}

int range_resolve(const struct items *items, const struct range *range,
                  const struct items_partitions *partitions, int64_t **ret_starts,
                  int64_t **ret_ends) {
    struct ends known;
    int code = items_offsets(items, partitions, OTTLA_OFFSET_EARLIEST, &known.first);
    if (code == CLI_DONE) {
        code = items_offsets(items, partitions, OTTLA_OFFSET_LATEST, &known.end);
    }
    if (code == CLI_DONE) {
        code = resolve(items, partitions, &known, range->from, 0, ret_starts);
    }
    if (code == CLI_DONE) {
        code = resolve(items, partitions, &known, range->to, INT64_MAX, ret_ends);
    }
    return code;
}
