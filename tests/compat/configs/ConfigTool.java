import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/** Prints what Apache Kafka's definitions make of values: scope, key, value, then "ok" and the value
 *  in its canonical form, or "error" and the message. Tabs between, \n and \t escaped. */
public class ConfigTool {
    static final List<String> NUMBERS = List.of("", " ", "0", "1", "-1", "-2", "-3", "2", " 7 ", "10", "18", "22", "26",
        "1000001", "1.0", "0.3", "1e3", "+5", "0x10", "abc", "2147483647", "2147483648", "-2147483648",
        "9223372036854775807", "9223372036854775808");
    static final List<String> BOOLEANS = List.of("", " ", "1", "true", " TRUE ", "yes", "false");
    static final List<String> TEXTS = List.of("", " ", "1", " 7 ", "abc", "a,b", "a, a", ",", "a,,b", "compact",
        "delete , compact", "compact,compact", "Compact", "producer", "gzip", "CreateTime", "createtime",
        "broker,controller", "broker,broker", "none", "PLAINTEXT", "plaintext", "bidirectional", "rs256", "latest",
        "by_duration:PT1H", "by_duration:1h", "by_duration:-PT1H", "read_committed", "*", "0:1,1:2", "0:a",
        "classic,share", "1@localhost:9093", "1@localhost", "localhost:9093");

    static List<String> values(ConfigDef.Type type) {
        return switch (type) {
            case INT, LONG, SHORT, DOUBLE -> NUMBERS;
            case BOOLEAN -> BOOLEANS;
            default -> TEXTS;
        };
    }

    public static void main(String[] args) throws Exception {
        print("broker", kafka.server.KafkaConfig.configDef());
        print("topic", LogConfig.configDefCopy());
        print("group", GroupConfig.CONFIG_DEF);
        print("client-metrics", ClientMetricsConfigs.configDef());
    }

    static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
    }

    static void print(String scope, ConfigDef def) {
        Map<String, ConfigDef.ConfigKey> keys = new TreeMap<>(def.configKeys());
        Set<String> seen = new TreeSet<>();
        for (ConfigDef.ConfigKey key : keys.values()) {
            if (key.type == ConfigDef.Type.CLASS) {
                continue; // classes are Java's
            }
            // Keys of one type and one validator behave alike: one of them is enough.
            String kind = key.type + " " + (key.validator == null ? "" : key.validator.getClass() + key.validator.toString());
            if (!seen.add(kind)) {
                continue;
            }
            for (String value : values(key.type)) {
                System.out.println(scope + "\t" + key.name + "\t" + escape(value) + "\t" + escape(result(key, value)));
            }
        }
    }

    static String result(ConfigDef.ConfigKey key, String value) {
        try {
            Object parsed = new ConfigDef().define(key).parse(Map.of(key.name, value)).get(key.name);
            return "ok " + (parsed instanceof Password password ? password.value() : ConfigDef.convertToString(parsed, key.type));
        } catch (ConfigException e) {
            return "error " + e.getMessage();
        }
    }
}
