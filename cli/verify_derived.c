/*
 * Verifying what is derived.
 *
 * 1. The log, its engine and a host are opened; every definition is gone through.
 * 2. The system is loaded as it was saved and brought up to date, without saving.
 * 3. A second one of the same definition is built from the log alone; fingerprints are compared,
 *    and where they differ, entries.
 *
 * Failures: a system that is parked cannot be compared: exit 3 with the reason. A definition that
 * is damaged is a difference of its own.
 */
#include "cli/verify_derived.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *kind_text(enum weir_difference_kind kind)
{
    return kind == WEIR_DIFFERENCE_MISSING ? "missing"
           : kind == WEIR_DIFFERENCE_EXTRA ? "extra"
                                           : "different";
}

static void copy_text(char *target, size_t size, struct weir_bytes bytes)
{
    const uint8_t *data = bytes.data;
    size_t used = 0;
    for (size_t i = 0; i < bytes.size && used + 8 < size; i++) {
        bool plain = data[i] >= 0x20 && data[i] < 0x7f;
        used += (size_t)(plain ? snprintf(target + used, size - used, "%c", data[i])
                               : snprintf(target + used, size - used, "\\x%02x", data[i]));
    }
    if (used + 8 >= size) {
        used += (size_t)snprintf(target + used, size - used, "...");
    }
    target[used] = '\0';
}

static int keep_difference(void *context, const struct weir_difference *difference)
{
    struct verify_system *system = context;
    if (system->named < VERIFY_DIFFERENCES_MAX) {
        struct verify_difference *kept = &system->differences[system->named++];
        kept->kind = difference->kind;
        kept->lsn = difference->lsn;
        copy_text(kept->text, sizeof kept->text, difference->text);
    }
    return 0;
}

static int compare(struct pipeline *pipeline, const struct definition *definition,
                   struct verify_system *system)
{
    struct derived fresh = {0};
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = derived_make(pipeline->engine.engine, definition, &fresh, &why);
    if (rc == 0) {
        progress_show("building %s once more ...", definition->name);
        rc = weir_host_verify(pipeline->host, definition->name, derived_self(&fresh),
                              keep_difference, system, &system->report, &why);
        progress_clear();
    }
    derived_free(&fresh);
    if (rc == 0) {
        rc = weir_host_detach(pipeline->host, definition->name);
    }
    return rc < 0                  ? pipeline_fail(pipeline, definition->name, rc, &why, "verify")
           : signals_interrupted() ? CLI_INTERRUPTED
                                   : -1;
}

static int verify_one(struct pipeline *pipeline, const struct definition *definition,
                      struct verify_system *system)
{
    struct derived live = {0};
    struct cli *cli = pipeline->engine.cli;
    struct weir_error why = WEIR_ERROR_INIT;
    strcpy(system->name, definition->name);
    system->kind = definition->kind;
    system->unreadable = definition->unreadable;
    system->report = (struct weir_host_verify_report)WEIR_HOST_VERIFY_REPORT_INIT;
    if (definition->unreadable) {
        return -1;
    }
    int rc = derived_make(pipeline->engine.engine, definition, &live, &why);
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot make %s", definition->name);
    }
    int exit_code = pipeline_attach_unsaved(pipeline, &live);
    if (exit_code < 0) {
        exit_code = compare(pipeline, definition, system);
    }
    if (exit_code >= 0) { /* the host may still have it: it goes first */
        (void)weir_host_detach(pipeline->host, definition->name);
    }
    derived_free(&live);
    return exit_code;
}

static int verify_each(struct pipeline *pipeline, struct verify_derived *derived)
{
    struct definition *definitions;
    size_t count;
    struct cli *cli = pipeline->engine.cli;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = definition_list(pipeline->engine.log, &definitions, &count, &why);
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot list the derived systems of %s", cli->path);
    }
    int exit_code = -1;
    derived->systems = base_alloc_array(count > 0 ? count : 1, sizeof *derived->systems);
    if (derived->systems == NULL) {
        exit_code = cli_fail(cli, -ENOMEM, NULL, "cannot verify %s", cli->path);
    }
    for (size_t i = 0; i < count && exit_code < 0; i++) {
        struct verify_system *system = &derived->systems[derived->count];
        exit_code = verify_one(pipeline, &definitions[i], system);
        derived->count += exit_code < 0;
        derived->differing += exit_code < 0 && (system->unreadable || !system->report.equal);
    }
    base_free(definitions);
    return exit_code;
}

