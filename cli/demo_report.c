/*
 * The report of the demo: one screen, or one JSON object.
 *
 * Parts that did not run are left out; a part that was cut short by a signal shows what is
 * complete.
 */
#include "cli/demo.h"

#include "cli/json.h"
#include "cli/place_report.h"

#include "base/text.h"

#include <inttypes.h>

#ifdef WEIR_CLI_HAS_BENCH

/* What the run reached of what an ideal leader did around it; 0 when that was not measured. */
static double part_of_ideal(const struct demo_run *run)
{
    double ideal = (run->ideal_before_per_s + run->ideal_after_per_s) / 2.0;
    return ideal > 0.0 ? run->append.records_per_s / ideal : 0.0;
}

#endif

/* ---- JSON ---- */

static void limit_to_json(struct json *json, const char *name, const struct demo_limit *limit)
{
    json_object(json, name);
    json_double(json, "per_s", limit->per_s);
    json_double(json, "bytes_per_s", limit->bytes_per_s);
    json_double(json, "p50_us", limit->p50_us);
    json_double(json, "p99_us", limit->p99_us);
    json_object_end(json);
}

#ifdef WEIR_CLI_HAS_BENCH

static void run_to_json(struct json *json, unsigned writers, const struct demo_run *run)
{
    const struct bench_result *result = &run->append;
    json_object(json, NULL);
    json_u64(json, "writers", writers);
    json_text(json, "durability", "each");
    json_text(json, "medium", result->medium);
    json_text(json, "io", result->io);
    json_double(json, "records_per_s", result->records_per_s);
    json_double(json, "bytes_per_s", result->bytes_per_s);
    json_double(json, "p50_us", result->p50_us);
    json_double(json, "p99_us", result->p99_us);
    json_double(json, "p999_us", result->p999_us);
    json_double(json, "setup_s", result->setup_s);
    json_double(json, "flushes_per_record", result->flushes_per_record);
    json_double(json, "device_bytes_per_byte", result->device_bytes_per_byte);
    json_double(json, "ideal_leader_before_per_s", run->ideal_before_per_s);
    json_double(json, "ideal_leader_after_per_s", run->ideal_after_per_s);
    json_object_end(json);
}

#endif

static void measure_to_json(struct json *json, const struct demo *demo)
{
    const struct demo_measure *measure = &demo->measure;
    if (measure->limited) {
        json_object(json, "device_limits");
        limit_to_json(json, "durable_4k", &measure->overwrite);
        limit_to_json(json, "write_sequential", &measure->writes);
        limit_to_json(json, "read_sequential", &measure->reads);
        json_object_end(json);
    }
    json_array(json, "append");
#ifdef WEIR_CLI_HAS_BENCH
    for (unsigned i = 0; i < measure->runs; i++) {
        run_to_json(json, demo_writers[i], &measure->run[i]);
    }
#endif
    json_array_end(json);
}

static void place_to_json(struct json *json, const struct demo *demo)
{
    json_text(json, "directory", demo->directory);
    json_text(json, "file_system", or_unknown(demo->place.file_system));
    json_text(json, "device", demo->place.device);
    json_text(json, "model", demo->place.model);
    json_text(json, "write_cache", or_unknown(demo->place.write_cache));
    json_text(json, "kernel", demo->machine.kernel);
    json_text(json, "cpu", demo->machine.cpu);
    json_u64(json, "cpus", demo->machine.cpus);
    json_text(json, "medium", demo->medium.name);
    json_text(json, "io", demo->medium.io);
    json_bool(json, "durable_medium", demo->medium.durable);
    json_bool(json, "emulated", demo->medium.emulated);
    json_text(json, "reason", demo->medium.reason);
}

static void documents_to_json(struct json *json, const struct demo *demo)
{
    const struct demo_documents *documents = &demo->documents;
    json_object(json, "documents");
    json_text(json, "source", documents->source);
    json_u64(json, "rows", demo->rows.count);
    json_u64(json, "bytes", demo->rows.bytes);
    json_text(json, "durability", "group");
    json_double(json, "import_s", documents->import_s);
    json_double(json, "derived_s", documents->derived_s);
    json_double(json, "read_s", documents->read_s);
    json_u64(json, "different", documents->different);
    json_u64(json, "groups", documents->groups);
    json_text(json, "largest_group", documents->top);
    json_u64(json, "largest_group_rows", documents->top_count);
    json_number(json, "largest_group_sum",
                documents->top_sum[0] != '\0' ? documents->top_sum : "null");
    json_u64(json, "index_rows", documents->index_rows);
    json_double(json, "index_s", documents->index_s);
    json_text(json, "word", documents->word);
    json_u64(json, "text_rows", documents->text_rows);
    json_double(json, "text_s", documents->text_s);
    json_object_end(json);
}

static void hex_to_json(struct json *json, const char *name, const uint8_t fingerprint[16])
{
    char hex[33];
    struct base_text text;
    base_text_init(&text, hex, sizeof hex);
    base_text_append_hex(&text, fingerprint, 16);
    json_text(json, name, hex);
}

static const char *rebuilt_name(size_t which)
{
    return which == 0 ? "engine" : demo_system_names[which - 1];
}

