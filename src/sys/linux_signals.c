/* Signals on Linux: blocked everywhere, and read from a descriptor that a loop watches. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sys/linux.h"
#include "sys/linux_int.h"

struct linux_signals {
    struct linux_socket *watched;
    void (*fire)(void *arg, int signal);
    void *arg;
};

static void on_readable(void *arg, int events) {
    struct linux_signals *signals = arg;
    struct signalfd_siginfo info;
    (void)events;
    while (read(signals->watched->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        signals->fire(signals->arg, (int)info.ssi_signo);
    }
}

err_t sys_linux_on_signals(struct sys *sys, struct sys_loop *loop,
                           void (*fire)(void *arg, int signal), void *arg) {
    struct linux_sys *linux_sys = (struct linux_sys *)sys;
    if (linux_sys->signals != NULL) {
        return ERR_IN_USE;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return linux_err(errno);
    }
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct linux_signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL) {
        abort();
    }
    *signals = (struct linux_signals){linux_socket_from_fd(fd), fire, arg};
    signals->watched->internal = true;
    linux_sys->signals = signals;
    sys_socket_attach(&signals->watched->socket, loop, on_readable, signals);
    sys_socket_want(&signals->watched->socket, SYS_SOCKET_READABLE);
    return ERR_OK;
}

/* The loop is gone already, and with it the registration. */
void linux_signals_free(struct linux_signals *signals) {
    if (signals != NULL) {
        (void)close(signals->watched->fd);
        free(signals->watched);
        free(signals);
    }
}
