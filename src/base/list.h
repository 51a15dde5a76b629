#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A doubly linked list whose links live in its members. The head is a link too. A member that is
 * in no list has next NULL (zero-initialised), so list_linked tells.
 */
struct list {
    struct list *next;
    struct list *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define list_for_each(link, head)                                                                  \
    for ((link) = (head)->next; (link) != (head); (link) = (link)->next)

/* The member may be removed in the body. */
#define list_for_each_safe(link, after, head)                                                      \
    for ((link) = (head)->next, (after) = (link)->next; (link) != (head);                          \
         (link) = (after), (after) = (link)->next)

static inline void list_init(struct list *head) {
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline bool list_linked(const struct list *link) {
    return link->next != NULL;
}

static inline void list_insert_before(struct list *link, struct list *at) {
    assert(!list_linked(link));
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}

static inline void list_add_last(struct list *head, struct list *link) {
    list_insert_before(link, head);
}

static inline void list_add_first(struct list *head, struct list *link) {
    list_insert_before(link, head->next);
}

/* Nothing happens to a member that is in no list. */
static inline void list_remove(struct list *link) {
    if (list_linked(link)) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->next = NULL;
        link->prev = NULL;
    }
}

/* NULL when empty. */
static inline struct list *list_first(const struct list *head) {
    return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_take_first(struct list *head) {
    struct list *link = list_first(head);
    if (link != NULL) {
        list_remove(link);
    }
    return link;
}

/* Moves all members of `from` to the end of `to`. */
static inline void list_splice_last(struct list *to, struct list *from) {
    if (!list_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
    }
}
