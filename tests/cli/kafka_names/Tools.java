import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command-line tools in one virtual machine, which is much faster than one each.
 * A line of JSON in: class and arguments. A line out: {"code":, "out":, "err":} as they were when the
 * tool wanted to exit.
 */
public class Tools {
    static class Exited extends SecurityException {
        Exited() { super("exit"); }
    }
    static PrintStream console = System.out;
    static ByteArrayOutputStream out, err;
    static ObjectNode result;

    static synchronized void ended(int code) {
        if (result.has("code")) return;
        System.out.flush();
        System.err.flush();
        result.put("code", code);
        result.put("out", out.toString(StandardCharsets.UTF_8));
        result.put("err", err.toString(StandardCharsets.UTF_8));
    }

    @SuppressWarnings("removal")
    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        Exit.Procedure exit = (code, message) -> { ended(code); throw new Exited(); };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        System.setSecurityManager(new SecurityManager() {
            @Override public void checkPermission(Permission p) { }
            @Override public void checkExit(int code) { ended(code); throw new Exited(); }
        });
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode asked = json.readTree(line);
            String[] words = new String[asked.size() - 1];
            for (int i = 0; i < words.length; i++) words[i] = asked.get(i + 1).asText();
            result = json.createObjectNode();
            out = new ByteArrayOutputStream();
            err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true, "UTF-8"));
            System.setErr(new PrintStream(err, true, "UTF-8"));
            try {
                Class.forName(asked.get(0).asText()).getMethod("main", String[].class).invoke(null, (Object) words);
                ended(0);
            } catch (java.lang.reflect.InvocationTargetException e) {
                if (!(e.getCause() instanceof Exited)) e.getCause().printStackTrace(System.err);
                ended(1);
            }
            console.println(json.writeValueAsString(result));
            console.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
