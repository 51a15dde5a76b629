#include "coord/regex.h"

#include <assert.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"
#include "coord/regex_int.h"

struct regex {
    pcre2_code *code;
    pcre2_match_data *match_data;
    pcre2_match_context *match_context;
};

err_t regex_check(struct str expression, const char **ret_reason) {
    struct buffer translated;
    buffer_init(&translated);
    err_t err = regex_translate(expression, &translated, ret_reason);
    buffer_done(&translated);
    return err;
}

static pcre2_code *compile(const struct buffer *translated) {
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    assert(context != NULL);
    /* Groups of the expression, and those that the translation puts around them. */
    (void)pcre2_set_parens_nest_limit(context, 3 * REGEX_DEPTH_MAX);
    int error;
    PCRE2_SIZE error_position;
    pcre2_code *code = pcre2_compile(translated->data, translated->size,
                                     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_CAPTURE,
                                     &error, &error_position, context);
    pcre2_compile_context_free(context);
    return code;
}

err_t regex_new(struct str expression, struct regex **ret_regex, const char **ret_reason) {
    struct buffer translated;
    buffer_init(&translated);
    buffer_add_str(&translated, STR("(?:"));
    err_t err = regex_translate(expression, &translated, ret_reason);
    buffer_add_str(&translated, STR(")"));
    pcre2_code *code = err == ERR_OK ? compile(&translated) : NULL;
    buffer_done(&translated);
    if (err != ERR_OK) {
        return err;
    }
    if (code == NULL) {
        *ret_reason = "expression too large"; /* the translation reckons so that it cannot be */
        return ERR_INVALID_REGULAR_EXPRESSION;
    }
    struct regex *regex = calloc(1, sizeof *regex);
    assert(regex != NULL);
    regex->code = code;
    regex->match_data = pcre2_match_data_create(1, NULL);
    regex->match_context = pcre2_match_context_create(NULL);
    assert(regex->match_data != NULL);
    assert(regex->match_context != NULL);
    (void)pcre2_set_match_limit(regex->match_context, REGEX_STEPS_MAX);
    (void)pcre2_set_heap_limit(regex->match_context, REGEX_MATCH_MEMORY_KB_MAX);
    *ret_regex = regex;
    return ERR_OK;
}

void regex_free(struct regex *regex) {
    if (regex != NULL) {
        pcre2_match_context_free(regex->match_context);
        pcre2_match_data_free(regex->match_data);
        pcre2_code_free(regex->code);
        free(regex);
    }
}

err_t regex_match(struct regex *regex, struct str topic_name, bool *ret_matches) {
    int result = pcre2_match(regex->code, (PCRE2_SPTR)topic_name.data, topic_name.size, 0, 0,
                             regex->match_data, regex->match_context);
    if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
        return ERR_LIMIT;
    }
    *ret_matches = result >= 0;
    return ERR_OK;
}
