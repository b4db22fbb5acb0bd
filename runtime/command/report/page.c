/* SPDX-License-Identifier: MIT */
/* The page as a whole: its head, summary, table of winners, peers, foot. */
#include "runtime/command/report/html.h"

#include <math.h>

/* The colours of the series are Okabe and Ito's, darker on white and lighter on black where contrast asks for
 * it. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--muted:#5b636d;--grid:#e4e7eb;--line:#c9ced6;"
    "--panel:#f6f7f9;--link:#0b57a4;--roof:#b03a00;--peer:#1b1f24;"
    "--s0:#0072b2;--s1:#009e73;--s2:#d98c00;--s3:#d55e00;--s4:#b2558c;--s5:#3a9bd9;--s6:#7a6fb0;--s7:#6b7280}"
    "\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--muted:#a3abb5;--grid:#2a2f36;"
    "--line:#464d57;--panel:#1c2026;--link:#7cb8ee;--roof:#ff8f5a;--peer:#fff;"
    "--s0:#4aa8e0;--s1:#2cc69a;--s2:#f0b030;--s3:#ff7f3a;--s4:#d98fbd;--s5:#8fd0f5;--s6:#a9a0dc;--s7:#9aa3af}"
    "}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:24px 20px 48px;max-width:1060px;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}\n"
    "h2{font-size:1.25rem;margin:2.4rem 0 .5rem;padding-top:.9rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1rem;margin:1.8rem 0 .3rem}\n"
    "p{margin:.3rem 0 .7rem;max-width:78ch}\n"
    "a{color:var(--link)}nav{margin:.9rem 0 0}nav a{margin-right:1.1rem;white-space:nowrap}\n"
    "code,.tensors{font-family:ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;font-size:.86em}\n"
    ".tensors,code{overflow-wrap:anywhere}.muted,.tensors,caption,summary{color:var(--muted)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:10px;margin:1rem 0}\n"
    "dl div{background:var(--panel);border-radius:6px;padding:8px 12px}\n"
    "dt{color:var(--muted);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}\n"
    ".scroll{overflow-x:auto;margin:.5rem 0 1rem}\n"
    "table{border-collapse:collapse;font-size:.84rem;width:100%}\n"
    "caption{text-align:left;padding:0 0 4px;font-size:.8rem}\n"
    "th,td{text-align:left;vertical-align:top;padding:4px 10px 4px 0;border-bottom:1px solid var(--grid)}\n"
    "th{border-bottom-color:var(--line);font-weight:600;vertical-align:bottom}\n"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "tr.chosen td{font-weight:600}\n"
    ".bar{display:block;height:4px;margin-top:3px;border-radius:2px;background:var(--grid);min-width:76px}\n"
    ".bar i{display:block;height:4px;border-radius:2px;background:var(--s0)}\n"
    "details{margin:.4rem 0 1rem}summary{cursor:pointer;font-size:.88rem}\n"
    "figure{margin:.8rem 0;break-inside:avoid}figure svg{display:block;max-width:100%;height:auto}\n"
    ".multiples{display:flex;flex-wrap:wrap;gap:10px 24px}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:2px 20px;list-style:none;margin:.4rem 0 0;padding:0;"
    "font-size:.84rem}\n"
    ".legend li{display:flex;align-items:center;gap:5px}\n"
    "svg text{font-family:inherit;fill:var(--ink);font-size:12px}\n"
    "svg .tick,svg .axis{fill:var(--muted)}svg .strong{fill:var(--ink);font-weight:600}\n"
    "svg .label{font-size:12.5px}svg .number{font-weight:600;font-variant-numeric:tabular-nums}\n"
    "svg .note{fill:var(--roof)}svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;"
    "stroke-linejoin:round}\n"
    "svg a{text-decoration:none}svg a:hover text,svg a:focus text{text-decoration:underline}\n"
    ".grid,.row{stroke:var(--grid);fill:none}.lead{stroke:var(--muted);stroke-width:.7;fill:none}\n"
    ".roof{stroke:var(--roof);stroke-width:1.6;fill:none}.one{stroke-dasharray:6 4}\n"
    ".best{stroke:var(--muted);stroke-width:1.4;fill:none}\n"
    ".s0{fill:var(--s0)}.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}"
    ".s5{fill:var(--s5)}.s6{fill:var(--s6)}.s7{fill:var(--s7)}\n"
    "figure>svg path[class^=s]{fill-opacity:.55}figure>svg path.w{fill-opacity:1}\n"
    "path.w{stroke:var(--ink);stroke-width:1.3}path.plain{fill:none}\n"
    "path.peer{stroke:var(--peer);stroke-width:2.2;fill:none}\n"
    "footer{margin-top:2.4rem;padding-top:.9rem;border-top:1px solid var(--line);color:var(--muted);"
    "font-size:.86rem}\n"
    "@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--muted:#444;--grid:#ddd;--line:#999;"
    "--panel:#fff;--link:#000;--roof:#b03a00;--peer:#000;--s0:#0072b2;--s1:#009e73;--s2:#d98c00;--s3:#d55e00;"
    "--s4:#b2558c;--s5:#3a9bd9;--s6:#7a6fb0;--s7:#6b7280}"
    "body{max-width:none;padding:0;font-size:11px}nav,details{display:none}"
    ".scroll{overflow:visible}article,tr{break-inside:avoid}*{print-color-adjust:exact}}\n";

static void fact_begin(struct kgen_text *html, const char *title)
{
    kgen_text_printf(html, "<div><dt>%s</dt><dd>", title);
}

static void fact_end(struct kgen_text *html)
{
    kgen_text_puts(html, "</dd></div>\n");
}

static void write_machine(const struct kgen_report_data *data, struct kgen_text *html)
{
    const struct kgen_machine *machine = &data->session.machine;
    fact_begin(html, "machine");
    kgen_html_printf(html, "%s (%s, %s)", machine->name, machine->architecture, machine->identity);
    fact_end(html);
    fact_begin(html, "caches");
    kgen_text_printf(html, "L1d %.0f KiB, L2 %.0f KiB, L3 %.0f MiB", (double)machine->l1d_bytes / 1024,
                     (double)machine->l2_bytes / 1024, (double)machine->l3_bytes / 1048576);
    fact_end(html);
    fact_begin(html, "instruction sets");
    kgen_isas_write(machine->isas, html);
    fact_end(html);
    fact_begin(html, "threads");
    kgen_text_printf(html, "%d", data->session.threads);
    fact_end(html);
    fact_begin(html, "memory reads");
    if (data->bandwidth_known)
        kgen_text_printf(html, "%.1f GB/s; %.1f GB/s with 1 thread", data->bandwidth.all_threads * 1e-9,
                         data->bandwidth.one_thread * 1e-9);
    else
        kgen_text_puts(html, "not in the cache");
    fact_end(html);
}

static void write_facts(const struct kgen_report_data *data, struct kgen_text *html)
{
    size_t candidates = 0, passed = 0, timed = 0, failed = 0, tried = 0, won = 0;
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_evidence *evidence = &data->problems[i].evidence;
        candidates += evidence->candidates;
        passed += evidence->passed;
        timed += evidence->timed;
        failed += evidence->failed;
        tried += evidence->count;
        won += evidence->chosen != NULL;
    }
    kgen_text_puts(html, "<dl>\n");
    write_machine(data, html);
    fact_begin(html, "compiler");
    kgen_html_escape(html, data->engine.data);
    fact_end(html);
    fact_begin(html, "problems");
    kgen_text_printf(html, "%zu, of which %zu have a winner", data->count, won);
    fact_end(html);
    fact_begin(html, "candidates");
    kgen_text_printf(html, "%zu: %zu proven, %zu timed, %zu failed, %zu not tried", candidates, passed, timed,
                     failed, candidates - tried);
    fact_end(html);
    kgen_text_puts(html, "</dl>\n");
}

/* The share of the read bandwidth: a number, and a bar that is full at 100%. */
static void share_cell(struct kgen_text *html, double share)
{
    kgen_text_puts(html, "<td class=\"n\">");
    if (share > 0)
        kgen_text_printf(html, "%.0f%%<span class=\"bar\"><i style=\"width:%.1f%%\"></i></span>", 100 * share,
                         fmin(100 * share, 100));
    else
        kgen_text_puts(html, "–");
    kgen_text_puts(html, "</td>");
}

