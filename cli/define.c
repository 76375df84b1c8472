/*
 * weir index|view|text create, drop, list.
 *
 * 1. create: the definition is put together from the options and stored beside the log, then the
 *    system is built from what the log holds, and saved. It works beside a live writer: what comes
 *    meanwhile is applied as well, or by the next query.
 * 2. drop: name, state, position, hold and definition are removed.
 * 3. list: the definitions of one kind.
 *
 * Failures: a name that is taken, by whatever kind of system, is refused and nothing changes; a
 * table that is not there, a path or stemmer that cannot be, likewise. A creation that is
 * interrupted leaves a definition: the next query builds the rest.
 */
#include "cli/define.h"

#include "cli/derived.h"
#include "cli/errors.h"
#include "cli/json.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <weir/consumer.h>
#include <weir/retain.h>
#include <weir/view.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const verbs[] = {"create", "drop", "list"};
enum verb { CREATE = 0, DROP, LIST, NONE };

static enum verb find_verb(const char *name)
{
    enum verb verb = CREATE;
    while (verb < NONE && strcmp(verbs[verb], name) != 0) {
        verb++;
    }
    return verb;
}

bool define_is_verb(const struct cli *cli)
{
    return find_verb(cli->argument[0]) != NONE;
}

/* ---- from options to a definition ---- */

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= WEIR_STATE_NAME_MAX && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               length;
}

static int add_field(struct cli *cli, struct definition *definition, const char *field)
{
    if (definition->field_count == DEFINITION_FIELDS_MAX) {
        return cli_usage_error(cli, "at most %d fields", DEFINITION_FIELDS_MAX);
    }
    size_t size = strlen(field);
    if (size == 0 || size >= DEFINITION_FIELD_SIZE || strchr(field, '\n') != NULL) {
        return cli_usage_error(cli, "a field is a path of 1 to %d characters on one line",
                               DEFINITION_FIELD_SIZE - 1);
    }
    strcpy(definition->fields[definition->field_count++], field);
    return -1;
}

static int take_view(struct cli *cli, const struct define_options *options,
                     struct definition *definition)
{
    uint32_t of_field = WEIR_VIEW_SUM | WEIR_VIEW_MIN | WEIR_VIEW_MAX | WEIR_VIEW_LIST;
    for (int i = 0; i < options->aggregate.count; i++) {
        uint32_t aggregate = definition_aggregate(options->aggregate.values[i]);
        if (aggregate == 0) {
            return cli_usage_error(cli, "--aggregate takes count, sum, min, max or list, not '%s'",
                                   options->aggregate.values[i]);
        }
        definition->aggregates |= aggregate;
    }
    if (definition->aggregates == 0) {
        definition->aggregates = WEIR_VIEW_COUNT;
    }
    if (options->group_by == NULL) {
        return cli_usage_error(cli, "view create needs --group-by F");
    }
    if (options->field.count > 1) {
        return cli_usage_error(cli, "a view adds up one field");
    }
    if ((definition->aggregates & of_field) != 0 && options->field.count == 0) {
        return cli_usage_error(cli, "sum, min, max and list need --field F");
    }
    return add_field(cli, definition, options->group_by);
}

