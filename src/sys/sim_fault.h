#pragma once

#include "sys/sim_int.h"

/*
 * One blocking call of an actor on a disk: what is injected into it, and how long it takes.
 *
 *   sim_call_begin     tells the world, draws faults and time
 *   sim_call_half      waits the first half; again: the second, and longer when it hangs
 *   sim_call_end       tells the world how it went
 *
 * Outside actors nothing is drawn and nothing waits.
 */
struct sim_call {
    struct sim_host *host;
    struct sim_actor *actor;  /* NULL outside */
    bool struck;              /* by a fault that changes the outcome, */
    enum sim_fault_kind kind; /* of this kind, */
    err_t err;                /* with this error, or ERR_OK */
    int hung_by;              /* the fault that it waits for first, or 0 */
    int64_t time_ns;
};

/* class: one of SIM_CALL_. `cached`: a read that does not wait for the disk. */
void sim_call_begin(struct sim_call *call, struct sim_host *host, unsigned class, const char *what,
                    const char *path, uint64_t a, uint64_t b, bool cached);
void sim_call_half(struct sim_call *call);
err_t sim_call_end(struct sim_call *call, err_t err);

void sim_faults_init(struct sim_host *host);
void sim_faults_done(struct sim_host *host);