static void write_winner(const struct kgen_report_data *data, const struct kgen_report_problem *problem,
                         struct kgen_text *html)
{
    const struct kgen_evidence *evidence = &problem->evidence;
    const double seconds = kgen_report_winner_seconds(problem);
    const double rate = seconds > 0 ? problem->bytes / seconds : 0;
    kgen_text_printf(html, "<tr><td class=\"n\">%zu</td><td><a href=\"#p%zu\">", problem->number,
                     problem->number);
    kgen_html_escape(html, problem->description.data);
    kgen_text_puts(html, "</a></td><td class=\"tensors\">");
    kgen_html_escape(html, problem->entry->tensors);
    kgen_text_puts(html, "</td>");
    if (evidence->chosen != NULL)
        kgen_html_cell(html, "%s", evidence->chosen->record->variant);
    else if (evidence->candidates == 0)
        kgen_html_cell(html, "no candidate");
    else if (evidence->passed + evidence->failed == 0)
        kgen_html_cell(html, "not tried");
    else
        kgen_html_cell(html, evidence->passed > 0 ? "none chosen yet" : "none of %zu candidate%s passed",
                       evidence->failed, kgen_plural(evidence->failed));
    kgen_html_time_cell(html, seconds);
    kgen_html_number(html, "%.1f", rate * 1e-9);
    share_cell(html, evidence->chosen != NULL
                         ? kgen_bandwidth_share(data->bandwidth_known ? &data->bandwidth : NULL,
                                                &problem->entry->problem, evidence->chosen->record)
                         : 0);
    kgen_html_number(html, "%.3f", evidence->chosen != NULL ? evidence->chosen->record->error_of_bound : 0);
    kgen_text_puts(html, "</tr>\n");
}

