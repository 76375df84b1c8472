/*
 * From a definition to a system that is up to date.
 *
 * 1. pipeline_open(): the log read-only, its engine, a host.
 * 2. pipeline_load(): the definition says what to make.
 * 3. pipeline_catch_up(): the saved state is loaded and what is missing applied. Only when that is
 *    much, or the state could not be used, is the system attached as the one that saves: queries
 *    then cost a lock and a write, and no two processes build the same thing.
 *
 * Failures: no definition of that name, or one of another kind, is exit 3 with what there is. A
 * state that cannot be used is no failure: it is built again, and that is said on standard error. A
 * parked system is a failure: what it has would be older than it says.
 */
#include "cli/derived.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <weir/consumer.h>
#include <weir/index.h>
#include <weir/text.h>
#include <weir/view.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SAVE_LAG_BYTES ((uint64_t)16 << 20)
#define WAIT_SLICE_NS (100 * BASE_NS_PER_MS)

/* ---- one system ---- */

static int make_self(const struct definition *definition, struct derived *derived)
{
    if (definition->kind == DEFINITION_INDEX) {
        struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
        options.fields = definition->field_count;
        options.extract = fields_extract;
        options.extract_context = derived->fields;
        return weir_index_create(&options, &derived->index);
    }
    if (definition->kind == DEFINITION_VIEW) {
        struct weir_view_options options = WEIR_VIEW_OPTIONS_INIT;
        options.aggregates = definition->aggregates;
        options.extract = fields_extract;
        options.extract_context = derived->fields;
        return weir_view_create(&options, &derived->view);
    }
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    options.stemmer = definition->stemmer[0] != '\0' ? definition->stemmer : NULL;
    options.extract = fields_extract;
    options.extract_context = derived->fields;
    return weir_text_create(&options, &derived->text);
}

int derived_make(struct weir_engine *engine, const struct definition *definition,
                 struct derived *ret_derived, struct weir_error *why)
{
    struct derived derived = {.definition = *definition};
    int rc = weir_table_open(engine, definition->table, false, &derived.table);
    if (rc < 0) {
        snprintf(why->text, sizeof why->text, "there is no table '%s'", definition->table);
        return rc;
    }
    rc = fields_create(definition, &derived.fields);
    if (rc == -EINVAL) {
        snprintf(why->text, sizeof why->text,
                 "a field is a path such as section or maintainer.name, of up to 16 names, none of "
                 "them empty");
    }
    if (rc == 0) {
        rc = make_self(definition, &derived);
        if (rc == -EINVAL && definition->kind == DEFINITION_TEXT) {
            snprintf(why->text, sizeof why->text, "there is no stemmer for '%s'",
                     definition->stemmer);
        }
    }
    if (rc < 0) {
        derived_free(&derived);
        return rc;
    }
    derived.ops = derived.index != NULL  ? *weir_index_ops()
                  : derived.view != NULL ? *weir_view_ops()
                                         : *weir_text_ops();
    derived.ops.version = definition_digest(definition, derived.ops.version);
    *ret_derived = derived;
    return 0;
}

void derived_free(struct derived *derived)
{
    weir_index_free(derived->index);
    weir_view_free(derived->view);
    weir_text_free(derived->text);
    fields_free(derived->fields);
    *derived = (struct derived){0};
}

const struct weir_system_ops *derived_ops(const struct derived *derived)
{
    return &derived->ops;
}

void *derived_self(const struct derived *derived)
{
    return derived->index != NULL  ? (void *)derived->index
           : derived->view != NULL ? (void *)derived->view
                                   : (void *)derived->text;
}

/* Whoever is attached has the name's lock, which a creation and a drop take, too: what is there now
 * stays. 1; 0 (it is another definition, or a damaged one); -ENOENT. */
static int is_defined(struct weir_log *log, const struct derived *derived)
{
    const struct definition *definition = &derived->definition;
    struct definition now;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = definition_load(log, definition->name, &now, &why);
    if (rc < 0) {
        return rc == -ENOENT ? rc : 0;
    }
    return now.kind == definition->kind &&
           definition_digest(&now, 0) == definition_digest(definition, 0);
}