static int take_options(struct cli *cli, enum definition_kind kind,
                        const struct define_options *options, struct definition *definition)
{
    const char *name = cli->argument[2];
    *definition = (struct definition){.kind = kind};
    if (!is_name(name) || strcmp(name, "engine") == 0) {
        return cli_usage_error(cli,
                               "a name is 1 to %d letters, digits, '_', '-' and '.', begins with "
                               "no '.', and is not 'engine'",
                               WEIR_STATE_NAME_MAX);
    }
    strcpy(definition->name, name);
    if (options->table != NULL) {
        if (strlen(options->table) > WEIR_TABLE_NAME_MAX) {
            return cli_usage_error(cli, "a table's name has up to %d characters",
                                   WEIR_TABLE_NAME_MAX);
        }
        strcpy(definition->table, options->table);
    }
    definition->max_lag_bytes = options->max_lag.value;
    if (options->stem != NULL) {
        if (strlen(options->stem) >= sizeof definition->stemmer) {
            return cli_usage_error(cli, "--stem takes a language such as english");
        }
        strcpy(definition->stemmer, options->stem);
    }
    int exit_code = kind == DEFINITION_VIEW ? take_view(cli, options, definition) : -1;
    for (int i = 0; i < options->field.count && exit_code < 0; i++) {
        exit_code = add_field(cli, definition, options->field.values[i]);
    }
    if (exit_code < 0 && definition->field_count == 0) {
        return cli_usage_error(cli, "%s create needs --field F", definition_kind_name(kind));
    }
    return exit_code;
}

/* ---- create ---- */

static int print_created(struct pipeline *pipeline, const struct derived *derived, double seconds)
{
    struct cli *cli = pipeline->engine.cli;
    struct weir_system_status status;
    int exit_code = pipeline_status(pipeline, derived->definition.name, &status);
    if (exit_code >= 0) {
        return exit_code;
    }
    const char *kind = definition_kind_name(derived->definition.kind);
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", status.name);
        json_text(&json, "kind", kind);
        json_text(&json, "table", derived->definition.table);
        json_u64(&json, "events", status.events);
        json_u64(&json, "rows", derived_rows(derived));
        json_u64(&json, "position", status.position);
        json_double(&json, "seconds", seconds);
        json_end(&json);
    } else {
        output_format(&cli->out, "%s: %s %s of ", cli->path, kind, status.name);
        output_number_of(&cli->out, status.events, "event");
        output_text(&cli->out, ", with something of ");
        output_number_of(&cli->out, derived_rows(derived), "row");
        output_format(&cli->out, ", as of LSN %" PRIu64 ", in %.3f s\n", status.position, seconds);
    }
    return CLI_OK;
}

static int build(struct pipeline *pipeline, struct derived *derived)
{
    uint64_t started_ns = base_clock_monotonic_ns();
    int exit_code = pipeline_catch_up(pipeline, derived, NULL);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = weir_host_save(pipeline->host);
    if (rc < 0) {
        return cli_fail(pipeline->engine.cli, rc, NULL, "cannot save %s", derived->definition.name);
    }
    derived_say_left_out(pipeline->engine.cli, derived);
    derived_say_never_met(pipeline->engine.cli, derived);
    return print_created(pipeline, derived,
                         (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S);
}

struct taken {
    const char *name;
    bool found;
};

/* A directory with nothing of a consumer in it is what a creation leaves that was killed. */
static int is_taken(void *context, const struct weir_consumer *consumer)
{
    struct taken *taken = context;
    bool exists = consumer->kind[0] != '\0' || consumer->position != WEIR_LSN_NONE ||
                  consumer->attached || consumer->lost || consumer->parked != 0;
    taken->found = taken->found || (exists && strcmp(consumer->name, taken->name) == 0);
    return 0;
}

static int is_held(void *context, const struct weir_hold *hold)
{
    struct taken *taken = context;
    taken->found = taken->found || strcmp(hold->name, taken->name) == 0;
    return 0;
}

/* -1: the name is free. */
static int check_free(struct pipeline *pipeline, const char *name)
{
    struct cli *cli = pipeline->engine.cli;
    struct definition there;
    struct weir_error why = WEIR_ERROR_INIT;
    struct taken taken = {.name = name};
    int rc = definition_load(pipeline->engine.log, name, &there, &why);
    if (rc == 0) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has a derived system '%s' already (%s): nothing was changed; `weir "
                          "%s drop %s %s` removes it",
                          cli->path, name, definition_kind_name(there.kind),
                          definition_kind_name(there.kind), cli->path, name);
    }
    if (rc != -ENOENT && rc != WEIR_E_STATE) {
        return cli_fail(cli, rc, &why, "cannot read the definition of %s", name);
    }
    rc = weir_consumer_list(pipeline->engine.log, is_taken, &taken);
    bool consumer = taken.found; /* it has files of its own */
    rc = rc < 0 ? rc : weir_hold_list(pipeline->engine.log, is_held, &taken);
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot list the consumers of %s", cli->path);
    }
    if (consumer) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has a consumer '%s' already: nothing was changed; `weir consumers "
                          "%s --drop %s` removes it",
                          cli->path, name, cli->path, name);
    }
    return taken.found ? cli_refuse(cli, CLI_REFUSED,
                                    "%s has a hold '%s' already, set by hand or copied by a "
                                    "salvage: nothing was changed; `weir hold drop %s %s` "
                                    "removes it",
                                    cli->path, name, cli->path, name)
                       : -1;
}

