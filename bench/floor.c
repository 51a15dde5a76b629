/*
 * The least that a broker can do, in the same run: what it costs this machine to take bytes from a
 * socket, check them and write them to a file; and to send a file to a socket. No protocol, one
 * connection, one thread.
 *
 *     floor receive FOLDER MIB FRAME     frames of FRAME bytes: receive, CRC-32C, write, answer
 *     floor send FOLDER MIB FRAME        sendfile of FRAME bytes for each question
 *     floor request FOLDER COUNT FRAME   as receive; COUNT frames
 *
 * The client is a child process, with at most IN_FLIGHT frames under way. Prints the server's CPU
 * as JSON.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"

enum { IN_FLIGHT = 5, ANSWER_SIZE = 60, MIB = 1 << 20 };

static void need(int well, const char *what) {
    if (!well) {
        perror(what);
        exit(1);
    }
}

static void receive_all(int fd, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(fd, (char *)data + done, size - done, 0);
        need(got > 0, "recv");
        done += (size_t)got;
    }
}

static void send_all(int fd, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        need(sent > 0, "send");
        done += (size_t)sent;
    }
}

static int no_delay(int fd) {
    int one = 1;
    need(fd >= 0, "socket");
    need(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "setsockopt");
    return fd;
}

/* --- the client --- */

static void client(int fd, size_t question, size_t answer, size_t count) {
    char *out = calloc(1, question);
    char *in = malloc(answer);
    for (size_t i = 0; i < question; i++) {
        out[i] = (char)(i * 2654435761u >> 13);
    }
    size_t sent = 0;
    for (size_t answered = 0; answered < count; answered++) {
        while (sent < count && sent < answered + IN_FLIGHT) {
            send_all(fd, out, question);
            sent++;
        }
        receive_all(fd, in, answer);
    }
    free(out);
    free(in);
}

/* --- the server --- */

static void take_frames(int fd, int file, size_t frame, size_t count) {
    char *data = malloc(frame);
    char answer[ANSWER_SIZE] = {0};
    off_t position = 0;
    for (size_t i = 0; i < count; i++) {
        receive_all(fd, data, frame);
        uint32_t crc = crc32c(0, data, frame);
        memcpy(answer, &crc, sizeof crc);
        need(pwrite(file, data, frame, position) == (ssize_t)frame, "pwrite");
        position += (off_t)frame;
        send_all(fd, answer, sizeof answer);
    }
    free(data);
}

static void give_frames(int fd, int file, size_t frame, size_t count) {
    char question[ANSWER_SIZE];
    off_t position = 0;
    for (size_t i = 0; i < count; i++) {
        receive_all(fd, question, sizeof question);
        for (size_t left = frame; left > 0;) {
            ssize_t sent = sendfile(fd, file, &position, left);
            need(sent > 0, "sendfile");
            left -= (size_t)sent;
        }
    }
}

static void fill_file(int file, size_t frame, size_t count) {
    char *data = calloc(1, frame);
    for (size_t i = 0; i < count; i++) {
        need(write(file, data, frame) == (ssize_t)frame, "write");
    }
    free(data);
}

/* --- both --- */

static double cpu_s(void) {
    struct rusage usage;
    need(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_s(void) {
    struct timespec now;
    need(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void serve(const char *folder, int sends, size_t frame, size_t count) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/floor.data", folder);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    need(file >= 0, path);
    if (sends) {
        fill_file(file, frame, count);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(listener >= 0, "socket");
    need(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    need(listen(listener, 1) == 0, "listen");
    need(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        int fd = no_delay(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        need(connect(fd, (struct sockaddr *)&address, size) == 0, "connect");
        client(fd, sends ? ANSWER_SIZE : frame, sends ? frame : ANSWER_SIZE, count);
        exit(0);
    }
    int fd = no_delay(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    double cpu = cpu_s();
    double started = now_s();
    (sends ? give_frames : take_frames)(fd, file, frame, count);
    int status = 0;
    need(waitpid(child, &status, 0) == child && status == 0, "the client");
    double seconds = now_s() - started;
    cpu = cpu_s() - cpu;
    need(unlink(path) == 0, path);
    double gib = (double)frame * (double)count / MIB / 1024;
    printf("{\"cpuSeconds\": %.6f, \"seconds\": %.6f, \"cpuSecondsPerGib\": %.6f, "
           "\"cpuMicrosecondsPerRequest\": %.6f}\n",
           cpu, seconds, cpu / gib, cpu / (double)count * 1e6);
}

int main(int argc, char **argv) {
    size_t amount = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    size_t frame = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (amount == 0 || frame < sizeof(uint32_t)) {
        fputs("floor receive|send FOLDER MIB FRAME, floor request FOLDER COUNT FRAME\n", stderr);
        return 2;
    }
    int by_count = strcmp(argv[1], "request") == 0;
    serve(argv[2], strcmp(argv[1], "send") == 0, frame, by_count ? amount : amount * MIB / frame);
    return 0;
}
