/*
 * Every definition in turn: made, attached, fed to the end of the log, saved.
 *
 * Failures are told and passed over: what is derived costs time, never what was asked for.
 */
#include "cli/derived_save.h"

#include "cli/derived.h"
#include "cli/errors.h"
#include "cli/signals.h"

#include "base/alloc.h"

#include <weir/host.h>

/* 0 or a negative error, with the detail. */
static int save_one(struct engine *engine, struct weir_host *host,
                    const struct definition *definition, struct weir_error *why)
{
    struct derived derived = {0};
    int rc = definition->unreadable ? WEIR_E_STATE
                                    : derived_make(engine->engine, definition, &derived, why);
    if (rc < 0) {
        return rc;
    }
    const char *name = definition->name;
    struct weir_delivered delivered = {0};
    rc = derived_attach(host, engine->log, &derived, false, why);
    if (rc == WEIR_E_POSITION_LOST) {
        (void)weir_host_detach(host, name); /* it is attached, and has to be rebuilt */
    } else if (rc == 0) {
        rc = weir_host_flush(host, &delivered, 1);
        int detach_rc = weir_host_detach(host, name);
        rc = rc < 0 ? rc : delivered.parked != 0 ? WEIR_E_PARKED : detach_rc;
    }
    derived_free(&derived);
    return rc;
}

size_t derived_save_all(struct engine *engine)
{
    struct cli *cli = engine->cli;
    struct definition *definitions = NULL;
    struct weir_host *host = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    size_t count = 0, saved = 0;
    int rc = definition_list(engine->log, &definitions, &count, &why);
    if (rc == 0 && count > 0) {
        rc = weir_host_open(engine->engine, NULL, &host);
    }
    if (rc < 0) {
        cli_note(cli, "what is derived is not saved: %s", weir_error_text(rc));
    }
    for (size_t i = 0; i < count && rc == 0 && !signals_interrupted(); i++) {
        struct weir_error detail = WEIR_ERROR_INIT;
        progress_show("bringing %s up to date ...", definitions[i].name);
        int one = save_one(engine, host, &definitions[i], &detail);
        progress_clear();
        saved += one == 0;
        if (one < 0) {
            cli_note(cli, "%s is not saved: %s", definitions[i].name,
                     detail.text[0] != '\0' ? detail.text : weir_error_text(one));
        }
    }
    (void)(host != NULL ? weir_host_close(host) : 0); /* nothing is attached any more */
    base_free(definitions);
    return saved;
}
