#pragma once

/*
 * Every bound that is not a setting, with its reason. What a user may change is in the settings
 * table; what follows from a format is with the format.
 */

/* --- base, sys --- */

/* An error message that a client gets, or a log line quotes: longer ones are of no use to people.
 */
#define LIMIT_ERROR_TEXT 1024

/* A path: Linux takes 4096 with the zero. */
#define LIMIT_PATH 4096

/* A topic's name, so that "<name>-<partition>.<id>-delete" fits into a file name of 255 bytes. */
#define LIMIT_TOPIC_NAME 249

/* Parts of one vectored read or write; Linux takes no more in one call (IOV_MAX). */
#define LIMIT_IO_PARTS 1024

/* Events that a loop takes from the kernel at once: enough to amortise the call, few enough that
 * timers are looked at in between. */
#define LIMIT_LOOP_EVENTS 256

/* Locks that one thread holds at once. Ranks rise, so it cannot be more than there are ranks. */
#define LIMIT_LOCKS_HELD 16

/* Threads of one pool of workers: more do not help a disk and each costs a stack. */
#define LIMIT_POOL_THREADS 64

/* Pages probed for one answer of sys_file_cached; past this the range counts as cold. */
#define LIMIT_CACHED_PAGES 4096

/* --- net --- */

/* Requests of one connection in flight. Java's producer keeps 5, librdkafka's default is higher;
 * more than this only queues in our memory instead of in the sender's. */
#define NET_PIPELINE_MAX 16

/* Answered bytes in memory that one connection's peer has not taken. Twice a usual socket buffer,
 * so that a fast reader never waits for us. A single answer may be larger. */
#define NET_OUTGOING_BYTES_MAX (1024 * 1024)

/* Memory of frames of the whole node when queued.max.request.bytes is not set. Five frames of the
 * largest default size; what keeps a crowd of clients from being the end of the process. */
#define NET_REQUEST_BYTES_MAX (512ll * 1024 * 1024)

/* A reactor reads into one block of this size; what does not fit moves to a block of the frame's
 * own. Also the constant in "twice the bytes that have arrived, plus this". */
#define NET_SCRATCH_SIZE (32 * 1024)

/* Per turn: what one connection may do before the next one's turn, and what all may do before
 * timers and tasks have theirs. 64 requests are about a millisecond. */
#define NET_CONNECTION_TURN_REQUESTS 32
#define NET_CONNECTION_TURN_BYTES    (1024 * 1024)
#define NET_REACTOR_TURN_REQUESTS    256
#define NET_REACTOR_TURN_BYTES       (8 * 1024 * 1024)

/* Sent to one connection in one go, before others get their turn. */
#define NET_SEND_TURN_BYTES (1024 * 1024)

/* Freed receive blocks that a reactor keeps for the next large frames. */
#define NET_POOL_BYTES_MAX (16 * 1024 * 1024)

/* Connections accepted in one turn: a storm of clients must not stop those that are served. */
#define NET_ACCEPT_TURN_MAX 64

/* How long accepting rests when the process is out of file descriptors. */
#define NET_ACCEPT_PAUSE_MS 200

/* When the node's request memory is used up, the one frame that may still come to its end must
 * move at least this often, or its connection is closed. */
#define NET_PASS_IDLE_MS 2000

/* --- http --- */

/* Nobody posts more than a small form; enough for what will come. */
#define HTTP_BODY_MAX (64 * 1024)

/* Scrapers and load balancers: a handful. */
#define HTTP_CONNECTIONS_MAX 64
#define HTTP_TIMEOUT_S       15

/* --- wire --- */

/* What decoding may take from an arena beyond twice the bytes that came: many small messages have
 * C structs larger than their bytes, and old versions pack tighter than the newest's struct. */
#define WIRE_DECODE_BYTES_EXTRA (1024 * 1024)

/* Tagged fields of one struct that we do not know. Kafka has at most six; more than this is no
 * newer client. */
#define WIRE_UNKNOWN_TAGS_MAX 64

/* --- log and replica --- */

/* Unsynced bytes of one log directory up to which reactors write inline: less than a tenth of the
 * memory of a small machine, so that the kernel does not throttle the writer. */
#define VOLUME_DIRTY_BYTES_MAX (256ll * 1024 * 1024)

/* A disk that was full has room again when nothing was refused for so long, in ms: until then small
 * appends that fit and large ones that do not would take turns in the node's log. */
