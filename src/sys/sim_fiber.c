/*
 * The first entry goes through makecontext, which sets up the stack; all later switches use
 * _setjmp and _longjmp, which need no system call. The sanitizers are told of each switch, or they
 * would take the other stack for a wild pointer.
 */
#undef _FORTIFY_SOURCE /* its longjmp takes a jump to another stack for an attack */

#include "sys/sim_fiber.h"

#include <assert.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

/* As much as a real thread of ours would use with room to spare; pages come when touched. */
enum { STACK_SIZE = 1024 * 1024, GUARD_SIZE = 64 * 1024 };

struct sim_fiber {
    void (*run)(void *arg);
    void *arg;
    uint8_t *stack; /* the guard, then the stack */
    jmp_buf inside; /* where it goes on */
    jmp_buf outside;
    ucontext_t first;
    ucontext_t caller;
    bool begun;
    bool entered;
#ifdef SIM_ASAN
    void *outside_fake;
    void *inside_fake;
    const void *outside_stack;
    size_t outside_size;
#endif
#ifdef __SANITIZE_THREAD__
    void *tsan;
    void *outside_tsan;
#endif
};

static void switching_in(struct sim_fiber *fiber) {
    (void)fiber;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&fiber->outside_fake, fiber->stack + GUARD_SIZE, STACK_SIZE);
#endif
#ifdef __SANITIZE_THREAD__
    fiber->outside_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tsan, 0);
#endif
}

static void switched_in(struct sim_fiber *fiber) {
    (void)fiber;
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(fiber->inside_fake, &fiber->outside_stack,
                                    &fiber->outside_size);
#endif
}

static void switching_out(struct sim_fiber *fiber) {
    (void)fiber;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&fiber->inside_fake, fiber->outside_stack, fiber->outside_size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(fiber->outside_tsan, 0);
#endif
}

static void switched_out(struct sim_fiber *fiber) {
    (void)fiber;
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(fiber->outside_fake, NULL, NULL);
#endif
}

/* makecontext passes ints only: a pointer goes in two halves. */
static void begin(unsigned high, unsigned low) {
    struct sim_fiber *fiber =
        (struct sim_fiber *)(((uintptr_t)high << 16 << 16) | (uintptr_t)low); /* NOLINT */
    switched_in(fiber);
    for (;;) {
        fiber->run(fiber->arg);
        sim_fiber_leave(fiber);
    }
}

struct sim_fiber *sim_fiber_new(void (*run)(void *arg), void *arg) {
    struct sim_fiber *fiber = calloc(1, sizeof *fiber);
    assert(fiber != NULL);
    fiber->run = run;
    fiber->arg = arg;
    fiber->stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(fiber->stack != MAP_FAILED);
    int failed = mprotect(fiber->stack, GUARD_SIZE, PROT_NONE);
    assert(failed == 0);
    (void)failed;
#ifdef __SANITIZE_THREAD__
    fiber->tsan = __tsan_create_fiber(0);
#endif
    return fiber;
}

void sim_fiber_free(struct sim_fiber *fiber) {
    if (fiber == NULL) {
        return;
    }
    assert(!fiber->entered);
#ifdef SIM_ASAN
    __asan_unpoison_memory_region(fiber->stack + GUARD_SIZE, STACK_SIZE);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(fiber->tsan);
#endif
    munmap(fiber->stack, GUARD_SIZE + STACK_SIZE);
    free(fiber);
}

void sim_fiber_enter(struct sim_fiber *fiber) {
    assert(!fiber->entered);
    fiber->entered = true;
    if (_setjmp(fiber->outside) == 0) {
        if (!fiber->begun) {
            fiber->begun = true;
            getcontext(&fiber->first);
            fiber->first.uc_stack.ss_sp = fiber->stack + GUARD_SIZE;
            fiber->first.uc_stack.ss_size = STACK_SIZE;
            fiber->first.uc_link = NULL;
            uintptr_t address = (uintptr_t)fiber;
            makecontext(&fiber->first, (void (*)(void))begin, 2, (unsigned)(address >> 16 >> 16),
                        (unsigned)address);
            switching_in(fiber);
            swapcontext(&fiber->caller, &fiber->first);
        } else {
            switching_in(fiber);
            _longjmp(fiber->inside, 1);
        }
    }
    switched_out(fiber);
    fiber->entered = false;
}

void sim_fiber_leave(struct sim_fiber *fiber) {
    assert(fiber->entered);
    if (_setjmp(fiber->inside) == 0) {
        switching_out(fiber);
        _longjmp(fiber->outside, 1);
    }
    switched_in(fiber);
}
