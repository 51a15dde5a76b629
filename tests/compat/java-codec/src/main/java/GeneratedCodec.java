import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.util.Random;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;

/**
 * A class that Kafka generated from its schema, with its JSON converter. Of records Kafka's JSON has
 * the size only (asked for the bytes, it prints none).
 */
final class GeneratedCodec implements Codec {
    private final Class<? extends Message> type;
    private final Method toJson;

    GeneratedCodec(Class<? extends Message> type) {
        this.type = type;
        Method found = null;
        try {
            for (Method method : Class.forName(type.getName() + "JsonConverter").getMethods()) {
                if (method.getName().equals("write") && method.getParameterCount() == 3) {
                    found = method;
                }
            }
        } catch (ClassNotFoundException e) {
            // no converter for this one
        }
        toJson = found;
    }

    private Message empty() throws Exception {
        return type.getDeclaredConstructor().newInstance();
    }

    @Override
    public short low() {
        return constant("LOWEST_SUPPORTED_VERSION");
    }

    @Override
    public short high() {
        return constant("HIGHEST_SUPPORTED_VERSION");
    }

    private short constant(String name) {
        try {
            return type.getField(name).getShort(null);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public Encoded random(short version, Random random) throws Exception {
        Message message = empty();
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        new Filler(random).fill(message, schemas[version]);
        return encode(version, message);
    }

    @Override
    public Encoded recode(short version, byte[] bytes) throws Exception {
        return encode(version, decode(version, bytes));
    }

    @Override
    public Encoded recodeKnown(short version, byte[] bytes) throws Exception {
        Message message = decode(version, bytes);
        forgetUnknown(message);
        return encode(version, message);
    }

    @Override
    public byte[] convert(short from, short to, byte[] bytes) throws Exception {
        Message message = decode(from, bytes);
        try {
            return encode(to, message).bytes();
        } catch (UnsupportedVersionException | NullPointerException e) {
            return null;
        }
    }

    @Override
    public boolean flexible(short version) throws Exception {
        BoundField[] fields = ((Schema[]) type.getField("SCHEMAS").get(null))[version].fields();
        return fields.length > 0 && fields[fields.length - 1].def.type instanceof TaggedFields;
    }

    private Message decode(short version, byte[] bytes) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Message message = empty();
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(buffer.remaining() + " bytes are left over");
        }
        return message;
    }

    /** Kafka keeps tagged fields that it does not know and writes them again; Ottla skips them. */
    private static void forgetUnknown(Object value) throws Exception {
        if (value instanceof Iterable<?> elements) {
            for (Object element : elements) {
                forgetUnknown(element);
            }
        } else if (value instanceof Message message) {
            message.unknownTaggedFields().clear();
            for (Field field : value.getClass().getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    forgetUnknown(field.get(value));
                }
            }
        }
    }

    private Encoded encode(short version, Message message) throws Exception {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        JsonNode json = toJson == null ? null : (JsonNode) toJson.invoke(null, message, version, false);
        return new Encoded(bytes, json);
    }
}