int derived_attach(struct weir_host *host, struct weir_log *log, const struct derived *derived,
                   bool unsaved, struct weir_error *why)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = derived->definition.name;
    system.ops = derived_ops(derived);
    system.self = derived_self(derived);
    system.tables = &derived->table;
    system.table_count = 1;
    system.max_lag_bytes = derived->definition.max_lag_bytes;
    system.unsaved = unsaved;
    int rc = weir_host_attach(host, &system, why);
    bool attached = rc == 0 || rc == WEIR_E_POSITION_LOST;
    int defined = attached && !unsaved ? is_defined(log, derived) : 1;
    if (defined == 1) {
        return rc;
    }
    (void)weir_host_detach(host, system.name);
    if (defined == -ENOENT) {
        (void)weir_consumer_drop(log, system.name); /* what attaching has brought back */
    }
    snprintf(why->text, sizeof why->text, "%s was dropped meanwhile", system.name);
    return -ENOENT;
}

/* ---- the pipeline ---- */

int pipeline_open(struct pipeline *pipeline, struct cli *cli, const struct cli_common *common)
{
    *pipeline = (struct pipeline){0};
    int exit_code = engine_open(&pipeline->engine, cli, common, WEIR_LOG_READ_ONLY, NULL);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = weir_host_open(pipeline->engine.engine, NULL, &pipeline->host);
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot open the derived systems of %s", cli->path)
                  : -1;
}

int pipeline_close(struct pipeline *pipeline, struct derived *derived, int exit_code)
{
    struct cli *cli = pipeline->engine.cli;
    int rc = weir_host_close(pipeline->host);
    if (rc < 0) { /* what was asked for is there; the next one builds the rest again */
        cli_note(cli, "what was derived could not be saved: %s", weir_error_text(rc));
    }
    if (derived != NULL) {
        derived_free(derived);
    }
    return engine_close(&pipeline->engine, exit_code);
}

int pipeline_no_definition(struct pipeline *pipeline, const char *name, const char *kind, int rc,
                           struct weir_error *why)
{
    struct cli *cli = pipeline->engine.cli;
    if (rc == -ENOENT && kind == NULL) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has no derived system '%s': `weir consumers %s` lists those that are "
                          "there",
                          cli->path, name, cli->path);
    }
    if (rc == -ENOENT) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has no %s '%s': `weir %s list %s` shows those that are there, `weir "
                          "%s create` makes one",
                          cli->path, kind, name, kind, cli->path, kind);
    }
    if (rc == WEIR_E_STATE) {
        return cli_refuse(cli, CLI_REFUSED,
                          "the definition of %s cannot be used (%s): drop it (`weir index drop %s "
                          "%s`), and create it again",
                          name, why->text, cli->path, name);
    }
    return cli_fail(cli, rc, why, "cannot read the definition of %s", name);
}

int pipeline_load(struct pipeline *pipeline, const char *name, enum definition_kind kind,
                  struct derived *ret_derived)
{
    struct cli *cli = pipeline->engine.cli;
    struct definition definition;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = definition_load(pipeline->engine.log, name, &definition, &why);
    if (rc < 0) {
        return pipeline_no_definition(pipeline, name, definition_kind_name(kind), rc, &why);
    }
    if (definition.kind != kind) {
        static const char *const asks[] = {
            [DEFINITION_INDEX] = "query", [DEFINITION_VIEW] = "view", [DEFINITION_TEXT] = "search"};
        return cli_refuse(cli, CLI_REFUSED,
                          "%s is no %s, it is of the kind %s: `weir %s %s %s` asks it", name,
                          definition_kind_name(kind), definition_kind_name(definition.kind),
                          asks[definition.kind], cli->path, name);
    }
    rc = derived_make(pipeline->engine.engine, &definition, ret_derived, &why);
    return rc < 0 ? cli_fail(cli, rc, &why, "cannot make %s", name) : -1;
}

