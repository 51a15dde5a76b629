import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.Random;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;

/** Structs that have no schema file: each version is a Schema constant of the class that owns it. */
final class StructCodec implements Codec {
    private final short low;
    private final Schema[] schemas;

    /** constants: "Class#CONSTANT", one per version from `low` on. */
    StructCodec(int low, String... constants) throws Exception {
        this.low = (short) low;
        schemas = new Schema[constants.length];
        for (int i = 0; i < constants.length; i++) {
            String[] parts = constants[i].split("#");
            Field field = Class.forName(parts[0]).getDeclaredField(parts[1]);
            field.setAccessible(true);
            schemas[i] = (Schema) field.get(null);
        }
    }

    /** Null for a message that is none of these. */
    static StructCodec of(String name) throws Exception {
        String connect = "org.apache.kafka.connect.runtime.distributed.ConnectProtocol#";
        String incremental =
            "org.apache.kafka.connect.runtime.distributed.IncrementalCooperativeConnectProtocol#";
        String consumer = "org.apache.kafka.clients.consumer.";
        String mirror = "org.apache.kafka.connect.mirror.";
        return switch (name) {
            case "ConnectProtocolHeader" -> new StructCodec(0, connect + "CONNECT_PROTOCOL_HEADER_SCHEMA");
            case "ConnectWorkerState" -> new StructCodec(0, connect + "CONFIG_STATE_V0",
                incremental + "CONFIG_STATE_V1", incremental + "CONFIG_STATE_V1");
            case "ConnectAllocation" -> new StructCodec(1, incremental + "ALLOCATION_V1",
                incremental + "ALLOCATION_V1");
            case "ConnectAssignment" -> new StructCodec(0, connect + "ASSIGNMENT_V0",
                incremental + "ASSIGNMENT_V1", incremental + "ASSIGNMENT_V1");
            case "StickyAssignorUserData" -> new StructCodec(0,
                consumer + "StickyAssignor#STICKY_ASSIGNOR_USER_DATA_V0",
                consumer + "StickyAssignor#STICKY_ASSIGNOR_USER_DATA_V1");
            case "CooperativeStickyAssignorUserData" -> new StructCodec(0,
                consumer + "CooperativeStickyAssignor#COOPERATIVE_STICKY_ASSIGNOR_USER_DATA_V0");
            case "MirrorHeartbeatKey" -> new StructCodec(0, mirror + "Heartbeat#KEY_SCHEMA");
            case "MirrorHeartbeatValue" -> new StructCodec(0, mirror + "Heartbeat#VALUE_SCHEMA_V0");
            case "MirrorCheckpointKey" -> new StructCodec(0, mirror + "Checkpoint#KEY_SCHEMA");
            case "MirrorCheckpointValue" -> new StructCodec(0, mirror + "Checkpoint#VALUE_SCHEMA_V0");
            case "MirrorOffsetSyncKey" -> new StructCodec(0, mirror + "OffsetSync#KEY_SCHEMA");
            case "MirrorOffsetSyncValue" -> new StructCodec(0, mirror + "OffsetSync#VALUE_SCHEMA");
            default -> null;
        };
    }

    @Override
    public short low() {
        return low;
    }

    @Override
    public short high() {
        return (short) (low + schemas.length - 1);
    }

    @Override
    public Encoded random(short version, Random random) {
        return encode(version, new Filler(random).struct(schemas[version - low]));
    }

    @Override
    public Encoded recode(short version, byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Struct struct = schemas[version - low].read(buffer);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(buffer.remaining() + " bytes are left over");
        }
        return encode(version, struct);
    }

    @Override
    public Encoded recodeKnown(short version, byte[] bytes) {
        return recode(version, bytes);
    }

    @Override
    public byte[] convert(short from, short to, byte[] bytes) {
        return null; // the owners write each version on its own
    }

    @Override
    public boolean flexible(short version) {
        return false;
    }

    private Encoded encode(short version, Struct struct) {
        Schema schema = schemas[version - low];
        ByteBuffer buffer = ByteBuffer.allocate(schema.sizeOf(struct));
        schema.write(buffer, struct);
        return new Encoded(buffer.array(), null);
    }
}
