import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

/**
 * Apache Kafka's side of the comparisons of record batches.
 *
 *   fixtures DIR   writes batches made by the Java client, DIR/NAME.bin, and what is in them,
 *                  DIR/NAME.txt
 *   dump FILE...   prints what is in batches, in the form of those texts
 *   judge          answers each line "RULES HEX" of its input with what Kafka's produce path makes
 *                  of the batch; the form is that of record_judge.c
 */
public class RecordTool {
    static final long NOW = 1_700_000_000_000L;
    static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "fixtures" -> fixtures(Path.of(args[1]));
            case "dump" -> {
                for (int i = 1; i < args.length; i++) {
                    System.out.print(dump(MemoryRecords.readableRecords(
                        ByteBuffer.wrap(Files.readAllBytes(Path.of(args[i]))))));
                }
            }
            case "judge" -> judge();
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    // --- what is in them ---

    static String text(ByteBuffer value) {
        if (value == null) {
            return "null";
        }
        byte[] bytes = new byte[value.remaining()];
        value.duplicate().get(bytes);
        return HEX.formatHex(bytes).isEmpty() ? "empty" : HEX.formatHex(bytes);
    }

    static String dump(MemoryRecords records) {
        StringBuilder out = new StringBuilder();
        for (RecordBatch batch : records.batches()) {
            out.append(String.format("batch magic %d offsets %d-%d codec %s time %s max %d", batch.magic(),
                batch.baseOffset(), batch.lastOffset(), batch.compressionType().name,
                batch.timestampType().name, batch.maxTimestamp()));
            if (batch.magic() == 2) {
                out.append(String.format(" epoch %d producer %d/%d sequence %d-%d%s%s",
                    batch.partitionLeaderEpoch(), batch.producerId(), batch.producerEpoch(),
                    batch.baseSequence(), batch.lastSequence(),
                    batch.isTransactional() ? " transactional" : "", batch.isControlBatch() ? " control" : ""));
            }
            out.append('\n');
            for (Record record : batch) {
                out.append(String.format("  %d %d %s %s", record.offset(), record.timestamp(),
                    text(record.key()), text(record.value())));
                for (Header header : record.headers()) {
                    out.append(' ').append(header.key()).append('=').append(
                        text(header.value() == null ? null : ByteBuffer.wrap(header.value())));
                }
                out.append('\n');
            }
        }
        return out.toString();
    }

    // --- fixtures ---

    static void write(Path dir, String name, MemoryRecords records) throws Exception {
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        Files.write(dir.resolve(name + ".bin"), bytes);
        Files.writeString(dir.resolve(name + ".txt"), dump(records));
        System.out.println(name + " " + bytes.length);
    }

