/* Load for a gateway: so many connections, each with its next request when the last is answered.
 *
 *     gcc -O2 -o load load.c && ./load PORT FILE CONNECTIONS SECONDS
 *
 * FILE is one whole HTTP request. It prints one line of JSON: how many answers and events there were, and how late
 * they came, in microseconds. An event is the mark of the mock ("@" and 16 digits of its clock). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER };

typedef struct {
    int fd, busy, phase, digits, closing;
    char head[16384];
    size_t head_used, sent;
    long long left, mark, began;
} Connection;

typedef struct {
    unsigned *values;
    size_t used, room;
} Sample;

static char *request;
static size_t request_size;
static int port, poller, under_way, status;
static long long answers, failures, events;
static Sample latency, lateness;

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void note(Sample *s, long long value) {
    if (s->used == s->room) {
        s->room = s->room ? s->room * 2 : 65536;
        s->values = realloc(s->values, s->room * sizeof *s->values);
    }
    s->values[s->used++] = value < 0 ? 0 : value;
}

static int order(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static unsigned quantile(Sample *s, double share) {
    return s->used ? s->values[(size_t)((s->used - 1) * share)] : 0;
}

static void connect_to_gateway(Connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(c->fd, (void *)&there, sizeof there) && errno != EINPROGRESS) {
        perror("connect");
        exit(1);
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void push(Connection *c) {
    while (c->sent < request_size) {
        ssize_t n = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0) return;
        c->sent += n;
    }
}

static void ask(Connection *c) {
    c->busy = 1;
    c->phase = HEAD;
    c->digits = -1;
    c->head_used = c->sent = 0;
    c->began = now();
    under_way++;
    push(c);
}

static void look_for_marks(Connection *c, const char *bytes, size_t size, long long t) {
    for (size_t i = 0; i < size; i++) {
        if (c->digits < 0) {
            const char *at = memchr(bytes + i, '@', size - i);
            if (!at) return;
            i = at - bytes;
            c->digits = c->mark = 0;
        } else if (bytes[i] >= '0' && bytes[i] <= '9') {
            c->mark = c->mark * 10 + bytes[i] - '0';
            if (++c->digits < 16) continue;
            events++;
            note(&lateness, t - c->mark);
            c->digits = -1;
        } else
            c->digits = -1;
    }
}

/* How many bytes belonged to the head; sets what follows it. -1: this is no head. */
static long read_head(Connection *c, const char *bytes, size_t size) {
    size_t before = c->head_used, room = sizeof c->head - 1 - before, n = size < room ? size : room;
    memcpy(c->head + before, bytes, n);
    c->head_used += n;
    c->head[c->head_used] = 0;
    char *blank = strstr(c->head, "\r\n\r\n");
    if (!blank) return c->head_used < sizeof c->head - 1 ? (long)n : -1;
    blank[2] = 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    status = atoi(c->head + 9);
    c->closing = strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->phase = length ? SIZED : CHUNK_SIZE;
    c->left = length ? atoll(length + 17) : 0;
    return blank + 4 - c->head - before;
}

/* 1: the answer is complete, 0: there is more to come, -1: it cannot be read */
static int feed(Connection *c, const char *bytes, size_t size, long long t) {
    while (size) {
        size_t n = 1;
        if (c->phase == HEAD) {
            long taken = read_head(c, bytes, size);
            if (taken < 0) return -1;
            n = taken;
            if (c->phase == SIZED && !c->left) return 1;
        } else if (c->phase == SIZED || c->phase == CHUNK) {
            n = size < (size_t)c->left ? size : (size_t)c->left;
            look_for_marks(c, bytes, n, t);
            c->left -= n;
            if (!c->left && c->phase == SIZED) return 1;
            if (!c->left) c->phase = CHUNK_END;
        } else if (*bytes == '\n') {
            if (c->phase == TRAILER) return 1;
            c->phase = c->phase == CHUNK_END ? CHUNK_SIZE : c->left ? CHUNK : TRAILER;
        } else if (c->phase == CHUNK_SIZE && *bytes != '\r')
            c->left = c->left * 16 + (*bytes <= '9' ? *bytes - '0' : (*bytes | 32) - 'a' + 10);
        bytes += n;
        size -= n;
    }
    return 0;
}

static void finish(Connection *c, int good, long long t) {
    if (good && status == 200) {
        answers++;
        note(&latency, t - c->began);
    } else
        failures++;
    c->busy = 0;
    under_way--;
}

/* Take what is there. Returns whether the connection is free for the next request. */
static int receive(Connection *c) {
    static char bytes[1 << 20];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN) return 0;
        long long t = now();
        int state = n > 0 && c->busy ? feed(c, bytes, n, t) : n > 0 ? 0 : -1;
        if (state == 0) continue;
        if (c->busy) finish(c, state == 1, t);
        if (state < 0 || c->closing) {
            close(c->fd);
            connect_to_gateway(c);
        }
        return 1;
    }
}

int main(int count, char **arguments) {
    if (count < 5) return fprintf(stderr, "usage: load PORT FILE CONNECTIONS SECONDS\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    port = atoi(arguments[1]);
    int connections = atoi(arguments[3]);
    FILE *file = fopen(arguments[2], "rb");
    if (!file) return perror(arguments[2]), 1;
    request = malloc(16 << 20);
    request_size = fread(request, 1, 16 << 20, file);
    poller = epoll_create1(0);
    Connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) connect_to_gateway(&all[i]), ask(&all[i]);
    long long began = now(), ends = began + atof(arguments[4]) * 1e6, given_up = ends + 10000000;
    struct epoll_event ready[256];
    while (under_way && now() < given_up) {
        int n = epoll_wait(poller, ready, 256, 20);
        for (int i = 0; i < n; i++) {
            Connection *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT && c->busy) push(c);
            if (ready[i].events & ~EPOLLOUT && receive(c) && now() < ends) ask(c);
        }
    }
    double seconds = (now() - began) / 1e6;
    qsort(latency.values, latency.used, sizeof(unsigned), order);
    qsort(lateness.values, lateness.used, sizeof(unsigned), order);
    printf("{\"answers\":%lld,\"failures\":%lld,\"unfinished\":%d,\"events\":%lld,\"seconds\":%.3f,\"latency_p50\":%u,"
        "\"latency_p99\":%u,\"lateness_p50\":%u,\"lateness_p99\":%u}\n", answers, failures, under_way, events, seconds,
        quantile(&latency, .5), quantile(&latency, .99), quantile(&lateness, .5), quantile(&lateness, .99));
    return 0;
}
