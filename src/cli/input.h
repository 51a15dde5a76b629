#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "ottla/types.h"

/*
 * An input that is cut into pieces at a delimiter. While it waits for more bytes the client's loop
 * turns: what was handed over goes out and is answered though somebody types slowly.
 */
struct input {
    struct ottla_client *client;
    int fd;
    struct buffer bytes;
    size_t taken;    /* of them, by pieces that were given */
    size_t searched; /* up to here there is no delimiter */
    bool ended;
    const bool *stopped; /* no more pieces, as at the end, when this becomes true; NULL: never */
};

void input_init(struct input *input, struct ottla_client *client, int fd);
void input_done(struct input *input);

/* The next piece, good until the next call, without its delimiter; one of size 0 takes all there
 * is. The last piece may lack it. NOT_FOUND at the end; LIMIT: longer than size_max; IO. */
err_t input_next(struct input *input, struct ottla_bytes delimiter, size_t size_max,
                 struct ottla_bytes *ret_piece);
