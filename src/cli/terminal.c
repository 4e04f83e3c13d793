#include "pin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void catch (int number)
{
    caught = number;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { SIGNALS = sizeof(signals) / sizeof(*signals) };

/* One line of at most room->n bytes, without its end. False at an error, a signal, an early end. */
static bool read_line(int tty, struct secret *room, size_t *ret_n)
{
    size_t n = 0;
    for (;;) {
        uint8_t c;
        ssize_t got = read(tty, &c, 1);
        if (got != 1 && (got == 0 || errno != EINTR || caught))
            return false;
        if (got == 1 && c == '\n')
            break;
        if (got == 1 && n == room->n)
            return false;
        if (got == 1)
            room->p[n++] = c;
    }
    *ret_n = n;
    return true;
}

/* A signal must not leave the user's terminal without echo: it is held back until that is mended,
 * and then sent again. */
static bool ask_guarded(int tty, const char *prompt, bool echo, struct secret *room, size_t *ret_n)
{
    struct sigaction ours = {.sa_handler = catch}, old[SIGNALS];
    struct termios before, during;
    bool settable = tcgetattr(tty, &before) == 0;
    caught = 0;
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &ours, &old[i]);
    if (settable && !echo) {
        during = before;
        during.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        tcsetattr(tty, TCSAFLUSH, &during);
    }
    /* the prompt comes after the echo is off: what is typed from then on is not seen, nor flushed
     */
    bool ok = write(tty, prompt, strlen(prompt)) >= 0 && read_line(tty, room, ret_n);
    if (settable && !echo) {
        tcsetattr(tty, TCSADRAIN, &before);
        (void)!write(tty, "\n", 1);
    }
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &old[i], NULL);
    if (caught)
        raise(caught);
    return ok;
}

CK_RV terminal_line(const char *prompt, bool echo, const char *option, struct secret *ret)
{
    CLEANUP(secret_free) struct secret room = {0};
    TRY(secret_new(&room, 512));
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return fail(EXIT_USAGE, NULL, "there is no terminal to ask on: give %s", option);
    size_t n = 0;
    bool ok = ask_guarded(tty, prompt, echo, &room, &n);
    close(tty);
    ok = ok && (n || echo);
    return ok ? secret_copy(ret, BYTES(room.p, n))
              : fail(EXIT_FAILED, NULL, "nothing was typed that could be used");
}

CK_RV terminal_confirm(const char *prompt, const char *expected)
{
    CLEANUP(secret_free) struct secret line = {0};
    TRY(terminal_line(prompt, true, "--yes", &line));
    if (bytes_equal(secret_bytes(&line), BYTES_STR(expected)))
        return CKR_OK;
    return fail(EXIT_FAILED, NULL, "nothing was changed");
}
