#include "server/handlers/loggers.h"

#include <assert.h>

#include "server/node_int.h"

/* In node->logger_levels: 0, none of its own; else one of these, plus one. The first is root's. */
static const struct {
    const char *name;
    enum text_log_level level;
} levels[] = {
    {"FATAL", TEXT_LOG_ERROR}, {"ERROR", TEXT_LOG_ERROR}, {"WARN", TEXT_LOG_WARN},
    {"INFO", TEXT_LOG_INFO},   {"DEBUG", TEXT_LOG_DEBUG}, {"TRACE", TEXT_LOG_DEBUG},
};
enum { LEVEL_COUNT = sizeof levels / sizeof levels[0] };

struct str logger_name(int index) {
    return index == 0 ? STR("root") : str_from_c(text_log_component(index - 1));
}

int logger_find(struct str name) {
    for (int i = 0; logger_name(i).data != NULL; i++) {
        if (str_equal(logger_name(i), name)) {
            return i;
        }
    }
    return LOGGER_NONE;
}

static int level_find(struct str name) {
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (str_equal(str_from_c(levels[i].name), name)) {
            return i;
        }
    }
    return -1;
}

bool logger_level_valid(struct str level) {
    return level_find(level) >= 0;
}

struct str logger_level(struct node *node, int index) {
    int own = atomic_load(&node->logger_levels[index]);
    if (own == 0) {
        own = atomic_load(&node->logger_levels[0]);
    }
    if (own != 0) {
        return str_from_c(levels[own - 1].name);
    }
    static const char *const names[] = {
        [TEXT_LOG_ERROR] = "ERROR",
        [TEXT_LOG_WARN] = "WARN",
        [TEXT_LOG_INFO] = "INFO",
        [TEXT_LOG_DEBUG] = "DEBUG",
    };
    return str_from_c(names[node->text_log == NULL ? TEXT_LOG_INFO : node->text_log->level]);
}

void logger_level_set(struct node *node, int index, struct str level) {
    int found = level_find(level);
    assert(found >= 0);
    atomic_store(&node->logger_levels[index], (int8_t)(found + 1));
    if (node->text_log != NULL) {
        text_log_level_set(node->text_log, index - 1, levels[found].level);
    }
}

void logger_level_clear(struct node *node, int index) {
    assert(index > 0);
    atomic_store(&node->logger_levels[index], 0);
    if (node->text_log != NULL) {
        text_log_level_clear(node->text_log, index - 1);
    }
}