int pipeline_status(struct pipeline *pipeline, const char *name,
                    struct weir_system_status *ret_status)
{
    struct cli *cli = pipeline->engine.cli;
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    int count = weir_host_stat(pipeline->host, &status, NULL, 0);
    struct weir_system_status *systems = NULL;
    if (count > 0) {
        systems = base_alloc_array((size_t)count, sizeof *systems);
        count = systems == NULL ? -ENOMEM
                                : weir_host_stat(pipeline->host, &status, systems, (size_t)count);
    }
    int exit_code =
        count < 0 ? cli_fail(cli, count, NULL, "cannot read the state of %s", name) : CLI_REFUSED;
    for (int i = 0; i < count; i++) {
        if (strcmp(systems[i].name, name) == 0) {
            *ret_status = systems[i];
            exit_code = -1;
        }
    }
    base_free(systems);
    return exit_code;
}

int pipeline_fail(struct pipeline *pipeline, const char *name, int code, struct weir_error *why,
                  const char *tried)
{
    struct weir_system_status status;
    if (code == WEIR_E_PARKED && pipeline_status(pipeline, name, &status) < 0) {
        snprintf(why->text, sizeof why->text, "it is parked at LSN %" PRIu64 ": %s",
                 status.parked_lsn, status.reason);
        why->from_lsn = why->to_lsn = status.parked_lsn;
    }
    return cli_fail(pipeline->engine.cli, code, why, "cannot %s %s", tried, name);
}

/* Attaches it, once more without saving when somebody else drives it. */
static int attach(struct pipeline *pipeline, const struct derived *derived, bool unsaved)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = derived_attach(pipeline->host, pipeline->engine.log, derived, unsaved, &why);
    if (rc == WEIR_E_ATTACHED && !unsaved) {
        return attach(pipeline, derived, true);
    }
    return rc < 0 ? cli_fail(pipeline->engine.cli, rc, &why, "cannot open %s",
                             derived->definition.name)
                  : -1;
}

/* Much to apply, or nothing that could be loaded: then it is worth saving. */
static bool is_worth_saving(const struct weir_system_status *status)
{
    return status->lag_bytes >= SAVE_LAG_BYTES || status->reason[0] != '\0' ||
           status->saved == WEIR_LSN_NONE;
}

/* Applies what is durable. One system is attached. */
static int apply(struct pipeline *pipeline, const char *name)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_delivered delivered;
    progress_show("bringing %s up to date ...", name);
    int rc = weir_host_flush(pipeline->host, &delivered, 1);
    progress_clear();
    if (rc == 1 && delivered.parked != 0) {
        rc = WEIR_E_PARKED;
    }
    return rc < 0 ? pipeline_fail(pipeline, name, rc, &why, "bring up to date") : -1;
}

/* Not before it has seen the record that was asked for. A signal ends the waiting. */
static int wait_for(struct pipeline *pipeline, const char *name, const struct freshness *freshness)
{
    struct cli *cli = pipeline->engine.cli;
    struct weir_error why = WEIR_ERROR_INIT;
    uint64_t left_ns = freshness->wait.value;
    int rc;
    do {
        uint64_t slice_ns = left_ns < WAIT_SLICE_NS ? left_ns : WAIT_SLICE_NS;
        left_ns -= slice_ns;
        rc = weir_host_wait(pipeline->host, name, freshness->at_least.value, (int64_t)slice_ns,
                            &why);
    } while (rc == WEIR_E_BEHIND && left_ns > 0 && !signals_interrupted());
    if (rc == WEIR_E_BEHIND && signals_interrupted()) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted while %s was waited for", name);
    }
    if (rc == WEIR_E_BEHIND) {
        return cli_fail_no(cli, rc, &why, "%s is not new enough", name);
    }
    return rc < 0 ? pipeline_fail(pipeline, name, rc, &why, "wait for") : -1;
}

/* As it was saved: is that new enough? */
static int check_saved(struct cli *cli, const struct weir_system_status *status,
                       const struct freshness *freshness)
{
    struct weir_error why = WEIR_ERROR_INIT;
    if (status->saved == WEIR_LSN_NONE) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has no saved state that can be used%s%s: without --stale it is built",
                          status->name, status->reason[0] != '\0' ? ": " : "", status->reason);
    }
    if (!freshness->at_least.given || status->position >= freshness->at_least.value) {
        return -1;
    }
    snprintf(why.text, sizeof why.text, "it was saved as of LSN %" PRIu64, status->position);
    return cli_fail_no(cli, WEIR_E_BEHIND, &why, "%s is not new enough", status->name);
}

