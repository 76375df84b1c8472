/*
 * Rows on standard output: those of scan, query and search look the same.
 *
 * Failures: what cannot be read ends the rows, those before it are printed. A signal is exit 5.
 */
#include "cli/print_rows.h"

#include "cli/errors.h"
#include "cli/json.h"
#include "cli/signals.h"

#include <unistd.h>

void print_row(struct cli *cli, const struct weir_row *row, bool escaped, const double *score)
{
    struct output *out = &cli->out;
    output_row_begin(out);
    if (cli->json) {
        struct json json;
        json_begin(&json, out);
        json_bytes(&json, "key", row->key.data, row->key.size);
        json_bytes(&json, "value", row->value.data, row->value.size);
        json_u64(&json, "lsn", row->lsn);
        if (score != NULL) {
            json_double(&json, "score", *score);
        }
        json_end(&json);
    } else {
        void (*put)(struct output *, const void *, size_t) =
            escaped ? output_escaped : output_bytes;
        put(out, row->key.data, row->key.size);
        output_char(out, '\t');
        put(out, row->value.data, row->value.size);
        output_char(out, '\n');
    }
    output_row_end(out);
}

int print_rows(struct pipeline *pipeline, struct weir_rows *rows, bool scored)
{
    struct cli *cli = pipeline->engine.cli;
    struct weir_row row;
    bool escaped = isatty(cli->out.fd) == 1;
    int exit_code = CLI_OK;
    while (cli->out.error == 0) {
        if (signals_interrupted()) {
            exit_code = CLI_INTERRUPTED;
            break;
        }
        int rc = weir_rows_next(rows, &row);
        if (rc < 0) {
            struct weir_error why = WEIR_ERROR_INIT;
            (void)weir_rows_error(rows, &why);
            exit_code = cli_fail(cli, rc, &why, "cannot read on in %s", cli->path);
        }
        if (rc != 1) {
            break;
        }
        double score = scored ? weir_rows_score(rows) : 0;
        print_row(cli, &row, escaped, scored ? &score : NULL);
    }
    weir_rows_close(rows);
    return exit_code;
}