/* Under the name's lock, so that two that create it at the same time do not both store one. -1. */
static int store_definition(struct pipeline *pipeline, const struct definition *definition)
{
    struct cli *cli = pipeline->engine.cli;
    struct weir_log *log = pipeline->engine.log;
    struct definition there;
    struct weir_state_lock *lock;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_state_lock(log, definition->name, &lock);
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot create %s", definition->name);
    }
    rc = definition_load(log, definition->name, &there, &why);
    if (rc == -ENOENT || rc == WEIR_E_STATE) {
        rc = definition_store(log, definition, &why);
    } else if (rc == 0) {
        rc = WEIR_E_ATTACHED; /* another one was faster */
    }
    weir_state_unlock(lock);
    return rc < 0 ? cli_fail(cli, rc, &why, "cannot create %s", definition->name) : -1;
}

static int create(struct cli *cli, const struct cli_common *common,
                  const struct definition *definition)
{
    struct pipeline pipeline;
    struct derived derived = {0};
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = pipeline_open(&pipeline, cli, common);
    if (exit_code < 0) {
        exit_code = check_free(&pipeline, definition->name);
    }
    if (exit_code < 0) {
        int rc = derived_make(pipeline.engine.engine, definition, &derived, &why);
        exit_code = rc < 0 ? cli_fail(cli, rc, &why, "cannot create %s", definition->name)
                           : store_definition(&pipeline, definition);
    }
    if (exit_code < 0) {
        exit_code = build(&pipeline, &derived);
    }
    return pipeline_close(&pipeline, &derived, exit_code);
}

/* ---- drop, list ---- */

/* The definition last: when this is interrupted, the system is still there, to be dropped again. */
static int drop_all(struct weir_log *log, const char *name)
{
    struct weir_state_lock *lock;
    int rc = weir_state_lock(log, name, &lock);
    if (rc < 0) {
        return rc;
    }
    rc = weir_state_remove(log, name, "state");
    rc = rc < 0 ? rc : weir_state_remove(log, name, "status");
    weir_state_unlock(lock);
    rc = rc < 0 ? rc : weir_consumer_drop(log, name);
    return rc == -ENOENT ? weir_state_remove(log, name, NULL) : rc;
}

