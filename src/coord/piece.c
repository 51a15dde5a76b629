#include "coord/piece.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

struct piece {
    uint64_t refs;
    _Alignas(16) uint8_t memory[];
};

static struct piece *piece_of(void *memory) {
    return (struct piece *)((uint8_t *)memory - offsetof(struct piece, memory));
}

void *piece_new(size_t size) {
    struct piece *piece = malloc(sizeof *piece + size);
    assert(piece != NULL);
    piece->refs = 1;
    return piece->memory;
}

void *piece_ref(void *memory) {
    if (memory != NULL) {
        piece_of(memory)->refs++;
    }
    return memory;
}

void piece_unref(void *memory) {
    if (memory != NULL && --piece_of(memory)->refs == 0) {
        free(piece_of(memory));
    }
}
