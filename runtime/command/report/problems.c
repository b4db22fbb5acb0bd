/* SPDX-License-Identifier: MIT */
/* One section for each problem: why its winner won, its parameters, its candidates. And what failed. */
#include "runtime/command/report/html.h"

static void write_candidates(const struct kgen_report_problem *problem, struct kgen_text *html)
{
    const struct kgen_evidence *evidence = &problem->evidence;
    if (evidence->passed == 0)
        return;
    kgen_text_printf(html, "<details><summary>All %zu candidates that passed</summary>\n", evidence->passed);
    kgen_html_table_begin(html, "Candidates, the best first",
                          "variant|>cold|>final round|>hot|>GB/s|>error/bound|>compile ms|effort");
    for (size_t i = 0; i < evidence->passed; i++) {
        const struct kgen_ranked *ranked = &evidence->records[i];
        const struct kgen_record *record = ranked->record;
        kgen_text_puts(html, ranked == evidence->chosen ? "<tr class=\"chosen\">" : "<tr>");
        kgen_html_cell(html, "%s%s", record->variant, ranked == evidence->chosen ? " (the winner)" : "");
        kgen_html_time_cell(html, record->cold_seconds);
        kgen_html_time_cell(html, record->final_seconds);
        kgen_html_time_cell(html, record->hot_seconds);
        kgen_html_number(html, "%.1f", ranked->seconds > 0 ? problem->bytes / ranked->seconds * 1e-9 : 0);
        kgen_html_number(html, "%.3f", record->error_of_bound);
        kgen_html_number(html, "%.2f", record->compile_seconds * 1e3);
        kgen_html_cell(html, "%s", record->effort);
        kgen_text_puts(html, "</tr>\n");
    }
    kgen_html_table_end(html);
    kgen_text_puts(html, "</details>\n");
}

static void write_facts(const struct kgen_report_problem *problem, const char *engine, struct kgen_text *html)
{
    const struct kgen_evidence *evidence = &problem->evidence;
    const long long threads = (long long)problem->entry->problem.threads;
    kgen_text_puts(html, "<p class=\"tensors\">");
    kgen_html_escape(html, problem->entry->tensors);
    kgen_text_printf(html, "</p>\n<p>%lld %s, %.4g MB a call, ranked by %s times. ", threads,
                     threads == 1 ? "thread" : "threads", problem->bytes * 1e-6,
                     problem->cold ? "cold" : "hot");
    kgen_text_printf(html, "%zu candidate%s: %zu passed, %zu timed, %zu failed, %zu not tried.</p>\n",
                     evidence->candidates, kgen_plural(evidence->candidates), evidence->passed,
                     evidence->timed, evidence->failed, evidence->candidates - evidence->count);
    struct kgen_text reason = {0};
    kgen_evidence_reason(evidence, &reason);
    kgen_text_puts(html, "<p>");
    if (evidence->chosen != NULL) {
        kgen_text_puts(html, "Chosen: <code>");
        kgen_html_escape(html, evidence->chosen->record->variant);
        kgen_text_puts(html, "</code>, ");
    }
    kgen_html_escape(html, reason.failed ? "" : reason.data);
    kgen_text_puts(html, ".</p>\n");
    html->failed = html->failed || reason.failed;
    kgen_text_free(&reason);
    if (evidence->stale > 0) {
        kgen_text_printf(
            html,
            "<p class=\"muted\">Passed over in the cache: %zu of other versions of a template or "
            "of kgen, or of another compiler than ",
            evidence->stale);
        kgen_html_escape(html, engine);
        kgen_text_puts(html, ".</p>\n");
    }
}

void kgen_html_problems(const struct kgen_report_data *data, struct kgen_text *html)
{
    kgen_text_puts(html,
                   "<section id=\"problems\">\n<h2>Problem by problem</h2>\n"
                   "<p>In the charts of time against a parameter each mark is a candidate, and the line "
                   "joins the best time of each value.</p>\n");
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        kgen_text_printf(html, "<article id=\"p%zu\">\n<h3>%zu. ", problem->number, problem->number);
        kgen_html_escape(html, problem->description.data);
        kgen_text_puts(html, "</h3>\n");
        write_facts(problem, data->engine.data, html);
        kgen_html_parameters(problem, html);
        write_candidates(problem, html);
        kgen_text_puts(html, "</article>\n");
    }
    kgen_text_puts(html, "</section>\n");
}

void kgen_html_failures(const struct kgen_report_data *data, struct kgen_text *html)
{
    size_t failed = 0;
    for (size_t i = 0; i < data->count; i++)
        failed += data->problems[i].evidence.failed;
    kgen_text_puts(html, "<section id=\"failures\">\n<h2>Failures</h2>\n");
    if (failed == 0) {
        kgen_text_puts(html, "<p>Every candidate that was tried passed.</p>\n</section>\n");
        return;
    }
    kgen_html_table_begin(html, "Candidates that failed, and how", ">#|problem|variant|how|what happened");
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        const struct kgen_evidence *evidence = &problem->evidence;
        for (size_t k = evidence->passed; k < evidence->count; k++) {
            const struct kgen_record *record = evidence->records[k].record;
            kgen_text_puts(html, "<tr>");
            kgen_html_number(html, "%.0f", (double)problem->number);
            kgen_html_cell(html, "%s", problem->label.data);
            kgen_html_cell(html, "%s", record->variant);
            kgen_html_cell(html, "%s", kgen_verdict_name(record->verdict));
            kgen_html_cell(html, "%s", record->detail);
            kgen_text_puts(html, "</tr>\n");
        }
    }
    kgen_html_table_end(html);
    kgen_text_puts(html, "</section>\n");
}
