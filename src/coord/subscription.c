#include "coord/subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/piece.h"

void subscription_init(struct subscription *subscription) {
    *subscription = (struct subscription){0};
}

static void regex_forget_topics(struct subscribed_regex *regex) {
    piece_unref(regex->topics);
    regex->topics = NULL;
    regex->topic_count = 0;
    regex->resolved = false;
}

void subscription_done(struct subscription *subscription) {
    size_t cursor;
    struct subscribed_topic *topic;
    map_for_each (&subscription->topics, cursor, topic) {
        free(topic);
    }
    struct subscribed_regex *regex;
    map_for_each (&subscription->regexes, cursor, regex) {
        regex_forget_topics(regex);
        free(regex);
    }
    map_done(&subscription->topics);
    map_done(&subscription->regexes);
}

/* --- topics --- */

static void count_topic(struct subscription *subscription, struct str name, int32_t by) {
    struct subscribed_topic *topic = map_get(&subscription->topics, str_bytes(name));
    if (topic == NULL) {
        assert(by > 0);
        topic = calloc(1, sizeof *topic + name.size);
        assert(topic != NULL);
        char *text = memcpy(topic + 1, name.data, name.size);
        topic->name = (struct str){.data = text, .size = name.size};
        map_put(&subscription->topics, str_bytes(topic->name), topic);
    }
    topic->count += by;
    assert(topic->count >= 0);
    if (topic->count == 0) {
        map_remove(&subscription->topics, str_bytes(topic->name));
        free(topic);
    }
}

void subscription_count_topics(struct subscription *subscription, const struct str *topics,
                               int32_t topic_count, int32_t by) {
    for (int32_t i = 0; i < topic_count; i++) {
        count_topic(subscription, topics[i], by);
    }
}

bool subscription_has_topic(const struct subscription *subscription, struct str topic) {
    return map_get(&subscription->topics, str_bytes(topic)) != NULL;
}

bool subscription_forget(struct subscription *subscription, struct str name) {
    struct subscribed_topic *topic = map_get(&subscription->topics, str_bytes(name));
    if (topic != NULL) {
        topic->fingerprinted = false;
    }
    return topic != NULL;
}

/* --- regular expressions --- */

static struct subscribed_regex *regex_get(struct subscription *subscription,
                                          struct str expression) {
    struct subscribed_regex *regex = map_get(&subscription->regexes, str_bytes(expression));
    if (regex == NULL) {
        regex = calloc(1, sizeof *regex + expression.size);
        assert(regex != NULL);
        char *text = memcpy(regex + 1, expression.data, expression.size);
        regex->expression = (struct str){.data = text, .size = expression.size};
        map_put(&subscription->regexes, str_bytes(regex->expression), regex);
    }
    return regex;
}

static void regex_drop_unused(struct subscription *subscription, struct subscribed_regex *regex) {
    if (regex->member_count == 0 && !regex->resolved) {
        map_remove(&subscription->regexes, str_bytes(regex->expression));
        free(regex);
    }
}

const struct subscribed_regex *subscription_regex(const struct subscription *subscription,
                                                  struct str expression) {
    return map_get(&subscription->regexes, str_bytes(expression));
}

void subscription_count_regex(struct subscription *subscription, struct str expression,
                              int32_t by) {
    struct subscribed_regex *regex = regex_get(subscription, expression);
    subscription->regex_member_kinds -= regex->member_count > 0;
    regex->member_count += by;
    assert(regex->member_count >= 0);
    subscription->regex_member_kinds += regex->member_count > 0;
    regex_drop_unused(subscription, regex);
}

static void unresolve(struct subscription *subscription, struct subscribed_regex *regex) {
    if (regex->resolved) {
        subscription_count_topics(subscription, regex->topics, regex->topic_count, -1);
        regex_forget_topics(regex);
        subscription->resolved_count--;
    }
}

static int compare_names(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, each once, in one piece of memory. */
static struct str *names_copy(const struct str *names, int32_t *count) {
    size_t text_size = 0;
    for (int32_t i = 0; i < *count; i++) {
        text_size += names[i].size;
    }
    struct str *copy = piece_new((size_t)*count * sizeof copy[0] + text_size);
    char *text = (char *)(copy + *count);
    for (int32_t i = 0; i < *count; i++) {
        memcpy(text, names[i].data, names[i].size);
        copy[i] = (struct str){.data = text, .size = names[i].size};
        text += names[i].size;
    }
    qsort(copy, (size_t)*count, sizeof copy[0], compare_names);
    int32_t kept = 0;
    for (int32_t i = 0; i < *count; i++) {
        if (kept == 0 || !str_equal(copy[kept - 1], copy[i])) {
            copy[kept++] = copy[i];
        }
    }
    *count = kept;
    return copy;
}

void subscription_resolve(struct subscription *subscription, struct str expression,
                          const struct str *topics, int32_t topic_count, int64_t version,
                          int64_t timestamp_ms) {
    struct subscribed_regex *regex = regex_get(subscription, expression);
    struct str *copy = names_copy(topics, &topic_count);
    unresolve(subscription, regex);
    regex->topics = copy;
    regex->topic_count = topic_count;
    regex->resolved = true;
    regex->version = version;
    regex->timestamp_ms = timestamp_ms;
    subscription->resolved_count++;
    subscription_count_topics(subscription, copy, topic_count, 1);
}

void subscription_unresolve(struct subscription *subscription, struct str expression) {
    struct subscribed_regex *regex = map_get(&subscription->regexes, str_bytes(expression));
    if (regex != NULL) {
        unresolve(subscription, regex);
        regex_drop_unused(subscription, regex);
    }
}