int pipeline_catch_up(struct pipeline *pipeline, struct derived *derived,
                      const struct freshness *freshness)
{
    struct cli *cli = pipeline->engine.cli;
    const char *name = derived->definition.name;
    struct weir_system_status status;
    int exit_code = attach(pipeline, derived, true);
    if (exit_code < 0) {
        exit_code = pipeline_status(pipeline, name, &status);
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    if (freshness != NULL && freshness->stale) {
        return check_saved(cli, &status, freshness);
    }
    if (is_worth_saving(&status)) {
        if (status.reason[0] != '\0' && status.parked == 0) {
            cli_note(cli, "%s is built again: %s", name, status.reason);
        }
        int rc = weir_host_detach(pipeline->host, name);
        if (rc < 0) {
            return cli_fail(cli, rc, NULL, "cannot open %s", name);
        }
        exit_code = attach(pipeline, derived, false);
        if (exit_code >= 0) {
            return exit_code;
        }
    }
    exit_code = apply(pipeline, name);
    bool waits = exit_code < 0 && freshness != NULL && freshness->at_least.given;
    return waits ? wait_for(pipeline, name, freshness) : exit_code;
}

static void say_left_out(struct cli *cli, const char *name, uint64_t count, const char *what)
{
    if (count > 0) {
        cli_note(cli, "%s: %" PRIu64 " %s", name, count, what);
    }
}

void derived_say_left_out(struct cli *cli, const struct derived *derived)
{
    const char *name = derived->definition.name;
    struct weir_index_status index = WEIR_INDEX_STATUS_INIT;
    struct weir_view_status view = WEIR_VIEW_STATUS_INIT;
    struct weir_text_status text = WEIR_TEXT_STATUS_INIT;
    if (derived->index != NULL && weir_index_stat(derived->index, &index) == 0) {
        say_left_out(cli, name, index.skipped_documents, "rows are no JSON documents: left out");
        say_left_out(cli, name, index.skipped_values,
                     "values are too long, or are of a row that has too many: left out");
    } else if (derived->view != NULL && weir_view_stat(derived->view, &view) == 0) {
        say_left_out(cli, name, view.skipped_documents, "rows are no JSON documents: left out");
        say_left_out(cli, name, view.skipped_groups, "names of groups are too long: left out");
        say_left_out(cli, name, view.skipped_numbers,
                     "values are no numbers that can be added exactly: left out of sum, min, max");
    } else if (derived->text != NULL && weir_text_stat(derived->text, &text) == 0) {
        say_left_out(cli, name, text.skipped_documents, "rows are no JSON documents: left out");
    }
}

void derived_say_never_met(struct cli *cli, const struct derived *derived)
{
    const struct definition *definition = &derived->definition;
    const struct fields *fields = derived->fields;
    for (uint32_t i = 0; i < definition->field_count && fields->documents > 0; i++) {
        if (!fields->met[i]) {
            cli_note(cli,
                     "%s: none of the documents has a value at '%s': is that the field that was "
                     "meant? `weir %s drop %s %s` removes it",
                     definition->name, definition->fields[i],
                     definition_kind_name(definition->kind), cli->path, definition->name);
        }
    }
}

uint64_t derived_rows(const struct derived *derived)
{
    struct weir_index_status index = WEIR_INDEX_STATUS_INIT;
    struct weir_view_status view = WEIR_VIEW_STATUS_INIT;
    struct weir_text_status text = WEIR_TEXT_STATUS_INIT;
    if (derived->index != NULL) {
        return weir_index_stat(derived->index, &index) == 0 ? index.rows : 0;
    }
    if (derived->view != NULL) {
        return weir_view_stat(derived->view, &view) == 0 ? view.rows : 0;
    }
    return weir_text_stat(derived->text, &text) == 0 ? text.rows : 0;
}
