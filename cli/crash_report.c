/*
 * The report of a crash run for people: where it ran, what came back, how long that took, and how
 * it grows with the log.
 */
#include "cli/crash.h"

#include "cli/place_report.h"

#include <inttypes.h>
#include <math.h>

#define MIB ((double)((uint64_t)1 << 20))
#define MS_PER_S 1e3

/* ---- where ---- */

static void print_device(struct output *out, const struct crash *crash)
{
    if (crash->power == NULL) {
        place_report_device(out, &crash->place);
        return;
    }
    output_label(out, "device");
    output_text(out, "none: simulated in memory. Times are the CPU's work, not a device's\n");
}

static void print_medium(struct output *out, const struct crash *crash)
{
    if (crash->power == NULL && crash->complete > 0) {
        place_report_medium(out, &crash->rounds[0].report.medium);
        return;
    }
    output_label(out, "medium");
    output_format(out, "%s\n", crash_medium_name(crash));
}

static void print_load(struct output *out, const struct crash *crash)
{
    output_label(out, "load");
    output_number_of(out, crash->writers, "writer");
    output_format(out, ", durability %s, records of ", crash_durability_name(crash));
    if (crash->sizes.min == crash->sizes.max) {
        output_format(out, "%" PRIu32 " bytes", crash->sizes.min);
    } else {
        output_format(out, "%" PRIu32 " to %" PRIu32 " bytes", crash->sizes.min, crash->sizes.max);
    }
    output_format(out, ", seed %" PRIu64 "\n", crash->seed);
}

static void print_place(struct output *out, const struct crash *crash)
{
    output_format(out, "weir crash: %s\n",
                  crash->power != NULL ? "power cuts, simulated" : "kill -9");
    print_device(out, crash);
    output_label(out, "machine");
    output_format(out, "%s, %u x %s, build %s\n", crash->machine.kernel, crash->machine.cpus,
                  or_unknown(crash->machine.cpu), crash->build);
    print_medium(out, crash);
    print_load(out, crash);
    if (crash->power == NULL) {
        output_label(out, "page cache");
        output_text(out, crash->options->cold ? "cold: the log's files are dropped from it first\n"
                                              : "warm: as the killed writer left it\n");
    }
}

/* ---- what came back ---- */

static const char *moment_name(const struct crash_round *round)
{
    if (round->rolled) {
        return "new file";
    }
    return round->moment.acknowledged > 0 ? "record" : "time";
}

static void print_what_came_back(struct output *out, const struct crash *crash)
{
    output_text(out, "\nWhat came back\n"
                     "  round  at            log MiB  acknowledged    recovered  lost"
                     "    cut: bytes  groups  records\n");
    for (unsigned i = 0; i < crash->complete; i++) {
        const struct crash_round *round = &crash->rounds[i];
        output_format(out, "  %5u  %-8s  %11.1f ", round->number + 1, moment_name(round),
                      (double)round->log_bytes / MIB);
        output_count(out, (double)round->verdict.acknowledged, 13);
        output_count(out, (double)round->verdict.recovered, 13);
        output_format(out, " %5" PRIu64, round->verdict.lost);
        output_count(out, (double)round->report.cut_bytes, 14);
        output_count(out, (double)round->report.cut_groups, 8);
        output_count(out, (double)round->report.cut_records, 9);
        output_char(out, '\n');
    }
}

static void print_findings(struct output *out, const struct crash_round *round)
{
    for (unsigned i = 0; i < round->verdict.findings; i++) {
        const struct crash_finding *finding = &round->verdict.finding[i];
        output_format(out, "  round %u: LSN %" PRIu64, round->number + 1, finding->from_lsn);
        if (finding->to_lsn != finding->from_lsn) {
            output_format(out, " to %" PRIu64 ", each", finding->to_lsn);
        }
        output_format(out, " %s\n", crash_fault_text(finding->fault));
    }
    if (!round->verify.ok) {
        output_format(out, "  round %u: weir verify finds damage: %s\n", round->number + 1,
                      round->finding);
    }
}

