#include "web.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 128

static void answer(int fd, const char *path)
{
    char text[2048];
    char body[1001] = "nothing here";
    char location[512] = "";
    int status = 404;

    if (strcmp(path, "/silence") == 0)
        return;
    if (strcmp(path, "/hello") == 0) {
        status = 200;
        strcpy(body, "hello");
    } else if (strcmp(path, "/large") == 0) {
        status = 200;
        memset(body, 'x', sizeof(body) - 1);
        body[sizeof(body) - 1] = '\0';
    } else if (strncmp(path, "/to/", 4) == 0) {
        status = 302;
        snprintf(location, sizeof(location), "Location: %s\r\n", path + 3);
    }
    snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status,
             strlen(body), location, body);
    if (write(fd, text, strlen(text)) < 0)
        return;
}

/* Requests of these tests come whole and one by one. False when the connection is closed. */
static int serve(int fd)
{
    char request[4096];
    char path[256];
    ssize_t size = read(fd, request, sizeof(request) - 1);

    if (size <= 0)
        return 0;
    request[size] = '\0';
    if (sscanf(request, "GET %255s", path) == 1)
        answer(fd, path);
    return 1;
}

static void *web_main(void *context)
{
    struct web *self = context;
    struct pollfd fds[CONNECTIONS_MAX] = { { .fd = self->fd, .events = POLLIN } };
    nfds_t count = 1;

    while (poll(fds, count, -1) > 0) {
        for (nfds_t i = count; i-- > 1;) {
            if (fds[i].revents != 0 && !serve(fds[i].fd)) {
                close(fds[i].fd);
                fds[i] = fds[--count];
            }
        }
        if (fds[0].revents != 0) {
            int fd = accept(self->fd, NULL, NULL);

            if (fd < 0 || count == CONNECTIONS_MAX)
                break;
            fds[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        }
    }
    while (count-- > 1)
        close(fds[count].fd);
    return NULL;
}

void web_open(struct web *self)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);

    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(self->fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(self->fd, 64), 0);
    ck_assert_int_eq(getsockname(self->fd, (struct sockaddr *)&address, &size), 0);
    self->port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&self->thread, NULL, web_main, self), 0);
}

void web_close(struct web *self)
{
    shutdown(self->fd, SHUT_RDWR); /* accept fails: the thread ends */
    pthread_join(self->thread, NULL);
    close(self->fd);
}

const char *web_url(const struct web *self, const char *path)
{
    static char urls[64][256];
    static unsigned next;
    char *url = urls[next++ % 64];

    snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%d%s", self->port, path);
    return url;
}
