/*
 * Verifying what is derived.
 *
 * 1. The log, its engine and a host are opened; every definition is gone through.
 * 2. The system is loaded as it was saved and brought up to date, without saving.
 * 3. A second one of the same definition is built from the log alone; fingerprints are compared,
 *    and where they differ, entries.
 *
 * Failures: a system that cannot be looked at (parked, its definition damaged, its table not there)
 * counts as one that differs, with the reason; the others go on.
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

/* Brings the live one up to date, builds a fresh one, compares. 0 or a negative error. */
static int compare(struct pipeline *pipeline, struct derived *live, struct derived *fresh,
                   struct verify_system *system, struct weir_error *why)
{
    const char *name = live->definition.name;
    struct weir_delivered delivered = {0};
    /* Unsaved: what is there stays as it is. */
    int rc = derived_attach(pipeline->host, pipeline->engine.log, live, true, why);
    if (rc < 0) {
        return rc;
    }
    rc = weir_host_flush(pipeline->host, &delivered, 1);
    if (rc >= 0 && delivered.parked != 0) {
        struct weir_system_status status;
        rc = WEIR_E_PARKED;
        if (pipeline_status(pipeline, name, &status) < 0) {
            snprintf(why->text, sizeof why->text, "it is parked at LSN %" PRIu64 ": %s",
                     status.parked_lsn, status.reason);
        }
    }
    if (rc >= 0) {
        progress_show("building %s once more ...", name);
        rc = weir_host_verify(pipeline->host, name, derived_self(fresh), keep_difference, system,
                              &system->report, why);
        progress_clear();
    }
    return rc;
}

/* Returns -1 to go on, also when it could not be looked at: the other systems can. */
static int verify_one(struct pipeline *pipeline, const struct definition *definition,
                      struct verify_system *system)
{
    struct derived live = {0}, fresh = {0};
    struct weir_error why = WEIR_ERROR_INIT;
    strcpy(system->name, definition->name);
    system->kind = definition->kind;
    system->report = (struct weir_host_verify_report)WEIR_HOST_VERIFY_REPORT_INIT;
    if (definition->unreadable) {
        snprintf(system->error, sizeof system->error,
                 "its definition is damaged: drop it, and "
                 "create it again");
        return -1;
    }
    int rc = derived_make(pipeline->engine.engine, definition, &live, &why);
    rc = rc < 0 ? rc : derived_make(pipeline->engine.engine, definition, &fresh, &why);
    rc = rc < 0 ? rc : compare(pipeline, &live, &fresh, system, &why);
    (void)weir_host_detach(pipeline->host, definition->name); /* it may not have come so far */
    derived_free(&live);
    derived_free(&fresh);
    if (rc < 0) {
        snprintf(system->error, sizeof system->error, "%.200s",
                 why.text[0] != '\0' ? why.text : weir_error_text(rc));
    }
    return signals_interrupted() ? CLI_INTERRUPTED : -1;
}

static bool is_equal(const struct verify_system *system)
{
    return system->error[0] == '\0' && system->report.equal;
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
        derived->differing += exit_code < 0 && !is_equal(system);
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
        json_bool(json, "equal", is_equal(system));
        if (system->error[0] != '\0') {
            json_text(json, "problem", system->error);
        } else {
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
        if (system->error[0] != '\0') {
            output_format(out, "%s cannot be compared: %s\n", system->name, system->error);
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
