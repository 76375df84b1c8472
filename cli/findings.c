/*
 * Findings as lines and as JSON.
 */
#include "cli/findings.h"

#include "base/alloc.h"
#include "cli/errors.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ADVICE_SIZE 2048

int findings_init(struct findings *findings)
{
    *findings = (struct findings){0};
    findings->list = base_alloc_array(FINDINGS_MAX, sizeof findings->list[0]);
    return findings->list == NULL ? -ENOMEM : 0;
}

void findings_free(struct findings *findings)
{
    base_free(findings->list);
}

void findings_add(struct findings *findings, const struct weir_finding *finding)
{
    if (findings->count < FINDINGS_MAX) {
        findings->list[findings->count++] = *finding;
        findings->notes += finding->note;
    }
}

static void to_json(struct json *json, const struct weir_finding *finding)
{
    json_object(json, NULL);
    json_text(json, "code", finding->code);
    json_u64(json, "from_lsn", finding->from_lsn);
    json_u64(json, "to_lsn", finding->to_lsn);
    json_text(json, "file", finding->file);
    if (finding->offset != UINT64_MAX) {
        json_u64(json, "offset", finding->offset);
    }
    json_text(json, "text", finding->text);
    json_text(json, "advice", finding->advice);
    json_bool(json, "note", finding->note);
    json_object_end(json);
}

void findings_to_json(struct json *json, const char *name, const struct findings *findings,
                      const bool *notes)
{
    json_array(json, name);
    for (size_t i = 0; i < findings->count; i++) {
        if (notes == NULL || findings->list[i].note == *notes) {
            to_json(json, &findings->list[i]);
        }
    }
    json_array_end(json);
}

void findings_print(struct output *out, const struct findings *findings, bool notes)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct weir_finding *finding = &findings->list[i];
        if (finding->note == notes) {
            output_format(out, "    %-16s %s\n", finding->code, finding->text);
        }
    }
}

static bool was_said(const struct findings *findings, size_t before, bool notes)
{
    for (size_t i = 0; i < before; i++) {
        const struct weir_finding *finding = &findings->list[i];
        if (finding->note == notes && strcmp(finding->advice, findings->list[before].advice) == 0) {
            return true;
        }
    }
    return false;
}

void findings_print_advice(struct cli *cli, const struct findings *findings, bool notes)
{
    char advice[ADVICE_SIZE];
    for (size_t i = 0; i < findings->count; i++) {
        const struct weir_finding *finding = &findings->list[i];
        if (finding->note == notes && !was_said(findings, i, notes)) {
            cli_advice(cli, finding->advice, advice, sizeof advice);
            output_format(&cli->out, "  %s: %s\n", finding->code, advice);
        }
    }
}
