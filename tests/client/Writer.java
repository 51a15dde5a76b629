import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/*
 * Writes with Java's producer what the tests of the consumer read (run as a source file):
 *
 *   Writer BOOTSTRAP plain TOPIC TIME        1000 numbered records in each codec, with headers
 *   Writer BOOTSTRAP transactions TOPIC SEED transactions of four producers in between each other,
 *                                            committed and aborted, into 3 partitions
 *
 * Prints the values that a reader of committed records must see.
 */
class Writer {
    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String... settings) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < settings.length; i += 2) {
            config.put(settings[i], settings[i + 1]);
        }
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void plain(String bootstrap, String topic, long time) {
        int n = 0;
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (KafkaProducer<byte[], byte[]> producer =
                     producer(bootstrap, "compression.type", codec, "linger.ms", "50")) {
                for (int end = n + 1000; n < end; n++) {
                    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                        topic, 0, time + n, bytes("key-" + n), bytes("value " + n + " and some text"));
                    record.headers().add("number", bytes("" + n));
                    record.headers().add("nothing", null);
                    producer.send(record);
                }
            }
        }
    }

    private static void transactions(String bootstrap, String topic, long seed) throws Exception {
        Random random = new Random(seed);
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        List<List<String>> open = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            producers.add(producer(bootstrap, "transactional.id", topic + "-" + i, "compression.type",
                                   i % 2 == 0 ? "none" : "lz4"));
            producers.get(i).initTransactions();
            open.add(null);
        }
        for (int n = 0; n < 2000; n++) {
            int i = random.nextInt(4);
            if (open.get(i) == null) {
                producers.get(i).beginTransaction();
                open.set(i, new ArrayList<>());
            }
            int partition = random.nextInt(3);
            producers.get(i).send(new ProducerRecord<>(topic, partition, null, bytes("" + n)));
            open.get(i).add(partition + " " + n);
            if (random.nextInt(5) == 0) {
                producers.get(i).flush();
            }
            if (random.nextInt(12) == 0) {
                end(producers.get(i), open.get(i), random.nextBoolean());
                open.set(i, null);
            }
        }
        for (int i = 0; i < 4; i++) {
            if (open.get(i) != null) {
                end(producers.get(i), open.get(i), i % 2 == 0);
            }
            producers.get(i).close();
        }
    }

    private static void end(KafkaProducer<byte[], byte[]> producer, List<String> lines, boolean commit) {
        if (commit) {
            producer.commitTransaction();
            lines.forEach(System.out::println);
        } else {
            producer.abortTransaction();
        }
    }

    public static void main(String[] args) throws Exception {
        if (args[1].equals("plain")) {
            plain(args[0], args[2], Long.parseLong(args[3]));
        } else {
            transactions(args[0], args[2], Long.parseLong(args[3]));
        }
    }
}
