package ottla;

import static ottla.Clients.consumer;
import static ottla.Clients.createTopic;
import static ottla.Clients.expect;
import static ottla.Clients.producer;
import static ottla.Clients.properties;
import static ottla.TransactionRules.expectFailure;
import static ottla.TransactionRules.failure;
import static ottla.TransactionRules.record;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.FenceProducersResult;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionCoordinatorFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** What an administrator sees of transactions, and what he does about them. */
final class TransactionAdministration {
    static int version() throws Exception {
        try (Admin admin = Admin.create(properties())) {
            FinalizedVersionRange range =
                    admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version");
            return range == null ? 0 : range.maxVersionLevel();
        }
    }

    static List<ProducerState> producers(Admin admin, TopicPartition partition) throws Exception {
        List<ProducerState> found =
                new ArrayList<>(admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers());
        found.sort(Comparator.comparingLong(ProducerState::producerId));
        return found;
    }

    static TransactionDescription describe(Admin admin, String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get();
    }

    static void waitFor(TransactionState state, Admin admin, String id) throws Exception {
        long deadline = System.currentTimeMillis() + 20_000;
        while (describe(admin, id).state() != state) {
            expect(System.currentTimeMillis() < deadline, id + " is not " + state + " but " + describe(admin, id));
            Thread.sleep(20);
        }
    }

