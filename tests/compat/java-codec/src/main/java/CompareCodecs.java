import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Random;

/**
 * Compares the C codec with Kafka's, message by message and version by version.
 *
 * usage: CompareCodecs HARNESS MESSAGES INSTANCES SEED
 *
 * MESSAGES has a line "name low high json|bytes" per message to check; each must exist in Kafka with
 * just these versions. "bytes": the schemas have a newer release's fields, so that JSON and broken bytes
 * are compared with that release only.
 */
public final class CompareCodecs {
    private static final int FAILURES_SHOWN = 20;

    private final ObjectMapper mapper = new ObjectMapper();
    private final Harness harness;
    private final int instances;
    private final Random random;
    private final long seed;
    private int messages;
    private int versions;
    private int comparisons;
    private int jsonComparisons;
    private int conversions;
    private int conversionsRefused;
    private int damaged;
    private int damagedRead;
    private int failures;

    private CompareCodecs(Harness harness, int instances, long seed) {
        this.harness = harness;
        this.instances = instances;
        this.seed = seed;
        this.random = new Random(seed);
    }

    public static void main(String[] args) throws Exception {
        Classes classes = new Classes();
        try (Harness harness = new Harness(args[0])) {
            CompareCodecs compare = new CompareCodecs(harness, Integer.parseInt(args[2]), Long.parseLong(args[3]));
            for (String line : Files.readAllLines(Path.of(args[1]))) {
                String[] parts = line.split(" ");
                compare.message(classes.codec(parts[0]), parts[0], Short.parseShort(parts[1]),
                    Short.parseShort(parts[2]), parts[3].equals("json"));
            }
            compare.report();
            System.exit(compare.failures == 0 ? 0 : 1);
        }
    }

    private void report() {
        System.out.printf("messages=%d versions=%d comparisons=%d json=%d conversions=%d refused=%d "
                + "damaged=%d damagedRead=%d failures=%d%n", messages, versions, comparisons, jsonComparisons,
            conversions, conversionsRefused, damaged, damagedRead, failures);
    }

    private void fail(String name, int version, String what) {
        failures++;
        if (failures <= FAILURES_SHOWN) {
            System.out.printf("%s v%d: %s%n", name, version, what);
        }
    }

    private void message(Codec codec, String name, short low, short high, boolean json) throws Exception {
        if (codec == null) {
            fail(name, low, "Kafka has no such message");
            return;
        }
        if (codec.low() != low || codec.high() != high) {
            fail(name, low, "Kafka has versions " + codec.low() + " to " + codec.high());
            return;
        }
        messages++;
        for (short version = low; version <= high; version++) {
            versions++;
            for (int i = 0; i < instances; i++) {
                try {
                    fromC(codec, name, version, json, seed + i);
                    fromJava(codec, name, version, json);
                    if (codec instanceof GeneratedCodec) {
                        convert(codec, name, version, (short) (low + random.nextInt(high - low + 1)));
                    }
                    if (json) {
                        damage(codec, name, version);
                    }
                } catch (Exception e) {
                    Throwable cause = e.getCause() != null ? e.getCause() : e;
                    fail(name, version, cause.toString() + " at " + Arrays.toString(
                        Arrays.copyOf(cause.getStackTrace(), 3)));
                }
            }
        }
    }

    private void fromC(Codec codec, String name, short version, boolean json, long instanceSeed) throws Exception {
        Harness.Answer c = harness.random(name, version, instanceSeed);
        if (c.error() != null) {
            fail(name, version, "C cannot write its own: " + c.error());
            return;
        }
        check(name, version, "C, then Java", c, codec.recode(version, c.bytes()), json);
    }

    private void fromJava(Codec codec, String name, short version, boolean json) throws Exception {
        Codec.Encoded java = codec.random(version, random);
        Harness.Answer c = harness.recode(name, version, java.bytes());
        if (c.error() != null) {
            fail(name, version, "Java, then C: " + c.error() + " of " + HexFormat.of().formatHex(java.bytes()));
            return;
        }
        check(name, version, "Java, then C", c, java, json);
    }

