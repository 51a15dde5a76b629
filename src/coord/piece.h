#pragma once

#include <stddef.h>

/*
 * A piece of memory that several hold, such as a value of a group's state that a job still looks
 * at. References come and go on one thread; whoever has one may read it on another.
 */
void *piece_new(size_t size);   /* one reference; its content is for the caller to fill in */
void *piece_ref(void *memory);  /* accepts NULL */
void piece_unref(void *memory); /* likewise */
