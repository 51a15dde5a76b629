package ottla;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Transactional programs; exactly_once.py says what they do.
 *
 * <p>ExactlyOnce transfer TOPIC PARTITIONS NAME [SETTING=VALUE...] | copy FROM TO [SETTING=VALUE...]
 */
public final class ExactlyOnce {
    private static final int ABORTED_EACH = 5;
    private static volatile boolean ended;

    private final Properties settings = new Properties();
    private final List<String> words = new ArrayList<>();
    private final KafkaProducer<String, String> producer;

    private ExactlyOnce(String[] arguments) {
        for (String argument : arguments) {
            String[] pair = argument.split("=", 2);
            if (pair.length == 2) {
                settings.put(pair[0], pair[1]);
            } else {
                words.add(argument);
            }
        }
        if ("range".equals(settings.get("partition.assignment.strategy"))) {
            settings.put("partition.assignment.strategy", RangeAssignor.class.getName());
        }
        settings.putIfAbsent("enable.auto.commit", "false");
        settings.putIfAbsent("auto.offset.reset", "earliest");
        settings.putIfAbsent("isolation.level", "read_committed");
        producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        untilKnown(producer::initTransactions);
    }

    private static void watchInput() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (IOException e) {
                // the same as an end
            }
            ended = true;
        });
        watch.setDaemon(true);
        watch.start();
    }

    /** What becomes of it is asked until it is known. */
    private static void untilKnown(Runnable call) {
        while (true) {
            try {
                call.run();
                return;
            } catch (TimeoutException e) {
                System.err.println(e);
            }
        }
    }

    /**
     * Whether it was committed. What cannot be aborted ends the program.
     *
     * <p>It is flushed first: the sender's thread looks whether anything is to be written before it looks for
     * an EndTxn to send. When all of a transaction comes in between, EndTxn goes out before its records.
     */
    private boolean inTransaction(boolean commit, Runnable write) {
        producer.beginTransaction();
        try {
            write.run();
            producer.flush();
            if (commit) {
                untilKnown(producer::commitTransaction);
                return true;
            }
        } catch (KafkaException e) {
            System.err.println(e);
        }
        untilKnown(producer::abortTransaction);
        return false;
    }

    private void transfer() {
        String topic = words.get(1);
        int partitions = Integer.parseInt(words.get(2));
        Random random = new Random();
        for (int n = 1; !ended; n++) {
            int from = random.nextInt(partitions);
            int to = (from + 1 + random.nextInt(partitions - 1)) % partitions;
            int amount = 1 + random.nextInt(100);
            String id = words.get(3) + "/" + n + " ";
            boolean committed = inTransaction(n % ABORTED_EACH != 0, () -> {
                producer.send(new ProducerRecord<>(topic, from, null, id + -amount));
                producer.send(new ProducerRecord<>(topic, to, null, id + amount));
            });
            System.out.println((committed ? "committed " : "aborted ") + n);
        }
    }

    private void copy() {
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(words.get(1)));
            while (!ended) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                if (!records.isEmpty() && !inTransaction(true, () -> write(consumer, records))) {
                    readAgain(consumer, records);
                }
            }
        }
    }

    private void write(KafkaConsumer<String, String> consumer, ConsumerRecords<String, String> records) {
        Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(words.get(2), record.partition(), null,
                    record.value().toUpperCase(Locale.ROOT)));
            done.put(new TopicPartition(record.topic(), record.partition()),
                    new OffsetAndMetadata(record.offset() + 1));
        }
        untilKnown(() -> producer.sendOffsetsToTransaction(done, consumer.groupMetadata()));
    }

    /** Of partitions that are still its own. */
    private static void readAgain(KafkaConsumer<String, String> consumer, ConsumerRecords<String, String> records) {
        for (TopicPartition partition : records.partitions()) {
            if (consumer.assignment().contains(partition)) {
                consumer.seek(partition, records.records(partition).get(0).offset());
            }
        }
    }

    public static void main(String[] arguments) {
        watchInput();
        ExactlyOnce program = new ExactlyOnce(arguments);
        if (arguments[0].equals("transfer")) {
            program.transfer();
        } else {
            program.copy();
        }
        program.producer.close();
    }
}
