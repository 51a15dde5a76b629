package ottla;

import static ottla.Clients.consumer;
import static ottla.Clients.createTopic;
import static ottla.Clients.expect;
import static ottla.Clients.producer;
import static ottla.Clients.properties;
import static ottla.Clients.text;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * What producers and readers may rely on, in the words of the Java clients: which exception a program gets, and what is
 * read then. The same for Apache Kafka, and for each transaction.version.
 */
public final class TransactionRules {
    static int version;

    /** Why it fails; null when it does not. */
    static Throwable failure(Clients.Check check) {
        try {
            check.run();
            return null;
        } catch (ExecutionException e) {
            return e.getCause();
        } catch (Exception e) {
            return e;
        }
    }

    static void expectFailure(Class<? extends Throwable> wanted, Clients.Check check) {
        Throwable found = failure(check);
        expect(found != null && found.getClass() == wanted, "wanted " + wanted.getSimpleName() + ", found " + found);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, Object value) {
        return new ProducerRecord<>(topic, partition, null, text(value));
    }

    /** Its first transaction is over. */
    private static KafkaProducer<byte[], byte[]> used(String id, String topic, Object... pairs) {
        List<Object> settings = new ArrayList<>(List.of("transactional.id", id));
        settings.addAll(Arrays.asList(pairs));
        KafkaProducer<byte[], byte[]> producer = producer(settings.toArray());
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(record(topic, 0, "first"));
        producer.commitTransaction();
        return producer;
    }

    private static ConsumerGroupMetadata group(String id) {
        try (KafkaConsumer<byte[], byte[]> nobody = consumer("group.id", id)) {
            return nobody.groupMetadata();
        }
    }

    /** As many records as are wanted, and after a moment no more. */
    private static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> reader, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + 60_000;
        while (records.size() < count && System.currentTimeMillis() < deadline) {
            reader.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        reader.poll(Duration.ofMillis(300)).forEach(records::add);
        expect(records.size() == count, "read " + records.size() + " of " + count);
        return records;
    }

    private static void undecidedIsNotSeen() throws Exception {
        createTopic("undecided", 1, Map.of());
        TopicPartition partition = new TopicPartition("undecided", 0);
        long visible = System.currentTimeMillis();
        long written = visible + 1;
        try (KafkaProducer<byte[], byte[]> open = Transactions.begun("undecided-open");
                KafkaProducer<byte[], byte[]> other = Transactions.begun("undecided-other");
                KafkaConsumer<byte[], byte[]> committed = consumer("isolation.level", "read_committed");
                KafkaConsumer<byte[], byte[]> everything = consumer()) {
            other.send(new ProducerRecord<>("undecided", 0, visible, text("x"), text(1))).get();
            open.send(new ProducerRecord<>("undecided", 0, written, text("a"), text(1)));
            open.send(new ProducerRecord<>("undecided", 0, written, text("b"), text(2)));
            open.flush();
            other.send(new ProducerRecord<>("undecided", 0, written, text("x"), text(2)));
            other.commitTransaction();

            everything.assign(List.of(partition));
            everything.seekToBeginning(List.of(partition));
            poll(everything, 4);
            expect(everything.offsetsForTimes(Map.of(partition, written)).get(partition).offset() == 1, "by time");
            expect(everything.endOffsets(List.of(partition)).get(partition) == 5, "the end");

            committed.assign(List.of(partition));
            committed.seekToBeginning(List.of(partition));
            expect(Arrays.equals(poll(committed, 1).get(0).key(), text("x")), "the first one is committed");
            committed.seekToEnd(List.of(partition));
            expect(committed.position(partition) == 1, "the end of what is decided");
            expect(committed.offsetsForTimes(Map.of(partition, written)).get(partition) == null, "undecided, by time");
            expect(committed.currentLag(partition).orElse(-1) <= 0, "lag");
            open.abortTransaction();
            committed.seekToBeginning(List.of(partition));
            expect(Arrays.equals(poll(committed, 2).get(1).value(), text(2)), "the committed ones");
        }
    }

