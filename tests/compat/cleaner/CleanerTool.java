import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills compacted topics with Apache Kafka's own producers.
 *
 * fill BOOTSTRAP BYTES SEED TIME   about so many bytes into each of plain, keyed and txn, half as many
 *                                  into stamped: without ids; idempotent, in every codec; so, too; in
 *                                  transactions that overlap, one in three aborted. Times count from
 *                                  TIME.
 * more BOOTSTRAP BYTES SEED TIME   plain records for all but stamped
 *
 * Each ends with one record a day later, which begins a new segment.
 */
public class CleanerTool {
    static final int DAY_MS = 24 * 60 * 60 * 1000;
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    final String bootstrap;
    final Random random;
    final long bytes;
    long time;

    CleanerTool(String bootstrap, long bytes, long seed, long time) {
        this.bootstrap = bootstrap;
        this.bytes = bytes;
        this.random = new Random(seed);
        this.time = time;
    }

    Producer<byte[], byte[]> producer(Map<String, String> settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("linger.ms", "20");
        properties.put("acks", "all");
        properties.putAll(settings);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** A record of one of some thousand keys; one in ten is a tombstone. Its size. */
    int send(Producer<byte[], byte[]> producer, String topic) {
        int keys = (int) Math.max(200, bytes / 4000);
        byte[] key = ("key-" + random.nextInt(keys)).getBytes(StandardCharsets.UTF_8);
        byte[] value = random.nextInt(10) == 0 ? null : new byte[random.nextInt(2000)];
        if (value != null) {
            for (int i = 0; i < value.length; i++) {
                value[i] = (byte) ('a' + random.nextInt(16));
            }
        }
        List<Header> headers = new ArrayList<>();
        if (random.nextInt(5) == 0) {
            headers.add(new RecordHeader("h", random.nextBoolean() ? null : key));
        }
        producer.send(new ProducerRecord<>(topic, 0, time++, key, value, headers));
        return key.length + (value == null ? 0 : value.length);
    }

    void sendMany(Producer<byte[], byte[]> producer, String topic, long size) {
        for (long sent = 0; sent < size;) {
            sent += send(producer, topic);
        }
    }

    void end(String topic) {
        try (Producer<byte[], byte[]> producer = producer(Map.of("enable.idempotence", "false"))) {
            producer.send(new ProducerRecord<>(topic, 0, time + DAY_MS, "end".getBytes(), new byte[0]));
        }
    }

    /** In the same batches each time: they are sent when they are full. */
    void plain(String topic) {
        try (Producer<byte[], byte[]> producer = producer(Map.of(
                "enable.idempotence", "false", "linger.ms", "60000",
                "max.in.flight.requests.per.connection", "1"))) {
            sendMany(producer, topic, bytes);
        }
        end(topic);
    }

    void keyed(String topic, long size) {
        for (String codec : CODECS) {
            try (Producer<byte[], byte[]> producer = producer(Map.of("compression.type", codec))) {
                sendMany(producer, topic, size / CODECS.length);
            }
        }
        end(topic);
    }

    void transactions() {
        List<Producer<byte[], byte[]>> producers = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            producers.add(producer(Map.of("transactional.id", "t" + i, "compression.type", CODECS[i])));
            producers.get(i).initTransactions();
        }
        long part = Math.max(5000, bytes / 200);
        for (long sent = 0; sent < bytes; sent += 6 * part) {
            for (Producer<byte[], byte[]> producer : producers) {
                producer.beginTransaction();
            }
            for (int i = 0; i < 6; i++) {
                Producer<byte[], byte[]> producer = producers.get(i % 3);
                sendMany(producer, "txn", part);
                producer.flush();
            }
            int aborted = random.nextInt(3);
            for (int i = 0; i < 3; i++) {
                if (i == aborted) {
                    producers.get(i).abortTransaction();
                } else {
                    producers.get(i).commitTransaction();
                }
            }
        }
        producers.forEach(Producer::close);
        end("txn");
    }

    public static void main(String[] args) {
        CleanerTool tool = new CleanerTool(args[1], Long.parseLong(args[2]),
                Long.parseLong(args[3]), Long.parseLong(args[4]));
        if (args[0].equals("fill")) {
            tool.plain("plain");
            tool.keyed("keyed", tool.bytes);
            tool.keyed("stamped", tool.bytes / 2);
            tool.transactions();
        } else {
            for (String topic : new String[] {"plain", "keyed", "txn"}) {
                tool.plain(topic);
                tool.time += 2 * DAY_MS;
            }
        }
    }
}
