#include "cli/bench_record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/rng.h"

enum {
    MAGIC = 0x4f74426e, /* "OtBn" */
    FILLERS_SIZE = 1 << 20,
    FILLERS_MAX = 4096,
    AT_RUN = 4,
    AT_SEQUENCE = 8,
    AT_DUE = 16,
    AT_CRC = 24,
};

/* --- writing --- */

struct bench_writer {
    size_t size;
    uint32_t run;
    size_t filler_count;
    size_t next; /* filler */
    uint8_t *values;
    uint32_t *filler_crcs;
    uint64_t *sequences; /* of each partition */
};

static void fill_text(struct rng *rng, uint8_t *at, size_t size) {
    static const char *const words[] = {"order",  "customer", "amount",    "status", "pending",
                                        "region", "north",    "delivered", "item",   "count"};
    enum { WORDS = sizeof words / sizeof words[0] };
    size_t done = 0;
    while (done < size) {
        uint64_t number = rng_next(rng);
        const char *word = words[number % WORDS];
        size_t length = strlen(word);
        for (size_t i = 0; i < length && done < size; i++) {
            at[done++] = (uint8_t)word[i];
        }
        for (int i = 0; i < 3 && done < size; i++) { /* a separator and two digits */
            at[done++] = i == 0 ? '=' : (uint8_t)('0' + (number >> (8 + 8 * i)) % 10);
        }
    }
}

struct bench_writer *bench_writer_new(uint32_t run, size_t size, int32_t partitions,
                                      enum bench_filler filler) {
    assert(size >= BENCH_RECORD_MIN);
    assert(partitions > 0);
    struct bench_writer *writer = calloc(1, sizeof *writer);
    size_t count = FILLERS_SIZE / size;
    writer->size = size;
    writer->run = run;
    writer->filler_count = count < 1 ? 1 : count > FILLERS_MAX ? FILLERS_MAX : count;
    writer->values = malloc(writer->filler_count * size);
    writer->filler_crcs = calloc(writer->filler_count, sizeof *writer->filler_crcs);
    writer->sequences = calloc((size_t)partitions, sizeof *writer->sequences);
    struct rng rng;
    rng_init(&rng, run);
    for (size_t i = 0; i < writer->filler_count; i++) {
        uint8_t *value = writer->values + i * size;
        size_t filler_size = size - BENCH_RECORD_MIN;
        if (filler == BENCH_TEXT) {
            fill_text(&rng, value, filler_size);
        } else {
            rng_bytes(&rng, value, filler_size);
        }
        put_be32(value + filler_size, MAGIC);
        put_be32(value + filler_size + AT_RUN, run);
        writer->filler_crcs[i] = crc32c(0, value, filler_size + AT_SEQUENCE);
    }
    return writer;
}

void bench_writer_free(struct bench_writer *writer) {
    if (writer == NULL) {
        return;
    }
    free(writer->values);
    free(writer->filler_crcs);
    free(writer->sequences);
    free(writer);
}

uint32_t bench_writer_next(struct bench_writer *writer, int32_t partition, int64_t due_ns,
                           const void **ret_value) {
    size_t index = writer->next;
    writer->next = index + 1 == writer->filler_count ? 0 : index + 1;
    uint8_t *value = writer->values + index * writer->size;
    uint8_t *end = value + writer->size - BENCH_RECORD_MIN;
    put_be64(end + AT_SEQUENCE, writer->sequences[partition]++);
    put_be64(end + AT_DUE, (uint64_t)due_ns);
    uint32_t crc = crc32c(writer->filler_crcs[index], end + AT_SEQUENCE, AT_CRC - AT_SEQUENCE);
    put_be32(end + AT_CRC, crc);
    *ret_value = value;
    return crc;
}

void bench_writer_undo(struct bench_writer *writer, int32_t partition) {
    assert(writer->sequences[partition] > 0);
    writer->sequences[partition]--;
}

/* --- reading --- */

struct partition {
    bool begun;
    uint32_t run;
    uint64_t next; /* sequence */
};

struct bench_checker {
    struct bench_checks checks;
    bool anywhere;
    int32_t partition_count;
    struct partition *partitions;
};

struct bench_checker *bench_checker_new(int32_t partitions, bool anywhere) {
    struct bench_checker *checker = calloc(1, sizeof *checker);
    checker->anywhere = anywhere;
    checker->partition_count = partitions;
    checker->partitions = calloc((size_t)partitions, sizeof *checker->partitions);
    return checker;
}

void bench_checker_free(struct bench_checker *checker) {
    if (checker != NULL) {
        free(checker->partitions);
        free(checker);
    }
}

static void check_sequence(struct bench_checker *checker, struct partition *partition, uint32_t run,
                           uint64_t sequence) {
    if (!partition->begun || partition->run != run) {
        bool middle = checker->anywhere && !partition->begun;
        *partition = (struct partition){true, run, middle ? sequence : 0};
    }
    if (sequence < partition->next) {
        checker->checks.doubled++;
        return;
    }
    checker->checks.lost += sequence - partition->next;
    partition->next = sequence + 1;
}

bool bench_checker_see(struct bench_checker *checker, int32_t partition, const void *value,
                       size_t size, struct bench_seen *ret_seen) {
    checker->checks.records++;
    checker->checks.bytes += size;
    if (value == NULL || size < BENCH_RECORD_MIN || partition >= checker->partition_count) {
        checker->checks.damaged++;
        return false;
    }
    const uint8_t *end = (const uint8_t *)value + size - BENCH_RECORD_MIN;
    if (get_be32(end) != MAGIC || crc32c(0, value, size - 4) != get_be32(end + AT_CRC)) {
        checker->checks.damaged++;
        return false;
    }
    checker->checks.checksum += get_be32(end + AT_CRC);
    ret_seen->run = get_be32(end + AT_RUN);
    ret_seen->due_ns = (int64_t)get_be64(end + AT_DUE);
    check_sequence(checker, &checker->partitions[partition], ret_seen->run,
                   get_be64(end + AT_SEQUENCE));
    return true;
}

const struct bench_checks *bench_checker_result(const struct bench_checker *checker) {
    return &checker->checks;
}
