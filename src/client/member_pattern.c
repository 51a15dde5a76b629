#include "client/member_pattern.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"

struct member_pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

err_t member_pattern_new(struct str expression, struct member_pattern **ret_pattern, char *ret_text,
                         size_t text_size) {
    int error;
    PCRE2_SIZE at;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)expression.data, expression.size,
                      PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error, &at, NULL);
    if (code == NULL) {
        PCRE2_UCHAR reason[128];
        (void)pcre2_get_error_message(error, reason, sizeof reason);
        snprintf(ret_text, text_size,
                 "the pattern '%.*s' is no regular expression: %s, at character %zu",
                 STR_ARGS(expression), (const char *)reason, at);
        return ERR_INVALID;
    }
    struct member_pattern *pattern = calloc(1, sizeof *pattern);
    assert(pattern != NULL);
    pattern->code = code;
    pattern->data = pcre2_match_data_create(1, NULL);
    pattern->context = pcre2_match_context_create(NULL);
    assert(pattern->data != NULL);
    assert(pattern->context != NULL);
    pcre2_set_match_limit(pattern->context, REGEX_STEPS_MAX);
    pcre2_set_heap_limit(pattern->context, REGEX_MATCH_MEMORY_KB_MAX);
    *ret_pattern = pattern;
    return ERR_OK;
}

void member_pattern_free(struct member_pattern *pattern) {
    if (pattern == NULL) {
        return;
    }
    pcre2_code_free(pattern->code);
    pcre2_match_data_free(pattern->data);
    pcre2_match_context_free(pattern->context);
    free(pattern);
}

bool member_pattern_matches(const struct member_pattern *pattern, struct str name) {
    return pcre2_match(pattern->code, (PCRE2_SPTR)name.data, name.size, 0, 0, pattern->data,
                       pattern->context) >= 0;
}