#define VOLUME_ROOM_AGAIN_MS (5 * 1000)

/* Unsynced bytes of one log that get it synced at the next tick: what a crash may have to re-read
 * of a busy partition. */
#define FLUSH_BYTES (64ll * 1024 * 1024)

/* And at the latest after this time every log that has unsynced bytes is synced. */
#define FLUSH_INTERVAL_MS (15 * 1000)

/* A compressed batch above this size is expanded and checked by a worker instead of the reactor:
 * about two milliseconds of work. */
#define INLINE_DECOMPRESSION_SIZE_MAX (256 * 1024)

/* A cleaning that is ahead of its rate waits when it would be for this long; shorter pauses cost
 * more than they are worth. */
#define CLEANER_PAUSE_MIN_NS (10 * 1000 * 1000)

/* The cleaner reads at least this much at a time, whatever the settings leave for it. */
#define CLEANER_IO_BYTES_MIN (4 * 1024)

/* --- controller --- */

/* Operations accepted by the controller and not yet committed. A node has some thousand connections
 * at most that ask for changes; each holds its request and response in memory. */
#define CONTROLLER_MAILBOX_MAX 10000

/* Errors of single records in one refused batch that are reported one by one. Each costs some 200
 * bytes of memory and of answer, and a record costs its sender 7. */
#define RECORD_ERRORS_MAX 1000

/* What a compressed batch may expand to while it is checked. Kafka knows no bound; producers fill
 * batches of 16 KiB to a few MiB. */
#define RECORD_SET_DECOMPRESSED_MAX (256 * 1024 * 1024)

/* Compressed records are checked through a window of this size, on the stack. Twice the 16 KiB in
 * which zlib and zstd hand out their bytes. */
#define RECORD_SCAN_WINDOW_SIZE (32 * 1024)

/* --- log --- */

/* A producer snapshot that is read. A million producers with five batches of 46 bytes: more in one
 * partition means that expiry does not work. */
#define LOG_PRODUCER_SNAPSHOT_SIZE_MAX (256 * 1024 * 1024)

/* A checkpoint file that is read: one line each for 200,000 partitions with the longest names. */
#define LOG_CHECKPOINT_SIZE_MAX (64 * 1024 * 1024)

/* meta.properties, partition.metadata, .kafka_cleanshutdown: a few short lines. */
#define LOG_SMALL_FILE_SIZE_MAX (64 * 1024)

/* Recovery reads this much at a time, and more only for a batch that is larger. */
#define LOG_RECOVERY_CHUNK (1024 * 1024)

/* --- groups --- */

/* Groups within groups of a regular expression, and flags between quantifiers. PCRE2 descends that
 * deep on the stack when it compiles. */
#define REGEX_DEPTH_MAX 250

/* A compiled regular expression: PCRE2's own bound is 64 KiB, and what we reckon is a little more
 * than it needs. Enough for an alternation of a thousand names. */
#define REGEX_COMPILED_SIZE_MAX (60 * 1024)

/* What matching one topic's name may cost: about a millisecond. Ordinary expressions take some
 * hundred steps; (a*)*b would take 2^249. */
#define REGEX_STEPS_MAX           100000
#define REGEX_MATCH_MEMORY_KB_MAX 1024

/* Topics whose names took too many steps, until an expression is given up altogether: a tenth of a
 * second of a worker. */
#define REGEX_GIVEN_UP_MAX 100

/* Partitions of one topic that a group's records may name; a number beyond it is damage, and the
 * array that would hold it as large. More than any cluster has. */
#define GROUP_PARTITIONS_MAX (1 << 20)

/* Names that a group's members subscribe to and partitions that they have, up to which it is
 * assigned on the loop: about a millisecond. Beyond it a worker does it. */
#define PLAN_INLINE_MAX 10000

/* --- quorum --- */

/* Encoded metadata that waits for the disk. Several of the largest batches; more than this means
 * that the disk hangs or is full, and the controller refuses rather than collects. */
#define QUORUM_PENDING_BYTES_MAX (64u * 1024 * 1024)

/* Observers of the metadata log that the leader keeps in mind: more than any cluster has brokers.
 * Whoever fetches may make up ids. */
#define RAFT_OBSERVERS_MAX 1024

/* A batch on our own disk that is decompressed to look for a timestamp. It was checked when it was
 * written; the bound is for a damaged one. */
#define LOG_DECOMPRESSED_SIZE_MAX (1024ll * 1024 * 1024)

/* --- coord --- */

