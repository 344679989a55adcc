// main.c: from the command line to the exit code.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cli.h"
#include "host/host.h"

// A closed descriptor would be given to the next file that is opened. The mode is the wrong one, so
// that reading stdin and writing stdout fail as they do on a closed one.
static void open_standard_streams(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", modes[fd]);
}

static int usage(const struct ctz_cli *cli, struct ctz_error *err)
{
    const char *name = cli->command ? cli->command->name : NULL;
    fprintf(stderr, "ctz%s%s: %s\n", name ? " " : "", name ? name : "", ctz_error_message(err));
    for (const struct ctz_error *cause = err->cause; cause; cause = cause->cause)
        fprintf(stderr, "  cause: %s\n", ctz_error_message(cause));
    if (err->hint)
        fprintf(stderr, "  hint: %s\n", err->hint);
    int code = err->kind == CTZ_ERROR_USAGE ? CTZ_EXIT_USAGE : CTZ_EXIT_FAILED;
    ctz_error_clear(err);
    return code;
}

static int run_command(struct ctz_host *host)
{
    const struct ctz_cli *cli = host->cli;
    if (cli->help)
        return ctz_cmd_lua(
            host, cli->command->run == ctz_cmd_run && cli->word_count > 0 ? "recipe_help" : "help");
    return cli->command->run ? cli->command->run(host) : ctz_cmd_lua(host, cli->command->name);
}

int main(int argc, char **argv)
{
    struct ctz_cli cli;
    struct ctz_error err = {0};
    open_standard_streams();
    if (ctz_cli_parse(&cli, argc, argv, &err) < 0) {
        int code = usage(&cli, &err);
        ctz_cli_clear(&cli);
        return code;
    }
    errno = ENOMEM; // unless a system call fails
    struct ctz_host *host = ctz_host_new(argv[0]);
    if (!host) {
        fprintf(stderr, "ctz: cannot start: %s\n", strerror(errno));
        ctz_cli_clear(&cli);
        return CTZ_EXIT_FAILED;
    }
    int code = ctz_cli_apply(&cli, host, &err) < 0 ? usage(&cli, &err) : run_command(host);
    code = ctz_finish_output(host, code);
    host->cli = NULL;
    ctz_cli_clear(&cli);
    ctz_host_exit(host, code);
}

#ifdef __SANITIZE_ADDRESS__
// libasan 12 reads the thread-local storage of modules that were loaded late, and its leak check
// ends with a signal of its own in some programs. Leaks are found without that.
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "intercept_tls_get_addr=0";
}
#endif
