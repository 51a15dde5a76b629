import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Fills Kafka's objects at random. Which fields a version has and where null is legal comes from the
 * Schema that Kafka generates beside each class, so nothing here is taken from Ottla's schemas.
 */
final class Filler {
    private final Random random;

    Filler(Random random) {
        this.random = random;
    }

    void fill(Object target, Schema schema) throws Exception {
        Map<String, Type> types = new HashMap<>();
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                tagged.fields().values().forEach(f -> types.put(plain(f.name), f.type));
            } else {
                types.put(plain(field.def.name), field.def.type);
            }
        }
        for (Field field : target.getClass().getDeclaredFields()) {
            Type type = types.remove(plain(field.getName()));
            if (Modifier.isStatic(field.getModifiers()) || field.getName().startsWith("_")) {
                continue;
            }
            field.setAccessible(true);
            boolean defaultFits = type == null || type.isNullable() || field.get(target) != null;
            if (type == null || (defaultFits && random.nextInt(8) == 0)) {
                continue;
            }
            field.set(target, value(field.getGenericType(), type, target, field));
        }
        if (!types.isEmpty()) {
            throw new IllegalStateException(target.getClass() + " lacks " + types.keySet());
        }
    }

    private static String plain(String name) {
        return name.replace("_", "").toLowerCase();
    }

    private static String typeName(Type type) {
        return type instanceof Type.DocumentedType documented ? documented.typeName() : type.toString();
    }

    private Object value(java.lang.reflect.Type declared, Type type, Object target, Field field)
            throws Exception {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type.isArray()) {
            return list(declared, type, target, field);
        }
        Class<?> raw = (Class<?>) declared;
        if (type instanceof Schema schema) {
            Constructor<?> constructor = raw.getDeclaredConstructor();
            constructor.setAccessible(true);
            Object struct = constructor.newInstance();
            fill(struct, schema);
            return struct;
        }
        return simple(raw, type);
    }

    /** A list, or one of Kafka's hash collections, which know their element by their name. */
    @SuppressWarnings("unchecked")
    private Object list(java.lang.reflect.Type declared, Type type, Object target, Field field)
            throws Exception {
        Type elementType = type.arrayElementType().orElseThrow();
        Collection<Object> list;
        java.lang.reflect.Type element;
        if (declared instanceof ParameterizedType parameterized) {
            list = new ArrayList<>();
            element = parameterized.getActualTypeArguments()[0];
        } else {
            Class<?> collection = (Class<?>) declared;
            list = (Collection<Object>) collection.getDeclaredConstructor().newInstance();
            element = ((ParameterizedType) collection.getGenericSuperclass()).getActualTypeArguments()[0];
        }
        int count = random.nextInt(4);
        for (int i = 0; i < count; i++) {
            list.add(value(element, elementType, target, field));
        }
        return list;
    }

    private Object simple(Class<?> raw, Type type) {
        if (raw == boolean.class || raw == Boolean.class) {
            return random.nextBoolean();
        }
        if (raw == double.class || raw == Double.class) {
            return random.nextInt(4) == 0 ? 0.0 : random.nextGaussian() * Math.pow(10, random.nextInt(40) - 20);
        }
        if (raw == byte.class || raw == Byte.class) {
            return (byte) number();
        }
        if (raw == short.class || raw == Short.class) {
            return (short) number();
        }
        if (raw == int.class || raw == Integer.class) {
            return typeName(type).equals("UINT16") ? (int) (number() & 0xffff) : (int) number();
        }
        if (raw == long.class || raw == Long.class) {
            return typeName(type).equals("UINT32") ? number() & 0xffffffffL : number();
        }
        if (raw == String.class) {
            return text();
        }
        if (raw == Uuid.class) {
            return new Uuid(random.nextLong(), random.nextLong());
        }
        if (raw == byte[].class) {
            return bytes();
        }
        if (raw == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes());
        }
        if (raw.getSimpleName().endsWith("Records")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        }
        throw new IllegalStateException("no values for " + raw);
    }

    /** For the structs that Kafka keeps without a class of their own. */
    Struct struct(Schema schema) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, structValue(schema, field.def.type));
        }
        return struct;
    }

    private Object structValue(Schema schema, Type type) {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type.isArray()) {
            Object[] values = new Object[random.nextInt(4)];
            for (int i = 0; i < values.length; i++) {
                values[i] = structValue(schema, type.arrayElementType().orElseThrow());
            }
            return values;
        }
        if (type instanceof Schema inner) {
            return struct(inner);
        }
        return switch (typeName(type)) {
            case "INT8" -> (byte) number();
            case "INT16" -> (short) number();
            case "INT32" -> (int) number();
            case "INT64" -> number();
            case "STRING", "NULLABLE_STRING" -> text();
            case "BYTES", "NULLABLE_BYTES" -> ByteBuffer.wrap(bytes());
            default -> throw new IllegalStateException("no values for " + typeName(type));
        };
    }

    private long number() {
        return switch (random.nextInt(6)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> random.nextBoolean() ? Long.MAX_VALUE : Long.MIN_VALUE;
            case 3 -> random.nextBoolean() ? Integer.MAX_VALUE : Integer.MIN_VALUE;
            default -> random.nextLong() >> random.nextInt(64);
        };
    }

    private int length() {
        return switch (random.nextInt(12)) {
            case 0 -> 0;
            case 1 -> 126 + random.nextInt(4);
            case 2 -> random.nextInt(700);
            default -> random.nextInt(24);
        };
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        int length = length();
        for (int i = 0; i < length; i++) {
            int point = switch (random.nextInt(10)) {
                case 0 -> 0x80 + random.nextInt(0x700);
                case 1 -> 0x800 + random.nextInt(0xd000);
                case 2 -> 0x10000 + random.nextInt(0x100000);
                default -> ' ' + random.nextInt(94);
            };
            text.appendCodePoint(point);
        }
        return text.toString();
    }

    private byte[] bytes() {
        byte[] bytes = new byte[length()];
        random.nextBytes(bytes);
        return bytes;
    }
}
