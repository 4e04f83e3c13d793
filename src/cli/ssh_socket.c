/* Where `latchkey ssh-agent` listens. */
#include "ssh_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void ssh_place_free(struct ssh_place *place)
{
    if (place->listener >= 0) {
        close(place->listener);
        unlink(place->path);
    }
    if (place->directory)
        rmdir(place->directory);
    free(place->directory);
    free(place->path);
}

static bool fits(const char *path)
{
    return strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

static int socket_at(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int ssh_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = fits(path) ? socket_at(path, &address) : -1;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* A socket whose agent was killed, or went with a power cut, is in nobody's way. */
static void remove_stale(const char *path)
{
    struct stat there;
    if (lstat(path, &there) != 0 || !S_ISSOCK(there.st_mode) || there.st_uid != geteuid())
        return;
    int fd = ssh_connect(path);
    if (fd >= 0)
        close(fd);
    else if (errno == ECONNREFUSED)
        unlink(path);
}

static CK_RV listen_at(struct ssh_place *place)
{
    struct sockaddr_un address;
    remove_stale(place->path);
    int fd = socket_at(place->path, &address);
    mode_t before = umask(0177);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    int reason = errno;
    umask(before);
    if (bound)
        place->listener = fd;
    if (bound && listen(fd, SOMAXCONN) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return CKR_OK;
    if (!bound && fd >= 0)
        close(fd);
    return fail(EXIT_FAILED, NULL, "the socket %s cannot be made: %s", place->path,
                strerror(bound ? errno : reason));
}

static CK_RV place_named(const char *name, struct ssh_place *ret)
{
    char *here = *name == '/' ? strdup("") : getcwd(NULL, 0);
    int n = here ? asprintf(&ret->path, "%s%s%s", here, *name == '/' ? "" : "/", name) : -1;
    free(here);
    if (n < 0) {
        ret->path = NULL;
        return CKR_HOST_MEMORY;
    }
    return fits(ret->path) ? listen_at(ret)
                           : fail(EXIT_USAGE, NULL, "the socket's path is too long: %s", ret->path);
}

static bool place_in(const char *parent, struct ssh_place *ret)
{
    if (!parent || *parent != '/')
        return false;
    if (asprintf(&ret->directory, "%s/latchkey-ssh.XXXXXX", parent) < 0)
        ret->directory = NULL;
    if (!ret->directory || asprintf(&ret->path, "%s/agent", ret->directory) < 0)
        ret->path = NULL;
    if (ret->path && fits(ret->path) && mkdtemp(ret->directory)) {
        memcpy(ret->path, ret->directory, strlen(ret->directory));
        return true;
    }
    free(ret->directory);
    free(ret->path);
    ret->directory = ret->path = NULL;
    return false;
}

CK_RV ssh_place_make(const struct cli *cli, struct ssh_place *ret)
{
    if (cli->option[OPT_SOCKET])
        return place_named(cli->option[OPT_SOCKET], ret);
    if (place_in(getenv("XDG_RUNTIME_DIR"), ret) || place_in(getenv("TMPDIR"), ret) ||
        place_in("/tmp", ret))
        return listen_at(ret);
    return fail(EXIT_FAILED, "Name a place for it with --socket.",
                "no directory for the socket can be made: %s", strerror(errno));
}