    private static void producersOfAPartition() throws Exception {
        createTopic("described", 1, Map.of());
        TopicPartition partition = new TopicPartition("described", 0);
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> plain = producer()) {
            expect(producers(admin, partition).isEmpty(), "nobody yet");
            plain.send(record("described", 0, "plain")).get();
            ProducerState first = producers(admin, partition).get(0);
            expect(first.currentTransactionStartOffset().isEmpty() && first.lastSequence() == 0
                    && first.coordinatorEpoch().orElse(-1) == -1, first.toString());
            KafkaProducer<byte[], byte[]> producer = Transactions.begun("described");
            producer.send(record("described", 0, 1));
            producer.send(record("described", 0, 2));
            producer.commitTransaction();
            waitFor(TransactionState.COMPLETE_COMMIT, admin, "described");
            ProducerState ended = producers(admin, partition).get(1);
            expect(ended.currentTransactionStartOffset().isEmpty() && ended.coordinatorEpoch().orElse(-1) == 0
                    && ended.producerEpoch() == (TransactionRules.version == 2 ? 1 : 0), ended.toString());
            KafkaProducer<byte[], byte[]> open = Transactions.begun("described-open");
            open.send(record("described", 0, 3)).get();
            ProducerState ongoing = producers(admin, partition).get(2);
            expect(ongoing.currentTransactionStartOffset().getAsLong() == 4 && ongoing.lastSequence() == 0, ongoing.toString());
            open.abortTransaction();
            open.close();
            producer.close();
        }
    }

    private static void statesOfATransaction() throws Exception {
        createTopic("states", 2, Map.of());
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "states")) {
            expectFailure(TransactionalIdNotFoundException.class, () -> describe(admin, "states"));
            producer.initTransactions();
            expect(describe(admin, "states").state() == TransactionState.EMPTY, "empty");
            producer.beginTransaction();
            expect(describe(admin, "states").state() == TransactionState.EMPTY, "still empty");
            producer.send(record("states", 1, 1)).get();
            TransactionDescription open = describe(admin, "states");
            expect(open.state() == TransactionState.ONGOING && open.coordinatorId() == 1 && open.producerEpoch() == 0
                    && open.transactionTimeoutMs() == 60000 && open.transactionStartTimeMs().isPresent()
                    && open.topicPartitions().equals(Set.of(new TopicPartition("states", 1))), open.toString());
            producer.commitTransaction();
            waitFor(TransactionState.COMPLETE_COMMIT, admin, "states");
            expect(describe(admin, "states").topicPartitions().isEmpty(), "partitions");
            producer.beginTransaction();
            producer.send(record("states", 0, 2)).get();
            producer.abortTransaction();
            waitFor(TransactionState.COMPLETE_ABORT, admin, "states");
        }
    }

    private static Set<String> listed(Admin admin, ListTransactionsOptions options) throws Exception {
        Set<String> ids = new TreeSet<>();
        for (TransactionListing listing : admin.listTransactions(options).all().get()) {
            if (listing.transactionalId().startsWith("listed")) {
                ids.add(listing.transactionalId());
            }
        }
        return ids;
    }

    private static void lists() throws Exception {
        createTopic("listed", 1, Map.of());
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> open = Transactions.begun("listed-open");
                KafkaProducer<byte[], byte[]> done = Transactions.begun("listed-done");
                KafkaProducer<byte[], byte[]> empty = Transactions.begun("listed-empty")) {
            open.send(record("listed", 0, 1)).get();
            done.send(record("listed", 0, 2)).get();
            done.commitTransaction();
            waitFor(TransactionState.COMPLETE_COMMIT, admin, "listed-done");
            ListTransactionsOptions all = new ListTransactionsOptions();
            expect(listed(admin, all).equals(Set.of("listed-open", "listed-done", "listed-empty")), "all " + listed(admin, all));
            for (Map.Entry<TransactionState, String> one : Map.of(TransactionState.ONGOING, "listed-open",
                    TransactionState.COMPLETE_COMMIT, "listed-done", TransactionState.EMPTY, "listed-empty").entrySet()) {
                expect(listed(admin, new ListTransactionsOptions().filterStates(Set.of(one.getKey()))).equals(Set.of(one.getValue())),
                        one.toString());
            }
            expect(listed(admin, new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING, TransactionState.EMPTY)))
                    .size() == 2, "two states");
            expect(listed(admin, new ListTransactionsOptions().filterStates(Set.of(TransactionState.PREPARE_ABORT))).isEmpty(), "none");
            long id = describe(admin, "listed-open").producerId();
            expect(listed(admin, new ListTransactionsOptions().filterProducerIds(Set.of(id))).equals(Set.of("listed-open")), "by id");
            expect(listed(admin, new ListTransactionsOptions().filterOnDuration(1_000_000)).stream()
                    .noneMatch("listed-open"::equals), "long ones");
            Thread.sleep(50);
            expect(listed(admin, new ListTransactionsOptions().filterOnDuration(20).filterStates(Set.of(TransactionState.ONGOING)))
                    .equals(Set.of("listed-open")), "longer than a moment");
            expect(listed(admin, new ListTransactionsOptions().filterOnTransactionalIdPattern("listed-(open|e.*)"))
                    .equals(Set.of("listed-open", "listed-empty")), "by pattern");
            expect(listed(admin, new ListTransactionsOptions().filterOnTransactionalIdPattern("open")).isEmpty(), "a part of the id");
            expectFailure(InvalidRegularExpression.class, () -> listed(admin, new ListTransactionsOptions().filterOnTransactionalIdPattern("(")));
            open.abortTransaction();
            empty.abortTransaction(); // else it waits 30 seconds when it is closed
        }
    }

    private static void abortsByHand() throws Exception {
        createTopic("by-hand", 1, Map.of());
        TopicPartition partition = new TopicPartition("by-hand", 0);
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "by-hand")) {
            producer.initTransactions();
            for (int n = 0; n < 2; n++) { // the second has the epoch of a coordinator
                producer.beginTransaction();
                producer.send(record("by-hand", 0, "aborted")).get();
                ProducerState state = producers(admin, partition).get(0);
                int coordinator = state.coordinatorEpoch().orElse(-1);
                expect((coordinator >= 0) == (n == 1), state.toString());
                short epoch = (short) state.producerEpoch();
                if (n == 1) {
                    if (epoch > 0) {
                        expectFailure(InvalidProducerEpochException.class, () -> admin.abortTransaction(new AbortTransactionSpec(
                                partition, state.producerId(), (short) (epoch - 1), coordinator)).all().get());
                    }
                    expectFailure(TransactionCoordinatorFencedException.class, () -> admin.abortTransaction(
                            new AbortTransactionSpec(partition, state.producerId(), epoch, coordinator - 1)).all().get());
                }
                admin.abortTransaction(new AbortTransactionSpec(partition, state.producerId(), epoch, Math.max(coordinator, 0))).all().get();
                expect(Transactions.read(partition).isEmpty(), "aborted");
                expect(producers(admin, partition).get(0).currentTransactionStartOffset().isEmpty(), "open");
                producer.abortTransaction();
            }
        }
    }

    private static void fencesProducers() throws Exception {
        createTopic("taken", 1, Map.of());
        try (Admin admin = Admin.create(properties())) {
            KafkaProducer<byte[], byte[]> open = Transactions.begun("taken-open");
            open.send(record("taken", 0, "open")).get();
            KafkaProducer<byte[], byte[]> idle = Transactions.begun("taken-idle");
            FenceProducersResult fenced = admin.fenceProducers(List.of("taken-open", "taken-idle", "taken-by-nobody"));
            fenced.all().get();
            expect(describe(admin, "taken-open").producerId() == fenced.producerId("taken-open").get(), "the id");
            expectFailure(ProducerFencedException.class, open::commitTransaction);
            expectFailure(TransactionRules.version == 2 ? InvalidProducerEpochException.class : ProducerFencedException.class,
                    () -> idle.send(record("taken", 0, "idle")).get());
            open.close();
            idle.close();
            expect(admin.fenceProducers(List.of("taken-open")).epochId("taken-open").get() > 1, "the epoch");
            expect(describe(admin, "taken-by-nobody").state() == TransactionState.EMPTY, "nobody");
            expect(Transactions.read(new TopicPartition("taken", 0)).isEmpty(), "nothing");
        }
    }

    /**
     * transaction.version goes down and up below a producer that goes on, and does not notice. (To 0 it would: Apache
     * Kafka does not take transactions of version 2 then.)
     */
    private static void versionsChange() throws Exception {
        createTopic("changing", 2, Map.of());
        int before = TransactionRules.version;
        List<String> wanted = new ArrayList<>();
        try (Admin admin = Admin.create(properties()); KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "changing",
                "metadata.max.age.ms", 100)) {
            producer.initTransactions();
            int n = 0;
            for (int level : new int[] {1, 2, 1, 2}) {
                producer.beginTransaction();
                producer.send(record("changing", 0, n)).get();
                producer.send(record("changing", 1, n)).get();
                update(admin, level); // in the middle of a transaction
                producer.commitTransaction();
                wanted.add("" + n++);
                for (int k = 0; k < 10; k++) {
                    producer.beginTransaction();
                    producer.send(record("changing", k % 2, "aborted")).get();
                    producer.abortTransaction();
                }
            }
            update(admin, before);
        }
        expect(Transactions.read(new TopicPartition("changing", 0)).equals(wanted), "committed");
        expect(Transactions.read(new TopicPartition("changing", 1)).equals(wanted), "committed");
    }

    private static void update(Admin admin, int level) throws Exception {
        boolean down = level < version();
        admin.updateFeatures(Map.of("transaction.version", new FeatureUpdate((short) level,
                down ? FeatureUpdate.UpgradeType.SAFE_DOWNGRADE : FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()).all().get();
        while (version() != level) {
            Thread.sleep(20);
        }
    }

    static void add(Map<String, Clients.Check> checks) {
        checks.put("producers of a partition", TransactionAdministration::producersOfAPartition);
        checks.put("states of a transaction", TransactionAdministration::statesOfATransaction);
        checks.put("lists", TransactionAdministration::lists);
        checks.put("aborts by hand", TransactionAdministration::abortsByHand);
        checks.put("fences producers", TransactionAdministration::fencesProducers);
        checks.put("versions change", TransactionAdministration::versionsChange);
    }

    private TransactionAdministration() {
    }
}
