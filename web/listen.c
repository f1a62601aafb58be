/* The listening socket: an address and port, or a file. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "web/internal.h"

enum { BACKLOG = 256 };

bool listen_loopback_peer(const struct sockaddr *address) {
    if (address == NULL)
        return false;
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static int parse_address(const char *text, int port, struct err *err,
                         struct sockaddr_storage *ret) {
    if (uv_ip4_addr(text, port, (struct sockaddr_in *)ret) == 0)
        return 0;
    if (uv_ip6_addr(text, port, (struct sockaddr_in6 *)ret) == 0)
        return 0;
    return err_set(err, ESP_EINVAL, NULL, "\"%s\" is no IPv4 or IPv6 address to listen on", text);
}

bool web_is_loopback_address(const char *address) {
    struct sockaddr_storage parsed;
    memset(&parsed, 0, sizeof(parsed));
    return parse_address(address, 0, NULL, &parsed) == 0 &&
           listen_loopback_peer((struct sockaddr *)&parsed);
}

static int refused(const char *where, struct err *err) {
    return err_set(err, errno == EADDRINUSE ? ESP_EBUSY : ESP_EIO, NULL, "cannot listen on %s: %s",
                   where, strerror(errno));
}

int listen_on_address(const char *text, int port, struct err *err, int *ret_fd, int *ret_port) {
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char where[160];
    int one = 1;
    memset(&address, 0, sizeof(address));
    int r = parse_address(text, port, err, &address);
    if (r != 0)
        return r;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, ESP_EIO, NULL, "cannot open a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        snprintf(where, sizeof(where), "%.128s port %d", text, port);
        r = refused(where, err);
        close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_port = ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                                   : ((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

/* What a daemon that was killed has left behind; whatever else lies there stays. */
static int clear_stale(const struct sockaddr_un *address, struct err *err) {
    struct stat info;
    if (lstat(address->sun_path, &info) != 0)
        return 0;
    if (!S_ISSOCK(info.st_mode))
        return err_set(err, ESP_EBUSY, NULL, "cannot listen on %s: something else lies there",
                       address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool taken = fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                 errno != ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    if (taken)
        return err_set(err, ESP_EBUSY, NULL, "cannot listen on %s: another program does",
                       address->sun_path);
    return unlink(address->sun_path) == 0 ? 0 : refused(address->sun_path, err);
}

/* The file gets its mode with its name: nobody slips in before. */
int listen_on_file(const char *path, struct err *err, int *ret_fd, struct stat *ret_info) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ESP_EINVAL, NULL, "the path of a socket has at most %zu characters",
                       sizeof(address.sun_path) - 1);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int r = clear_stale(&address, err);
    if (r != 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, ESP_EIO, NULL, "cannot open a socket: %s", strerror(errno));
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, S_IRUSR | S_IWUSR) != 0 || listen(fd, BACKLOG) != 0 ||
        lstat(path, ret_info) != 0) {
        r = refused(path, err);
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

void listen_remove_file(const char *path, const struct stat *own) {
    struct stat info;
    if (lstat(path, &info) == 0 && info.st_dev == own->st_dev && info.st_ino == own->st_ino)
        unlink(path);
}
