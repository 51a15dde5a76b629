#pragma once

#include <stdbool.h>

#include "cli/kafka/tool.h"

/* Names of topics by a regular expression that matches them as a whole, in which a comma is an
 * "or"; blanks, and quotes around it, do not count. */
struct tool_filter;

/* NULL when the text is no expression. It lives as long as the tool. */
const struct tool_filter *tool_filter_new(struct tool *tool, const char *text);
bool tool_filter_matches(const struct tool_filter *filter, const char *name);

/* What is wrong with an expression; NULL: nothing. */
const char *tool_regex_mistake(struct tool *tool, const char *text);