void kgen_html_summary(const struct kgen_report_data *data, struct kgen_text *html)
{
    const struct kgen_spec *spec = data->session.spec;
    kgen_text_puts(html, "<header>\n<h1>kgen report: ");
    kgen_html_escape(html, spec->name);
    kgen_text_puts(html, "</h1>\n<p class=\"muted\">");
    kgen_html_escape(html, spec->summary);
    kgen_text_puts(html, "</p>\n<nav aria-label=\"sections\"><a href=\"#winners\">Winners</a>"
                         "<a href=\"#roofline\">Roofline</a><a href=\"#times\">Times</a>"
                         "<a href=\"#errors\">Errors</a>");
    if (data->peers.count > 0)
        kgen_text_puts(html, "<a href=\"#peers\">Other programs</a>");
    kgen_text_puts(html, "<a href=\"#failures\">Failures</a><a href=\"#problems\">Problems</a></nav>\n"
                         "</header>\n<main>\n<section id=\"winners\">\n<h2>Winners</h2>\n");
    write_facts(data, html);
    kgen_html_table_begin(html,
                          "The winner of each problem; weights and caches are timed cold, the other ops hot",
                          ">#|problem|tensors|variant|>time|>GB/s|>of bandwidth|>error/bound");
    for (size_t i = 0; i < data->count; i++)
        write_winner(data, &data->problems[i], html);
    kgen_html_table_end(html);
    kgen_text_puts(html, "</section>\n");
}

void kgen_html_peers(const struct kgen_report_data *data, struct kgen_text *html)
{
    if (data->peers.count == 0)
        return;
    kgen_text_puts(html, "<section id=\"peers\">\n<h2>Other programs</h2>\n");
    kgen_text_puts(html, "<p>Times as the user gave them; whether they were taken on this machine and in the "
                         "same way, the settings have to say. Over 1× kgen is faster.</p>\n");
    kgen_html_table_begin(
        html, "Times of other programs beside the winners",
        ">#|problem|program|settings|>its time|>its GB/s|>winner's time|>its time / winner's");
    for (size_t i = 0; i < data->peers.count; i++) {
        const struct kgen_peer *peer = &data->peers.items[i];
        const struct kgen_report_problem *problem = kgen_report_peer_problem(data, peer);
        if (problem == NULL)
            continue;
        const double winner = kgen_report_winner_seconds(problem);
        kgen_text_puts(html, "<tr>");
        kgen_html_number(html, "%.0f", (double)problem->number);
        kgen_html_cell(html, "%s", problem->label.data);
        kgen_html_cell(html, "%s", peer->name);
        kgen_html_cell(html, "%s", peer->settings);
        kgen_html_time_cell(html, peer->seconds);
        kgen_html_number(html, "%.1f", problem->bytes / peer->seconds * 1e-9);
        kgen_html_time_cell(html, winner);
        kgen_html_number(html, "%.2f×", winner > 0 ? peer->seconds / winner : 0);
        kgen_text_puts(html, "</tr>\n");
    }
    kgen_html_table_end(html);
    if (data->foreign_peers > 0)
        kgen_text_printf(html, "<p>Left out: %zu times of problems that this spec does not have.</p>\n",
                         data->foreign_peers);
    kgen_text_puts(html, "</section>\n");
}

void kgen_html_head(const char *title, const char *name, struct kgen_text *html)
{
    kgen_text_puts(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                         "<title>");
    kgen_html_escape(html, title);
    kgen_html_escape(html, name);
    kgen_text_puts(html, "</title>\n<style>\n");
    kgen_text_puts(html, style);
    kgen_text_puts(html, "</style>\n</head>\n<body>\n");
}

void kgen_html_page(const struct kgen_report_data *data, struct kgen_text *html)
{
    kgen_html_head("kgen report: ", data->session.spec->name, html);
    kgen_html_summary(data, html);
    kgen_html_roofline(data, html);
    kgen_html_relative(data, html);
    kgen_html_errors(data, html);
    kgen_html_peers(data, html);
    kgen_html_failures(data, html);
    kgen_html_problems(data, html);
    kgen_text_puts(html, "</main>\n<footer><p>kgen " KGEN_VERSION ". Point at a mark for its candidate. All "
                         "numbers come from the cache; <code>kgen explain</code> prints them, <code>kgen "
                         "explain --json</code> as data.</p></footer>\n</body>\n</html>\n");
}
