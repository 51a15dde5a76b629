import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Plays a transcript of src/client/assignor_test.c with Apache Kafka's own assignors: commands from
 * standard input, the transcript with its outcomes to standard output.
 */
public final class Assignors {
    private static final class Member {
        String instance;
        String rack;
        List<String> topics = new ArrayList<>();
        List<TopicPartition> owned = null;
        int generation = -1;
    }

    private final Map<String, String[]> topics = new TreeMap<>();
    private final Map<String, Member> members = new TreeMap<>();
    private int generation = 0;

    public static void main(String[] args) throws Exception {
        Assignors assignors = new Assignors();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            if (line.startsWith("  ")) {
                continue;
            }
            System.out.println(line);
            if (!line.isEmpty() && !line.startsWith("#")) {
                assignors.run(line.split(" "));
            }
        }
    }

    private void run(String[] words) {
        switch (words[0]) {
            case "topic" -> topics.put(words[1], Arrays.copyOfRange(words, 2, words.length));
            case "member" -> member(words);
            case "owns" -> owns(words);
            case "leave" -> members.remove(words[1]);
            case "assign" -> assign(words[1]);
            case "reset" -> {
                topics.clear();
                members.clear();
                generation = 0;
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private void member(String[] words) {
        String[] rack = words[1].split("@");
        String[] id = rack[0].split("/");
        Member member = members.computeIfAbsent(id[0], name -> new Member());
        if (id.length > 1) {
            member.instance = id[1];
        }
        member.rack = rack.length > 1 ? rack[1] : null;
        member.topics = Arrays.asList(words).subList(2, words.length);
    }

    private void owns(String[] words) {
        Member member = members.get(words[1]);
        member.generation = Integer.parseInt(words[2]);
        generation = Math.max(generation, member.generation);
        member.owned = new ArrayList<>();
        for (int i = 3; i < words.length; i++) {
            String[] parts = words[i].split("-");
            member.owned.add(new TopicPartition(parts[0], Integer.parseInt(parts[1])));
        }
    }

    private Cluster cluster() {
        Map<String, Node> nodes = new TreeMap<>();
        List<PartitionInfo> infos = new ArrayList<>();
        for (Map.Entry<String, String[]> topic : topics.entrySet()) {
            String[] words = topic.getValue();
            boolean racked = !words[0].matches("[0-9]+");
            int count = racked ? words.length : Integer.parseInt(words[0]);
            for (int p = 0; p < count; p++) {
                List<Node> replicas = new ArrayList<>();
                for (String rack : racked ? words[p].split(",") : new String[0]) {
                    replicas.add(nodes.computeIfAbsent(
                        rack, name -> new Node(nodes.size(), "host", 9092, name.equals("-") ? null : name)));
                }
                Node[] array = replicas.toArray(new Node[0]);
                infos.add(new PartitionInfo(topic.getKey(), p, array.length == 0 ? null : array[0], array, array));
            }
        }
        return new Cluster("cluster", nodes.values(), infos, Set.of(), Set.of());
    }

    private static ConsumerPartitionAssignor assignor(String name) {
        return switch (name) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            case "cooperative-sticky" -> new CooperativeStickyAssignor();
            default -> throw new IllegalArgumentException(name);
        };
    }

    private Subscription subscription(String name, Member member) {
        ConsumerPartitionAssignor own = assignor(name);
        if (member.owned != null) {
            own.onAssignment(new Assignment(member.owned),
                new ConsumerGroupMetadata("group", member.generation, "", Optional.empty()));
        }
        ByteBuffer data = own.subscriptionUserData(new TreeSet<>(member.topics));
        List<TopicPartition> owned = name.equals("cooperative-sticky") && member.owned != null ? member.owned : List.of();
        Subscription subscription =
            new Subscription(member.topics, data, owned, member.generation, Optional.ofNullable(member.rack));
        subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
        return subscription;
    }

    private void assign(String name) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        members.forEach((id, member) -> subscriptions.put(id, subscription(name, member)));
        Map<String, Assignment> assigned =
            assignor(name).assign(cluster(), new GroupSubscription(subscriptions)).groupAssignment();
        generation++;
        members.forEach((id, member) -> {
            member.owned = new ArrayList<>(assigned.get(id).partitions());
            member.owned.sort((a, b) -> a.topic().equals(b.topic()) ? a.partition() - b.partition()
                                                                    : a.topic().compareTo(b.topic()));
            member.generation = generation;
            StringBuilder line = new StringBuilder("  " + id + ":");
            member.owned.forEach(partition -> line.append(" ").append(partition));
            System.out.println(line);
        });
    }
}
