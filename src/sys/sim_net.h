#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sys/sim.h"

/*
 * The network between simulated hosts: TCP as programs see it. Bytes arrive in order, cut into
 * pieces anywhere, after a delay that the seed draws for each piece. Buffers are bounded, so that
 * a writer whose peer does not read is told WOULD_BLOCK.
 *
 *   closed by the peer       CLOSED after all that was sent; a reset when it left bytes unread
 *   process crash            as if the process had closed all its sockets
 *   power cut                nothing arrives any more: half-open, until this side gives up sending
 *                            again (SIM_RESEND_MS_MAX), or the host is up and answers with a reset
 *   cut link                 bytes wait and arrive after it heals, or the sender gives up as above;
 *                            connecting takes until it heals, or TIMED_OUT (SIM_CONNECT_MS_MAX);
 *                            the network's own acknowledgements cross a cut of one way
 */
enum {
    SIM_RESEND_MS_MAX = 30000,
    SIM_CONNECT_MS_MAX = 10000,
    SIM_SEND_BYTES_DEFAULT = 128 * 1024,
    SIM_RECEIVE_BYTES_DEFAULT = 128 * 1024,
};

struct sim_link {
    int64_t delay_min_us; /* of each piece, one way */
    int64_t delay_max_us;
    uint64_t reset_one_in; /* one piece in so many resets its connection; 0: none */
};

/* Of connections between two hosts (either may be the same); both NULL: of all others. */
void sim_net_set_link(struct sim_world *world, struct sim_host *a, struct sim_host *b,
                      const struct sim_link *link);

/* Nothing gets from one host to the other; the other way still works. */
void sim_net_cut(struct sim_host *from, struct sim_host *to);
void sim_net_heal(struct sim_host *from, struct sim_host *to);
void sim_net_heal_all(struct sim_world *world);

/* Both ways between this host and all others. */
void sim_net_isolate(struct sim_host *host);

/* Resets every connection of the host; or makes them half-open both ways: neither side is told,
 * nothing arrives any more. */
void sim_net_reset_connections(struct sim_host *host);
void sim_net_lose_connections(struct sim_host *host);

/* Connections that are open on either side; for tests. */
uint64_t sim_net_connection_count(const struct sim_world *world);