static void recover_to_json(struct json *json, const struct demo_recover *recover)
{
    json_object(json, "recover");
    json_text(json, "how", "kill -9");
    json_text(json, "durability", "each");
    json_u64(json, "acknowledged", recover->told);
    json_u64(json, "lost", recover->lost);
    json_double(json, "log_s", recover->log_s);
    json_double(json, "engine_s", recover->engine_s);
    json_double(json, "derived_s", recover->derived_s);
    json_object_end(json);
    if (!recover->done) {
        return;
    }
    json_array(json, "rebuild");
    for (size_t i = 0; i <= DEMO_SYSTEMS; i++) {
        json_object(json, NULL);
        json_text(json, "name", rebuilt_name(i));
        json_u64(json, "events", recover->rebuilt[i].events);
        json_double(json, "seconds", recover->rebuilt[i].seconds);
        hex_to_json(json, "before", recover->before[i]);
        hex_to_json(json, "after", recover->after[i]);
        json_object_end(json);
    }
    json_array_end(json);
}

static void crash_to_json(struct json *json, const struct demo_crash *crash)
{
    json_object(json, "crash");
    json_text(json, "how", "kill -9");
    json_u64(json, "writers", DEMO_CRASH_WRITERS);
    json_text(json, "durability", "each");
    json_u64(json, "rounds", crash->rounds);
    json_u64(json, "acknowledged", crash->acknowledged);
    json_u64(json, "recovered", crash->recovered);
    json_u64(json, "lost", crash->lost);
    json_double(json, "seconds", crash->seconds);
    json_array(json, "recovery");
    for (unsigned i = 0; i < crash->rounds; i++) {
        const struct weir_open_report *report = &crash->reports[i];
        json_object(json, NULL);
        json_double(json, "total_s", report->total_s);
        json_double(json, "lock_s", report->lock_s);
        json_double(json, "control_s", report->control_s);
        json_double(json, "scan_s", report->scan_s);
        json_double(json, "repair_s", report->repair_s);
        json_u64(json, "scanned_bytes", report->scanned_bytes);
        json_u64(json, "cut_bytes", report->cut_bytes);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

void demo_report_json(const struct demo *demo)
{
    struct json json;
    json_begin(&json, &demo->cli->out);
    place_to_json(&json, demo);
    measure_to_json(&json, demo);
    if (demo->crash.rounds > 0) {
        crash_to_json(&json, &demo->crash);
    }
    if (demo->documents.done) {
        documents_to_json(&json, demo);
    }
    if (demo->recover.recovered) {
        recover_to_json(&json, &demo->recover);
    }
    json_double(&json, "seconds", demo->seconds);
    json_bool(&json, "interrupted", demo->interrupted);
    json_end(&json);
}

/* ---- text ---- */

static void print_place(struct output *out, const struct demo *demo)
{
    output_format(out, "weir demo in %s\n", demo->directory);
    place_report_device(out, &demo->place);
    output_label(out, "machine");
    output_format(out, "%s, %u x %s\n", demo->machine.kernel, demo->machine.cpus,
                  or_unknown(demo->machine.cpu));
    place_report_medium(out, &demo->medium);
}

static void print_limits(struct output *out, const struct demo_measure *measure)
{
    output_text(out, "\nThe device by itself\n");
    output_label(out, "durable 4 KiB");
    output_count(out, measure->overwrite.per_s, 0);
    output_format(out, "/s one after the other, p50 %.0f us, p99 %.0f us\n",
                  measure->overwrite.p50_us, measure->overwrite.p99_us);
    output_label(out, "sequential");
    output_text(out, "writes ");
    output_size(out, (uint64_t)measure->writes.bytes_per_s);
    output_text(out, "/s, reads ");
    output_size(out, (uint64_t)measure->reads.bytes_per_s);
    output_text(out, "/s\n");
}

#ifdef WEIR_CLI_HAS_BENCH

static void print_run(struct output *out, unsigned writers, const struct demo_run *run)
{
    output_format(out, "  %8u ", writers);
    output_count(out, run->append.records_per_s, 13);
    output_format(out, " %9.0f %9.0f %16.3f", run->append.p50_us, run->append.p99_us,
                  run->append.flushes_per_record);
    if (part_of_ideal(run) > 0.0) {
        output_format(out, " %8.0f %%  (", 100.0 * part_of_ideal(run));
        output_count(out, run->ideal_before_per_s, 0);
        output_text(out, " before, ");
        output_count(out, run->ideal_after_per_s, 0);
        output_text(out, " after)");
    }
    output_char(out, '\n');
}

/* Others used the device: before and behind a run it did not do the same. */
static bool has_varied(const struct demo_run *run)
{
    double before = run->ideal_before_per_s;
    double after = run->ideal_after_per_s;
    return before > 0.0 && after > 0.0 && (before > 1.5 * after || after > 1.5 * before);
}

static void print_runs(struct output *out, const struct demo_measure *measure)
{
    bool varied = false;
    output_text(out, "\nAppends of 100 B, each acknowledged when it is durable\n"
                     "   writers     records/s    p50 us    p99 us   flushes/record   "
                     "of an ideal leader\n");
    for (unsigned i = 0; i < measure->runs; i++) {
        print_run(out, demo_writers[i], &measure->run[i]);
        varied = varied || has_varied(&measure->run[i]);
    }
    if (varied) {
        output_text(
            out, "  The device did not keep its pace: something else uses it, so take the numbers "
                 "with care.\n");
    }
}

#else

static void print_runs(struct output *out, const struct demo_measure *measure)
{
    (void)measure;
    output_text(out, "\nNothing was measured: this weir was built without its benchmarks.\n");
}

#endif

static void print_measure(struct output *out, const struct demo *demo)
{
    if (demo->measure.limited) {
        print_limits(out, &demo->measure);
    }
    print_runs(out, &demo->measure);
}

static void print_documents(struct output *out, const struct demo *demo)
{
    const struct demo_documents *documents = &demo->documents;
    output_text(out,
                "\nReal documents, with an index, a view and a full text that follow the log\n");
    if (documents->source[0] == '\0') {
        output_text(out, "  none: there is no dpkg-query here; name a file with --input\n");
        return;
    }
    output_label(out, "imported");
    output_count(out, (double)demo->rows.count, 0);
    output_text(out, " (");
    output_size(out, demo->rows.bytes);
    output_format(out, ") of %s, durable after %.1f ms, in all three after %.1f ms\n",
                  documents->source, documents->import_s * 1e3, documents->derived_s * 1e3);
    output_label(out, "read back");
    if (documents->different == 0) {
        output_format(out, "in %.1f ms, every byte as it was\n", documents->read_s * 1e3);
    } else {
        output_format(out, "%" PRIu64 " documents DIFFERENT\n", documents->different);
    }
    output_label(out, "view");
    output_number_of(out, documents->groups, "group");
    output_format(out, "; the largest is '%s': %" PRIu64 " rows, sum %s\n", documents->top,
                  documents->top_count, documents->top_sum);
    output_label(out, "index");
    output_format(out, "'%s': %" PRIu64 " rows in %.0f us\n", documents->top, documents->index_rows,
                  documents->index_s * 1e6);
    output_label(out, "full text");
    output_format(out, "'%s': %" PRIu64 " rows in %.0f us\n", documents->word, documents->text_rows,
                  documents->text_s * 1e6);
}

static void print_recover(struct output *out, const struct demo_recover *recover)
{
    output_label(out, "kill -9");
    output_count(out, (double)recover->told, 0);
    output_text(out, " changes acknowledged, lost ");
    output_count(out, (double)recover->lost, 0);
    output_format(out, "; back in %.1f ms: log %.1f, engine %.1f, derived %.1f\n",
                  (recover->log_s + recover->engine_s + recover->derived_s) * 1e3,
                  recover->log_s * 1e3, recover->engine_s * 1e3, recover->derived_s * 1e3);
    if (!recover->done) {
        return;
    }
    output_label(out, "from the log");
    for (size_t i = 0; i <= DEMO_SYSTEMS; i++) {
        output_format(out, "%s%s %.1f ms", i > 0 ? ", " : "", rebuilt_name(i),
                      recover->rebuilt[i].seconds * 1e3);
    }
    if (recover->unequal == 0) {
        output_text(out, ": equal fingerprints\n");
    } else {
        output_format(out, ": %u fingerprints DIFFER\n", recover->unequal);
    }
}

static void print_crash(struct output *out, const struct demo_crash *crash)
{
    output_format(out, "\nCrash: kill -9 of %d writers, %u times\n", DEMO_CRASH_WRITERS,
                  crash->rounds);
    output_label(out, "acknowledged");
    output_count(out, (double)crash->acknowledged, 0);
    output_text(out, " records, recovered ");
    output_count(out, (double)crash->recovered, 0);
    output_text(out, ", lost ");
    output_count(out, (double)crash->lost, 0);
    output_char(out, '\n');
    output_label(out, "recovery");
    for (unsigned i = 0; i < crash->rounds; i++) {
        const struct weir_open_report *report = &crash->reports[i];
        output_format(out, "%s%.1f ms (scan %.1f)", i > 0 ? ", " : "", report->total_s * 1e3,
                      report->scan_s * 1e3);
    }
    output_char(out, '\n');
    output_text(out,
                "  A kill shows that no acknowledged record needs its process. It does not show\n"
                "  power loss: the kernel and the device keep running.\n");
}

void demo_report_text(const struct demo *demo)
{
    struct output *out = &demo->cli->out;
    print_place(out, demo);
    print_measure(out, demo);
    if (demo->crash.rounds > 0) {
        print_crash(out, &demo->crash);
    }
    if (demo->documents.done || (demo->documents.source[0] == '\0' && !demo->interrupted)) {
        print_documents(out, demo);
    }
    if (demo->recover.recovered) {
        print_recover(out, &demo->recover);
    }
    output_format(out, "\n%s after %.1f s%s%s\n", demo->interrupted ? "Interrupted" : "Done",
                  demo->seconds, demo->options->keep ? "; the logs are in " : "",
                  demo->options->keep ? demo->directory : "");
}
