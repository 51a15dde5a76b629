/*
 * Producers whose first batch was refused.
 *
 * A partition that knows nothing of a producer takes a batch of any sequence: it may have forgotten
 * what came before. That is wrong in one case. An idempotent producer has several requests in
 * flight; its very first batch meets a full disk, or a log that could not be made yet; then there
 * is room again, and the second batch is taken. The first is sent again, and there is no place for
 * it: order is lost, or the batch is.
 *
 * So the last few producers whose batch of sequence 0 was refused for a reason that passes are kept
 * here, and until that batch has come, their later ones are OUT_OF_ORDER_SEQUENCE_NUMBER, which
 * clients repeat when the batch is not their oldest. It ends with the batch of sequence 0, with
 * another epoch, or when the log knows the producer.
 */
#include "replica/partition_int.h"
#include "wire/record_batch.h"

/* The first batch of the append is a producer's; appends of clients have one. */
static bool producer_of(const struct partition_append *append,
                        struct refused_producer *ret_producer, int32_t *ret_sequence) {
    if (append->coordinator || append->size < RECORD_BATCH_HEADER_SIZE ||
        record_batch_magic(append->records) != 2) {
        return false;
    }
    *ret_producer = (struct refused_producer){
        .id = record_batch_producer_id(append->records),
        .epoch = record_batch_producer_epoch(append->records),
    };
    *ret_sequence = record_batch_base_sequence(append->records);
    return ret_producer->id >= 0;
}

/* With the lock held. */
static int find(const struct partition *partition, const struct refused_producer *producer) {
    for (int i = 0; i < partition->refused_count; i++) {
        if (partition->refused[i].id == producer->id &&
            partition->refused[i].epoch == producer->epoch) {
            return i;
        }
    }
    return -1;
}

void refused_note(struct partition *partition, const struct partition_append *append, err_t err) {
    struct refused_producer producer;
    int32_t sequence;
    bool passes = err_kafka_code(err) == ERR_KAFKA_STORAGE_ERROR || err == ERR_NOT_ENOUGH_REPLICAS;
    if (!passes || !producer_of(append, &producer, &sequence) || sequence != 0) {
        return;
    }
    sys_lock_take(&partition->lock);
    if (find(partition, &producer) < 0) {
        partition->refused[partition->refused_next] = producer;
        partition->refused_next = (partition->refused_next + 1) % PARTITION_REFUSED_MAX;
        partition->refused_count += partition->refused_count < PARTITION_REFUSED_MAX;
    }
    sys_lock_give(&partition->lock);
}

bool refused_waits(struct partition *partition, struct log *log,
                   const struct partition_append *append) {
    struct refused_producer producer;
    int32_t sequence;
    if (!producer_of(append, &producer, &sequence)) {
        return false;
    }
    sys_lock_take(&partition->lock);
    int index = partition->refused_count == 0 ? -1 : find(partition, &producer);
    sys_lock_give(&partition->lock);
    return index >= 0 && sequence != 0 && !log_producer_known(log, producer.id);
}
