#include "cli/input.h"

#include <string.h>

#include "client/core.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { READ_SIZE = 256 * 1024 };

void input_init(struct input *input, struct ottla_client *client, int fd) {
    *input = (struct input){.client = client, .fd = fd};
    buffer_init(&input->bytes);
}

void input_done(struct input *input) {
    buffer_done(&input->bytes);
}

/* --- waiting --- */

static bool is_stopped(const struct input *input) {
    return input->stopped != NULL && *input->stopped;
}

static void wait_for_bytes(const struct input *input) {
    bool readable = false;
    while (!readable && !is_stopped(input)) {
        bool busy;
        int64_t timeout_ms = -1;
        int64_t deadline_ms = ottla_client_deadline_ms(input->client);
        if (deadline_ms != INT64_MAX) {
            int64_t now_ms = sys_mono_ms(client_sys(input->client));
            timeout_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        }
        sys_linux_wait(input->fd, ottla_client_fd(input->client), timeout_ms, &readable, &busy);
        ottla_client_run(input->client, 0);
    }
}

static err_t read_more(struct input *input) {
    size_t got = 0;
    size_t left = input->bytes.size - input->taken;
    if (input->taken > 0) {
        memmove(input->bytes.data, input->bytes.data + input->taken, left);
        input->searched -= input->taken;
        input->bytes.size = left;
        input->taken = 0;
    }
    wait_for_bytes(input);
    if (is_stopped(input)) {
        return ERR_NOT_FOUND;
    }
    err_t err =
        sys_linux_read(input->fd, buffer_reserve(&input->bytes, READ_SIZE), READ_SIZE, &got);
    input->bytes.size += got;
    input->ended = err == ERR_OK && got == 0;
    return err;
}

/* --- cutting --- */

static struct ottla_bytes take(struct input *input, size_t end, size_t delimiter_size) {
    struct ottla_bytes piece = {input->bytes.data + input->taken, end - input->taken};
    input->taken = end + delimiter_size;
    input->searched = input->taken;
    return piece;
}

static bool find(struct input *input, struct ottla_bytes delimiter, size_t *ret_end) {
    const uint8_t *data = input->bytes.data;
    size_t size = input->bytes.size;
    const uint8_t *found = delimiter.size == 0 || data == NULL
                               ? NULL
                               : memmem(data + input->searched, size - input->searched,
                                        delimiter.data, delimiter.size);
    if (found != NULL) {
        *ret_end = (size_t)(found - data);
        return true;
    }
    /* the delimiter may have begun with the last bytes */
    size_t begun = delimiter.size > 0 ? delimiter.size - 1 : 0;
    if (size >= input->taken + begun && size - begun > input->searched) {
        input->searched = size - begun;
    }
    return false;
}

err_t input_next(struct input *input, struct ottla_bytes delimiter, size_t size_max,
                 struct ottla_bytes *ret_piece) {
    size_t end;
    if (is_stopped(input)) {
        return ERR_NOT_FOUND;
    }
    while (!find(input, delimiter, &end)) {
        if (input->bytes.size - input->taken > size_max) {
            return ERR_LIMIT;
        }
        if (input->ended) {
            if (input->bytes.size == input->taken) {
                return ERR_NOT_FOUND;
            }
            *ret_piece = take(input, input->bytes.size, 0);
            return ERR_OK;
        }
        err_t err = read_more(input);
        if (err != ERR_OK) {
            return err;
        }
    }
    *ret_piece = take(input, end, delimiter.size);
    return ERR_OK;
}
