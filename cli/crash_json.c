/*
 * The report of a crash run as one JSON object. The first five members are a contract.
 */
#include "cli/crash.h"

#include "cli/json.h"

#include <stdio.h>

static void findings_to_json(struct json *json, const struct crash_round *round)
{
    json_array(json, "findings");
    for (unsigned i = 0; i < round->verdict.findings; i++) {
        const struct crash_finding *finding = &round->verdict.finding[i];
        json_object(json, NULL);
        json_text(json, "fault", crash_fault_name(finding->fault));
        json_u64(json, "from_lsn", finding->from_lsn);
        json_u64(json, "to_lsn", finding->to_lsn);
        json_text(json, "text", crash_fault_text(finding->fault));
        json_object_end(json);
    }
    json_array_end(json);
}

static void moment_to_json(struct json *json, const struct crash *crash,
                           const struct crash_round *round)
{
    const struct crash_moment *moment = &round->moment;
    json_object(json, "moment");
    if (moment->acknowledged > 0) {
        json_u64(json, "acknowledged", moment->acknowledged);
    } else {
        json_double(json, "time_s", (double)moment->time_ns / 1e9);
    }
    json_bool(json, "roll", moment->roll);
    if (crash->power != NULL) {
        json_u64(json, "calls", moment->calls);
        json_double(json, "keep", moment->keep);
    } else {
        json_double(json, "delay_s", (double)moment->delay_ns / 1e9);
    }
    json_object_end(json);
}

static void verify_to_json(struct json *json, const struct crash_round *round)
{
    json_object(json, "verify");
    json_bool(json, "ok", round->verify.ok);
    json_u64(json, "records", round->verify.records);
    json_u64(json, "bytes", round->verify.scanned_bytes);
    json_double(json, "seconds", round->verify.seconds);
    json_double(json, "bytes_per_s", crash_verify_bytes_per_s(round, NULL));
    json_object_end(json);
}

static void engine_open_to_json(struct json *json, const char *name,
                                const struct weir_engine_open_report *report)
{
    json_object(json, name);
    json_bool(json, "from_checkpoint", report->from_checkpoint);
    json_u64(json, "checkpoint_lsn", report->checkpoint_lsn);
    json_u64(json, "replayed_records", report->replayed_records);
    json_u64(json, "replayed_bytes", report->replayed_bytes);
    json_u64(json, "threads", report->threads);
    for (const struct crash_engine_phase *phase = crash_engine_phases; phase->name != NULL;
         phase++) {
        json_double(json, phase->json, crash_engine_seconds(phase, report));
    }
    json_object_end(json);
}

static void engine_to_json(struct json *json, const struct crash_engine *engine)
{
    char hex[2 * sizeof engine->fingerprint + 1];
    for (size_t i = 0; i < sizeof engine->fingerprint; i++) {
        snprintf(hex + 2 * i, 3, "%02x", engine->fingerprint[i]);
    }
    json_object(json, "engine");
    json_u64(json, "keys", engine->keys);
    json_u64(json, "versions", engine->versions);
    json_text(json, "fingerprint", hex);
    json_bool(json, "same_without_checkpoint", engine->same);
    engine_open_to_json(json, "open", &engine->opened);
    engine_open_to_json(json, "rebuild", &engine->rebuilt);
    json_object_end(json);
}

static void round_to_json(struct json *json, const struct crash *crash,
                          const struct crash_round *round)
{
    const struct weir_open_report *report = &round->report;
    json_object(json, NULL);
    json_u64(json, "round", round->number + 1);
    moment_to_json(json, crash, round);
    json_bool(json, "rolled", round->rolled);
    json_u64(json, "log_bytes", round->log_bytes);
    json_u64(json, "acknowledged", round->verdict.acknowledged);
    json_u64(json, "recovered", round->verdict.recovered);
    json_u64(json, "lost", round->verdict.lost);
    json_u64(json, "wrong", round->verdict.wrong);
    findings_to_json(json, round);
    json_u64(json, "cut_bytes", report->cut_bytes);
    json_u64(json, "cut_groups", report->cut_groups);
    json_u64(json, "cut_records", report->cut_records);
    for (const struct crash_phase *phase = crash_phases; phase->name != NULL; phase++) {
        json_double(json, phase->json, crash_phase_seconds(phase, report));
    }
    json_u64(json, "scanned_bytes", report->scanned_bytes);
    json_u64(json, "scanned_records", report->scanned_records);
    json_u64(json, "scanned_segments", report->scanned_segments);
    json_double(json, "scan_records_per_s", crash_scan_records_per_s(round, NULL));
    json_double(json, "scan_bytes_per_s", crash_scan_bytes_per_s(round, NULL));
    verify_to_json(json, round);
    if (crash->options->engine) {
        engine_to_json(json, &round->engine);
    }
    json_object_end(json);
}

