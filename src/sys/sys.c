#include "sys/sys.h"

#include "sys/sys_int.h"

int64_t sys_wall_ms(struct sys *sys) {
    return sys->ops->wall_ms(sys);
}

int64_t sys_mono_ms(struct sys *sys) {
    return sys->ops->mono_ns(sys) / 1000000;
}

int64_t sys_mono_ns(struct sys *sys) {
    return sys->ops->mono_ns(sys);
}

void sys_random(struct sys *sys, void *data, size_t size) {
    sys->ops->random(sys, data, size);
}

void sys_usage_read(struct sys *sys, struct sys_usage *ret_usage) {
    sys->ops->usage_read(sys, ret_usage);
}

uint64_t sys_raise_file_limit(struct sys *sys) {
    return sys->ops->raise_file_limit(sys);
}

void sys_host_name(struct sys *sys, char *name, size_t size) {
    sys->ops->host_name(sys, name, size);
}

int sys_processor_count(struct sys *sys) {
    return sys->ops->processor_count(sys);
}
