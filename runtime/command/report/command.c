/* SPDX-License-Identifier: MIT */
/* kgen report: the results of an earlier run as a page with charts, from the cache alone. */
#include <stdio.h>

#include "gen/base/file.h"
#include "runtime/command/json.h"
#include "runtime/command/report/html.h"

/* Writes the page, and says where. */
static int write_page(const struct kgen_options *options, const struct kgen_report_data *data,
                      struct kgen_error *error)
{
    struct kgen_text path = {0}, html = {0};
    if (options->output != NULL)
        kgen_text_puts(&path, options->output);
    else
        kgen_text_printf(&path, "%s.html", data->session.spec->name);
    kgen_html_page(data, &html);
    int result;
    if (path.failed || html.failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        result = kgen_file_write(path.data, html.data, html.length, error);
    if (result == 0 && options->json) {
        result = kgen_json_print(json_pack(
            "{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "kgen", KGEN_VERSION, "spec", data->session.spec->name,
            "machine", data->session.machine.identity, "file", kgen_json_string(path.data), "problems",
            (json_int_t)data->count, "peers", (json_int_t)(data->peers.count - data->foreign_peers),
            "peers_left_out", (json_int_t)data->foreign_peers));
        if (result != 0)
            kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "no result");
    } else if (result == 0) {
        printf("written to %s\n", path.data);
    }
    kgen_text_free(&path);
    kgen_text_free(&html);
    return result;
}

int kgen_command_report(const struct kgen_options *options)
{
    struct kgen_report_data data = {0};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    if (kgen_report_collect(options, &data, &error) != 0 || write_page(options, &data, &error) != 0)
        status = kgen_fail(&error);
    else if (data.foreign_peers > 0 && !options->quiet)
        kgen_say_warning("%s: %zu of %zu times are of problems that %s does not have", options->peers,
                         data.foreign_peers, data.peers.count, options->arguments[0]);
    kgen_report_free(&data);
    return kgen_finish_output(status);
}
