#pragma once
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <openssl/x509_vfy.h>

/* LWS_PRE is a function-like macro to Swift's importer: the bytes that lws_write needs free in front of its buffer. */
static const int shim_lws_pre = LWS_PRE;

/* A timer of the event loop: lws hands its callback the list entry, which is this struct's first field. */
struct shim_timer {
    lws_sorted_usec_list_t entry;
    void *owner;
};

/* Milliseconds since the last byte came in on a TCP socket (frames that lws answers by itself count too), or -1. */
static inline long shim_milliseconds_since_receive(int socket) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? (long)info.tcpi_last_data_recv : -1;
}
