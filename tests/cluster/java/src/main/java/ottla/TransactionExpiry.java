package ottla;

import static ottla.Clients.createTopic;
import static ottla.Clients.expect;
import static ottla.Clients.producer;
import static ottla.Clients.properties;
import static ottla.TransactionAdministration.describe;
import static ottla.TransactionAdministration.producers;
import static ottla.TransactionRules.expectFailure;
import static ottla.TransactionRules.failure;
import static ottla.TransactionRules.record;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidPidMappingException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/**
 * What time does to transactions and producers. The node forgets transactional ids after three seconds, and the
 * producers of a partition after as long as producer.id.expiration.ms says.
 */
final class TransactionExpiry {
    interface Condition {
        boolean holds() throws Exception;
    }

    private static void await(String what, Condition condition) throws Exception {
        long deadline = System.currentTimeMillis() + 20_000;
        while (!condition.holds()) {
            expect(System.currentTimeMillis() < deadline, what);
            Thread.sleep(50);
        }
    }

    private static void forgetProducersAfter(Admin admin, long ms) throws Exception {
        ConfigResource cluster = new ConfigResource(ConfigResource.Type.BROKER, "");
        admin.incrementalAlterConfigs(Map.of(cluster, List.of(new AlterConfigOp(
                new ConfigEntry("producer.id.expiration.ms", "" + ms), AlterConfigOp.OpType.SET)))).all().get();
    }

    private static boolean isForgotten(Admin admin, String id) throws Exception {
        Throwable failure = failure(() -> describe(admin, id));
        return failure instanceof TransactionalIdNotFoundException;
    }

    private static void aTransactionTimesOut() throws Exception {
        createTopic("times-out", 1, Map.of());
        KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "times-out", "transaction.timeout.ms", 100);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(record("times-out", 0, 1)).get();
        Thread.sleep(800);
        expectFailure(InvalidProducerEpochException.class, () -> producer.send(record("times-out", 0, 2)).get());
        producer.close(java.time.Duration.ZERO);
        expect(Transactions.read(new TopicPartition("times-out", 0)).isEmpty(), "aborted");
    }

    private static void producerIdsAreForgotten() throws Exception {
        createTopic("forgotten", 1, Map.of());
        TopicPartition partition = new TopicPartition("forgotten", 0);
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> plain = producer()) {
            forgetProducersAfter(admin, 1000);
            plain.send(record("forgotten", 0, 1)).get();
            expect(producers(admin, partition).size() == 1, "known");
            await("the producer is not forgotten", () -> producers(admin, partition).isEmpty());
            plain.send(record("forgotten", 0, 2)).get();
            expect(producers(admin, partition).size() == 1, "known again");
            forgetProducersAfter(admin, 100_000);
            plain.send(record("forgotten", 0, 3)).get();
            Thread.sleep(2500);
            expect(producers(admin, partition).size() == 1, "kept");
            forgetProducersAfter(admin, 100);
            await("the producer is not forgotten", () -> producers(admin, partition).isEmpty());
            forgetProducersAfter(admin, 86_400_000);
        }
    }

    /** The coordinator knows the producer, a partition does not any more. */
    private static void aTransactionAfterThat() throws Exception {
        createTopic("outlived", 1, Map.of());
        TopicPartition partition = new TopicPartition("outlived", 0);
        try (Admin admin = Admin.create(properties())) {
            ProducerState old;
            try (KafkaProducer<byte[], byte[]> producer = Transactions.begun("outlived")) {
                producer.send(record("outlived", 0, "aborted")).get();
                old = producers(admin, partition).get(0);
                forgetProducersAfter(admin, 100);
                Thread.sleep(1200);
                expect(producers(admin, partition).size() == 1, "open ones are kept");
                producer.abortTransaction();
            }
            await("the producer is not forgotten", () -> producers(admin, partition).isEmpty());
            forgetProducersAfter(admin, 86_400_000);
            Thread.sleep(100);
            try (KafkaProducer<byte[], byte[]> producer = Transactions.begun("outlived")) {
                producer.send(record("outlived", 0, "committed")).get();
                ProducerState now = producers(admin, partition).get(0);
                expect(now.producerId() == old.producerId() && now.producerEpoch() > old.producerEpoch(), now + " after " + old);
                producer.commitTransaction();
            }
        }
        expect(Transactions.read(partition).equals(List.of("committed")), "read");
    }

    /** The coordinator does not know the id any more, a partition the producer. */
    private static void transactionalIdsAreForgotten() throws Exception {
        createTopic("unknown", 1, Map.of());
        TopicPartition partition = new TopicPartition("unknown", 0);
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> open = Transactions.begun("unknown-open")) {
            open.send(record("unknown", 0, "aborted")).get();
            KafkaProducer<byte[], byte[]> producer = Transactions.begun("unknown");
            producer.send(record("unknown", 0, "aborted")).get();
            producer.abortTransaction();
            await("the id is not forgotten", () -> isForgotten(admin, "unknown"));
            expect(!isForgotten(admin, "unknown-open"), "one that is open");
            open.abortTransaction();
            expect(producers(admin, partition).size() == 2, "the partition knows the producers");
            producer.beginTransaction();
            expectFailure(InvalidPidMappingException.class, () -> producer.send(record("unknown", 0, "refused")).get());
            expect(failure(producer::abortTransaction) != null, "it is lost");
            producer.close();
            try (KafkaProducer<byte[], byte[]> next = Transactions.begun("unknown")) {
                next.send(record("unknown", 0, "committed")).get();
                next.commitTransaction();
            }
        }
        expect(Transactions.read(partition).equals(List.of("committed")), "read");
    }

    static void add(Map<String, Clients.Check> checks) {
        checks.put("a transaction times out", TransactionExpiry::aTransactionTimesOut);
        checks.put("producer ids are forgotten", TransactionExpiry::producerIdsAreForgotten);
        checks.put("a transaction after that", TransactionExpiry::aTransactionAfterThat);
        checks.put("transactional ids are forgotten", TransactionExpiry::transactionalIdsAreForgotten);
    }

    private TransactionExpiry() {
    }
}