static void print_verdict(struct output *out, const struct crash *crash)
{
    struct crash_sums sums = crash_sum(crash);
    output_text(out, "\n");
    output_count(out, (double)sums.acknowledged, 0);
    output_text(out, " records were acknowledged, ");
    output_count(out, (double)sums.lost, 0);
    output_text(out, " of them lost");
    if (crash_is_well(crash)) {
        output_text(out, "; nothing is in the log that was not appended, or out of order\n");
        return;
    }
    output_text(out, ". THE LOG HAS BROKEN ITS PROMISE:\n");
    for (unsigned i = 0; i < crash->complete; i++) {
        print_findings(out, &crash->rounds[i]);
    }
    output_format(out,
                  "Run again with --seed %" PRIu64 " --keep to look at the log, and report it\n",
                  crash->seed);
}

/* ---- how long it took ---- */

static void print_times(struct output *out, double log_mib, double scanned_mib,
                        const double *phases, unsigned count, const double rates[4])
{
    output_format(out, " %9.1f", log_mib);
    for (unsigned i = 0; i < count; i++) {
        output_format(out, " %7.2f", phases[i] * MS_PER_S);
    }
    output_format(out, " %8.1f", scanned_mib);
    output_count(out, rates[0], 13);
    output_format(out, " %7.0f %9.2f %7.0f\n", rates[1] / MIB, rates[2] * MS_PER_S, rates[3] / MIB);
}

#define PHASES_MAX 16u

static unsigned phase_count(void)
{
    unsigned count = 0;
    while (crash_phases[count].name != NULL) {
        count++;
    }
    return count;
}

static double log_mib(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return (double)round->log_bytes / MIB;
}

static double scanned_mib(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return (double)round->report.scanned_bytes / MIB;
}

static void print_round_times(struct output *out, const struct crash_round *round)
{
    double phases[PHASES_MAX];
    unsigned count = phase_count();
    for (unsigned i = 0; i < count; i++) {
        phases[i] = crash_phase_seconds(&crash_phases[i], &round->report);
    }
    double rates[4] = {crash_scan_records_per_s(round, NULL), crash_scan_bytes_per_s(round, NULL),
                       crash_verify_seconds(round, NULL), crash_verify_bytes_per_s(round, NULL)};
    output_format(out, "  %6u", round->number + 1);
    print_times(out, log_mib(round, NULL), scanned_mib(round, NULL), phases, count, rates);
}

static void print_medians(struct output *out, const struct crash *crash)
{
    double phases[PHASES_MAX];
    unsigned count = phase_count();
    for (unsigned i = 0; i < count; i++) {
        phases[i] = crash_median(crash, crash_phase_value, &crash_phases[i]);
    }
    double rates[4] = {crash_median(crash, crash_scan_records_per_s, NULL),
                       crash_median(crash, crash_scan_bytes_per_s, NULL),
                       crash_median(crash, crash_verify_seconds, NULL),
                       crash_median(crash, crash_verify_bytes_per_s, NULL)};
    output_text(out, "  median");
    print_times(out, crash_median(crash, log_mib, NULL), crash_median(crash, scanned_mib, NULL),
                phases, count, rates);
}

static void print_how_long(struct output *out, const struct crash *crash)
{
    output_text(out, "\nHow long it took: opening by phase, in ms, and reading the whole log\n"
                     "   round   log MiB");
    for (unsigned i = 0; i < phase_count(); i++) {
        output_format(out, " %7s", crash_phases[i].name);
    }
    output_text(out, " read MiB    records/s   MiB/s  whole ms   MiB/s\n");
    for (unsigned i = 0; i < crash->complete; i++) {
        print_round_times(out, &crash->rounds[i]);
    }
    print_medians(out, crash);
}

/* ---- the engine ---- */

