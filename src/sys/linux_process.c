/* What the kernel says of another process on this machine. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "sys/linux.h"
#include "sys/linux_int.h"

/* "VmRSS:     1234 kB" in /proc/PID/status. A process that is ending has no such lines: 0. */
static err_t read_memory(int64_t pid, struct sys_process *process) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return linux_err(errno);
    }
    char line[256];
    unsigned long long kib;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %llu kB", &kib) == 1) {
            process->resident_bytes = (uint64_t)kib * 1024;
        } else if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) {
            process->resident_max_bytes = (uint64_t)kib * 1024;
        }
    }
    (void)fclose(file);
    return ERR_OK;
}

err_t sys_linux_process_read(int64_t pid, struct sys_process *ret_process) {
    clockid_t clock;
    struct timespec cpu;
    int result = clock_getcpuclockid((pid_t)pid, &clock);
    if (result != 0 || clock_gettime(clock, &cpu) != 0) {
        return ERR_NOT_FOUND;
    }
    struct sys_process process = {.cpu_ns =
                                      (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec};
    err_t err = read_memory(pid, &process);
    if (err == ERR_OK) {
        *ret_process = process;
    }
    return err;
}
