/*
 * An index, a view and a full text over the documents of the demo.
 *
 * 1. Log, engine, table, host: each opened and timed.
 * 2. The three are made of definitions, which are stored beside the log when it is new.
 *
 * Failures: whatever was opened is closed, in reverse order.
 */
#include "cli/demo_systems.h"

#include "base/clock.h"

#include <weir/maintain.h>
#include <weir/view.h>

#include <stdio.h>
#include <string.h>

const char *const demo_system_names[DEMO_SYSTEMS] = {"by_group", "sizes", "words"};

#define TABLE "documents"

static double lap(uint64_t *since_ns)
{
    uint64_t now_ns = base_clock_monotonic_ns();
    double seconds = (double)(now_ns - *since_ns) / (double)BASE_NS_PER_S;
    *since_ns = now_ns;
    return seconds;
}

static void set_field(struct definition *definition, const char *given, const char *otherwise)
{
    snprintf(definition->fields[definition->field_count++], DEFINITION_FIELD_SIZE, "%s",
             given != NULL ? given : otherwise);
}

static void define(const struct demo *demo, size_t which, struct definition *definition)
{
    const struct demo_options *options = demo->options;
    *definition = (struct definition){.kind = (enum definition_kind)which};
    strcpy(definition->name, demo_system_names[which]);
    strcpy(definition->table, TABLE);
    if (definition->kind == DEFINITION_TEXT) {
        set_field(definition, options->text, options->input != NULL ? "line" : "summary");
        return;
    }
    set_field(definition, options->group, "section");
    if (definition->kind == DEFINITION_VIEW) {
        definition->aggregates = WEIR_VIEW_COUNT | WEIR_VIEW_SUM;
        set_field(definition, options->sum, "installed_size");
    }
}

static int attach(struct demo *demo, struct demo_systems *systems, uint32_t flags,
                  struct weir_error *why)
{
    for (size_t i = 0; i < DEMO_SYSTEMS; i++) {
        struct definition definition;
        define(demo, i, &definition);
        int rc = derived_make(systems->engine, &definition, &systems->system[i], why);
        if (rc == 0 && (flags & WEIR_LOG_CREATE) != 0) {
            rc = definition_store(systems->log, &definition, why);
        }
        if (rc == 0) {
            rc = derived_attach(systems->host, systems->log, &systems->system[i], false, why);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int demo_systems_open(struct demo *demo, const char *path, uint32_t flags,
                      struct demo_systems *systems, struct weir_error *why)
{
    struct weir_log_options options;
    weir_table table;
    uint64_t at_ns = base_clock_monotonic_ns();
    *systems = (struct demo_systems){0};
    demo_log_options(demo, flags, &options);
    int rc = weir_log_open(path, &options, &systems->log, why);
    systems->log_s = lap(&at_ns);
    if (rc == 0) {
        rc = weir_engine_open(systems->log, NULL, &systems->engine, why);
        systems->engine_s = lap(&at_ns);
    }
    if (rc == 0) {
        rc = weir_table_open(systems->engine, TABLE, (flags & WEIR_LOG_CREATE) != 0, &table);
    }
    if (rc == 0) {
        rc = weir_host_open(systems->engine, NULL, &systems->host);
    }
    if (rc == 0) {
        rc = attach(demo, systems, flags, why);
        systems->attach_s = lap(&at_ns);
    }
    if (rc < 0) {
        (void)demo_systems_close(systems); /* the first error counts */
    }
    return rc;
}

int demo_systems_close(struct demo_systems *systems)
{
    int rc = systems->host != NULL ? weir_host_close(systems->host) : 0;
    for (size_t i = 0; i < DEMO_SYSTEMS; i++) {
        derived_free(&systems->system[i]);
    }
    int engine_rc = weir_engine_close(systems->engine);
    int log_rc = systems->log != NULL ? weir_log_close(systems->log) : 0;
    *systems = (struct demo_systems){0};
    return rc < 0 ? rc : engine_rc < 0 ? engine_rc : log_rc;
}

int demo_systems_fingerprints(struct demo_systems *systems,
                              uint8_t ret_fingerprints[DEMO_SYSTEMS + 1][16])
{
    int rc = weir_engine_fingerprint(systems->engine, 0, ret_fingerprints[0], NULL);
    for (size_t i = 0; i < DEMO_SYSTEMS && rc == 0; i++) {
        weir_lsn position;
        rc = weir_host_read_begin(systems->host, demo_system_names[i], &position);
        if (rc == 0) {
            derived_ops(&systems->system[i])
                ->fingerprint(derived_self(&systems->system[i]), ret_fingerprints[1 + i]);
            weir_host_read_end(systems->host, demo_system_names[i]);
        }
    }
    return rc;
}
