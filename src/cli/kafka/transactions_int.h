#pragma once

#include "cli/kafka/tool.h"

/* Private to the files of kafka-transactions. */

int transactions_find_hanging(struct tool *tool, struct ottla_client *client);
int transactions_abort(struct tool *tool, struct ottla_client *client);

/* "What failed: why. Enable …", as the tool ends on errors of the cluster. */
int transactions_fail(const struct tool *tool, const struct ottla_error *error, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/* A table: cells padded to the widest of their column, each with a tab behind it. rows are `count`
 * arrays of `columns` texts. */
void transactions_print(const char *const *titles, size_t columns, const char *const *rows,
                        size_t count);

/* A number as a cell; `text` NULL: the number, else that in place of a negative one. */
const char *transactions_number(struct tool *tool, int64_t number, const char *negative);
