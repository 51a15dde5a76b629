import java.io.File;
import java.io.IOException;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.apache.kafka.common.protocol.Message;

/** Finds Kafka's generated classes by the name of their message, in all jars of the class path. */
final class Classes {
    private final Map<String, Class<? extends Message>> byName = new HashMap<>();

    Classes() throws IOException {
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            String file = new File(path).getName();
            if (file.endsWith(".jar") && (file.startsWith("kafka") || file.startsWith("connect"))) {
                scan(path);
            }
        }
    }

    private void scan(String path) throws IOException {
        try (ZipFile jar = new ZipFile(path)) {
            for (Enumeration<? extends ZipEntry> e = jar.entries(); e.hasMoreElements();) {
                String name = e.nextElement().getName();
                boolean generated = name.contains("/generated/") || name.contains("/common/message/")
                    || name.contains("/common/metadata/");
                if (generated && name.endsWith(".class") && !name.contains("$") && !name.contains("JsonConverter")) {
                    add(name.substring(0, name.length() - ".class".length()).replace('/', '.'));
                }
            }
        }
    }

    private void add(String className) {
        try {
            Class<?> type = Class.forName(className, false, Classes.class.getClassLoader());
            if (Message.class.isAssignableFrom(type) && !type.isInterface()) {
                byName.put(type.getSimpleName(), type.asSubclass(Message.class));
            }
        } catch (ClassNotFoundException | NoClassDefFoundError e) {
            // needs a library that is not there; it is no message
        }
    }

    /** Null when there is no such class. */
    Codec codec(String name) throws Exception {
        Class<? extends Message> type = byName.getOrDefault(name, byName.get(name + "Data"));
        return type == null ? StructCodec.of(name) : new GeneratedCodec(type);
    }
}
