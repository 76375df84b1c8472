/*
 * The table of a report. A name never changes once it was released: what compares reports goes by
 * it. Quick commands do little of the same: they show that it works.
 */
#include "cli/report_steps.h"

#define LESS true
#define MORE false

static const struct report_pick device_picks[] = {
    {"overwrite-4k", "per_s", "device.overwrite-4k.per_s",
     "durable 4 KiB writes, one after the other", "per_s", MORE},
    {"overwrite-4k", "p50_us", "device.overwrite-4k.p50_us", "the same, median", "us", LESS},
    {"overwrite-4k", "p99_us", "device.overwrite-4k.p99_us", "the same, 99th percentile", "us",
     LESS},
    {"write-sequential", "bytes_per_s", "device.write-sequential.bytes_per_s", "sequential writes",
     "bytes_per_s", MORE},
    {"read-sequential", "bytes_per_s", "device.read-sequential.bytes_per_s", "sequential reads",
     "bytes_per_s", MORE},
    {"leader-8", "per_s", "device.leader-8.per_s", "an ideal leader for 8 writers", "per_s", MORE},
    {"leader-64", "per_s", "device.leader-64.per_s", "an ideal leader for 64 writers", "per_s",
     MORE},
    {0},
};

static const struct report_pick append_1_picks[] = {
    {NULL, "records_per_s", "append.each-1.records_per_s", "1 writer", "per_s", MORE},
    {NULL, "p50_us", "append.each-1.p50_us", "the same, median", "us", LESS},
    {NULL, "p99_us", "append.each-1.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct report_pick append_8_picks[] = {
    {NULL, "records_per_s", "append.each-8.records_per_s", "8 writers", "per_s", MORE},
    {NULL, "p99_us", "append.each-8.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct report_pick append_64_picks[] = {
    {NULL, "records_per_s", "append.each-64.records_per_s", "64 writers", "per_s", MORE},
    {NULL, "p99_us", "append.each-64.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct report_pick outstanding_picks[] = {
    {NULL, "records_per_s", "append.outstanding-4096.records_per_s",
     "1 thread, 4096 records in flight", "per_s", MORE},
    {0},
};

static const struct report_pick append_none_picks[] = {
    {NULL, "records_per_s", "append.none.records_per_s", "records of 100 B", "per_s", MORE},
    {0},
};

static const struct report_pick append_none_1k_picks[] = {
    {NULL, "bytes_per_s", "append.none-1k.bytes_per_s", "records of 1 KiB", "bytes_per_s", MORE},
    {0},
};

static const struct report_pick scan_picks[] = {
    {NULL, "first_records_per_s", "scan.first.records_per_s",
     "a cursor that verifies every byte, 100 B", "per_s", MORE},
    {NULL, "verified_records_per_s", "scan.verified.records_per_s", "the same, verified before",
     "per_s", MORE},
    {0},
};

static const struct report_pick recover_picks[] = {
    {"open", "seconds", "recover.open.seconds", "opening the log after its writer was killed", "s",
     LESS},
    {"open-all", "bytes_per_s", "recover.open-all.bytes_per_s",
     "the same, everything verified: its scan", "bytes_per_s", MORE},
    {"verify", "bytes_per_s", "recover.verify.bytes_per_s", "weir verify", "bytes_per_s", MORE},
    {0},
};

static const struct report_pick crash_picks[] = {
    {NULL, "acknowledged", "crash.acknowledged", "kill -9 of 4 writers: acknowledged records", "",
     MORE},
    {NULL, "lost", "crash.lost", "of these, lost", "", LESS},
    {NULL, "median.total_s", "crash.open.seconds", "opening behind each, median", "s", LESS},
    {0},
};

static const struct report_pick put_picks[] = {
    {"1 writer", "records_per_s", "put.each-1.records_per_s", "durable puts, 1 writer", "per_s",
     MORE},
    {"8 writers", "records_per_s", "put.each-8.records_per_s", "8 writers", "per_s", MORE},
    {"64 writers", "records_per_s", "put.each-64.records_per_s", "64 writers", "per_s", MORE},
    {0},
};

static const struct report_pick get_picks[] = {
    {"1 thread", "ns", "get.ns", "a get of a random key", "ns", LESS},
    {"64 at once", "ns", "get.batch-64.ns", "the same, 64 keys a call", "ns", LESS},
    {NULL, "dependent_load_ns", "memory.dependent_load.ns",
     "a load of memory that waits for the one before", "ns", LESS},
    {0},
};

static const struct report_pick scan_keys_picks[] = {
    {"ascending inserts", "ns", "scan-keys.ascending.ns", "a row of a scan, inserted in order",
     "ns", LESS},
    {"random inserts", "ns", "scan-keys.random.ns", "the same, inserted at random", "ns", LESS},
    {0},
};

static const struct report_pick rebuild_picks[] = {
    {"no checkpoint, 1 thread", "open_s", "rebuild.threads-1.open_s",
     "opening after a kill, from the log alone", "s", LESS},
    {"no checkpoint, 2 threads", "open_s", "rebuild.threads-2.open_s", "the same, 2 threads", "s",
     LESS},
    {0},
};

static const struct report_pick reopen_picks[] = {
    {", checkpoint, 2 threads", "open_s", "reopen.threads-2.open_s",
     "the same, with a checkpoint, 2 threads", "s", LESS},
    {", checkpoint, cold, 2 threads", "open_s", "reopen.cold.threads-2.open_s",
     "the same, nothing in the page cache", "s", LESS},
    {0},
};

static const struct report_pick memory_picks[] = {
    {NULL, "index_bytes_per_key", "memory.index.bytes_per_key", "index, bytes for each key", "B",
     LESS},
    {0},
};

static const struct report_pick derived_picks[] = {
    {"events-index", "value", "derived.index.events_per_s", "into an index of one field", "per_s",
     MORE},
    {"events-view", "value", "derived.view.events_per_s", "into a view of counts and sums", "per_s",
     MORE},
    {"events-text", "value", "derived.text.events_per_s", "into full text", "per_s", MORE},
    {0},
};

static const struct report_pick again_picks[] = {
    {NULL, "records_per_s", "append.each-1-again.records_per_s",
     "1 writer, durable appends, once more", "per_s", MORE},
    {0},
};

#define APPENDS "The log: appends of 100 B, each acknowledged when it is durable"
#define NO_WAIT "The log: appends that do not wait, one flush at the end"
#define RECOVERY "Coming back"
#define ENGINE "The storage engine, 8-byte keys, values of 100 B"

#define SMALL " --segment-size 4MiB" /* made in a moment */

const struct report_step report_steps[] = {
    {"The device by itself", "the device by itself", "bench device --seconds 0.5",
     "bench device --seconds 0.05", 0, device_picks},
    {APPENDS, "1 writer", "bench append --writers 1",
     "bench append --writers 1 --seconds 0.2" SMALL, REPORT_TAKES_BOTH, append_1_picks},
    {APPENDS, "8 writers", "bench append --writers 8",
     "bench append --writers 8 --seconds 0.2" SMALL, REPORT_TAKES_BOTH, append_8_picks},
    {APPENDS, "64 writers", "bench append --writers 64",
     "bench append --writers 64 --seconds 0.2" SMALL, REPORT_TAKES_BOTH, append_64_picks},
    {APPENDS, "4096 records in flight", "bench append --outstanding 4096",
     "bench append --outstanding 4096 --seconds 0.1" SMALL, REPORT_TAKES_BOTH, outstanding_picks},
    {NO_WAIT, "appends that do not wait", "bench append --durability none --records 5000000",
     "bench append --durability none --records 100000" SMALL, REPORT_TAKES_BOTH, append_none_picks},
    {NO_WAIT, "larger appends that do not wait",
     "bench append --durability none --size 1k --records 1000000",
     "bench append --durability none --size 1k --records 20000" SMALL, REPORT_TAKES_BOTH,
     append_none_1k_picks},
    {"Reading the log", "a cursor", "bench scan", "bench scan --records 100000 --seconds 0.1" SMALL,
     REPORT_TAKES_MEDIUM, scan_picks},
    {RECOVERY, "recovery", "bench recover --bytes 512MiB",
     "bench recover --bytes 16MiB --rounds 1" SMALL, REPORT_TAKES_BOTH, recover_picks},
    {RECOVERY, "crashes", "crash --kill --rounds 3", "crash --kill --rounds 1 --records 2000" SMALL,
     REPORT_IS_CRASH, crash_picks},
    {ENGINE, "puts", "bench put --seconds 0.5 --records 100000",
     "bench put --seconds 0.1 --records 5000 --rounds 1" SMALL, REPORT_TAKES_BOTH, put_picks},
    {ENGINE, "gets", "bench get --threads 1",
     "bench get --threads 1 --keys 20000 --seconds 0.1 --rounds 1" SMALL, REPORT_TAKES_BOTH,
     get_picks},
    {ENGINE, "scans", "bench scan-keys", "bench scan-keys --keys 20000 --rounds 1" SMALL,
     REPORT_TAKES_BOTH, scan_keys_picks},
    {ENGINE, "rebuilding", "bench rebuild --threads 1,2",
     "bench rebuild --threads 1,2 --records 20000 --rounds 1" SMALL, REPORT_TAKES_BOTH,
     rebuild_picks},
    {ENGINE, "reopening", "bench reopen", "bench reopen --keys 20000 --rounds 1" SMALL,
     REPORT_TAKES_BOTH, reopen_picks},
    {ENGINE, "memory", "bench memory", "bench memory --keys 20000 --rounds 1" SMALL,
     REPORT_TAKES_BOTH, memory_picks},
    {"What is derived, JSON documents of about 200 B", "what is derived",
     "bench derived --documents 100000 --rounds 3",
     "bench derived --documents 5000 --rounds 1" SMALL, REPORT_TAKES_BOTH, derived_picks},
    {"Has the machine kept its pace?", "1 writer, once more", "bench append --writers 1",
     "bench append --writers 1 --seconds 0.2" SMALL, REPORT_TAKES_BOTH, again_picks},
};

const size_t report_step_count = sizeof report_steps / sizeof report_steps[0];