    private static void aFetchThatWaitsNamesAborted() throws Exception {
        createTopic("waits", 1, Map.of());
        TopicPartition partition = new TopicPartition("waits", 0);
        try (KafkaProducer<byte[], byte[]> aborts = Transactions.begun("waits-aborts");
                KafkaProducer<byte[], byte[]> commits = Transactions.begun("waits-commits");
                KafkaConsumer<byte[], byte[]> reader = consumer("isolation.level", "read_committed",
                        "fetch.min.bytes", 100000, "fetch.max.wait.ms", 100)) {
            commits.send(record("waits", 0, "x1")).get();
            aborts.send(record("waits", 0, "y1")).get();
            aborts.send(record("waits", 0, "y2")).get();
            commits.send(record("waits", 0, "x2")).get();
            aborts.abortTransaction();
            commits.commitTransaction();
            reader.assign(List.of(partition));
            reader.seekToBeginning(List.of(partition));
            List<ConsumerRecord<byte[], byte[]>> found = poll(reader, 2);
            expect(found.get(0).offset() == 0 && found.get(1).offset() == 3, "offsets");
        }
    }

    /** Each second transaction is aborted, and done again from where the group is. */
    private static void copies() throws Exception {
        createTopic("copied", 4, Map.of());
        createTopic("copies", 4, Map.of());
        try (KafkaProducer<byte[], byte[]> writer = producer()) {
            for (int n = 0; n < 500; n++) {
                writer.send(record("copied", n % 4, n));
            }
        }
        int done = 0;
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "copies", "max.in.flight.requests.per.connection", 1);
                KafkaConsumer<byte[], byte[]> reader = consumer("group.id", "copies", "auto.offset.reset", "earliest",
                        "isolation.level", "read_committed", "enable.auto.commit", false, "max.poll.records", 40)) {
            producer.initTransactions();
            reader.subscribe(List.of("copied"));
            for (int round = 0; done < 500; round++) {
                List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
                while (records.isEmpty()) {
                    reader.poll(Duration.ofMillis(100)).forEach(records::add);
                }
                producer.beginTransaction();
                records.forEach(r -> producer.send(new ProducerRecord<>("copies", r.partition(), null, r.value())));
                Map<TopicPartition, OffsetAndMetadata> positions = new LinkedHashMap<>();
                reader.assignment().forEach(p -> positions.put(p, new OffsetAndMetadata(reader.position(p), "of " + p)));
                producer.sendOffsetsToTransaction(positions, reader.groupMetadata());
                if (round % 2 == 1) {
                    producer.commitTransaction();
                    done += records.size();
                    continue;
                }
                producer.abortTransaction();
                Map<TopicPartition, OffsetAndMetadata> committed = reader.committed(reader.assignment());
                for (TopicPartition partition : reader.assignment()) {
                    OffsetAndMetadata offset = committed.get(partition);
                    expect(offset == null || offset.metadata().equals("of " + partition), "metadata");
                    reader.seek(partition, offset == null ? 0 : offset.offset());
                }
            }
        }
        Set<String> values = new HashSet<>();
        for (int p = 0; p < 4; p++) {
            for (String value : Transactions.read(new TopicPartition("copies", p))) {
                expect(values.add(value), "twice: " + value);
            }
        }
        expect(values.size() == 500, "copied " + values.size());
    }

    /** Producers whose id another one took, each found out by another call. */
    private static void fencing() throws Exception {
        createTopic("fenced", 2, Map.of());
        Map<TopicPartition, OffsetAndMetadata> offsets =
                Map.of(new TopicPartition("fenced", 0), new OffsetAndMetadata(110L));
        ConsumerGroupMetadata group = group("fenced-group");
        Map<String, Clients.Check> none = new LinkedHashMap<>();
        for (String by : List.of("commit", "abort", "send", "another partition", "offsets")) {
            String id = "fenced by " + by;
            KafkaProducer<byte[], byte[]> old = used(id, "fenced");
            old.beginTransaction();
            if (!by.equals("another partition")) {
                old.send(record("fenced", 0, "old")).get();
            }
            KafkaProducer<byte[], byte[]> taker = Transactions.begun(id);
            taker.send(record("fenced", 0, "new")).get();
            Class<? extends Throwable> wanted = ProducerFencedException.class;
            switch (by) {
                case "commit" -> expectFailure(wanted, old::commitTransaction);
                case "abort" -> expectFailure(wanted, old::abortTransaction);
                case "send" -> expectFailure(InvalidProducerEpochException.class, () -> old.send(record("fenced", 0, "late")).get());
                case "another partition" -> expectFailure(version == 2 ? InvalidProducerEpochException.class : wanted,
                        () -> old.send(record("fenced", 1, "late")).get());
                default -> expectFailure(wanted, () -> old.sendOffsetsToTransaction(offsets, group));
            }
            old.close(Duration.ZERO);
            taker.commitTransaction();
            taker.close();
        }
        List<String> read = Transactions.read(new TopicPartition("fenced", 0));
        expect(!read.contains("old") && !read.contains("late") && read.stream().filter("new"::equals).count() == 5,
                read.toString());
        expect(Transactions.read(new TopicPartition("fenced", 1)).isEmpty(), "nothing there");
    }

    @SuppressWarnings("removal") // nothing else makes what is wrong
    private static void groupsAreAsked() throws Exception {
        createTopic("asked", 1, Map.of());
        TopicPartition partition = new TopicPartition("asked", 0);
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(partition, new OffsetAndMetadata(1));
        try (KafkaConsumer<byte[], byte[]> member = consumer("group.id", "asked", "auto.offset.reset", "earliest",
                "isolation.level", "read_committed")) {
            member.subscribe(List.of("asked"));
            while (member.assignment().isEmpty()) {
                member.poll(Duration.ofMillis(100));
            }
            ConsumerGroupMetadata is = member.groupMetadata();
            List<ConsumerGroupMetadata> wrong = List.of(
                    new ConsumerGroupMetadata("asked", is.generationId() + 1, is.memberId(), java.util.Optional.empty()),
                    new ConsumerGroupMetadata("asked", is.generationId(), "somebody", java.util.Optional.empty()));
            for (ConsumerGroupMetadata metadata : wrong) {
                try (KafkaProducer<byte[], byte[]> producer = Transactions.begun("asked")) {
                    expectFailure(CommitFailedException.class, () -> producer.sendOffsetsToTransaction(offsets, metadata));
                    producer.abortTransaction();
                    producer.beginTransaction();
                    producer.sendOffsetsToTransaction(offsets, is);
                    producer.commitTransaction();
                }
            }
            expect(member.committed(Set.of(partition)).get(partition).offset() == 1, "committed");
        }
    }

    /** Offsets of an open transaction are waited for. */
    private static void offsetsAreStable() throws Exception {
        createTopic("stable", 1, Map.of());
        TopicPartition partition = new TopicPartition("stable", 0);
        try (KafkaProducer<byte[], byte[]> producer = Transactions.begun("stable");
                KafkaConsumer<byte[], byte[]> reader = consumer("group.id", "stable", "isolation.level", "read_committed");
                Admin admin = Admin.create(properties())) {
            reader.assign(List.of(partition));
            reader.commitSync(Map.of(partition, new OffsetAndMetadata(3)));
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7)), group("stable"));
            expectFailure(TimeoutException.class, () -> reader.committed(Set.of(partition), Duration.ofSeconds(1)));
            expect(admin.listConsumerGroupOffsets("stable").partitionsToOffsetAndMetadata().get().get(partition).offset() == 3,
                    "who does not ask for stable ones sees the last");
            producer.commitTransaction();
            expect(reader.committed(Set.of(partition), Duration.ofSeconds(20)).get(partition).offset() == 7, "then");
        }
    }

    /** Transactions without records, with offsets only, with what the broker refuses. */
    private static void emptyAndRefused() throws Exception {
        createTopic("small", 1, Map.of("max.message.bytes", "2000"));
        TopicPartition partition = new TopicPartition("small", 0);
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "empty")) {
            producer.initTransactions();
            for (int n = 0; n < 10; n++) {
                producer.beginTransaction();
                if (n % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1)), group("empty"));
            producer.commitTransaction();
            for (int n = 0; n < 3; n++) {
                producer.beginTransaction();
                expectFailure(RecordTooLargeException.class, () -> producer.send(record("small", 0, "x".repeat(5000))).get());
                expect(failure(producer::commitTransaction) instanceof KafkaException, "a commit after a failed send");
                producer.abortTransaction();
                producer.beginTransaction();
                producer.send(record("small", 0, n));
                producer.commitTransaction();
            }
        }
        expect(Transactions.read(partition).equals(List.of("0", "1", "2")), "what was committed");
    }

    private static void manyPartitionsInEveryCodec() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String topic = "many-" + codec;
            createTopic(topic, 10, Map.of());
            try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", topic, "compression.type", codec)) {
                producer.initTransactions();
                for (String how : List.of("aborted", "committed", "aborted", "committed")) {
                    producer.beginTransaction();
                    for (int n = 0; n < 1000; n++) {
                        producer.send(record(topic, n % 10, how));
                    }
                    if (how.equals("aborted")) {
                        producer.flush();
                        producer.abortTransaction();
                    } else {
                        producer.commitTransaction();
                    }
                }
            }
            for (int p = 0; p < 10; p++) {
                List<String> values = Transactions.read(new TopicPartition(topic, p));
                expect(values.size() == 200 && !values.contains("aborted"), topic + ": " + values.size());
            }
        }
    }

    private static void settingsAreRefused() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "too-long", "transaction.timeout.ms", 900_001)) {
            Throwable failure = failure(producer::initTransactions);
            expect(failure instanceof KafkaException && failure.getMessage().contains("larger than the maximum"), "" + failure);
        }
    }

    private static void deletedTopics() throws Exception {
        createTopic("kept", 1, Map.of());
        createTopic("deleted", 3, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = Transactions.begun("deletes"); Admin admin = Admin.create(properties())) {
            producer.send(record("kept", 0, "kept")).get();
            producer.send(record("deleted", 1, "deleted")).get();
            admin.deleteTopics(List.of("deleted")).all().get();
            producer.commitTransaction();
            producer.beginTransaction();
            producer.send(record("kept", 0, "again")).get();
            producer.commitTransaction();
        }
        expect(Transactions.read(new TopicPartition("kept", 0)).equals(List.of("kept", "again")), "kept");
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Clients.Check> checks = new LinkedHashMap<>();
        checks.put("version", () -> version = TransactionAdministration.version());
        checks.put("undecided is not seen", TransactionRules::undecidedIsNotSeen);
        checks.put("a fetch that waits names aborted", TransactionRules::aFetchThatWaitsNamesAborted);
        checks.put("copies", TransactionRules::copies);
        checks.put("fencing", TransactionRules::fencing);
        checks.put("groups are asked", TransactionRules::groupsAreAsked);
        checks.put("offsets are stable", TransactionRules::offsetsAreStable);
        checks.put("empty and refused", TransactionRules::emptyAndRefused);
        checks.put("many partitions in every codec", TransactionRules::manyPartitionsInEveryCodec);
        checks.put("settings are refused", TransactionRules::settingsAreRefused);
        checks.put("deleted topics", TransactionRules::deletedTopics);
        TransactionAdministration.add(checks);
        TransactionExpiry.add(checks);
        Clients.run(arguments[0], checks);
    }

    private TransactionRules() {
    }
}
