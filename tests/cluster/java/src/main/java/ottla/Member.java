package ottla;

import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group that says what happens to it; members.py has the lines.
 *
 * <p>Member BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]
 */
public final class Member {
    private static final Map<String, String> ASSIGNORS = Map.of(
            "range", "org.apache.kafka.clients.consumer.RangeAssignor",
            "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
            "sticky", "org.apache.kafka.clients.consumer.StickyAssignor",
            "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private static void say(String kind, Object... words) {
        StringBuilder line = new StringBuilder(kind);
        for (Object word : words) {
            line.append(' ').append(word.toString().replace('\n', ' '));
        }
        System.out.println(line);
        System.out.flush();
    }

    private static void sayPartitions(String kind, Collection<TopicPartition> partitions) {
        if (!partitions.isEmpty()) {
            say(kind, partitions.stream().map(TopicPartition::partition).sorted().map(String::valueOf)
                    .collect(Collectors.joining(" ")));
        }
    }

    private static final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            sayPartitions("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            sayPartitions("revoked", partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            sayPartitions("lost", partitions);
        }
    }

    private static volatile boolean ended;

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

    private static Properties properties(String[] arguments) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("group.id", arguments[1]);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        for (int i = 3; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            String value = pair[1];
            if (pair[0].equals("partition.assignment.strategy")) {
                value = List.of(value.split(",")).stream().map(ASSIGNORS::get)
                        .collect(Collectors.joining(","));
            }
            properties.put(pair[0], value);
        }
        return properties;
    }

    private static void subscribe(KafkaConsumer<String, String> consumer, String topic) {
        if (topic.startsWith("^")) {
            consumer.subscribe(new SubscriptionPattern(topic), new Listener());
        } else {
            consumer.subscribe(List.of(topic), new Listener());
        }
    }

    private static void commit(KafkaConsumer<String, String> consumer,
            Map<TopicPartition, OffsetAndMetadata> done) {
        try {
            consumer.commitSync(done);
            done.forEach((partition, offset) -> say("committed", partition.partition(), offset.offset()));
        } catch (KafkaException e) { // another generation, or none
            say("uncommitted", e);
        }
    }

    public static void main(String[] arguments) {
        watchInput();
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(arguments),
                new StringDeserializer(), new StringDeserializer());
        subscribe(consumer, arguments[2]);
        while (!ended) {
            Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                say("read", record.partition(), record.offset(), record.value());
                done.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
            }
            if (!done.isEmpty()) {
                commit(consumer, done);
            }
        }
        consumer.close();
        say("stopped");
    }

    private Member() {}
}
