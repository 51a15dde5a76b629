/* stress --ottla PATH [--seconds N] [--seed N] [--folder DIR]: see README.md. */
#include "stress.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PRODUCERS = 6, READERS = 6, ADMINS = 2, VANDALS = 3 };
enum { THREADS = PRODUCERS + READERS + ADMINS + VANDALS };
enum { LIFE_MS_MIN = 5000, LIFE_MS_MAX = 12000 };

static void *(*const runs[THREADS])(void *arg) = {
    producer_run, producer_run, producer_run, producer_run, producer_run, producer_run,
    reader_run,   reader_run,   reader_run,   reader_run,   reader_run,   reader_run,
    admin_run,    admin_run,    vandal_run,   vandal_run,   vandal_run,
};

/* --- what is shared --- */

struct topic topic_get(struct stress *stress, int slot) {
    pthread_mutex_lock(&stress->topic_mutex);
    struct topic topic = stress->topics[slot];
    pthread_mutex_unlock(&stress->topic_mutex);
    return topic;
}

void topic_set(struct stress *stress, int slot, const struct topic *topic) {
    pthread_mutex_lock(&stress->topic_mutex);
    stress->topics[slot] = *topic;
    pthread_mutex_unlock(&stress->topic_mutex);
}

bool topic_is_same(struct stress *stress, int slot, const struct topic *topic) {
    struct topic now = topic_get(stress, slot);
    return now.alive && uuid_equal(now.id, topic->id);
}

struct audit *stress_audit_take(struct stress *stress) {
    pthread_mutex_lock(&stress->audit_mutex);
    return stress->audit;
}

void stress_audit_give(struct stress *stress) {
    pthread_mutex_unlock(&stress->audit_mutex);
}

struct audit_partition *stress_partition(struct stress *stress, const struct topic *topic,
                                         int32_t partition) {
    char id[UUID_TEXT_SIZE + 1];
    char name[64];
    uuid_format(topic->id, id);
    (void)snprintf(name, sizeof name, "%s.%s", topic->name, id);
    return audit_partition(stress->audit, name, partition);
}

void stress_fail(struct stress *stress, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    audit_fail(stress_audit_take(stress), "%s", text);
    stress_audit_give(stress);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    fprintf(stderr, "%lld.%03ld %s\n", (long long)now.tv_sec % 60, now.tv_nsec / 1000000, text);
}

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool has_failed(struct stress *stress) {
    bool failed = audit_failure(stress_audit_take(stress)) != NULL;
    stress_audit_give(stress);
    return failed;
}

/* --- the lives of the node --- */

struct outcome {
    int passed;
    int failed;
};

static void judge(struct outcome *outcome, bool fine, const char *what) {
    if (fine) {
        outcome->passed++;
    } else {
        outcome->failed++;
        printf("FAILED: %s\n", what);
    }
}

/* One life after the other until the time is over; the node runs at the end. */
static void live(struct stress *stress, struct rng *rng, struct outcome *outcome) {
    while (now_ms() < stress->deadline_ms && !has_failed(stress)) {
        int64_t left_ms = stress->deadline_ms - now_ms();
        int64_t life_ms = LIFE_MS_MIN + (int64_t)rng_below(rng, LIFE_MS_MAX - LIFE_MS_MIN);
        usleep((useconds_t)(life_ms < left_ms ? life_ms : left_ms) * 1000);
        int signal = rng_one_in(rng, 2) ? SIGTERM : SIGKILL;
        judge(outcome, node_process_end(&stress->node, signal), "the node ends as it should");
        judge(outcome, node_process_start(&stress->node), "the node starts again");
    }
}

