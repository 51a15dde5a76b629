#include "points.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct point {
    char *name;
    uint64_t count;
};

struct points {
    struct point *points;
    size_t count;
};

struct points *points_new(void) {
    struct points *points = calloc(1, sizeof *points);
    assert(points != NULL);
    return points;
}

void points_free(struct points *points) {
    for (size_t i = 0; i < points->count; i++) {
        free(points->points[i].name);
    }
    free(points->points);
    free(points);
}

static struct point *find(const struct points *points, const char *name) {
    for (size_t i = 0; i < points->count; i++) {
        if (strcmp(points->points[i].name, name) == 0) {
            return &points->points[i];
        }
    }
    return NULL;
}

void points_add(struct points *points, const char *name, uint64_t count) {
    struct point *point = find(points, name);
    if (point == NULL) {
        points->points = realloc(points->points, (points->count + 1) * sizeof *points->points);
        assert(points->points != NULL);
        point = &points->points[points->count++];
        *point = (struct point){.name = strdup(name)};
    }
    point->count += count;
}

uint64_t points_count(const struct points *points, const char *name) {
    const struct point *point = find(points, name);
    return point == NULL ? 0 : point->count;
}

void points_each(const struct points *points,
                 void (*visit)(void *arg, const char *name, uint64_t count), void *arg) {
    for (size_t i = 0; i < points->count; i++) {
        visit(arg, points->points[i].name, points->points[i].count);
    }
}