static void growth_to_json(struct json *json, const char *name, struct crash_growth growth)
{
    json_object(json, name);
    json_double(json, "s_per_gib", growth.per_gib);
    json_double(json, "standard_error", growth.error);
    json_object_end(json);
}

static void summary_to_json(struct json *json, const struct crash *crash)
{
    const struct crash_phase *total = crash_phases;
    json_object(json, "median");
    for (const struct crash_phase *phase = crash_phases; phase->name != NULL; phase++) {
        json_double(json, phase->json, crash_median(crash, crash_phase_value, phase));
        total = phase;
    }
    json_double(json, "verify_s", crash_median(crash, crash_verify_seconds, NULL));
    json_object_end(json);
    json_object(json, "growth");
    growth_to_json(json, "open", crash_growth(crash, crash_phase_value, total));
    growth_to_json(json, "verify", crash_growth(crash, crash_verify_seconds, NULL));
    json_object_end(json);
}

static void place_to_json(struct json *json, const struct crash *crash)
{
    bool simulated = crash->power != NULL;
    const struct weir_medium_info *info = &crash->rounds[0].report.medium;
    json_text(json, "medium", crash_medium_name(crash));
    json_bool(json, "simulated", simulated);
    if (crash->complete > 0) {
        json_text(json, "io", simulated ? "none" : info->io);
        json_bool(json, "durable_medium", info->durable);
        json_bool(json, "emulated", info->emulated);
        json_text(json, "reason", info->reason);
    }
    if (!simulated) {
        json_text(json, "directory", crash->options->directory);
        json_text(json, "device", crash->place.device);
        json_text(json, "model", crash->place.model);
        json_text(json, "file_system", crash->place.file_system);
        json_text(json, "write_cache", crash->place.write_cache);
        json_text(json, "cache", crash->options->cold ? "cold" : "warm");
    }
    json_text(json, "kernel", crash->machine.kernel);
    json_text(json, "cpu", crash->machine.cpu);
    json_u64(json, "cpus", crash->machine.cpus);
    json_text(json, "build", crash->build);
}

void crash_report_json(const struct crash *crash)
{
    struct crash_sums sums = crash_sum(crash);
    struct json json;
    json_begin(&json, &crash->cli->out);
    json_u64(&json, "rounds", crash->complete);
    json_u64(&json, "acknowledged", sums.acknowledged);
    json_u64(&json, "recovered", sums.recovered);
    json_u64(&json, "lost", sums.lost);
    json_double(&json, "seconds", crash->seconds);
    json_u64(&json, "wrong", sums.wrong);
    json_text(&json, "how", crash->power != NULL ? "power" : "kill");
    json_bool(&json, "engine", crash->options->engine);
    json_u64(&json, "writers", crash->writers);
    json_text(&json, "durability", crash_durability_name(crash));
    json_u64(&json, "size_min", crash->sizes.min);
    json_u64(&json, "size_max", crash->sizes.max);
    json_u64(&json, "seed", crash->seed);
    json_u64(&json, "records_limit", CRASH_RECORDS_MAX);
    place_to_json(&json, crash);
    if (crash->complete > 0) {
        summary_to_json(&json, crash);
    }
    json_array(&json, "round");
    for (unsigned i = 0; i < crash->complete; i++) {
        round_to_json(&json, crash, &crash->rounds[i]);
    }
    json_array_end(&json);
    if (crash->options->keep && crash->directory[0] != '\0') {
        json_text(&json, "log", crash->path);
    }
    json_bool(&json, "full", crash->full);
    json_bool(&json, "interrupted", crash->interrupted);
    json_end(&json);
}
