import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** The C codec on the other end of a pipe; the protocol is described in wire_harness.c. */
final class Harness implements AutoCloseable {
    private final Process process;
    private final DataInputStream in;
    private final OutputStream out;

    record Answer(String error, byte[] bytes, String json) { }

    Harness(String path) throws IOException {
        process = new ProcessBuilder(path).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        in = new DataInputStream(new BufferedInputStream(process.getInputStream()));
        out = process.getOutputStream();
    }

    Answer random(String name, short version, long seed) throws IOException {
        return ask("random " + name + " " + version + " " + seed, new byte[0]);
    }

    Answer recode(String name, short version, byte[] bytes) throws IOException {
        return ask("recode " + name + " " + version + " " + bytes.length, bytes);
    }

    Answer convert(String name, short from, short to, byte[] bytes) throws IOException {
        return ask("convert " + name + " " + from + " " + to + " " + bytes.length, bytes);
    }

    private Answer ask(String request, byte[] bytes) throws IOException {
        out.write((request + "\n").getBytes(StandardCharsets.UTF_8));
        out.write(bytes);
        out.flush();
        String line = readLine();
        if (!line.startsWith("ok ")) {
            return new Answer(line, null, null);
        }
        String[] sizes = line.split(" ");
        byte[] answer = in.readNBytes(Integer.parseInt(sizes[1]));
        byte[] json = in.readNBytes(Integer.parseInt(sizes[2]));
        return new Answer(null, answer, new String(json, StandardCharsets.UTF_8));
    }

    private String readLine() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new IOException("the harness ended");
            }
            line.append((char) c);
        }
        return line.toString();
    }

    @Override
    public void close() {
        process.destroy();
    }
}
