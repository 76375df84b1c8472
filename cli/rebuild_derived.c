/*
 * A derived system, thrown away and built again from the log.
 *
 * 1. Its definition says what it is; it is attached as the one that saves.
 * 2. The host resets it and replays, with progress; state and position are saved together.
 *
 * Failures: a system that another process drives is refused: two cannot save it. A rebuild that
 * is interrupted leaves no state: the next query builds it.
 */
#include "cli/rebuild_derived.h"

#include "cli/derived.h"
#include "cli/errors.h"
#include "cli/json.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>

static void print_rebuilt(struct cli *cli, const struct derived *derived,
                          const struct weir_rebuild_report *report)
{
    const char *kind = definition_kind_name(derived->definition.kind);
    uint8_t fingerprint[16];
    char hex[33];
    struct base_text text;
    derived_ops(derived)->fingerprint(derived_self(derived), fingerprint);
    base_text_init(&text, hex, sizeof hex);
    base_text_append_hex(&text, fingerprint, sizeof fingerprint);
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", derived->definition.name);
        json_text(&json, "kind", kind);
        json_u64(&json, "lsn", report->position);
        json_u64(&json, "events", report->events);
        json_text(&json, "fingerprint", hex);
        json_double(&json, "seconds", report->seconds);
        json_end(&json);
        return;
    }
    double seconds = report->seconds > 0 ? report->seconds : 1e-9;
    struct output *out = &cli->out;
    output_format(out, "%s: the %s %s was rebuilt from the log\n", cli->path, kind,
                  derived->definition.name);
    output_label(out, "replayed");
    output_number_of(out, report->events, "event");
    output_format(out, ", as of LSN %" PRIu64 ", in %.3f s: ", report->position, report->seconds);
    output_count(out, (double)report->events / seconds, 0);
    output_text(out, " events/s\n");
    output_label(out, "fingerprint");
    output_format(out, "%s\n", hex);
}

static int rebuild(struct pipeline *pipeline, struct derived *derived)
{
    static char what[] = "rebuilding";
    struct cli *cli = pipeline->engine.cli;
    const char *name = derived->definition.name;
    struct weir_rebuild_report report = WEIR_REBUILD_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = derived_attach(pipeline->host, pipeline->engine.log, derived, false, &why);
    if (rc < 0 && rc != WEIR_E_POSITION_LOST) { /* that one is what a rebuild is for */
        return cli_fail(cli, rc, &why, "cannot rebuild %s", name);
    }
    rc = weir_host_rebuild(pipeline->host, name, engine_progress, what, &report, &why);
    progress_clear();
    if (rc == -ECANCELED) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted while %s was rebuilt", name);
    }
    if (rc < 0) {
        return pipeline_fail(pipeline, name, rc, &why, "rebuild");
    }
    print_rebuilt(cli, derived, &report);
    return CLI_OK;
}

int rebuild_derived(struct cli *cli, const struct cli_common *common, const char *name)
{
    struct pipeline pipeline;
    struct derived derived = {0};
    struct definition definition;
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = pipeline_open(&pipeline, cli, common);
    if (exit_code < 0) {
        int rc = definition_load(pipeline.engine.log, name, &definition, &why);
        exit_code = rc < 0 ? pipeline_no_definition(&pipeline, name, NULL, rc, &why)
                           : pipeline_load(&pipeline, name, definition.kind, &derived);
    }
    if (exit_code < 0) {
        exit_code = rebuild(&pipeline, &derived);
    }
    return pipeline_close(&pipeline, &derived, exit_code);
}