static void print_engine_times(struct output *out, const struct weir_engine_open_report *report)
{
    output_format(out, " %-10s", report->from_checkpoint ? "checkpoint" : "log");
    for (const struct crash_engine_phase *phase = crash_engine_phases; phase->name != NULL;
         phase++) {
        output_format(out, " %7.2f", crash_engine_seconds(phase, report) * MS_PER_S);
    }
    output_count(out, (double)report->replayed_records, 10);
}

static void print_engine(struct output *out, const struct crash *crash)
{
    output_text(out, "\nThe engine: opening it by phase, in ms; and again from the log alone\n"
                     "   round      keys  versions from      ");
    for (const struct crash_engine_phase *phase = crash_engine_phases; phase->name != NULL;
         phase++) {
        output_format(out, " %7s", phase->name);
    }
    output_text(out, "  replayed  rebuild ms  state\n");
    for (unsigned i = 0; i < crash->complete; i++) {
        const struct crash_engine *engine = &crash->rounds[i].engine;
        output_format(out, "  %6u", crash->rounds[i].number + 1);
        output_count(out, (double)engine->keys, 10);
        output_count(out, (double)engine->versions, 10);
        print_engine_times(out, &engine->opened);
        output_format(out, " %11.2f  %s\n", engine->rebuilt.total_s * MS_PER_S,
                      engine->same ? "the same" : "DIFFERENT");
    }
}

/* ---- how it grows ---- */

static void print_growth(struct output *out, const struct crash *crash, const char *label,
                         crash_value_fn value, const void *context)
{
    const struct crash_round *first = &crash->rounds[0];
    const struct crash_round *last = &crash->rounds[crash->complete - 1];
    struct crash_growth growth = crash_growth(crash, value, context);
    output_label(out, label);
    output_format(out, "%.2f ms with %.1f MiB, %.2f ms with %.1f MiB",
                  value(first, context) * MS_PER_S, log_mib(first, NULL),
                  value(last, context) * MS_PER_S, log_mib(last, NULL));
    if (crash_growth_is_told(&growth)) {
        output_format(out, ": %+.0f ms (+-%.0f) for each GiB more", growth.per_gib * MS_PER_S,
                      growth.error * MS_PER_S);
    } else if (isfinite(growth.error)) { /* a line through two rounds says nothing */
        output_format(out, ": no growth seen (+-%.0f ms for each GiB more)",
                      growth.error * MS_PER_S);
    }
    output_char(out, '\n');
}

static void print_growths(struct output *out, const struct crash *crash)
{
    const struct crash_round *last = &crash->rounds[crash->complete - 1];
    output_text(out, "\nHow it grows\n");
    if (crash->complete > 1) {
        print_growth(out, crash, "opening", crash_phase_value, &crash_phases[phase_count() - 1]);
        print_growth(out, crash, "the whole log", crash_verify_seconds, NULL);
    }
    output_format(
        out,
        "  Opening reads the newest segments and what lies behind the end: %.1f MiB in the "
        "last round",
        scanned_mib(last, NULL));
    output_text(out, last->report.scanned_bytes < last->log_bytes
                         ? "\n"
                         : ",\n  which is all of this log: more rounds or a smaller "
                           "--segment-size show where it levels off\n");
}

void crash_report_text(const struct crash *crash)
{
    struct output *out = &crash->cli->out;
    print_place(out, crash);
    if (crash->complete > 0) {
        print_what_came_back(out, crash);
        print_verdict(out, crash);
        print_how_long(out, crash);
        if (crash->options->engine) {
            print_engine(out, crash);
        }
        print_growths(out, crash);
    }
    if (crash->full) {
        output_format(out,
                      "\nEnded early: the referee follows at most %" PRIu64 " records, 8 bytes "
                      "of memory each\n",
                      CRASH_RECORDS_MAX);
    }
    output_format(out, "\n%s after %.1f s, %u of %u rounds",
                  crash->interrupted ? "Interrupted" : "Done", crash->seconds, crash->complete,
                  crash->rounds_wanted);
    if (crash->options->keep && crash->directory[0] != '\0') {
        output_format(out, "; the log is %s", crash->path);
    }
    output_char(out, '\n');
}