static void judge_figures(struct stress *stress, struct outcome *outcome,
                          const struct audit_figures *figures) {
    printf("sent %" PRIu64 " acknowledged %" PRIu64 " refused %" PRIu64 " read %" PRIu64
           " walked %" PRIu64 "\n",
           figures->sent, figures->acknowledged, figures->refused, figures->read, figures->walked);
    printf("topics made %" PRIu64 " deleted %" PRIu64 ", settings changed %" PRIu64
           ", records deleted %" PRIu64 " times, offsets gone %" PRIu64 " times, sessions %" PRIu64
           ", connections %" PRIu64 ", requests sent again %" PRIu64 ", attacks %" PRIu64
           ", scrapes %" PRIu64 "\n",
           stress->topics_created, stress->topics_deleted, stress->settings_changed,
           stress->records_deleted, stress->segments_lost, stress->sessions, stress->reconnects,
           stress->resent, stress->attacks, stress->scrapes);
    judge(outcome, figures->acknowledged > 1000 && figures->refused > 0 && figures->read > 1000,
          "records were written and read");
    judge(outcome, stress->topics_created > 10 && stress->topics_deleted > 5, "topics churned");
    judge(outcome, stress->settings_changed > 10 && stress->records_deleted > 5,
          "settings changed and records were deleted");
    judge(outcome, stress->segments_lost > 0, "retention deleted what was being read");
    judge(outcome, stress->sessions > 5 && stress->resent > 5, "sessions and retries happened");
    judge(outcome, stress->attacks > 100 && stress->scrapes > 5, "attacks and scrapes happened");
}

static void run(struct stress *stress, uint64_t seed, struct outcome *outcome) {
    struct rng rng;
    struct client client;
    struct thread threads[THREADS];
    rng_init(&rng, seed);
    client_open(&client, stress, rng_next(&rng));
    judge(outcome, client_connect(&client) && admin_create_topics(&client), "topics are created");
    for (int i = 0; i < THREADS; i++) {
        int number = i < PRODUCERS                      ? i
                     : i < PRODUCERS + READERS          ? i - PRODUCERS
                     : i < PRODUCERS + READERS + ADMINS ? i - PRODUCERS - READERS
                                                        : i - PRODUCERS - READERS - ADMINS;
        threads[i] = (struct thread){.stress = stress, .seed = rng_next(&rng), .number = number};
        if (pthread_create(&threads[i].id, NULL, runs[i], &threads[i]) != 0) {
            abort();
        }
    }
    live(stress, &rng, outcome);
    atomic_store(&stress->ending, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
    }
    client_disconnect(&client);
    int walked = reader_walk_all(&client);
    judge(outcome, walked >= 4 * 3, "all logs were walked");
    client_close(&client);
    judge(outcome, node_process_end(&stress->node, SIGTERM), "the node ends as it should");
}

static bool parse(int argc, char **argv, const char **ottla, const char **folder, int64_t *seconds,
                  uint64_t *seed) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ottla") == 0) {
            *ottla = argv[i + 1];
        } else if (strcmp(argv[i], "--folder") == 0) {
            *folder = argv[i + 1];
        } else if (strcmp(argv[i], "--seconds") == 0) {
            *seconds = strtol(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            *seed = strtoull(argv[i + 1], NULL, 10);
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && *ottla != NULL;
}

int main(int argc, char **argv) {
    static struct stress stress;
    char made[] = "/tmp/ottla-stress-XXXXXX";
    const char *ottla = NULL;
    const char *folder = NULL;
    int64_t seconds = 60;
    uint64_t seed = (uint64_t)time(NULL);
    if (!parse(argc, argv, &ottla, &folder, &seconds, &seed)) {
        fprintf(stderr, "usage: stress --ottla PATH [--seconds N] [--seed N] [--folder DIR]\n");
        return 2;
    }
    bool own = folder == NULL;
    folder = own ? mkdtemp(made) : folder;
    printf("seed %" PRIu64 ", in %s\n", seed, folder);
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&stress.topic_mutex, NULL);
    pthread_mutex_init(&stress.audit_mutex, NULL);
    stress.audit = audit_new();
    stress.deadline_ms = now_ms() + seconds * 1000;

    struct outcome outcome = {0};
    judge(&outcome,
          node_process_prepare(&stress.node, ottla, folder) && node_process_start(&stress.node),
          "the node starts");
    run(&stress, seed, &outcome);
    struct audit_figures figures;
    audit_figures_get(stress.audit, &figures);
    judge_figures(&stress, &outcome, &figures);
    const char *failure = audit_failure(stress.audit);
    judge(&outcome, failure == NULL, failure == NULL ? "the auditor" : failure);
    judge(&outcome, node_process_reports(&stress.node) == 0, "the sanitizer has nothing to say");
    audit_free(stress.audit);
    if (own && outcome.failed == 0) {
        char command[100];
        (void)snprintf(command, sizeof command, "rm -rf %s", folder);
        (void)!system(command);
    }
    printf("%d passed, %d failed\n", outcome.passed, outcome.failed);
    return outcome.failed > 0;
}
