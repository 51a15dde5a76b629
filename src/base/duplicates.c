#include "base/duplicates.h"

#include "base/map.h"

void duplicates_find(struct arena *arena, const struct bytes *keys, int32_t count,
                     struct duplicates *ret) {
    ret->twice = ARENA_ARRAY(arena, bool, (size_t)count);
    ret->again = ARENA_ARRAY(arena, bool, (size_t)count);
    struct map places;
    map_init(&places);
    for (int32_t i = 0; i < count; i++) {
        const struct bytes *before = map_put(&places, keys[i], (void *)&keys[i]);
        if (before != NULL) {
            ret->twice[before - keys] = true;
            ret->twice[i] = true;
            ret->again[i] = true;
        }
    }
    map_done(&places);
}
