// terminal.c: our terminal, lent to a program whose stdin it is.
// SPDX-License-Identifier: MIT
//
// The program's group becomes the foreground, as under a shell: Ctrl-C and Ctrl-Z go to it alone
// and are passed on to us when it has ended or stopped by them.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"
#include "host/program.h"
#include "host/signals.h"

void ctz_terminal_give(pid_t group)
{
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    tcsetpgrp(STDIN_FILENO, group);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ctz_terminal_take_back(struct ctz_process *process, int by_signal)
{
    struct ctz_processes *all = process->host->processes;
    if (all->foreground != process)
        return;
    all->foreground = NULL;
    ctz_terminal_give(getpgrp());
    if (by_signal == SIGINT) { // Ctrl-C went to the program alone
        raise(SIGINT);
        ctz_signals_handle(process->host); // before its end is anybody's error
    }
}

// Ctrl-Z went to the program alone: we stop as well, and go on together.
static void stop_along(struct ctz_process *process)
{
    ctz_terminal_give(getpgrp());
    kill(getpid(), SIGSTOP);
    ctz_terminal_give(process->pid);
    ctz_process_signal_group(process, SIGCONT);
}

void ctz_terminal_stopped(struct ctz_process *process, int number)
{
    siginfo_t seen;
    waitid(P_PID, (id_t)process->pid, &seen, WSTOPPED | WNOHANG); // or it would be told again
    if (process->host->processes->foreground == process) {
        stop_along(process);
    } else if (number == SIGTTIN || number == SIGTTOU) {
        process->wanted_terminal = true;
        ctz_process_kill(process);
        ctz_process_look(process);
    }
}