static int drop(struct cli *cli, const struct cli_common *common, enum definition_kind kind)
{
    const char *name = cli->argument[2];
    struct definition definition;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    int exit_code = cli_open(cli, common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = definition_load(log, name, &definition, &why);
    if (rc == 0 && definition.kind != kind) {
        exit_code =
            cli_refuse(cli, CLI_REFUSED, "%s is no %s, it is of the kind %s: nothing was changed",
                       name, definition_kind_name(kind), definition_kind_name(definition.kind));
        return cli_close(cli, log, exit_code);
    }
    if (rc == -ENOENT) {
        exit_code = cli_refuse(
            cli, CLI_REFUSED, "%s has no %s '%s': `weir %s list %s` shows those that are there",
            cli->path, definition_kind_name(kind), name, definition_kind_name(kind), cli->path);
        return cli_close(cli, log, exit_code);
    }
    if (rc == 0 || rc == WEIR_E_STATE) { /* a damaged definition can be dropped, too */
        rc = drop_all(log, name);
    }
    exit_code = rc < 0 ? cli_fail(cli, rc, &why, "cannot drop %s", name) : CLI_OK;
    if (exit_code == CLI_OK && cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", name);
        json_bool(&json, "dropped", true);
        json_end(&json);
    }
    return cli_close(cli, log, exit_code);
}

static void print_definition(struct cli *cli, const struct definition *definition)
{
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", definition->name);
        json_text(&json, "table", definition->table);
        json_array(&json, "fields");
        for (uint32_t i = 0; i < definition->field_count; i++) {
            json_text(&json, NULL, definition->fields[i]);
        }
        json_array_end(&json);
        if (definition->aggregates != 0) {
            json_array(&json, "aggregates");
            for (uint32_t bit = WEIR_VIEW_COUNT; bit <= WEIR_VIEW_LIST; bit *= 2) {
                if ((definition->aggregates & bit) != 0) {
                    json_text(&json, NULL, definition_aggregate_name(bit));
                }
            }
            json_array_end(&json);
        }
        if (definition->kind == DEFINITION_TEXT) {
            json_text(&json, "stemmer", definition->stemmer);
        }
        json_end(&json);
        return;
    }
    output_format(&cli->out, "%-32s table %s, fields", definition->name,
                  definition->table[0] != '\0' ? definition->table : "(no name)");
    for (uint32_t i = 0; i < definition->field_count; i++) {
        output_format(&cli->out, " %s", definition->fields[i]);
    }
    for (uint32_t bit = WEIR_VIEW_COUNT; bit <= WEIR_VIEW_LIST; bit *= 2) {
        if ((definition->aggregates & bit) != 0) {
            output_format(&cli->out, ", %s", definition_aggregate_name(bit));
        }
    }
    if (definition->stemmer[0] != '\0') {
        output_format(&cli->out, ", stems: %s", definition->stemmer);
    }
    output_char(&cli->out, '\n');
}

static int list(struct cli *cli, const struct cli_common *common, enum definition_kind kind)
{
    struct weir_log *log;
    struct definition *definitions;
    size_t count;
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = cli_open(cli, common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = definition_list(log, &definitions, &count, &why);
    if (rc < 0) {
        exit_code = cli_fail(cli, rc, &why, "cannot list the derived systems of %s", cli->path);
        return cli_close(cli, log, exit_code);
    }
    for (size_t i = 0; i < count; i++) {
        if (definitions[i].unreadable) {
            cli_note(cli, "the definition of %s is damaged: drop it, and create it again",
                     definitions[i].name);
        } else if (definitions[i].kind == kind) {
            print_definition(cli, &definitions[i]);
        }
    }
    base_free(definitions);
    return cli_close(cli, log, CLI_OK);
}

int define_run(struct cli *cli, enum definition_kind kind, const struct define_options *options)
{
    struct definition definition;
    enum verb verb = find_verb(cli->argument[0]);
    if (verb == NONE) {
        return cli_usage_error(cli, "'%s' is none of create, drop, list", cli->argument[0]);
    }
    if (cli->argument_count != (verb == LIST ? 2 : 3)) {
        return cli_usage_error(cli, "%s %s takes LOG%s", definition_kind_name(kind), verbs[verb],
                               verb == LIST ? " and nothing more" : " and NAME");
    }
    if (verb == CREATE) {
        int exit_code = take_options(cli, kind, options, &definition);
        if (exit_code >= 0) {
            return exit_code;
        }
    }
    cli->path = cli->argument[1];
    return verb == CREATE ? create(cli, &options->common, &definition)
           : verb == DROP ? drop(cli, &options->common, kind)
                          : list(cli, &options->common, kind);
}
