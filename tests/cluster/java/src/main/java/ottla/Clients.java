package ottla;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Drives a broker with the Java clients and checks what comes back. Prints one line per check; exits
 * with 1 when one fails.
 */
public final class Clients {
    private static String bootstrap;

    interface Check {
        void run() throws Exception;
    }

    static Properties properties(Object... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) {
            properties.put(pairs[i], pairs[i + 1].toString());
        }
        return properties;
    }

    static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(properties(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        return new KafkaConsumer<>(properties(pairs), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void expect(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    static void createTopic(String name, int partitions, Map<String, String> configs) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get();
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> readAll(Collection<TopicPartition> from, int count,
            Object... pairs) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> reader = consumer(pairs)) {
            reader.assign(from);
            reader.seekToBeginning(from);
            long deadline = System.currentTimeMillis() + 30_000;
            while (records.size() < count && System.currentTimeMillis() < deadline) {
                reader.poll(Duration.ofMillis(500)).forEach(records::add);
            }
        }
        expect(records.size() == count, "read " + records.size() + " of " + count);
        return records;
    }

    static byte[] text(Object value) {
        return value.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void codecs() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                String topic = "java-" + codec + "-" + acks;
                createTopic(topic, 1, Map.of());
                try (KafkaProducer<byte[], byte[]> writer = producer("compression.type", codec, "acks", acks,
                        "enable.idempotence", acks.equals("all"), "linger.ms", 5)) {
                    List<Future<RecordMetadata>> sent = new ArrayList<>();
                    for (int n = 0; n < 1000; n++) {
                        ProducerRecord<byte[], byte[]> record =
                                new ProducerRecord<>(topic, 0, text("key"), text("value " + n));
                        record.headers().add("n", text(n));
                        sent.add(writer.send(record));
                    }
                    for (Future<RecordMetadata> one : sent) {
                        one.get();
                    }
                }
                int n = 0;
                for (ConsumerRecord<byte[], byte[]> record : readAll(List.of(new TopicPartition(topic, 0)), 1000)) {
                    expect(Arrays.equals(record.value(), text("value " + n)) && record.offset() == n
                            && Arrays.equals(record.headers().lastHeader("n").value(), text(n)),
                            topic + " at " + record.offset());
                    n++;
                }
            }
        }
    }

    private static void recompression() throws Exception {
        createTopic("java-recompressed", 1, Map.of("compression.type", "zstd", "compression.zstd.level", "9"));
        createTopic("java-uncompressed", 1, Map.of("compression.type", "uncompressed"));
        for (String topic : List.of("java-recompressed", "java-uncompressed")) {
            try (KafkaProducer<byte[], byte[]> writer = producer("compression.type", "gzip", "linger.ms", 20)) {
                for (int n = 0; n < 5000; n++) {
                    writer.send(new ProducerRecord<>(topic, 0, null, text("value " + n)));
                }
            }
            int n = 0;
            for (ConsumerRecord<byte[], byte[]> record : readAll(List.of(new TopicPartition(topic, 0)), 5000)) {
                expect(Arrays.equals(record.value(), text("value " + n++)), topic + " at " + record.offset());
            }
        }
    }

    private static void logAppendTime() throws Exception {
        createTopic("java-append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        try (KafkaProducer<byte[], byte[]> writer = producer()) {
            RecordMetadata sent = writer.send(new ProducerRecord<>("java-append-time", 0, 5L, null, text("x"))).get();
            expect(sent.timestamp() >= before, "timestamp " + sent.timestamp());
        }
        ConsumerRecord<byte[], byte[]> record =
                readAll(List.of(new TopicPartition("java-append-time", 0)), 1).get(0);
        expect(record.timestamp() >= before && record.timestampType().id == 1, "read " + record.timestamp());
    }

    private static void large() throws Exception {
        createTopic("java-large", 1, Map.of("max.message.bytes", "6000000"));
        byte[] value = new byte[5_000_000];
        Arrays.fill(value, (byte) 7);
        try (KafkaProducer<byte[], byte[]> writer = producer("max.request.size", 6_000_000)) {
            writer.send(new ProducerRecord<>("java-large", 0, null, value)).get();
        }
        List<ConsumerRecord<byte[], byte[]>> read =
                readAll(List.of(new TopicPartition("java-large", 0)), 1, "max.partition.fetch.bytes", 1000);
        expect(Arrays.equals(read.get(0).value(), value), "the large record changed");
    }

    private static void tombstones() throws Exception {
        createTopic("java-tombstones", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> writer = producer()) {
            writer.send(new ProducerRecord<>("java-tombstones", 0, text("k"), null)).get();
            writer.send(new ProducerRecord<>("java-tombstones", 0, null, new byte[0])).get();
        }
        List<ConsumerRecord<byte[], byte[]>> read = readAll(List.of(new TopicPartition("java-tombstones", 0)), 2);
        expect(read.get(0).value() == null && read.get(1).key() == null && read.get(1).value().length == 0,
                "null and empty were mixed up");
    }

    private static void wide() throws Exception {
        createTopic("java-wide", 64, Map.of());
        try (KafkaProducer<byte[], byte[]> writer = producer("linger.ms", 5)) {
            for (int n = 0; n < 6400; n++) {
                writer.send(new ProducerRecord<>("java-wide", n % 64, null, text(n)));
            }
        }
        List<TopicPartition> all = IntStream.range(0, 64).mapToObj(p -> new TopicPartition("java-wide", p))
                .collect(Collectors.toList());
        Map<Integer, Integer> next = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : readAll(all, 6400)) {
            int count = next.merge(record.partition(), 1, Integer::sum) - 1;
            expect(Arrays.equals(record.value(), text(record.partition() + 64 * count)),
                    record.partition() + " at " + record.offset());
        }
    }

    private static void times() throws Exception {
        createTopic("java-times", 1, Map.of());
        long start = 1_700_000_000_000L;
        try (KafkaProducer<byte[], byte[]> writer = producer()) {
            for (int n = 0; n < 500; n++) {
                writer.send(new ProducerRecord<>("java-times", 0, start + n * 1000L, null, text(n)));
            }
        }
        TopicPartition partition = new TopicPartition("java-times", 0);
        try (KafkaConsumer<byte[], byte[]> reader = consumer()) {
            reader.assign(List.of(partition));
            expect(reader.offsetsForTimes(Map.of(partition, start + 77_000)).get(partition).offset() == 77, "77");
            expect(reader.offsetsForTimes(Map.of(partition, start + 999_000_000L)).get(partition) == null, "beyond");
            expect(reader.endOffsets(List.of(partition)).get(partition) == 500, "end");
        }
        try (Admin admin = Admin.create(properties())) {
            long newest = admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).partitionResult(partition)
                    .get().offset();
            expect(newest == 499, "max timestamp at " + newest);
        }
    }

    private static void admin() throws Exception {
        try (Admin admin = Admin.create(properties())) {
            createTopic("java-admin", 2, Map.of("retention.ms", "1000"));
            try {
                createTopic("java-admin", 2, Map.of());
                expect(false, "created twice");
            } catch (ExecutionException e) {
                expect(e.getCause() instanceof TopicExistsException, e.toString());
            }
            admin.createPartitions(Map.of("java-admin", NewPartitions.increaseTo(5))).all().get();
            expect(admin.describeTopics(List.of("java-admin")).allTopicNames().get().get("java-admin").partitions()
                    .size() == 5, "partitions");
            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "java-admin");
            admin.incrementalAlterConfigs(Map.of(topic, List.of(new AlterConfigOp(
                    new ConfigEntry("retention.ms", "4321"), AlterConfigOp.OpType.SET)))).all().get();
            expect(admin.describeConfigs(List.of(topic)).all().get().get(topic).get("retention.ms").value()
                    .equals("4321"), "config");
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
            expect(admin.describeConfigs(List.of(broker)).all().get().get(broker).get("log.dirs") != null, "broker");
            try (KafkaProducer<byte[], byte[]> writer = producer()) {
                for (int n = 0; n < 100; n++) {
                    writer.send(new ProducerRecord<>("java-admin", 0, null, text(n)));
                }
            }
            TopicPartition partition = new TopicPartition("java-admin", 0);
            admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(60))).all().get();
            expect(readAll(List.of(partition), 40).get(0).offset() == 60, "deleted records");
            expect(admin.describeCluster().nodes().get().size() == 1, "cluster");
            expect(!admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).isEmpty(), "log dirs");
            QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
            expect(quorum.leaderId() == 1 && quorum.voters().size() == 1, "quorum " + quorum);
            FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
            expect(features.finalizedFeatures().containsKey("metadata.version"), "features " + features);
            admin.describeProducers(List.of(partition)).all().get();
            admin.deleteTopics(List.of("java-admin")).all().get();
            expect(!admin.listTopics().names().get().contains("java-admin"), "deleted");
        }
    }

    /** Ends the program. */
    static void run(String bootstrap, Map<String, Check> checks) {
        Clients.bootstrap = bootstrap;
        boolean failed = false;
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            try {
                check.getValue().run();
                System.out.println(check.getKey() + ": ok");
            } catch (Throwable e) {
                failed = true;
                System.out.println(check.getKey() + ": FAILED: " + e);
                e.printStackTrace(System.out);
            }
        }
        System.exit(failed ? 1 : 0);
    }

    public static void main(String[] args) {
        Map<String, Check> checks = new java.util.LinkedHashMap<>();
        checks.put("codecs", Clients::codecs);
        checks.put("recompression", Clients::recompression);
        checks.put("log append time", Clients::logAppendTime);
        checks.put("large", Clients::large);
        checks.put("tombstones", Clients::tombstones);
        checks.put("wide", Clients::wide);
        checks.put("times", Clients::times);
        checks.put("admin", Clients::admin);
        checks.put("transactions", Transactions::ends);
        checks.put("offsets in transactions", Transactions::offsets);
        checks.put("fencing", Transactions::fencing);
        checks.put("administration of transactions", Transactions::administration);
        run(args[0], checks);
    }

    private Clients() {
    }
}
