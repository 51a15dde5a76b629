import java.util.Random;

/** One message type as Apache Kafka's code has it. */
interface Codec {
    short low();

    short high();

    /** A message with random values, in the bytes of that version. */
    Encoded random(short version, Random random) throws Exception;

    /** Decodes and encodes again; fails when bytes are left over. */
    Encoded recode(short version, byte[] bytes) throws Exception;

    /** The same without tagged fields that Kafka does not know, which it would write again. */
    Encoded recodeKnown(short version, byte[] bytes) throws Exception;

    /** The bytes in another version, or null where Kafka refuses to write it. */
    byte[] convert(short from, short to, byte[] bytes) throws Exception;

    /** Whether that version has compact lengths and tagged fields. */
    boolean flexible(short version) throws Exception;

    /** json is null where Kafka has no converter. */
    record Encoded(byte[] bytes, com.fasterxml.jackson.databind.JsonNode json) { }
}
