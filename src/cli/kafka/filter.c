#include "cli/kafka/filter.h"

#include <string.h>

#include "cli/kafka/tool_int.h"
#include "client/member_pattern.h"

struct tool_filter {
    struct member_pattern *pattern;
    struct tool_filter *next;
};

/* "'a.*, b'" to "a.*|b" */
static struct str expression_of(struct arena *arena, const char *text) {
    char *expression = arena_alloc(arena, strlen(text) + 1);
    size_t size = 0;
    for (; *text != '\0'; text++) {
        if (strchr(" \t\r\n", *text) == NULL) {
            expression[size++] = *text;
        }
    }
    size_t start = 0;
    while (start < size && strchr("\"'", expression[start]) != NULL) {
        start++;
    }
    while (size > start && strchr("\"'", expression[size - 1]) != NULL) {
        size--;
    }
    for (size_t i = start; i < size; i++) {
        expression[i] = expression[i] == ',' ? '|' : expression[i];
    }
    return (struct str){.data = expression + start, .size = size - start};
}

const struct tool_filter *tool_filter_new(struct tool *tool, const char *text) {
    char wrong[OTTLA_ERROR_TEXT_SIZE];
    struct tool_filter *filter = ARENA_NEW(&tool->arena, struct tool_filter);
    if (member_pattern_new(expression_of(&tool->arena, text), &filter->pattern, wrong,
                           sizeof wrong) != ERR_OK) {
        return NULL;
    }
    filter->next = tool->filters;
    tool->filters = filter;
    return filter;
}

bool tool_filter_matches(const struct tool_filter *filter, const char *name) {
    return member_pattern_matches(filter->pattern, str_from_c(name));
}

const char *tool_regex_mistake(struct tool *tool, const char *text) {
    char wrong[OTTLA_ERROR_TEXT_SIZE];
    struct member_pattern *pattern;
    if (member_pattern_new(str_from_c(text), &pattern, wrong, sizeof wrong) != ERR_OK) {
        return arena_c_str(&tool->arena, str_from_c(wrong));
    }
    member_pattern_free(pattern);
    return NULL;
}

void tool_filters_free(struct tool_filter *filters) {
    for (; filters != NULL; filters = filters->next) {
        member_pattern_free(filters->pattern);
    }
}