    /** What one version's message may be written as in another: both agree, or both refuse. */
    private void convert(Codec codec, String name, short from, short to) throws Exception {
        if (from == to) {
            return;
        }
        conversions++;
        byte[] bytes = codec.random(from, random).bytes();
        byte[] java = codec.convert(from, to, bytes);
        Harness.Answer c = harness.convert(name, from, to, bytes);
        if (java == null && c.error() != null) {
            conversionsRefused++;
        } else if (java == null || c.error() != null || !Arrays.equals(java, c.bytes())) {
            fail(name, from, "as version " + to + ": Java " + (java == null ? "refuses" : "writes") + ", C "
                + (c.error() != null ? c.error() : "writes"));
        }
    }

    /**
     * Broken bytes: what C reads Java reads too, as the same message. C may refuse more only where a
     * version has compact numbers and tagged fields (codec_read.c says where).
     */
    private void damage(Codec codec, String name, short version) throws Exception {
        byte[] bytes = codec.random(version, random).bytes();
        for (int flips = 1 + random.nextInt(3); flips > 0 && bytes.length > 0; flips--) {
            bytes[random.nextInt(bytes.length)] = (byte) (random.nextBoolean() ? 0xff : random.nextInt(256));
        }
        damaged++;
        Codec.Encoded java = null;
        try {
            java = codec.recodeKnown(version, bytes);
        } catch (RuntimeException e) {
            // refused, or bytes left over
        }
        Harness.Answer c = harness.recode(name, version, bytes);
        // Text that is not UTF-8 stays as it is in C, and Java replaces it: only that changes on the way through JSON.
        boolean notUtf8 = c.error() != null && c.error().startsWith("error json");
        boolean read = c.error() == null || notUtf8;
        damagedRead += read ? 1 : 0;
        String hex = " of " + HexFormat.of().formatHex(bytes);
        if (read && java == null) {
            fail(name, version, "C reads what Java refuses" + hex);
        } else if (!read && java != null && !codec.flexible(version)) {
            fail(name, version, "Java reads what C refuses: " + c.error() + hex);
        } else if (c.error() == null && !Arrays.equals(c.bytes(), java.bytes())) {
            fail(name, version, "read differently" + hex);
        }
    }

    private void check(String name, short version, String way, Harness.Answer c, Codec.Encoded java, boolean json)
            throws Exception {
        comparisons++;
        if (!Arrays.equals(c.bytes(), java.bytes())) {
            fail(name, version, way + ": other bytes\n  C    " + HexFormat.of().formatHex(c.bytes()) + "\n  Java "
                + HexFormat.of().formatHex(java.bytes()));
        } else if (json && java.json() != null) {
            jsonComparisons++;
            String difference = difference("", mapper.readTree(c.json()), mapper.readTree(java.json().toString()));
            if (difference != null) {
                fail(name, version, way + ": JSON differs at " + difference);
            }
        }
    }

    /** The path of the first difference, or null. Kafka prints only the size of records. */
    private static String difference(String path, JsonNode c, JsonNode java) throws Exception {
        if (c.isObject() && java.isObject()) {
            if (c.size() != java.size()) {
                return path + " (" + c + " and " + java + ")";
            }
            for (Iterator<String> names = c.fieldNames(); names.hasNext();) {
                String name = names.next();
                String found;
                if (java.has(name + "SizeInBytes")) {
                    int size = c.get(name).isNull() ? 0 : c.get(name).binaryValue().length;
                    found = size == java.get(name + "SizeInBytes").intValue() ? null : path + "." + name;
                } else if (!java.has(name)) {
                    return path + "." + name + " (Kafka has no such field)";
                } else {
                    found = difference(path + "." + name, c.get(name), java.get(name));
                }
                if (found != null) {
                    return found;
                }
            }
            return null;
        }
        if (c.isArray() && java.isArray() && c.size() == java.size()) {
            for (int i = 0; i < c.size(); i++) {
                String found = difference(path + "[" + i + "]", c.get(i), java.get(i));
                if (found != null) {
                    return found;
                }
            }
            return null;
        }
        boolean equal = c.isFloatingPointNumber() || java.isFloatingPointNumber()
            ? c.doubleValue() == java.doubleValue() : c.equals(java);
        return equal ? null : path + " (" + c + " and " + java + ")";
    }
}
