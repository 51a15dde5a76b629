/* The node as a process of its own: its settings, its life, and what the sanitizer said. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

/* Ports that are free now; all are held until the last is found. */
static bool find_ports(uint16_t *ports, int count) {
    int sockets[8];
    bool fine = true;
    for (int i = 0; i < count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fine = fine && bind(sockets[i], (struct sockaddr *)&address, size) == 0 &&
               getsockname(sockets[i], (struct sockaddr *)&address, &size) == 0;
        ports[i] = ntohs(address.sin_port);
    }
    for (int i = 0; i < count; i++) {
        close(sockets[i]);
    }
    return fine;
}

static bool write_settings(const struct node_process *node) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/server.properties", node->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    fprintf(file,
            "process.roles=broker,controller\n"
            "node.id=1\n"
            "listeners=PLAINTEXT://127.0.0.1:%u,CONTROLLER://127.0.0.1:%u\n"
            "controller.listener.names=CONTROLLER\n"
            "controller.quorum.bootstrap.servers=127.0.0.1:%u\n"
            "log.dirs=%s/data-a,%s/data-b,%s/data-c\n"
            "ottla.http.listener=127.0.0.1:%u\n"
            "ottla.auto.format=true\n"
            "ottla.reactors=4\n"
            "log.initial.task.delay.ms=0\n"
            "log.retention.check.interval.ms=500\n"
            "log.segment.delete.delay.ms=20\n"
            "metadata.log.max.record.bytes.between.snapshots=20000\n"
            "metadata.log.segment.ms=5000\n"
            "max.incremental.fetch.session.cache.slots=4\n"
            "delete.topic.enable=true\n",
            node->port, node->controller_port, node->controller_port, node->folder, node->folder,
            node->folder, node->http_port);
    return fclose(file) == 0;
}

bool node_process_prepare(struct node_process *node, const char *ottla, const char *folder) {
    uint16_t ports[3];
    *node = (struct node_process){.ottla = ottla, .pid = -1};
    (void)snprintf(node->folder, sizeof node->folder, "%s", folder);
    if (!find_ports(ports, 3)) {
        return false;
    }
    node->port = ports[0];
    node->controller_port = ports[1];
    node->http_port = ports[2];
    return write_settings(node);
}

/* In the child. */
static void run_node(const struct node_process *node) {
    char path[300];
    char options[400];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(path, sizeof path, "%s/server.log", node->folder);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    (void)snprintf(options, sizeof options, "log_path=%s/tsan second_deadlock_stack=1 exitcode=66",
                   node->folder);
    setenv("TSAN_OPTIONS", options, 1);
    (void)snprintf(path, sizeof path, "%s/server.properties", node->folder);
    execl(node->ottla, node->ottla, "server", path, (char *)NULL);
    _exit(127);
}

bool node_process_start(struct node_process *node) {
    node->pid = fork();
    if (node->pid == 0) {
        run_node(node);
    }
    return node->pid > 0;
}

bool node_process_runs(const struct node_process *node) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)node->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

bool node_process_end(struct node_process *node, int signal) {
    int status = 0;
    kill(node->pid, signal);
    while (waitpid(node->pid, &status, 0) < 0 && errno == EINTR) {
    }
    node->pid = -1;
    if (signal == SIGKILL && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    fprintf(stderr, "the node ended with status %#x after signal %d; see %s/server.log\n",
            (unsigned)status, signal, node->folder);
    return false;
}

static void print_file(const char *path) {
    char text[4096];
    FILE *file = fopen(path, "r");
    size_t size;
    while (file != NULL && (size = fread(text, 1, sizeof text, file)) > 0) {
        fwrite(text, 1, size, stdout);
    }
    if (file != NULL) {
        fclose(file);
    }
}

int node_process_reports(const struct node_process *node) {
    int count = 0;
    DIR *folder = opendir(node->folder);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, "tsan.", 5) == 0) {
            char path[500];
            (void)snprintf(path, sizeof path, "%s/%s", node->folder, entry->d_name);
            print_file(path);
            count++;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}
