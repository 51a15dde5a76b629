package ottla;

import static ottla.Clients.consumer;
import static ottla.Clients.createTopic;
import static ottla.Clients.expect;
import static ottla.Clients.producer;
import static ottla.Clients.properties;
import static ottla.Clients.text;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** Transactional producers, and what an administrator can do about them. */
final class Transactions {
    static KafkaProducer<byte[], byte[]> begun(String id) {
        KafkaProducer<byte[], byte[]> producer = producer("transactional.id", id);
        producer.initTransactions();
        producer.beginTransaction();
        return producer;
    }

    /** A commit is answered when it is decided; its markers come a moment later. */
    private static void awaitMarkers(TopicPartition partition, KafkaConsumer<byte[], byte[]> reader) {
        long deadline = System.currentTimeMillis() + 60_000;
        try (KafkaConsumer<byte[], byte[]> everything = consumer()) {
            long end = everything.endOffsets(List.of(partition)).get(partition);
            while (reader.endOffsets(List.of(partition)).get(partition) < end) {
                expect(System.currentTimeMillis() < deadline, "a transaction stays open in " + partition);
            }
        }
    }

    /** What a reader gets of the whole partition, in which no transaction is open. */
    static List<String> read(TopicPartition partition) {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> reader = consumer("isolation.level", "read_committed")) {
            awaitMarkers(partition, reader);
            reader.assign(List.of(partition));
            reader.seekToBeginning(List.of(partition));
            long end = reader.endOffsets(List.of(partition)).get(partition);
            while (reader.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : reader.poll(Duration.ofMillis(20))) {
                    values.add(new String(record.value()));
                }
            }
        }
        return values;
    }

    static void ends() throws Exception {
        createTopic("java-ends", 3, Map.of());
        KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "java-ends");
        producer.initTransactions();
        for (int n = 0; n < 30; n++) {
            producer.beginTransaction();
            for (int p = 0; p < 3; p++) {
                producer.send(new ProducerRecord<>("java-ends", p, null, text(n)));
            }
            if (n % 3 == 0) {
                producer.abortTransaction();
            } else {
                producer.commitTransaction();
            }
        }
        for (int p = 0; p < 3; p++) {
            List<String> values = read(new TopicPartition("java-ends", p));
            expect(values.size() == 20 && values.get(0).equals(new String(text(1))), "committed " + values);
        }
        producer.beginTransaction();
        producer.abortTransaction();
        producer.close();
    }

    static void offsets() throws Exception {
        createTopic("java-offsets", 1, Map.of());
        TopicPartition partition = new TopicPartition("java-offsets", 0);
        KafkaProducer<byte[], byte[]> producer = begun("java-offsets");
        try (KafkaConsumer<byte[], byte[]> reader = consumer("group.id", "java-offsets")) {
            reader.assign(List.of(partition));
            producer.send(new ProducerRecord<>("java-offsets", 0, null, text(1)));
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7)), reader.groupMetadata());
            producer.abortTransaction();
            expect(reader.committed(java.util.Set.of(partition)).get(partition) == null, "aborted offset");
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(9)), reader.groupMetadata());
            producer.commitTransaction();
            expect(reader.committed(java.util.Set.of(partition)).get(partition).offset() == 9, "committed offset");
        }
        producer.close();
    }

    static void fencing() throws Exception {
        createTopic("java-fencing", 1, Map.of());
        KafkaProducer<byte[], byte[]> old = begun("java-fencing");
        old.send(new ProducerRecord<>("java-fencing", 0, null, text(1)));
        old.flush();
        KafkaProducer<byte[], byte[]> other = begun("java-fencing");
        other.send(new ProducerRecord<>("java-fencing", 0, null, text(2)));
        other.commitTransaction();
        try {
            old.commitTransaction();
            expect(false, "a fenced producer committed");
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            old.close(Duration.ZERO);
        }
        expect(read(new TopicPartition("java-fencing", 0)).equals(List.of(new String(text(2)))), "fenced");
        try (Admin admin = Admin.create(properties())) {
            admin.fenceProducers(List.of("java-fencing")).all().get();
        }
        other.beginTransaction();
        try {
            other.send(new ProducerRecord<>("java-fencing", 0, null, text(3))).get();
            expect(false, "a fenced producer wrote");
        } catch (ExecutionException e) {
            other.close(Duration.ZERO);
        }
    }

    static void administration() throws Exception {
        createTopic("java-transactions", 2, Map.of());
        TopicPartition partition = new TopicPartition("java-transactions", 1);
        KafkaProducer<byte[], byte[]> producer = begun("java-transactions");
        producer.send(new ProducerRecord<>("java-transactions", 1, null, text(1))).get();
        try (Admin admin = Admin.create(properties())) {
            TransactionDescription open =
                    admin.describeTransactions(List.of("java-transactions")).description("java-transactions").get();
            expect(open.state() == TransactionState.ONGOING && open.topicPartitions().contains(partition),
                    open.toString());
            expect(admin.listTransactions().all().get().stream()
                    .anyMatch(t -> t.transactionalId().equals("java-transactions")), "not listed");
            try {
                admin.describeTransactions(List.of("nobody")).description("nobody").get();
                expect(false, "nobody was described");
            } catch (ExecutionException e) {
                expect(e.getCause() instanceof TransactionalIdNotFoundException, e.toString());
            }
            ProducerState state = admin.describeProducers(List.of(partition)).partitionResult(partition).get()
                    .activeProducers().get(0);
            expect(state.currentTransactionStartOffset().isPresent(), state.toString());
            admin.abortTransaction(new AbortTransactionSpec(partition, state.producerId(),
                    (short) state.producerEpoch(), state.coordinatorEpoch().orElse(0))).all().get();
            expect(read(partition).isEmpty(), "aborted by hand");
        }
        producer.abortTransaction();
        producer.close();
    }

    private Transactions() {
    }
}