    static byte[] utf(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void odd(MemoryRecordsBuilder builder) {
        builder.append(NOW, utf("key"), utf("value"));
        builder.append(NOW + 1, null, utf("no key"));
        builder.append(NOW - 100_000, utf("tombstone"), (byte[]) null);
        builder.append(NOW + 86_400_000L, new byte[0], new byte[0]);
        builder.append(NOW + 5, utf("headers"), utf("v"), new Header[] {
            new RecordHeader("a", utf("1")), new RecordHeader("", (byte[]) null), new RecordHeader("a", new byte[0])});
        builder.append(NOW + 6, utf("long"), utf("x".repeat(300)));
    }

    static void many(MemoryRecordsBuilder builder) {
        for (int i = 0; i < 200; i++) {
            builder.append(NOW + i, utf("key-" + i % 7), utf("the value of record number " + i));
        }
    }

    static MemoryRecordsBuilder builder(byte magic, Compression codec, TimestampType type, long base) {
        return MemoryRecords.builder(ByteBuffer.allocate(65536), magic, codec, type, base, NOW + 1000);
    }

    static void fixtures(Path dir) throws Exception {
        Files.createDirectories(dir);
        MemoryRecordsBuilder b = builder((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 1000);
        odd(b);
        write(dir, "v2-none", b.build());
        b = builder((byte) 2, Compression.NONE, TimestampType.LOG_APPEND_TIME, 0);
        odd(b);
        write(dir, "v2-log-append-time", b.build());
        b = MemoryRecords.builder(ByteBuffer.allocate(65536), (byte) 2, Compression.NONE,
            TimestampType.CREATE_TIME, 70L, NOW, 4711L, (short) 3, 2147483646, true, 9);
        odd(b);
        write(dir, "v2-transactional", b.build());
        write(dir, "v2-commit", MemoryRecords.withEndTransactionMarker(55L, NOW, 7, 4711L, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 12)));
        write(dir, "v2-abort", MemoryRecords.withEndTransactionMarker(56L, NOW, 7, 4711L, (short) 3,
            new EndTransactionMarker(ControlRecordType.ABORT, 12)));
        write(dir, "v2-leader-change", MemoryRecords.withLeaderChangeMessage(3L, NOW, 5, ByteBuffer.allocate(256),
            new LeaderChangeMessage().setVersion((short) 0).setLeaderId(1)
                .setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1)))
                .setGrantingVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1)))));
        for (CompressionType type : CompressionType.values()) {
            if (type != CompressionType.NONE) {
                b = builder((byte) 2, Compression.of(type).build(), TimestampType.CREATE_TIME, 500);
                many(b);
                write(dir, "v2-" + type.name, b.build());
            }
        }
        for (byte magic = 0; magic < 2; magic++) {
            for (CompressionType type : CompressionType.values()) {
                if (type != CompressionType.ZSTD) {
                    b = builder(magic, Compression.of(type).build(), magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE
                        : TimestampType.CREATE_TIME, 300);
                    for (int i = 0; i < 20; i++) {
                        b.append(magic == 0 ? -1 : NOW + i, i % 3 == 0 ? null : utf("key-" + i), utf("old value " + i));
                    }
                    write(dir, "v" + magic + "-" + type.name, b.build());
                }
            }
        }
        b = builder((byte) 1, Compression.gzip().build(), TimestampType.LOG_APPEND_TIME, 300);
        b.append(NOW, utf("k"), utf("v"));
        b.append(NOW + 7, utf("k"), null);
        write(dir, "v1-log-append-time", b.build());
    }

    // --- the produce path ---

    static String line(String text) {
        return text == null ? "null" : text.replace("\n", " ");
    }

    /** version,target codec,log append time 0/1,compacted 0/1,before,after,max size */
    static String judgeOne(String[] rules, byte[] bytes) {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        TopicPartition partition = new TopicPartition("topic", 3);
        try {
            ProduceRequest.validateRecords(Short.parseShort(rules[0]), records);
        } catch (Throwable e) {
            return "request " + Errors.forException(e);
        }
        try {
            MutableRecordBatch batch = records.batches().iterator().next();
            if (batch.baseOffset() != 0) {
                return "error INVALID_RECORD null";
            }
            if (batch.sizeInBytes() > Integer.parseInt(rules[6])) {
                return "error MESSAGE_TOO_LARGE null";
            }
            if (!batch.isValid()) {
                return "error CORRUPT_MESSAGE null";
            }
            CompressionType source = CompressionType.forId(batch.compressionType().id);
            Compression target = rules[1].equals("producer") ? Compression.of(source).build()
                : Compression.of(rules[1]).build();
            int valid = 0;
            for (MutableRecordBatch each : records.batches()) {
                valid += each.sizeInBytes();
            }
            ByteBuffer trimmed = ByteBuffer.wrap(bytes.clone(), 0, valid).slice();
            LogValidator validator = new LogValidator(MemoryRecords.readableRecords(trimmed), partition,
                clock(), source, target, rules[3].equals("1"), (byte) 2,
                rules[2].equals("1") ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
                Long.parseLong(rules[4]), Long.parseLong(rules[5]), 0, AppendOrigin.CLIENT);
            LogValidator.ValidationResult result = validator.validateMessagesAndAssignOffsets(
                PrimitiveRef.ofLong(0), new Recorder(), BufferSupplier.NO_CACHING);
            return "ok max " + result.maxTimestampMs() + " " + dump(result.validatedRecords()).replace('\n', ';');
        } catch (RecordValidationException e) {
            StringBuilder out = new StringBuilder("error " + Errors.forException(e.invalidException()) + " "
                + line(e.invalidException().getMessage()));
            e.recordErrors().forEach(r -> out.append(" | ").append(r.batchIndex).append(' ').append(line(r.message)));
            return out.toString();
        } catch (Throwable e) {
            if (System.getenv("RECORD_TOOL_TRACE") != null) {
                e.printStackTrace();
            }
            return "error " + Errors.forException(e) + " null";
        }
    }

    /** What Kafka's checks let pass although no reader could make sense of it. */
    static String condition(byte[] bytes) {
        int expected = 0;
        try {
            for (Record record : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).records()) {
                if (record.offset() != expected++) {
                    return "disordered ";
                }
            }
        } catch (Throwable e) {
            return "unreadable ";
        }
        return "";
    }

    /** Apache's test clock is not published: one that stands still at NOW. */
    static Time clock() {
        return (Time) java.lang.reflect.Proxy.newProxyInstance(RecordTool.class.getClassLoader(),
            new Class<?>[] {Time.class}, (proxy, method, arguments) -> NOW);
    }

    static class Recorder implements LogValidator.MetricsRecorder {
        public void recordInvalidMagic() { }
        public void recordInvalidOffset() { }
        public void recordInvalidSequence() { }
        public void recordInvalidChecksums() { }
        public void recordNoKeyCompactedTopic() { }
    }

    static void judge() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(System.out, false);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ", -1);
            byte[] bytes = HEX.parseHex(parts[1]);
            out.println(condition(bytes) + judgeOne(parts[0].split(","), bytes));
        }
        out.flush();
    }
}
