/* A provider that is never the bottleneck: one thread, epoll, constant answers.
 *
 *     gcc -O2 -o mock mock.c && ./mock PORT
 *
 * It answers POST .../chat/completions and .../messages, streamed when the body says so. What it does is set for all
 * connections at once by GET /set?events=200&delay=10000&size=1000&tool=0: deltas of a stream, microseconds between two
 * of them, bytes of text in an answer that is not streamed, whether a stream calls a tool instead of talking. Every delta carries "@" and 16 digits, the time at which it
 * was sent, by which the load client counts events and knows what was added on the way. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CHAT_CHUNK \
    "{\"id\":\"chatcmpl-CkT3uQ8n1mB7yZ5aWx2PvRs4\",\"object\":\"chat.completion.chunk\",\"created\":1763800000," \
    "\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\",\"choices\":["
#define CHAT_DELTA(delta, finish) \
    "data: " CHAT_CHUNK "{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" finish "}],\"usage\":null}\n\n"
#define CHAT_COUNTS \
    "{\"prompt_tokens\":1200,\"completion_tokens\":250,\"total_tokens\":1450," \
    "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}"
#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"

typedef struct Client {
    int fd;
    char *in;           /* what was read and is not answered */
    size_t in_used, in_room;
    char *out;          /* what the socket did not take yet */
    size_t out_used, out_sent, out_room;
    int streaming, anthropic, next_event, waiting_to_write;
    long long due;      /* when its next event goes out */
    struct Client *later;
} Client;

static int poller, events = 200, size = 1000, tool;
static long long delay;
static Client *first_due, *last_due; /* all wait equally long, so they are due in the order in which they were put here */

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void append(Client *c, const char *bytes, size_t length) {
    if (c->out_used + length > c->out_room) {
        c->out_room = (c->out_used + length) * 2 + 4096;
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_used, bytes, length);
    c->out_used += length;
}

static void append_chunk(Client *c, const char *bytes, size_t length) {
    char frame[32];
    append(c, frame, sprintf(frame, "%zx\r\n", length));
    append(c, bytes, length);
    append(c, "\r\n", 2);
}

static void watch(Client *c, int writing) {
    if (c->waiting_to_write == writing) return;
    c->waiting_to_write = writing;
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* 1: all is written, 0: the socket is full, -1: the client is gone */
static int flush(Client *c) {
    while (c->out_sent < c->out_used) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (n < 0) {
            watch(c, 1);
            return 0;
        }
        c->out_sent += n;
    }
    c->out_sent = c->out_used = 0;
    watch(c, 0);
    return 1;
}

static void append_event(Client *c) {
    char e[1024];
    int i = c->next_event++, last = events + 1, n;
    long long t = now();
    if (c->anthropic) {
        if (i > 0 && i < last && tool)
            n = sprintf(e, EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
                "\"%s @%016lld%s\"}"), i == 1 ? "{\\\"arg_0\\\":\\\"" : "", t, i == last - 1 ? "\\\"}" : "");
        else if (i == 0)
            n = sprintf(e, EVENT("message_start", ",\"message\":{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"type\":\"message\","
                "\"role\":\"assistant\",\"content\":[],\"model\":\"claude-sonnet-4\",\"stop_reason\":null,"
                "\"stop_sequence\":null,\"usage\":{\"input_tokens\":1200,\"output_tokens\":1}}")
                EVENT("content_block_start", ",\"index\":0,\"content_block\":%s"), tool ?
                "{\"type\":\"tool_use\",\"id\":\"toolu_01A09q90qw90lq917835\",\"name\":\"Tool0\",\"input\":{}}" :
                "{\"type\":\"text\",\"text\":\"\"}");
        else if (i < last)
            n = sprintf(e, EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" @%016lld\"}"), t);
        else
            n = sprintf(e, EVENT("content_block_stop", ",\"index\":0") EVENT("message_delta", ",\"delta\":{\"stop_reason\":"
                "\"%s\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":250}") EVENT("message_stop", ""),
                tool ? "tool_use" : "end_turn");
    } else if (i == 0 && tool)
        n = sprintf(e, CHAT_DELTA("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":"
            "\"call_9pw1qnYScqvGrCH58HWCvFH6\",\"type\":\"function\",\"function\":{\"name\":\"Tool0\",\"arguments\":\"\"}}]}", "null"));
    else if (i > 0 && i < last && tool)
        n = sprintf(e, CHAT_DELTA("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s @%016lld%s\"}}]}", "null"),
            i == 1 ? "{\\\"arg_0\\\":\\\"" : "", t, i == last - 1 ? "\\\"}" : "");
    else if (i == 0)
        n = sprintf(e, CHAT_DELTA("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null"));
    else if (i < last)
        n = sprintf(e, CHAT_DELTA("{\"content\":\" @%016lld\"}", "null"), t);
    else
        n = sprintf(e, CHAT_DELTA("{}", "\"%s\"") "data: " CHAT_CHUNK "],\"usage\":" CHAT_COUNTS "}\n\ndata: [DONE]\n\n",
            tool ? "tool_calls" : "stop");
    append_chunk(c, e, n);
    if (i == last) {
        append(c, "0\r\n\r\n", 5);
        c->streaming = 0;
    }
}

static void wait_in_line(Client *c) {
    c->due = now() + delay;
    c->later = NULL;
    if (last_due) last_due->later = c;
    else first_due = c;
    last_due = c;
}

