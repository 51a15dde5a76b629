/* Names on Linux: addresses of hosts, and the process behind a port. */
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/linux_int.h"

/* --- addresses --- */

static bool has_ipv6(void) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool can_bind = bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;
    (void)close(fd);
    return can_bind;
}

static err_t every_local_address(uint16_t port, struct sys_address *addresses, size_t address_max,
                                 size_t *ret_count) {
    size_t count = 0;
    if (count < address_max) {
        addresses[count++] = (struct sys_address){.port = port};
    }
    if (count < address_max && has_ipv6()) {
        addresses[count++] = (struct sys_address){.ipv6 = true, .port = port};
    }
    *ret_count = count;
    return ERR_OK;
}

static err_t resolve_err(int number) {
    switch (number) {
    case EAI_AGAIN:
        return ERR_TIMED_OUT;
    case EAI_MEMORY:
        return ERR_NO_MEMORY;
    case EAI_SYSTEM:
        return linux_err(errno);
    default:
        return ERR_NOT_FOUND;
    }
}

static bool to_address(const struct addrinfo *info, uint16_t port, struct sys_address *address) {
    *address = (struct sys_address){.port = port};
    if (info->ai_family == AF_INET) {
        memcpy(address->ip, &((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr,
               4);
        return true;
    }
    if (info->ai_family == AF_INET6) {
        address->ipv6 = true;
        memcpy(address->ip, &((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr,
               16);
        return true;
    }
    return false;
}

err_t linux_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                    size_t address_max, size_t *ret_count) {
    (void)sys;
    if (host[0] == '\0') {
        return every_local_address(port, addresses, address_max, ret_count);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *infos;
    int result = getaddrinfo(host, NULL, &hints, &infos);
    if (result != 0) {
        return resolve_err(result);
    }
    size_t count = 0;
    for (const struct addrinfo *info = infos; info != NULL && count < address_max;
         info = info->ai_next) {
        count += to_address(info, port, &addresses[count]);
    }
    freeaddrinfo(infos);
    if (count == 0) {
        return ERR_NOT_FOUND;
    }
    *ret_count = count;
    return ERR_OK;
}

/* --- who listens --- */

/* Looks through /proc/net/tcp or tcp6 for a listener's inode. */
static bool find_listener(const char *table, uint16_t port, unsigned long *ret_inode) {
    enum { STATE_LISTEN = 0x0a };
    char line[512];
    bool found = false;
    FILE *file = fopen(table, "re");
    if (file == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned local_port;
        unsigned state;
        unsigned long inode;
        found = sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
                       &local_port, &state, &inode) == 3 &&
                local_port == port && state == STATE_LISTEN;
        if (found) {
            *ret_inode = inode;
        }
    }
    (void)fclose(file);
    return found;
}

static bool process_holds(const char *pid, const char *link_wanted) {
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false; /* another user's, or gone */
    }
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        char link[64];
        ssize_t size = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (size > 0) {
            link[size] = '\0';
            found = strcmp(link, link_wanted) == 0;
        }
    }
    (void)closedir(dir);
    return found;
}

static void describe_process(const char *pid, char *text, size_t size) {
    char path[300];
    char name[64] = "?";
    (void)snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL) {
            name[strcspn(name, "\n")] = '\0';
        }
        (void)fclose(file);
    }
    (void)snprintf(text, size, "pid %s (%s)", pid, name);
}

err_t linux_port_holder(struct sys *sys, uint16_t port, char *text, size_t size) {
    (void)sys;
    unsigned long inode;
    if (!find_listener("/proc/net/tcp", port, &inode) &&
        !find_listener("/proc/net/tcp6", port, &inode)) {
        return ERR_NOT_FOUND;
    }
    char link[64];
    (void)snprintf(link, sizeof link, "socket:[%lu]", inode);
    DIR *dir = opendir("/proc");
    if (dir == NULL) {
        return ERR_NOT_FOUND;
    }
    err_t err = ERR_NOT_FOUND;
    const struct dirent *entry;
    while (err != ERR_OK && (entry = readdir(dir)) != NULL) {
        bool is_process = entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
        if (is_process && process_holds(entry->d_name, link)) {
            describe_process(entry->d_name, text, size);
            err = ERR_OK;
        }
    }
    (void)closedir(dir);
    return err;
}