/* Member ids of one group that were given out and not come back yet (KIP-394): more than members
 * that start at the same time. The oldest goes for the next, its owner asks for another. */
#define GROUP_PENDING_MEMBERS_MAX 10000

/* --- coord --- */

/* Requests that wait for one shard of the group coordinator. A client has one or two; what is more
 * is told to come again. */
#define COORD_MAILBOX_MAX 10000

/* What a worker reads of a shard's log at a time, and the loop replays in one go: some two
 * milliseconds of work. */
#define COORD_LOAD_SLICE_SIZE (256 * 1024)

/* What a batch in a shard's log may expand to. It was checked when it was written; the bound is for
 * a damaged one. */
#define COORD_DECOMPRESSED_MAX (64 * 1024 * 1024)

/* A shard's log is written anew when this many bytes, and four times what it needs, came since the
 * last time: a tenth of a second to load, and a fifth more to write. */
#define COORD_REWRITE_BYTES (32ll * 1024 * 1024)

/* --- server --- */

/* Memory of one answer that repeats what it is asked for again and again (settings of resources,
 * producers of partitions, groups): 20,000 topics with all their settings. A frame cannot hold more
 * than 2 GiB anyway. */
#define SERVER_ANSWER_BYTES_MAX (256 * 1024 * 1024)

/* Partitions that one WriteTxnMarkers or AddPartitionsToTxn names: more than a broker leads, or a
 * transaction is in. Each costs its sender four bytes, and us 600 until its marker is committed. */
#define TXN_PARTITIONS_MAX (100 * 1000)

/* Transactions in one AddPartitionsToTxn of a leader: as many producers as begin to write to a
 * broker at the same time. Each costs 4 KiB until its coordinator answered. */
#define TXN_ADDITIONS_MAX (10 * 1000)

/* How much of a fetch is asked about before it is called warm; a page of it costs a microsecond. */
#define FETCH_PROBE_BYTES_MAX (256 * 1024)

/* A fetch that waits gives its frame back when it is larger: most are not, and names of topics have
 * to be copied first. */
#define FETCH_WAITING_FRAME_MAX (4 * 1024)

/* What a worker reads at a time to warm a fetch. */
#define FETCH_WARM_CHUNK_SIZE (128 * 1024)

/* File descriptors: a quarter is for segment files, these are for all else but connections (loops,
 * listeners, locks, checkpoints, HTTP, files that are just being made). Connections get the rest.
 */
#define SERVER_FILES_RESERVED 64

/* Segment files held open for reading and appending, however many the system allows. */
#define LOG_FILES_OPEN_MAX 8192

/* Index pages held in memory, of all logs together. */
#define LOG_INDEX_PAGE_BYTES_MAX (16 * 1024 * 1024)

/* --- client: the consumer --- */

/* What one compressed batch of a fetch may expand to; as large as a node lets one become. */
#define FETCHED_DECOMPRESSED_MAX (256 * 1024 * 1024)

/* Decompressed bytes, and headers, that one poll lends to the application before it stops with what
 * it has: a batch of ordinary records is far below. */
#define FETCHED_LENT_MAX (64 * 1024 * 1024)

/* Scratch memory kept for the next batches. */
#define FETCHED_IDLE_MAX (8 * 1024 * 1024)

/* Headers of one record; each costs 40 bytes of memory and its sender two. */
#define FETCHED_HEADERS_MAX (1024 * 1024)

/* Answers in a row that bring bytes of a partition and no whole batch, before that is an error. A
 * fetch that was cut by other partitions' records does so now and then. */
#define FETCH_FRUITLESS_MAX 8

/* Records of one poll, however large max.poll.records is: a row of them is allocated. */
#define CONSUMER_RECORDS_MAX 16384

/* Commits that wait for the one before them. An application that commits after each record outruns
 * its coordinator; it is told OTTLA_BUSY. */
#define CONSUMER_COMMITS_MAX 1000

/* How long a close waits for the last words to brokers, at most: they only free sessions earlier
 * than by themselves. */
#define CONSUMER_GOODBYE_MS 500

/* --- client: the administrator --- */

/* Requests of one call on their way at once: enough to hide a network's latency, few enough for the
 * brokers' queues. */
#define ADMIN_PARTS_MAX 64

/* Partitions of one topic that are described: five times what whole clusters have. Here a broker
 * stops whose pages never end. */
#define ADMIN_TOPIC_PARTITIONS_MAX (1000 * 1000)