static void leave_line(Client *c) {
    Client *before = NULL;
    for (Client **p = &first_due; *p; before = *p, p = &(*p)->later)
        if (*p == c) {
            *p = c->later;
            if (last_due == c) last_due = before;
            return;
        }
}

/* Send what is due: one event, or without a delay as many as the socket takes, each with a write of its own. */
static int stream(Client *c) {
    do {
        append_event(c);
        int state = flush(c);
        if (state <= 0) break;
    } while (c->streaming && !delay);
    if (c->streaming && delay) wait_in_line(c);
    return 0;
}

static int whole(Client *c, int chat) {
    static const char *chat_open = "{\"id\":\"chatcmpl-CkT3uQ8n1mB7yZ5aWx2PvRs4\",\"object\":\"chat.completion\",\"created\":1763800000,"
        "\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char *chat_close = "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":"
        CHAT_COUNTS ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\"}";
    static const char *own_open = "{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"type\":\"message\",\"role\":\"assistant\","
        "\"model\":\"claude-sonnet-4\",\"content\":[{\"type\":\"text\",\"text\":\"";
    static const char *own_close = "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":"
        "{\"input_tokens\":1200,\"output_tokens\":250}}";
    const char *open = chat ? chat_open : own_open, *close = chat ? chat_close : own_close;
    char head[256];
    append(c, head, sprintf(head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_mock\r\n"
        "Content-Length: %zu\r\n\r\n", strlen(open) + size + strlen(close)));
    append(c, open, strlen(open));
    for (int i = 0; i < size; i++) append(c, &"lorem ipsum dolor sit amet, "[i % 28], 1);
    append(c, close, strlen(close));
    return flush(c) < 0 ? -1 : 0;
}

static int answer(Client *c, size_t head, size_t body) {
    char *line_end = memchr(c->in, '\r', head), *asked;
    *line_end = 0;
    if ((asked = strstr(c->in, "/set?"))) {
        sscanf(asked, "/set?events=%d&delay=%lld&size=%d&tool=%d", &events, &delay, &size, &tool);
        append(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
        return flush(c) < 0 ? -1 : 0;
    }
    int chat = strstr(c->in, "/chat/completions") != NULL;
    if (!chat && !strstr(c->in, "/messages")) {
        append(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 45);
        return flush(c) < 0 ? -1 : 0;
    }
    char *word = memmem(c->in + head, body, "\"stream\"", 8), *end = c->in + head + body;
    for (word = word ? word + 8 : end; word < end && (*word == ':' || *word == ' '); word++) {}
    if (word == end || *word != 't') return whole(c, chat);
    static const char *streams = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
        "x-request-id: req_mock\r\nTransfer-Encoding: chunked\r\n\r\n";
    append(c, streams, strlen(streams));
    c->streaming = 1;
    c->anthropic = !chat;
    c->next_event = 0;
    return stream(c);
}

/* Whole requests with a Content-Length, one after the other. */
static int take(Client *c) {
    while (!c->streaming) {
        char *blank = c->in_used ? memmem(c->in, c->in_used, "\r\n\r\n", 4) : NULL;
        if (!blank) return 0;
        size_t head = blank + 4 - c->in, body = 0;
        *blank = 0;
        char *length = strcasestr(c->in, "\r\ncontent-length:");
        if (length) body = strtoul(length + 17, NULL, 10);
        *blank = '\r';
        if (c->in_used < head + body) return 0;
        if (answer(c, head, body) < 0) return -1;
        c->in_used -= head + body;
        memmove(c->in, c->in + head + body, c->in_used);
    }
    return 0;
}

static int readable(Client *c) {
    for (;;) {
        if (c->in_used + 65536 > c->in_room) {
            c->in_room = c->in_room * 2 + 131072;
            c->in = realloc(c->in, c->in_room);
        }
        size_t room = c->in_room - c->in_used - 1;
        ssize_t n = recv(c->fd, c->in + c->in_used, room, 0);
        if (n == 0) return -1;
        if (n < 0) break;
        c->in_used += n;
        if ((size_t)n < room) break;
    }
    return take(c);
}

static void drop(Client *c) {
    leave_line(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void welcome(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Client *c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static void send_what_is_due(void) {
    long long t = now();
    while (first_due && first_due->due <= t) {
        Client *c = first_due;
        leave_line(c);
        if (c->out_sent < c->out_used) wait_in_line(c); /* a slow reader gets its event later */
        else if (stream(c) < 0 || (!c->streaming && take(c) < 0)) drop(c);
    }
}

int main(int count, char **arguments) {
    if (count < 2) return fprintf(stderr, "usage: mock PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 4096)) return perror("mock"), 1;
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN}, ready[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        long long left = first_due ? first_due->due - now() : 1000000;
        struct timespec pause = {left > 0 ? left / 1000000 : 0, left > 0 ? left % 1000000 * 1000 : 0};
        int n = epoll_pwait2(poller, ready, 512, &pause, NULL);
        for (int i = 0; i < n; i++) {
            Client *c = ready[i].data.ptr;
            if (!c) {
                welcome(listener);
                continue;
            }
            int state = ready[i].events & ~EPOLLOUT ? readable(c) : 0;
            if (state >= 0 && ready[i].events & EPOLLOUT && flush(c) > 0 && c->streaming && !delay) state = stream(c);
            if (state < 0) drop(c);
        }
        send_what_is_due();
    }
}