int verify_derived(struct cli *cli, const struct cli_common *common,
                   struct verify_derived *ret_derived)
{
    struct pipeline pipeline;
    *ret_derived = (struct verify_derived){0};
    int exit_code = pipeline_open(&pipeline, cli, common);
    if (exit_code < 0) {
        exit_code = verify_each(&pipeline, ret_derived);
    }
    int closed = pipeline_close(&pipeline, NULL, exit_code < 0 ? CLI_OK : exit_code);
    return exit_code < 0 && closed == CLI_OK ? -1 : closed;
}

void verify_derived_free(struct verify_derived *derived)
{
    base_free(derived->systems);
    *derived = (struct verify_derived){0};
}

/* ---- showing ---- */

static void hex_of(const uint8_t fingerprint[16], char text[33])
{
    struct base_text hex;
    base_text_init(&hex, text, 33);
    base_text_append_hex(&hex, fingerprint, 16);
}

void verify_derived_to_json(struct json *json, const struct verify_derived *derived)
{
    char fingerprint[33];
    json_array(json, "derived");
    for (size_t i = 0; i < derived->count; i++) {
        const struct verify_system *system = &derived->systems[i];
        json_object(json, NULL);
        json_text(json, "name", system->name);
        json_bool(json, "equal", !system->unreadable && system->report.equal);
        if (!system->unreadable) {
            json_text(json, "kind", definition_kind_name(system->kind));
            hex_of(system->report.live, fingerprint);
            json_text(json, "fingerprint", fingerprint);
            hex_of(system->report.rebuilt, fingerprint);
            json_text(json, "rebuilt", fingerprint);
            json_u64(json, "lsn", system->report.position);
            json_u64(json, "events", system->report.events);
            json_double(json, "seconds", system->report.seconds);
            json_u64(json, "differing", system->report.differing);
            json_array(json, "differences");
            for (uint32_t at = 0; at < system->named; at++) {
                json_object(json, NULL);
                json_text(json, "kind", kind_text(system->differences[at].kind));
                json_text(json, "entry", system->differences[at].text);
                json_u64(json, "lsn", system->differences[at].lsn);
                json_object_end(json);
            }
            json_array_end(json);
        }
        json_object_end(json);
    }
    json_array_end(json);
}

void verify_derived_print(struct cli *cli, const struct verify_derived *derived)
{
    struct output *out = &cli->out;
    char fingerprint[33];
    for (size_t i = 0; i < derived->count; i++) {
        const struct verify_system *system = &derived->systems[i];
        output_label(out, "derived");
        if (system->unreadable) {
            output_format(out, "%s: its definition is damaged; drop it, and create it again\n",
                          system->name);
            continue;
        }
        hex_of(system->report.live, fingerprint);
        output_format(out, "%s %s: ", definition_kind_name(system->kind), system->name);
        output_text(out, system->report.equal ? "equal to what the log gives" : "DIFFERS");
        output_format(out, " (%s, ", fingerprint);
        output_number_of(out, system->report.events, "event");
        output_format(out, ", %.3f s)\n", system->report.seconds);
        for (uint32_t at = 0; at < system->named; at++) {
            output_format(out, "      %-10s %s", kind_text(system->differences[at].kind),
                          system->differences[at].text);
            if (system->differences[at].lsn != WEIR_LSN_NONE) {
                output_format(out, "  (last touched by LSN %" PRIu64 ")",
                              system->differences[at].lsn);
            }
            output_char(out, '\n');
        }
        if (!system->report.equal) {
            output_format(out,
                          "      %" PRIu64 " entries differ; `weir rebuild %s %s` makes it "
                          "again\n",
                          system->report.differing, cli->path, system->name);
        }
    }
}
